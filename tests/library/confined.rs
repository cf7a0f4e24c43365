//! A program that forbids itself system calls by seccomp, on pain of its life: the guard makes none of those in it.

use crate::build::{built, compile, enter, source};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// The filter's action, how it is loaded, what it lets beside write and exit, and what the program does then.
const CASES: [[&str; 4]; 28] = [
    ["kill", "prctl", "nothing", "_exit"],
    ["kill", "seccomp", "nothing", "exit"],
    ["kill", "number", "nothing", "_exit"],
    ["thread", "prctl", "nothing", "_exit"],
    ["trap", "prctl", "nothing", "exit"],
    ["kill", "prctl", "sendto", "sendto"],
    ["trap", "seccomp", "sendto", "sendto"],
    ["kill", "prctl", "connect", "connect"],
    ["thread", "seccomp", "connect", "connect"],
    ["trap", "number", "connect", "connect"],
    ["kill", "prctl", "bind", "bind"],
    ["kill", "prctl", "listen", "listen"],
    ["kill", "prctl", "execve", "execve"],
    ["kill", "prctl", "openat", "openat"],
    ["kill", "prctl", "dup2", "dup2"],
    ["kill", "prctl", "prctl", "refused filter"],
    ["kill", "prctl", "all but one", "connect"],
    ["kill", "prctl", "all but one", "connect and send"],
    ["kill", "prctl", "all but shutdown", "connect"],
    ["kill", "prctl", "all but getpeername", "connect"],
    ["kill", "prctl", "all but fcntl", "connect and execve"],
    ["kill", "seccomp", "all but one", "sendto"],
    ["strict", "prctl", "nothing", "_exit"],
    ["strict", "seccomp", "nothing", "_exit"],
    // What the program itself may not do still ends it.
    ["kill", "prctl", "nothing", "forbidden"],
    ["trap", "prctl", "nothing", "forbidden"],
    ["strict", "prctl", "nothing", "forbidden"],
    ["kill", "prctl", "nothing", "connect"],
];

struct Bench {
    folder: tempfile::TempDir,
    program: PathBuf,
    empty: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        enter();
        let folder = crate::build::folder();
        let program = compile(&source("confined.c"), folder.path(), "confined", &[]);
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "").expect("a file");
        std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        Bench { folder, program, empty }
    }

    fn guarded(&self, mode: &str, backstop: &str, case: &[&str]) -> (String, Vec<serde_json::Value>) {
        let (config, log) = (self.folder.path().join("config.toml"), self.folder.path().join("events.jsonl"));
        let _ = std::fs::remove_file(&log);
        let text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[rules.listen-port]\nmode = \"{mode}\"\n\
             [backstop]\nseccomp = \"{backstop}\"\n",
            log.display()
        );
        std::fs::write(&config, text).expect("a file");
        let mut command = Command::new(built().join("portcullis"));
        command
            .args(["run", "--role", "serving", "--config"])
            .arg(&config)
            .arg("--")
            .arg(&self.program)
            .args(case)
            .arg(&self.empty);
        let said = said(&mut command);
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        (said, text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }
}

fn said(command: &mut Command) -> String {
    let done = command.output().expect("a program");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).expect("text")
}

/// How many connections to a port the events stand for.
fn connections(events: &[serde_json::Value], port: u64) -> u64 {
    let of = events.iter().filter(|event| event["destination"]["port"] == port);
    of.map(|event| event["portcullis"]["repeated"].as_u64().unwrap_or(1)).sum()
}

#[test]
fn audit_ends_no_program_that_ends_without_it_in_another_way() {
    let bench = Bench::new();
    let mut seen = Vec::new();
    for case in CASES {
        let bare = said(Command::new(&bench.program).args(case).arg(&bench.empty));
        // A process that has a filter cannot take the strict mode (prctl(2)), whoever gave it that.
        let backstops: &[&str] = if case[0] == "strict" { &["off"] } else { &["off", "supervise"] };
        for &backstop in backstops {
            let (audit, events) = bench.guarded("audit", backstop, &case);
            assert_eq!(audit, bare, "{backstop}: {case:?}");
            let dropped = events.last().and_then(|event| event["portcullis"]["dropped"].as_u64());
            seen.push((case, backstop, connections(&events, 4447), dropped, events));
        }
    }
    for (case, backstop, connections, dropped, events) in &seen {
        let all = || format!("{backstop}: {case:?}: {events:#?}");
        match (case[2], case[3]) {
            // What is sent on a connected UDP socket, and who inherits it, has an event beside the connect's.
            ("all but one" | "all but fcntl", "connect and send" | "connect and execve") => {
                assert!(*connections == 2 && *dropped == Some(0), "{}", all())
            }
            // What the filter lets the guard do it does. Where that cannot judge what is sent, the connect is judged.
            (lets, _) if lets.starts_with("all but") => assert!(*connections == 1 && *dropped == Some(0), "{}", all()),
            // The supervisor writes the event; a hook cannot, and counts it.
            ("sendto", "sendto") if *backstop == "supervise" => assert!(*connections == 1, "{}", all()),
            ("connect", "connect") | ("sendto", "sendto") => {
                assert!(*connections == 0 && *dropped == Some(1), "{}", all())
            }
            _ => {}
        }
    }
}

/// What cannot be judged without a system call is refused, and the program lives.
#[test]
fn enforce_refuses_without_a_system_call() {
    let bench = Bench::new();
    let denied = |what: i32| format!("13 ended {what}; 13\n");
    for backstop in ["off", "supervise"] {
        for (case, answer) in [
            (["kill", "prctl", "connect", "connect"], 13),
            (["trap", "seccomp", "connect", "connect"], 13),
            (["kill", "prctl", "sendto", "sendto"], 13),
            (["kill", "prctl", "bind", "bind"], 13),
            (["kill", "prctl", "all but one", "connect and send"], 13),
            (["kill", "prctl", "all but shutdown", "connect"], 13),
            (["kill", "prctl", "all but getpeername", "connect"], 13),
            (["kill", "prctl", "nothing", "_exit"], 58),
        ] {
            let (said, _) = bench.guarded("enforce", backstop, &case);
            assert_eq!(said, denied(answer), "{backstop}: {case:?}");
        }
    }
}
