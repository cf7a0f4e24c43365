//! A second entry of a hook, for what binds past every preload: libraries loaded with RTLD_DEEPBIND, and what is asked of libc by
//! its handle. Where another preload behind this library has a function by the hook's name, the hook goes on in that one; by
//! this entry it goes on in libc, as it would without the guard.
//!
//! The entry notes the row, and where the stack was, in the thread's memory. The next look for the real function of that row takes
//! the note, if it comes from within the call.

use crate::process::thread::{Thread, this};
use crate::sys::arch;

/// How far below the entry a hook looks for the real function, in sixteens of bytes.
const DEPTH: u32 = 4096;

/// An entry for the row `$row` whose hook is `$hook`.
macro_rules! entry {
    ($row:expr, $hook:path) => {{
        const _: () = assert!(($row as usize) < 255);
        #[unsafe(naked)]
        unsafe extern "C" fn entry() {
            crate::sys::arch::enter_with!($row as u32 + 1, $hook, crate::real::straight::enter);
        }
        entry as *mut core::ffi::c_void
    }};
}
pub(crate) use entry;

/// Notes a row and the stack, and goes on at a hook, which come in registers that no call uses; the caller's are as they were.
#[unsafe(naked)]
pub unsafe extern "C" fn enter() {
    arch::note_and_go_on!(core::mem::offset_of!(Thread, straight));
}

/// Whether the hook of that row was entered so; takes the note.
pub fn is(row: usize) -> bool {
    let here = 0_u8;
    // SAFETY: this thread's own memory, which nothing else writes to meanwhile.
    let note = unsafe { &raw mut (*this()).straight };
    // SAFETY: as above.
    let was = unsafe { note.read() };
    if was & 0xff != (row as u32).wrapping_add(1) {
        return false;
    }
    // SAFETY: as above.
    unsafe { note.write(0) };
    let now = ((&raw const here).addr() >> 4) as u32;
    // What was refused has left its note.
    (was >> 8).wrapping_sub(now) & 0x00ff_ffff < DEPTH
}
