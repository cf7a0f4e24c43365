//! posix_spawn and its kin: a program in a new process, started inside libc. It is judged as it will be once the file actions
//! are done.

use super::exec::Failed;
use super::file_actions::Effects;
use super::search;
use super::table::real;
use crate::backstop::{self, Executes};
use crate::environment::{self, New, Vector};
use crate::judge::{self, By, Cleared, Exec, Guarding, Refused, Target};
use crate::memory::{PathCopy, Reader, Text, base_name};
use crate::request::{self, Served};
use crate::state::{self, Role};
use core::ffi::{CStr, c_char, c_int};
use portcullis_policy::Unknown;

/// How often a program that is replaced while it is judged is judged anew.
const ATTEMPTS: usize = 3;

/// Judges the program at `path` and starts it by `go`, which gives an errno; 0 where it was started.
fn attempt(
    path: &CStr,
    searched: Option<&CStr>,
    (argv, envp): (Vector, Vector),
    effects: &Effects,
    go: impl Fn(&CStr, Vector) -> c_int,
) -> Result<(), Failed> {
    let exec = Exec {
        target: Target::Path(effects.folder(), path),
        searched,
        unknown: effects.unknown_of(path),
        argv,
        envp,
        forged: false,
        standard: effects.standard(),
        shell_fallback: false,
        replaces: false,
    };
    let done = |errno| if errno == 0 { Ok(()) } else { Err(Failed::Kernel(errno)) };
    request::for_exec(envp, |served| {
        let run = |start: &judge::Start, is_checked: bool| {
            let name = exec.name();
            let new = New::of(name.bytes(), start.guarding).running(start.image);
            let go = |envp| match start.by_descriptor() {
                Some(file) => go(crate::files::proc_descriptor(file).c_str(), envp),
                None => go(path, envp),
            };
            let started = environment::for_new_process(envp, new, served, |envp| {
                (!is_checked || start.still_is(&exec.target)).then(|| go(envp))
            });
            // An environment that cannot be made is for the policy to decide.
            started.unwrap_or_else(|what| match judge::unknown_exec(served, &exec, what) {
                Err(Refused(errno)) => Some(errno),
                Ok(()) => Some(backstop::expecting(Executes::Program(path, argv), || go(envp))),
            })
        };
        for _ in 0..ATTEMPTS {
            match judge::exec(By::This, served, &exec) {
                Err(Refused(errno)) => return Err(Failed::Refused(errno)),
                Ok(Cleared::Absent(errno)) => return Err(Failed::Kernel(errno)),
                Ok(Cleared::Start(start)) => {
                    if let Some(errno) = run(&start, true) {
                        return done(errno);
                    }
                }
            }
        }
        match judge::unknown_exec(served, &exec, Unknown::Replaced) {
            Err(Refused(errno)) => Err(Failed::Refused(errno)),
            Ok(()) => done(run(&judge::Start::unchecked(), false).unwrap_or(libc::EACCES)),
        }
    })
}

/// Judges and starts a program by its path, or each candidate for it along PATH; gives the errno, or 0.
fn start(
    path: *const c_char,
    searches: bool,
    actions: *const libc::posix_spawn_file_actions_t,
    vectors: (Vector, Vector),
    go: impl Fn(&CStr, Vector) -> c_int,
) -> c_int {
    let mut room = PathCopy::new();
    let copy = match room.of(path) {
        Ok(copy) => copy,
        Err(errno) => return errno,
    };
    let effects = Effects::of(actions);
    let mut started = false;
    let mut attempt =
        |candidate: &CStr, searched: Option<&CStr>| match attempt(candidate, searched, vectors, &effects, &go) {
            Ok(()) => {
                started = true;
                // Ends the search; what it says is not looked at.
                Failed::Refused(0)
            }
            Err(failed) => failed,
        };
    let failed = match searches {
        true => search::along_path(copy, |candidate, searched| attempt(candidate, searched.then_some(copy))),
        false => attempt(copy, None),
    };
    match failed {
        _ if started => 0,
        Failed::Refused(errno) | Failed::Kernel(errno) => errno,
        Failed::Format(_) => libc::ENOEXEC,
    }
}

/// One of the posix_spawn family: they differ in whether the program is looked for, and in what the first argument is. What
/// is found is started by its path, by the function of the second name.
macro_rules! spawns {
    ($($(#[$doc:meta])* $name:ident ($first:ty) by $by:ident, searches: $searches:literal;)*) => {
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
                    let name = Text::<64>::of(Reader::default().string(path.cast(), 64).unwrap_or_default());
                    let new = New::of(base_name(name.bytes()), Guarding::Whole);
                    let envp: Vector = envp.cast();
                    // SAFETY: as the caller promises.
                    let go = |envp: Vector| unsafe { real(first, path, actions, attributes, argv, envp.cast()) };
                    let start = |served: &Served| environment::for_new_process(envp, new, served, go);
                    return request::for_exec(envp, start).unwrap_or_else(|_| go(envp));
                }
                let Some(real) = real::$by() else { return libc::ENOSYS };
                start(path, $searches, actions, (argv.cast(), envp.cast()), |path, envp| {
                    // SAFETY: as the caller promises; the path is a C string.
                    unsafe { real(first, path.as_ptr(), actions, attributes, argv, envp.cast()) }
                })
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
