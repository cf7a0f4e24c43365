//! The variables that make a program's loader load something: what they said when this process began, and what a new
//! program's environment says.

use super::Vector;
use crate::memory::{Reader, Text};
use crate::state;
use core::sync::atomic::{AtomicU64, Ordering};
use portcullis_policy::command::token_hash;
use portcullis_request::environment::{LOADER, libraries};

/// The longest value that is looked at.
pub const VALUE_MAX: usize = 1024;

/// Hashes of the values that the process was started with; 0 for none.
static OWN: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// A value without this library, and whether it was too long.
pub(super) fn without_guard(variable: usize, value: &[u8]) -> Text<VALUE_MAX> {
    let mut rest = Text::new();
    if variable != 0 {
        rest.push(value);
        return rest;
    }
    let library = state::settled().library.bytes();
    for part in libraries(value).filter(|part| *part != library) {
        if !rest.bytes().is_empty() {
            rest.push(b":");
        }
        rest.push(part);
    }
    rest
}

/// Calls `found` with each of the variables in an environment that has more than this library in it: its number, and its value
/// without this library; stops where that gives true.
fn each(envp: Vector, mut found: impl FnMut(usize, &Text<VALUE_MAX>) -> bool) {
    let (mut entries, mut strings) = (Reader::default(), Reader::default());
    if envp.is_null() {
        return;
    }
    for index in 0.. {
        let Some(entry) = entries.pointer(envp, index).filter(|entry| !entry.is_null()) else { return };
        // Most entries differ in the first byte, and are not read any further.
        match strings.byte(entry) {
            Some(b'L') => {}
            Some(_) => continue,
            None => return,
        }
        let Some(text) = strings.string(entry, VALUE_MAX.wrapping_add(32)) else { return };
        for (number, variable) in LOADER.into_iter().enumerate() {
            if let Some(value) = text.strip_prefix(variable) {
                let rest = without_guard(number, value);
                if !rest.bytes().is_empty() && found(number, &rest) {
                    return;
                }
            }
        }
    }
}

/// Takes note of what the process was started with; for the constructor, once the library's path is known.
pub fn remember_loader(values: &[Option<&'static [u8]>; LOADER.len()]) {
    for (number, (own, value)) in OWN.iter().zip(values).enumerate() {
        let rest = without_guard(number, value.unwrap_or_default());
        if !rest.bytes().is_empty() {
            own.store(token_hash(rest.bytes()), Ordering::Relaxed);
        }
    }
}

/// What a new program's environment says to its loader that this process was not started with, without this library, put into
/// `into`; inside, `None` where that is too long to be looked at. Says so in `detail`: an entry of the policy is the value there.
pub fn foreign_loader<'v>(
    envp: Vector,
    detail: &mut Text<256>,
    into: &'v mut Text<VALUE_MAX>,
) -> Option<Option<&'v [u8]>> {
    let mut foreign = None;
    each(envp, |number, rest| {
        let own = OWN.get(number).map_or(0, |own| own.load(Ordering::Relaxed));
        if own == token_hash(rest.bytes()) && rest.fits() {
            return false;
        }
        into.set(rest.bytes());
        foreign = Some(rest.fits());
        if !detail.bytes().is_empty() {
            detail.push(b"; ");
        }
        detail.push(LOADER.get(number).copied().unwrap_or_default());
        detail.push(rest.bytes());
        true
    });
    foreign.map(|fits: bool| if fits { Some(into.bytes()) } else { None })
}
