//! The actions: what an event can be about, and all that its kind decides of the event. Those that one rule alone is about are in
//! the table of rules.

use crate::{Endpoint, RuleFacts};
use portcullis_policy::{OwnAction, Rule};

/// `rule.name` of what has no rule of its own: the rule that judges it is named after something else.
const RING: &str = "Web Server Process Using io_uring";
const ROUTE: &str = "Web Server Process Sending Packets Elsewhere Than Address Says";
const CALL: &str = "Web Server Process Making System Call That Portcullis Cannot Judge";

const NETWORK: &str = "network";
const PROCESS: &str = "process";

/// Those three, for the schema.
pub const OTHER_TITLES: [&str; 3] = [RING, ROUTE, CALL];

/// `event.action` of the actions that several rules are about, or none: those before the rules' own, and those after them, in the
/// order of docs/events.md.
pub const SHARED_ACTIONS: [&str; 4] = ["connection_attempted", "socket_route", "listen", "exec"];
/// See [`SHARED_ACTIONS`].
pub const UNRULED_ACTIONS: [&str; 4] = ["io_uring_setup", "system_call", "merged", "policy_fallback"];

/// What kind of action the event is about.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// A connection.
    Connect(Endpoint<'a>),
    /// A datagram to an address.
    Send(Endpoint<'a>),
    /// What sends a socket's packets elsewhere than its address says.
    Route,
    /// A port that is opened.
    Listen(Endpoint<'a>),
    /// A program.
    Exec,
    /// What only one rule is about; the table of rules has its words.
    Own(Rule),
    /// A ring through which things are done without system calls.
    Ring,
    /// A system call that is not decoded.
    Call,
    /// Calls of a kind of which the first have events of their own.
    Merged {
        /// How many they are.
        count: u64,
        /// `event.sequence` of the event that they are like; 0 where they are of several kinds.
        like: u64,
    },
    /// The guard itself; the sentence says what it is about.
    Guard(&'static str),
}

impl Action<'_> {
    /// Calls `part` with what tells one action from another of its kind.
    pub fn each_part(&self, mut part: impl FnMut(&[u8])) {
        if let Action::Connect(at) | Action::Send(at) | Action::Listen(at) = self {
            match at.ip {
                Some(core::net::IpAddr::V4(ip)) => part(&ip.octets()),
                Some(core::net::IpAddr::V6(ip)) => part(&ip.octets()),
                None => {}
            }
            part(&at.port.to_le_bytes());
            part(at.transport.as_bytes());
            part(at.domain);
        }
    }

    /// `rule.name`, where it is about something else than the rule is named after.
    pub(crate) fn title(&self) -> Option<&'static str> {
        match self {
            Action::Ring => Some(RING),
            Action::Route => Some(ROUTE),
            Action::Call => Some(CALL),
            _ => None,
        }
    }

    /// `event.action`
    pub(crate) fn word(&self) -> &'static [u8] {
        match self {
            Action::Connect(_) | Action::Send(_) => b"connection_attempted",
            Action::Route => b"socket_route",
            Action::Listen(_) => b"listen",
            Action::Exec => b"exec",
            Action::Own(rule) => rule.own_action().map_or(b"", |own| own.word),
            Action::Ring => b"io_uring_setup",
            Action::Call => b"system_call",
            Action::Merged { .. } => b"merged",
            Action::Guard(_) => b"policy_fallback",
        }
    }

    /// `event.category`
    pub(crate) fn category(&self, rule: &RuleFacts) -> &'static str {
        match self {
            Action::Connect(_) | Action::Send(_) | Action::Route | Action::Listen(_) => NETWORK,
            Action::Exec | Action::Ring | Action::Call => PROCESS,
            Action::Own(_) | Action::Merged { .. } => rule.category,
            Action::Guard(_) => "configuration",
        }
    }

    /// `event.type`: of what is done, and in addition of what is refused; empty for none.
    pub(crate) fn types(&self, category: &'static str) -> (&'static str, &'static str) {
        match self {
            Action::Merged { .. } | Action::Guard(_) => ("info", ""),
            Action::Route => ("info", "denied"),
            Action::Exec => ("start", "info"),
            _ if category == NETWORK => ("start", "denied"),
            // ECS has no "denied" for processes.
            _ if category == PROCESS => ("change", "info"),
            _ => ("change", ""),
        }
    }

    /// The words of `message`, where they are those of a plain action: what is done, to what, with the event's detail at the end.
    pub(crate) fn sentence(&self) -> Option<OwnAction> {
        match self {
            Action::Own(rule) => rule.own_action(),
            Action::Route => Some(OwnAction {
                word: b"",
                refused: b" was denied to set ",
                proceeds: b" sets ",
                object: b"where a socket's packets go: ",
            }),
            _ => None,
        }
    }
}
