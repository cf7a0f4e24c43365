//! `portcullis events --verify`: whether the events are all there and as they were written, by their seals and by their numbers.
//!
//! **Limit**: numbers have no seal. Whoever may write to the log may write consistent ones. What is missing behind the last event of a
//! chain or a stream leaves no trace.

mod chain;
mod say;
mod seals;

use crate::arguments::Events;
use crate::check::counted;
use crate::log::Event;
use crate::probes::Left;
use crate::{FINE, WRONG, check, complain, out, seal_key};
use chain::LATE;
use portcullis_event::field;
use seals::Seals;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};

/// The most events that are told apart at once.
const EVENTS_MAX: usize = 2_000_000;
/// How many gaps of one stream, and how many events of each kind of fault, are shown.
const SHOWN: usize = 20;

pub fn run(arguments: &Events) -> u8 {
    let config = check::path_of(&arguments.source);
    let key = seal_key::place(&config);
    let mut numbers = Numbers::new(EVENTS_MAX);
    let mut seals = Seals::new(seal_key::read(&key), seal_key::is_due(&config), EVENTS_MAX);
    let mut take = |event: Event, is_chosen: bool| {
        if is_chosen && !seals.is_full && numbers.take(&event) {
            seals.take(&event);
        }
    };
    // Without the events of probes, numbers would be missing.
    let unreadable = match arguments.selection.read_but(&mut Left::default(), false, &mut take) {
        Ok(unreadable) => unreadable,
        Err(message) => return complain(message),
    };
    if numbers.is_full || seals.is_full {
        return complain(format_args!(
            "there are more than {EVENTS_MAX} events, which are not verified at once; help: choose with --since and --until"
        ));
    }
    let (mut streams, mut all_whole) = (0, true);
    numbers.each_stream(|stream| {
        streams += 1;
        all_whole &= stream.is_whole();
        match arguments.json {
            true => println!("{}", out::json(&stream.as_json(), false)),
            false => println!("{}", stream.sentence()),
        }
    });
    for chain in seals.chains() {
        all_whole &= chain.is_whole();
        match arguments.json {
            true => println!("{}", out::json(&chain.as_json(), false)),
            false => println!("{}", chain.sentence()),
        }
    }
    eprintln!(
        "portcullis: note: compared the numbers of {}; what is missing at the end of a stream or a chain cannot be known",
        counted(streams, "stream")
    );
    let mut faults = unreadable + say::seals(&seals, &key, arguments.json);
    for (count, what) in [
        (numbers.unnumbered, "without a valid number: `event.id` is not `portcullis.stream` and `event.sequence`"),
        (numbers.contradicted, "sent by another process than the event names; the journal has the sender"),
    ] {
        faults += count;
        if count > 0 {
            complain(format_args!("{} {what}", counted(count, "event")));
        }
    }
    if faults == 0 && all_whole { FINE } else { WRONG }
}

/// What was seen under one number of a stream.
#[derive(Clone, Copy)]
struct Seen {
    content: u64,
    dropped: u64,
    is_twice: bool,
}

/// The numbers of all streams, up to a bound.
struct Numbers {
    seen: HashMap<(u64, u64), Seen>,
    hasher: RandomState,
    /// All that were taken: also one without a number costs memory and time.
    count: usize,
    max: usize,
    is_full: bool,
    unnumbered: usize,
    contradicted: usize,
}

impl Numbers {
    fn new(max: usize) -> Numbers {
        let hasher = RandomState::new();
        Numbers { seen: HashMap::new(), hasher, count: 0, max, is_full: false, unnumbered: 0, contradicted: 0 }
    }

    /// Whether the event may be what it says it is.
    fn take(&mut self, event: &Event) -> bool {
        self.count += 1;
        self.is_full |= self.count > self.max;
        if self.is_full {
            return false;
        }
        if !event.contradicted().is_empty() {
            self.contradicted += 1;
            return false;
        }
        let Some(place) = place(event) else {
            self.unnumbered += 1;
            return true;
        };
        // Two sinks may lead to one log: then a number is there twice, with the same content.
        let content = self.hasher.hash_one((event.line(), event.contradicted()));
        match self.seen.entry(place) {
            Entry::Occupied(mut seen) => seen.get_mut().is_twice |= seen.get().content != content,
            Entry::Vacant(free) => {
                let dropped = event.number(field::DROPPED).unwrap_or(0);
                free.insert(Seen { content, dropped, is_twice: false });
            }
        }
        true
    }

    /// Calls `each` with one stream at a time: every event may claim a stream of its own.
    fn each_stream(&self, each: impl FnMut(Stream)) {
        let mut all: Vec<(u64, u64)> = self.seen.keys().copied().collect();
        all.sort_unstable();
        let of_one = all.chunk_by(|(one, _), (other, _)| one == other);
        of_one.filter_map(|places| self.stream(places)).for_each(each);
    }

    /// One stream, by the sorted places of its events.
    fn stream(&self, places: &[(u64, u64)]) -> Option<Stream> {
        let (&(name, first), &(_, last)) = (places.first()?, places.last()?);
        let mut stream = Stream { name, first, last, ..Stream::default() };
        // The guard only counts up; processes may write late.
        let (mut least, mut most) = (u64::MAX, 0);
        let mut next = first;
        for place in places {
            let (number, seen) = (place.1, self.seen.get(place)?);
            if number > next {
                stream.missing += number - next;
                push(&mut stream.gaps, (next, number - 1));
            }
            // The last number of all has none behind it.
            next = number.saturating_add(1);
            if number <= first.saturating_add(LATE) {
                least = least.min(seen.dropped);
            }
            if number >= last.saturating_sub(LATE) {
                most = most.max(seen.dropped);
            }
            stream.events += 1;
            if seen.is_twice {
                stream.twice_count += 1;
                push(&mut stream.twice, number);
            }
        }
        stream.dropped = most.saturating_sub(least);
        Some(stream)
    }
}

fn push<T>(shown: &mut Vec<T>, one: T) {
    if shown.len() < SHOWN {
        shown.push(one);
    }
}

/// Gaps as text, of which as many as `shown` may be the first ones only.
fn gaps_text(gaps: &[(u64, u64)], shown: usize) -> String {
    let texts: Vec<String> =
        gaps.iter().map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") }).collect();
    texts.join(", ") + if gaps.len() == shown { ", ..." } else { "" }
}

/// The stream and the number of an event; `None` where its fields do not agree.
fn place(event: &Event) -> Option<(u64, u64)> {
    let (name, number) = (event.text(field::STREAM), event.number(field::EVENT_SEQUENCE)?);
    let stream = u64::from_str_radix(name, 16).ok()?;
    let is_valid =
        number > 0 && name == format!("{stream:016x}") && event.text(field::EVENT_ID) == format!("{name}-{number}");
    is_valid.then_some((stream, number))
}

/// What was found of one stream.
#[derive(Debug, Default)]
struct Stream {
    name: u64,
    first: u64,
    last: u64,
    events: usize,
    missing: u64,
    /// What the guard itself says that a sink did not take, from the first event to the last.
    dropped: u64,
    /// The first gaps, each with the first and the last number that is missing.
    gaps: Vec<(u64, u64)>,
    /// The first numbers that events with different contents have.
    twice: Vec<u64>,
    twice_count: usize,
}

impl Stream {
    /// The word for what was found.
    fn state(&self) -> &'static str {
        match (self.twice_count, self.missing) {
            (1.., _) => "changed",
            (_, 0) => "ok",
            (_, missing) if missing <= self.dropped => "dropped",
            _ => "gap",
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self.state(), "ok" | "dropped")
    }

    fn as_json(&self) -> Value {
        json!({
            "stream": format!("{:016x}", self.name),
            "state": self.state(),
            "events": self.events,
            "first": self.first,
            "last": self.last,
            "missing": self.missing,
            "dropped": self.dropped,
            "gaps": self.gaps,
            "twice": self.twice,
        })
    }

    fn sentence(&self) -> String {
        let Stream { name, first, last, events, missing, dropped, .. } = self;
        let mut out = format!("{name:016x}  {}: {}, {first} to {last}", self.state(), counted(*events, "event"));
        if *missing > 0 {
            let gaps = gaps_text(&self.gaps, SHOWN);
            out += &format!("; {missing} missing ({gaps}), a sink dropped {dropped} meanwhile");
        }
        if self.twice_count > 0 {
            let ids: Vec<String> = self.twice.iter().map(|number| format!("{name:016x}-{number}")).collect();
            out += &format!("; {} with two contents ({})", counted(self.twice_count, "number"), ids.join(", "));
        }
        if *first > 1 {
            out += "; the events before the first are not in what was read";
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "00000000000000ab";

    fn event(number: u64, dropped: u64, detail: &str) -> Event {
        Event::of(&json!({
            "event": { "id": format!("{NAME}-{number}"), "sequence": number },
            "portcullis": { "stream": NAME, "dropped": dropped, "detail": detail },
        }))
    }

    fn found(events: &[Event]) -> (Numbers, Stream) {
        let mut numbers = Numbers::new(100);
        for event in events {
            let _ = numbers.take(event);
        }
        let mut last = Stream::default();
        numbers.each_stream(|stream| last = stream);
        (numbers, last)
    }

    #[test]
    fn processes_of_a_stream_may_write_in_any_order() {
        let (_, stream) = found(&[event(2, 0, ""), event(1, 0, ""), event(3, 0, ""), event(3, 0, "")]);
        assert_eq!((stream.state(), stream.events, stream.first, stream.last), ("ok", 3, 1, 3));
    }

    #[test]
    fn what_was_removed_is_a_gap() {
        let (_, stream) = found(&[event(1, 0, ""), event(4, 0, ""), event(6, 0, "")]);
        assert_eq!((stream.state(), stream.missing, stream.gaps.as_slice()), ("gap", 3, &[(2, 3), (5, 5)][..]));
        assert!(stream.sentence().contains("3 missing (2-3, 5)"), "{}", stream.sentence());
    }

    #[test]
    fn what_no_sink_took_is_no_gap_as_far_as_it_was_counted() {
        let (_, stream) = found(&[event(1, 4, ""), event(4, 6, "")]);
        assert_eq!((stream.state(), stream.missing, stream.dropped), ("dropped", 2, 2));
        let (_, stream) = found(&[event(1, 4, ""), event(4, 5, "")]);
        assert_eq!(stream.state(), "gap");
    }

    #[test]
    fn what_one_event_alone_counts_as_lost_excuses_nothing() {
        let mut all: Vec<Event> = (1..=40).filter(|number| *number != 5).map(|number| event(number, 0, "")).collect();
        all[4] = event(6, 1, "");
        let (_, stream) = found(&all);
        assert_eq!((stream.state(), stream.missing, stream.dropped), ("gap", 1, 0));
    }

    #[test]
    fn a_number_with_two_contents_was_changed() {
        let (_, stream) = found(&[event(1, 0, "a"), event(2, 0, "a"), event(2, 0, "b")]);
        assert_eq!((stream.state(), stream.twice.as_slice()), ("changed", &[2][..]));
        assert!(stream.sentence().contains("00000000000000ab-2"), "{}", stream.sentence());
    }

    #[test]
    fn an_event_whose_number_and_name_differ_is_found() {
        let odd = [
            json!({}),
            json!({ "event": { "id": format!("{NAME}-2"), "sequence": 3 }, "portcullis": { "stream": NAME } }),
            json!({ "event": { "id": format!("{NAME}-0"), "sequence": 0 }, "portcullis": { "stream": NAME } }),
            json!({ "event": { "id": "+ab-1", "sequence": 1 }, "portcullis": { "stream": "+ab" } }),
            json!({ "event": { "id": [], "sequence": -1 }, "portcullis": 7 }),
        ];
        let (numbers, _) = found(&odd.map(|value| Event::of(&value)));
        assert_eq!((numbers.unnumbered, numbers.seen.len()), (5, 0));
    }

    #[test]
    fn an_event_of_another_sender_fills_no_gap() {
        let mut forged = event(2, 0, "");
        forged.contradict([("user.id".to_owned(), json!("0"))].into_iter().collect());
        let (numbers, stream) = found(&[event(1, 0, ""), forged, event(3, 0, "")]);
        assert_eq!((numbers.contradicted, stream.state()), (1, "gap"));
    }

    #[test]
    fn any_number_is_bounded() {
        let (numbers, stream) = found(&[event(1, 0, ""), event(u64::MAX, u64::MAX, "")]);
        assert_eq!((numbers.is_full, stream.missing), (false, u64::MAX - 2));
        let many: Vec<Event> = (0..101).map(|number| event(number * 2 + 1, 0, "")).collect();
        let (numbers, stream) = found(&many);
        assert_eq!((numbers.is_full, numbers.seen.len(), stream.gaps.len()), (true, 100, SHOWN));
        let (numbers, _) = found(&vec![Event::of(&json!({})); 101]);
        assert_eq!((numbers.is_full, numbers.unnumbered), (true, 100), "each line counts");
    }
}
