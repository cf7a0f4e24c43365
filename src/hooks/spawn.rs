//! What starts a program in a new process, inside libc: posix_spawn, popen, system.

use super::fail;
use super::table::real;
use crate::backstop;
use crate::environment::{self, New, Vector};
use crate::judge::{self, By, Decision, Exec, Refused, Target};
use crate::memory::{PathCopy, Reader};
use crate::request;
use core::ffi::{CStr, c_char, c_int, c_void};

/// Judges a program that `go` starts in a new process; gives `refused(errno)` where it may not be started.
fn start<R>(
    target: Target<'_>,
    argv: Vector,
    envp: Vector,
    go: impl FnOnce(Vector) -> R,
    refused: impl FnOnce(i32) -> R,
) -> R {
    let exec = Exec { target, argv, envp, forged: false, standard: [0, 1, 2], shell_fallback: false, replaces: false };
    request::for_exec(envp, |served| match judge::exec(By::This, served, &exec) {
        Err(Refused(errno)) => refused(errno),
        Ok(guarding) => environment::in_room(envp, New::of(exec.name().bytes(), guarding), served, go),
    })
}

/// One of the posix_spawn family: they differ in whether the program is looked for, and in what the first argument is.
macro_rules! spawns {
    ($($(#[$doc:meta])* $name:ident ($first:ty) $target:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// As libc's.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name(
                first: *mut $first,
                path: *const c_char,
                actions: *const libc::posix_spawn_file_actions_t,
                attributes: *const libc::posix_spawnattr_t,
                argv: *const *mut c_char,
                envp: *const *mut c_char,
            ) -> c_int {
                let Some(real) = real::$name() else { return libc::ENOSYS };
                // SAFETY: as the caller promises.
                let go = |path: *const c_char, envp: Vector| unsafe {
                    real(first, path, actions, attributes, argv, envp.cast())
                };
                let mut room = PathCopy::new();
                let Some(copy) = room.of(path) else { return go(path, envp.cast()) };
                let target = $target(copy);
                start(target, argv.cast(), envp.cast(), |envp| go(copy.as_ptr(), envp), |errno| errno)
            }
        )*
    };
}

fn by_path(path: &CStr) -> Target<'_> {
    Target::Path(libc::AT_FDCWD, path)
}

spawns! {
    /// posix_spawn(3).
    posix_spawn (libc::pid_t) by_path;
    /// posix_spawnp(3).
    posix_spawnp (libc::pid_t) Target::Search;
    /// pidfd_spawn(3), from glibc 2.39 on.
    pidfd_spawn (c_int) by_path;
    /// pidfd_spawnp(3), from glibc 2.39 on.
    pidfd_spawnp (c_int) Target::Search;
}

/// The shell that popen and system start inside libc (`_PATH_BSHELL`), judged here since its exec cannot be hooked.
fn shell(command: *const c_char, go: impl FnOnce()) -> Decision {
    let argv = [c"sh".as_ptr(), c"-c".as_ptr(), command, core::ptr::null()];
    let target = Target::Path(libc::AT_FDCWD, c"/bin/sh");
    let (argv, envp) = (argv.as_ptr().cast(), environment::current());
    let exec = Exec { target, argv, envp, forged: false, standard: [0, 1, 2], shell_fallback: false, replaces: false };
    request::for_exec(envp, |served| {
        let guarding = judge::exec(By::This, served, &exec)?;
        environment::swapped(New::of(b"sh", guarding), served, go);
        Ok(())
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
