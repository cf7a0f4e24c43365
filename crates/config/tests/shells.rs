//! Commands that are taken for simple are what real shells take them for: one program, these words, and no file.
#![allow(clippy::disallowed_methods)]

use portcullis_policy::command::{TOKEN_MAX, Tokens};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const SHELLS: [&str; 2] = ["/bin/dash", "/bin/bash"];

/// What a command begins with.
const BEGINS: [&str; 6] = ["p ", "p ", "p ", "exec p ", "exec\tp ", "exec "];

/// The pieces of a command behind its program; whole redirections among them, so that many commands are simple.
const PIECES: [&str; 42] = [
    " ",
    " ",
    " ",
    " ",
    " ",
    "\t",
    "2>&1",
    "2>&1",
    ">/dev/null",
    ">/dev/null",
    "2>/dev/null",
    "1>/dev/null",
    "</dev/null",
    "&>/dev/null",
    "&>/dev/null",
    "> /dev/null",
    "&> /dev/null",
    ">",
    "<",
    "&",
    "2>",
    "1>",
    "&>",
    ">&",
    ">|",
    "/dev/null",
    "/dev/null",
    "/..",
    "x",
    "y",
    "1",
    "2",
    "-",
    ";",
    "|",
    "'",
    "\"",
    "\\",
    "'x y'",
    "'>'",
    "x\\ y",
    "\n",
];

fn words(text: &str) -> Option<Vec<String>> {
    let mut tokens = Tokens::new(text.as_bytes());
    let mut buffer = [0; TOKEN_MAX];
    let mut out = Vec::new();
    while let Some(token) = tokens.next(&mut buffer) {
        out.push(String::from_utf8(token.ok()?.to_vec()).expect("text"));
    }
    Some(out)
}

/// What a shell runs: each program's words.
fn run(shell: &str, folder: &Path, text: &str) -> Vec<String> {
    let (log, work) = (folder.join("log"), folder.join("work"));
    let _ = std::fs::remove_file(&log);
    let mut command = Command::new(shell);
    // What it starts in the background holds the pipes, and so is waited for.
    command.args(["-c", text]).current_dir(&work).env("PATH", folder.join("bin")).env("LOG", &log);
    command.output().expect("a shell");
    assert_eq!(std::fs::read_dir(&work).expect("a folder").count(), 0, "{shell} made a file: {text:?}");
    std::fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_simple_command_is_one_program_with_these_words_and_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("work")).expect("a folder");
    std::fs::create_dir_all(folder.path().join("bin")).expect("a folder");
    // Whatever is run says so.
    let witness = "#!/bin/sh\nexec 2>&1\nline=$0\nfor word; do line=\"$line|$word\"; done\nprintf '%s\\n' \"${line##*/bin/}\" >>\"$LOG\"\n";
    for name in ["p", "x", "y", "1", "2", "-", "null", "xy", "x y"] {
        let path = folder.path().join("bin").join(name);
        std::fs::write(&path, witness).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("permissions");
    }
    let (simple, redirected, replaced) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 6000, failure_persistence: None, ..Config::default() });
    let begins = prop::sample::select(&BEGINS[..]);
    let texts = (begins, vec(prop::sample::select(&PIECES[..]), 0..7))
        .prop_map(|(begin, pieces)| format!("{begin}{}", pieces.concat()));
    let tested = runner.run(&texts, |text| {
        let Some(words) = words(&text) else { return Ok(()) };
        simple.set(simple.get() + 1);
        redirected.set(redirected.get() + usize::from(text.contains("/dev/null") || text.contains("2>&1")));
        replaced.set(replaced.get() + usize::from(text.starts_with("exec")));
        // A program that is not there runs nowhere.
        let is_there = words.first().is_some_and(|program| folder.path().join("bin").join(program).is_file());
        let wanted = if is_there { vec![words.join("|")] } else { Vec::new() };
        for shell in SHELLS {
            prop_assert_eq!(run(shell, folder.path(), &text), wanted.clone(), "{}: {:?}", shell, text);
        }
        Ok(())
    });
    tested.unwrap_or_else(|error| panic!("{error}"));
    assert!(
        simple.get() > 200 && redirected.get() > 50 && replaced.get() > 50,
        "{simple:?} {redirected:?} {replaced:?}"
    );
}
