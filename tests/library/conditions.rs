//! Each hook in a vfork child, after fork beside threads inside malloc, in a signal handler, on a 64 KiB stack, before
//! the guard's constructor, after exit handlers, and with bad input: what the program sees is what it sees without the
//! guard.

use crate::build::{built, compile, enter, library, source};
use std::path::Path;
use std::process::{Command, Output};

/// Runs `command` to its end, with events in `log`.
fn output(command: &mut Command) -> Output {
    let done = command.output().expect("the program");
    assert!(done.status.success(), "{:?}: {}", done.status, String::from_utf8_lossy(&done.stderr));
    done
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// `portcullis run` of a program whose every action counts.
fn guarded(folder: &Path, mode: &str, program: &Path) -> Command {
    guarded_with(folder, mode, "off", program)
}

/// The same with a backstop.
fn guarded_with(folder: &Path, mode: &str, backstop: &str, program: &Path) -> Command {
    let config = folder.join(format!("{mode}.toml"));
    let log = folder.join(format!("{mode}.jsonl"));
    let text = format!(
        "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[rules.listen-port]\nmode = \"{mode}\"\n\
         [backstop]\nseccomp = \"{backstop}\"\n",
        log.display()
    );
    std::fs::write(&config, text).expect("a file");
    let mut command = Command::new(built().join("portcullis"));
    command.args(["run", "--role", "serving", "--config"]).arg(config).arg("--").arg(program);
    command
}

fn events(folder: &Path, mode: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join(format!("{mode}.jsonl"))).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// How many calls events stand for: the first few of a kind have events of their own, the others are counted in one.
fn calls(events: &[serde_json::Value]) -> usize {
    let of = |event: &serde_json::Value| event["portcullis"]["repeated"].as_u64().unwrap_or(1) as usize;
    events.iter().map(of).sum()
}

/// Compares the probe under `conditions` without the library and in audit; gives the number of calls that are events.
fn compare(conditions: &[&str], environment: &[(&str, &str)]) -> usize {
    compare_of("probe.c", conditions, environment)
}

/// The same of another program.
fn compare_of(program: &str, conditions: &[&str], environment: &[(&str, &str)]) -> usize {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let probe = compile(&source(program), folder.path(), "probe", &[]);
    let bare = output(Command::new(&probe).args(conditions).envs(environment.iter().copied()));
    let audit = output(guarded(folder.path(), "audit", &probe).args(conditions).envs(environment.iter().copied()));
    assert!(!bare.stdout.is_empty());
    assert_eq!(lines(&bare), lines(&audit));
    let count = calls(&events(folder.path(), "audit"));
    // With a supervisor the calls are made without libc, and nothing is seen twice.
    std::fs::remove_file(folder.path().join("audit.jsonl")).expect("removed");
    let mut command = guarded_with(folder.path(), "audit", "supervise", &probe);
    let supervised = output(command.args(conditions).envs(environment.iter().copied()));
    assert_eq!(lines(&bare), lines(&supervised));
    let again = events(folder.path(), "audit");
    assert_eq!(calls(&again), count);
    assert!(again.iter().all(|event| event["portcullis"]["layer"] == "libc"));
    count
}

/// What `everything` of probe.c does that is an event: a connection, the execs but the two that do not reach a shell,
/// two spawns, popen and system; three datagrams, a connection by syscall(2), a listener; a command in words.
const EVENTS: usize = 1 + 10 + 2 + 2 + OTHERS + 1;
const OTHERS: usize = 5;

#[test]
fn plain() {
    assert_eq!(compare(&["plain"], &[]), EVENTS);
}

#[test]
fn in_a_vfork_child() {
    assert_eq!(compare(&["vfork"], &[]), 1 + OTHERS + 2 + 10);
}

#[test]
fn in_a_signal_handler() {
    assert_eq!(compare(&["signal-handler"], &[]), EVENTS);
}

#[test]
fn on_a_64_kib_stack() {
    assert_eq!(compare(&["small-stack"], &[]), EVENTS);
}

#[test]
fn after_fork_beside_threads_in_malloc() {
    // 30 connections, 60 spawns; of 30 execs, two in twelve reach no shell.
    assert_eq!(compare(&["after-fork"], &[]), 30 + 60 + 26);
}

#[test]
fn after_exit_handlers() {
    assert_eq!(compare(&["exit-handler"], &[("PROBE_DESTRUCTOR", "1")]), 2 * EVENTS);
}

#[test]
fn with_bad_addresses() {
    compare_of("invalid.c", &["addresses"], &[]);
}

#[test]
fn with_bad_programs_arguments_and_environments() {
    compare_of("invalid.c", &["programs"], &[]);
}

#[test]
fn before_the_constructor() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let early = compile(&source("early.c"), folder.path(), "libearly.so", &["-shared", "-fPIC"]);
    let bare = output(Command::new("/bin/true").env("LD_PRELOAD", &early).env("EARLY", "1"));
    assert_eq!(lines(&bare).len(), 3);
    let config = folder.path().join("config.toml");
    let log = folder.path().join("events.jsonl");
    std::fs::write(&config, format!("[log]\nsink = [\"file\"]\nfile = \"{}\"\n", log.display())).expect("a file");
    let policy = folder.path().join("policy");
    let done = Command::new(built().join("portcullis"))
        .arg("compile")
        .arg("--config")
        .arg(&config)
        .arg("-o")
        .arg(&policy)
        .output();
    assert!(done.expect("portcullis").status.success());
    for order in [[&library(), &early], [&early, &library()]] {
        let preload = format!("{}:{}", order[0].display(), order[1].display());
        // The context of a process that serves (src/child/context.rs).
        let context = format!("1;s;0;0;0;0:0;{};early", policy.display());
        let mut command = Command::new("/bin/true");
        command.env("LD_PRELOAD", &preload).env("PORTCULLIS_CONTEXT", context).env("EARLY", "1");
        assert_eq!(lines(&output(&mut command)), lines(&bare), "{preload}");
        let text = std::fs::read_to_string(&log).expect("events");
        assert_eq!(text.lines().count(), 2, "{preload}: one connection and one shell: {text}");
        std::fs::remove_file(&log).expect("removed");
    }
}

/// In enforce, each call fails as POSIX has it, and nothing is started.
#[test]
fn refused_as_posix_has_it() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let probe = compile(&source("probe.c"), folder.path(), "probe", &[]);
    let seen = lines(&output(guarded(folder.path(), "enforce", &probe).args(["plain", "vfork"])));
    let eacces = libc::EACCES;
    let refused = |condition: &str, name: &str| format!("{condition} {name}: {} 0", 100 + eacces);
    let mut wanted = vec![
        format!("plain connect: -1 {eacces}"),
        format!("plain accept: -1 {}", libc::EBADF),
        format!("plain accept4: -1 {}", libc::EBADF),
    ];
    let messages = |condition: &str| {
        let denied = ["sendto", "sendmsg", "sendmmsg", "syscall-connect"];
        let mut lines: Vec<String> = denied.map(|name| format!("{condition} {name}: -1 {eacces}")).into();
        lines.extend(["syscall-other: 1 0", "bind: 0 0"].map(|line| format!("{condition} {line}")));
        lines.push(format!("{condition} listen: -1 {eacces}"));
        lines.extend(["dup: 1 0", "dup2: 1 0", "dup3: 1 0"].map(|line| format!("{condition} {line}")));
        lines
    };
    wanted.extend(messages("plain"));
    // WRDE_CMDSUB.
    wanted.extend(["wordexp: 4 0", "wordexp-plain: 0 2", "getaddrinfo: 0 1"].map(|line| format!("plain {line}")));
    let execs =
        ["execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve", "execveat", "execveat-empty"];
    let others = |condition: &str| {
        [
            format!("{condition} execve-missing: {} 0", 100 + libc::ENOENT),
            format!("{condition} execve-not-executable: {} 0", 100 + libc::EACCES),
        ]
    };
    wanted.extend(execs.map(|name| refused("plain", name)));
    wanted.extend(others("plain"));
    wanted.extend([
        format!("plain posix_spawn: {eacces} 0"),
        format!("plain posix_spawnp: {eacces} 0"),
        format!("plain posix_spawn-missing: {} 0", libc::ENOENT),
        format!("plain popen: 0 {eacces}"),
        format!("plain system: -1 {eacces}"),
        "plain system-null: 1 0".to_owned(),
    ]);
    wanted.extend([
        format!("vfork connect: -1 {eacces}"),
        format!("vfork accept: -1 {}", libc::EBADF),
        format!("vfork accept4: -1 {}", libc::EBADF),
    ]);
    wanted.extend(messages("vfork"));
    wanted.extend([
        format!("vfork posix_spawn: {eacces} 0"),
        format!("vfork posix_spawnp: {eacces} 0"),
        format!("vfork posix_spawn-missing: {} 0", libc::ENOENT),
        "vfork calls: 0 0".to_owned(),
    ]);
    wanted.extend(execs.map(|name| refused("vfork", name)));
    wanted.extend(others("vfork"));
    assert_eq!(seen, wanted);
    let events = events(folder.path(), "enforce");
    assert_eq!(calls(&events), EVENTS + 1 + OTHERS + 2 + 10);
    assert!(events.iter().all(|event| event["event"]["outcome"] == "failure"));
}

/// What is judged is what is used: the hook hands its own copy on, whatever becomes of the caller's memory meanwhile.
#[test]
fn what_is_judged_is_what_is_used() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let next = compile(&source("next.c"), folder.path(), "libnext.so", &["-shared", "-fPIC"]);
    let given = compile(&source("given.c"), folder.path(), "given", &["-rdynamic"]);
    let seen = lines(&output(guarded(folder.path(), "audit", &given).env("LD_PRELOAD", &next)));
    assert_eq!(seen, ["connect 0 4446", "execve 0"]);
    let events = events(folder.path(), "audit");
    // The program listens, too.
    let rules: Vec<&str> = events.iter().filter_map(|event| event["rule"]["id"].as_str()).collect();
    assert_eq!(rules, ["listen-port", "egress-port"]);
    assert_eq!(events[1]["destination"]["port"], 4446);
    // Without the guard the change gets through, so the change is made.
    let bare = lines(&output(Command::new(&given).env("LD_PRELOAD", &next)));
    assert_eq!(bare, ["connect -1 0", "execve 1"]);
}
