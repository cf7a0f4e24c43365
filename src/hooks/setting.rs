//! What changes the environment, as far as libc's resolver takes its settings from there: putenv, setenv.

use super::fail;
use crate::judge::names;
use crate::memory::StringBuf;
use crate::real::table::real;
use crate::sys::Reader;
use core::ffi::{c_char, c_int};

/// putenv(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn putenv(entry: *mut c_char) -> c_int {
    let Some(real) = real::putenv() else { return fail(libc::ENOMEM) };
    note(entry, b"");
    // SAFETY: as the caller promises.
    unsafe { real(entry) }
}

/// setenv(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int {
    let Some(real) = real::setenv() else { return fail(libc::ENOMEM) };
    note(name, b"=");
    // SAFETY: as the caller promises.
    unsafe { real(name, value, overwrite) }
}

/// Takes note of a setting; as much of it as tells that it is one.
fn note(name: *const c_char, end: &[u8]) {
    if let Some(name) = Reader::default().string(name.cast(), 24) {
        let mut entry = StringBuf::<32>::new();
        entry.push(name);
        entry.push(end);
        names::note_setting(entry.bytes());
    }
}
