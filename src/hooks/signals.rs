//! What system(3) does about signals and cancellation, as POSIX has it and glibc does it (sysdeps/posix/system.c).
//!
//! **Concurrency**: SIGINT and SIGQUIT are ignored from the first of several concurrent calls to the last.

use super::turn::Turn;
use crate::real::table::part;
use crate::real::types::Cleanup;
use crate::sys;
use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};

/// How many calls are in progress, and what was to be done about SIGINT and SIGQUIT before the first of them.
struct Ignored {
    calls: u32,
    interrupt: Option<libc::sigaction>,
    quit: Option<libc::sigaction>,
}

struct SharedSignals(UnsafeCell<Ignored>);

// SAFETY: looked at in one's turn only.
unsafe impl Sync for SharedSignals {}

static TURN: Turn = Turn::new();
static IGNORED: SharedSignals = SharedSignals(UnsafeCell::new(Ignored { calls: 0, interrupt: None, quit: None }));

fn in_turn<R>(change: impl FnOnce(&mut Ignored) -> R) -> R {
    let _held = TURN.take();
    // SAFETY: the turn is this thread's, and nothing in here takes it again.
    change(unsafe { &mut *IGNORED.0.get() })
}

/// The signals of a call of system(3).
pub struct Signals {
    /// The mask before the call, which is the child's.
    mask: u64,
    /// The signals that the child does not ignore.
    reset: u64,
}

impl Signals {
    /// Ignores SIGINT and SIGQUIT, and blocks SIGCHLD.
    pub fn enter() -> Signals {
        let (interrupt, quit) = in_turn(|ignored| {
            if ignored.calls == 0 {
                ignored.interrupt = ignore(libc::SIGINT);
                ignored.quit = ignore(libc::SIGQUIT);
            }
            ignored.calls = ignored.calls.wrapping_add(1);
            (handler(ignored.interrupt), handler(ignored.quit))
        });
        let mask = sys::block_signals(libc::SIG_BLOCK, sys::signal_bit(libc::SIGCHLD));
        let mut reset = 0;
        for (signal, handler) in [(libc::SIGINT, interrupt), (libc::SIGQUIT, quit)] {
            if handler != libc::SIG_IGN {
                reset |= sys::signal_bit(signal);
            }
        }
        Signals { mask, reset }
    }

    /// The attributes of the child.
    pub fn attributes(&self) -> Attributes {
        let flags = (libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK) as i16;
        let set = |bits| core::array::from_fn(|word| if word == 0 { bits } else { 0 });
        Attributes { flags, group: 0, defaults: set(self.reset), mask: set(self.mask), rest: [0; 18] }
    }

    /// Puts everything back.
    pub fn leave(self) {
        restore();
        sys::block_signals(libc::SIG_SETMASK, self.mask);
    }
}

/// The last call puts back what the first found.
fn restore() {
    in_turn(|ignored| {
        ignored.calls = ignored.calls.wrapping_sub(1);
        if ignored.calls == 0 {
            put_back(libc::SIGINT, ignored.interrupt);
            put_back(libc::SIGQUIT, ignored.quit);
        }
    });
}

/// Ignores a signal; what was done about it before. By libc's sigaction, which leaves a mark in the flags.
fn ignore(signal: c_int) -> Option<libc::sigaction> {
    // SAFETY: zeros are an action without flags and mask.
    let (mut action, mut before) = unsafe { core::mem::zeroed::<(libc::sigaction, libc::sigaction)>() };
    action.sa_sigaction = libc::SIG_IGN;
    // SAFETY: libc reads one and writes the other.
    let done = unsafe { part::sigaction()?(signal, &raw const action, &raw mut before) };
    (done == 0).then_some(before)
}

fn put_back(signal: c_int, before: Option<libc::sigaction>) {
    if let (Some(sigaction), Some(before)) = (part::sigaction(), before) {
        // SAFETY: what was there before.
        unsafe { sigaction(signal, &raw const before, core::ptr::null_mut()) };
    }
}

fn handler(action: Option<libc::sigaction>) -> libc::sighandler_t {
    action.map_or(libc::SIG_DFL, |action| action.sa_sigaction)
}

/// `posix_spawnattr_t`, as spawn.h lays it out.
#[repr(C)]
pub struct Attributes {
    flags: i16,
    group: i32,
    defaults: [u64; 16],
    mask: [u64; 16],
    rest: [i32; 18],
}

const _: () = assert!(size_of::<Attributes>() == size_of::<libc::posix_spawnattr_t>());

/// Calls `go`; `routine` with `argument` where the thread is cancelled in it.
pub fn with_cleanup<R>(routine: unsafe extern "C" fn(*mut c_void), argument: *mut c_void, go: impl FnOnce() -> R) -> R {
    let mut cleanup = Cleanup {
        routine: core::ptr::null_mut(),
        argument: core::ptr::null_mut(),
        kind: 0,
        before: core::ptr::null_mut(),
    };
    let (push, pop) = (part::_pthread_cleanup_push(), part::_pthread_cleanup_pop());
    if let Some(push) = push {
        // SAFETY: the buffer stays until it is popped; the argument is the routine's.
        unsafe { push(&raw mut cleanup, routine, argument) };
    }
    let result = go();
    if let (Some(_), Some(pop)) = (push, pop) {
        // SAFETY: it was pushed above.
        unsafe { pop(&raw mut cleanup, 0) };
    }
    result
}

/// Waits for the shell of system(3): its status, or -1. A cancellation point: a thread that is cancelled ends the shell.
pub fn wait(pid: libc::pid_t) -> c_int {
    let Some(waitpid) = part::waitpid() else { return sys::wait_child(pid).unwrap_or(-1) };
    with_cleanup(cancelled, core::ptr::without_provenance_mut(pid as usize), || {
        let mut status = -1;
        loop {
            // SAFETY: waitpid writes an int.
            let done = unsafe { waitpid(pid, &raw mut status, 0) };
            if done == pid {
                return status;
            }
            if done != -1 || super::errno() != libc::EINTR {
                return -1;
            }
        }
    })
}

/// Ends the shell of a thread that is cancelled, and counts its call off.
unsafe extern "C" fn cancelled(pid: *mut c_void) {
    let pid = pid as usize as i32;
    sys::kill_child(pid);
    while sys::wait_child(pid) == Err(libc::EINTR) {}
    restore();
}
