//! The file actions of musl's posix_spawn (src/process/fdop.h), in glibc's form, for [`super::file_actions`].
//!
//! musl has a list: its head is the last action, and each has its path behind it. They are done from the end of the list on.

use super::file_actions::{Action, CHDIR, CLOSE, DUP2, FCHDIR, OPEN};
use crate::real::objects;
use crate::sys::{self, Plain, Reader};
use core::ffi::{c_int, c_void};

/// The beginning of `posix_spawn_file_actions_t` (spawn.h).
#[repr(C)]
#[derive(Clone, Copy)]
struct Actions {
    _unused: [c_int; 2],
    last: *const FdOp,
}

/// `struct fdop`; its path follows.
#[repr(C)]
#[derive(Clone, Copy)]
struct FdOp {
    next: *const FdOp,
    before: *const FdOp,
    command: c_int,
    fd: c_int,
    source: c_int,
    flags: c_int,
    mode: c_int,
}

// SAFETY: numbers and pointers.
unsafe impl Plain for Actions {}
// SAFETY: numbers and pointers.
unsafe impl Plain for FdOp {}

/// Where the path is behind the beginning of an action.
const PATH: usize = core::mem::offset_of!(FdOp, mode) + size_of::<c_int>();

impl FdOp {
    /// The action at `at` as glibc has it; `None` for one that is not known.
    fn translated(&self, at: *const FdOp) -> Option<Action> {
        let path = (at as usize).wrapping_add(PATH);
        let pair = |first: c_int, second: c_int| first as u32 as usize | (second as u32 as usize) << 32;
        let (tag, words) = match self.command {
            1 => (CLOSE, [pair(self.fd, 0), 0, 0]),
            2 => (DUP2, [pair(self.source, self.fd), 0, 0]),
            3 => (OPEN, [pair(self.fd, 0), path, self.flags as u32 as usize]),
            4 => (CHDIR, [path, 0, 0]),
            5 => (FCHDIR, [pair(self.fd, 0), 0, 0]),
            _ => return None,
        };
        Some(Action { tag, words })
    }
}

/// A mapping of glibc's actions.
pub struct Translated {
    at: *mut c_void,
    size: usize,
    /// How many.
    pub count: usize,
}

impl Drop for Translated {
    fn drop(&mut self) {
        sys::munmap(self.at, self.size);
    }
}

impl Translated {
    /// Those of musl; `None` where they cannot be read, or the libc is yet another.
    #[cold]
    #[inline(never)]
    pub fn of(reader: &Reader, actions: *const c_void) -> Option<Translated> {
        if !objects::is_musl() {
            return None;
        }
        let actions: Actions = reader.value(actions.cast())?;
        let (mut count, mut at) = (0_usize, actions.last);
        while !at.is_null() {
            at = reader.value(at)?.next;
            count = count.wrapping_add(1);
        }
        let size = count.wrapping_add(1).checked_mul(size_of::<Action>())?;
        let translated = Translated { at: sys::allocate(size)?, size, count };
        let mut at = actions.last;
        for index in (0..count).rev() {
            let op = reader.value(at)?;
            let action = op.translated(at)?;
            // SAFETY: the mapping has room for `count` of them, is nobody else's, and is aligned.
            unsafe { translated.actions().cast_mut().wrapping_add(index).write(action) };
            at = op.next;
        }
        Some(translated)
    }

    /// The first.
    pub fn actions(&self) -> *const Action {
        self.at.cast_const().cast()
    }
}
