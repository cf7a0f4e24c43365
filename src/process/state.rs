//! What the constructor settles once for the process, and the few things that change afterwards; of the policy see `policy::in_force`.

use crate::memory::StringBuf;
use crate::sys::{self, Which};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use portcullis_policy::beacon;
pub use portcullis_request::context::{Finds, Role};

/// 0 before the constructor has run: what begins as zeros needs no page of the file.
pub(crate) static ROLE: AtomicU8 = AtomicU8::new(0);

/// The role now. Another library's constructor may ask before this library's own has run, which then runs.
#[inline]
pub fn role() -> Role {
    match ROLE.load(Ordering::Relaxed) {
        1 => Role::Master,
        2 => Role::Serving,
        3 => Role::Descendant,
        _ => early(),
    }
}

#[cold]
fn early() -> Role {
    (crate::ENSURE)();
    match ROLE.load(Ordering::Relaxed) {
        2 => Role::Serving,
        3 => Role::Descendant,
        _ => Role::Master,
    }
}

/// Sets the role.
pub fn set_role(role: Role) {
    ROLE.store(role as u8, Ordering::Relaxed);
}

static FINDS: AtomicU8 = AtomicU8::new(0);

/// What this program only finds, which it then executes in its own place.
pub fn finds() -> Finds {
    match FINDS.load(Ordering::Relaxed) {
        1 => Finds::Interpreter,
        2 => Finds::Shell,
        _ => Finds::Nothing,
    }
}

/// Sets it; for the constructor.
pub fn set_finds(finds: Finds) {
    FINDS.store(finds as u8, Ordering::Relaxed);
}

/// Where the role lies, for the supervisor.
pub fn role_address() -> usize {
    (&raw const ROLE) as usize
}

static FIRST_PID: AtomicU32 = AtomicU32::new(0);

/// The process in which the program began: another than this, where it has forked since.
pub fn first_pid() -> u32 {
    FIRST_PID.load(Ordering::Relaxed)
}

/// Takes note of it; for the constructor.
pub fn set_first_pid() {
    FIRST_PID.store(sys::getpid(), Ordering::Relaxed);
}

/// Written by the constructor only, read by everything after it.
pub struct Settled {
    /// The programs that led here.
    pub chain: StringBuf<256>,
    /// Where the compiled policy is, or would be.
    pub policy_path: StringBuf<512>,
    /// The library, as LD_PRELOAD is to name it.
    pub library: StringBuf<512>,
    /// Which file that is, and where it lies in memory.
    pub library_file: (Which, usize),
    /// Identity of standard error where the tree of processes began; zeros where it had none.
    pub stderr: (u64, u64),
    /// The main configuration file.
    pub config_path: StringBuf<512>,
}

struct Cell(UnsafeCell<Settled>);

// SAFETY: written in the constructor only, which runs before the process has threads of its own; see `settle`.
unsafe impl Sync for Cell {}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static SETTLED: Cell = Cell(UnsafeCell::new(Settled {
    chain: StringBuf::zeroed(),
    policy_path: StringBuf::zeroed(),
    library: StringBuf::zeroed(),
    library_file: (Which::UNKNOWN, 0),
    stderr: (0, 0),
    config_path: StringBuf::zeroed(),
}));
static READY: AtomicBool = AtomicBool::new(false);

/// What was settled.
pub fn settled() -> &'static Settled {
    // SAFETY: nobody writes after the constructor.
    unsafe { &*SETTLED.0.get() }
}

/// Settles; for the constructor.
pub fn settle(write: impl FnOnce(&mut Settled)) {
    // SAFETY: the constructor calls this, once at a time, before other threads exist and while no reference that
    // `settled` gave is alive.
    write(unsafe { &mut *SETTLED.0.get() });
}

static TITLE: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());

/// Notes where the kernel laid the program's first argument, over which programs write their title. For the constructor.
pub fn set_title(at: *mut u8) {
    TITLE.store(at, Ordering::Relaxed);
}

/// Calls `look` with the beginning of the process's title.
pub fn with_title(look: impl FnOnce(&[u8])) {
    let at = TITLE.load(Ordering::Relaxed);
    if !at.is_null() {
        look(crate::sys::Reader::default().string(at, 80).unwrap_or_default());
    }
}

/// The word of the counters that has what is known of requests, from the first connection on.
static REQUESTS: AtomicPtr<AtomicU64> = AtomicPtr::new(core::ptr::null_mut());

/// Notes requests in `word`, which is a static or in a mapping that stays for ever.
#[inline(always)]
pub fn note_requests_in(word: &'static AtomicU64) {
    REQUESTS.store(core::ptr::from_ref(word).cast_mut(), Ordering::Release);
}

/// A request was recognised. Once that is noted, nobody writes.
#[inline(always)]
pub fn recognised() {
    // SAFETY: null, or what `note_requests_in` was given.
    let Some(word) = (unsafe { REQUESTS.load(Ordering::Acquire).as_ref() }) else { return };
    if word.load(Ordering::Relaxed) & beacon::RECOGNISED == 0 {
        word.fetch_or(beacon::RECOGNISED, Ordering::Relaxed);
    }
}

static HAS_OTHER_LIBC: AtomicBool = AtomicBool::new(false);

/// The program's libc is not glibc. For the constructor.
pub fn set_other_libc() {
    HAS_OTHER_LIBC.store(true, Ordering::Relaxed);
}

/// Whether the program's libc is another than glibc.
pub fn has_other_libc() -> bool {
    HAS_OTHER_LIBC.load(Ordering::Relaxed)
}

/// Whether the constructor has run.
pub fn ready() -> bool {
    READY.load(Ordering::Acquire)
}

/// The constructor has run.
pub fn set_ready() {
    READY.store(true, Ordering::Release);
}

static REPORTED: AtomicU8 = AtomicU8::new(0);

/// The reason for a fallback that this tree of processes has reported; 0 for none.
pub fn reported() -> u8 {
    REPORTED.load(Ordering::Relaxed)
}

/// Sets it.
pub fn set_reported(reason: u8) {
    REPORTED.store(reason, Ordering::Relaxed);
}

/// This process has no key, and there is a supervisor, which judges what it does.
static JUDGED_ELSEWHERE: AtomicBool = AtomicBool::new(false);

/// Whether the supervisor judges what this process does as well, by the policy, so that an event is its to write.
pub fn is_judged_elsewhere() -> bool {
    JUDGED_ELSEWHERE.load(Ordering::Relaxed)
}

/// Sets it; for the constructor.
pub fn set_judged_elsewhere(is: bool) {
    JUDGED_ELSEWHERE.store(is, Ordering::Relaxed);
}
