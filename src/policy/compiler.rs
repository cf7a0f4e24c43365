//! Runs `portcullis compile` from a master that finds no compiled policy, or one older than its sources.

use crate::memory::StringBuf;
use crate::process::state;
use crate::sys;

/// How long the command may take: this many naps.
const NAPS: usize = 1000;
/// One nap, in nanoseconds.
const NAP: usize = 5_000_000;

/// Why there is no newly compiled policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No command was found.
    NoCommand,
    /// It could not be started, or found an error.
    Refused,
    /// It took too long.
    Slow,
}

/// Where the policy goes.
#[derive(Clone, Copy)]
pub enum Output<'o> {
    /// Into the file of this path.
    Path(&'o StringBuf<512>),
    /// Into what this descriptor refers to.
    Descriptor(i32),
}

/// Compiles the configuration `config`.
pub fn run(config: &StringBuf<512>, output: Output<'_>) -> Result<(), Failure> {
    let command = command().ok_or(Failure::NoCommand)?;
    let arguments = [
        c"portcullis".as_ptr(),
        c"compile".as_ptr(),
        c"--config".as_ptr(),
        config.c_str().as_ptr(),
        c"-o".as_ptr(),
        match output {
            Output::Path(path) => path.c_str().as_ptr(),
            Output::Descriptor(_) => c"-".as_ptr(),
        },
        core::ptr::null(),
    ];
    let environment = [c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".as_ptr(), core::ptr::null()];
    // SAFETY: the child only makes system calls of `sys`.
    match unsafe { sys::fork_silent() } {
        Err(_) => Err(Failure::Refused),
        Ok(0) => {
            // A policy that is too long for the server's limit would end it with SIGXFSZ.
            sys::lift_limit(libc::RLIMIT_FSIZE);
            sys::ignore(libc::SIGXFSZ);
            if let Ok(nothing) = sys::open(libc::AT_FDCWD, c"/dev/null", libc::O_RDWR, 0) {
                for standard in 0..3 {
                    sys::duplicate_onto(nothing.0, standard);
                }
                core::mem::forget(nothing);
            }
            if let Output::Descriptor(fd) = output {
                sys::duplicate_onto(fd, 1);
            }
            let path = command.c_str().as_ptr().cast();
            // SAFETY: the vectors end in NULL and hold C strings.
            unsafe { sys::execve(path, arguments.as_ptr().cast(), environment.as_ptr().cast()) };
            sys::exit(127)
        }
        Ok(child) => wait(child),
    }
}

fn wait(child: usize) -> Result<(), Failure> {
    for _ in 0..NAPS {
        match sys::wait(child) {
            Some(0) => return Ok(()),
            Some(_) => return Err(Failure::Refused),
            None => sys::sleep(NAP),
        }
    }
    sys::kill(child);
    while sys::wait(child).is_none() {
        sys::sleep(NAP);
    }
    Err(Failure::Slow)
}

/// The command: beside the library, as in a build, else installed.
pub fn command() -> Option<StringBuf<512>> {
    let library = state::settled().library.bytes();
    let folder = library.iter().rposition(|&byte| byte == b'/').and_then(|slash| library.get(..slash));
    for folder in [folder.unwrap_or_default(), b"/usr/bin", b"/usr/local/bin"] {
        let mut path = StringBuf::new();
        path.push(folder);
        path.push(b"/portcullis");
        if folder.starts_with(b"/")
            && sys::may_execute(libc::AT_FDCWD, path.c_str())
            && sys::stat(path.c_str()).is_some()
        {
            return Some(path);
        }
    }
    None
}
