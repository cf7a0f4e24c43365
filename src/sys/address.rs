//! A socket's address as a caller hands it over: copied as Linux copies it, so that what is judged is what is used.
//!
//! Linux reads as many bytes as the caller says, from 0 to 128, whatever the family. What this copy cannot have, Linux is
//! not to have either: [`NOWHERE`] goes to the kernel then, which says what is wrong in its own order.

use crate::sys::{self, ADDRESS_HEAD, ADDRESS_MAX, V4_MIN, arch, internet};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::net::IpAddr;

/// An address that no program can have memory at: the kernel takes it for a fault (EFAULT).
pub const NOWHERE: *const c_void = core::ptr::without_provenance(usize::MAX - 4095);

/// A copy of an address. What lies behind its head is the kernel's to read, as much of it as was copied.
#[repr(C, align(16))]
pub struct Address {
    head: [u8; ADDRESS_HEAD],
    rest: MaybeUninit<[u8; ADDRESS_MAX - ADDRESS_HEAD]>,
}

impl Address {
    /// Room for a copy.
    #[inline(always)]
    pub fn none() -> Address {
        Address { head: [0; ADDRESS_HEAD], rest: MaybeUninit::uninit() }
    }

    /// The copy, for the kernel.
    #[inline(always)]
    pub fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const *self).cast()
    }

    /// What is judged: all of an internet address.
    #[inline(always)]
    pub fn head(&self) -> &[u8; ADDRESS_HEAD] {
        &self.head
    }

    /// The internet address in a copy of `len` bytes.
    #[inline(always)]
    pub fn internet(&self, len: libc::socklen_t) -> Option<(IpAddr, u16)> {
        internet(&self.head, len as usize)
    }

    /// Copies an address of the caller. False where there is nothing to copy (Linux reads none of a length of 0, and none
    /// above 128, which as a signed number is any that is negative) or where it cannot be read: [`NOWHERE`] is then what the
    /// kernel is to have.
    ///
    /// # Safety
    /// Where `at` is an address of user space, it must point to `len` bytes.
    #[inline(always)]
    pub unsafe fn copy(&mut self, at: *const c_void, len: libc::socklen_t) -> bool {
        let size = len as usize;
        if !(1..=ADDRESS_MAX).contains(&size) || !readable(at as usize, size) {
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

    /// The same, of an address whose every page is asked for first: what can wait for that never faults.
    pub fn copy_wild(&mut self, at: *const c_void, len: libc::socklen_t) -> bool {
        // SAFETY: both ends are readable, and what is this long lies on two pages at most.
        asked(at as usize, (len as usize).clamp(1, ADDRESS_MAX)) && unsafe { self.copy(at, len) }
    }
}

/// Whether `size` bytes, at most a page, can be read without asking: they lie where programs have their memory. Elsewhere
/// (the first page, the far end of a large address space, the kernel's half) the kernel is asked, which costs system calls.
#[inline(always)]
pub fn readable(at: usize, size: usize) -> bool {
    const ROOM: usize = 4096;
    (4096..arch::ADDRESS_END - ROOM).contains(&at) || asked(at, size)
}

#[cold]
fn asked(at: usize, size: usize) -> bool {
    let last = at.wrapping_add(size.wrapping_sub(1));
    last >= at && sys::readable(at) && sys::readable(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pages of which only the first can be read.
    fn page() -> *mut u8 {
        let at = sys::allocate(8192).unwrap().cast::<u8>();
        // SAFETY: this test's own page.
        assert!(unsafe { sys::mprotect(at as usize + 4096, 4096, libc::PROT_NONE) });
        at
    }

    #[test]
    fn every_length_is_copied_up_to_the_end_of_a_page() {
        let end = page().wrapping_add(4096);
        for len in 0..=130_usize {
            let at = end.wrapping_sub(len);
            for (offset, byte) in (0..len).zip(1_u8..) {
                // SAFETY: within the page.
                unsafe { at.wrapping_add(offset).write(byte) };
            }
            for wild in [false, true] {
                let mut copy = Address::none();
                let at = at.cast_const().cast();
                // SAFETY: so many bytes lie there.
                let done = if wild { copy.copy_wild(at, len as u32) } else { unsafe { copy.copy(at, len as u32) } };
                assert_eq!(done, (1..=128).contains(&len), "{len}");
                let bytes = copy.as_ptr().cast::<u8>();
                // SAFETY: they were copied.
                assert!(!done || (0..len).zip(1_u8..).all(|(at, byte)| unsafe { *bytes.wrapping_add(at) } == byte));
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_copied() {
        let end = page().wrapping_add(4096).cast_const();
        let mut copy = Address::none();
        assert!(!copy.copy_wild(end.wrapping_sub(15).cast(), 16));
        assert!(!copy.copy_wild(end.cast(), 1));
        for at in [NOWHERE, core::ptr::null(), usize::MAX as *const c_void] {
            // SAFETY: none is an address of user space.
            assert!(!unsafe { copy.copy(at, 16) } && !copy.copy_wild(at, 16), "{at:?}");
        }
        // SAFETY: it is not looked at.
        assert!(!unsafe { copy.copy(end.wrapping_sub(16).cast(), u32::MAX) });
    }
}
