//! What starts a program in a new process, inside libc: posix_spawn, popen, system.

use super::fail;
use super::table::real;
use crate::environment;
use crate::judge::{self, Answer, Exec, Target};
use crate::memory::PathCopy;
use crate::request;
use core::ffi::{c_char, c_int};

/// posix_spawn(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn posix_spawn(
    pid: *mut libc::pid_t,
    path: *const c_char,
    actions: *const libc::posix_spawn_file_actions_t,
    attributes: *const libc::posix_spawnattr_t,
    argv: *const *mut c_char,
    envp: *const *mut c_char,
) -> c_int {
    let Some(real) = real::posix_spawn() else { return libc::ENOSYS };
    // SAFETY: as the caller promises.
    let go = |path: *const c_char, envp: environment::Vector| unsafe {
        real(pid, path, actions, attributes, argv, envp.cast())
    };
    let Some(copy) = PathCopy::of(path) else { return go(path, envp.cast()) };
    let target = Target::Path(libc::AT_FDCWD, copy.c_str());
    let exec = Exec { target, argv: argv.cast(), shell_fallback: false, replaces: false };
    let spawn = |envp: environment::Vector| go(copy.c_str().as_ptr(), envp);
    request::for_exec(envp.cast(), |served| match judge::exec(&exec, served) {
        Answer::Refuse(errno) => errno,
        Answer::Guard => environment::with(envp.cast(), exec.name().bytes(), served, spawn),
        Answer::Bare => spawn(envp.cast()),
    })
}

/// posix_spawnp(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn posix_spawnp(
    pid: *mut libc::pid_t,
    file: *const c_char,
    actions: *const libc::posix_spawn_file_actions_t,
    attributes: *const libc::posix_spawnattr_t,
    argv: *const *mut c_char,
    envp: *const *mut c_char,
) -> c_int {
    let Some(real) = real::posix_spawnp() else { return libc::ENOSYS };
    // SAFETY: as the caller promises.
    let go = |file: *const c_char, envp: environment::Vector| unsafe {
        real(pid, file, actions, attributes, argv, envp.cast())
    };
    let Some(copy) = PathCopy::of(file) else { return go(file, envp.cast()) };
    let exec = Exec { target: Target::Search(copy.c_str()), argv: argv.cast(), shell_fallback: false, replaces: false };
    let spawn = |envp: environment::Vector| go(copy.c_str().as_ptr(), envp);
    request::for_exec(envp.cast(), |served| match judge::exec(&exec, served) {
        Answer::Refuse(errno) => errno,
        Answer::Guard => environment::with(envp.cast(), exec.name().bytes(), served, spawn),
        Answer::Bare => spawn(envp.cast()),
    })
}

/// The shell that popen and system start inside libc (`_PATH_BSHELL`), judged here since its exec cannot be hooked.
fn shell(command: *const c_char, go: impl FnOnce()) -> Result<(), i32> {
    let argv = [c"sh".as_ptr(), c"-c".as_ptr(), command, core::ptr::null()];
    let target = Target::Path(libc::AT_FDCWD, c"/bin/sh");
    let exec = Exec { target, argv: argv.as_ptr().cast(), shell_fallback: false, replaces: false };
    request::for_exec(environment::current(), |served| {
        match judge::exec(&exec, served) {
            Answer::Refuse(errno) => return Err(errno),
            Answer::Guard => environment::swapped(b"sh", served, go),
            Answer::Bare => go(),
        }
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
        None => Err(libc::ENOSYS),
    };
    if let Err(errno) = done {
        fail(errno);
    }
    stream
}

/// system(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn system(command: *const c_char) -> c_int {
    let Some(real) = real::system() else { return fail(libc::ENOSYS) };
    if command.is_null() {
        // Asks only whether there is a shell.
        // SAFETY: null is allowed.
        return unsafe { real(command) };
    }
    let mut status = -1;
    // SAFETY: as the caller promises.
    match shell(command, || status = unsafe { real(command) }) {
        Ok(()) => status,
        Err(errno) => fail(errno),
    }
}
