//! Sockets on which the process itself asks name servers, as c-ares, nginx and others do.
//!
//! Whatever comes on a datagram socket may lie there since before it was connected to the name server, from anybody. So an
//! answer is believed only where the socket had nothing to be received once it was connected (from then on the kernel lets
//! nobody else in), where it still is the same socket, and where the question, with its number, was sent on it. In another network
//! than the server's, the name server's address is anybody's.

use super::remember;
use crate::judge::peers;
use crate::policy::in_force;
use crate::process::home;
use crate::sys;
use crate::sys::Reader;
use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use portcullis_policy::dns;

/// The port of name servers.
pub const DNS: u16 = 53;
/// Of a question, as much as is looked at: a name and what is around it.
const QUESTION_MAX: usize = 512;

/// A socket on which a name server is asked.
struct Socket {
    /// The descriptor plus one; 0 for a free place.
    fd: AtomicI32,
    /// The number by which the kernel tells it from all others.
    cookie: AtomicU64,
}

static SOCKETS: [Socket; 16] = [const { Socket { fd: AtomicI32::new(0), cookie: AtomicU64::new(0) } }; 16];
/// How many places were ever used.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Where the next socket goes once all places are taken.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Questions that were sent, as hashes; 0 for a free place.
#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static QUESTIONS: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];
/// Where the next goes.
static NEXT_QUESTION: AtomicUsize = AtomicUsize::new(0);

fn place(fd: i32) -> Option<&'static Socket> {
    let number = fd.wrapping_add(1);
    let used = USED.load(Ordering::Relaxed);
    SOCKETS.iter().take(used).find(|place| place.fd.load(Ordering::Relaxed) == number)
}

fn forget(fd: i32) {
    for place in &SOCKETS {
        let _ = place.fd.compare_exchange(fd.wrapping_add(1), 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A socket was just connected to the port of name servers, perhaps to ask one.
pub fn asking(fd: i32) {
    let is_stream = sys::asked_stream(fd) == Some(true);
    let cookie = match sys::cookie(fd) {
        // On a stream nothing can be received that its other end did not send.
        Some(cookie) if (is_stream || sys::is_empty(fd)) && home::has(fd) => cookie,
        _ => return forget(fd),
    };
    let place = place(fd).or_else(|| free(fd)).or_else(|| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % SOCKETS.len();
        SOCKETS.get(next)
    });
    if let Some(place) = place {
        place.cookie.store(cookie, Ordering::Relaxed);
        place.fd.store(fd.wrapping_add(1), Ordering::Relaxed);
        peers::watch();
    }
}

fn free(fd: i32) -> Option<&'static Socket> {
    let number = fd.wrapping_add(1);
    let mut places = SOCKETS.iter().enumerate();
    let (index, place) =
        places.find(|(_, place)| place.fd.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed).is_ok())?;
    USED.fetch_max(index.wrapping_add(1), Ordering::Relaxed);
    Some(place)
}

/// Whether a name server was asked on a socket of this number.
#[inline]
pub fn is_asking(fd: i32) -> bool {
    USED.load(Ordering::Relaxed) != 0 && is_among_asking(fd)
}

#[inline(never)]
fn is_among_asking(fd: i32) -> bool {
    place(fd).is_some()
}

/// The hash of a question on a socket; never 0.
fn hash(cookie: u64, (number, question): (u16, &[u8])) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let first = mix(cookie, u64::from(number));
    question.iter().fold(first, |hash, &byte| mix(hash, u64::from(byte))) | 1
}

/// Something is sent on a socket on which a name server is asked.
///
/// # Safety
/// The bytes must be what the caller of a hook gave; they are read where they can be.
pub unsafe fn asked(fd: i32, bytes: *const u8, size: usize) {
    let size = size.min(QUESTION_MAX);
    let reader = Reader::default();
    let last = bytes.wrapping_add(size.wrapping_sub(1));
    if size == 0 || !reader.ok(bytes as usize) || !reader.ok(last as usize) {
        return;
    }
    // SAFETY: both ends can be read, and between them is no other page.
    let message = unsafe { core::slice::from_raw_parts(bytes, size) };
    if let Some(place) = place(fd)
        && let Some(question) = dns::question(message)
    {
        let hash = hash(place.cookie.load(Ordering::Relaxed), question);
        let next = NEXT_QUESTION.fetch_add(1, Ordering::Relaxed) % QUESTIONS.len();
        if let Some(place) = QUESTIONS.get(next) {
            place.store(hash, Ordering::Relaxed);
        }
    }
}

/// These bytes were received on a socket on which a name server was asked. By TCP an answer has its length before it.
pub fn answered(scope: u32, fd: i32, bytes: &[u8]) {
    let Some(cookie) = place(fd).map(|place| place.cookie.load(Ordering::Relaxed)) else { return };
    // The number may be another socket's by now. Only what a configured name server says on a connected socket is an
    // answer: on any other socket anybody could say anything.
    let is_resolver = |ip| in_force::policy().is_resolver(scope, ip);
    let is_same = sys::cookie(fd) == Some(cookie);
    if !is_same || !sys::peer(fd).is_some_and(|(ip, port)| port == DNS && is_resolver(ip)) {
        return forget(fd);
    }
    if sys::asked_stream(fd) == Some(true) {
        let message = match bytes.split_first_chunk::<2>() {
            Some((length, rest)) if usize::from(u16::from_be_bytes(*length)) == rest.len() => rest,
            _ => bytes,
        };
        return dns::addresses(message, remember);
    }
    let Some(question) = dns::question(bytes) else { return };
    let hash = hash(cookie, question);
    // Several may come, to as many questions.
    if QUESTIONS.iter().any(|place| place.load(Ordering::Relaxed) == hash) {
        dns::addresses(bytes, remember);
    }
}
