//! Every verb of the command where something is missing: memory, room on the disk, a standard stream. None ends without a word, and none
//! says that all is fine.
#![allow(clippy::disallowed_methods)]

use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Place(tempfile::TempDir);

impl Place {
    fn new(events: usize) -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        let event = |number: usize| {
            json!({
                "@timestamp": format!("2026-11-24T16:{:02}:{:02}Z", number / 60 % 60, number % 60),
                "rule": { "id": "shell-spawn" }, "event": { "action": "exec", "outcome": "success", "id": format!("a-{number}") },
                "client": { "address": format!("192.0.{}.{}", number / 250 % 250, number % 250) }, "host": { "hostname": "web1" },
                "url": { "domain": "shop.example", "original": format!("/x?{number}") },
                "process": { "command_line": format!("sh -c 'convert a{number}.xyz'") },
                "portcullis": { "chain": "php > sh", "request": { "state": "known", "script": format!("/srv/{number}.php") } },
            })
            .to_string()
                + "\n"
        };
        std::fs::write(place.at("log.jsonl"), (0..events).map(event).collect::<String>()).expect("a log");
        std::fs::write(place.at("p.toml"), "mode = \"audit\"\n").expect("a file");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A shell's line, in which `P` is the command.
    fn shell(&self, line: &str) -> Output {
        let line = line.replace("P ", &format!("timeout 100 {} ", env!("CARGO_BIN_EXE_portcullis")));
        let mut command = Command::new("bash");
        command.args(["-c", &line]).current_dir(self.0.path()).env_remove("PORTCULLIS_CONFIG");
        command.env("PATH", "/usr/bin:/bin").output().expect("bash")
    }

    /// The verbs of `--help`.
    fn verbs(&self) -> Vec<String> {
        let help = String::from_utf8(self.shell("P --help").stdout).expect("UTF-8");
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        listed.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }
}

/// What has each verb print something and change nothing.
fn prints(verb: &str) -> &'static str {
    match verb {
        "check" | "compile" => "--config p.toml -o -",
        "apply" => "--config p.toml --dry-run",
        "explain" => "--config p.toml --exec id",
        "events" | "learn" | "report" => "log.jsonl",
        "contain" => "--list",
        "help" | "status" | "ps" => "",
        // These need a server, a unit or a terminal.
        "run" | "install" | "uninstall" | "doctor" | "top" | "panic" => "--help",
        other => panic!("{other}: what does it print?"),
    }
}

/// What it is told, for the message of a test.
fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[test]
fn output_that_goes_nowhere_is_an_error() {
    let place = Place::new(300);
    let verbs = place.verbs();
    assert!(verbs.len() >= 15, "{verbs:?}");
    let mut tried = 0;
    for verb in verbs {
        let arguments = format!("{verb} {}", prints(&verb));
        // What is found wrong here is no matter of its output.
        if !place.shell(&format!("P {arguments}")).stdout.is_empty() {
            tried += 1;
            for (to, why) in [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")] {
                let done = place.shell(&format!("P {arguments} {to}"));
                let text = said(&done);
                assert_eq!(done.status.code(), Some(1), "{arguments} {to}: {text}");
                assert!(text.contains(why), "{arguments} {to}: {text}");
            }
        }
        // Nothing is left to say it on.
        let done = place.shell(&format!("P {arguments} 2>&-"));
        assert!(matches!(done.status.code(), Some(0..=2)), "{arguments}: {:?}", done.status);
    }
    assert!(tried >= 12, "{tried} verbs print something");
}

#[test]
fn an_output_by_the_name_of_a_closed_stream_is_an_error() {
    let place = Place::new(300);
    for verb in ["report log.jsonl -o", "learn --include-rare log.jsonl -o", "compile --config p.toml -o"] {
        for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            let done = place.shell(&format!("P {verb} {name} >&-"));
            assert_eq!(done.status.code(), Some(1), "{verb} {name}: {}", said(&done));
            assert!(said(&done).contains("Bad file descriptor"), "{verb} {name}: {}", said(&done));
        }
    }
}

/// As `run` found them.
#[test]
fn a_program_that_is_run_ignores_what_it_ignored() {
    let place = Place::new(1);
    // `run` takes the library beside itself; any will do here.
    std::fs::copy(env!("CARGO_BIN_EXE_portcullis"), place.at("portcullis")).expect("a copy");
    let built = place.shell("echo 'int none;' | cc -shared -x c -o libportcullis.so -");
    assert!(built.status.success(), "{}", said(&built));
    let ignored = |run: &str| {
        let done = place.shell(&format!("trap '' XFSZ ABRT; {run} grep SigIgn /proc/self/status"));
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    assert_eq!(ignored("./portcullis run --config p.toml --"), ignored(""));
}

#[test]
fn what_reads_a_closed_standard_input_says_so() {
    let place = Place::new(300);
    for verb in ["events -", "learn -", "report -", "contain --incident 0123456789abcdef -"] {
        let done = place.shell(&format!("P {verb} <&-"));
        assert_eq!(done.status.code(), Some(2), "{verb}: {}", said(&done));
        assert!(said(&done).contains("cannot read standard input: Bad file descriptor"), "{verb}: {}", said(&done));
    }
    for name in ["/dev/fd/0", "/proc/self/fd/0"] {
        assert_eq!(place.shell(&format!("P events {name} <&-")).status.code(), Some(2), "{name}");
    }
    // Where it is not asked for, it is not missed.
    assert!(place.shell("P events log.jsonl <&-").status.success());
}

#[test]
fn a_verb_without_memory_says_so() {
    let place = Place::new(40_000);
    let within = |kilobytes: usize, arguments: &str| {
        place.shell(&format!("unset RUST_BACKTRACE; ulimit -c 0; ulimit -v {kilobytes}; P {arguments}"))
    };
    // Below that, not even the allocator begins.
    let least = (30_000..200_000).step_by(4000).find(|kilobytes| within(*kilobytes, "--help").status.success());
    let least = least.expect("a program that starts");
    let mut missed = 0;
    for verb in place.verbs() {
        let done = within(least, &format!("{verb} {}", prints(&verb)));
        let text = said(&done);
        assert!(matches!(done.status.code(), Some(0..=2)), "{verb}: {:?}: {text}", done.status);
        missed += usize::from(text.contains("memory allocation of"));
        assert!(done.status.code() != Some(0) || !text.contains("memory allocation of"), "{verb}: {text}");
    }
    assert!(missed > 0, "no verb was without memory");
}

#[test]
fn a_file_beyond_the_limit_is_an_error_and_leaves_no_half_of_it() {
    let place = Place::new(300);
    let is_there = |name: &str| Path::exists(&place.at(name));
    for (verb, file) in [
        ("report -o page.html log.jsonl", "page.html"),
        ("learn --include-rare -o learnt.toml log.jsonl", "learnt.toml"),
        ("compile --config p.toml -o policy", "policy"),
        ("report log.jsonl > out", ""),
        ("events --json log.jsonl > out", ""),
    ] {
        let done = place.shell(&format!("ulimit -f 0; P {verb}"));
        assert_eq!(done.status.code(), Some(1), "{verb}: {}", said(&done));
        let words = ["File too large", "a file may not have as many"];
        assert!(words.iter().any(|word| said(&done).contains(word)), "{verb}: {}", said(&done));
        assert!(file.is_empty() || !is_there(file), "{verb}");
    }
}
