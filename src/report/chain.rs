//! The chain of programs that led to one, as events have it.

use crate::memory::StringBuf;
use crate::process::state::{self, Role};
use crate::request::ServedRequest;

/// Between the programs of a chain.
pub const ARROW: &[u8] = b" > ";
/// The length of a chain, in bytes; a longer one keeps its beginning and its last program.
const CHAIN_MAX: usize = 200;

/// The chain of a program named `name` that this process starts. One begins where a server does: what started that,
/// and the binary that a reload replaced, are not in it.
pub fn of_new(name: &[u8], served: &ServedRequest) -> StringBuf<256> {
    let mine = own(served);
    from(if state::role() == Role::Master { b"" } else { mine.bytes() }, name)
}

/// The chain of a program named `name` that a process with the chain `mine` starts.
pub fn from(mine: &[u8], name: &[u8]) -> StringBuf<256> {
    let mut chain = StringBuf::new();
    let room = CHAIN_MAX.saturating_sub(name.len().min(64));
    if mine.len() > room {
        chain.push(mine.get(..room).unwrap_or_default());
        chain.push("\u{2026}".as_bytes());
    } else {
        chain.push(mine);
    }
    if !mine.is_empty() {
        chain.push(ARROW);
    }
    chain.push(name.get(..name.len().min(64)).unwrap_or_default());
    chain
}

/// The chain up to this process; PHP-FPM's worker goes by its title, which names the pool.
pub fn own(served: &ServedRequest) -> StringBuf<256> {
    let mut chain = StringBuf::new();
    let pool = served.request.pool.bytes();
    if state::role() == Role::Serving && !pool.is_empty() {
        chain.push(b"php-fpm: pool ");
        chain.push(pool);
    } else {
        chain.push(state::settled().chain.bytes());
    }
    chain
}
