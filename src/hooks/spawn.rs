//! What starts a shell inside libc: popen, system, wordexp.

use super::fail;
use super::table::real;
use crate::backstop;
use crate::environment::{self, New};
use crate::judge::{self, By, Cleared, Decision, Exec, Refused, Target};
use crate::memory::Reader;
use crate::request;
use core::ffi::{c_char, c_int, c_void};

/// The shell that popen and system start inside libc (`_PATH_BSHELL`), judged here since its exec cannot be hooked.
fn shell(command: *const c_char, go: impl FnOnce()) -> Decision {
    let argv = [c"sh".as_ptr(), c"-c".as_ptr(), command, core::ptr::null()];
    let target = Target::Path(libc::AT_FDCWD, c"/bin/sh");
    let (argv, envp) = (argv.as_ptr().cast(), environment::current());
    let exec = Exec {
        target,
        searched: None,
        unknown: None,
        argv,
        envp,
        forged: false,
        standard: [0, 1, 2],
        shell_fallback: false,
        replaces: false,
    };
    request::for_exec(envp, |served| match judge::exec(By::This, served, &exec)? {
        Cleared::Absent(errno) => Err(Refused(errno)),
        Cleared::Start(start) => {
            environment::swapped(New::of(b"sh", start.guarding).running(start.image), served, go);
            Ok(())
        }
    })
}

/// popen(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn popen(command: *const c_char, kind: *const c_char) -> *mut libc::FILE {
    let mut stream = core::ptr::null_mut();
    let done = match real::popen() {
        // SAFETY: as the caller promises.
        Some(real) => shell(command, || stream = unsafe { real(command, kind) }),
        None => Err(Refused(libc::ENOSYS)),
    };
    if let Err(Refused(errno)) = done {
        fail(errno);
    }
    stream
}

/// `popen` by its other name.
///
/// # Safety
/// As [`popen`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn _IO_popen(command: *const c_char, kind: *const c_char) -> *mut libc::FILE {
    // SAFETY: as the caller promises.
    unsafe { popen(command, kind) }
}

/// The inner part of popen, which glibc exports: the stream is there already.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn _IO_proc_open(
    stream: *mut libc::FILE,
    command: *const c_char,
    kind: *const c_char,
) -> *mut libc::FILE {
    let mut opened = core::ptr::null_mut();
    let done = match real::_IO_proc_open() {
        // SAFETY: as the caller promises.
        Some(real) => shell(command, || opened = unsafe { real(stream, command, kind) }),
        None => Err(Refused(libc::ENOSYS)),
    };
    if let Err(Refused(errno)) = done {
        fail(errno);
    }
    opened
}

/// wordexp's flag against command substitution, and what it gives then (wordexp.h).
const WRDE_NOCMD: c_int = 1 << 2;
const WRDE_CMDSUB: c_int = 4;
const WRDE_NOSPACE: c_int = 1;

/// wordexp(3), which runs a shell for each command substitution in the words.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn wordexp(words: *const c_char, result: *mut c_void, flags: c_int) -> c_int {
    let Some(real) = real::wordexp() else { return WRDE_NOSPACE };
    // SAFETY: as the caller promises.
    let go = || unsafe { real(words, result, flags) };
    // The words' beginning is enough for most; what is longer is taken to have a substitution in it.
    const LOOKED_AT: usize = 1 << 16;
    let text = Reader::default().string(words.cast(), LOOKED_AT).unwrap_or_default();
    let substitutes = text.len() == LOOKED_AT || text.contains(&b'`') || text.windows(2).any(|two| two == b"$(");
    if flags & WRDE_NOCMD != 0 || !substitutes {
        return go();
    }
    let mut done = WRDE_CMDSUB;
    match shell(words, || done = backstop::expecting(go)) {
        Ok(()) => done,
        Err(_) => WRDE_CMDSUB,
    }
}

/// system(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn system(command: *const c_char) -> c_int {
    let Some(real) = real::system() else { return fail(libc::ENOSYS) };
    if command.is_null() {
        // Asks only whether there is a shell; glibc finds out by running one that does nothing.
        // SAFETY: null is allowed.
        return backstop::expecting(|| unsafe { real(command) });
    }
    let mut status = -1;
    // SAFETY: as the caller promises.
    match shell(command, || status = unsafe { real(command) }) {
        Ok(()) => status,
        Err(Refused(errno)) => fail(errno),
    }
}
