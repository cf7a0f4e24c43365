//! One event, as it was written.

mod facts;
mod found;

pub use found::CONTRADICTED;

use crate::parse::{self, Parsed};
use portcullis_event::field::{self, Field};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::hash::{Hash, Hasher};

/// What an event has at the end of a text of which it has only the beginning.
pub const CUT: char = '\u{2026}';

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

    /// The same of a line of a log, where an object without a rule, an action and a field of Portcullis's own is none: a log of another
    /// program is not many calls of nobody.
    fn of_log(line: &[u8]) -> Option<Result<Event, String>> {
        Some(Event::parse(line)?.and_then(|event| match event.says_something() {
            true => Ok(event),
            false => Err("it is JSON, but has no rule.id, event.action or field of portcullis".to_owned()),
        }))
    }

    fn says_something(&self) -> bool {
        let is_said = |field: Field| !self.text(field).is_empty();
        let is_own = |(place, _): &(u8, Slot)| field::ALL[usize::from(*place)].name.starts_with("portcullis.");
        is_said(field::RULE_ID) || is_said(field::EVENT_ACTION) || self.has_seal || self.slots.iter().any(is_own)
    }

    /// Calls `each` with what a line of a log has: an event, or why it is none, and the part of the line that it is of. A process that ends
    /// in the middle of its write leaves half a line, and the next events stand behind it.
    pub fn each_in(line: &[u8], mut each: impl FnMut(Result<Event, String>, &[u8])) {
        let Some(event) = Event::of_log(line) else { return };
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
            if let Some(Ok(mut event)) = Event::of_log(part) {
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

    /// The strings of a list.
    #[must_use]
    pub fn texts(&self, field: Field) -> Vec<&str> {
        match self.slot(field) {
            Some(Slot::List(all)) => all.iter().filter_map(|slot| self.string(slot)).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_behind_half_of_another_is_one() {
        let whole = "{\"@timestamp\":\"2026-01-01T00:00:00Z\",\"rule\":{\"id\":\"x\"},\"message\":\"it says {\\\"@timestamp\\\":\\\"x\"}\n";
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
        for other in ["{\"a\":1}", "{}", "{\"@timestamp\":\"2026-01-01T00:00:00Z\",\"rule\":{\"id\":7}}"] {
            assert!(read(other).iter().all(|(is_ok, _)| !is_ok) && !read(other).is_empty(), "{other}");
        }
        assert_eq!(read("{\"@timestamp\":\"2020{\"@timestamp\":\"20").len(), 1);
        let two = format!("{}{whole}", whole.trim_end());
        assert_eq!(read(&two), [(false, two.len()), (true, whole.len() - 1), (true, whole.len())]);
    }
}
