//! What every verb has of the reading of logs: pipes, copies of a log, logs of several hosts, and the progress on a terminal.
#![allow(clippy::disallowed_methods)]

use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A folder with an empty configuration, and logs.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        std::fs::write(place.config(), "").expect("a file");
        place
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("portcullis.toml")
    }

    fn log(&self, name: &str, events: &[Value]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, events.iter().map(|event| format!("{event}\n")).collect::<String>()).expect("a log");
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(words).env("PORTCULLIS_CONFIG", self.config());
        command
    }

    fn run(&self, words: &[&str], logs: &[&PathBuf]) -> Output {
        self.command(words).args(logs).output().expect("portcullis")
    }

    /// The same with a log that comes by a pipe.
    fn run_on_pipe(&self, words: &[&str], log: &Path) -> Output {
        let cat = Command::new("cat").arg(log).stdout(Stdio::piped()).spawn();
        let mut cat = cat.expect("cat");
        let pipe = cat.stdout.take().expect("a pipe");
        let done = self.command(words).arg("/dev/stdin").stdin(pipe).output().expect("portcullis");
        cat.wait().expect("cat");
        done
    }
}

fn out(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn err(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn example(rule: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/events/{rule}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("an example")).expect("JSON")
}

/// The event of a number: each of another request, and two hours after the one before.
fn event(host: &str, number: u32) -> Value {
    let mut event = example("egress-port");
    event["@timestamp"] = format!("2026-11-{:02}T{:02}:12:44.000000000Z", number / 12 + 1, number % 12 * 2).into();
    event["event"]["id"] = format!("8c1f0e52a7d94b36-{number}").into();
    event["event"]["sequence"] = number.into();
    event["host"]["hostname"] = host.into();
    event["client"] = json!({ "address": format!("203.0.113.{number}"), "ip": format!("203.0.113.{number}") });
    event["http"]["request"]["id"] = format!("{number:016x}").into();
    event
}

/// Whoever spoils one of several logs hides none of the others, nor what the log itself has before that.
#[test]
fn an_unreadable_log_hides_no_other() {
    let place = Place::new();
    let good = place.log("good.jsonl", &events("web1"));
    let spoilt = place.0.path().join("spoilt.jsonl.gz");
    std::fs::write(&spoilt, b"\x1f\x8b\x08\0\0\0\0\0\0\x03spoilt").expect("a file");
    let missing = place.0.path().join("missing.jsonl");
    for words in [&["events", "--json"][..], &["events", "--incidents", "--json", "-n", "0"]] {
        let alone = out(&place.run(words, &[&good]));
        assert!(!alone.is_empty());
        for logs in [[&spoilt, &good], [&good, &spoilt], [&missing, &good]] {
            let done = place.run(words, &logs);
            assert_eq!(
                (done.status.code(), out(&done) == alone),
                (Some(1), true),
                "{words:?} {logs:?}: {}",
                err(&done)
            );
            assert!(err(&done).contains("spoilt") || err(&done).contains("missing"), "{}", err(&done));
        }
        assert_eq!(place.run(words, &[&missing]).status.code(), Some(1));
    }
}

fn events(host: &str) -> Vec<Value> {
    (1..20).map(|number| event(host, number)).collect()
}

/// How many events a verb says that it has, each in its way.
fn counts(place: &Place, logs: &[&PathBuf]) -> (u64, u64, String) {
    let incidents = out(&place.run(&["events", "--incidents", "--json"], logs));
    let calls = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["went_ahead"].as_u64().unwrap_or(0);
    let learnt: Value =
        serde_json::from_slice(&place.run(&["learn", "--json", "--include-rare"], logs).stdout).expect("JSON");
    let learnt = &learnt[0]["proposed"][0]["evidence"]["count"];
    let checked = out(&place.run(&["learn", "--check"], logs));
    let checked = checked.lines().find(|line| line.starts_with("under the new policy")).unwrap_or_default().to_owned();
    (incidents.lines().map(calls).sum(), learnt.as_u64().unwrap_or(0), checked)
}

#[test]
fn an_event_counts_once_however_often_it_is_read() {
    let place = Place::new();
    let (one, two) = (place.log("one", &events("web1")), place.log("two", &events("web2")));
    let alone = counts(&place, &[&one]);
    assert_eq!((alone.0, alone.1), (19, 19), "{alone:?}");
    assert!(alone.2.contains(" of 19 actions"), "{alone:?}");
    let mut shuffled = events("web1");
    shuffled.reverse();
    let copy = place.log("copy", &shuffled);
    assert_eq!(counts(&place, &[&copy, &one, &one]), alone);
    // Two hosts have streams of one name.
    let both = counts(&place, &[&two, &one, &copy, &two]);
    assert_eq!((both.0, both.1), (38, 38), "{both:?}");
    assert!(both.2.contains(" of 38 actions"), "{both:?}");
    // Those of another version have no identifiers.
    let without = |host: &str| {
        let mut all = events(host);
        all.iter_mut().for_each(|event| drop(event["event"].as_object_mut().expect("an object").remove("id")));
        all
    };
    let (one, copy) = (place.log("old", &without("web1")), place.log("old copy", &without("web1")));
    assert_eq!(counts(&place, &[&one, &copy]), alone);
}

#[test]
fn a_pipe_is_read_as_often_as_a_file() {
    let place = Place::new();
    let log = place.log("log", &events("web1"));
    // What a log is called differs.
    let said =
        |done: &Output| (done.status.code(), out(done).replace("/dev/stdin", &log.display().to_string()), err(done));
    let incidents = out(&place.run(&["events", "--incidents", "--json"], &[&log]));
    let first: Value = serde_json::from_str(incidents.lines().next().expect("an incident")).expect("JSON");
    let id = first["id"].as_str().expect("an identifier");
    for words in [
        &["learn", "--check"][..],
        &["events", "--json"],
        &["events", "--incidents"],
        &["events", "--incident", id, "--json"],
        &["learn"],
    ] {
        let of_file = said(&place.run(words, &[&log]));
        assert!(!of_file.1.is_empty(), "{words:?}: {}", of_file.2);
        assert_eq!(said(&place.run_on_pipe(words, &log)), of_file, "{words:?}");
    }
}

#[test]
fn a_compressed_pipe_is_read() {
    let place = Place::new();
    let log = place.log("log", &events("web1"));
    let packed = place.0.path().join("log.gz");
    let gzip = Command::new("gzip").arg("-c").arg(&log).stdout(File::create(&packed).expect("a file")).status();
    assert!(gzip.expect("gzip").success());
    let plain = place.run(&["events", "--json"], &[&log]);
    let piped = place.run_on_pipe(&["events", "--json"], &packed);
    assert_eq!((out(&piped), err(&piped)), (out(&plain), err(&plain)));
    assert_eq!(out(&piped).lines().count(), 19);
}

/// Runs a command on a terminal of its own, with a log that grows until `is_enough` says so of what the terminal has; gives what that
/// has at the end.
fn on_terminal(line: &str, is_enough: impl Fn(&str) -> bool) -> String {
    let place = Place::new();
    let log = place.0.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&log).status().expect("mkfifo").success());
    let line = line.replace("portcullis", env!("CARGO_BIN_EXE_portcullis")).replace("LOG", "/dev/fd/3");
    let line = format!("PORTCULLIS_CONFIG={} {line}", place.config().display());
    let shell = format!("exec 3<{}; {line}", log.display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &shell, "/dev/null"]).env("TERM", "xterm").env("SHELL", "/bin/sh");
    let child = script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("script, of bsdutils");
    let mut terminal = child.stdout.take().expect("a pipe");
    let is_done = AtomicBool::new(false);
    let mut shown = String::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut fifo = File::options().write(true).open(&log).expect("the FIFO");
            let begun = Instant::now();
            let mut number = 1;
            while !is_done.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(60) {
                // The reader is gone.
                if writeln!(fifo, "{}", event("web1", number % 200)).is_err() {
                    break;
                }
                number += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut bytes = [0; 4096];
        loop {
            if is_enough(&shown) {
                is_done.store(true, Ordering::Relaxed);
            }
            match terminal.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(got) => shown += &String::from_utf8_lossy(&bytes[..got]),
            }
        }
    });
    child.wait().expect("script");
    shown
}

#[test]
fn a_terminal_shows_how_far_a_long_reading_is() {
    let shown = on_terminal("portcullis events --incidents LOG", |shown| shown.contains("portcullis: read "));
    let (_, behind) = shown.split_once("portcullis: read ").expect("the progress");
    assert!(behind.contains(" events"), "{shown:?}");
    // It is gone before anything else is there.
    let last = shown.rsplit_once("\r\u{1b}[2K").map(|(_, last)| last).unwrap_or_default();
    assert!(!last.contains("portcullis: read ") && last.contains("index.php"), "{shown:?}");
}

#[test]
fn no_progress_is_among_what_another_program_gets() {
    let begun = Instant::now();
    // A line comes at the end alone: what is written until then takes longer than the progress waits.
    let enough = |_: &str| begun.elapsed() > Duration::from_secs(3);
    let shown = on_terminal("portcullis events --json LOG | cat", enough);
    assert!(shown.contains("@timestamp") && !shown.contains("portcullis: read "), "{shown:?}");
}

/// What is read, or is another file, is not replaced by what is made of it.
#[test]
fn no_output_replaces_what_was_read() {
    let place = Place::new();
    let log = place.log("events.jsonl", &[json!({ "event": { "id": "a-1", "action": "exec" } })]);
    let older = place.log("events.jsonl.1", &[json!({ "event": { "id": "a-0", "action": "exec" } })]);
    let link = place.0.path().join("link");
    std::os::unix::fs::symlink(&log, &link).expect("a link");
    let before = [std::fs::read(&log).expect("a log"), std::fs::read(&older).expect("a log")];
    for (verb, output) in
        [("report", &log), ("report", &link), ("report", &older), ("learn", &log), ("learn", &link), ("learn", &older)]
    {
        let done = place.run(&[verb, "--rotated", "-o", output.to_str().expect("a path")], &[&log]);
        assert_eq!(done.status.code(), Some(1), "{verb} {}: {}", output.display(), err(&done));
        assert!(err(&done).contains("it is read as a log; help: give -o another name"), "{verb}: {}", err(&done));
        assert_eq!(before, [std::fs::read(&log).expect("a log"), std::fs::read(&older).expect("a log")], "{verb}");
    }
    let other = place.config();
    std::fs::write(&other, "mode = \"audit\"\n").expect("a file");
    let done = place.run(&["report", "-o", other.to_str().expect("a path")], &[&log]);
    assert!(done.status.code() == Some(1) && err(&done).contains("is no report; help"), "{}", err(&done));
    let page = place.0.path().join("report.html");
    std::fs::write(&page, "").expect("a file");
    for _ in 0..2 {
        let done = place.run(&["report", "-o", page.to_str().expect("a path")], &[&log]);
        assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    }
}
