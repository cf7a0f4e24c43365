//! The table of hooks, made of the rows in real/rows.rs: the address of each, for what is bound to it later.

use crate::real::table::{NAMES, NEXT, REALS, ROWS, Row, looked_for};
use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use core::sync::atomic::Ordering;

type Hosts = *mut crate::real::types::Hostent;
type Answer = *mut core::ffi::c_uchar;

/// Makes the table of the rows.
macro_rules! hooks {
    (
        checked { $([$($checked_note:tt)*] $name:ident: fn($($arg:ty),*) -> $result:ty;)* }
        unchecked { $([$($unchecked_note:tt)*] $bare:ident: fn($($bare_arg:ty),*) -> $bare_result:ty;)* }
        through { $([$($via_note:tt)*] $via:ident: fn($($via_arg:ty),*) -> $via_result:ty;)* }
        variadic { $([$($variadic_note:tt)*] $variadic:ident;)* }
    ) => {
        hooks!(@table
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

        /// Address of the entry of a row's hook that goes on in libc; null where the hook goes through another row's.
        fn straight(row: usize) -> *mut c_void {
            let entries: [*mut c_void; REALS] = [$(crate::real::straight::entry!(Row::$name, super::$name),)*];
            entries.get(row).copied().unwrap_or(core::ptr::null_mut())
        }
    };
}

crate::real::rows::rows!(hooks);

/// The row of a function of that name.
///
/// # Safety
/// `name` must be a C string.
unsafe fn row_of(name: *const u8) -> Option<usize> {
    let same = |known: &CStr| {
        let bytes = known.to_bytes_with_nul();
        // SAFETY: no byte behind the first difference is read, so none behind the NUL.
        bytes.iter().enumerate().all(|(at, byte)| unsafe { name.wrapping_add(at).read() } == *byte)
    };
    NAMES.iter().position(|known| same(known.c_str()))
}

/// The hook for a function of that name, the same for what would go on in libc, and the function that the hook stands before;
/// that is null where libc has none, or where the hook goes through another row's.
///
/// # Safety
/// `name` must be a C string.
pub unsafe fn hook_for(name: *const u8) -> Option<Hook> {
    // SAFETY: as the caller promises.
    let row = unsafe { row_of(name) }?;
    let hook = own(row);
    let Some(next) = NEXT.get(row) else { return Some(Hook { hook, straight: hook, real: core::ptr::null_mut() }) };
    crate::hooks::init::ensure();
    let real = looked_for(row);
    let is_anothers = !next.load(Ordering::Acquire).is_null();
    Some(Hook { hook, straight: if is_anothers { straight(row) } else { hook }, real })
}

/// See [`hook_for`].
pub struct Hook {
    pub hook: *mut c_void,
    pub straight: *mut c_void,
    pub real: *mut c_void,
}

/// Whether a function of that name has a real one of its own.
pub fn has_real(name: *const u8) -> bool {
    // SAFETY: dlsym's callers give C strings.
    unsafe { row_of(name) }.is_some_and(|row| row < REALS)
}
