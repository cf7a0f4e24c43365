//! What the process finds in its environment when it starts, in one pass over it.

use crate::process::environ;
use crate::sys::Reader;
use core::ffi::CStr;
use core::ptr::null_mut;
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

/// The first of the arguments that the kernel laid down before `environ`, behind their number and before a NULL; null where there are none,
/// or where `environ` lies elsewhere by now. For the constructor of a libc that does not tell.
#[cold]
#[inline(never)]
pub fn first_argument() -> *mut u8 {
    const MANY: usize = 1 << 16;
    let vector = environ::of_process().load(Ordering::Acquire) as usize;
    let reader = Reader::default();
    let word = |before: usize| {
        let at = vector.wrapping_sub(before.wrapping_mul(size_of::<usize>()));
        // SAFETY: a whole word of a page that can be read.
        (at.is_multiple_of(size_of::<usize>()) && reader.ok(at)).then(|| unsafe { (at as *const usize).read() })
    };
    if word(1) != Some(0) {
        return null_mut();
    }
    for count in 0..MANY {
        match word(count.wrapping_add(2)) {
            // No address is as small as a number of arguments.
            Some(number) if number == count => {
                let first = if count == 0 { None } else { word(count.wrapping_add(1)) };
                return first.unwrap_or(0) as *mut u8;
            }
            Some(_) => {}
            None => break,
        }
    }
    null_mut()
}
