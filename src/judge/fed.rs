//! Judges what a request brings that was read in passing (`request::fed`).

use crate::action::{Actor, Decision};
use crate::judge;
use crate::memory::StringBuf;
use crate::request::{self, ReceivedRequest};
use portcullis_policy::Rule;

/// Judges it; what is refused is forgotten.
#[inline]
pub fn fed(fed: ReceivedRequest) -> Decision {
    if fed.within_by == 0 && !fed.is_malformed && !fed.brings_settings { Ok(()) } else { brought(fed) }
}

#[cold]
#[inline(never)]
fn brought(fed: ReceivedRequest) -> Decision {
    let within = match fed.within_by {
        0 => Ok(()),
        pid => {
            let mut detail = StringBuf::<64>::of(b"a request from the pool's own tree: process ");
            detail.number(u64::from(pid));
            request::current(|served| judge::plain(Rule::FpmSocket, Actor::This, served, None, detail.bytes()))
        }
    };
    let decision = match (fed.is_malformed, fed.brings_settings) {
        // Which settings it brings cannot be told either.
        (true, _) => request::current(judge::unknown_settings),
        (false, true) => request::current(judge::settings),
        (false, false) => Ok(()),
    };
    within.and(decision).inspect_err(|_| request::refused())
}
