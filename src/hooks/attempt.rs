//! A program that is about to be started: it is judged, and judged anew where another file takes its place meanwhile.

use crate::action::{Actor, Exec, ExecTarget, Refused};
use crate::judge::program;
use crate::judge::{self, ExecClearance, Start};
use crate::real::search::{self, Failed};
use crate::request::ServedRequest;
use crate::sys::Vector;
use portcullis_policy::Unknown;

/// How often a program that is replaced while it is judged is judged anew.
const ATTEMPTS: usize = 3;

/// Judges `exec`, then calls `run`, which is told whether it has to look again at the file that was judged, and gives nothing
/// where that is another by now.
pub fn attempt<T>(
    served: &ServedRequest,
    exec: &Exec<'_>,
    run: impl Fn(&Start, bool) -> Option<T>,
) -> Result<T, Failed> {
    for _ in 0..ATTEMPTS {
        match judge::exec(Actor::This, served, exec) {
            Err(Refused(errno)) => return Err(Failed::Refused(errno)),
            Ok(ExecClearance::Absent(errno)) => return Err(Failed::Kernel(errno)),
            Ok(ExecClearance::Start(start)) => {
                if let Some(done) = run(&start, true) {
                    return Ok(done);
                }
            }
        }
    }
    unknown(served, exec, Unknown::Replaced, || run(&Start::unchecked(), false))?.ok_or(Failed::Kernel(libc::EACCES))
}

/// Calls `go` with the arguments of what is started: those of `exec`, or, where the interpreter of a script is started in its place,
/// those that the kernel would give it (fs/binfmt_script.c). `None` where there is no memory for them.
pub fn arguments<T>(start: &Start, exec: &Exec<'_>, go: impl FnOnce(Vector) -> T) -> Option<T> {
    let (Some(line), ExecTarget::Path(_, path)) = (&start.line, exec.target) else { return Some(go(exec.argv)) };
    let (interpreter, argument) = program::words(line);
    let all = [interpreter.c_str(), argument.c_str(), path];
    let without = [interpreter.c_str(), path];
    let head = if argument.bytes().is_empty() { &without[..] } else { &all };
    let mut done = None;
    search::with_arguments(head, exec.argv, |argv| done = Some(go(argv)));
    done
}

/// Calls `go` where the policy lets a program go of which something cannot be known or made.
pub fn unknown<T>(served: &ServedRequest, exec: &Exec<'_>, what: Unknown, go: impl FnOnce() -> T) -> Result<T, Failed> {
    match judge::unknown_exec(served, exec, what) {
        Err(Refused(errno)) => Err(Failed::Refused(errno)),
        Ok(()) => Ok(go()),
    }
}
