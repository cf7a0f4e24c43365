//! A seccomp filter of one thread is that thread's, and of what it makes; what other threads do has its events.

use crate::build::{built, compile, enter, source};
use std::process::Command;

fn said(command: &mut Command) -> String {
    let done = command.output().expect("a program");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).expect("text")
}

#[test]
fn a_filter_is_the_thread_s_that_loads_it() {
    enter();
    let folder = crate::build::folder();
    let program = compile(&source("confined_thread.c"), folder.path(), "confined_thread", &[]);
    let (config, log) = (folder.path().join("config.toml"), folder.path().join("events.jsonl"));
    for backstop in ["off", "supervise"] {
        let text = format!(
            "mode = \"audit\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[backstop]\nseccomp = \"{backstop}\"\n",
            log.display()
        );
        std::fs::write(&config, text).expect("a file");
        for word in ["one", "parent", "all"] {
            let _ = std::fs::remove_file(&log);
            let bare = said(Command::new(&program).arg(word));
            let mut command = Command::new(built().join("portcullis"));
            command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&program).arg(word);
            // Nobody is killed.
            assert_eq!(said(&mut command), bare, "{backstop}, {word}");
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let events: Vec<serde_json::Value> =
                text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let seen: Vec<u64> =
                (4450..=4457).filter(|port| events.iter().any(|event| event["destination"]["port"] == *port)).collect();
            // What is confined cannot write; of the rest nothing is missing.
            let wanted: &[u64] = if word == "all" { &[] } else { &[4451, 4452, 4453, 4454, 4455, 4457] };
            assert_eq!(seen, wanted, "{backstop}, {word}: {bare}");
        }
    }
}
