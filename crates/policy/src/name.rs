//! Names of hosts in `allow` and `deny`: found by hash, a name in full or what follows the `*` of a wildcard.

use crate::Policy;
use crate::format::{Host, Range, Section};
use crate::vhost::{Key, key_hash};

/// The longest name of a host, in bytes (RFC 1035, 2.3.4, without the dot at its end).
pub const NAME_MAX: usize = 253;

/// A host's name in lower case, without a dot at its end.
#[derive(Clone, Copy, Debug)]
pub struct HostName {
    bytes: [u8; NAME_MAX],
    len: u8,
}

impl HostName {
    /// No name.
    #[must_use]
    pub const fn none() -> HostName {
        HostName { bytes: [0; NAME_MAX], len: 0 }
    }

    /// The name that these bytes are; none where they are no name, or too long for one.
    #[must_use]
    pub fn of(name: &[u8]) -> HostName {
        let mut out = HostName::none();
        let name = name.strip_suffix(b".").unwrap_or(name);
        let fine = name.iter().all(|byte| byte.is_ascii_graphic());
        if fine && let Some(to) = out.bytes.get_mut(..name.len()) {
            to.copy_from_slice(name);
            to.make_ascii_lowercase();
            out.len = name.len() as u8;
        }
        out
    }

    /// The name; empty where there is none.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl<'a> Policy<'a> {
    /// The clause of the entry that has this name with this port: the name in full before a wildcard, a longer wildcard
    /// before a shorter one.
    pub(crate) fn host(&self, range: Range, name: &[u8], port: u16) -> Option<u32> {
        let hosts: &[Host] = self.range(Section::Hosts, range);
        if hosts.is_empty() || name.is_empty() {
            return None;
        }
        let find = |hash: u64, value: &[u8]| {
            let from = hosts.partition_point(|host| host.hash.get() < hash);
            let same = hosts.get(from..).unwrap_or_default().iter().take_while(|host| host.hash.get() == hash);
            let mut same = same.filter(|host| self.text(host.text) == value);
            same.find(|host| (host.low.get()..=host.high.get()).contains(&port)).map(|host| host.clause.get())
        };
        let dots = name.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
        find(key_hash(Key::Name, name), name).or_else(|| {
            dots.filter(|at| *at > 0).find_map(|at| {
                let suffix = name.get(at..).unwrap_or_default();
                find(key_hash(Key::Suffix, suffix), suffix)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_comparable() {
        assert_eq!(HostName::of(b"API.Example.").bytes(), b"api.example");
        assert_eq!(HostName::of(&[b'a'; 254]).bytes(), b"");
        assert_eq!(HostName::of(&[b'a'; 253]).bytes().len(), 253);
        assert_eq!(HostName::of(b"a b").bytes(), b"");
    }
}
