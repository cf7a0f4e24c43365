//! syscall(2): the system calls that have a hook are judged as there, and made by the kernel; all others go on untouched, by a
//! jump.
//!
//! No call ends in a function of libc: syscall(2) is no cancellation point, and those functions are. Nor in another library's:
//! one that makes its own call by syscall(2) would never end.

use super::trampoline::trampoline;
use super::{as_libc, as_libc_size, fail, to_long};
use super::{
    closing, connect, descriptor, exec, filters, inject, listen, messages, namespace, open, privilege, send, sendto,
    serving, socket,
};
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::process::state::{self, Role};
use crate::real::gate::Way;
use crate::real::table::real;
use crate::sys::Vector;
use crate::sys::arch;
use crate::{request, sys};
use core::ffi::{c_int, c_long, c_void};

/// Where a system call goes on: here where it has a hook, else in the real function. The kernel takes 32 bits of the number,
/// and so does this. setuid and its kin are left alone: the system calls concern one thread, libc's functions all of them.
extern "C" fn before_syscall(number: c_long, first: usize, second: usize) -> *const c_void {
    const HOOKED: Set = Set::of(&[
        libc::SYS_connect,
        libc::SYS_socket,
        libc::SYS_setsockopt,
        libc::SYS_getsockopt,
        libc::SYS_recvmsg,
        libc::SYS_recvmmsg,
        libc::SYS_pidfd_getfd,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_sendmmsg,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_sendfile,
        libc::SYS_splice,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_fcntl,
        libc::SYS_close,
        libc::SYS_close_range,
        libc::SYS_read,
        libc::SYS_recvfrom,
        libc::SYS_chroot,
        libc::SYS_io_uring_setup,
        libc::SYS_exit_group,
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_process_vm_writev,
        libc::SYS_process_vm_readv,
        libc::SYS_ptrace,
        libc::SYS_mount,
        libc::SYS_fsopen,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_prctl,
        libc::SYS_seccomp,
        arch::SYS_DUP2,
        arch::SYS_OPEN,
        arch::SYS_CREAT,
    ]);
    let narrow = number as i32;
    let number = c_long::from(narrow);
    let is_hooked = HOOKED.has(number) || (narrow >= 0 && narrow & arch::X32 != 0);
    if matches!(number, arch::SYS_FORK | libc::SYS_clone) {
        crate::hooks::init::before_fork();
    }
    match real::syscall() {
        Some(real) if !is_hooked => real,
        Some(real) if matches!(number, libc::SYS_clone | libc::SYS_clone3) => {
            super::namespace::before_system_call(number, first, second).unwrap_or(real)
        }
        _ => hooked as *const c_void,
    }
}

/// Numbers of system calls.
struct Set([u64; 8]);

impl Set {
    const fn of(numbers: &[c_long]) -> Set {
        let (mut words, mut at) = ([0; 8], 0);
        while at < numbers.len() {
            // Of what this architecture does not have, the number is below 0.
            if numbers[at] >= 0 {
                words[numbers[at] as usize / 64] |= 1 << (numbers[at] % 64);
            }
            at += 1;
        }
        Set(words)
    }

    fn has(&self, number: c_long) -> bool {
        let word = self.0.get(number as usize / 64).copied().unwrap_or(0);
        word & 1_u64.wrapping_shl(number as u32) != 0
    }
}

/// A system call that has a hook, with six arguments as the caller's registers and stack have them.
unsafe extern "C" fn hooked(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> c_long {
    const WAY: Way = Way::Kernel;
    let (fd, number) = (a as c_int, c_long::from(number as i32));
    // SAFETY: as the caller of syscall promises: the arguments are those of the system call.
    let go = || unsafe { sys::any(number, [a, b, c, d, e, f]) };
    let with = |decision: Decision| match decision {
        Ok(()) => as_libc_size(go()) as c_long,
        Err(Refused(errno)) => to_long(fail(errno)),
    };
    // SAFETY: as above.
    unsafe {
        match number {
            libc::SYS_connect => to_long(connect::connecting(WAY, fd, b as *const _, c as u32)),
            libc::SYS_sendto => {
                sendto::sending_to(WAY, fd, b as *const _, c, d as c_int, e as *const _, f as u32) as c_long
            }
            libc::SYS_sendmsg => sendto::sending_message(WAY, fd, b as *const _, c as c_int) as c_long,
            libc::SYS_sendmmsg => to_long(messages::sending_messages(WAY, fd, b as *mut _, c as u32, d as c_int)),
            libc::SYS_write => with(send::look(fd, b as *const _, c)),
            libc::SYS_writev => with(send::look_at_first(fd, b as *const _, c as c_int)),
            libc::SYS_sendfile => with(send::look(fd, core::ptr::null(), 0)),
            libc::SYS_splice => with(send::look(c as c_int, core::ptr::null(), 0)),
            libc::SYS_socket => to_long(socket::made(as_libc(go()), fd, b as c_int, c as c_int)),
            libc::SYS_setsockopt => {
                let mut room = [0; crate::judge::route::OPTIONS_MAX];
                match socket::may_set(fd, b as c_int, c as c_int, d as *const _, e as u32, &mut room) {
                    Ok(value) => as_libc_size(sys::on_behalf(number, [a, b, c, value as usize, e])) as c_long,
                    Err(Refused(errno)) => to_long(fail(errno)),
                }
            }
            libc::SYS_getsockopt => match socket::may_ask(fd, b as c_int, c as c_int) {
                Ok(()) => as_libc_size(sys::on_behalf(number, [a, b, c, d, e])) as c_long,
                Err(Refused(errno)) => to_long(fail(errno)),
            },
            libc::SYS_recvmsg => socket::came_with(as_libc_size(go()), b as *const _) as c_long,
            libc::SYS_recvmmsg => to_long(socket::came_with_many(as_libc(go()), b as *const _)),
            // Which socket that is of another process's, nobody looks.
            libc::SYS_pidfd_getfd => {
                crate::policy::verdict_cache::distrust();
                let got = with(Ok(()));
                crate::judge::rings::received(got as c_int);
                crate::judge::peers::received(got as c_int);
                got
            }
            libc::SYS_bind => to_long(listen::binding(WAY, fd, b as *const _, c as u32)),
            libc::SYS_listen => to_long(listen::listening(WAY, fd, b as c_int)),
            libc::SYS_accept | libc::SYS_accept4 => match serving::accepting(fd) {
                Ok(()) => to_long(serving::accepted(fd, as_libc(go()))),
                Err(Refused(errno)) => to_long(fail(errno)),
            },
            libc::SYS_execve => to_long(exec::executed(WAY, a as *const _, b as Vector, c as Vector)),
            libc::SYS_execveat => {
                to_long(exec::executed_at(WAY, fd, b as *const _, (c as Vector, d as Vector), e as c_int))
            }
            libc::SYS_dup => to_long(descriptor::duplicated(fd, as_libc(go()))),
            arch::SYS_DUP2 => to_long(descriptor::duplicating_onto(fd, b as c_int, || as_libc(go()))),
            libc::SYS_dup3 => to_long(descriptor::duplicating_onto(fd, b as c_int, || as_libc(go()))),
            libc::SYS_fcntl if descriptor::is_copy(b as c_int) => to_long(descriptor::duplicated(fd, as_libc(go()))),
            libc::SYS_fcntl => with(Ok(())),
            libc::SYS_close => to_long(closing::closing_one(fd, || as_libc(go()))),
            libc::SYS_close_range => to_long(closing::closing(a as u32, b as u32, c as c_int, |first, last, flags| {
                as_libc(sys::any(number, [first as usize, last as usize, flags as usize, d, e, f]))
            })),
            libc::SYS_read => serving::was_read(fd, b as *mut _, as_libc_size(go()), c) as c_long,
            libc::SYS_recvfrom => {
                let got = as_libc_size(go());
                serving::was_received(fd, b as *mut _, got, c);
                got as c_long
            }
            libc::SYS_chroot => to_long(privilege::leaving(|| as_libc(go()))),
            libc::SYS_exit_group => {
                crate::report::merge::say_all();
                with(Ok(()))
            }
            libc::SYS_io_uring_setup => ring(a, b),
            arch::SYS_OPEN => opened(libc::AT_FDCWD, a, b as c_int, || as_libc(go())),
            arch::SYS_CREAT => opened(libc::AT_FDCWD, a, open::CREAT, || as_libc(go())),
            libc::SYS_openat => opened(fd, b, c as c_int, || as_libc(go())),
            libc::SYS_openat2 => to_long(open::openat2(a, b, c, d)),
            libc::SYS_process_vm_writev if !inject::may_write(fd) => to_long(fail(libc::EPERM)),
            libc::SYS_process_vm_readv if !inject::may_read(fd) => to_long(fail(libc::EPERM)),
            libc::SYS_ptrace if !inject::may_trace(a as u32, b as c_int) => to_long(fail(libc::EPERM)),
            // Without libc, whose ptrace gives what is read as its result.
            number @ libc::SYS_mount => super::mounting::system_call(number, 2, [a, b, c, d, e, f]),
            number @ libc::SYS_fsopen => super::mounting::system_call(number, 0, [a, b, c, d, e, f]),
            libc::SYS_ptrace | libc::SYS_process_vm_writev | libc::SYS_process_vm_readv => with(Ok(())),
            libc::SYS_prctl if a as c_int == libc::PR_SET_SECCOMP => to_long(filters::by_prctl(b, c, || as_libc(go()))),
            libc::SYS_prctl => with(Ok(())),
            libc::SYS_seccomp => to_long(filters::by_seccomp(a, b, c, || as_libc(go()))),
            libc::SYS_unshare => with(namespace::left(fd)),
            libc::SYS_setns => with(namespace::entered(fd)),
            number => undecoded(number, [a, b, c, d, e, f]),
        }
    }
}

/// Opens a path with these flags.
fn opened(at: c_int, path: usize, flags: c_int, open: impl FnOnce() -> c_int) -> c_long {
    to_long(match open::before(at, path as *const _, flags) {
        Ok(()) => open::opened(open(), flags),
        Err(Refused(errno)) => fail(errno),
    })
}

/// A system call of an architecture that is not decoded: x32, whose numbers no program of this architecture has.
///
/// # Safety
/// As the system call's.
#[cold]
unsafe fn undecoded(number: c_long, args: [usize; 6]) -> c_long {
    if state::role() != Role::Master
        && let Err(Refused(errno)) = request::current(|served| judge::system_call(Actor::This, served))
    {
        return to_long(fail(errno));
    }
    // SAFETY: as the caller promises.
    as_libc_size(unsafe { sys::any(number, args) }) as c_long
}

/// io_uring_setup(2): what goes through a ring is no system call, so the ring itself is judged.
///
/// # Safety
/// As the system call's: the kernel checks the pointer.
unsafe fn ring(entries: usize, parameters: usize) -> c_long {
    if state::role() == Role::Master {
        crate::server::rings::remember();
    } else if let Err(Refused(errno)) = request::current(|served| judge::ring(Actor::This, served)) {
        return to_long(fail(errno));
    }
    // SAFETY: as the caller promises.
    let done = unsafe { sys::on_behalf(libc::SYS_io_uring_setup, [entries, parameters, 0, 0, 0]) };
    as_libc_size(done) as c_long
}

trampoline!(
    /// syscall(2).
    syscall => before_syscall
);
