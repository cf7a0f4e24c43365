//! The name servers that libc's resolver asks: those in its state, which a program may write to.

use super::DNS;
use crate::policy::in_force;
use crate::process::home;
use crate::request;
use crate::sys::Reader;
use crate::sys::{self, internet};
use core::ffi::c_void;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use portcullis_policy::egress::canonical;

/// As `struct __res_state` has them (resolv.h): offsets, and how many servers there are at most.
const OPTIONS: usize = 8;
const COUNT: usize = 16;
const LIST: usize = 20;
const LIST6: usize = 536;
const SERVERS_MAX: usize = 3;
/// RES_INIT: it has been read from the settings.
const INIT: u8 = 1;

/// As much of /etc/resolv.conf as is looked at.
const SETTINGS_MAX: usize = 4096;

/// Calls `with` for each server of a state, until it says that it wants no more; false where one cannot be read, or is wanted no
/// more. A state that libc still has to read from its settings has none.
pub fn each(of: *const c_void, mut with: impl FnMut(IpAddr, u16) -> bool) -> bool {
    let bytes = |at: usize, len: usize| {
        let mut bytes = [0_u8; 32];
        let reader = Reader::default();
        for (index, byte) in bytes.iter_mut().enumerate().take(len) {
            *byte = reader.byte(of.cast::<u8>().wrapping_add(at).wrapping_add(index))?;
        }
        Some(bytes)
    };
    let Some([options, ..]) = bytes(OPTIONS, 1) else { return false };
    if options & INIT == 0 {
        return true;
    }
    let Some([count, b, c, d, ..]) = bytes(COUNT, 4) else { return false };
    if [b, c, d] != [0; 3] || usize::from(count) > SERVERS_MAX {
        return false;
    }
    for index in 0..usize::from(count) {
        let at = LIST.wrapping_add(index.wrapping_mul(sys::V4_MIN));
        let Some(mut address) = bytes(at, sys::V4_MIN) else { return false };
        // Where the family is none, it is one of v6, elsewhere.
        if address.first_chunk() == Some(&[0; 2]) {
            let Some(elsewhere) = Reader::default().pointer(of.cast(), (LIST6 / 8).wrapping_add(index)) else {
                return false;
            };
            if elsewhere.is_null() {
                continue;
            }
            let reader = Reader::default();
            for (index, byte) in address.iter_mut().enumerate().take(sys::V6_MIN) {
                let Some(read) = reader.byte(elsewhere.wrapping_add(index)) else { return false };
                *byte = read;
            }
        }
        match internet(&address, address.len()) {
            Some((ip, port)) if with(ip, port) => {}
            _ => return false,
        }
    }
    true
}

/// Whether a name server is one of the policy's, or of the settings that the server itself works by.
pub fn is_configured(ip: IpAddr, port: u16) -> bool {
    let is_policys = || request::current(|served| in_force::policy().is_resolver(served.scope, ip));
    port == DNS && (is_policys() || home::is_here() == Some(true) && is_in_settings(ip))
}

/// Whether a state has configured servers alone.
pub fn are_configured(of: *const c_void) -> bool {
    each(of, is_configured)
}

#[inline(never)]
fn is_in_settings(ip: IpAddr) -> bool {
    let mut room = [0; SETTINGS_MAX];
    match sys::open(libc::AT_FDCWD, c"/etc/resolv.conf", libc::O_RDONLY, 0) {
        Ok(file) => named_in(sys::read(file.0, &mut room), ip),
        // libc asks loopback then.
        Err(errno) => errno == libc::ENOENT && ip == IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

fn named_in(text: &[u8], ip: IpAddr) -> bool {
    text.split(|&byte| byte == b'\n').any(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        if words.next() != Some(b"nameserver") {
            return false;
        }
        // A link's name may be behind it.
        let text = words.next().and_then(|word| word.split(|&byte| byte == b'%').next()).unwrap_or_default();
        v4(text).or_else(|| v6(text)).is_some_and(|named| named == canonical(ip))
    })
}

/// An address in its usual form. core's own parser can panic, for all that the linker knows.
fn v4(text: &[u8]) -> Option<IpAddr> {
    let mut octets = [0_u8; 4];
    let mut parts = text.split(|&byte| byte == b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=3).contains(&part.len()))?;
        let mut value = 0_u16;
        for byte in part {
            value = value.wrapping_mul(10).wrapping_add((*byte as char).to_digit(10)? as u16);
        }
        *octet = u8::try_from(value).ok()?;
    }
    parts.next().is_none().then_some(IpAddr::V4(Ipv4Addr::from(octets)))
}

/// The same of v6.
fn v6(text: &[u8]) -> Option<IpAddr> {
    let gap = text.windows(2).position(|pair| pair == b"::");
    let (front, back) = match gap {
        Some(at) => (text.get(..at)?, text.get(at.wrapping_add(2)..)?),
        None => (text, &[][..]),
    };
    let (front, back) = (groups(front)?, groups(back)?);
    let bits = match gap {
        None if front.1 == 8 => front.0,
        Some(_) if front.1.wrapping_add(back.1) < 8 => {
            front.0.wrapping_shl(8_u32.wrapping_sub(front.1).wrapping_mul(16)) | back.0
        }
        _ => return None,
    };
    Some(canonical(IpAddr::V6(Ipv6Addr::from_bits(bits))))
}

/// Groups of hexadecimal digits, and how many.
fn groups(text: &[u8]) -> Option<(u128, u32)> {
    let (mut bits, mut count) = (0_u128, 0_u32);
    for group in text.split(|&byte| byte == b':').filter(|_| !text.is_empty()) {
        if !(1..=4).contains(&group.len()) {
            return None;
        }
        let mut value = 0_u128;
        for byte in group {
            value = value << 4 | u128::from((*byte as char).to_digit(16)?);
        }
        bits = bits.wrapping_shl(16) | value;
        count = count.wrapping_add(1);
    }
    Some((bits, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_from_the_state_and_the_settings() {
        let mut room = [0_u64; 80];
        let state = room.as_mut_ptr().cast::<u8>();
        let v6: [u8; 28] = {
            let mut bytes = [0; 28];
            bytes[0] = libc::AF_INET6 as u8;
            bytes[2..4].copy_from_slice(&5353_u16.to_be_bytes());
            bytes[23] = 1;
            bytes
        };
        let seen = |state: *const u8| {
            let mut seen = Vec::new();
            let whole = each(state.cast(), |ip, port| {
                seen.push((ip.to_string(), port));
                true
            });
            (whole, seen)
        };
        assert_eq!(seen(state), (true, vec![]));
        // SAFETY: inside the array.
        unsafe {
            state.add(OPTIONS).write(INIT);
            state.add(COUNT).write(2);
            state.add(LIST).copy_from([2, 0, 0, 53, 192, 88, 1, 10].as_ptr(), 8);
            state.add(LIST6 + 8).cast::<usize>().write_unaligned(v6.as_ptr() as usize);
        }
        assert_eq!(seen(state), (true, vec![("192.88.1.10".to_owned(), 53), ("::1".to_owned(), 5353)]));
        // SAFETY: inside the array.
        unsafe { state.add(COUNT).write(4) };
        assert!(!seen(state).0 && !seen(core::ptr::null()).0);
        let text = b"# nameserver 9.9.9.9\nnameserver 192.88.1.10\n nameserver fe80::1%eth0\nnameserver\t2001:DB8:0::7 \nsearch 8.8.8.8\n";
        for (ip, is) in [
            ("192.88.1.10", true),
            ("fe80::1", true),
            ("2001:db8::7", true),
            ("::", false),
            ("::1", false),
            ("9.9.9.9", false),
            ("8.8.8.8", false),
        ] {
            assert_eq!(named_in(text, ip.parse().unwrap()), is, "{ip}");
        }
    }
}
