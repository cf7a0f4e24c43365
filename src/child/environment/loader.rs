//! Compares the variables that make a program load code (`portcullis_policy::startup::loads`) in a new program's environment with those
//! with which this process was started.

use super::{PRELOAD, is_this};
use crate::memory::StringBuf;
use crate::process::environ;
use crate::sys::Reader;
use crate::sys::Vector;
use core::sync::atomic::{AtomicU64, Ordering};
use portcullis_policy::command::token_hash;
use portcullis_policy::startup;
use portcullis_request::environment::libraries;

/// The longest entry that is compared.
const ENTRY_MAX: usize = 1056;
/// How many entries of the start are remembered; more are foreign.
const OWN_MAX: usize = 16;

/// Hashes of the entries that the process was started with; 0 for none.
static OWN: [AtomicU64; OWN_MAX] = [const { AtomicU64::new(0) }; OWN_MAX];

/// The value of an LD_PRELOAD without this library.
pub(super) fn without_guard(value: &[u8]) -> StringBuf<ENTRY_MAX> {
    let mut rest = StringBuf::new();
    for part in libraries(value).filter(|part| !is_this(part)) {
        if !rest.bytes().is_empty() {
            rest.push(b":");
        }
        rest.push(part);
    }
    rest
}

/// An entry of an environment that loads something.
struct Found<'f, 's> {
    /// As it stands there.
    entry: &'s [u8],
    /// Its name, with the equals sign.
    name: &'f [u8],
    /// Its value as it stands there.
    value: &'s [u8],
    /// The value without this library.
    rest: &'f [u8],
    /// 0 if it is too long to be compared.
    hash: u64,
}

/// Calls `found` with each entry of an environment that loads something else than this library; stops where that gives true.
fn each<'s>(strings: &'s Reader, envp: Vector, mut found: impl FnMut(Found<'_, 's>) -> bool) {
    let entries = Reader::default();
    if envp.is_null() {
        return;
    }
    for index in 0.. {
        let Some(at) = entries.pointer(envp, index).filter(|at| !at.is_null()) else { return };
        let Some(first) = strings.byte(at) else { return };
        if first == 0 {
            continue;
        }
        let Some(second) = strings.byte(at.wrapping_add(1)) else { return };
        if !startup::may_load(first, second) {
            continue;
        }
        let Some(entry) = strings.string(at, ENTRY_MAX) else { return };
        let Some(value) = startup::loads(entry) else { continue };
        let name = entry.get(..entry.len().wrapping_sub(value.len())).unwrap_or_default();
        let is_whole = entry.len() < ENTRY_MAX;
        let stop = if name == PRELOAD {
            let rest = without_guard(value);
            let hash = if is_whole && rest.fits() { token_hash(rest.bytes()) } else { 0 };
            !rest.bytes().is_empty() && found(Found { entry, name, value, rest: rest.bytes(), hash })
        } else {
            found(Found { entry, name, value, rest: value, hash: if is_whole { token_hash(entry) } else { 0 } })
        };
        if stop {
            return;
        }
    }
}

/// Takes note of what the process was started with; for the constructor, once the library's path is known, and for a worker
/// that begins to serve, in whose environment PHP-FPM has put the `env[]` of its pool.
pub fn remember_loader() {
    each(&Reader::default(), environ::current(), |found| {
        for own in &OWN {
            let known = own.load(Ordering::Relaxed);
            if found.hash == 0 || known == found.hash {
                break;
            }
            if known == 0 {
                own.store(found.hash, Ordering::Relaxed);
                break;
            }
        }
        false
    });
}

/// What a new program's environment loads that this process was not started with, and that is not allowed, by its value or whole;
/// inside, `None` where that is too long to be looked at. Each is in `detail`, for an entry for one of them alone would be of no use.
pub fn foreign_loader<'s>(
    strings: &'s Reader,
    envp: Vector,
    is_allowed: impl Fn(&[u8]) -> bool,
    detail: &mut StringBuf<256>,
) -> Option<Option<&'s [u8]>> {
    let mut foreign = None;
    each(strings, envp, |found| {
        let is_own = || OWN.iter().any(|own| own.load(Ordering::Relaxed) == found.hash);
        if found.hash != 0 && (is_own() || is_allowed(found.rest) || is_allowed(found.entry)) {
            return false;
        }
        foreign.get_or_insert((found.hash != 0).then_some(found.value));
        show(found.name, found.rest, detail);
        false
    });
    foreign
}

/// What stands for a value that is not shown.
const CUT: &[u8] = "\u{2026}".as_bytes();

/// Adds a variable to those in a detail. A value that could not be told from two variables is left out.
pub(super) fn show(name: &[u8], value: &[u8], detail: &mut StringBuf<256>) {
    let mut rest = value;
    while let Some((_, behind)) = rest.split_first() {
        if rest.strip_prefix(b"; ").is_some_and(|entry| startup::variable(entry, true).is_some()) {
            break;
        }
        rest = behind;
    }
    if !detail.bytes().is_empty() {
        detail.push(b"; ");
    }
    detail.push(name);
    detail.push(if rest.is_empty() { value } else { CUT });
}
