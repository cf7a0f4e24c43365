//! Reading the caller's memory without trusting its pointers, and building C strings in fixed buffers.

pub mod left;
pub mod seqlock;
pub mod stack;

use crate::sys;
use core::cell::Cell;
use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;

const PAGE: usize = 4096;
/// Linux's bound on a path, with its NUL.
const PATH_MAX: usize = 4096;

/// What begins a page of its own: a worker copies each page of the library's data that it writes to, so what it writes lies together,
/// apart from what only the constructor and the master write.
#[repr(C, align(4096))]
pub struct Paged<T>(pub T);

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
        let page = address & !(PAGE - 1);
        (page == self.page.get() && page != 0) || self.ask(address)
    }

    #[inline(never)]
    fn ask(&self, address: usize) -> bool {
        let page = address & !(PAGE - 1);
        let fine = page != 0 && sys::readable(address);
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
            let in_page = PAGE.wrapping_sub(byte as usize & (PAGE - 1));
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

/// A C string in a fixed buffer, of which the first `len` bytes and a NUL behind them have been written.
pub struct Text<const N: usize> {
    bytes: [MaybeUninit<u8>; N],
    len: usize,
    full: bool,
}

impl<const N: usize> Text<N> {
    /// An empty one. Clearing all of it would cost more than most of what is done with it.
    pub const fn new() -> Text<N> {
        let mut bytes = [MaybeUninit::uninit(); N];
        bytes[0] = MaybeUninit::new(0);
        Text { bytes, len: 0, full: false }
    }

    /// An empty one for a static, which takes no room in the file where it is all zeros.
    pub const fn zeroed() -> Text<N> {
        Text { bytes: [MaybeUninit::new(0); N], len: 0, full: false }
    }

    /// One with these bytes.
    pub fn of(bytes: &[u8]) -> Text<N> {
        let mut text = Text::new();
        text.push(bytes);
        text
    }

    /// Replaces what is there.
    pub fn set(&mut self, bytes: &[u8]) {
        self.len = 0;
        self.full = false;
        self.push(bytes);
    }

    /// Adds bytes; what does not fit is left out, and [`Text::fits`] says so.
    pub fn push(&mut self, bytes: &[u8]) {
        self.full |= !push(&mut self.bytes, &mut self.len, bytes);
    }

    /// Replaces what is there by what `write` writes to the beginning of the buffer, which has one byte more than the
    /// text may have; `write` gives the length. What fills the buffer is taken to have been cut.
    pub fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> usize) {
        // SAFETY: `write` gets bytes that are all written: zeros.
        let buffer = unsafe {
            self.bytes.as_mut_ptr().cast::<u8>().write_bytes(0, N);
            core::slice::from_raw_parts_mut(self.bytes.as_mut_ptr().cast::<u8>(), N)
        };
        let len = write(buffer);
        self.len = len.min(N.wrapping_sub(1));
        self.full = len >= N;
        if let Some(end) = self.bytes.get_mut(self.len) {
            end.write(0);
        }
    }

    /// Keeps the first `len` bytes.
    pub fn cut(&mut self, len: usize) {
        if len < self.len
            && let Some(end) = self.bytes.get_mut(len)
        {
            end.write(0);
            self.len = len;
        }
    }

    /// Adds a number in decimal digits.
    pub fn number(&mut self, number: u64) {
        portcullis_request::context::decimal(number, |digits| self.push(digits));
    }

    /// Whether everything that was added is there.
    pub fn fits(&self) -> bool {
        !self.full
    }

    /// What was added.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `push` has written that many bytes, and keeps the length within the buffer.
        unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.len) }
    }

    /// The same with its NUL.
    pub fn c_str(&self) -> &CStr {
        // SAFETY: as above; a NUL was written behind them.
        let bytes = unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.len.wrapping_add(1)) };
        CStr::from_bytes_until_nul(bytes).unwrap_or(c"")
    }
}

/// Adds to what a buffer has, and a NUL behind it; whether all of it fitted. One function for buffers of every size.
#[inline(never)]
fn push(buffer: &mut [MaybeUninit<u8>], len: &mut usize, bytes: &[u8]) -> bool {
    let room = buffer.len().wrapping_sub(1).saturating_sub(*len);
    let part = bytes.get(..room).unwrap_or(bytes);
    if let Some((end, to)) =
        buffer.get_mut(*len..).and_then(|rest| rest.get_mut(..=part.len())).and_then(<[_]>::split_last_mut)
    {
        to.write_copy_of_slice(part);
        end.write(0);
        *len = len.wrapping_add(part.len());
    }
    part.len() == bytes.len()
}

/// A path of the caller, copied, so that what is judged is what is used.
pub struct PathCopy(Text<PATH_MAX>);

impl PathCopy {
    /// Room for one.
    pub const fn new() -> PathCopy {
        PathCopy(Text::new())
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
        let reader = Reader::default();
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
