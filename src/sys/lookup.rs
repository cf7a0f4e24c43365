//! What looking a path up by hand takes.

use super::raw::syscall;
use super::{Fd, result};
use core::ffi::CStr;

pub const OPENAT2: libc::c_long = 437;
/// How it looks for such a link, a struct open_how: three numbers of 64 bits, which nobody can write to.
pub static AS_LINK: [u64; 3] = [(libc::O_PATH | libc::O_CLOEXEC) as u64, 0, RESOLVE_NO_MAGICLINKS];
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;

/// What the link says that a descriptor refers to (O_PATH, O_NOFOLLOW); empty on failure.
pub fn readlink_of(fd: i32, into: &mut [u8]) -> &[u8] {
    let args = [fd as usize, c"".as_ptr() as usize, into.as_mut_ptr() as usize, into.len(), 0, 0];
    // SAFETY: the path ends in NUL; the kernel writes at most the length of the slice.
    let got = unsafe { syscall(libc::SYS_readlinkat, args) };
    into.get(..usize::try_from(got).unwrap_or(0)).unwrap_or_default()
}

/// Whether a name in a folder is a link that says nothing, and leads to what a process has all the same.
pub fn is_magic_link(folder: i32, name: &CStr) -> bool {
    let args = [folder as usize, name.as_ptr() as usize, AS_LINK.as_ptr() as usize, size_of_val(&AS_LINK), 0, 0];
    // SAFETY: the path ends in NUL; the kernel reads a struct open_how.
    match result(unsafe { syscall(OPENAT2, args) }) {
        Ok(fd) => {
            super::close(fd as i32);
            false
        }
        Err(errno) => errno == libc::ELOOP,
    }
}

/// A struct statx as words (include/uapi/linux/stat.h): the first begins with what is told.
type Statx = [u64; 32];
const STATX_MNT_ID: u64 = 0x1000;

fn statx(at: i32, path: &CStr, flags: i32, mask: u64) -> Result<Statx, i32> {
    let mut words = [0; 32];
    let to = words.as_mut_ptr() as usize;
    let args = [at as usize, path.as_ptr() as usize, flags as usize, mask as usize, to, 0];
    // SAFETY: the path ends in NUL; the kernel writes a struct statx, which has 256 bytes.
    result(unsafe { syscall(libc::SYS_statx, args) })?;
    Ok(words)
}

/// The number of the mount that a descriptor is in; `None` where the kernel does not tell.
pub fn mount_of(fd: i32) -> Option<u64> {
    let words = statx(fd, c"", libc::AT_EMPTY_PATH, STATX_MNT_ID).ok()?;
    (words[0] & STATX_MNT_ID != 0).then_some(words[18])
}

/// Which file is at a path, and how it is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Which {
    /// Device (major and minor number in one) and inode.
    pub identity: (u64, u64),
    /// The mount; 0 where the kernel does not tell.
    pub mount: u64,
    /// Nobody but root can write to it.
    pub is_root_s: bool,
}

impl Which {
    /// That is not known.
    pub const UNKNOWN: Which = Which { identity: (0, 0), mount: 0, is_root_s: false };
}

/// Which file is at a path; the errno where none is.
pub fn which(path: &CStr) -> Result<Which, i32> {
    const STATX_BASIC_STATS: u64 = 0x7ff;
    let words = statx(libc::AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_MNT_ID)?;
    let mount = if words[0] & STATX_MNT_ID == 0 { 0 } else { words[18] };
    // stx_uid is the upper half of the third word, stx_mode behind stx_gid.
    let (uid, mode) = (words[2] >> 32, words[3] >> 32);
    Ok(Which { identity: (words[17], words[4]), mount, is_root_s: uid == 0 && mode & 0o022 == 0 })
}

/// Whether the kernel lets this process execute an open file, as far as permissions say; true where it does not tell.
pub fn may_execute_open(fd: i32) -> bool {
    const FACCESSAT2: libc::c_long = 439;
    let flags = (libc::AT_EACCESS | libc::AT_EMPTY_PATH) as usize;
    // SAFETY: the path ends in NUL.
    unsafe {
        syscall(FACCESSAT2, [fd as usize, c"".as_ptr() as usize, libc::X_OK as usize, flags, 0, 0])
            != -(libc::EACCES as isize)
    }
}

/// Another descriptor of the folder that `fd` refers to.
pub fn same_folder(fd: i32) -> Result<Fd, i32> {
    super::open(fd, c".", libc::O_PATH, 0)
}
