//! The event: one ECS JSON object a line, written into a fixed buffer. No allocation, no I/O, no panic.
#![no_std]
#![forbid(unsafe_code)]

mod action;
pub mod address;
mod digits;
mod encode;
pub mod field;
mod format_characters;
pub mod journal;
mod json;
mod message;
pub mod seal;
mod time;

pub use action::{Action, OTHER_TITLES, SHARED_ACTIONS, UNRULED_ACTIONS};
pub use encode::encode;
pub use json::{Json, Line, MemberName};
pub use portcullis_policy::{RULE_FACTS as RULES, RuleFacts};

/// The size of the buffer that an encoded event always fits into, newline included, in bytes.
pub const EVENT_MAX: usize = 12288;
/// How many arguments of a program an event shows; `process.args_count` has the real number.
pub const ARGS_SHOWN: usize = 16;

/// The detail of the connect of a UDP socket whose verdict is only logged: what is sent there has events of its own, where a hook sees it.
pub const NOTHING_SENT: &[u8] = b"nothing sent yet";
/// The severity of such an event, whatever its rules' is: Elastic's low.
const SEVERITY_OF_NOTHING: u8 = 21;

/// The guard's word on itself: its policy is not what the configuration asks for.
pub const GUARD_POLICY: RuleFacts = RuleFacts {
    id: "guard-policy",
    name: "Portcullis Policy Not As Configured",
    severity: 73,
    techniques: &[],
    subtechniques: &[],
    category: "process",
};

/// A process as an event shows it; what is unknown is empty or 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process<'a> {
    /// `process.pid`
    pub pid: u32,
    /// `process.name`
    pub name: &'a [u8],
    /// `process.executable`
    pub executable: &'a [u8],
    /// `process.working_directory`
    pub working_directory: &'a [u8],
    /// The first [`ARGS_SHOWN`] arguments.
    pub args: &'a [&'a [u8]],
    /// `process.args_count`
    pub args_count: u32,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// `destination.ip` or `server.ip`; `None` where the address is not known, and neither is the port.
    pub ip: Option<core::net::IpAddr>,
    /// `destination.port` or `server.port`
    pub port: u16,
    /// `network.transport`: `tcp`, `udp`, `icmp`, ...
    pub transport: &'static str,
    /// `destination.domain`: the name that the process resolved to the address last; may be empty.
    pub domain: &'a [u8],
}

/// The fields of the request behind the action. Unknown fields are empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFields<'a> {
    /// `none`, `known`, `unknown` or `lost`.
    pub state: &'static str,
    /// Who said what the request is: `module`, `nginx`, `apache`, `unknown`.
    pub source: &'static str,
    /// The virtual host of the policy.
    pub vhost: &'a [u8],
    /// `url.domain`
    pub server_name: &'a [u8],
    /// Absolute path.
    pub document_root: &'a [u8],
    /// Absolute path.
    pub script: &'a [u8],
    /// `http.request.id`; 0 for none
    pub id: u64,
    /// `http.request.method`
    pub method: &'a [u8],
    /// `url.original`
    pub uri: &'a [u8],
    /// `client.address`, and `client.ip` where it is one.
    pub client: &'a [u8],
    /// PHP-FPM's pool.
    pub pool: &'a [u8],
    /// The profile that the server's configuration names.
    pub profile: &'a [u8],
}

/// The record of a verdict that is not a plain allow.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Time in nanoseconds since 1970.
    pub time: u64,
    /// Names the process whose counter `sequence` is.
    pub stream: u64,
    /// Counts the events of the stream from 1.
    pub sequence: u64,
    /// Events of the stream that no sink took, up to now.
    pub dropped: u64,
    /// Events of the stream that were merged into others, up to now.
    pub merged: u64,
    /// The rule that decided.
    pub rule: &'a RuleFacts,
    /// The other rules that fired, a bit for each by its number in [`RULES`].
    pub also: u16,
    /// `audit` or `enforce`.
    pub mode: &'static str,
    /// Whether the call was refused.
    pub refused: bool,
    /// What the process does.
    pub action: Action<'a>,
    /// What exactly it was that a rule is about: a variable, an address, a setting; may be empty.
    pub detail: &'a [u8],
    /// Who saw it: `libc` or `backstop`.
    pub layer: &'static str,
    /// Why the guard will not be in the new program: `static`, `setuid`, `foreign`; empty where it will.
    pub unguarded: &'static str,
    /// What could not be judged, a word of `portcullis_policy::Unknown`; empty where everything was.
    pub unknown: &'static str,
    /// `master`, `serving` or `descendant`.
    pub role: &'static str,
    /// The programs that led here, `php-fpm > sh > curl`.
    pub chain: &'a [u8],
    /// Who is being served.
    pub served: RequestFields<'a>,
    /// The sentence that the policy has for such events.
    pub why: &'a [u8],
    /// The clause of the policy that decided.
    pub clause: &'a [u8],
    /// The clause's file; empty for what is built in.
    pub clause_file: &'a [u8],
    /// The clause's line.
    pub clause_line: u32,
    /// The process; for an exec the one that the new program will be.
    pub process: Process<'a>,
    /// The process it comes from.
    pub parent: Process<'a>,
    /// Effective user.
    pub uid: u32,
    /// Its name.
    pub user: &'a [u8],
    /// Host name.
    pub host: &'a [u8],
}

impl Event<'_> {
    /// `rule.name`: what the rule is about, or what is done where that is something else than the rule is named after.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.action.title().unwrap_or(self.rule.name)
    }

    /// `event.severity`: that of the gravest rule that fired; low where nothing was sent yet.
    #[must_use]
    #[inline(never)]
    pub fn severity(&self) -> u8 {
        if matches!(self.action, Action::Connect(_)) && self.detail == NOTHING_SENT {
            return SEVERITY_OF_NOTHING;
        }
        self.also().fold(self.rule.severity, |most, rule| most.max(rule.severity))
    }

    /// The other rules that fired.
    pub fn also(&self) -> impl Iterator<Item = &'static RuleFacts> + use<> {
        let also = self.also;
        RULES.iter().enumerate().filter(move |(number, _)| also & (1_u16 << (number & 15)) != 0).map(|(_, rule)| rule)
    }
}
