//! What the process finds in its environment when it starts, in one pass over it.

use crate::process::environ;
use core::ffi::CStr;
use core::sync::atomic::Ordering;
use portcullis_request::environment::Variables;

/// Reads `environ`; for the constructor.
pub fn start() -> Variables<'static> {
    let mut start = Variables::default();
    let vector = environ::of_process().load(Ordering::Acquire);
    if vector.is_null() {
        return start;
    }
    for index in 0.. {
        // SAFETY: in the constructor `environ` is the vector that the kernel laid down, which ends in NULL.
        let entry = unsafe { *vector.wrapping_add(index) };
        if entry.is_null() {
            break;
        }
        // SAFETY: the entries are C strings, which the kernel laid down for the life of the process.
        if Variables::may_begin(unsafe { entry.read() }) {
            // SAFETY: as above.
            start.take(unsafe { CStr::from_ptr(entry.cast()) }.to_bytes());
        }
    }
    start
}
