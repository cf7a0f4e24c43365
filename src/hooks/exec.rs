//! The exec family: everything that replaces the program of the calling process.

use super::fail;
use crate::environment::{self, New, Vector};
use crate::judge::{self, By, Exec, Refused, Target};
use crate::memory::PathCopy;
use crate::{gate, merge, request};
use core::ffi::{c_char, c_int};

/// Judges `exec`, then calls `go` with the environment for the new program.
fn start(exec: &Exec<'_>, envp: Vector, mut go: impl FnMut(Vector) -> c_int) -> c_int {
    request::for_exec(envp, |served| match judge::exec(By::This, served, exec) {
        Err(Refused(errno)) => fail(errno),
        Ok(guarding) => {
            merge::say_all();
            let done = environment::with(envp, New::of(exec.name().bytes(), guarding), served, &mut go);
            // An environment that cannot be made is for the policy to decide.
            done.unwrap_or_else(|what| match judge::exec(By::This, served, &Exec { unknown: Some(what), ..*exec }) {
                Err(Refused(errno)) => fail(errno),
                Ok(_) => go(envp),
            })
        }
    })
}

fn replace(target: Target<'_>, argv: Vector, envp: Vector, shell_fallback: bool) -> Exec<'_> {
    Exec { target, argv, envp, forged: false, standard: [0, 1, 2], shell_fallback, replaces: true, unknown: None }
}

/// execve(2).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    let (argv, envp): (Vector, Vector) = (argv.cast(), envp.cast());
    // SAFETY: as the caller promises; the kernel checks every pointer.
    let go = |path: *const c_char, envp: Vector| unsafe { gate::execve(path, argv, envp) };
    let mut room = PathCopy::new();
    let Some(copy) = room.of(path) else { return go(path, envp) };
    let exec = replace(Target::Path(libc::AT_FDCWD, copy), argv, envp, false);
    start(&exec, envp, |envp| go(copy.as_ptr(), envp))
}

/// execv(3).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execv(path: *const c_char, argv: *const *const c_char) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { execve(path, argv, environment::current().cast()) }
}

/// execvpe(3).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execvpe(file: *const c_char, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    let (argv, envp): (Vector, Vector) = (argv.cast(), envp.cast());
    let mut room = PathCopy::new();
    let Some(copy) = room.of(file) else {
        // What cannot be read, the kernel refuses.
        // SAFETY: as the caller promises.
        return unsafe { gate::execve(file, argv, envp) };
    };
    let exec = replace(Target::Search(copy), argv, envp, true);
    // SAFETY: as the caller promises.
    start(&exec, envp, |envp| unsafe { gate::execvpe(copy, argv, envp) })
}

/// execvp(3).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execvp(file: *const c_char, argv: *const *const c_char) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { execvpe(file, argv, environment::current().cast()) }
}

/// fexecve(3).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn fexecve(fd: c_int, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    let (argv, envp): (Vector, Vector) = (argv.cast(), envp.cast());
    let exec = replace(Target::Descriptor(fd), argv, envp, false);
    // SAFETY: as the caller promises.
    start(&exec, envp, |envp| unsafe { gate::fexecve(fd, argv, envp) })
}

/// execveat(2).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execveat(
    at: c_int,
    path: *const c_char,
    argv: *const *mut c_char,
    envp: *const *mut c_char,
    flags: c_int,
) -> c_int {
    let (argv, envp): (Vector, Vector) = (argv.cast(), envp.cast());
    // SAFETY: as the caller promises.
    let go = |path: *const c_char, envp: Vector| unsafe { gate::execveat(at, path, argv, envp, flags) };
    let mut room = PathCopy::new();
    let Some(copy) = room.of(path) else { return go(path, envp) };
    let target = match copy.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
        true => Target::Descriptor(at),
        false => Target::Path(at, copy),
    };
    start(&replace(target, argv, envp, false), envp, |envp| go(copy.as_ptr(), envp))
}

/// A hook that is a jump to the C function of shim/variadic.c: its arguments stay where the caller put them.
macro_rules! variadic {
    ($(#[$doc:meta])* $name:ident => $shim:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            unsafe extern "C" {
                fn $shim();
            }
            #[cfg(target_arch = "x86_64")]
            core::arch::naked_asm!("jmp {}", sym $shim);
            #[cfg(target_arch = "aarch64")]
            core::arch::naked_asm!("b {}", sym $shim);
        }
    };
}

variadic!(
    /// execl(3).
    execl => portcullis_shim_execl
);
variadic!(
    /// execlp(3).
    execlp => portcullis_shim_execlp
);
variadic!(
    /// execle(3).
    execle => portcullis_shim_execle
);
