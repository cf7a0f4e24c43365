//! Copies the arguments and the environment of another process, so that they are evaluated like those of this process.

use super::remote::Memory;
use super::window::{PAGE, Window};

/// Room for a program's strings and the vectors that point to them, in bytes.
pub const ROOM: usize = 1 << 22;
/// The most entries of a vector that are read; with more, the vector is unknown.
const ENTRIES: usize = 1 << 14;
/// The longest argument that is read, its NUL included: a verdict does not depend on what follows.
const ARGUMENT_MAX: usize = 16 * 1024 + 1;

/// The bytes that may be read of both vectors: the kernel accepts no more bytes of strings and pointers than three quarters of
/// _STK_LIM (fs/exec.c), and returns E2BIG. Of a stack of the usual 8 MiB it takes a quarter, which is 512 pages; each read takes some
/// microseconds, during which all other callers wait. No ordinary program has strings in more pages than this.
const BYTES_MAX: usize = 6 << 20;
const READS_MAX: u32 = 1024;

/// Why a vector could not be copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Uncopied {
    /// Nothing is mapped there: the kernel returns EFAULT.
    Unmapped,
    /// The buffer or the time does not suffice, or only the kernel can read it.
    Unknown,
}

/// A buffer for strings of another process.
pub struct StringsBuffer<'r> {
    bytes: &'r mut [u8],
    used: usize,
    memory: &'r Memory,
    pointers: Window<'r>,
    strings: Window<'r>,
    /// The bytes that may still be read.
    left: usize,
    /// The highest number of reads of the memory.
    reads: u32,
    /// Of a pointer, in bytes.
    width: usize,
}

impl<'r> StringsBuffer<'r> {
    /// An empty buffer of [`ROOM`] bytes, aligned for pointers.
    pub fn new(bytes: &'r mut [u8], memory: &'r Memory, width: usize) -> StringsBuffer<'r> {
        let (pointers, rest) = bytes.split_at_mut(PAGE.min(bytes.len()));
        let (strings, bytes) = rest.split_at_mut(PAGE.min(rest.len()));
        let (pointers, strings) = (Window::new(pointers), Window::new(strings));
        let reads = memory.reads().saturating_add(READS_MAX);
        StringsBuffer { bytes, used: 0, memory, pointers, strings, left: BYTES_MAX, reads, width }
    }

    /// Copies the strings of a vector for which `wanted` is true; returns a vector of them, which ends in NULL. What does not fit is
    /// left out and reported.
    pub fn copy(
        &mut self,
        vector: u64,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> (*const *const u8, Result<(), Uncopied>) {
        const PLACE: usize = size_of::<*const u8>();
        self.used = self.used.next_multiple_of(PLACE);
        let places = self.used;
        let room = (ENTRIES + 1) * PLACE;
        // Zeroed, so that what is not written is NULL.
        let Some(own) = self.bytes.get_mut(places..).and_then(|rest| rest.get_mut(..room)) else {
            return (core::ptr::null(), Err(Uncopied::Unknown));
        };
        own.fill(0);
        let start = own.as_mut_ptr();
        self.used = self.used.wrapping_add(room);
        (start.cast(), self.fill(vector, places, &mut wanted))
    }

    /// Why the memory at which the last read failed cannot be copied.
    fn unread(&self) -> Uncopied {
        if self.memory.is_hidden() { Uncopied::Unknown } else { Uncopied::Unmapped }
    }

    fn fill(&mut self, vector: u64, places: usize, wanted: &mut impl FnMut(&[u8]) -> bool) -> Result<(), Uncopied> {
        // NULL is a vector without an entry to Linux.
        if vector == 0 {
            return Ok(());
        }
        let (mut at, mut place) = (vector, places);
        for _ in 0..ENTRIES {
            let entry = self.pointers.number(self.memory, at, self.width).ok_or_else(|| self.unread())?;
            if entry == 0 {
                return Ok(());
            }
            at = at.wrapping_add(self.width as u64);
            let free = self.bytes.get_mut(self.used..).ok_or(Uncopied::Unknown)?;
            let room = free.get_mut(..ARGUMENT_MAX).ok_or(Uncopied::Unknown)?;
            let Some(len) = string(self.memory, &mut self.strings, entry, room) else { return Err(self.unread()) };
            let taken = len.wrapping_add(1).wrapping_add(self.width);
            self.left = self.left.checked_sub(taken).ok_or(Uncopied::Unknown)?;
            if self.memory.reads() > self.reads {
                return Err(Uncopied::Unknown);
            }
            if !wanted(room.get(..len).unwrap_or_default()) {
                continue;
            }
            if let Some(end) = room.get_mut(len.min(ARGUMENT_MAX - 1)) {
                *end = 0;
            }
            let string = room.as_ptr() as usize;
            self.used = self.used.wrapping_add(len).wrapping_add(1);
            if let Some(to) = self.bytes.get_mut(place..).and_then(|rest| rest.first_chunk_mut()) {
                *to = string.to_ne_bytes();
            }
            place = place.wrapping_add(size_of::<usize>());
        }
        Err(Uncopied::Unknown)
    }
}

/// Copies a C string without its NUL, as far as the buffer suffices; `None` if its beginning cannot be read.
fn string(memory: &Memory, window: &mut Window<'_>, at: u64, room: &mut [u8]) -> Option<usize> {
    let mut len = 0_usize;
    while len < room.len() {
        let part = window.rest(memory, at.wrapping_add(len as u64));
        if part.is_empty() {
            return None;
        }
        let end = part.iter().position(|&byte| byte == 0);
        let free = room.get_mut(len..).unwrap_or_default();
        let count = end.unwrap_or(part.len()).min(free.len());
        free.get_mut(..count)?.copy_from_slice(part.get(..count)?);
        len = len.wrapping_add(count);
        if end.is_some() {
            break;
        }
    }
    Some(len)
}
