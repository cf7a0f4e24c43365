//! Limits of resources: in audit, what works bare works guarded, and every event is written or counted; in enforce, what is
//! refused is refused.

use crate::build::{built, compile, enter, source};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Bench {
    folder: tempfile::TempDir,
    program: PathBuf,
    log: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        enter();
        let folder = crate::build::folder();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("permissions");
        let program = compile(&source("limits.c"), folder.path(), "limits", &["-ldl"]);
        let log = folder.path().join("events.jsonl");
        Bench { folder, program, log }
    }

    fn bare(&self, words: &[&str]) -> String {
        said(Command::new(&self.program).args(words))
    }

    /// What the program says under the guard, and its events behind `filled` bytes.
    fn guarded(&self, mode: &str, filled: usize, words: &[&str]) -> (String, Vec<Value>) {
        let config = self.folder.path().join("config.toml");
        let text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nmerge = false\ngroup = \"61234\"\nfile = \"{}\"\n[rules.listen-port]\nmode = \"{mode}\"\n\
             [rules.stdio-socket]\nmode = \"{mode}\"\n[rules.process-memory]\nmode = \"{mode}\"\n",
            self.log.display()
        );
        std::fs::write(&config, text).expect("a file");
        std::fs::write(&self.log, "\n".repeat(filled)).expect("a file");
        let mut command = Command::new(built().join("portcullis"));
        command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&self.program);
        let said = said(command.args(words));
        (said, events(&self.log))
    }
}

fn said(command: &mut Command) -> String {
    // The guard needs memory for an environment that is large, where the kernel ends such a program.
    let done = command.env_clear().env("PATH", "/usr/bin:/bin").output().expect("a program");
    // What ld.so says where it has no memory or descriptors differs with what it would load.
    format!("{}{}\n", String::from_utf8_lossy(&done.stdout), done.status)
}

fn events(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("a log");
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The statuses of a program that the kernel or the loader could not begin.
const NEVER_BEGAN: [&str; 3] = ["11", "9", "32512"];

/// The lines in which two differ, beside how a program ended that never began.
fn differences(bare: &str, guarded: &str) -> Vec<String> {
    assert_eq!(bare.lines().count(), guarded.lines().count(), "{bare}\n{guarded}");
    let never = |line: &str| line.split(' ').nth(1).is_some_and(|status| NEVER_BEGAN.contains(&status));
    let lines = bare.lines().zip(guarded.lines());
    lines.filter(|(b, g)| b != g && !(never(b) && never(g))).map(|(b, g)| format!("{b} => {g}")).collect()
}

/// Of the program's own stream: how many events there should be, how many are there, and how many were dropped.
fn count(events: &[Value]) -> [u64; 3] {
    let last = events.last().expect("the last connection's event");
    assert_eq!(last["destination"]["port"], 4461, "{last:#}");
    let stream = |event: &Value| event["event"]["id"].as_str().and_then(|id| Some(id.split_once('-')?.0.to_owned()));
    let own = events.iter().filter(|event| stream(event) == stream(last)).count() as u64;
    let number = |at: &str| last.pointer(at).and_then(Value::as_u64).unwrap_or_else(|| panic!("{at}: {last:#}"));
    [number("/event/sequence"), own, number("/portcullis/dropped")]
}

/// Below 20 KiB of stack, no shell begins, and just above it only one with a short environment.
const LIMITS: [(&str, &[&str]); 11] = [
    ("as", &["0", "+0", "+4096", "+65536", "+262144", "+1048576"]),
    ("data", &["0", "+0", "+4096", "+65536", "+262144", "+1048576"]),
    ("nofile", &["0", "3", "+0", "+1", "+2", "+3", "+4"]),
    ("nproc", &["0", "+0", "+1", "+2"]),
    ("stack", &["0", "24576", "65536", "131072"]),
    ("memlock", &["0", "4096"]),
    ("sigpending", &["0", "1"]),
    ("msgqueue", &["0"]),
    ("fsize", &["0", "1", "4096"]),
    ("core", &["0"]),
    ("nice", &["0"]),
];

/// Calls `each` with the words of every limit.
fn each_limit(mut each: impl FnMut(&[&str])) {
    for (resource, limits) in LIMITS {
        for limit in limits.iter().flat_map(|limit| [(*limit).to_owned(), format!("{limit}:")]) {
            for threads in ["alone", "threads"] {
                each(&[resource, &limit, "default", threads]);
            }
        }
    }
}

#[test]
fn what_works_bare_works_guarded() {
    let bench = Bench::new();
    each_limit(|words| {
        let bare = bench.bare(words);
        let (guarded, events) = bench.guarded("audit", 0, words);
        let found = differences(&bare, &guarded);
        assert!(found.is_empty(), "{words:?}: {found:#?}");
        if words[1].ends_with(':') {
            let [all, there, dropped] = count(&events);
            assert_eq!(all, there + dropped, "{words:?}");
            assert!(all > 10, "{words:?}: {all}");
        }
    });
}

#[test]
fn what_is_refused_is_refused() {
    let bench = Bench::new();
    let free = ["core", "0", "default", "alone"];
    let (bare, (refused, _)) = (bench.bare(&free), bench.guarded("enforce", 0, &free));
    let refused: Vec<(usize, &str)> = bare
        .lines()
        .zip(refused.lines())
        .enumerate()
        .filter(|(_, (b, r))| b != r)
        .map(|(at, (b, _))| (at, b))
        .collect();
    assert!(refused.len() >= 12, "{refused:?}");
    each_limit(|words| {
        let (guarded, _) = bench.guarded("enforce", 0, words);
        let lines: Vec<&str> = guarded.lines().collect();
        for (at, done) in &refused {
            assert_ne!(lines[*at], *done, "{words:?}");
        }
    });
}

/// A write past the limit of a file's size brings a signal that ends a program.
#[test]
fn no_write_of_the_guards_brings_a_signal() {
    let bench = Bench::new();
    for (filled, limit) in [
        (0, "0"),
        (0, "0:"),
        (0, "700"),
        (9000, "0"),
        (9000, "9000:"),
        (9000, "9700:"),
        (9000, "9700"),
        (9000, "13000"),
        (9000, "13000:"),
    ] {
        for signal in ["default", "ignored", "handled", "blocked", "waiting"] {
            let words = ["fsize", limit, signal, "alone"];
            let bare = bench.bare(&words);
            let (guarded, events) = bench.guarded("audit", filled, &words);
            assert_eq!(differences(&bare, &guarded), [""; 0], "{words:?}");
            if limit.ends_with(':') {
                let [all, there, dropped] = count(&events);
                assert_eq!((all, dropped), (there, 0), "{words:?}");
            } else if filled < 9000 || limit != "13000" {
                // Whatever is there is whole.
                assert!(events.len() < 4, "{words:?}: {}", events.len());
            }
        }
    }
}
