//! Looks files up as the caller, for a call that cannot proceed. The supervisor is root, and a result of its own lookup would show the
//! caller which files exist.

use super::answer::SupervisedCall;
use crate::memory::StringBuf;
use crate::sys::procfs;
use crate::sys::{self, LookupIdentity, Reply};
use portcullis_policy::Rule;
use portcullis_request::context;

/// Buffer for /proc/TID/status; if the groups do not fit, the rights of the caller are unknown.
const STATUS_MAX: usize = 8192;

/// The file-system user, group and supplementary groups of a thread.
fn eyes_of(thread: u32) -> Option<LookupIdentity> {
    let mut room = [0; STATUS_MAX];
    let text = procfs::proc_read_all(thread, b"status", &mut room);
    let words = |name: &[u8]| {
        let start = text.windows(name.len()).position(|window| window == name)?;
        let rest = text.get(start.wrapping_add(name.len())..)?;
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        Some(rest.get(..end)?.split(is_space).filter(|word| !word.is_empty()).map(context::number))
    };
    // Real, effective, saved, and that for files.
    let one = |name: &[u8]| u32::try_from(words(name)?.nth(3)?).ok();
    let mut eyes = LookupIdentity::of(one(b"\nUid:")?, one(b"\nGid:")?);
    for group in words(b"\nGroups:")? {
        eyes.add(u32::try_from(group).ok()?)?;
    }
    Some(eyes)
}

impl SupervisedCall<'_> {
    /// Runs `look` with the identity of the caller; `None` if that is not possible.
    fn as_caller<R>(&self, look: impl FnOnce() -> R) -> Option<R> {
        let (own, caller) = (LookupIdentity::own()?, eyes_of(self.subject.thread)?);
        let found = caller.take().then(look);
        // Without its own identity, this process cannot continue.
        if !own.take() {
            sys::exit(1);
        }
        found
    }

    /// The answer to an exec that the kernel would refuse. In audit the kernel returns the error. In enforce the call may not proceed,
    /// because the kernel may find another file by then: it fails with the error of the caller's own lookup, or with `otherwise`.
    pub(super) fn absent(&self, look: impl FnOnce() -> Option<i32>, otherwise: i32) -> Reply {
        let errno = match self.enforces(&Rule::ALL) {
            true => self.as_caller(|| look().unwrap_or(otherwise)),
            false => None,
        };
        self.fails(errno.unwrap_or(libc::EACCES), &Rule::ALL)
    }
}

/// The errno with which the kernel refuses to open a file for execution, with the current lookup identity.
pub(super) fn not_executable(opened: Result<sys::Fd, Option<i32>>) -> Option<i32> {
    let file = match opened {
        Ok(file) => file,
        Err(errno) => return Some(errno.unwrap_or(libc::EACCES)),
    };
    let path: StringBuf<64> = procfs::proc_descriptor(file.0);
    (!sys::may_execute(libc::AT_FDCWD, path.c_str())).then_some(libc::EACCES)
}
