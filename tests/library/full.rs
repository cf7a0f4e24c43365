//! A full disk cuts an event; the next one that has room begins a line of its own.

use crate::build::{built, compile, enter, source};
use std::process::Command;

#[test]
fn an_event_behind_a_cut_one_has_its_own_line() {
    enter();
    let folder = crate::build::folder();
    let program = compile(&source("full.c"), folder.path(), "full", &[]);
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    // In this thread's own mounts.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "none"]).arg(&disk).status();
    assert!(mounted.expect("mount").success());
    let (config, log, filler) = (folder.path().join("config.toml"), disk.join("events.jsonl"), disk.join("filler"));
    std::fs::write(&filler, [0; 8192]).expect("a file");
    std::fs::write(&log, [&[b' '; 8091][..], b"\n"].concat()).expect("a file");
    std::fs::write(&config, format!("mode = \"audit\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n", log.display()))
        .expect("a file");
    let mut command = Command::new(built().join("portcullis"));
    command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&program).arg(&filler);
    let done = command.output().expect("a program");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "0\n0\n0\n0\n");
    let text = std::fs::read_to_string(&log).expect("a log");
    Command::new("umount").arg(&disk).status().expect("umount");
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(lines[0].len(), 100, "{lines:#?}");
    for (line, port) in lines[1..].iter().zip([4448, 4449]) {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(event["destination"]["port"], port, "{event:#}");
    }
    let last: serde_json::Value = serde_json::from_str(lines[2]).expect("JSON");
    assert_eq!(last["portcullis"]["dropped"], 2, "{last:#}");
}
