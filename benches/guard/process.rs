//! One process: its start and end, the guard's constructor in it, and the compiling of a large policy.

use crate::counting::{BIG, CALLS, Call, PLAIN, Policy, configuration, guard, program};
use crate::harness::{Guard, Place};
use crate::spread;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const ROUNDS: usize = 40;
const SPAWNS: u32 = 100;
/// The network namespace's own addresses are ordinary to every policy here.
const SNOOPY: [&str; 2] = ["/lib/x86_64-linux-gnu/libsnoopy.so", "/lib/aarch64-linux-gnu/libsnoopy.so"];

/// Compiles a library of one C file.
fn library(place: &Place, name: &str, source: &Path) -> PathBuf {
    let output = place.join(&format!("lib{name}.so"));
    let done = Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&output).arg(source).status();
    assert!(done.expect("cc").success());
    output
}

/// A library with nothing in it.
fn empty(place: &Place) -> PathBuf {
    let source = place.write("empty.c", "int portcullis_bench_nothing;\n");
    library(place, "empty", &source)
}

enum Preload<'p> {
    None,
    Library(&'p Path),
    Guard(Policy),
}

/// The mean time of one child, in microseconds.
fn round(place: &Place, calls: &Path, preload: &Preload<'_>) -> f64 {
    // On one processor: where a child runs is chance, and costs more than what is measured.
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(calls).args(["exec", &SPAWNS.to_string()]);
    match preload {
        Preload::None => {}
        Preload::Library(library) => drop(command.env("LD_PRELOAD", library)),
        Preload::Guard(policy) => guard(place, &mut command, *policy),
    }
    let done = command.output().expect("the program");
    assert!(done.status.success());
    let nanoseconds: f64 = String::from_utf8_lossy(&done.stdout).trim().parse().expect("a number");
    nanoseconds / 1000.0
}

fn start_and_end() {
    let place = Place::new();
    let calls = program(&place, "calls");
    let empty = empty(&place);
    let snoopy = SNOOPY.map(Path::new).into_iter().find(|path| path.exists());
    let mut rows = vec![
        ("bare", Preload::None, vec![]),
        ("empty preload", Preload::Library(&empty), vec![]),
        ("guard", Preload::Guard(PLAIN), vec![]),
        ("guard, 10,000 vhosts", Preload::Guard(BIG), vec![]),
    ];
    if let Some(snoopy) = snoopy {
        rows.push(("snoopy", Preload::Library(snoopy), vec![]));
    }
    for _ in 0..ROUNDS {
        for (_, preload, figures) in &mut rows {
            figures.push(round(&place, &calls, preload));
        }
    }
    println!("### A process\n");
    println!(
        "/bin/true by posix_spawn until it has ended, on one processor, microseconds; {ROUNDS} rounds of {SPAWNS}, in turn.\n"
    );
    println!("| preload in both | lowest | median | highest | over the empty preload |");
    println!("| --- | --- | --- | --- | --- |");
    let base = spread(&mut rows[1].2.clone()).1;
    for (name, _, figures) in &mut rows {
        let (low, middle, high) = spread(figures);
        println!("| {name} | {low:.0} | {middle:.0} | {high:.0} | {:+.0} |", middle - base);
    }
    println!();
}

/// Nanoseconds between the constructors before and after that of `between`.
fn constructor(place: &Place, between: &Path, load: &dyn Fn(&mut Command)) -> f64 {
    let mut command = Command::new("/bin/true");
    load(&mut command);
    let list =
        [&place.join("libafter.so"), between, &place.join("libbefore.so")].map(|path| path.display().to_string());
    command.env("LD_PRELOAD", list.join(":"));
    let done = command.output().expect("true");
    String::from_utf8_lossy(&done.stderr).trim().parse().expect("a number")
}

fn constructors() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guard/c");
    for name in ["before", "after"] {
        library(&place, name, &folder.join(name).with_extension("c"));
    }
    let empty = empty(&place);
    println!("### The constructor\n");
    println!(
        "Microseconds, 101 starts of /bin/true each; a master as the first program of a unit, its policy compiled.\n"
    );
    println!("| program | lowest | median | highest |");
    println!("| --- | --- | --- | --- |");
    let row = |name: &str, library: &Path, load: &dyn Fn(&mut Command)| {
        let mut figures: Vec<f64> = (0..101).map(|_| constructor(&place, library, load) / 1000.0).collect();
        let (low, middle, high) = spread(&mut figures);
        println!("| {name} | {low:.0} | {middle:.0} | {high:.0} |");
    };
    row("empty preload", &empty, &|_| {});
    for (size, policy) in [("10 vhosts", PLAIN), ("10,000 vhosts", BIG)] {
        let guard = Guard::new(&place, configuration(&place, policy), place.join("events.jsonl"));
        let done = place.portcullis().arg("compile").arg("--config").arg(&guard.config).output().expect("portcullis");
        assert!(done.status.success());
        row(&format!("master, {size}"), &place.library(), &|command| guard.load(command));
        let policy = guard.policy();
        row(&format!("descendant, {size}"), &place.library(), &|command| {
            command.env("PORTCULLIS_CONTEXT", format!("1;d;1;0;0;0:0;{};bench > true", policy.display()));
            command.env("PORTCULLIS_REQUEST", "1;n");
        });
    }
    println!();
}

fn compile() {
    let place = Place::new();
    println!("### Compiling\n");
    println!("`portcullis compile`, milliseconds, 7 runs.\n");
    println!("| configuration | lowest | median | highest | bytes |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, policy) in [("10 vhosts", PLAIN), ("10,000 vhosts, 100,000 networks", BIG)] {
        let config = configuration(&place, policy);
        let output = place.join("policy");
        let mut figures: Vec<f64> = (0..7)
            .map(|_| {
                let _ = std::fs::remove_file(&output);
                let begun = Instant::now();
                let done =
                    place.portcullis().arg("compile").arg("--config").arg(&config).arg("-o").arg(&output).output();
                assert!(done.expect("portcullis").status.success());
                begun.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        let (low, middle, high) = spread(&mut figures);
        let size = std::fs::metadata(&output).expect("the policy").len();
        println!("| {name} | {low:.0} | {middle:.0} | {high:.0} | {size} |");
    }
    println!();
}

pub fn run() {
    start_and_end();
    constructors();
    compile();
}

/// The peers that the distribution has, beside the guard: a connection that is made and closed, and a program.
pub fn peers() {
    let place = Place::new();
    let calls = program(&place, "calls");
    let find = |kind: &str| CALLS.iter().find(|call| call.kind == kind).expect("a kind");
    let tcp = Call { name: "a TCP connection on loopback", kind: "tcp", policy: PLAIN, counted: 0, timed: 5_000 };
    let exec = Call { name: "posix_spawn of /bin/true", timed: 300, ..*find("exec") };
    println!("### Peers\n");
    println!("Microseconds of one call, median of 7 rounds in turn: what the distribution has, set to see the same.\n");
    println!("| beside | {} | {} |", tcp.name, exec.name);
    println!("| --- | --- | --- |");
    let peers: [(&str, &dyn Fn() -> Option<Peer>); 6] = [
        ("nothing", &|| Some(Peer::default())),
        ("guard, audit", &|| Some(Peer { guard: true, ..Peer::default() })),
        ("snoopy", &|| {
            let library = SNOOPY.into_iter().find(|path| Path::new(path).exists())?;
            Some(Peer { preload: Some(library.into()), ..Peer::default() })
        }),
        ("auditd, connect and execve", &|| {
            let set = |arguments: &[&str]| {
                Command::new("auditctl").args(arguments).output().is_ok_and(|done| done.status.success())
            };
            let rules = ["connect", "execve"]
                .map(|call| ["-a", "always,exit", "-F", "arch=b64", "-S", call, "-k", "portcullis-bench"]);
            let set = set(&["-e", "1"]) && rules.iter().all(|rule| set(rule));
            Some(Peer { end: Some(&["auditctl -D", "auditctl -e 0"]), ..Peer::default() }).filter(|_| set)
        }),
        ("nftables, owner match", &|| {
            let rules = "add table inet bench; add chain inet bench out { type filter hook output priority 0; }; \
                         add rule inet bench out meta skuid 0 ct state new tcp dport != { 80, 443 } counter";
            let set = Command::new("nft").arg(rules).output().is_ok_and(|done| done.status.success());
            Some(Peer { end: Some(&["nft delete table inet bench"]), ..Peer::default() }).filter(|_| set)
        }),
        ("strace -f of both", &|| {
            Some(Peer {
                by: &["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=connect,execve"],
                few: 10,
                ..Peer::default()
            })
        }),
    ];
    for (name, begin) in peers {
        let Some(peer) = begin() else {
            println!("| {name} | not to be had here | |");
            continue;
        };
        let figures = [&tcp, &exec].map(|call| {
            let mut figures: Vec<f64> = (0..7).map(|_| peer.time(&place, &calls, call)).collect();
            spread(&mut figures).1
        });
        println!("| {name} | {:.1} | {:.0} |", figures[0], figures[1]);
        for command in peer.end.unwrap_or_default() {
            let words: Vec<&str> = command.split(' ').collect();
            let _ = Command::new(words[0]).args(&words[1..]).output();
        }
    }
    println!();
}

/// What is beside a program while it is timed.
#[derive(Default)]
struct Peer {
    guard: bool,
    preload: Option<PathBuf>,
    by: &'static [&'static str],
    /// Divides how often a call is made.
    few: u32,
    end: Option<&'static [&'static str]>,
}

impl Peer {
    /// Microseconds of one call.
    fn time(&self, place: &Place, calls: &Path, call: &Call) -> f64 {
        let count = (call.timed / self.few.max(1)).to_string();
        let mut command = match self.by {
            [] => Command::new(calls),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(calls);
                command
            }
        };
        command.args([call.kind, &count]);
        if self.guard {
            guard(place, &mut command, call.policy);
        }
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        let done = command.output().expect("the program");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().parse::<f64>().expect("a number") / 1000.0
    }
}
