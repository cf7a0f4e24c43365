//! Where the configuration and its compiled policy lie, as the command and the guard both compute it.

use crate::command::token_hash;

/// The main configuration file where none is named.
pub const DEFAULT_CONFIG: &str = "/etc/portcullis/portcullis.toml";
/// The compiled policy of the default configuration; that of another has a [`suffix`].
pub const DEFAULT_POLICY: &str = "/run/portcullis/policy";
/// The compiled policy of an image: a server takes it where there is none at [`DEFAULT_POLICY`] and no other configuration is named.
pub const IMAGE_POLICY: &str = "/etc/portcullis/policy";

/// What the path of the compiled policy of `config`, an absolute path, has behind [`DEFAULT_POLICY`]: a dash and 16
/// hexadecimal digits; nothing for the default configuration.
#[must_use]
pub fn suffix(config: &[u8]) -> Option<[u8; 17]> {
    if config == DEFAULT_CONFIG.as_bytes() {
        return None;
    }
    let hash = token_hash(config);
    let mut suffix = [b'-'; 17];
    for (at, digit) in suffix.iter_mut().skip(1).enumerate() {
        let nibble = (hash >> (60_usize.wrapping_sub(at.wrapping_mul(4)))) & 15;
        *digit = b"0123456789abcdef".get(nibble as usize).copied().unwrap_or(b'0');
    }
    Some(suffix)
}

/// The mark of a source that was not there.
pub const NO_SOURCE: i64 = -1;

/// The mark of a source of the policy: when it was changed, and by its owner and its permissions, who may change it. A `chown` or
/// `chmod` changes no time of content, and still may have the configuration refused.
#[must_use]
pub const fn source_mark(mtime: i64, owner: u32, mode: u32) -> i64 {
    let rights = ((owner as i64) << 12) | (mode & 0o7777) as i64;
    mtime ^ rights.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_or_a_mode_makes_another_mark() {
        let marks = [(0, 0o755), (33, 0o755), (0, 0o775), (0, 0o1755)].map(|(owner, mode)| source_mark(9, owner, mode));
        assert!(marks.iter().all(|mark| marks.iter().filter(|other| *other == mark).count() == 1));
        assert_eq!(source_mark(9, 0, 0o40755), marks[0], "what it is does not count");
    }

    #[test]
    fn only_another_configuration_has_a_suffix() {
        assert_eq!(suffix(DEFAULT_CONFIG.as_bytes()), None);
        let suffix = suffix(b"/srv/portcullis.toml").unwrap();
        assert!(suffix[0] == b'-' && suffix[1..].iter().all(u8::is_ascii_hexdigit));
    }
}
