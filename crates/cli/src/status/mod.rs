//! `portcullis status`: what is guarded, by which policy, and what is not and should be.

pub mod claim;
pub mod descendants;
mod disk;
pub mod facts;
pub mod lineage;
mod memory;
pub mod process;
mod prometheus;
mod tally;
mod users;

use crate::arguments::Status;
use crate::out::printable;
use crate::probes::Left;
use crate::{FINE, WRONG, check, complain, install, modes, reload};
use anstyle::{AnsiColor, Style};
use descendants::Machine;
pub use disk::{Applied, applied, is_sealed, sources_of};
use disk::{OnDisk, Sources, on_disk};
use portcullis_config::reading;
use process::{Container, Counters, InForce, Process};
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
    /// The container, if its processes belong to one and to no unit.
    pub container: Option<Container>,
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

    /// Those of them that are the server's own: no descendants of workers.
    pub fn workers(&self) -> impl Iterator<Item = (&Process, &process::Guard)> {
        self.guarded().filter(|(process, _)| process.descent.is_none())
    }

    /// Processes without the guard, and why; those of which that cannot be read are none of them.
    pub fn unguarded(&self) -> impl Iterator<Item = (&Process, &str)> {
        let known = self.processes.iter().filter(|process| !process.is_unread);
        known.filter_map(|process| Some((process, process.guard.as_ref().err()?.as_str())))
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
    /// server's own, which a reload replaces, and how many others there are, which keep theirs until they end.
    pub fn with_another(&self, applied: Option<u64>) -> (Vec<u32>, usize) {
        let is_another = |guard: &process::Guard| match applied {
            Some(applied) => guard.policy.digest != applied,
            None => !guard.policy.is_current,
        };
        let all = self.guarded().filter(|(_, guard)| is_another(guard)).map(|(process, _)| process);
        let (own, others): (Vec<&Process>, Vec<&Process>) = all.partition(|process| process.descent.is_none());
        (own.into_iter().map(|process| process.pid).collect(), others.len())
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

    /// Whether something in it runs without the guard, or without a supervisor that it needs.
    fn is_exposed(&self) -> bool {
        self.unguarded().next().is_some() || self.lacks_supervisor()
    }

    /// How many workers have a policy that is not the applied one while their parent has that: a reload has replaced them, and they finish
    /// what they do. `None` where a process is no such worker.
    fn draining(&self, policy: &InForce) -> Option<usize> {
        let has_applied = |pid: u32| self.guarded().any(|(other, guard)| other.pid == pid && guard.policy.is_current);
        let with: Vec<&Process> =
            self.workers().filter(|(_, guard)| guard.policy == *policy).map(|(process, _)| process).collect();
        with.iter().all(|process| has_applied(process.facts.parent)).then_some(with.len())
    }

    /// The policies in force, each once.
    fn policies(&self) -> Vec<&InForce> {
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

/// How long a program may take until its loader is done.
const LOADING: Duration = Duration::from_millis(300);

/// A second look at processes of these units without the guard: one that is just being started has none yet.
fn look_again(processes: &mut Vec<Process>, units: &BTreeSet<String>) {
    let may_start = |process: &Process| process.guard.is_err() && !process.is_unread && units.contains(&process.unit);
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
        let all: Vec<Process> = process::all().into_iter().filter(|process| process.unit == name).collect();
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
fn survey() -> (Vec<Unit>, Vec<String>) {
    let installed: BTreeSet<String> = install::installed(Path::new("/")).into_iter().collect();
    let mut all = process::all();
    look_again(&mut all, &installed);
    let (mut units, mut lack) = grouped(all, &installed);
    if units.iter().any(|unit| unit.is_installed && unit.lacks_supervisor()) {
        // It may be starting.
        std::thread::sleep(LOADING);
        (units, lack) = grouped(process::all(), &installed);
    }
    (units, lack)
}

fn grouped(mut all: Vec<Process>, installed: &BTreeSet<String>) -> (Vec<Unit>, Vec<String>) {
    lineage::trace(&mut all);
    let lack = lacks(&all);
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

/// What a look at processes could not find out, in words: nothing for root.
pub fn lacks(all: &[Process]) -> Vec<String> {
    let mut lacks = Vec::new();
    // Init serves nothing, and a sandbox may hide its memory from root, too.
    let unread = all.iter().filter(|process| process.is_unread && process.pid != 1).count();
    if unread != 0 {
        lacks.push(format!(
            "incomplete: {} of other users cannot be read, and whether they are guarded is unknown; help: {}",
            check::counted(unread, "process"),
            crate::out::as_root()
        ));
    }
    if !all.iter().any(|process| process.pid == 1) && std::process::id() != 1 {
        let help = crate::out::as_root();
        lacks.push(format!("incomplete: /proc hides processes of other users (hidepid); help: {help}"));
    }
    lacks
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

pub fn run(arguments: &Status) -> u8 {
    let (units, lack) = survey();
    let disks = configurations(arguments, &units);
    if let Some(output) = &arguments.prometheus {
        lack.iter().for_each(|lack| eprintln!("portcullis: {}", printable(lack)));
        if let Err(message) = metrics(arguments, output, &units, &disks) {
            return complain(message);
        }
    } else if arguments.json {
        println!("{}", crate::out::json(&as_json(&units, &disks, &lack), true));
    } else {
        print(&units, &disks);
        lack.iter().for_each(|lack| println!("\n{OLD}{}{OLD:#}", printable(lack)));
    }
    let is_open = |unit: &Unit| unit.is_exposed() || (unit.is_installed && unit.processes.is_empty());
    let is_rejected = disks.iter().any(|disk| disk.sources.rejected().is_some() || disk.sources == Sources::Missing);
    if is_rejected || !lack.is_empty() || units.iter().any(is_open) { WRONG } else { FINE }
}

/// The virtual hosts of the applied policy of every configuration.
pub fn applied_vhosts() -> BTreeSet<String> {
    let files: BTreeSet<PathBuf> =
        reload::units().into_values().chain([PathBuf::from(portcullis_config::DEFAULT_CONFIG)]).collect();
    files.iter().flat_map(|file| disk::vhosts_of(file)).collect()
}

/// The configuration that is named, else the default one and those of the units.
fn configurations(arguments: &Status, units: &[Unit]) -> Vec<OnDisk> {
    let first = check::path_of(&arguments.source);
    let mut paths = vec![first];
    if arguments.source.config.is_none() {
        let of_units: BTreeSet<PathBuf> = units
            .iter()
            .filter(|unit| !unit.name.is_empty() && unit.container.is_none())
            .map(|unit| reload::config_of(&unit.name))
            .collect();
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
    let left = &mut Left::by(&arguments.probe_list, arguments.probes);
    let counted = match (&arguments.log, &disk.log) {
        // It may be that of other hosts, with virtual hosts of their own.
        (Some(log), _) => tally.advance(&Log::File(log.clone()), arguments.vhosts, &|_| true, left),
        (None, Some(log)) => tally.advance(log, arguments.vhosts, &|name| disk.vhosts.contains(name), left),
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
        Sources::Missing => {
            println!(
                "  {BAD}there is no configuration{BAD:#}: a server that starts without a compiled policy denies nothing"
            );
            println!(
                "  help: portcullis install UNIT writes one; where it was elsewhere, portcullis status --config FILE"
            );
        }
        Sources::Rejected(why) => {
            println!("  {BAD}the configuration on disk is rejected{BAD:#}: {}", printable(why));
            println!("  The servers keep the policy that they have. `portcullis check` shows each error.");
        }
    }
}

fn print(units: &[Unit], disks: &[OnDisk]) {
    disks.iter().for_each(print_disk);
    for why in disks.iter().filter_map(|disk| disk.unsealed.as_deref()) {
        println!("{BAD}events are not sealed{BAD:#}: {}", printable(why));
    }
    if units.is_empty() {
        println!("Nothing is guarded. `portcullis install UNIT` guards a service.");
    }
    let machine = Machine::here();
    for unit in units {
        println!("\n{BOLD}{}{BOLD:#}", unit.label());
        if unit.processes.is_empty() {
            println!("  not running");
            continue;
        }
        let guarded = unit.workers().count();
        let versions: BTreeSet<&str> = unit.workers().map(|(_, guard)| guard.version.as_str()).collect();
        let more = if versions.len() > VERSIONS { " and others" } else { "" };
        let versions: Vec<String> = versions.into_iter().take(VERSIONS).map(printable).collect();
        let version = if guarded == 0 { String::new() } else { format!(", version {}{more}", versions.join(" and ")) };
        let count = check::counted(guarded, "process");
        println!("  {GOOD}{count}{GOOD:#} guarded{version}");
        let unread = unit.processes.iter().filter(|process| process.is_unread).count();
        if unread != 0 {
            println!("  {OLD}unknown{OLD:#}: {unread} that this user cannot read");
        }
        for policy in unit.policies() {
            let state = match (&policy.file, policy.is_current) {
                (None, _) => format!(
                    "{BAD}built in{BAD:#}: nothing is denied; there was no compiled policy at the start, and the guard-policy \
                     event has the reason; help: portcullis check, then portcullis apply"
                ),
                (Some(_), true) if policy.is_in_memory() => {
                    format!(
                        "{:016x}, in memory: its file could not be written, or is out of reach there",
                        policy.digest
                    )
                }
                (Some(_), true) => format!("{:016x}, {GOOD}the applied one{GOOD:#}", policy.digest),
                (Some(_), false) if let Some(count) = unit.draining(policy) => format!(
                    "{:016x}, of {} from before the last reload, until the requests in progress end",
                    policy.digest,
                    check::counted(count, "worker")
                ),
                (Some(_), false) => {
                    format!(
                        "{:016x}, {OLD}not the applied one{OLD:#}: run portcullis apply, or reload the server",
                        policy.digest
                    )
                }
            };
            println!("  policy {state}");
            if policy.is_overridden {
                println!("  {BAD}override{BAD:#} is in force: nothing is denied; `{}` removes it", modes::UNDO);
            }
            println!("  modes: {}", policy.modes.said());
            for other in &policy.differing {
                let names: Vec<String> = other.names.iter().map(|name| printable(name)).collect();
                println!("  modes of {}: {}", modes::some(&names, other.count), other.modes.said());
            }
        }
        let counters = unit.counters();
        println!(
            "  {}, {}, {}, {}, {} dropped, {} merged",
            check::counted(counters.decisions, "decision"),
            check::counted(counters.audits, "audit"),
            check::counted(counters.denials, "denial"),
            check::counted(counters.events, "event"),
            counters.dropped,
            counters.merged
        );
        if let Some(supervisor) = unit.processes.iter().find(|process| process.is_supervisor) {
            println!("  {DIM}backstop: supervisor {}{DIM:#}", supervisor.pid);
        }
        if unit.lacks_supervisor() {
            println!("  {BAD}NO SUPERVISOR{BAD:#}: {}", no_supervisor(&unit.name));
        }
        print_descendants(unit, &machine);
        for (process, why) in unit.unguarded().filter(|(process, _)| process.descent.is_none()) {
            let command = printable(&process.command);
            println!("  {BAD}NOT GUARDED{BAD:#} {} {command}\n    {}", process.pid, printable(why));
        }
    }
}

/// How many descendants of a unit are named.
const NAMED: usize = 5;

/// Names the descendants that run still: first those without the guard, then the oldest.
fn print_descendants(unit: &Unit, machine: &Machine) {
    let mut found = descendants::of(unit.processes.iter());
    found.sort_by_key(|(process, _)| process.guard.is_ok());
    if found.is_empty() {
        return;
    }
    let verb = if found.len() == 1 { "runs" } else { "run" };
    let count = check::counted(found.len(), "descendant");
    println!("  {OLD}{count}{OLD:#} of its workers {verb} still; `portcullis ps` shows each");
    for (process, descent) in found.iter().take(NAMED) {
        let state = if process.guard.is_ok() { String::new() } else { format!("{BAD}NOT GUARDED{BAD:#} ") };
        println!("    {state}{}", descendants::line(process, descent, machine));
    }
    if found.len() > NAMED {
        println!("    and {} more", found.len() - NAMED);
    }
}

/// What it means that a unit has no supervisor, and what ends that.
pub fn no_supervisor(unit: &str) -> String {
    format!(
        "programs without the library are not evaluated, and their network calls fail with ENOSYS if the workers have its filter; \
         the last event of guard-policy says whether it could be started; systemctl reload {} starts another",
        printable(unit)
    )
}

fn as_json(units: &[Unit], disks: &[OnDisk], lack: &[String]) -> Value {
    let digest = |digest: u64| format!("{digest:016x}");
    let machine = Machine::here();
    let process = |process: &Process| match &process.guard {
        Ok(guard) => json!({
            "pid": process.pid, "command": process.command, "guarded": true, "supervisor": process.is_supervisor,
            "descendant": process.descent.is_some(),
            "version": guard.version, "role": if process.is_supervisor { "supervisor" } else { guard.role },
            "policy": {
                "digest": guard.policy.file.as_ref().map(|_| digest(guard.policy.digest)),
                "file": guard.policy.file, "current": guard.policy.is_current,
                "override": guard.policy.is_overridden, "mode": modes::json(&guard.policy.modes),
            },
            "stream": digest(guard.counters.stream),
        }),
        Err(why) => json!({
            "pid": process.pid, "command": process.command, "guarded": if process.is_unread { None } else { Some(false) },
            "descendant": process.descent.is_some(), "why": why,
        }),
    };
    let policy = |policy: &&InForce| {
        let vhosts = policy
            .differing
            .iter()
            .map(|alike| json!({ "names": alike.names, "count": alike.count, "mode": modes::json(&alike.modes) }));
        json!({
            "digest": policy.file.as_ref().map(|_| digest(policy.digest)), "file": policy.file,
            "current": policy.is_current, "override": policy.is_overridden, "mode": modes::json(&policy.modes),
            "vhosts": vhosts.collect::<Vec<Value>>(),
        })
    };
    let units: Vec<Value> = units
        .iter()
        .map(|unit| {
            let counters = unit.counters();
            json!({
                "unit": unit.name, "container": unit.container.as_ref().map(Container::json),
                "installed": unit.is_installed, "lacks_supervisor": unit.lacks_supervisor(),
                "counters": {
                    "decisions": counters.decisions, "audits": counters.audits, "denials": counters.denials,
                    "events": counters.events, "dropped": counters.dropped, "merged": counters.merged,
                },
                "policies": unit.policies().iter().map(policy).collect::<Vec<Value>>(),
                "processes": unit.processes.iter().map(process).collect::<Vec<Value>>(),
                "descendants": descendants::of(unit.processes.iter())
                    .into_iter()
                    .map(|(process, descent)| descendants::json(process, descent, &machine))
                    .collect::<Vec<Value>>(),
            })
        })
        .collect();
    let disk = |disk: &OnDisk| {
        json!({
            "config": disk.config.display().to_string(), "file": disk.path, "digest": disk.digest.map(digest),
            "sources": disk.sources.word(), "stale": disk.sources == Sources::Differ,
            "rejected": disk.sources.rejected(), "unsealed": disk.unsealed,
        })
    };
    json!({
        "policy": disks.first().map(disk),
        "policies": disks.iter().map(disk).collect::<Vec<Value>>(),
        "units": units, "lacks": lack,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::Facts;
    use process::Guard;

    fn process(stream: u64, decisions: u64, is_supervisor: bool) -> Process {
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
            is_unread: false,
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
    fn a_supervisor_has_its_own_role() {
        let processes = vec![process(7, 5, false), process(9, 2, true)];
        let unit = Unit { name: "x.service".into(), container: None, is_installed: true, processes };
        let disk = OnDisk {
            log: None,
            vhosts: BTreeSet::new(),
            config: PathBuf::new(),
            path: String::new(),
            digest: None,
            sources: Sources::NeverApplied,
            unsealed: None,
        };
        let shown = as_json(&[unit], &[disk], &[]);
        let roles = ["0", "1"].map(|at| shown.pointer(&format!("/units/0/processes/{at}/role")).cloned());
        assert_eq!(roles, [Some("serving".into()), Some("supervisor".into())]);
    }

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
