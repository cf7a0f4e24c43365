//! Environments for programs that libc starts inside of itself. popen and system hand on `environ`: the guard puts the
//! environment for the shell there for the time of the call. Where the backstop is on, these environments lie in a room
//! of their own, whose place is a secret: by it the kernel's filter knows the programs that were judged.

use super::{ADDED, Entry, New, Plan, REQUEST_MAX, of_process};
use crate::backstop;
use crate::memory::Text;
use crate::request::Served;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// Copies of a plan's texts.
struct Texts {
    preload: Text<2048>,
    context: Text<1024>,
    request: Text<REQUEST_MAX>,
    key: Text<48>,
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
                preload: Text::zeroed(),
                context: Text::zeroed(),
                request: Text::zeroed(),
                key: Text::zeroed(),
            }),
        }
    }
}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static SLOTS: [Slot; 4] = [const { Slot::new() }; 4];
static ROOM: AtomicPtr<Slot> = AtomicPtr::new(core::ptr::null_mut());
/// Slots in the room.
const ROOM_SLOTS: usize = 8;
/// The size of the room, in bytes: whole pages.
pub const ROOM_SIZE: usize = 1 << 17;
const _: () = assert!(size_of::<Slot>() * ROOM_SLOTS <= ROOM_SIZE);

fn room() -> &'static [Slot] {
    let at = ROOM.load(Ordering::Acquire);
    if at.is_null() {
        return &[];
    }
    // SAFETY: a zeroed mapping of that size, which stays for ever; zero bytes are free slots.
    unsafe { core::slice::from_raw_parts(at, ROOM_SLOTS) }
}

/// Maps the room at an address; false where something is there already.
pub fn set_room(address: usize) -> bool {
    let Some(at) = crate::sys::allocate_at(address, ROOM_SIZE) else { return false };
    ROOM.store(at.cast(), Ordering::Release);
    true
}

/// The slots that are to be used: in the room, where there is one.
fn slots() -> &'static [Slot] {
    let room = room();
    if room.is_empty() { &SLOTS } else { room }
}

impl Slot {
    /// Its vector, to be written.
    ///
    /// # Safety
    /// The caller must have set `taken`, and have no other reference to it.
    #[expect(clippy::mut_from_ref, reason = "the cell is the taker's alone")]
    unsafe fn entries(&self) -> &mut [Entry] {
        // SAFETY: as the caller promises.
        unsafe { core::slice::from_raw_parts_mut(self.vector.get().cast(), SLOT_ENTRIES) }
    }
}

/// The slot whose vector this is.
fn slot_of(vector: *mut *const u8) -> Option<&'static Slot> {
    SLOTS.iter().chain(room()).find(|slot| slot.vector.get().cast::<*const u8>() == vector)
}

/// As [`super::with`], with the vector in the room where there is one and it has a place free.
#[inline(never)]
pub fn in_room<R>(envp: super::Vector, new: New<'_>, served: &Served, go: impl FnOnce(super::Vector) -> R) -> R {
    // A program without the guard passes by the supervisor, which puts it on record.
    if !new.guarded {
        return super::with(envp, new, served, go);
    }
    let free = |slot: &&Slot| !slot.taken.swap(true, Ordering::AcqRel);
    let without_room = |go| backstop::expecting(|| super::with(envp, new, served, go));
    let Some(slot) = room().iter().find(free) else { return without_room(go) };
    let mut plan = Plan::new();
    if !plan.make(envp, new, served) || plan.count.wrapping_add(ADDED) > SLOT_ENTRIES {
        slot.taken.store(false, Ordering::Release);
        return without_room(go);
    }
    // SAFETY: this thread has taken the slot.
    plan.fill(envp, unsafe { slot.entries() }, plan.texts());
    let result = go(slot.vector.get().cast::<*const u8>().cast_const());
    slot.taken.store(false, Ordering::Release);
    result
}

/// Calls `go` while `environ` is the environment for a program.
///
/// glibc's popen and system hand `environ` to the shell. The vector lives in a static slot, so that no thread can be
/// left with a dangling one, and the original is put back unless somebody has replaced ours meanwhile. Two threads in
/// here at once put back each other's vector while that is in use.
#[inline(never)]
pub fn swapped<R>(new: New<'_>, served: &Served, go: impl FnOnce() -> R) -> R {
    let current = of_process();
    let now = current.load(Ordering::Acquire);
    let original = slot_of(now).map_or(now, |slot| slot.original.load(Ordering::Acquire));
    let mut plan = Plan::new();
    if !plan.make(original.cast_const(), new, served) || plan.count.wrapping_add(ADDED) > SLOT_ENTRIES {
        return backstop::expecting(go);
    }
    let free = |slot: &&Slot| {
        !core::ptr::eq(slot.vector.get().cast::<*const u8>(), now) && !slot.taken.swap(true, Ordering::AcqRel)
    };
    let Some(slot) = slots().iter().find(free) else { return backstop::expecting(go) };
    // SAFETY: this thread has taken the slot.
    let mine = unsafe {
        let texts = &mut *slot.texts.get();
        texts.preload.set(plan.preload.bytes());
        texts.context.set(plan.context.bytes());
        texts.request.set(plan.request.bytes());
        texts.key.set(plan.key.bytes());
        let copies = [texts.preload.bytes(), texts.context.bytes(), texts.request.bytes(), texts.key.bytes()];
        plan.fill(original.cast_const(), slot.entries(), copies);
        slot.vector.get().cast::<*const u8>()
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
