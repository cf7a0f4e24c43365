//! Hooks what opens files, to find an open of the memory of a process for writing: the open and fopen families. [`reading`] is about
//! opens to read.
//!
//! An open without a write mode costs a test and a jump. One with it costs an fstat, 0.4 µs of the 2.3 that an open and a close
//! take, and is judged by the descriptor that it gave, not by the
//! path: symlinks, /dev/fd, relative paths and other mounts of proc give a file other names.
//!
//! `open` and its kin are variadic in C, for the mode. A hook with three arguments is the same to the caller on x86-64
//! (System V) and on aarch64 (AAPCS64 as Linux has it): both pass the variable integer arguments of a call in the registers
//! in which they pass named ones. Where the caller gave none, what the register holds is handed on, and libc reads it only
//! with O_CREAT or O_TMPFILE.

use super::{as_libc, fail, reading};
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::memory::StringBuf;
use crate::policy::in_force;
use crate::process::state::{self, Role};
use crate::real::table::{ready, real};
use crate::sys::procfs;
use crate::{request, sys};
use core::ffi::{c_char, c_int};
use portcullis_policy::{Mode, Rule, Unknown};

/// The flags by which a call makes a new file, which is nobody's memory.
const NEW: c_int = libc::O_CREAT | libc::O_EXCL;

/// Whether what is opened with these flags can be written to.
#[inline(always)]
pub(super) fn writes(flags: c_int) -> bool {
    flags & libc::O_ACCMODE != libc::O_RDONLY
}

/// Whether a descriptor is the memory of a process. That is a file of proc; fstat shows of nearly all others that they are
/// none, at the price of that one call: it asks no server of a network's file system, as fstatfs may.
fn is_memory(fd: c_int) -> Result<bool, Unknown> {
    const MODE: u32 = libc::S_IFREG | 0o600;
    let stat = sys::fstat(fd).ok_or(Unknown::Descriptor)?;
    let (device, _) = stat.identity;
    if stat.mode != MODE || stat.size != 0 || libc::major(device) != 0 {
        return Ok(false);
    }
    Ok(sys::filesystem(fd).ok_or(Unknown::Descriptor)? == sys::PROC)
}

/// Judges a descriptor that was opened for writing, or is (O_PATH) what will be.
pub(super) fn decide(fd: c_int) -> Decision {
    let unknown = match is_memory(fd) {
        Ok(false) => return Ok(()),
        Ok(true) => None,
        Err(what) => Some(what),
    };
    let (mut path, mut buffer, mut detail) = (StringBuf::<64>::new(), [0; 192], StringBuf::<256>::new());
    path.push(b"fd/");
    path.number(u64::from(fd.cast_unsigned()));
    detail.push(b"open for writing: ");
    detail.push(sys::readlink(procfs::proc_path(procfs::Whose::Own, path.bytes()).c_str(), &mut buffer));
    request::current(|served| judge::plain(Rule::ProcessMemory, Actor::This, served, unknown, detail.bytes()))
}

/// Judges what is to be opened, before there is a descriptor that a signal handler or another thread could copy. Only where that is
/// refused: in audit nothing is lost. Whose name leads elsewhere by then is judged by the descriptor.
#[inline(always)]
pub(super) fn before(at: c_int, path: *const c_char, flags: c_int) -> Decision {
    if writes(flags) || reading::is_judged(flags) { path_before(at, path, flags) } else { Ok(()) }
}

#[inline(never)]
fn path_before(at: c_int, path: *const c_char, flags: c_int) -> Decision {
    let scope = || request::scope().unwrap_or_else(|| request::current(|served| served.scope));
    let refuses = || in_force::policy().mode(scope(), Rule::ProcessMemory) == Mode::Enforce;
    if flags & NEW == NEW || state::role() == Role::Master || !refuses() {
        return Ok(());
    }
    let path_flags = libc::O_PATH | libc::O_CLOEXEC | flags & libc::O_NOFOLLOW;
    let args = [at as usize, path as usize, path_flags as usize, 0, 0];
    // SAFETY: the kernel checks the pointer.
    match unsafe { sys::on_behalf(libc::SYS_openat, args) } {
        fd if fd >= 0 => {
            let file = sys::Fd(fd as c_int);
            if writes(flags) { decide(file.0) } else { reading::decide(file.0) }
        }
        // The kernel will say so once more, or a new file is made.
        _ => Ok(()),
    }
}

/// Judges what was opened: the descriptor, or -1 where that is refused.
#[inline(always)]
pub(super) fn opened(fd: c_int, flags: c_int) -> c_int {
    match writes(flags) {
        true => opened_to_write(fd, flags),
        false if reading::is_judged(flags) => reading::opened(fd),
        false => fd,
    }
}

#[inline(never)]
fn opened_to_write(fd: c_int, flags: c_int) -> c_int {
    if fd < 0 || flags & NEW == NEW || state::role() == Role::Master {
        return fd;
    }
    match decide(fd) {
        Ok(()) => fd,
        Err(Refused(errno)) => {
            sys::close(fd);
            fail(errno)
        }
    }
}

/// Opens without libc, which has no such function, or whose functions another thread is looking for just now.
#[cold]
fn bare(at: c_int, path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: as the caller of the hook promises; the kernel checks the pointer.
    as_libc(unsafe { sys::on_behalf(libc::SYS_openat, [at as usize, path as usize, flags as usize, mode as usize, 0]) })
}

/// The hooks with a path and flags: by the function behind each.
macro_rules! open {
    ($(#[$doc:meta])* $name:ident($($mode:ident)?) => $real:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's; a wild pointer gives EFAULT.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name(path: *const c_char, flags: c_int $(, $mode: libc::mode_t)?) -> c_int {
            #[inline(never)]
            unsafe fn decide(path: *const c_char, flags: c_int $(, $mode: libc::mode_t)?) -> c_int {
                if let Err(Refused(errno)) = before(libc::AT_FDCWD, path, flags) {
                    return fail(errno);
                }
                let fd = match real::$real() {
                    // SAFETY: as the caller promises.
                    Some(real) => unsafe { real(path, flags $(, $mode)?) },
                    None => bare(libc::AT_FDCWD, path, flags, open!(@mode $($mode)?)),
                };
                opened(fd, flags)
            }
            if !writes(flags)
                && !reading::is_judged(flags)
                && let Some(real) = ready::$real()
            {
                // SAFETY: as the caller promises.
                return unsafe { real(path, flags $(, $mode)?) };
            }
            // SAFETY: as the caller promises.
            unsafe { decide(path, flags $(, $mode)?) }
        }
    };
    (@at $(#[$doc:meta])* $name:ident($($mode:ident)?) => $real:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's; a wild pointer gives EFAULT.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name(
            at: c_int,
            path: *const c_char,
            flags: c_int
            $(, $mode: libc::mode_t)?
        ) -> c_int {
            #[inline(never)]
            unsafe fn decide(
                at: c_int,
                path: *const c_char,
                flags: c_int
                $(, $mode: libc::mode_t)?
            ) -> c_int {
                if let Err(Refused(errno)) = before(at, path, flags) {
                    return fail(errno);
                }
                let fd = match real::$real() {
                    // SAFETY: as the caller promises.
                    Some(real) => unsafe { real(at, path, flags $(, $mode)?) },
                    None => bare(at, path, flags, open!(@mode $($mode)?)),
                };
                opened(fd, flags)
            }
            if !writes(flags)
                && !reading::is_judged(flags)
                && let Some(real) = ready::$real()
            {
                // SAFETY: as the caller promises.
                return unsafe { real(at, path, flags $(, $mode)?) };
            }
            // SAFETY: as the caller promises.
            unsafe { decide(at, path, flags $(, $mode)?) }
        }
    };
    (@mode) => { 0 };
    (@mode $mode:ident) => { $mode };
}

open!(
    /// open(2).
    open(mode) => open
);
open!(
    /// open(2) by its name for large files.
    open64(mode) => open64
);
open!(
    /// open(2) by its other name.
    __open(mode) => open
);
open!(
    /// open64 by its other name.
    __open64(mode) => open64
);
open!(
    /// open(2) as _FORTIFY_SOURCE calls it.
    __open_2() => __open_2
);
open!(
    /// open64 as _FORTIFY_SOURCE calls it.
    __open64_2() => __open64_2
);
open!(@at
    /// openat(2).
    openat(mode) => openat
);
open!(@at
    /// openat(2) by its name for large files.
    openat64(mode) => openat64
);
open!(@at
    /// openat(2) as _FORTIFY_SOURCE calls it.
    __openat_2() => __openat_2
);
open!(@at
    /// openat64 as _FORTIFY_SOURCE calls it.
    __openat64_2() => __openat64_2
);

/// The hooks of open as glibc itself calls it where that is no cancellation point: by the kernel.
macro_rules! nocancel {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's; a wild pointer gives EFAULT.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
            if let Err(Refused(errno)) = before(libc::AT_FDCWD, path, flags) {
                return fail(errno);
            }
            opened(bare(libc::AT_FDCWD, path, flags, mode), flags)
        }
    };
}

nocancel!(
    /// open(2) without a cancellation point.
    __open_nocancel
);
nocancel!(
    /// open64 without a cancellation point.
    __open64_nocancel
);

/// creat is open with these flags (creat(2)).
pub(super) const CREAT: c_int = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;

/// The hooks of creat.
macro_rules! creat {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's; a wild pointer gives EFAULT.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name(path: *const c_char, mode: libc::mode_t) -> c_int {
            if let Err(Refused(errno)) = before(libc::AT_FDCWD, path, CREAT) {
                return fail(errno);
            }
            let fd = match real::$name() {
                // SAFETY: as the caller promises.
                Some(real) => unsafe { real(path, mode) },
                None => bare(libc::AT_FDCWD, path, CREAT, mode),
            };
            opened(fd, CREAT)
        }
    };
}

creat!(
    /// creat(2).
    creat
);
creat!(
    /// creat(2) by its name for large files.
    creat64
);

unsafe extern "C" {
    /// Of shim/stream.c.
    fn portcullis_shim_fileno(stream: *const libc::FILE) -> c_int;
}

/// Whether a stream of this mode can be written to. A pointer that libc's function is given, and reads.
unsafe fn stream_writes(mode: *const c_char) -> bool {
    // SAFETY: libc reads the mode as well, so it is a C string.
    let mode = unsafe { core::ffi::CStr::from_ptr(mode) }.to_bytes();
    mode.iter().take_while(|byte| **byte != b',').any(|byte| matches!(byte, b'w' | b'a' | b'+'))
}

/// Judges a stream that was opened: itself, or null where that is refused, after `close` has closed it.
unsafe fn stream(
    stream: *mut libc::FILE,
    mode: *const c_char,
    close: impl FnOnce(*mut libc::FILE, c_int),
) -> *mut libc::FILE {
    // SAFETY: libc has read the mode.
    let flags = if unsafe { stream_writes(mode) } { libc::O_RDWR } else { libc::O_RDONLY };
    if stream.is_null() || state::role() == Role::Master || !(writes(flags) || reading::is_judged(flags)) {
        return stream;
    }
    // SAFETY: a stream that libc has opened just now.
    let fd = unsafe { portcullis_shim_fileno(stream) };
    match if writes(flags) { decide(fd) } else { reading::decide_opened(fd) } {
        Ok(()) => stream,
        Err(Refused(errno)) => {
            close(stream, fd);
            fail(errno);
            core::ptr::null_mut()
        }
    }
}

/// Closes a stream that fopen has made, and to which nothing was written.
fn close_stream(stream: *mut libc::FILE, fd: c_int) {
    match real::fclose() {
        // SAFETY: the stream is open, and nobody else has it.
        Some(fclose) => _ = unsafe { fclose(stream) },
        None => sys::close(fd),
    }
}

/// Puts nothing in the place of what freopen has opened: the stream is the caller's, who closes it.
fn empty_stream(_: *mut libc::FILE, fd: c_int) {
    if let Ok(null) = sys::open(libc::AT_FDCWD, c"/dev/null", libc::O_RDONLY, 0) {
        sys::duplicate_onto(null.0, fd);
    } else {
        sys::close(fd);
    }
}

/// The hooks with a path and a mode.
macro_rules! fopen {
    ($(#[$doc:meta])* $name:ident => $real:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name(path: *const c_char, mode: *const c_char) -> *mut libc::FILE {
            let Some(real) = real::$real() else {
                fail(libc::ENOSYS);
                return core::ptr::null_mut();
            };
            // SAFETY: as the caller promises.
            let flags = if unsafe { stream_writes(mode) } { libc::O_RDWR } else { libc::O_RDONLY };
            if let Err(Refused(errno)) = before(libc::AT_FDCWD, path, flags) {
                fail(errno);
                return core::ptr::null_mut();
            }
            // SAFETY: as the caller promises.
            unsafe { stream(real(path, mode), mode, close_stream) }
        }
    };
}

fopen!(
    /// fopen(3).
    fopen => fopen
);
fopen!(
    /// fopen(3) by its name for large files.
    fopen64 => fopen64
);
fopen!(
    /// fopen(3) by its other name.
    _IO_fopen => fopen
);

/// The hooks of freopen.
macro_rules! freopen {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name(
            path: *const c_char,
            mode: *const c_char,
            old: *mut libc::FILE,
        ) -> *mut libc::FILE {
            let Some(real) = real::$name() else {
                fail(libc::ENOSYS);
                return core::ptr::null_mut();
            };
            // SAFETY: as the caller promises.
            unsafe { stream(real(path, mode, old), mode, empty_stream) }
        }
    };
}

freopen!(
    /// freopen(3).
    freopen
);
freopen!(
    /// freopen(3) by its name for large files.
    freopen64
);

/// What of the family syscall(2) is asked for: openat2 has its flags in memory, so that the descriptor is asked for them.
///
/// # Safety
/// As the system call's: the kernel checks the pointers.
pub(super) unsafe fn openat2(at: usize, path: usize, how: usize, size: usize) -> c_int {
    // SAFETY: as the caller promises.
    let fd = as_libc(unsafe { sys::on_behalf(libc::SYS_openat2, [at, path, how, size, 0]) });
    match sys::flags(fd) {
        Some(flags) if !writes(flags) => opened(fd, flags),
        // A flag of the opening is none of the description's.
        _ => opened(fd, libc::O_RDWR),
    }
}
