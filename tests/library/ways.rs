//! Every way of a program to do what the guard looks for, through libc and past it, under each layer; held against the table
//! of docs/threat-model.md.

use crate::build::{built, compile, enter, source};
use portcullis_policy::Rule;
use std::fmt::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a program can do, and the rule that is about it.
const WAYS: [(&str, &str); 12] = [
    ("connect", "egress-port"),
    ("sendto", "egress-port"),
    ("sendto fast open", "egress-port"),
    ("sendmsg", "egress-port"),
    ("sendmmsg", "egress-port"),
    ("listen", "listen-port"),
    ("bind udp", "listen-port"),
    ("execve", "shell-spawn"),
    ("execveat", "shell-spawn"),
    ("execveat by descriptor", "shell-spawn"),
    ("execve in memory", "exec-place"),
    ("io_uring", "egress-port"),
];
/// The same by another architecture's calls, which have no libc here.
const I386: [(&str, &str); 3] =
    [("i386 connect", "egress-port"), ("i386 socketcall", "egress-port"), ("i386 execve", "shell-spawn")];
/// All beside the first two and exec-unguarded, which is about the static program itself.
fn rules() -> impl Iterator<Item = &'static str> {
    Rule::ALL.into_iter().filter(|rule| !rule.is_at_top() && *rule != Rule::ExecUnguarded).map(Rule::word)
}

/// How a program goes about it.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Libc,
    Syscall,
    Raw,
    Static,
}

impl How {
    fn heading(self) -> &'static str {
        match self {
            How::Libc => "libc's function",
            How::Syscall => "libc's syscall(2)",
            How::Raw => "the instruction",
            How::Static => "a static program",
        }
    }

    fn is_past_libc(self) -> bool {
        matches!(self, How::Raw | How::Static)
    }

    fn word(self) -> &'static str {
        match self {
            How::Libc | How::Static => "libc",
            How::Syscall => "syscall",
            How::Raw => "raw",
        }
    }
}

/// The kernel's audit records as they come (linux/audit.h: group 1 of NETLINK_AUDIT).
struct KernelLog(OwnedFd);

impl KernelLog {
    /// The records go to sockets of the first network namespace only, so before the test leaves it.
    fn new() -> KernelLog {
        // SAFETY: a new socket, whose address is a whole sockaddr_nl.
        unsafe {
            let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            let fd = libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_AUDIT);
            assert!(fd >= 0, "{}", std::io::Error::last_os_error());
            let mut address: libc::sockaddr_nl = std::mem::zeroed();
            address.nl_family = libc::AF_NETLINK as u16;
            address.nl_groups = 1;
            let len = size_of::<libc::sockaddr_nl>() as u32;
            assert_eq!(libc::bind(fd, (&raw const address).cast(), len), 0, "{}", std::io::Error::last_os_error());
            KernelLog(OwnedFd::from_raw_fd(fd))
        }
    }

    /// How many calls of a process the kernel has logged since the last look. Records come a moment later: where one is
    /// expected it is awaited.
    fn of(&self, pid: u32, expected: bool) -> usize {
        let mut count = 0;
        let mut buffer = [0_u8; 8192];
        loop {
            // SAFETY: the kernel writes at most that many bytes.
            let got = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            if got > 0 {
                let text = String::from_utf8_lossy(&buffer[..got as usize]);
                count += usize::from(text.contains(&format!(" pid={pid} ")) && text.contains(" syscall="));
                continue;
            }
            let mut entry = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one entry.
            if count > 0 || !expected || unsafe { libc::poll(&raw mut entry, 1, 10_000) } <= 0 {
                return count;
            }
        }
    }
}

/// What one run showed.
struct Seen {
    /// Rules and layers of the events.
    events: Vec<(String, String)>,
    done: bool,
    logged: usize,
}

struct Bench {
    folder: tempfile::TempDir,
    log: KernelLog,
    programs: [PathBuf; 2],
}

impl Bench {
    fn new() -> Bench {
        let log = KernelLog::new();
        enter();
        // Not in /tmp, which is no place for programs.
        let folder = crate::build::folder();
        let programs = [("ways", &[][..]), ("ways-static", &["-static"][..])]
            .map(|(name, flags)| compile(&source("ways.c"), folder.path(), name, flags));
        Bench { folder, log, programs }
    }

    fn run(&self, how: How, way: &str, layer: &str, mode: &str) -> Seen {
        let events = self.folder.path().join("events.jsonl");
        let _ = std::fs::remove_file(&events);
        let config = self.folder.path().join("config.toml");
        let mut text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[backstop]\nseccomp = \"{layer}\"\n",
            events.display()
        );
        for rule in rules() {
            let _ = writeln!(text, "[rules.{rule}]\nmode = \"{mode}\"");
        }
        text += "[rules.exec-unguarded]\nmode = \"off\"\n";
        std::fs::write(&config, text).expect("a file");
        let child = Command::new(built().join("portcullis"))
            .args(["run", "--role", "serving", "--config"])
            .arg(&config)
            // A program that starts it: a static one has no guard in it.
            .args(["--", "/usr/bin/env"])
            .arg(&self.programs[usize::from(how == How::Static)])
            .args([how.word(), way])
            .stdout(Stdio::piped())
            .spawn()
            .expect("portcullis");
        let pid = child.id();
        let done = child.wait_with_output().expect("its end");
        let text = String::from_utf8_lossy(&done.stdout);
        let is_done = match (way.contains("exec"), text.split(' ').next()) {
            // What is executed prints nothing.
            (true, result) => result == Some(""),
            (false, Some(result)) => {
                let result: i64 = result.parse().unwrap_or_else(|_| panic!("{way}: {text:?}"));
                result >= 0 || text.ends_with(" 111\n")
            }
            (false, None) => panic!("{way}: no answer"),
        };
        let text = std::fs::read_to_string(&events).unwrap_or_default();
        let events = text.lines().map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let word = |path: &str| event.pointer(path).and_then(|word| word.as_str()).unwrap_or_default().to_owned();
            (word("/rule/id"), word("/portcullis/layer"))
        });
        let expected = layer == "log" && how.is_past_libc();
        Seen { events: events.collect(), done: is_done, logged: self.log.of(pid, expected) }
    }

    /// What a layer makes of a way.
    fn cell(&self, how: How, way: &str, rule: &str, layer: &str) -> String {
        let (audit, enforce) = (self.run(how, way, layer, "audit"), self.run(how, way, layer, "enforce"));
        let context = format!("{} {way}, {layer}", how.heading());
        assert!(audit.done, "{context}: audit changed what it did");
        assert_eq!(audit.events, enforce.events, "{context}: audit logs exactly what enforce refuses");
        assert!(audit.events.len() <= 1, "{context}: {:?}", audit.events);
        match audit.events.first() {
            Some((found, by)) => {
                assert_eq!(found, rule, "{context}");
                assert_eq!(by, if how.is_past_libc() { "backstop" } else { "libc" }, "{context}");
                assert_eq!((audit.logged, enforce.logged), (0, 0), "{context}: logged twice");
                assert!(!enforce.done, "{context}: seen, and not refused");
                "seen, blocked".to_owned()
            }
            None if audit.logged > 0 => {
                assert!(enforce.done && enforce.logged > 0, "{context}");
                "the kernel logs".to_owned()
            }
            None => {
                assert!(enforce.done, "{context}: refused, and not seen");
                "no".to_owned()
            }
        }
    }
}

const HEAD: &str =
    "| way | by | libc hooks | backstop `log` | backstop `supervise` |\n| --- | --- | --- | --- | --- |\n";

#[test]
fn each_layer_sees_and_refuses_what_the_threat_model_says() {
    let bench = Bench::new();
    let mut found = String::from(HEAD);
    let hows = [How::Libc, How::Syscall, How::Raw, How::Static];
    for (way, rule) in WAYS {
        for how in hows {
            let cells = ["off", "log", "supervise"].map(|layer| bench.cell(how, way, rule, layer));
            let _ = writeln!(found, "| {way} | {} | {} |", how.heading(), cells.join(" | "));
        }
    }
    for (way, rule) in I386.into_iter().filter(|_| cfg!(target_arch = "x86_64")) {
        let cells = ["off", "log", "supervise"].map(|layer| bench.cell(How::Raw, way, rule, layer));
        let _ = writeln!(found, "| {way} | {} | {} |", How::Raw.heading(), cells.join(" | "));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/threat-model.md");
    let text = std::fs::read_to_string(path).expect("docs/threat-model.md");
    assert!(text.contains(&found), "docs/threat-model.md needs this table:\n{found}");
}

/// Whose request a program is started for is not for its environment to say, where that did not come through the hooks.
#[test]
fn a_forged_request_is_seen_and_refused() {
    let bench = Bench::new();
    for how in [How::Raw, How::Static] {
        let cell = bench.cell(how, "execve forged", "loader-env", "supervise");
        assert_eq!(cell, "seen, blocked");
    }
    // The hooks write the variable themselves, over what is there.
    assert_eq!(bench.cell(How::Libc, "execve forged", "", "supervise"), "no");
}
