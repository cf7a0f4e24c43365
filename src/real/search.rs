//! The search along PATH of execvp(3) and posix_spawnp(3), and the shell for a file of no known format, as glibc has them
//! (posix/execvpe.c): each candidate is judged, and it alone is executed. musl (src/process/execvp.c) differs in the default of
//! PATH, in the errors behind which it goes on, and in that it runs no shell.

use crate::memory::StringBuf;
use crate::process::environ;
use crate::process::left::{FROM, Mapping};
use crate::process::state;
use crate::real::errno::{errno, fail};
use crate::sys::PATH_MAX;
use crate::sys::Reader;
use crate::sys::Vector;
use core::ffi::{CStr, c_int};

/// The longest name of a file.
const NAME_MAX: usize = 255;
/// Arguments that the stack has room for; more go into a mapping.
const ON_STACK: usize = 128;
/// The default of glibc's confstr(_CS_PATH).
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";
/// musl's.
const MUSL_DEFAULT_PATH: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

/// Why a program is not started.
#[derive(Clone, Copy)]
pub enum Failed {
    /// The policy refuses it.
    Refused(i32),
    /// The kernel does not run it.
    Kernel(i32),
    /// The kernel does not know its format; true where it was judged as what sh runs.
    Format(bool),
}

impl Failed {
    /// Gives the caller its errno.
    pub fn fail(self) -> c_int {
        fail(match self {
            Failed::Refused(errno) | Failed::Kernel(errno) => errno,
            Failed::Format(_) => libc::ENOEXEC,
        })
    }
}

/// Calls `attempt` with each candidate for `file`, and whether that was looked for, until one fails otherwise than by not
/// being there.
pub fn along_path(file: &CStr, mut attempt: impl FnMut(&CStr, bool) -> Failed) -> Failed {
    let name = file.to_bytes();
    if name.is_empty() {
        return Failed::Kernel(libc::ENOENT);
    }
    if name.contains(&b'/') {
        return attempt(file, false);
    }
    if name.len() > NAME_MAX {
        return Failed::Kernel(libc::ENAMETOOLONG);
    }
    let reader = Reader::default();
    let is_musl = state::has_other_libc();
    let default = if is_musl { MUSL_DEFAULT_PATH } else { DEFAULT_PATH };
    let path = environ::variable(&reader, b"PATH").unwrap_or(default);
    // What glibc has room for: of a longer PATH, a folder that is longer is passed over.
    let longest = path.len().min(PATH_MAX - 1);
    // Where glibc tries nothing, errno stays what it was.
    let (mut forbidden, mut last) = (false, if is_musl { libc::ENOENT } else { errno() });
    let mut rest = path;
    loop {
        let end = rest.iter().position(|&byte| byte == b':');
        let (folder, behind) = match end {
            Some(end) => rest.split_at_checked(end).unwrap_or((rest, b"")),
            None => (rest, &b""[..]),
        };
        if folder.len() > longest {
            if end.is_none() {
                break;
            }
            // glibc goes on at the colon, before which the next folder is the empty one.
            rest = behind;
            continue;
        }
        let mut candidate = StringBuf::<{ PATH_MAX + NAME_MAX + 2 }>::of(folder);
        if !folder.is_empty() {
            candidate.push(b"/");
        }
        candidate.push(name);
        match attempt(candidate.c_str(), true) {
            Failed::Kernel(errno @ libc::EACCES) => (forbidden, last) = (true, errno),
            Failed::Kernel(errno @ (libc::ENOENT | libc::ENOTDIR)) => last = errno,
            Failed::Kernel(errno @ (libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT)) if !is_musl => last = errno,
            other => return other,
        }
        match behind.split_first() {
            Some((_, next)) => rest = next,
            None => break,
        }
    }
    Failed::Kernel(if forbidden { libc::EACCES } else { last })
}

/// Calls `go` with the arguments with which execvp runs `file` by the shell; not where there is no memory for them.
pub fn with_shell_arguments(file: &CStr, argv: Vector, go: impl FnOnce(Vector)) {
    with_arguments(&[c"/bin/sh", file], argv, go);
}

/// Calls `go` with `head` in the place of the first argument; not where there is no memory for that.
pub fn with_arguments(head: &[&CStr], argv: Vector, go: impl FnOnce(Vector)) {
    let reader = Reader::default();
    let mut count = 0_usize;
    while !argv.is_null() && reader.pointer(argv, count).is_some_and(|argument| !argument.is_null()) {
        count = count.wrapping_add(1);
    }
    let needed = count.wrapping_add(head.len()).wrapping_add(1);
    let mut stack = [core::ptr::null(); ON_STACK];
    if needed <= ON_STACK {
        fill(&mut stack, head, argv, count);
        return go(stack.as_ptr());
    }
    let Some(lent) = Mapping::new(needed.wrapping_mul(8)) else { return };
    let at = lent.at().wrapping_add(FROM).cast::<*const u8>();
    // SAFETY: the mapping is that long, zeroed (null pointers) and nobody else's.
    let vector = unsafe { core::slice::from_raw_parts_mut(at, needed) };
    fill(vector, head, argv, count);
    go(vector.as_ptr());
}

/// The head, and the arguments behind the first.
fn fill(vector: &mut [*const u8], head: &[&CStr], argv: Vector, count: usize) {
    let head = head.iter().map(|text| text.as_ptr().cast());
    let reader = Reader::default();
    let rest = (1..count).map(|index| reader.pointer(argv, index).unwrap_or(core::ptr::null()));
    for (to, from) in vector.iter_mut().zip(head.chain(rest)) {
        *to = from;
    }
}
