//! What opens a connection or sends to an address: connect, sendto, sendmsg, sendmmsg.

use super::{errno, fail};
use crate::address::{Address, NOWHERE, readable};
use crate::allowed::Destination;
use crate::judge::{self, By, Decision, Deed, Holds, Refused};
use crate::state::{self, Role};
use crate::sys::{ADDRESS_MAX, is_unspecified, unspecified};
use crate::{counters, gate, names, peers, pools, request, route, sys};
use core::ffi::{c_int, c_uint, c_void};
use core::mem::MaybeUninit;
use core::net::IpAddr;
use portcullis_policy::Unknown;

/// Whether a connection was judged.
#[derive(Clone, Copy)]
enum Looked {
    /// As a whole.
    Whole,
    /// It has to be looked at once it is made.
    Afterwards,
}

/// What the policy says, which for most destinations is what it said last time.
#[inline]
fn judged(fd: c_int, copy: &Address, len: libc::socklen_t, deed: Deed) -> Decision<Looked> {
    let known =
        |scope| Destination::new(scope, copy.head(), len as usize, deed != Deed::Connect)?.is_allowed().then_some(());
    if request::scope().and_then(known).is_some() {
        counters::decision();
        return Ok(Looked::Whole);
    }
    anew(fd, copy, len, deed)
}

#[inline(never)]
fn anew(fd: c_int, copy: &Address, len: libc::socklen_t, deed: Deed) -> Decision<Looked> {
    let at = match copy.internet(len) {
        Some(at) => Some(at),
        // A connect of it takes a socket's peer away.
        None if deed != Deed::Connect && is_unspecified(copy.head(), len as usize) => {
            match sys::meaning_of_unspecified(fd) {
                Ok(sys::Unspecified::Nothing) => return sent(fd).map(|()| Looked::Whole),
                Ok(meant) => unspecified(copy.head(), len as usize, meant),
                Err(_) => {
                    let decision = request::current(|served| judge::unexamined(By::This, served, fd, deed));
                    return decision.map(|()| Looked::Whole);
                }
            }
        }
        None => None,
    };
    let Some((ip, port)) = at else {
        let is_local = deed == Deed::Connect && pools::any();
        return Ok(if is_local { Looked::Afterwards } else { Looked::Whole });
    };
    if pools::any()
        && let Some(decision) = to_own_pool(ip, port, deed)
    {
        return decision.map(|()| Looked::Whole);
    }
    request::current(|served| {
        // As it is before the policy is asked.
        let destination = Destination::new(served.scope, copy.head(), len as usize, deed != Deed::Connect);
        match judge::egress(By::This, served, fd, deed, ip, port)? {
            Holds::UntilSent(refused) => {
                if refused {
                    peers::shut(fd);
                }
                peers::mark(fd);
            }
            _ if peers::any_shut() => {
                // SAFETY: the copy has as many bytes.
                let goes =
                    |new| deed != Deed::Connect || unsafe { sys::connect_to(new, copy.as_ptr().cast(), len as usize) };
                peers::revive(fd, goes);
            }
            Holds::WhilePolicy => {
                if let Some(destination) = destination {
                    destination.remember();
                }
            }
            Holds::Once => {}
        }
        Ok(Looked::Whole)
    })
}

/// Whether it goes to the port of name servers, perhaps to ask one; of another family these two bytes are no port.
#[inline(always)]
fn is_dns(copy: &Address, len: libc::socklen_t) -> bool {
    let [_, _, high, low, ..] = *copy.head();
    u16::from_be_bytes([high, low]) == names::DNS && copy.internet(len).is_some()
}

/// Connects to a name server.
#[cold]
fn connect_dns(fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(fd, copy.as_ptr(), len) };
    names::asking(fd);
    done
}

/// Sends with an address that a stream may be connected by to a name server (MSG_FASTOPEN).
#[cold]
fn opened_to_dns(fd: c_int) {
    if sys::asked_stream(fd) == Some(true) {
        names::asking(fd);
    }
}

/// What is sent without an address goes to where the socket is connected.
fn sent(fd: c_int) -> Decision {
    if peers::is_marked(fd) && state::role() != Role::Master {
        return request::current(|served| judge::sent(By::This, served, fd));
    }
    Ok(())
}

/// The same, with what is sent, which may be a question to a name server.
///
/// # Safety
/// `bytes` must be what the caller of the hook gave, `size` of them.
#[cold]
pub(super) unsafe fn sending_to_peer(fd: c_int, bytes: *const c_void, size: usize) -> Decision {
    sent(fd)?;
    if names::is_asking(fd) {
        // SAFETY: as the caller promises.
        unsafe { names::asked(fd, bytes.cast(), size) };
    }
    Ok(())
}

/// connect(2).
///
/// # Safety
/// As libc's. NULL, and an address outside user space, gives EFAULT; another wild one faults, where the kernel would give
/// EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn connect(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    if state::role() == Role::Master {
        // SAFETY: as the caller promises.
        return unsafe { gate::connect(fd, address, len) };
    }
    let mut copy = Address::none();
    // SAFETY: as the caller promises.
    if !unsafe { copy.copy(address.cast(), len) } {
        // SAFETY: the kernel takes it for a fault, or does not read it.
        return unsafe { gate::connect(fd, NOWHERE.cast(), len) };
    }
    match judged(fd, &copy, len, Deed::Connect) {
        Err(Refused(errno)) => return fail(errno),
        // SAFETY: as the caller promises.
        Ok(Looked::Afterwards) => return unsafe { connect_local(fd, &copy, len) },
        Ok(Looked::Whole) => {}
    }
    if is_dns(&copy, len) {
        return connect_dns(fd, &copy, len);
    }
    // SAFETY: the copy has as many bytes.
    unsafe { gate::connect(fd, copy.as_ptr(), len) }
}

/// Connects a local socket.
///
/// # Safety
/// As [`connect`]'s.
#[cold]
unsafe fn connect_local(fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(fd, copy.as_ptr(), len) };
    // The kernel says only now whose listener that is. Who is refused has a socket by which nothing goes.
    if done == 0
        && let Some(Err(Refused(errno))) = to_pool(pools::is_masters(fd))
    {
        sys::end_connection(fd);
        return fail(errno);
    }
    done
}

/// Judges a connection, where that goes to a pool of this process's own server, or may.
#[cold]
#[inline(never)]
fn to_own_pool(ip: IpAddr, port: u16, deed: Deed) -> Option<Decision> {
    if deed == Deed::Send(false) {
        return None;
    }
    to_pool(pools::is_masters_address(ip, port))
}

/// Judges a connection to a pool of this process's own server, where it is one, or may be.
#[cold]
#[inline(never)]
fn to_pool(is_pools: Option<bool>) -> Option<Decision> {
    let unknown = match is_pools {
        Some(false) => return None,
        Some(true) => None,
        None => Some(Unknown::Socket),
    };
    let how = b"a connection to a listener of PHP-FPM's";
    Some(request::current(|served| judge::fpm_socket(By::This, served, unknown, how)))
}

/// `connect` by its other name.
///
/// # Safety
/// As [`connect`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __connect(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { connect(fd, address, len) }
}

fn sending(flags: c_int) -> Deed {
    Deed::Send(flags & libc::MSG_FASTOPEN != 0)
}

/// sendto(2).
///
/// # Safety
/// As libc's; of the address as [`connect`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    size: libc::size_t,
    flags: c_int,
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> libc::ssize_t {
    // Of a length of 0 the kernel reads no address.
    if address.is_null() || len == 0 || state::role() == Role::Master {
        if peers::is_watched()
            // SAFETY: as the caller promises.
            && let Err(Refused(errno)) = unsafe { sending_to_peer(fd, buffer, size) }
        {
            return fail(errno) as libc::ssize_t;
        }
        // SAFETY: as the caller promises.
        return unsafe { gate::sendto(fd, buffer, size, flags, address, len) };
    }
    // SAFETY: as the caller promises.
    unsafe { sendto_address(fd, buffer, size, flags, address, len) }
}

/// `sendto` with an address. Its own function, so that a datagram without one needs no room on the stack.
///
/// # Safety
/// As [`sendto`].
#[inline(never)]
unsafe fn sendto_address(
    fd: c_int,
    buffer: *const c_void,
    size: libc::size_t,
    flags: c_int,
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> libc::ssize_t {
    let mut copy = Address::none();
    // SAFETY: as the caller promises.
    if !unsafe { copy.copy(address.cast(), len) } {
        // SAFETY: as the caller promises; the kernel takes the address for a fault, or does not read it.
        return unsafe { gate::sendto(fd, buffer, size, flags, NOWHERE.cast(), len) };
    }
    if let Err(Refused(errno)) = judged(fd, &copy, len, sending(flags)) {
        return fail(errno) as libc::ssize_t;
    }
    if flags & libc::MSG_FASTOPEN != 0 && is_dns(&copy, len) {
        opened_to_dns(fd);
    }
    // SAFETY: as the caller promises; the copy has as many bytes.
    unsafe { gate::sendto(fd, buffer, size, flags, copy.as_ptr(), len) }
}

/// Calls `send` with a message whose address is a copy that was judged; or refuses. A header or an address that cannot be
/// read the kernel is to find at [`NOWHERE`].
///
/// # Safety
/// As sendmsg's.
unsafe fn with_message<R>(
    fd: c_int,
    message: *const libc::msghdr,
    flags: c_int,
    send: impl FnOnce(*const libc::msghdr) -> R,
) -> Decision<R> {
    if !readable(message as usize, size_of::<libc::msghdr>()) {
        return Ok(send(NOWHERE.cast()));
    }
    // SAFETY: as the caller promises; it may be unaligned.
    let mut header = unsafe { message.read_unaligned() };
    if header.msg_controllen != 0 && route::in_message(&header) {
        request::current(|served| judge::routed(By::This, served, fd))?;
    }
    if header.msg_name.is_null() || header.msg_namelen == 0 {
        if peers::is_watched() {
            // SAFETY: as the caller promises.
            unsafe { message_to_peer(fd, &header) }?;
        }
        // The copy, in which nobody puts an address now.
        header.msg_name = core::ptr::null_mut();
        return Ok(send(&raw const header));
    }
    // Linux cuts what is longer, and refuses what is negative before it reads.
    if header.msg_namelen as i32 > ADDRESS_MAX as i32 {
        header.msg_namelen = ADDRESS_MAX as u32;
    }
    let mut copy = Address::none();
    // SAFETY: as the caller promises.
    if unsafe { copy.copy(header.msg_name, header.msg_namelen) } {
        judged(fd, &copy, header.msg_namelen, sending(flags))?;
        header.msg_name = copy.as_ptr().cast_mut().cast();
    } else {
        header.msg_name = NOWHERE.cast_mut();
    }
    Ok(send(&raw const header))
}

/// A message without an address.
///
/// # Safety
/// As sendmsg's.
#[cold]
unsafe fn message_to_peer(fd: c_int, header: &libc::msghdr) -> Decision {
    // A question to a name server is in one piece.
    let piece = match header.msg_iovlen {
        // SAFETY: as the caller promises.
        1.. if readable(header.msg_iov as usize, size_of::<libc::iovec>()) => unsafe {
            header.msg_iov.read_unaligned()
        },
        _ => libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 },
    };
    // SAFETY: as the caller promises.
    unsafe { sending_to_peer(fd, piece.iov_base, piece.iov_len) }
}

/// sendmsg(2).
///
/// # Safety
/// As libc's; of the header and the address as [`connect`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendmsg(fd: c_int, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t {
    if state::role() == Role::Master {
        // SAFETY: as the caller promises.
        return unsafe { gate::sendmsg(fd, message, flags) };
    }
    // SAFETY: as the caller promises.
    let done = unsafe { with_message(fd, message, flags, |message| gate::sendmsg(fd, message, flags)) };
    done.unwrap_or_else(|Refused(errno)| fail(errno) as libc::ssize_t)
}

/// sendmmsg(2). One message after the other, as the kernel does it.
///
/// # Safety
/// As libc's; of the headers and the addresses as [`connect`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendmmsg(fd: c_int, messages: *mut libc::mmsghdr, count: c_uint, flags: c_int) -> c_int {
    if state::role() == Role::Master || count == 0 {
        // SAFETY: as the caller promises.
        return unsafe { gate::sendmmsg(fd, messages, count, flags) };
    }
    let mut sent: c_int = 0;
    let before = errno();
    // Where some were sent, the kernel says how many and nothing else.
    let partly = |sent: c_int| {
        fail(before);
        sent
    };
    // UIO_MAXIOV: the kernel takes no more.
    for index in 0..count.min(1024) {
        let message = messages.wrapping_add(index as usize);
        let header = message.cast_const().cast::<libc::msghdr>();
        let send = |header: *const libc::msghdr| {
            if core::ptr::eq(header, NOWHERE.cast()) {
                // SAFETY: the kernel takes it for a fault.
                return unsafe { gate::sendmmsg(fd, NOWHERE.cast_mut().cast(), 1, flags) };
            }
            let mut one = MaybeUninit::<libc::mmsghdr>::zeroed();
            // SAFETY: the caller's header, or a copy of it; a mmsghdr begins with it, and the length behind it is written
            // by the kernel.
            unsafe {
                one.as_mut_ptr().cast::<libc::msghdr>().write(header.read_unaligned());
                let done = gate::sendmmsg(fd, one.as_mut_ptr(), 1, flags);
                if done == 1 {
                    (&raw mut (*message).msg_len).write_unaligned((*one.as_ptr()).msg_len);
                }
                done
            }
        };
        // SAFETY: as the caller promises.
        match unsafe { with_message(fd, header, flags, send) } {
            Ok(1) => sent = sent.wrapping_add(1),
            Ok(_) if sent > 0 => return partly(sent),
            Ok(other) => return other,
            Err(_) if sent > 0 => return partly(sent),
            Err(Refused(errno)) => return fail(errno),
        }
    }
    sent
}
