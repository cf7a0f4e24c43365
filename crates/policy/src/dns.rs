//! The addresses in a DNS answer (RFC 1035, section 4), for the name that was asked for.

use crate::name::{HostName, NAME_MAX};
use core::net::IpAddr;

const HEAD: usize = 12;
const A: u16 = 1;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;
/// Records that are looked at.
const RECORDS_MAX: u16 = 64;

/// A message as it is read.
struct Message<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Message<'m> {
    fn take(&mut self, len: usize) -> Option<&'m [u8]> {
        let part = self.bytes.get(self.at..)?.get(..len)?;
        self.at = self.at.wrapping_add(len);
        Some(part)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Passes over a name, which may end in a pointer.
    fn pass_name(&mut self) -> Option<()> {
        loop {
            match self.byte()? {
                0 => return Some(()),
                length if length < 64 => {
                    self.take(usize::from(length))?;
                }
                length if length >= 0xc0 => {
                    self.byte()?;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// The name of a question, which has no pointer.
    fn name(&mut self) -> Option<HostName> {
        let (mut text, mut len) = ([0_u8; NAME_MAX], 0_usize);
        loop {
            let length = match self.byte()? {
                0 => break,
                length if length < 64 => usize::from(length),
                _ => return None,
            };
            let label = self.take(length)?;
            // A dot inside a label would make it two.
            if label.contains(&b'.') {
                return None;
            }
            if len > 0 {
                *text.get_mut(len)? = b'.';
                len = len.wrapping_add(1);
            }
            text.get_mut(len..)?.get_mut(..length)?.copy_from_slice(label);
            len = len.wrapping_add(length);
        }
        Some(HostName::of(text.get(..len)?))
    }
}

/// What a message with one question is an answer to, or asks: the number of the query, and the question as it lies in it.
#[must_use]
pub fn question(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let mut message = Message { bytes, at: 0 };
    let number = message.number()?;
    message.take(2)?;
    if message.number()? != 1 {
        return None;
    }
    message.at = HEAD;
    message.name()?;
    message.take(4)?;
    Some((number, bytes.get(HEAD..message.at)?))
}

/// Calls `found` with the name that a successful answer is about and each address in it, up to the first fault.
pub fn addresses(message: &[u8], mut found: impl FnMut(&HostName, IpAddr)) {
    let _ = read(message, &mut found);
}

fn read(bytes: &[u8], found: &mut impl FnMut(&HostName, IpAddr)) -> Option<()> {
    let mut message = Message { bytes, at: 2 };
    let [flags, code] = *message.take(2)? else { return None };
    let (questions, answers) = (message.number()?, message.number()?);
    // An answer, without an error.
    if flags & 0x80 == 0 || code & 0x0f != 0 || questions != 1 {
        return None;
    }
    message.at = HEAD;
    let name = message.name()?;
    message.take(4)?;
    for _ in 0..answers.min(RECORDS_MAX) {
        message.pass_name()?;
        let (kind, class) = (message.number()?, message.number()?);
        message.take(4)?;
        let length = message.number()?;
        let data = message.take(usize::from(length))?;
        if class != INTERNET {
            continue;
        }
        if kind == A
            && let Ok(octets) = <[u8; 4]>::try_from(data)
        {
            found(&name, IpAddr::from(octets));
        } else if kind == AAAA
            && let Ok(octets) = <[u8; 16]>::try_from(data)
        {
            found(&name, IpAddr::from(octets));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn all(message: &[u8]) -> Vec<(String, IpAddr)> {
        let mut out = Vec::new();
        addresses(message, |name, ip| out.push((String::from_utf8_lossy(name.bytes()).to_string(), ip)));
        out
    }

    /// An answer to the question for api.example: a CNAME, then two addresses under that.
    fn answer() -> Vec<u8> {
        let mut out = std::vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0];
        out.extend(b"\x03API\x07example\x00\x00\x01\x00\x01");
        out.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x06\x03cdn\xc0\x10");
        out.extend(b"\xc0\x2b\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x58\x01\x0a");
        out.extend(b"\xc0\x2b\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10\x2a\x0e\x00\x01");
        out.extend([0; 11]);
        out.push(0x10);
        out
    }

    #[test]
    fn addresses_belong_to_the_name_that_was_asked_for() {
        let wanted = [("api.example", "192.88.1.10"), ("api.example", "2a0e:1::10")];
        let wanted: Vec<_> = wanted.map(|(name, ip)| (name.to_string(), ip.parse().unwrap())).into();
        assert_eq!(all(&answer()), wanted);
        let mut question = answer();
        question[2] = 1;
        assert!(all(&question).is_empty());
        let mut refused = answer();
        refused[3] = 3;
        assert!(all(&refused).is_empty());
    }

    #[test]
    fn a_question_is_the_same_in_query_and_answer() {
        let answer = answer();
        let mut query = answer[..29].to_vec();
        query[2] = 1;
        query[7] = 0;
        assert_eq!(question(&query), question(&answer));
        assert_eq!(question(&query), Some((0x1234, &answer[12..29])));
        assert_eq!(question(&query[..28]), None);
        query[5] = 2;
        assert_eq!(question(&query), None);
    }

    proptest! {
        #[test]
        fn any_bytes_end(mut message in proptest::collection::vec(any::<u8>(), 0..300), whole in any::<bool>()) {
            if whole && message.len() > 5 {
                message[2] = 0x81;
                message[3] = 0x80;
            }
            let _ = all(&message);
            let _ = question(&message);
        }

        #[test]
        fn a_cut_answer_gives_a_part(len in 0_usize..100) {
            let whole = answer();
            let part = all(&whole[..len.min(whole.len())]);
            prop_assert!(all(&whole).starts_with(&part));
        }
    }
}
