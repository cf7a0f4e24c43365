//! What sends to an address: sendto and sendmsg; sendmmsg is in [`super::messages`].

use super::apart::as_kernel;
use super::egress::{Looked, anew, decide, is_dns, make_apart, sending_to_peer};
use super::{as_libc_size, fail};
use crate::action::{Actor, Decision, Refused, SocketOperation};
use crate::judge;
use crate::judge::{names, peers, route};
use crate::process::state::{self, Role};
use crate::real::gate::{self, Way};
use crate::sys::ADDRESS_MAX;
use crate::sys::address::{Address, NOWHERE, readable};
use crate::{request, sys};
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;

/// Sends with an address that a stream may be connected by to a name server (MSG_FASTOPEN).
#[cold]
fn opened_to_dns(fd: c_int) {
    if sys::asked_stream(fd) == Some(true) {
        names::asking(fd);
    }
}

fn sending(flags: c_int) -> SocketOperation {
    SocketOperation::Send(flags & libc::MSG_FASTOPEN != 0)
}

/// Whether sending may wait, for a connection or for room.
#[cold]
pub(super) fn may_wait(fd: c_int, flags: c_int) -> bool {
    flags & libc::MSG_DONTWAIT == 0 && !sys::is_nonblocking(fd)
}

/// sendto(2).
///
/// # Safety
/// As libc's; of the address as [`super::connect()`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    size: libc::size_t,
    flags: c_int,
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { sending_to(Way::Libc, fd, buffer, size, flags, address, len) }
}

/// Sends to an address, or without one.
///
/// # Safety
/// As [`sendto`].
#[inline(always)]
pub(super) unsafe fn sending_to(
    way: Way,
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
        return unsafe { gate::sendto(way, fd, buffer, size, flags, address, len) };
    }
    // SAFETY: as the caller promises.
    unsafe {
        match way {
            Way::Libc => sendto_address::<true>(fd, buffer, size, flags, address, len),
            Way::Kernel => sendto_address::<false>(fd, buffer, size, flags, address, len),
        }
    }
}

/// `sendto` with an address. Its own function, so that a datagram without one needs no room on the stack; and one for each
/// way, so that no argument is passed on the stack.
///
/// # Safety
/// As [`sendto`].
#[inline(never)]
unsafe fn sendto_address<const IS_LIBCS: bool>(
    fd: c_int,
    buffer: *const c_void,
    size: libc::size_t,
    flags: c_int,
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> libc::ssize_t {
    let way = if IS_LIBCS { Way::Libc } else { Way::Kernel };
    let mut copy = Address::none();
    // SAFETY: as the caller promises.
    if !unsafe { copy.copy(address.cast(), len) } {
        // SAFETY: as the caller promises; the kernel takes the address for a fault, or does not read it.
        return unsafe { gate::sendto(way, fd, buffer, size, flags, NOWHERE.cast(), len) };
    }
    let looked = match decide(fd, &copy, len, sending(flags)) {
        Err(Refused(errno)) => return fail(errno) as libc::ssize_t,
        Ok(looked) => looked,
    };
    if flags & libc::MSG_FASTOPEN != 0 && is_dns(&copy, len) {
        opened_to_dns(fd);
    }
    match looked {
        // SAFETY: as the caller promises.
        Looked::WithoutAddress => unsafe { gate::sendto(way, fd, buffer, size, flags, core::ptr::null(), 0) },
        Looked::OnSocket => {
            let piece = libc::iovec { iov_base: buffer.cast_mut(), iov_len: size };
            // SAFETY: as the caller promises.
            unsafe { sendto_apart(way, fd, piece, flags, &copy, len) }
        }
        // SAFETY: as the caller promises; the copy has as many bytes.
        Looked::Whole | Looked::Afterwards => unsafe { gate::sendto(way, fd, buffer, size, flags, copy.as_ptr(), len) },
    }
}

/// Sends to an address on the socket that is judged.
///
/// # Safety
/// As [`sendto`]; the copy must have as many bytes.
#[cold]
#[inline(never)]
unsafe fn sendto_apart(
    way: Way,
    fd: c_int,
    piece: libc::iovec,
    flags: c_int,
    copy: &Address,
    len: libc::socklen_t,
) -> libc::ssize_t {
    let operation = sending(flags);
    let judge = |actor: Actor<'_>| anew(actor, fd, copy, len, operation).map(|_| ());
    // SAFETY: as the caller promises.
    let send = |way| unsafe { gate::sendto(way, fd, piece.iov_base, piece.iov_len, flags, copy.as_ptr(), len) };
    match make_apart(way, fd, operation, may_wait(fd, flags), &judge, &|way| Some(as_kernel(send(way)))) {
        Ok(done) => as_libc_size(done),
        Err(Refused(errno)) => fail(errno) as libc::ssize_t,
    }
}

/// Leaves of a header what musl looks at: it has numbers of 32 bits, behind which there may be anything (arch/generic/bits/socket.h).
#[cold]
#[inline(never)]
fn narrow(header: &mut libc::msghdr) {
    header.msg_iovlen &= u32::MAX as usize;
    header.msg_controllen &= u32::MAX as usize;
}

/// Judges a message, and puts what the kernel is to have of it in the caller's room: its header, with its address in
/// `address`. An address that cannot be read the kernel is to find at [`NOWHERE`].
///
/// # Safety
/// As sendmsg's; the header must be readable.
#[inline(always)]
pub(super) unsafe fn decide_message(
    way: Way,
    fd: c_int,
    message: *const libc::msghdr,
    flags: c_int,
    copy: &mut MaybeUninit<libc::msghdr>,
    address: &mut MaybeUninit<Address>,
) -> Decision<Looked> {
    // SAFETY: as the caller promises; it may be unaligned.
    let header = copy.write(unsafe { message.read_unaligned() });
    if state::has_other_libc() && way == Way::Libc {
        narrow(header);
    }
    if header.msg_controllen != 0
        && let Some(how) = route::in_message(header)
    {
        request::current(|served| judge::routed(Actor::This, served, how))?;
    }
    if header.msg_name.is_null() || header.msg_namelen == 0 {
        if peers::is_watched() {
            // SAFETY: as the caller promises.
            unsafe { message_to_peer(fd, header) }?;
        }
        // The copy, in which nobody puts an address now.
        header.msg_name = core::ptr::null_mut();
        return Ok(Looked::Whole);
    }
    // Linux cuts what is longer, and refuses what is negative before it reads.
    if header.msg_namelen as i32 > ADDRESS_MAX as i32 {
        header.msg_namelen = ADDRESS_MAX as u32;
    }
    let address = address.write(Address::none());
    // SAFETY: as the caller promises.
    if !unsafe { address.copy(header.msg_name, header.msg_namelen) } {
        header.msg_name = NOWHERE.cast_mut();
        return Ok(Looked::Whole);
    }
    header.msg_name = address.as_ptr().cast_mut().cast();
    let looked = decide(fd, address, header.msg_namelen, sending(flags))?;
    if looked == Looked::WithoutAddress {
        (header.msg_name, header.msg_namelen) = (core::ptr::null_mut(), 0);
    }
    Ok(looked)
}

/// Judges a copy of a message once more, where it has an address.
///
/// # Safety
/// The header must be one that [`decide_message`] has written, with its address.
pub(super) unsafe fn decide_again(actor: Actor<'_>, fd: c_int, header: &libc::msghdr, flags: c_int) -> Decision {
    if header.msg_name.is_null() || header.msg_name.cast_const() == NOWHERE.cast() {
        return Ok(());
    }
    // SAFETY: as the caller promises.
    let address = unsafe { &*header.msg_name.cast::<Address>() };
    anew(actor, fd, address, header.msg_namelen, sending(flags)).map(|_| ())
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
/// As libc's; of the header and the address as [`super::connect()`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendmsg(fd: c_int, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { sending_message(Way::Libc, fd, message, flags) }
}

/// Sends a message.
///
/// # Safety
/// As [`sendmsg`].
#[inline(always)]
pub(super) unsafe fn sending_message(way: Way, fd: c_int, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t {
    if state::role() == Role::Master {
        // SAFETY: as the caller promises.
        return unsafe { gate::sendmsg(way, fd, message, flags) };
    }
    if !readable(message as usize, size_of::<libc::msghdr>()) {
        // SAFETY: the kernel takes it for a fault.
        return unsafe { gate::sendmsg(way, fd, core::ptr::null(), flags) };
    }
    let (mut copy, mut address) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: as the caller promises; the copy was made.
    match unsafe { decide_message(way, fd, message, flags, &mut copy, &mut address) } {
        // SAFETY: both were written, as an address was looked at.
        Ok(Looked::OnSocket) => unsafe { send_message_apart(way, fd, copy.assume_init_ref(), flags) },
        // SAFETY: as above.
        Ok(_) => unsafe { gate::sendmsg(way, fd, copy.as_ptr(), flags) },
        Err(Refused(errno)) => fail(errno) as libc::ssize_t,
    }
}

/// Sends a message on the socket that is judged.
///
/// # Safety
/// The header must be one that [`decide_message`] has written, with its address.
#[cold]
#[inline(never)]
unsafe fn send_message_apart(way: Way, fd: c_int, header: &libc::msghdr, flags: c_int) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    let judge = |actor: Actor<'_>| unsafe { decide_again(actor, fd, header, flags) };
    // SAFETY: likewise.
    let send = |way| Some(as_kernel(unsafe { gate::sendmsg(way, fd, header, flags) }));
    match make_apart(way, fd, sending(flags), may_wait(fd, flags), &judge, &send) {
        Ok(done) => as_libc_size(done),
        Err(Refused(errno)) => fail(errno) as libc::ssize_t,
    }
}
