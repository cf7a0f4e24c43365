//! Where the configuration and its compiled policy lie, as the command and the guard both compute it.

use crate::command::token_hash;

/// The main configuration file where none is named.
pub const DEFAULT_CONFIG: &str = "/etc/portcullis/portcullis.toml";
/// The compiled policy of the default configuration; that of another has a [`suffix`].
pub const DEFAULT_POLICY: &str = "/run/portcullis/policy";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_configuration_has_a_suffix() {
        assert_eq!(suffix(DEFAULT_CONFIG.as_bytes()), None);
        let suffix = suffix(b"/srv/portcullis.toml").unwrap();
        assert!(suffix[0] == b'-' && suffix[1..].iter().all(u8::is_ascii_hexdigit));
    }
}
