//! Makes the environment of a new program: the caller's, with the library and its context added. Never edits it in place.

mod loader;
mod made;
mod plan;
mod room;
mod scrub;
mod start;
mod steering;

pub use loader::{foreign_loader, remember_loader};
pub use made::{for_new_process, with};
pub use room::{SIGN, SIGN_ADDRESS, Sign, room_address, set_room};
pub use scrub::scrub;
pub use start::{first_argument, start};
pub use steering::{remember_start, steering};

use crate::action::Guarding;
use crate::process::state;
use crate::sys;
use crate::sys::Reader;
use crate::sys::Vector;
use core::ffi::CStr;
use portcullis_request::context::{self, Finds, HANDED, Handed};
use portcullis_request::environment::{CONTEXT, OWN, PRELOAD};

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

/// How the names of the libraries begin that have to be the first: they replace libc's functions, and end the program, or crash it,
/// where another library comes before them.
const FIRST: [&[u8]; 4] = [b"libasan.", b"libtsan.", b"libhwasan.", b"libclang_rt."];

/// Whether the library of this file name has to be the first.
pub fn has_to_be_first(name: &[u8]) -> bool {
    FIRST.into_iter().any(|first| name.starts_with(first))
}

/// What stands before this library's path in the LD_PRELOAD of a program that does not load it, and hands it on. glibc's loader
/// replaces `$LIB` by a folder that is there, and goes up from it to the root; musl's finds no such file, and says nothing.
const PASSED_OVER: &[u8] = b"/$LIB/../../../../../../../..";

/// A variable without meaning, if the number of the others would be odd.
const PADDING_ENTRY: &CStr = c"PORTCULLIS_PADDING=";

/// The part of the context about descriptors, in an environment that was made here.
pub fn handed_in(envp: Vector) -> Option<Handed> {
    let reader = Reader::default();
    for index in 0.. {
        let entry = reader.pointer(envp, index)?;
        if entry.is_null() {
            break;
        }
        if let Some(value) = reader.string(entry, CONTEXT.len())?.strip_prefix(CONTEXT)
            && value.is_empty()
        {
            let value = reader.string(entry.wrapping_add(CONTEXT.len()), usize::MAX)?;
            return context::parse(value).map(|inherited| inherited.handed);
        }
    }
    None
}

/// Whether an entry of an LD_PRELOAD is this library.
fn is_this(entry: &[u8]) -> bool {
    let library = state::settled().library.bytes();
    !library.is_empty() && entry.strip_prefix(PASSED_OVER).unwrap_or(entry) == library
}

/// The path of this library, of which the loader has `found` as it stood in LD_PRELOAD.
pub fn without_detour(found: &[u8]) -> &[u8] {
    // Expanded, only the end of what goes before is known.
    let up = PASSED_OVER.get(b"/$LIB".len()..).unwrap_or_default();
    let at = found.windows(up.len()).position(|part| part == up);
    at.and_then(|at| found.get(at.wrapping_add(up.len())..)).filter(|path| path.starts_with(b"/")).unwrap_or(found)
}

/// The program that an environment is for.
#[derive(Clone, Copy)]
pub struct New<'n> {
    /// Its name.
    pub name: &'n [u8],
    /// How much of the guard it gets.
    pub guarding: Guarding,
    /// Device and inode that it must have as its program; zeros where the guard in it is not to look.
    pub image: (u64, u64),
    /// What it only finds, for a script.
    pub finds: Finds,
    /// The descriptors that it is handed, as in [`Inherited::handed`](portcullis_request::context::Inherited::handed).
    pub handed: Handed,
}

impl<'n> New<'n> {
    /// A program named `name` that is guarded so far.
    pub fn of(name: &'n [u8], guarding: Guarding) -> New<'n> {
        New { name, guarding, image: (0, 0), finds: Finds::Nothing, handed: [[0; 3]; HANDED] }
    }

    /// Whether the guard will be in it, so that it gets the backstop's key.
    pub fn is_guarded(&self) -> bool {
        matches!(self.guarding, Guarding::Whole)
    }

    /// The same, of which it is known what it must run.
    pub fn running(self, image: (u64, u64), finds: Finds) -> New<'n> {
        New { image, finds, ..self }
    }
}

/// What a program gets that is started unchanged: everything, if the library is in its root directory.
pub fn guarding() -> Guarding {
    if library_is_there() { Guarding::Whole } else { Guarding::None }
}

/// Whether a new program's loader will find this library: in a chroot it may not, and would say so on standard error; in mounts of
/// somebody's own it may find something else.
pub fn library_is_there() -> bool {
    let settled = state::settled();
    let (library, (own, _)) = (&settled.library, &settled.library_file);
    if !library.bytes().starts_with(b"/") || library.bytes().contains(&b'$') {
        return true;
    }
    match sys::which(library.c_str()) {
        Ok(now) => now.identity == own.identity || is_another_of_it(now),
        // The kernel does not tell (before 4.11, or a filter of somebody's).
        Err(libc::ENOSYS | libc::EPERM) => sys::stat(library.c_str()).is_some(),
        Err(_) => false,
    }
}

/// Whether another file than the one that runs is this library all the same: one that root has installed in its place, in the same
/// mount, or a copy of it.
#[cold]
#[inline(never)]
fn is_another_of_it(now: sys::Which) -> bool {
    /// The ELF header, the program headers and the build-id, which no two builds have in common.
    const HEAD: usize = 1024;
    let settled = state::settled();
    let (own, first) = settled.library_file;
    // In a user namespace of its own, anybody may be called root.
    if !now.is_root_s || !sys::sees_root() {
        return false;
    }
    if own == sys::Which::UNKNOWN || now.mount == own.mount {
        return true;
    }
    let Ok(file) = sys::open(libc::AT_FDCWD, settled.library.c_str(), libc::O_RDONLY | libc::O_NONBLOCK, 0) else {
        return false;
    };
    // SAFETY: the library's first segment begins with the file's first page, and stays mapped as long as this code.
    let running = unsafe { core::slice::from_raw_parts(first as *const u8, HEAD) };
    sys::read_head(file.0, &mut [0; HEAD]) == Some(running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_what_stands_behind_the_way_round() {
        let expanded = b"/lib/x86_64-linux-gnu/../../../../../../../../usr/lib/guard.so";
        assert_eq!(without_detour(expanded), b"/usr/lib/guard.so");
        assert_eq!(without_detour(&[PASSED_OVER, b"/guard.so"].concat()), b"/guard.so");
        for path in [&b"/usr/lib/guard.so"[..], b"guard.so", b"/a/../guard.so", b""] {
            assert_eq!(without_detour(path), path);
        }
    }
}
