//! What tells the guard that objects were loaded (dlsym) and that a master makes a worker (fork).

use super::fail;
use super::table::{REAL_DLSYM, real};
use crate::{deepbind, init};
use core::sync::atomic::Ordering;

/// fork(2). A master that forks makes sure that the child finds the policy and the sinks ready.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn fork() -> libc::pid_t {
    let Some(real) = real::fork() else { return fail(libc::ENOSYS) };
    init::before_fork();
    // SAFETY: as the caller promises.
    unsafe { real() }
}

/// Guards what was loaded since the last call; the address of the real dlsym.
extern "C" fn before_dlsym() -> *mut core::ffi::c_void {
    let at = REAL_DLSYM.load(Ordering::Acquire);
    if at.is_null() {
        init::ensure();
        return REAL_DLSYM.load(Ordering::Acquire);
    }
    deepbind::guard_new_objects();
    at
}

/// dlsym(3). Whoever loads an object asks for its symbols before it calls them, so this is the moment to guard what
/// was loaded. The real function is entered by a jump, since RTLD_NEXT and RTLD_DEFAULT mean the caller's object.
///
/// # Safety
/// As libc's.
#[cfg(target_arch = "x86_64")]
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn dlsym(
    _handle: *mut core::ffi::c_void,
    _name: *const core::ffi::c_char,
) -> *mut core::ffi::c_void {
    core::arch::naked_asm!(
        "push rdi",
        "push rsi",
        "sub rsp, 8",
        "call {before}",
        "add rsp, 8",
        "pop rsi",
        "pop rdi",
        "jmp rax",
        before = sym before_dlsym,
    );
}

/// dlsym(3). Whoever loads an object asks for its symbols before it calls them, so this is the moment to guard what
/// was loaded. The real function is entered by a jump, since RTLD_NEXT and RTLD_DEFAULT mean the caller's object.
///
/// # Safety
/// As libc's.
#[cfg(target_arch = "aarch64")]
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn dlsym(
    _handle: *mut core::ffi::c_void,
    _name: *const core::ffi::c_char,
) -> *mut core::ffi::c_void {
    core::arch::naked_asm!(
        "stp x29, x30, [sp, #-32]!",
        "stp x0, x1, [sp, #16]",
        "bl {before}",
        "mov x16, x0",
        "ldp x0, x1, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        "br x16",
        before = sym before_dlsym,
    );
}
