//! What looking a path up by hand takes.

use super::raw::syscall;
use super::{Fd, result};
use core::ffi::CStr;

const OPENAT2: libc::c_long = 437;

/// What the link says that a descriptor refers to (O_PATH, O_NOFOLLOW); empty on failure.
pub fn readlink_of(fd: i32, into: &mut [u8]) -> &[u8] {
    let args = [fd as usize, c"".as_ptr() as usize, into.as_mut_ptr() as usize, into.len(), 0, 0];
    // SAFETY: the path ends in NUL; the kernel writes at most the length of the slice.
    let got = unsafe { syscall(libc::SYS_readlinkat, args) };
    into.get(..usize::try_from(got).unwrap_or(0)).unwrap_or_default()
}

/// Whether a name in a folder is a link that says nothing, and leads to what a process has all the same.
pub fn is_magic_link(folder: i32, name: &CStr) -> bool {
    const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
    let how = [(libc::O_PATH | libc::O_CLOEXEC) as u64, 0, RESOLVE_NO_MAGICLINKS];
    let args = [folder as usize, name.as_ptr() as usize, how.as_ptr() as usize, size_of_val(&how), 0, 0];
    // SAFETY: the path ends in NUL; the kernel reads a struct open_how: three numbers of 64 bits.
    match result(unsafe { syscall(OPENAT2, args) }) {
        Ok(fd) => {
            super::close(fd as i32);
            false
        }
        Err(errno) => errno == libc::ELOOP,
    }
}

/// The number of the mount that a descriptor is in; `None` where the kernel does not tell.
pub fn mount_of(fd: i32) -> Option<u64> {
    /// include/uapi/linux/stat.h.
    const STATX_MNT_ID: usize = 0x1000;
    // A struct statx: the first word begins with what is told, the nineteenth is the mount.
    let mut words = [0_u64; 32];
    let args = [
        fd as usize,
        c"".as_ptr() as usize,
        libc::AT_EMPTY_PATH as usize,
        STATX_MNT_ID,
        words.as_mut_ptr() as usize,
        0,
    ];
    // SAFETY: the path ends in NUL; the kernel writes a struct statx, which has 256 bytes.
    result(unsafe { syscall(libc::SYS_statx, args) }).ok()?;
    (words[0] & STATX_MNT_ID as u64 != 0).then_some(words[18])
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
