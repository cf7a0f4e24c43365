//! Hooks what makes or enters a namespace: unshare, setns, and clone, which is jumped to.

use super::fail;
use super::trampoline::trampoline;
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::memory::StringBuf;
use crate::process::state::{self, Role};
use crate::real::table::real;
use crate::report::sink;
use crate::sys::Reader;
use crate::sys::procfs;
use crate::{request, sys};
use core::ffi::{c_int, c_void};
use portcullis_policy::Unknown;

/// The flags, with the names that events show, which blanks fill up: a reference would be relocated in every program that
/// is started. That of a time namespace is among the bits of clone's signal, so that clone
/// cannot ask for one, and clone3 and unshare can.
const FLAGS: [(u64, [u8; 6]); 8] = [
    (libc::CLONE_NEWUSER as u64, *b"user  "),
    (libc::CLONE_NEWNS as u64, *b"mount "),
    (libc::CLONE_NEWPID as u64, *b"pid   "),
    (libc::CLONE_NEWNET as u64, *b"net   "),
    (libc::CLONE_NEWUTS as u64, *b"uts   "),
    (libc::CLONE_NEWIPC as u64, *b"ipc   "),
    (libc::CLONE_NEWCGROUP as u64, *b"cgroup"),
    (NEWTIME, *b"time  "),
];
/// CLONE_NEWTIME (include/uapi/linux/sched.h).
const NEWTIME: u64 = 0x80;
/// All but that.
const OF_CLONE: u64 = 0x7e02_0000;

/// Judges the namespaces that `flags` ask `call` for.
#[inline(never)]
fn decide(call: &[u8], flags: u64, unknown: Option<Unknown>) -> Decision {
    if state::role() == Role::Master {
        return Ok(());
    }
    let mut detail = StringBuf::<256>::new();
    detail.push(call);
    let mut before = &b": "[..];
    for (_, name) in FLAGS.iter().filter(|(flag, _)| flags & flag != 0) {
        detail.push(before);
        detail.push(name.trim_ascii_end());
        before = b", ";
    }
    request::current(|served| judge::namespace(Actor::This, served, unknown, detail.bytes()))?;
    if flags & libc::CLONE_NEWNS as u64 != 0 {
        sink::hold_before_leaving();
    }
    Ok(())
}

/// unshare(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn unshare(flags: c_int) -> c_int {
    let Some(real) = real::unshare() else { return fail(libc::ENOSYS) };
    if let Err(Refused(errno)) = left(flags) {
        return fail(errno);
    }
    // SAFETY: takes no pointer.
    unsafe { real(flags) }
}

/// Judges leaving the namespaces of these flags for new ones.
pub(super) fn left(flags: c_int) -> Decision {
    let wanted = u64::from(flags.cast_unsigned()) & (OF_CLONE | NEWTIME);
    if wanted == 0 { Ok(()) } else { decide(b"unshare", wanted, None) }
}

/// setns(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn setns(fd: c_int, kind: c_int) -> c_int {
    let Some(real) = real::setns() else { return fail(libc::ENOSYS) };
    if let Err(Refused(errno)) = entered(fd) {
        return fail(errno);
    }
    // SAFETY: takes no pointer.
    unsafe { real(fd, kind) }
}

/// Judges entering the namespace, or those of the process, that a descriptor refers to.
#[inline(never)]
pub(super) fn entered(fd: c_int) -> Decision {
    if state::role() == Role::Master {
        return Ok(());
    }
    let (mut path, mut buffer, mut detail) = (StringBuf::<64>::new(), [0; 128], StringBuf::<256>::new());
    path.push(b"fd/");
    path.number(u64::from(fd.cast_unsigned()));
    detail.push(b"setns: ");
    detail.push(sys::readlink(procfs::proc_path(procfs::Whose::Own, path.bytes()).c_str(), &mut buffer));
    request::current(|served| judge::namespace(Actor::This, served, None, detail.bytes()))?;
    sink::hold_before_leaving();
    Ok(())
}

/// What a call is answered with whose errno has been set.
unsafe extern "C" fn refused() -> isize {
    -1
}

/// A thread with a name of its own, to libc, is about to be made.
fn making(flags: u64) {
    if flags & libc::CLONE_SETTLS as u64 != 0 {
        sys::share_with_new();
    }
}

/// Where clone goes on: in libc's, or where it is refused.
extern "C" fn before_clone(_function: usize, _stack: usize, flags: c_int) -> *const c_void {
    let wanted = u64::from(flags.cast_unsigned()) & OF_CLONE;
    making(u64::from(flags.cast_unsigned()));
    let refuse = |errno| {
        fail(errno);
        refused as *const c_void
    };
    let Some(real) = real::clone() else { return refuse(libc::ENOSYS) };
    match if wanted == 0 { Ok(()) } else { decide(b"clone", wanted, None) } {
        Ok(()) => real,
        Err(Refused(errno)) => refuse(errno),
    }
}

/// Where the system call clone or clone3 that syscall(2) is asked for goes on: `None` where it is let go. It is jumped to,
/// since its child may run on the caller's stack.
pub(super) fn before_system_call(number: libc::c_long, first: usize, second: usize) -> Option<*const c_void> {
    let answer = match number {
        libc::SYS_clone if first as u64 & OF_CLONE == 0 => {
            making(first as u64);
            Ok(())
        }
        libc::SYS_clone => decide(b"clone", first as u64 & OF_CLONE, None),
        // Shorter than the first struct clone_args there was, which the kernel refuses.
        _ if second < 64 => Ok(()),
        _ => match Reader::default().pointer(first as *const *const u8, 0).map(|flags| flags as u64) {
            Some(flags) if flags & (OF_CLONE | NEWTIME) == 0 => {
                making(flags);
                Ok(())
            }
            Some(flags) => decide(b"clone3", flags & (OF_CLONE | NEWTIME), None),
            None => decide(b"clone3", 0, Some(Unknown::Namespace)),
        },
    };
    answer.err().map(|Refused(errno)| {
        fail(errno);
        refused as *const c_void
    })
}

trampoline!(
    /// clone(2).
    clone => before_clone
);
trampoline!(
    /// clone(2) by its other name.
    __clone => before_clone
);
