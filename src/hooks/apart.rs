//! A call on the very socket that was judged.
//!
//! A verdict may hang on what the socket is, and another thread may put another socket in the descriptor's place between the
//! look and the call. So where a rule refuses and there are other threads, the socket is judged once more, and the call made, in
//! a child process with the memory of this one and a copy of its descriptors: no thread changes what is in that. It is the same
//! socket, so what the call does to it stays.
//!
//! A verdict that hangs on the destination alone needs none of this: it holds for every socket.
//!
//! **Limits**: a child of the program's that shares its descriptors (CLONE_FILES) without being a thread. What is behind the
//! guard (another preload) does not see such a call. A thread that leaves the call by siglongjmp, from a signal handler, leaves
//! the child to the end of its call.

use crate::judge::{By, Decision};
use crate::{hooks, request, state, sys};
use portcullis_policy::{Mode, Rule};

/// How often the socket may be another than the one that was judged; then it is one that cannot be judged.
const ROUNDS: u32 = 4;

/// Whether a call that these rules are about is to be made so, where its verdict hangs on the socket.
#[cold]
#[inline(never)]
pub fn is_needed(rules: &[Rule]) -> bool {
    let policy = state::policy();
    let refuses = |scope| rules.iter().any(|rule| policy.mode(scope, *rule) == Mode::Enforce);
    let scope = request::scope().unwrap_or_else(|| request::current(|served| served.scope));
    refuses(scope) && !sys::is_alone()
}

/// What became of a call in the child.
#[derive(Clone, Copy)]
enum Made {
    /// It is another socket than was judged, which is refused.
    Other,
    /// The kernel's result.
    Done(isize),
    /// It was made, and undone because of what it did to the socket.
    Undone,
}

/// A call to be made so.
pub struct Call<'c> {
    /// Whether it may wait for long, as a stream's connect does. Then it makes system calls past libc.
    pub waits: bool,
    /// Judges the socket.
    pub judge: &'c dyn Fn(By<'_>) -> Decision,
    /// Makes the call; negative errno on failure. `None` where it was undone.
    pub make: &'c dyn Fn() -> Option<isize>,
    /// Judges a call that was undone.
    pub undone: &'c dyn Fn() -> Decision,
    /// Judges a socket that cannot be examined.
    pub unexamined: &'c dyn Fn() -> Decision,
}

impl Call<'_> {
    /// Judges and makes it: negative errno on failure.
    #[cold]
    #[inline(never)]
    pub fn run(&self) -> Decision<isize> {
        for _ in 0..ROUNDS {
            let work = || match (self.judge)(By::Again).map(|()| (self.make)()) {
                Err(_) => Made::Other,
                Ok(None) => Made::Undone,
                Ok(Some(done)) => Made::Done(done),
            };
            // SAFETY: judging once more writes no event and, as the calls do, nothing but what all threads may write at any
            // time. A call that does not wait may set errno, which nobody looks at meanwhile.
            match unsafe { sys::apart(self.waits, Made::Done(-(libc::EINTR as isize)), work) } {
                None => break,
                Some(Made::Done(done)) => return Ok(done),
                // With an event, where it still is the other one.
                Some(Made::Other) => (self.judge)(By::This)?,
                Some(Made::Undone) => (self.undone)()?,
            }
        }
        (self.unexamined)()?;
        // The policy lets go what it cannot judge.
        Ok((self.make)().unwrap_or(-(libc::EACCES as isize)))
    }
}

/// The result of a function of libc's kind, as the kernel gives it.
pub fn as_kernel(done: isize) -> isize {
    if done < 0 { (hooks::errno() as isize).wrapping_neg() } else { done }
}
