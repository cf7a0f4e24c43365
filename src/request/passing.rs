//! FastCGI read in passing: PHP-FPM's own accept and reads carry the request.

use super::slot::{self, change, is_watching, watch};
use crate::state;
use portcullis_request::fastcgi::Decoder;
use portcullis_request::{Request, State};

/// How PHP-FPM names a worker that serves a pool.
const POOL_TITLE: &[u8] = b"php-fpm: pool ";

/// The thread waits for its next connection: the request before is over.
pub fn idle() {
    if is_watching() {
        watch(None);
        forget();
    }
}

fn forget() {
    let _ = change(|slot| {
        if !slot.by_module {
            slot.served.request.reset(State::None);
            slot.served.settle();
        }
    });
}

/// The thread accepted the connection `fd`.
pub fn accepted(fd: i32) {
    let fresh = change(|slot| {
        slot.decoder = Decoder::new();
        slot.by_module = false;
        slot.served.request.reset(State::None);
        slot.served.settle();
    });
    watch(fresh.map(|()| fd));
}

/// The thread read these bytes from the connection that is watched.
pub fn fed(bytes: &[u8]) {
    let dead = change(|slot| {
        let slot::Slot { decoder, served, .. } = slot;
        let before = served.request.state;
        let known = decoder.feed(bytes, &mut served.request);
        if known {
            pool(&mut served.request);
        }
        if known || served.request.state != before {
            served.settle();
        }
        if decoder.is_dead() && !decoder.has_begun() {
            // It is no FastCGI.
            served.request.reset(State::None);
        }
        decoder.is_dead()
    });
    // What is dead stays unknown until the next connection.
    if dead == Some(true) && slot::current(|served| served.request.state) == State::None {
        watch(None);
    }
}

/// Takes the pool out of the process's title.
fn pool(request: &mut Request) {
    state::with_title(|title| {
        if let Some(name) = title.strip_prefix(POOL_TITLE) {
            request.pool.set(name);
        }
    });
}
