//! A terminal emulator, tmux, with a shell in it: what is typed, what is seen, and whether it is as it was before.
#![allow(dead_code)]

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything takes; a test that waits so long has failed.
const TOO_LONG: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// A shell in a terminal.
pub struct Terminal {
    pub folder: tempfile::TempDir,
    pub log: PathBuf,
}

impl Terminal {
    pub fn new(columns: u16, rows: u16) -> Terminal {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("events.jsonl");
        std::fs::write(&log, "").expect("a file");
        let terminal = Terminal { folder, log };
        let size = [columns.to_string(), rows.to_string()];
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &size[0],
            "-y",
            &size[1],
            "exec env PS1='ready> ' bash --norc --noprofile",
        ]);
        terminal.await_text("ready>");
        terminal.line("echo before");
        terminal.await_text("\nbefore");
        terminal
    }

    pub fn tmux(&self, arguments: &[&str]) -> String {
        let socket = self.folder.path().join("tmux");
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(socket).args(arguments).env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        let done = command.stdin(Stdio::null()).output().expect("tmux");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    pub fn await_that(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(began.elapsed() < TOO_LONG, "{what}:\n{screen}");
            std::thread::sleep(LOOK);
        }
    }

    pub fn await_text(&self, text: &str) -> String {
        self.await_that(text, |screen| screen.contains(text))
    }

    pub fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Types a line.
    pub fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.key("Enter");
    }

    /// Types a command, and what shows its exit status.
    pub fn command(&self, command: &str) {
        self.line(&format!("{command}; echo status $?"));
    }

    pub fn start(&self, program: &Path) {
        self.command(&format!("{} top {}", program.display(), self.log.display()));
        self.await_text("portcullis top  ");
    }

    /// The terminal is as it was before: the text on it, the cursor, and what it does with keys.
    pub fn await_end(&self, status: &str) {
        let screen = self.await_text(&format!("status {status}"));
        assert!(screen.contains("\nbefore"), "what was there is there again: {screen}");
        self.await_quiet();
    }

    /// Whatever had the terminal has given it back.
    pub fn await_quiet(&self) {
        assert_eq!(self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag} #{pane_title}"]), self.state());
        self.line("clear; echo; stty -a | tr ' ;' '\\n\\n' | grep -cxE 'icanon|echo|isig|opost'");
        self.await_text("\n4\n");
        self.line("clear; echo; echo before");
        self.await_text("\nbefore");
    }

    /// No other screen, a cursor that is seen, and the title that tmux gives.
    pub fn state(&self) -> String {
        format!("0 1 {}", self.tmux(&["display-message", "-p", "#{host}"]))
    }

    pub fn write(&self, event: &Value) {
        let mut file = std::fs::File::options().append(true).open(&self.log).expect("the log");
        file.write_all(format!("{event}\n").as_bytes()).expect("a line");
    }

    /// The process that runs in the terminal.
    pub fn program(&self) -> String {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.trim())).expect("children");
        children.trim().to_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let socket = self.folder.path().join("tmux");
        let _ = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").output();
    }
}

/// Waits until something holds.
pub fn await_true(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < TOO_LONG, "{what}");
        std::thread::sleep(LOOK);
    }
}

/// Whether a process has ended. Its next parent may not have asked for its status yet.
pub fn has_ended(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])))
}
