//! The differential fuzzer of fuzz/differential: what the kernel lets reach a listener or start a shell has a verdict, and audit
//! changes nothing. In CI each case of its corpus, by itself, and the same generated ones each time; in the long form half an hour
//! of new ones.

use crate::harness::{built, own_root};
use crate::is_long;
use std::path::{Path, PathBuf};
use std::process::Command;

fn fuzzer() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target/differential");
    let done = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path", "fuzz/differential/Cargo.toml"])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &target)
        .status();
    assert!(done.expect("cargo").success());
    target.join("release/differential")
}

/// What the fuzzer says that it found.
fn found(fuzzer: &Path, seccomp: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(fuzzer);
    command.arg("--library").arg(built().join("libportcullis.so")).arg("--command").arg(built().join("portcullis"));
    let done = command.args(["--seccomp", seccomp]).args(arguments).output().expect("the fuzzer");
    let said = String::from_utf8_lossy(&done.stdout);
    (!done.status.success()).then(|| format!("{seccomp}: {said}{}", String::from_utf8_lossy(&done.stderr)))
}

fn fuzz(seccomp: &str) {
    let fuzzer = fuzzer();
    own_root(&[]);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/differential/corpus");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(&corpus).expect("the corpus").map(|entry| entry.expect("a case").path()).collect();
    cases.sort();
    assert!(cases.len() > 50, "the corpus is not there");
    let replayed =
        cases.iter().filter_map(|case| found(&fuzzer, seccomp, &["--replay", case.to_str().expect("a path")]));
    let failed: Vec<String> = replayed.collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let corpus = corpus.to_str().expect("a path");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/found");
    let long = ["--corpus", corpus, "--found", kept.to_str().expect("a path"), "--seconds", "1800"];
    let arguments = if is_long() { &long[..] } else { &["--seconds", "300", "--cases", "400", "--seed", "19"] };
    if let Some(said) = found(&fuzzer, seccomp, arguments) {
        panic!("{said}");
    }
}

#[test]
fn the_hooks_alone() {
    fuzz("off");
}

#[test]
fn with_the_supervisor() {
    fuzz("supervise");
}
