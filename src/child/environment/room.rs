//! Places the environments of new processes where the backstop's filter looks for them.
//!
//! libc executes a program that it spawns by a system call of its own, which cannot carry the backstop's secret. Its
//! environment's address does instead: the room is a set of places, each [`STRIDE`] bytes from the next, whose first
//! address is a secret. Nothing is mapped there but the environments of programs that are being started.
//!
//! **Concurrency**: each call maps a place of its own and unmaps it. The kernel decides which places are free
//! (MAP_FIXED_NOREPLACE), so there is no lock and no list. A place has room for the largest environment that Linux accepts.

use super::made::Place;
use crate::sys;
use core::sync::atomic::{AtomicUsize, Ordering};
use portcullis_policy::format::room::{PLACES, STRIDE};

const PAGE: usize = 4096;
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

/// Uses the room at an address; false where nothing can be mapped there.
pub fn set_room(address: usize) -> bool {
    let before = ROOM.swap(address, Ordering::AcqRel);
    let usable = place(1).is_some();
    if !usable {
        ROOM.store(before, Ordering::Release);
    }
    usable
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
            assert!(set_room(room));
            let held: Vec<Place> = (0..100).map(|_| place(100_000 * 8).expect("a place")).collect();
            for place in &held {
                let at = place.at as usize + place.from;
                assert_eq!(at as u64 & MASK, room as u64 & MASK);
            }
            assert!(place(SIZE_MAX).is_some() && place(SIZE_MAX + 1).is_none());
        }
        ROOM.store(0, Ordering::Release);
    }
}
