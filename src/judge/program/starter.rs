//! Whether who starts a program could have put another one in its place: it may write to the file, to the folder that it is
//! in, or to a folder above; or these are its own.
//!
//! An owner counts, whatever the mode says and however it is mounted: who takes a permission away can give it back.

use super::{PATH_MAX, SYSTEM, is_of_system, real_path};
use crate::memory::StringBuf;
use crate::sys;
use crate::sys::procfs::{self, Whose};
use core::ffi::CStr;
use portcullis_request::context;

/// What stat(2) says of an owner whom the user namespace does not know (/proc/sys/kernel/overflowuid).
const NOBODY: u32 = 65534;
/// Of another process's /proc/PID/status, as much as is looked at: more groups are taken to be all groups.
const STATUS: usize = 4096;
/// Bits of a mode: write for the owner, the group, others; for any but the owner.
const OWNER: u32 = 0o200;
const GROUP: u32 = 0o020;
const OTHERS: u32 = 0o002;

/// Who starts a program.
#[derive(Clone, Copy)]
pub struct Starter {
    /// Its real, effective and saved users.
    users: [u32; 3],
    /// It is root, who can write to everything: only what everybody can write to counts.
    is_root: bool,
    /// Its process.
    whose: Whose,
}

impl Starter {
    /// This process.
    pub fn this() -> Starter {
        let users = sys::users();
        // In a namespace that a user makes, that user alone is root.
        let is_root = users[1] == 0 && knows_root();
        Starter { users, is_root, whose: Whose::Own }
    }

    /// Process `pid`, whose effective user the supervisor knows.
    #[inline(never)]
    pub fn other(pid: u32, user: u32) -> Starter {
        let mut buffer = [0; STATUS];
        let status = procfs::proc_read_all(pid, b"status", &mut buffer);
        let mut users = [user; 3];
        for (to, from) in users.iter_mut().zip(numbers(status, b"Uid:")) {
            *to = from;
        }
        Starter { users, is_root: user == 0, whose: Whose::Of(pid) }
    }

    /// Whether it could have put another program at `path`, of which every symlink is resolved. What is not known to be
    /// there is nowhere: that has other words.
    #[inline(never)]
    pub fn may_replace(&self, path: &[u8]) -> bool {
        if !path.starts_with(b"/") {
            return false;
        }
        let mut at = StringBuf::<PATH_MAX>::of(path);
        let mut above = 0_usize;
        loop {
            if sys::stat(at.c_str()).is_some_and(|stat| self.may_change(at.c_str(), &stat, above > 1)) {
                return true;
            }
            if at.bytes().len() <= 1 {
                return false;
            }
            above = above.wrapping_add(1);
            at.cut(at.bytes().iter().rposition(|&byte| byte == b'/').unwrap_or(0).max(1));
        }
    }

    /// Whether nobody but root can change what `path` leads to: the folders on the way, those of each symlink, the file. In a
    /// folder of the system's, which groups of root's helpers may write to, nobody but them and root.
    #[inline(never)]
    pub fn is_fixed(&self, at: i32, path: &CStr) -> bool {
        let bytes = path.to_bytes();
        // In a namespace of its own, it can mount another file over any.
        if self.whose != Whose::Own || !knows_root() || !bytes.starts_with(b"/") && at != libc::AT_FDCWD {
            return false;
        }
        let is_roots = |path: &CStr| {
            sys::stat(path).is_some_and(|stat| {
                let is_system = || {
                    let is = |folder: &&[u8]| folder.strip_suffix(b"/") == Some(path.to_bytes());
                    is_of_system(path.to_bytes()) || SYSTEM.iter().any(is)
                };
                let is_closed = stat.mode & (GROUP | OTHERS) == 0;
                stat.uid == 0 && (is_closed || (is_system() && !self.may_change(path, &stat, false)))
            })
        };
        // Where a relative one begins stays where it is; what lies above may not.
        let begins = if bytes.starts_with(b"/") { c"/" } else { c"." };
        let climbs = !bytes.starts_with(b"/") && bytes.windows(2).any(|two| two == b"..");
        let mut real = StringBuf::<PATH_MAX>::new();
        !climbs && is_roots(begins) && real_path::followed(at, path, &mut real, &mut |path| is_roots(path))
    }

    /// Whether it may change a file, or what is in a folder; `above`: in a folder in which others lie on the way.
    fn may_change(&self, path: &CStr, stat: &sys::Stat, above: bool) -> bool {
        // In a sticky folder, nobody renames what is another's.
        let is_kept = above && stat.mode & libc::S_ISVTX != 0;
        self.owns(path, stat) || (!is_kept && self.may_write(path, stat))
    }

    fn owns(&self, path: &CStr, stat: &sys::Stat) -> bool {
        if self.is_root || !self.users.contains(&stat.uid) {
            return false;
        }
        match stat.uid {
            // Of a process that can become root, what is root's says nothing. In a namespace of its own, root is itself.
            0 => self.whose == Whose::Own && !knows_root(),
            // In a namespace that maps nobody, everything has this owner. An owner could write where the owner may.
            NOBODY if self.whose == Whose::Own && !knows_root() => {
                stat.mode & OWNER == 0 || sys::may_write(path) != Err(libc::EACCES)
            }
            _ => true,
        }
    }

    /// Whether it may write to what it does not own.
    fn may_write(&self, path: &CStr, stat: &sys::Stat) -> bool {
        // With an access control list, the bits of the group are the most that any entry gives.
        match stat.mode & (GROUP | OTHERS) {
            0 => false,
            bits if self.is_root => bits & OTHERS != 0,
            _ if self.whose == Whose::Own => match sys::may_write(path) {
                Err(libc::EACCES | libc::EPERM) => false,
                // Who has made a namespace can mount what it may write to so that it may not.
                Err(libc::EROFS) => !knows_root(),
                // A filter of somebody's does not let it be asked.
                _ => true,
            },
            bits => self.may_write_by_mode(path, bits, stat.gid),
        }
    }

    /// As the kernel decides it for another process (fs/posix_acl.c, fs/namei.c).
    #[inline(never)]
    fn may_write_by_mode(&self, path: &CStr, bits: u32, group: u32) -> bool {
        let mut buffer = [0; STATUS];
        let status = procfs::proc_read_all(self.whose, b"status", &mut buffer);
        // Behind them, status has more lines.
        let is_cut = !status.split(|&byte| byte == b'\n').rev().skip(1).any(|line| line.starts_with(b"Groups:"));
        let is_in = |group: u32| {
            is_cut || [&b"Gid:"[..], b"Groups:"].into_iter().any(|name| numbers(status, name).any(|own| own == group))
        };
        let mut room = [0; 1024];
        match sys::access_list(path, &mut room) {
            Ok(list) => list_lets(list, &self.users, bits, group, is_in),
            // It has none.
            Err(libc::ENODATA | libc::EOPNOTSUPP) if is_cut => true,
            Err(libc::ENODATA | libc::EOPNOTSUPP) => bits & if is_in(group) { GROUP } else { OTHERS } != 0,
            // It has one that cannot be read, or is longer.
            Err(_) => true,
        }
    }
}

/// Whether an access control list (include/uapi/linux/posix_acl_xattr.h) lets who is none of its owners write: by an entry
/// that names it, else by those of its groups, else as others.
fn list_lets(list: &[u8], users: &[u32; 3], bits: u32, group: u32, is_in: impl Fn(u32) -> bool) -> bool {
    const USER: u16 = 0x02;
    const GROUP_OBJECT: u16 = 0x04;
    const NAMED_GROUP: u16 = 0x08;
    const WRITE: u16 = 0x02;
    let entries = list.get(4..).unwrap_or_default().as_chunks::<8>().0.iter();
    let entries = entries.map(|&[a, b, c, d, e, f, g, h]| {
        (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]), u32::from_le_bytes([e, f, g, h]))
    });
    // The bits of the group are the mask.
    let lets = |permissions: u16| permissions & WRITE != 0 && bits & GROUP != 0;
    let mut named = entries.clone().filter(|(tag, _, id)| *tag == USER && users.contains(id)).peekable();
    if named.peek().is_some() {
        return named.any(|(_, permissions, _)| lets(permissions));
    }
    let mut own = entries
        .filter(|(tag, _, id)| match *tag {
            GROUP_OBJECT => is_in(group),
            NAMED_GROUP => is_in(*id),
            _ => false,
        })
        .peekable();
    match own.peek() {
        Some(_) => own.any(|(_, permissions, _)| lets(permissions)),
        None => bits & OTHERS != 0,
    }
}

/// The numbers in the line of /proc/PID/status that begins so.
fn numbers<'s>(status: &'s [u8], name: &'s [u8]) -> impl Iterator<Item = u32> + 's {
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    words.map(|word| u32::try_from(context::number(word)).unwrap_or(u32::MAX))
}

/// Effective user and group of another thread, and whether no file gives it any other (no_new_privs); `None` where /proc hides it.
#[cold]
pub(super) fn rights_of(thread: u32) -> (Option<u32>, Option<u32>, bool) {
    let mut buffer = [0; STATUS];
    let status = procfs::proc_read_all(thread, b"status", &mut buffer);
    let effective = |name| numbers(status, name).nth(1);
    (effective(b"Uid:"), effective(b"Gid:"), numbers(status, b"NoNewPrivs:").next() == Some(1))
}

/// Whether root is root here: the host's, or that of a container, whose user namespace has more users than the one who made
/// it: without privileges, nobody makes such a one.
#[cold]
pub(super) fn knows_root() -> bool {
    sys::sees_root() || maps_others()
}

fn maps_others() -> bool {
    let Ok(file) = sys::open(libc::AT_FDCWD, c"/proc/self/uid_map", libc::O_RDONLY, 0) else { return false };
    let mut buffer = [0; 256];
    // Somebody may have covered it.
    let map = if sys::filesystem(file.0) == Some(sys::PROC) { sys::read(file.0, &mut buffer) } else { &[] };
    let lines = map.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut users = 0_u64;
    for line in lines {
        let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        users = users.saturating_add(words.nth(2).map_or(0, context::number));
    }
    users > 1
}
