//! System calls without libc: they touch neither errno nor the guard's own hooks. Results are the kernel's: negative
//! errno on failure.

pub mod address;
mod announcement;
mod apart;
pub mod arch;
pub mod broker;
mod cage;
mod caller;
mod children;
mod clock;
mod confined;
mod descriptors;
mod files;
mod led;
mod local;
mod lookup;
mod lookup_identity;
mod memory;
mod process;
pub mod procfs;
mod raw;
mod seccomp;
mod sockets;
pub mod users;
mod watch;
mod written;

pub use announcement::*;
pub use apart::{apart, with_raised_limits};
pub use cage::*;
pub use caller::*;
pub use children::*;
pub use clock::*;
pub use confined::{For, lets, loading, making_thread, share_with_new};
pub use descriptors::*;
pub use files::*;
pub use led::*;
pub use local::*;
pub use lookup::*;
pub use lookup_identity::*;
pub use memory::*;
pub use process::*;
pub use raw::{CLEAN, STACK, STACK_GONE, tell_valgrind};
pub use seccomp::*;
pub use sockets::*;
pub use watch::*;
pub use written::*;

use core::sync::atomic::{AtomicU64, Ordering};

/// A descriptor that is closed when it goes out of scope.
pub struct Fd(pub i32);

impl Fd {
    /// The number, whose descriptor stays open.
    pub fn leave_open(self) -> i32 {
        let number = self.0;
        core::mem::forget(self);
        number
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        close(self.0);
    }
}

fn result(value: isize) -> Result<usize, i32> {
    usize::try_from(value).map_err(|_| value.wrapping_neg() as i32)
}

static SECRET: AtomicU64 = AtomicU64::new(0);

/// The secret by which the kernel's filter knows calls that were judged; 0 where the backstop is off.
#[inline]
pub fn secret() -> u64 {
    SECRET.load(Ordering::Relaxed)
}

/// Sets it.
pub fn set_secret(secret: u64) {
    SECRET.store(secret, Ordering::Relaxed);
}

/// Where it lies.
pub fn secret_address() -> usize {
    (&raw const SECRET) as usize
}

/// A system call on behalf of the caller of a hook, with the secret by which the backstop knows it.
///
/// # Safety
/// The arguments must be what the caller of the hook gave, or good: the kernel checks pointers.
pub unsafe fn on_behalf(number: libc::c_long, args: [usize; 5]) -> isize {
    // SAFETY: as the caller promises; none of these calls looks at a sixth argument.
    unsafe { raw::enter(number, [args[0], args[1], args[2], args[3], args[4], secret() as usize]) }
}

/// Any system call, with the caller's own arguments.
///
/// # Safety
/// What the call does with its arguments must be what the caller of a hook wants.
pub unsafe fn any(number: libc::c_long, args: [usize; 6]) -> isize {
    // SAFETY: as the caller promises.
    unsafe { raw::enter(number, args) }
}
