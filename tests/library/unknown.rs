//! Everything that the guard may be unable to judge is made to happen: audit gives what the kernel gives, enforce refuses, and the
//! event says what could not be judged.

use crate::build::{built, compile, enter, source};
use portcullis_policy::{Rule, Unknown};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A way, the word of its events, and whether the supervisor has to judge it.
const WAYS: [(&str, Unknown, bool); 17] = [
    ("an option of the loader", Unknown::Arguments, false),
    ("a program without a folder for the loader", Unknown::Arguments, false),
    ("no free descriptor", Unknown::Program, false),
    ("a program that cannot be read", Unknown::Program, false),
    ("a path that is too long", Unknown::Path, false),
    ("an interpreter that cannot be read", Unknown::Interpreter, false),
    ("a text", Unknown::Format, false),
    ("an interpreter that is a text", Unknown::Format, false),
    ("a file action", Unknown::FileActions, false),
    ("a swapped program", Unknown::Replaced, false),
    ("fstat that fails", Unknown::Descriptor, false),
    ("getsockname that fails", Unknown::Socket, false),
    ("getsockopt that fails", Unknown::Socket, false),
    ("a system call of x32", Unknown::SystemCall, false),
    ("flags that cannot be read", Unknown::Namespace, false),
    ("half an address", Unknown::Address, true),
    ("memory that cannot be read", Unknown::Memory, true),
];

/// Those that other tests make happen, and which.
const ELSEWHERE: [(Unknown, &str); 4] = [
    (Unknown::Environment, "tests/servers/bypasses/spawn.rs"),
    (Unknown::Request, "tests/servers/bypasses/requests.rs"),
    (Unknown::Policy, "tests/servers/bypasses/policy.rs"),
    (Unknown::Route, "tests/servers/bypasses/routes.rs"),
];

struct Bench {
    folder: tempfile::TempDir,
    program: PathBuf,
    swap: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        enter();
        let folder = crate::build::folder();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("permissions");
        let program = compile(&source("unknown.c"), folder.path(), "unknown", &[]);
        let swap = compile(&source("swap.c"), folder.path(), "swap.so", &["-shared", "-fPIC"]);
        Bench { folder, program, swap }
    }

    /// What the way gives; in a folder of its own.
    fn said(&self, command: &mut Command, way: &str) -> String {
        let work = self.folder.path().join("work");
        // A folder in it may be deeper than a path can name.
        let removed = Command::new("rm").arg("-rf").arg(&work).status().expect("rm");
        assert!(removed.success());
        std::fs::create_dir(&work).expect("a folder");
        std::os::unix::fs::symlink("/bin/true", work.join("link")).expect("a link");
        let swap = (way == "a swapped program").then_some(("LD_PRELOAD", &self.swap));
        let done = command.arg(&self.program).arg(way).arg(&work).envs(swap).output().expect("a program");
        assert!(done.status.success(), "{way}: {done:?}");
        String::from_utf8(done.stdout).expect("text")
    }

    fn guarded(&self, way: &str, mode: &str, layer: &str) -> (String, Vec<(String, String)>) {
        let events = self.folder.path().join("events.jsonl");
        std::fs::write(&events, "").expect("a file");
        let config = self.folder.path().join("config.toml");
        let of = |rule: Rule| format!("[rules.{}]\nmode = \"{mode}\"\n", rule.word());
        let rules: String = Rule::ALL.into_iter().filter(|rule| *rule != Rule::ShellSpawn).map(of).collect();
        let rules = rules.replace("[rules.egress-port]", "[egress]");
        let text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[backstop]\nseccomp = \"{layer}\"\n{rules}",
            events.display()
        );
        std::fs::write(&config, text).expect("a file");
        // The supervisor too may not read what only a privileged process may.
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-sys_ptrace"]).arg(built().join("portcullis"));
        command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--");
        (self.said(&mut command, way), words_of(&events))
    }
}

/// What could not be judged, and the outcome, of each event that says so; none of them has an address that nobody knows.
fn words_of(events: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(events).unwrap_or_default();
    let of = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(!line.contains("0.0.0.0"), "{line}");
        let word = |path: &str| event.pointer(path).and_then(|word| word.as_str()).unwrap_or_default().to_owned();
        (word("/portcullis/unknown"), word("/event/outcome"))
    };
    text.lines().map(of).filter(|(word, _)| !word.is_empty()).collect()
}

#[test]
fn each_is_refused_in_enforce_and_let_go_in_audit() {
    let bench = Bench::new();
    for (way, what, is_supervised) in WAYS {
        let bare = bench.said(&mut Command::new("env"), way);
        let layer = if is_supervised { "supervise" } else { "off" };
        let (answer, events) = bench.guarded(way, "audit", layer);
        assert_eq!(answer, bare, "{way}");
        assert_eq!(events, [(what.word().to_owned(), "success".to_owned())], "{way}");
        let (answer, events) = bench.guarded(way, "enforce", layer);
        assert!(answer.starts_with("-1 ") || answer.starts_with("32256 "), "{way}: {answer}");
        assert_eq!(events, [(what.word().to_owned(), "failure".to_owned())], "{way}");
    }
}

/// What the kernel would not find is not unknown, even where nothing can be opened; a program of root's is what it is called.
#[test]
fn what_is_not_there_is_known() {
    let bench = Bench::new();
    for way in ["a program that is nowhere", "a program of root's that cannot be read"] {
        let bare = bench.said(&mut Command::new("env"), way);
        for (mode, layer) in [("audit", "off"), ("enforce", "off"), ("audit", "supervise"), ("enforce", "supervise")] {
            assert_eq!(bench.guarded(way, mode, layer), (bare.clone(), Vec::new()), "{way} {mode} {layer}");
        }
    }
}

/// None can be added without a test that makes it happen.
#[test]
fn there_is_a_way_to_each() {
    for what in Unknown::ALL {
        let is_here = WAYS.iter().any(|(_, of, _)| *of == what);
        let elsewhere = ELSEWHERE.iter().find(|(of, _)| *of == what).map(|(_, file)| *file);
        assert!(is_here != elsewhere.is_some(), "{what:?}");
        if let Some(file) = elsewhere {
            let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("the test");
            assert!(text.contains("portcullis.unknown"), "{what:?}: {file}");
            assert!(text.contains(&format!("\"{}\"", what.word())), "{what:?}: {file}");
        }
    }
}
