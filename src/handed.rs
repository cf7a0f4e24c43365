//! Hands a program what it cannot reach by path: the policy in force, and the sinks that this process holds.
//!
//! A program may begin in another root folder or in other mounts than its server: a pool's chroot, a sandbox. There, neither the
//! compiled policy nor the log nor journald's socket is at its path, or somebody else's file is. From there, and from where the path
//! of the policy does not lead to what this process is judged by, a program that it starts gets the policy as a sealed file in memory,
//! which its constructor maps and closes, and duplicates of the sinks, which it keeps. Elsewhere it gets no descriptor at all.
//!
//! **Limits**: where no descriptor is free, or the program is spawned with an action that closes it, nothing is handed down, and what
//! [`crate::load::in_descendant`] says of a lost policy holds.

use crate::environment::New;
use crate::state::{self, Mapped};
use crate::sys::{self, Fd};
use crate::{load, sink};
use core::ffi::CStr;
use portcullis_policy::Policy;
use portcullis_request::context::{HANDED, Tree};

/// The name of a policy in memory, as /proc/PID/maps shows it.
pub const NAME: &CStr = c"portcullis-policy";

/// What one program is lent, until it runs or has failed to.
pub struct Lent {
    policy: Option<Fd>,
    sinks: [Option<Fd>; sink::KINDS],
}

impl Lent {
    const NOTHING: Lent = Lent { policy: None, sinks: [const { None }; sink::KINDS] };

    /// What a program has to be lent.
    pub fn to(new: &New<'_>) -> Lent {
        match state::policy_bytes() {
            Some(bytes) if new.is_guarded() && !state::is_lost() && !load::has_path() => {
                Lent { policy: copied(bytes), sinks: sink::lend() }
            }
            _ => Lent::NOTHING,
        }
    }

    /// Their numbers and one; 0 for none.
    pub fn numbers(&self) -> [u64; HANDED] {
        let mut numbers = [0; HANDED];
        for (number, fd) in numbers.iter_mut().zip(core::iter::once(&self.policy).chain(&self.sinks)) {
            *number = fd.as_ref().map_or(0, |fd| u64::from(fd.0.cast_unsigned()).wrapping_add(1));
        }
        numbers
    }
}

/// The descriptor of a number that was handed down.
fn descriptor(number: u64) -> Option<i32> {
    i32::try_from(number).ok().and_then(|number| number.checked_sub(1)).filter(|fd| *fd >= 0)
}

/// A copy that survives exec, and that nobody can write to.
#[cold]
#[inline(never)]
fn copied(bytes: &[u8]) -> Option<Fd> {
    let low = sys::memory_file(NAME)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = sys::write(low.0, rest, b"").ok().filter(|len| *len > 0)?;
        rest = rest.get(written..)?;
    }
    sys::seal(low.0).then_some(())?;
    let high = Fd(sys::duplicate_highest(low.0).ok()?);
    sys::keep_over_exec(high.0);
    Some(high)
}

/// For the constructor: maps the policy that this program was handed, and closes its descriptor. `None` where it was handed none, or
/// another than its tree's.
pub fn take_policy(tree: &Tree<'_>, numbers: [u64; HANDED]) -> Option<Mapped> {
    let file = Fd(descriptor(numbers.into_iter().next()?)?);
    if !sys::is_sealed(file.0) {
        // Not the guard's to close.
        core::mem::forget(file);
        return None;
    }
    let len = sys::fstat(file.0)?.size as usize;
    // SAFETY: the seals keep everybody from writing to the file and from cutting it.
    let mapped = unsafe { Mapped::of(&file, len) }?;
    let is_tree_s = Policy::unsummed(mapped.bytes()).is_ok_and(|policy| policy.digest() == tree.digest);
    is_tree_s.then_some(mapped)
}

/// For the constructor: keeps the sinks that this program was handed.
pub fn take_sinks(numbers: [u64; HANDED]) {
    let [_, sinks @ ..] = numbers;
    sink::keep(sinks.map(descriptor));
}
