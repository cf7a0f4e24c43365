//! Finding the functions behind the hooks, when the library is loaded.

use super::table::{NAMES, REAL, REAL_DLSYM, REAL_SYSCALL, REALS};
use crate::objects::{self, Found, gnu_hash};
use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

/// glibc's versions of dlsym: 2.34 moved it into libc.so.6.
const DLSYM_VERSION: &CStr = c"GLIBC_2.34";

unsafe extern "C" {
    fn gnu_get_libc_version() -> *const c_char;
    fn dlvsym(handle: *mut c_void, name: *const c_char, version: *const c_char) -> *mut c_void;
}

/// dlsym.
pub(super) type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;

/// The version 2.N of glibc that brought pidfd_spawn and pidfd_spawnp.
const PIDFD_SPAWN: u32 = 39;

/// N of this glibc's version 2.N.
fn libc_minor() -> u32 {
    // SAFETY: libc's own C string, which is there for ever.
    let version = unsafe { CStr::from_ptr(gnu_get_libc_version()) }.to_bytes();
    let digits = version.iter().skip(2).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0'))))
}

/// The hashes of the names of rows that have a real function.
static HASHES: [u32; REALS] = {
    let mut hashes = [0; REALS];
    let mut at = 0;
    while at < REALS {
        hashes[at] = gnu_hash(NAMES[at]);
        at += 1;
    }
    hashes
};

/// Calls `each` with every function that is looked for: its name, the hash of that, and where its address goes.
fn each_wanted(each: &mut dyn FnMut(&'static CStr, u32, &AtomicPtr<c_void>)) {
    for ((slot, name), hash) in REAL.iter().zip(NAMES).zip(&HASHES) {
        each(name, *hash, slot);
    }
    each(c"dlsym", const { gnu_hash(c"dlsym") }, &REAL_DLSYM);
    each(c"syscall", const { gnu_hash(c"syscall") }, &REAL_SYSCALL);
}

/// Finds the real functions, those that come behind this library; for the constructor. dlsym would find the same, at a
/// price for every program that is started: it is asked only for what cannot be read from the loader's tables.
pub fn resolve() {
    let (mut behind, mut readable) = (false, true);
    objects::walk(&mut |object, _| {
        if !behind {
            behind = object.contains(resolve as *const () as usize);
            return true;
        }
        let Some(tables) = object.tables() else { return true };
        each_wanted(&mut |name, hash, slot| {
            if readable && slot.load(Ordering::Relaxed).is_null() {
                // SAFETY: the object's own tables.
                match unsafe { tables.function(object.base, name, hash) } {
                    Found::Function(address) => slot.store(address as *mut c_void, Ordering::Release),
                    Found::Nothing => {}
                    Found::AskLoader => readable = false,
                }
            }
        });
        readable
    });
    ask_loader();
}

/// Asks the loader for what was not found.
fn ask_loader() {
    // Asking for what is not there would allocate the words of an error.
    let lacks = |name: &CStr| name.to_bytes().starts_with(b"pidfd_spawn") && libc_minor() < PIDFD_SPAWN;
    each_wanted(&mut |name, _, slot| {
        if !slot.load(Ordering::Relaxed).is_null() || lacks(name) {
            return;
        }
        // SAFETY: the names are C strings; RTLD_NEXT is what comes behind this library. By its version, since `dlsym`
        // itself is one of the hooks.
        let dlsym = unsafe { dlvsym(libc::RTLD_NEXT, c"dlsym".as_ptr(), DLSYM_VERSION.as_ptr()) };
        // SAFETY: this is dlsym, or there is none.
        let dlsym = unsafe { core::mem::transmute::<*mut c_void, Option<Dlsym>>(dlsym) };
        if let Some(dlsym) = dlsym {
            // SAFETY: as above.
            slot.store(unsafe { dlsym(libc::RTLD_NEXT, name.as_ptr()) }, Ordering::Release);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_from_the_loaders_tables_is_what_the_loader_says() {
        resolve();
        let mut compared = 0;
        each_wanted(&mut |name, _, slot| {
            // SAFETY: the name is a C string.
            let said = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
            assert_eq!(slot.load(Ordering::Relaxed), said, "{name:?}");
            compared += usize::from(!said.is_null());
        });
        assert!(compared > 40, "{compared}");
        // Without the tables the loader is asked, and says the same.
        REAL[0].store(core::ptr::null_mut(), Ordering::Relaxed);
        ask_loader();
        // SAFETY: as above.
        assert_eq!(REAL[0].load(Ordering::Relaxed), unsafe { libc::dlsym(libc::RTLD_NEXT, NAMES[0].as_ptr()) });
    }
}
