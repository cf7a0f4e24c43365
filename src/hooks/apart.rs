//! A call on the very socket that was judged.
//!
//! A verdict may hang on what the socket is, and another thread, or a signal handler, may put another socket in the descriptor's
//! place between the look and the call. So where a rule refuses, the socket is judged once more and the call made where nobody can:
//! with the signals blocked and, where there are other threads, in a thread with a copy of the descriptors. It is the same
//! socket, so what the call does to it stays.
//!
//! A verdict that hangs on the destination alone needs none of this: it holds for every socket.
//!
//! **Limits**: a process that shares the descriptors (CLONE_FILES) without being a thread; a signal handler, where a stream is
//! connected to no address in particular by a process without threads. With threads, what is behind the guard (another preload)
//! does not see such a call. A thread that leaves the call by siglongjmp, from a signal handler, leaves the child to the end of its
//! call.

use crate::action::{Actor, Decision};
use crate::policy::in_force;
use crate::real::gate::Way;
use crate::{hooks, request, sys};
use portcullis_policy::{Mode, Rule};

/// How often the socket may be another than the one that was judged; then it is one that cannot be judged.
const ROUNDS: u32 = 4;

/// Whether one of these rules refuses, so that a call whose verdict hangs on the socket is to be made so.
#[cold]
#[inline(never)]
pub fn is_needed(rules: &[Rule]) -> bool {
    let policy = in_force::policy();
    let refuses = |scope| rules.iter().any(|rule| policy.mode(scope, *rule) == Mode::Enforce);
    refuses(request::scope().unwrap_or_else(|| request::current(|served| served.scope)))
}

/// The result of a call that was made in a child.
#[derive(Clone, Copy)]
enum CallResult {
    /// It is another socket than was judged, which is refused.
    Other,
    /// The kernel's result.
    Done(isize),
    /// It was made, and undone because of what it did to the socket.
    Undone,
}

/// A call to be made so.
pub struct Call<'c> {
    pub way: Way,
    /// Whether it may wait for long, as a stream's connect does.
    pub waits: bool,
    /// Judges the socket.
    pub judge: &'c dyn Fn(Actor<'_>) -> Decision,
    /// Makes the call; negative errno on failure. `None` where it was undone.
    pub make: &'c dyn Fn(Way) -> Option<isize>,
    /// Judges a socket that cannot be examined, and a call that was undone.
    pub unexamined: &'c dyn Fn() -> Decision,
}

impl Call<'_> {
    /// Judges and makes it: negative errno on failure.
    #[cold]
    #[inline(never)]
    pub fn run(&self) -> Decision<isize> {
        let is_alone = sys::is_alone();
        for _ in 0..ROUNDS {
            let made = if is_alone { Some(self.alone()) } else { self.apart() };
            match made {
                None => break,
                Some(CallResult::Done(done)) => return Ok(done),
                // With an event, where it still is the other one.
                Some(CallResult::Other) => (self.judge)(Actor::This)?,
                Some(CallResult::Undone) => (self.unexamined)()?,
            }
        }
        (self.unexamined)()?;
        // The policy lets go what it cannot judge.
        Ok((self.make)(self.way).unwrap_or(-(libc::EACCES as isize)))
    }

    fn work(&self, way: Way) -> CallResult {
        match (self.judge)(Actor::Again).map(|()| (self.make)(way)) {
            Err(_) => CallResult::Other,
            Ok(None) => CallResult::Undone,
            Ok(Some(done)) => CallResult::Done(done),
        }
    }

    fn alone(&self) -> CallResult {
        if self.waits {
            return self.work(self.way);
        }
        let before = sys::block_signals(libc::SIG_BLOCK, u64::MAX);
        let made = self.work(self.way);
        sys::block_signals(libc::SIG_SETMASK, before);
        made
    }

    fn apart(&self) -> Option<CallResult> {
        // SAFETY: judging once more writes no event and, as the calls do, nothing but what all threads may write at any time, and
        // errno: a signal handler that comes meanwhile keeps its own, and this thread has none before the end.
        unsafe { sys::apart(self.waits, CallResult::Done(-(libc::EINTR as isize)), || self.work(Way::Kernel)) }
    }
}

/// The result of a function of libc's kind, as the kernel gives it.
pub fn as_kernel(done: isize) -> isize {
    if done < 0 { (hooks::errno() as isize).wrapping_neg() } else { done }
}
