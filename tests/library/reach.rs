//! The ways to a process's memory and to a namespace: bare, in audit and in enforce. Audit gives what the kernel gives, and an
//! event; enforce refuses exactly what audit logs.

use crate::build::{built, compile, enter, source};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What an event is expected to say where the call gets that far.
const MEMORY: [&str; 29] = [
    "open",
    "a file action",
    "open64",
    "__open",
    "__open64",
    "__open_2",
    "__open64_2",
    "openat",
    "openat64",
    "__openat_2",
    "__openat64_2",
    "creat",
    "creat64",
    "fopen",
    "fopen64",
    "freopen",
    "freopen64",
    "a symlink",
    "/dev/fd",
    "a folder's descriptor",
    "a relative path",
    "openat by number",
    "openat2 by number",
    "another mount of proc",
    "a bind mount of it",
    "process_vm_writev",
    "ptrace attach",
    "ptrace seize",
    "ptrace by number",
];
const NAMESPACE: [&str; 8] = [
    "unshare",
    "unshare by number",
    "unshare time",
    "setns",
    "setns by number",
    "clone",
    "clone by number",
    "clone3 by number",
];
const NEITHER: [&str; 15] = [
    "a file action to another file",
    "open to read",
    "open to read by number",
    "fopen to read",
    "another file of proc",
    "an ordinary file",
    "no file",
    "a wild pointer",
    "ptrace nothing",
    "ptrace traceme",
    "unshare files",
    "clone a process",
    "clone as vfork does",
    "clone a process by number",
    "clone3 a process",
];

struct Bench {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        enter();
        let made = |command: &[&str]| {
            assert!(Command::new(command[0]).args(&command[1..]).status().expect("mount").success(), "{command:?}");
        };
        std::fs::create_dir("/run/portcullis/proc").expect("a folder");
        made(&["mount", "-t", "proc", "proc", "/run/portcullis/proc"]);
        std::fs::write("/run/portcullis/file", "").expect("a file");
        // Of this test: any process's memory will do.
        made(&["mount", "--bind", &format!("/proc/{}/mem", std::process::id()), "/run/portcullis/file"]);
        let folder = crate::build::folder();
        let program = compile(&source("reach.c"), folder.path(), "reach", &[]);
        Bench { folder, program }
    }

    fn bare(&self, way: &str) -> String {
        said(Command::new(&self.program).arg(way))
    }

    /// What the way gives in a mode, and the rules and outcomes of its events.
    fn guarded(&self, way: &str, mode: &str, more: &str) -> (String, Vec<(String, String)>) {
        let events = self.folder.path().join("events.jsonl");
        let _ = std::fs::remove_file(&events);
        let config = self.folder.path().join("config.toml");
        let rules = ["process-memory", "namespace"].map(|rule| {
            let more = if rule == "namespace" { more } else { "" };
            format!("[rules.{rule}]\nmode = \"{mode}\"\n{more}")
        });
        let sink = format!("[log]\nsink = [\"file\"]\nfile = \"{}\"\n", events.display());
        std::fs::write(&config, sink + &rules.concat()).expect("a file");
        let mut command = Command::new(built().join("portcullis"));
        command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&self.program).arg(way);
        (said(&mut command), rules_of(&events))
    }
}

fn said(command: &mut Command) -> String {
    let done = command.output().expect("a program");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).expect("text")
}

fn rules_of(events: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(events).unwrap_or_default();
    let of = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let word = |path: &str| event.pointer(path).and_then(|word| word.as_str()).unwrap_or_default().to_owned();
        (word("/rule/id"), word("/event/outcome"))
    };
    text.lines().map(of).collect()
}

#[test]
fn audit_sees_each_way_and_enforce_refuses_it() {
    let bench = Bench::new();
    let ways = MEMORY.map(|way| (way, "process-memory", "no Operation not permitted"));
    let spaces = NAMESPACE.map(|way| (way, "namespace", "no Operation not permitted"));
    for (way, rule, denied) in ways.into_iter().chain(spaces) {
        let bare = bench.bare(way);
        assert!(bare.starts_with("yes "), "{way}: the kernel gives {bare}");
        let event = |outcome: &str| vec![(rule.to_owned(), outcome.to_owned())];
        assert_eq!(bench.guarded(way, "audit", ""), (bare, event("success")), "{way}");
        let is_open = rule == "process-memory" && !way.contains("ptrace") && !way.contains("writev");
        let denied = if is_open { "no Permission denied" } else { denied };
        assert_eq!(bench.guarded(way, "enforce", ""), (denied.to_owned(), event("failure")), "{way}");
    }
}

#[test]
fn what_only_looks_like_it_is_silent() {
    let bench = Bench::new();
    for way in NEITHER {
        let bare = bench.bare(way);
        for mode in ["audit", "enforce"] {
            assert_eq!(bench.guarded(way, mode, ""), (bare.clone(), vec![]), "{mode}: {way}");
        }
    }
}

/// Flags that cannot be read are none that are harmless: the policy decides it.
#[test]
fn unreadable_flags_are_unknown() {
    let bench = Bench::new();
    let way = "clone3 of nothing";
    let event = |outcome: &str| vec![("namespace".to_owned(), outcome.to_owned())];
    assert_eq!(bench.guarded(way, "audit", ""), (bench.bare(way), event("success")));
    assert_eq!(bench.guarded(way, "enforce", ""), ("no Operation not permitted".to_owned(), event("failure")));
}

/// A program that `allow` names by its path may enter namespaces.
#[test]
fn a_program_that_is_allowed_enters_namespaces() {
    let bench = Bench::new();
    let allow = |path: &str| format!("allow = [\"{path}\"]\n");
    let own = bench.program.to_str().expect("a path");
    for (path, is_let) in [(own, true), ("/srv/*/reach", true), ("/usr/bin/reach", false), ("/srv/*", false)] {
        let (answer, events) = bench.guarded("unshare", "enforce", &allow(path));
        assert_eq!((answer.starts_with("yes"), events.is_empty()), (is_let, is_let), "{path}");
    }
}
