//! posix_spawn with any list of file actions: the new program finds what it finds without the guard, and where an action fails
//! nothing is started and nothing judged.

use crate::build::{built, compile, enter, source};
use serde_json::Value;
use std::os::unix::fs::{chown, symlink};
use std::path::PathBuf;
use std::process::Command;

struct Case {
    _folder: tempfile::TempDir,
    program: PathBuf,
    place: PathBuf,
    log: PathBuf,
}

impl Case {
    fn new() -> Case {
        enter();
        let folder = crate::build::folder();
        let program = compile(&source("actions.c"), folder.path(), "actions", &[]);
        let place = folder.path().join("place");
        for below in ["", "a", "a/a", "a/b", "b", "b/a", "b/b"] {
            let below = place.join(below);
            std::fs::create_dir_all(&below).expect("a folder");
            std::fs::write(below.join("file"), "text").expect("a file");
            symlink(&program, below.join("program")).expect("a link");
        }
        let log = folder.path().join("events.jsonl");
        Case { _folder: folder, program, place, log }
    }

    fn said(command: &mut Command) -> String {
        let done = command.env_remove("LD_PRELOAD").output().expect("a program");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).expect("text")
    }

    fn bare(&self, way: &str) -> String {
        Case::said(Command::new(&self.program).arg(way).arg(&self.place))
    }

    fn guarded(&self, way: &str, mode: &str) -> (String, Vec<Value>) {
        let config = self.place.with_file_name("config.toml");
        let text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[rules.exec-place]\nmode = \"off\"\n[rules.stdio-socket]\nmode = \"{mode}\"\n",
            { self.log.display() }
        );
        std::fs::write(&config, text).expect("a file");
        let _ = std::fs::remove_file(&self.log);
        let mut command = Command::new(built().join("portcullis"));
        command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--");
        let said = Case::said(command.arg(&self.program).arg(way).arg(&self.place));
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        (said, text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn any_list_does_what_it_does_without_the_guard() {
    let case = Case::new();
    let bare = case.bare("any");
    let (started, failed): (Vec<_>, Vec<_>) = bare.lines().partition(|line| line.contains(": 0 700 "));
    assert!(started.len() > 100 && failed.len() > 100, "{} and {}", started.len(), failed.len());
    let long = started.iter().filter(|line| line.split(' ').count() > 100).count();
    assert!(long > 5, "{long}");
    for (mode, owner) in [("audit", 0), ("enforce", 0), ("audit", 33), ("enforce", 33)] {
        for folder in ["", "a", "a/a", "a/b", "b", "b/a", "b/b"] {
            chown(case.place.join(folder), Some(owner), None).expect("an owner");
        }
        let (said, events) = case.guarded("any", mode);
        assert_eq!(lines(&said), lines(&bare), "{mode}, of user {owner}");
        assert_eq!(events, Vec::<Value>::new(), "{mode}, of user {owner}");
    }
}

/// The word of `portcullis.unknown` of each event of `rule`.
fn unknowns<'a>(events: &'a [Value], rule: &str) -> Vec<Option<&'a str>> {
    let of = events.iter().filter(|event| event["rule"]["id"] == rule);
    of.map(|event| event["portcullis"]["unknown"].as_str()).collect()
}

#[test]
fn a_connection_is_found_behind_any_number_of_them() {
    let case = Case::new();
    let (said, events) = case.guarded("connection", "audit");
    assert_eq!(lines(&said), lines(&case.bare("connection")));
    assert_eq!(unknowns(&events, "stdio-socket"), [None]);
    let (said, events) = case.guarded("connection", "enforce");
    assert_eq!(said, "connection: 13 0\n");
    assert_eq!(unknowns(&events, "stdio-socket"), [None]);
}

#[test]
fn a_folder_by_a_descriptor_of_the_new_process_is_unknown() {
    let case = Case::new();
    let (said, _) = case.guarded("process", "audit");
    assert_eq!(lines(&said), lines(&case.bare("process")));
    let (said, events) = case.guarded("process", "enforce");
    assert_eq!(said, "process: 13 0\n");
    assert_eq!(unknowns(&events, "shell-spawn"), [Some("file-actions")]);
}
