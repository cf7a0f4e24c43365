//! Lists the system calls that the supervisor's processes make, with the arguments that the filter checks.

use crate::sys;
use crate::sys::broker::CHANNEL;

/// faccessat2, which not every libc has a name for.
const FACCESSAT2: libc::c_long = 439;
/// Of O_TMPFILE the part that is not O_DIRECTORY.
const TEMPORARY: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// Calls that it makes, whatever their arguments.
pub const ANY: [libc::c_long; 64] = [
    // Time, itself, its children.
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_nanosleep,
    libc::SYS_setitimer,
    libc::SYS_timerfd_settime,
    libc::SYS_wait4,
    libc::SYS_exit_group,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_munmap,
    libc::SYS_epoll_create1,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getgroups,
    // Fewer capabilities, for a child that waits; and as whom it looks at files.
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    // Files.
    libc::SYS_close,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    FACCESSAT2,
    libc::SYS_getxattr,
    libc::SYS_getcwd,
    // Other processes.
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    // Workers, sinks, and calls in the place of a caller.
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_shutdown,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // Of a judge, before it is one: what takes rights away, or descriptors.
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_dup3,
    libc::SYS_close_range,
];

/// Calls that it makes with such an argument: which one, what of it counts, and what that is. Of all of them the kernel looks at
/// the lower half alone.
pub const ONLY: [(libc::c_long, u8, u32, u32); 32] = [
    (libc::SYS_ioctl, 1, u32::MAX, sys::NOTIF_RECV as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::NOTIF_ID_VALID as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::NOTIF_SEND as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::PERSON as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::MAPPING_QUERY as u32),
    (libc::SYS_openat, 2, OPENED, 0),
    (libc::SYS_openat, 2, OPENED, APPENDED),
    (libc::SYS_fchmod, 1, EXECUTED, 0),
    (libc::SYS_mmap, 2, libc::PROT_EXEC as u32, 0),
    (libc::SYS_mprotect, 2, (libc::PROT_EXEC | libc::PROT_WRITE) as u32, 0),
    (libc::SYS_madvise, 2, u32::MAX, libc::MADV_DONTNEED as u32),
    (libc::SYS_clone, 0, u32::MAX, 0),
    (libc::SYS_clone, 0, u32::MAX, libc::CLONE_FILES as u32),
    (libc::SYS_clone, 0, u32::MAX, libc::SIGCHLD as u32),
    (libc::SYS_clone, 0, u32::MAX, (libc::SIGCHLD | libc::CLONE_FILES) as u32),
    (libc::SYS_fcntl, 1, u32::MAX, libc::F_GETFL as u32),
    (libc::SYS_fcntl, 1, u32::MAX, libc::F_GETFD as u32),
    (libc::SYS_fcntl, 1, u32::MAX, libc::F_DUPFD_CLOEXEC as u32),
    (libc::SYS_futex, 1, u32::MAX, (libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG) as u32),
    (libc::SYS_fcntl, 1, u32::MAX, libc::F_GET_SEALS as u32),
    // Whether a process is there, the end of a child that waits for a caller, and the signal of a broken stream.
    (libc::SYS_kill, 1, u32::MAX, 0),
    (libc::SYS_kill, 1, u32::MAX, libc::SIGKILL as u32),
    (libc::SYS_tgkill, 2, u32::MAX, libc::SIGPIPE as u32),
    // Its own limits.
    (libc::SYS_prlimit64, 0, u32::MAX, 0),
    (libc::SYS_prctl, 0, u32::MAX, libc::PR_GET_NO_NEW_PRIVS as u32),
    (libc::SYS_prctl, 0, u32::MAX, libc::PR_GET_NAME as u32),
    // A judge: it ends with its broker, and is in a cage of its own.
    (libc::SYS_prctl, 0, u32::MAX, libc::PR_SET_PDEATHSIG as u32),
    (libc::SYS_seccomp, 0, u32::MAX, libc::SECCOMP_SET_MODE_FILTER),
    (libc::SYS_socketpair, 0, u32::MAX, libc::AF_UNIX as u32),
    // A sink, and the question whether an address is this host's.
    (libc::SYS_socket, 0, u32::MAX, libc::AF_UNIX as u32),
    (libc::SYS_socket, 0, u32::MAX, libc::AF_INET as u32),
    (libc::SYS_socket, 0, u32::MAX, libc::AF_INET6 as u32),
];
/// What counts of how a file is opened: to read it, or as a place only; else a sink.
pub const OPENED: u32 = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND | TEMPORARY) as u32;
pub const APPENDED: u32 = (libc::O_WRONLY | libc::O_APPEND) as u32;
/// What makes a program of a file, or one of its owner's.
pub const EXECUTED: u32 = 0o7111;

/// Calls that end the process: the supervisor's own code never makes them.
pub const NEVER: [libc::c_long; 3] = [libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace];

/// Calls that the judge makes, whatever their arguments. It has no descriptor but its channel to the broker, files that it reads, and
/// what the broker lends it.
pub const JUDGES_ANY: [libc::c_long; 36] = [
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_nanosleep,
    libc::SYS_exit_group,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_munmap,
    libc::SYS_epoll_create1,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getgroups,
    // As whom it looks at files.
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    FACCESSAT2,
    libc::SYS_getxattr,
    libc::SYS_getcwd,
    // Who a process is that /proc hides; more of a descriptor of a process is not to be had.
    libc::SYS_pidfd_open,
];

/// What it makes with such an argument.
pub const JUDGES_ONLY: [(libc::c_long, u8, u32, u32); 18] = [
    // To the broker, and from it. No other socket can get that number: it closes any but that.
    (libc::SYS_sendmsg, 0, u32::MAX, CHANNEL as u32),
    (libc::SYS_recvmsg, 0, u32::MAX, CHANNEL as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::PERSON as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::MAPPING_QUERY as u32),
    // What a socket is: for anything else of one the kernel takes its lock, which a caller can hold for as long as it likes.
    (libc::SYS_getsockopt, 1, u32::MAX, libc::SOL_SOCKET as u32),
    (libc::SYS_openat, 2, OPENED, 0),
    (libc::SYS_mmap, 2, libc::PROT_EXEC as u32, 0),
    (libc::SYS_madvise, 2, u32::MAX, libc::MADV_DONTNEED as u32),
    (libc::SYS_fcntl, 1, u32::MAX, libc::F_GETFL as u32),
    (libc::SYS_fcntl, 1, u32::MAX, libc::F_GETFD as u32),
    (libc::SYS_fcntl, 1, u32::MAX, libc::F_DUPFD_CLOEXEC as u32),
    (libc::SYS_futex, 1, u32::MAX, (libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG) as u32),
    (libc::SYS_fcntl, 1, u32::MAX, libc::F_GET_SEALS as u32),
    (libc::SYS_prlimit64, 0, u32::MAX, 0),
    (libc::SYS_prctl, 0, u32::MAX, libc::PR_GET_NO_NEW_PRIVS as u32),
    (libc::SYS_prctl, 0, u32::MAX, libc::PR_GET_NAME as u32),
    // Whether a process is there.
    (libc::SYS_kill, 1, u32::MAX, 0),
    (libc::SYS_tgkill, 2, u32::MAX, 0),
];
