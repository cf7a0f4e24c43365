//! What a process lends of its sinks to programs that cannot open them.
//!
//! Whoever has a descriptor can connect the socket anew, or set the flags of the file, and that counts for all descriptors of the
//! same open file description: a master's, its workers' and their programs'. So what is lent is opened for that, by each worker
//! that leaves its root folder, and nobody writes to it but programs that were lent it.
//!
//! **Limit**: which socket is bound to the address where a lent one leads is not looked at. Where a pool's user can make the path of
//! journald's socket in its own root folder, a program can lead what its worker lends there.

use super::held::HeldDescriptor;
use super::{FILE, HELD, JOURNALD, KINDS, SYSLOG, is_elsewhere, is_handed, write};
use crate::sys::{self, Fd, LookupIdentity};
use portcullis_policy::Policy;

static JOURNALD_LENT: HeldDescriptor = HeldDescriptor::new();
static SYSLOG_LENT: HeldDescriptor = HeldDescriptor::new();
static FILE_LENT: HeldDescriptor = HeldDescriptor::new();
pub(super) const LENT: [&HeldDescriptor; KINDS] = [&JOURNALD_LENT, &SYSLOG_LENT, &FILE_LENT];

/// Opens the sinks of `policy` once more, and, beside a file, the socket that is written to where the file cannot be.
pub fn open(policy: &Policy<'_>) {
    if is_elsewhere() {
        return;
    }
    let sinks = policy.sinks();
    if sinks & (JOURNALD | FILE) != 0 {
        JOURNALD_LENT.refresh(|| write::datagram(write::JOURNALD));
    }
    if sinks & (SYSLOG | FILE) != 0 {
        SYSLOG_LENT.refresh(|| write::datagram(write::SYSLOG));
    }
    if sinks & FILE != 0 {
        FILE_LENT.refresh(|| write::file(write::c_path(policy.log_file())));
    }
}

/// Duplicates of what this process has to lend, or was lent itself.
#[cold]
#[inline(never)]
pub fn lend() -> [Option<Fd>; KINDS] {
    let have = if is_handed() { HELD } else { LENT };
    have.map(|place| place.ours().filter(|fd| is_fit(*fd)).and_then(sys::duplicate_to_lend))
}

/// Looks at what this program was lent, before an event: what is no sink any more is forgotten.
#[cold]
#[inline(never)]
pub fn look() {
    HELD.into_iter().filter(|place| !place.ours().is_some_and(is_fit)).for_each(HeldDescriptor::forget);
}

/// Whether a descriptor is one that events can be written to, and, of a file, that its holder may have: one that can only be
/// appended to, or that the user could open. Where somebody has set flags of it that keep a line from its end, they are set back.
fn is_fit(fd: i32) -> bool {
    let Some(stat) = sys::fstat(fd) else { return false };
    if stat.mode & libc::S_IFMT == libc::S_IFSOCK {
        return true;
    }
    let Some(flags) = sys::flags(fd) else { return false };
    let may_have = sys::is_append_only(fd) || LookupIdentity::own().is_some_and(|eyes| eyes.may_write(&stat));
    let is_written = flags & (libc::O_ACCMODE | libc::O_PATH) == libc::O_WRONLY && may_have;
    let is_set = flags & (libc::O_APPEND | libc::O_DIRECT) == libc::O_APPEND;
    is_written && (is_set || sys::set_flags(fd, libc::O_APPEND | libc::O_NONBLOCK))
}
