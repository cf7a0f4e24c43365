//! When all events are known: which of them are parts of an intrusion, and what is proposed of the others.

use super::{Learner, Learnt, Merged, Record};
use crate::explain;
use crate::learn::evidence::{Evidence, shown};
use crate::learn::files::Written;
use crate::learn::incidents::{Incidents, Part, Whose};
use crate::learn::propose::{List, Proposal, note};
use crate::learn::{parsed, suspicion, widen};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Why calls are not learnt that were merged into no event which is read.
const OF_MERGED: &str = "no event that is read says which commands or destinations they were: nothing is proposed \
                         for them. Learn again once what is listed is allowed, or with `merge = false` in `[log]`";
/// A script is fresh for so many seconds after it was written.
const FRESH: i64 = 10 * 60;

impl Learner<'_> {
    /// Adds what was merged to the events that it is like; gives what is left.
    fn add_merged(&mut self) -> Vec<Merged> {
        let mut left = Vec::new();
        for merged in std::mem::take(&mut self.merged) {
            match self.places.get(&merged.like).and_then(|&place| self.records.get_mut(place as usize)) {
                Some(record) => {
                    let calls = u32::try_from(merged.calls).unwrap_or(u32::MAX);
                    record.calls = record.calls.saturating_add(calls);
                    let is_exec = self.whats.get(record.what as usize).is_some_and(|what| what.is_exec);
                    self.counts.merged += if is_exec && record.is_chosen { merged.calls } else { 0 };
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
            let evidence = proposals.entry(merged.vhost).or_default().withheld.entry(key).or_default();
            evidence.add(merged.calls, merged.when, "", "");
        }
        let mut named: BTreeMap<String, Proposal> =
            proposals.into_iter().map(|(vhost, proposal)| (self.names.text(vhost).to_string(), proposal)).collect();
        for proposal in named.values_mut() {
            self.settle(proposal);
        }
        named.retain(|_, proposal| {
            !proposal.entries.is_empty() || !proposal.withheld.is_empty() || !proposal.rare.is_empty()
        });
        let unmatched = self.unmatched(&named);
        Ok(Learnt { proposals: named, counts: self.counts, busy, unmatched })
    }

    /// What a person named, and neither an event nor a pattern for several has as its entry.
    fn unmatched(&self, proposals: &BTreeMap<String, Proposal>) -> Vec<String> {
        let is_of_event = |entry: &String| {
            self.whats.iter().filter_map(|what| what.entries.as_ref().ok()).flatten().any(|(_, text)| text == entry)
        };
        let is_proposed = |entry: &String| {
            proposals.values().any(|proposal| {
                proposal.entries.keys().any(|(_, text)| text == entry)
                    || proposal.withheld.keys().any(|(what, _)| what == entry)
            })
        };
        self.choice.include.iter().filter(|entry| !is_of_event(entry) && !is_proposed(entry)).cloned().collect()
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
        // What is also done without that program stands for itself.
        Some((format!("{program} did it, which is not proposed itself"), false))
    }

    /// Adds an event to the proposal of its scope.
    fn add(&self, proposal: &mut Proposal, record: &Record, incident: Option<(String, bool)>) {
        let what = &self.whats[record.what as usize];
        let (script, client) = (self.names.text(record.whose.script), self.names.text(record.whose.client));
        let seen = |evidence: &mut Evidence| {
            evidence.add(record.calls as usize, record.when, &script, &client);
            evidence.over(&what.transport);
            if evidence.example.is_empty() {
                evidence.example.clone_from(&what.example);
            }
        };
        let all = match &what.entries {
            Ok(all) => all,
            Err(why) => {
                return seen(proposal.withheld.entry((what.described.clone(), why.clone())).or_default());
            }
        };
        // Several settings are several entries; several commands are one under two names.
        let is_alone = all.iter().filter(|(list, _)| *list == List::Exec).count() < 2;
        for (list, text) in all {
            if !is_plain(text) {
                let why = "it has characters that do not print, so nobody could read what the entry allows";
                seen(proposal.withheld.entry((text.clone(), why.to_owned())).or_default());
                continue;
            }
            let key = (*list, text.clone());
            let own = what.suspicion.clone().or_else(|| suspicion::of_entry(*list, text));
            let why = own.map(|why| (why, !what.sends_nothing)).or_else(|| incident.clone());
            match why.filter(|_| !self.choice.include.contains(text)) {
                Some((why, is_of_entry)) => {
                    if is_of_entry {
                        proposal.suspicious.insert(key);
                    }
                    let more = if is_alone { String::new() } else { format!("; {}", explain::AMBIGUOUS) };
                    seen(proposal.withheld.entry((text.clone(), format!("{why}{more}"))).or_default());
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
                proposal.withheld.entry((key.1, why)).or_default().join(&evidence);
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
