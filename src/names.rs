//! Which name the process resolved to an address last. Nothing is ever resolved by the guard.
//!
//! A table of fixed size, without a lock. Where two threads meet, a name is unknown for a while, and unknown allows nothing.

use crate::seqlock::Words;
use crate::{state, sys};
use core::net::IpAddr;
use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use portcullis_policy::dns;
use portcullis_policy::egress::canonical;
use portcullis_policy::name::HostName;

/// Places that an address may be in.
const WAYS: usize = 4;
const SETS: usize = 64;
/// A name in words of eight bytes, its length in the last byte.
const WORDS: usize = 32;

struct Place {
    /// When it was written, in writes of the whole table.
    written: AtomicU64,
    /// The address, then the name.
    words: Words<{ 2 + WORDS }>,
}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static TABLE: [[Place; WAYS]; SETS] =
    [const { [const { Place { written: AtomicU64::new(0), words: Words::new() } }; WAYS] }; SETS];
static WRITES: AtomicU64 = AtomicU64::new(0);

fn key(address: IpAddr) -> [u64; 2] {
    let bits = match canonical(address) {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    };
    [(bits >> 64) as u64, bits as u64]
}

fn set_of(key: [u64; 2]) -> &'static [Place; WAYS] {
    let mixed = (key[0].rotate_left(32) ^ key[1]).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    TABLE.get((mixed >> 58) as usize).unwrap_or(&TABLE[0])
}

impl Place {
    fn is(&self, key: [u64; 2]) -> bool {
        let same = self.words.read(|[high, low, ..]| [high, low].map(|word| word.load(Ordering::Relaxed)) == key);
        // No address is 0: the unspecified ones stand for loopback.
        same == Some(true) && key != [0; 2]
    }

    fn write(&self, key: [u64; 2], name: &HostName) {
        let mut bytes = [0_u8; WORDS * 8];
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = *from;
        }
        bytes[WORDS * 8 - 1] = name.bytes().len() as u8;
        let name = bytes.chunks_exact(8).map(|word| <[u8; 8]>::try_from(word).map_or(0, u64::from_ne_bytes));
        if self.words.write(key.into_iter().chain(name)) {
            self.written.store(WRITES.fetch_add(1, Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    fn read(&self, key: [u64; 2]) -> Option<HostName> {
        let mut bytes = [0_u8; WORDS * 8];
        let same = self.words.read(|[high, low, name @ ..]| {
            for (to, from) in bytes.chunks_exact_mut(8).zip(name) {
                to.copy_from_slice(&from.load(Ordering::Relaxed).to_ne_bytes());
            }
            [high, low].map(|word| word.load(Ordering::Relaxed)) == key
        });
        if same != Some(true) {
            return None;
        }
        let len = usize::from(bytes[WORDS * 8 - 1]);
        Some(HostName::of(bytes.get(..len)?))
    }
}

/// The process resolved `name` to `address`. No name: it asked for the address itself, by its digits.
#[inline(never)]
pub fn remember(name: &HostName, address: IpAddr) {
    let key = key(address);
    let set = set_of(key);
    if let Some(place) = set.iter().find(|place| place.is(key)) {
        place.write(key, name);
    } else if !name.bytes().is_empty()
        && let Some(oldest) = set.iter().min_by_key(|place| place.written.load(Ordering::Relaxed))
    {
        oldest.write(key, name);
    }
}

/// The name that the process resolved to `address` last.
#[inline(never)]
pub fn of(address: IpAddr) -> HostName {
    let key = key(address);
    set_of(key).iter().find(|place| place.is(key)).and_then(|place| place.read(key)).unwrap_or(HostName::none())
}

/// Sockets on which name servers are asked, each plus one; 0 for a free place. c-ares, nginx and others ask by themselves.
static ASKING: [AtomicI32; 16] = [const { AtomicI32::new(0) }; 16];
/// How many places were ever used.
static ASKING_USED: AtomicUsize = AtomicUsize::new(0);
/// Where the next socket goes once all places are taken.
static ASKING_NEXT: AtomicUsize = AtomicUsize::new(0);
/// The port of name servers.
pub const DNS: u16 = 53;

/// A socket goes to the port of name servers, perhaps to ask one.
pub fn asking(fd: i32) {
    if !is_asking(fd) {
        let number = fd.wrapping_add(1);
        for (index, place) in ASKING.iter().enumerate() {
            if place.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                ASKING_USED.fetch_max(index.wrapping_add(1), Ordering::Relaxed);
                return;
            }
        }
        let next = ASKING_NEXT.fetch_add(1, Ordering::Relaxed) % ASKING.len();
        if let Some(place) = ASKING.get(next) {
            place.store(number, Ordering::Relaxed);
        }
    }
}

/// Whether a name server was asked on a socket of this number.
#[inline]
pub fn is_asking(fd: i32) -> bool {
    let used = ASKING_USED.load(Ordering::Relaxed);
    used != 0 && is_among_asking(fd, used)
}

#[inline(never)]
fn is_among_asking(fd: i32, used: usize) -> bool {
    ASKING.iter().take(used).any(|place| place.load(Ordering::Relaxed) == fd.wrapping_add(1))
}

/// These bytes were received on a socket on which a name server was asked. By TCP an answer has its length before it.
pub fn answered(scope: u32, fd: i32, bytes: &[u8]) {
    // The number may be another socket's by now. Only what a configured name server says on a connected socket is an
    // answer: on any other socket anybody could say anything.
    let is_resolver = |ip| state::policy().is_resolver(scope, ip);
    if !sys::peer(fd).is_some_and(|(ip, port)| port == DNS && is_resolver(ip)) {
        for place in &ASKING {
            let _ = place.compare_exchange(fd.wrapping_add(1), 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        return;
    }
    let message = match bytes.split_first_chunk::<2>() {
        Some((length, rest)) if usize::from(u16::from_be_bytes(*length)) == rest.len() => rest,
        _ => bytes,
    };
    dns::addresses(message, remember);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_counts_and_asking_for_the_address_takes_it_away() {
        let address: IpAddr = "25.1.2.3".parse().unwrap();
        assert_eq!(of(address).bytes(), b"");
        remember(&HostName::of(b"a.example"), address);
        remember(&HostName::of(b"B.example"), "::ffff:25.1.2.3".parse().unwrap());
        assert_eq!(of(address).bytes(), b"b.example");
        remember(&HostName::none(), address);
        assert_eq!(of(address).bytes(), b"");
    }

    #[test]
    fn many_addresses_push_out_the_oldest_and_never_a_wrong_name() {
        let name = |number: u32| HostName::of(format!("n{number}.example").as_bytes());
        let address = |number: u32| IpAddr::from((0x1a00_0000 + number).to_be_bytes());
        for number in 0..2000 {
            remember(&name(number), address(number));
            assert_eq!(of(address(number)).bytes(), name(number).bytes());
        }
        for number in 0..2000 {
            let found = of(address(number));
            assert!(found.bytes().is_empty() || found.bytes() == name(number).bytes());
        }
    }
}
