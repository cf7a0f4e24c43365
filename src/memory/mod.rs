//! Memory that needs nothing of the system: C strings in fixed buffers, pages, and words that are written as one.

pub mod seqlock;

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering};

/// The value of a cell that is set once: the first one that a thread stores, which is not 0. Nobody waits. once_cell's race types
/// do the same, except for zeroed memory that two processes share, where two of the three cells lie.
pub fn set_once(cell: &AtomicU64, new: impl FnOnce() -> u64) -> u64 {
    match cell.load(Ordering::Relaxed) {
        0 => {
            let new = new();
            cell.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|first| first, |_| new)
        }
        first => first,
    }
}

/// What begins a page of its own: a worker copies each page of the library's data that it writes to, so what it writes lies together,
/// apart from what only the constructor and the master write.
#[repr(C, align(4096))]
pub struct Paged<T>(pub T);

/// A C string in a fixed buffer: `len` bytes and a NUL are initialised.
pub struct StringBuf<const N: usize> {
    bytes: [MaybeUninit<u8>; N],
    len: usize,
    full: bool,
}

impl<const N: usize> StringBuf<N> {
    /// An empty one. Clearing all of it would cost more than most of what is done with it.
    pub const fn new() -> StringBuf<N> {
        let mut bytes = [MaybeUninit::uninit(); N];
        bytes[0] = MaybeUninit::new(0);
        StringBuf { bytes, len: 0, full: false }
    }

    /// An empty one for a static, which takes no room in the file where it is all zeros.
    pub const fn zeroed() -> StringBuf<N> {
        StringBuf { bytes: [MaybeUninit::new(0); N], len: 0, full: false }
    }

    /// One with these bytes.
    pub fn of(bytes: &[u8]) -> StringBuf<N> {
        let mut text = StringBuf::new();
        text.push(bytes);
        text
    }

    /// Replaces what is there.
    pub fn set(&mut self, bytes: &[u8]) {
        self.len = 0;
        self.full = false;
        self.push(bytes);
    }

    /// Adds bytes; what does not fit is left out, and [`StringBuf::fits`] says so.
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
    fn texts_say_when_they_are_full() {
        let mut text = StringBuf::<8>::new();
        text.push(b"ab");
        text.number(120);
        assert_eq!(text.c_str(), c"ab120");
        assert!(text.fits());
        text.push(b"xyz");
        assert!(!text.fits());
        assert_eq!(text.bytes(), b"ab120xy");
    }
}
