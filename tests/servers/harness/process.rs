//! Starting a server, with or without the guard, and ending it.

use super::{Events, Place};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until `done`, at most a minute: a server under valgrind takes half of one to begin.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Children of a process, by /proc.
pub fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// How a server is guarded.
pub struct Guard {
    pub library: PathBuf,
    /// Empty for the default one.
    pub config: PathBuf,
    pub log: PathBuf,
}

impl Guard {
    pub fn new(place: &Place, config: PathBuf, log: PathBuf) -> Guard {
        Guard { library: place.library(), config, log }
    }

    /// One that is installed and has the default configuration.
    pub fn installed(library: PathBuf) -> Guard {
        Guard { library, config: PathBuf::new(), log: PathBuf::new() }
    }

    /// Puts the guard into a command's environment, as a service unit does.
    pub fn load(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        if !self.config.as_os_str().is_empty() {
            command.env("PORTCULLIS_CONFIG", &self.config);
        }
    }

    /// Where its compiled policy lies.
    pub fn policy(&self) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        let suffix = portcullis_policy::place::suffix(self.config.as_os_str().as_bytes()).unwrap_or_default();
        let suffix: String = suffix.into_iter().map(char::from).collect();
        format!("{}{suffix}", portcullis_policy::place::DEFAULT_POLICY).into()
    }

    /// Applies the configuration as it is now; running servers take it when they fork or are reloaded. Gives what the command said.
    pub fn apply(&self) -> std::process::Output {
        let command = self.library.with_file_name("portcullis");
        let config = self.config.to_str().expect("a path");
        Command::new(command).args(["apply", "--no-reload", "--config", config]).output().expect("portcullis")
    }

    pub fn events(&self) -> Events {
        Events::of(self.log.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.config.as_os_str().is_empty() {
            let _ = std::fs::remove_file(self.policy());
        }
    }
}

/// A running server, ended with the value.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`, with `guard` where there is one; its output goes to the test's.
    pub fn start(mut command: Command, guard: Option<&Guard>) -> Process {
        if let Some(guard) = guard {
            guard.load(&mut command);
        }
        let name = format!("{:?}", command.get_program());
        // Apache ends its whole process group.
        let child =
            command.process_group(0).stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        Process { child }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a child of this test that was not waited for yet.
        unsafe { libc::kill(self.pid(), signal) };
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Ends it gracefully with `signal`.
    pub fn stop(&mut self, signal: i32) {
        self.signal(signal);
        wait_until("the server to stop", || self.ended());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended() {
            self.signal(libc::SIGTERM);
            let end = Instant::now() + Duration::from_secs(10);
            while !self.ended() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
