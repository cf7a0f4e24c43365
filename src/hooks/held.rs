//! The descriptor on which a call is both judged and made.
//!
//! A verdict may hang on what the socket is, and another thread may put another socket in the descriptor's place between the
//! look and the call. So where a rule refuses, both are done on a duplicate, whose number no other thread is told. It is the same
//! socket: what the call does to it, and what it says, is the same.
//!
//! **Limits**: one that guesses the number of the duplicate. A program that leaves the call by siglongjmp keeps the duplicate.

use crate::sys::{self, Fd};
use crate::{request, state};
use core::ffi::c_int;
use portcullis_policy::{Mode, Rule};

/// Duplicates have numbers from here on, where there are as many: the lowest free number is the program's to count on.
const FROM: c_int = 768;

/// A descriptor, and the duplicate of it that is closed afterwards.
pub struct Held {
    at: c_int,
    _own: Option<Fd>,
}

impl Held {
    /// For a call that these rules are about; `None` where the kernel gives no duplicate, so that nothing is known of the socket.
    pub fn of(fd: c_int, rules: &[Rule]) -> Option<Held> {
        let policy = state::policy();
        let refuses = |scope| rules.iter().any(|rule| policy.mode(scope, *rule) == Mode::Enforce);
        let scope = request::scope().unwrap_or_else(|| request::current(|served| served.scope));
        if !refuses(scope) {
            return Some(Held { at: fd, _own: None });
        }
        match sys::duplicate_high(fd, FROM).or_else(|_| sys::duplicate_high(fd, 0)) {
            Ok(own) => Some(Held { at: own, _own: Some(Fd(own)) }),
            // The kernel says so once more, whatever the number stands for by then.
            Err(libc::EBADF) => Some(Held { at: -1, _own: None }),
            // Nobody is there who could replace it.
            Err(_) if sys::is_alone() => Some(Held { at: fd, _own: None }),
            Err(_) => None,
        }
    }

    /// The same for another socket, which has taken the place of the one before.
    pub fn new(socket: Fd) -> Held {
        Held { at: socket.0, _own: Some(socket) }
    }

    /// As words, which a hook that is called often can carry at no cost; of them exactly one [`Self::again`] is to be made.
    pub fn words(self) -> (c_int, bool) {
        let words = (self.at, self._own.is_some());
        core::mem::forget(self);
        words
    }

    pub fn again((at, is_own): (c_int, bool)) -> Held {
        Held { at, _own: is_own.then(|| Fd(at)) }
    }

    /// The number for the call.
    pub fn at(&self) -> c_int {
        self.at
    }
}
