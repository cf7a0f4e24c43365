//! sendmmsg(2) stops where the kernel stops, with the hooks as without: behind a message that a stream took in part, at the first
//! that fails, and before a header that cannot be read.

use crate::build::{built, compile, enter, source};
use std::path::{Path, PathBuf};
use std::process::Command;

struct Bench {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        enter();
        let folder = crate::build::folder();
        let program = compile(&source("messages.c"), folder.path(), "messages", &[]);
        Bench { folder, program }
    }

    fn guarded(&self, mode: &str, backstop: &str, word: &str) -> (Vec<String>, Vec<serde_json::Value>) {
        let log = self.folder.path().join("events.jsonl");
        let _ = std::fs::remove_file(&log);
        let config = self.folder.path().join("config.toml");
        let text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[rules.listen-port]\nmode = \"off\"\n[egress]\nallow = [\"192.88.1.10:5555\"]\n\
             [backstop]\nseccomp = \"{backstop}\"\n",
            log.display()
        );
        std::fs::write(&config, text).expect("a file");
        let mut command = Command::new(built().join("portcullis"));
        command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&self.program).arg(word);
        let lines = said(&mut command);
        (lines, events(&log))
    }
}

fn said(command: &mut Command) -> Vec<String> {
    let done = command.output().expect("a program");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect()
}

fn events(log: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Of each case the result, errno, the lengths that were written, and what arrived.
#[test]
fn the_kernel_says_how_many_are_sent() {
    let bench = Bench::new();
    for word in ["libc", "syscall"] {
        let bare = said(Command::new(&bench.program).arg(word));
        assert!(bare.len() >= 25, "{bare:?}");
        // What makes these cases what they are.
        let starts = |name: &str, with: &str| {
            let line = bare.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
            assert!(line.starts_with(with), "{name}{line}");
        };
        starts("stream taken in part: ", "1 ");
        starts("too long as the second: ", "1 ");
        starts("too long as the first: ", "-1 90 ");
        starts("2,000 messages: ", "1024 ");
        starts("unmapped behind two: ", "2 ");
        starts("unmapped: ", "-1 14;");
        for backstop in ["off", "supervise"] {
            let (guarded, events) = bench.guarded("audit", backstop, word);
            assert_eq!(guarded, bare, "{word}, {backstop}");
            assert!(!events.is_empty(), "nothing was judged");
        }
    }
}

/// A message that the policy refuses is what one is that the kernel refuses.
#[test]
fn what_is_refused_stops_it_as_what_fails_does() {
    let bench = Bench::new();
    for backstop in ["off", "supervise"] {
        let (lines, events) = bench.guarded("enforce", backstop, "refused");
        let wanted = [
            "refused as the first: -1 13 0 0 0; arrived 0",
            "refused as the second: 1 0 1 0 0; arrived 1",
            "refused as the sixth of ten: 5 0 1 1 1; arrived 5",
            "refused as none: 3 0 1 1 1; arrived 3",
        ];
        assert_eq!(lines, wanted, "{backstop}");
        assert_eq!(events.len(), 3, "{events:?}");
        assert!(events.iter().all(|event| event["event"]["outcome"] == "failure"), "{events:?}");
    }
}
