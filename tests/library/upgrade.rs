//! An upgrade while a server serves: the process keeps the library that it was started with, and what it starts loads the one that
//! has taken its place. Nothing that they do changes in audit, and nothing is let go in enforce.

use crate::build::{built, compile, enter, folder, library, source};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library of the version before this one (scripts/earlier).
fn earlier() -> PathBuf {
    built().parent().expect("a parent").join("earlier/libportcullis.so")
}

/// Runs `program` in a shell that serves with one library, after another has taken its place as a package puts it there; what the
/// program prints, and its events: rule, outcome, state of the request and programs that led to it.
fn upgraded(place: &Path, mode: &str, libraries: [&Path; 2], program: &Path) -> (String, Vec<[String; 4]>) {
    let [loaded, new, config, policy, log] =
        ["libportcullis.so", "new", "config.toml", "policy", "events.jsonl"].map(|name| place.join(name));
    let _ = std::fs::remove_file(&log);
    let _ = std::fs::remove_file(&loaded);
    std::fs::copy(libraries[0], &loaded).expect("a library");
    std::fs::copy(libraries[1], &new).expect("a library");
    let text = format!("mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nmerge = false\nfile = \"{}\"\n", log.display());
    std::fs::write(&config, text + "[rules.exec-tool]\nmode = \"off\"\n").expect("a file");
    let mut compile = Command::new(built().join("portcullis"));
    let compiled =
        compile.args(["compile", "--config"]).arg(&config).arg("-o").arg(&policy).output().expect("portcullis");
    assert!(compiled.status.success(), "{compiled:?}");
    let script = format!("mv {} {} && {} child; true", new.display(), loaded.display(), program.display());
    // A process that serves, in the form that every version reads (crates/request/src/context.rs).
    let context = format!("1;s;0;0;0;0:0;{};server", policy.display());
    let done = Command::new("/bin/sh")
        .args(["-c", &script])
        .env("LD_PRELOAD", &loaded)
        .env("PORTCULLIS_CONTEXT", context)
        .output()
        .expect("a shell");
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let word = |event: &Value, path: &str| match event.pointer(path) {
        Some(Value::String(word)) => word.clone(),
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" > "),
        other => other.map(Value::to_string).unwrap_or_default(),
    };
    let paths = ["/rule/id", "/event/outcome", "/portcullis/role", "/portcullis/unknown"];
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let events = events.map(|event| paths.map(|path| word(&event, path))).collect();
    (String::from_utf8_lossy(&done.stdout).into_owned(), events)
}

#[test]
fn a_server_and_what_it_starts_may_have_different_versions() {
    enter();
    let folder = folder();
    let place = folder.path();
    if !earlier().exists() {
        return eprintln!("skipped: no {}; scripts/earlier builds it", earlier().display());
    }
    let act = source("act.c");
    let program = compile(&source("elsewhere.c"), place, "elsewhere", &[act.to_str().expect("a path")]);
    let bare = Command::new(&program).arg("child").output().expect("the program");
    let bare = String::from_utf8_lossy(&bare.stdout).into_owned();
    assert_eq!(bare.lines().count(), 4, "{bare}");
    let (old, new) = (earlier(), library());
    for libraries in [[old.as_path(), new.as_path()], [new.as_path(), old.as_path()]] {
        for (mode, outcome) in [("audit", "success"), ("enforce", "failure")] {
            let (said, events) = upgraded(place, mode, libraries, &program);
            let context = format!("{libraries:?}, {mode}: {said} {events:?}");
            let rules: Vec<&str> = events.iter().map(|event| event[0].as_str()).collect();
            assert_eq!(rules, ["egress-port", "egress-port", "shell-spawn", "shell-spawn"], "{context}");
            assert!(events.iter().all(|event| event[1] == outcome && event[2] == "descendant"), "{context}");
            if mode == "audit" {
                assert_eq!(said, bare, "{context}");
            } else {
                let refused = format!(" -1 {}", libc::EACCES);
                assert!(said.lines().count() == 4 && said.lines().all(|line| line.ends_with(&refused)), "{context}");
            }
        }
    }
}
