//! The functions behind the hooks, made of the rows in rows.rs: of each the pointer to what would have been called without the
//! guard, and its name.
// The names are libc's.
#![allow(non_snake_case)]

use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

/// Makes the table of the rows. The compiler compares the Rust signature with the libc crate's, where that has the function
/// (`checked`).
macro_rules! reals {
    (
        checked { $([$($checked_note:tt)*] $name:ident: fn($($arg:ty),*) -> $result:ty;)* }
        unchecked { $([$($unchecked_note:tt)*] $bare:ident: fn($($bare_arg:ty),*) -> $bare_result:ty;)* }
        through { $([$($via_note:tt)*] $via:ident: fn($($via_arg:ty),*) -> $via_result:ty;)* }
        variadic { $([$($variadic_note:tt)*] $variadic:ident;)* }
    ) => {
        $(const _: unsafe extern "C" fn($($arg),*) -> $result = libc::$name;)*
        reals!(@table
            real { $($name: fn($($arg),*) -> $result;)* $($bare: fn($($bare_arg),*) -> $bare_result;)* }
            through { $($via: fn($($via_arg),*) -> $via_result;)* }
            variadic { $($variadic;)* }
        );
    };
    (
        @table
        real { $($name:ident: fn($($arg:ty),*) -> $result:ty;)* }
        through { $($via:ident: fn($($via_arg:ty),*) -> $via_result:ty;)* }
        variadic { $($variadic:ident;)* }
    ) => {
        /// The rows that have a real function of their own.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        pub enum Row { $($name,)* }

        /// How many rows have a real function of their own.
        pub const REALS: usize = [$(stringify!($name),)*].len();
        /// How many rows there are.
        pub const ROWS: usize = REALS + [$(stringify!($via),)* $(stringify!($variadic),)*].len();

        pub static NAMES: [FunctionName; ROWS] = [
            $(FunctionName::new(stringify!($name)),)*
            $(FunctionName::new(stringify!($via)),)*
            $(FunctionName::new(stringify!($variadic)),)*
        ];

        /// The same without a look for what was not found yet: for hooks that mostly have nothing to do.
        pub mod ready {
            use super::*;
            $(
                /// `None` also before its first call.
                #[allow(dead_code, reason = "few hooks are so")]
                #[inline(always)]
                pub fn $name() -> Option<unsafe extern "C" fn($($arg),*) -> $result> {
                    let at = super::REAL.get(Row::$name as usize)?.load(Ordering::Acquire);
                    // SAFETY: as in `real`.
                    unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($arg),*) -> $result>>(at) }
                }
            )*
        }

        /// The functions behind the hooks: libc's, or those of the next preload.
        pub mod real {
            use super::*;
            $(
                /// `None` where libc has no such function, or in another thread while the constructor runs.
                #[inline]
                pub fn $name() -> Option<unsafe extern "C" fn($($arg),*) -> $result> {
                    let at = super::real(Row::$name);
                    // SAFETY: null is `None`; else dlsym gave the address under this name, and the signature is the
                    // one that the header declares for it.
                    unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($arg),*) -> $result>>(at) }
                }
            )*
            /// The real syscall(2), which is variadic: only jumped to.
            #[inline]
            pub fn syscall() -> Option<*const c_void> {
                let at = super::found(super::SYSCALL);
                (!at.is_null()).then_some(at.cast_const())
            }

            /// The real clone(2), which is variadic, and whose child leaves its stack: only jumped to.
            #[inline]
            pub fn clone() -> Option<*const c_void> {
                let at = super::found(super::CLONE);
                (!at.is_null()).then_some(at.cast_const())
            }

            /// fclose(3), for a stream that a hook has opened.
            #[inline]
            pub fn fclose() -> Option<unsafe extern "C" fn(*mut libc::FILE) -> c_int> {
                let at = super::found(super::FCLOSE);
                // SAFETY: null is `None`; else it is libc's fclose, or that of the next preload.
                unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn(*mut libc::FILE) -> c_int>>(at) }
            }

            /// The real dlsym: only jumped to, since RTLD_NEXT and RTLD_DEFAULT mean the caller's object.
            #[inline]
            pub fn dlsym() -> Option<crate::real::find::Dlsym> {
                let at = super::found(super::DLSYM);
                // SAFETY: null is `None`; else it is libc's dlsym, or that of the next preload.
                unsafe { core::mem::transmute::<*mut c_void, Option<crate::real::find::Dlsym>>(at) }
            }
        }
    };
}

type Hosts = *mut super::types::Hostent;
type Answer = *mut core::ffi::c_uchar;

super::rows::rows!(reals);

/// The longest name, with its NUL.
const NAME_MAX: usize = 34;

/// A function's name. A table of references would be relocated in every program that is started.
pub struct FunctionName([u8; NAME_MAX]);

impl FunctionName {
    const fn new(name: &str) -> FunctionName {
        let (mut bytes, mut at) = ([0; NAME_MAX], 0);
        while at < name.len() {
            bytes[at] = name.as_bytes()[at];
            at += 1;
        }
        assert!(at < NAME_MAX);
        FunctionName(bytes)
    }

    pub const fn c_str(&self) -> &CStr {
        match CStr::from_bytes_until_nul(&self.0) {
            Ok(name) => name,
            Err(_) => c"",
        }
    }
}

/// Functions of libc that are not hooked, and that popen and system are made of. Found as the real functions are, since an
/// import would be looked up in every program that is started.
macro_rules! parts {
    ($($name:ident: fn($($arg:ty),*) -> $result:ty;)*) => {
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Part { $($name,)* }
        const PARTS: &[&CStr] = &[$(match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
            Ok(name) => name,
            Err(_) => c"",
        },)*];

        /// The parts of popen and system.
        pub mod part {
            use super::*;
            $(
                /// `None` where libc has no such function.
                pub fn $name() -> Option<unsafe extern "C" fn($($arg),*) -> $result> {
                    let at = super::found(FCLOSE + 1 + Part::$name as usize);
                    // SAFETY: null is `None`; else the loader gave the address under this name, and the signature is
                    // the header's.
                    unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($arg),*) -> $result>>(at) }
                }
            )*
        }
    };
}

parts! {
    __res_state: fn() -> *mut c_void;
    sigaction: fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;
    waitpid: fn(libc::pid_t, *mut c_int, c_int) -> libc::pid_t;
    write: fn(c_int, *const c_void, libc::size_t) -> libc::ssize_t;
    fopencookie: fn(*mut c_void, *const c_char, crate::real::types::Functions) -> *mut libc::FILE;
    setvbuf: fn(*mut libc::FILE, *mut c_char, c_int, libc::size_t) -> c_int;
    fclose: fn(*mut libc::FILE) -> c_int;
    _pthread_cleanup_push: fn(*mut crate::real::types::Cleanup, unsafe extern "C" fn(*mut c_void), *mut c_void) -> ();
    _pthread_cleanup_pop: fn(*mut crate::real::types::Cleanup, c_int) -> ();
    posix_spawn_file_actions_init: fn(*mut libc::posix_spawn_file_actions_t) -> c_int;
    posix_spawn_file_actions_addclose: fn(*mut libc::posix_spawn_file_actions_t, c_int) -> c_int;
    posix_spawn_file_actions_destroy: fn(*mut libc::posix_spawn_file_actions_t) -> c_int;
}

/// Where the functions that are no row's own are in [`REAL`], behind those of the rows.
const DLSYM: usize = REALS;
const SYSCALL: usize = REALS + 1;
const CLONE: usize = REALS + 2;
const FCLOSE: usize = REALS + 3;
/// How many real functions there are.
pub const WANTED: usize = FCLOSE + 1 + PARTS.len();

/// The real functions, as far as they were found: in a program that a server starts, at their first call.
#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
pub static REAL: [AtomicPtr<c_void>; WANTED] = [const { AtomicPtr::new(core::ptr::null_mut()) }; WANTED];

/// The name of a real function.
pub const fn wanted(at: usize) -> &'static CStr {
    match at {
        DLSYM => c"dlsym",
        SYSCALL => c"syscall",
        CLONE => c"clone",
        FCLOSE => c"fclose",
        row if row < REALS => NAMES[row].c_str(),
        part if part < WANTED => PARTS[part - FCLOSE - 1],
        _ => c"",
    }
}

/// The functions of other preloads behind this library, by the names of hooks. Those are not in [`REAL`]: the hooks look for
/// them at each call, and find libc's where they were entered for that (src/real/straight.rs).
#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
pub static NEXT: [AtomicPtr<c_void>; REALS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; REALS];

/// What stands behind a hook, as far as it was found.
pub fn known(index: usize) -> *mut c_void {
    let next = NEXT.get(index).map_or(core::ptr::null_mut(), |slot| slot.load(Ordering::Acquire));
    if next.is_null() { REAL.get(index).map_or(next, |slot| slot.load(Ordering::Acquire)) } else { next }
}

/// Keeps what was found.
pub fn keep(index: usize, at: *mut c_void) {
    let slot = match NEXT.get(index) {
        Some(slot) if !super::objects::is_libcs(at as usize) => slot,
        _ => match REAL.get(index) {
            Some(slot) => slot,
            None => return,
        },
    };
    slot.store(at, Ordering::Release);
}

#[inline]
fn real(row: Row) -> *mut c_void {
    found(row as usize)
}

#[inline]
fn found(index: usize) -> *mut c_void {
    let Some(slot) = REAL.get(index) else { return core::ptr::null_mut() };
    let at = slot.load(Ordering::Acquire);
    if at.is_null() { first(index) } else { at }
}

/// read(2) as it was found so far; `None` before the constructor has run.
#[inline(always)]
pub fn found_read() -> Option<unsafe extern "C" fn(c_int, *mut c_void, libc::size_t) -> libc::ssize_t> {
    let at = REAL.get(Row::read as usize)?.load(Ordering::Relaxed);
    // SAFETY: null is `None`; else it is libc's, or that of the next preload.
    unsafe { core::mem::transmute(at) }
}

/// The first call of a function; another library's constructor may make it before this library's constructor has run.
#[cold]
#[inline(never)]
fn first(index: usize) -> *mut c_void {
    (crate::ENSURE)();
    let next = looked_for(index);
    let is_anothers = NEXT.get(index).is_some_and(|slot| !slot.load(Ordering::Acquire).is_null());
    if is_anothers && super::straight::is(index) { crate::real::find::libcs(index) } else { next }
}

/// What stands behind a hook.
pub fn looked_for(index: usize) -> *mut c_void {
    let known = known(index);
    if known.is_null() { crate::real::find::lazily_resolved(index) } else { known }
}
