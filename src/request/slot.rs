//! Where a thread's request is kept. The first thread that serves has a static place; any other gets a mapping of its own
//! at its first request, which stays for the thread's life and longer: threads that serve are few and live long.

use super::settle_scope;
use crate::memory::{Paged, set_once};
use crate::process::stack;
use crate::process::state;
use crate::process::thread;
use crate::sys;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use portcullis_policy::STRICTEST_SCOPE;
use portcullis_request::fastcgi::Reader;
use portcullis_request::wire::WIRE_MAX;
use portcullis_request::{Field, Protocol, Request, State};

/// A request, and the virtual host that its policy comes from.
pub struct ServedRequest {
    /// The request.
    pub request: Request,
    /// The scope of the policy.
    pub scope: u32,
    /// The virtual host.
    pub vhost: Option<u32>,
    /// The web server itself starts the program that answers it, and has said so in that program's environment.
    pub by_server: bool,
    /// The request's number, once somebody has asked for it; else 0.
    id: AtomicU64,
    /// It was found anew, and is not published yet.
    fresh: bool,
}

impl ServedRequest {
    /// No request.
    pub const fn none() -> ServedRequest {
        ServedRequest {
            request: Request::none(),
            scope: 0,
            vhost: None,
            by_server: false,
            id: AtomicU64::new(0),
            fresh: false,
        }
    }

    /// The request's number, the same for all that is done for it; 0 where there is none or it could not be read. Most
    /// requests are over before anybody asks, so it is made then.
    pub fn id(&self) -> u64 {
        let id = self.id.load(Ordering::Relaxed);
        let is_one = match self.request.state {
            State::Known => true,
            // Some of it was read.
            State::Unknown => self.request.has_fields(),
            State::None | State::Lost => false,
        };
        if id != 0 || !is_one {
            return id;
        }
        set_once(&self.id, sys::fresh_number)
    }

    /// Finds the scope anew.
    pub fn settle(&mut self) {
        (self.scope, self.vhost) = settle_scope(&mut self.request);
        self.id.store(self.request.id, Ordering::Relaxed);
        self.fresh = true;
    }
}

/// The longest published request, in bytes.
pub const PUBLISHED_MAX: usize = WIRE_MAX;

/// A thread's request as the supervisor reads it, from another process: who the thread is, how long the text is, the text.
/// Where there is no request, its length is 0.
#[repr(C)]
struct PublishedRequest {
    thread: AtomicU32,
    len: AtomicU32,
    /// In this process, only the thread touches it, and only in [`change`].
    text: UnsafeCell<[u8; PUBLISHED_MAX]>,
}

/// The request of one serving thread: an atomic part that others read, and a part of its own. A slot is never freed.
#[repr(C)]
struct ThreadSlot {
    published: PublishedRequest,
    /// What is the thread's own is being written: a signal handler that comes in between must not look.
    busy: AtomicBool,
    /// Which request of a module it is; 0 where that has ended, or where none is a module's. Any thread may end it.
    token: AtomicU64,
    own: UnsafeCell<Own>,
}

// SAFETY: the atomics may be anybody's, the cells are touched by the slot's thread alone.
unsafe impl Sync for ThreadSlot {}

/// What only the thread itself touches.
pub struct Own {
    pub served: ServedRequest,
    pub protocol: Protocol,
    /// Device and inode of the connection whose reads are looked at.
    pub connection: (u64, u64),
    /// The worker's pool; empty as long as it has none.
    pub pool: Field<64>,
    /// The process of the pool's own tree that the connection comes from; 0 where it comes from elsewhere.
    pub from_within: u32,
    /// A read of the connection was seen, whatever it gave.
    pub is_read: bool,
    /// The request is a module's, and holds as long as the token is not 0.
    pub by_module: bool,
    /// Place in [`Slots::all`], plus one; 0 for none.
    index: u32,
    generation: u32,
}

impl ThreadSlot {
    const fn new() -> ThreadSlot {
        ThreadSlot {
            published: PublishedRequest {
                thread: AtomicU32::new(0),
                len: AtomicU32::new(0),
                text: UnsafeCell::new([0; PUBLISHED_MAX]),
            },
            busy: AtomicBool::new(false),
            token: AtomicU64::new(0),
            own: UnsafeCell::new(Own::new()),
        }
    }
}

impl Own {
    const fn new() -> Own {
        Own {
            served: ServedRequest::none(),
            protocol: Protocol::fastcgi(Reader::Other),
            connection: (0, 0),
            pool: Field::new(),
            from_within: 0,
            is_read: false,
            by_module: false,
            index: 0,
            generation: 0,
        }
    }

    /// A token that no request had before, or not for four thousand million requests of this thread.
    fn next_token(&mut self) -> u64 {
        self.generation = self.generation.wrapping_add(1).max(1);
        (u64::from(self.index) << 32) | u64::from(self.generation)
    }
}

static FIRST_TAKEN: AtomicBool = AtomicBool::new(false);

/// The slots that a request can be ended in from another thread.
const ALL_MAX: usize = 1024;

/// What the first thread that serves writes to.
#[repr(C)]
struct Slots {
    /// The place of the first thread that serves, whose it is that swaps FIRST_TAKEN.
    first: ThreadSlot,
    all: [AtomicPtr<ThreadSlot>; ALL_MAX],
}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static SLOTS: Paged<Slots> =
    Paged(Slots { first: ThreadSlot::new(), all: [const { AtomicPtr::new(core::ptr::null_mut()) }; ALL_MAX] });
static ALL_USED: AtomicU32 = AtomicU32::new(0);

#[inline]
fn own_slot() -> Option<&'static ThreadSlot> {
    // SAFETY: the thread's own state, which only this thread touches: null, or a slot, which lives for ever.
    unsafe { (*thread::this()).slot.cast::<ThreadSlot>().as_ref() }
}

#[inline]
fn watched_number() -> i32 {
    // SAFETY: as above.
    unsafe { (*thread::this()).watched }
}

/// Whether the reads of a descriptor are looked at.
#[inline]
pub fn watched(fd: i32) -> bool {
    watched_number() == fd.wrapping_add(1)
}

/// Looks at the reads of `fd` from now on, or of none.
pub fn watch(fd: Option<i32>) {
    // SAFETY: the thread's own state, which only this thread touches.
    unsafe { (*thread::this()).watched = fd.map_or(0, |fd| fd.wrapping_add(1)) };
}

/// Whether reads of any descriptor are looked at.
pub fn is_watching() -> bool {
    watched_number() != 0
}

/// Changes what the thread's slot has, which is made first where it has none; `None` where there is no memory, or where a signal
/// handler finds it being written. `write` is also told whether a request of a module is going on.
pub fn change<R>(write: impl FnOnce(&mut Own, bool) -> R) -> Option<R> {
    change_of(|own, slot| {
        let is_modules = own.by_module && slot.token.load(Ordering::Acquire) != 0;
        write(own, is_modules)
    })
}

fn change_of<R>(write: impl FnOnce(&mut Own, &ThreadSlot) -> R) -> Option<R> {
    let slot = match own_slot() {
        Some(slot) => slot,
        None => make()?,
    };
    if slot.busy.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: only this thread touches it, and not again while it is busy.
    let own = unsafe { &mut *slot.own.get() };
    let result = write(own, slot);
    if own.served.fresh && sys::secret() != 0 {
        own.served.fresh = false;
        publish(&slot.published, &own.served);
    }
    slot.busy.store(false, Ordering::Relaxed);
    Some(result)
}

/// Writes the request down where the supervisor looks for it. While it is written it is unknown. For [`change_of`].
fn publish(published: &PublishedRequest, served: &ServedRequest) {
    published.len.store(1, Ordering::Release);
    fence(Ordering::Release);
    let mut len = 0_usize;
    if served.request.state != State::None {
        // SAFETY: only this thread touches it, and not again while its slot is busy.
        let text = unsafe { &mut *published.text.get() };
        portcullis_request::wire::write(&served.request, served.id(), |bytes| {
            if let Some(to) = text.get_mut(len..).and_then(|rest| rest.get_mut(..bytes.len())) {
                to.copy_from_slice(bytes);
                len = len.wrapping_add(bytes.len());
            }
        });
    }
    published.len.store(len as u32, Ordering::Release);
}

/// Where the list of the threads' slots lies, and how long it is.
pub fn slots_address() -> usize {
    SLOTS.0.all.as_ptr() as usize
}

/// How many there may be.
pub const SLOTS_MAX: usize = ALL_MAX;

/// Makes the thread's slot.
fn make() -> Option<&'static ThreadSlot> {
    let slot = match FIRST_TAKEN.swap(true, Ordering::AcqRel) {
        false => {
            // What is laid out with the library is zeros. It is made on the stack first.
            // SAFETY: whoever swaps the flag has it, and hands it to one thread.
            stack::on(|| unsafe { SLOTS.0.first.own.get().write(Own::new()) });
            &SLOTS.0.first
        }
        true => {
            let at = sys::allocate(size_of::<ThreadSlot>())?.cast::<ThreadSlot>();
            // SAFETY: a new mapping of that size, which stays for ever and which nobody else has yet.
            unsafe {
                stack::on(|| at.write(ThreadSlot::new()));
                &*at
            }
        }
    };
    slot.published.thread.store(sys::gettid(), Ordering::Relaxed);
    let used = ALL_USED.fetch_add(1, Ordering::Relaxed);
    if let Some(place) = SLOTS.0.all.get(used as usize) {
        // SAFETY: nobody else has it yet.
        unsafe { (*slot.own.get()).index = used.wrapping_add(1) };
        place.store((&raw const *slot).cast_mut(), Ordering::Release);
    }
    // SAFETY: the thread's own state, which only this thread touches.
    unsafe { (*thread::this()).slot = (&raw const *slot).cast_mut().cast() };
    Some(slot)
}

/// Ends the request of a token, on whichever thread it is.
pub fn end(token: u64) {
    let index = ((token >> 32) as usize).wrapping_sub(1);
    let slot = match SLOTS.0.all.get(index) {
        // SAFETY: null, or a slot, which lives for ever.
        Some(place) => unsafe { place.load(Ordering::Acquire).as_ref() },
        None => own_slot(),
    };
    if let Some(slot) = slot
        && token != 0
        && slot.token.compare_exchange(token, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    {
        slot.published.len.store(0, Ordering::Release);
    }
}

/// The request that the thread serves; `None` while that is being written, which this thread itself does. It holds until the
/// thread changes its slot.
#[inline(always)]
fn served() -> Option<*const ServedRequest> {
    // A descendant stays its request's, whatever it accepts or says by itself.
    if let Some(inherited) = inherited() {
        return Some(inherited);
    }
    let Some(slot) = own_slot() else { return Some(&raw const NOBODY) };
    if slot.busy.load(Ordering::Relaxed) {
        return None;
    }
    let own = slot.own.get();
    // SAFETY: only this thread touches it, and it is not being written.
    if unsafe { (*own).by_module } && slot.token.load(Ordering::Acquire) == 0 {
        return Some(&raw const NOBODY);
    }
    // SAFETY: as above.
    Some(unsafe { &raw const (*own).served })
}

/// Calls `look` with the request that the thread serves.
pub fn current<R>(look: impl FnOnce(&ServedRequest) -> R) -> R {
    match served() {
        // SAFETY: nobody changes it while this thread looks.
        Some(served) => look(unsafe { &*served }),
        None => while_written(look),
    }
}

/// The scope of the request that the thread serves; `None` while that is being written.
#[inline]
pub fn scope() -> Option<u32> {
    // SAFETY: as in `current`.
    served().map(|served| unsafe { (*served).scope })
}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static NOBODY: ServedRequest = ServedRequest::none();

/// Looks at a request of which nothing is known.
#[cold]
#[inline(never)]
fn while_written<R>(look: impl FnOnce(&ServedRequest) -> R) -> R {
    let mut unknown = ServedRequest::none();
    unknown.request.state = State::Unknown;
    unknown.scope = STRICTEST_SCOPE;
    look(&unknown)
}

struct Inherited(UnsafeCell<ServedRequest>);

// SAFETY: written by the constructor only; see `inherit`.
unsafe impl Sync for Inherited {}

static INHERITED: Inherited = Inherited(UnsafeCell::new(ServedRequest::none()));
static HAS_INHERITED: AtomicBool = AtomicBool::new(false);

/// What the process has from the request that led to it, as that was handed down: for all its threads. For the constructor.
/// Every descendant is given one: where it is gone, or not what it should be, somebody took it away.
pub fn inherit(text: Option<&[u8]>) {
    // SAFETY: the constructor calls this once, before anything looks.
    let served = unsafe { &mut *INHERITED.0.get() };
    let read = text.and_then(|text| portcullis_request::wire::read_into(text, &mut served.request));
    match text.filter(|_| read.is_some()) {
        Some(text) => super::publish(text, crate::process::state::settled().chain.bytes()),
        None => served.request.reset(State::Lost),
    }
    served.settle();
    HAS_INHERITED.store(true, Ordering::Release);
}

fn inherited() -> Option<&'static ServedRequest> {
    // SAFETY: nobody writes after the constructor.
    HAS_INHERITED.load(Ordering::Acquire).then(|| unsafe { &*INHERITED.0.get() })
}

/// Puts a request into the thread's slot; gives its token.
pub fn replace(write: impl FnOnce(&mut Request)) -> u64 {
    let token = change_of(|own, slot| {
        own.served.request.reset(State::Unknown);
        write(&mut own.served.request);
        own.served.settle();
        own.by_module = true;
        let token = own.next_token();
        slot.token.store(token, Ordering::Release);
        token
    });
    state::recognised();
    token.unwrap_or(u64::from(u32::MAX))
}
