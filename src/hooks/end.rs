//! The end of a process: what was merged is said before it.

use crate::real::table::real;
use crate::report::merge;
use crate::sys;
use core::ffi::c_int;

#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".fini_array")]
static DESTRUCTOR: extern "C" fn() = destructor;

/// exit(3), and the return of the main program.
#[cfg_attr(test, allow(dead_code))]
extern "C" fn destructor() {
    merge::end();
}

/// _exit(2), which runs no destructors: dash ends by it.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn _exit(status: c_int) -> ! {
    merge::say_all();
    match real::_exit() {
        // SAFETY: as the caller promises.
        Some(real) => unsafe { real(status) },
        None => sys::exit(status as usize),
    }
}

/// `_exit` by its other name.
///
/// # Safety
/// As [`_exit`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn _Exit(status: c_int) -> ! {
    // SAFETY: as the caller promises.
    unsafe { _exit(status) }
}
