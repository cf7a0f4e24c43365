//! Tables of hashes and names without the cost of SipHash at each look.
//!
//! **Trust**: keys come from an attacker, so that the hash has a key of each process, as the one of the standard library has. It is weaker than
//! SipHash: whoever could measure how long each look takes may find keys of one bucket. What a table answers is right in any case. Where
//! the hash itself decides, as in [`crate::Seen`], it is SipHash.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// A table.
pub type Table<K, V> = HashMap<K, V, Quick>;
/// A set.
pub type Set<K> = HashSet<K, Quick>;

/// The key of this process.
static KEY: LazyLock<[u64; 2]> = LazyLock::new(|| [0_u8, 1].map(|part| RandomState::new().hash_one(part) | 1));

/// Makes the hashes of this process.
#[derive(Clone, Copy, Debug)]
pub struct Quick([u64; 2]);

impl Default for Quick {
    fn default() -> Quick {
        Quick(*KEY)
    }
}

impl BuildHasher for Quick {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        let Quick([state, key]) = *self;
        Folded { state, key }
    }
}

/// A hash by folded multiplications, as wyhash has them.
#[derive(Clone, Copy, Debug)]
pub struct Folded {
    state: u64,
    key: u64,
}

impl Folded {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key);
        // What would be zero from then on is not.
        self.state = (product as u64 ^ (product >> 64) as u64).wrapping_add(self.key);
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.mix(u64::from_ne_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_ne_bytes(last) ^ (bytes.len() as u64).rotate_left(56));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn finish(&self) -> u64 {
        let product = u128::from(self.state) * u128::from(self.key);
        product as u64 ^ (product >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neither the buckets, by the low bits, nor the tags of a table, by the high ones, are few.
    #[test]
    fn hashes_of_what_is_alike_are_spread() {
        let quick = Quick::default();
        let texts: Vec<u64> =
            (0..4096_u32).map(|number| quick.hash_one(format!("/srv/www/page{number}.php"))).collect();
        let numbers: Vec<u64> = (0..4096_u64).map(|number| quick.hash_one(number << 40)).collect();
        for hashes in [texts, numbers] {
            let different = |of: fn(u64) -> u64| hashes.iter().map(|hash| of(*hash)).collect::<HashSet<u64>>().len();
            // Of 4096 balls in as many bins, 63 percent of the bins have one.
            assert!(different(|hash| hash & 0xfff) > 2300 && different(|hash| hash >> 52) > 2300);
            assert_eq!(different(|hash| hash), hashes.len());
        }
        assert_ne!(quick.hash_one("a"), quick.hash_one("a\0"));
    }
}
