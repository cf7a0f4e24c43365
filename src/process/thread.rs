//! The calling thread's state, which shim/thread.c lays into thread-local memory.

use core::ffi::{c_int, c_void};

/// `struct portcullis_thread`.
#[repr(C)]
pub struct Thread {
    /// Its slot; null where it has none.
    pub slot: *mut c_void,
    /// The descriptor whose reads are looked at, plus one; 0 for none.
    pub watched: c_int,
    /// The hook that goes on in libc (src/real/straight.rs); 0 for none.
    pub straight: u32,
}

/// Where it lies: for the life of the thread, and only this thread touches it.
#[inline(always)]
pub fn this() -> *mut Thread {
    let at: *mut Thread;
    // SAFETY: the offset of an initial-exec variable from the thread's pointer, which the loader wrote into the global offset
    // table. It never changes in a thread.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!(
            "mov {at}, qword ptr fs:[0]",
            "add {at}, qword ptr [rip + portcullis_thread@GOTTPOFF]",
            at = out(reg) at,
            options(pure, readonly, nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!(
            "mrs {at}, tpidr_el0",
            "adrp {offset}, :gottprel:portcullis_thread",
            "ldr {offset}, [{offset}, :gottprel_lo12:portcullis_thread]",
            "add {at}, {at}, {offset}",
            at = out(reg) at,
            offset = out(reg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    at
}

/// Forgets that a hook was to go on in libc.
pub fn forget_straight() {
    // SAFETY: this thread's own memory, which nothing else writes to meanwhile.
    unsafe { (*this()).straight = 0 };
}
