//! What starts a program in a new process, inside libc: the posix_spawn family.

use super::shell;
use super::table::real;
use crate::environment::Vector;
use crate::judge::{Exec, Refused, Target};
use crate::memory::PathCopy;
use crate::request;
use core::ffi::{CStr, c_char, c_int};

/// Judges a program that `go` starts in a new process; an errno where it may not be started.
fn start(target: Target<'_>, argv: Vector, envp: Vector, go: impl FnMut(Vector) -> c_int) -> c_int {
    let exec = Exec {
        target,
        argv,
        envp,
        forged: false,
        standard: [0, 1, 2],
        shell_fallback: false,
        replaces: false,
        unknown: None,
    };
    request::for_exec(envp, |served| shell::in_new_process(served, &exec, go).unwrap_or_else(|Refused(errno)| errno))
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
                start(target, argv.cast(), envp.cast(), |envp| go(copy.as_ptr(), envp))
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
