//! One event, as it was written.

use super::journal::CONTRADICTED;
use portcullis_event::NOTHING_SENT;
use portcullis_event::field::{self, Field};
use serde_json::{Map, Value};

/// What an event has at the end of a text of which it has only the beginning.
pub const CUT: char = '\u{2026}';

/// Where a reader says that an event is of a probe of `doctor`.
const PROBE: &str = "probe";

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    value: Value,
    size: usize,
    /// Its line, where that is kept.
    line: Option<Box<str>>,
    origin: Origin,
}

/// Where an event was read, which it does not say itself.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// In this one of the files.
    File(usize),
    /// In the journal, which received it then: nanoseconds since 1970.
    Journal(i64),
}

/// How each event begins; inside of one it cannot be, since there each quote has a backslash before it.
const START: &[u8] = b"{\"@timestamp\":\"";

impl Event {
    /// Reads a line; `None` for an empty one.
    pub fn parse(line: &[u8]) -> Option<Result<Event, String>> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return None;
        }
        Some(match serde_json::from_slice(line) {
            Ok(value @ Value::Object(_)) => Ok(Event { value, size: line.len(), line: None, origin: Origin::File(0) }),
            Ok(_) => Err("it is JSON, but no object".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Calls `each` with what a line of a log has: an event, or why it is none, and the part of the line that it is of. A process that ends
    /// in the middle of its write leaves half a line, and the next events stand behind it.
    pub fn each_in(line: &[u8], mut each: impl FnMut(Result<Event, String>, &[u8])) {
        let Some(event) = Event::parse(line) else { return };
        let is_one = event.is_ok();
        each(event, line);
        if is_one {
            return;
        }
        let starts: Vec<usize> =
            line.windows(START.len()).enumerate().filter(|(_, part)| *part == START).map(|(at, _)| at).collect();
        let ends = starts.iter().skip(1).copied().chain([line.len()]);
        for (start, end) in starts.iter().copied().zip(ends) {
            let part = &line[start..end];
            if let Some(event @ Ok(_)) = Event::parse(part) {
                each(event, part);
            }
        }
    }

    /// An event that is there already.
    #[cfg(test)]
    pub fn of(value: Value) -> Event {
        Event { value, size: 0, line: None, origin: Origin::File(0) }
    }

    /// With the line that it was read from.
    pub fn with_line(self, line: &[u8]) -> Event {
        Event { line: std::str::from_utf8(line.trim_ascii()).ok().map(Box::from), ..self }
    }

    /// As it was read there.
    pub fn read_in(self, origin: Origin) -> Event {
        Event { origin, ..self }
    }

    /// Where it was read.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The line that it was read from, where that is kept.
    pub fn line(&self) -> Option<&[u8]> {
        self.line.as_deref().map(str::as_bytes)
    }

    /// As it was written, in JSON of one line; put together again where its line was not kept or something was added to it.
    pub fn written(&self) -> String {
        let is_plain = |line: &&str| self.contradicted().is_empty() && !line.chars().any(|one| one.is_ascii_control());
        match self.line.as_deref().filter(is_plain) {
            Some(line) => crate::out::ascii(line),
            None => crate::out::json(&self.value, false),
        }
    }

    /// How long it was as a line, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What it takes in memory, in bytes, about: an event of a few fields takes many times its line.
    pub fn weight(&self) -> usize {
        weight(&self.value) + self.line.as_ref().map_or(0, |line| line.len())
    }

    /// All of it.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// For how many calls it stands: itself, and those that were merged into it.
    pub fn count(&self) -> usize {
        // Whoever may write to the log may claim any number: sums are not to overflow.
        let repeated = self.number(field::REPEATED).unwrap_or(0).min(u64::from(u32::MAX));
        (repeated as usize).saturating_add(usize::from(!self.is_of_merged()))
    }

    /// Whether it only says how many calls were like those of another event.
    pub fn is_of_merged(&self) -> bool {
        self.text(field::EVENT_ACTION) == "merged"
    }

    /// Adds calls that were like its own.
    pub fn add(&mut self, calls: usize) {
        let repeated = self.count().saturating_sub(1).saturating_add(calls);
        if let Some(own) = self.value.get_mut("portcullis").and_then(Value::as_object_mut) {
            own.insert("repeated".to_owned(), repeated.into());
        }
    }

    /// Puts in what differs from what the journal vouches for, in place of what is there.
    pub fn contradict(&mut self, found: Map<String, Value>) {
        let Some(all) = self.value.as_object_mut() else { return };
        if !found.is_empty() && !all.get("portcullis").is_some_and(Value::is_object) {
            all.insert("portcullis".to_owned(), Value::Object(Map::new()));
        }
        if let Some(own) = all.get_mut("portcullis").and_then(Value::as_object_mut) {
            own.remove(CONTRADICTED);
            if !found.is_empty() {
                own.insert(CONTRADICTED.to_owned(), Value::Object(found));
            }
        }
    }

    /// What the journal says otherwise of its sender: the event's field, and the journal's value.
    pub fn contradicted(&self) -> Vec<(String, String)> {
        let found = self.value.pointer("/portcullis").and_then(|own| own.get(CONTRADICTED)).and_then(Value::as_object);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        found.into_iter().flatten().map(|(field, value)| (field.clone(), text(value))).collect()
    }

    /// Says that it is of a probe of `doctor`, or takes away that it says so itself.
    pub fn mark_as_probe(&mut self, is_probe: bool) {
        if let Some(own) = self.value.get_mut("portcullis").and_then(Value::as_object_mut) {
            own.remove(PROBE);
            if is_probe {
                self.line = None;
                own.insert(PROBE.to_owned(), true.into());
            }
        }
    }

    /// Whether a reader has found that it is of a probe of `doctor`.
    #[cfg(test)]
    pub fn is_probe(&self) -> bool {
        self.value.pointer("/portcullis/probe").is_some()
    }

    /// The string in a field; empty where there is none.
    pub fn text(&self, field: Field) -> &str {
        self.value.pointer(field.pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number, likewise.
    pub fn number(&self, field: Field) -> Option<u64> {
        self.value.pointer(field.pointer).and_then(Value::as_u64)
    }

    /// When it happened, in seconds since 1970; `None` where it does not say.
    pub fn seconds(&self) -> Option<i64> {
        self.text(field::TIMESTAMP).parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
    }

    /// The same in nanoseconds: the time at which the journal received it, and only without one its own word.
    pub fn nanoseconds(&self) -> Option<i64> {
        match self.origin {
            Origin::Journal(at) => Some(at),
            Origin::File(_) => {
                let at = self.text(field::TIMESTAMP).parse::<jiff::Timestamp>().ok()?;
                i64::try_from(at.as_nanosecond()).ok()
            }
        }
    }

    /// The strings of a list.
    pub fn texts(&self, field: Field) -> Vec<&str> {
        let list = self.value.pointer(field.pointer).and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }

    /// The rule that decided.
    pub fn rule(&self) -> &str {
        self.text(field::RULE_ID)
    }

    /// Every rule that fired, the one that decided first.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.rule()).chain(self.texts(field::ALSO))
    }

    /// What could not be judged; empty where everything was.
    pub fn unknown(&self) -> &str {
        self.text(field::UNKNOWN)
    }

    /// The virtual host whose policy decided; empty for the global policy.
    pub fn vhost(&self) -> &str {
        self.text(field::VHOST)
    }

    /// Whether the action was blocked.
    pub fn blocked(&self) -> bool {
        self.text(field::EVENT_OUTCOME) == "failure"
    }

    /// Whether it is of a UDP socket that was only connected. The detail of other events may be anybody's text.
    pub fn sends_nothing(&self) -> bool {
        self.is_connection() && self.text(field::DETAIL).as_bytes() == NOTHING_SENT
    }

    /// Whether it is of a UDP socket that a program inherited, connected.
    pub fn is_inherited(&self) -> bool {
        self.is_connection() && self.text(field::DETAIL) == "inherited by a program"
    }

    fn is_connection(&self) -> bool {
        self.text(field::EVENT_ACTION) == "connection_attempted"
    }

    /// Whether it is the guard's word on itself.
    pub fn is_of_guard(&self) -> bool {
        self.rule() == "guard-policy"
    }

    /// Whether a program was started, or would have been.
    pub fn is_exec(&self) -> bool {
        self.text(field::EVENT_ACTION) == "exec"
    }

    /// `ADDRESS:PORT` of a destination, a v6 address in brackets; `None` where there is none, or it is not known. Events from before 0.2.0 say
    /// 0.0.0.0:0 for that.
    pub fn destination(&self) -> Option<String> {
        if !self.unknown().is_empty() && crate::show::is_unknown_address(self.value()) {
            return None;
        }
        let port = self.number(field::DESTINATION_PORT)?;
        let ip = self.text(field::DESTINATION_IP);
        Some(if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") })
    }

    /// The arguments of the program. One of them that the event has only the beginning of is taken out of the command line, where
    /// that is whole.
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
    pub fn shell_command(&self) -> Option<&str> {
        match self.arguments().as_slice() {
            [_, "-c", command] | [_, "-c", "--", command] => Some(command),
            _ => None,
        }
    }
}

/// Of a value with what it points to.
fn weight(value: &Value) -> usize {
    /// What an allocation takes beside what is asked for.
    const BESIDE: usize = 16;
    /// Entries of a node of a map, which has room for all of them from the first on (std::collections::BTreeMap).
    const ENTRIES: usize = 11;
    let below = match value {
        Value::String(text) => text.capacity() + BESIDE,
        Value::Array(all) => all.iter().map(weight).sum::<usize>() + BESIDE,
        Value::Object(all) => {
            let nodes = 2 * all.len() / ENTRIES + 1;
            let node = ENTRIES * (size_of::<String>() + size_of::<Value>()) + BESIDE;
            all.iter().map(|(key, value)| key.capacity() + BESIDE + weight(value)).sum::<usize>() + nodes * node
        }
        _ => 0,
    };
    size_of::<Value>() + below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_behind_half_of_another_is_one() {
        let whole = "{\"@timestamp\":\"2026-01-01T00:00:00Z\",\"message\":\"it says {\\\"@timestamp\\\":\\\"x\"}\n";
        let read = |line: &str| {
            let mut found = Vec::new();
            Event::each_in(line.as_bytes(), |event, part| found.push((event.is_ok(), part.len())));
            found
        };
        assert_eq!(read(whole), [(true, whole.len())]);
        for half in
            ["{\"@timestamp\":\"2020", "x", "{", "{\"@timestamp\":\"2020\",\"a\":\"{\"@timestamp\":\"", "\u{1b}[31m"]
        {
            let line = format!("{half}{whole}");
            assert_eq!(read(&line), [(false, line.len()), (true, whole.len())], "{half}");
        }
        assert_eq!(read("{\"@timestamp\":\"2020{\"@timestamp\":\"20").len(), 1);
        let two = format!("{}{whole}", whole.trim_end());
        assert_eq!(read(&two), [(false, two.len()), (true, whole.len() - 1), (true, whole.len())]);
    }
}
