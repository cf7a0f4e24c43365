//! System calls on this process, its children, and other processes by their number.

use super::clock::now;
use super::raw::syscall;
use super::result;
use core::ffi::CStr;

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

/// Effective user id; root's where a filter of somebody's keeps it from being told.
pub fn geteuid() -> u32 {
    // SAFETY: takes nothing.
    u32::try_from(unsafe { syscall(libc::SYS_geteuid, [0; 6]) }).unwrap_or(0)
}

/// Real, effective and saved user ids; root's as above.
pub fn users() -> [u32; 3] {
    let mut users = [0_u32; 3];
    let [real, effective, saved] = &mut users;
    let args = [&raw mut *real as usize, &raw mut *effective as usize, &raw mut *saved as usize, 0, 0, 0];
    // SAFETY: the kernel writes three numbers of 32 bits.
    unsafe { syscall(libc::SYS_getresuid, args) };
    users
}

/// Real user id; `None` where a filter of somebody's keeps it from being told.
pub fn real_user() -> Option<u32> {
    // SAFETY: takes nothing.
    u32::try_from(unsafe { syscall(libc::SYS_getuid, [0; 6]) }).ok()
}

/// Effective group id.
pub fn getegid() -> u32 {
    // SAFETY: takes nothing.
    unsafe { syscall(libc::SYS_getegid, [0; 6]) as u32 }
}

/// Whether there is a process of this number; one that this process may not signal is.
pub fn process_exists(pid: u32) -> bool {
    // SAFETY: takes no pointer; signal 0 is none.
    unsafe { syscall(libc::SYS_kill, [pid as usize, 0, 0, 0, 0, 0]) != -(libc::ESRCH as isize) }
}

/// Writes the host's name, and zeros behind it.
pub fn hostname(into: &mut [u8; 64]) {
    const FIELD: usize = 65;
    let mut names = [0_u8; FIELD * 6];
    // SAFETY: the kernel writes a utsname: six fields of 65 bytes, of which the second is the name, with a NUL at its end.
    unsafe { syscall(libc::SYS_uname, [names.as_mut_ptr() as usize, 0, 0, 0, 0, 0]) };
    let name = names.get(FIELD..).and_then(|rest| rest.first_chunk()).unwrap_or(&[0; 64]);
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    *into = [0; 64];
    for (to, from) in into.iter_mut().zip(name).take(len) {
        *to = *from;
    }
}

/// The name of the calling thread, at most 15 bytes.
pub fn thread_name(into: &mut [u8; 16]) -> &[u8] {
    // SAFETY: the kernel writes 16 bytes.
    unsafe { syscall(libc::SYS_prctl, [libc::PR_GET_NAME as usize, into.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    let len = into.iter().position(|&byte| byte == 0).unwrap_or(15);
    into.get(..len).unwrap_or_default()
}

/// `execve`.
///
/// # Safety
/// As execve: the vectors end in NULL, or the kernel finds the fault.
pub unsafe fn execve(path: *const u8, argv: *const *const u8, envp: *const *const u8) -> i32 {
    // SAFETY: the kernel checks every pointer.
    unsafe { syscall(libc::SYS_execve, [path as usize, argv as usize, envp as usize, 0, 0, 0]) as i32 }
}

/// The error of `execve`, or `execveat`, with arguments that cannot be read, for the calling program.
pub fn execute_nothing(at: i32, path: &CStr) -> i32 {
    let by_descriptor = path.is_empty() && at != libc::AT_FDCWD;
    execute_nothing_with(at, path, if by_descriptor { libc::AT_EMPTY_PATH } else { 0 })
}

/// The same with flags of `execveat`; EFAULT where the kernel finds a program.
pub fn execute_nothing_with(at: i32, path: &CStr, flags: i32) -> i32 {
    let (path_at, nowhere, flags) = (path.as_ptr() as usize, crate::sys::address::NOWHERE as usize, flags as usize);
    // SAFETY: the kernel reads a C string, and faults on the arguments before it changes anything.
    let done = unsafe {
        match at {
            libc::AT_FDCWD if flags == 0 => super::on_behalf(libc::SYS_execve, [path_at, nowhere, 0, 0, 0]),
            _ => super::on_behalf(libc::SYS_execveat, [at as usize, path_at, nowhere, 0, flags]),
        }
    };
    done.wrapping_neg() as i32
}

/// A child process that shares nothing, whose end is no SIGCHLD; 0 in the child.
///
/// # Safety
/// The child may only make system calls of this module.
pub unsafe fn fork_silent() -> Result<usize, i32> {
    // SAFETY: without CLONE_VM the child has memory of its own, so both can go on from here.
    result(unsafe { syscall(libc::SYS_clone, [0; 6]) })
}

/// The same, whose end leaves nothing behind where this process ignores SIGCHLD: nobody waits for it.
///
/// # Safety
/// As of [`fork_silent`].
pub unsafe fn fork_forgotten() -> Result<usize, i32> {
    // SAFETY: as there.
    result(unsafe { syscall(libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0, 0]) })
}

/// The same, which shares the descriptors with this one.
///
/// # Safety
/// As of [`fork_silent`].
pub unsafe fn fork_forgotten_with_files() -> Result<usize, i32> {
    let flags = (libc::SIGCHLD | libc::CLONE_FILES) as usize;
    // SAFETY: as there.
    result(unsafe { syscall(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]) })
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

/// The soft and the hard limit of a resource; `None` where the kernel does not say.
pub fn limit(resource: u32) -> Option<[u64; 2]> {
    let mut limits = [0_u64; 2];
    let args = [0, resource as usize, 0, limits.as_mut_ptr() as usize, 0, 0];
    // SAFETY: the kernel writes a rlimit64, which is two 64-bit integers.
    (unsafe { syscall(libc::SYS_prlimit64, args) } == 0).then_some(limits)
}

/// Whether there is a limit of the address space, or of the data, of this process.
pub fn is_memory_limited() -> bool {
    let is_limited = |resource| limit(resource).is_some_and(|[soft, _]| soft != libc::RLIM_INFINITY);
    is_limited(libc::RLIMIT_AS) || is_limited(libc::RLIMIT_DATA)
}

/// Raises the soft limit of a resource to its hard one. For a process of the guard's own, or for a while.
pub fn raise_limit(resource: u32) {
    if let Some([_, hard]) = limit(resource) {
        let limits = [hard; 2];
        // SAFETY: the kernel reads a rlimit64.
        unsafe { syscall(libc::SYS_prlimit64, [0, resource as usize, limits.as_ptr() as usize, 0, 0, 0]) };
    }
}

/// Lifts the limit of a resource, where this process may; else raises it to the hard one. For a process of the guard's own.
pub fn lift_limit(resource: u32) {
    let limits = [libc::RLIM_INFINITY; 2];
    // SAFETY: the kernel reads a rlimit64.
    if unsafe { syscall(libc::SYS_prlimit64, [0, resource as usize, limits.as_ptr() as usize, 0, 0, 0]) } < 0 {
        raise_limit(resource);
    }
}

/// Ends the process.
pub fn exit(code: usize) -> ! {
    loop {
        // SAFETY: takes no pointer, and does not return.
        unsafe { super::raw::enter(libc::SYS_exit_group, [code, 0, 0, 0, 0, 0]) };
    }
}

/// A child process that shares the descriptors with this one and nothing else; 0 in the child.
///
/// # Safety
/// The child may only make system calls of this module.
pub unsafe fn fork_with_files() -> Result<usize, i32> {
    // SAFETY: without CLONE_VM the child has memory of its own, so both can go on from here.
    result(unsafe { syscall(libc::SYS_clone, [libc::CLONE_FILES as usize, 0, 0, 0, 0, 0]) })
}

/// The calling thread's number.
pub fn gettid() -> u32 {
    // SAFETY: takes nothing.
    unsafe { syscall(libc::SYS_gettid, [0; 6]) as u32 }
}

/// A session of its own.
pub fn setsid() {
    // SAFETY: takes nothing.
    unsafe { syscall(libc::SYS_setsid, [0; 6]) };
}

/// Names the calling thread, at most 15 bytes.
pub fn set_thread_name(name: &core::ffi::CStr) {
    // SAFETY: the kernel reads at most 16 bytes of a C string.
    unsafe { syscall(libc::SYS_prctl, [libc::PR_SET_NAME as usize, name.as_ptr() as usize, 0, 0, 0, 0]) };
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // The kernel's sigaction: handler, flags, restorer, mask.
    let action: [usize; 4] = [libc::SIG_IGN, 0, 0, 0];
    // SAFETY: the kernel reads a sigaction with a mask of eight bytes.
    unsafe { syscall(libc::SYS_rt_sigaction, [signal as usize, action.as_ptr() as usize, 0, 8, 0, 0]) };
}

/// Ends the process in some seconds, unless that is called off with 0 before.
pub fn end_in(seconds: usize) {
    let timer = [0, 0, seconds, 0];
    // SAFETY: the kernel reads an itimerval: four words on 64-bit Linux. SIGALRM ends a process that does nothing about it.
    unsafe { syscall(libc::SYS_setitimer, [libc::ITIMER_REAL as usize, timer.as_ptr() as usize, 0, 0, 0, 0]) };
}

/// Ends this process when its parent does.
pub fn end_with_parent() {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0, 0, 0]) };
}

/// Does nothing about a signal.
pub fn default_action(signal: i32) {
    let action: [usize; 4] = [libc::SIG_DFL, 0, 0, 0];
    // SAFETY: the kernel reads a sigaction with a mask of eight bytes.
    unsafe { syscall(libc::SYS_rt_sigaction, [signal as usize, action.as_ptr() as usize, 0, 8, 0, 0]) };
}

/// Blocks no signal.
pub fn unblock_signals() {
    let none = 0_u64;
    let args = [libc::SIG_SETMASK as usize, &raw const none as usize, 0, 8, 0, 0];
    // SAFETY: the kernel reads a mask of eight bytes.
    unsafe { syscall(libc::SYS_rt_sigprocmask, args) };
}

/// Whether a process is there.
pub fn exists(pid: u32) -> bool {
    // SAFETY: signal 0 does nothing.
    unsafe { syscall(libc::SYS_kill, [pid as usize, 0, 0, 0, 0, 0]) != -(libc::ESRCH as isize) }
}

/// Whether a group of processes has one.
pub fn exists_group(number: u32) -> bool {
    let group = (number as isize).wrapping_neg();
    // SAFETY: signal 0 does nothing.
    number > 1 && unsafe { syscall(libc::SYS_kill, [group as usize, 0, 0, 0, 0, 0]) != -(libc::ESRCH as isize) }
}

/// Sends a signal to a thread of another process.
pub fn signal_thread(pid: u32, thread: u32, signal: i32) {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_tgkill, [pid as usize, thread as usize, signal as usize, 0, 0, 0]) };
}

/// Waits until a child has ended: its status.
pub fn wait_for(pid: usize) -> i32 {
    let mut status = 0_i32;
    let args = [pid, &raw mut status as usize, libc::__WALL as usize, 0, 0, 0];
    loop {
        // SAFETY: the kernel writes an int.
        match unsafe { syscall(libc::SYS_wait4, args) } {
            got if got == -(libc::EINTR as isize) => {}
            got if got < 0 => return -1,
            _ => return status,
        }
    }
}

/// Takes what helpers that have ended leave behind.
pub fn reap() {
    let options = libc::WNOHANG | libc::__WALL;
    // SAFETY: no status is asked for.
    while unsafe { syscall(libc::SYS_wait4, [usize::MAX, 0, options as usize, 0, 0, 0]) } > 0 {}
}

/// A number for a stream or a request: never 0, and most unlikely to be another's.
pub fn fresh_number() -> u64 {
    // Where the stack lies is random, and differs between two processes of one number in one instant.
    let here = 0_u8;
    let place = &raw const here as u64;
    let mixed = (now() ^ (u64::from(getpid()) << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ place;
    mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93) | 1
}
