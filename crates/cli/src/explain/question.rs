//! What is asked: an action, of the command line's or of an event's, and the verdict on it.

use super::program::Started;
use crate::log::Event;
use portcullis_event::field;
use portcullis_policy::egress::{Connection, Step, Transport};
use portcullis_policy::name::HostName;
use portcullis_policy::{Outcome, Policy, Rule, Unknown, Verdict};
use std::net::SocketAddr;

/// An action.
pub enum Question {
    /// A connection, or where `sends` a datagram to an address.
    Connect {
        /// Its destination.
        to: SocketAddr,
        /// Its socket's kind.
        transport: Transport,
        /// Something is sent.
        sends: bool,
        /// A UDP socket is connected, of which the hooks judge what is sent.
        is_quiet: bool,
        /// The name that was resolved to the address.
        name: Box<HostName>,
    },
    /// A program.
    Exec(Box<Started>),
    /// A port that is opened.
    Listen(u16),
    /// PHP's settings, lines of them; `None` where the event has only the beginning.
    Settings(Option<String>),
    /// What a rule without a list is about.
    Plain(Rule),
    /// A namespace, by the program with this real path.
    Namespace(String),
    /// An io_uring.
    Ring,
    /// Something that could not be judged, which these rules are about.
    Unknown(Unknown, u16),
}

/// The rule that alone is about an action, by `event.action`.
pub fn rule_of(action: &str) -> Option<Rule> {
    Rule::ALL.into_iter().find(|rule| rule.own_action().is_some_and(|own| own.word == action.as_bytes()))
}

/// What could not be judged, by its word.
pub fn unknown(word: &str) -> Option<Unknown> {
    Unknown::ALL.into_iter().find(|what| !word.is_empty() && what.word() == word)
}

impl Question {
    /// A connection that is made. Of a UDP socket, what is sent on it is judged, which a connect alone sends nothing of.
    pub fn connect(to: SocketAddr, transport: Transport, name: &[u8]) -> Question {
        let sends = transport == Transport::Datagram;
        Question::Connect { to, transport, sends, is_quiet: false, name: Box::new(HostName::of(name)) }
    }

    /// What an event is about.
    pub fn of(event: &Event) -> Result<Question, String> {
        let action = event.text(field::EVENT_ACTION);
        let what = unknown(event.unknown());
        // An action on which nothing but that is known.
        if let Some(what) = what
            && let Some(rules) = unknown_of(action)
        {
            return Ok(Question::Unknown(what, rules));
        }
        Ok(match action {
            "connection_attempted" => destination(event).ok_or("the event names no destination")?,
            "exec" => match what {
                // Whatever else there was to it, that decided.
                Some(what) if event.text(field::CLAUSE) == what.clause() => Question::Unknown(what, u16::MAX),
                _ => Question::Exec(Box::new(Started::of(event)?)),
            },
            "listen" => match event.number(field::SERVER_PORT).and_then(|port| u16::try_from(port).ok()) {
                Some(port) => Question::Listen(port),
                None => return Err("the event names no port".to_owned()),
            },
            "php_setting" => {
                let lines = event.text(field::DETAIL);
                Question::Settings((!lines.ends_with('\u{2026}')).then(|| lines.to_owned()))
            }
            "namespace" => Question::Namespace(event.text(field::PROCESS_EXECUTABLE).to_owned()),
            "io_uring_setup" => Question::Ring,
            "system_call" => Question::Unknown(Unknown::SystemCall, u16::MAX),
            "merged" if event.text(field::LIKE).is_empty() => {
                return Err(
                    "the event is the count of calls of several kinds, and no event has their details; help: with \
                     `merge = false` in `[log]` every call has an event"
                        .to_owned(),
                );
            }
            "merged" => {
                return Err(format!(
                    "the event is the count of calls like those of event {}; help: explain that event",
                    event.text(field::LIKE)
                ));
            }
            "policy_fallback" => {
                return Err("the event is about Portcullis itself, on which no policy decides; help: portcullis check"
                    .to_owned());
            }
            // An event that was made shorter.
            "" => match destination(event) {
                Some(question) => question,
                None => Question::Exec(Box::new(Started::of(event)?)),
            },
            other => match rule_of(other).filter(|rule| rule.is_plain()) {
                Some(rule) => Question::Plain(rule),
                None => return Err(format!("cannot explain the action `{other}`: this version does not know it")),
            },
        })
    }

    /// The verdict in a scope, and the steps to it, as far as there is more than one.
    pub fn decide(&self, policy: &Policy<'_>, scope: u32) -> (Verdict, Vec<Step>) {
        match self {
            Question::Connect { to, transport, sends, name, .. } => {
                let to = Connection { address: to.ip(), port: to.port(), sends: *sends };
                (self.verdict(policy, scope), policy.steps_connect(scope, to, *transport, name).to_vec())
            }
            Question::Exec(started) => started.decide(policy, scope),
            _ => (self.verdict(policy, scope), Vec::new()),
        }
    }

    /// The verdict alone.
    fn verdict(&self, policy: &Policy<'_>, scope: u32) -> Verdict {
        match self {
            Question::Connect { to, transport, sends, name, .. } => {
                let to = Connection { address: to.ip(), port: to.port(), sends: *sends };
                policy.decide_connect(scope, to, || *transport, || **name)
            }
            Question::Exec(started) => started.verdict(policy, scope),
            Question::Listen(port) => policy.decide_listen(scope, *port),
            Question::Settings(lines) => policy.decide_settings(scope, lines.as_ref().map(|lines| lines.as_bytes())),
            Question::Plain(rule) => policy.decide_plain(scope, *rule),
            Question::Namespace(program) => policy.decide_namespace(scope, program.as_bytes()),
            Question::Ring => policy.decide_plain(scope, Rule::EgressPort),
            Question::Unknown(what, rules) => policy.decide_unknown(scope, *what, *rules),
        }
    }

    /// Whether a rule of a policy is against it in a scope.
    pub fn fires(&self, policy: &Policy<'_>, scope: u32) -> bool {
        self.verdict(policy, scope).outcome != Outcome::Allow
    }

    /// Whether a policy would write an event of it in a scope.
    pub fn has_event(&self, policy: &Policy<'_>, scope: u32) -> bool {
        let outcome = self.verdict(policy, scope).outcome;
        match self {
            // Where what is sent is refused, the connect is not: the send has the event.
            Question::Connect { to, transport, is_quiet: true, name, .. } => {
                let alone = Connection { address: to.ip(), port: to.port(), sends: false };
                let connected = policy.decide_connect(scope, alone, || *transport, || **name).outcome;
                outcome == Outcome::Audit && connected == Outcome::Audit
            }
            _ => outcome != Outcome::Allow,
        }
    }

    /// Whether it is the connect of a UDP socket, of which what is sent is judged.
    pub fn is_quiet(&self) -> bool {
        matches!(self, Question::Connect { is_quiet: true, .. })
    }
}

/// The rules that are about an action of which something is not known, a bit for each; `None` for a program, of which more
/// is known. As src/judge/mod.rs has it.
fn unknown_of(action: &str) -> Option<u16> {
    Some(match action {
        "connection_attempted" | "socket_route" => !Rule::ListenPort.bit(),
        "listen" => Rule::ListenPort.bit(),
        "io_uring_setup" => Rule::EgressPort.bit(),
        "system_call" => u16::MAX,
        own => rule_of(own)?.bit(),
    })
}

/// Whether the message of an event says that a datagram was sent.
pub fn is_datagram_sent(event: &Event) -> bool {
    let deed = event.text(field::MESSAGE).strip_prefix(event.text(field::CHAIN)).unwrap_or_default();
    [" sends a datagram", " was denied a datagram", " was refused a datagram"]
        .iter()
        .any(|deed_of| deed.starts_with(deed_of))
}

fn destination(event: &Event) -> Option<Question> {
    let port = event.number(field::DESTINATION_PORT).and_then(|port| u16::try_from(port).ok())?;
    let ip = event.text(field::DESTINATION_IP).parse().ok()?;
    let is_datagram = event.text(field::NETWORK_TRANSPORT) == "udp";
    // What a connect of a datagram socket may do because it sends nothing, a datagram may not.
    // A program inherits the socket, and may send.
    let sends = is_datagram_sent(event) || event.is_inherited();
    let is_quiet = event.sends_nothing();
    Some(Question::Connect {
        to: SocketAddr::new(ip, port),
        transport: if is_datagram { Transport::Datagram } else { Transport::Stream },
        sends: sends || is_quiet,
        is_quiet,
        name: Box::new(HostName::of(event.text(field::DESTINATION_DOMAIN).as_bytes())),
    })
}
