//! Arguments and environments of another process, copied so that they are judged as this process's own would be.

use super::remote::Memory;

/// Room for a program's strings and the vectors that point to them, in bytes.
pub const ROOM: usize = 1 << 22;
/// Entries of a vector that are looked at; more cannot be judged.
const ENTRIES: usize = 1 << 14;
/// The longest argument that is read, its NUL included: longer than any that a verdict tells from a longer one.
const ARGUMENT_MAX: usize = 16 * 1024 + 1;

/// Why a vector could not be copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Not {
    /// Its memory cannot be read: the kernel says EFAULT.
    Readable,
    /// There is no room for all of it.
    Bounded,
}

/// Room for strings of another process.
pub struct Room<'r> {
    bytes: &'r mut [u8],
    used: usize,
    memory: &'r Memory,
    /// Of a pointer, in bytes.
    width: usize,
}

impl<'r> Room<'r> {
    /// An empty one, of [`ROOM`] bytes at an address that is one for pointers.
    pub fn new(bytes: &'r mut [u8], memory: &'r Memory, width: usize) -> Room<'r> {
        Room { bytes, used: 0, memory, width }
    }

    /// Copies the strings of a vector that `wanted` takes; gives a vector of them, which ends in NULL. What does not fit is
    /// left out, and said.
    pub fn copy(&mut self, vector: u64, mut wanted: impl FnMut(&[u8]) -> bool) -> (*const *const u8, Result<(), Not>) {
        const PLACE: usize = size_of::<*const u8>();
        self.used = self.used.next_multiple_of(PLACE);
        let places = self.used;
        let room = (ENTRIES + 1) * PLACE;
        // Zeroed, so that what is not written is NULL.
        let Some(own) = self.bytes.get_mut(places..).and_then(|rest| rest.get_mut(..room)) else {
            return (core::ptr::null(), Err(Not::Bounded));
        };
        own.fill(0);
        let start = own.as_mut_ptr();
        self.used = self.used.wrapping_add(room);
        (start.cast(), self.fill(vector, places, &mut wanted))
    }

    fn fill(&mut self, vector: u64, places: usize, wanted: &mut impl FnMut(&[u8]) -> bool) -> Result<(), Not> {
        // NULL is a vector without an entry to Linux.
        if vector == 0 {
            return Ok(());
        }
        let (mut at, mut place) = (vector, places);
        for _ in 0..ENTRIES {
            let entry = self.memory.number(at, self.width).ok_or(Not::Readable)?;
            if entry == 0 {
                return Ok(());
            }
            at = at.wrapping_add(self.width as u64);
            let free = self.bytes.get_mut(self.used..).ok_or(Not::Bounded)?;
            let room = free.get_mut(..ARGUMENT_MAX).ok_or(Not::Bounded)?;
            let len = self.memory.string(entry, room).ok_or(Not::Readable)?.len();
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
        Err(Not::Bounded)
    }
}
