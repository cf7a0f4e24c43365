//! What the process finds in its environment when it starts, in one pass over it.

use super::loader::VARIABLES;
use crate::context;
use core::ffi::CStr;
use core::sync::atomic::Ordering;

/// The values of the variables that matter to the guard; none for one that is not there.
#[derive(Default)]
pub struct Start {
    /// Of [`context::VARIABLE`].
    pub context: Option<&'static [u8]>,
    /// Of [`context::REQUEST`].
    pub request: Option<&'static [u8]>,
    /// Of [`context::KEY`].
    pub key: Option<&'static [u8]>,
    /// Of [`context::SUPERVISE`].
    pub supervise: Option<&'static [u8]>,
    /// Of PORTCULLIS_CONFIG.
    pub config: Option<&'static [u8]>,
    /// Of the loader's variables, in the order of [`VARIABLES`].
    pub loader: [Option<&'static [u8]>; VARIABLES.len()],
}

/// Reads `environ`; for the constructor.
pub fn start() -> Start {
    let mut start = Start::default();
    let vector = super::of_process().load(Ordering::Acquire);
    if vector.is_null() {
        return start;
    }
    for index in 0.. {
        // SAFETY: in the constructor `environ` is the vector that the kernel laid down, which ends in NULL.
        let entry = unsafe { *vector.wrapping_add(index) };
        if entry.is_null() {
            break;
        }
        // Most entries begin otherwise, and are not read any further.
        // SAFETY: the entries are C strings, which the kernel laid down for the life of the process.
        if !matches!(unsafe { entry.read() }, b'P' | b'L') {
            continue;
        }
        // SAFETY: as above.
        let text = unsafe { CStr::from_ptr(entry.cast()) }.to_bytes();
        let own = [
            (context::VARIABLE, &mut start.context),
            (context::REQUEST, &mut start.request),
            (context::KEY, &mut start.key),
            (context::SUPERVISE, &mut start.supervise),
            (b"PORTCULLIS_CONFIG=", &mut start.config),
        ];
        for (name, value) in own {
            if value.is_none() {
                *value = text.strip_prefix(name);
            }
        }
        for (name, value) in VARIABLES.iter().zip(&mut start.loader) {
            if value.is_none() {
                *value = text.strip_prefix(*name);
            }
        }
    }
    start
}
