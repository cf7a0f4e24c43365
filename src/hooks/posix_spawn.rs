//! posix_spawn and its kin: a program in a new process, started inside libc. It is judged as it will be once the file actions
//! are done.

use super::attempt::{self};
use super::file_actions::Effects;
use super::lent_actions;
use super::{errno, fail};
use crate::action::{Exec, ExecTarget, Refused};
use crate::backstop::{self, Executes};
use crate::child::environment::{self, New};
use crate::memory::{StringBuf, base_name};
use crate::process::stack;
use crate::process::state::{self, Role};
use crate::real::search;
use crate::real::search::Failed;
use crate::real::table::real;
use crate::request::{self, ServedRequest};
use crate::sys;
use crate::sys::PATH_MAX;
use crate::sys::Vector;
use crate::sys::{PathCopy, Reader};
use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int};
use portcullis_policy::Unknown;

/// A program to be started in a new process, by its path, with these arguments and this environment.
fn program<'a>(
    path: &'a CStr,
    searched: Option<&'a CStr>,
    (argv, envp): (Vector, Vector),
    effects: &Effects,
) -> Exec<'a> {
    Exec {
        target: ExecTarget::Path(effects.folder(), path),
        searched,
        unknown: effects.unknown_of(path),
        argv,
        envp,
        forged: false,
        standard: effects.standard(),
        shell_fallback: false,
        replaces: false,
    }
}

/// Judges `exec`, the program at `path`, and starts it by `go`, which gives an errno.
fn attempt(
    exec: &Exec<'_>,
    path: &CStr,
    effects: &Effects,
    go: impl Fn(&CStr, Vector, Vector) -> c_int,
) -> Result<(), Failed> {
    let errno = request::for_exec(exec.envp, |served| {
        attempt::attempt(served, exec, |start, is_checked| {
            let name = exec.name();
            let new = New::of(name.bytes(), start.guarding).running(start.image, start.finds);
            // What the guard is not in passes by the supervisor, too; its event is this one's.
            let go = |path: &CStr, argv, envp| match new.is_guarded() {
                true => go(path, argv, envp),
                false => {
                    let file =
                        start.by_descriptor().map_or(start.file(), |file| sys::fstat(file).map(|stat| stat.identity));
                    backstop::expecting(Executes::Program(path, argv), file, || go(path, argv, envp))
                }
            };
            let named = || {
                let file = start.by_descriptor()?;
                let named = effects.path_of(file);
                // Where /proc is not there, or is covered, the path leads to it, which was compared just now.
                let leads = sys::stat(named.c_str()).zip(sys::fstat(file));
                leads.is_some_and(|(found, file)| found.identity == file.identity).then_some(named)
            };
            let go = |envp| match named() {
                None => go(path, exec.argv, envp),
                Some(named) => {
                    attempt::arguments(start, exec, |argv| go(named.c_str(), argv, envp)).unwrap_or(libc::E2BIG)
                }
            };
            let started = environment::for_new_process(exec.envp, new, served, |envp| {
                (!is_checked || start.still_is(&exec.target)).then(|| go(envp))
            });
            started.unwrap_or_else(|what| Some(unmade(served, exec, what, start.file(), go)))
        })
    })?;
    if errno == 0 { Ok(()) } else { Err(Failed::Kernel(errno)) }
}

/// Calls `go` without an environment of the guard's, which cannot be made, where the policy lets it; gives an errno.
fn unmade(
    served: &ServedRequest,
    exec: &Exec<'_>,
    what: Unknown,
    file: Option<(u64, u64)>,
    go: impl Fn(Vector) -> c_int,
) -> c_int {
    let path = match exec.target {
        ExecTarget::Path(_, path) => path,
        ExecTarget::Descriptor(_) => c"",
    };
    let expected = Executes::Program(path, exec.argv);
    match attempt::unknown(served, exec, what, || backstop::expecting(expected, file, || go(exec.envp))) {
        Ok(errno) | Err(Failed::Refused(errno) | Failed::Kernel(errno)) => errno,
        Err(Failed::Format(_)) => libc::ENOEXEC,
    }
}

/// Does by `go` all that comes before the program, with a path that no file can have: the error with which that fails, as it
/// does where there is a program.
fn failure_before((argv, envp): (Vector, Vector), go: impl Fn(&CStr, Vector, Vector) -> c_int) -> Option<c_int> {
    // Longer than any path: the kernel looks nothing up.
    static TOO_LONG: [u8; PATH_MAX + 2] = {
        let mut path = [b'/'; PATH_MAX + 2];
        path[PATH_MAX + 1] = 0;
        path
    };
    // libc's child has the memory of this process, and its errno.
    let kept = errno();
    let errno = go(CStr::from_bytes_with_nul(&TOO_LONG).unwrap_or(c""), argv, envp);
    fail(kept);
    (errno != libc::ENAMETOOLONG).then_some(errno)
}

/// Judges and starts a program by its path, or each candidate for it along PATH; gives the errno, or 0.
fn start(
    path: *const c_char,
    searches: bool,
    actions: *const libc::posix_spawn_file_actions_t,
    vectors: (Vector, Vector),
    go: impl Fn(&CStr, Vector, Vector) -> c_int,
) -> c_int {
    let mut room = PathCopy::new();
    let copy = match room.of(path) {
        Ok(copy) => copy,
        Err(errno) => return failure_before(vectors, go).unwrap_or(errno),
    };
    let effects = Effects::of(actions);
    if let Err(Refused(errno)) = effects.decision() {
        return errno;
    }
    if effects.fail() {
        // An action may itself fail with this one.
        return failure_before(vectors, go).unwrap_or(libc::ENAMETOOLONG);
    }
    let calls = Cell::new(0_usize);
    let go = |path: &CStr, argv: Vector, envp: Vector| {
        calls.set(calls.get().wrapping_add(1));
        go(path, argv, envp)
    };
    let ended = Cell::new(None);
    let end = |errno| {
        ended.set(Some(errno));
        // Ends the search; what it says is not looked at.
        Failed::Refused(errno)
    };
    let attempt = |candidate: &CStr, searched: Option<&CStr>| {
        let exec = program(candidate, searched, vectors, &effects);
        let before = calls.get();
        match attempt(&exec, candidate, &effects, go) {
            Ok(()) => end(0),
            // libc goes on to the next candidate where the program was not started, and not where a file action failed.
            Err(Failed::Kernel(errno)) if searched.is_some() && calls.get() != before => {
                if failure_before(vectors, go).is_some() { end(errno) } else { Failed::Kernel(errno) }
            }
            Err(failed) => failed,
        }
    };
    let failed = match searches {
        true => search::along_path(copy, |candidate, searched| attempt(candidate, searched.then_some(copy))),
        false => attempt(copy, None),
    };
    match (ended.get(), failed) {
        (Some(errno), _) | (None, Failed::Refused(errno)) => errno,
        (None, Failed::Kernel(errno)) if calls.get() > 0 => errno,
        (None, Failed::Kernel(errno)) => failure_before(vectors, go).unwrap_or(match errno {
            // glibc's word where nothing was tried (sysdeps/unix/sysv/linux/spawni.c).
            0 => libc::ECHILD,
            errno => errno,
        }),
        (None, Failed::Format(_)) => libc::ENOEXEC,
    }
}

/// Starts a master's program, which is not judged, with the guard in it.
fn of_master(path: *const c_char, (argv, envp): (Vector, Vector), go: impl Fn(Vector) -> c_int) -> c_int {
    let name = StringBuf::<64>::of(Reader::default().string(path.cast(), 64).unwrap_or_default());
    let new = New::of(base_name(name.bytes()), environment::guarding());
    request::for_exec(envp, |served| {
        environment::for_new_process(envp, new, served, &go).unwrap_or_else(|what| {
            let exec = program(c"", None, (argv, envp), &Effects::of(core::ptr::null()));
            unmade(served, &exec, what, None, &go)
        })
    })
}

/// One of the posix_spawn family: they differ in whether the program is looked for, and in what the first argument is. What
/// is found is started by its path, by the function of the second name.
macro_rules! spawns {
    ($($(#[$doc:meta])* $name:ident ($first:ty) by $real:ident, searches: $searches:literal;)*) => {
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
                if state::role() == Role::Master {
                    let Some(real) = real::$name() else { return libc::ENOSYS };
                    let go = |envp: Vector| {
                        lent_actions::with(actions, envp, |actions| {
                            // SAFETY: as the caller promises.
                            stack::back(|| unsafe { real(first, path, actions, attributes, argv, envp.cast()) })
                        })
                    };
                    return stack::through(|| of_master(path, (argv.cast(), envp.cast()), go));
                }
                let Some(real) = real::$real() else { return libc::ENOSYS };
                let go = |path: &CStr, argv: Vector, envp: Vector| {
                    lent_actions::with(actions, envp, |actions| {
                        let (path, argv) = (path.as_ptr(), argv.cast());
                        // SAFETY: as the caller promises; the path is a C string.
                        stack::back(|| unsafe { real(first, path, actions, attributes, argv, envp.cast()) })
                    })
                };
                stack::through(|| start(path, $searches, actions, (argv.cast(), envp.cast()), go))
            }
        )*
    };
}

spawns! {
    /// posix_spawn(3).
    posix_spawn (libc::pid_t) by posix_spawn, searches: false;
    /// posix_spawnp(3).
    posix_spawnp (libc::pid_t) by posix_spawn, searches: true;
    /// pidfd_spawn(3), from glibc 2.39 on.
    pidfd_spawn (c_int) by pidfd_spawn, searches: false;
    /// pidfd_spawnp(3), from glibc 2.39 on.
    pidfd_spawnp (c_int) by pidfd_spawn, searches: true;
}
