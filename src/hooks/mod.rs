//! The hooks: each builds the action, asks, and acts.

mod egress;
mod exec;
mod loaded;
mod spawn;
pub mod table;

pub use egress::{accept, accept4, connect, read};
pub use exec::{execl, execle, execlp, execv, execve, execveat, execvp, execvpe, fexecve};
pub use loaded::{dlsym, fork};
pub use spawn::{popen, posix_spawn, posix_spawnp, system};

use core::ffi::c_int;

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

/// Sets errno and gives -1.
fn fail(errno: i32) -> c_int {
    // SAFETY: libc gives the calling thread's errno.
    unsafe { __errno_location().write(errno) };
    -1
}

/// What a raw system call gave, as libc gives it.
fn as_libc(result: isize) -> c_int {
    if result < 0 { fail(result.wrapping_neg() as i32) } else { result as c_int }
}
