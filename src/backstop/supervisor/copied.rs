//! Arguments and environments of another process, copied so that they are judged as this process's own would be.

use super::remote::Memory;

/// Room for the strings of a program, in bytes, and how many arguments are looked at.
pub const ROOM: usize = 1 << 18;
pub const ARGUMENTS: usize = 64;
/// The longest argument that is read, its NUL included.
const ARGUMENT_MAX: usize = 16 * 1024 + 1;

/// Room for strings of another process.
pub struct Room<'r> {
    bytes: &'r mut [u8],
    used: usize,
    memory: &'r Memory,
    /// Of a pointer, in bytes.
    width: usize,
}

impl<'r> Room<'r> {
    /// An empty one, of [`ROOM`] bytes.
    pub fn new(bytes: &'r mut [u8], memory: &'r Memory, width: usize) -> Room<'r> {
        Room { bytes, used: 0, memory, width }
    }

    /// Copies the strings of a vector that `wanted` takes, at most as many as there are places but one, which stays null.
    pub fn copy(&mut self, vector: u64, into: &mut [*const u8; ARGUMENTS + 1], mut wanted: impl FnMut(&[u8]) -> bool) {
        let mut at = vector;
        let mut places = into.iter_mut().take(ARGUMENTS).peekable();
        // An environment may be longer than what is wanted of it.
        for _ in 0..4096 {
            let Some(entry) = self.memory.number(at, self.width).filter(|entry| *entry != 0) else { return };
            at = at.wrapping_add(self.width as u64);
            let Some(free) = self.bytes.get_mut(self.used..) else { return };
            let size = free.len().min(ARGUMENT_MAX);
            let Some(room) = free.get_mut(..size) else { return };
            let Some(len) = self.memory.string(entry, room).map(<[u8]>::len) else { return };
            if !wanted(room.get(..len).unwrap_or_default()) {
                continue;
            }
            let (Some(place), Some(end)) = (places.next(), room.get_mut(len.min(size.wrapping_sub(1)))) else { return };
            *end = 0;
            *place = room.as_ptr();
            self.used = self.used.wrapping_add(len).wrapping_add(1);
            if places.peek().is_none() {
                return;
            }
        }
    }
}
