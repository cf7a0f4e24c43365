//! Connected sockets whose sends are looked at although they carry no address.
//!
//! A connect of a datagram socket sends nothing, and often it only learns the socket's own address: it is quiet.
//! What is sent afterwards goes there all the same. Where that is refused, the kernel refuses it, for everybody who has the
//! socket and by every call (sendfile, splice, a ring, a program without libc): its sending is shut down before it is
//! connected, so that no thread comes in between. The hooks judge what is sent besides, so that there is an event. Where
//! nothing is refused, no hook may see what is sent: the connect has an event, and the start of a program that inherits the socket.
//!
//! **Limits**: the socket in a process without the hooks to which it was sent, and sends by the bare instruction, are refused
//! in enforce, by the kernel and without an event, and in audit not seen.

use crate::policy::verdict_cache;
use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Numbers of descriptors that have a bit of their own. Those above share one.
const BITS: usize = 4096;

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static MARKED: [AtomicU64; BITS / 64] = [const { AtomicU64::new(0) }; BITS / 64];
/// A higher one is marked.
static HIGH: AtomicBool = AtomicBool::new(false);
/// Sends without an address are looked at.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The cookies of the sockets whose sending was shut down here last.
static SHUT: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
/// How many there ever were.
static SHUTS: AtomicUsize = AtomicUsize::new(0);

/// Whether sends without an address are looked at: nearly always not.
#[inline(always)]
pub fn is_watched() -> bool {
    WATCHED.load(Ordering::Relaxed)
}

/// They are from now on.
pub fn watch() {
    WATCHED.store(true, Ordering::Relaxed);
}

fn bit(fd: i32) -> Option<(&'static AtomicU64, u64)> {
    let at = usize::try_from(fd).ok()?;
    Some((MARKED.get(at / 64)?, 1_u64.wrapping_shl(fd as u32)))
}

/// A socket was connected quietly.
pub fn mark(fd: i32) {
    match bit(fd) {
        Some((word, bit)) => {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        None => HIGH.store(true, Ordering::Relaxed),
    }
    watch();
}

/// Whether what a socket sends later can be judged then: its descriptor has a mark of its own, and the program's filters let
/// the guard end the socket's sending, and ask where it is connected.
pub fn can_judge_sends(fd: i32) -> bool {
    let lets = |number| sys::lets(number, [fd as usize, libc::SHUT_WR as usize, 0, 0, 0, 0]);
    bit(fd).is_some() && [libc::SYS_shutdown, libc::SYS_setsockopt, libc::SYS_getpeername].into_iter().all(lets)
}

/// A descriptor came from another process, which may have connected it quietly.
#[cold]
pub fn received(fd: i32) {
    if sys::asked_stream(fd) == Some(false) && sys::peer(fd).is_some() {
        mark(fd);
    }
}

/// Calls `with` with each marked descriptor that a program inherits, or may inherit. Marks stay: the program may not be found, and
/// who starts it by vfork has the same ones.
#[cold]
pub fn each_inherited(mut with: impl FnMut(i32)) {
    for (index, word) in MARKED.iter().enumerate() {
        let mut bits = word.load(Ordering::Relaxed);
        while bits != 0 {
            let fd = (index as i32).wrapping_mul(64).wrapping_add(bits.trailing_zeros() as i32);
            bits &= bits.wrapping_sub(1);
            if sys::is_inherited(fd) != Some(false) {
                with(fd);
            }
        }
    }
}

/// Whether a descriptor of this number was. It may be another by now.
pub fn is_marked(fd: i32) -> bool {
    match bit(fd) {
        Some((word, bit)) => word.load(Ordering::Relaxed) & bit != 0,
        None => HIGH.load(Ordering::Relaxed),
    }
}

/// It is another.
pub fn unmark(fd: i32) {
    if let Some((word, bit)) = bit(fd) {
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

/// A descriptor was copied.
#[inline]
pub fn copied(from: i32, onto: i32) {
    if is_watched() && onto >= 0 && is_marked(from) {
        mark(onto);
    }
}

/// Refuses in the kernel what is sent on a socket that is about to be connected quietly.
pub fn shut(fd: i32) {
    sys::end_sending(fd);
    let Some(cookie) = sys::cookie(fd) else { return };
    if !is_shut(cookie) {
        let number = SHUTS.fetch_add(1, Ordering::AcqRel);
        // One that is pushed out stays shut.
        if let Some(place) = SHUT.get(number % SHUT.len()) {
            place.store(cookie, Ordering::Release);
        }
        // What was allowed lately is asked about anew.
        verdict_cache::forget();
    }
}

fn is_shut(cookie: u64) -> bool {
    SHUT.iter().any(|place| place.load(Ordering::Acquire) == cookie)
}

/// Whether a socket may be one that was shut: every destination is judged anew then.
#[inline]
pub fn any_shut() -> bool {
    SHUTS.load(Ordering::Acquire) != 0
}

/// A socket goes where it may: if it was shut, the kernel has no way back, so another socket of its kind takes its place,
/// without what it was bound to; not where that does not go there, by `goes`. A copy of the old one stays shut.
#[cold]
pub fn revive(fd: i32, goes: impl FnOnce(i32) -> bool) {
    if sys::cookie(fd).is_some_and(is_shut)
        && let Some(new) = sys::socket_like(fd)
        && goes(new.0)
        && sys::put_in_place_of(&new, fd)
    {
        unmark(fd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_of_one_number_each() {
        for fd in [0, 63, 64, 4095] {
            assert!(!is_marked(fd));
            mark(fd);
            assert!(is_marked(fd) && !is_marked(fd ^ 1));
            unmark(fd);
            assert!(!is_marked(fd));
        }
        assert!(!is_marked(-1) && !is_marked(4096));
        mark(5000);
        assert!(is_marked(4096));
        HIGH.store(false, Ordering::Relaxed);
    }
}
