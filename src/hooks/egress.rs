//! What opens a connection or sends to an address: connect, sendto, sendmsg, sendmmsg.

use super::{errno, fail};
use crate::allowed::Destination;
use crate::judge::{self, By, Decision, Deed, Holds, Refused};
use crate::state::{self, Role};
use crate::sys::{ADDRESS_HEAD, ADDRESS_MAX, V4_MIN, internet};
use crate::{counters, gate, names, request, sys};
use core::ffi::{c_int, c_uint, c_void};
use core::mem::MaybeUninit;

/// A copy of an address. What lies behind its head is the kernel's to read, as much of it as was copied.
#[repr(C, align(16))]
struct Address {
    head: [u8; ADDRESS_HEAD],
    rest: MaybeUninit<[u8; ADDRESS_MAX - ADDRESS_HEAD]>,
}

impl Address {
    /// Room for a copy.
    #[inline(always)]
    fn none() -> Address {
        Address { head: [0; ADDRESS_HEAD], rest: MaybeUninit::uninit() }
    }

    fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const *self).cast()
    }

    /// Copies an address of the caller, so that what is judged is what is used; false where the kernel is to say what is
    /// wrong with it, or where it is too short for an internet address.
    ///
    /// # Safety
    /// Where `at` is an address of user space, it must point to `len` bytes.
    #[inline(always)]
    unsafe fn copy(&mut self, at: *const c_void, len: libc::socklen_t) -> bool {
        let size = len as usize;
        if !(V4_MIN..=ADDRESS_MAX).contains(&size) || !plausible(at as usize) {
            return false;
        }
        let (from, to) = (at.cast::<u8>(), (&raw mut *self).cast::<u8>());
        // SAFETY: the caller promises that many bytes, and they fit. An address of v4 is two loads, which is no call.
        unsafe {
            if size == V4_MIN {
                to.cast::<u128>().write_unaligned(from.cast::<u128>().read_unaligned());
            } else {
                core::ptr::copy_nonoverlapping(from, to, size);
            }
        }
        true
    }
}

/// Whether an address can be read without asking: it lies where programs have their memory. Elsewhere (the first page,
/// the far end of a large address space, the kernel's half) the kernel is asked, which costs a system call.
fn plausible(at: usize) -> bool {
    const END: usize = if cfg!(target_arch = "x86_64") { 1 << 47 } else { 1 << 48 };
    (4096..END - ADDRESS_MAX).contains(&at) || asked(at)
}

#[cold]
fn asked(at: usize) -> bool {
    sys::readable(at)
}

/// What the policy says, which for most destinations is what it said last time.
#[inline]
fn judged(fd: c_int, copy: &Address, len: libc::socklen_t, deed: Deed) -> Decision {
    let known =
        |scope| Destination::new(scope, &copy.head, len as usize, deed != Deed::Connect)?.is_allowed().then_some(());
    if request::scope().and_then(known).is_some() {
        counters::decision();
    } else {
        anew(fd, copy, len, deed)?;
    }
    // Of another family these two bytes are no port.
    let port = u16::from_be_bytes([copy.head[2], copy.head[3]]);
    if port == names::DNS && internet(&copy.head, len as usize).is_some() {
        names::asking(fd);
    }
    Ok(())
}

#[inline(never)]
fn anew(fd: c_int, copy: &Address, len: libc::socklen_t, deed: Deed) -> Decision {
    let Some((ip, port)) = internet(&copy.head, len as usize) else { return Ok(()) };
    request::current(|served| {
        // As it is before the policy is asked.
        let destination = Destination::new(served.scope, &copy.head, len as usize, deed != Deed::Connect);
        let holds = judge::egress(By::This, served, fd, deed, ip, port)?;
        if holds == Holds::WhilePolicy
            && let Some(destination) = destination
        {
            destination.remember();
        }
        Ok(())
    })
}

/// connect(2).
///
/// # Safety
/// As libc's. NULL, and an address outside user space, gives EFAULT; another wild one faults, where the kernel would give
/// EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn connect(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    let mut copy = Address::none();
    if state::role() != Role::Master
        // SAFETY: as the caller promises.
        && unsafe { copy.copy(address.cast(), len) }
    {
        if let Err(Refused(errno)) = judged(fd, &copy, len, Deed::Connect) {
            return fail(errno);
        }
        // SAFETY: the copy has as many bytes.
        return unsafe { gate::connect(fd, copy.as_ptr(), len) };
    }
    // SAFETY: as the caller promises.
    unsafe { gate::connect(fd, address, len) }
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
    if address.is_null() || state::role() == Role::Master {
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
        // SAFETY: as the caller promises.
        return unsafe { gate::sendto(fd, buffer, size, flags, address, len) };
    }
    if let Err(Refused(errno)) = judged(fd, &copy, len, sending(flags)) {
        return fail(errno) as libc::ssize_t;
    }
    // SAFETY: as the caller promises; the copy has as many bytes.
    unsafe { gate::sendto(fd, buffer, size, flags, copy.as_ptr(), len) }
}

/// Calls `send` with a message whose address is a copy that was judged; or refuses. A header
/// that cannot be read is handed on as it is.
///
/// # Safety
/// As sendmsg's.
unsafe fn with_message<R>(
    fd: c_int,
    message: *const libc::msghdr,
    flags: c_int,
    send: impl FnOnce(*const libc::msghdr) -> R,
) -> Decision<R> {
    let end = (message as usize).wrapping_add(size_of::<libc::msghdr>() - 1);
    if state::role() == Role::Master || !plausible(message as usize) || !plausible(end) {
        return Ok(send(message));
    }
    // SAFETY: as the caller promises; it may be unaligned.
    let mut header = unsafe { message.read_unaligned() };
    if header.msg_name.is_null() {
        return Ok(send(message));
    }
    let mut copy = Address::none();
    // SAFETY: as the caller promises.
    if !unsafe { copy.copy(header.msg_name, header.msg_namelen) } {
        return Ok(send(message));
    }
    judged(fd, &copy, header.msg_namelen, sending(flags))?;
    header.msg_name = copy.as_ptr().cast_mut().cast();
    Ok(send(&raw const header))
}

/// sendmsg(2).
///
/// # Safety
/// As libc's; of the header and the address as [`connect`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendmsg(fd: c_int, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t {
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
    if state::role() == Role::Master || count == 0 || !plausible(messages as usize) {
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
