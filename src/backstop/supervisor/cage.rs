//! The supervisor's own cage: what it may still do once it begins to look at what others have written.
//!
//! It keeps the capabilities that supervising takes, and a filter lets it make only the calls that it makes. So whoever gets code of
//! his own to run in it executes no program, loads no module, mounts and traces nothing, and opens no file but to read it
//! or to append to it.
//!
//! The judge, which looks at what others have written, is in a smaller one within: it opens files to read them, and talks to its broker.
//! Landlock is part of that one, not for files, but because the kernel then lets it look into no process outside of its own domain,
//! whoever's eyes it takes. The broker cannot be in such a domain. A user of its own neither has: the policy and the logs are root's, and so
//! is what journald says of who has sent an event.

use super::call::NATIVE;
use crate::sys;
use crate::sys::broker::CHANNEL;
use portcullis_policy::format::Instruction;

/// Numbers of linux/capability.h.
mod capability {
    /// Looks for paths where the caller finds them, and reads the programs there.
    pub const DAC_READ_SEARCH: u64 = 1 << 2;
    /// Sends a caller the SIGPIPE of what was sent in its place.
    pub const KILL: u64 = 1 << 5;
    /// Looks at files as the caller does.
    pub const SETGID: u64 = 1 << 6;
    pub const SETUID: u64 = 1 << 7;
    /// Opens a port in the place of a caller that is root.
    pub const NET_BIND_SERVICE: u64 = 1 << 10;
    /// Reads the caller's memory, and borrows its descriptors.
    pub const SYS_PTRACE: u64 = 1 << 19;
    /// Follows /proc/PID/map_files.
    pub const CHECKPOINT_RESTORE: u64 = 1 << 40;
}

const KEPT: u64 = capability::DAC_READ_SEARCH
    | capability::KILL
    | capability::SETGID
    | capability::SETUID
    | capability::NET_BIND_SERVICE
    | capability::SYS_PTRACE
    | capability::CHECKPOINT_RESTORE;

/// The judge looks for paths where the caller finds them, reads the programs there, and looks at files as the caller does.
const JUDGES: u64 = capability::DAC_READ_SEARCH | capability::SETGID | capability::SETUID;

/// Descriptors that are open at a time: of each worker one, and some for the call at hand.
const FILES_MAX: u64 = 8192;
/// Private memory in bytes; what both processes share, and the policy, is not counted.
const DATA_MAX: u64 = 64 << 20;

/// faccessat2, which not every libc has a name for.
const FACCESSAT2: libc::c_long = 439;
/// Of O_TMPFILE the part that is not O_DIRECTORY.
const TEMPORARY: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// Calls that it makes, whatever their arguments.
const ANY: [libc::c_long; 63] = [
    // Time, itself, its children.
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_nanosleep,
    libc::SYS_setitimer,
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
const ONLY: [(libc::c_long, u8, u32, u32); 29] = [
    (libc::SYS_ioctl, 1, u32::MAX, sys::NOTIF_RECV as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::NOTIF_ID_VALID as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::NOTIF_SEND as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::PERSON as u32),
    (libc::SYS_openat, 2, OPENED, 0),
    (libc::SYS_openat, 2, OPENED, APPENDED),
    (libc::SYS_fchmod, 1, EXECUTED, 0),
    (libc::SYS_mmap, 2, libc::PROT_EXEC as u32, 0),
    (libc::SYS_mprotect, 2, (libc::PROT_EXEC | libc::PROT_WRITE) as u32, 0),
    (libc::SYS_madvise, 2, u32::MAX, libc::MADV_DONTNEED as u32),
    (libc::SYS_clone, 0, u32::MAX, 0),
    (libc::SYS_clone, 0, u32::MAX, libc::CLONE_FILES as u32),
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
const OPENED: u32 = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND | TEMPORARY) as u32;
const APPENDED: u32 = (libc::O_WRONLY | libc::O_APPEND) as u32;
/// What makes a program of a file, or one of its owner's.
const EXECUTED: u32 = 0o7111;

/// Calls that end the process: nothing of the guard's comes to them here.
const NEVER: [libc::c_long; 3] = [libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace];

/// Calls that the judge makes, whatever their arguments. It has no descriptor but its channel to the broker, files that it reads, and
/// what the broker lends it.
const JUDGES_ANY: [libc::c_long; 39] = [
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
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    // Who a process is that /proc hides; more of a descriptor of a process is not to be had.
    libc::SYS_pidfd_open,
];

/// What it makes with such an argument.
const JUDGES_ONLY: [(libc::c_long, u8, u32, u32); 16] = [
    // To the broker, and from it. No other socket can get that number: it closes any but that.
    (libc::SYS_sendmsg, 0, u32::MAX, CHANNEL as u32),
    (libc::SYS_recvmsg, 0, u32::MAX, CHANNEL as u32),
    (libc::SYS_ioctl, 1, u32::MAX, sys::PERSON as u32),
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

/// The length of the longest filter.
const LENGTH: usize = length(&ANY, &ONLY) + 9;

const fn length(any: &[libc::c_long], only: &[(libc::c_long, u8, u32, u32)]) -> usize {
    4 + 2 * NEVER.len() + 2 * any.len() + 6 * only.len() + 7 + 1
}

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
/// Every other call is one that the kernel has not.
const OTHER: u32 = 0x0005_0000 | libc::ENOSYS as u32;

/// The filter (linux/seccomp.h, linux/bpf_common.h).
struct Filter {
    program: [Instruction; LENGTH],
    len: usize,
}

impl Filter {
    /// Loads it, for good; whether it holds.
    fn load_it(&self) -> bool {
        sys::seccomp(self.program.get(..self.len).unwrap_or_default(), 0).is_ok()
    }
}

impl Filter {
    fn push(&mut self, code: u16, [jt, jf]: [u8; 2], k: u32) {
        if let Some(place) = self.program.get_mut(self.len) {
            *place = Instruction { code: code.into(), jt, jf, k: k.into() };
        }
        self.len = self.len.wrapping_add(1);
    }

    /// Loads four bytes of `struct seccomp_data`.
    fn load(&mut self, at: u32) {
        self.push(0x20, [0; 2], at);
    }

    /// Skips instructions: the first number where what was loaded is this, else the second.
    fn skip(&mut self, k: u32, skipped: [u8; 2]) {
        self.push(0x15, skipped, k);
    }

    fn answer(&mut self, action: u32) {
        self.push(0x06, [0; 2], action);
    }

    /// The broker's and the keeper's, in which the judge's is as well.
    fn new() -> Filter {
        Filter::of(&ANY, &ONLY, true)
    }

    fn of(any: &[libc::c_long], only: &[(libc::c_long, u8, u32, u32)], is_brokers: bool) -> Filter {
        const NUMBER: u32 = 0;
        const ARCHITECTURE: u32 = 4;
        const AND: u16 = 0x54;
        let argument = |index: u8| u32::from(index).wrapping_mul(8).wrapping_add(16);
        let nothing = Instruction { code: 0.into(), jt: 0, jf: 0, k: 0.into() };
        let mut filter = Filter { program: [nothing; LENGTH], len: 0 };
        filter.load(ARCHITECTURE);
        // Another one has other numbers.
        filter.skip(NATIVE, [1, 0]);
        filter.answer(KILL);
        filter.load(NUMBER);
        for (numbers, action) in [(&NEVER[..], KILL), (any, ALLOW)] {
            for number in numbers {
                filter.skip(*number as u32, [0, 1]);
                filter.answer(action);
            }
        }
        for (number, index, mask, value) in only {
            filter.load(NUMBER);
            filter.skip(*number as u32, [0, 4]);
            filter.load(argument(*index));
            filter.push(AND, [0; 2], *mask);
            filter.skip(*value, [0, 1]);
            filter.answer(ALLOW);
        }
        if is_brokers {
            // A sink is made where it is not there.
            filter.load(NUMBER);
            filter.skip(libc::SYS_openat as u32, [0, 7]);
            filter.load(argument(2));
            filter.push(AND, [0; 2], OPENED);
            filter.skip(APPENDED | libc::O_CREAT as u32, [0, 4]);
            filter.load(argument(3));
            filter.push(AND, [0; 2], EXECUTED);
            filter.skip(0, [0, 1]);
            filter.answer(ALLOW);
        } else {
            filter.load(NUMBER);
            filter.skip(libc::SYS_close as u32, [0, 3]);
            filter.load(argument(0));
            filter.skip(CHANNEL as u32, [1, 0]);
            filter.answer(ALLOW);
        }
        // How it opens a file is in memory: in that which is only read.
        let how = sys::AS_LINK.as_ptr() as u64;
        filter.load(NUMBER);
        filter.skip(sys::OPENAT2 as u32, [0, 5]);
        filter.load(argument(2));
        filter.skip(how as u32, [0, 3]);
        filter.load(argument(2).wrapping_add(4));
        filter.skip((how >> 32) as u32, [0, 1]);
        filter.answer(ALLOW);
        filter.answer(OTHER);
        filter
    }
}

/// Gives the rights up; whether the filter holds.
fn give_up() -> bool {
    sys::limit_to(libc::RLIMIT_CORE, 0);
    sys::limit_to(libc::RLIMIT_NOFILE, FILES_MAX);
    sys::limit_to(libc::RLIMIT_DATA, DATA_MAX);
    sys::hide();
    sys::leave_groups();
    sys::empty_bounding_set();
    // Without the right to trace, the kernel lets it look into what has no capability that it lacks.
    sys::keep_capabilities(|held| if held & capability::SYS_PTRACE == 0 { held } else { KEPT });
    sys::set_no_new_privs() && Filter::new().load_it()
}

/// What there is of a cage: none, where a filter of the unit's ends whoever enters it, or the kernel takes no filter; one; and one
/// of which Landlock can be a part.
pub const NONE: u32 = 0;
pub const WHOLE: u32 = 1;
pub const WITH_DOMAIN: u32 = 2;

/// Enters the cage, for good and with all children; which it is. A child tries it first.
pub fn enter() -> u32 {
    let is_whole = sys::returns(|| {
        give_up();
    });
    let has_domain = is_whole && sys::returns(|| sys::exit(usize::from(!sys::has_landlock())));
    match is_whole && give_up() {
        false => NONE,
        true if has_domain => WITH_DOMAIN,
        true => WHOLE,
    }
}

/// Enters the judge's, within this one; whether it is as good as this one.
pub fn enter_judges(cage: u32) -> bool {
    if cage == NONE {
        return true;
    }
    let is_apart = cage == WHOLE || sys::enter_domain();
    sys::keep_capabilities(|held| held & JUDGES);
    is_apart && Filter::of(&JUDGES_ANY, &JUDGES_ONLY, false).load_it()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caged child of the test gets for system calls.
    fn caged(is_judges: bool, calls: &[(libc::c_long, [usize; 6])]) -> Vec<Option<i64>> {
        let at = sys::mmap(None, 8).expect("memory").cast::<i64>();
        let each = |call: &(libc::c_long, [usize; 6])| {
            // SAFETY: the child makes system calls alone.
            let child = unsafe { libc::fork() };
            if child == 0 {
                if enter() == NONE || (is_judges && !enter_judges(WITH_DOMAIN)) {
                    sys::exit(1);
                }
                // SAFETY: what the test gives, and memory that parent and child share.
                unsafe { at.write_volatile(sys::any(call.0, call.1) as i64) };
                sys::exit(0);
            }
            let mut status = 0;
            // SAFETY: a child of the test, which has ended when the memory is read.
            unsafe {
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                (status == 0).then(|| at.read_volatile())
            }
        };
        calls.iter().map(each).collect()
    }

    #[test]
    fn it_is_the_length_that_it_has() {
        assert_eq!(Filter::new().len, LENGTH);
        assert_eq!(Filter::of(&JUDGES_ANY, &JUDGES_ONLY, false).len, length(&JUDGES_ANY, &JUDGES_ONLY) + 5);
    }

    #[test]
    fn what_does_not_belong_to_it_is_not_there() {
        let (nosys, parent) = (Some(-i64::from(libc::ENOSYS)), std::process::id() as usize);
        let made =
            |flags: i32, mode| (libc::SYS_openat, [0, c"/dev/null".as_ptr() as usize, flags as usize, mode, 0, 0]);
        let open = |flags: i32| made(flags, 0o640);
        let how = [libc::O_RDWR as u64, 0, 0];
        let refused = [
            open(libc::O_RDWR),
            made(libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT, 0o4640),
            made(libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT, 0o650),
            (libc::SYS_fchmod, [0, 0o4640, 0, 0, 0, 0]),
            open(libc::O_WRONLY),
            open(libc::O_RDONLY | libc::O_CREAT),
            open(libc::O_WRONLY | libc::O_APPEND | libc::O_TRUNC),
            open(libc::O_WRONLY | libc::O_APPEND | libc::O_TMPFILE),
            (sys::OPENAT2, [0, c"/dev/null".as_ptr() as usize, how.as_ptr() as usize, 24, 0, 0]),
            (libc::SYS_mmap, [0, 4096, 7, 0x22, usize::MAX, 0]),
            (libc::SYS_kill, [parent, libc::SIGTERM as usize, 0, 0, 0, 0]),
            (libc::SYS_tgkill, [parent, parent, libc::SIGTERM as usize, 0, 0, 0]),
            (libc::SYS_clone, [libc::CLONE_NEWUSER as usize, 0, 0, 0, 0, 0]),
            (libc::SYS_unshare, [libc::CLONE_NEWNS as usize, 0, 0, 0, 0, 0]),
            (libc::SYS_socket, [libc::AF_NETLINK as usize, libc::SOCK_RAW as usize, 0, 0, 0, 0]),
            (libc::SYS_setresuid, [0; 6]),
            (libc::SYS_chroot, [c"/".as_ptr() as usize, 0, 0, 0, 0, 0]),
            (libc::SYS_unlinkat, [0, c"/nothing".as_ptr() as usize, 0, 0, 0, 0]),
            (libc::SYS_prctl, [libc::PR_SET_DUMPABLE as usize, 1, 0, 0, 0, 0]),
            (libc::SYS_prlimit64, [parent, 0, 0, 0, 0, 0]),
            (libc::SYS_ioctl, [0, libc::TIOCSTI as usize, 0, 0, 0, 0]),
            (libc::SYS_io_uring_setup, [0; 6]),
            (libc::SYS_bpf, [0; 6]),
        ];
        for (done, call) in caged(false, &refused).into_iter().zip(refused) {
            assert_eq!(done, nosys, "{call:?}");
        }
        let ends = [(libc::SYS_execve, [0; 6]), (libc::SYS_execveat, [0; 6]), (libc::SYS_ptrace, [0; 6])];
        assert_eq!(caged(false, &ends), [None; 3]);
        let done = caged(
            false,
            &[
                (libc::SYS_kill, [parent, 0, 0, 0, 0, 0]),
                (sys::OPENAT2, [0, c"/dev/null".as_ptr() as usize, sys::AS_LINK.as_ptr() as usize, 24, 0, 0]),
                open(libc::O_RDONLY),
                open(libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT),
            ],
        );
        assert!(done[0] == Some(0) && done[1..].iter().all(|done| done.is_some_and(|fd| fd > 2)), "{done:?}");
    }

    /// What the judge's own cage adds, for whoever has code of his own in it: with the eyes of a process's user, too.
    #[test]
    fn the_judge_acts_on_nobody() {
        let (nosys, parent) = (Some(-i64::from(libc::ENOSYS)), std::process::id() as usize);
        let at = |flags: i32, path: &core::ffi::CStr| {
            (libc::SYS_openat, [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags as usize, 0, 0, 0])
        };
        let file = at(libc::O_WRONLY | libc::O_APPEND, c"/dev/null");
        let refused = [
            file,
            (libc::SYS_kill, [parent, libc::SIGKILL as usize, 0, 0, 0, 0]),
            (libc::SYS_tgkill, [parent, parent, libc::SIGPIPE as usize, 0, 0, 0]),
            (libc::SYS_pidfd_getfd, [0; 6]),
            (libc::SYS_process_vm_writev, [parent, 0, 0, 0, 0, 0]),
            (libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0, 0]),
            (libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_STREAM as usize, 0, 0, 0, 0]),
            (libc::SYS_connect, [0; 6]),
            (libc::SYS_bind, [0; 6]),
            (libc::SYS_listen, [0; 6]),
            (libc::SYS_accept4, [0; 6]),
            (libc::SYS_sendto, [CHANNEL as usize, 0, 0, 0, 0, 0]),
            (libc::SYS_sendmsg, [4, 0, 0, 0, 0, 0]),
            (libc::SYS_recvmsg, [4, 0, 0, 0, 0, 0]),
            (libc::SYS_write, [1, 0, 0, 0, 0, 0]),
            (libc::SYS_pwrite64, [1, 0, 0, 0, 0, 0]),
            (libc::SYS_setsockopt, [0; 6]),
            (libc::SYS_shutdown, [0; 6]),
            (libc::SYS_close, [CHANNEL as usize, 0, 0, 0, 0, 0]),
            (libc::SYS_dup3, [4, CHANNEL as usize, 0, 0, 0, 0]),
            (libc::SYS_clone, [0; 6]),
            (libc::SYS_mprotect, [0, 4096, libc::PROT_WRITE as usize, 0, 0, 0]),
            (libc::SYS_ioctl, [0, sys::NOTIF_RECV, 0, 0, 0, 0]),
            (libc::SYS_ioctl, [0, sys::NOTIF_SEND, 0, 0, 0, 0]),
            (libc::SYS_capset, [0; 6]),
        ];
        for (done, call) in caged(true, &refused).into_iter().zip(refused) {
            assert_eq!(done, nosys, "{call:?}");
        }
        assert!(caged(true, &[at(libc::O_RDONLY, c"/dev/null")])[0].is_some_and(|fd| fd > 2));
        // The test's own process, whose user the child has as well.
        let mut path = format!("/proc/{parent}/").into_bytes();
        for name in ["mem", "maps", "environ", "root/", "cwd", "fd/0"] {
            path.truncate(format!("/proc/{parent}/").len());
            path.extend_from_slice(name.as_bytes());
            path.push(0);
            let name = core::ffi::CStr::from_bytes_with_nul(&path).expect("a path");
            let (outside, inside) =
                (caged(false, &[at(libc::O_RDONLY, name)]), caged(true, &[at(libc::O_RDONLY, name)]));
            assert!(outside[0].is_some_and(|fd| fd > 2), "{name:?} {outside:?}");
            let denied = [-i64::from(libc::EACCES), -i64::from(libc::EPERM)];
            assert!(inside[0].is_some_and(|errno| denied.contains(&errno)), "{name:?} {inside:?}");
        }
    }
}
