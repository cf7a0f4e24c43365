//! System calls of the guard's own, past the filters that would end the program for them.

pub use super::arch::{enter, tell_valgrind};
use super::confined;

/// One system call of the guard's own; unused arguments are 0. EPERM where a filter that the program has loaded would end it
/// for that.
///
/// # Safety
/// What the call does with its arguments must be sound.
#[inline(always)]
pub unsafe fn syscall(number: libc::c_long, args: [usize; 6]) -> isize {
    // SAFETY: as the caller promises.
    unsafe {
        if confined::is_any() {
            let [a, b, c, d, e, f] = args;
            // As registers, which costs those nothing that go on below.
            return confined::enter(a, b, c, d, e, f, number);
        }
        enter(number, args)
    }
}

/// valgrind's numbers for a stack that a program makes for itself, and gives up (valgrind.h).
pub const STACK: usize = 0x1501;
pub const STACK_GONE: usize = 0x1502;
/// The same for memory of which it is to forget who has touched it (helgrind.h).
pub const CLEAN: usize = 0x4847_0000;
