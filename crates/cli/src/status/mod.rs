//! `portcullis status`: what is guarded, by which policy, and what is not and should be.

mod disk;
mod memory;
pub mod process;
mod prometheus;
mod tally;

use crate::arguments::Status;
use crate::out::printable;
use crate::{FINE, WRONG, check, complain, install, modes, reload};
use anstyle::{AnsiColor, Style};
use disk::{OnDisk, Sources, on_disk};
use portcullis_config::reading;
use process::{Counters, InForce, Process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tally::Log;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const OLD: Style = AnsiColor::Yellow.on_default();

/// How many versions of the guard are shown of one unit: each process can say any.
const VERSIONS: usize = 4;

/// A unit, or what belongs to none.
pub struct Unit {
    /// Its name; empty for processes of no unit.
    pub name: String,
    /// Whether it has the guard's drop-in.
    pub is_installed: bool,
    /// Its processes.
    pub processes: Vec<Process>,
}

impl Unit {
    /// Processes with the guard; the supervisor, which has no guard in force, is none of them.
    pub fn guarded(&self) -> impl Iterator<Item = (&Process, &process::Guard)> {
        let all = self.processes.iter().filter(|process| !process.is_supervisor);
        all.filter_map(|process| Some((process, process.guard.as_ref().ok()?)))
    }

    /// Processes without the guard, and why.
    pub fn unguarded(&self) -> impl Iterator<Item = (&Process, &str)> {
        self.processes.iter().filter_map(|process| Some((process, process.guard.as_ref().err()?.as_str())))
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
            sum.events = sum.events.wrapping_add(counters.events);
            sum.dropped = sum.dropped.wrapping_add(counters.dropped);
            sum.merged = sum.merged.wrapping_add(counters.merged);
            sum.decisions = sum.decisions.wrapping_add(counters.decisions);
            sum.audits = sum.audits.wrapping_add(counters.audits);
            sum.denials = sum.denials.wrapping_add(counters.denials);
        }
        sum
    }

    /// Processes with a policy that is no longer the one on disk.
    pub fn outdated(&self) -> Vec<u32> {
        self.guarded().filter(|(_, guard)| !guard.policy.is_current).map(|(process, _)| process.pid).collect()
    }

    /// Processes with another policy than the applied one of this digest; where that cannot be read, than the one on disk.
    pub fn with_another(&self, applied: Option<u64>) -> Vec<u32> {
        let Some(applied) = applied else { return self.outdated() };
        self.guarded().filter(|(_, guard)| guard.policy.digest != applied).map(|(process, _)| process.pid).collect()
    }

    /// Whether its policy has a supervisor that is not there, while a worker needs it: one that serves, or that has the filter and
    /// waits for its first request.
    pub fn lacks_supervisor(&self) -> bool {
        let is_masters = |process: &Process| self.guarded().any(|(other, _)| other.pid == process.parent);
        self.guarded().any(|(process, guard)| {
            let is_worker = guard.role == "serving" || process.is_filtered && is_masters(process);
            is_worker && guard.policy.is_supervised
        }) && !self.processes.iter().any(|process| process.is_supervisor)
    }

    /// The policies in force, each once.
    fn policies(&self) -> Vec<&InForce> {
        let mut found: Vec<&InForce> = Vec::new();
        for (_, guard) in self.guarded() {
            if !found.contains(&&guard.policy) {
                found.push(&guard.policy);
            }
        }
        found
    }
}

/// How long a program may take until its loader is done.
const LOADING: Duration = Duration::from_millis(300);

/// A second look at processes without the guard: one that is just being started has none yet.
fn look_again(processes: &mut Vec<Process>) {
    if processes.iter().all(|process| process.guard.is_ok()) {
        return;
    }
    std::thread::sleep(LOADING);
    let all = std::mem::take(processes).into_iter();
    let again = |process: Process| if process.guard.is_ok() { Some(process) } else { process::read(process.pid) };
    *processes = all.filter_map(again).collect();
}

/// How long a server may take from its restart until no process of before is left.
const SETTLING: Duration = Duration::from_secs(10);

/// Waits until a unit's main process, whose number `main` gives, and all its workers are guarded, or none is; gives how many there are.
pub fn settled(name: &str, guarded: bool, main: impl Fn() -> Option<u32>) -> Result<usize, String> {
    let begun = Instant::now();
    loop {
        let all: Vec<Process> = process::all().into_iter().filter(|process| process.unit == name).collect();
        let own = serving(&all, main());
        let wrong = own.iter().find(|process| process.guard.is_ok() != guarded);
        match wrong {
            None if !own.is_empty() => return Ok(own.len()),
            _ if begun.elapsed() < SETTLING => std::thread::sleep(LOADING / 3),
            None => return Err("it has no process".to_owned()),
            Some(process) => {
                let why = process.guard.as_ref().err().map_or("the guard is still in it", String::as_str);
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
        let more = all.iter().filter(|process| process.parent == starter && process.is_root).map(|process| process.pid);
        let more: Vec<u32> = more.filter(|pid| !starters.contains(pid)).collect();
        starters.extend(more);
        at += 1;
    }
    all.iter().filter(|process| process.pid == main || starters.contains(&process.parent)).collect()
}

/// Every unit that has a guarded process or the guard's drop-in.
pub fn units() -> Vec<Unit> {
    let installed: BTreeSet<String> = install::installed(Path::new("/")).into_iter().collect();
    let mut by_unit: BTreeMap<String, Vec<Process>> = BTreeMap::new();
    for process in process::all() {
        by_unit.entry(process.unit.clone()).or_default().push(process);
    }
    for name in &installed {
        by_unit.entry(name.clone()).or_default();
    }
    let units = by_unit.into_iter().map(|(name, mut processes)| {
        let is_installed = installed.contains(&name);
        if name.is_empty() {
            // What belongs to no unit need not be guarded.
            processes.retain(|process| process.guard.is_ok());
        }
        if is_installed {
            look_again(&mut processes);
        }
        let mut unit = Unit { name, is_installed, processes };
        if is_installed && unit.lacks_supervisor() {
            // It may be starting.
            std::thread::sleep(LOADING);
            unit.processes = process::all().into_iter().filter(|process| process.unit == unit.name).collect();
        }
        unit
    });
    units.filter(|unit| unit.is_installed || unit.processes.iter().any(|process| process.guard.is_ok())).collect()
}

pub fn run(arguments: &Status) -> u8 {
    if !install::is_root() {
        complain("this needs root: processes of other users cannot be read, and are shown as not guarded");
    }
    let units = units();
    let disks = configurations(arguments, &units);
    if let Some(output) = &arguments.prometheus {
        if let Err(message) = metrics(arguments, output, &units, &disks) {
            return complain(message);
        }
    } else if arguments.json {
        println!("{}", crate::out::json(&as_json(&units, &disks), true));
    } else {
        print(&units, &disks);
    }
    let exposed = |unit: &Unit| {
        unit.unguarded().next().is_some() || unit.lacks_supervisor() || (unit.is_installed && unit.processes.is_empty())
    };
    let is_rejected = disks.iter().any(|disk| disk.sources.rejected().is_some());
    if is_rejected || units.iter().any(exposed) { WRONG } else { FINE }
}

/// The configuration that is named, else the default one and those of the units.
fn configurations(arguments: &Status, units: &[Unit]) -> Vec<OnDisk> {
    let first = check::path_of(&arguments.source);
    let mut paths = vec![first];
    if arguments.source.config.is_none() {
        let of_units: BTreeSet<PathBuf> = named(units).map(|unit| reload::config_of(&unit.name)).collect();
        // A machine whose units all have another one has no default configuration.
        if !of_units.is_empty() && !of_units.iter().any(|path| *path == paths[0]) && !paths[0].exists() {
            paths.clear();
        }
        for path in of_units {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths.iter().map(|path| on_disk(path)).collect()
}

/// What has a name.
fn named(units: &[Unit]) -> impl Iterator<Item = &Unit> {
    units.iter().filter(|unit| !unit.name.is_empty())
}

/// Writes what Prometheus is to get, with the calls that the log has.
fn metrics(arguments: &Status, output: &Path, units: &[Unit], disks: &[OnDisk]) -> Result<(), String> {
    let disk = disks.first().ok_or("there is no configuration")?;
    let is_shown = output.as_os_str() == "-";
    let folder = arguments.state.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    // Two at once would count twice.
    let lock = arguments.state.with_extension("lock");
    let _turn = reading::lock(&lock).map_err(|error| format!("cannot lock {}: {error}", lock.display()))?;
    let mut tally = tally::Tally::load(&arguments.state)?;
    // Where the log cannot be read, what was counted before is still said, and so is everything else.
    let counted = match (&arguments.log, &disk.log) {
        // It may be that of other hosts, with virtual hosts of their own.
        (Some(log), _) => tally.advance(&Log::File(log.clone()), arguments.vhosts, &|_| true),
        (None, Some(log)) => tally.advance(log, arguments.vhosts, &|name| disk.vhosts.contains(name)),
        (None, None) => Err("the configured sinks keep no log; `--log FILE` names one".to_owned()),
    };
    let is_changed = disks.iter().any(|disk| disk.sources != Sources::Applied && disk.digest.is_some());
    let text = prometheus::text(units, is_changed, &tally, counted.is_ok());
    if is_shown {
        print!("{text}");
    } else {
        tally.save(&arguments.state)?;
        install::plan::output(output, &text).map_err(|error| format!("cannot write {}: {error}", output.display()))?;
    }
    counted
}

/// The applied policy of a configuration, and whether what is on disk is that.
fn print_disk(disk: &OnDisk) {
    let config = printable(&disk.config.display().to_string());
    match disk.digest {
        Some(digest) => println!("applied policy: {} {digest:016x}, of {config}", printable(&disk.path)),
        None => println!(
            "applied policy: none at {}: a server that starts compiles {config}, or has the built-in audit default",
            printable(&disk.path)
        ),
    }
    match &disk.sources {
        Sources::Applied => println!("  {GOOD}the configuration on disk is the applied one{GOOD:#}"),
        Sources::Differ => {
            println!("  {OLD}the configuration on disk differs from the applied one{OLD:#}: run portcullis apply");
        }
        Sources::NeverApplied => {
            println!("  {OLD}the configuration on disk was never applied{OLD:#}: run portcullis apply")
        }
        Sources::Rejected(why) => {
            println!("  {BAD}the configuration on disk is rejected{BAD:#}: {}", printable(why));
            println!("  The servers keep the policy that they have. `portcullis check` shows each error.");
        }
    }
}

fn print(units: &[Unit], disks: &[OnDisk]) {
    disks.iter().for_each(print_disk);
    if units.is_empty() {
        println!("Nothing is guarded. `portcullis install UNIT` guards a service.");
    }
    for unit in units {
        let name = if unit.name.is_empty() { "outside of units".to_owned() } else { printable(&unit.name) };
        println!("\n{BOLD}{name}{BOLD:#}");
        if unit.processes.is_empty() {
            println!("  not running");
            continue;
        }
        let guarded = unit.guarded().count();
        let versions: BTreeSet<&str> = unit.guarded().map(|(_, guard)| guard.version.as_str()).collect();
        let more = if versions.len() > VERSIONS { " and others" } else { "" };
        let versions: Vec<String> = versions.into_iter().take(VERSIONS).map(printable).collect();
        let version = if guarded == 0 { String::new() } else { format!(", version {}{more}", versions.join(" and ")) };
        let count = check::counted(guarded, "process").replace("processs", "processes");
        println!("  {GOOD}{count}{GOOD:#} guarded{version}");
        for policy in unit.policies() {
            let state = match (&policy.file, policy.is_current) {
                (None, _) => format!(
                    "{OLD}built in{OLD:#}: it had no compiled policy when it started; its event of guard-policy says why"
                ),
                (Some(_), true) if policy.is_in_memory() => {
                    format!(
                        "{:016x}, in memory: its file could not be written, or is out of reach there",
                        policy.digest
                    )
                }
                (Some(_), true) => format!("{:016x}, {GOOD}the applied one{GOOD:#}", policy.digest),
                (Some(_), false) => {
                    format!(
                        "{:016x}, {OLD}not the applied one{OLD:#}: run portcullis apply, or reload the server",
                        policy.digest
                    )
                }
            };
            println!("  policy {state}");
            if policy.is_overridden {
                println!("  {BAD}override{BAD:#} is in force: nothing is refused; `{}` removes it", modes::UNDO);
            }
            println!("  modes: {}", policy.modes.said());
            for other in &policy.differing {
                let names: Vec<String> = other.names.iter().map(|name| printable(name)).collect();
                println!("  modes of {}: {}", modes::some(&names, other.count), other.modes.said());
            }
        }
        let counters = unit.counters();
        println!(
            "  {} decisions, {} audits, {} denials, {} events, {} dropped, {} merged",
            counters.decisions, counters.audits, counters.denials, counters.events, counters.dropped, counters.merged
        );
        if let Some(supervisor) = unit.processes.iter().find(|process| process.is_supervisor) {
            println!("  {DIM}backstop: supervisor {}{DIM:#}", supervisor.pid);
        }
        if unit.lacks_supervisor() {
            println!("  {BAD}NO SUPERVISOR{BAD:#}: {}", no_supervisor(&unit.name));
        }
        for (process, why) in unit.unguarded() {
            let command = printable(&process.command);
            println!("  {BAD}NOT GUARDED{BAD:#} {} {command}\n    {}", process.pid, printable(why));
        }
    }
}

/// What it means that a unit has no supervisor, and what ends that.
pub fn no_supervisor(unit: &str) -> String {
    format!(
        "programs without the library are not judged, and their network calls fail with ENOSYS if the workers have its filter; \
         the last event of guard-policy says whether it could be started; systemctl reload {} starts another",
        printable(unit)
    )
}

fn as_json(units: &[Unit], disks: &[OnDisk]) -> Value {
    let digest = |digest: u64| format!("{digest:016x}");
    let process = |process: &Process| match &process.guard {
        Ok(guard) => json!({
            "pid": process.pid, "command": process.command, "guarded": true, "supervisor": process.is_supervisor,
            "version": guard.version, "role": if process.is_supervisor { "supervisor" } else { guard.role },
            "policy": {
                "digest": guard.policy.file.as_ref().map(|_| digest(guard.policy.digest)),
                "file": guard.policy.file, "current": guard.policy.is_current,
                "override": guard.policy.is_overridden, "mode": modes::json(&guard.policy.modes),
            },
            "stream": digest(guard.counters.stream),
        }),
        Err(why) => json!({ "pid": process.pid, "command": process.command, "guarded": false, "why": why }),
    };
    let units: Vec<Value> = units
        .iter()
        .map(|unit| {
            let counters = unit.counters();
            json!({
                "unit": unit.name, "installed": unit.is_installed, "lacks_supervisor": unit.lacks_supervisor(),
                "counters": {
                    "decisions": counters.decisions, "audits": counters.audits, "denials": counters.denials,
                    "events": counters.events, "dropped": counters.dropped, "merged": counters.merged,
                },
                "processes": unit.processes.iter().map(process).collect::<Vec<Value>>(),
            })
        })
        .collect();
    let disk = |disk: &OnDisk| {
        json!({
            "config": disk.config.display().to_string(), "file": disk.path, "digest": disk.digest.map(digest),
            "sources": disk.sources.word(), "stale": disk.sources == Sources::Differ,
            "rejected": disk.sources.rejected(),
        })
    };
    json!({
        "policy": disks.first().map(disk),
        "policies": disks.iter().map(disk).collect::<Vec<Value>>(),
        "units": units,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use process::Guard;

    fn process(stream: u64, decisions: u64, is_supervisor: bool) -> Process {
        let policy = InForce { digest: 1, ..InForce::built_in() };
        let counters = Counters { stream, decisions, audits: stream, ..Counters::default() };
        let guard = Guard { version: "1".into(), role: "serving", policy, counters };
        let (unit, command) = ("x.service".into(), "x".into());
        Process {
            pid: 1,
            unit,
            command,
            guard: Ok(guard),
            is_supervisor,
            parent: 0,
            is_filtered: false,
            is_root: false,
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
        let unit = Unit { name: "x.service".into(), is_installed: true, processes };
        let counters = unit.counters();
        assert_eq!((counters.decisions, counters.audits), (10, 16));
        assert_eq!(unit.guarded().count(), 4, "the supervisor has no guard in force");
    }

    #[test]
    fn a_supervisor_has_its_own_role() {
        let processes = vec![process(7, 5, false), process(9, 2, true)];
        let unit = Unit { name: "x.service".into(), is_installed: true, processes };
        let disk = OnDisk {
            log: None,
            vhosts: BTreeSet::new(),
            config: PathBuf::new(),
            path: String::new(),
            digest: None,
            sources: Sources::NeverApplied,
        };
        let shown = as_json(&[unit], &[disk]);
        let roles = ["0", "1"].map(|at| shown.pointer(&format!("/units/0/processes/{at}/role")).cloned());
        assert_eq!(roles, [Some("serving".into()), Some("supervisor".into())]);
    }

    #[test]
    fn what_is_left_in_a_unit_is_none_of_its_server_s() {
        let one = |pid: u32, parent: u32, is_root: bool| Process { pid, parent, is_root, ..process(0, 0, false) };
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

    #[test]
    fn a_supervisor_that_is_not_there_is_missed() {
        let lacks = |supervised: bool, with: bool| {
            let mut processes = vec![process(7, 5, false), process(9, 2, true)];
            processes.truncate(if with { 2 } else { 1 });
            for process in &mut processes {
                process.guard.as_mut().expect("a guard").policy.is_supervised = supervised;
            }
            Unit { name: "x.service".into(), is_installed: true, processes }.lacks_supervisor()
        };
        let found =
            [(true, false), (true, true), (false, false), (false, true)].map(|(policy, with)| lacks(policy, with));
        assert_eq!(found, [true, false, false, false]);
    }

    #[test]
    fn a_worker_that_waits_for_its_first_request_misses_its_supervisor() {
        let mut processes = vec![process(7, 5, false), process(7, 5, false)];
        for (process, (pid, parent)) in processes.iter_mut().zip([(10, 1), (11, 10)]) {
            (process.pid, process.parent, process.is_filtered) = (pid, parent, true);
            let guard = process.guard.as_mut().expect("a guard");
            (guard.role, guard.policy.is_supervised) = ("master", true);
        }
        let mut unit = Unit { name: "x.service".into(), is_installed: true, processes };
        assert!(unit.lacks_supervisor());
        unit.processes[1].is_filtered = false;
        assert!(!unit.lacks_supervisor(), "a worker without the filter has not asked for one");
        unit.processes.truncate(1);
        unit.processes[0].is_filtered = true;
        assert!(!unit.lacks_supervisor(), "a master with the unit's own filter needs none");
    }
}
