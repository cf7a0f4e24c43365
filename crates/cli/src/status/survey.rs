//! Looks for everything that is guarded, and says what could not be found out.

use super::lineage;
use super::process::{self, Container, Process, Seen, Unknown};
use super::unit::Unit;
use crate::check;
use crate::install::{self, Systemd};
use crate::out::printable;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a program may take until its loader is done.
const LOADING: Duration = Duration::from_millis(300);

/// A second look at processes of these units without the guard: one that is just being started has none yet.
fn look_again(processes: &mut Vec<Process>, units: &BTreeSet<String>) {
    let may_start =
        |process: &Process| process.guard.is_err() && process.unread.is_none() && units.contains(&process.unit);
    if !processes.iter().any(may_start) {
        return;
    }
    std::thread::sleep(LOADING);
    let all = std::mem::take(processes).into_iter();
    let again = |process: Process| if may_start(&process) { process::read(process.pid) } else { Some(process) };
    *processes = all.filter_map(again).collect();
}

/// How long a server may take from its restart until no process of before is left.
const SETTLING: Duration = Duration::from_secs(10);

/// Waits until a unit's main process, whose number `main` gives, and all its workers are guarded, or none is; gives how many there are.
pub fn settled(name: &str, guarded: bool, main: impl Fn() -> Option<u32>) -> Result<usize, String> {
    let begun = Instant::now();
    loop {
        let all: Vec<Process> = process::all().processes.into_iter().filter(|process| process.unit == name).collect();
        let own = serving(&all, main());
        let wrong = own.iter().find(|process| process.guard.is_ok() != guarded);
        match wrong {
            None if !own.is_empty() => return Ok(own.len()),
            _ if begun.elapsed() < SETTLING => std::thread::sleep(LOADING / 3),
            None => return Err("it has no process".to_owned()),
            Some(process) => {
                let why = process.guard.as_ref().err().map_or("Portcullis is still loaded", String::as_str);
                return Err(format!("process {} ({}): {why}", process.pid, printable(&process.command)));
            }
        }
    }
}

/// The processes of a unit that its server consists of: the main one, what that has started, and what a process of root's below it
/// has. The others may be left of before (`KillMode=process`, `mixed`), or be what a script has started: neither is to keep an
/// administrator from anything. Where systemd knows no main process, all count.
fn serving(all: &[Process], main: Option<u32>) -> Vec<&Process> {
    let Some(main) = main else { return all.iter().collect() };
    let mut starters = vec![main];
    let mut at = 0;
    while let Some(&starter) = starters.get(at) {
        let more = all
            .iter()
            .filter(|process| process.facts.parent == starter && process.facts.is_root)
            .map(|process| process.pid);
        let more: Vec<u32> = more.filter(|pid| !starters.contains(pid)).collect();
        starters.extend(more);
        at += 1;
    }
    all.iter().filter(|process| process.pid == main || starters.contains(&process.facts.parent)).collect()
}

/// Every unit of this host that has a guarded process, a descendant of one, or the guard's drop-in. A unit of a container may have the
/// name of one of them.
pub fn of_host() -> Vec<Unit> {
    survey().0.into_iter().filter(|unit| unit.container.is_none()).collect()
}

/// The units, and what could not be found out.
pub fn survey() -> (Vec<Unit>, Vec<String>) {
    let installed: BTreeSet<String> = install::installed(Path::new("/")).into_iter().collect();
    let mut all = process::all();
    look_again(&mut all.processes, &installed);
    let (mut units, mut lack) = grouped(all, &installed);
    if units.iter().any(|unit| unit.is_installed && unit.lacks_supervisor()) {
        // It may be starting.
        std::thread::sleep(LOADING);
        (units, lack) = grouped(process::all(), &installed);
    }
    (units, lack)
}

fn grouped(seen: Seen, installed: &BTreeSet<String>) -> (Vec<Unit>, Vec<String>) {
    let Seen { processes: mut all, is_settled } = seen;
    let mains = mains(&all);
    lineage::trace(&mut all, &mains);
    let lack = lacks(&all, is_settled);
    let mut by_unit: BTreeMap<(String, Option<Container>), Vec<Process>> = BTreeMap::new();
    for name in installed {
        by_unit.entry((name.clone(), None)).or_default();
    }
    for process in all {
        by_unit.entry((process.unit.clone(), process.container.clone())).or_default().push(process);
    }
    let counts = |process: &Process| process.guard.is_ok() || process.descent.is_some();
    let units = by_unit.into_iter().map(|((name, container), mut processes)| {
        let is_installed = container.is_none() && installed.contains(&name);
        if name.is_empty() {
            // What belongs to no unit need not be guarded.
            processes.retain(counts);
        }
        Unit { name, container, is_installed, processes }
    });
    let units = units.filter(|unit| unit.is_installed || unit.processes.iter().any(counts)).collect();
    (units, lack)
}

/// What a look at processes, which has found all or not, could not find out, in words: nothing for root.
pub fn lacks(all: &[Process], is_settled: bool) -> Vec<String> {
    let mut lacks = Vec::new();
    // Init serves nothing, and a sandbox may hide its memory from root, too.
    let unread = |why: Unknown| all.iter().filter(|process| process.unread == Some(why) && process.pid != 1).count();
    for (why, said) in [
        (Unknown::Denied, "of other users cannot be read, and whether they are guarded is unknown; help: "),
        (
            Unknown::Late,
            "were not looked at, for looking at the others took too long; help: run this again when fewer run",
        ),
        (
            Unknown::NoRoom,
            "were not looked at as a whole, for the policies of the others took too much memory; help: portcullis apply has servers \
             share one",
        ),
        (
            Unknown::Restless,
            "could not be looked at, since their threads end before they are read; help: run this again",
        ),
    ] {
        let count = unread(why);
        if count != 0 {
            let count = check::counted(count, "process");
            let help = if why == Unknown::Denied { crate::out::as_root() } else { String::new() };
            lacks.push(format!("incomplete: {count} {said}{help}"));
        }
    }
    if !is_settled {
        lacks.push(
            "incomplete: processes ended before they were read, each with another in its place, and the last may be missing; help: \
             run this again"
                .to_owned(),
        );
    }
    if !all.iter().any(|process| process.pid == 1) && std::process::id() != 1 {
        let help = crate::out::as_root();
        lacks.push(format!("incomplete: /proc hides processes of other users (hidepid); help: {help}"));
    }
    lacks
}

/// The main processes of units in which a process has the guard, as systemd knows them.
pub fn mains(all: &[Process]) -> BTreeMap<String, u32> {
    let guarded = all.iter().filter(|process| process.guard.is_ok() && !process.unit.is_empty());
    let names: BTreeSet<&str> = guarded.map(|process| process.unit.as_str()).collect();
    Systemd::of(Path::new("/")).main_processes(&names)
}

/// How processes are headed that belong to a unit, to a container, or to neither.
pub fn named(unit: &str, container: Option<&Container>) -> String {
    match container {
        Some(container) => printable(&container.name()),
        None if unit.is_empty() => "outside of units".to_owned(),
        None => printable(unit),
    }
}

/// The names of the units that have something without the guard.
pub fn exposed() -> Vec<String> {
    of_host().into_iter().filter(Unit::is_exposed).map(|unit| unit.name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::facts::Facts;
    use super::super::unit::tests::process;
    use super::*;

    #[test]
    fn what_is_left_in_a_unit_is_none_of_its_server_s() {
        let one = |pid: u32, parent: u32, is_root: bool| {
            let facts = Facts { parent, is_root, ..Facts::default() };
            Process { pid, facts, ..process(0, 0, false) }
        };
        let all = [
            one(10, 1, true),
            // Workers, another master below the first, and its worker.
            one(11, 10, false),
            one(12, 10, true),
            one(13, 12, false),
            // What a worker has started, and what is left of before, or of what has ended.
            one(14, 11, false),
            one(15, 14, true),
            one(16, 1, false),
            one(17, 16, false),
        ];
        let pids = |main| serving(&all, main).iter().map(|process| process.pid).collect::<Vec<u32>>();
        assert_eq!(pids(Some(10)), [10, 11, 12, 13]);
        assert_eq!(pids(Some(9)), [0; 0], "it is being started");
        assert_eq!(pids(None).len(), all.len());
    }
}
