//! fcntl, which is variadic: it says of every command what it says bare, by each of its names; and what it puts on standard input is
//! judged as what dup puts there.

use crate::build::{built, compile, enter, source};
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: [&str; 6] = ["fcntl", "fcntl64", "__fcntl", "old", "new", "syscall"];

fn said(command: &mut Command, folder: &Path) -> String {
    let done = command.current_dir(folder).output().expect("a program");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).expect("text")
}

fn guarded(folder: &Path, mode: &str, program: &PathBuf) -> Command {
    let config = folder.join(format!("{mode}.toml"));
    let text = format!(
        "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\nmerge = false\n[rules]\nlisten-port = {{ mode = \"off\" }}\n",
        folder.join("events.jsonl").display()
    );
    std::fs::write(&config, text).expect("a file");
    let mut command = Command::new(built().join("portcullis"));
    command.args(["run", "--role", "serving", "--config"]).arg(config).arg("--").arg(program);
    command
}

#[test]
fn every_command_does_what_it_does_bare() {
    enter();
    let folder = crate::build::folder();
    let program = compile(&source("fcntl.c"), folder.path(), "fcntl", &[]);
    let bare = said(&mut Command::new(&program), folder.path());
    assert!(bare.lines().count() > 300, "{bare}");
    for mode in ["audit", "enforce"] {
        let seen = said(&mut guarded(folder.path(), mode, &program), folder.path());
        let differ = bare.lines().zip(seen.lines()).filter(|(bare, seen)| bare != seen);
        assert_eq!(seen, bare, "{mode}: {:#?}", differ.collect::<Vec<_>>());
    }
}

#[test]
fn a_connection_on_standard_input_is_judged() {
    enter();
    let folder = crate::build::folder();
    let program = compile(&source("fcntl.c"), folder.path(), "fcntl", &[]);
    let log = folder.path().join("events.jsonl");
    for name in NAMES {
        let words = ["standard", name];
        assert_eq!(said(Command::new(&program).args(words), folder.path()), "0 0, 0\n", "{name}");
        for (mode, says, outcome) in [("audit", "0 0, 0\n", "success"), ("enforce", "-1 13, -1\n", "failure")] {
            let _ = std::fs::remove_file(&log);
            assert_eq!(said(guarded(folder.path(), mode, &program).args(words), folder.path()), says, "{mode}: {name}");
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let events: Vec<(String, String)> = text
                .lines()
                .map(|line| {
                    let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
                    let word = |at: &str| event.pointer(at).and_then(|word| word.as_str()).unwrap_or("").to_owned();
                    (word("/rule/id"), word("/event/outcome"))
                })
                .collect();
            assert_eq!(events, [("stdio-socket".to_owned(), outcome.to_owned())], "{mode}: {name}");
        }
    }
}
