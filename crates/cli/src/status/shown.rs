//! What `status` prints, in words and as JSON.

use super::descendants::{self, Machine};
use super::disk::{OnDisk, Sources};
use super::policy::InForce;
use super::process::{Container, Process};
use super::unit::Unit;
use crate::install::Systemd;
use crate::log::to_a_second;
use crate::out::printable;
use crate::{check, modes, reload, run, unreached};
use anstyle::{AnsiColor, Style};
use portcullis_config::DEFAULT_CONFIG;
use portcullis_policy::Mode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const OLD: Style = AnsiColor::Yellow.on_default();

/// How many versions of the guard are shown of one unit: each process can say any.
const VERSIONS: usize = 4;

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
                "  {BAD}there is no configuration{BAD:#}: a server that starts without a compiled policy blocks nothing"
            );
            println!("  help: {}; where it was elsewhere, portcullis status --config FILE", writes_one());
        }
        Sources::Rejected(why) => {
            println!("  {BAD}the configuration on disk is rejected{BAD:#}: {}", printable(why));
            println!("  The servers keep the policy that they have. `portcullis check` shows each error.");
        }
    }
}

pub fn print(units: &[Unit], disks: &[OnDisk]) {
    disks.iter().for_each(print_disk);
    for why in disks.iter().filter_map(|disk| disk.unsealed.as_deref()) {
        println!("{BAD}events are not sealed{BAD:#}: {}", printable(why));
    }
    if units.is_empty() {
        println!("Nothing is guarded. {}", guards());
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
        let unread = unit.processes.iter().filter(|process| process.unread.is_some()).count();
        if unread != 0 {
            println!("  {OLD}unknown{OLD:#}: {unread} that could not be looked at");
        }
        for policy in unit.policies() {
            let state = match (&policy.file, policy.is_current) {
                (None, _) => format!(
                    "{BAD}built in{BAD:#}: nothing is blocked; there was no compiled policy at the start, and the guard-policy \
                     event has the reason; help: portcullis check, then portcullis apply"
                ),
                (Some(file), true) if run::is_own(file) => format!(
                    "{:016x}, of `portcullis run`: neither `portcullis apply` nor `portcullis panic` changes it",
                    policy.digest
                ),
                (Some(file), false) if run::is_own(file) => format!(
                    "{:016x}, of `portcullis run`, {OLD}not what the configuration says now{OLD:#}: {}",
                    policy.digest,
                    unreached::restart(&unit.name)
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
                    let is_applied = is_applied(policy, disks);
                    format!(
                        "{:016x}, {OLD}not the applied one{OLD:#}: {}",
                        policy.digest,
                        takes_applied(unit, is_applied)
                    )
                }
            };
            println!("  policy {state}");
            if policy.is_overridden {
                println!("  {}", override_said(policy, &unit.name));
            }
            println!("  modes: {}", policy.modes.said());
            for other in &policy.differing {
                let names: Vec<String> = other.names.iter().map(|name| printable(name)).collect();
                println!("  modes of {}: {}", modes::some(&names, other.count), other.modes.said());
            }
        }
        let counters = unit.counters();
        println!(
            "  {}: rules triggered in {}, of which {} went ahead and {} were blocked; {}, {} of them dropped; {} merged{}",
            check::counted(counters.decisions, "decision"),
            counters.audits.wrapping_add(counters.denials),
            counters.audits,
            counters.denials,
            check::counted(counters.events, "event"),
            counters.dropped,
            counters.merged,
            counters.since.and_then(to_a_second).map(|since| format!(", since {since}")).unwrap_or_default()
        );
        if let Some(supervisor) = unit.processes.iter().find(|process| process.is_supervisor) {
            println!("  {DIM}backstop: supervisor {}{DIM:#}", supervisor.pid);
        }
        if unit.lacks_supervisor() {
            println!("  {BAD}NO SUPERVISOR{BAD:#}: {}", no_supervisor(&unit.name));
        }
        match unit.destination() {
            // What runs without the library writes none.
            _ if guarded == 0 => {}
            Ok(place) => println!("  events go to {place}"),
            Err(configured) => println!(
                "  {BAD}EVENTS LOST{BAD:#}: no sink took at least one event ({configured} could not be reached); \
                 help: set [log] sink to one that can be"
            ),
        }
        if let Some(why) = unit.lacks_requests() {
            println!("  {BAD}NO REQUESTS{BAD:#}: {why}");
        }
        print_descendants(unit, &machine);
        for (process, why) in unit.unguarded().filter(|(process, _)| process.descent.is_none()) {
            let command = printable(&process.command);
            println!("  {BAD}NOT GUARDED{BAD:#} {} {command}\n    {}", process.pid, printable(why));
        }
    }
}

/// What guards a server here.
fn guards() -> &'static str {
    match Systemd::of(Path::new("/")).is_running() {
        true => "`portcullis install UNIT` guards a service.",
        false => "There is no systemd here: `portcullis run -- SERVER` starts a server with the library.",
    }
}

/// What writes a configuration here.
fn writes_one() -> &'static str {
    match Systemd::of(Path::new("/")).is_running() {
        true => "portcullis install UNIT writes one",
        false => "write it (docs/configuration.md), then portcullis apply",
    }
}

/// Whether the configuration of a policy is applied as it is: then only a reload is missing.
fn is_applied(policy: &InForce, disks: &[OnDisk]) -> bool {
    let is_its = |disk: &&OnDisk| policy.file.as_deref() == Some(Path::new(&disk.path));
    disks.iter().find(is_its).is_some_and(|disk| matches!(disk.sources, Sources::Applied))
}

/// What gives a server the policy of its configuration. systemd reloads neither a container nor a server that somebody has started.
fn takes_applied(unit: &Unit, is_applied: bool) -> String {
    let reload = match (&unit.container, unit.name.as_str()) {
        (Some(_), _) => format!("in its container, {}", reload::BY_HAND),
        (None, "") => reload::BY_HAND.to_owned(),
        (None, name) => format!("systemctl reload {}", printable(name)),
    };
    if is_applied { reload } else { format!("run portcullis apply, or {reload}") }
}

/// Whose the override is that a policy of this unit has, and what removes it.
fn override_said(policy: &InForce, unit: &str) -> String {
    let own = policy.file.as_deref().filter(|file| run::is_own(file));
    // Where the policy has another mode, `override` took precedence over what the command named.
    let told = own.and_then(run::mode_of).filter(|told| policy.modes == portcullis_config::modes::Modes::all(*told));
    let (whose, end) = match told {
        Some(mode) => (
            format!("`--mode {}` of its `portcullis run`", mode.word()),
            format!("the server's start without that option, not `{}`, ends it", modes::UNDO),
        ),
        None => {
            let config = match own {
                Some(file) if run::is_of(file, Path::new(DEFAULT_CONFIG)) => format!(" --config {DEFAULT_CONFIG}"),
                Some(_) => " --config FILE` with the file of its `portcullis run".to_owned(),
                None => String::new(),
            };
            let then = own.map(|_| format!("; then {}", unreached::restart(unit))).unwrap_or_default();
            ("override".to_owned(), format!("`{}{config}` removes it{then}", modes::UNDO))
        }
    };
    if unreached::exceeds(&policy.modes, Mode::Audit) {
        return format!(
            "{OLD}{whose}{OLD:#} takes precedence over every mode; `portcullis panic` reaches the server when it is started again; {end}"
        );
    }
    format!("{BAD}{whose}{BAD:#} is in force: nothing is blocked; {end}")
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
        "programs without the library cannot connect, send, listen or start a program if the workers have its filter (ENOSYS); \
         an event of guard-policy says if it could not be started; systemctl reload {} starts another",
        printable(unit)
    )
}

pub fn as_json(units: &[Unit], disks: &[OnDisk], lack: &[String]) -> Value {
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
            "pid": process.pid, "command": process.command, "guarded": if process.unread.is_some() { None } else { Some(false) },
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
                "lacks_requests": unit.lacks_requests(),
                "events_go_to": unit.destination().ok(), "events_lost": unit.destination().is_err(),
                "counters": {
                    "decisions": counters.decisions, "audits": counters.audits, "denials": counters.denials,
                    "events": counters.events, "dropped": counters.dropped, "merged": counters.merged,
                    "since": counters.since.and_then(to_a_second),
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
        "units": units, "complete": lack.is_empty(), "lacks": lack,
    })
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::process;
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn an_override_is_said_to_be_whose_it_is_and_to_block_nothing_only_where_that_is_so() {
        let said = |file: PathBuf, mode: Mode| {
            let modes = portcullis_config::modes::Modes::all(mode);
            let policy = InForce { file: Some(file), modes, is_overridden: true, ..InForce::built_in() };
            anstream::adapter::strip_str(&override_said(&policy, "")).to_string()
        };
        let blocks = said(run::file_of(None, Some(Mode::Enforce)), Mode::Enforce);
        assert!(blocks.starts_with("`--mode enforce` of its `portcullis run` takes precedence"), "{blocks}");
        assert!(!blocks.contains("nothing is blocked") && !blocks.contains("removes it"), "{blocks}");
        for mode in [Mode::Audit, Mode::Off] {
            let told = said(run::file_of(None, Some(mode)), mode);
            assert!(told.contains("is in force: nothing is blocked") && !told.contains("removes it"), "{told}");
            let panics = said(run::file_of(None, None), mode);
            assert!(panics.starts_with("override is in force: nothing is blocked"), "{panics}");
            assert!(
                panics.contains(&format!("--config {DEFAULT_CONFIG}` removes it; then end the server")),
                "{panics}"
            );
            let beaten = said(run::file_of(None, Some(Mode::Enforce)), mode);
            assert!(beaten.starts_with("override is in force: nothing is blocked"), "{beaten}");
            let other = said(run::file_of(Some(Path::new("/x")), None), mode);
            assert!(other.contains("--config FILE"), "{other}");
            let of_unit = said("/run/portcullis/policy".into(), mode);
            assert!(of_unit.ends_with("`portcullis panic --undo` removes it"), "{of_unit}");
        }
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
}
