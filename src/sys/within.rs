//! The files of another process, as the kernel finds them for it.

use super::raw::syscall;
use super::{Fd, Stat, fstat, open, result};
use core::ffi::CStr;

/// The file that a path leads to for a process with this root and this working folder; the errno where it leads to none.
/// `Err(None)` where that is not known: as of a path through what a process has (`/proc/self/fd/N`), which would be this one's.
pub fn stat_within(root: &Fd, folder: &Fd, path: &CStr) -> Result<Stat, Option<i32>> {
    let Ok(own) = open(libc::AT_FDCWD, c"/", libc::O_PATH, 0) else { return Err(None) };
    let Ok(here) = open(libc::AT_FDCWD, c".", libc::O_PATH, 0) else { return Err(None) };
    // SAFETY: takes no pointer.
    let enter = |fd: &Fd| unsafe { syscall(libc::SYS_fchdir, [fd.0 as usize, 0, 0, 0, 0, 0]) == 0 };
    // SAFETY: the path ends in NUL.
    let change = || unsafe { syscall(libc::SYS_chroot, [c".".as_ptr() as usize, 0, 0, 0, 0, 0]) == 0 };
    if !enter(root) {
        return Err(None);
    }
    if change() {
        let opened = if enter(folder) { open_resolved(libc::AT_FDCWD, path, 0) } else { Err(None) };
        // Back to where everything else is looked for: without that it cannot go on.
        if !(enter(&own) && change()) {
            super::exit(1);
        }
        enter(&here);
        return stat_of(opened);
    }
    enter(&here);
    // Without CAP_SYS_CHROOT: an absolute path within the root, a relative one below the folder.
    const BENEATH: u64 = 0x08;
    const IN_ROOT: u64 = 0x10;
    stat_of(match path.to_bytes().first() {
        Some(b'/') => open_resolved(root.0, path, IN_ROOT),
        _ => open_resolved(folder.0, path, BENEATH),
    })
}

fn stat_of(opened: Result<Fd, Option<i32>>) -> Result<Stat, Option<i32>> {
    fstat(opened?.0).ok_or(None)
}

fn open_resolved(from: i32, path: &CStr, resolve: u64) -> Result<Fd, Option<i32>> {
    const NO_MAGICLINKS: u64 = 0x02;
    let how = [(libc::O_PATH | libc::O_CLOEXEC) as u64, 0, resolve | NO_MAGICLINKS];
    let args = [from as usize, path.as_ptr() as usize, how.as_ptr() as usize, size_of_val(&how), 0, 0];
    // SAFETY: the path ends in NUL; the kernel reads an open_how: three words.
    match result(unsafe { syscall(libc::SYS_openat2, args) }) {
        Ok(fd) => Ok(Fd(fd as i32)),
        Err(errno @ (libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG)) => Err(Some(errno)),
        Err(_) => Err(None),
    }
}
