//! Confines the supervisor, before it reads anything that other processes wrote.
//!
//! It keeps the capabilities that it needs, and a filter lets it make only the system calls that it makes. An attacker's code in it can
//! execute no program, load no module, mount and trace nothing, and open files only to read or to append.
//!
//! The judge reads what other processes wrote, so it is confined further: it opens files to read them, and talks to its broker. Landlock is
//! part of this, not for files, but because the kernel then lets it open no process outside its own domain, with any identity. The
//! broker cannot be in such a domain. Neither has a user of its own: the policy and the logs belong to root, and journald has to
//! record root as the sender of an event.

mod calls;
mod filter;

use crate::sys;
use calls::{JUDGES_ANY, JUDGES_ONLY};
use filter::Filter;

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

/// What a process has that sends for a caller.
pub const SIGNALS: u64 = capability::KILL;
/// What one has that opens a port for a caller.
pub const BINDS: u64 = capability::NET_BIND_SERVICE;

/// Descriptors that are open at a time: of each worker one, and some for the call at hand.
const FILES_MAX: u64 = 8192;
/// Private memory in bytes; what both processes share, and the policy, is not counted.
const DATA_MAX: u64 = 64 << 20;

/// Drops the rights; true if the filter was loaded.
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

/// Which confinement is possible: none, if the unit's filter kills a process that enters it, or the kernel accepts no filter; one
/// without Landlock; one with it.
pub const NONE: u32 = 0;
pub const WHOLE: u32 = 1;
pub const WITH_DOMAIN: u32 = 2;

/// Confines this process and all its children for good; returns the kind. A child process tries it first.
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

/// Confines the judge further; true if that is as complete as the first confinement.
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
    use super::filter::{LENGTH, length};
    use super::*;
    use crate::sys::broker::CHANNEL;

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
            (libc::SYS_getsockname, [0; 6]),
            (libc::SYS_getpeername, [0; 6]),
            (libc::SYS_getsockopt, [4, libc::IPPROTO_TCP as usize, libc::TCP_INFO as usize, 0, 0, 0]),
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
