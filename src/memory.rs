//! Reading the caller's memory without trusting its pointers, and building C strings in fixed buffers.

use crate::sys;
use core::ffi::{CStr, c_char};

const PAGE: usize = 4096;
/// Linux's bound on a path, with its NUL.
const PATH_MAX: usize = 4096;

/// Reads through pointers that may be wild: each page is asked for once.
#[derive(Default)]
pub struct Reader {
    page: usize,
}

impl Reader {
    /// Whether the page of an address can be read.
    #[inline(always)]
    pub fn ok(&mut self, address: usize) -> bool {
        let page = address & !(PAGE - 1);
        (page == self.page && page != 0) || self.ask(address)
    }

    #[inline(never)]
    fn ask(&mut self, address: usize) -> bool {
        let page = address & !(PAGE - 1);
        let fine = page != 0 && sys::readable(address);
        if fine {
            self.page = page;
        }
        fine
    }

    /// The entry at `index` of a vector of pointers; `None` on a fault.
    #[inline]
    pub fn pointer(&mut self, vector: *const *const u8, index: usize) -> Option<*const u8> {
        let at = vector.wrapping_add(index);
        let last = (at as usize).wrapping_add(7);
        if !self.ok(at as usize) || !self.ok(last) {
            return None;
        }
        // SAFETY: both ends of the entry are readable; it may be unaligned.
        Some(unsafe { at.read_unaligned() })
    }

    /// The byte at an address; `None` on a fault.
    #[inline]
    pub fn byte(&mut self, at: *const u8) -> Option<u8> {
        // SAFETY: its page is readable.
        self.ok(at as usize).then(|| unsafe { at.read() })
    }

    /// The bytes of a C string, at most `max` of them; `None` on a fault.
    #[inline(never)]
    pub fn string<'a>(&mut self, at: *const u8, max: usize) -> Option<&'a [u8]> {
        let mut len = 0;
        while len < max {
            let byte = at.wrapping_add(len);
            if (len == 0 || (byte as usize).is_multiple_of(PAGE)) && !self.ok(byte as usize) {
                return None;
            }
            // SAFETY: its page is readable.
            if unsafe { byte.read() } == 0 {
                break;
            }
            len = len.wrapping_add(1);
        }
        // SAFETY: every byte was read just now. Another thread may change them, which can make the text wrong, not
        // longer; what a verdict depends on is copied before it is judged.
        Some(unsafe { core::slice::from_raw_parts(at, len) })
    }
}

/// A C string in a fixed buffer.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
    full: bool,
}

impl<const N: usize> Text<N> {
    /// An empty one.
    pub const fn new() -> Text<N> {
        Text { bytes: [0; N], len: 0, full: false }
    }

    /// Replaces what is there, NUL included.
    pub fn set(&mut self, bytes: &[u8]) {
        self.len = 0;
        self.full = false;
        self.push(bytes);
        if let Some(end) = self.bytes.get_mut(self.len) {
            *end = 0;
        }
    }

    /// Adds bytes; what does not fit is left out, and [`Text::fits`] says so.
    pub fn push(&mut self, bytes: &[u8]) {
        self.full |= !push(&mut self.bytes, &mut self.len, bytes);
    }

    /// Adds a number in decimal digits.
    pub fn number(&mut self, number: u64) {
        let mut digits = [0_u8; 20];
        let mut rest = number;
        let mut used = 0_usize;
        for digit in digits.iter_mut().rev() {
            *digit = b'0'.wrapping_add((rest % 10) as u8);
            rest /= 10;
            used = used.wrapping_add(1);
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(20_usize.wrapping_sub(used)..).unwrap_or_default());
    }

    /// Whether everything that was added is there.
    pub fn fits(&self) -> bool {
        !self.full
    }

    /// What was added.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The same with its NUL.
    pub fn c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// Adds to what a buffer has, whose last byte stays a NUL; whether all of it fitted. One function for buffers of every size.
#[inline(never)]
fn push(buffer: &mut [u8], len: &mut usize, bytes: &[u8]) -> bool {
    let room = buffer.len().wrapping_sub(1).saturating_sub(*len);
    let part = bytes.get(..room).unwrap_or(bytes);
    if let Some(to) = buffer.get_mut(*len..).and_then(|rest| rest.get_mut(..part.len())) {
        to.copy_from_slice(part);
        *len = len.wrapping_add(part.len());
    }
    part.len() == bytes.len()
}

/// A path of the caller, copied, so that what is judged is what is used.
pub struct PathCopy {
    bytes: [u8; PATH_MAX],
}

impl PathCopy {
    /// `None` where the kernel would refuse it: a wild pointer, or longer than PATH_MAX.
    pub fn of(path: *const c_char) -> Option<PathCopy> {
        let text = Reader::default().string(path.cast(), PATH_MAX)?;
        let mut copy = PathCopy { bytes: [0; PATH_MAX] };
        copy.bytes.get_mut(..text.len())?.copy_from_slice(text);
        (text.len() < PATH_MAX).then_some(copy)
    }

    /// The copy.
    pub fn c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// The part of a path behind its last slash.
pub fn base_name(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => path.get(at.wrapping_add(1)..).unwrap_or_default(),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wild_pointers_are_found() {
        let mut reader = Reader::default();
        assert!(reader.string(core::ptr::null(), 10).is_none());
        assert!(reader.string(core::ptr::without_provenance(1), 10).is_none());
        assert!(reader.string(0x7fff_ffff_0000_0000 as *const u8, 10).is_none());
        assert_eq!(reader.string(c"abc".as_ptr().cast(), 10), Some(&b"abc"[..]));
        assert_eq!(reader.string(c"abc".as_ptr().cast(), 2), Some(&b"ab"[..]));
    }

    #[test]
    fn texts_say_when_they_are_full() {
        let mut text = Text::<8>::new();
        text.push(b"ab");
        text.number(120);
        assert_eq!(text.c_str(), c"ab120");
        assert!(text.fits());
        text.push(b"xyz");
        assert!(!text.fits());
        assert_eq!(text.bytes(), b"ab120xy");
    }
}
