//! From a log to the proposals: a record of each event, then, when all are known, which of them are ordinary.
//!
//! **Why records**: which events belong to an intrusion shows only at the end of the log. 200,000 events, 335 MB as lines, are not
//! held for that; what is the same in many of them is held once.

mod finish;

use super::incidents::{Whose, is_full};
use super::propose::{Choice, List, Proposal, described, entries};
use super::suspicion;
use crate::explain;
use crate::log::Event;
use portcullis_event::field::{self, Field};
use portcullis_policy::{Policy, Rule};
use portcullis_story::Names;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

/// So many users are told apart of those that ran one script.
const USERS_MAX: usize = 4;
/// What a record takes, with its place among those that others may be merged into.
const RECORD_COST: usize = size_of::<Record>() + 24;
/// What is kept of what many events have in common, beside its texts.
const WHAT_COST: usize = 400;

/// What an event is about, which many events have in common.
struct What {
    entries: Result<Vec<(List, String)>, String>,
    described: String,
    /// Why it looks like an intrusion by itself.
    suspicion: Option<String>,
    /// It says nothing of its entry elsewhere.
    sends_nothing: bool,
    is_exec: bool,
    /// Of a connection.
    transport: String,
    example: String,
}

/// An event.
struct Record {
    what: u32,
    vhost: u32,
    whose: Whose,
    /// The number of the reason why no application causes it; 0 where one may.
    grave: u32,
    root: u32,
    when: Option<i64>,
    calls: u32,
    /// It is to be learnt from.
    is_chosen: bool,
}

/// Calls that were merged into another event.
struct Merged {
    like: u64,
    calls: usize,
    vhost: u32,
    rule: String,
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
    /// What a person named to be included, and no event needs.
    pub unmatched: Vec<String>,
}

/// Learns from events, in any order.
pub struct Learner<'l> {
    policy: &'l Policy<'l>,
    choice: &'l Choice<'l>,
    names: Names,
    whats: Vec<What>,
    numbers: HashMap<u64, u32>,
    records: Vec<Record>,
    merged: Vec<Merged>,
    /// The place of each event by its ID.
    places: HashMap<u64, u32>,
    /// As which users each script ran; `None` where an event does not say, or there are too many.
    users: HashMap<u32, Vec<Option<u32>>>,
    hasher: RandomState,
    counts: Counts,
    is_full: bool,
}

impl<'l> Learner<'l> {
    /// One that knows nothing yet.
    pub fn new(policy: &'l Policy<'l>, choice: &'l Choice<'l>) -> Learner<'l> {
        Learner {
            policy,
            choice,
            names: Names::default(),
            whats: Vec::new(),
            numbers: HashMap::new(),
            records: Vec::new(),
            merged: Vec::new(),
            places: HashMap::new(),
            users: HashMap::new(),
            hasher: RandomState::new(),
            counts: Counts::default(),
            is_full: false,
        }
    }

    /// Takes an event. One that is not chosen is no evidence for an entry; it still shows an intrusion.
    pub fn take(&mut self, event: &Event, is_chosen: bool) {
        self.counts.events += usize::from(is_chosen);
        let beside = self.records.len() * RECORD_COST + self.whats.len() * WHAT_COST + self.merged.len() * 128;
        if self.is_full || is_full(&self.names, beside) {
            self.is_full = true;
            return;
        }
        if event.is_of_guard() {
            self.counts.own += usize::from(is_chosen);
            return;
        }
        let vhost = self.names.number(event.vhost());
        if event.is_of_merged() {
            let like = match event.text(field::LIKE) {
                "" => 0,
                like => self.hasher.hash_one(like),
            };
            let is_chosen = is_chosen && (self.choice.blocked || !event.blocked());
            let rule = event.rule().to_owned();
            self.merged.push(Merged { like, calls: event.count(), vhost, rule, when: event.seconds(), is_chosen });
            return;
        }
        if explain::fires(self.policy, event) == Some(false) {
            self.counts.allowed += usize::from(is_chosen);
            return;
        }
        let is_learnt = self.choice.blocked || !event.blocked();
        self.counts.blocked += usize::from(is_chosen && !is_learnt);
        let named = self.named_variables(event);
        let loads_own = named.is_some();
        let what = self.what(event, named);
        // Anybody may claim anything in an event that the journal contradicts. What a person names is ordinary.
        let is_named = self.whats[what as usize].entries.as_ref().is_ok_and(|entries| {
            // Beside a command, the variable speaks for its own rule alone.
            let own = |list: List| entries.len() == 1 || list != List::Libraries;
            entries.iter().any(|(list, text)| own(*list) && self.choice.include.contains(text))
        });
        let grave = suspicion::of_incident(event, loads_own).filter(|_| !is_named && event.contradicted().is_empty());
        let grave = grave.map_or(0, |why| self.names.number(&why));
        if let id @ 1.. = self.hasher.hash_one(event.text(field::EVENT_ID))
            && !event.text(field::EVENT_ID).is_empty()
        {
            self.places.insert(id, u32::try_from(self.records.len()).unwrap_or(u32::MAX));
        }
        let record = Record {
            what,
            vhost,
            whose: self.whose(event),
            grave,
            root: self.names.number(event.text(field::REQUEST_DOCUMENT_ROOT)),
            when: event.seconds(),
            calls: u32::try_from(event.count()).unwrap_or(u32::MAX),
            is_chosen: is_chosen && is_learnt,
        };
        if record.whose.script != 0 {
            let users = self.users.entry(record.whose.script).or_default();
            let user = event.text(field::USER_ID).parse().ok().filter(|_| users.len() < USERS_MAX);
            if !users.contains(&user) {
                users.push(user);
            }
        }
        self.records.push(record);
    }

    fn whose(&mut self, event: &Event) -> Whose {
        let host = event.text(field::HOST_HOSTNAME);
        let mut of = |parts: [&str; 3]| match parts[2] {
            "" => 0,
            _ => self.names.number(&parts.join("\n")),
        };
        let mut whose = Whose { request: of(["request", "", event.text(field::HTTP_REQUEST_ID)]), ..Whose::default() };
        if explain::is_further(event) {
            let day = event.text(field::TIMESTAMP).get(..10).unwrap_or_default();
            let mut process = |field: Field| match event.number(field) {
                Some(pid @ 2..) => of([host, day, &pid.to_string()]),
                _ => 0,
            };
            (whose.process, whose.parent) = (process(field::PROCESS_PID), process(field::PARENT_PID));
            whose.stream = of(["stream", host, event.text(field::STREAM)]);
        }
        whose.script = self.names.number(event.text(field::REQUEST_SCRIPT));
        whose.client = match event.text(field::CLIENT_ADDRESS) {
            // It is a proxy of this machine.
            client if client.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) => 0,
            client if self.choice.proxies.iter().any(|proxy| proxy == client) => 0,
            client => self.names.number(client),
        };
        whose.chain = self.names.number(event.text(field::CHAIN));
        whose
    }

    /// The number of what an event is about.
    fn what(&mut self, event: &Event, named: Option<Vec<String>>) -> u32 {
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
        let key = self.hasher.hash_one((&entries, &described, &suspicion, transport));
        if let Some(&number) = self.numbers.get(&key) {
            return number;
        }
        let (method, uri) = (event.text(field::HTTP_REQUEST_METHOD), event.text(field::URL_ORIGINAL));
        let example = if uri.is_empty() { event.text(field::CHAIN).to_owned() } else { format!("{method} {uri}") };
        let example = example.chars().take(200).collect();
        let number = u32::try_from(self.whats.len()).unwrap_or(u32::MAX);
        let (sends_nothing, is_exec, transport) = (event.sends_nothing(), event.is_exec(), transport.to_owned());
        self.whats.push(What { entries, described, suspicion, sends_nothing, is_exec, transport, example });
        self.numbers.insert(key, number);
        number
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

    /// Whoever fills the log gets an error about it, and no memory.
    #[test]
    fn what_is_held_has_a_bound() {
        let bytes = portcullis_config::compile(&portcullis_config::built_in());
        let policy = Policy::new(&bytes).expect("a policy");
        let choice = Choice::default();
        let learnt = |texts: usize, events: usize| {
            let mut learner = Learner::new(&policy, &choice);
            for number in 0..events {
                let script = format!("/srv/{}", number % texts);
                let event = json!({
                    "rule": { "id": "egress-port" }, "event": { "action": "connection_attempted" },
                    "destination": { "ip": "192.88.1.1", "port": 4444 }, "portcullis": { "request": { "script": script } },
                });
                learner.take(&Event::of(&event), true);
            }
            (learner.records.len(), learner.finish(&|_| None).map(|learnt| learnt.counts.events))
        };
        assert_eq!(learnt(5, 4000), (4000, Ok(4000)));
        for texts in [1, usize::MAX] {
            let (held, error) = learnt(texts, 30_000);
            assert!(held < 20_000 && error.as_ref().is_err_and(|error| error.contains("--since")), "{held}: {error:?}");
        }
    }
}
