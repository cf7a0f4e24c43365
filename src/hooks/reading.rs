//! Judges opens for reading of what tells the backstop's secret, which a program knows that was let pass: the memory of a process; the
//! arguments of the call in which it waits (`/proc/PID/syscall`); and, until its constructor has run, its environment.
//!
//! Without a secret in this process, an open to read costs a load, a test and a jump. With one, it costs an fstat: as with writing, the
//! descriptor is judged, since a path has many names.

use super::{fail, open};
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::memory::StringBuf;
use crate::process::state::{self, Role};
use crate::sys::procfs;
use crate::{request, sys};
use core::ffi::c_int;
use portcullis_policy::{Rule, Unknown};
use portcullis_request::environment::KEY;

/// Whether what is opened with these flags is judged as something that is read.
#[inline(always)]
pub(super) fn is_judged(flags: c_int) -> bool {
    sys::secret() != 0 && !open::writes(flags) && flags & libc::O_PATH == 0
}

/// What is opened.
#[derive(PartialEq, Eq)]
enum Kind {
    Other,
    /// The memory of a process, or the arguments of its call.
    Telling,
    Environment,
}

/// Room for the path of such a file.
const ROOM: usize = 192;

/// What a descriptor is: a file of proc that only its process's user reads, by its name there.
fn kind(fd: c_int, room: &mut [u8; ROOM]) -> Result<Kind, Unknown> {
    const READABLE: u32 = libc::S_IFREG | 0o400;
    const WRITABLE: u32 = 0o200;
    let stat = sys::fstat(fd).ok_or(Unknown::Descriptor)?;
    let (device, _) = stat.identity;
    if stat.mode & !WRITABLE != READABLE || stat.size != 0 || libc::major(device) != 0 {
        return Ok(Kind::Other);
    }
    if sys::filesystem(fd).ok_or(Unknown::Descriptor)? != sys::PROC {
        return Ok(Kind::Other);
    }
    let path = name(fd, room);
    // One that is longer has an end that nobody sees.
    if path.len() == ROOM {
        return Err(Unknown::Descriptor);
    }
    Ok(match path.rsplit(|byte| *byte == b'/').next() {
        Some(b"mem" | b"syscall") => Kind::Telling,
        Some(b"environ") => Kind::Environment,
        None | Some(b"") => return Err(Unknown::Descriptor),
        Some(_) => Kind::Other,
    })
}

/// Where the kernel shows a descriptor of this process.
fn name_of(fd: c_int) -> StringBuf<64> {
    let mut path = StringBuf::<64>::new();
    path.push(b"fd/");
    path.number(u64::from(fd.cast_unsigned()));
    procfs::proc_path(procfs::Whose::Own, path.bytes())
}

/// The path of a descriptor.
fn name(fd: c_int, room: &mut [u8; ROOM]) -> &[u8] {
    sys::readlink(name_of(fd).c_str(), room)
}

/// Judges what will be opened to read: `fd` is an O_PATH descriptor of it.
pub(super) fn decide(fd: c_int) -> Decision {
    let mut room = [0; ROOM];
    match kind(fd, &mut room) {
        Ok(Kind::Other) => Ok(()),
        Ok(Kind::Telling) => judged(fd, None),
        Ok(Kind::Environment) => {
            let path = name_of(fd);
            match sys::open(libc::AT_FDCWD, path.c_str(), libc::O_RDONLY, 0) {
                Ok(file) if !has_lost_key(file.0) => judged(fd, None),
                // The kernel will say so once more.
                _ => Ok(()),
            }
        }
        Err(what) => judged(fd, Some(what)),
    }
}

fn judged(fd: c_int, unknown: Option<Unknown>) -> Decision {
    let (mut room, mut detail) = ([0; ROOM], StringBuf::<256>::new());
    detail.push(b"open for reading: ");
    detail.push(name(fd, &mut room));
    request::current(|served| judge::plain(Rule::ProcessMemory, Actor::This, served, unknown, detail.bytes()))
}

/// Judges what was opened to read.
pub(super) fn decide_opened(fd: c_int) -> Decision {
    let mut room = [0; ROOM];
    match kind(fd, &mut room) {
        Ok(Kind::Other) => Ok(()),
        Ok(Kind::Environment) if has_lost_key(fd) => Ok(()),
        Ok(_) => judged(fd, None),
        Err(what) => judged(fd, Some(what)),
    }
}

/// The same: the descriptor, or -1 where that is refused.
#[inline(never)]
pub(super) fn opened(fd: c_int) -> c_int {
    if fd < 0 || state::role() == Role::Master {
        return fd;
    }
    match decide_opened(fd) {
        Ok(()) => fd,
        Err(Refused(errno)) => {
            sys::close(fd);
            fail(errno)
        }
    }
}

/// How often, and with how much time between, an environment is looked at: 20 ms in all. A constructor runs within one.
const LOOKS: usize = 200;
const BETWEEN: usize = 100_000;

/// Waits until the environment of a program has no key any more, which its constructor overwrites; false where it keeps it. One that is
/// empty may be that of a program that is just being executed; one that stays so is of a process that has ended, or of a thread of the
/// kernel's.
#[cold]
fn has_lost_key(fd: c_int) -> bool {
    for _ in 1..LOOKS {
        match find_key(fd) {
            Found::Nothing => return true,
            Found::Empty | Found::Key => sys::sleep(BETWEEN),
        }
    }
    !matches!(find_key(fd), Found::Key)
}

enum Found {
    Nothing,
    Empty,
    /// A key that is not overwritten.
    Key,
}

/// Looks for a key in an environment.
fn find_key(fd: c_int) -> Found {
    const DIGITS_MAX: usize = 20;
    let (mut room, mut at) = ([0; 1024], 0_u64);
    loop {
        let part = sys::read_at(fd, &mut room, at);
        if part.is_empty() {
            return if at == 0 { Found::Empty } else { Found::Nothing };
        }
        // A digit that is not overwritten.
        let has_key = |at: usize| {
            let value = part.get(at..).and_then(|rest| rest.strip_prefix(KEY)).unwrap_or_default();
            value.iter().take(DIGITS_MAX).take_while(|byte| **byte != 0).any(|byte| *byte != b'0')
        };
        if (0..part.len()).any(has_key) {
            return Found::Key;
        }
        // A key may stand across the end of a part.
        let step = part.len().saturating_sub(KEY.len().wrapping_add(DIGITS_MAX));
        if step == 0 {
            return Found::Nothing;
        }
        at = at.wrapping_add(step as u64);
    }
}
