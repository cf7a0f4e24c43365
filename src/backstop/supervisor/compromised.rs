//! Tests the broker against a judge that an attacker controls: a process waits in a call, and the judge requests what the process itself
//! could not do.

use super::SharedState;
use super::broker::{BrokerOutcome, JudgeActivity, JudgeJob, SoFar};
use super::permit::Permit;
use super::subject;
use crate::sys::broker::desk::{ASKED, BrokerCopy, Desk, LATER, NO_PLACE, Shape, asked};
use crate::sys::{self, Fd, Notice};
use core::sync::atomic::Ordering;
use portcullis_policy::format::Instruction;
use std::io::Read;
use std::os::fd::AsRawFd;

/// A process that waits in a call until the test ends it.
struct Caller {
    pid: i32,
    listener: Fd,
    notice: Notice,
}

impl Drop for Caller {
    fn drop(&mut self) {
        // SAFETY: a child of the test.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, core::ptr::null_mut(), 0);
        }
    }
}

extern "C" fn nothing(_: i32) {}

/// Makes a system call in a child, and stops it there.
fn caller(number: libc::c_long, args: [usize; 6]) -> Caller {
    let step = |code: u16, k: u32, jf: u8| Instruction { code: code.into(), jt: 0, jf, k: k.into() };
    // The number; a notice where it is this one.
    let filter =
        [step(0x20, 0, 0), step(0x15, number as u32, 1), step(0x06, 0x7fc0_0000, 0), step(0x06, 0x7fff_0000, 0)];
    let (mut told, tell) = std::io::pipe().expect("a pipe");
    // SAFETY: the child makes system calls alone.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: its own signals.
        unsafe { libc::signal(libc::SIGUSR1, nothing as *const () as libc::sighandler_t) };
        sys::set_no_new_privs();
        let listener = sys::seccomp(&filter, sys::NEW_LISTENER).unwrap_or(0) as i32;
        let _ = sys::write(tell.as_raw_fd(), &[], &listener.to_ne_bytes());
        // SAFETY: it is stopped before the kernel looks at the arguments.
        unsafe { sys::any(number, args) };
        // Where it was interrupted, another program could be here, with the same number.
        loop {
            // SAFETY: waits for signals.
            unsafe { libc::pause() };
        }
    }
    drop(tell);
    let mut number = [0; 4];
    told.read_exact(&mut number).expect("the listener's number");
    let listener = sys::borrow(pid as u32, pid as u32, i32::from_ne_bytes(number)).expect("the listener");
    let notice = sys::receive(listener.0).expect("the call");
    Caller { pid, listener, notice }
}

impl Caller {
    /// Its call ends; the process goes on.
    fn interrupt(&self) {
        while sys::still_waits(self.listener.0, self.notice.id) {
            // SAFETY: a child of the test.
            unsafe { libc::kill(self.pid, libc::SIGUSR1) };
            std::thread::yield_now();
        }
    }

    fn pid(&self) -> u32 {
        self.pid as u32
    }
}

/// Memory that the supervisor's processes share.
fn share<T>() -> &'static T {
    let at = sys::mmap(None, size_of::<T>()).expect("memory");
    // SAFETY: a zeroed mapping of that size, never unmapped; zero bytes are a valid value of what the tests share.
    unsafe { &*at.cast::<T>() }
}

/// The broker, and what the judge puts down for it.
struct Broker {
    job: JudgeJob<'static>,
    copied: BrokerCopy,
    desk: &'static Desk,
}

impl Broker {
    fn of(shared: &'static SharedState, at: JudgeActivity<'static>) -> Broker {
        let desk = share::<Desk>();
        Broker { job: JudgeJob::new(shared, desk, at), copied: BrokerCopy::new().expect("memory"), desk }
    }

    fn at(caller: &Caller) -> Broker {
        let shared = share::<SharedState>();
        let member = &shared.members[0];
        member.listener.store(caller.listener.0, Ordering::Relaxed);
        let permit = Permit::of(&caller.notice);
        Broker::of(shared, JudgeActivity::Call { member, thread: caller.pid(), id: caller.notice.id, permit })
    }

    /// What becomes of a request: the number of the answer, and whether a descriptor came with it.
    fn ask(&mut self, words: [u64; ASKED], with: Option<Fd>, text: &[u8]) -> (i64, bool) {
        self.desk.put_text(&[text]).expect("room");
        match self.job.answer(&words, with, &mut self.copied) {
            BrokerOutcome::Answer(number, fd) => (number, fd.is_some()),
            BrokerOutcome::Says([number, ..]) => (number as i64, false),
            _ => panic!("{words:?}"),
        }
    }

    fn open(&mut self, pid: u32, name: &[u8], is_place: bool) -> (i64, bool) {
        self.ask([asked::OPEN, pid.into(), is_place.into(), name.len() as u64, 0, 0, 0, 0], None, name)
    }

    fn follow(&mut self, folder: &str, name: &[u8]) -> (i64, bool) {
        let folder = std::ffi::CString::new(folder).expect("a path");
        let folder = sys::open(libc::AT_FDCWD, &folder, libc::O_PATH, 0).expect("a folder");
        self.ask([asked::FOLLOW, name.len() as u64, 0, 0, 0, 0, 0, 0], Some(folder), name)
    }
}

const HAD: (i64, bool) = (0, true);

fn failed(errno: i32) -> (i64, bool) {
    (-i64::from(errno), false)
}

/// Files of the caller can be opened only while its call waits: afterwards, its number may be another program's.
#[test]
fn nothing_is_had_of_a_caller_whose_call_has_ended() {
    const HEADERS: usize = 0x1000_0000;
    let caller = caller(libc::SYS_sendmmsg, [0, HEADERS, 1, 0, 0, 0]);
    let pid = caller.pid();
    let mut broker = Broker::at(&caller);
    let folder = format!("/proc/{pid}/fd");
    let names: [(&[u8], bool); 5] =
        [(b"mem", false), (b"maps", false), (b"environ", false), (b"root", true), (b"cwd", true)];
    for (name, is_place) in names {
        assert_eq!(broker.open(pid, name, is_place), HAD, "{}", String::from_utf8_lossy(name));
    }
    assert_eq!(broker.follow(&folder, b"0"), HAD);
    caller.interrupt();
    for (name, is_place) in names {
        let name_text = String::from_utf8_lossy(name);
        assert_eq!(broker.open(pid, name, is_place), failed(libc::ESRCH), "{name_text}");
    }
    assert_eq!(broker.follow(&folder, b"0"), failed(libc::EACCES));
    let len_at = (HEADERS + 56) as u64;
    assert_eq!(broker.ask([asked::SEND, 0, 0, 0, 1, len_at, 0, 0], None, b""), (NO_PLACE, false));
    // What all users can read can still be opened.
    assert_eq!(broker.open(std::process::id(), b"status", false), HAD);
}

/// The links in another process's folder lead to what that has open, which is not the caller's.
#[test]
fn a_link_of_another_process_is_not_followed() {
    let caller = caller(libc::SYS_connect, [0; 6]);
    let mut broker = Broker::at(&caller);
    let own = std::process::id();
    for folder in [format!("/proc/{own}/fd"), format!("/proc/{own}/ns"), format!("/proc/{own}")] {
        let name: &[u8] = if folder.ends_with("fd") {
            b"0"
        } else if folder.ends_with("ns") {
            b"mnt"
        } else {
            b"exe"
        };
        assert_eq!(broker.follow(&folder, name), failed(libc::EACCES), "{folder}");
    }
    let of_caller = caller.pid();
    assert_eq!(broker.follow(&format!("/proc/{of_caller}"), b"exe"), HAD);
    assert_eq!(broker.follow(&format!("/proc/{of_caller}/task/{of_caller}/fd"), b"0"), HAD);
    assert_eq!(broker.follow("/usr/bin", b"awk"), failed(libc::EPERM), "a link like any other");
}

/// A worker's number may be another process's once it has ended; when that began tells them apart.
#[test]
fn nothing_is_had_of_another_process_with_a_workers_number() {
    let own = std::process::id();
    let start = subject::start_of(own).expect("a start");
    let shared = share::<SharedState>();
    assert_eq!(Broker::of(shared, JudgeActivity::Worker(own, start)).open(own, b"mem", false), HAD);
    let mut other = Broker::of(shared, JudgeActivity::Worker(own, start + 1));
    assert_eq!(other.open(own, b"mem", false), failed(libc::ESRCH));
}

/// Where a judge waits in the middle of a call of many messages, the call may return how many were sent.
#[test]
fn what_was_sent_so_far_is_known() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(socket.local_addr().expect("an address")).expect("connect");
    let fd = socket.as_raw_fd();
    let plain = Shape { is_named: false, name: 0, control: 0, is_plain: true, faults: false };
    let send = |len_at| [asked::SEND, 0, 0, plain.word(), 1, len_at, 0, 0];
    let caller = |number| caller(number, [fd as usize, 0x1000_0000, 2, 0, 0, 0]);
    let many = caller(libc::SYS_sendmmsg);
    let mut broker = Broker::at(&many);
    let borrow = [asked::BORROW, fd as u64, 0, 0, 0, 0, 0, 0];
    assert!(matches!(broker.job.answer(&borrow, None, &mut broker.copied), BrokerOutcome::Lends(0, _)));
    assert!(matches!(broker.job.so_far(&broker.copied), SoFar::Nothing));
    assert_eq!(broker.ask(send(0x1000_0000 + 56), None, b""), (1, false));
    assert!(matches!(broker.job.so_far(&broker.copied), SoFar::Sent(1)));
    let _ = broker.ask(send(0x1000_0000 + 64 + 56), None, b"");
    assert!(matches!(broker.job.so_far(&broker.copied), SoFar::Sent(2)));
    let one = caller(libc::SYS_sendmsg);
    let mut broker = Broker::at(&one);
    let _ = broker.job.answer(&borrow, None, &mut broker.copied);
    let send = [asked::SEND_LATER, 0, 0, plain.word(), 1, 0, 0, 0];
    assert_eq!(broker.ask(send, None, b""), (LATER, false));
    assert!(matches!(broker.job.so_far(&broker.copied), SoFar::Unknown));
}

/// The last descriptor of a stream that waits at its close for what was sent to arrive: the broker does not.
#[test]
fn what_was_lent_is_let_go_without_waiting() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let stream = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("connect");
    let fd = stream.as_raw_fd();
    let bytes = [0; 1 << 16];
    while sys::send_bytes(fd, &bytes).is_ok() {}
    let caller = caller(libc::SYS_connect, [fd as usize, 0, 0, 0, 0, 0]);
    let mut broker = Broker::at(&caller);
    let borrow = [asked::BORROW, fd as u64, 0, 0, 0, 0, 0, 0];
    assert!(matches!(broker.job.answer(&borrow, None, &mut broker.copied), BrokerOutcome::Lends(0, _)));
    let linger = [1, 3_i32].map(i32::to_ne_bytes);
    assert_eq!(sys::set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, linger.as_flattened()), 0);
    drop(caller);
    drop(stream);
    let begun = std::time::Instant::now();
    drop(broker);
    assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
}
