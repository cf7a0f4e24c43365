//! Memory that cannot be read, or cannot be written, is an error of the kernel's, with the hooks as without; so is a descriptor that
//! is none, which is no event.

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
        let program = compile(&source("wild.c"), folder.path(), "wild", &[]);
        Bench { folder, program }
    }

    fn guarded(&self, mode: &str, backstop: &str, word: &str) -> (Vec<String>, Vec<serde_json::Value>) {
        let log = self.folder.path().join("events.jsonl");
        let _ = std::fs::remove_file(&log);
        let config = self.folder.path().join("config.toml");
        let text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[rules.listen-port]\nmode = \"off\"\n[egress]\nallow = [\"127.0.0.1:1-65535\"]\n\
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

fn compared(mode: &str) {
    let bench = Bench::new();
    for word in ["libc", "syscall"] {
        let bare = said(Command::new(&bench.program).arg(word));
        // What makes these cases what they are.
        for line in
            ["0: -1 9", "5: -1 9", "6: -1 88", "21: -101 14", "22: -102 14", "23: 103 0", "26: 608 0", "60: signal 11"]
        {
            assert!(bare.iter().any(|other| other == line), "{line}: {bare:?}");
        }
        for backstop in ["off", "supervise"] {
            let (guarded, events) = bench.guarded(mode, backstop, word);
            // An environment that cannot be read is unknown, which enforce refuses.
            let is_compared = |line: &str| mode == "audit" || !line.starts_with("59: ");
            let pairs = bare.iter().zip(&guarded).filter(|(bare, _)| is_compared(bare));
            let differs: Vec<_> = pairs.filter(|(bare, guarded)| bare != guarded).collect();
            assert!(differs.is_empty(), "{word}, {backstop}: {differs:?}");
            assert_eq!(bare.len(), guarded.len());
            let routes = events.iter().filter(|event| event["portcullis"]["unknown"] == "route").count();
            assert_eq!(routes, 0, "{events:#?}");
        }
    }
}

#[test]
fn the_kernel_says_what_is_wrong_with_memory() {
    compared("audit");
}

/// What is refused for its descriptor or its memory is no event, whatever the rules say.
#[test]
fn enforce_says_the_same() {
    compared("enforce");
}
