//! Calls counted in instructions, by callgrind: all that are executed, and the library's own among them. The library's own
//! hang on its code and the compiler alone; what libc's memcpy takes differs between processors.

use crate::harness::Place;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A policy to be measured with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// 10,000 virtual hosts and 100,000 networks, instead of 10 and one.
    pub big: bool,
    /// What the rules do.
    pub mode: &'static str,
    /// Whether repeated events are merged.
    pub merge: bool,
    /// Where events go.
    pub sink: &'static str,
}

/// Ten virtual hosts, `audit`, every event in a file.
pub const PLAIN: Policy = Policy { big: false, mode: "audit", merge: false, sink: "file" };
/// The same with 10,000 virtual hosts and 100,000 networks.
pub const BIG: Policy = Policy { big: true, ..PLAIN };

/// A kind of call.
pub struct Call {
    /// For people.
    pub name: &'static str,
    /// For benches/guard/c/calls.c.
    pub kind: &'static str,
    /// The policy.
    pub policy: Policy,
    /// How often it is made to be counted.
    pub counted: u32,
    /// How often to be timed.
    pub timed: u32,
}

const fn call(name: &'static str, kind: &'static str, policy: Policy, counted: u32, timed: u32) -> Call {
    Call { name, kind, policy, counted, timed }
}

/// What is measured.
pub const CALLS: [Call; 29] = [
    call("connect, common port", "common-port", PLAIN, 1000, 200_000),
    call("connect, local range", "local-range", PLAIN, 1000, 200_000),
    call("connect, allowlist", "allowlist", PLAIN, 1000, 200_000),
    call("connect, common port, 10,000 vhosts", "common-port", BIG, 1000, 200_000),
    call("connect, allowlist, 100,000 networks", "allowlist", BIG, 1000, 200_000),
    call("connect, another destination each", "spread", PLAIN, 1000, 200_000),
    call("the same, 100,000 networks", "spread", BIG, 1000, 200_000),
    call("connect, audited, event to a file", "audited", PLAIN, 100, 10_000),
    call("connect, audited, event to journald", "audited", Policy { sink: "journald", ..PLAIN }, 100, 10_000),
    call("connect, audited and merged", "audited", Policy { merge: true, ..PLAIN }, 1000, 50_000),
    call("connect, blocked, event to a file", "denied", Policy { mode: "enforce", ..PLAIN }, 100, 10_000),
    call("connect, blocked and merged", "denied", Policy { mode: "enforce", merge: true, ..PLAIN }, 1000, 50_000),
    call("read on an untracked descriptor", "read", PLAIN, 1000, 500_000),
    call("send and recv without an address", "send", PLAIN, 1000, 100_000),
    call("sendto a local address, and recv", "sendto", PLAIN, 1000, 100_000),
    call("sendmsg without an address, and recv", "sendmsg", PLAIN, 1000, 100_000),
    call("sendmsg to a local address, and recv", "sendmsg-to", PLAIN, 1000, 100_000),
    call("dup2 onto a high number", "dup2", PLAIN, 1000, 200_000),
    call("fcntl that copies nothing", "fcntl", PLAIN, 1000, 500_000),
    call("socket, bind to no port, close", "bind", PLAIN, 1000, 50_000),
    call("open to read, close", "open-read", PLAIN, 1000, 200_000),
    call("open to write, close", "open-write", PLAIN, 1000, 200_000),
    call("getaddrinfo of localhost", "getaddrinfo", PLAIN, 100, 5_000),
    call("syscall(2) of an untracked call", "syscall", PLAIN, 1000, 500_000),
    call("FastCGI request, 10 virtual hosts", "fastcgi", PLAIN, 100, 20_000),
    call("FastCGI request, 10,000 virtual hosts", "fastcgi", BIG, 100, 20_000),
    call("posix_spawn, allowed", "exec", PLAIN, 50, 500),
    call("posix_spawn, allowed, 10,000 vhosts", "exec", BIG, 50, 500),
    call("posix_spawn, audited", "exec-audited", PLAIN, 50, 500),
];

/// Makes the addresses that calls.c connects to this host's own, in a network namespace of the test's.
pub fn addresses() {
    let done = Command::new("ip").args(["route", "add", "local", "192.88.0.0/16", "dev", "lo"]).status();
    assert!(done.expect("ip").success());
}

/// Compiles a program of benches/guard/c/.
pub fn program(place: &Place, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guard/c").join(name).with_extension("c");
    let output = place.join(name);
    assert!(Command::new("cc").arg("-O2").arg("-o").arg(&output).arg(source).status().expect("cc").success());
    output
}

/// The text of a policy's configuration.
fn text(place: &Place, policy: Policy) -> String {
    let Policy { big, mode, merge, sink } = policy;
    let log = place.join("events.jsonl");
    let mut text = format!(
        "mode = \"{mode}\"\n[log]\nsink = [\"{sink}\"]\nfile = \"{}\"\nmerge = {merge}\n[egress]\nallow = [\n\"192.88.1.0/24:5555\",\n",
        log.display()
    );
    let (networks, vhosts) = if big { (100_000, 10_000) } else { (0, 10) };
    for number in 0..networks {
        let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + number * 4096);
        text += &format!("\"{address}/{}:{}\",\n", 20 + number % 4, 1000 + number % 7);
    }
    text += "]\n";
    for number in 0..vhosts {
        text += &format!("[[vhost]]\nname = \"h{number}\"\nmatch = {{ document_root = \"/srv/h{number}\" }}\n");
    }
    text
}

/// The configuration of a policy, written once.
pub fn configuration(place: &Place, policy: Policy) -> PathBuf {
    let Policy { big, mode, merge, sink } = policy;
    let name = format!("{}-{mode}-{merge}-{sink}.toml", if big { "big" } else { "plain" });
    let path = place.join(&name);
    if path.exists() { path } else { place.write(&name, &text(place, policy)) }
}

/// What loads the guard into a program that will serve, as the master that it is so far.
fn variables(place: &Place, library: &Path, policy: Policy) -> [(&'static str, String); 2] {
    let config = configuration(place, policy);
    let compiled = config.with_extension("policy");
    if !compiled.exists() {
        let done = place.portcullis().arg("compile").arg("--config").arg(config).arg("-o").arg(&compiled).output();
        assert!(done.expect("portcullis").status.success());
    }
    [
        ("LD_PRELOAD", library.display().to_string()),
        // The variable of src/child/context.rs.
        ("PORTCULLIS_CONTEXT", format!("1;m;0;0;0;0:0;{};bench", compiled.display())),
    ]
}

/// Loads it into a command.
pub fn guard(place: &Place, command: &mut Command, policy: Policy) {
    command.envs(variables(place, &place.library(), policy));
}

/// Instructions: all of them, and the library's own.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub all: f64,
    pub own: f64,
}

/// Instructions that the program executes for each of `call.counted` calls.
pub fn instructions(place: &Place, calls: &Path, call: &Call, guarded: bool) -> Counted {
    let few = call.counted / 10;
    let [less, more] = [few, few + call.counted].map(|count| run(place, calls, call, count, guarded));
    let each = |grown: u64| grown as f64 / f64::from(call.counted);
    Counted { all: each(more[0] - less[0]), own: each(more[1] - less[1]) }
}

fn run(place: &Place, calls: &Path, call: &Call, count: u32, guarded: bool) -> [u64; 2] {
    let folder = place.join("callgrind");
    std::fs::create_dir_all(&folder).expect("a folder");
    // An event has the parent's arguments and the working folder in it: the same ones each time. How long the environment is, is
    // a part of what starting a program costs.
    let mut command = Command::new("/bin/sh");
    command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    command.args(["-c", "\"$@\"; exit $?", "bench", "env"]);
    if guarded {
        // The program alone is guarded, not the shell.
        command.args(
            variables(place, &place.library_for_valgrind(), call.policy).map(|(name, value)| format!("{name}={value}")),
        );
    }
    command.args(["valgrind", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}/%p", folder.display()));
    command.arg(calls).args([call.kind, &count.to_string()]);
    let done = command.stdin(Stdio::null()).output().expect("valgrind");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // What the program forks has files of its own, with next to nothing in them.
    let files = std::fs::read_dir(&folder).expect("the folder").flatten();
    let sums = files.map(|file| sums(&std::fs::read_to_string(file.path()).expect("callgrind's output"))).max();
    std::fs::remove_dir_all(&folder).expect("removed");
    sums.expect("callgrind's output")
}

/// Sums the costs in callgrind's format: of everything, and of the objects named libportcullis.so.
/// https://valgrind.org/docs/manual/cl-format.html
fn sums(text: &str) -> [u64; 2] {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let (mut own, mut after_call, mut sums) = (false, false, [0, 0]);
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            if key == "ob" || key == "cob" {
                let (number, name) = value.split_once(' ').unwrap_or((value, ""));
                if !name.is_empty() {
                    names.insert(number, name);
                }
                if key == "ob" {
                    own = names.get(number).is_some_and(|name| name.ends_with("libportcullis.so"));
                }
            }
            after_call |= key == "calls";
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // What is below a call is counted where it is.
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok()).unwrap_or(0);
            if !std::mem::take(&mut after_call) {
                sums[0] += cost;
                sums[1] += if own { cost } else { 0 };
            }
        }
    }
    sums
}
