//! syscall(2): the system calls that have a hook go through it; all others go on untouched, by a jump.

use super::table::real;
use super::trampoline::trampoline;
use super::{fail, to_long};
use crate::judge::{self, By, Refused};
use crate::request;
use crate::state::{self, Role};
use core::ffi::{c_int, c_long, c_void};

/// The bit of x32 in a number (arch/x86/include/uapi/asm/unistd.h).
#[cfg(target_arch = "x86_64")]
const X32: i32 = 0x4000_0000;

/// Where a system call goes on: here where it has a hook, else in the real function. The kernel takes 32 bits of the number,
/// and so does this. setuid and its kin are left alone: the system calls concern one thread, libc's functions all of them.
extern "C" fn before_syscall(number: c_long, first: usize, second: usize) -> *const c_void {
    const HOOKED: Set = Set::of(&[
        libc::SYS_connect,
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
        libc::SYS_read,
        libc::SYS_recvfrom,
        libc::SYS_chroot,
        libc::SYS_io_uring_setup,
        libc::SYS_exit_group,
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_process_vm_writev,
        libc::SYS_ptrace,
        libc::SYS_mount,
        libc::SYS_fsopen,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_clone,
        libc::SYS_clone3,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_dup2,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_creat,
    ]);
    let narrow = number as i32;
    let number = c_long::from(narrow);
    #[cfg(target_arch = "x86_64")]
    let (is_hooked, is_fork) =
        (HOOKED.has(number) || (narrow >= 0 && narrow & X32 != 0), matches!(number, libc::SYS_fork | libc::SYS_clone));
    #[cfg(not(target_arch = "x86_64"))]
    let (is_hooked, is_fork) = (HOOKED.has(number), number == libc::SYS_clone);
    if is_fork {
        crate::init::before_fork();
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
            words[numbers[at] as usize / 64] |= 1 << (numbers[at] % 64);
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
    let fd = a as c_int;
    // SAFETY: as the caller of syscall promises: the arguments are those of the system call.
    unsafe {
        match c_long::from(number as i32) {
            libc::SYS_connect => to_long(super::connect(fd, b as *const _, c as u32)),
            libc::SYS_sendto => super::sendto(fd, b as *const _, c, d as c_int, e as *const _, f as u32) as c_long,
            libc::SYS_sendmsg => super::sendmsg(fd, b as *const _, c as c_int) as c_long,
            libc::SYS_sendmmsg => to_long(super::sendmmsg(fd, b as *mut _, c as u32, d as c_int)),
            libc::SYS_write => super::write(fd, b as *const _, c) as c_long,
            libc::SYS_writev => super::writev(fd, b as *const _, c as c_int) as c_long,
            libc::SYS_sendfile => super::sendfile(fd, b as c_int, c as *mut _, d) as c_long,
            libc::SYS_splice => super::splice(fd, b as *mut _, c as c_int, d as *mut _, e, f as u32) as c_long,
            libc::SYS_bind => to_long(super::bind(fd, b as *const _, c as u32)),
            libc::SYS_listen => to_long(super::listen(fd, b as c_int)),
            libc::SYS_accept => to_long(super::accept(fd, b as *mut _, c as *mut _)),
            libc::SYS_accept4 => to_long(super::accept4(fd, b as *mut _, c as *mut _, d as c_int)),
            libc::SYS_execve => to_long(super::execve(a as *const _, b as *const _, c as *const _)),
            libc::SYS_execveat => to_long(super::execveat(fd, b as *const _, c as *const _, d as *const _, e as c_int)),
            libc::SYS_dup => to_long(super::dup(fd)),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_dup2 => to_long(super::dup2(fd, b as c_int)),
            libc::SYS_dup3 => to_long(super::dup3(fd, b as c_int, c as c_int)),
            libc::SYS_read => super::read(fd, b as *mut _, c) as c_long,
            libc::SYS_recvfrom => super::recvfrom(fd, b as *mut _, c, d as c_int, e as *mut _, f as *mut _) as c_long,
            libc::SYS_chroot => to_long(super::chroot(a as *const _)),
            libc::SYS_exit_group => super::_exit(fd),
            libc::SYS_io_uring_setup => ring(a, b),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => to_long(super::open(a as *const _, b as c_int, c as libc::mode_t)),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_creat => to_long(super::creat(a as *const _, b as libc::mode_t)),
            libc::SYS_openat => to_long(super::openat(fd, b as *const _, c as c_int, d as libc::mode_t)),
            libc::SYS_openat2 => to_long(super::open::openat2(a, b, c, d)),
            libc::SYS_process_vm_writev => {
                super::process_vm_writev(fd, b as *const _, c as u64, d as *const _, e as u64, f as u64) as c_long
            }
            libc::SYS_ptrace if !super::inject::may_trace(a as u32, b as c_int) => to_long(fail(libc::EPERM)),
            // Without libc, whose ptrace gives what is read as its result.
            libc::SYS_ptrace => super::as_libc_size(crate::sys::on_behalf(libc::SYS_ptrace, [a, b, c, d, 0])) as c_long,
            number @ libc::SYS_mount => super::mounting::system_call(number, 2, [a, b, c, d, e, f]),
            number @ libc::SYS_fsopen => super::mounting::system_call(number, 0, [a, b, c, d, e, f]),
            libc::SYS_unshare => to_long(super::unshare(fd)),
            libc::SYS_setns => to_long(super::setns(fd, b as c_int)),
            number => undecoded(number, [a, b, c, d, e, f]),
        }
    }
}

/// A system call of an architecture that is not decoded: x32, whose numbers no program of this architecture has.
///
/// # Safety
/// As the system call's.
#[cold]
unsafe fn undecoded(number: c_long, args: [usize; 6]) -> c_long {
    if state::role() != Role::Master
        && let Err(Refused(errno)) = request::current(|served| judge::system_call(By::This, served))
    {
        return to_long(fail(errno));
    }
    // SAFETY: as the caller promises.
    super::as_libc_size(unsafe { crate::sys::any(number, args) }) as c_long
}

/// io_uring_setup(2): what goes through a ring is no system call, so the ring itself is judged.
///
/// # Safety
/// As the system call's: the kernel checks the pointer.
unsafe fn ring(entries: usize, parameters: usize) -> c_long {
    if state::role() != Role::Master
        && let Err(Refused(errno)) = request::current(|served| judge::ring(By::This, served))
    {
        return to_long(fail(errno));
    }
    // SAFETY: as the caller promises.
    let done = unsafe { crate::sys::on_behalf(libc::SYS_io_uring_setup, [entries, parameters, 0, 0, 0]) };
    super::as_libc_size(done) as c_long
}

trampoline!(
    /// syscall(2).
    syscall => before_syscall
);
