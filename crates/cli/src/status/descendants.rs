//! Describes the processes that descend from a worker, for `status` and `ps`.

use super::claim::{self, Vhost};
use super::facts;
use super::lineage::Descent;
use super::process::Process;
use super::users::Users;
use crate::out::printable;
use serde_json::{Value, json};
use std::path::Path;

/// How much of a value is shown in a line, in characters.
const SHOWN: usize = 60;

/// What describing a process takes from the machine.
pub struct Machine {
    uptime: u64,
    now: jiff::Timestamp,
    users: Users,
}

impl Machine {
    /// This machine now.
    pub fn here() -> Machine {
        let uptime = facts::uptime(Path::new("/proc"));
        Machine { uptime, now: jiff::Timestamp::now(), users: Users::here() }
    }

    /// A process's age in seconds.
    pub fn age(&self, process: &Process) -> u64 {
        facts::age(self.uptime, process.facts.started)
    }
}

/// The descendants among processes, oldest first.
pub fn of<'p>(processes: impl Iterator<Item = &'p Process>) -> Vec<(&'p Process, &'p Descent)> {
    let mut found: Vec<_> = processes.filter_map(|process| Some((process, process.descent.as_ref()?))).collect();
    found.sort_by_key(|(process, _)| (process.facts.started, process.pid));
    found
}

/// An age in words.
pub fn words(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A value as a part of a line, its beginning where it is long.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => printable(&text[..end]) + "\u{2026}",
        None => printable(text),
    }
}

/// The name of its program, and the one that it gives itself, where that is another.
pub fn program(process: &Process) -> String {
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let name = &process.facts.name;
    let Some(path) = &process.facts.program else { return short(name) };
    let file = last(path);
    // The kernel keeps fifteen bytes of a name.
    let is_same = |called: &str| !called.is_empty() && (file.starts_with(called) || called.starts_with(&file));
    if is_same(name) { short(&file) } else { format!("{} (as {})", short(&file), short(name)) }
}

/// The cells of its line in `ps`.
pub fn cells(process: &Process, descent: &Descent, machine: &Machine) -> [String; 8] {
    let request = descent.request.as_ref().map(|(_, request)| request);
    let client = request.map(|request| claim::text(request.client.bytes())).filter(|client| !client.is_empty());
    [
        process.pid.to_string(),
        words(machine.age(process)),
        short(&machine.users.name(process.facts.user)),
        program(process),
        short(descent.vhost.as_ref().map_or("unknown", Vhost::shown)),
        short(&request.map_or("unknown".to_owned(), |request| claim::words(request))),
        short(&client.unwrap_or_else(|| "unknown".to_owned())),
        parent(process, descent),
    ]
}

fn parent(process: &Process, descent: &Descent) -> String {
    let number = match process.facts.parent {
        0 => "unknown".to_owned(),
        number => format!("{number} {}", short(&descent.parent)).trim_end().to_owned(),
    };
    number + if descent.is_reparented { ", reparented" } else { "" }
}

/// What there is to say beside that: who says so, and what is odd.
pub fn notes(process: &Process, descent: &Descent) -> Vec<String> {
    let signs: Vec<&str> = descent.signs.iter().map(|sign| sign.word()).collect();
    let mut notes = vec![format!("known by: {}", signs.join(", "))];
    match &descent.request {
        Some((pid, request)) => {
            let id = claim::id(request).map(|id| format!(" {id}")).unwrap_or_default();
            let whose = if *pid == process.pid {
                "its own environment".to_owned()
            } else {
                format!("the environment of {pid}")
            };
            notes.push(format!("request{id}: claim of {whose}"));
        }
        None => notes.push("request unknown".to_owned()),
    }
    if !descent.is_confirmed() {
        notes.push("no parent and no control group confirms the origin".to_owned());
    }
    if descent.is_contradicted {
        notes.push("CONTRADICTED: the process above it has another request".to_owned());
    }
    if let Err(why) = &process.guard {
        notes.push(format!("NOT GUARDED: {why}"));
    }
    if process.facts.is_fork {
        notes.push("fork without a program of its own".to_owned());
    }
    for (has, what) in [(descent.has_own_pids, "PID"), (descent.has_own_mounts, "mount")] {
        if has {
            notes.push(format!("in a {what} namespace of its own"));
        }
    }
    notes.iter().map(|note| printable(note)).collect()
}

/// One line of `status`.
pub fn line(process: &Process, descent: &Descent, machine: &Machine) -> String {
    let [pid, age, user, program, _, request, client, parent] = cells(process, descent, machine);
    let from = if client == "unknown" { String::new() } else { format!(" from {client}") };
    format!("{pid} {program} ({user}, {age}, request {request}{from}, parent {parent})")
}

/// A descendant as JSON; docs/commands.md has the fields.
pub fn json(process: &Process, descent: &Descent, machine: &Machine) -> Value {
    let age = machine.age(process);
    let started = machine.now.checked_sub(jiff::SignedDuration::from_secs(i64::try_from(age).unwrap_or(0)));
    let chain = process.claim.as_ref().map(|claim| claim.chain.as_str()).filter(|chain| !chain.is_empty());
    let signs: Vec<&str> = descent.signs.iter().map(|sign| sign.word()).collect();
    let vhost = match &descent.vhost {
        Some(Vhost::Named(name)) => json!(name),
        Some(Vhost::Outside) => json!(""),
        Some(Vhost::Unknown) | None => Value::Null,
    };
    json!({
        "pid": process.pid, "age": age,
        "started": started.ok().map(|at| at.round(jiff::Unit::Second).unwrap_or(at).to_string()),
        "user": { "id": process.facts.user, "name": machine.users.name(process.facts.user) },
        "name": process.facts.name, "program": process.facts.program, "command": process.command,
        "unit": process.unit, "container": container(process), "control_group": process.facts.group,
        "parent": { "pid": process.facts.parent, "name": descent.parent }, "reparented": descent.is_reparented,
        "worker": descent.worker, "fork": process.facts.is_fork, "guarded": process.guard.is_ok(),
        "why": process.guard.as_ref().err(),
        "known_by": signs, "confirmed": descent.is_confirmed(), "contradicted": descent.is_contradicted,
        "own_namespaces": { "pid": descent.has_own_pids, "mount": descent.has_own_mounts },
        "vhost": vhost, "chain": chain,
        "request": descent.request.as_ref().map(|(_, request)| claim::json(request)),
        "request_claimed_by": descent.request.as_ref().map(|(pid, _)| pid),
    })
}

/// The container that a process is in as JSON; null for none.
fn container(process: &Process) -> Value {
    process.container.as_ref().map_or(Value::Null, super::process::Container::json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        let of = [0, 59, 60, 3599, 3600, 86_399, 86_400, 864_000].map(words);
        assert_eq!(of, ["0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "10 d"]);
    }

    #[test]
    fn a_long_value_is_cut_and_printable() {
        assert_eq!(short("a\u{1b}[2J"), "a\\u{1b}[2J");
        assert_eq!(short(&"\u{e9}".repeat(100)).chars().count(), SHOWN + 1);
    }
}
