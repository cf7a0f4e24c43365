//! FastCGI's name-value pairs that are there as a whole. Source: FastCGI Specification 1.0, section 3.4.

/// The name and the value of a pair that is there as a whole, and what follows it.
pub(crate) fn whole_pair(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = whole_length(bytes)?;
    let (value, rest) = whole_length(rest)?;
    let (name, rest) = rest.split_at_checked(name)?;
    let (value, rest) = rest.split_at_checked(value)?;
    Some((name, value, rest))
}

/// A length that is there as a whole, and what follows it.
fn whole_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [byte @ 0..0x80, rest @ ..] => Some((usize::from(*byte), rest)),
        [b3, b2, b1, b0, rest @ ..] => Some((u32::from_be_bytes([b3 & 0x7f, *b2, *b1, *b0]) as usize, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_taken_where_all_of_it_is_there() {
        let pair = b"\x03\x80\0\0\x02abcde";
        assert_eq!(whole_pair(&[&pair[..], b"rest"].concat()), Some((&b"abc"[..], &b"de"[..], &b"rest"[..])));
        for end in 0..pair.len() {
            assert_eq!(whole_pair(&pair[..end]), None);
        }
    }
}
