//! The table of hooks: what is exported, with the C signature that the compiler holds against libc's declaration.
//!
//! Every row is a function that this library exports under libc's name. From it come the pointer to the function that
//! would have been called without the guard, the names that objects loaded with RTLD_DEEPBIND are searched for, and
//! the list that the tests hold the ELF file against.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

macro_rules! hooks {
    (
        real { $($name:ident: fn($($arg:ty),*) -> $result:ty;)* }
        through { $($via:ident: fn($($via_arg:ty),*) -> $via_result:ty;)* }
        variadic { $($variadic:ident;)* }
    ) => {
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Row { $($name,)* }

        /// How many rows have a real function of their own.
        const REALS: usize = [$(stringify!($name),)*].len();
        const ROWS: usize = REALS + [$(stringify!($via),)* $(stringify!($variadic),)*].len();

        static NAMES: [&CStr; ROWS] = [
            $(c_name(concat!(stringify!($name), "\0")),)*
            $(c_name(concat!(stringify!($via), "\0")),)*
            $(c_name(concat!(stringify!($variadic), "\0")),)*
        ];

        /// Address of the hook of a row.
        fn own(row: usize) -> *mut c_void {
            let hooks: [*mut c_void; ROWS] = [
                $({
                    let hook: unsafe extern "C" fn($($arg),*) -> $result = super::$name;
                    hook as *mut c_void
                },)*
                $({
                    let hook: unsafe extern "C" fn($($via_arg),*) -> $via_result = super::$via;
                    hook as *mut c_void
                },)*
                $(super::$variadic as *mut c_void,)*
            ];
            hooks.get(row).copied().unwrap_or(core::ptr::null_mut())
        }

        $(const _: unsafe extern "C" fn($($arg),*) -> $result = libc::$name;)*
        $(const _: unsafe extern "C" fn($($via_arg),*) -> $via_result = libc::$via;)*

        /// The functions behind the hooks: libc's, or those of the next preload.
        pub mod real {
            use super::*;
            $(
                /// `None` where libc has no such function, or in another thread while the constructor runs.
                #[inline]
                pub fn $name() -> Option<unsafe extern "C" fn($($arg),*) -> $result> {
                    let at = super::real(Row::$name);
                    // SAFETY: null is `None`; else dlsym gave the address under this name, and the signature is the
                    // one that libc declares for it (checked above).
                    unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($arg),*) -> $result>>(at) }
                }
            )*
        }
    };
}

hooks! {
    // Called where the guard lets a call go ahead.
    real {
        connect: fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;
        accept: fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> c_int;
        accept4: fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t, c_int) -> c_int;
        execve: fn(*const c_char, *const *const c_char, *const *const c_char) -> c_int;
        execvpe: fn(*const c_char, *const *const c_char, *const *const c_char) -> c_int;
        fexecve: fn(c_int, *const *const c_char, *const *const c_char) -> c_int;
        execveat: fn(c_int, *const c_char, *const *mut c_char, *const *mut c_char, c_int) -> c_int;
        posix_spawn: fn(*mut libc::pid_t, *const c_char, *const libc::posix_spawn_file_actions_t,
            *const libc::posix_spawnattr_t, *const *mut c_char, *const *mut c_char) -> c_int;
        posix_spawnp: fn(*mut libc::pid_t, *const c_char, *const libc::posix_spawn_file_actions_t,
            *const libc::posix_spawnattr_t, *const *mut c_char, *const *mut c_char) -> c_int;
        popen: fn(*const c_char, *const c_char) -> *mut libc::FILE;
        system: fn(*const c_char) -> c_int;
        fork: fn() -> libc::pid_t;
        read: fn(c_int, *mut c_void, libc::size_t) -> libc::ssize_t;
    }
    // Go through the real function of another row; dlsym through a jump.
    through {
        execv: fn(*const c_char, *const *const c_char) -> c_int;
        execvp: fn(*const c_char, *const *const c_char) -> c_int;
        dlsym: fn(*mut c_void, *const c_char) -> *mut c_void;
    }
    // The same by shim/variadic.c.
    variadic { execl; execlp; execle; }
}

const fn c_name(name: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => c"",
    }
}

/// glibc's versions of dlsym: 2.34 moved it into libc.so.6.
const DLSYM_VERSION: &CStr = c"GLIBC_2.34";

static REAL: [AtomicPtr<c_void>; REALS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; REALS];
/// The real dlsym, for the trampoline in assembly.
pub(super) static REAL_DLSYM: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

unsafe extern "C" {
    fn dlvsym(handle: *mut c_void, name: *const c_char, version: *const c_char) -> *mut c_void;
}

#[inline]
fn real(row: Row) -> *mut c_void {
    let Some(slot) = REAL.get(row as usize) else { return core::ptr::null_mut() };
    let at = slot.load(Ordering::Relaxed);
    if at.is_null() { early(slot) } else { at }
}

/// Another library's constructor may call a hook before this library's constructor has run.
#[cold]
fn early(slot: &AtomicPtr<c_void>) -> *mut c_void {
    crate::init::ensure();
    slot.load(Ordering::Relaxed)
}

/// Finds the real functions; for the constructor.
pub fn resolve() {
    // SAFETY: the names are C strings. By its version, since `dlsym` itself is one of the hooks.
    let dlsym = unsafe { dlvsym(libc::RTLD_NEXT, c"dlsym".as_ptr(), DLSYM_VERSION.as_ptr()) };
    if dlsym.is_null() {
        return;
    }
    REAL_DLSYM.store(dlsym, Ordering::Release);
    // SAFETY: this is dlsym.
    let dlsym = unsafe {
        core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void>(dlsym)
    };
    for (slot, name) in REAL.iter().zip(NAMES) {
        // SAFETY: the name is a C string; RTLD_NEXT is what comes behind this library.
        slot.store(unsafe { dlsym(libc::RTLD_NEXT, name.as_ptr()) }, Ordering::Release);
    }
}

/// The hook for a function of that name, and the function that it stands before.
///
/// # Safety
/// `name` must be a C string.
pub unsafe fn hook_for(name: *const u8) -> Option<(*mut c_void, *mut c_void)> {
    let same = |known: &CStr| {
        let bytes = known.to_bytes_with_nul();
        // SAFETY: no byte behind the first difference is read, so none behind the NUL.
        bytes.iter().enumerate().all(|(at, byte)| unsafe { name.wrapping_add(at).read() } == *byte)
    };
    let row = NAMES.iter().position(|known| same(known))?;
    let real = REAL.get(row).map_or(core::ptr::null_mut(), |real| real.load(Ordering::Relaxed));
    Some((own(row), real))
}
