//! A unit, with what runs in it.

use super::guard::{Counters, Guard};
use super::policy::InForce;
use super::process::{Container, Process, Unknown};
use super::survey::named;
use crate::{destination, run};
use portcullis_policy::beacon;
use std::collections::BTreeMap;

/// A unit, or what belongs to none.
pub struct Unit {
    /// Its name; empty for processes of no unit.
    pub name: String,
    /// The container, if its processes belong to one and to no unit.
    pub container: Option<Container>,
    /// Whether it has the guard's drop-in.
    pub is_installed: bool,
    /// Its processes.
    pub processes: Vec<Process>,
}

impl Unit {
    /// Processes with the guard; the supervisor, which has no guard in force, is none of them.
    pub fn guarded(&self) -> impl Iterator<Item = (&Process, &Guard)> {
        let all = self.processes.iter().filter(|process| !process.is_supervisor);
        all.filter_map(|process| Some((process, process.guard.as_ref().ok()?)))
    }

    /// Those of them that are the server's own: no descendants of workers.
    pub fn workers(&self) -> impl Iterator<Item = (&Process, &Guard)> {
        self.guarded().filter(|(process, _)| process.descent.is_none())
    }

    /// Processes without the guard, and why; those of which that cannot be read are none of them.
    pub fn unguarded(&self) -> impl Iterator<Item = (&Process, &str)> {
        let known = self.processes.iter().filter(|process| process.unread.is_none());
        known.filter_map(|process| Some((process, process.guard.as_ref().err()?.as_str())))
    }

    /// Whether it runs, and Portcullis is in no process of it.
    pub fn is_bare(&self) -> bool {
        !self.processes.is_empty() && self.unguarded().count() == self.processes.len()
    }

    /// How it is called.
    pub fn label(&self) -> String {
        named(&self.name, self.container.as_ref())
    }

    /// What its streams have counted, together; the supervisor's own, which is of calls past the hooks, is one of them.
    pub fn counters(&self) -> Counters {
        let mut streams: BTreeMap<u64, Counters> = BTreeMap::new();
        for guard in self.processes.iter().filter_map(|process| process.guard.as_ref().ok()) {
            let known = streams.entry(guard.counters.stream).or_default();
            // A stream without an event has no name: a program that counts by itself is not to hide its server.
            if guard.counters.decisions >= known.decisions {
                known.clone_from(&guard.counters);
            }
        }
        let mut sum = Counters::default();
        // A process can have any numbers in its memory.
        for counters in streams.values() {
            sum.since = [sum.since, counters.since].into_iter().flatten().min();
            sum.events = sum.events.wrapping_add(counters.events);
            sum.dropped = sum.dropped.wrapping_add(counters.dropped);
            sum.merged = sum.merged.wrapping_add(counters.merged);
            sum.decisions = sum.decisions.wrapping_add(counters.decisions);
            sum.audits = sum.audits.wrapping_add(counters.audits);
            sum.denials = sum.denials.wrapping_add(counters.denials);
        }
        sum
    }

    /// Of the processes with another policy than the applied one of this digest, or, where that cannot be read, than the one on disk: the
    /// server's own, which a reload replaces, and the others, which keep theirs until they end.
    pub fn with_another(&self, applied: Option<u64>) -> [Vec<u32>; 2] {
        let is_another = |guard: &Guard| match applied {
            Some(applied) => guard.policy.digest != applied,
            None => !guard.policy.is_current,
        };
        // What `portcullis run` has started keeps its own, which says nothing of the applied one.
        let is_apart = |guard: &Guard| guard.policy.file.as_deref().is_some_and(run::is_own);
        let all = self.guarded().filter(|(_, guard)| is_another(guard) && !is_apart(guard)).map(|(process, _)| process);
        let (own, others): (Vec<&Process>, Vec<&Process>) = all.partition(|process| process.descent.is_none());
        [own, others].map(|found| found.into_iter().map(|process| process.pid).collect())
    }

    /// Whether its policy has a supervisor that is not there, while a worker needs it: one that serves, or that has the filter and
    /// waits for its first request.
    pub fn lacks_supervisor(&self) -> bool {
        let is_masters = |process: &Process| self.guarded().any(|(other, _)| other.pid == process.facts.parent);
        self.guarded().any(|(process, guard)| {
            let is_worker = guard.role == "serving" || process.facts.is_filtered && is_masters(process);
            is_worker && guard.policy.is_supervised
        }) && !self.processes.iter().any(|process| process.is_supervisor)
    }

    /// What its server's own processes know of requests.
    fn requests(&self) -> u64 {
        self.workers().fold(0, |all, (_, guard)| all | guard.counters.requests)
    }

    /// Where its events go: the sinks of its policies, and what took an event instead of them; `Err` if nothing took one.
    pub fn destination(&self) -> Result<String, String> {
        let configured = destination::words(self.policies().iter().fold(0, |bits, policy| bits | policy.sinks));
        let configured = if configured.is_empty() { "no sink".to_owned() } else { configured.join(" and ") };
        match self.requests() {
            known if known & beacon::NOWHERE != 0 => Err(configured),
            known if known & beacon::IN_CONTAINER != 0 => {
                Ok(format!("{}: {configured} could not be reached", destination::CONTAINER))
            }
            _ => Ok(configured),
        }
    }

    /// Whether it is a PHP-FPM whose requests are not seen.
    pub fn is_unseen(&self) -> bool {
        self.requests() & (beacon::UNSEEN | beacon::RECOGNISED) == beacon::UNSEEN
    }

    /// Why no virtual host's policy applies in it; `None` where one does, or where nothing was served so far.
    pub fn lacks_requests(&self) -> Option<&'static str> {
        let requests = self.requests();
        if self.is_unseen() {
            return Some(
                "PHP-FPM reads them by a call that is not hooked, so every event is without its request, and the \
                 strictest policy of all virtual hosts applies",
            );
        }
        let has_vhosts = self.workers().any(|(_, guard)| !guard.policy.differing.is_empty());
        let is_served = requests & beacon::ACCEPTED != 0;
        (has_vhosts && is_served && requests & beacon::RECOGNISED == 0).then_some(
            "it has accepted connections and recognised no request, so the modes of virtual hosts do not apply in it; \
             Apache and nginx need their module: portcullis install UNIT --module",
        )
    }

    /// How many of its processes a bound of this command has kept from being looked at.
    pub fn unseen(&self) -> usize {
        let is_bound = |process: &&Process| process.unread.is_some_and(|why| why != Unknown::Denied);
        self.processes.iter().filter(is_bound).count()
    }

    /// Whether something in it runs without the guard, without a supervisor that it needs, or without its requests.
    pub fn is_exposed(&self) -> bool {
        self.unguarded().next().is_some() || self.lacks_supervisor() || self.is_unseen()
    }

    /// How many workers have a policy that is not the applied one while their parent has that: a reload has replaced them, and they finish
    /// what they do. `None` where a process is no such worker.
    pub(super) fn draining(&self, policy: &InForce) -> Option<usize> {
        let has_applied = |pid: u32| self.guarded().any(|(other, guard)| other.pid == pid && guard.policy.is_current);
        let with: Vec<&Process> =
            self.workers().filter(|(_, guard)| guard.policy == *policy).map(|(process, _)| process).collect();
        with.iter().all(|process| has_applied(process.facts.parent)).then_some(with.len())
    }

    /// The policies in force, each once.
    pub fn policies(&self) -> Vec<&InForce> {
        let mut found: Vec<&InForce> = Vec::new();
        // A program keeps the policy that it was started under, and no reload changes that.
        for (_, guard) in self.workers() {
            if !found.contains(&&guard.policy) {
                found.push(&guard.policy);
            }
        }
        found
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::facts::Facts;
    use super::*;

    /// A process of a unit, with the guard in it.
    pub fn process(stream: u64, decisions: u64, is_supervisor: bool) -> Process {
        let policy = InForce { digest: 1, ..InForce::built_in() };
        let counters = Counters { stream, decisions, audits: stream, ..Counters::default() };
        let guard = Guard { version: "1".into(), role: "serving", policy, counters };
        let (unit, command) = ("x.service".into(), "x".into());
        Process {
            pid: 1,
            unit,
            container: None,
            command,
            guard: Ok(guard),
            unread: None,
            is_supervisor,
            facts: Facts::default(),
            claim: None,
            holds_policy: false,
            descent: None,
        }
    }

    #[test]
    fn each_stream_counts_once() {
        let processes = vec![
            process(7, 5, false),
            process(7, 5, false),
            process(0, 3, false),
            process(0, 0, false),
            process(9, 2, true),
        ];
        let unit = Unit { name: "x.service".into(), container: None, is_installed: true, processes };
        let counters = unit.counters();
        assert_eq!((counters.decisions, counters.audits), (10, 16));
        assert_eq!(unit.guarded().count(), 4, "the supervisor has no guard in force");
    }

    #[test]
    fn requests_that_are_not_seen_are_missed() {
        let said = |requests: u64, has_vhosts: bool, is_supervisor: bool| {
            let mut process = process(7, 5, is_supervisor);
            let guard = process.guard.as_mut().expect("a guard");
            guard.counters.requests = requests;
            if has_vhosts {
                let modes = portcullis_config::modes::Modes::all(portcullis_policy::Mode::Enforce);
                guard.policy.differing.push(crate::modes::VhostsAlike { names: vec!["shop".into()], count: 1, modes });
            }
            let unit = Unit { name: "x.service".into(), container: None, is_installed: true, processes: vec![process] };
            (unit.lacks_requests().is_some(), unit.is_exposed())
        };
        use beacon::{ACCEPTED, RECOGNISED, UNSEEN};
        assert_eq!(said(0, true, false), (false, false), "nothing was served");
        assert_eq!(said(ACCEPTED, false, false), (false, false), "no virtual host has modes of its own");
        assert_eq!(said(ACCEPTED, true, false), (true, false));
        assert_eq!(said(ACCEPTED | RECOGNISED, true, false), (false, false));
        assert_eq!(said(ACCEPTED | UNSEEN, false, false), (true, true));
        assert_eq!(
            said(ACCEPTED | RECOGNISED | UNSEEN, false, false),
            (false, false),
            "a connection that brought nothing"
        );
        assert_eq!(said(UNSEEN, false, true), (false, false), "the supervisor serves nobody");
    }

    #[test]
    fn a_supervisor_that_is_not_there_is_missed() {
        let lacks = |supervised: bool, with: bool| {
            let mut processes = vec![process(7, 5, false), process(9, 2, true)];
            processes.truncate(if with { 2 } else { 1 });
            for process in &mut processes {
                process.guard.as_mut().expect("a guard").policy.is_supervised = supervised;
            }
            Unit { name: "x.service".into(), container: None, is_installed: true, processes }.lacks_supervisor()
        };
        let found =
            [(true, false), (true, true), (false, false), (false, true)].map(|(policy, with)| lacks(policy, with));
        assert_eq!(found, [true, false, false, false]);
    }

    #[test]
    fn a_worker_that_waits_for_its_first_request_misses_its_supervisor() {
        let mut processes = vec![process(7, 5, false), process(7, 5, false)];
        for (process, (pid, parent)) in processes.iter_mut().zip([(10, 1), (11, 10)]) {
            (process.pid, process.facts.parent, process.facts.is_filtered) = (pid, parent, true);
            let guard = process.guard.as_mut().expect("a guard");
            (guard.role, guard.policy.is_supervised) = ("master", true);
        }
        let mut unit = Unit { name: "x.service".into(), container: None, is_installed: true, processes };
        assert!(unit.lacks_supervisor());
        unit.processes[1].facts.is_filtered = false;
        assert!(!unit.lacks_supervisor(), "a worker without the filter has not asked for one");
        unit.processes.truncate(1);
        unit.processes[0].facts.is_filtered = true;
        assert!(!unit.lacks_supervisor(), "a master with the unit's own filter needs none");
    }
}
