//! What tells the guard that objects were loaded (dlsym) and that a master makes a worker (fork).

use super::fail;
use super::table::{self, Hook};
use crate::hooks::{deepbind, init};
use crate::process::state::{self, Role};
use crate::real::find::Caller;
use crate::real::objects;
use crate::real::table::real;
use crate::report::seal;
use core::ffi::{c_char, c_int, c_void};

/// fork(2). A master that forks makes sure that the child finds the policy and the sinks ready.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn fork() -> libc::pid_t {
    let Some(real) = real::fork() else { return fail(libc::ENOSYS) };
    init::before_fork();
    // What a server has loaded before it makes its workers, by whatever functions another preload has for that.
    if state::role() == Role::Master {
        deepbind::guard_new_objects();
    }
    let mut chain = seal::Child::none();
    chain.before_fork();
    // SAFETY: as the caller promises.
    let forked = unsafe { real() };
    chain.after_fork(forked == 0);
    forked
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
/// function is asked for, [`hooked`]. `caller` is where dlsym returns to.
extern "C" fn before_dlsym(handle: *mut c_void, name: *const c_char, _: usize, caller: usize) -> *mut c_void {
    let Some(real) = real::dlsym() else { return nothing as *mut c_void };
    let at = real as *mut c_void;
    deepbind::guard_new_objects();
    // What lies behind the caller is its own business: another preload that calls on is no way past this one.
    // SAFETY: dlsym's name is a C string.
    if handle == libc::RTLD_NEXT || name.is_null() || unsafe { table::hook_for(name.cast()) }.is_none() {
        return at;
    }
    // The same by a handle of libc. It has been called by a hook, which it would call again and again.
    if Caller::at(caller) == Caller::Interposer { at } else { hooked as *mut c_void }
}

/// The same of dlvsym, which finds no hook by itself: they have no versions.
extern "C" fn before_dlvsym(
    handle: *mut c_void,
    name: *const c_char,
    version: *const c_char,
    caller: usize,
) -> *mut c_void {
    let Some(real) = real::dlvsym() else { return nothing as *mut c_void };
    let at = real as *mut c_void;
    deepbind::guard_new_objects();
    // SAFETY: dlvsym's name is a C string.
    if name.is_null() || version.is_null() || unsafe { table::hook_for(name.cast()) }.is_none() {
        return at;
    }
    match Caller::at(caller) {
        Caller::Interposer => at,
        Caller::Other if handle == libc::RTLD_NEXT => at,
        _ => hooked_version as *mut c_void,
    }
}

/// Takes note of how an object is loaded; the address of the real dlopen. `caller` is where that returns to.
extern "C" fn before_dlopen(_path: *const c_char, flags: c_int, _: usize, caller: usize) -> *mut c_void {
    let Some(real) = real::dlopen() else { return nothing as *mut c_void };
    deepbind::loading(flags, Caller::at(caller) == Caller::Interposer);
    real as *mut c_void
}

/// Each of them where there is none.
extern "C" fn nothing(_: *mut c_void, _: *const c_char) -> *mut c_void {
    core::ptr::null_mut()
}

/// dlsym for the name of a hooked function: where libc's would be given (PHP's FFI, Python's ctypes and Perl's DynaLoader
/// ask libc itself for it), the hook is.
extern "C" fn hooked(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: dlsym's name is a C string.
    let (Some(dlsym), Some(hook)) = (real::dlsym(), unsafe { table::hook_for(name.cast()) }) else {
        return core::ptr::null_mut();
    };
    // SAFETY: as the caller promises. RTLD_DEFAULT from here is the program's own order of search.
    let found = unsafe { dlsym(handle, name) };
    if found == hook.hook && hook.real.is_null() && table::has_real(name.cast()) {
        // This libc has no such function, and the guard does not make it one.
        // SAFETY: as the caller promises.
        return unsafe { dlsym(libc::RTLD_NEXT, name) };
    }
    instead(found, &hook)
}

/// The same of dlvsym. RTLD_NEXT is what comes behind this library, since it is behind the caller.
extern "C" fn hooked_version(handle: *mut c_void, name: *const c_char, version: *const c_char) -> *mut c_void {
    // SAFETY: dlvsym's name is a C string.
    let (Some(dlvsym), Some(hook)) = (real::dlvsym(), unsafe { table::hook_for(name.cast()) }) else {
        return core::ptr::null_mut();
    };
    // SAFETY: as the caller promises.
    instead(unsafe { dlvsym(handle, name, version) }, &hook)
}

/// The hook in the place of what it stands before.
fn instead(found: *mut c_void, hook: &Hook) -> *mut c_void {
    match found {
        _ if found.is_null() => found,
        _ if objects::is_libcs(found as usize) => hook.straight,
        _ if found == hook.real => hook.hook,
        _ => found,
    }
}

/// A function of up to three arguments that goes on where `$before` says, which is also told where it returns to. The real
/// one is entered by a jump, since it looks at its caller.
macro_rules! by_caller {
    ($(#[$doc:meta])* $name:ident($($argument:ty),*) => $before:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name($(_: $argument),*) -> *mut c_void {
            crate::sys::arch::jump_where_by_caller!($before);
        }
    };
}

by_caller!(
    /// dlsym(3). Whoever loads an object asks for its symbols before it calls them, so this is the moment to guard what was
    /// loaded. RTLD_NEXT and RTLD_DEFAULT mean the caller's object.
    dlsym(*mut c_void, *const c_char) => before_dlsym
);

by_caller!(
    /// dlvsym(3), by which other preloads find what they stand before.
    dlvsym(*mut c_void, *const c_char, *const c_char) => before_dlvsym
);

by_caller!(
    /// dlopen(3). Judges nothing, and tells what binds past other libraries from what does not. It looks for libraries where
    /// its caller says.
    dlopen(*const c_char, c_int) => before_dlopen
);
