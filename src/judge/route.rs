//! Socket options and control messages by which packets go elsewhere than the address says: source routes, the flow labels that
//! carry them, and SCTP, which connects by an option and sends to addresses in a control message.
//!
//! Numbers from linux/in.h, linux/in6.h and linux/sctp.h. What each does: ip6_flowlabel.c, exthdrs.c, ip_options.c, sctp/socket.c
//! in Linux's net/.

use crate::process::state;
use crate::sys::Reader;

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

/// As many bytes as the kernel takes for the options of IPv4 (net/ipv4/ip_options.c).
pub const OPTIONS_MAX: usize = 40;
/// Their end, one that does nothing, and the two source routes (linux/ip.h).
const END: u8 = 0;
const NOTHING: u8 = 1;
const LOOSE: u8 = 131;
const STRICT: u8 = 137;

/// How a socket option changes the route of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionEffect {
    /// None, whatever its value.
    None,
    /// None with the value that was read: the kernel is to get that.
    NoneAsRead,
    /// Elsewhere; how, for events.
    Elsewhere(&'static str),
}

const SOURCE_ROUTE: &str = "a source route (IP_OPTIONS)";
const ROUTING_HEADER: &str = "a routing header (IPV6_RTHDR)";

/// Whether setsockopt may have an effect by its option alone.
#[inline]
pub fn may_set(level: i32, option: i32) -> bool {
    matches!(
        (level, option),
        (libc::IPPROTO_IPV6, IPV6_FLOWLABEL_MGR | IPV6_RTHDR | IPV6_2292PKTOPTIONS)
            | (libc::IPPROTO_IP, IP_OPTIONS)
            | (IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX | SCTP_SOCKOPT_CONNECTX_OLD)
    )
}

/// What setsockopt means for where packets go. Of a length that the kernel refuses, as of none, which takes away what was set, it is
/// nothing. Options of IPv4 are put into `options`, which is all zeros; `read` copies them, or gives false.
pub fn set(
    level: i32,
    option: i32,
    len: u32,
    options: &mut [u8; OPTIONS_MAX],
    read: impl FnOnce(&mut [u8]) -> bool,
) -> OptionEffect {
    let elsewhere = |is_so: bool, how| if is_so { OptionEffect::Elsewhere(how) } else { OptionEffect::None };
    match (level, option) {
        (libc::IPPROTO_IPV6, IPV6_FLOWLABEL_MGR) => {
            elsewhere(len > FLOWLABEL, "a flow label with options (IPV6_FLOWLABEL_MGR)")
        }
        // Units of eight bytes, as many as a header can have. It has addresses, whatever its kind.
        (libc::IPPROTO_IPV6, IPV6_RTHDR) => elsewhere(matches!(len, 8..=2040) && len.is_multiple_of(8), ROUTING_HEADER),
        (libc::IPPROTO_IPV6, IPV6_2292PKTOPTIONS) => elsewhere(len > 0, "options of its packets (IPV6_2292PKTOPTIONS)"),
        (libc::IPPROTO_IP, IP_OPTIONS) => {
            let Some(part) = options.get_mut(..len as usize).filter(|_| len != 0) else { return OptionEffect::None };
            match read(part) {
                false => OptionEffect::Elsewhere("options that cannot be read (IP_OPTIONS)"),
                true if has_source_route(options, len as usize) => OptionEffect::Elsewhere(SOURCE_ROUTE),
                true => OptionEffect::NoneAsRead,
            }
        }
        (IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX | SCTP_SOCKOPT_CONNECTX_OLD) => OptionEffect::Elsewhere(CONNECTX),
        _ => OptionEffect::None,
    }
}

const CONNECTX: &str = "addresses that it connects to (SCTP_SOCKOPT_CONNECTX)";

/// Whether the first `len` bytes are options of IPv4 with a source route that the kernel takes (ip_options_compile). It fills them up
/// with zeros to a multiple of four, which are part of an option that is as long.
pub fn has_source_route(options: &[u8; OPTIONS_MAX], len: usize) -> bool {
    let mut rest = options.get(..len.next_multiple_of(4)).unwrap_or(options);
    loop {
        rest = match *rest {
            [NOTHING, ref rest @ ..] => rest,
            [] | [END, ..] | [_] => return false,
            [LOOSE | STRICT, size, ref behind @ ..] => {
                let is_whole = size >= 7 && size % 4 == 3 && rest.len() >= usize::from(size);
                return is_whole && behind.first() == Some(&4);
            }
            // A shorter one the kernel refuses.
            [_, size, ..] => match rest.get(usize::from(size)..) {
                Some(rest) if size >= 2 => rest,
                _ => return false,
            },
        };
    }
}

/// How getsockopt lets packets go elsewhere: libsctp connects by it.
#[inline]
pub fn asked(level: i32, option: i32) -> Option<&'static str> {
    ((level, option) == (IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3)).then_some(CONNECTX)
}

/// How a control message does, with its data of so many bytes, of which `read` copies the first.
fn sent(level: i32, kind: i32, size: usize, read: impl FnOnce(&mut [u8]) -> bool) -> Option<&'static str> {
    match (level, kind) {
        (libc::IPPROTO_IPV6, IPV6_RTHDR | IPV6_2292RTHDR) => Some(ROUTING_HEADER),
        (libc::IPPROTO_IP, IP_RETOPTS) => {
            let (mut options, len) = ([0; OPTIONS_MAX], size.min(OPTIONS_MAX));
            let is_read = options.get_mut(..len).is_some_and(read);
            (!is_read || has_source_route(&options, len)).then_some("a source route in a message (IP_RETOPTS)")
        }
        (IPPROTO_SCTP, SCTP_DSTADDRV4 | SCTP_DSTADDRV6) => {
            Some("addresses in a message (SCTP_DSTADDRV4, SCTP_DSTADDRV6)")
        }
        _ => None,
    }
}

/// Whether the first `len` bytes are options of IPv4 for which the kernel wants no rights of whoever sets them (ip_options_compile):
/// fillers, routes, the record of the way, times and the router's alert. Others the supervisor does not set with its own.
pub fn needs_no_rights(options: &[u8; OPTIONS_MAX], len: usize) -> bool {
    const PLAIN: [u8; 5] = [7, 68, LOOSE, STRICT, 148];
    let mut rest = options.get(..len.next_multiple_of(4)).unwrap_or(options);
    loop {
        rest = match *rest {
            [] | [END, ..] => return true,
            [NOTHING, ref rest @ ..] => rest,
            [kind, size, ..] if PLAIN.contains(&kind) && size >= 2 => match rest.get(usize::from(size)..) {
                Some(rest) => rest,
                None => return false,
            },
            _ => return false,
        };
    }
}

/// Whether a control message has options of IPv4 without a source route, for which the kernel wants no rights.
pub fn is_harmless((level, kind): (i32, i32), data: &[u8]) -> bool {
    let mut options = [0; OPTIONS_MAX];
    options.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
    let len = data.len().min(OPTIONS_MAX);
    let is_plain = needs_no_rights(&options, len) && !has_source_route(&options, len);
    (level, kind) == (libc::IPPROTO_IP, IP_RETOPTS) && is_plain
}

/// Copies bytes of this process; false where they cannot be read.
pub fn copy(at: *const u8, into: &mut [u8]) -> bool {
    let reader = Reader::default();
    into.iter_mut().enumerate().all(|(index, byte)| match reader.byte(at.wrapping_add(index)) {
        Some(read) => {
            *byte = read;
            true
        }
        None => false,
    })
}

/// How a message's control messages do.
pub fn in_message(header: &libc::msghdr) -> Option<&'static str> {
    let mut how = None;
    each(header, |level, kind, at, size| how = how.or_else(|| sent(level, kind, size, |into| copy(at, into))));
    how
}

/// Calls `with` with the descriptors that came with a message (SCM_RIGHTS).
pub fn each_descriptor(header: &libc::msghdr, mut with: impl FnMut(i32)) {
    each(header, |level, kind, at, size| {
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            let reader = Reader::default();
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
    let reader = Reader::default();
    while !at.is_null() && place.checked_add(HEAD).is_some_and(|end| end <= len) {
        let Some([size, kind]) = reader.value(at.wrapping_add(place).cast::<[usize; 2]>()) else { return };
        // musl's length has 32 bits, and what is behind them may be anything.
        let size = if state::has_other_libc() { size & u32::MAX as usize } else { size };
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
        assert!(in_message(&with_control(&mut words, 64)).is_some());
        // As long as the address space.
        words[0] = usize::MAX - 2;
        assert!(in_message(&with_control(&mut words, usize::MAX)).is_none());
        words[0] = 20;
        // Cut, so that the kernel refuses it.
        assert!(in_message(&with_control(&mut words, 63)).is_none());
        words[4] = kind(41, 67);
        assert!(in_message(&with_control(&mut words, 64)).is_none());
        assert!(in_message(&with_control(&mut words, 0)).is_none());
        words[0] = 0;
        assert!(in_message(&with_control(&mut words, 64)).is_none());
    }

    #[test]
    fn descriptors_are_counted_by_length() {
        let mut words = [28, 1 | 1 << 32, 5 | 6 << 32, 7];
        let mut found = Vec::new();
        each_descriptor(&with_control(&mut words, 32), |fd| found.push(fd));
        assert_eq!(found, [5, 6, 7]);
    }

    /// The effect of an option with a value of so many bytes, of which these are the first.
    fn effect(level: i32, option: i32, len: u32, value: &[u8]) -> OptionEffect {
        assert!(
            may_set(level, option) || set(level, option, len, &mut [0; OPTIONS_MAX], |_| false) == OptionEffect::None
        );
        set(level, option, len, &mut [0; OPTIONS_MAX], |into| {
            into.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
            true
        })
    }

    #[test]
    fn what_takes_a_route_away_is_none() {
        for (level, option, len) in [(41, 57, 24), (41, 32, 33), (132, 110, 0), (41, 6, 24)] {
            assert!(matches!(effect(level, option, len, &[]), OptionEffect::Elsewhere(_)), "{level} {option} {len}");
        }
        // Nothing, of a length that the kernel refuses, of another level, and what only says that headers are to be received.
        for (level, option, len) in
            [(41, 57, 0), (41, 57, 12), (41, 57, 2048), (0, 4, 0), (0, 4, 41), (41, 32, 32), (6, 57, 24), (41, 5, 24)]
        {
            assert_eq!(effect(level, option, len, &[131, 7, 4]), OptionEffect::None, "{level} {option} {len}");
        }
    }

    #[test]
    fn only_a_source_route_is_one() {
        let all: [(&[u8], bool); 13] = [
            (&[131, 7, 4, 192, 88, 1, 10], true),
            (&[137, 7, 4, 192, 88, 1, 10, 0], true),
            // The kernel adds the last zero.
            (&[131, 7, 4, 192, 88, 1], true),
            (&[1, 1, 7, 7, 4, 0, 0, 0, 0, 1, 131, 11, 4, 1, 2, 3, 4, 5, 6, 7, 8], true),
            (&[148, 4, 0, 0, 131, 7, 4, 1, 2, 3, 4], true),
            (&[1, 1, 1, 1], false),
            (&[7, 7, 4, 0, 0, 0, 0, 0], false),
            (&[0, 131, 7, 4, 192, 88, 1, 10], false),
            // What the kernel refuses: no address, half of one, another place to begin, and one that goes beyond the end.
            (&[131, 3, 4, 0], false),
            (&[131, 8, 4, 192, 88, 1, 10, 0], false),
            (&[131, 7, 8, 192, 88, 1, 10, 0], false),
            (&[131, 11, 4, 192, 88, 1, 10, 0], false),
            (&[7, 1, 131, 7, 4, 1, 2, 3, 4], false),
        ];
        for (value, is_route) in all {
            assert!(!(is_route && is_harmless((0, IP_RETOPTS), value)), "{value:?}");
            let wanted = if is_route { OptionEffect::Elsewhere(SOURCE_ROUTE) } else { OptionEffect::NoneAsRead };
            assert_eq!(effect(0, 4, value.len() as u32, value), wanted, "{value:?}");
            let mut words = [16 + value.len(), IP_RETOPTS as usize * (1 << 32), 0, 0, 0, 0, 0];
            for (index, byte) in value.iter().enumerate() {
                words[2 + index / 8] |= usize::from(*byte) << (index % 8 * 8);
            }
            assert_eq!(in_message(&with_control(&mut words, 56)).is_some(), is_route, "{value:?}");
        }
        // Security (RFC 1108), a stream's number, a label, and none that there is.
        for kind in [130, 136, 134, 99] {
            assert!(!is_harmless((0, IP_RETOPTS), &[1, kind, 3, 0]), "{kind}");
        }
        for value in [&[1, 7, 7, 4][..], &[148, 4, 0, 0], &[0], &[]] {
            assert!(is_harmless((0, IP_RETOPTS), value) == (value != [1, 7, 7, 4]), "{value:?}");
        }
        let unread = set(0, 4, 8, &mut [0; OPTIONS_MAX], |_| false);
        assert!(matches!(unread, OptionEffect::Elsewhere(_)), "what cannot be read is not known");
    }
}
