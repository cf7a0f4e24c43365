//! The event: one ECS JSON object a line, written into a fixed buffer. No allocation, no I/O, no panic.
#![no_std]
#![forbid(unsafe_code)]

pub mod address;
mod digits;
mod encode;
pub mod journal;
mod json;
mod message;
pub mod seal;
mod time;

pub use encode::encode;
pub use json::{Json, Line, MemberName};
pub use portcullis_policy::{RULE_FACTS as RULES, RuleFacts};

/// The size of the buffer that an encoded event always fits into, newline included, in bytes.
pub const EVENT_MAX: usize = 12288;
/// How many arguments of a program an event shows; `process.args_count` has the real number.
pub const ARGS_SHOWN: usize = 16;

/// `rule.name` of what has no rule of its own: the rule that judges it is named after something else.
const RING: &str = "Web Server Process Using io_uring";
const ROUTE: &str = "Web Server Process Sending Packets Elsewhere Than Address Says";
const CALL: &str = "Web Server Process Making System Call That Portcullis Cannot Judge";

/// Those three, for the schema.
pub const OTHER_TITLES: [&str; 3] = [RING, ROUTE, CALL];

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
    /// A descriptor that is put on standard input or output.
    Descriptor,
    /// PHP settings that a request brings.
    Settings,
    /// The server's own application pool, reached past the server.
    Pool,
    /// The memory of a process, to be written.
    Memory,
    /// A namespace that is made or entered.
    Namespace,
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
        match self.action {
            Action::Ring => RING,
            Action::Route => ROUTE,
            Action::Call => CALL,
            _ => self.rule.name,
        }
    }

    /// `event.severity`: that of the gravest rule that fired.
    #[must_use]
    pub fn severity(&self) -> u8 {
        self.also().fold(self.rule.severity, |most, rule| most.max(rule.severity))
    }

    /// The other rules that fired.
    pub fn also(&self) -> impl Iterator<Item = &'static RuleFacts> + use<> {
        let also = self.also;
        RULES.iter().enumerate().filter(move |(number, _)| also & (1_u16 << (number & 15)) != 0).map(|(_, rule)| rule)
    }
}
