//! Reading the caller's memory without trusting its pointers.

use super::{PAGE_MIN, readable};
use crate::memory::StringBuf;
use core::cell::Cell;
use core::ffi::{CStr, c_char};

/// Linux's bound on a path, with its NUL.
pub const PATH_MAX: usize = 4096;

/// A vector of C strings that ends in NULL.
pub type Vector = *const *const u8;

/// Types of which any bytes are a value.
///
/// # Safety
/// They must be, and none may be larger than a page.
pub unsafe trait Plain: Copy {}

// SAFETY: numbers.
unsafe impl Plain for u16 {}
// SAFETY: a number.
unsafe impl Plain for i32 {}
// SAFETY: numbers.
unsafe impl Plain for [usize; 2] {}

/// Reads through pointers that may be wild: each page is asked for once. What it gives is borrowed from it, so that nothing of the
/// caller's memory is kept for longer than the call of a hook in which the reader is.
#[derive(Default)]
pub struct Reader {
    page: Cell<usize>,
}

impl Reader {
    /// Whether the page of an address can be read.
    #[inline(always)]
    pub fn ok(&self, address: usize) -> bool {
        let page = address & !(PAGE_MIN - 1);
        (page == self.page.get() && page != 0) || self.ask(address)
    }

    #[inline(never)]
    fn ask(&self, address: usize) -> bool {
        let page = address & !(PAGE_MIN - 1);
        let fine = page != 0 && readable(address);
        if fine {
            self.page.set(page);
        }
        fine
    }

    /// The entry at `index` of a vector of pointers; `None` on a fault.
    #[inline]
    pub fn pointer(&self, vector: *const *const u8, index: usize) -> Option<*const u8> {
        let at = vector.wrapping_add(index);
        let last = (at as usize).wrapping_add(7);
        if !self.ok(at as usize) || !self.ok(last) {
            return None;
        }
        // SAFETY: both ends of the entry are readable; it may be unaligned.
        Some(unsafe { at.read_unaligned() })
    }

    /// The value at an address, which may be unaligned; `None` on a fault.
    pub fn value<T: Plain>(&self, at: *const T) -> Option<T> {
        let last = (at as usize).wrapping_add(size_of::<T>()).wrapping_sub(1);
        if !self.ok(at as usize) || !self.ok(last) {
            return None;
        }
        // SAFETY: both ends are readable, and nothing lies between their pages; any bytes are a value.
        Some(unsafe { at.read_unaligned() })
    }

    /// The byte at an address; `None` on a fault.
    #[inline]
    pub fn byte(&self, at: *const u8) -> Option<u8> {
        // SAFETY: its page is readable.
        self.ok(at as usize).then(|| unsafe { at.read() })
    }

    /// The bytes of a C string, at most `max` of them; `None` on a fault.
    #[inline(never)]
    pub fn string(&self, at: *const u8, max: usize) -> Option<&[u8]> {
        let mut len = 0_usize;
        while len < max {
            let byte = at.wrapping_add(len);
            if !self.ok(byte as usize) {
                return None;
            }
            let in_page = PAGE_MIN.wrapping_sub(byte as usize & (PAGE_MIN - 1));
            let room = in_page.min(max.wrapping_sub(len));
            // SAFETY: the page up to its end is readable.
            let part = unsafe { core::slice::from_raw_parts(byte, room) };
            match CStr::from_bytes_until_nul(part) {
                Ok(rest) => {
                    len = len.wrapping_add(rest.count_bytes());
                    break;
                }
                Err(_) => len = len.wrapping_add(room),
            }
        }
        // SAFETY: every byte was read just now. Another thread may change them, which can make the text wrong, not
        // longer; what a verdict depends on is copied before it is judged.
        Some(unsafe { core::slice::from_raw_parts(at, len) })
    }
}

/// A path of the caller, copied, so that what is judged is what is used.
pub struct PathCopy(StringBuf<PATH_MAX>);

impl PathCopy {
    /// Room for one.
    pub const fn new() -> PathCopy {
        PathCopy(StringBuf::new())
    }

    /// The copy of `path`; the errno with which the kernel refuses a wild pointer, or what is longer than PATH_MAX. It must
    /// not be handed on then: another thread may have made it readable meanwhile.
    pub fn of(&mut self, path: *const c_char) -> Result<&CStr, i32> {
        let reader = Reader::default();
        let text = reader.string(path.cast(), PATH_MAX).ok_or(libc::EFAULT)?;
        self.0.set(text);
        if text.len() < PATH_MAX { Ok(self.0.c_str()) } else { Err(libc::ENAMETOOLONG) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wild_pointers_are_found() {
        let reader = Reader::default();
        assert!(reader.string(core::ptr::null(), 10).is_none());
        assert!(reader.string(core::ptr::without_provenance(1), 10).is_none());
        assert!(reader.string(0x7fff_ffff_0000_0000 as *const u8, 10).is_none());
        assert_eq!(reader.string(c"abc".as_ptr().cast(), 10), Some(&b"abc"[..]));
        assert_eq!(reader.string(c"abc".as_ptr().cast(), 2), Some(&b"ab"[..]));
    }
}
