//! The differential fuzzer of fuzz/differential: what the kernel lets reach a listener or start a shell has a verdict, and audit
//! changes nothing. First its corpus, then new cases: a minute of the same ones in CI, half an hour of others in the long form.

use crate::harness::built;
use crate::is_long;
use std::path::Path;
use std::process::Command;

fn fuzz(seccomp: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target/differential");
    let done = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path", "fuzz/differential/Cargo.toml"])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &target)
        .status();
    assert!(done.expect("cargo").success());
    let mut command = Command::new(target.join("release/differential"));
    command.arg("--library").arg(built().join("libportcullis.so")).arg("--command").arg(built().join("portcullis"));
    command.arg("--corpus").arg(root.join("fuzz/differential/corpus")).arg("--found").arg(target.join("found"));
    command.args(["--seccomp", seccomp]);
    if is_long() {
        command.args(["--seconds", "1800"]);
    } else {
        command.args(["--seconds", "60", "--seed", "19"]);
    }
    let done = command.output().expect("the fuzzer");
    let said = String::from_utf8_lossy(&done.stdout);
    println!("{said}");
    assert!(done.status.success(), "{seccomp}: {said}{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn the_hooks_alone() {
    fuzz("off");
}

#[test]
fn with_the_supervisor() {
    fuzz("supervise");
}
