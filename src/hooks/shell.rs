//! What starts a shell inside libc: system, wordexp, and the inner part of popen.
//!
//! libc's own functions hand `environ` to the shell. system and popen are therefore done here, by libc's posix_spawn with
//! an environment of the shell's own. wordexp and `_IO_proc_open` cannot be: their shell is judged as one that cannot be
//! handed the guard.

use super::signals::{self, Signals};
use super::{fail, lent_actions};
use crate::action::{Actor, Decision, Exec, ExecTarget, Refused};
use crate::backstop::{self, Executes};
use crate::child::environment::{self, New};
use crate::judge::{self, ExecClearance};
use crate::process::environ;
use crate::process::stack;
use crate::process::state;
use crate::real::find::libc_minor;
use crate::real::table::real;
use crate::request::{self, ServedRequest};
use crate::sys;
use crate::sys::Reader;
use crate::sys::Vector;
use core::ffi::{CStr, c_char, c_int, c_void};
use portcullis_policy::Unknown;

/// The shell of popen and system (`_PATH_BSHELL`).
pub const SHELL: &CStr = c"/bin/sh";
/// The version 2.N of glibc from which on popen and system call `sh -c -- COMMAND`.
const DASHES: u32 = 38;

/// The arguments of a shell for a command.
pub struct Command([*const c_char; 5]);

impl Command {
    /// As this libc has them.
    pub fn of(text: *const c_char) -> Command {
        let (name, flag, end) = (c"sh".as_ptr(), c"-c".as_ptr(), core::ptr::null());
        match libc_minor() < DASHES {
            true => Command([name, flag, text, end, end]),
            false => Command([name, flag, c"--".as_ptr(), text, end]),
        }
    }

    /// The vector.
    pub fn vector(&self) -> Vector {
        self.0.as_ptr().cast()
    }

    fn exec(&self, envp: Vector, unknown: Option<Unknown>) -> Exec<'_> {
        Exec {
            target: ExecTarget::Path(libc::AT_FDCWD, SHELL),
            searched: None,
            argv: self.vector(),
            envp,
            forged: false,
            standard: [0, 1, 2],
            shell_fallback: false,
            replaces: false,
            unknown,
        }
    }
}

/// Which file the shell is that libc runs.
fn shell_file() -> Option<(u64, u64)> {
    sys::stat(SHELL).map(|stat| stat.identity)
}

/// Judges a program for a new process, and calls `go` with its environment; the kernel's errno where there is no such
/// program. An environment that cannot be made is for the policy to decide.
fn in_new_process(served: &ServedRequest, exec: &Exec<'_>, go: &mut dyn FnMut(Vector)) -> Decision<Result<(), i32>> {
    let start = match judge::exec(Actor::This, served, exec)? {
        ExecClearance::Start(start) => start,
        ExecClearance::Absent(errno) => return Ok(Err(errno)),
    };
    let new_name = exec.name();
    let new = New::of(new_name.bytes(), start.guarding).running(start.image, start.finds);
    if let Err(what) = environment::for_new_process(exec.envp, new, served, &mut *go) {
        judge::unknown_exec(served, exec, what)?;
        let mut go = || go(exec.envp);
        match exec.target {
            ExecTarget::Path(_, path) => backstop::expecting(Executes::Program(path, exec.argv), start.file(), go),
            ExecTarget::Descriptor(_) => go(),
        }
    }
    Ok(Ok(()))
}

/// Judges the shell for a command, and calls `go` with its environment; what that returned.
#[inline(always)]
pub fn decide<R>(command: &Command, mut go: impl FnMut(Vector) -> R) -> Decision<Result<R, i32>> {
    let mut returned = None;
    let done = decide_by(command, &mut |envp| returned = Some(go(envp)));
    done.map(|started| started.and_then(|()| returned.ok_or(libc::ENOSYS)))
}

/// The same, for every kind of what that returns.
#[inline(never)]
fn decide_by(command: &Command, go: &mut dyn FnMut(Vector)) -> Decision<Result<(), i32>> {
    let envp = environ::current();
    let mut back = |envp| stack::back(|| go(envp));
    stack::through(|| request::for_exec(envp, |served| in_new_process(served, &command.exec(envp, None), &mut back)))
}

/// Judges a shell that libc starts with `environ`, and that therefore cannot be handed the guard.
fn decide_unguarded(text: *const c_char) -> Decision {
    let (command, envp) = (Command::of(text), environ::current());
    stack::on(|| {
        request::for_exec(envp, |served| {
            judge::exec(Actor::This, served, &command.exec(envp, Some(Unknown::Environment))).map(|_| ())
        })
    })
}

/// Starts a shell as system(3) does, and waits for it.
fn run(command: &Command, envp: Vector, signals: &Signals) -> Result<libc::pid_t, i32> {
    let Some(spawn) = real::posix_spawn() else { return Err(libc::ENOSYS) };
    let (mut pid, attributes) = (0, signals.attributes());
    let (argv, attributes) = (command.vector().cast(), (&raw const attributes).cast());
    let started = lent_actions::with(core::ptr::null(), envp, |actions| {
        // SAFETY: the attributes are of libc's layout; the vectors end in NULL, or the kernel finds the fault.
        unsafe { spawn(&raw mut pid, SHELL.as_ptr(), actions, attributes, argv, envp.cast()) }
    });
    match started {
        0 => Ok(pid),
        errno => Err(errno),
    }
}

/// The rest of system(3).
fn finish(started: Result<libc::pid_t, i32>, signals: Signals) -> c_int {
    // A shell that cannot be started is to POSIX, and to glibc, one that ends with 127; to musl it is an error.
    const NO_SHELL: c_int = 127 << 8;
    let no_shell = if state::has_other_libc() { -1 } else { NO_SHELL };
    let status = started.map_or(no_shell, signals::wait);
    signals.leave();
    if let Err(errno) = started {
        fail(errno);
    }
    status
}

/// system(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn system(text: *const c_char) -> c_int {
    if text.is_null() {
        // musl says that there is one.
        return c_int::from(state::has_other_libc() || is_there_a_shell());
    }
    let command = Command::of(text);
    let started = decide(&command, |envp| {
        let signals = Signals::enter();
        (run(&command, envp, &signals), signals)
    });
    match started {
        Ok(Ok((started, signals))) => finish(started, signals),
        Ok(Err(errno)) => finish(Err(errno), Signals::enter()),
        Err(Refused(errno)) => fail(errno),
    }
}

/// `system` by its other name.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __libc_system(text: *const c_char) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { system(text) }
}

/// glibc finds out by running a shell that does nothing. It is not judged, and gets nothing of the caller's environment.
fn is_there_a_shell() -> bool {
    let (command, nothing) = (Command::of(c"exit 0".as_ptr()), [core::ptr::null::<u8>()]);
    let signals = Signals::enter();
    let started = stack::through(|| {
        request::current(|served| {
            let new = New::of(b"sh", environment::guarding());
            let go = |envp| stack::back(|| run(&command, envp, &signals));
            environment::for_new_process(nothing.as_ptr(), new, served, go)
        })
    });
    finish(started.unwrap_or(Err(libc::ENOMEM)), signals) == 0
}

/// The inner part of popen, which glibc exports: libc gives the shell `environ`.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn _IO_proc_open(
    stream: *mut libc::FILE,
    command: *const c_char,
    kind: *const c_char,
) -> *mut libc::FILE {
    let errno = match (real::_IO_proc_open(), decide_unguarded(command)) {
        (Some(real), Ok(())) => {
            let shell = Command::of(command);
            // SAFETY: as the caller promises.
            let go = || unsafe { real(stream, command, kind) };
            return backstop::expecting(Executes::Program(SHELL, shell.vector()), shell_file(), go);
        }
        (None, _) => libc::ENOSYS,
        (_, Err(Refused(errno))) => errno,
    };
    fail(errno);
    core::ptr::null_mut()
}

/// wordexp's flag against command substitution, and what it gives where there is no memory (wordexp.h).
const WRDE_NOCMD: c_int = 1 << 2;
const WRDE_NOSPACE: c_int = 1;

/// wordexp(3), which runs a shell for each command substitution in the words, with `environ`. Where that is refused,
/// wordexp itself is told to, and gives WRDE_CMDSUB.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn wordexp(words: *const c_char, result: *mut c_void, flags: c_int) -> c_int {
    let Some(real) = real::wordexp() else { return WRDE_NOSPACE };
    // SAFETY: as the caller promises.
    let go = |flags| unsafe { real(words, result, flags) };
    if !substitutes(words) {
        // Words that another thread changes meanwhile start no shell either.
        return go(flags | WRDE_NOCMD);
    }
    if flags & WRDE_NOCMD != 0 {
        return go(flags);
    }
    match decide_unguarded(words) {
        Ok(()) => backstop::expecting(Executes::Words(words), shell_file(), || go(flags)),
        Err(_) => go(flags | WRDE_NOCMD),
    }
}

/// Whether a command substitution may be in the words; longer ones are taken to have one.
fn substitutes(words: *const c_char) -> bool {
    const LOOKED_AT: usize = 1 << 16;
    let reader = Reader::default();
    let text = reader.string(words.cast(), LOOKED_AT).unwrap_or_default();
    text.len() == LOOKED_AT || text.contains(&b'`') || text.windows(2).any(|two| two == b"$(")
}
