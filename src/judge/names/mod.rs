//! Which name the process resolved to an address last. Nothing is ever resolved by the guard.
//!
//! Two ways lead here: libc's resolver (hooks/resolve.rs), as long as it works by the server's own settings
//! ([`settings`]) and where the server does ([`crate::process::home`]), and what a configured name server answers to a question that the process itself sent ([`mod@asking`]).
//!
//! A table of fixed size, without a lock. Where two threads meet, a name is unknown for a while, and unknown allows nothing.

mod asking;
mod servers;
mod settings;

pub use asking::{DNS, answered, asked, asking, is_asking};
pub use servers::each as each_server;
pub use settings::{believes, note_root, note_setting, resolved, settle};

use crate::memory::seqlock::Words;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, Ordering};
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

/// The process resolved `name` to `address`. No name: what it was told is not believed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_counts_and_an_answer_that_is_not_believed_takes_it_away() {
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
