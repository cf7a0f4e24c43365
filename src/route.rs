//! Socket options and control messages by which packets go elsewhere than the address says: source routes, the flow labels that
//! carry them, and SCTP, which connects by an option and sends to addresses in a control message.
//!
//! Numbers from linux/in.h, linux/in6.h and linux/sctp.h. What each does: ip6_flowlabel.c, exthdrs.c, ip_options.c, sctp/socket.c
//! in Linux's net/.

use crate::memory::Reader;

const IPPROTO_SCTP: i32 = libc::IPPROTO_SCTP;
const IP_OPTIONS: i32 = 4;
const IP_RETOPTS: i32 = 7;
const IPV6_2292RTHDR: i32 = 5;
const IPV6_2292PKTOPTIONS: i32 = 6;
const IPV6_FLOWLABEL_MGR: i32 = 32;
const IPV6_RTHDR: i32 = 57;
const SCTP_SOCKOPT_CONNECTX_OLD: i32 = 107;
const SCTP_SOCKOPT_CONNECTX: i32 = 110;
const SCTP_SOCKOPT_CONNECTX3: i32 = 111;
const SCTP_DSTADDRV4: i32 = 7;
const SCTP_DSTADDRV6: i32 = 8;
/// `struct in6_flowlabel_req`, behind which options may stand.
const FLOWLABEL: u32 = 32;
/// The length, the level and the type of a control message, behind which its data stand.
const HEAD: usize = 16;

/// Whether setsockopt names another destination.
pub fn is_set(level: i32, option: i32, len: u32) -> bool {
    match (level, option) {
        (libc::IPPROTO_IPV6, IPV6_FLOWLABEL_MGR) => len > FLOWLABEL,
        // Without anything, it takes away what was set.
        (libc::IPPROTO_IPV6, IPV6_RTHDR | IPV6_2292RTHDR | IPV6_2292PKTOPTIONS) | (libc::IPPROTO_IP, IP_OPTIONS) => {
            len > 0
        }
        (IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX | SCTP_SOCKOPT_CONNECTX_OLD) => true,
        _ => false,
    }
}

/// Whether getsockopt does: libsctp connects by it.
pub fn is_asked(level: i32, option: i32) -> bool {
    (level, option) == (IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3)
}

fn is_sent(level: i32, kind: i32) -> bool {
    matches!(
        (level, kind),
        (libc::IPPROTO_IPV6, IPV6_RTHDR | IPV6_2292RTHDR)
            | (libc::IPPROTO_IP, IP_RETOPTS)
            | (IPPROTO_SCTP, SCTP_DSTADDRV4 | SCTP_DSTADDRV6)
    )
}

/// Whether a message's control messages do.
pub fn in_message(header: &libc::msghdr) -> bool {
    let mut is_there = false;
    each(header, |level, kind, _, _| is_there |= is_sent(level, kind));
    is_there
}

/// Calls `with` with the descriptors that came with a message (SCM_RIGHTS).
pub fn each_descriptor(header: &libc::msghdr, mut with: impl FnMut(i32)) {
    each(header, |level, kind, at, size| {
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            let mut reader = Reader::default();
            (0..size / 4).filter_map(|index| reader.value(at.cast::<i32>().wrapping_add(index))).for_each(&mut with);
        }
    });
}

/// Calls `with` with level, type, place and length of each control message, as far as the kernel reads them.
fn each(header: &libc::msghdr, mut with: impl FnMut(i32, i32, *const u8, usize)) {
    // Of more the kernel reads nothing (ENOBUFS).
    let at = header.msg_control.cast_const().cast::<u8>();
    let len = if header.msg_controllen > i32::MAX as usize { 0 } else { header.msg_controllen };
    let mut place = 0_usize;
    let mut reader = Reader::default();
    while !at.is_null() && place.checked_add(HEAD).is_some_and(|end| end <= len) {
        let Some([size, kind]) = reader.value(at.wrapping_add(place).cast::<[usize; 2]>()) else { return };
        if size < HEAD || size > len.wrapping_sub(place) {
            return;
        }
        let data = at.wrapping_add(place.wrapping_add(HEAD));
        with(kind as i32, (kind >> 32) as i32, data, size.wrapping_sub(HEAD));
        place = place.wrapping_add(size.next_multiple_of(8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_control(words: &mut [usize], len: usize) -> libc::msghdr {
        // SAFETY: zeros are a valid msghdr.
        let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
        header.msg_control = words.as_mut_ptr().cast();
        header.msg_controllen = len;
        header
    }

    #[test]
    fn a_route_is_found_behind_other_messages() {
        let kind = |level: i32, kind: i32| level as usize | (kind as usize) << 32;
        // Data of 4 bytes, then a route of 24.
        let mut words = [20, kind(0, libc::IP_TTL), 9, 40, kind(41, 57), 0, 0, 0];
        assert!(in_message(&with_control(&mut words, 64)));
        // As long as the address space.
        words[0] = usize::MAX - 2;
        assert!(!in_message(&with_control(&mut words, usize::MAX)));
        words[0] = 20;
        // Cut, so that the kernel refuses it.
        assert!(!in_message(&with_control(&mut words, 63)));
        words[4] = kind(41, 67);
        assert!(!in_message(&with_control(&mut words, 64)));
        assert!(!in_message(&with_control(&mut words, 0)));
        words[0] = 0;
        assert!(!in_message(&with_control(&mut words, 64)));
    }

    #[test]
    fn descriptors_are_counted_by_length() {
        let mut words = [28, 1 | 1 << 32, 5 | 6 << 32, 7];
        let mut found = Vec::new();
        each_descriptor(&with_control(&mut words, 32), |fd| found.push(fd));
        assert_eq!(found, [5, 6, 7]);
    }

    #[test]
    fn what_takes_a_route_away_is_none() {
        assert!(is_set(41, 57, 24) && is_set(0, 4, 8) && is_set(41, 32, 33));
        assert!(!is_set(41, 57, 0) && !is_set(0, 4, 0) && !is_set(41, 32, 32) && !is_set(6, 57, 24));
    }
}
