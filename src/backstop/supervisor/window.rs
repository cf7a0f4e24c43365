//! Caches one page of another process's memory: strings and pointers are mostly next to each other.

use super::remote::Memory;

/// Of a page.
pub const PAGE: usize = 4096;

/// The last page that was read.
pub struct Window<'r> {
    bytes: &'r mut [u8],
    /// Its address, and the part that could be read.
    page: u64,
    len: usize,
}

impl<'r> Window<'r> {
    /// With [`PAGE`] bytes of room.
    pub fn new(bytes: &'r mut [u8]) -> Window<'r> {
        Window { bytes, page: 1, len: 0 }
    }

    /// The bytes from an address to the end of its page; empty if they cannot be read.
    pub fn rest(&mut self, memory: &Memory, at: u64) -> &[u8] {
        let within = at as usize & (PAGE - 1);
        let page = at.wrapping_sub(within as u64);
        if page != self.page {
            self.len = memory.read(page, self.bytes).len();
            // What could not be read is tried again.
            self.page = if self.len == 0 { 1 } else { page };
        }
        self.bytes.get(within..self.len).unwrap_or_default()
    }

    /// A number of 4 or 8 bytes.
    pub fn number(&mut self, memory: &Memory, at: u64, width: usize) -> Option<u64> {
        let rest = self.rest(memory, at);
        let Some(part) = rest.get(..width) else { return memory.number(at, width) };
        let mut bytes = [0; 8];
        bytes.get_mut(..width)?.copy_from_slice(part);
        Some(u64::from_le_bytes(bytes))
    }
}
