//! Mappings that outlive the program that made them: a vfork child executes another program, and what it mapped stays with its
//! parent, whose memory it was.
//!
//! **How they are given back**: the kernel clears a word when a thread leaves its memory for a new program or for good
//! (set_tid_address(2)). Each mapping has such a word; whoever makes the next one gives back those whose word is clear. Only a
//! thread that nobody else wants to be told of is asked for: a vfork child. Of any other, the memory ends with its program.
//!
//! **Concurrency**: a list that is taken as a whole and put back mapping by mapping, without a lock. A child that is killed between
//! the two loses what it took.

use crate::process::stack;
use crate::sys;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The beginning of a mapping.
#[repr(C)]
struct Header {
    /// Cleared when it may be given back.
    used: AtomicU32,
    /// [`mark`]s it as one.
    mark: usize,
    size: usize,
    next: AtomicPtr<Header>,
    /// Another of the same child.
    also: AtomicPtr<Header>,
}

/// What goes before what a mapping is for.
pub const FROM: usize = size_of::<Header>();

/// Those that a vfork child made.
static LEFT: AtomicPtr<Header> = AtomicPtr::new(null_mut());

/// Who gives a mapping back.
enum Owner {
    /// Who made it.
    Maker,
    /// Whoever comes when its word is clear.
    Next,
    /// Who gives this other one back.
    With(*mut Header),
}

/// A zeroed mapping; its usable part begins at [`FROM`].
pub struct Mapping {
    header: *mut Header,
    owner: Owner,
}

impl Mapping {
    /// One of `size` bytes; `None` where there is no memory.
    pub fn new(size: usize) -> Option<Mapping> {
        let size = size.checked_add(FROM)?;
        give_back(LEFT.swap(null_mut(), Ordering::AcqRel), None);
        Mapping::of(sys::allocate(size)?.cast(), size)
    }

    /// The same, or one of that size that nobody uses any more, as that was left. What is new, `prepare` makes what it is to be.
    pub fn again(size: usize, prepare: impl FnOnce(*mut u8) -> bool) -> Option<Mapping> {
        let size = size.checked_add(FROM)?;
        let left = give_back(LEFT.swap(null_mut(), Ordering::AcqRel), Some(size));
        let Some(header) = left else {
            let new = sys::allocate(size)?;
            if !prepare(new.cast()) {
                sys::munmap(new, size);
                return None;
            }
            return Mapping::of(new.cast(), size);
        };
        Mapping::of(header, size)
    }

    fn of(header: *mut Header, size: usize) -> Option<Mapping> {
        let owner = match sys::tid_address() {
            Some(0) => Owner::Next,
            Some(at) if is_header(at) => Owner::With(at as *mut Header),
            _ => Owner::Maker,
        };
        // SAFETY: a mapping of nobody else's, that has room for it.
        unsafe {
            (*header).size = size;
            (*header).mark = mark(header);
            match owner {
                Owner::Maker => {}
                Owner::Next => {
                    (*header).used.store(1, Ordering::Relaxed);
                    put_back(header);
                    sys::set_tid_address(header as usize);
                }
                Owner::With(first) => {
                    (*header).also.store((*first).also.load(Ordering::Relaxed), Ordering::Relaxed);
                    (*first).also.store(header, Ordering::Release);
                }
            }
        }
        Some(Mapping { header, owner })
    }

    /// The mapping.
    pub fn at(&self) -> *mut u8 {
        self.header.cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is there: its word is not clear yet, or nobody else knows of it.
        unsafe {
            match self.owner {
                Owner::Maker => unmap(self.header),
                Owner::Next => {
                    sys::set_tid_address(0);
                    (*self.header).used.store(0, Ordering::Release);
                }
                // The last that was put there is the first to go.
                Owner::With(first) => {
                    (*first).also.store((*self.header).also.load(Ordering::Relaxed), Ordering::Release);
                    unmap(self.header);
                }
            }
        }
    }
}

/// Gives back all that is not used where the program has a limit of memory, which what it does next may need.
pub fn spare() {
    if !LEFT.load(Ordering::Relaxed).is_null() && sys::is_memory_limited() {
        give_back(LEFT.swap(null_mut(), Ordering::AcqRel), None);
    }
}

/// What no other memory has at its place.
fn mark(header: *mut Header) -> usize {
    (header as usize).rotate_left(32) ^ (&raw const LEFT) as usize
}

/// Whether the address that the kernel clears for this thread is that of a mapping.
fn is_header(at: usize) -> bool {
    let header = at as *mut Header;
    // SAFETY: the page can be read: the program may have named any.
    at.is_multiple_of(4096) && sys::readable(at) && unsafe { (&raw const (*header).mark).read() } == mark(header)
}

/// Gives back what is not used any more, but for one of the size that is `wanted`.
fn give_back(mut header: *mut Header, wanted: Option<usize>) -> Option<*mut Header> {
    let mut found = None;
    while !header.is_null() {
        // SAFETY: it was in the list, which this thread has taken: nobody else gives it back.
        unsafe {
            let next = (*header).next.load(Ordering::Relaxed);
            if (*header).used.load(Ordering::Acquire) == 0 {
                let mut also = (*header).also.load(Ordering::Acquire);
                while !also.is_null() {
                    let after = (*also).also.load(Ordering::Acquire);
                    unmap(also);
                    also = after;
                }
                if found.is_none() && wanted == Some((*header).size) {
                    (*header).also.store(null_mut(), Ordering::Relaxed);
                    found = Some(header);
                } else {
                    unmap(header);
                }
            } else {
                put_back(header);
            }
            header = next;
        }
    }
    found
}

/// Puts a mapping into the list.
///
/// # Safety
/// It must be there, and not be in the list.
unsafe fn put_back(header: *mut Header) {
    let mut first = LEFT.load(Ordering::Relaxed);
    loop {
        // SAFETY: as the caller promises.
        unsafe { (*header).next.store(first, Ordering::Relaxed) };
        match LEFT.compare_exchange_weak(first, header, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => first = now,
        }
    }
}

/// # Safety
/// It must be there, and nobody may use it any more.
unsafe fn unmap(header: *mut Header) {
    stack::forget(header as usize);
    // SAFETY: as the caller promises.
    sys::munmap(header.cast::<c_void>(), unsafe { (*header).size });
}
