//! Seals the events of this process, where the policy asks for it: see `portcullis_event::seal`.
//!
//! The keys lie in a page that the kernel clears in every forked child (MADV_WIPEONFORK), so that no process ever has another one's. A
//! child that was made by a hooked `fork` is given the root of a chain of its own; one that was made by a bare system call has none, and
//! its events have no seal. A child that shares the memory (vfork) shares the chain.
//!
//! What a worker has of the keys seals what it is yet to do: whoever takes it over can change nothing that is sealed. Copies of used keys
//! are cleared from the stack as far as the compiler leaves them where they can be found.

use crate::memory::StringBuf;
use crate::process::state;
use crate::sys;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use portcullis_event::Line;
use portcullis_event::seal::{self, Chain, KEY_SIZE, Key, NAME_MAX, Seal};
use portcullis_policy::Policy;

/// The file beside the configuration that has the master key.
const KEY_FILE: &[u8] = b"seal.key";

type Name = StringBuf<{ NAME_MAX + 1 }>;

/// What lies in the page; zeros are a process that does not seal.
struct Keys {
    /// The thread that is at the rest; 0 for none.
    holder: AtomicU32,
    /// Not 0 once a thread has waited for the keys to no avail.
    given_up: AtomicU32,
    rest: UnsafeCell<Sealing>,
}

struct Sealing {
    is_begun: bool,
    tree: u64,
    name: Name,
    index: u64,
    lost: u64,
    forks: u64,
    events: Chain,
    children: Chain,
}

const PAGE: usize = sys::PAGE_MIN;
const _: () = assert!(size_of::<Keys>() <= PAGE);

static KEYS: AtomicPtr<Keys> = AtomicPtr::new(core::ptr::null_mut());

/// Calls `work` when no other thread is at the keys; gives what it gives, and nothing else of it stays.
fn with<R>(work: impl FnOnce(&mut Sealing) -> R) -> Option<R> {
    let keys = taken()?;
    // SAFETY: one thread at a time is here.
    let done = work(unsafe { &mut *keys.rest.get() });
    forget();
    give_back(keys);
    Some(done)
}

fn give_back(keys: &Keys) {
    keys.holder.store(0, Ordering::Release);
}

/// The keys, of which this thread is the holder now; `None` where it was that before: a signal handler has interrupted it, or what fork
/// calls. Without the keys there is no seal.
///
/// The wait for another thread is one for the fork of a large process, and bounded, since fork may call what waits for this thread. Such a
/// process would do that again: after one wait to no avail it waits for a moment only.
#[inline(never)]
fn taken() -> Option<&'static Keys> {
    const SPINS: u32 = 100;
    /// The pauses double up to ten milliseconds: a second together.
    const DOUBLED: u32 = 9;
    const TRIES: u32 = SPINS + DOUBLED + 100;
    const TRIES_AGAIN: u32 = SPINS + 8;
    const PAUSE: usize = 20_000;
    // SAFETY: null, or a zeroed page that stays for ever; zero bytes are valid.
    let keys = unsafe { KEYS.load(Ordering::Acquire).as_ref() }?;
    let own = sys::gettid();
    let take = |from| keys.holder.compare_exchange(from, own, Ordering::Acquire, Ordering::Relaxed);
    let tries = if keys.given_up.load(Ordering::Relaxed) == 0 { TRIES } else { TRIES_AGAIN };
    for turn in 0..tries {
        let holder = match take(0) {
            Ok(_) => return Some(keys),
            Err(holder) => holder,
        };
        if holder == own {
            return None;
        }
        if let Some(pauses) = turn.checked_sub(SPINS) {
            sys::sleep(PAUSE << pauses.min(DOUBLED));
            // A vforked child may have ended in between.
            if !sys::exists(holder) && take(holder).is_ok() {
                return Some(keys);
            }
        }
    }
    keys.given_up.store(1, Ordering::Relaxed);
    None
}

/// Begins a tree of chains, where the policy asks for it and this process has none; false where there is no key for it. For a process
/// that may read the key.
#[cold]
#[inline(never)]
pub fn begin(policy: &Policy<'_>) -> bool {
    if !policy.is_sealed() || with(|sealing| sealing.is_begun) == Some(true) {
        return true;
    }
    if KEYS.load(Ordering::Acquire).is_null() {
        let Some(page) = sys::allocate_wiped(PAGE) else { return false };
        KEYS.store(page.cast(), Ordering::Release);
    }
    let is_begun = with(|sealing| begin_tree(sealing).is_some());
    is_begun == Some(true)
}

#[inline(never)]
fn begin_tree(sealing: &mut Sealing) -> Option<()> {
    let tree = sys::fresh_number();
    let root = seal::tree(master()?, tree);
    sealing.begin(tree, b"0", root);
    Some(())
}

impl Sealing {
    #[inline(never)]
    fn begin(&mut self, tree: u64, name: &[u8], root: Key) {
        let [events, children] = seal::chains(root);
        self.tree = tree;
        self.name.set(name);
        (self.index, self.lost, self.forks) = (0, 0, 0);
        self.events.begin(events);
        self.children.begin(children);
        self.is_begun = self.name.fits();
    }

    /// Puts what the next child begins with into `child`; the key is erased here.
    #[inline(never)]
    fn fork(&mut self, child: &mut Child) {
        if !self.is_begun {
            return;
        }
        child.root = self.children.next();
        child.is_given = self.children.advance();
        self.forks = self.forks.wrapping_add(1);
        child.tree = self.tree;
        child.name.push(self.name.bytes());
        child.name.push(b"/");
        child.name.number(self.forks);
    }

    #[inline(never)]
    fn seal(&mut self, line: &mut Line) {
        if !self.is_begun {
            return;
        }
        let key = self.events.next();
        self.is_begun = self.events.advance();
        self.index = self.index.wrapping_add(1);
        seal::seal(line, key, &Seal { tree: self.tree, chain: self.name.bytes(), index: self.index, lost: self.lost });
    }
}

/// The master key; `None` where the file is not there, or others than its owner may read or replace it.
fn master() -> Option<Key> {
    let config = state::settled().config_path.bytes();
    let end = config.iter().rposition(|&byte| byte == b'/')?;
    let mut path = StringBuf::<512>::new();
    path.push(config.get(..=end)?);
    path.push(KEY_FILE);
    if !path.fits() {
        return None;
    }
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
    let file = sys::open(libc::AT_FDCWD, path.c_str(), flags, 0).ok()?;
    let stat = sys::fstat(file.0)?;
    let is_private = stat.mode & (libc::S_IFMT | 0o077) == libc::S_IFREG;
    if !is_private || stat.uid != 0 {
        return None;
    }
    let mut key = [0; KEY_SIZE];
    let is_read = sys::read(file.0, &mut key).len() == KEY_SIZE;
    let master = seal::master(core::mem::take(&mut key));
    core::hint::black_box(&mut key);
    is_read.then_some(master)
}

/// What a child that is about to be forked begins with. It stays where it is: of each copy, the root would have to be cleared.
pub struct Child {
    is_given: bool,
    tree: u64,
    name: Name,
    root: Key,
}

impl Child {
    /// None as yet.
    pub fn none() -> Child {
        Child { is_given: false, tree: 0, name: Name::new(), root: [0; 2] }
    }

    /// Before a fork, where this process seals. Until [`Child::after_fork`] no other thread is at the keys, so that no child has on some
    /// stack what is another one's.
    #[inline]
    pub fn before_fork(&mut self) {
        if !KEYS.load(Ordering::Relaxed).is_null() {
            self.fill();
        }
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self) {
        let Some(keys) = taken() else { return };
        // SAFETY: one thread at a time is here.
        unsafe { &mut *keys.rest.get() }.fork(self);
        forget();
        if !self.is_given {
            give_back(keys);
        }
    }

    /// After a fork; `is_child` says in which of the two.
    #[inline]
    pub fn after_fork(&mut self, is_child: bool) {
        if self.is_given {
            self.take(is_child);
        }
    }

    #[cold]
    #[inline(never)]
    fn take(&mut self, is_child: bool) {
        // The child's page is clear, and nobody is at it.
        if is_child {
            let _ = with(|sealing| sealing.begin(self.tree, self.name.bytes(), self.root));
        }
        self.root = [0; 2];
        core::hint::black_box(&mut *self);
        // SAFETY: null, or a zeroed page that stays for ever.
        if let Some(keys) = unsafe { KEYS.load(Ordering::Acquire).as_ref() }.filter(|_| !is_child) {
            give_back(keys);
        }
    }
}

/// Seals an encoded event, where the policy asks for it and this process has a chain.
#[inline]
pub fn seal(policy: &Policy<'_>, line: &mut Line) {
    if policy.is_sealed() {
        sealed(line);
    }
}

#[cold]
#[inline(never)]
fn sealed(line: &mut Line) {
    let _ = with(|sealing| sealing.seal(line));
}

/// No sink took an event of this process.
pub fn lost(policy: &Policy<'_>) {
    if policy.is_sealed() {
        let _ = with(|sealing| sealing.lost = sealing.lost.wrapping_add(1));
    }
}

/// Clears what the functions that the caller has called have left on the stack.
#[cold]
#[inline(never)]
fn forget() {
    core::hint::black_box(&mut [0_u64; 256]);
}
