//! What a process lends of its sinks to programs that cannot open them.
//!
//! Whoever has a descriptor can connect the socket anew, or set the flags of the file, and that counts for all descriptors of the
//! same open file description: a master's, its workers' and their programs'. So what is lent is opened for that, by each worker
//! that leaves its root folder, and nobody writes to it but programs that were lent it.
//!
//! A socket can be led to another one of the same name, or be shut down, and a descriptor that is handed down can be replaced by one of
//! the same file that does not write. So it is compared which socket is at the other end, and what a descriptor can do. Where somebody
//! has done any of that, what is started from there cannot say what it does: it counts as having lost its policy.

use super::held::HeldDescriptor;
use super::{BY_PATH, HELD, HELD_CONTAINER, KINDS, container, is_elsewhere, is_handed, write};
use crate::sys::{self, Fd, LookupIdentity, Stat};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use portcullis_policy::{Policy, Sink};

static JOURNALD_LENT: HeldDescriptor = HeldDescriptor::new();
static SYSLOG_LENT: HeldDescriptor = HeldDescriptor::new();
static FILE_LENT: HeldDescriptor = HeldDescriptor::new();
pub(super) const LENT: [&HeldDescriptor; KINDS] = [&JOURNALD_LENT, &SYSLOG_LENT, &FILE_LENT, &HELD_CONTAINER];

/// The other end of each socket that this process has to lend, or was lent; 0 where the kernel does not say.
static ENDS: [AtomicU32; KINDS] = [const { AtomicU32::new(0) }; KINDS];
/// Somebody has spoilt what this process lends, or was lent.
static SPOILT: AtomicBool = AtomicBool::new(false);

/// Whether somebody has spoilt what this process lends, or was lent.
pub fn is_spoilt() -> bool {
    SPOILT.load(Ordering::Relaxed)
}

/// The socket at the other end of a sink; 0 for a file, and where the kernel does not say.
pub fn end_of(stat: &Stat) -> u32 {
    if is_socket(stat) { sys::led(stat.identity.1).map_or(0, |led| led.peer) } else { 0 }
}

fn is_socket(stat: &Stat) -> bool {
    stat.mode & libc::S_IFMT == libc::S_IFSOCK
}

/// A sink that this program was told of: its descriptor, what that is, and the socket at its other end.
pub type HandedSink = (i32, Stat, u32);

/// Takes what this program was handed for a sink, where that `is` what it was told of.
pub fn accept((fd, stat, end): HandedSink, is: impl FnOnce(&Stat) -> bool) -> Option<HandedSink> {
    let is_good = is(&stat) && matches!(state(fd, &stat, end), State::Takes);
    if !is_good {
        spoil();
    }
    is_good.then_some((fd, stat, end))
}

/// What was told of is not there.
pub fn spoil() {
    SPOILT.store(true, Ordering::Relaxed);
}

/// Remembers the other ends of what this program keeps.
pub(super) fn set_end(at: usize, end: u32) {
    if let Some(place) = ENDS.get(at) {
        place.store(end, Ordering::Relaxed);
    }
}

/// Opens the sinks of `policy` once more, and, beside a file, the socket that is written to where the file cannot be.
pub fn open(policy: &Policy<'_>) {
    if is_elsewhere() {
        return;
    }
    let sinks = policy.sinks();
    if sinks & (Sink::Journald.bit() | Sink::File.bit()) != 0 {
        JOURNALD_LENT.refresh(|| write::to_socket(Sink::Journald));
    }
    if sinks & (Sink::Syslog.bit() | Sink::File.bit()) != 0 {
        SYSLOG_LENT.refresh(|| write::to_socket(Sink::Syslog));
    }
    if Sink::File.is_in(sinks) {
        FILE_LENT.refresh(|| write::file(write::c_path(policy.log_file())));
    }
    for (at, place) in LENT.into_iter().enumerate() {
        set_end(at, place.ours().and_then(sys::fstat).map_or(0, |stat| end_of(&stat)));
    }
}

/// Duplicates of what this process has to lend, or was lent itself.
#[cold]
#[inline(never)]
pub fn lend() -> [Option<Fd>; KINDS] {
    let have = if is_handed() { HELD } else { LENT };
    let mut ends = ENDS.iter().enumerate();
    have.map(|place| {
        let (at, end) = ends.next()?;
        fit(at, place, end.load(Ordering::Relaxed)).and_then(sys::duplicate_to_lend)
    })
}

/// Looks at what this program was lent, before an event: what is no sink any more is forgotten.
#[cold]
#[inline(never)]
pub fn look() {
    for (at, (place, end)) in HELD.into_iter().zip(&ENDS).enumerate() {
        // What is not there need not be forgotten: it may be there for those with whom a vfork child shares this memory.
        if fit(at, place, end.load(Ordering::Relaxed)).is_none() && place.ours().is_some() {
            place.forget();
        }
    }
}

/// A descriptor that events can be written to. Where it is none because somebody has led it elsewhere, that is remembered.
fn fit(at: usize, place: &HeldDescriptor, end: u32) -> Option<i32> {
    let (fd, stat) = place.as_it_is()?;
    let state = state(fd, &stat, end);
    let is_good = place.is(Some(stat.identity)) && matches!(state, State::Takes);
    if !(is_good || matches!(state, State::Gone) && has_ended(at)) {
        spoil();
    }
    (is_good && is_fit(at, fd, &stat)).then_some(fd)
}

/// Whether the other end of a sink has ended, as a daemon does that is restarted: what this process holds for itself, and nobody else
/// can lead elsewhere, has lost it, too. A program that was handed all that it has cannot tell.
fn has_ended(at: usize) -> bool {
    let own = if is_handed() { None } else { HELD.get(at) };
    own.is_some_and(|own| own.as_it_is().is_none_or(|(fd, stat)| matches!(state(fd, &stat, 0), State::Gone)))
}

/// What a descriptor of the right file, or a socket of the right name, does with what is written to it.
enum State {
    Takes,
    /// Nobody is at the other end.
    Gone,
    /// It does not write, or leads to another end than it did.
    Spoilt,
}

fn state(fd: i32, stat: &Stat, end: u32) -> State {
    if !is_socket(stat) {
        let writes = sys::flags(fd).is_some_and(|flags| flags & (libc::O_ACCMODE | libc::O_PATH) == libc::O_WRONLY);
        return if writes { State::Takes } else { State::Spoilt };
    }
    match sys::led(stat.identity.1) {
        Some(led) if led.is_shut => State::Spoilt,
        Some(led) if led.peer == 0 => State::Gone,
        Some(led) if end != 0 && led.peer != end => State::Spoilt,
        None if stat.identity.0 == 0 => State::Gone,
        _ => State::Takes,
    }
}

/// Whether its holder may have a file: one that can only be appended to, or that the user could open. Where somebody has set flags of
/// it that keep a line from its end, they are set back.
fn is_fit(at: usize, fd: i32, stat: &Stat) -> bool {
    match stat.mode & libc::S_IFMT {
        libc::S_IFSOCK if at < BY_PATH => return true,
        // Its flags keep no line from its end. A terminal takes input by a descriptor, and a socket that is the server's own can be shut.
        kind if at >= BY_PATH => return kind == libc::S_IFIFO && container::may_be_lent(),
        _ => {}
    }
    let Some(flags) = sys::flags(fd) else { return false };
    let may_have = sys::is_append_only(fd) || LookupIdentity::own().is_some_and(|eyes| eyes.may_write(stat));
    let is_set = flags & (libc::O_APPEND | libc::O_DIRECT) == libc::O_APPEND;
    may_have && (is_set || sys::set_flags(fd, libc::O_APPEND | libc::O_NONBLOCK))
}
