//! popen and system hand `environ` to the shell that they start inside libc: the guard puts the environment for it there
//! for the time of the call.

use super::{ADDED, Plan, REQUEST_MAX, of_process};
use crate::memory::Text;
use crate::request::Served;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// Copies of a plan's texts.
struct Texts {
    preload: Text<2048>,
    context: Text<1024>,
    request: Text<REQUEST_MAX>,
}

/// A place for the environment of popen and system, which take it from `environ`.
struct Slot {
    taken: AtomicBool,
    original: AtomicPtr<*const u8>,
    vector: core::cell::UnsafeCell<[*const u8; SLOT_ENTRIES]>,
    texts: core::cell::UnsafeCell<Texts>,
}

// SAFETY: the cells are written only by whoever has set `taken`.
unsafe impl Sync for Slot {}

const SLOT_ENTRIES: usize = 1024;

impl Slot {
    const fn new() -> Slot {
        Slot {
            taken: AtomicBool::new(false),
            original: AtomicPtr::new(core::ptr::null_mut()),
            vector: core::cell::UnsafeCell::new([core::ptr::null(); SLOT_ENTRIES]),
            texts: core::cell::UnsafeCell::new(Texts {
                preload: Text::new(),
                context: Text::new(),
                request: Text::new(),
            }),
        }
    }
}

static SLOTS: [Slot; 4] = [const { Slot::new() }; 4];

/// The slot whose vector this is.
fn slot_of(vector: *mut *const u8) -> Option<&'static Slot> {
    SLOTS.iter().find(|slot| slot.vector.get().cast::<*const u8>() == vector)
}

/// Calls `go` while `environ` is the environment for a program named `name`.
///
/// glibc's popen and system hand `environ` to the shell. The vector lives in a static slot, so that no thread can be
/// left with a dangling one, and the original is put back unless somebody has replaced ours meanwhile. Two threads in
/// here at once put back each other's vector while that is in use.
pub fn swapped<R>(name: &[u8], served: &Served, go: impl FnOnce() -> R) -> R {
    let current = of_process();
    let now = current.load(Ordering::Acquire);
    let original = slot_of(now).map_or(now, |slot| slot.original.load(Ordering::Acquire));
    let Some(plan) = Plan::of(original.cast_const(), name, served) else { return go() };
    if plan.count.wrapping_add(ADDED) > SLOT_ENTRIES {
        return go();
    }
    let free = |slot: &&Slot| {
        !core::ptr::eq(slot.vector.get().cast::<*const u8>(), now) && !slot.taken.swap(true, Ordering::AcqRel)
    };
    let Some(slot) = SLOTS.iter().find(free) else { return go() };
    // SAFETY: this thread has taken the slot.
    let mine = unsafe {
        let texts = &mut *slot.texts.get();
        texts.preload.set(plan.preload.bytes());
        texts.context.set(plan.context.bytes());
        texts.request.set(plan.request.bytes());
        let vector = &mut *slot.vector.get();
        vector.fill(core::ptr::null());
        plan.fill(original.cast_const(), vector);
        let copies = [
            (plan.preload.bytes().as_ptr(), texts.preload.bytes().as_ptr()),
            (plan.context.bytes().as_ptr(), texts.context.bytes().as_ptr()),
            (plan.request.bytes().as_ptr(), texts.request.bytes().as_ptr()),
        ];
        for entry in vector.iter_mut() {
            if let Some(copy) = copies.iter().find(|copy| copy.0 == *entry) {
                *entry = copy.1;
            }
        }
        vector.as_mut_ptr()
    };
    slot.original.store(original, Ordering::Release);
    let swapped = current.compare_exchange(now, mine, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    let result = go();
    if swapped {
        let still_used = slot_of(now).is_some_and(|other| other.taken.load(Ordering::Acquire));
        let back = if still_used { now } else { original };
        let _ = current.compare_exchange(mine, back, Ordering::AcqRel, Ordering::Relaxed);
        // Whoever held the other slot may have let go of it in between.
        if still_used && !slot_of(now).is_some_and(|other| other.taken.load(Ordering::SeqCst)) {
            let _ = current.compare_exchange(now, original, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
    slot.taken.store(false, Ordering::SeqCst);
    let _ = current.compare_exchange(mine, original, Ordering::SeqCst, Ordering::Relaxed);
    result
}
