//! Makes the environment of a new program: on the stack for exec, in a mapping of its own for a new process.
//!
//! **Invariants**: the environment is passed to the call that starts the program. `environ` is never changed, so threads
//! cannot get each other's. An environment that cannot be made is [`Unknown::Environment`], and the policy decides.

use super::plan::{Entry, Plan};
use super::{New, Vector, room};
use crate::request::Served;
use crate::sys;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use portcullis_policy::Unknown;

/// Entries that the stack has room for; more go into a mapping.
const ON_STACK: usize = 384;

/// Calls `go` with the environment for the program that replaces this one: `envp` with LD_PRELOAD (the library first, the
/// others kept) and the context.
#[inline(never)]
pub fn with<R>(envp: Vector, new: New<'_>, served: &Served, go: impl FnOnce(Vector) -> R) -> Result<R, Unknown> {
    let mut plan = Plan::new();
    if !plan.make(envp, new, served)? {
        return Ok(go(envp));
    }
    if plan.entries() <= ON_STACK && plan.has_all() {
        let mut vector = [MaybeUninit::uninit(); ON_STACK];
        plan.fill(envp, &mut vector, plan.texts());
        return Ok(go(vector.as_ptr().cast()));
    }
    // In a vfork child this mapping stays with the parent; only an environment of hundreds of entries comes here.
    let made = Made::of(&plan, envp, |size| sys::allocate(size).map(|at| Place { at, size, from: 0 }))?;
    Ok(go(made.vector()))
}

/// Calls `go` with the environment for a program in a new process. Where the backstop is on, it lies in the room, by which
/// the kernel's filter knows a program that was judged.
pub fn for_new_process<R>(
    envp: Vector,
    new: New<'_>,
    served: &Served,
    go: impl FnOnce(Vector) -> R,
) -> Result<R, Unknown> {
    // A program without the guard passes by the supervisor, which puts it on record.
    if !new.guarded {
        return with(envp, new, served, go);
    }
    Ok(match made(envp, new, served)? {
        Some(made) => go(made.vector()),
        None => go(envp),
    })
}

/// Its own function: the plan leaves the stack before the program is started.
#[inline(never)]
fn made(envp: Vector, new: New<'_>, served: &Served) -> Result<Option<Made>, Unknown> {
    let mut plan = Plan::new();
    if !plan.make(envp, new, served)? {
        return Ok(None);
    }
    Made::of(&plan, envp, room::place).map(Some)
}

/// A mapping, and the offset in it that may be used.
pub struct Place {
    pub at: *mut c_void,
    pub size: usize,
    pub from: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        sys::munmap(self.at, self.size);
    }
}

/// An environment in a mapping of its own.
struct Made(Place);

impl Made {
    fn of(plan: &Plan, envp: Vector, place: impl FnOnce(usize) -> Option<Place>) -> Result<Made, Unknown> {
        let entries = plan.entries();
        let vector = entries.checked_mul(size_of::<Entry>()).ok_or(Unknown::Environment)?;
        let place = place(vector.wrapping_add(plan.size())).ok_or(Unknown::Environment)?;
        let at = place.at.cast::<u8>().wrapping_add(place.from);
        // SAFETY: the mapping has room for the vector and the texts behind `from`, a multiple of eight; nobody else has it.
        let (vector, texts) = unsafe {
            let texts = at.wrapping_add(vector);
            (
                core::slice::from_raw_parts_mut(at.cast::<Entry>(), entries),
                core::slice::from_raw_parts_mut(texts, plan.size()),
            )
        };
        let texts = plan.copy(envp, texts)?;
        plan.fill(envp, vector, texts);
        Ok(Made(place))
    }

    fn vector(&self) -> Vector {
        self.0.at.cast_const().cast::<u8>().wrapping_add(self.0.from).cast()
    }
}
