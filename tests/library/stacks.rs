//! How much stack a hook needs of its caller's: stacks.txt has the bytes that are kept, in every outcome. `PORTCULLIS_UPDATE=1`
//! writes them anew. And what a program does that has little: threads of 16 KiB, handlers on 8.

use crate::build::{built, compile, enter, source};
use crate::table::rows;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

/// What a hook may take, and what the guard may add where libc's own function takes more: half of an alternate stack of 8 KiB, of
/// which the kernel's frame takes up to 3.6 on processors with AVX-512.
const GOAL: i64 = 4096;

/// By how much a figure may grow unnoticed: compilers and libc versions differ by the one or other spilled register.
const SLACK: i64 = 192;

/// Calls in other forms than the simplest.
const VARIANTS: [&str; 19] = [
    "connect:dns",
    "connect:nowhere",
    "connect:datagram",
    "connect:local",
    "sendto:dns",
    "sendto:nowhere",
    "sendmmsg:many",
    "execve:missing",
    "execve:environment",
    "execve:arguments",
    "execve:deep",
    "execve:loader",
    "execve:script",
    "execve:plain",
    "execvp:missing",
    "execvp:script",
    "execvp:plain",
    "posix_spawn:actions",
    "read:request",
];

/// Rules that the calls are hits of.
const RULES: [&str; 8] = [
    "egress-port",
    "shell-spawn",
    "stdio-socket",
    "listen-port",
    "dns-direct",
    "php-ini",
    "process-memory",
    "namespace",
];

/// Of a mode; `supervised` is audit with a supervisor.
fn configuration(folder: &Path, name: &str) -> String {
    let (mode, seccomp) = if name == "supervised" { ("audit", "supervise") } else { (name, "off") };
    let rules = ["stdio-socket", "dns-direct", "php-ini", "process-memory", "namespace", "exec-place", "exec-tool"];
    let rules: String = rules.iter().map(|rule| format!("[rules.{rule}]\nmode = \"{mode}\"\n")).collect();
    format!(
        "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\nmerge = false\n[exec]\nallow = [\"default\", \"/bin/true\"]\n\
         {rules}[rules.listen-port]\nmode = \"{mode}\"\nallow = [\"4480\", \"4481\"]\n[backstop]\nseccomp = \"{seccomp}\"\n",
        folder.join(format!("{name}.jsonl")).display()
    )
}

/// What a process is: a master, one that serves, one that such a one has started.
const ROLES: [&[&str]; 3] = [&["master", "--"], &["serving", "--"], &["serving", "--", "/usr/bin/env"]];

/// Runs a program, guarded in a mode and as something, or bare.
fn run(folder: &Path, program: &Path, mode: Option<(&str, &[&str])>, arguments: &[&str]) -> Output {
    let mut command = match mode {
        None => Command::new(program),
        Some((mode, role)) => {
            let config = folder.join(format!("{mode}.toml"));
            std::fs::write(&config, configuration(folder, mode)).expect("a file");
            let mut command = Command::new(built().join("portcullis"));
            command.args(["run", "--config"]).arg(config).arg("--role").args(role).arg(program);
            command
        }
    };
    // libc's search takes stack for the longest folder of PATH; and a large environment lies in memory, which may be short.
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    // A descriptor that hits are put onto.
    command.stdin(std::process::Stdio::null()).args(arguments).output().expect("the program")
}

/// Bytes by name.
fn measured(output: &Output) -> BTreeMap<String, i64> {
    let text = String::from_utf8_lossy(&output.stdout);
    let one = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            [_, "absent"] => None,
            [name, bytes, _] => Some(((*name).to_owned(), bytes.parse().unwrap_or_else(|_| panic!("{line}")))),
            _ => panic!("{line}"),
        }
    };
    text.lines().filter_map(one).collect()
}

#[test]
fn no_hook_takes_more_stack_than_is_kept() {
    enter();
    let folder = crate::build::folder();
    let folder = folder.path();
    let program = compile(&source("stacks.c"), folder, "stacks", &["-lresolv", "-Wl,-z,now"]);
    for (name, text) in [("script", "#!/bin/sh\nexit 7\n"), ("plain", "exit 7\n")] {
        std::fs::write(folder.join(name), text).expect("a file");
        assert!(Command::new("chmod").arg("755").arg(folder.join(name)).status().expect("chmod").success());
    }
    let rows = rows();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).chain(VARIANTS).collect();
    let mut columns = Vec::new();
    for what in ["hit", "miss"] {
        let arguments: Vec<&str> =
            [what, folder.to_str().expect("a path")].into_iter().chain(names.iter().copied()).collect();
        for modes in [&[None][..], &[Some("audit"), Some("supervised")], &[Some("enforce")]] {
            let mut most: BTreeMap<String, i64> = BTreeMap::new();
            for (role, mode) in ROLES.into_iter().flat_map(|role| modes.iter().map(move |mode| (role, mode))) {
                let output = run(folder, &program, mode.map(|mode| (mode, role)), &arguments);
                assert!(!String::from_utf8_lossy(&output.stderr).contains("nothing calls it"), "{output:?}");
                for (name, bytes) in measured(&output) {
                    let most = most.entry(name).or_default();
                    *most = bytes.max(*most);
                }
            }
            columns.push(most);
        }
    }
    for mode in ["audit", "enforce"] {
        let text = std::fs::read_to_string(folder.join(format!("{mode}.jsonl"))).expect("events");
        let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let seen: BTreeSet<String> =
            events.filter_map(|event| Some(event["rule"]["id"].as_str()?.to_owned())).collect();
        assert!(RULES.iter().all(|rule| seen.contains(*rule)), "{mode}: {seen:?}");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/stacks.txt");
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let kept: BTreeMap<&str, Vec<i64>> = kept
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, rest)| (name, rest.split('\t').filter_map(|bytes| bytes.parse().ok()).collect()))
        .collect();
    let (mut new, mut wrong) = (String::from("#\tbare\taudit\tenforce\tbare\taudit\tenforce\n"), Vec::new());
    for name in &names {
        // What this libc lacks has no figures.
        let Some(bytes) = columns.iter().map(|column| column.get(*name).copied()).collect::<Option<Vec<_>>>() else {
            if let Some(kept) = kept.get(name) {
                let figures: Vec<String> = kept.iter().map(i64::to_string).collect();
                writeln!(new, "{name}\t{}", figures.join("\t")).expect("a string");
            }
            continue;
        };
        let figures: Vec<String> = bytes.iter().map(i64::to_string).collect();
        writeln!(new, "{name}\t{}", figures.join("\t")).expect("a string");
        let [bare, audit, enforce, bare_miss, audit_miss, enforce_miss] = bytes[..] else { unreachable!() };
        for (own, guarded) in [(bare, audit), (bare, enforce), (bare_miss, audit_miss), (bare_miss, enforce_miss)] {
            if guarded > GOAL && guarded - own > GOAL {
                wrong.push(format!("{name}: {guarded}, bare {own}: more than the goal"));
            }
        }
        if cfg!(target_arch = "x86_64") {
            match kept.get(name) {
                // Or what the hook adds: libc's own function takes more in one release than in another.
                Some(kept) if is_within(&bytes, kept) || is_within(&added(&bytes), &added(kept)) => {}
                Some(kept) => wrong.push(format!("{name}: {bytes:?}, kept are {kept:?}")),
                None => wrong.push(format!("{name}: {bytes:?}, and none are kept")),
            }
        }
    }
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&file, new).expect("written");
        wrong.retain(|line| line.ends_with("goal"));
    }
    assert!(wrong.is_empty(), "more stack than tests/library/stacks.txt keeps:\n{}", wrong.join("\n"));
}

fn is_within(bytes: &[i64], kept: &[i64]) -> bool {
    bytes.iter().zip(kept).all(|(now, kept)| *now <= kept + SLACK)
}

/// The bytes of audit and enforce over bare, for what is found and for a miss.
fn added(bytes: &[i64]) -> Vec<i64> {
    bytes.chunks(3).flat_map(|row| row[1..].iter().map(|guarded| guarded - row[0])).collect()
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// In a thread of PTHREAD_STACK_MIN, and in a handler on an alternate stack of 8 KiB, a program does what it does without the
/// guard; and what leaves a call for good takes no memory along but so much.
#[test]
fn a_small_stack_is_enough() {
    enter();
    let folder = crate::build::folder();
    let program = compile(&source("small.c"), folder.path(), "small", &["-Wl,-z,now"]);
    for word in ["thread", "handler", "shortage", "left"] {
        let bare = lines(&run(folder.path(), &program, None, &[word]));
        for role in ROLES.into_iter().skip(1) {
            for mode in ["audit", "supervised"] {
                let guarded = lines(&run(folder.path(), &program, Some((mode, role)), &[word]));
                assert_eq!(guarded, bare, "{word} {mode} {role:?}");
            }
            let refused = lines(&run(folder.path(), &program, Some(("enforce", role)), &[word]));
            let connect = ["connect", "connect:"].map(|name| format!("{name} -{}", libc::EACCES));
            assert!(refused.iter().any(|line| connect.contains(line)), "{word}: {refused:?}");
            assert_eq!(refused.len(), bare.len(), "{word}: {refused:?}");
        }
    }
}

/// What lies where a stack of the guard's was is the program's own.
#[test]
fn a_programs_own_memory_is_not_taken_for_a_stack() {
    enter();
    let folder = crate::build::folder();
    let program = compile(&source("foreign.c"), folder.path(), "foreign", &["-pthread"]);
    for word in ["coroutines", "many", "named"] {
        let bare = lines(&run(folder.path(), &program, None, &[word]));
        for role in ROLES.into_iter().skip(1) {
            for mode in ["audit", "supervised"] {
                let guarded = lines(&run(folder.path(), &program, Some((mode, role)), &[word]));
                assert_eq!(guarded, bare, "{word} {mode} {role:?}");
            }
        }
    }
}

/// Who looks for the callers of a call that is made for a hook finds them, and a thread that ends in it unwinds past it.
#[test]
fn a_call_is_unwound_past_the_hook() {
    enter();
    let folder = crate::build::folder();
    let behind = compile(&source("unwound.c"), folder.path(), "behind.so", &["-shared", "-fPIC", "-DBEHIND"]);
    let program = compile(&source("unwound.c"), folder.path(), "unwound", &["-rdynamic"]);
    let preload = format!("LD_PRELOAD={}", behind.display());
    let with = |mode| {
        let env = Path::new("/usr/bin/env");
        lines(&run(folder.path(), env, mode, &[preload.as_str(), program.to_str().expect("a path")]))
    };
    let bare = with(None);
    for line in ["caller: 1", "cleanup", "cancelled: 1", "status: 1792"] {
        assert!(bare.iter().any(|said| said == line), "no {line}: {bare:?}");
    }
    assert_eq!(with(Some(("audit", ROLES[1]))), bare);
}
