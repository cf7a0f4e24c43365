//! Seals of events: keyed digests whose keys are erased as they are used.
//!
//! Each process that seals has a chain of keys, one for an event. The keys are the leaves of a binary tree: a parent gives its two
//! children by a keyed one-way function, so what has been used can be erased and nothing left leads back to it, and whoever has the root
//! finds any leaf in [`HEIGHT`] steps. A process has a second chain, with a key for each child that it forks: that is the root of the
//! child's chains, and the parent erases it.
//!
//! The function is SipHash-2-4, a pseudorandom function of a 128-bit key (Aumasson and Bernstein, 2012), as `core::hash` has it: the
//! library that runs in every worker needs no second one. A digest has 64 bits, and nobody can try one without the key.

#![allow(deprecated, reason = "SipHasher is deprecated as a hasher of tables; its function is documented and fixed")]

use crate::Line;
use crate::digits::{decimal, hexadecimal};
use core::hash::{Hasher, SipHasher};

/// A key, as two words.
pub type Key = [u64; 2];

/// Levels of a chain's tree: a process can seal 2^32 events.
pub const HEIGHT: u32 = 32;

/// How many bytes the file of the master key has.
pub const KEY_SIZE: usize = 16;

/// The most bytes of a chain's name.
pub const NAME_MAX: usize = 64;

/// What is between the digits of a digest and the end of the line.
pub const END: &[u8] = b"\"}}}";

/// What a derived key is for.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Purpose {
    Left = 1,
    Right,
    Events,
    Forks,
    Tree,
    Digest,
}

fn keyed(key: Key, purpose: Purpose, half: u8) -> SipHasher {
    let mut hasher = SipHasher::new_with_keys(key[0], key[1]);
    hasher.write(&[purpose as u8, half]);
    hasher
}

fn derive(key: Key, purpose: Purpose, number: u64) -> Key {
    [0, 1].map(|half| {
        let mut hasher = keyed(key, purpose, half);
        hasher.write(&number.to_le_bytes());
        hasher.finish()
    })
}

/// The master key that a file has.
#[must_use]
pub fn master(file: [u8; KEY_SIZE]) -> Key {
    let number = u128::from_le_bytes(file);
    [number as u64, (number >> 64) as u64]
}

/// The root of the first chain of a tree of processes.
#[must_use]
pub fn tree(master: Key, tree: u64) -> Key {
    derive(master, Purpose::Tree, tree)
}

/// The roots of a process's two chains: that of its events, and that of its children.
#[must_use]
pub fn chains(root: Key) -> [Key; 2] {
    [derive(root, Purpose::Events, 0), derive(root, Purpose::Forks, 0)]
}

/// The root of a process's child, which counts the parent's forks from 1.
#[must_use]
pub fn child(root: Key, fork: u32) -> Key {
    let [_, forks] = chains(root);
    leaf(forks, fork.wrapping_sub(1))
}

/// The key of a process's event, which is counted from 1.
#[must_use]
pub fn event(root: Key, index: u32) -> Key {
    let [events, _] = chains(root);
    leaf(events, index.wrapping_sub(1))
}

/// The digest of an event, of everything before the digest in its line.
#[must_use]
pub fn digest(key: Key, bytes: &[u8]) -> u64 {
    let mut hasher = keyed(key, Purpose::Digest, 0);
    hasher.write(bytes);
    hasher.finish()
}

/// A leaf, by its number from 0.
#[must_use]
pub fn leaf(root: Key, number: u32) -> Key {
    (0..HEIGHT)
        .rev()
        .fold(root, |key, bit| derive(key, if number >> bit & 1 == 0 { Purpose::Left } else { Purpose::Right }, 0))
}

/// The keys of a chain that are not used yet: the roots of what is right of the used leaves, each with its height.
///
/// All zeros is one that has no keys.
#[derive(Debug)]
pub struct Chain {
    roots: [(Key, u32); HEIGHT as usize + 1],
    len: usize,
    next: Key,
}

impl Chain {
    /// Begins at a chain's root.
    pub fn begin(&mut self, root: Key) {
        self.len = 0;
        self.push(root, HEIGHT);
        self.advance();
    }

    /// The next leaf.
    #[must_use]
    pub fn next(&self) -> Key {
        self.next
    }

    /// Erases the next leaf, and goes to the one behind it; false where there is none.
    pub fn advance(&mut self) -> bool {
        self.next = [0; 2];
        let Some(last) = self.len.checked_sub(1) else { return false };
        let Some(root) = self.roots.get_mut(last) else { return false };
        let (mut key, height) = core::mem::take(root);
        self.len = last;
        for below in (0..height.min(HEIGHT)).rev() {
            self.push(derive(key, Purpose::Right, 0), below);
            key = derive(key, Purpose::Left, 0);
        }
        self.next = key;
        true
    }

    fn push(&mut self, key: Key, height: u32) {
        if let Some(room) = self.roots.get_mut(self.len) {
            *room = (key, height);
            self.len = self.len.wrapping_add(1);
        }
    }
}

/// What a seal says beside its digest.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'s> {
    /// Names the tree of processes that began with one reading of the master key.
    pub tree: u64,
    /// The process: `0` for the first of the tree, then for each fork `/` and which of the parent's forks it was.
    pub chain: &'s [u8],
    /// Counts the events of the chain from 1.
    pub index: u64,
    /// How many events of the chain no sink took, up to now.
    pub lost: u64,
}

/// Adds the seal to an encoded event; false where there is no room, and the line is as it was.
pub fn seal(line: &mut Line, key: Key, seal: &Seal<'_>) -> bool {
    /// More than what is added, beside the name.
    const ADDED: usize = 160;
    const TAIL: &[u8] = b"}}\n";
    let Some(at) = line.strip_suffix(TAIL).map(<[u8]>::len) else { return false };
    if line.remaining_capacity() < ADDED.wrapping_add(seal.chain.len()) {
        return false;
    }
    line.truncate(at);
    let mut put = |bytes: &[u8]| {
        let _ = line.try_extend_from_slice(bytes);
    };
    put(b",\"seal\":{\"tree\":\"");
    hexadecimal(seal.tree, &mut put);
    put(b"\",\"process\":\"");
    put(seal.chain);
    put(b"\",\"index\":");
    decimal(seal.index, 1, &mut put);
    put(b",\"lost\":");
    decimal(seal.lost, 1, &mut put);
    put(b",\"digest\":\"");
    let digest = digest(key, line);
    hexadecimal(digest, |digits| {
        let _ = line.try_extend_from_slice(digits);
    });
    let _ = line.try_extend_from_slice(END);
    let _ = line.try_extend_from_slice(b"\n");
    true
}

/// What a sealed line's digest covers, and the digest; `None` for a line without one.
#[must_use]
pub fn split(line: &[u8]) -> Option<(&[u8], u64)> {
    let (covered, digits) = line.strip_suffix(END)?.split_last_chunk::<16>()?;
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = str::from_utf8(digits).ok().filter(|_| digits.iter().all(is_digit))?;
    Some((covered, u64::from_str_radix(digits, 16).ok()?))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    const ROOT: Key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

    fn begun() -> Chain {
        let mut chain = Chain { roots: [Default::default(); HEIGHT as usize + 1], len: 0, next: [0; 2] };
        chain.begin(ROOT);
        chain
    }

    /// The first vectors of the paper's appendix and reference implementation: the key is 00 to 0f, the text 00, 01, ...
    #[test]
    fn the_function_is_siphash_2_4() {
        for (len, expected) in [(0, 0x726f_db47_dd0e_0e31_u64), (1, 0x74f8_39c5_93dc_67fd), (15, 0xa129_ca61_49be_45e5)]
        {
            let text: std::vec::Vec<u8> = (0..len).collect();
            let mut hasher = SipHasher::new_with_keys(ROOT[0], ROOT[1]);
            hasher.write(&text);
            assert_eq!(hasher.finish(), expected, "{len}");
        }
    }

    #[test]
    fn each_leaf_is_found_from_the_root() {
        let mut chain = begun();
        for number in 0..3000 {
            assert_eq!(chain.next(), leaf(ROOT, number), "{number}");
            assert!(chain.len <= HEIGHT as usize);
            assert!(chain.advance());
        }
    }

    /// Whoever has what is left can compute what is left, and nothing of what was used.
    #[test]
    fn nothing_that_is_kept_leads_to_a_used_leaf() {
        let mut chain = begun();
        (0..37).for_each(|_| assert!(chain.advance()));
        let used: std::vec::Vec<Key> = (0..37).map(|number| leaf(ROOT, number)).collect();
        let kept = &chain.roots[..chain.len];
        assert!(chain.roots[chain.len..].iter().all(|root| *root == Default::default()));
        for (key, height) in kept {
            let mut nodes = std::vec![*key];
            for _ in 0..(*height).min(8) {
                nodes = nodes
                    .iter()
                    .flat_map(|key| [derive(*key, Purpose::Left, 0), derive(*key, Purpose::Right, 0)])
                    .collect();
                assert!(nodes.iter().all(|node| !used.contains(node)));
            }
            assert!(!used.contains(key));
        }
        assert_eq!(chain.next(), leaf(ROOT, 37));
    }

    #[test]
    fn a_chain_ends() {
        let mut chain = begun();
        chain.len = 0;
        assert!(!chain.advance());
        assert_eq!(chain.next(), [0; 2]);
    }

    #[test]
    fn what_has_no_room_stays_as_it_was() {
        let mut line = Line::new();
        while line.remaining_capacity() > 100 {
            line.push(b'x');
        }
        line.try_extend_from_slice(b"}}\n").unwrap();
        let before = line.clone();
        assert!(!seal(&mut line, ROOT, &Seal { tree: 1, chain: b"0", index: 1, lost: 0 }));
        assert_eq!(line, before);
    }

    proptest! {
        #[test]
        fn any_change_is_seen(text in "[ -~]{0,200}", at in 0_usize..200, bit in 0_u8..7) {
            let mut line = Line::new();
            line.try_extend_from_slice(b"{\"portcullis\":{\"detail\":\"").unwrap();
            line.try_extend_from_slice(text.as_bytes()).unwrap();
            line.try_extend_from_slice(b"\"}}\n").unwrap();
            let most = Seal { tree: u64::MAX, chain: &[b'0'; NAME_MAX], index: u64::MAX, lost: u64::MAX };
            let is_sealed = seal(&mut line, ROOT, &most);
            prop_assert!(is_sealed);
            let (covered, found) = split(line.strip_suffix(b"\n").unwrap()).unwrap();
            prop_assert_eq!(digest(ROOT, covered), found);
            let mut changed = covered.to_vec();
            let at = at % changed.len();
            changed[at] ^= 1 << bit;
            prop_assert_ne!(digest(ROOT, &changed), found);
            prop_assert_ne!(digest([ROOT[0] ^ 1, ROOT[1]], covered), found);
        }
    }
}
