//! An address as text, as RFC 5952 has it, and whether a text is one. core's own `Display` and `FromStr` for addresses
//! have reachable panics.

use core::net::IpAddr;

/// The longest text, in bytes: a v4-mapped v6 address.
pub const TEXT_MAX: usize = 45;

struct AddressText<'b> {
    buffer: &'b mut [u8; TEXT_MAX],
    len: usize,
}

impl AddressText<'_> {
    fn push(&mut self, byte: u8) {
        if let Some(to) = self.buffer.get_mut(self.len) {
            *to = byte;
            self.len = self.len.wrapping_add(1);
        }
    }

    /// A number without leading zeros.
    fn number(&mut self, number: u16, base: u16) {
        if number >= base {
            self.number(number / base, base);
        }
        let digit = (number % base) as u8;
        self.push(if digit < 10 { b'0'.wrapping_add(digit) } else { b'a'.wrapping_add(digit.wrapping_sub(10)) });
    }

    fn v4(&mut self, octets: [u8; 4]) {
        for (index, octet) in octets.into_iter().enumerate() {
            if index > 0 {
                self.push(b'.');
            }
            self.number(u16::from(octet), 10);
        }
    }

    fn groups(&mut self, groups: &[u16]) {
        for (index, group) in groups.iter().enumerate() {
            if index > 0 {
                self.push(b':');
            }
            self.number(*group, 16);
        }
    }
}

/// The longest run of zero groups, if it has at least two: its start and length; the first of equals.
fn zeros(groups: &[u16; 8]) -> Option<(usize, usize)> {
    let (mut best, mut run) = ((0, 1), 0_usize);
    for (index, group) in groups.iter().enumerate() {
        run = if *group == 0 { run.wrapping_add(1) } else { 0 };
        if run > best.1 {
            best = (index.wrapping_add(1).wrapping_sub(run), run);
        }
    }
    (best.1 > 1).then_some(best)
}

/// Writes `ip` into `buffer`.
pub fn text(ip: IpAddr, buffer: &mut [u8; TEXT_MAX]) -> &[u8] {
    let mut out = AddressText { buffer, len: 0 };
    match ip {
        IpAddr::V4(v4) => out.v4(v4.octets()),
        IpAddr::V6(v6) => {
            let groups = v6.segments();
            match (v6.to_ipv4_mapped(), zeros(&groups)) {
                (Some(v4), _) => {
                    b"::ffff:".iter().for_each(|byte| out.push(*byte));
                    out.v4(v4.octets());
                }
                (None, Some((start, len))) => {
                    out.groups(groups.get(..start).unwrap_or_default());
                    b"::".iter().for_each(|byte| out.push(*byte));
                    out.groups(groups.get(start.wrapping_add(len)..).unwrap_or_default());
                }
                (None, None) => out.groups(&groups),
            }
        }
    }
    let AddressText { buffer, len } = out;
    buffer.get(..len).unwrap_or_default()
}

/// Whether `text` is a v4 or v6 address, without brackets and scope, in lower or upper case.
#[must_use]
pub fn is_address(text: &[u8]) -> bool {
    if text.len() > TEXT_MAX {
        return false;
    }
    is_v4(text) || is_v6(text)
}

fn is_v4(text: &[u8]) -> bool {
    let mut octets = 0_usize;
    for octet in text.split(|&byte| byte == b'.') {
        octets = octets.wrapping_add(1);
        let fine = matches!(
            octet,
            [b'0'..=b'9']
                | [b'1'..=b'9', b'0'..=b'9']
                | [b'1', b'0'..=b'9', b'0'..=b'9']
                | [b'2', b'0'..=b'4', b'0'..=b'9']
                | [b'2', b'5', b'0'..=b'5']
        );
        if !fine {
            return false;
        }
    }
    octets == 4
}

fn is_v6(text: &[u8]) -> bool {
    let mut groups = 0_usize;
    let mut compressed = false;
    let mut rest = text;
    if let Some(after) = rest.strip_prefix(b"::") {
        compressed = true;
        rest = after;
        if rest.is_empty() {
            return true;
        }
    }
    loop {
        let end = rest.iter().position(|&byte| byte == b':');
        let group = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        if end.is_none() && is_v4(group) {
            groups = groups.wrapping_add(2);
        } else if (1..=4).contains(&group.len()) && group.iter().all(u8::is_ascii_hexdigit) {
            groups = groups.wrapping_add(1);
        } else {
            return false;
        }
        let Some(end) = end else { break };
        rest = rest.get(end.wrapping_add(1)..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix(b":") {
            if compressed {
                return false;
            }
            compressed = true;
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }
    if compressed { groups < 8 } else { groups == 8 }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    proptest! {
        #[test]
        fn what_is_an_address_is_one_for_std(text in "[0-9a-fA-F:.]{0,20}|([0-9a-f]{0,5}:){0,9}[0-9a-f]{0,4}|(::)?([0-9]{1,3}\\.){3}[0-9]{1,3}") {
            prop_assert_eq!(is_address(text.as_bytes()), text.parse::<IpAddr>().is_ok(), "{}", text);
        }

        #[test]
        fn every_written_address_is_one(groups: [u16; 8], v4: u32) {
            let mut buffer = [0; TEXT_MAX];
            prop_assert!(is_address(text(IpAddr::from(groups), &mut buffer)));
            prop_assert!(is_address(text(IpAddr::from(v4.to_be_bytes()), &mut buffer)));
        }

        #[test]
        fn as_std_writes_it(groups in proptest::array::uniform8(prop_oneof![Just(0_u16), Just(0xffff), any::<u16>()]), v4: u32) {
            let mut buffer = [0; TEXT_MAX];
            for ip in [IpAddr::from(groups), IpAddr::from(v4.to_be_bytes()), IpAddr::V6(std::net::Ipv4Addr::from(v4).to_ipv6_mapped())] {
                let wanted = ip.to_string();
                prop_assert_eq!(text(ip, &mut buffer), wanted.as_bytes());
            }
        }
    }
}
