//! When all events are known: which of them are parts of an intrusion, and what is proposed of the others.

use super::records::{Record, Records};
use super::{Learner, Learnt};
use crate::explain;
use crate::learn::evidence::{Evidence, shown};
use crate::learn::files::Written;
use crate::learn::incidents::{Incidents, Shared};
use crate::learn::propose::{List, Proposal, note};
use crate::learn::reasons::{Reason, Reasons, Started};
use crate::learn::{parsed, suspicion, widen};
use portcullis_story::Recent;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Why calls are not learnt that were merged into no event which is read.
const OF_MERGED: &str = "no event that is read says which commands or destinations they were: nothing is proposed \
                         for them. Learn again once what is listed is allowed, or with `merge = false` in `[log]`";
/// A script is fresh for so many seconds after it was written.
const FRESH: i64 = 10 * 60;

impl Learner<'_> {
    /// The reasons, by script, of those that were written right before they did something, and had not been seen before. A script that
    /// the server's own users cannot write is of a package or a deployment.
    fn fresh(&mut self, written: &dyn Fn(&str) -> Option<Written>) -> HashMap<u32, u32> {
        let mut fresh = HashMap::new();
        for (script, first) in std::mem::take(&mut self.first) {
            let path = self.names.text(script).to_owned();
            let is_fresh = |file: &Written| {
                let users = self.users.get(&script).map_or(&[None][..], Vec::as_slice);
                (file.when..file.when + FRESH).contains(&first) && users.iter().any(|user| file.may_be_of(*user))
            };
            if let Some(file) = written(&path).filter(is_fresh) {
                let why = format!("the script was written at {}, right before", shown(file.when));
                fresh.insert(script, self.names.number(&why));
            }
        }
        fresh
    }

    fn shared(&self, record: &Record) -> Shared {
        let [_, script, _] = self.places[record.place as usize];
        Shared { group: self.groups.whole(record.group), script, client: record.client }
    }

    /// What was learnt. `written`: when a file was written last, and who may have.
    pub fn finish(mut self, written: &dyn Fn(&str) -> Option<Written>) -> Result<Learnt, String> {
        for merged in std::mem::take(&mut self.waiting).into_values() {
            self.leave(merged);
        }
        let fresh = self.fresh(written);
        // What only events that come would ask for makes room for what is found.
        self.groups.end();
        self.likes = Recent::new(0);
        (self.calls, self.seen) = Default::default();
        (self.users, self.place_numbers) = Default::default();
        let mut records = std::mem::take(&mut self.records);
        let (incidents, started) = self.find(&mut records, &fresh)?;
        if self.is_full() || incidents.is_full() {
            return Err(format!(
                "the log has more than {} events that differ in too much to be held at once; help: choose a shorter time with --since \
                 and --until",
                self.recorded
            ));
        }
        let busy = self.busy(&incidents);
        let mut proposals = self.seen(&mut records, &incidents, &started)?;
        for merged in std::mem::take(&mut self.left).into_iter().filter(|merged| merged.is_chosen) {
            let key = (format!("calls that were merged ({})", self.names.text(merged.rule)), OF_MERGED.to_owned());
            let evidence = proposals.entry(merged.vhost).or_default().withheld.entry(key).or_default();
            evidence.add(merged.calls, merged.when, "", "");
        }
        let mut named: BTreeMap<String, Proposal> =
            proposals.into_iter().map(|(vhost, proposal)| (self.names.text(vhost).to_string(), proposal)).collect();
        for proposal in named.values_mut() {
            self.settle(proposal);
        }
        named.retain(|_, proposal| !proposal.is_empty());
        let said = self.said(&named);
        Ok(Learnt { proposals: named, counts: self.counts, busy, said })
    }

    /// The intrusions, and the programs of each request that are not proposed by themselves.
    fn find(&self, records: &mut Records, fresh: &HashMap<u32, u32>) -> Result<(Incidents, Started), String> {
        let mut incidents = Incidents::default();
        let mut started = Started::among(&self.chains, &self.names);
        records.each(&mut |record| {
            let shared = self.shared(record);
            let grave = match record.grave {
                0 => fresh.get(&shared.script).copied().unwrap_or(0),
                grave => grave,
            };
            if grave != 0 {
                incidents.begin(&shared, grave);
            }
            let what = self.whats.get(record.what);
            let is_named = what.entries.iter().flatten().any(|(_, text)| self.choice.include.contains(text));
            if what.is_exec && what.is_suspicious() && !is_named {
                started.insert(shared.group, record.chain);
            }
        })?;
        records.each(&mut |record| incidents.spread(&self.shared(record)))?;
        Ok((incidents, started))
    }

    /// What was seen, by virtual host.
    fn seen(
        &mut self,
        records: &mut Records,
        incidents: &Incidents,
        started: &Started,
    ) -> Result<BTreeMap<u32, Proposal>, String> {
        let mut seen: HashMap<(u32, u32, u32), Evidence> = HashMap::new();
        let mut reasons = Reasons::default();
        let mut roots: HashSet<(u32, u32)> = HashSet::new();
        let mut withheld = 0;
        records.each(&mut |record| {
            if !record.is_chosen {
                return;
            }
            let [vhost, script, root] = self.places[record.place as usize];
            roots.insert((vhost, root));
            let shared = self.shared(record);
            let reason = match incidents.of(&shared) {
                Some(taint) => reasons.of(Reason::Part(taint, &shared), &self.names),
                None => match started.above(shared.group, record.chain, self.whats.get(record.what).is_exec) {
                    Some(chain) => reasons.of(Reason::Above(chain), &self.names),
                    None => 0,
                },
            };
            withheld += usize::from(reason != 0 && !record.is_merged);
            let evidence = seen.entry((vhost, record.what, reason)).or_default();
            let (script, client) = (self.names.text(script), self.names.text(record.client));
            evidence.add(record.calls as usize, record.when(), script, client);
        })?;
        self.counts.withheld += withheld;
        let mut proposals: BTreeMap<u32, Proposal> = BTreeMap::new();
        for (vhost, root) in roots {
            let root = self.names.text(root);
            let proposal = proposals.entry(vhost).or_default();
            if !root.is_empty() && is_plain(root) {
                proposal.roots.insert(root.to_string());
            }
        }
        let mut seen: Vec<_> = seen.into_iter().collect();
        seen.sort_unstable_by_key(|(key, _)| *key);
        for ((vhost, what, reason), evidence) in seen {
            self.add(proposals.entry(vhost).or_default(), what, evidence, reasons.get(reason));
        }
        Ok(proposals)
    }

    /// Clients of intrusions that more than half of all events are of.
    fn busy(&self, incidents: &Incidents) -> Vec<String> {
        let is_busy = |(client, count): &(&u32, &usize)| {
            let shared = Shared { client: **client, ..Shared::default() };
            **count > 20 && **count * 2 > self.recorded && incidents.of(&shared).is_some()
        };
        self.busy.iter().filter(is_busy).map(|(client, _)| self.names.text(*client).to_string()).collect()
    }

    /// Adds what was seen of something to the proposal of its scope. `incident`: why it is withheld because of others, and whether its
    /// entry is, wherever else it was seen.
    fn add(&self, proposal: &mut Proposal, what: u32, mut evidence: Evidence, incident: Option<&(String, bool)>) {
        let what = self.whats.get(what);
        evidence.over(&what.transport);
        evidence.example.clone_from(&what.example);
        let join = |own: &mut Evidence| own.join(&evidence);
        if let Some(kind) = &what.rest_of {
            return join(proposal.rest.entry(kind.clone()).or_default());
        }
        let all = match &what.entries {
            Ok(all) => all,
            Err(why) => {
                return join(proposal.withheld.entry((what.described.clone(), why.clone())).or_default());
            }
        };
        // Several settings are several entries; several commands are one under two names.
        let is_alone = all.iter().filter(|(list, _)| *list == List::Exec).count() < 2;
        for (list, text) in all {
            if !is_plain(text) {
                let why = "it has characters that do not print, so nobody could read what the entry allows";
                join(proposal.withheld.entry((text.clone(), why.to_owned())).or_default());
                continue;
            }
            let key = (*list, text.clone());
            let own = what.suspicion.clone().or_else(|| suspicion::of_entry(*list, text));
            let why = own.map(|why| (why, !what.sends_nothing)).or_else(|| incident.cloned());
            match why.filter(|_| !self.choice.include.contains(text)) {
                Some((why, is_of_entry)) => {
                    if is_of_entry {
                        proposal.suspicious.insert(key);
                    }
                    let more = if is_alone { String::new() } else { format!("; {}", explain::AMBIGUOUS) };
                    join(proposal.withheld.entry((text.clone(), format!("{why}{more}"))).or_default());
                }
                None => {
                    let evidence = proposal.entries.entry(key).or_default();
                    evidence.note = note(*list, text, is_alone);
                    join(evidence);
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
