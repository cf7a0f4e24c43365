//! What it costs to read a log: processor time, time and peak memory of each verb of the command. `make bench-logs` runs it.
//!
//! Arguments: `--events N` (200,000), `--compressed`, `--few` or `--distinct` alone, and verbs; `--write FILE` writes the log only.

mod events;

use events::Kind;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The verbs, each with its arguments before the log.
const VERBS: [(&str, &[&str]); 6] = [
    ("events --json", &["events", "--json"]),
    ("events --incidents", &["events", "--incidents"]),
    ("learn", &["learn"]),
    ("report", &["report", "-o", "/dev/null"]),
    ("status --prometheus", &["status", "--prometheus", "-", "--state", "STATE", "--log"]),
    ("explain --event", &["explain", "--event"]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test` runs benchmarks too, to see that they build.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    let count: u64 = value("--events").map_or(200_000, |count| count.parse().expect("a number"));
    let kinds = [("few", Kind::Few), ("distinct", Kind::Distinct)];
    let both = !has("--few") && !has("--distinct");
    if let Some(path) = value("--write") {
        let kind = if has("--distinct") { Kind::Distinct } else { Kind::Few };
        return write(Path::new(path), count, kind, has("--compressed"));
    }
    let command = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/release/portcullis");
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    println!("| {count} events, verb | commands | processor time, s | time, s | peak memory, MiB |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, kind) in kinds.into_iter().filter(|(name, _)| both || has(&format!("--{name}"))) {
        let log = folder.path().join(if has("--compressed") { "log.jsonl.zst" } else { "log.jsonl" });
        write(&log, count, kind, has("--compressed"));
        let config = folder.path().join("portcullis.toml");
        File::create(&config).expect("a configuration");
        for (verb, words) in VERBS {
            let named = arguments.iter().any(|argument| VERBS.iter().any(|(verb, _)| argument == verb));
            if named && !has(verb) {
                continue;
            }
            let mut run = Command::new(&command);
            let state = folder.path().join(format!("state of {name}"));
            let word = |word: &&'static str| if *word == "STATE" { state.clone() } else { PathBuf::from(word) };
            run.args(words.iter().map(word)).arg(&log).env("PORTCULLIS_CONFIG", &config);
            let output = if verb == "learn" { folder.path().join("learnt") } else { "/dev/null".into() };
            run.stdout(File::create(output).expect("a file")).stderr(Stdio::null());
            let begun = Instant::now();
            let (code, used, peak) = wait(run.spawn().expect("target/release/portcullis"));
            assert!(code == 0, "{verb}: exit code {code}");
            println!(
                "| `{verb}` | {name} | {:.1} | {:.1} | {} |",
                used.as_secs_f64(),
                begun.elapsed().as_secs_f64(),
                peak >> 10
            );
        }
    }
}

/// Writes a log.
fn write(path: &Path, count: u64, kind: Kind, is_compressed: bool) {
    if !is_compressed {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("a log"));
        events::write(&mut out, count, kind).expect("a log");
        return out.flush().expect("a log");
    }
    let mut zstd = Command::new("zstd");
    let mut zstd = zstd.args(["-q", "-f", "-1", "-o"]).arg(path).stdin(Stdio::piped()).spawn().expect("zstd");
    let mut out = BufWriter::with_capacity(1 << 20, zstd.stdin.take().expect("a pipe"));
    events::write(&mut out, count, kind).expect("a log");
    drop(out);
    assert!(zstd.wait().expect("zstd").success());
}

/// Waits for a child: its exit code, or -1, its processor time, and its peak memory in KiB.
fn wait(child: Child) -> (i32, Duration, u64) {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    let pid = libc::pid_t::try_from(child.id()).expect("a number");
    // SAFETY: both pointers are to this function's own memory, and nobody else waits for this child.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    assert_eq!(waited, pid);
    // SAFETY: zeros are a value of that structure, whatever the kernel has written of it.
    let usage = unsafe { usage.assume_init() };
    let time = |of: libc::timeval| Duration::new(of.tv_sec as u64, of.tv_usec as u32 * 1000);
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 };
    (code, time(usage.ru_utime) + time(usage.ru_stime), usage.ru_maxrss as u64)
}
