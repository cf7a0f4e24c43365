//! Has a program that libc starts in a new process keep what it is handed: it is closed on exec for every other program that a
//! thread of this process starts meanwhile, and an action of posix_spawn that duplicates a descriptor onto itself keeps it
//! (glibc from 2.29 on, sysdeps/unix/sysv/linux/spawni.c).

use super::file_actions::{Action, Actions, CLOSE, CLOSE_FROM, DUP2};
use crate::child::environment;
use crate::child::handed;
use crate::process::state;
use crate::sys;
use crate::sys::Reader;
use crate::sys::Vector;
use core::ffi::c_int;
use libc::posix_spawn_file_actions_t as Public;
use portcullis_request::context::HANDED;

/// Calls `go` with these actions, which may be null, and with what keeps what the program with this environment is handed.
pub fn with<R>(actions: *const Public, envp: Vector, go: impl FnOnce(*const Public) -> R) -> R {
    if !handed::is_for_children() || state::has_other_libc() {
        return go(actions);
    }
    let made = ActionsMapping::of(actions, envp);
    go(made.as_ref().map_or(actions, |made| made.at.cast()))
}

/// File actions in a mapping of their own.
struct ActionsMapping {
    at: *mut u8,
    size: usize,
}

impl Drop for ActionsMapping {
    fn drop(&mut self) {
        sys::munmap(self.at.cast(), self.size);
    }
}

impl ActionsMapping {
    #[cold]
    #[inline(never)]
    fn of(actions: *const Public, envp: Vector) -> Option<ActionsMapping> {
        let handed = environment::handed_in(envp)?;
        let reader = Reader::default();
        let theirs = match actions.is_null() {
            true => Actions { allocated: 0, used: 0, actions: core::ptr::null() },
            false => reader.value(actions.cast::<Actions>())?,
        };
        let used = usize::try_from(theirs.used).ok()?;
        let more = used.checked_add(HANDED)?.checked_mul(size_of::<Action>())?;
        let size = size_of::<Public>().checked_add(more)?;
        let at = sys::allocate(size)?.cast::<u8>();
        let made = ActionsMapping { at, size };
        let to = at.wrapping_add(size_of::<Public>()).cast::<Action>();
        let put = |index: usize, action: Action| {
            // SAFETY: the mapping has room for `used` and HANDED actions, is nobody else's, and may be unaligned for them.
            unsafe { to.wrapping_add(index).write_unaligned(action) };
        };
        let mut kept = handed.map(|[number, ..]| c_int::try_from(number).map_or(-1, |number| number.wrapping_sub(1)));
        for index in 0..used {
            let action: Action = reader.value(theirs.actions.wrapping_add(index))?;
            let (fd, _) = action.descriptors();
            for kept in &mut kept {
                // To duplicate what is closed would be an error.
                if (action.tag == CLOSE && fd == *kept) || (action.tag == CLOSE_FROM && fd <= *kept) {
                    *kept = -1;
                }
            }
            put(index, action);
        }
        let mut count = used;
        for fd in kept.into_iter().filter(|fd| *fd >= 0) {
            let both = fd as u32 as usize;
            put(count, Action { tag: DUP2, words: [both | both << 32, 0, 0] });
            count = count.wrapping_add(1);
        }
        let count = c_int::try_from(count).ok()?;
        // SAFETY: the mapping begins with room for the public type, which begins so.
        unsafe { at.cast::<Actions>().write_unaligned(Actions { allocated: count, used: count, actions: to }) };
        Some(made)
    }
}
