//! sendmmsg(2): all messages are judged, and those that may go are one call of the kernel's, on copies.
//!
//! So the kernel alone says how many of them it sends: it stops behind a message that a stream took in part, and at the
//! first that fails. What the policy refuses is to the caller what the kernel refuses: as the first message it is the
//! call's error, behind others they are sent, and the error comes with the call that begins with it.

use super::apart::as_kernel;
use super::egress::{Looked, make_apart};
use super::sendto::{decide_again, decide_message, may_wait};
use super::signals::with_cleanup;
use super::{as_libc, fail};
use crate::action::{Actor, Refused, SocketOperation};
use crate::process::state::{self, Role};
use crate::real::gate::{self, Way};
use crate::sys;
use crate::sys::Reader;
use crate::sys::address::{Address, readable};
use core::ffi::{c_int, c_uint, c_void};
use core::mem::MaybeUninit;

/// Messages that the stack has room for; more go into a mapping.
const FEW: usize = 4;
/// UIO_MAXIOV: the kernel takes no more.
const MANY: usize = 1024;

/// Where the kernel writes how much of a message it has sent.
const LENGTH: usize = core::mem::offset_of!(libc::mmsghdr, msg_len);

/// Asks of each page once whether lengths can be written there.
#[derive(Default)]
struct Writer {
    page: usize,
}

impl Writer {
    fn ok(&mut self, at: usize) -> bool {
        let mut is_fine = |at: usize| {
            let page = at & !(sys::PAGE_MIN - 1);
            let fine = page == self.page || sys::writable(at);
            if fine {
                self.page = page;
            }
            fine
        };
        is_fine(at) && is_fine(at.wrapping_add(3))
    }
}

type Copy = MaybeUninit<libc::mmsghdr>;
type AddressCopy = MaybeUninit<Address>;

/// sendmmsg(2).
///
/// # Safety
/// As libc's; of the headers and the addresses as [`super::connect()`]. Headers may be wild, or in memory that cannot be written.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendmmsg(fd: c_int, messages: *mut libc::mmsghdr, count: c_uint, flags: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { sending_messages(Way::Libc, fd, messages, count, flags) }
}

/// `sendmmsg` by its other name.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __sendmmsg(fd: c_int, messages: *mut libc::mmsghdr, count: c_uint, flags: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { sendmmsg(fd, messages, count, flags) }
}

/// Sends messages.
///
/// # Safety
/// As [`sendmmsg`].
pub(super) unsafe fn sending_messages(
    way: Way,
    fd: c_int,
    messages: *mut libc::mmsghdr,
    count: c_uint,
    flags: c_int,
) -> c_int {
    if state::role() == Role::Master || count == 0 {
        // SAFETY: as the caller promises.
        return unsafe { gate::sendmmsg(way, fd, messages, count, flags) };
    }
    if !readable(messages as usize, size_of::<libc::mmsghdr>()) {
        // SAFETY: the kernel takes it for a fault.
        return unsafe { gate::sendmmsg(way, fd, core::ptr::null_mut(), count, flags) };
    }
    let all = Messages { way, fd, at: messages, count: (count as usize).min(MANY), flags };
    // SAFETY: as the caller promises.
    unsafe { if all.count > FEW { all.send_many() } else { all.send_few() } }
}

#[derive(Clone, Copy)]
struct Messages {
    way: Way,
    fd: c_int,
    at: *mut libc::mmsghdr,
    count: usize,
    flags: c_int,
}

/// A mapping that holds copies of messages.
struct MessageBuffer {
    headers: [Copy; MANY],
    addresses: [AddressCopy; MANY],
}

impl Messages {
    /// # Safety
    /// As [`sendmmsg`].
    #[inline(never)]
    unsafe fn send_few(self) -> c_int {
        let mut headers = [const { Copy::uninit() }; FEW];
        let mut addresses = [const { AddressCopy::uninit() }; FEW];
        // SAFETY: as the caller promises.
        unsafe { self.send(&mut headers, &mut addresses) }
    }

    /// # Safety
    /// As [`sendmmsg`].
    #[inline(never)]
    unsafe fn send_many(self) -> c_int {
        let Some(at) = sys::allocate(size_of::<MessageBuffer>()) else {
            // The kernel, too, may send fewer.
            // SAFETY: as the caller promises.
            return unsafe { Messages { count: FEW, ..self }.send_few() };
        };
        // SAFETY: the mapping is that long and nobody else's; a room may be anything.
        let room = unsafe { &mut *at.cast::<MessageBuffer>() };
        // SAFETY: as the caller promises.
        let send = || unsafe { self.send(&mut room.headers, &mut room.addresses) };
        // A thread may be cancelled in libc's function.
        let sent = with_cleanup(unmap, at, send);
        sys::munmap(at, size_of::<MessageBuffer>());
        sent
    }

    /// # Safety
    /// As [`sendmmsg`].
    unsafe fn send(self, headers: &mut [Copy], addresses: &mut [AddressCopy]) -> c_int {
        let (reader, mut writer) = (Reader::default(), Writer::default());
        let (mut decide, mut unwritten, mut is_apart) = (0_usize, false, false);
        for (index, (header, address)) in headers.iter_mut().zip(addresses).take(self.count).enumerate() {
            let message = self.at.wrapping_add(index) as usize;
            if !reader.ok(message) || !reader.ok(message.wrapping_add(size_of::<libc::mmsghdr>() - 1)) {
                break;
            }
            // SAFETY: a mmsghdr begins with a msghdr; both may be anything.
            let header = unsafe { &mut *header.as_mut_ptr().cast::<MaybeUninit<libc::msghdr>>() };
            // SAFETY: it is readable; the rest is as the caller promises.
            let decision =
                unsafe { decide_message(self.way, self.fd, message as *const _, self.flags, header, address) };
            match decision {
                Ok(looked) => {
                    is_apart |= looked == Looked::OnSocket;
                    decide = index.wrapping_add(1);
                }
                Err(Refused(errno)) if decide == 0 => return fail(errno),
                Err(_) => break,
            }
            // The kernel sends it, does not count it, and goes no further.
            unwritten = !writer.ok(message.wrapping_add(LENGTH));
            if unwritten {
                break;
            }
        }
        let fd = self.fd;
        if decide == 0 {
            // SAFETY: the kernel takes it for a fault.
            return unsafe { gate::sendmmsg(self.way, fd, core::ptr::null_mut(), 1, self.flags) };
        }
        let at = headers.as_mut_ptr().cast();
        // SAFETY: so many copies were made, with their addresses.
        let send = |way| unsafe { gate::sendmmsg(way, fd, at, decide as c_uint, self.flags) };
        let sent = if is_apart {
            let judge = |actor: Actor<'_>| {
                headers.iter().take(decide).try_for_each(|header| {
                    // SAFETY: so many copies were made; a mmsghdr begins with a msghdr.
                    unsafe { decide_again(actor, fd, &(*header.as_ptr()).msg_hdr, self.flags) }
                })
            };
            let waits = may_wait(fd, self.flags);
            let send = |way| Some(as_kernel(send(way) as isize));
            match make_apart(self.way, fd, SocketOperation::Send(false), waits, &judge, &send) {
                Ok(done) => as_libc(done),
                Err(Refused(errno)) => fail(errno),
            }
        } else {
            send(self.way)
        };
        let mut counted = usize::try_from(sent).unwrap_or(0);
        if unwritten && counted == decide {
            counted = counted.wrapping_sub(1);
        }
        for (index, header) in headers.iter().enumerate().take(counted) {
            let message = self.at.wrapping_add(index);
            // SAFETY: the caller's message, which the kernel would write to; it has written to the copy.
            unsafe { (&raw mut (*message).msg_len).write_unaligned((*header.as_ptr()).msg_len) };
        }
        match counted {
            0 if sent > 0 => fail(libc::EFAULT),
            counted if sent > 0 => counted as c_int,
            _ => sent,
        }
    }
}

/// Gives up the room of a thread that is cancelled.
unsafe extern "C" fn unmap(at: *mut c_void) {
    sys::munmap(at, size_of::<MessageBuffer>());
}
