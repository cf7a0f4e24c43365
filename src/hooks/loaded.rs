//! What tells the guard that objects were loaded (dlsym) and that a master makes a worker (fork).

use super::fail;
use super::table::{self, real};
use crate::{deepbind, init};
use core::ffi::{c_char, c_void};

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

/// `fork` by its other name.
///
/// # Safety
/// As [`fork`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __fork() -> libc::pid_t {
    // SAFETY: as the caller promises.
    unsafe { fork() }
}

/// `fork` by its third name.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __libc_fork() -> libc::pid_t {
    // SAFETY: as the caller promises.
    unsafe { fork() }
}

/// Guards what was loaded since the last call; the address of what is to answer: the real dlsym, or, where a hooked
/// function is asked for, [`hooked`].
extern "C" fn before_dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    let Some(real) = real::dlsym() else { return core::ptr::null_mut() };
    let at = real as *mut c_void;
    deepbind::guard_new_objects();
    // What lies behind the caller is its own business: another preload that calls on is no way past this one.
    // SAFETY: dlsym's name is a C string.
    if handle == libc::RTLD_NEXT || name.is_null() || unsafe { table::hook_for(name.cast()) }.is_none() {
        return at;
    }
    hooked as *mut c_void
}

/// dlsym for the name of a hooked function: where libc's would be given (PHP's FFI, Python's ctypes and Perl's DynaLoader
/// ask libc itself for it), the hook is.
extern "C" fn hooked(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: dlsym's name is a C string.
    let (Some(dlsym), Some((hook, real))) = (real::dlsym(), unsafe { table::hook_for(name.cast()) }) else {
        return core::ptr::null_mut();
    };
    // SAFETY: as the caller promises. RTLD_DEFAULT from here is the program's own order of search.
    let found = unsafe { dlsym(handle, name) };
    if found == hook && real.is_null() && table::has_real(name.cast()) {
        // This libc has no such function, and the guard does not make it one.
        // SAFETY: as the caller promises.
        return unsafe { dlsym(libc::RTLD_NEXT, name) };
    }
    if !found.is_null() && (found == real || deepbind::is_libcs(found as usize)) { hook } else { found }
}

/// dlsym(3). Whoever loads an object asks for its symbols before it calls them, so this is the moment to guard what
/// was loaded. The real function is entered by a jump, since RTLD_NEXT and RTLD_DEFAULT mean the caller's object.
///
/// # Safety
/// As libc's.
#[cfg(target_arch = "x86_64")]
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn dlsym(_handle: *mut c_void, _name: *const c_char) -> *mut c_void {
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
pub unsafe extern "C" fn dlsym(_handle: *mut c_void, _name: *const c_char) -> *mut c_void {
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
