//! A socket's address, as programs hand it to the kernel.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The shortest v4 address that Linux takes.
pub const V4_MIN: usize = 16;
/// The shortest v6 address that Linux takes, without the scope id (SIN6_LEN_RFC2133).
pub const V6_MIN: usize = 24;
/// Linux's numbers of the two families.
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// The internet address and port in a socket's address, of which `bytes` are the beginning and `len` the length in bytes;
/// `None` for another family, or one that is too short.
#[must_use]
pub fn internet(bytes: &[u8], len: usize) -> Option<(IpAddr, u16)> {
    let [first, second, high, low] = *bytes.first_chunk()?;
    let port = u16::from_be_bytes([high, low]);
    match u16::from_ne_bytes([first, second]) {
        AF_INET if len >= V4_MIN => {
            let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some((IpAddr::V4(Ipv4Addr::from(octets)), port))
        }
        AF_INET6 if len >= V6_MIN => {
            let octets: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some((IpAddr::V6(Ipv6Addr::from(octets)), port))
        }
        _ => None,
    }
}

/// What an address without a family (AF_UNSPEC) means to a socket that it is handed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unspecified {
    /// It is a v4 address: IPv4's UDP, raw and L2TP sockets send to it (net/ipv4/udp.c, raw.c; net/l2tp/l2tp_ip.c).
    V4,
    /// It is a v6 address: IPv6's raw and L2TP sockets send to it (net/ipv6/raw.c; net/l2tp/l2tp_ip6.c).
    V6,
    /// It is no address: the datagram goes to where the socket is connected, if it is.
    Nothing,
}

/// The internet address and port in an address without a family, as [`internet`].
#[must_use]
pub fn unspecified(bytes: &[u8], len: usize, meant: Unspecified) -> Option<(IpAddr, u16)> {
    let family = match meant {
        Unspecified::V4 => AF_INET,
        Unspecified::V6 => AF_INET6,
        Unspecified::Nothing => return None,
    };
    let mut with_family = [0; V6_MIN];
    for (to, from) in with_family.iter_mut().zip(bytes) {
        *to = *from;
    }
    let [first, second, ..] = &mut with_family;
    [*first, *second] = family.to_ne_bytes();
    internet(&with_family, len)
}

/// Whether an address has no family. One of less than two bytes has none that Linux reads.
#[must_use]
pub fn is_unspecified(bytes: &[u8], len: usize) -> bool {
    len >= 2 && bytes.first_chunk() == Some(&[0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(family: u16, rest: &[u8]) -> [u8; 128] {
        let mut out = [0; 128];
        out[..2].copy_from_slice(&family.to_ne_bytes());
        out[2..2 + rest.len()].copy_from_slice(rest);
        out
    }

    #[test]
    fn internet_addresses_are_read_as_the_kernel_reads_them() {
        let v4 = bytes(AF_INET, &[0x11, 0x5c, 192, 88, 1, 10]);
        assert_eq!(internet(&v4, 16), Some(("192.88.1.10".parse().unwrap(), 4444)));
        let v6 = bytes(AF_INET6, &[0, 80, 0, 0, 0, 0, 0x20, 1]);
        assert_eq!(internet(&v6, 28), Some(("2001::".parse().unwrap(), 80)));
        assert_eq!(internet(&v6, 24), Some(("2001::".parse().unwrap(), 80)));
        assert_eq!(internet(&v6, 23), None);
        assert_eq!(internet(&v4, 15), None);
        assert_eq!(internet(&bytes(1, b"/x"), 16), None);
        assert_eq!(internet(&bytes(0, &[]), 16), None);
        assert_eq!(internet(&v4[..7], 16), None);
    }

    #[test]
    fn an_address_without_a_family_is_what_the_socket_takes_it_for() {
        let v4 = bytes(0, &[0x11, 0x5c, 192, 88, 1, 10]);
        assert!(is_unspecified(&v4, 16) && !is_unspecified(&v4, 1) && !is_unspecified(&bytes(AF_INET, &[]), 16));
        assert_eq!(unspecified(&v4, 16, Unspecified::V4), Some(("192.88.1.10".parse().unwrap(), 4444)));
        assert_eq!(unspecified(&v4, 15, Unspecified::V4), None);
        assert_eq!(unspecified(&v4, 128, Unspecified::Nothing), None);
        let v6 = bytes(0, &[0, 80, 0, 0, 0, 0, 0x20, 1]);
        assert_eq!(unspecified(&v6, 28, Unspecified::V6), Some(("2001::".parse().unwrap(), 80)));
        assert_eq!(unspecified(&v6, 23, Unspecified::V6), None);
    }
}
