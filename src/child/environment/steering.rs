//! The variables that steer an allowed command (`portcullis_policy::startup`): those that the server was started with, and
//! those in a new program's environment.
//!
//! **What counts as the server's start**: the environment of its first program, and that of a worker before its first
//! connection, in which PHP-FPM has put the `env[]` of its pool. In a descendant every such variable counts as foreign: the
//! environment that it was started with is a script's.

use super::PRELOAD;
use super::loader::{remember_loader, show, without_guard};
use crate::memory::StringBuf;
use crate::process::environ;
use crate::sys::Reader;
use crate::sys::Vector;
use core::sync::atomic::{AtomicU64, Ordering};
use portcullis_policy::command::token_hash;
use portcullis_policy::startup::{self, Steering, Variable, variable};

/// The longest entry that can be as at the server's start, in bytes; a longer one is foreign.
const ENTRY_MAX: usize = 4096;
/// How many entries of the start are remembered; more are foreign.
const OWN_MAX: usize = 16;

/// Hashes of the entries of the start; 0 for none.
static OWN: [AtomicU64; OWN_MAX] = [const { AtomicU64::new(0) }; OWN_MAX];

/// An entry of an environment that steers.
struct Found<'f> {
    row: Variable,
    entry: &'f [u8],
    /// 0 where it is too long to be compared.
    hash: u64,
}

/// Calls `found` with each entry that steers; stops where that gives true. False where the environment cannot be read.
fn each(envp: Vector, bare: bool, mut found: impl FnMut(Found<'_>) -> bool) -> bool {
    let (entries, strings) = (Reader::default(), Reader::default());
    if envp.is_null() {
        return true;
    }
    for index in 0.. {
        let Some(at) = entries.pointer(envp, index) else { return false };
        if at.is_null() {
            break;
        }
        let Some(entry) = strings.string(at, ENTRY_MAX) else { return false };
        let Some(row) = variable(entry, bare) else { continue };
        let hash = match entry.strip_prefix(PRELOAD) {
            _ if entry.len() == ENTRY_MAX => 0,
            // Only what is preloaded beside this library counts.
            Some(value) => match without_guard(value) {
                rest if rest.bytes().is_empty() && rest.fits() => continue,
                rest if rest.fits() => token_hash(rest.bytes()),
                _ => 0,
            },
            None => token_hash(entry),
        };
        if found(Found { row, entry, hash }) {
            break;
        }
    }
    true
}

/// Takes note of what steers or loads code in the server's own environment; for the constructor and for a worker that begins to serve.
pub fn remember_start() {
    let note = |found: Found<'_>| {
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
    };
    remember_loader();
    // What cannot be read is foreign later on.
    let _ = each(environ::current(), true, note);
}

/// Whether a new program's environment steers an allowed command; `bare`: the command names its program without a folder;
/// `is_allowed`: the policy names a value that loads code, or a whole entry. Says which variables do in `detail`: all, for each keeps
/// the entry from holding.
#[inline(never)]
pub fn steering(envp: Vector, bare: bool, is_allowed: impl Fn(&[u8]) -> bool, detail: &mut StringBuf<256>) -> Steering {
    let mut steering = Steering::None;
    let foreign = |found: Found<'_>| {
        let is_own = || OWN.iter().any(|own| own.load(Ordering::Relaxed) == found.hash);
        // Of what is preloaded, only what is there beside this library.
        let beside = found.entry.strip_prefix(PRELOAD).map(without_guard);
        let beside = beside.as_ref().map(StringBuf::bytes);
        let is_expected =
            || is_allowed(found.entry) || beside.or_else(|| startup::loads(found.entry)).is_some_and(&is_allowed);
        if found.hash != 0 && (is_own() || is_expected()) {
            return false;
        }
        if steering == Steering::None {
            steering = Steering::By(found.row);
        }
        let end = found.entry.iter().position(|&byte| byte == b'=').map_or(0, |end| end.wrapping_add(1));
        let (name, value) = found.entry.split_at_checked(end).unwrap_or_default();
        show(name, beside.unwrap_or(value), detail);
        false
    };
    if each(envp, bare, foreign) { steering } else { Steering::Unknown }
}
