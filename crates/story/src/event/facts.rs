//! What an event says of a call: when it was, what decided it, its outcome, its destination and its command.

use super::{CUT, Event, Origin};
use crate::value::delimited;
use portcullis_event::NOTHING_SENT;
use portcullis_event::field;

/// The longest part of an address, in characters.
const VALUE_MAX: usize = 80;

impl Event {
    /// When it happened, in seconds since 1970; `None` where it does not say.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        crate::time::seconds(self.text(field::TIMESTAMP))
    }

    /// The same in nanoseconds: the time at which the journal received it, and only without one its own word.
    #[must_use]
    pub fn nanoseconds(&self) -> Option<i64> {
        match self.origin {
            Origin::Journal(at) => Some(at),
            Origin::File(_) => crate::time::nanoseconds(self.text(field::TIMESTAMP)),
        }
    }

    /// The rule that decided.
    #[must_use]
    pub fn rule(&self) -> &str {
        self.text(field::RULE_ID)
    }

    /// Every rule that fired, the one that decided first.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.rule()).chain(self.texts(field::ALSO))
    }

    /// What could not be judged; empty where everything was.
    #[must_use]
    pub fn unknown(&self) -> &str {
        self.text(field::UNKNOWN)
    }

    /// The virtual host whose policy decided; empty for the global policy.
    #[must_use]
    pub fn vhost(&self) -> &str {
        self.text(field::VHOST)
    }

    /// Whether the action was blocked.
    #[must_use]
    pub fn blocked(&self) -> bool {
        self.text(field::EVENT_OUTCOME) == "failure"
    }

    /// Whether it is of a UDP socket that was only connected. The detail of other events may be anybody's text.
    #[must_use]
    pub fn sends_nothing(&self) -> bool {
        self.is_connection() && self.text(field::DETAIL).as_bytes() == NOTHING_SENT
    }

    /// Whether it is of a UDP socket that a program inherited, connected.
    #[must_use]
    pub fn is_inherited(&self) -> bool {
        self.is_connection() && self.text(field::DETAIL) == "inherited by a program"
    }

    fn is_connection(&self) -> bool {
        self.text(field::EVENT_ACTION) == "connection_attempted"
    }

    /// Whether it is the guard's word on itself.
    #[must_use]
    pub fn is_of_guard(&self) -> bool {
        self.rule() == "guard-policy"
    }

    /// Whether a program was started, or would have been.
    #[must_use]
    pub fn is_exec(&self) -> bool {
        self.text(field::EVENT_ACTION) == "exec"
    }

    /// Whether it names no address because it is not known. Events from before 0.2.0 say 0.0.0.0:0 then, and what else is not known.
    #[must_use]
    pub fn is_unknown_address(&self) -> bool {
        !self.unknown().is_empty()
            && self.text(field::DESTINATION_IP) == "0.0.0.0"
            && self.number(field::DESTINATION_PORT) == Some(0)
    }

    /// `ADDRESS:PORT` of a destination, a v6 address in brackets; `None` where there is none, or it is not known. Events from before 0.2.0 say
    /// 0.0.0.0:0 for that.
    #[must_use]
    pub fn destination(&self) -> Option<String> {
        if self.is_unknown_address() {
            return None;
        }
        let port = self.number(field::DESTINATION_PORT)?;
        let ip = self.text(field::DESTINATION_IP);
        Some(if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") })
    }

    /// What the call was about, in the fields' words: the command, the destination, the port that is opened, or else the detail. `None` where
    /// no field says, so that only the message does.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        let value = |field| match self.text(field) {
            "" => "".into(),
            text => delimited(text, VALUE_MAX),
        };
        let at = |ip, port: u64| {
            let ip = value(ip);
            let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.into_owned() };
            format!("{ip}:{port}/{}", value(field::NETWORK_TRANSPORT))
        };
        let detail = self.text(field::DETAIL);
        let text = if self.is_exec() {
            self.text(field::PROCESS_COMMAND_LINE).to_owned()
        } else if self.is_connection() && (self.is_unknown_address() || self.number(field::DESTINATION_PORT).is_none())
        {
            format!("an unknown address/{}", value(field::NETWORK_TRANSPORT))
        } else if let Some(port) = self.number(field::DESTINATION_PORT) {
            let domain = self.text(field::DESTINATION_DOMAIN);
            let domain = if domain.is_empty() { String::new() } else { format!(" ({})", delimited(domain, VALUE_MAX)) };
            at(field::DESTINATION_IP, port) + &domain
        } else if let Some(port) = self.number(field::SERVER_PORT) {
            at(field::SERVER_IP, port)
        } else {
            detail.to_owned()
        };
        match self.sends_nothing() || self.is_inherited() {
            true => Some(format!("{text} ({detail})")),
            false => Some(text).filter(|text| !text.is_empty()),
        }
    }

    /// The arguments of the program. One of them that the event has only the beginning of is taken out of the command line, where
    /// that is whole.
    #[must_use]
    pub fn arguments(&self) -> Vec<&str> {
        let mut arguments = self.texts(field::PROCESS_ARGS);
        let line = self.text(field::PROCESS_COMMAND_LINE);
        let mut cut = arguments.iter().enumerate().filter(|(_, argument)| argument.ends_with(CUT)).map(|(at, _)| at);
        let (Some(at), None) = (cut.next(), cut.next()) else { return arguments };
        let length = |words: &[&str]| words.iter().map(|word| word.len() + 1).sum::<usize>();
        let (before, behind) = (length(&arguments[..at]), length(&arguments[at + 1..]));
        let whole =
            line.len().checked_sub(behind).filter(|_| !line.ends_with(CUT)).and_then(|end| line.get(before..end));
        let beginning = arguments[at].trim_end_matches(CUT);
        if let Some(whole) = whole.filter(|whole| whole.starts_with(beginning)) {
            let mut found = arguments.clone();
            found[at] = whole;
            // Nothing but that differs.
            if found.join(" ") == line {
                arguments = found;
            }
        }
        arguments
    }

    /// The text of `sh -c TEXT`, where the program was given one.
    #[must_use]
    pub fn shell_command(&self) -> Option<&str> {
        match self.arguments().as_slice() {
            [_, "-c", command] | [_, "-c", "--", command] => Some(command),
            _ => None,
        }
    }
}
