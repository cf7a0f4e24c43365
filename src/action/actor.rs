//! Who does what is judged.

use crate::action::Place;
use crate::process::state::{self, Role};
use core::cell::Cell;
use portcullis_policy::Outcome;

/// Who makes the call.
#[derive(Clone, Copy)]
pub enum Actor<'b> {
    /// This process, as its hooks see it.
    This,
    /// The same once more, immediately before the call: there is no event.
    Again,
    /// Another one, as the supervisor sees it.
    Other(&'b Other<'b>),
}

/// A process that the supervisor judges.
pub struct Other<'b> {
    /// Its number.
    pub pid: u32,
    /// Its thread at hand: what /proc shows of it is this one's view.
    pub thread: u32,
    /// Its parent's.
    pub parent: u32,
    /// What it is.
    pub role: Role,
    /// The programs that led to it, itself included.
    pub chain: &'b [u8],
    /// Effective user and group.
    pub user: (u32, u32),
    /// Where it is, for what it starts.
    pub place: Option<&'b Place>,
    /// A hook has written the event of what it does.
    pub told: bool,
    /// Becomes true with an event.
    pub written: &'b Cell<bool>,
}

impl Actor<'_> {
    /// Whether an event of what went ahead is to be written here: a call has one. `supervised` is what the supervisor sees too.
    pub fn writes(self, outcome: Outcome, supervised: bool) -> bool {
        match self {
            _ if outcome == Outcome::Allow => false,
            Actor::Again => false,
            Actor::This => outcome == Outcome::Deny || !supervised || !state::is_judged_elsewhere(),
            Actor::Other(other) => {
                other.written.set(true);
                outcome == Outcome::Deny || !other.told
            }
        }
    }
}

/// An operation on a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SocketOperation {
    /// It is connected.
    Connect,
    /// Something is sent to an address; true where that may connect it (MSG_FASTOPEN).
    Send(bool),
}
