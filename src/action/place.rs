//! Where another process is, and what a path is there: in its root, working folder, mounts and /proc, in which `self` is that
//! process. Each component is looked up by itself, as the kernel does it.
//!
//! What the kernel finds a moment later is the same file only where nobody can put another in its place meanwhile: so it is
//! noted who may change what was looked up.

use crate::memory::StringBuf;
use crate::sys::PATH_MAX;
use crate::sys::broker as ask;
use crate::sys::procfs::{self, Whose};
use crate::sys::{self, Fd, Stat};
use core::cell::Cell;
use core::ffi::CStr;

/// Symlinks that the kernel follows in one path (MAXSYMLINKS).
const LINKS_MAX: usize = 40;
/// Components that are looked up for one call, those behind links included. Each takes some microseconds; 40 links lead to 80,000.
const STEPS_MAX: u32 = 192;
/// The inode of a proc's root (PROC_ROOT_INO).
const PROC_ROOT: u64 = 1;
/// The type of FUSE, whose files are what another process says (include/uapi/linux/magic.h).
const FUSE: i64 = 0x6573_5546;
/// A path, with what stands behind the links in it.
type Path = StringBuf<{ 2 * PATH_MAX }>;

/// Where a process is.
pub struct Place {
    pid: u32,
    thread: u32,
    root: LookupPosition,
    working: Fd,
    counts: bool,
    changeable: Cell<bool>,
    /// Components that were looked up.
    steps: Cell<u32>,
}

/// How far a lookup of a path has come.
struct LookupPosition {
    fd: Fd,
    stat: Stat,
    /// The type of its file system.
    kind: i64,
    /// It was reached by a `self` of /proc, in this process's own /proc.
    is_own: bool,
}

impl LookupPosition {
    fn of(fd: Fd, from: Option<&LookupPosition>) -> Option<LookupPosition> {
        let stat = sys::fstat(fd.0)?;
        let kind = match from {
            Some(from) if from.stat.identity.0 == stat.identity.0 => from.kind,
            _ => sys::filesystem(fd.0)?,
        };
        Some(LookupPosition { fd, stat, kind, is_own: from.is_some_and(|from| from.is_own) })
    }

    fn is(&self, kind: u32) -> bool {
        self.stat.mode & libc::S_IFMT == kind
    }
}

/// Whether somebody other than root can write to what has this status, or let himself.
pub fn is_changeable(stat: &Stat) -> bool {
    stat.uid != 0 || stat.mode & 0o022 != 0
}

/// Whether somebody other than root can put something else in the place of what has the status `entry` in a folder.
fn is_replaceable(folder: &Stat, entry: &Stat) -> bool {
    let is_sticky = folder.mode & libc::S_ISVTX != 0;
    folder.uid != 0 || (folder.mode & 0o022 != 0 && !(is_sticky && entry.uid == 0))
}

/// The error of a lookup: what the process would get as well, or `None` where that is not known.
fn error(errno: i32) -> Option<i32> {
    matches!(errno, libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG).then_some(errno)
}

impl Place {
    /// Where thread `thread` of process `pid` is; `None` where that cannot be looked at. `counts`: who may change something is of
    /// interest.
    pub fn of(pid: u32, thread: u32, counts: bool) -> Option<Place> {
        let folder = |name: &[u8]| procfs::proc_open(Whose::Of(thread), name, libc::O_PATH).ok();
        let root = LookupPosition::of(folder(b"root")?, None)?;
        let (changeable, steps) = (Cell::new(false), Cell::new(0));
        Some(Place { pid, thread, root, working: folder(b"cwd")?, counts, changeable, steps })
    }

    /// The thread that is there.
    pub fn thread(&self) -> u32 {
        self.thread
    }

    /// Whether somebody other than root could change what a path led to that was looked up here.
    pub fn may_change(&self) -> bool {
        self.changeable.get()
    }

    /// Notes that somebody may.
    pub fn note(&self, may: bool) {
        self.changeable.set(self.changeable.get() || (may && self.counts));
    }

    /// Opens a path as a place only (O_PATH), relative to `at` where that is a descriptor, and to the working folder otherwise. The
    /// errno where the kernel finds nothing either; `Err(None)` where it is not known what it finds.
    #[inline(never)]
    pub fn open(&self, at: Option<&Fd>, path: &CStr, follows: bool) -> Result<Fd, Option<i32>> {
        let bytes = path.to_bytes();
        if bytes.is_empty() {
            return Err(Some(libc::ENOENT));
        }
        let (mut rest, mut next, mut links) = (Path::of(bytes), 0_usize, 0_usize);
        let mut here = match at {
            _ if bytes.starts_with(b"/") => self.at_root()?,
            at => start(at.unwrap_or(&self.working))?,
        };
        loop {
            let left = rest.bytes().get(next..).unwrap_or_default();
            let skipped = left.iter().take_while(|&&byte| byte == b'/').count();
            let left = left.get(skipped..).unwrap_or_default();
            let len = left.iter().position(|&byte| byte == b'/').unwrap_or(left.len());
            let name = StringBuf::<257>::of(left.get(..len).unwrap_or_default());
            let behind = left.get(len..).unwrap_or_default();
            next = next.wrapping_add(skipped).wrapping_add(len);
            self.steps.set(self.steps.get().saturating_add(1));
            if self.steps.get() > STEPS_MAX {
                return Err(None);
            }
            match name.bytes() {
                b"" if skipped > 0 && !here.is(libc::S_IFDIR) => return Err(Some(libc::ENOTDIR)),
                b"" => return Ok(here.fd),
                b"." if here.is(libc::S_IFDIR) => continue,
                b"." => return Err(Some(libc::ENOTDIR)),
                b".." => {
                    here = self.above(here)?;
                    continue;
                }
                _ if !name.fits() => return Err(Some(libc::ENAMETOOLONG)),
                _ => {}
            }
            let found = found(&here, &name, !behind.is_empty())?;
            // Names in a proc are the kernel's.
            self.note(here.kind != sys::PROC && (here.kind == FUSE || is_replaceable(&here.stat, &found.stat)));
            if !found.is(libc::S_IFLNK) {
                here = found;
                continue;
            }
            if behind.is_empty() && !follows {
                return Ok(found.fd);
            }
            links = links.wrapping_add(1);
            if links > LINKS_MAX {
                return Err(Some(libc::ELOOP));
            }
            if found.kind == sys::PROC
                && let Some(there) = self.of_proc(&here, &name)?
            {
                here = there;
                continue;
            }
            let mut target = [0; PATH_MAX];
            let target = sys::readlink_of(found.fd.0, &mut target);
            if target.is_empty() {
                return Err(None);
            }
            let mut then = Path::of(target);
            then.push(rest.bytes().get(next..).unwrap_or_default());
            if !then.fits() {
                return Err(None);
            }
            if target.starts_with(b"/") {
                here = self.at_root()?;
            }
            (rest, next) = (then, 0);
        }
    }

    fn at_root(&self) -> Result<LookupPosition, Option<i32>> {
        start(&self.root.fd)
    }

    /// The folder above one.
    fn above(&self, here: LookupPosition) -> Result<LookupPosition, Option<i32>> {
        if !here.is(libc::S_IFDIR) {
            return Err(Some(libc::ENOTDIR));
        }
        // The folder alone is not enough: a mount of it may be elsewhere.
        if here.stat.identity == self.root.stat.identity {
            match (sys::mount_of(here.fd.0), sys::mount_of(self.root.fd.0)) {
                (Some(mount), Some(of_root)) if mount == of_root => return Ok(here),
                (Some(_), Some(_)) => {}
                _ => return Err(None),
            }
        }
        // Above this process's own /proc is not what is above that one's.
        if here.is_own {
            return Err(None);
        }
        let fd = sys::open(here.fd.0, c"..", libc::O_PATH, 0).map_err(error)?;
        let above = LookupPosition::of(fd, Some(&here)).ok_or(None)?;
        self.note(above.kind != sys::PROC && is_replaceable(&above.stat, &here.stat));
        Ok(above)
    }

    /// Where a link in a proc leads that no text says; `None` where it is a link like any other.
    fn of_proc(&self, folder: &LookupPosition, name: &StringBuf<257>) -> Result<Option<LookupPosition>, Option<i32>> {
        if folder.stat.identity.1 == PROC_ROOT {
            let mut own = StringBuf::<32>::new();
            match name.bytes() {
                b"self" => {}
                b"thread-self" => {
                    own.push(b"task/");
                    own.number(u64::from(self.thread));
                }
                _ => return Ok(None),
            }
            let fd = procfs::proc_open(Whose::Of(self.pid), own.bytes(), libc::O_PATH).map_err(|_| None)?;
            let there = LookupPosition::of(fd, None).ok_or(None)?;
            return Ok(Some(LookupPosition { is_own: true, ..there }));
        }
        // Of what the supervisor's judge may not look into, it cannot tell.
        let followed = match sys::is_magic_link(folder.fd.0, name.c_str()) {
            true => Some(sys::open(folder.fd.0, name.c_str(), libc::O_PATH, 0).map_err(error)?),
            false if ask::is_judge() => ask::follow(folder.fd.0, name.bytes()).map_err(|_| None)?,
            false => None,
        };
        let Some(fd) = followed else { return Ok(None) };
        // What another process has, that process can change.
        self.note(!folder.is_own);
        Ok(Some(LookupPosition::of(fd, None).ok_or(None)?))
    }
}

/// The beginning of a lookup.
fn start(folder: &Fd) -> Result<LookupPosition, Option<i32>> {
    let fd = sys::same_folder(folder.0).map_err(error)?;
    LookupPosition::of(fd, None).ok_or(None)
}

/// What a name is in a folder, a link itself; of what more stands behind, a mount that is made when it is entered.
fn found(folder: &LookupPosition, name: &StringBuf<257>, is_entered: bool) -> Result<LookupPosition, Option<i32>> {
    let open = |more| sys::open(folder.fd.0, name.c_str(), libc::O_PATH | libc::O_NOFOLLOW | more, 0);
    let opened = match if is_entered { open(libc::O_DIRECTORY) } else { open(0) } {
        Err(libc::ENOTDIR | libc::ELOOP) if is_entered => open(0),
        opened => opened,
    };
    LookupPosition::of(opened.map_err(error)?, Some(folder)).ok_or(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &CStr) -> Result<(u64, u64), Option<i32>> {
        let place = Place::of(sys::getpid(), sys::gettid(), true).expect("this process");
        place.open(None, path, true).map(|file| sys::fstat(file.0).expect("a status").identity)
    }

    #[test]
    fn it_finds_what_the_kernel_finds() {
        let folder = std::fs::File::open("/usr").expect("a folder");
        let opened = format!("/dev/fd/{}/bin/../bin/true\0", std::os::fd::AsRawFd::as_raw_fd(&folder));
        let opened = CStr::from_bytes_with_nul(opened.as_bytes()).expect("a path");
        let paths = [
            c"/bin/sh",
            c"//usr/./bin//../../bin/awk",
            c"/../../bin/true",
            c"/proc/self/exe",
            c"/proc/thread-self/root/bin/true",
            c"/proc/self/cwd",
            c"/proc/mounts",
            c"/dev/fd",
            c"/",
            c".",
            opened,
        ];
        for path in paths {
            let wanted = sys::stat(path).expect("a status").identity;
            // What this process has in /proc is reached by its number, and is the same.
            assert_eq!(open(path), Ok(wanted), "{path:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_there() {
        for (path, errno) in [
            (c"/bin/nothing", libc::ENOENT),
            (c"/bin/true/", libc::ENOTDIR),
            (c"/bin/true/.", libc::ENOTDIR),
            (c"/bin/true/..", libc::ENOTDIR),
            (c"/bin/true/x", libc::ENOTDIR),
            (c"", libc::ENOENT),
        ] {
            assert_eq!(open(path), Err(Some(errno)), "{path:?}");
            assert_eq!(sys::stat_at(libc::AT_FDCWD, path).err(), Some(errno), "{path:?}");
        }
        // Above what is another's there: not known.
        assert_eq!(open(c"/proc/self/../version"), Err(None));
    }

    #[test]
    fn only_root_s_own_is_certain() {
        let of = |uid, mode| Stat { uid, mode, ..Stat::default() };
        assert!(!is_replaceable(&of(0, 0o755), &of(33, 0o777)));
        assert!(is_replaceable(&of(33, 0o555), &of(0, 0o755)));
        assert!(is_replaceable(&of(0, 0o775), &of(0, 0o755)));
        assert!(!is_replaceable(&of(0, 0o1777), &of(0, 0o755)));
        assert!(is_replaceable(&of(0, 0o1777), &of(33, 0o755)));
        assert!(is_changeable(&of(0, 0o757)) && is_changeable(&of(1, 0o700)) && !is_changeable(&of(0, 0o755)));
    }
}
