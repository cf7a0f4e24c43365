//! The filter of the policy with the numbers that this process chose, given to the kernel.

use crate::sys;
use portcullis_policy::Policy;
use portcullis_policy::format::{Instruction, placeholder, room};

/// Instructions of the longest filter.
const MAX: usize = 320;
const RETURN: u16 = 0x06;
const USER_NOTIF: u32 = 0x7fc0_0000;
/// With the errno in its lower half.
const ERRNO: u32 = 0x0005_0000;

/// A filter.
pub struct Filter {
    program: [Instruction; MAX],
    len: usize,
}

fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

impl Filter {
    /// The policy's filter for a secret and a room; `None` where it has none that fits.
    pub fn new(policy: &Policy<'_>, secret: u64, address: usize) -> Option<Filter> {
        let nothing = Instruction { code: 0.into(), jt: 0, jf: 0, k: 0.into() };
        let mut filter = Filter { program: [nothing; MAX], len: 0 };
        let source = policy.filter();
        let numbers = [(placeholder::SECRET, halves(secret)), (placeholder::ROOM, halves(address as u64 & room::MASK))];
        for (to, from) in filter.program.iter_mut().zip(source) {
            *to = *from;
            for (placeholders, values) in &numbers {
                for (placeholder, value) in placeholders.iter().zip(values) {
                    if from.k.get() == *placeholder {
                        to.k = (*value).into();
                    }
                }
            }
        }
        filter.len = source.len();
        (filter.len > 0 && filter.len <= MAX).then_some(filter)
    }

    fn program(&self) -> &[Instruction] {
        self.program.get(..self.len).unwrap_or_default()
    }

    /// Loads it so that the kernel logs.
    pub fn log(&self, no_new_privs: bool) -> Result<(), i32> {
        allowed(no_new_privs, || sys::seccomp(self.program(), sys::TSYNC)).map(|_| ())
    }

    /// Loads it so that the kernel refuses.
    pub fn refuse(&self, no_new_privs: bool) -> Result<(), i32> {
        let refusing = self.with(ERRNO | libc::EACCES as u32);
        allowed(no_new_privs, || sys::seccomp(refusing.program(), sys::TSYNC)).map(|_| ())
    }

    /// The same with another action.
    fn with(&self, action: u32) -> Filter {
        let mut other = Filter { program: self.program, len: self.len };
        for instruction in &mut other.program {
            if instruction.code.get() == RETURN && instruction.k.get() == placeholder::ACTION {
                instruction.k = action.into();
            }
        }
        other
    }

    /// Loads it so that a supervisor is asked; the descriptor on which that is done.
    pub fn supervise(&self, no_new_privs: bool) -> Result<sys::Fd, i32> {
        let mut asking = self.with(USER_NOTIF);
        for instruction in &mut asking.program {
            if instruction.code.get() == RETURN && instruction.k.get() == placeholder::NOTE {
                instruction.k = USER_NOTIF.into();
            }
        }
        let flags = sys::NEW_LISTENER | sys::TSYNC | sys::TSYNC_ESRCH;
        // Kernels before 5.19 do not know the last flag.
        let load = || match sys::seccomp(asking.program(), flags | sys::WAIT_KILLABLE_RECV) {
            Err(libc::EINVAL) => sys::seccomp(asking.program(), flags),
            other => other,
        };
        allowed(no_new_privs, load).map(|fd| sys::Fd(fd as i32))
    }
}

/// Loads, and where that needs it and is allowed to, gives up gaining privileges first.
fn allowed(no_new_privs: bool, load: impl Fn() -> Result<usize, i32>) -> Result<usize, i32> {
    match load() {
        Err(libc::EACCES) if no_new_privs && sys::set_no_new_privs() => load(),
        other => other,
    }
}
