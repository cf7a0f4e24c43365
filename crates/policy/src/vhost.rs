//! Which virtual host's policy holds for a request: all keys of its match must hold, and the most specific match wins.
//!
//! Matches are compared by these, in this order: whether it names a profile; the length of the script's prefix that
//! matched; that of the document root's; the server's name, in full before a pattern, a longer pattern before a shorter
//! one; whether it names a pool. Where all are equal, the one that was written first wins.
//!
//! Each virtual host stands in a hash table under the values of one of its keys, so that a look-up costs as much with
//! ten thousand as with ten: one probe for each folder of a path, and for each label of a name.

use crate::command::glob;
use crate::format::{Entry, Range, Section, StringRange, Vhost};
use crate::{Policy, Unknown};

/// The keys of the request for which a virtual host is looked up. An empty key is unknown, and matches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct VhostQuery<'a> {
    /// In lower case, without a port.
    pub server_name: &'a [u8],
    /// Who says so: the number of a bit of [`Vhost::believed`].
    pub source: u8,
    /// Absolute and normal.
    pub document_root: &'a [u8],
    /// Absolute and normal.
    pub script: &'a [u8],
    /// PHP-FPM's pool.
    pub pool: &'a [u8],
    /// The profile that the server's configuration names.
    pub profile: &'a [u8],
}

/// What a value in the hash table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Key {
    /// A profile.
    Profile = b'P',
    /// A folder or file that scripts lie in.
    Script = b'S',
    /// A folder that document roots lie in.
    Root = b'D',
    /// A server's name.
    Name = b'N',
    /// What follows the `*` of a pattern that begins with it, from a dot on.
    Suffix = b'W',
    /// Patterns of other forms, all under the empty value.
    Pattern = b'G',
    /// A pool.
    Pool = b'O',
}

/// The keys whose value exists and cannot be used: it was cut, or is malformed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadKeys {
    server_name: bool,
    document_root: bool,
    script: bool,
    pool: bool,
    profile: bool,
}

impl UnreadKeys {
    /// None.
    #[must_use]
    pub const fn none() -> UnreadKeys {
        UnreadKeys { server_name: false, document_root: false, script: false, pool: false, profile: false }
    }

    /// These, and `key` where `is_unread`.
    #[must_use]
    pub fn with(mut self, key: Key, is_unread: bool) -> UnreadKeys {
        let place = match key {
            Key::Profile => &mut self.profile,
            Key::Script => &mut self.script,
            Key::Root => &mut self.document_root,
            Key::Name | Key::Suffix | Key::Pattern => &mut self.server_name,
            Key::Pool => &mut self.pool,
        };
        *place |= is_unread;
        self
    }
}

/// How many labels of a name, from its beginning, are left out in turn for the patterns that the rest may match: a client
/// may send a name that is nothing but dots.
const LABELS_MAX: usize = 64;

/// The hash of a value while it is read.
#[derive(Clone, Copy)]
struct Hashing(u64);

impl Hashing {
    const fn of(key: Key) -> Hashing {
        Hashing(0xcbf2_9ce4_8422_2325 ^ ((key as u64) << 32))
    }

    const fn with(self, byte: u8) -> Hashing {
        Hashing((self.0 ^ byte as u64).wrapping_mul(0x0100_0000_01b3))
    }

    const fn done(self) -> u64 {
        (self.0 ^ (self.0 >> 29)) | 1
    }
}

/// The hash of a value; never 0.
#[must_use]
pub fn key_hash(key: Key, value: &[u8]) -> u64 {
    value.iter().fold(Hashing::of(key), |hash, &byte| hash.with(byte)).done()
}

/// Calls `found` with the hash of each folder that a path lies in, and of the path itself. They begin alike, so that one
/// pass over the path gives all of them.
fn folders(key: Key, path: &[u8], mut found: impl FnMut(u64)) {
    let mut hash = Hashing::of(key);
    for (at, &byte) in path.iter().enumerate() {
        if byte == b'/' && at > 0 {
            found(hash.done());
        }
        hash = hash.with(byte);
        if byte == b'/' && at == 0 && path.len() > 1 {
            found(hash.done());
        }
    }
    if !path.is_empty() {
        found(hash.done());
    }
}

/// Whether `path` is `prefix` or lies in it.
fn lies_in(path: &[u8], prefix: &[u8]) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => !prefix.is_empty() && (rest.is_empty() || rest.first() == Some(&b'/') || prefix == b"/"),
        None => false,
    }
}

/// How specific a match is; compared as a whole.
type Rank = [u32; 5];

impl<'a> Policy<'a> {
    /// The virtual host whose policy holds; `None` for the global policy.
    #[must_use]
    pub fn vhost(&self, asked: &VhostQuery<'_>) -> Option<u32> {
        if self.records::<Vhost>(Section::Vhosts).is_empty() {
            return None;
        }
        let mut best: Option<(Rank, u32)> = None;
        let mut probe = |hash: u64| {
            for entry in self.bucket(hash) {
                if entry.hash.get() != hash {
                    continue;
                }
                let index = entry.vhost.get();
                if let Some(rank) = self.rank(index, asked)
                    && best.is_none_or(|(other, first)| rank > other || (rank == other && index < first))
                {
                    best = Some((rank, index));
                }
            }
        };
        if !asked.profile.is_empty() {
            probe(key_hash(Key::Profile, asked.profile));
        }
        folders(Key::Script, asked.script, &mut probe);
        folders(Key::Root, asked.document_root, &mut probe);
        if !asked.server_name.is_empty() {
            probe(key_hash(Key::Name, asked.server_name));
            let dots = asked.server_name.iter().enumerate().filter(|(_, byte)| **byte == b'.');
            for (at, _) in dots.take(LABELS_MAX) {
                probe(key_hash(Key::Suffix, asked.server_name.get(at..).unwrap_or_default()));
            }
            probe(key_hash(Key::Pattern, b""));
        }
        if !asked.pool.is_empty() {
            probe(key_hash(Key::Pool, asked.pool));
        }
        best.map(|(_, index)| index)
    }

    /// The virtual host whose policy holds, where some values are not known; an error where it hangs on one of those.
    pub fn vhost_of(&self, asked: &VhostQuery<'_>, unread: UnreadKeys) -> Result<Option<u32>, Unknown> {
        if unread != UnreadKeys::none() && self.hangs_on(asked, unread) {
            return Err(Unknown::Request);
        }
        Ok(self.vhost(asked))
    }

    /// Whether some match asks for a value that is not known, and holds in all others.
    #[cold]
    fn hangs_on(&self, asked: &VhostQuery<'_>, unread: UnreadKeys) -> bool {
        self.records::<Vhost>(Section::Vhosts).iter().any(|vhost| {
            let keys = [
                (unread.profile, vhost.profile),
                (unread.script, vhost.script),
                (unread.document_root, vhost.document_root),
                (unread.server_name, vhost.server_name),
                (unread.pool, vhost.pool),
            ];
            let is_asked = keys.into_iter().any(|(unread, range)| unread && range.len.get() != 0);
            is_asked && self.rank_of(vhost, asked, unread).is_some()
        })
    }

    fn bucket(&self, hash: u64) -> &'a [Entry] {
        let buckets: &[Range] = self.records(Section::Buckets);
        // Their number is a power of two.
        let mask = buckets.len().wrapping_sub(1);
        match buckets.get(hash as usize & mask) {
            Some(range) => self.range(Section::Index, *range),
            None => &[],
        }
    }

    fn record(&self, index: u32) -> Option<&'a Vhost> {
        self.records::<Vhost>(Section::Vhosts).get(index as usize)
    }

    /// How specific the match of a virtual host is; `None` where it does not hold.
    fn rank(&self, index: u32, asked: &VhostQuery<'_>) -> Option<Rank> {
        self.rank_of(self.record(index)?, asked, UnreadKeys::none())
    }

    /// The same where each key whose value is not known is taken to hold.
    fn rank_of(&self, vhost: &Vhost, asked: &VhostQuery<'_>, unread: UnreadKeys) -> Option<Rank> {
        let equal = |range: Range, value: &[u8]| -> Option<u32> {
            let values: &[StringRange] = self.range(Section::Tokens, range);
            match values {
                [] => Some(0),
                _ => (!value.is_empty() && values.iter().any(|text| self.text(*text) == value)).then_some(1),
            }
        };
        let inside = |range: Range, value: &[u8]| -> Option<u32> {
            let values: &[StringRange] = self.range(Section::Tokens, range);
            match values {
                [] => Some(0),
                _ => {
                    let prefixes = values.iter().map(|text| self.text(*text)).filter(|prefix| lies_in(value, prefix));
                    prefixes.map(|prefix| prefix.len() as u32).max()
                }
            }
        };
        let unless = |unread: bool, rank: Option<u32>| if unread { Some(0) } else { rank };
        let profile = unless(unread.profile, equal(vhost.profile, asked.profile))?;
        let script = unless(unread.script, inside(vhost.script, asked.script))?;
        let root = unless(unread.document_root, inside(vhost.document_root, asked.document_root))?;
        let pool = unless(unread.pool, equal(vhost.pool, asked.pool))?;
        let name = unless(unread.server_name, self.name_rank(vhost, asked))?;
        Some([profile, script, root, name, pool])
    }

    fn name_rank(&self, vhost: &Vhost, asked: &VhostQuery<'_>) -> Option<u32> {
        let patterns: &[StringRange] = self.range(Section::Tokens, vhost.server_name);
        if patterns.is_empty() {
            return Some(0);
        }
        let believed = vhost.believed.get() & 1_u32.checked_shl(u32::from(asked.source))? != 0;
        if !believed || asked.server_name.is_empty() {
            return None;
        }
        let ranks = patterns.iter().map(|text| self.text(*text)).filter_map(|pattern| {
            if pattern == asked.server_name {
                return Some(u32::MAX);
            }
            let is_pattern = pattern.iter().any(|byte| matches!(byte, b'*' | b'?'));
            (is_pattern && glob(pattern, asked.server_name, false)).then_some(pattern.len() as u32)
        });
        ranks.max()
    }

    /// Whether some virtual host's match names this profile.
    #[must_use]
    pub fn has_profile(&self, profile: &[u8]) -> bool {
        let hash = key_hash(Key::Profile, profile);
        self.bucket(hash).iter().any(|entry| entry.hash.get() == hash)
    }

    /// The name of a virtual host.
    #[must_use]
    pub fn vhost_name(&self, index: u32) -> &'a [u8] {
        self.record(index).map(|vhost| self.text(vhost.name)).unwrap_or_default()
    }

    /// The names of all virtual hosts, in the order of their numbers.
    pub fn vhost_names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.records::<Vhost>(Section::Vhosts).iter().map(|vhost| self.text(vhost.name))
    }

    /// The scope of a virtual host, and the clause that begins it.
    #[must_use]
    pub fn vhost_scope(&self, index: u32) -> (u32, u32) {
        self.record(index).map_or((0, u32::MAX), |vhost| (vhost.scope.get(), vhost.clause.get()))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_folders_of_a_path() {
        let hashes = |path: &str| {
            let mut all = Vec::new();
            folders(Key::Script, path.as_bytes(), |hash| all.push(hash));
            all
        };
        let of = |paths: &[&str]| paths.iter().map(|path| key_hash(Key::Script, path.as_bytes())).collect::<Vec<u64>>();
        assert_eq!(hashes("/srv/shop/a.php"), of(&["/", "/srv", "/srv/shop", "/srv/shop/a.php"]));
        assert_eq!(hashes("a/b"), of(&["a", "a/b"]));
        assert_eq!(hashes("/"), of(&["/"]));
        assert_eq!(hashes(""), []);
        assert_eq!(hashes(&"/a".repeat(500)).len(), 501);
    }

    #[test]
    fn a_prefix_ends_at_a_component() {
        assert!(lies_in(b"/srv/shop", b"/srv/shop"));
        assert!(lies_in(b"/srv/shop/a", b"/srv/shop"));
        assert!(lies_in(b"/srv", b"/"));
        assert!(!lies_in(b"/srv/shopping", b"/srv/shop"));
        assert!(!lies_in(b"", b"/"));
        assert!(!lies_in(b"/srv", b""));
    }
}
