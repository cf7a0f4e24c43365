//! Objects loaded with RTLD_DEEPBIND bind straight to libc, past this library (PHP loads its extensions so). After a
//! load, the slots of exactly the hooked functions are pointed at the hooks; everything else about the flag stays.
//!
//! **Concurrency**: the walk holds the lock of the loader's list, not the one under which the loader binds an object that is listed
//! already and makes its pages read-only. So an object counts as seen once its slots are bound, and a page of another thread's load
//! keeps its protection.

use crate::hooks::table;
use crate::policy::in_force;
use crate::real::objects::{self, Object, Symbol, Tables, is_libcs, walk};
use crate::report::emit;
use crate::sys;
use crate::sys::arch::{page, relocation};
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};

static ADDS: AtomicU64 = AtomicU64::new(0);
static SUBS: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

/// Takes note of an object that is loaded from the start, and so binds to this library anyway; `own_path` gets this
/// library's path.
pub fn remember_startup(object: &Object, index: usize, own_path: impl FnOnce(&[u8])) {
    if object.contains(__errno_location as *const () as usize) {
        objects::remember_libc(object);
    } else if object.contains(guard_new_objects as *const () as usize) {
        object.with_path(own_path);
    }
    remember(object, index);
}

/// What is not new any more: up to this object. Another thread may load others meanwhile, and the loader lists an object before it
/// has bound it.
fn remember(object: &Object, index: usize) {
    ADDS.store(object.adds, Ordering::Relaxed);
    SUBS.store(object.subs, Ordering::Relaxed);
    COUNT.store(index.wrapping_add(1), Ordering::Relaxed);
}

/// A slot could not be written: what it calls goes past this library.
static UNBOUND: AtomicBool = AtomicBool::new(false);
static UNBOUND_IS_SAID: AtomicBool = AtomicBool::new(false);

/// Writes the event, once in a process.
#[cold]
fn say_unbound() {
    if !UNBOUND_IS_SAID.swap(true, Ordering::Relaxed) {
        emit::guard_on(
            &in_force::policy(),
            "calls of a loaded object are not hooked: its pages cannot be written",
            None,
        );
    }
}

/// How what is new was loaded, as dlopen was told: by others than another preload, with the flag and without, and by one.
static LOADED: AtomicU8 = AtomicU8::new(0);
const DEEPBOUND: u8 = 1;
const PLAINLY: u8 = 2;
const BY_INTERPOSER: u8 = 4;

/// An object is about to be loaded.
pub fn loading(flags: c_int, by_interposer: bool) {
    guard_new_objects();
    let how = match (by_interposer, flags & libc::RTLD_DEEPBIND != 0) {
        (true, _) => BY_INTERPOSER,
        (false, true) => DEEPBOUND,
        (false, false) => PLAINLY,
    };
    LOADED.fetch_or(how, Ordering::Relaxed);
}

/// Guards the objects that were loaded since the last call.
pub fn guard_new_objects() {
    let (adds, subs) = (ADDS.load(Ordering::Relaxed), SUBS.load(Ordering::Relaxed));
    let seen = COUNT.load(Ordering::Relaxed);
    let (mut how, mut is_whole) = (None, true);
    walk(&mut |object, index| {
        if index == 0 && object.adds == adds && object.subs == subs {
            return false;
        }
        // New objects come last, unless some in between were unloaded.
        if object.subs != subs || index >= seen {
            is_whole &= object.guard(*how.get_or_insert_with(|| LOADED.swap(0, Ordering::Relaxed)));
        }
        if is_whole {
            remember(object, index);
        }
        true
    });
    if UNBOUND.load(Ordering::Relaxed) {
        say_unbound();
    }
    if !is_whole {
        // What another thread is loading is looked at again, as it was loaded.
        LOADED.fetch_or(how.unwrap_or(0), Ordering::Relaxed);
        ADDS.store(0, Ordering::Relaxed);
    }
}

impl Object {
    /// Points the object's slots of hooked functions at the hooks, where they point to libc or are not bound yet. False where the
    /// loader has not come to one of them so far: another thread is loading the object.
    fn guard(&self, how: u8) -> bool {
        // Another preload that a hook calls, and which loads a library past itself, would be called again by that.
        if how == BY_INTERPOSER {
            return true;
        }
        let mut is_loaded = true;
        let Some(tables) = self.tables() else { return true };
        for (at, size) in tables.relocations {
            for offset in (0..size).step_by(size_of::<Relocation>()) {
                let at = at.wrapping_add(offset);
                if !self.contains(at) || !self.contains(at.wrapping_add(size_of::<Relocation>() - 1)) {
                    break;
                }
                // SAFETY: inside the object, in the table that its dynamic section names.
                let relocation = unsafe { (at as *const Relocation).read_unaligned() };
                is_loaded &= self.guard_slot(&tables, &relocation, how);
            }
        }
        is_loaded
    }

    fn guard_slot(&self, tables: &Tables, relocation: &Relocation, how: u8) -> bool {
        let kind = relocation.info as u32;
        let known = [relocation::JUMP_SLOT, relocation::GLOBAL_DATA, relocation::ABSOLUTE].contains(&kind);
        if !known || relocation.addend != 0 {
            return true;
        }
        let symbol = (relocation.info >> 32) as usize;
        let at = tables.symbols.wrapping_add(symbol.wrapping_mul(size_of::<Symbol>()));
        if !self.contains(at) || !self.contains(at.wrapping_add(size_of::<Symbol>() - 1)) {
            return true;
        }
        // SAFETY: inside the object, in its symbol table.
        let symbol = unsafe { (at as *const Symbol).read_unaligned() };
        let name = tables.strings.wrapping_add(symbol.name as usize);
        if symbol.section != 0 || !self.contains(name) {
            return true;
        }
        // SAFETY: inside the object, in its string table, whose strings end in NUL.
        let Some(hook) = (unsafe { table::hook_for(name as *const u8) }) else { return true };
        let slot = self.base.wrapping_add(relocation.offset as usize);
        if !self.contains(slot) || !self.contains(slot.wrapping_add(7)) || !slot.is_multiple_of(8) {
            return true;
        }
        // SAFETY: an aligned word of the object that the loader itself writes; other threads read it as a whole.
        let place = unsafe { AtomicPtr::from_ptr(slot as *mut *mut c_void) };
        let now = place.load(Ordering::Relaxed) as usize;
        // As in the file: an offset, or 0.
        if self.base != 0 && now < self.last.wrapping_sub(self.base) {
            return false;
        }
        // What is not deepbound binds to this library by itself, or to another preload before it.
        let unbound = kind == relocation::JUMP_SLOT && self.contains(now) && how != PLAINLY;
        // What is deepbound goes past other preloads, and still does.
        if is_libcs(now) || (unbound && how & DEEPBOUND != 0) {
            self.write(slot, place, hook.straight);
        } else if now == hook.real as usize || unbound {
            self.write(slot, place, hook.hook);
        }
        true
    }

    fn write(&self, slot: usize, place: &AtomicPtr<c_void>, hook: *mut c_void) {
        let size = page();
        let page = slot & !(size - 1);
        if !(self.relro.0..self.relro.1).contains(&page) {
            place.store(hook, Ordering::Release);
            return;
        }
        // A loader in another thread may be writing to the page, and take its protection away or get it back in between.
        // SAFETY: an aligned word of the object that the loader itself writes; other threads read it as a whole.
        if !sys::is_alone() && unsafe { sys::write_own(slot, hook as usize) } {
            return;
        }
        // SAFETY: a data page of the object, which gets back the protection that the loader gave it.
        unsafe {
            if sys::mprotect(page, size, libc::PROT_READ | libc::PROT_WRITE) {
                place.store(hook, Ordering::Release);
                // A page that stays writable binds as well; the loader protects it no more than that.
                let _ = sys::mprotect(page, size, libc::PROT_READ);
                return;
            }
            UNBOUND.store(true, Ordering::Relaxed);
        }
    }
}

/// Elf64_Rela.
#[repr(C)]
struct Relocation {
    offset: u64,
    info: u64,
    addend: i64,
}
