//! Removes the variables of Portcullis from the environment of this process, before the program reads it.
//!
//! **Invariants**: `environ` is the vector on the initial stack. Behind its NULL the auxiliary vector follows, or pairs of words
//! that have to be ignored (AT_IGNORE). Programs that walk there skip them: programs without libc, Go's, start files. The
//! kernel's copy of the strings (/proc/PID/environ) stays, but for the key: the command reads it.

use super::{PADDING_ENTRY, PRELOAD, begins, is_own, is_this};
use crate::memory::StringBuf;
use crate::process::environ;
use crate::process::state;
use core::ffi::CStr;
use core::sync::atomic::Ordering;
use portcullis_request::environment::{KEY, replace};

/// The longest LD_PRELOAD that is written anew in its place.
const VALUE_MAX: usize = 4096;

/// Takes the guard's variables out of `environ`; `injected`: the library stands in LD_PRELOAD because the guard put it there.
pub fn scrub(injected: bool) {
    let vector = environ::of_process().load(Ordering::Acquire);
    if vector.is_null() {
        return;
    }
    // SAFETY: in the constructor `environ` is the vector that the kernel laid down, which ends in NULL.
    let entry_at = |index| unsafe { *vector.wrapping_add(index) };
    let (mut last, mut has_others) = (usize::MAX, false);
    for index in 0.. {
        let entry = entry_at(index);
        if entry.is_null() {
            break;
        }
        // SAFETY: the entries are C strings.
        if unsafe { begins(entry, PRELOAD) } {
            has_others = last != usize::MAX;
            last = index;
        }
    }
    let (mut from, mut to) = (0_usize, 0_usize);
    loop {
        let entry = entry_at(from);
        if entry.is_null() {
            // SAFETY: what lies between the two ends of the vector was entries of it.
            unsafe { close(vector, to, from) };
            return;
        }
        // SAFETY: the kernel laid the strings on this process's stack.
        let stays = unsafe {
            if begins(entry, KEY) {
                wipe(entry.wrapping_add(KEY.len()).cast_mut());
            }
            !is_own(entry) && (from != last || restore(entry.cast_mut(), injected, has_others))
        };
        if stays && from != to {
            // SAFETY: `to` is before `from` in the same vector.
            unsafe { *vector.wrapping_add(to) = entry };
        }
        from = from.wrapping_add(1);
        to = to.wrapping_add(usize::from(stays));
    }
}

/// Overwrites the key, which is nobody else's business.
///
/// # Safety
/// `at` must be a C string that this process may write.
unsafe fn wipe(mut at: *mut u8) {
    // SAFETY: as the caller promises.
    unsafe {
        while at.read() != 0 {
            at.write(b'0');
            at = at.wrapping_add(1);
        }
    }
}

/// Makes the last LD_PRELOAD again what it would be without the guard; false where there would be none. The hooks leave the
/// caller's own in its place, and put another behind it. A shell without the guard keeps only one, from which the library is
/// taken out.
///
/// # Safety
/// `entry` must be a C string that this process may write, and begin with [`PRELOAD`].
unsafe fn restore(entry: *mut u8, injected: bool, has_others: bool) -> bool {
    if injected && has_others {
        return false;
    }
    let at = entry.wrapping_add(PRELOAD.len());
    let mut rest = StringBuf::<VALUE_MAX>::new();
    let library = state::settled().library.bytes();
    let actor = [library];
    let len = {
        // SAFETY: as the caller promises; nothing is written as long as this lives.
        let value = unsafe { CStr::from_ptr(at.cast_const().cast()) }.to_bytes();
        replace(value, is_this, if injected { &[] } else { &actor }, |part| rest.push(part));
        if rest.bytes() == value {
            return true;
        }
        value.len()
    };
    if injected && rest.bytes().is_empty() {
        return false;
    }
    if rest.fits() && rest.bytes().len() <= len {
        // SAFETY: what it becomes is no longer than what it was, and has its NUL.
        unsafe { core::ptr::copy_nonoverlapping(rest.c_str().as_ptr().cast(), at, rest.bytes().len().wrapping_add(1)) };
    }
    true
}

/// Ends the vector behind `to` entries, of which there were `from`. The hooks put in an even number of variables; of an odd
/// number, which a unit's own PORTCULLIS_CONTEXT makes, one stays.
///
/// # Safety
/// The words must be the vector's.
unsafe fn close(vector: *mut *const u8, to: usize, from: usize) {
    const AT_IGNORE: usize = 1;
    let is_odd = from.wrapping_sub(to) % 2 == 1;
    let end = to.wrapping_add(usize::from(is_odd));
    // SAFETY: as the caller promises: `end` is at most `from`, and behind it are pairs up to `from`, whose NULL is the last word.
    unsafe {
        if is_odd {
            *vector.wrapping_add(to) = PADDING_ENTRY.as_ptr().cast();
        }
        *vector.wrapping_add(end) = core::ptr::null();
        let pairs = vector.wrapping_add(end).wrapping_add(1).cast::<[usize; 2]>();
        for pair in 0..from.wrapping_sub(end) / 2 {
            pairs.wrapping_add(pair).write([AT_IGNORE, 0]);
        }
    }
}
