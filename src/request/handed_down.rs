//! What a descendant was handed down, as the supervisor reads it from another process: in the memory of the guard, which no script can
//! reach. The environment is the process's own: a program that sets its title writes over it.

use core::cell::UnsafeCell;
use portcullis_request::wire::WIRE_MAX;

const CHAIN_MAX: usize = 256;
/// Two lengths, the request, the chain.
const SIZE: usize = 8 + WIRE_MAX + CHAIN_MAX;

#[repr(C, align(8))]
struct HandedDown(UnsafeCell<[u8; SIZE]>);

// SAFETY: written by the constructor only; see `publish`.
unsafe impl Sync for HandedDown {}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static HANDED_DOWN: HandedDown = HandedDown(UnsafeCell::new([0; SIZE]));

/// A copy of what another process has.
pub struct HandedDownCopy([u8; SIZE]);

impl HandedDownCopy {
    /// Where it lies in this process.
    pub fn address() -> usize {
        HANDED_DOWN.0.get() as usize
    }

    /// Takes it by `read`, which says whether all of it was read; `None` where it was not, or where the process was given nothing.
    pub fn read(read: impl FnOnce(&mut [u8]) -> bool) -> Option<HandedDownCopy> {
        let mut copy = HandedDownCopy([0; SIZE]);
        (read(&mut copy.0) && !copy.request().is_empty()).then_some(copy)
    }

    fn len(&self, number: usize) -> usize {
        let bytes = self.0.get(number.wrapping_mul(4)..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
    }

    fn part(&self, from: usize, len: usize, max: usize) -> &[u8] {
        self.0.get(from..from.wrapping_add(len.min(max))).unwrap_or_default()
    }

    /// The request, in the form in which it is handed down.
    pub fn request(&self) -> &[u8] {
        self.part(8, self.len(0), WIRE_MAX)
    }

    /// The programs that led to the process.
    pub fn chain(&self) -> &[u8] {
        self.part(8 + WIRE_MAX, self.len(1), CHAIN_MAX)
    }
}

/// Puts it where the supervisor looks; for the constructor.
pub fn publish(request: &[u8], chain: &[u8]) {
    // SAFETY: the constructor calls this once, before anything looks.
    let bytes = unsafe { &mut *HANDED_DOWN.0.get() };
    let parts = [(0, 8, request, WIRE_MAX), (4, 8 + WIRE_MAX, chain, CHAIN_MAX)];
    for (len_at, at, part, max) in parts {
        let part = part.get(..max).unwrap_or(part);
        if let Some(room) = bytes.get_mut(at..at.wrapping_add(part.len())) {
            room.copy_from_slice(part);
        }
        if let Some(len) = bytes.get_mut(len_at..).and_then(|rest| rest.first_chunk_mut()) {
            *len = (part.len() as u32).to_le_bytes();
        }
    }
}
