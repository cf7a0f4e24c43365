//! Makes the environment of a new program: on the stack for exec, in a mapping of its own for a new process.
//!
//! **Invariants**: the environment is passed to the call that starts the program. `environ` is never changed, so threads
//! cannot get each other's. An environment that cannot be made is [`Unknown::Environment`], and the policy decides.

use super::plan::{Entry, Plan};
use super::{New, room};
use crate::child::handed::SinkLoan;
use crate::process::left::{self, FROM};
use crate::request::ServedRequest;
use crate::sys;
use crate::sys::Reader;
use crate::sys::Vector;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use portcullis_policy::Unknown;

/// Entries that the stack has room for; more go into a mapping.
const ON_STACK: usize = 384;

/// Calls `go` with the environment for the program that replaces this one: `envp` with what loads the library, and
/// the context.
#[inline(never)]
pub fn with<R>(envp: Vector, new: New<'_>, served: &ServedRequest, go: impl FnOnce(Vector) -> R) -> Result<R, Unknown> {
    let lent = SinkLoan::to_next(&new);
    placed(envp, New { handed: lent.told(), ..new }, served, go)
}

fn placed<R>(envp: Vector, new: New<'_>, served: &ServedRequest, go: impl FnOnce(Vector) -> R) -> Result<R, Unknown> {
    let strings = Reader::default();
    let mut plan = Plan::new();
    if !plan.make(&strings, envp, new, served)? {
        return Ok(go(envp));
    }
    if plan.entries() <= ON_STACK && plan.has_all() {
        let mut vector = [MaybeUninit::uninit(); ON_STACK];
        plan.fill(envp, &mut vector, plan.texts());
        return Ok(go(vector.as_ptr().cast()));
    }
    let mapping = left::Mapping::new(size_of_made(&plan)?).ok_or(Unknown::Environment)?;
    let at = mapping.at().wrapping_add(FROM);
    // SAFETY: a new mapping of that size.
    unsafe { lay(&plan, envp, at)? };
    Ok(go(at.cast_const().cast()))
}

/// Calls `go` with the environment for a program in a new process. Where the backstop is on, it lies in the room, by which
/// the kernel's filter knows a program that was judged.
pub fn for_new_process<R>(
    envp: Vector,
    new: New<'_>,
    served: &ServedRequest,
    go: impl FnOnce(Vector) -> R,
) -> Result<R, Unknown> {
    let lent = SinkLoan::to_child(&new);
    let new = New { handed: lent.told(), ..new };
    // A program without the guard passes by the supervisor, which puts it on record.
    if !new.is_guarded() {
        return placed(envp, new, served, go);
    }
    Ok(match made(envp, new, served)? {
        Some(made) => go(made.vector()),
        None => go(envp),
    })
}

/// Its own function: the plan leaves the stack before the program is started.
#[inline(never)]
fn made(envp: Vector, new: New<'_>, served: &ServedRequest) -> Result<Option<MappedEnvironment>, Unknown> {
    let strings = Reader::default();
    let mut plan = Plan::new();
    if !plan.make(&strings, envp, new, served)? {
        return Ok(None);
    }
    MappedEnvironment::of(&plan, envp, room::place).map(Some)
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

/// An environment that lies in a mapping of its own.
struct MappedEnvironment(Place);

impl MappedEnvironment {
    fn of(
        plan: &Plan<'_>,
        envp: Vector,
        place: impl FnOnce(usize) -> Option<Place>,
    ) -> Result<MappedEnvironment, Unknown> {
        let place = place(size_of_made(plan)?).ok_or(Unknown::Environment)?;
        // SAFETY: the mapping has that size behind `from`, a multiple of eight; nobody else has it.
        unsafe { lay(plan, envp, place.at.cast::<u8>().wrapping_add(place.from))? };
        Ok(MappedEnvironment(place))
    }

    fn vector(&self) -> Vector {
        self.0.at.cast_const().cast::<u8>().wrapping_add(self.0.from).cast()
    }
}

/// The size of the vector and the texts behind it.
fn size_of_made(plan: &Plan<'_>) -> Result<usize, Unknown> {
    let vector = plan.entries().checked_mul(size_of::<Entry>()).ok_or(Unknown::Environment)?;
    Ok(vector.wrapping_add(plan.size()))
}

/// Lays the vector and the texts down.
///
/// # Safety
/// There must be [`size_of_made`] zeros at `at`, aligned as a pointer, which nobody else has.
unsafe fn lay(plan: &Plan<'_>, envp: Vector, at: *mut u8) -> Result<(), Unknown> {
    let entries = plan.entries();
    // SAFETY: as the caller promises.
    let (vector, texts) = unsafe {
        let texts = at.wrapping_add(entries.wrapping_mul(size_of::<Entry>()));
        (
            core::slice::from_raw_parts_mut(at.cast::<Entry>(), entries),
            core::slice::from_raw_parts_mut(texts, plan.size()),
        )
    };
    let texts = plan.copy(texts)?;
    plan.fill(envp, vector, texts);
    Ok(())
}
