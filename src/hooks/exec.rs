//! The exec family: everything that replaces the program of the calling process.

use super::attempt::{self};
use super::{errno, fail};
use crate::action::{Exec, ExecTarget};
use crate::child::environment::{self, New};
use crate::judge;
use crate::process::environ;
use crate::process::stack;
use crate::process::state::{self, Role};
use crate::real::gate::{self, Way};
use crate::real::search;
use crate::real::search::Failed;
use crate::report::merge;
use crate::request::ServedRequest;
use crate::sys::PathCopy;
use crate::sys::Vector;
use crate::{request, sys};
use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int};
use portcullis_policy::Unknown;

/// Judges `exec`, then calls `go` with the arguments and the environment for the new program, and with the descriptor of its file
/// where it is to be run by that.
fn attempt(exec: &Exec<'_>, served: &ServedRequest, go: impl Fn(Vector, Vector, Option<c_int>) -> c_int) -> Failed {
    let run = |start: &judge::Start, is_checked: bool| {
        let go = |envp| {
            let go = |argv| stack::back(|| go(argv, envp, start.by_descriptor()));
            let done = attempt::arguments(start, exec, go);
            done.unwrap_or_else(|| fail(libc::E2BIG))
        };
        merge::say_all();
        let name = exec.name();
        let new = New::of(name.bytes(), start.guarding).running(start.image, start.finds);
        let tried = environment::with(exec.envp, new, served, |envp| {
            (!is_checked || start.still_is(&exec.target)).then(|| go(envp))
        });
        let failed = |_| match errno() {
            libc::ENOEXEC => Failed::Format(start.as_shell),
            errno => Failed::Kernel(errno),
        };
        match tried {
            Ok(tried) => tried.map(failed),
            Err(what) => Some(unmade(served, exec, what, || go(exec.envp))),
        }
    };
    attempt::attempt(served, exec, run).unwrap_or_else(|failed| failed)
}

/// Calls `go` without an environment of the guard's, which cannot be made, where the policy lets it.
fn unmade(served: &ServedRequest, exec: &Exec<'_>, what: Unknown, go: impl FnOnce() -> c_int) -> Failed {
    attempt::unknown(served, exec, what, go).map_or_else(|failed| failed, |_| Failed::Kernel(errno()))
}

fn replace(target: ExecTarget<'_>, argv: Vector, envp: Vector) -> Exec<'_> {
    Exec {
        target,
        searched: None,
        unknown: None,
        argv,
        envp,
        forged: false,
        standard: [0, 1, 2],
        shell_fallback: false,
        replaces: true,
    }
}

/// Attempts `exec`, of a path relative to `at`.
fn attempt_at(way: Way, exec: &Exec<'_>, served: &ServedRequest, at: c_int, path: &CStr, flags: c_int) -> Failed {
    attempt(exec, served, |argv, envp, actor| match actor {
        // What other flags say (AT_SYMLINK_NOFOLLOW, AT_EXECVE_CHECK), they say of a path.
        // SAFETY: the vectors are the caller's, whose pointers the kernel checks; the path is a C string.
        Some(file) if flags & !libc::AT_EMPTY_PATH == 0 => unsafe {
            gate::execveat(way, file, c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH)
        },
        // SAFETY: as above.
        _ if at == libc::AT_FDCWD && flags == 0 => unsafe { gate::execve(way, path.as_ptr(), argv, envp) },
        // SAFETY: as above.
        _ => unsafe { gate::execveat(way, at, path.as_ptr(), argv, envp, flags) },
    })
}

/// execve(2).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    executed(Way::Libc, path, argv.cast(), envp.cast())
}

/// Executes a path.
pub(super) fn executed(way: Way, path: *const c_char, argv: Vector, envp: Vector) -> c_int {
    stack::through(|| executed_here(way, path, argv, envp))
}

fn executed_here(way: Way, path: *const c_char, argv: Vector, envp: Vector) -> c_int {
    let mut room = PathCopy::new();
    let copy = match room.of(path) {
        Ok(copy) => copy,
        Err(errno) => return fail(errno),
    };
    let exec = replace(ExecTarget::Path(libc::AT_FDCWD, copy), argv, envp);
    request::for_exec(exec.envp, |served| attempt_at(way, &exec, served, libc::AT_FDCWD, copy, 0)).fail()
}

/// execv(3).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execv(path: *const c_char, argv: *const *const c_char) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { execve(path, argv, environ::current().cast()) }
}

/// execvpe(3). Each candidate along PATH is judged and executed in turn; what the kernel does not know the format of is run
/// by the shell.
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execvpe(file: *const c_char, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    stack::through(|| searched(file, argv.cast(), envp.cast()))
}

fn searched(file: *const c_char, argv: Vector, envp: Vector) -> c_int {
    let mut room = PathCopy::new();
    let copy = match room.of(file) {
        Ok(copy) => copy,
        Err(errno) => return fail(errno),
    };
    request::for_exec(envp, |served| {
        search::along_path(copy, |candidate, searched| {
            let target = ExecTarget::Path(libc::AT_FDCWD, candidate);
            let shell_fallback = !state::has_other_libc();
            let exec = Exec { searched: searched.then_some(copy), shell_fallback, ..replace(target, argv, envp) };
            match attempt_at(Way::Libc, &exec, served, libc::AT_FDCWD, candidate, 0) {
                Failed::Format(decide) if shell_fallback => by_shell(&exec, served, candidate, decide),
                failed => failed,
            }
        })
    })
    .fail()
}

/// Runs a file of no known format by the shell, as execvp does, which is judged unless it was `judged`.
fn by_shell(exec: &Exec<'_>, served: &ServedRequest, file: &CStr, decide: bool) -> Failed {
    let failed = Cell::new(Failed::Kernel(libc::E2BIG));
    search::with_shell_arguments(file, exec.argv, |argv| {
        let shell = replace(ExecTarget::Path(libc::AT_FDCWD, c"/bin/sh"), argv, exec.envp);
        failed.set(if decide {
            let new = New::of(b"sh", environment::guarding());
            // SAFETY: the vector ends in NULL and has the caller's arguments; the kernel checks every pointer.
            let go = |envp| stack::back(|| unsafe { gate::execve(Way::Libc, c"/bin/sh".as_ptr(), argv, envp) });
            match environment::with(exec.envp, new, served, go) {
                Ok(_) => Failed::Kernel(errno()),
                Err(what) => unmade(served, &shell, what, || go(exec.envp)),
            }
        } else {
            attempt_at(Way::Libc, &shell, served, libc::AT_FDCWD, c"/bin/sh", 0)
        });
    });
    failed.get()
}

/// execvp(3).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execvp(file: *const c_char, argv: *const *const c_char) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { execvpe(file, argv, environ::current().cast()) }
}

/// fexecve(3).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn fexecve(fd: c_int, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    let exec = replace(ExecTarget::Descriptor(fd), argv.cast(), envp.cast());
    // As glibc has it (sysdeps/unix/sysv/linux/fexecve.c); musl leaves it to the kernel.
    if (fd < 0 || argv.is_null() || envp.is_null()) && !state::has_other_libc() {
        return fail(libc::EINVAL);
    }
    let go = |argv, envp, actor: Option<c_int>| {
        // SAFETY: the vectors are the caller's, whose pointers the kernel checks.
        unsafe { gate::fexecve(actor.unwrap_or(fd), argv, envp) }
    };
    stack::through(|| request::for_exec(exec.envp, |served| attempt(&exec, served, go)).fail())
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
    executed_at(Way::Libc, at, path, (argv.cast(), envp.cast()), flags)
}

/// Executes a path relative to `at`, or what `at` refers to.
pub(super) fn executed_at(way: Way, at: c_int, path: *const c_char, vectors: (Vector, Vector), flags: c_int) -> c_int {
    stack::through(|| executed_at_here(way, at, path, vectors, flags))
}

fn executed_at_here(way: Way, at: c_int, path: *const c_char, vectors: (Vector, Vector), flags: c_int) -> c_int {
    let (argv, envp) = vectors;
    let mut room = PathCopy::new();
    let copy = match room.of(path) {
        Ok(copy) => copy,
        Err(errno) => return fail(errno),
    };
    // What flags there are, and what they say of the path, the kernel knows: it looks before it reads the arguments.
    if flags != 0 && state::role() != Role::Master {
        match sys::execute_nothing_with(at, copy, flags) {
            libc::EFAULT => {}
            errno => return fail(errno),
        }
    }
    let by_descriptor = copy.is_empty() && flags & libc::AT_EMPTY_PATH != 0;
    let target = if by_descriptor { ExecTarget::Descriptor(at) } else { ExecTarget::Path(at, copy) };
    let exec = replace(target, argv, envp);
    request::for_exec(envp, |served| attempt_at(way, &exec, served, at, copy, flags)).fail()
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
            crate::sys::arch::jump!($shim);
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
