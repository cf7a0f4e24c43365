//! execvpe(3) without libc's: the search along PATH, and the shell for a file of no known format, as glibc has them
//! (posix/execvpe.c). Used where the backstop is on, whose secret libc's own calls do not carry.

use super::{errno, fail};
use crate::environment::{self, Vector};
use crate::memory::{Reader, Text};
use crate::{gate, sys};
use core::ffi::{CStr, c_int};

/// The longest name of a file.
const NAME_MAX: usize = 255;
/// Arguments that the stack has room for; more go into a mapping.
const ON_STACK: usize = 128;

/// # Safety
/// As execvpe's.
pub unsafe fn along_path(file: &CStr, argv: Vector, envp: Vector) -> c_int {
    let name = file.to_bytes();
    if name.is_empty() {
        return fail(libc::ENOENT);
    }
    if name.contains(&b'/') {
        // SAFETY: as the caller promises.
        return unsafe { start(file, argv, envp) };
    }
    if name.len() > NAME_MAX {
        return fail(libc::ENAMETOOLONG);
    }
    let path = environment::variable(b"PATH").unwrap_or(b"/bin:/usr/bin");
    let mut forbidden = false;
    for folder in path.split(|&byte| byte == b':') {
        let mut candidate = Text::<4096>::new();
        candidate.push(folder);
        if !folder.is_empty() {
            candidate.push(b"/");
        }
        candidate.push(name);
        if !candidate.fits() {
            continue;
        }
        // SAFETY: as the caller promises.
        unsafe { start(candidate.c_str(), argv, envp) };
        match errno() {
            libc::EACCES => forbidden = true,
            libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT => {}
            _ => return -1,
        }
    }
    fail(if forbidden { libc::EACCES } else { libc::ENOENT })
}

/// Executes a file; one of no known format by the shell.
///
/// # Safety
/// As execve's.
unsafe fn start(path: &CStr, argv: Vector, envp: Vector) -> c_int {
    // SAFETY: as the caller promises.
    let result = unsafe { gate::execve(path.as_ptr(), argv, envp) };
    if errno() != libc::ENOEXEC {
        return result;
    }
    let mut reader = Reader::default();
    let mut count = 0_usize;
    while !argv.is_null() && reader.pointer(argv, count).is_some_and(|argument| !argument.is_null()) {
        count = count.wrapping_add(1);
    }
    let needed = count.wrapping_add(3);
    let mut stack = [core::ptr::null(); ON_STACK];
    if needed <= ON_STACK {
        // SAFETY: as the caller promises.
        return unsafe { by_shell(path, argv, count, envp, &mut stack) };
    }
    let size = needed.wrapping_mul(8);
    let Some(at) = sys::allocate(size) else { return fail(libc::ENOMEM) };
    // SAFETY: the mapping is that long, zeroed (null pointers) and nobody else's.
    let vector = unsafe { core::slice::from_raw_parts_mut(at.cast::<*const u8>(), needed) };
    // SAFETY: as the caller promises.
    let result = unsafe { by_shell(path, argv, count, envp, vector) };
    let kept = errno();
    sys::munmap(at, size);
    fail(kept);
    result
}

/// # Safety
/// `argv` must have `count` arguments that were read.
unsafe fn by_shell(path: &CStr, argv: Vector, count: usize, envp: Vector, vector: &mut [*const u8]) -> c_int {
    let head = [c"/bin/sh".as_ptr().cast(), path.as_ptr().cast()];
    // SAFETY: as the caller promises.
    let rest = (1..count).map(|index| unsafe { *argv.wrapping_add(index) });
    for (to, from) in vector.iter_mut().zip(head.into_iter().chain(rest)) {
        *to = from;
    }
    // SAFETY: as the caller promises; the vector ends in NULL.
    unsafe { gate::execve(c"/bin/sh".as_ptr(), vector.as_ptr(), envp) }
}
