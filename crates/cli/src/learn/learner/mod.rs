//! From a log to the proposals: a record of each event, then, when all are known, which of them are ordinary.
//!
//! **Why records**: which events belong to an intrusion shows only at the end of the log. A record has 41 bytes; beyond a bound,
//! records are in a file. What many events have in common is held once.

mod calls;
mod finish;
mod included;
mod records;
mod whats;

use super::groups::{Groups, Whose};
use super::propose::{Choice, List, Proposal, described, entries};
use super::suspicion;
use crate::explain;
use crate::log::Event;
use calls::{Call, Calls};
use included::Included;
pub use included::Said;
use portcullis_event::field::{self, Field};
use portcullis_policy::{Policy, Rule};
use portcullis_story::{Names, Recent, Seen};
use records::{Record, Records};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use whats::{What, Whats};

/// What texts may take, in bytes: those of virtual hosts, scripts, clients and chains of programs.
const NAMES_MAX: usize = if cfg!(test) { 1 << 20 } else { 96 << 20 };
/// So many users are told apart of those that ran one script.
const USERS_MAX: usize = 4;
/// So many events are remembered to which merged calls may be added, and so many calls before their event comes.
const LIKE_MAX: usize = 100_000;

/// Where a call was: its virtual host, script and document root.
type Place = [u32; 3];

/// Calls that were merged into another event.
#[derive(Clone, Copy)]
struct Merged {
    vhost: u32,
    rule: u32,
    calls: usize,
    when: Option<i64>,
    is_chosen: bool,
}

/// How many events there were of which nothing is learnt, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that are chosen.
    pub events: usize,
    /// The policy allows them now.
    pub allowed: usize,
    /// They were blocked.
    pub blocked: usize,
    /// They are Portcullis's word on itself.
    pub own: usize,
    /// They are parts of an intrusion.
    pub withheld: usize,
    /// Calls that were merged into events of the same program: their arguments may be others.
    pub merged: usize,
}

/// What was learnt.
#[derive(Default)]
pub struct Learnt {
    /// The proposals by virtual host; that of the global policy under the empty name.
    pub proposals: BTreeMap<String, Proposal>,
    /// What was left out.
    pub counts: Counts,
    /// Clients of an intrusion that caused most of the events: one of them may be a proxy.
    pub busy: Vec<String>,
    /// What is to be said of what a person named to be included, and is not.
    pub said: Vec<Said>,
}

/// Learns from events, in any order.
pub struct Learner<'l> {
    policy: &'l Policy<'l>,
    choice: &'l Choice<'l>,
    seen: Seen,
    names: Names,
    whats: Whats,
    calls: Calls,
    records: Records,
    groups: Groups,
    places: Vec<Place>,
    place_numbers: HashMap<Place, u32>,
    /// Records by the identifiers of their events.
    likes: Recent<Record>,
    /// Merged calls whose event has not come yet, by its identifier, and those whose event is not known.
    waiting: HashMap<u64, Merged>,
    left: Vec<Merged>,
    left_places: HashMap<(u32, u32, bool), usize>,
    /// As which users each script ran; `None` where an event does not say, or there are too many. When it did so first.
    users: HashMap<u32, Vec<Option<u32>>>,
    first: HashMap<u32, i64>,
    /// How many events each client caused, and how many there are.
    busy: HashMap<u32, usize>,
    recorded: usize,
    /// The chains of programs, and whether one did more than start.
    chains: HashMap<u32, bool>,
    included: Included,
    hasher: RandomState,
    counts: Counts,
}

impl<'l> Learner<'l> {
    /// One that knows nothing yet.
    pub fn new(policy: &'l Policy<'l>, choice: &'l Choice<'l>) -> Learner<'l> {
        Learner {
            policy,
            choice,
            seen: Seen::default(),
            names: Names::default(),
            whats: Whats::default(),
            calls: Calls::default(),
            records: Records::default(),
            groups: Groups::default(),
            places: Vec::new(),
            place_numbers: HashMap::new(),
            likes: Recent::new(LIKE_MAX),
            waiting: HashMap::new(),
            left: Vec::new(),
            left_places: HashMap::new(),
            users: HashMap::new(),
            first: HashMap::new(),
            busy: HashMap::new(),
            recorded: 0,
            chains: HashMap::new(),
            included: Included::default(),
            hasher: RandomState::new(),
            counts: Counts::default(),
        }
    }

    /// Takes an event that may have been read before. One that is not chosen is no evidence for an entry; it still shows an intrusion.
    pub fn take(&mut self, event: &Event, is_chosen: bool) {
        if self.seen.is_new(event) {
            self.take_new(event, is_chosen);
        }
    }

    /// Takes an event that was not read before.
    pub fn take_new(&mut self, event: &Event, is_chosen: bool) {
        self.counts.events += usize::from(is_chosen);
        if event.is_of_guard() {
            self.counts.own += usize::from(is_chosen);
            return;
        }
        if self.is_full() {
            return;
        }
        if event.is_of_merged() {
            return self.take_merged(event, is_chosen);
        }
        let Some(Call { what, grave }) = self.call(event) else {
            self.counts.allowed += usize::from(is_chosen);
            return self.included.allows(event, self.policy, self.choice.include);
        };
        let is_learnt = self.choice.blocked || !event.blocked();
        self.counts.blocked += usize::from(is_chosen && !is_learnt);
        let (script, place) = self.place(event);
        let record = Record {
            group: self.group(event),
            what,
            place,
            client: self.client(event),
            chain: self.names.number(event.text(field::CHAIN)),
            grave,
            calls: u32::try_from(event.count()).unwrap_or(u32::MAX),
            is_chosen: is_chosen && is_learnt,
            ..Record::at(event.seconds())
        };
        if script != 0 {
            self.note_script(script, event);
        }
        if record.client != 0 {
            *self.busy.entry(record.client).or_default() += 1;
        }
        self.recorded += 1;
        *self.chains.entry(record.chain).or_default() |= !event.is_exec();
        self.records.push(&record);
        if let Some(identity) = event.identity() {
            let id = self.hasher.hash_one(identity);
            self.likes.insert(id, record);
            if let Some(merged) = self.waiting.remove(&id) {
                self.add_merged(record, merged.calls);
            }
        }
    }

    /// Whether the log differs in more than is held.
    fn is_full(&self) -> bool {
        self.names.held() > NAMES_MAX || self.groups.is_full()
    }

    /// Takes calls that were merged into another event.
    fn take_merged(&mut self, event: &Event, is_chosen: bool) {
        let merged = Merged {
            vhost: self.names.number(event.vhost()),
            rule: self.names.number(event.rule()),
            calls: event.count(),
            when: event.seconds(),
            is_chosen: is_chosen && (self.choice.blocked || !event.blocked()),
        };
        let Some(like) = event.like().map(|like| self.hasher.hash_one(like)) else { return self.leave(merged) };
        if let Some(record) = self.likes.get(like) {
            self.add_merged(record, merged.calls);
        } else if let Some(known) = self.waiting.get_mut(&like) {
            known.calls = known.calls.saturating_add(merged.calls);
            known.is_chosen |= merged.is_chosen;
        } else if self.waiting.len() < LIKE_MAX {
            self.waiting.insert(like, merged);
        } else {
            self.leave(merged);
        }
    }

    /// Adds calls to those of an event.
    fn add_merged(&mut self, record: Record, calls: usize) {
        let is_exec = self.whats.get(record.what).is_exec;
        self.counts.merged += if is_exec && record.is_chosen { calls } else { 0 };
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        self.records.push(&Record { calls, is_merged: true, ..record });
    }

    /// Keeps calls whose event is not known, by their virtual host and rule.
    fn leave(&mut self, merged: Merged) {
        let key = (merged.vhost, merged.rule, merged.is_chosen);
        match self.left_places.get(&key) {
            Some(at) => {
                let sum = &mut self.left[*at];
                sum.calls = sum.calls.saturating_add(merged.calls);
                // In whichever order they come.
                sum.when = sum.when.into_iter().chain(merged.when).min();
            }
            None => {
                self.left_places.insert(key, self.left.len());
                self.left.push(merged);
            }
        }
    }

    fn group(&mut self, event: &Event) -> u64 {
        let host = event.text(field::HOST_HOSTNAME);
        let of = |kind: &str, day: &str, text: &str| match text {
            "" => 0,
            _ => self.hasher.hash_one((kind, host, day, text)).max(1),
        };
        let mut whose = Whose::default();
        // The request is one, whatever host says so.
        if let id @ 1.. = event.text(field::HTTP_REQUEST_ID).len() {
            whose.request = self.hasher.hash_one((id, event.text(field::HTTP_REQUEST_ID))).max(1);
        }
        if explain::is_further(event) {
            let day = event.text(field::TIMESTAMP).get(..10).unwrap_or_default();
            let process = |field: Field| match event.number(field) {
                Some(pid @ 2..) => of("process", day, &pid.to_string()),
                _ => 0,
            };
            (whose.process, whose.parent) = (process(field::PROCESS_PID), process(field::PARENT_PID));
            whose.stream = of("stream", "", event.text(field::STREAM));
        }
        self.groups.of(&whose)
    }

    /// The numbers of the script and of the place of an event.
    fn place(&mut self, event: &Event) -> (u32, u32) {
        let fields = [field::REQUEST_SCRIPT, field::REQUEST_DOCUMENT_ROOT].map(|field| event.text(field));
        let [script, root] = fields.map(|text| self.names.number(text));
        let place = [self.names.number(event.vhost()), script, root];
        let number = *self.place_numbers.entry(place).or_insert_with(|| {
            self.places.push(place);
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        (script, number)
    }

    fn client(&mut self, event: &Event) -> u32 {
        match event.text(field::CLIENT_ADDRESS) {
            // It is a proxy of this machine.
            client if client.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) => 0,
            client if self.choice.proxies.iter().any(|proxy| proxy == client) => 0,
            client => self.names.number(client),
        }
    }

    fn note_script(&mut self, script: u32, event: &Event) {
        let users = self.users.entry(script).or_default();
        let user = event.text(field::USER_ID).parse().ok().filter(|_| users.len() < USERS_MAX);
        if !users.contains(&user) {
            users.push(user);
        }
        if let Some(when) = event.seconds() {
            self.first.entry(script).and_modify(|first| *first = (*first).min(when)).or_insert(when);
        }
    }

    /// What is known of the call of an event; `None` for one that the policy allows now.
    fn call(&mut self, event: &Event) -> Option<Call> {
        let key = self.calls.key(event, self.policy);
        if let Some(known) = key.and_then(|key| self.calls.get(key, &self.whats)) {
            return known;
        }
        let was_full = self.whats.is_full();
        let call = self.judge(event);
        if let Some(key) = key {
            self.calls.insert(key, call, was_full);
        }
        call
    }

    /// The same without what is known.
    fn judge(&mut self, event: &Event) -> Option<Call> {
        if explain::fires(self.policy, event) == Some(false) {
            return None;
        }
        self.included.starts(event, self.policy, self.choice.include);
        let named = self.named_variables(event);
        let loads_own = named.is_some();
        let (what, is_named) = self.what(event, named);
        // Anybody may claim anything in an event that the journal contradicts. What a person names is ordinary.
        let grave = suspicion::of_incident(event, loads_own).filter(|_| !is_named && event.contradicted().is_empty());
        let grave = grave.map_or(0, |why| self.names.number(&why));
        Some(Call { what, grave })
    }

    /// The number of what an event is about, and whether a person named it.
    fn what(&mut self, event: &Event, named: Option<Vec<String>>) -> (u32, bool) {
        let loads_own = named.is_some();
        let mut entries = entries(event, self.policy);
        // With the command, its variables: neither is allowed without the others.
        if let (Ok(all), Some(values)) = (&mut entries, named) {
            for value in values {
                if all.iter().all(|(_, text)| *text != value) {
                    all.push((List::Libraries, value));
                }
            }
        }
        let described = if entries.is_err() { described(event) } else { String::new() };
        let suspicion = suspicion::suspicion(event, loads_own);
        let transport = event.text(field::NETWORK_TRANSPORT);
        let (method, uri) = (event.text(field::HTTP_REQUEST_METHOD), event.text(field::URL_ORIGINAL));
        let example = if uri.is_empty() { event.text(field::CHAIN).to_owned() } else { format!("{method} {uri}") };
        let example = example.chars().take(200).collect();
        // Beside a command, the variable speaks for its own rule alone.
        let is_named = entries.as_ref().is_ok_and(|entries| {
            let own = |list: List| entries.len() == 1 || list != List::Libraries;
            entries.iter().any(|(list, text)| own(*list) && self.choice.include.contains(text))
        });
        let what = What {
            entries,
            described,
            suspicion,
            sends_nothing: event.sends_nothing(),
            is_exec: event.is_exec(),
            transport: transport.to_owned(),
            example,
            rest_of: None,
        };
        let is_held = what.entries.iter().flatten().any(|(_, text)| self.choice.include.contains(text));
        (self.whats.number(what, is_held), is_named)
    }

    /// The values of variables that load code with which a program is started, where a person named all those that the policy does not
    /// allow.
    fn named_variables(&self, event: &Event) -> Option<Vec<String>> {
        if !event.rules().any(|rule| rule == Rule::LoaderEnv.word()) {
            return None;
        }
        let (all, is_all) = explain::expectations(self.policy, event, true);
        (is_all && all.iter().all(|value| self.choice.include.contains(value))).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(script: &str, port: usize, request: usize) -> Event {
        Event::of(&json!({
            "rule": { "id": "egress-port" }, "event": { "action": "connection_attempted" },
            "destination": { "ip": "192.88.1.1", "port": port }, "http": { "request": { "id": format!("r{request}") } },
            "portcullis": { "request": { "script": script } },
        }))
    }

    /// Whoever fills the log with what differs gets an error about it, and no memory; events alone take none.
    #[test]
    fn what_is_held_has_a_bound() {
        let bytes = portcullis_config::compile(&portcullis_config::built_in());
        let policy = Policy::new(&bytes).expect("a policy");
        let choice = Choice::default();
        let learnt = |texts: usize, events: usize| {
            let mut learner = Learner::new(&policy, &choice);
            for number in 0..events {
                learner.take(&event(&format!("/srv/{}", number % texts), 4444, number), true);
            }
            (learner.names.held(), learner.finish(&|_| None).map(|learnt| learnt.counts.events))
        };
        let (held, done) = learnt(5, 5000);
        assert!(held < 2000 && done == Ok(5000), "{held}: {done:?}");
        let (held, error) = learnt(usize::MAX, 50_000);
        assert!(held < NAMES_MAX + 1000, "{held}");
        assert!(error.as_ref().is_err_and(|error| error.contains("--since")), "{error:?}");
    }

    #[test]
    fn an_event_and_its_copy_are_one() {
        let bytes = portcullis_config::compile(&portcullis_config::built_in());
        let policy = Policy::new(&bytes).expect("a policy");
        let choice = Choice { rare: true, ..Choice::default() };
        let mut learner = Learner::new(&policy, &choice);
        let mut told = json!({
            "@timestamp": "2026-11-24T16:25:14.000000000Z",
            "rule": { "id": "egress-port" }, "event": { "action": "connection_attempted", "id": "ab-1" },
            "destination": { "ip": "192.88.1.1", "port": 4444 },
        });
        for _ in 0..2 {
            for host in ["one", "two"] {
                told["host"] = json!({ "hostname": host });
                learner.take(&Event::of(&told), true);
            }
        }
        let learnt = learner.finish(&|_| None).expect("proposals");
        assert_eq!(learnt.counts.events, 2);
        let evidence = &learnt.proposals[""].entries[&(List::Egress, "192.88.1.1:4444".to_owned())];
        assert_eq!(evidence.count, 2);
    }

    /// Calls that were merged count with their event, whichever is read first.
    #[test]
    fn merged_calls_are_their_event_s() {
        let bytes = portcullis_config::compile(&portcullis_config::built_in());
        let policy = Policy::new(&bytes).expect("a policy");
        let choice = Choice { rare: true, ..Choice::default() };
        let call = json!({
            "rule": { "id": "egress-port" }, "event": { "action": "connection_attempted", "id": "ab-1" },
            "destination": { "ip": "192.88.1.1", "port": 4444 },
        });
        let merged = json!({
            "rule": { "id": "egress-port" }, "event": { "action": "merged", "id": "ab-2" },
            "portcullis": { "like": "ab-1", "repeated": 7 },
        });
        for events in [[&call, &merged], [&merged, &call]] {
            let mut learner = Learner::new(&policy, &choice);
            events.into_iter().for_each(|event| learner.take(&Event::of(event), true));
            let learnt = learner.finish(&|_| None).expect("proposals");
            assert_eq!(learnt.proposals[""].entries.values().next().map(|evidence| evidence.count), Some(8));
            assert!(learnt.proposals[""].withheld.is_empty());
        }
    }
}
