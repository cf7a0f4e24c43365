//! The exec family: everything that replaces the program of the calling process.

use super::fail;
use super::table::real;
use crate::environment::{self, Vector};
use crate::judge::{self, Answer, Exec, Target};
use crate::memory::PathCopy;
use crate::request;
use core::ffi::{c_char, c_int};

/// Judges `exec`, then calls `go` with the environment for the new program.
fn start(exec: &Exec<'_>, envp: Vector, go: impl FnOnce(Vector) -> c_int) -> c_int {
    request::for_exec(envp, |served| match judge::exec(exec, served) {
        Answer::Refuse(errno) => fail(errno),
        Answer::Guard => environment::with(envp, exec.name().bytes(), served, go),
        Answer::Bare => go(envp),
    })
}

fn replace(target: Target<'_>, argv: Vector, shell_fallback: bool) -> Exec<'_> {
    Exec { target, argv, shell_fallback, replaces: true }
}

/// execve(2).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    let Some(real) = real::execve() else { return fail(libc::ENOSYS) };
    // SAFETY: as the caller promises; the kernel checks every pointer.
    let go = |path: *const c_char, envp: Vector| unsafe { real(path, argv, envp.cast()) };
    match PathCopy::of(path) {
        Some(path) => {
            start(&replace(Target::Path(libc::AT_FDCWD, path.c_str()), argv.cast(), false), envp.cast(), |envp| {
                go(path.c_str().as_ptr(), envp)
            })
        }
        None => go(path, envp.cast()),
    }
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
    let Some(real) = real::execvpe() else { return fail(libc::ENOSYS) };
    // SAFETY: as the caller promises.
    let go = |file: *const c_char, envp: Vector| unsafe { real(file, argv, envp.cast()) };
    match PathCopy::of(file) {
        Some(file) => start(&replace(Target::Search(file.c_str()), argv.cast(), true), envp.cast(), |envp| {
            go(file.c_str().as_ptr(), envp)
        }),
        None => go(file, envp.cast()),
    }
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
    let Some(real) = real::fexecve() else { return fail(libc::ENOSYS) };
    // SAFETY: as the caller promises.
    start(&replace(Target::Descriptor(fd), argv.cast(), false), envp.cast(), |envp| unsafe {
        real(fd, argv, envp.cast())
    })
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
    let Some(real) = real::execveat() else { return fail(libc::ENOSYS) };
    // SAFETY: as the caller promises.
    let go = |path: *const c_char, envp: Vector| unsafe { real(at, path, argv, envp.cast(), flags) };
    let Some(copy) = PathCopy::of(path) else { return go(path, envp.cast()) };
    let target = match copy.c_str().is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
        true => Target::Descriptor(at),
        false => Target::Path(at, copy.c_str()),
    };
    start(&replace(target, argv.cast(), false), envp.cast(), |envp| go(copy.c_str().as_ptr(), envp))
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
