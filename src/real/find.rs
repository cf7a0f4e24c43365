//! Finding the functions behind the hooks: when the library is loaded, or, in what a server starts, when they are called.

use crate::real::objects::{self, Found, Object, Tables, gnu_hash};
use crate::real::table::{WANTED, keep, known, wanted};
use crate::sys;
use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

/// dlsym.
pub type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;

/// The version 2.N of glibc that brought pidfd_spawn and pidfd_spawnp.
const PIDFD_SPAWN: u32 = 39;

/// N of this glibc's version 2.N; 0 of another libc.
pub fn libc_minor() -> u32 {
    const NAME: &CStr = c"gnu_get_libc_version";
    const HASH: u32 = gnu_hash(NAME);
    let Some(at) = objects::libcs(NAME, HASH) else { return 0 };
    // SAFETY: libc's function of that name.
    let version = unsafe { core::mem::transmute::<usize, unsafe extern "C" fn() -> *const c_char>(at) };
    // SAFETY: libc's own C string, which is there for ever.
    let version = unsafe { CStr::from_ptr(version()) }.to_bytes();
    let digits = version.iter().skip(2).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0'))))
}

/// Whether this program's libc is glibc.
pub fn is_glibc() -> bool {
    libc_minor() != 0
}

/// The hashes of the names.
static HASHES: [u32; WANTED] = {
    let mut hashes = [0; WANTED];
    let mut at = 0;
    while at < WANTED {
        hashes[at] = gnu_hash(wanted(at));
        at += 1;
    }
    hashes
};

/// Finds the real functions, those that come behind this library; for the constructor. dlsym would find the same, at a
/// price for every program that is started: it is asked only for what cannot be read from the loader's tables.
pub fn resolve() {
    let (mut behind, mut readable) = (false, true);
    objects::walk(&mut |object, _| {
        if object.is_kernels() {
            clock(object);
            return true;
        }
        if !behind {
            behind = object.contains(resolve as *const () as usize);
            return true;
        }
        let Some(tables) = object.tables() else { return true };
        for (index, hash) in HASHES.iter().enumerate() {
            if readable && known(index).is_null() {
                // SAFETY: the object's own tables.
                match unsafe { tables.function(object.base, wanted(index), *hash) } {
                    Found::Function(address) => keep(index, address as *mut c_void),
                    Found::Nothing => {}
                    Found::AskLoader => readable = false,
                }
            }
        }
        readable
    });
    ask_loader();
}

/// Reads the clock by the kernel's object from now on.
fn clock(object: &Object) {
    if let Some(tables) = object.tables()
        // SAFETY: the object's own tables.
        && let Found::Function(address) = unsafe { tables.function(object.base, sys::CLOCK, gnu_hash(sys::CLOCK)) }
    {
        // SAFETY: the function of that name.
        unsafe { sys::set_clock(address) };
    }
}

/// Asks the loader for what was not found.
fn ask_loader() {
    // Asking for what is not there would allocate the words of an error.
    let lacks = |name: &CStr| name.to_bytes().starts_with(b"pidfd_spawn") && libc_minor() < PIDFD_SPAWN;
    for index in 0..WANTED {
        let name = wanted(index);
        if !known(index).is_null() || lacks(name) {
            continue;
        }
        // libc's own: this library's is a hook, and another's may ask this library.
        if let Some(dlsym) = objects::of_libc!(c"dlsym": fn(*mut c_void, *const c_char) -> *mut c_void) {
            // SAFETY: the names are C strings; RTLD_NEXT is what comes behind this library.
            let found = unsafe { dlsym(libc::RTLD_NEXT, name.as_ptr()) };
            if !found.is_null() {
                keep(index, found);
            }
        }
    }
}

/// Objects of the start that can be kept; a program with more has much to load, beside which [`resolve`] is little.
const NEAR_MAX: usize = 8;

/// The base address and the symbol tables of an object that was loaded after this library at the program's start. It is never unloaded.
struct SymbolTables {
    base: AtomicUsize,
    tables: [AtomicUsize; 4],
}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static NEAR: [SymbolTables; NEAR_MAX] =
    [const { SymbolTables { base: AtomicUsize::new(0), tables: [const { AtomicUsize::new(0) }; 4] } }; NEAR_MAX];
/// How many of them are kept, once they can be searched.
static NEARS: AtomicUsize = AtomicUsize::new(0);

/// The objects behind this library. Each real function is looked up at its first call, because most programs that a server
/// starts call few of them. For the constructor, which shows it every object in turn.
#[derive(Default)]
pub struct LazySymbols {
    begun: bool,
    count: usize,
    too_many: bool,
}

impl LazySymbols {
    /// The next object.
    pub fn see(&mut self, object: &Object) {
        if !self.begun {
            self.begun = object.contains(resolve as *const () as usize);
            return;
        }
        let Some(tables) = object.tables() else { return };
        match (NEAR.get(self.count), tables.hashed()) {
            (Some(near), Some(hashed)) => {
                near.base.store(object.base, Ordering::Relaxed);
                for (to, from) in near.tables.iter().zip(hashed) {
                    to.store(from, Ordering::Relaxed);
                }
                self.count = self.count.wrapping_add(1);
            }
            _ => self.too_many = true,
        }
    }

    /// From now on [`lazily_resolved`] finds functions; false where that cannot be, and [`resolve`] is to find them now.
    pub fn suffices(&self) -> bool {
        if !self.too_many {
            NEARS.store(self.count, Ordering::Release);
        }
        !self.too_many && self.count != 0
    }
}

/// Finds a real function at its first call. Two threads may do so at once, and find the same. What is chosen by code when
/// it is looked up (STT_GNU_IFUNC), which none of libc's are, is passed by: that is the loader's work, and it may not be
/// asked here.
pub fn lazily_resolved(index: usize) -> *mut c_void {
    let Some(&hash) = HASHES.get(index) else { return core::ptr::null_mut() };
    let count = NEARS.load(Ordering::Acquire);
    for near in NEAR.iter().take(count) {
        let tables = Tables::of_hashed(near.tables.each_ref().map(|word| word.load(Ordering::Relaxed)));
        // SAFETY: the tables of an object that the loader has loaded, and does not unload.
        if let Found::Function(at) = unsafe { tables.function(near.base.load(Ordering::Relaxed), wanted(index), hash) }
        {
            keep(index, at as *mut c_void);
            break;
        }
    }
    let at = known(index);
    if at.is_null() { anytime(index) } else { at }
}

/// libc's own function.
pub fn libcs(index: usize) -> *mut c_void {
    let Some(&hash) = HASHES.get(index) else { return core::ptr::null_mut() };
    objects::libcs(wanted(index), hash).unwrap_or(0) as *mut c_void
}

/// The same where the constructor has not come to the functions yet: it runs in another thread, or what it has called has
/// called a hook.
fn anytime(index: usize) -> *mut c_void {
    let Some(&hash) = HASHES.get(index) else { return core::ptr::null_mut() };
    for (base, tables) in objects::behind() {
        // SAFETY: the tables of an object that the loader has loaded, and does not unload.
        if let Found::Function(at) = unsafe { tables.function(base, wanted(index), hash) } {
            // Not kept: whose it is may not be known yet.
            return at as *mut c_void;
        }
    }
    core::ptr::null_mut()
}

/// Where the code that asks the loader for a function lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// In the program, or in another preload before this library.
    Before,
    /// In another preload behind this library: an object of the start before libc that has functions by the names of hooks.
    /// What it asks for is what it goes on with where a hook has called it.
    Interposer,
    /// Elsewhere.
    Other,
}

impl Caller {
    /// That of an address.
    pub fn at(address: usize) -> Caller {
        let (mut is_behind, mut caller) = (false, Caller::Other);
        objects::walk(&mut |object, _| {
            if object.contains(resolve as *const () as usize) {
                is_behind = true;
                return true;
            }
            let has = object.contains(address);
            if !is_behind {
                if has {
                    caller = Caller::Before;
                }
                return !has;
            }
            let Some(tables) = object.tables() else { return !has };
            let is_libc = tables.is_libc();
            if has && !is_libc && interposes(object.base, &tables) {
                caller = Caller::Interposer;
            }
            !has && !is_libc
        });
        caller
    }
}

/// Whether an object has a function by the name of a hook.
fn interposes(base: usize, tables: &Tables) -> bool {
    HASHES.iter().enumerate().take(crate::real::table::REALS).any(|(index, hash)| {
        // SAFETY: the object's own tables.
        let found = unsafe { tables.function(base, wanted(index), *hash) };
        found != Found::Nothing
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forget(index: usize) {
        use crate::real::table::{NEXT, REAL};
        REAL[index].store(core::ptr::null_mut(), Ordering::Relaxed);
        if let Some(slot) = NEXT.get(index) {
            slot.store(core::ptr::null_mut(), Ordering::Relaxed);
        }
    }

    fn said(index: usize) -> *mut c_void {
        // SAFETY: the name is a C string.
        unsafe { libc::dlsym(libc::RTLD_NEXT, wanted(index).as_ptr()) }
    }

    #[test]
    fn what_is_read_from_the_loaders_tables_is_what_the_loader_says() {
        let found = known;
        // At the first call.
        let mut behind = LazySymbols::default();
        objects::walk(&mut |object, _| {
            behind.see(object);
            true
        });
        assert!(behind.suffices());
        let compared = (0..WANTED).filter(|&index| {
            assert_eq!(lazily_resolved(index), said(index), "{:?}", wanted(index));
            !said(index).is_null()
        });
        assert!(compared.count() > 40);
        // At the start.
        (0..WANTED).for_each(forget);
        resolve();
        (0..WANTED).for_each(|index| assert_eq!(found(index), said(index), "{:?}", wanted(index)));
        // Without the tables the loader is asked, and says the same.
        forget(0);
        ask_loader();
        assert_eq!(found(0), said(0));
    }
}
