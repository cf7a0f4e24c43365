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
use serde::{Deserialize, Serialize};

/// The list of this machine.
pub const LIST: &str = "/var/lib/portcullis/probes";
/// What every token begins with. Anybody can write that: it says what to look up, and nothing more.
const MARK: &str = "portcullis-doctor-";
/// The digits of a token, 128 bits.
const DIGITS: usize = 32;
/// The address that probes connect to.
pub const ADDRESS: &str = "0.0.0.1";

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
    ["/url/original", "/process/command_line", "/process/parent/command_line"].map(|path| event.text(path))
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
}

/// Events that a probe is to cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    pub by: By,
    pub deed: Deed,
    /// How many.
    pub count: usize,
}

impl Expected {
    /// One shell, of the one that this system has.
    pub fn shell(by: By) -> Expected {
        let shell = std::fs::canonicalize("/bin/sh").unwrap_or_else(|_| "/bin/sh".into());
        Expected { by, deed: Deed::Shell(shell.display().to_string()), count: 1 }
    }

    /// Connections.
    pub fn connections(by: By, port: u16, transport: &str, count: usize) -> Expected {
        Expected { by, deed: Deed::Connection(port, transport.to_owned()), count }
    }

    /// Whether an event has the form of these.
    fn has_form_of(&self, event: &Event, token: &str) -> bool {
        // One rule alone: what fires another as well is more than a probe.
        let is_alone = |rule: &str| event.rule() == rule && event.texts("/portcullis/also").is_empty();
        let is_known = event.unknown().is_empty()
            && event.contradicted().is_empty()
            && event.text("/portcullis/layer") == "libc"
            && event.value().pointer("/portcullis/repeated").is_none();
        let (done, process) = match &self.deed {
            Deed::Shell(program) => {
                let command = format!(": {token}");
                let done = is_alone("shell-spawn")
                    && event.is_exec()
                    && event.text("/process/executable") == program
                    && event.texts("/process/args") == ["sh", "-c", &command]
                    && event.number("/process/args_count") == Some(3);
                (done, "/process/parent/command_line")
            }
            Deed::Connection(port, transport) => {
                let done = is_alone("egress-port")
                    && event.text("/event/action") == "connection_attempted"
                    && event.text("/destination/ip") == ADDRESS
                    && event.number("/destination/port") == Some(u64::from(*port))
                    && event.text("/destination/domain").is_empty()
                    && event.text("/network/transport") == transport;
                (done, "/process/command_line")
            }
        };
        is_known
            && done
            && match &self.by {
                By::Uri(uri) => event.text("/url/original") == uri,
                By::Process(line) => event.text(process) == line,
            }
    }
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
        let when: Timestamp = event.text("/@timestamp").parse().ok()?;
        if !(self.from..=self.until).contains(&when) {
            return None;
        }
        self.expected.iter().position(|expected| expected.has_form_of(event, &self.token))
    }
}
