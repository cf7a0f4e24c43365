//! A request read in passing: the server's own accept and reads carry it, in a protocol of `portcullis_request`.

use super::peer;
use super::slot::{self, change, is_watching, watch};
use crate::process::state;
use crate::server::pools;
use crate::sys;
use core::sync::atomic::{AtomicI32, Ordering};
use portcullis_request::fastcgi::Reader;
use portcullis_request::{Field, Protocol, State};

/// How PHP-FPM names a worker that serves a pool.
const POOL_TITLE: &[u8] = b"php-fpm: pool ";

/// The listener that the process accepted on first, plus one; 0 for none. A server accepts before it runs any request's
/// code, so what that code accepts, on a listener of its own, changes nothing about the request.
static LISTENER: AtomicI32 = AtomicI32::new(0);

fn is_servers(listener: i32) -> bool {
    let number = listener.wrapping_add(1);
    match LISTENER.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => true,
        Err(first) => first == number,
    }
}

/// The thread waits on a listener for its next connection: the request before is over. Whether that was one of PHP-FPM's, none of whose reads
/// was seen.
pub fn idle(listener: i32) -> bool {
    if is_watching() && is_servers(listener) {
        watch(None);
        let unseen = change(|slot, _| {
            let is_unseen = !slot.by_module && !slot.is_read && !slot.pool.bytes().is_empty();
            if !slot.by_module {
                slot.served.request.reset(State::None);
                slot.served.settle();
            }
            is_unseen
        });
        return unseen == Some(true);
    }
    false
}

/// The thread accepted the connection `fd`.
pub fn accepted(listener: i32, fd: i32) {
    if !is_servers(listener) {
        return;
    }
    let connection = sys::fstat(fd).map_or((0, 0), |stat| stat.identity);
    let mut is_fpm = false;
    let fresh = change(|slot, is_modules| {
        if is_modules {
            return false;
        }
        is_fpm = !titled(&mut slot.pool).is_empty();
        let reader = if is_fpm { Reader::PhpFpm } else { Reader::Other };
        slot.protocol = Protocol::fastcgi(reader);
        slot.from_within = if is_fpm { peer::of_own_tree(fd).unwrap_or(0) } else { 0 };
        slot.connection = connection;
        slot.is_read = false;
        slot.by_module = false;
        // PHP-FPM runs nothing before it has read a request: what it does for one that was not seen is not done for none.
        slot.served.request.reset(if is_fpm { State::Unknown } else { State::None });
        slot.served.request.pool.set(slot.pool.bytes());
        slot.served.settle();
        true
    });
    watch((fresh == Some(true)).then_some(fd));
    if is_fpm {
        pools::serving(listener);
    }
}

/// The thread read the descriptor that is watched, and got nothing: an end, an error, nothing yet.
pub fn looked_at() {
    let _ = change(|slot, _| slot.is_read = true);
}

/// The thread read these bytes, of `asked` that it asked for, from the descriptor that is watched; they may complete a
/// request that is to be judged.
pub fn fed(fd: i32, bytes: &[u8], asked: usize) -> ReceivedRequest {
    let (mut brings_settings, mut is_malformed, mut within_by, mut is_known) = (false, false, 0, false);
    let go_on = change(|slot, _| {
        let slot::Own { protocol, served, connection, pool, from_within, is_read, .. } = slot;
        *is_read = true;
        let before = served.request.state;
        // A request's code may close the connection early and open something else that gets its number.
        if protocol.is_complete() && sys::fstat(fd).map(|stat| stat.identity) != Some(*connection) {
            return false;
        }
        let known = protocol.feed(bytes, asked, &mut served.request);
        is_known = known;
        if known {
            served.request.pool.set(titled(pool));
            brings_settings = !served.request.settings.is_empty();
            within_by = *from_within;
            if within_by != 0 {
                // It names what it likes.
                served.request.state = State::Unknown;
            }
        }
        let is_protocols = !protocol.is_dead() || protocol.has_begun();
        if !is_protocols {
            served.request.reset(if pool.bytes().is_empty() { State::None } else { State::Unknown });
        }
        if known || served.request.state != before {
            served.settle();
        }
        if !is_protocols {
            return false;
        }
        is_malformed = protocol.is_dead();
        !is_malformed
    });
    if is_known {
        state::recognised();
    }
    // What is malformed stays unknown until the next connection.
    if go_on == Some(false) {
        watch(None);
    }
    ReceivedRequest { within_by, is_malformed, brings_settings }
}

/// The parts of a request, just read by the thread, that need a verdict.
#[derive(Clone, Copy)]
pub struct ReceivedRequest {
    /// The process of the pool's own tree that it comes from; 0 where it comes from the server.
    pub within_by: u32,
    /// It is not of its protocol, though it began so.
    pub is_malformed: bool,
    /// It brings PHP settings.
    pub brings_settings: bool,
}

/// The request that the thread has read is refused: it is none.
pub fn refused() {
    watch(None);
    let _ = change(|slot, _| {
        slot.served.request.reset(State::None);
        slot.served.settle();
    });
}

/// The worker's pool, out of the process's title, which a worker of PHP-FPM has before its first request and keeps.
fn titled(pool: &mut Field<64>) -> &[u8] {
    if pool.bytes().is_empty() {
        state::with_title(|title| pool.set(title.strip_prefix(POOL_TITLE).unwrap_or_default()));
    }
    pool.bytes()
}
