//! The backstop: a seccomp filter in each worker, for calls that bypass the hooks.
//!
//! Calls that were evaluated carry a secret: in an argument that the kernel does not read, or, if libc itself executes a program, in
//! the address of its environment. All other calls that the filter stops are logged by the kernel, or evaluated by the supervisor.
//! The filter is loaded late: when the worker drops root privileges, because root may load it without no_new_privs, otherwise when it
//! accepts its first connection.

mod filter;
mod link;
pub mod supervisor;

use crate::child::environment;
use crate::memory::StringBuf;
use crate::policy::in_force;
use crate::process::stack;
use crate::process::state::{self, Role};
use crate::report::{counters, emit};
use crate::sys;
use crate::sys::Reader;
use crate::sys::SpeaksBy;
use crate::sys::Vector;
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicBool, Ordering};
use portcullis_policy::{Backstop, BackstopKind, Outcome, Policy, STRICTEST_SCOPE, Unknown};

/// What libc is about to execute in a new process.
#[derive(Clone, Copy)]
pub enum Executes<'e> {
    /// A program by its path, with these arguments.
    Program(&'e CStr, Vector),
    /// A shell for each command substitution in the words.
    Words(*const c_char),
}

/// Calls `go`, in which libc executes a program that was judged, with an environment that is not in the room: wordexp makes
/// it of `environ`. `file` is the one that was judged, by device and inode. The supervisor judges that program as well; the hook has
/// written its event.
#[inline(never)]
pub fn expecting<R>(what: Executes<'_>, file: Option<(u64, u64)>, go: impl FnOnce() -> R) -> R {
    if sys::secret() == 0 || in_force::policy().backstop().kind != BackstopKind::Supervise {
        return go();
    }
    let mut text = StringBuf::<{ supervisor::ARGUMENTS_MAX + 1 }>::new();
    let reader = Reader::default();
    let path = match what {
        Executes::Program(path, arguments) => {
            for index in 0..supervisor::ARGUMENTS_MAX {
                let Some(argument) = reader.pointer(arguments, index).filter(|argument| !argument.is_null()) else {
                    break;
                };
                let strings = Reader::default();
                let string = strings.string(argument, supervisor::ARGUMENTS_MAX).unwrap_or_default();
                text.push(if index == 0 { b"" } else { b"\0" });
                text.push(string);
            }
            path
        }
        Executes::Words(words) => {
            text.push(b"\0");
            text.push(reader.string(words.cast(), supervisor::ARGUMENTS_MAX).unwrap_or_default());
            c"/bin/sh"
        }
    };
    // What does not fit, or is not known, is not announced.
    let file = file.filter(|_| text.fits());
    if let Some(file) = file {
        sys::expect(text.bytes(), file, path.to_bytes());
    }
    let result = go();
    if file.is_some() {
        sys::expect(b"", (0, 0), b"");
    }
    result
}

/// For the constructor of a descendant that cannot use the policy, with the key that it was handed and does not take.
pub fn ask(key: u64) {
    state::set_judged_elsewhere(key != 0 && sys::is_supervised(key));
}

static TRIED: AtomicBool = AtomicBool::new(false);
/// Whether the worker gave up root without being able to load the filter: then it is tried once more.
static AGAIN: AtomicBool = AtomicBool::new(false);

/// A master is about to fork: its workers will reach their supervisor by what nobody else can.
pub fn before_fork() {
    if sys::secret() == 0 && in_force::policy().backstop().kind == BackstopKind::Supervise {
        link::hold(false);
    }
}

/// The process is about to give up root, or its root directory.
pub fn leaving_root() {
    if state::role() == Role::Master && state::ready() && sys::geteuid() == 0 {
        load();
    }
}

/// The process begins to serve.
pub fn serving() {
    load();
}

#[inline(never)]
fn load() {
    let policy = in_force::policy();
    let backstop = policy.backstop();
    if backstop.kind == BackstopKind::Off || sys::secret() != 0 || TRIED.swap(true, Ordering::AcqRel) {
        return;
    }
    // Whom it starts unblocks the signals.
    let is_loaded = stack::on(|| install(&policy, backstop));
    if !is_loaded {
        sys::set_secret(0);
        TRIED.store(AGAIN.swap(true, Ordering::AcqRel), Ordering::Release);
    }
    // Before the next attempt nothing runs for a request; what runs from now on has no way to the supervisor.
    if is_loaded || TRIED.load(Ordering::Acquire) {
        link::release();
    }
}

/// Takes over the secret of a descendant's tree; for the constructor.
pub fn inherit(secret: u64) {
    if secret != 0 && environment::set_room(secret) {
        sys::set_secret(secret);
    }
}

#[cold]
#[inline(never)]
fn install(policy: &Policy<'_>, backstop: Backstop) -> bool {
    if !sys::may_filter() {
        say(
            policy,
            "the backstop is off: the unit's system call filter ends whoever calls seccomp; add seccomp and pidfd_getfd to its SystemCallFilter=",
        );
        return false;
    }
    // Without a supervisor nobody is told anything.
    let speaks_by = match backstop.kind {
        BackstopKind::Supervise => SpeaksBy::tried(),
        _ => SpeaksBy::Execve,
    };
    let Some(secret) = (0..4).find_map(|_| {
        let secret = speaks_by.secret(sys::random()?);
        environment::set_room(secret).then_some(secret)
    }) else {
        say(policy, "the backstop could not be loaded: there is no memory for it");
        return false;
    };
    let Some(filter) = filter::Filter::new(policy, secret, environment::room_address(secret)) else {
        say(policy, "the backstop could not be loaded: the policy has no filter for it");
        return false;
    };
    if backstop.kind == BackstopKind::Supervise {
        let why = match link::link() {
            Err(why) => why,
            Ok(link) => {
                if link.is_anew {
                    let sentence = "the backstop's supervisor has ended or does not answer, and another has begun: calls that earlier workers send to it fail";
                    say_once(policy, ENDED, sentence, None);
                }
                // From here on the calls of this process carry the secret.
                sys::set_secret(secret);
                match filter.supervise(backstop.no_new_privs) {
                    Ok(listener) => {
                        if sys::geteuid() != 0 {
                            let sentence =
                                "the backstop's supervisor has the server's own user, whose programs can end it";
                            say_once(policy, UNPRIVILEGED, sentence, None);
                        }
                        if !link.hand_over(listener, secret) {
                            say(policy, "the backstop's supervisor does not answer: calls sent to it fail");
                        }
                        return true;
                    }
                    // It may be possible later.
                    Err(libc::EACCES) => return log(policy, &filter, secret, backstop),
                    Err(libc::EBUSY) => NoSupervisor::Place,
                    Err(_) => NoSupervisor::Notification,
                }
            }
        };
        return alone(policy, backstop, &filter, secret, why);
    }
    log(policy, &filter, secret, backstop)
}

/// Why a worker has no supervisor.
#[derive(Clone, Copy)]
enum NoSupervisor {
    /// The supervisor could not be started.
    Supervisor,
    /// It does not answer in time.
    Answer,
    /// It has as many workers as it can have.
    Room,
    /// The process has another one.
    Place,
    /// The kernel is too old.
    Notification,
}

/// What nobody judges is not known: where the policy enforces a rule that the backstop is for, the kernel refuses it, else it
/// logs.
fn alone(policy: &Policy<'_>, backstop: Backstop, filter: &filter::Filter, secret: u64, why: NoSupervisor) -> bool {
    let unknown = Unknown::SystemCall;
    let verdict = policy.decide_unknown(STRICTEST_SCOPE, unknown, u16::MAX);
    let refuses = verdict.outcome == Outcome::Deny;
    let sentence = match (why, refuses) {
        (NoSupervisor::Supervisor, false) => "the backstop logs only: its supervisor could not be started",
        (NoSupervisor::Answer, false) => "the backstop logs only: its supervisor does not answer",
        (NoSupervisor::Room, false) => "the backstop logs only: its supervisor has no place for another worker",
        (NoSupervisor::Place, false) => "the backstop logs only: the process has a filter with a supervisor of its own",
        (NoSupervisor::Notification, false) => "the backstop logs only: the kernel has no user notification of seccomp",
        (NoSupervisor::Supervisor, true) => {
            "the backstop denies what bypasses the hooks: its supervisor could not be started"
        }
        (NoSupervisor::Answer, true) => "the backstop denies what bypasses the hooks: its supervisor does not answer",
        (NoSupervisor::Room, true) => {
            "the backstop denies what bypasses the hooks: its supervisor has no place for another worker"
        }
        (NoSupervisor::Place, true) => {
            "the backstop denies what bypasses the hooks: the process has a filter with a supervisor of its own"
        }
        (NoSupervisor::Notification, true) => {
            "the backstop denies what bypasses the hooks: the kernel has no user notification of seccomp"
        }
    };
    say_of(policy, sentence, refuses.then_some(unknown));
    if !refuses {
        return log(policy, filter, secret, backstop);
    }
    sys::set_secret(secret);
    loaded(policy, filter.refuse(backstop.no_new_privs))
}

fn log(policy: &Policy<'_>, filter: &filter::Filter, secret: u64, backstop: Backstop) -> bool {
    sys::set_secret(secret);
    loaded(policy, filter.log(backstop.no_new_privs))
}

fn loaded(policy: &Policy<'_>, done: Result<(), i32>) -> bool {
    match done {
        Ok(()) => true,
        Err(libc::EACCES) => {
            // A worker that gives up root may get no second chance, and one without root had none.
            if AGAIN.load(Ordering::Acquire) || sys::geteuid() != 0 {
                say(policy, "the backstop is off: it needs CAP_SYS_ADMIN, or no_new_privs = true in [backstop]");
            }
            false
        }
        Err(_) => {
            say(policy, "the backstop is off: the kernel does not take its filter");
            false
        }
    }
}

/// What has been said of the backstop: that it is not as it should be, that its supervisor has no more rights than the server, and
/// that it was ended.
const WRONG: u64 = 1;
const UNPRIVILEGED: u64 = 2;
const ENDED: u64 = 4;

/// Writes an event on the backstop, unless another worker has written one.
fn say(policy: &Policy<'_>, sentence: &'static str) {
    say_of(policy, sentence, None);
}

fn say_of(policy: &Policy<'_>, sentence: &'static str, unknown: Option<Unknown>) {
    say_once(policy, WRONG, sentence, unknown);
}

fn say_once(policy: &Policy<'_>, what: u64, sentence: &'static str, unknown: Option<Unknown>) {
    if counters::counters().backstop.fetch_or(what, Ordering::Relaxed) & what == 0 {
        emit::guard_on(policy, sentence, unknown);
    }
}
