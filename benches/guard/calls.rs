//! One call: instructions under callgrind, and nanoseconds.

use crate::harness::Place;
use crate::spread;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles benches/guard/c/calls.c.
pub fn program(place: &Place) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guard/c/calls.c");
    let output = place.join("calls");
    assert!(Command::new("cc").arg("-O2").arg("-o").arg(&output).arg(source).status().expect("cc").success());
    output
}

/// A policy: how many virtual hosts it has, and whether repeated events are merged.
type Policy = (u32, bool);

/// Loads the guard into a command that serves a request, with a policy that logs to /dev/null.
pub fn guard(place: &Place, command: &mut Command, (vhosts, merge): Policy) {
    let policy = place.join(&format!("policy-{vhosts}-{merge}"));
    if !policy.exists() {
        let mut text = format!(
            "[log]\nsink = [\"file\"]\nfile = \"/dev/null\"\nmerge = {merge}\n[egress]\nallow = [\"192.88.1.0/24:5555\"]\n",
        );
        for number in 0..vhosts {
            text += &format!("[[vhost]]\nname = \"h{number}\"\nmatch = {{ document_root = \"/srv/h{number}\" }}\n");
        }
        let config = place.write("calls.toml", &text);
        let done = place.portcullis().arg("compile").arg("--config").arg(config).arg("-o").arg(&policy).output();
        assert!(done.expect("portcullis").status.success());
    }
    command.env("LD_PRELOAD", place.library());
    // The variable of src/context.rs.
    command.env("PORTCULLIS_CONTEXT", format!("1;s;0;0;0;0:0;{};bench", policy.display()));
}

/// Instructions that the program executes with `count` calls.
fn instructions(place: &Place, calls: &Path, kind: &str, count: u32, guarded: Option<Policy>) -> f64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(calls).args([kind, &count.to_string()]);
    if let Some(policy) = guarded {
        guard(place, &mut command, policy);
    }
    let done = command.output().expect("valgrind");
    let text = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{text}");
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1)).expect("a count");
    collected.trim().parse().expect("a number")
}

/// Nanoseconds of one call.
pub fn nanoseconds(place: &Place, calls: &Path, kind: &str, count: u32, guarded: Option<Policy>) -> f64 {
    let mut command = Command::new(calls);
    command.args([kind, &count.to_string()]);
    if let Some(policy) = guarded {
        guard(place, &mut command, policy);
    }
    let done = command.output().expect("the program");
    assert!(done.status.success());
    String::from_utf8_lossy(&done.stdout).trim().parse().expect("a number")
}

pub fn run() {
    let place = Place::new();
    let calls = program(&place);
    println!("A call (instructions in user space under callgrind; nanoseconds, median of 7 pairs)\n");
    println!("| call | instructions bare | guarded | added | ns bare | ns guarded | ratio |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, kind, vhosts, few, many, timed) in [
        ("connect, common port", "common-port", 10, 100, 1100, 200_000),
        ("connect, local range", "local-range", 10, 100, 1100, 200_000),
        ("connect, allowlist", "allowlist", 10, 100, 1100, 200_000),
        ("connect, audited", "audited", 10, 10, 110, 5_000),
        ("connect, audited and merged", "audited", 10, 100, 1100, 50_000),
        ("read that is nobody's business", "read", 10, 100, 1100, 500_000),
        ("send and recv without an address", "send", 10, 100, 1100, 100_000),
        ("sendto a local address, and recv", "sendto", 10, 100, 1100, 100_000),
        ("sendmsg without an address, and recv", "sendmsg", 10, 100, 1100, 100_000),
        ("sendmsg to a local address, and recv", "sendmsg-to", 10, 100, 1100, 100_000),
        ("dup2 onto a high number", "dup2", 10, 100, 1100, 200_000),
        ("socket, bind to no port, close", "bind", 10, 100, 1100, 50_000),
        ("getaddrinfo of localhost", "getaddrinfo", 10, 10, 110, 5_000),
        ("syscall(2) that is nobody's business", "syscall", 10, 100, 1100, 500_000),
        ("FastCGI request, 10 virtual hosts", "fastcgi", 10, 10, 110, 20_000),
        ("FastCGI request, 10,000 virtual hosts", "fastcgi", 10_000, 10, 110, 20_000),
        ("posix_spawn, allowed", "exec", 10, 10, 60, 500),
        ("posix_spawn, audited", "exec-audited", 10, 10, 60, 500),
    ] {
        let per_call = |guarded| {
            let grown =
                instructions(&place, &calls, kind, many, guarded) - instructions(&place, &calls, kind, few, guarded);
            grown / f64::from(many - few)
        };
        // Of an event each, or of the many that are like one.
        let policy = (vhosts, name.ends_with("merged"));
        let (bare, guarded) = (per_call(None), per_call(Some(policy)));
        let (mut bare_ns, mut guarded_ns, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..7 {
            let pair = [None, Some(policy)].map(|guarded| nanoseconds(&place, &calls, kind, timed, guarded));
            bare_ns.push(pair[0]);
            guarded_ns.push(pair[1]);
            ratios.push(pair[1] / pair[0]);
        }
        println!(
            "| {name} | {bare:.0} | {guarded:.0} | {:.0} | {:.0} | {:.0} | {:.2} |",
            guarded - bare,
            spread(&mut bare_ns).1,
            spread(&mut guarded_ns).1,
            spread(&mut ratios).1
        );
    }
    println!();
}
