//! From a log to the proposals: a record of each event, then, when all are known, which of them are ordinary.
//!
//! **Why records**: which events belong to an intrusion shows only at the end of the log. 200,000 events, 335 MB as lines, are not
//! held for that; what is the same in many of them is held once.

use super::evidence::{Evidence, shown};
use super::files::Written;
use super::incidents::{Incidents, Names, Part, Whose};
use super::propose::{Choice, List, Proposal, described, entries, note};
use super::{parsed, suspicion, widen};
use crate::explain;
use crate::log::Event;
use portcullis_policy::Policy;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// Why calls are not learnt that were merged into no event which is read.
const OF_MERGED: &str = "no event that is read says which commands or destinations they were: nothing is proposed \
                         for them. Learn again once what is listed is allowed, or with `merge = false` in `[log]`";
/// So many users are told apart of those that ran one script.
const USERS_MAX: usize = 4;
/// A script is fresh for so many seconds after it was written.
const FRESH: i64 = 10 * 60;
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
    is_exec: bool,
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
    /// They were refused.
    pub refused: usize,
    /// They are Portcullis's word on itself.
    pub own: usize,
    /// They are parts of an intrusion.
    pub withheld: usize,
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
            names: Names::new(),
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
        if self.is_full || self.names.is_full(beside) {
            self.is_full = true;
            return;
        }
        if event.is_of_guard() {
            self.counts.own += usize::from(is_chosen);
            return;
        }
        let vhost = self.names.number(event.vhost());
        if event.is_of_merged() {
            let like = match event.text("/portcullis/like") {
                "" => 0,
                like => self.hasher.hash_one(like),
            };
            let is_chosen = is_chosen && (self.choice.refused || !event.refused());
            let rule = event.rule().to_owned();
            self.merged.push(Merged { like, calls: event.count(), vhost, rule, when: event.seconds(), is_chosen });
            return;
        }
        if explain::fires(self.policy, event) == Some(false) {
            self.counts.allowed += usize::from(is_chosen);
            return;
        }
        let is_learnt = self.choice.refused || !event.refused();
        self.counts.refused += usize::from(is_chosen && !is_learnt);
        let what = self.what(event);
        // Anybody may claim anything in an event that the journal contradicts. What a person names is ordinary.
        let is_named = self.whats[what as usize].entries.as_ref().is_ok_and(|entries| {
            !entries.is_empty() && entries.iter().any(|(_, text)| self.choice.include.contains(text))
        });
        let grave = suspicion::of_incident(event).filter(|_| !is_named && event.contradicted().is_empty());
        let grave = grave.map_or(0, |why| self.names.number(&why));
        if let id @ 1.. = self.hasher.hash_one(event.text("/event/id"))
            && !event.text("/event/id").is_empty()
        {
            self.places.insert(id, u32::try_from(self.records.len()).unwrap_or(u32::MAX));
        }
        let record = Record {
            what,
            vhost,
            whose: self.whose(event),
            grave,
            root: self.names.number(event.text("/portcullis/request/document_root")),
            when: event.seconds(),
            calls: u32::try_from(event.count()).unwrap_or(u32::MAX),
            is_chosen: is_chosen && is_learnt,
        };
        if record.whose.script != 0 {
            let users = self.users.entry(record.whose.script).or_default();
            let user = event.text("/user/id").parse().ok().filter(|_| users.len() < USERS_MAX);
            if !users.contains(&user) {
                users.push(user);
            }
        }
        self.records.push(record);
    }

    fn whose(&mut self, event: &Event) -> Whose {
        let host = event.text("/host/hostname");
        let mut of = |parts: [&str; 3]| match parts[2] {
            "" => 0,
            _ => self.names.number(&parts.join("\n")),
        };
        let mut whose = Whose { request: of(["request", "", event.text("/http/request/id")]), ..Whose::default() };
        if explain::is_further(event) {
            let day = event.text("/@timestamp").get(..10).unwrap_or_default();
            let mut process = |path: &str| match event.number(path) {
                Some(pid @ 2..) => of([host, day, &pid.to_string()]),
                _ => 0,
            };
            (whose.process, whose.parent) = (process("/process/pid"), process("/process/parent/pid"));
            whose.stream = of(["stream", host, event.text("/portcullis/stream")]);
        }
        whose.script = self.names.number(event.text("/portcullis/request/script"));
        whose.client = match event.text("/client/address") {
            // It is a proxy of this machine.
            client if client.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) => 0,
            client if self.choice.proxies.iter().any(|proxy| proxy == client) => 0,
            client => self.names.number(client),
        };
        whose.chain = self.names.number(event.text("/portcullis/chain"));
        whose
    }

    /// The number of what an event is about.
    fn what(&mut self, event: &Event) -> u32 {
        let entries = entries(event);
        let described = if entries.is_err() { described(event) } else { String::new() };
        let suspicion = suspicion::suspicion(event);
        let key = self.hasher.hash_one((&entries, &described, &suspicion));
        if let Some(&number) = self.numbers.get(&key) {
            return number;
        }
        let (method, uri) = (event.text("/http/request/method"), event.text("/url/original"));
        let example =
            if uri.is_empty() { event.text("/portcullis/chain").to_owned() } else { format!("{method} {uri}") };
        let example = example.chars().take(200).collect();
        let number = u32::try_from(self.whats.len()).unwrap_or(u32::MAX);
        self.whats.push(What { entries, described, suspicion, is_exec: event.is_exec(), example });
        self.numbers.insert(key, number);
        number
    }

    /// Adds what was merged to the events that it is like; gives what is left.
    fn add_merged(&mut self) -> Vec<Merged> {
        let mut left = Vec::new();
        for merged in std::mem::take(&mut self.merged) {
            match self.places.get(&merged.like).and_then(|&place| self.records.get_mut(place as usize)) {
                Some(record) => {
                    let calls = u32::try_from(merged.calls).unwrap_or(u32::MAX);
                    record.calls = record.calls.saturating_add(calls);
                }
                None => left.push(merged),
            }
        }
        self.places = HashMap::new();
        left
    }

    /// Marks the events of scripts that were written right before they did something, and had not been seen before. A script that
    /// the server's own users cannot write is of a package or a deployment.
    fn mark_fresh(&mut self, written: &dyn Fn(&str) -> Option<Written>) {
        let mut first: HashMap<u32, i64> = HashMap::new();
        for record in self.records.iter().filter(|record| record.whose.script != 0) {
            if let Some(when) = record.when {
                first.entry(record.whose.script).and_modify(|first| *first = (*first).min(when)).or_insert(when);
            }
        }
        let mut fresh: HashMap<u32, u32> = HashMap::new();
        for (script, first) in first {
            let path = self.names.text(script);
            let is_fresh = |file: &Written| {
                let users = self.users.get(&script).map_or(&[None][..], Vec::as_slice);
                (file.when..file.when + FRESH).contains(&first) && users.iter().any(|user| file.may_be_of(*user))
            };
            if let Some(file) = written(&path).filter(is_fresh) {
                let why = format!("the script was written at {}, right before", shown(file.when));
                fresh.insert(script, self.names.number(&why));
            }
        }
        for record in self.records.iter_mut().filter(|record| record.grave == 0) {
            record.grave = fresh.get(&record.whose.script).copied().unwrap_or(0);
        }
    }

    /// What was learnt. `written`: when a file was written last, and who may have.
    pub fn finish(mut self, written: &dyn Fn(&str) -> Option<Written>) -> Result<Learnt, String> {
        if self.is_full {
            return Err(format!(
                "the log has more than {} events that differ in too much to be held at once; help: choose a shorter time with --since \
                 and --until",
                self.records.len()
            ));
        }
        let left = self.add_merged();
        self.mark_fresh(written);
        let all: Vec<(Whose, u32)> = self.records.iter().map(|record| (record.whose, record.grave)).collect();
        let mut incidents = Incidents::find(&all, &self.names);
        let busy = self.busy(&all, &mut incidents);
        drop(all);
        let started = self.started(&mut incidents);
        let mut proposals: BTreeMap<u32, Proposal> = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.is_chosen) {
            let proposal = proposals.entry(record.vhost).or_default();
            let root = self.names.text(record.root);
            if !root.is_empty() && is_plain(&root) && !proposal.roots.contains(&*root) {
                proposal.roots.insert(root.to_string());
            }
            let incident = self.of_incident(record, &mut incidents, &started);
            self.counts.withheld += usize::from(incident.is_some());
            self.add(proposal, record, incident);
        }
        for merged in left.into_iter().filter(|merged| merged.is_chosen) {
            let key = (format!("calls that were merged ({})", merged.rule), OF_MERGED.to_owned());
            let evidence = proposals.entry(merged.vhost).or_default().refused.entry(key).or_default();
            evidence.add(merged.calls, merged.when, "", "");
        }
        let mut named: BTreeMap<String, Proposal> =
            proposals.into_iter().map(|(vhost, proposal)| (self.names.text(vhost).to_string(), proposal)).collect();
        for proposal in named.values_mut() {
            self.settle(proposal);
        }
        named.retain(|_, proposal| {
            !proposal.entries.is_empty() || !proposal.refused.is_empty() || !proposal.rare.is_empty()
        });
        Ok(Learnt { proposals: named, counts: self.counts, busy })
    }

    /// Clients of intrusions that more than half of all events are of.
    fn busy(&self, all: &[(Whose, u32)], incidents: &mut Incidents) -> Vec<String> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for (whose, _) in all.iter().filter(|(whose, _)| whose.client != 0) {
            *counts.entry(whose.client).or_default() += 1;
        }
        counts.retain(|client, count| {
            let whose = Whose { client: *client, ..Whose::default() };
            *count > 20 && *count * 2 > all.len() && incidents.of(&whose).is_some()
        });
        counts.into_keys().map(|client| self.names.text(client).to_string()).collect()
    }

    /// The programs of each request that are not proposed by themselves, by request and chain.
    fn started(&self, incidents: &mut Incidents) -> HashSet<(u32, String)> {
        let mut started = HashSet::new();
        for record in &self.records {
            let what = &self.whats[record.what as usize];
            let named =
                what.entries.as_ref().is_ok_and(|all| all.iter().any(|(_, text)| self.choice.include.contains(text)));
            if what.is_exec
                && !named
                && what.suspicion.is_some()
                && let Some(group) = incidents.group(&record.whose)
            {
                started.insert((group, self.names.text(record.whose.chain).to_string()));
            }
        }
        started
    }

    /// Why an event is withheld because of others, and whether its entry is, wherever else it was seen.
    fn of_incident(
        &self,
        record: &Record,
        incidents: &mut Incidents,
        started: &HashSet<(u32, String)>,
    ) -> Option<(String, bool)> {
        if let Some(taint) = incidents.of(&record.whose) {
            let reason = self.names.text(taint.reason);
            return Some(match taint.part {
                Part::Request => (format!("it is a part of an intrusion: its request ({reason})"), true),
                Part::Script => {
                    let script = self.names.text(record.whose.script);
                    (format!("it is a part of an intrusion: {script} ({reason})"), true)
                }
                Part::Client => {
                    let client = self.names.text(record.whose.client);
                    (format!("it is for {client}, the client of an intrusion ({reason})"), false)
                }
            });
        }
        let group = incidents.group(&record.whose)?;
        let chain = self.names.text(record.whose.chain);
        let is_exec = self.whats[record.what as usize].is_exec;
        let ends = chain.match_indices(" > ").map(|(at, _)| at).chain((!is_exec).then_some(chain.len()));
        let above = ends.map(|end| &chain[..end]).find(|above| started.contains(&(group, (*above).to_owned())))?;
        let program = above.rsplit(" > ").next().unwrap_or_default();
        Some((format!("{program} did it, which is not proposed itself"), true))
    }

    /// Adds an event to the proposal of its scope.
    fn add(&self, proposal: &mut Proposal, record: &Record, incident: Option<(String, bool)>) {
        let what = &self.whats[record.what as usize];
        let (script, client) = (self.names.text(record.whose.script), self.names.text(record.whose.client));
        let seen = |evidence: &mut Evidence| {
            evidence.add(record.calls as usize, record.when, &script, &client);
            if evidence.example.is_empty() {
                evidence.example.clone_from(&what.example);
            }
        };
        let all = match &what.entries {
            Ok(all) => all,
            Err(why) => {
                return seen(proposal.refused.entry((what.described.clone(), why.clone())).or_default());
            }
        };
        // Several settings are several entries; several commands are one under two names.
        let is_alone = all.len() == 1 || !all.iter().any(|(list, _)| *list == List::Exec);
        for (list, text) in all {
            if !is_plain(text) {
                let why = "it has characters that do not print, so nobody could read what the entry allows";
                seen(proposal.refused.entry((text.clone(), why.to_owned())).or_default());
                continue;
            }
            let key = (*list, text.clone());
            let own = what.suspicion.clone().or_else(|| suspicion::of_entry(*list, text));
            let why = own.map(|why| (why, true)).or_else(|| incident.clone());
            match why.filter(|_| !self.choice.include.contains(text)) {
                Some((why, is_of_entry)) => {
                    if is_of_entry {
                        proposal.suspicious.insert(key);
                    }
                    let more = if is_alone { String::new() } else { format!("; {}", explain::AMBIGUOUS) };
                    seen(proposal.refused.entry((text.clone(), format!("{why}{more}"))).or_default());
                }
                None => {
                    let evidence = proposal.entries.entry(key).or_default();
                    evidence.note = note(*list, text, is_alone);
                    seen(evidence);
                }
            }
        }
    }

    /// From what may be proposed to what is: patterns, entries that the configuration reads, and those that were seen often enough.
    fn settle(&self, proposal: &mut Proposal) {
        proposal.name_once();
        if self.choice.widen {
            widen::apply(proposal);
        } else {
            proposal.wider = widen::wider(proposal);
        }
        let included = |text: &String| self.choice.include.contains(text);
        let entries = std::mem::take(&mut proposal.entries);
        for (key, evidence) in entries {
            if let Some(why) = parsed::wrong(key.0, &key.1)
                .or_else(|| suspicion::of_literal(key.0, &key.1).filter(|_| !included(&key.1)))
            {
                proposal.refused.entry((key.1, why)).or_default().join(&evidence);
            } else if !self.choice.rare && !included(&key.1) && evidence.too_little().is_some() {
                proposal.rare.insert(key, evidence);
            } else {
                proposal.entries.insert(key, evidence);
            }
        }
        proposal.name_once();
    }
}

/// Whether an entry reads as what it is.
fn is_plain(text: &str) -> bool {
    crate::show::printable(text) == text
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
                learner.take(&Event::of(event), true);
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
