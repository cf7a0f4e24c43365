//! Files and descriptors.

use super::raw::syscall;
use super::{Fd, result};
use core::ffi::CStr;

/// What `fstat` says, as far as the guard looks.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// Device and inode: the identity of a file.
    pub identity: (u64, u64),
    /// Type and permissions.
    pub mode: u32,
    /// Of a device: which one.
    pub special: u64,
    /// Names that it has.
    pub links: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime: i64,
    /// Time of the last change of content or status, likewise.
    pub ctime: i64,
}

fn stat_of(fill: impl FnOnce(*mut libc::stat) -> isize) -> Result<Stat, i32> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    result(fill(stat.as_mut_ptr()))?;
    // SAFETY: all zero bytes are a valid stat, and the kernel has filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(Stat {
        identity: (stat.st_dev, stat.st_ino),
        mode: stat.st_mode,
        special: stat.st_rdev,
        // Of another width on each architecture.
        #[allow(clippy::useless_conversion)]
        links: u64::from(stat.st_nlink),
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size.cast_unsigned(),
        mtime: stat.st_mtime.wrapping_mul(1_000_000_000).wrapping_add(stat.st_mtime_nsec),
        ctime: stat.st_ctime.wrapping_mul(1_000_000_000).wrapping_add(stat.st_ctime_nsec),
    })
}

/// `fstat` of an open descriptor.
pub fn fstat(fd: i32) -> Option<Stat> {
    // SAFETY: the kernel writes one stat to where the pointer points.
    stat_of(|to| unsafe { syscall(libc::SYS_fstat, [fd as usize, to as usize, 0, 0, 0, 0]) }).ok()
}

/// [`fstat`] of what an event is written to: of a local socket, where it leads takes the place of the device. A socket can be
/// connected anew by all who have a descriptor of it.
pub fn fstat_of_sink(fd: i32) -> Option<Stat> {
    let mut stat = fstat(fd)?;
    if stat.mode & libc::S_IFMT == libc::S_IFSOCK {
        stat.identity.0 = super::hash_of_peer(fd);
    }
    Some(stat)
}

/// Whether nobody can do more with a file, by any descriptor of it, than append (`chattr +a`).
pub fn is_append_only(fd: i32) -> bool {
    let mut statx = core::mem::MaybeUninit::<libc::statx>::zeroed();
    let (path, flags) = (c"".as_ptr() as usize, libc::AT_EMPTY_PATH as usize);
    let args = [fd as usize, path, flags, libc::STATX_TYPE as usize, statx.as_mut_ptr() as usize, 0];
    // SAFETY: the path ends in NUL, and the kernel writes one statx.
    let done = result(unsafe { syscall(libc::SYS_statx, args) });
    // SAFETY: all zero bytes are a valid statx.
    let attributes = unsafe { statx.assume_init() }.stx_attributes;
    done.is_ok() && attributes & libc::STATX_ATTR_APPEND as u64 != 0
}

/// Sets the flags of an open file description.
pub fn set_flags(fd: i32, flags: i32) -> bool {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_SETFL as usize, flags as usize, 0, 0, 0]) == 0 }
}

/// `stat` of a path.
pub fn stat(path: &CStr) -> Option<Stat> {
    stat_at(libc::AT_FDCWD, path).ok()
}

/// `stat` of a path relative to a descriptor.
pub fn stat_at(at: i32, path: &CStr) -> Result<Stat, i32> {
    // SAFETY: the path ends in NUL, and the kernel writes one stat to where the pointer points.
    stat_of(|to| unsafe { syscall(libc::SYS_newfstatat, [at as usize, path.as_ptr() as usize, to as usize, 0, 0, 0]) })
}

/// The root folder: the number of its mount, its device and its inode; `None` where the kernel does not say (before 5.8).
pub fn root_folder() -> Option<[u64; 3]> {
    let mut statx = core::mem::MaybeUninit::<libc::statx>::zeroed();
    let wanted = libc::STATX_INO | libc::STATX_MNT_ID;
    let (at, path) = (libc::AT_FDCWD as usize, c"/".as_ptr() as usize);
    let args = [at, path, 0, wanted as usize, statx.as_mut_ptr() as usize, 0];
    // SAFETY: the path ends in NUL, and the kernel writes one statx.
    result(unsafe { syscall(libc::SYS_statx, args) }).ok()?;
    // SAFETY: all zero bytes are a valid statx, and the kernel has filled it.
    let statx = unsafe { statx.assume_init() };
    let device = u64::from(statx.stx_dev_major) << 32 | u64::from(statx.stx_dev_minor);
    (statx.stx_mask & wanted == wanted).then_some([statx.stx_mnt_id, device, statx.stx_ino])
}

/// Whether root is the host's root to this process: in a user namespace of somebody's, root is whom that maps. Inodes without a
/// name in any file system belong to root, and no mount covers them.
pub fn sees_root() -> bool {
    // SAFETY: takes no pointer.
    let made = result(unsafe { syscall(libc::SYS_epoll_create1, [libc::EPOLL_CLOEXEC as usize, 0, 0, 0, 0, 0]) });
    let file = made.map(|fd| Fd(fd as i32));
    file.ok().and_then(|file| fstat(file.0)).is_some_and(|stat| stat.uid == 0)
}

/// The type of proc as `fstatfs` says it (include/uapi/linux/magic.h).
pub const PROC: i64 = 0x9fa0;

/// The type of the file system that a descriptor is in.
pub fn filesystem(fd: i32) -> Option<i64> {
    statfs(fd).map(|[kind, ..]| kind)
}

/// Whether a file is on a mount whose programs gain nothing by their files (ST_NOSUID).
pub fn is_nosuid(fd: i32) -> bool {
    /// include/linux/statfs.h.
    const ST_NOSUID: i64 = 2;
    statfs(fd).is_some_and(|[.., flags, _, _, _, _]| flags & ST_NOSUID != 0)
}

/// Whether this process gains no privileges by executing a file (no_new_privs).
pub fn has_no_new_privs() -> bool {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_prctl, [libc::PR_GET_NO_NEW_PRIVS as usize, 0, 0, 0, 0, 0]) == 1 }
}

/// `struct statfs` of 64-bit machines (include/uapi/asm-generic/statfs.h): words, the first of which is the type and the last
/// but four the flags of the mount.
fn statfs(fd: i32) -> Option<[i64; 15]> {
    let mut words = [0; 15];
    // SAFETY: the kernel writes one statfs, which has as many words.
    let done = unsafe { syscall(libc::SYS_fstatfs, [fd as usize, words.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    (done == 0).then_some(words)
}

/// The flags that a descriptor was opened with.
pub fn flags(fd: i32) -> Option<i32> {
    // SAFETY: takes no pointer.
    let flags = unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_GETFL as usize, 0, 0, 0, 0]) };
    (flags >= 0).then_some(flags as i32)
}

/// `openat`; `O_CLOEXEC` is always set.
pub fn open(at: i32, path: &CStr, flags: i32, mode: u32) -> Result<Fd, i32> {
    let flags = flags | libc::O_CLOEXEC;
    let args = [at as usize, path.as_ptr() as usize, flags as usize, mode as usize, 0, 0];
    // SAFETY: the path ends in NUL.
    result(unsafe { syscall(libc::SYS_openat, args) }).map(|fd| Fd(fd as i32))
}

/// Whether a path leads through what a process has (`/proc/PID/fd/N`, `cwd`, `root`, `exe`): true where the kernel does not
/// tell, as of a descriptor that is not there yet.
pub fn leads_through_process(at: i32, path: &CStr) -> bool {
    const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
    let how = [(libc::O_PATH | libc::O_CLOEXEC) as u64, 0, RESOLVE_NO_MAGICLINKS];
    let args = [at as usize, path.as_ptr() as usize, how.as_ptr() as usize, size_of_val(&how), 0, 0];
    // SAFETY: the path ends in NUL; the kernel reads a struct open_how: three numbers of 64 bits.
    let errno = match result(unsafe { syscall(libc::SYS_openat2, args) }) {
        Ok(fd) => {
            close(fd as i32);
            return false;
        }
        Err(errno) => lookup_error(at, path, errno),
    };
    match errno {
        libc::ENOENT | libc::ENOTDIR => {
            let bytes = path.to_bytes();
            [&b"/proc/"[..], b"/dev/"].into_iter().any(|start| bytes.starts_with(start))
        }
        libc::EACCES | libc::ENAMETOOLONG => false,
        _ => true,
    }
}

/// The errno with which `path` cannot be looked up, of an open that failed with `errno`: without a free descriptor, the kernel
/// looks nothing up.
pub fn lookup_error(at: i32, path: &CStr, errno: i32) -> i32 {
    match errno {
        libc::EMFILE | libc::ENFILE => stat_at(at, path).err().unwrap_or(errno),
        _ => errno,
    }
}

/// The seals that keep everybody from writing to a file in memory, and from cutting it.
const SEALS: i32 = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// `memfd_create`: an empty file that is in no folder, not executable where the kernel can have it so (6.3).
pub fn memory_file(name: &CStr) -> Option<Fd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let made = |flags: libc::c_uint| {
        // SAFETY: the name ends in NUL.
        result(unsafe { syscall(libc::SYS_memfd_create, [name.as_ptr() as usize, flags as usize, 0, 0, 0, 0]) })
    };
    let made = match made(flags | libc::MFD_NOEXEC_SEAL) {
        Err(libc::EINVAL) => made(flags),
        made => made,
    };
    made.ok().map(|fd| Fd(fd as i32))
}

/// Seals a file of [`memory_file`] for good; whether that was done.
pub fn seal(fd: i32) -> bool {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_ADD_SEALS as usize, SEALS as usize, 0, 0, 0]) == 0 }
}

/// Whether a descriptor is of a file that is sealed so.
pub fn is_sealed(fd: i32) -> bool {
    // SAFETY: takes no pointer.
    let seals = result(unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_GET_SEALS as usize, 0, 0, 0, 0]) });
    seals.is_ok_and(|seals| seals as i32 & SEALS == SEALS)
}

/// `close`.
pub fn close(fd: i32) {
    // SAFETY: takes no pointer; the callers close only what they opened.
    unsafe { super::raw::enter(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// `read`; what was read.
pub fn read(fd: i32, into: &mut [u8]) -> &[u8] {
    // SAFETY: the kernel writes at most the length of the slice into it.
    let got = unsafe { syscall(libc::SYS_read, [fd as usize, into.as_mut_ptr() as usize, into.len(), 0, 0, 0]) };
    into.get(..usize::try_from(got).unwrap_or(0)).unwrap_or_default()
}

/// `pread` from the start of the file; what was read, `None` where it cannot be.
pub fn read_head(fd: i32, into: &mut [u8]) -> Option<&[u8]> {
    // SAFETY: the kernel writes at most the length of the slice into it.
    let got = unsafe { syscall(libc::SYS_pread64, [fd as usize, into.as_mut_ptr() as usize, into.len(), 0, 0, 0]) };
    into.get(..usize::try_from(got).ok()?)
}

/// Whether a file has capabilities, which a program gains by executing it.
pub fn has_capabilities(fd: i32) -> bool {
    let path = crate::sys::procfs::proc_descriptor(fd);
    let args = [path.c_str().as_ptr() as usize, c"security.capability".as_ptr() as usize, 0, 0, 0, 0];
    // SAFETY: both strings end in NUL; without a buffer, the kernel gives the size.
    unsafe { syscall(libc::SYS_getxattr, args) > 0 }
}

/// Not in the libc crate for every C library.
const FACCESSAT2: libc::c_long = 439;

/// Whether the kernel lets this process execute a path, as far as permissions say; true where it does not tell.
pub fn may_execute(at: i32, path: &CStr) -> bool {
    let args = [at as usize, path.as_ptr() as usize, libc::X_OK as usize, libc::AT_EACCESS as usize, 0, 0];
    // SAFETY: the path ends in NUL.
    unsafe { syscall(FACCESSAT2, args) != -(libc::EACCES as isize) }
}

/// `fchmod`.
pub fn chmod(fd: i32, mode: u32) {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_fchmod, [fd as usize, mode as usize, 0, 0, 0, 0]) };
}

/// `readlink`; the target, empty on failure.
pub fn readlink<'b>(path: &CStr, into: &'b mut [u8]) -> &'b [u8] {
    let args = [libc::AT_FDCWD as usize, path.as_ptr() as usize, into.as_mut_ptr() as usize, into.len(), 0, 0];
    // SAFETY: the path ends in NUL; the kernel writes at most the length of the slice.
    let got = unsafe { syscall(libc::SYS_readlinkat, args) };
    into.get(..usize::try_from(got).unwrap_or(0)).unwrap_or_default()
}

/// `faccessat2`: whether the effective user may write to the path, or else the real one, as it is mounted.
pub fn may_write(path: &CStr) -> Result<(), i32> {
    let asked = |call: libc::c_long, flags: i32| {
        let args = [libc::AT_FDCWD as usize, path.as_ptr() as usize, libc::W_OK as usize, flags as usize, 0, 0];
        // SAFETY: the path ends in NUL.
        result(unsafe { syscall(call, args) }).map(|_| ())
    };
    match asked(FACCESSAT2, libc::AT_EACCESS) {
        // Kernels before 5.8, and another real user.
        Err(libc::ENOSYS | libc::EACCES) if super::users()[0] != 0 => asked(libc::SYS_faccessat, 0),
        answer => answer,
    }
}

/// The access control list of a path, as the kernel keeps it.
pub fn access_list<'b>(path: &CStr, into: &'b mut [u8]) -> Result<&'b [u8], i32> {
    let name = c"system.posix_acl_access".as_ptr() as usize;
    let args = [path.as_ptr() as usize, name, into.as_mut_ptr() as usize, into.len(), 0, 0];
    // SAFETY: both strings end in NUL; the kernel writes at most the length of the slice.
    let got = result(unsafe { syscall(libc::SYS_getxattr, args) })?;
    into.get(..got).ok_or(libc::ERANGE)
}

/// `getcwd`; empty on failure.
pub fn getcwd(into: &mut [u8]) -> &[u8] {
    // SAFETY: the kernel writes at most the length of the slice, NUL included.
    let got = unsafe { syscall(libc::SYS_getcwd, [into.as_mut_ptr() as usize, into.len(), 0, 0, 0, 0]) };
    let len = usize::try_from(got).unwrap_or(0).saturating_sub(1);
    into.get(..len).unwrap_or_default()
}

/// Whether this process has one thread, as far as /proc says.
pub fn is_alone() -> bool {
    // A folder has two links besides those of its folders.
    stat(c"/proc/self/task").is_some_and(|task| task.links == 3)
}

/// A duplicate of a descriptor with a number of at least `from`, closed on exec.
pub fn duplicate_high(fd: i32, from: i32) -> Result<i32, i32> {
    // SAFETY: takes no pointer.
    result(unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_DUPFD_CLOEXEC as usize, from as usize, 0, 0, 0]) })
        .map(|fd| fd as i32)
}

/// From where on a descriptor of the guard's is least in the way, and from where on it may be in a program that does not know of it.
pub const HIGHEST: i32 = 900;
const HIGH: i32 = 50;

/// A duplicate of a descriptor with a number that a program is least likely to mean by one that it has not, closed on exec.
pub fn duplicate_highest(fd: i32) -> Result<i32, i32> {
    let found = [HIGHEST, 200, HIGH].into_iter().find_map(|from| duplicate_high(fd, from).ok());
    found.map_or_else(|| duplicate_high(fd, 3), Ok)
}

/// A duplicate that is closed on exec, with a number that no program means by one that it has not, so not a low one.
pub fn duplicate_to_lend(fd: i32) -> Option<Fd> {
    duplicate_high(fd, HIGHEST).or_else(|_| duplicate_high(fd, HIGH)).ok().map(Fd)
}

/// `dup3` without flags: `to` becomes a duplicate of `from` that survives exec. For a child of [`super::fork_silent`] only.
pub fn duplicate_onto(from: i32, to: i32) {
    // SAFETY: takes no pointer; the child's descriptors are its own.
    unsafe { syscall(libc::SYS_dup3, [from as usize, to as usize, 0, 0, 0, 0]) };
}

/// Closes the descriptors from `first` to `last`, on behalf of the program.
pub fn close_between(first: i32, last: i32) {
    // SAFETY: takes no pointer; the program closes them.
    let done = unsafe { syscall(libc::SYS_close_range, [first as usize, last as usize, 0, 0, 0, 0]) };
    if done < 0 {
        // Kernels before 5.9, and an empty range.
        (first..=last).for_each(close);
    }
}

/// Closes every descriptor but these, which it sorts. For a child of [`super::fork_silent`] only.
pub fn close_all_but(kept: &mut [i32]) {
    kept.sort_unstable();
    let mut first = 0;
    for fd in kept.iter().filter(|fd| **fd >= 0) {
        if *fd > first {
            let args = [first as usize, fd.wrapping_sub(1) as usize, 0, 0, 0, 0];
            // SAFETY: takes no pointer; the child's descriptors are its own. Kernels before 5.9 have no such call.
            unsafe { syscall(libc::SYS_close_range, args) };
        }
        first = fd.wrapping_add(1);
    }
    close_from(first);
}

/// Closes every descriptor from `first` on. For a child of [`super::fork_silent`] only.
pub fn close_from(first: i32) {
    // SAFETY: takes no pointer; the child's descriptors are its own.
    let done = unsafe { syscall(libc::SYS_close_range, [first as usize, u32::MAX as usize, 0, 0, 0, 0]) };
    if done < 0 {
        // Kernels before 5.9.
        for fd in first..4096 {
            close(fd);
        }
    }
}
