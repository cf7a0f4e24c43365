//! libc's `environ`.

use crate::sys::{Reader, Vector};
use core::sync::atomic::{AtomicPtr, Ordering};

unsafe extern "C" {
    static mut environ: *mut *const u8;
}

/// libc's `environ`.
pub fn of_process() -> &'static AtomicPtr<*const u8> {
    // SAFETY: it is a pointer that lives as long as the process. libc writes it without synchronisation too, always
    // as one aligned word.
    unsafe { AtomicPtr::from_ptr(&raw mut environ) }
}

/// libc's `environ` as it is now.
pub fn current() -> Vector {
    of_process().load(Ordering::Acquire).cast_const().cast()
}

/// The value of a variable in `environ`; for the search along PATH.
pub fn variable<'s>(strings: &'s Reader, name: &[u8]) -> Option<&'s [u8]> {
    let vector = of_process().load(Ordering::Acquire).cast_const();
    if vector.is_null() {
        return None;
    }
    let entries = Reader::default();
    for index in 0.. {
        let entry = entries.pointer(vector, index)?;
        if entry.is_null() {
            break;
        }
        // Most entries differ in the first byte, and are not read any further.
        if strings.byte(entry)? == *name.first()?
            && let Some(b"=") = strings.string(entry, name.len().wrapping_add(1))?.strip_prefix(name)
        {
            return strings.string(entry.wrapping_add(name.len()).wrapping_add(1), usize::MAX);
        }
    }
    None
}
