//! One event, as it was written.

use crate::parse::{self, Parsed};
use portcullis_event::NOTHING_SENT;
use portcullis_event::field::{self, Field};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::hash::{Hash, Hasher};

/// What an event has at the end of a text of which it has only the beginning.
pub const CUT: char = '\u{2026}';

/// Where a reader says that an event is of a probe of `doctor`.
const PROBE: &str = "probe";
/// Where an event says what of it differs from what the journal vouches for.
pub const CONTRADICTED: &str = "contradicted";

/// The value of a field.
#[derive(Clone, Debug)]
pub enum Slot {
    /// A string that stands in the line as it is: where, in bytes.
    OfLine {
        /// Its first byte.
        start: u32,
        /// How many bytes it has.
        length: u32,
    },
    /// A string of which the line has escapes.
    Text(Box<str>),
    /// A whole number from 0 on.
    Number(u64),
    /// The strings of a list.
    List(Box<[Slot]>),
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    line: String,
    slots: Vec<(u8, Slot)>,
    /// Where the slot of each field is; beyond the end where it has none.
    places: [u8; field::ALL.len()],
    has_seal: bool,
    origin: Origin,
    /// Whether its line says that the journal says otherwise: a reader of the journal wrote it.
    says_contradicted: bool,
    /// What a reader found out: calls that were like its own, what the journal says otherwise, and whether it is of a probe.
    repeated: Option<u64>,
    contradicted: Option<Map<String, Value>>,
    is_probe: bool,
    /// Whether the line that it stands in has more than it.
    is_of_part: bool,
}

/// Where an event was read, which it does not say itself.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// In this one of the files.
    File(usize),
    /// In the journal, which received it then: nanoseconds since 1970.
    Journal(i64),
}

/// The memory of a longer line is not used again.
const SPARE_MAX: usize = 8 << 10;

/// The memory of a line and its fields.
type Spare = (String, Vec<(u8, Slot)>);

thread_local! {
    /// The memory of the event that was dropped last, for the next one: readers look at events one by one.
    static SPARE: Cell<Option<Spare>> = const { Cell::new(None) };
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.line.capacity() > SPARE_MAX {
            return;
        }
        let (mut line, mut slots) = (std::mem::take(&mut self.line), std::mem::take(&mut self.slots));
        line.clear();
        slots.clear();
        // At the end of a thread there is no next one.
        let _ = SPARE.try_with(|spare| spare.set(Some((line, slots))));
    }
}

/// How each event begins; inside of one it cannot be, since there each quote has a backslash before it.
const START: &[u8] = b"{\"@timestamp\":\"";

impl Event {
    /// Reads a line; `None` for an empty one.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Result<Event, String>> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return None;
        }
        let parsed = std::str::from_utf8(line).map_err(|error| error.to_string());
        Some(parsed.and_then(|line| {
            let (mut own, slots) =
                SPARE.take().unwrap_or_else(|| (String::new(), Vec::with_capacity(field::ALL.len())));
            let Parsed { slots, has_seal, says_contradicted } =
                parse::parse(line, slots).map_err(|error| error.to_string())?;
            own.push_str(line);
            let mut places = [u8::MAX; field::ALL.len()];
            for (at, (field, _)) in slots.iter().enumerate() {
                places[usize::from(*field)] = at as u8;
            }
            Ok(Event {
                line: own,
                slots,
                places,
                has_seal,
                says_contradicted,
                origin: Origin::File(0),
                repeated: None,
                contradicted: None,
                is_probe: false,
                is_of_part: false,
            })
        }))
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
            if let Some(Ok(mut event)) = Event::parse(part) {
                event.is_of_part = true;
                each(Ok(event), part);
            }
        }
    }

    /// An event with these fields, for tests.
    ///
    /// # Panics
    /// Where the value is no object.
    #[must_use]
    pub fn of(value: &Value) -> Event {
        let event = Event::parse(value.to_string().as_bytes()).and_then(Result::ok);
        event.expect("an object")
    }

    /// As it was read there.
    #[must_use]
    pub fn read_in(mut self, origin: Origin) -> Event {
        self.origin = origin;
        self
    }

    /// Where it was read.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The line that it was read from, without blanks around it.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Whether the line that it stands in has more than it.
    #[must_use]
    pub fn is_of_part(&self) -> bool {
        self.is_of_part
    }

    /// Hashes all fields but these.
    pub fn hash_without(&self, without: &[Field], state: &mut impl Hasher) {
        const { assert!(field::ALL.len() <= 128, "`left_out` has no bit for each") };
        let left_out = without.iter().fold(0_u128, |all, field| all | 1 << field.place);
        for (place, slot) in self.slots.iter().filter(|(place, _)| left_out >> place & 1 == 0) {
            place.hash(state);
            self.hash_slot(slot, state);
        }
    }

    fn hash_slot(&self, slot: &Slot, state: &mut impl Hasher) {
        match slot {
            Slot::OfLine { .. } | Slot::Text(_) => (0_u8, self.string(slot)).hash(state),
            Slot::Number(number) => (1_u8, number).hash(state),
            Slot::List(all) => {
                (2_u8, all.len()).hash(state);
                all.iter().for_each(|slot| self.hash_slot(slot, state));
            }
        }
    }

    /// Whether it has a seal.
    #[must_use]
    pub fn has_seal(&self) -> bool {
        self.has_seal
    }

    /// What it takes in memory, in bytes, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Event>() + self.line.capacity() + self.slots.capacity() * size_of::<(u8, Slot)>()
    }

    /// All of it, with what a reader found out.
    #[must_use]
    pub fn value(&self) -> Value {
        let mut value: Value = serde_json::from_str(&self.line).unwrap_or_default();
        let Some(all) = value.as_object_mut() else { return value };
        let is_contradicted = self.contradicted.as_ref().is_some_and(|found| !found.is_empty());
        let is_changed = self.repeated.is_some() || is_contradicted || self.is_probe;
        if is_changed && !all.get("portcullis").is_some_and(Value::is_object) {
            all.insert("portcullis".to_owned(), Value::Object(Map::new()));
        }
        let Some(own) = all.get_mut("portcullis").and_then(Value::as_object_mut) else { return value };
        // That is no event's own word.
        own.remove(PROBE);
        if let Some(repeated) = self.repeated {
            own.insert("repeated".to_owned(), repeated.into());
        }
        if let Some(found) = &self.contradicted {
            own.remove(CONTRADICTED);
            if !found.is_empty() {
                own.insert(CONTRADICTED.to_owned(), Value::Object(found.clone()));
            }
        }
        if self.is_probe {
            own.insert(PROBE.to_owned(), true.into());
        }
        value
    }

    /// Whether its line says all of it.
    #[must_use]
    pub fn is_as_written(&self) -> bool {
        self.repeated.is_none() && self.contradicted().is_empty() && !self.is_probe
    }

    /// For how many calls it stands: itself, and those that were merged into it.
    #[must_use]
    pub fn count(&self) -> usize {
        // Whoever may write to the log may claim any number: sums are not to overflow.
        let repeated = self.repeated.or_else(|| self.number(field::REPEATED)).unwrap_or(0).min(u64::from(u32::MAX));
        (repeated as usize).saturating_add(usize::from(!self.is_of_merged()))
    }

    /// Whether it says itself for how many calls it stands.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        self.slot(field::REPEATED).is_some()
    }

    /// Its host and its identifier there; `None` without one.
    #[must_use]
    pub fn identity(&self) -> Option<(&str, &str)> {
        self.on_its_host(field::EVENT_ID)
    }

    /// The same of the event that its calls were like.
    #[must_use]
    pub fn like(&self) -> Option<(&str, &str)> {
        self.on_its_host(field::LIKE)
    }

    fn on_its_host(&self, field: Field) -> Option<(&str, &str)> {
        Some(self.text(field)).filter(|id| !id.is_empty()).map(|id| (self.text(field::HOST_HOSTNAME), id))
    }

    /// Whether it only says how many calls were like those of another event.
    #[must_use]
    pub fn is_of_merged(&self) -> bool {
        self.text(field::EVENT_ACTION) == "merged"
    }

    /// Adds calls that were like its own.
    pub fn add(&mut self, calls: usize) {
        self.repeated = Some(self.count().saturating_sub(1).saturating_add(calls) as u64);
    }

    /// Puts in what differs from what the journal vouches for, in place of what is there.
    pub fn contradict(&mut self, found: Map<String, Value>) {
        self.contradicted = Some(found);
    }

    /// What the journal says otherwise of its sender: the event's field, and the journal's value.
    #[must_use]
    pub fn contradicted(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let own = (self.contradicted.is_none() && self.says_contradicted).then(|| self.value());
        let own = own.as_ref().and_then(|own| own.pointer(parse::CONTRADICTED)).and_then(Value::as_object);
        let found = self.contradicted.as_ref().or(own);
        found.into_iter().flatten().map(|(field, value)| (field.clone(), text(value))).collect()
    }

    /// Says whether it is of a probe of `doctor`.
    pub fn mark_as_probe(&mut self, is_probe: bool) {
        self.is_probe = is_probe;
    }

    /// Whether a reader has found that it is of a probe of `doctor`.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    fn slot(&self, field: Field) -> Option<&Slot> {
        let place = self.places.get(usize::from(field.place))?;
        self.slots.get(usize::from(*place)).map(|(_, slot)| slot)
    }

    fn string<'e>(&'e self, slot: &'e Slot) -> Option<&'e str> {
        match slot {
            Slot::OfLine { start, length } => {
                let start = *start as usize;
                self.line.get(start..start.checked_add(*length as usize)?)
            }
            Slot::Text(text) => Some(text),
            Slot::Number(_) | Slot::List(_) => None,
        }
    }

    /// The string in a field; empty where there is none.
    #[must_use]
    pub fn text(&self, field: Field) -> &str {
        self.slot(field).and_then(|slot| self.string(slot)).unwrap_or_default()
    }

    /// A number, likewise.
    #[must_use]
    pub fn number(&self, field: Field) -> Option<u64> {
        match self.slot(field) {
            Some(Slot::Number(number)) => Some(*number),
            _ => None,
        }
    }

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

    /// The strings of a list.
    #[must_use]
    pub fn texts(&self, field: Field) -> Vec<&str> {
        match self.slot(field) {
            Some(Slot::List(all)) => all.iter().filter_map(|slot| self.string(slot)).collect(),
            _ => Vec::new(),
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
