//! Every way of a program to do what the guard looks for, through libc and past it, under each layer; held against the table
//! of docs/threat-model.md.

use crate::build::{built, compile, enter, source};
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
const RULES: [&str; 11] = [
    "exec-place",
    "exec-tool",
    "stdio-socket",
    "loader-env",
    "listen-port",
    "dns-direct",
    "metadata",
    "php-ini",
    "fpm-socket",
    "process-memory",
    "namespace",
];

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
        let folder = tempfile::Builder::new().prefix("portcullis-test-").tempdir_in("/srv").expect("a folder");
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
        for rule in RULES {
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
                "seen, refused".to_owned()
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
        assert_eq!(cell, "seen, refused");
    }
    // The hooks write the variable themselves, over what is there.
    assert_eq!(bench.cell(How::Libc, "execve forged", "", "supervise"), "no");
}

/// Nobody can take the supervisor's name beforehand: a name that follows from the server's number is not its own.
#[test]
fn a_name_that_can_be_guessed_is_not_the_supervisors() {
    let bench = Bench::new();
    let namespace = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata("/proc/self/ns/pid").expect("/proc"));
    // A process of another user that has taken the name beforehand: the program's number is known once it waits here.
    let events = bench.folder.path().join("events.jsonl");
    let config = bench.folder.path().join("config.toml");
    let text =
        format!("[log]\nsink = [\"file\"]\nfile = \"{}\"\n[backstop]\nseccomp = \"supervise\"\n", events.display());
    std::fs::write(&config, text).expect("a file");
    let go = bench.folder.path().join("go");
    assert!(Command::new("mkfifo").arg(&go).status().expect("mkfifo").success());
    let child = Command::new("/bin/sh")
        .args(["-c", "read line < \"$0\"; exec \"$@\""])
        .arg(&go)
        .arg(built().join("portcullis"))
        .args(["run", "--role", "serving", "--config"])
        .arg(&config)
        .args(["--", "/bin/true"])
        .spawn()
        .expect("sh");
    let name = format!("portcullis-2-{}-{namespace}", child.id());
    // The credentials of a listener are those of whoever called listen.
    let squatter = std::thread::spawn(move || {
        // SAFETY: the thread's own user alone; the address is a sockaddr_un with an abstract name.
        unsafe {
            assert_eq!(libc::syscall(libc::SYS_setresuid, 33, 33, 33), 0);
            let fd = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0);
            let mut address: libc::sockaddr_un = std::mem::zeroed();
            address.sun_family = libc::AF_UNIX as u16;
            for (to, from) in address.sun_path.iter_mut().skip(1).zip(name.bytes()) {
                *to = from.cast_signed();
            }
            let len = (size_of::<libc::sa_family_t>() + 1 + name.len()) as u32;
            assert_eq!(libc::bind(fd, (&raw const address).cast(), len), 0);
            assert_eq!(libc::listen(fd, 8), 0);
            OwnedFd::from_raw_fd(fd)
        }
    });
    let _taken = squatter.join().expect("the thread");
    std::fs::write(&go, "go\n").expect("written");
    assert!(child.wait_with_output().expect("its end").status.success());
    let text = std::fs::read_to_string(&events).unwrap_or_default();
    assert!(!text.contains("the backstop logs only"), "{text}");
}

/// The supervisor's name, once it listens: only whoever is in its network namespace can look.
fn supervisors_name() -> String {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let sockets = std::fs::read_to_string("/proc/thread-self/net/unix").expect("/proc");
        if let Some(name) =
            sockets.lines().filter_map(|line| line.rsplit_once(" @")).find(|(_, n)| n.starts_with("portcullis-"))
        {
            return name.1.to_owned();
        }
        assert!(std::time::Instant::now() < end, "no supervisor");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The supervisor takes in the server and its children, and nobody else.
#[test]
fn a_stranger_is_no_worker() {
    let bench = Bench::new();
    let config = bench.folder.path().join("config.toml");
    std::fs::write(&config, "[log]\nsink = [\"stderr\"]\n[backstop]\nseccomp = \"supervise\"\n").expect("a file");
    let mut child = Command::new(built().join("portcullis"))
        .args(["run", "--role", "serving", "--config"])
        .arg(&config)
        .args(["--", "/bin/cat"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("portcullis");
    let name = supervisors_name();
    // SAFETY: the address is a sockaddr_un with an abstract name; the message is made of values that live as long.
    let answer = unsafe {
        let socket = OwnedFd::from_raw_fd(libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0));
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        for (to, from) in address.sun_path.iter_mut().skip(1).zip(name.bytes()) {
            *to = from.cast_signed();
        }
        let len = (size_of::<libc::sa_family_t>() + 1 + name.len()) as u32;
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while libc::connect(socket.as_raw_fd(), (&raw const address).cast(), len) != 0 {
            assert!(std::time::Instant::now() < end, "no supervisor");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // What a worker says (src/backstop/link.rs), with standard input for a listener.
        let mut words = [2_u64, 0, 0, 0, 0, 0];
        let mut piece = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: size_of_val(&words) };
        let mut control = [0_u64; 3];
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let header = &mut *libc::CMSG_FIRSTHDR(&raw const message);
        header.cmsg_level = libc::SOL_SOCKET;
        header.cmsg_type = libc::SCM_RIGHTS;
        header.cmsg_len = libc::CMSG_LEN(4) as usize;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(0);
        assert_eq!(libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL), 48);
        let mut answer = [0_u8; 1];
        libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), 1, 0)
    };
    assert!(answer <= 0, "it was taken in");
    drop(child.stdin.take());
    assert!(child.wait().expect("its end").success());
}
