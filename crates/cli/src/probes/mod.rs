//! Probes of `portcullis doctor`: which events they cause, so that readers can leave exactly these out.
//!
//! **Invariants**: a word in an event is not trusted. An event is a probe's only if root's list has the token, the event lies in the
//! probe's time, it is of the probe's form in everything that decides what was done, and no other event took its place. What differs in
//! anything is shown.
//!
//! **Why**: the worker sees the token in its own request, and may put it into whatever it does.

mod left;
mod list;

pub use left::Left;
pub use list::{Entry, open};

use crate::log::Event;
use jiff::Timestamp;
use portcullis_event::field;
use serde::{Deserialize, Serialize};

/// The list of this machine.
pub const LIST: &str = "/var/lib/portcullis/probes";
/// What every token begins with. Anybody can write that: it says what to look up, and nothing more.
const MARK: &str = "portcullis-doctor-";
/// The digits of a token, 128 bits.
const DIGITS: usize = 32;
/// The address that probes connect to.
pub const ADDRESS: &str = "0.0.0.1";

/// The most events that the library writes of itself in a probe.
const GUARD_MAX: usize = 8;

/// A token of 128 random bits, with its mark.
pub fn token() -> std::io::Result<String> {
    let bytes: [u8; DIGITS / 2] = random()?;
    Ok(bytes.iter().fold(MARK.to_owned(), |token, byte| token + &format!("{byte:02x}")))
}

/// Random bytes of the kernel's.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

/// The tokens in a text.
fn tokens_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(MARK).filter_map(|(at, _)| {
        let token = text.get(at..at + MARK.len() + DIGITS)?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        token.bytes().skip(MARK.len()).all(is_hex).then_some(token)
    })
}

/// The texts of an event that can have the token of a probe.
fn texts(event: &Event) -> [&str; 3] {
    [field::URL_ORIGINAL, field::PROCESS_COMMAND_LINE, field::PARENT_COMMAND_LINE].map(|path| event.text(path))
}

/// Whether an event says of itself that it is of a probe.
pub fn is_marked(event: &Event) -> bool {
    texts(event).iter().any(|text| text.contains(MARK))
}

/// How an event shows who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The URI of the request, as a whole.
    Uri(String),
    /// The command line of the process, as a whole.
    Process(String),
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It starts this program as `sh -c ': TOKEN'`.
    Shell(String),
    /// It connects to this port, by this transport.
    Connection(u16, String),
    /// The library writes of itself, in the process of the probe or in its shell, this program.
    Guard(String),
}

/// Events that a probe is to cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    pub by: By,
    pub deed: Deed,
    /// How many.
    pub count: usize,
}

/// The shell that this system has.
fn shell() -> String {
    std::fs::canonicalize("/bin/sh").unwrap_or_else(|_| "/bin/sh".into()).display().to_string()
}

impl Expected {
    /// One shell, of the one that this system has.
    pub fn shell(by: By) -> Expected {
        Expected { by, deed: Deed::Shell(shell()), count: 1 }
    }

    /// What the library writes of itself: why the policy in force is not the configured one, that events have no seal.
    pub fn guard(by: By) -> Expected {
        Expected { by, deed: Deed::Guard(shell()), count: GUARD_MAX }
    }

    /// Connections.
    pub fn connections(by: By, port: u16, transport: &str, count: usize) -> Expected {
        Expected { by, deed: Deed::Connection(port, transport.to_owned()), count }
    }

    /// Whether an event has the form of these.
    fn has_form_of(&self, event: &Event, token: &str) -> bool {
        // One rule alone: what fires another as well is more than a probe.
        let is_alone = |rule: &str| event.rule() == rule && event.texts(field::ALSO).is_empty();
        if let Deed::Guard(shell) = &self.deed {
            return self.is_of_library(event, shell, token);
        }
        let is_known = event.unknown().is_empty()
            && event.contradicted().is_empty()
            && event.text(field::LAYER) == "libc"
            && event.value().pointer(field::REPEATED.pointer).is_none();
        let (done, process) = match &self.deed {
            Deed::Shell(program) => {
                let done = is_alone("shell-spawn") && event.is_exec() && is_shell(event, program, token);
                (done, field::PARENT_COMMAND_LINE)
            }
            Deed::Connection(port, transport) => {
                let done = is_alone("egress-port")
                    && event.text(field::EVENT_ACTION) == "connection_attempted"
                    && event.text(field::DESTINATION_IP) == ADDRESS
                    && event.number(field::DESTINATION_PORT) == Some(u64::from(*port))
                    && event.text(field::DESTINATION_DOMAIN).is_empty()
                    && event.text(field::NETWORK_TRANSPORT) == transport;
                (done, field::PROCESS_COMMAND_LINE)
            }
            Deed::Guard(_) => (false, field::PROCESS_COMMAND_LINE),
        };
        is_known
            && done
            && match &self.by {
                By::Uri(uri) => event.text(field::URL_ORIGINAL) == uri,
                By::Process(line) => event.text(process) == line,
            }
    }

    /// Whether an event is the library's word on itself, in a process of the probe's. It decides about no action, and has no request.
    fn is_of_library(&self, event: &Event, shell: &str, token: &str) -> bool {
        let is_own = match &self.by {
            By::Process(line) => event.text(field::PROCESS_COMMAND_LINE) == line,
            By::Uri(_) => false,
        };
        event.is_of_guard()
            && event.text(field::EVENT_ACTION) == "policy_fallback"
            && event.texts(field::ALSO).is_empty()
            && event.contradicted().is_empty()
            && event.text(field::LAYER) == "libc"
            && event.value().pointer(field::REPEATED.pointer).is_none()
            && (is_own || is_shell(event, shell, token))
    }
}

/// Whether the process of an event is the shell of a probe.
fn is_shell(event: &Event, program: &str, token: &str) -> bool {
    event.text(field::PROCESS_EXECUTABLE) == program
        && event.texts(field::PROCESS_ARGS) == ["sh", "-c", &format!(": {token}")]
        && event.number(field::PROCESS_ARGS_COUNT) == Some(3)
}

/// A probe: its token, when it ran, and what it was to cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub token: String,
    pub from: Timestamp,
    pub until: Timestamp,
    pub expected: Vec<Expected>,
}

impl Probe {
    /// Which of its events this is.
    pub fn place_of(&self, event: &Event) -> Option<usize> {
        let when: Timestamp = event.text(field::TIMESTAMP).parse().ok()?;
        if !(self.from..=self.until).contains(&when) {
            return None;
        }
        self.expected.iter().position(|expected| expected.has_form_of(event, &self.token))
    }
}
