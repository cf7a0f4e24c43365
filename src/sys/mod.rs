//! System calls without libc: they touch neither errno nor the guard's own hooks. Results are the kernel's: negative
//! errno on failure.

mod raw;

use core::ffi::CStr;
use core::ffi::c_void;
use raw::syscall;

/// A descriptor that is closed when it goes out of scope.
pub struct Fd(pub i32);

impl Drop for Fd {
    fn drop(&mut self) {
        close(self.0);
    }
}

/// What `fstat` says, as far as the guard looks.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// Device and inode: the identity of a file.
    pub identity: (u64, u64),
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime: i64,
}

fn stat_of(fill: impl FnOnce(*mut libc::stat) -> isize) -> Option<Stat> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    if fill(stat.as_mut_ptr()) < 0 {
        return None;
    }
    // SAFETY: all zero bytes are a valid stat, and the kernel has filled it.
    let stat = unsafe { stat.assume_init() };
    Some(Stat {
        identity: (stat.st_dev, stat.st_ino),
        mode: stat.st_mode,
        uid: stat.st_uid,
        size: stat.st_size.cast_unsigned(),
        mtime: stat.st_mtime.wrapping_mul(1_000_000_000).wrapping_add(stat.st_mtime_nsec),
    })
}

/// `fstat` of an open descriptor.
pub fn fstat(fd: i32) -> Option<Stat> {
    // SAFETY: the kernel writes one stat to where the pointer points.
    stat_of(|to| unsafe { syscall(libc::SYS_fstat, [fd as usize, to as usize, 0, 0, 0, 0]) })
}

/// `stat` of a path.
pub fn stat(path: &CStr) -> Option<Stat> {
    let at = libc::AT_FDCWD as usize;
    // SAFETY: the path ends in NUL, and the kernel writes one stat to where the pointer points.
    stat_of(|to| unsafe { syscall(libc::SYS_newfstatat, [at, path.as_ptr() as usize, to as usize, 0, 0, 0]) })
}

/// `openat`; `O_CLOEXEC` is always set.
pub fn open(at: i32, path: &CStr, flags: i32, mode: u32) -> Result<Fd, i32> {
    let flags = flags | libc::O_CLOEXEC;
    let args = [at as usize, path.as_ptr() as usize, flags as usize, mode as usize, 0, 0];
    // SAFETY: the path ends in NUL.
    result(unsafe { syscall(libc::SYS_openat, args) }).map(|fd| Fd(fd as i32))
}

fn result(value: isize) -> Result<usize, i32> {
    usize::try_from(value).map_err(|_| value.wrapping_neg() as i32)
}

/// `close`.
pub fn close(fd: i32) {
    // SAFETY: takes no pointer; the callers close only what they opened.
    unsafe { syscall(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// `read`; what was read.
pub fn read(fd: i32, into: &mut [u8]) -> &[u8] {
    // SAFETY: the kernel writes at most the length of the slice into it.
    let got = unsafe { syscall(libc::SYS_read, [fd as usize, into.as_mut_ptr() as usize, into.len(), 0, 0, 0]) };
    into.get(..usize::try_from(got).unwrap_or(0)).unwrap_or_default()
}

/// `pread` from the start of the file; what was read.
pub fn read_head(fd: i32, into: &mut [u8]) -> &[u8] {
    // SAFETY: the kernel writes at most the length of the slice into it.
    let got = unsafe { syscall(libc::SYS_pread64, [fd as usize, into.as_mut_ptr() as usize, into.len(), 0, 0, 0]) };
    into.get(..usize::try_from(got).unwrap_or(0)).unwrap_or_default()
}

/// `send` that never waits.
pub fn send_bytes(fd: i32, bytes: &[u8]) -> Result<usize, i32> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let args = [fd as usize, bytes.as_ptr() as usize, bytes.len(), flags as usize, 0, 0];
    // SAFETY: the kernel reads the slice.
    result(unsafe { syscall(libc::SYS_sendto, args) })
}

/// `write`, once; for a descriptor of which [`never_blocks`] holds.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize, i32> {
    // SAFETY: the kernel reads the slice.
    result(unsafe { syscall(libc::SYS_write, [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) })
}

/// Whether a write of `len` bytes will not wait: to a regular file or a non-blocking description, or where the kernel
/// says that it has room and promises to take that many bytes at once (PIPE_BUF).
pub fn never_blocks(fd: i32, len: usize) -> bool {
    const PIPE_BUF: usize = 4096;
    // SAFETY: takes no pointer.
    let flags = unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_GETFL as usize, 0, 0, 0, 0]) };
    if flags >= 0 && flags as i32 & libc::O_NONBLOCK != 0 {
        return true;
    }
    if fstat(fd).is_some_and(|stat| stat.mode & libc::S_IFMT == libc::S_IFREG) {
        return true;
    }
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    let timeout = [0_usize; 2];
    // SAFETY: the kernel reads and writes one pollfd, and reads a timespec.
    let ready = unsafe { syscall(libc::SYS_ppoll, [&raw mut poll as usize, 1, timeout.as_ptr() as usize, 0, 0, 0]) };
    ready == 1 && poll.revents & libc::POLLOUT != 0 && len <= PIPE_BUF
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

/// `faccessat`: whether the path may be executed by the real user.
pub fn executable(path: &CStr) -> bool {
    let args = [libc::AT_FDCWD as usize, path.as_ptr() as usize, libc::X_OK as usize, 0, 0, 0];
    // SAFETY: the path ends in NUL.
    unsafe { syscall(libc::SYS_faccessat, args) == 0 }
}

/// `getcwd`; empty on failure.
pub fn getcwd(into: &mut [u8]) -> &[u8] {
    // SAFETY: the kernel writes at most the length of the slice, NUL included.
    let got = unsafe { syscall(libc::SYS_getcwd, [into.as_mut_ptr() as usize, into.len(), 0, 0, 0, 0]) };
    let len = usize::try_from(got).unwrap_or(0).saturating_sub(1);
    into.get(..len).unwrap_or_default()
}

/// Maps a whole file read-only; or, with no descriptor, zeroed memory that children share.
pub fn mmap(fd: Option<i32>, len: usize) -> Option<*mut c_void> {
    let (protection, flags) = match fd {
        Some(_) => (libc::PROT_READ, libc::MAP_SHARED),
        None => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS),
    };
    let args = [0, len, protection as usize, flags as usize, fd.unwrap_or(-1) as usize, 0];
    // SAFETY: a new mapping overlaps nothing.
    let at = unsafe { syscall(libc::SYS_mmap, args) };
    result(at).ok().map(|at| at as *mut c_void)
}

/// Private zeroed memory.
pub fn allocate(len: usize) -> Option<*mut c_void> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping overlaps nothing.
    let at = unsafe { syscall(libc::SYS_mmap, [0, len, protection as usize, flags as usize, usize::MAX, 0]) };
    result(at).ok().map(|at| at as *mut c_void)
}

/// `munmap` of what [`mmap`] or [`allocate`] gave.
pub fn munmap(at: *mut c_void, len: usize) {
    // SAFETY: the callers unmap only what they mapped, and nothing refers to it any more.
    unsafe { syscall(libc::SYS_munmap, [at as usize, len, 0, 0, 0, 0]) };
}

/// `mprotect` of whole pages.
///
/// # Safety
/// The pages must be ones whose protection the caller may change.
pub unsafe fn mprotect(at: usize, len: usize, protection: i32) -> bool {
    // SAFETY: as the caller promises.
    unsafe { syscall(libc::SYS_mprotect, [at, len, protection as usize, 0, 0, 0]) == 0 }
}

/// Process id.
pub fn getpid() -> u32 {
    // SAFETY: takes nothing.
    unsafe { syscall(libc::SYS_getpid, [0; 6]) as u32 }
}

/// Parent's process id.
pub fn getppid() -> u32 {
    // SAFETY: takes nothing.
    unsafe { syscall(libc::SYS_getppid, [0; 6]) as u32 }
}

/// Effective user id.
pub fn geteuid() -> u32 {
    // SAFETY: takes nothing.
    unsafe { syscall(libc::SYS_geteuid, [0; 6]) as u32 }
}

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    let mut time = [0_i64; 2];
    let args = [libc::CLOCK_REALTIME as usize, time.as_mut_ptr() as usize, 0, 0, 0, 0];
    // SAFETY: the kernel writes a timespec, which is two 64-bit integers on 64-bit Linux.
    unsafe { syscall(libc::SYS_clock_gettime, args) };
    time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1]).cast_unsigned()
}

/// Host name.
pub fn hostname(into: &mut [u8; 65]) -> &[u8] {
    let mut names = [0_u8; 65 * 6];
    // SAFETY: the kernel writes a utsname: six fields of 65 bytes.
    unsafe { syscall(libc::SYS_uname, [names.as_mut_ptr() as usize, 0, 0, 0, 0, 0]) };
    for (to, from) in into.iter_mut().zip(names.iter().skip(65)) {
        *to = *from;
    }
    let len = into.iter().position(|&byte| byte == 0).unwrap_or(0);
    into.get(..len).unwrap_or_default()
}

/// Whether a descriptor is a datagram socket.
pub fn is_datagram(fd: i32) -> bool {
    let mut kind = 0_i32;
    let mut len = 4_u32;
    let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_TYPE as usize);
    let args = [fd as usize, level, option, &raw mut kind as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes an int and its length.
    unsafe { syscall(libc::SYS_getsockopt, args) };
    kind == libc::SOCK_DGRAM
}

/// Whether a TCP socket is past its closed state, so that a connect of it begins nothing.
pub fn is_begun(fd: i32) -> bool {
    // The first byte of struct tcp_info is the state.
    let mut state = 0_u8;
    let mut len = 1_u32;
    let (level, option) = (libc::IPPROTO_TCP as usize, libc::TCP_INFO as usize);
    let args = [fd as usize, level, option, &raw mut state as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes at most the length that it is given, and the length.
    let done = unsafe { syscall(libc::SYS_getsockopt, args) };
    const TCP_CLOSE: u8 = 7;
    done == 0 && state != TCP_CLOSE
}

/// A datagram socket of the local domain that never blocks.
pub fn local_datagram() -> Result<Fd, i32> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes no pointer.
    result(unsafe { syscall(libc::SYS_socket, [libc::AF_UNIX as usize, kind as usize, 0, 0, 0, 0]) })
        .map(|fd| Fd(fd as i32))
}

/// `connect` of a local socket to a path.
pub fn connect_local(fd: i32, path: &[u8]) -> bool {
    let (address, len) = local_address(path);
    // SAFETY: the kernel reads the address.
    unsafe { syscall(libc::SYS_connect, [fd as usize, &raw const address as usize, len, 0, 0, 0]) == 0 }
}

fn local_address(path: &[u8]) -> ([u8; 110], usize) {
    let mut address = [0; 110];
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    for (to, from) in address.iter_mut().zip(family.iter().chain(path).chain(&[0])) {
        *to = *from;
    }
    (address, path.len().wrapping_add(3).min(110))
}

/// Sends the pieces as one datagram, without waiting and without SIGPIPE.
pub fn send(fd: i32, pieces: &[&[u8]; 3]) -> bool {
    let vectors = pieces.map(|piece| libc::iovec { iov_base: piece.as_ptr() as *mut c_void, iov_len: piece.len() });
    let header = [0, 0, vectors.as_ptr() as usize, vectors.len(), 0, 0, 0];
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the kernel reads a msghdr, which is seven words on 64-bit Linux, and what it points to.
    unsafe { syscall(libc::SYS_sendmsg, [fd as usize, header.as_ptr() as usize, flags as usize, 0, 0, 0]) >= 0 }
}

/// A duplicate of a descriptor with a number of at least `from`, closed on exec.
pub fn duplicate_high(fd: i32, from: i32) -> Result<i32, i32> {
    // SAFETY: takes no pointer.
    result(unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_DUPFD_CLOEXEC as usize, from as usize, 0, 0, 0]) })
        .map(|fd| fd as i32)
}

/// Whether eight bytes at an address can be read: rt_sigprocmask copies them in before it sees that its first
/// argument is none (absl's AddressIsReadable has the idea).
pub fn readable(address: usize) -> bool {
    let args = [usize::MAX, address & !7, 0, 8, 0, 0];
    // SAFETY: with this first argument the call changes nothing.
    unsafe { syscall(libc::SYS_rt_sigprocmask, args) != -(libc::EFAULT as isize) }
}

/// `dup3` without flags: `to` becomes a duplicate of `from` that survives exec. For a child of [`fork_silent`] only.
pub fn duplicate_onto(from: i32, to: i32) {
    // SAFETY: takes no pointer; the child's descriptors are its own.
    unsafe { syscall(libc::SYS_dup3, [from as usize, to as usize, 0, 0, 0, 0]) };
}

/// The name of the calling thread, at most 15 bytes.
pub fn thread_name(into: &mut [u8; 16]) -> &[u8] {
    // SAFETY: the kernel writes 16 bytes.
    unsafe { syscall(libc::SYS_prctl, [libc::PR_GET_NAME as usize, into.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    let len = into.iter().position(|&byte| byte == 0).unwrap_or(15);
    into.get(..len).unwrap_or_default()
}

/// `connect` of a descriptor of the caller.
///
/// # Safety
/// `address` must be what the caller of the hook gave, or point to `len` bytes.
pub unsafe fn connect(fd: i32, address: *const c_void, len: u32) -> isize {
    // SAFETY: the kernel checks the pointer.
    unsafe { syscall(libc::SYS_connect, [fd as usize, address as usize, len as usize, 0, 0, 0]) }
}

/// `execve`.
///
/// # Safety
/// As execve: the vectors end in NULL, or the kernel finds the fault.
pub unsafe fn execve(path: *const u8, argv: *const *const u8, envp: *const *const u8) -> i32 {
    // SAFETY: the kernel checks every pointer.
    unsafe { syscall(libc::SYS_execve, [path as usize, argv as usize, envp as usize, 0, 0, 0]) as i32 }
}

/// A child process that shares nothing, whose end is no SIGCHLD; 0 in the child.
///
/// # Safety
/// The child may only make system calls of this module.
pub unsafe fn fork_silent() -> Result<usize, i32> {
    // SAFETY: without CLONE_VM the child has memory of its own, so both can go on from here.
    result(unsafe { syscall(libc::SYS_clone, [0; 6]) })
}

/// Waits for a child of [`fork_silent`]: its status, or `None` while it runs.
pub fn wait(pid: usize) -> Option<i32> {
    let mut status = 0_i32;
    let options = libc::WNOHANG | libc::__WALL;
    let args = [pid, &raw mut status as usize, options as usize, 0, 0, 0];
    // SAFETY: the kernel writes an int.
    match unsafe { syscall(libc::SYS_wait4, args) } {
        0 => None,
        got if got < 0 => Some(-1),
        _ => Some(status),
    }
}

/// Kills a child of [`fork_silent`].
pub fn kill(pid: usize) {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_kill, [pid, libc::SIGKILL as usize, 0, 0, 0, 0]) };
}

/// Sleeps for some nanoseconds, less than a second.
pub fn sleep(nanoseconds: usize) {
    let time = [0_usize, nanoseconds];
    // SAFETY: the kernel reads a timespec.
    unsafe { syscall(libc::SYS_nanosleep, [time.as_ptr() as usize, 0, 0, 0, 0, 0]) };
}

/// Ends the process.
pub fn exit(code: usize) -> ! {
    loop {
        // SAFETY: takes no pointer, and does not return.
        unsafe { syscall(libc::SYS_exit_group, [code, 0, 0, 0, 0, 0]) };
    }
}
