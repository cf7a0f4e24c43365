//! The environment of a new program: the caller's, with the guard and its context put in. Never edited in place.

mod loader;
mod made;
mod plan;
mod room;
mod start;
mod steering;

pub use loader::{foreign_loader, remember_loader};
pub use made::{for_new_process, with};
pub use room::{room_address, set_room};
pub use start::start;
pub use steering::{remember_start, steering};

use crate::judge::Guarding;
use crate::memory::Reader;
use crate::state;
use crate::sys;
use core::sync::atomic::{AtomicPtr, Ordering};
use portcullis_request::environment::{KEY, OWN, PRELOAD};

/// A vector of C strings that ends in NULL.
pub type Vector = *const *const u8;

/// Whether an entry of an environment is one of the guard's own variables.
///
/// # Safety
/// `entry` must be a C string.
unsafe fn is_own(entry: *const u8) -> bool {
    // SAFETY: as the caller promises. They begin with the same letter, and most entries with another.
    unsafe { entry.read() == b'P' && OWN.iter().any(|name| begins(entry, name)) }
}

/// Whether a C string begins with `start`.
///
/// # Safety
/// `text` must be a C string.
unsafe fn begins(text: *const u8, start: &[u8]) -> bool {
    // SAFETY: no byte behind the first difference is read, so none behind the NUL.
    start.iter().enumerate().all(|(at, byte)| unsafe { text.wrapping_add(at).read() } == *byte)
}

/// The program that an environment is for.
#[derive(Clone, Copy)]
pub struct New<'n> {
    /// Its name.
    pub name: &'n [u8],
    /// Its loader can load this library.
    pub preload: bool,
    /// The guard will be in it, so it gets the backstop's key.
    pub guarded: bool,
    /// Device and inode that it must have as its program; zeros where the guard in it is not to look.
    pub image: (u64, u64),
}

impl<'n> New<'n> {
    /// A program named `name` that is guarded so far.
    pub fn of(name: &'n [u8], guarding: Guarding) -> New<'n> {
        let guarded = matches!(guarding, Guarding::Whole);
        New { name, preload: !matches!(guarding, Guarding::None), guarded, image: (0, 0) }
    }

    /// The same, of which it is known what it must run.
    pub fn running(self, image: (u64, u64)) -> New<'n> {
        New { image, ..self }
    }
}

/// Whether the new program's loader will find the library: in a chroot it may not, and would say so on standard error.
fn library_is_there() -> bool {
    let library = &state::settled().library;
    !library.bytes().starts_with(b"/") || library.bytes().contains(&b'$') || sys::stat(library.c_str()).is_some()
}

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
pub fn variable(name: &[u8]) -> Option<&'static [u8]> {
    let vector = of_process().load(Ordering::Acquire).cast_const();
    if vector.is_null() {
        return None;
    }
    let (mut entries, mut strings) = (Reader::default(), Reader::default());
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

/// Takes out of `environ` what the guard put in, before the program looks at it. The strings stay where they are, but for
/// the key, which is nobody else's business.
pub fn scrub(injected: bool) {
    let vector = of_process().load(Ordering::Acquire);
    if vector.is_null() {
        return;
    }
    let (mut from, mut to) = (0_usize, 0_usize);
    loop {
        // SAFETY: in the constructor `environ` is the vector that the kernel laid down, which ends in NULL.
        let entry = unsafe { *vector.wrapping_add(from) };
        if !entry.is_null() {
            // SAFETY: as above; the entries are C strings.
            if unsafe { begins(entry, KEY) } {
                let mut at = entry.cast_mut().wrapping_add(KEY.len());
                // SAFETY: the kernel laid the string on this process's stack, and it ends in NUL.
                unsafe {
                    while at.read() != 0 {
                        at.write(b'0');
                        at = at.wrapping_add(1);
                    }
                }
            }
            // SAFETY: as above.
            if unsafe { is_own(entry) || (injected && begins(entry, PRELOAD)) } {
                from = from.wrapping_add(1);
                continue;
            }
        }
        if from != to {
            // SAFETY: `to` is behind `from` in the same vector.
            unsafe { *vector.wrapping_add(to) = entry };
        }
        if entry.is_null() {
            // SAFETY: what lies between the two ends of the vector was entries of it.
            unsafe { ignore(vector.wrapping_add(to).wrapping_add(1).cast(), from.wrapping_sub(to)) };
            return;
        }
        from = from.wrapping_add(1);
        to = to.wrapping_add(1);
    }
}

/// Makes words between the environment's end and the auxiliary values values that say nothing (AT_IGNORE, and 0): programs
/// without libc, such as Go's, begin to read there. The guard puts in an even number of variables; of an odd number, which
/// only somebody else can have put in, one stays.
///
/// # Safety
/// The words must be the caller's to write.
unsafe fn ignore(at: *mut [usize; 2], words: usize) {
    const AT_IGNORE: usize = 1;
    if words.is_multiple_of(2) {
        for pair in 0..words / 2 {
            // SAFETY: as the caller promises.
            unsafe { at.wrapping_add(pair).write([AT_IGNORE, 0]) };
        }
    }
}
