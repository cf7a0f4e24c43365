//! A second entry of a hook, for what binds past every preload: libraries loaded with RTLD_DEEPBIND, and what is asked of libc by
//! its handle. Where another preload behind this library has a function by the hook's name, the hook goes on in that one; by
//! this entry it goes on in libc, as it would without the guard.
//!
//! The entry notes the row, and where the stack was, in the thread's memory. The next look for the real function of that row takes
//! the note, if it comes from within the call.

use crate::process::thread::{Thread, this};

/// How far below the entry a hook looks for the real function, in sixteens of bytes.
const DEPTH: u32 = 4096;

/// An entry for the row `$row` whose hook is `$hook`.
macro_rules! entry {
    ($row:expr, $hook:path) => {{
        const _: () = assert!(($row as usize) < 255);
        #[unsafe(naked)]
        unsafe extern "C" fn entry() {
            #[cfg(target_arch = "x86_64")]
            core::arch::naked_asm!(
                "lea r10, [rip + {hook}]",
                "mov r11d, {row}",
                "jmp {enter}",
                row = const $row as u32 + 1,
                hook = sym $hook,
                enter = sym crate::real::straight::enter,
            );
            #[cfg(target_arch = "aarch64")]
            core::arch::naked_asm!(
                "adrp x16, {hook}",
                "add x16, x16, :lo12:{hook}",
                "mov w17, {row}",
                "b {enter}",
                row = const $row as u32 + 1,
                hook = sym $hook,
                enter = sym crate::real::straight::enter,
            );
        }
        entry as *mut core::ffi::c_void
    }};
}
pub(crate) use entry;

/// Notes a row and the stack, and goes on at a hook, which come in registers that no call uses; the caller's are as they were.
#[unsafe(naked)]
pub unsafe extern "C" fn enter() {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!(
        "push rax",
        "mov rax, rsp",
        "shr rax, 4",
        "shl eax, 8",
        "or r11d, eax",
        "mov rax, qword ptr [rip + portcullis_thread@GOTTPOFF]",
        "mov dword ptr fs:[rax + {at}], r11d",
        "pop rax",
        "jmp r10",
        at = const core::mem::offset_of!(Thread, straight),
    );
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!(
        "mov x9, sp",
        "lsr x9, x9, 4",
        "orr w17, w17, w9, lsl 8",
        "mrs x9, tpidr_el0",
        "adrp x10, :gottprel:portcullis_thread",
        "ldr x10, [x10, :gottprel_lo12:portcullis_thread]",
        "add x9, x9, x10",
        "str w17, [x9, {at}]",
        "br x16",
        at = const core::mem::offset_of!(Thread, straight),
    );
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
