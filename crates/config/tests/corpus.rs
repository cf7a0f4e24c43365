//! What the fuzzer found worth keeping, replayed.
#![allow(clippy::disallowed_methods)]

#[path = "../../../fuzz/fuzz_targets/shell.rs"]
mod shell;

use portcullis_config::{Config, compile, parse_text};
use portcullis_policy::address::internet;
use portcullis_policy::command::{TOKEN_MAX, Tokens};
use portcullis_policy::exec::ExecutedProgram;
use portcullis_policy::{GLOBAL_SCOPE, Outcome, Policy};
use shell::needs_a_shell;
use std::path::Path;

/// Calls `each` with every file of a target's corpus.
fn corpus(target: &str, mut each: impl FnMut(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        each(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
        count += 1;
    }
    assert!(count > 20, "{target}: {count}");
}

#[test]
fn configurations() {
    let mut compiled = 0;
    corpus("configuration", |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let loaded = parse_text(Path::new("/etc/portcullis/portcullis.toml"), text);
        for diagnostic in &loaded.diagnostics {
            assert!(diagnostic.span.start <= text.len() && !diagnostic.render(false).is_empty());
        }
        if loaded.usable() {
            assert!(Policy::new(&compile(&loaded.config)).is_ok());
            compiled += 1;
        }
    });
    assert!(compiled > 0);
}

#[test]
fn commands() {
    let bytes = compile(&Config::default());
    let policy = Policy::new(&bytes).expect("a policy");
    corpus("argv", |text| {
        let mut tokens = Tokens::new(text);
        let mut buffer = [0; TOKEN_MAX];
        while let Some(Ok(token)) = tokens.next(&mut buffer) {
            assert!(token.len() <= TOKEN_MAX);
        }
        let names: [&[u8]; 1] = [b"sh"];
        let program = ExecutedProgram {
            names: &names,
            own_names: 1,
            command: Some(text),
            path: b"/bin/sh",
            ..ExecutedProgram::default()
        };
        if policy.decide_exec(GLOBAL_SCOPE, &program).outcome == Outcome::Allow {
            assert!(!needs_a_shell(text), "{}", String::from_utf8_lossy(text));
        }
    });
}

#[test]
fn addresses() {
    corpus("sockaddr", |bytes| {
        for len in 0..=bytes.len() {
            assert!(internet(bytes, len).is_none() || len >= 16);
        }
    });
}
