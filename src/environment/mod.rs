//! The environment of a new program: the caller's, with the guard and its context put in. Never edited in place.

mod loader;
mod start;
mod swap;

pub use loader::{foreign_loader, remember_loader};
pub use start::start;
pub use swap::{ROOM_SIZE, in_room, set_room, swapped};

use crate::backstop;
use crate::context;
use crate::judge::Guarding;
use crate::memory::{Reader, Text};
use crate::request::Served;
use crate::state;
use crate::sys;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, Ordering};
use portcullis_request::environment::{KEY, LOADER, OWN, REQUEST, libraries};

/// A vector of C strings that ends in NULL.
pub type Vector = *const *const u8;
/// An entry of a vector that is being written.
type Entry = MaybeUninit<*const u8>;

/// Entries that the stack has room for; more go into a mapping.
const ON_STACK: usize = 384;
const PRELOAD: &[u8] = LOADER[0];
/// LD_PRELOAD, the context, the request, the backstop's key and the closing NULL.
const ADDED: usize = 5;

/// Whether an entry of an environment is one of the guard's own variables.
///
/// # Safety
/// `entry` must be a C string.
unsafe fn is_own(entry: *const u8) -> bool {
    // SAFETY: as the caller promises. They begin with the same letter, and most entries with another.
    unsafe { entry.read() == b'P' && OWN.iter().any(|name| begins(entry, name)) }
}

/// Whether a C string begins with `start`.
///
/// # Safety
/// `text` must be a C string.
unsafe fn begins(text: *const u8, start: &[u8]) -> bool {
    // SAFETY: no byte behind the first difference is read, so none behind the NUL.
    start.iter().enumerate().all(|(at, byte)| unsafe { text.wrapping_add(at).read() } == *byte)
}

/// The program that an environment is for.
#[derive(Clone, Copy)]
pub struct New<'n> {
    /// Its name.
    pub name: &'n [u8],
    /// Its loader can load this library.
    pub preload: bool,
    /// The guard will be in it, so it gets the backstop's key.
    pub guarded: bool,
}

impl<'n> New<'n> {
    /// A program named `name` that is guarded so far.
    pub fn of(name: &'n [u8], guarding: Guarding) -> New<'n> {
        let guarded = matches!(guarding, Guarding::Whole);
        New { name, preload: !matches!(guarding, Guarding::None), guarded }
    }
}

/// Calls `go` with the environment for a program: `envp` with LD_PRELOAD (the library first, the others
/// kept) and the context. Where `envp` cannot be read, `go` gets it as it is and the kernel says so.
#[inline(never)]
pub fn with<R>(envp: Vector, new: New<'_>, served: &Served, go: impl FnOnce(Vector) -> R) -> R {
    let mut plan = Plan::new();
    if !plan.make(envp, new, served) {
        return go(envp);
    }
    let needed = plan.count.wrapping_add(ADDED);
    if needed <= ON_STACK {
        let mut vector = [MaybeUninit::uninit(); ON_STACK];
        plan.fill(envp, &mut vector, plan.texts());
        return go(vector.as_ptr().cast());
    }
    // In a vfork child this mapping stays with the parent; only an environment of hundreds of entries comes here.
    let size = needed.wrapping_mul(8);
    let Some(at) = sys::allocate(size) else { return go(envp) };
    // SAFETY: the mapping is that long and nobody else's.
    let vector = unsafe { core::slice::from_raw_parts_mut(at.cast::<Entry>(), needed) };
    plan.fill(envp, vector, plan.texts());
    let result = go(at.cast());
    sys::munmap(at, size);
    result
}

/// Room for the variable of the request.
const REQUEST_MAX: usize = portcullis_request::wire::WIRE_MAX + 32;

/// What has to be put in.
struct Plan {
    preload: Text<2048>,
    context: Text<1024>,
    request: Text<REQUEST_MAX>,
    key: Text<48>,
    count: usize,
}

impl Plan {
    /// Nothing as yet.
    fn new() -> Plan {
        Plan { preload: Text::new(), context: Text::new(), request: Text::new(), key: Text::new(), count: 0 }
    }

    /// Makes it, in place; false where nothing is to be put in, or `envp` cannot be read.
    #[inline(never)]
    fn make(&mut self, envp: Vector, new: New<'_>, served: &Served) -> bool {
        let library = state::settled().library.bytes();
        let preloads = new.preload && !library.is_empty() && library_is_there();
        // Without the guard in it, what a program's request is concerns the backstop alone.
        if !preloads && sys::secret() == 0 {
            return false;
        }
        if preloads {
            self.preload.push(PRELOAD);
            self.preload.push(library);
        }
        let Some(had) = self.read(envp, preloads, library) else { return false };
        context::compose(&mut self.context, new.name, preloads && !had, served);
        context::compose_request(&mut self.request, served);
        let secret = sys::secret();
        if new.guarded && preloads && secret != 0 {
            self.key.push(KEY);
            self.key.number(secret);
        } else if secret != 0 {
            backstop::announce(self.request.bytes().strip_prefix(REQUEST).unwrap_or_default(), new.name, served);
        }
        true
    }

    /// Counts the entries of an environment, and takes over what else it wants to be preloaded: whether it wants anything.
    fn read(&mut self, envp: Vector, preloads: bool, library: &[u8]) -> Option<bool> {
        // One for each: the vector and the strings lie on different pages.
        let (mut vector, mut strings) = (Reader::default(), Reader::default());
        let mut had = false;
        while !envp.is_null() {
            let entry = vector.pointer(envp, self.count)?;
            if entry.is_null() {
                break;
            }
            // Most entries differ in the first byte, and are not read any further.
            let first = strings.byte(entry)?;
            if preloads && first == b'L' && strings.string(entry, PRELOAD.len())? == PRELOAD {
                let value = strings.string(entry.wrapping_add(PRELOAD.len()), 1536)?;
                for other in libraries(value) {
                    had = true;
                    if other != library {
                        self.preload.push(b":");
                        self.preload.push(other);
                    }
                }
            }
            self.count = self.count.wrapping_add(1);
        }
        Some(had)
    }

    /// What is to be put in: LD_PRELOAD, the context, the request, the key; empty where it is not.
    fn texts(&self) -> [&[u8]; 4] {
        [self.preload.bytes(), self.context.bytes(), self.request.bytes(), self.key.bytes()]
    }

    /// Fills a vector of at least `count + ADDED` entries, which are to point at `texts` or copies of them.
    fn fill(&self, envp: Vector, vector: &mut [Entry], texts: [&[u8]; 4]) {
        let [preload, others @ ..] = texts;
        // Without this library to put in, what the caller says to the loader stays as it is.
        let preloads = !preload.is_empty();
        let mut preload_done = !preloads;
        let mut to = vector.iter_mut();
        let mut put = |entry: *const u8| {
            if let Some(to) = to.next() {
                to.write(entry);
            }
        };
        for index in 0..self.count {
            // SAFETY: `Plan::read` has read this entry and the string behind it.
            let (entry, own, is_preload) = unsafe {
                let entry = *envp.wrapping_add(index);
                (entry, is_own(entry), preloads && begins(entry, PRELOAD))
            };
            if own || (is_preload && preload_done) {
                continue;
            }
            preload_done |= is_preload;
            put(if is_preload { preload.as_ptr() } else { entry });
        }
        if !preload_done {
            put(preload.as_ptr());
        }
        others.into_iter().filter(|text| !text.is_empty()).for_each(|text| put(text.as_ptr()));
        put(core::ptr::null());
    }
}

/// Whether the new program's loader will find the library: in a chroot it may not, and would say so on standard error.
fn library_is_there() -> bool {
    let library = &state::settled().library;
    !library.bytes().starts_with(b"/") || library.bytes().contains(&b'$') || sys::stat(library.c_str()).is_some()
}

unsafe extern "C" {
    static mut environ: *mut *const u8;
}

/// libc's `environ`.
pub fn of_process() -> &'static AtomicPtr<*const u8> {
    // SAFETY: it is a pointer that lives as long as the process. libc writes it without synchronisation too, always
    // as one aligned word.
    unsafe { AtomicPtr::from_ptr(&raw mut environ) }
}

/// libc's `environ` as it is now.
pub fn current() -> Vector {
    of_process().load(Ordering::Acquire).cast_const().cast()
}

/// The value of a variable in `environ`, at most 4095 bytes; for the search along PATH.
pub fn variable(name: &[u8]) -> Option<&'static [u8]> {
    let vector = of_process().load(Ordering::Acquire).cast_const();
    if vector.is_null() {
        return None;
    }
    let (mut entries, mut strings) = (Reader::default(), Reader::default());
    for index in 0.. {
        let entry = entries.pointer(vector, index)?;
        if entry.is_null() {
            break;
        }
        // Most entries differ in the first byte, and are not read any further.
        if strings.byte(entry)? == *name.first()?
            && let Some(b"=") = strings.string(entry, 4096)?.strip_prefix(name).and_then(|rest| rest.get(..1))
        {
            return strings.string(entry.wrapping_add(name.len()).wrapping_add(1), 4096);
        }
    }
    None
}

/// Takes out of `environ` what the guard put in, before the program looks at it. The strings stay where they are, but for
/// the key, which is nobody else's business.
pub fn scrub(injected: bool) {
    let vector = of_process().load(Ordering::Acquire);
    if vector.is_null() {
        return;
    }
    let (mut from, mut to) = (0_usize, 0_usize);
    loop {
        // SAFETY: in the constructor `environ` is the vector that the kernel laid down, which ends in NULL.
        let entry = unsafe { *vector.wrapping_add(from) };
        if !entry.is_null() {
            // SAFETY: as above; the entries are C strings.
            if unsafe { begins(entry, KEY) } {
                let mut at = entry.cast_mut().wrapping_add(KEY.len());
                // SAFETY: the kernel laid the string on this process's stack, and it ends in NUL.
                unsafe {
                    while at.read() != 0 {
                        at.write(b'0');
                        at = at.wrapping_add(1);
                    }
                }
            }
            // SAFETY: as above.
            if unsafe { is_own(entry) || (injected && begins(entry, PRELOAD)) } {
                from = from.wrapping_add(1);
                continue;
            }
        }
        if from != to {
            // SAFETY: `to` is behind `from` in the same vector.
            unsafe { *vector.wrapping_add(to) = entry };
        }
        if entry.is_null() {
            return;
        }
        from = from.wrapping_add(1);
        to = to.wrapping_add(1);
    }
}
