//! Places the environments of new processes where the backstop's filter looks for them.
//!
//! libc executes a program that it spawns by a system call of its own, which cannot carry the backstop's secret. Its
//! environment's address does instead: the room is a set of places, each [`STRIDE`] bytes from the next, whose first
//! address is a secret. Nothing is mapped there but the environments of programs that are being started. A page behind all rooms is the
//! process's sign, by which the supervisor knows that the library is in it, and where.
//!
//! **Concurrency**: each call maps a place of its own and unmaps it. The kernel decides which places are free
//! (MAP_FIXED_NOREPLACE), so there is no lock and no list. A place has room for the largest environment that Linux accepts.

use super::made::Place;
use crate::request::HandedDownCopy;
use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use portcullis_policy::format::room::{PLACES, STRIDE};

const PAGE: usize = sys::arch::PAGE_MAX;
/// The first place begins somewhere in these addresses, where neither programs nor libraries nor stacks lie.
const FIRST: usize = 0x1000_0000_0000;
/// Bits of the secret that choose among the rooms, and that choose where in each stride an environment begins.
const ROOMS: u32 = 9;
const BEGINS: u32 = 18;
/// The largest environment of a place.
const SIZE_MAX: usize = STRIDE - (8 << BEGINS);

/// The address of the first place; 0 where the backstop is off.
static ROOM: AtomicUsize = AtomicUsize::new(0);

/// The first place's address for a secret: one of 2^27.
pub fn room_address(secret: u64) -> usize {
    let mixed = secret.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - ROOMS - BEGINS);
    let room = (mixed as usize >> BEGINS).wrapping_mul(STRIDE * PLACES);
    let begins = mixed as usize & ((1 << BEGINS) - 1);
    FIRST.wrapping_add(room).wrapping_add(begins.wrapping_mul(8))
}

/// What a process with the library says of where that lies, in two words.
pub struct Sign {
    pub secret_at: u64,
    pub handed_down_at: u64,
}

/// The size of a sign.
pub const SIGN: usize = 16;

impl Sign {
    /// This process's own.
    fn own() -> [u64; 2] {
        [sys::secret_address() as u64, HandedDownCopy::address() as u64]
    }

    /// As another process has it.
    pub fn of(bytes: &[u8; SIGN]) -> Sign {
        let (secret_at, handed_down_at) = bytes.split_at(SIGN / 2);
        let word = |half: &[u8]| half.first_chunk().map_or(0, |half| u64::from_le_bytes(*half));
        Sign { secret_at: word(secret_at), handed_down_at: word(handed_down_at) }
    }
}

/// Where the sign lies: behind all rooms, and in no shadow of a sanitizer (compiler-rt: asan_mapping.h, msan.h, tsan_platform.h). It is no
/// secret, and says nothing of the room: everybody sees where a process has mapped something.
pub const SIGN_ADDRESS: usize = 0x6200_0000_0000;

/// Whether this process has its sign there.
static IS_SIGNED: AtomicBool = AtomicBool::new(false);

/// Uses the room of a secret, and puts the process's sign at its place; false where something else is there.
pub fn set_room(secret: u64) -> bool {
    if !IS_SIGNED.load(Ordering::Acquire) {
        let Ok(at) = sys::allocate_where(SIGN_ADDRESS, PAGE) else { return false };
        // SAFETY: a new page, which nobody else has.
        unsafe { at.cast::<[u64; 2]>().write(Sign::own()) };
        IS_SIGNED.store(true, Ordering::Release);
    }
    ROOM.store(room_address(secret), Ordering::Release);
    true
}

/// A zeroed place for an environment of `size` bytes; `None` where there is no memory.
pub fn place(size: usize) -> Option<Place> {
    let room = ROOM.load(Ordering::Acquire);
    if room == 0 {
        return sys::allocate(size).map(|at| Place { at, size, from: 0 });
    }
    if size > SIZE_MAX {
        return None;
    }
    let from = room & (PAGE - 1);
    let size = from.wrapping_add(size);
    // Each thread begins at a place of its own.
    let own = sys::gettid() as usize;
    for try_ in 0..PLACES {
        let number = own.wrapping_add(try_) & (PLACES - 1);
        let address = (room & !(PAGE - 1)).wrapping_add(number.wrapping_mul(STRIDE));
        match sys::allocate_where(address, size) {
            Ok(at) => return Some(Place { at, size, from }),
            Err(libc::EEXIST) => {}
            Err(_) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_policy::format::room::MASK;

    #[test]
    fn every_place_is_known_by_its_address() {
        for secret in [1, 2, 0x1234_5678_9abc_def1, u64::MAX] {
            let room = room_address(secret);
            assert!(room.is_multiple_of(8) && room < 0x5000_0000_0000);
            assert!(set_room(secret));
            let held: Vec<Place> = (0..100).map(|_| place(100_000 * 8).expect("a place")).collect();
            for place in &held {
                let at = place.at as usize + place.from;
                assert_eq!(at as u64 & MASK, room as u64 & MASK);
            }
            assert!(place(SIZE_MAX).is_some() && place(SIZE_MAX + 1).is_none());
            // SAFETY: the page that was mapped above.
            assert_eq!(unsafe { *(SIGN_ADDRESS as *const [u64; 2]) }, Sign::own(), "the same for every secret");
        }
        ROOM.store(0, Ordering::Release);
    }
}
