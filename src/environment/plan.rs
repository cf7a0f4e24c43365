//! Composes the guard's variables for a new program, and fills the vector of its environment.

use super::{New, PRELOAD, Vector, begins, is_own};
use crate::backstop;
use crate::context;
use crate::memory::{Reader, Text};
use crate::request::Served;
use crate::state;
use crate::sys;
use core::mem::MaybeUninit;
use portcullis_policy::Unknown;
use portcullis_request::environment::{KEY, REQUEST, libraries};

/// An entry of a vector that is being written.
pub type Entry = MaybeUninit<*const u8>;
/// LD_PRELOAD, the context, the request, the backstop's key, the padding and the closing NULL.
const ADDED: usize = 6;
/// The padding, as an entry.
const PADDING_ENTRY: &core::ffi::CStr = c"PORTCULLIS_PADDING=";
/// The longest variable that Linux hands to a program (MAX_ARG_STRLEN).
const VARIABLE_MAX: usize = 1 << 17;
/// Room for the variable of the request.
const REQUEST_MAX: usize = portcullis_request::wire::WIRE_MAX + 32;

/// The variables that the guard puts into an environment.
pub struct Plan {
    /// LD_PRELOAD as far as it fits; a longer one is composed where the environment is placed.
    preload: Text<2048>,
    /// The length of all of LD_PRELOAD.
    preload_len: usize,
    context: Text<1024>,
    request: Text<REQUEST_MAX>,
    key: Text<48>,
    /// What the new program takes out again would be an odd number otherwise.
    pads: bool,
    count: usize,
}

impl Plan {
    /// Nothing as yet.
    pub fn new() -> Plan {
        Plan {
            preload: Text::new(),
            preload_len: 0,
            context: Text::new(),
            request: Text::new(),
            key: Text::new(),
            pads: false,
            count: 0,
        }
    }

    /// Composes the variables, in place; false where there is nothing to put in.
    #[inline(never)]
    pub fn make(&mut self, envp: Vector, new: New<'_>, served: &Served) -> Result<bool, Unknown> {
        let library = state::settled().library.bytes();
        let preloads = new.preload && !library.is_empty();
        // Without the guard in it, what a program's request is concerns the backstop alone.
        if !preloads && sys::secret() == 0 {
            return Ok(false);
        }
        let mut had = false;
        let (preload, len) = (&mut self.preload, &mut self.preload_len);
        let mut push = |part: &[u8]| {
            preload.push(part);
            *len = len.wrapping_add(part.len());
        };
        if preloads {
            push(PRELOAD);
            push(library);
        }
        let count = preloaded(envp, |other| {
            had = true;
            if preloads && other != library {
                push(b":");
                push(other);
            }
        });
        self.count = count.ok_or(Unknown::Environment)?;
        context::compose(&mut self.context, &new, preloads && !had, served);
        context::compose_request(&mut self.request, served);
        let secret = sys::secret();
        if new.guarded && preloads && secret != 0 {
            self.key.push(KEY);
            self.key.number(secret);
        } else if secret != 0 {
            backstop::announce(self.request.bytes().strip_prefix(REQUEST).unwrap_or_default(), new.name, served);
        }
        let injected = usize::from(preloads && !had);
        self.pads = injected.wrapping_add(usize::from(!self.key.bytes().is_empty())) == 1;
        let fit = self.context.fits() && self.request.fits() && self.key.fits();
        fit.then_some(true).ok_or(Unknown::Environment)
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
    pub fn copy<'r>(&self, envp: Vector, mut room: &'r mut [u8]) -> Result<[&'r [u8]; 4], Unknown> {
        let mut copies = [&b""[..]; 4];
        for (number, (copy, text)) in copies.iter_mut().zip(self.texts()).enumerate() {
            let len = if number == 0 { self.preload_len } else { text.len() };
            let (place, rest) = room.split_at_mut_checked(len.wrapping_add(1)).ok_or(Unknown::Environment)?;
            let whole = match place.get_mut(..text.len()) {
                Some(to) if len == text.len() => {
                    to.copy_from_slice(text);
                    true
                }
                _ => compose_preload(envp, place) == Some(len),
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

    /// Fills a vector of [`Plan::entries`], which are to point at the [`Plan::texts`] or copies of them.
    pub fn fill(&self, envp: Vector, vector: &mut [Entry], texts: [&[u8]; 4]) {
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
            // SAFETY: `Plan::make` has read this entry and the string behind it.
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
        if self.pads {
            put(PADDING_ENTRY.as_ptr().cast());
        }
        put(core::ptr::null());
    }
}

/// Calls `found` with each library that an environment wants to be preloaded; the number of its entries, or `None` where it
/// cannot be read.
fn preloaded(envp: Vector, mut found: impl FnMut(&[u8])) -> Option<usize> {
    // One for each: the vector and the strings lie on different pages.
    let (mut vector, mut strings) = (Reader::default(), Reader::default());
    let mut count = 0_usize;
    while !envp.is_null() {
        let entry = vector.pointer(envp, count)?;
        if entry.is_null() {
            break;
        }
        // Most entries differ in the first byte, and are not read any further.
        if strings.byte(entry)? == b'L' && strings.string(entry, PRELOAD.len())? == PRELOAD {
            // A variable that is longer makes execve fail with E2BIG, with the library put in front as well.
            let value = strings.string(entry.wrapping_add(PRELOAD.len()), VARIABLE_MAX)?;
            libraries(value).for_each(&mut found);
        }
        count = count.wrapping_add(1);
    }
    Some(count)
}

/// Composes LD_PRELOAD in a place; its length, or `None` where the environment cannot be read.
#[cold]
#[inline(never)]
fn compose_preload(envp: Vector, place: &mut [u8]) -> Option<usize> {
    let library = state::settled().library.bytes();
    let mut len = 0_usize;
    let mut push = |part: &[u8]| {
        if let Some(to) = place.get_mut(len..).and_then(|rest| rest.get_mut(..part.len())) {
            to.copy_from_slice(part);
        }
        len = len.wrapping_add(part.len());
    };
    push(PRELOAD);
    push(library);
    preloaded(envp, |other| {
        if other != library {
            push(b":");
            push(other);
        }
    })?;
    Some(len)
}
