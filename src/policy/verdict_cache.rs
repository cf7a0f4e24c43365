//! Destinations that the policy allowed lately: a connection to one of them need not be judged anew.
//!
//! A place holds the whole of what was judged, never a digest of it, with the generation of the policy; so what is found is
//! what the policy in force would say. Only a verdict that hangs on nothing else comes here: on no name that was resolved,
//! on no kind of socket.

use crate::memory::seqlock::Words;
use crate::sys::{self, ADDRESS_HEAD, V4_MIN, V6_MIN};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The words of a destination.
const WORDS: usize = 4;
/// Places; a power of two. They are 5 KiB of a process's own memory.
const PLACES: usize = 128;

/// All that a verdict on a connection hangs on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Destination([u64; WORDS]);

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static TABLE: [Words<WORDS>; PLACES] = [const { Words::new() }; PLACES];
/// Of the policy in force.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// This process has, or had, a socket of a protocol without ports: of that, a destination with a port says nothing.
static DISTRUSTED: AtomicBool = AtomicBool::new(false);
/// Such sockets have been looked for among those that the process was started with.
static LOOKED: AtomicBool = AtomicBool::new(false);

/// From now on each connection is judged anew, by its socket too.
#[cold]
pub fn distrust() {
    DISTRUSTED.store(true, Ordering::Release);
    forget();
}

/// Whether a socket may be one without ports.
pub fn is_distrusted() -> bool {
    if !LOOKED.swap(true, Ordering::AcqRel) {
        sys::each_descriptor(|fd| {
            if sys::has_ports(fd) != Some(true) {
                distrust();
            }
        });
    }
    DISTRUSTED.load(Ordering::Acquire)
}

/// Another policy is in force.
pub fn forget() {
    GENERATION.fetch_add(1, Ordering::Release);
}

impl Destination {
    /// An internet address as the policy that is in force now sees it in a scope; `sends` where something is sent at once.
    #[inline(always)]
    pub fn new(scope: u32, address: &[u8; ADDRESS_HEAD], len: usize, sends: bool) -> Option<Destination> {
        // Family and port, and of a v4 address the rest: never 0, as an empty place is.
        let word = |at: usize| address.get(at..)?.first_chunk().map(|word| u64::from_ne_bytes(*word));
        let first = word(0)?;
        let words = match i32::from(first as u16) {
            libc::AF_INET if len >= V4_MIN => [first, 0, 0],
            libc::AF_INET6 if len >= V6_MIN => [first as u32 as u64, word(8)?, word(16)?],
            _ => return None,
        };
        let generation = GENERATION.load(Ordering::Acquire);
        // The upper half of the family is never set.
        let [first, high, low] = words;
        let first = first | u64::from(sends) << 15;
        Some(Destination([first, high, low, u64::from(scope) << 32 | u64::from(generation)]))
    }

    #[inline(always)]
    fn place(&self) -> &'static Words<WORDS> {
        let [first, high, low, scope] = self.0;
        let mixed = (first ^ high ^ low ^ scope).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // The index is less than PLACES.
        TABLE.get((mixed >> 57) as usize).unwrap_or(&TABLE[0])
    }

    /// Whether it was allowed lately.
    #[inline(always)]
    pub fn is_allowed(&self) -> bool {
        let same = self.place().read(|[first, high, low, scope]| {
            first.load(Ordering::Relaxed) == self.0[0]
                && high.load(Ordering::Relaxed) == self.0[1]
                && low.load(Ordering::Relaxed) == self.0[2]
                && scope.load(Ordering::Relaxed) == self.0[3]
        });
        same == Some(true)
    }

    /// It was allowed.
    #[cold]
    pub fn remember(&self) {
        if !is_distrusted() {
            self.place().write(self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn of(scope: u32, at: &str, sends: bool) -> Destination {
        let mut bytes = [0; ADDRESS_HEAD];
        let at: SocketAddr = at.parse().unwrap();
        let family = if at.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u16;
        bytes[..2].copy_from_slice(&family.to_ne_bytes());
        bytes[2..4].copy_from_slice(&at.port().to_be_bytes());
        let len = match at {
            SocketAddr::V4(v4) => {
                bytes[4..8].copy_from_slice(&v4.ip().octets());
                V4_MIN
            }
            SocketAddr::V6(v6) => {
                bytes[8..24].copy_from_slice(&v6.ip().octets());
                V6_MIN
            }
        };
        Destination::new(scope, &bytes, len, sends).unwrap()
    }

    #[test]
    fn what_differs_in_anything_is_another_destination() {
        let known = || of(3, "192.88.1.10:443", false);
        assert!(!known().is_allowed());
        known().remember();
        assert!(known().is_allowed());
        for other in [
            of(4, "192.88.1.10:443", false),
            of(3, "192.88.1.10:444", false),
            of(3, "192.88.1.10:443", true),
            of(3, "192.88.1.11:443", false),
            of(3, "[::ffff:192.88.1.10]:443", false),
            of(3, "[::192.88.1.10]:443", false),
            of(3, "[c058:10a::]:443", false),
        ] {
            assert!(!other.is_allowed());
        }
        let before = known();
        forget();
        assert!(!known().is_allowed());
        // Whoever judged by the policy before remembers in vain.
        before.remember();
        assert!(!known().is_allowed());
    }

    #[test]
    fn addresses_of_other_families_and_short_ones_are_none() {
        let mut bytes = [0; ADDRESS_HEAD];
        assert!(Destination::new(0, &bytes, ADDRESS_HEAD, false).is_none());
        bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
        assert!(Destination::new(0, &bytes, V6_MIN - 1, false).is_none());
        bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        assert!(Destination::new(0, &bytes, V4_MIN - 1, false).is_none());
        assert!(Destination::new(0, &bytes, V4_MIN, false).is_some());
    }

    #[test]
    fn threads_that_write_at_once_never_make_a_destination_that_nobody_wrote() {
        let destination = |scope: u32, port| of(scope, &format!("10.1.0.1:{port}"), false);
        // Scopes of port 1 are even, those of port 2 odd.
        let (even, odd): (Vec<_>, Vec<_>) =
            (0..512).map(|at| (destination(at * 2, 1), destination(at * 2 + 1, 2))).unzip();
        let wrong: Vec<_> = (0..512).flat_map(|at| [destination(at * 2 + 1, 1), destination(at * 2, 2)]).collect();
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let (even, odd, wrong) = (&even, &odd, &wrong);
                scope.spawn(move || {
                    for round in 0..200_000_usize {
                        let at = (round * 7 + thread * 131) % 512;
                        even[at].remember();
                        odd[511 - at].remember();
                        assert!(!wrong[at * 2].is_allowed() && !wrong[at * 2 + 1].is_allowed());
                    }
                });
            }
        });
    }
}
