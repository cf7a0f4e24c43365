//! The policy in force.

use crate::policy::verdict_cache;
use crate::sys::arch::{PAGE_MAX, PageAligned};
use crate::sys::{self, Stat};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use portcullis_policy::overlay::Overlay;
use portcullis_policy::{Policy, format::Header};

static DEFAULT_POLICY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.policy"));

/// Room for the longest path of a log that is handed down, its NUL included.
pub const LOG_MAX: usize = 256;
/// The built-in policy, that path, and up to the end of the page.
const STRICT_LEN: usize = (DEFAULT_POLICY.len() + LOG_MAX).next_multiple_of(PAGE_MAX);

/// The built-in policy as strict as the tree's, in pages of its own, which nobody writes to once it is in force.
struct Strict(PageAligned<UnsafeCell<[u8; STRICT_LEN]>>);

// SAFETY: written in the constructor only, before anybody has a reference to it; see `set_lost`.
unsafe impl Sync for Strict {}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static STRICT: Strict = Strict(PageAligned(UnsafeCell::new([0; STRICT_LEN])));
/// The policy of the tree cannot be used.
static LOST: AtomicBool = AtomicBool::new(false);

/// The policy of the tree cannot be used: from now on the built-in lists hold, with what `overlay` says of the other policy,
/// whose file's marks are handed on. For the constructor.
pub fn set_lost(overlay: Overlay<'_>, marks: [u64; 3]) {
    LOST.store(true, Ordering::Relaxed);
    // SAFETY: the constructor calls this, once, before other threads exist and before the policy is in force.
    let strict = unsafe { &mut *STRICT.0.0.get() };
    if !overlay.lay(DEFAULT_POLICY, strict) {
        // Not with a path as short as what is handed down.
        let _ = Overlay { log: b"", ..overlay }.lay(DEFAULT_POLICY, strict);
    }
    let at = STRICT.0.0.get().cast::<u8>();
    // It holds as well where the kernel has no room for one mapping more.
    // SAFETY: whole pages of this library's own data, in which nothing else lies, and to which nobody writes any more.
    let _ = unsafe { sys::mprotect(at as usize, STRICT_LEN, libc::PROT_READ) };
    POLICY.store(at, Ordering::Release);
    verdict_cache::forget();
    for (to, from) in POLICY_FILE.iter().zip(marks) {
        to.store(from, Ordering::Relaxed);
    }
}

/// Whether the policy of the tree cannot be used.
pub fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

pub(crate) static POLICY: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());

/// The length of a mapped policy, from its own header; `None` for null.
fn mapped_len(at: *const u8) -> Option<usize> {
    if at.is_null() {
        return None;
    }
    // SAFETY: `set_policy` took a mapping that begins with an accepted header.
    Policy::length(unsafe { core::slice::from_raw_parts(at, size_of::<Header>()) })
}

/// The policy in force.
pub fn policy() -> Policy<'static> {
    Policy::accepted(policy_bytes().unwrap_or(DEFAULT_POLICY))
}

/// Its bytes, where it is not the built-in one.
pub fn policy_bytes() -> Option<&'static [u8]> {
    let at = POLICY.load(Ordering::Acquire);
    // SAFETY: `set_policy` took a mapping of the length that its header says, which stays mapped while it is in force, and longer
    // than any decision: see there.
    mapped_len(at).map(|len| unsafe { core::slice::from_raw_parts(at, len) })
}

/// The built-in policy is in force from now on.
pub fn no_policy() {
    POLICY.store(core::ptr::null_mut(), Ordering::Release);
    verdict_cache::forget();
}

/// Device, inode and time of the last change of the file that the policy in force was mapped from; zeros for the built-in one.
static POLICY_FILE: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// The policy before the one in force.
static EARLIER: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());

/// A policy's file in memory, which is unmapped unless it is put in force.
pub struct Mapped {
    at: *const u8,
    len: usize,
}

impl Mapped {
    /// The first `len` bytes of a file; `None` where it cannot be mapped.
    ///
    /// # Safety
    /// Nobody may write to the file or cut it.
    pub unsafe fn of(file: &sys::Fd, len: usize) -> Option<Mapped> {
        sys::mmap(Some(file.0), len).map(|at| Mapped { at: at.cast_const().cast(), len })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a mapping of that length, of a file that does not change, as [`Mapped::of`] was promised.
        unsafe { core::slice::from_raw_parts(self.at, self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        sys::munmap(self.at.cast_mut().cast(), self.len);
    }
}

/// Puts a mapped policy in force, whose header says how long it is. The one before it stays mapped for whoever is reading it. The
/// one before that, which was replaced at least a second ago, is unmapped where this thread is the only one: in another, a decision
/// may go on with it for ever. Only a master comes here more than once.
pub fn set_policy(mapped: Mapped, file: &Stat) {
    put_in_force(mapped, file_marks(file));
}

/// The same, of a policy that was handed down, whose own file has these marks.
pub fn put_in_force(mapped: Mapped, marks: [u64; 3]) {
    let earlier = EARLIER.swap(POLICY.load(Ordering::Relaxed), Ordering::Relaxed);
    POLICY.store(mapped.at.cast_mut(), Ordering::Release);
    core::mem::forget(mapped);
    verdict_cache::forget();
    for (to, from) in POLICY_FILE.iter().zip(marks) {
        to.store(from, Ordering::Relaxed);
    }
    LOST.store(false, Ordering::Relaxed);
    // The built-in one as a lost process has it is no mapping.
    let is_mapping = !core::ptr::eq(earlier, STRICT.0.0.get().cast());
    if let Some(len) = mapped_len(earlier).filter(|_| is_mapping && sys::is_alone()) {
        sys::munmap(earlier.cast(), len);
    }
}

/// What tells a policy's file from every other: no mount, no namespace and no owner gives these to another one.
pub fn file_marks(file: &Stat) -> [u64; 3] {
    [file.identity.0, file.identity.1, file.ctime.cast_unsigned()]
}

/// Those of the policy in force; zeros for the built-in one.
pub fn policy_marks() -> [u64; 3] {
    if is_built_in() {
        return [0; 3];
    }
    [0, 1, 2].map(|at: usize| POLICY_FILE.get(at).map_or(0, |mark| mark.load(Ordering::Relaxed)))
}

/// Whether the file at the policy's path is another one than the policy in force was mapped from.
pub fn policy_file_changed(file: Option<Stat>) -> bool {
    file.is_some_and(|file| {
        POLICY_FILE.iter().zip(file_marks(&file)).any(|(own, now)| own.load(Ordering::Relaxed) != now)
    })
}

/// Whether the policy in force is the built-in one.
pub fn is_built_in() -> bool {
    POLICY.load(Ordering::Acquire).is_null()
}
