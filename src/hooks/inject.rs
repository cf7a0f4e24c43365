//! Hooks what reads or changes the memory of another process without opening it: process_vm_readv, process_vm_writev and ptrace.

use super::fail;
use crate::action::Actor;
use crate::judge;
use crate::memory::StringBuf;
use crate::process::state::{self, Role};
use crate::real::table::real;
use crate::{request, sys};
use core::ffi::{c_int, c_long, c_uint, c_ulong, c_void};
use portcullis_policy::Rule;

/// Requests of ptrace(2) that take a process over, or change its memory or registers, with the ends of their names, which
/// blanks fill up: a reference would be relocated in every program that is started. Requests that only look need one of the
/// first three before. The third is made by who is traced, for its parent: it counts where the parent would see the backstop's secret.
const REQUESTS: [(c_uint, [u8; 10]); 10] = [
    (libc::PTRACE_ATTACH, *b"ATTACH    "),
    (libc::PTRACE_SEIZE, *b"SEIZE     "),
    (libc::PTRACE_TRACEME, *b"TRACEME   "),
    (libc::PTRACE_POKETEXT, *b"POKETEXT  "),
    (libc::PTRACE_POKEDATA, *b"POKEDATA  "),
    (libc::PTRACE_POKEUSER, *b"POKEUSER  "),
    (SETREGS, *b"SETREGS   "),
    (SETFPREGS, *b"SETFPREGS "),
    (libc::PTRACE_SETREGSET, *b"SETREGSET "),
    (SETFPXREGS, *b"SETFPXREGS"),
];
/// Linux has them by these numbers (include/uapi/linux/ptrace.h, arch/x86/include/uapi/asm/ptrace-abi.h); where it has them
/// not, it refuses them.
const SETREGS: c_uint = 13;
const SETFPREGS: c_uint = 15;
const SETFPXREGS: c_uint = 19;

/// Judges process_vm_writev.
pub(super) fn may_write(pid: c_int) -> bool {
    is_let(b"process_vm_writev", pid)
}

/// Judges process_vm_readv: what it reads may tell the backstop's secret, where there is one.
pub(super) fn may_read(pid: c_int) -> bool {
    sys::secret() == 0 || pid.cast_unsigned() == sys::getpid() || is_let(b"process_vm_readv", pid)
}

/// Judges a call that reads or writes the memory of process `pid`. What is refused gives EPERM, as where the kernel refuses it.
fn is_let(call: &[u8], pid: c_int) -> bool {
    if state::role() == Role::Master {
        return true;
    }
    let mut detail = StringBuf::<256>::new();
    detail.push(call);
    detail.push(b" of process ");
    detail.number(u64::from(pid.cast_unsigned()));
    request::current(|served| judge::plain(Rule::ProcessMemory, Actor::This, served, None, detail.bytes())).is_ok()
}

/// process_vm_readv(2).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn process_vm_readv(
    pid: libc::pid_t,
    into: *const libc::iovec,
    into_count: c_ulong,
    from: *const libc::iovec,
    from_count: c_ulong,
    flags: c_ulong,
) -> libc::ssize_t {
    let Some(real) = real::process_vm_readv() else { return fail(libc::ENOSYS) as libc::ssize_t };
    if !may_read(pid) {
        return fail(libc::EPERM) as libc::ssize_t;
    }
    // SAFETY: as the caller promises.
    unsafe { real(pid, into, into_count, from, from_count, flags) }
}

/// process_vm_writev(2).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn process_vm_writev(
    pid: libc::pid_t,
    from: *const libc::iovec,
    from_count: c_ulong,
    to: *const libc::iovec,
    to_count: c_ulong,
    flags: c_ulong,
) -> libc::ssize_t {
    let Some(real) = real::process_vm_writev() else { return fail(libc::ENOSYS) as libc::ssize_t };
    if !may_write(pid) {
        return fail(libc::EPERM) as libc::ssize_t;
    }
    // SAFETY: as the caller promises.
    unsafe { real(pid, from, from_count, to, to_count, flags) }
}

/// ptrace(2), which is variadic in C: see [`mod@super::open`].
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn ptrace(request: c_uint, pid: libc::pid_t, address: *mut c_void, data: *mut c_void) -> c_long {
    let Some(real) = real::ptrace() else { return super::to_long(fail(libc::ENOSYS)) };
    if !may_trace(request, pid) {
        return super::to_long(fail(libc::EPERM));
    }
    // SAFETY: as the caller promises.
    unsafe { real(request, pid, address, data) }
}

/// Judges a request of ptrace.
pub(super) fn may_trace(request: c_uint, pid: c_int) -> bool {
    match REQUESTS.iter().find(|(number, _)| *number == request) {
        Some((libc::PTRACE_TRACEME, _)) if sys::secret() == 0 => true,
        Some((_, name)) => {
            let mut call = StringBuf::<32>::new();
            call.push(b"ptrace PTRACE_");
            call.push(name.trim_ascii_end());
            is_let(call.bytes(), pid)
        }
        None => true,
    }
}
