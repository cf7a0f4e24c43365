//! Does a case bare, in enforce and in audit, and compares: the kernel's word is what arrived, what opened and which shell ran.

use crate::case::Case;
use crate::world::{self, ACTOR, Listeners, MARK, RESULT, VIEW};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What one run of a case showed.
#[derive(Debug, Default)]
pub struct Outcome {
    pub status: i32,
    pub results: Vec<String>,
    pub view: Vec<String>,
    pub arrived: Vec<String>,
    pub shell: bool,
    pub opened: bool,
    /// The rules of the events.
    pub events: Vec<String>,
}

/// What the kernel can have let through.
const KINDS: [&str; 3] = ["egress", "shell", "listen"];

impl Outcome {
    fn did(&self, kind: &str) -> bool {
        match kind {
            "egress" => !self.arrived.is_empty(),
            "shell" => self.shell,
            _ => self.opened,
        }
    }

    fn has_event_of(&self, kind: &str) -> bool {
        self.events.iter().any(|rule| kind_of(rule) == kind)
    }
}

fn kind_of(rule: &str) -> &'static str {
    match rule {
        "egress-port" | "dns-direct" | "metadata" | "fpm-socket" | "ssrf" | "scan" | "lateral" => "egress",
        "listen-port" => "listen",
        _ => "shell",
    }
}

/// A process that serves and does cases, with or without the guard.
struct Actor {
    mode: &'static str,
    process: Child,
    channel: UnixStream,
    read: usize,
}

impl Actor {
    fn start(mode: &'static str) -> Result<Actor, String> {
        let fail = |error: std::io::Error| format!("{mode}: {error}");
        let (own, other) = UnixStream::pair().map_err(fail)?;
        own.set_read_timeout(Some(Duration::from_secs(20))).map_err(fail)?;
        let mut command = if mode == "bare" {
            Command::new(ACTOR)
        } else {
            let mut command = Command::new("/srv/bin/portcullis");
            command.args(["run", "--role", "master", "--config", &config(mode), "--", ACTOR]);
            command
        };
        let errors = std::fs::File::create(format!("/srv/log/{mode}.stderr")).map_err(fail)?;
        command.arg("--actor").env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").current_dir("/");
        command.stdin(OwnedFd::from(other)).stdout(Stdio::null()).stderr(errors);
        let process = command.spawn().map_err(fail)?;
        let read = events_text(mode).len();
        Ok(Actor { mode, process, channel: own, read })
    }

    /// Does a case in a child; its status.
    fn perform(&mut self, text: &str) -> Option<i32> {
        let mut status = [0; 4];
        self.channel.write_all(&(text.len() as u32).to_ne_bytes()).ok()?;
        self.channel.write_all(text.as_bytes()).ok()?;
        self.channel.read_exact(&mut status).ok()?;
        Some(i32::from_ne_bytes(status))
    }

    /// The rules of the events since the last look.
    fn events(&mut self) -> Vec<String> {
        let text = events_text(self.mode);
        let new = text.get(self.read..).unwrap_or_default();
        self.read = text.len();
        // What the guard says of itself is no verdict.
        new.lines().filter_map(rule_of).filter(|rule| rule != "guard-policy").collect()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn rule_of(line: &str) -> Option<String> {
    let rule = line.split("\"rule\":{").nth(1)?.split('}').next()?;
    Some(rule.split("\"id\":\"").nth(1)?.split('"').next()?.to_owned())
}

pub fn config(mode: &str) -> String {
    format!("/srv/log/{mode}.toml")
}

pub fn events_file(mode: &str) -> String {
    format!("/srv/log/{mode}.jsonl")
}

fn events_text(mode: &str) -> String {
    std::fs::read(events_file(mode)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Every rule that the command under test knows, beside the first two.
const RULES: [&str; 17] = [
    "exec-place",
    "exec-tool",
    "stdio-socket",
    "loader-env",
    "listen-port",
    "dns-direct",
    "metadata",
    "php-ini",
    "exec-unguarded",
    "fpm-socket",
    "namespace",
    "memory-write",
    "guard-memory",
    "exec-input",
    "ssrf",
    "script-write",
    "persistence",
];

/// Writes the configurations, with every rule in that mode.
pub fn configure(seccomp: &str) -> Result<(), String> {
    for mode in ["enforce", "audit"] {
        let log = format!("[log]\nsink = [\"file\"]\nfile = \"{}\"\nmerge = false\n", events_file(mode));
        let begin = |group: &str| format!("mode = \"{mode}\"\n{log}{group}[backstop]\nseccomp = \"{seccomp}\"\n");
        let path = config(mode);
        let check = |text: &str| {
            std::fs::write(&path, text).map_err(|error| error.to_string())?;
            let done = Command::new("/srv/bin/portcullis").args(["check", "--config", &path]).output();
            done.map_err(|error| format!("portcullis: {error}"))
        };
        // The group of the cases' user, which appends to the log; an older command does not know of it.
        let with_group = begin("group = \"www-data\"\n");
        let mut text = if check(&with_group)?.status.success() { with_group } else { begin("") };
        for rule in RULES {
            let more = format!("[rules.{rule}]\nmode = \"{mode}\"\n");
            // An older command does not know every rule.
            if check(&format!("{text}{more}"))?.status.success() {
                text.push_str(&more);
            }
        }
        // Of one of two virtual hosts nothing is looked at.
        let _ = write!(
            text,
            "[exec]\nallow = [\"default\", \"/srv/bin/hop *\", \"/srv/bin/view *\"]\n\
             [[vhost]]\nname = \"strict\"\nmatch = {{ server_name = [\"strict\"] }}\n\
             [[vhost]]\nname = \"lax\"\nmatch = {{ server_name = [\"lax\"] }}\nmode = \"off\"\n"
        );
        let done = check(&text)?;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
    }
    Ok(())
}

/// The three actors and the listeners.
pub struct Oracle {
    listeners: Listeners,
    actors: Vec<Actor>,
    is_supervised: bool,
}

impl Oracle {
    pub fn new(seccomp: &str) -> Result<Oracle, String> {
        configure(seccomp)?;
        let actors = ["bare", "enforce", "audit"].map(Actor::start).into_iter().collect::<Result<_, _>>()?;
        Ok(Oracle { listeners: Listeners::new()?, actors, is_supervised: seccomp == "supervise" })
    }

    fn run(&mut self, which: usize, case: &Case, is_awaited: bool) -> Outcome {
        world::clear();
        for step in &case.steps {
            world::prepare(step);
        }
        self.listeners.arrived();
        let Some(actor) = self.actors.get_mut(which) else { return Outcome::default() };
        actor.events();
        let status = actor.perform(&case.write()).unwrap_or_else(|| {
            // The actor itself did not outlive the case.
            if let Ok(new) = Actor::start(actor.mode) {
                *actor = new;
            }
            -2
        });
        let mut events = actor.events();
        // What a supervisor writes may come a moment later.
        if self.is_supervised && which > 0 && events.is_empty() && is_awaited {
            std::thread::sleep(Duration::from_millis(50));
            events = actor.events();
        }
        let lines = |path: &str| {
            let bytes = std::fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (opened, results) = lines(RESULT).into_iter().partition::<Vec<_>, _>(|line| line == "opened a port");
        Outcome {
            status,
            results,
            view: normal(lines(VIEW), case.has_own_mounts()),
            arrived: self.listeners.arrived(),
            shell: std::fs::metadata(MARK).is_ok_and(|found| found.len() > 0),
            opened: !opened.is_empty(),
            events,
        }
    }

    /// Does a case three times; what is wrong, and all that was seen.
    pub fn judge(&mut self, case: &Case) -> (Vec<String>, [Outcome; 3]) {
        let bare = self.run(0, case, false);
        let is_awaited = KINDS.iter().any(|kind| bare.did(kind));
        let [enforce, audit] = [1, 2].map(|which| self.run(which, case, is_awaited));
        let all = [bare, enforce, audit];
        let [bare, enforce, audit] = &all;
        let mut wrong = Vec::new();
        // What libc itself faults on (argv that is NULL, where it looks for a shell) has no result to compare.
        let is_compared = !case.is_race && bare.status != libc::SIGSEGV;
        for kind in KINDS {
            if enforce.did(kind) {
                let event = if enforce.has_event_of(kind) { "with an event" } else { "without an event" };
                wrong.push(format!("enforce: {kind} got through {event}"));
            } else if bare.did(kind) && enforce.events.is_empty() {
                wrong.push(format!("enforce: {kind} did not get through, without an event"));
            }
            if (bare.did(kind) || audit.did(kind)) && !audit.has_event_of(kind) {
                wrong.push(format!("audit: {kind} without an event"));
            }
            if bare.did(kind) != audit.did(kind) && is_compared {
                wrong.push(format!("audit: {kind} {} bare, {} in audit", bare.did(kind), audit.did(kind)));
            }
        }
        if case.events.is_some_and(|expected| expected != audit.events.len()) {
            wrong.push("audit: another number of events".to_owned());
        }
        if is_compared {
            let is_changed = bare.results != enforce.results
                || bare.view.is_empty() != enforce.view.is_empty()
                || bare.status != enforce.status;
            if is_changed && enforce.events.is_empty() {
                wrong.push("enforce: changed what happened, without an event".to_owned());
            }
            if bare.results != audit.results {
                wrong.push("audit: other results than bare".to_owned());
            }
            if bare.view != audit.view {
                wrong.push(format!("audit: the program saw otherwise: {}", labels(bare, audit)));
            }
            if bare.status != audit.status {
                wrong.push("audit: ended otherwise than bare".to_owned());
            }
            if bare.arrived != audit.arrived {
                wrong.push("audit: something else arrived than bare".to_owned());
            }
        }
        (wrong, all)
    }
}

/// What of a program's view is not the same.
fn labels(one: &Outcome, other: &Outcome) -> String {
    let only = |one: &Outcome, other: &Outcome| {
        one.view.iter().filter(|line| !other.view.contains(line)).cloned().collect::<Vec<_>>()
    };
    let lines = [only(one, other), only(other, one)].concat();
    let labels: std::collections::BTreeSet<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    labels.into_iter().collect::<Vec<_>>().join(", ")
}

/// A view without the guard's own variables, sorted: programs do not rely on the order. In mounts of its own, a program has the
/// descriptors of its sinks (docs/threat-model.md, what a started program sees).
fn normal(mut lines: Vec<String>, has_own_mounts: bool) -> Vec<String> {
    let number = |line: &str| line.strip_prefix("fd ")?.split(' ').next()?.parse::<u32>().ok();
    lines.retain(|line| !(has_own_mounts && number(line).is_some_and(|fd| fd >= 900)));
    const LIBRARY: &str = "/srv/bin/libportcullis.so";
    let mut lines: Vec<String> = lines
        .into_iter()
        .filter(|line| !line.starts_with("env PORTCULLIS_"))
        .filter_map(|line| match line.strip_prefix("env LD_PRELOAD=") {
            Some(value) => {
                let rest: Vec<&str> =
                    value.split([':', ' ']).filter(|part| !part.is_empty() && *part != LIBRARY).collect();
                (!rest.is_empty()).then(|| format!("env LD_PRELOAD={}", rest.join(":")))
            }
            None => Some(line),
        })
        .collect();
    lines.sort();
    lines
}
