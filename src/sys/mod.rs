//! System calls without libc: they touch neither errno nor the guard's own hooks. Results are the kernel's: negative
//! errno on failure.

mod files;
mod memory;
mod process;
mod raw;
mod sockets;

pub use files::*;
pub use memory::*;
pub use process::*;
pub use sockets::*;

/// A descriptor that is closed when it goes out of scope.
pub struct Fd(pub i32);

impl Drop for Fd {
    fn drop(&mut self) {
        close(self.0);
    }
}

fn result(value: isize) -> Result<usize, i32> {
    usize::try_from(value).map_err(|_| value.wrapping_neg() as i32)
}
