//! Composes the variables of Portcullis for a new program, and fills the vector of its environment.
//!
//! **Invariants**: what the caller set stays, entry by entry and byte by byte. The guard's LD_PRELOAD comes behind the caller's, which
//! it repeats: glibc's loader takes the last one, and the constructor takes it away again. A caller's LD_PRELOAD that has the library
//! in it stays as it is, in its order, but for programs that cannot load the library: they get it without, or under a name that
//! they pass over.

use super::has_to_be_first;
use super::{New, PADDING_ENTRY, PASSED_OVER, PRELOAD, begins, is_own, is_this};
use crate::action::Guarding;
use crate::child::context;
use crate::memory::{StringBuf, base_name};
use crate::process::state;
use crate::request::ServedRequest;
use crate::sys;
use crate::sys::Reader;
use crate::sys::Vector;
use core::mem::MaybeUninit;
use portcullis_policy::Unknown;
use portcullis_request::environment::{KEY, REQUEST, libraries, replace};

/// An entry of a vector that is being written.
pub type Entry = MaybeUninit<*const u8>;
/// LD_PRELOAD, the context, the request, the backstop's key, the padding and the closing NULL.
const ADDED: usize = 6;
/// The longest variable that Linux hands to a program (MAX_ARG_STRLEN).
const VARIABLE_MAX: usize = 1 << 17;
/// Room for the variable of the request.
const REQUEST_MAX: usize = portcullis_request::wire::WIRE_MAX + 32;

/// How the LD_PRELOAD of an environment is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It stays.
    Nothing,
    /// Another comes behind it: this path, the library's, and what the caller's last one says; that goes first where a library
    /// in it has to.
    Add(&'static [u8]),
    /// Where the library is in one, this path goes before its own; `None`: it is left out.
    Replace(Option<&'static [u8]>),
}

/// The variables that the guard puts into an environment.
pub struct Plan<'e> {
    change: Change,
    /// The caller's LD_PRELOAD that is repeated or replaced.
    value: &'e [u8],
    /// Its place in the vector.
    place: usize,
    /// The new LD_PRELOAD as far as it fits; a longer one is composed where the environment is placed.
    preload: StringBuf<2048>,
    /// The length of all of it; 0 where there is none.
    preload_len: usize,
    context: context::Context,
    request: StringBuf<REQUEST_MAX>,
    key: StringBuf<48>,
    /// Whether a padding variable is needed, so that the number of removed variables is even.
    pads: bool,
    count: usize,
}

impl<'e> Plan<'e> {
    /// Nothing as yet.
    pub fn new() -> Plan<'e> {
        Plan {
            change: Change::Nothing,
            value: b"",
            place: 0,
            preload: StringBuf::new(),
            preload_len: 0,
            context: StringBuf::new(),
            request: StringBuf::new(),
            key: StringBuf::new(),
            pads: false,
            count: 0,
        }
    }

    /// Composes the variables, in place; false where there is nothing to change.
    #[inline(never)]
    pub fn make(
        &mut self,
        strings: &'e Reader,
        envp: Vector,
        new: New<'_>,
        served: &ServedRequest,
    ) -> Result<bool, Unknown> {
        let preloads = !matches!(new.guarding, Guarding::None) && !state::settled().library.bytes().is_empty();
        let secret = sys::secret();
        let found = Found::of(strings, envp).ok_or(Unknown::Environment)?;
        self.count = found.count;
        let last = found.last.unwrap_or((usize::MAX, b""));
        (self.change, (self.place, self.value)) = match (found.with_this, new.guarding) {
            (Some(place), _) if !preloads => (Change::Replace(None), place),
            (None, _) if !preloads => (Change::Nothing, (0, &b""[..])),
            (Some(place), Guarding::Passed) => (Change::Replace(Some(PASSED_OVER)), place),
            (None, Guarding::Passed) => (Change::Add(PASSED_OVER), last),
            // The loader takes the last, and finds the library by its path: the way round leads past what may not be there.
            (Some(place), _) if place.0 == last.0 && found.is_loaded => (Change::Nothing, place),
            _ => (Change::Add(b""), last),
        };
        self.compose_preload();
        // Without the guard in it, and in what it starts, a program has no use for its request: the supervisor is told.
        if !preloads {
            if secret != 0 {
                context::compose_request(&mut self.request, served);
                context::announce(self.request.bytes().strip_prefix(REQUEST).unwrap_or_default(), new.name, served);
                self.request = StringBuf::new();
            }
            return Ok(self.change != Change::Nothing);
        }
        let injected = matches!(self.change, Change::Add(_));
        context::compose(&mut self.context, &new, injected, served);
        context::compose_request(&mut self.request, served);
        if new.is_guarded() && secret != 0 {
            self.key.push(KEY);
            self.key.number(secret);
        } else if secret != 0 {
            context::announce(self.request.bytes().strip_prefix(REQUEST).unwrap_or_default(), new.name, served);
        }
        self.pads = usize::from(injected).wrapping_add(usize::from(!self.key.bytes().is_empty())) == 1;
        let fit = self.context.fits() && self.request.fits() && self.key.fits();
        fit.then_some(true).ok_or(Unknown::Environment)
    }

    /// Composes the new LD_PRELOAD, as far as it fits.
    fn compose_preload(&mut self) {
        let (change, value, preload) = (self.change, self.value, &mut self.preload);
        let mut len = 0_usize;
        compose(change, value, |part| {
            preload.push(part);
            len = len.wrapping_add(part.len());
        });
        // Nothing of a replaced one may be left.
        self.preload_len = if len == PRELOAD.len() { 0 } else { len };
        if self.preload_len == 0 {
            preload.set(b"");
        }
    }

    /// The number of entries that the vector needs.
    pub fn entries(&self) -> usize {
        self.count.wrapping_add(ADDED)
    }

    /// Whether LD_PRELOAD is in the plan itself.
    pub fn has_all(&self) -> bool {
        self.preload.fits()
    }

    /// The bytes that copies of the variables need, with their NULs.
    pub fn size(&self) -> usize {
        let others = [self.context.bytes(), self.request.bytes(), self.key.bytes()];
        others.iter().fold(self.preload_len.wrapping_add(1), |sum, text| sum.wrapping_add(text.len()).wrapping_add(1))
    }

    /// The variables: LD_PRELOAD, the context, the request, the key; empty where there is none.
    pub fn texts(&self) -> [&[u8]; 4] {
        [self.preload.bytes(), self.context.bytes(), self.request.bytes(), self.key.bytes()]
    }

    /// Copies the variables into `room`, which has [`Plan::size`] zeros.
    pub fn copy<'r>(&self, mut room: &'r mut [u8]) -> Result<[&'r [u8]; 4], Unknown> {
        let mut copies = [&b""[..]; 4];
        for (number, (copy, text)) in copies.iter_mut().zip(self.texts()).enumerate() {
            let len = if number == 0 { self.preload_len } else { text.len() };
            let (place, rest) = room.split_at_mut_checked(len.wrapping_add(1)).ok_or(Unknown::Environment)?;
            let whole = match place.get_mut(..text.len()) {
                Some(to) if len == text.len() => {
                    to.copy_from_slice(text);
                    true
                }
                _ => self.place_preload(place) == len,
            };
            // Another thread changed the environment meanwhile.
            if !whole {
                return Err(Unknown::Environment);
            }
            *copy = place.get(..len).unwrap_or_default();
            room = rest;
        }
        Ok(copies)
    }

    /// Composes LD_PRELOAD in a place; its length.
    #[cold]
    #[inline(never)]
    fn place_preload(&self, place: &mut [u8]) -> usize {
        let mut len = 0_usize;
        compose(self.change, self.value, |part| {
            if let Some(to) = place.get_mut(len..).and_then(|rest| rest.get_mut(..part.len())) {
                to.copy_from_slice(part);
            }
            len = len.wrapping_add(part.len());
        });
        len
    }

    /// Fills a vector of [`Plan::entries`], which are to point at the [`Plan::texts`] or copies of them.
    pub fn fill(&self, envp: Vector, vector: &mut [Entry], texts: [&[u8]; 4]) {
        let [preload, others @ ..] = texts;
        let replaces = matches!(self.change, Change::Replace(_));
        let strings = Reader::default();
        let mut to = vector.iter_mut();
        let mut put = |entry: *const u8| {
            if let Some(to) = to.next() {
                to.write(entry);
            }
        };
        for index in 0..self.count {
            // SAFETY: `Plan::make` has read this entry, which may be unaligned, and the string behind it.
            let (entry, own, is_preload) = unsafe {
                let entry = envp.wrapping_add(index).read_unaligned();
                (entry, is_own(entry), replaces && begins(entry, PRELOAD))
            };
            if own {
                continue;
            }
            if is_preload && (index == self.place || has_this(&strings, entry)) {
                if index == self.place && !preload.is_empty() {
                    put(preload.as_ptr());
                }
                continue;
            }
            put(entry);
        }
        if !replaces && !preload.is_empty() {
            put(preload.as_ptr());
        }
        others.into_iter().filter(|text| !text.is_empty()).for_each(|text| put(text.as_ptr()));
        if self.pads {
            put(PADDING_ENTRY.as_ptr().cast());
        }
        put(core::ptr::null());
    }
}

/// Gives `push` the parts of the new LD_PRELOAD.
fn compose(change: Change, value: &[u8], mut push: impl FnMut(&[u8])) {
    let library = state::settled().library.bytes();
    match change {
        Change::Nothing => {}
        Change::Add(before) => {
            let yields = before.is_empty() && libraries(value).map(base_name).any(has_to_be_first);
            let parts = if yields { [b"", value, b":", library] } else { [before, library, b":", value] };
            push(PRELOAD);
            let count = if value.is_empty() { 2 } else { parts.len() };
            parts.into_iter().take(count).for_each(push);
        }
        Change::Replace(actor) => {
            push(PRELOAD);
            match actor {
                Some(before) => replace(value, is_this, &[before, library], push),
                None => replace(value, is_this, &[], push),
            }
        }
    }
}

/// Whether an entry of an LD_PRELOAD is this library's path.
fn is_path(entry: &[u8]) -> bool {
    entry == state::settled().library.bytes()
}

/// Whether an entry names this library; it is one of LD_PRELOAD.
fn has_this(strings: &Reader, entry: *const u8) -> bool {
    let value = strings.string(entry.wrapping_add(PRELOAD.len()), VARIABLE_MAX);
    value.is_some_and(|value| libraries(value).any(is_this))
}

/// The entries of an environment about preloads.
struct Found<'e> {
    /// The number of its entries.
    count: usize,
    /// Place and value of the last LD_PRELOAD, and of the last that has this library in it.
    last: Option<(usize, &'e [u8])>,
    with_this: Option<(usize, &'e [u8])>,
    /// The last LD_PRELOAD has this library's path in it.
    is_loaded: bool,
}

impl<'e> Found<'e> {
    /// Reads an environment; `None` where it cannot be read.
    fn of(strings: &'e Reader, envp: Vector) -> Option<Found<'e>> {
        // One for each: the vector and the strings lie on different pages.
        let vector = Reader::default();
        let mut found = Found { count: 0, last: None, with_this: None, is_loaded: false };
        while !envp.is_null() {
            let entry = vector.pointer(envp, found.count)?;
            if entry.is_null() {
                break;
            }
            // Most entries differ in the first byte, and are not read any further.
            if strings.byte(entry)? == b'L' && strings.string(entry, PRELOAD.len())? == PRELOAD {
                // A variable that is longer makes execve fail with E2BIG, with the library put in front as well.
                let value = strings.string(entry.wrapping_add(PRELOAD.len()), VARIABLE_MAX)?;
                let place = Some((found.count, value));
                found.last = place;
                found.is_loaded = libraries(value).any(is_path);
                if found.is_loaded || libraries(value).any(is_this) {
                    found.with_this = place;
                }
            }
            found.count = found.count.wrapping_add(1);
        }
        Some(found)
    }
}
