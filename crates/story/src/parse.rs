//! The fields of an event out of its line, without a JSON value for each: a log of a year has millions.
//!
//! **Invariant**: a line is an event, and a field has a value, exactly where `serde_json::Value` says so; tests compare the two.

use crate::event::Slot;
use portcullis_event::field;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::sync::LazyLock;

/// Members that are no field of an event, and that readers ask for.
const SEAL: &str = "/portcullis/seal";
pub const CONTRADICTED: &str = "/portcullis/contradicted";

/// An object or a member on the way to a field.
#[derive(Default)]
struct Node {
    children: Vec<(&'static str, usize)>,
    /// Its place in [`field::ALL`].
    field: Option<u8>,
    is_seal: bool,
    is_contradicted: bool,
}

/// All of them; the first is the event.
static NODES: LazyLock<Vec<Node>> = LazyLock::new(|| {
    let mut nodes = vec![Node::default()];
    let mut place = |pointer: &'static str| {
        let mut at = 0;
        for name in pointer.split('/').skip(1) {
            let known = nodes[at].children.iter().find(|(known, _)| *known == name).map(|(_, child)| *child);
            at = known.unwrap_or_else(|| {
                let new = nodes.len();
                nodes[at].children.push((name, new));
                nodes.push(Node::default());
                new
            });
        }
        at
    };
    let fields: Vec<usize> = field::ALL.iter().map(|field| place(field.pointer)).collect();
    let (seal, contradicted) = (place(SEAL), place(CONTRADICTED));
    for (index, at) in fields.into_iter().enumerate() {
        nodes[at].field = u8::try_from(index).ok();
    }
    nodes[seal].is_seal = true;
    nodes[contradicted].is_contradicted = true;
    // The element of a list.
    nodes.push(Node::default());
    assert!(nodes.len() <= 256, "`Parsing::seen` has no bit for each");
    nodes
});

/// What a line has.
pub struct Parsed {
    /// The fields with a value, by their places in [`field::ALL`].
    pub slots: Vec<(u8, Slot)>,
    /// Whether it has a seal.
    pub has_seal: bool,
    /// Whether it says that the journal says otherwise.
    pub says_contradicted: bool,
}

/// The fields of a line that is one JSON object.
///
/// `slots`: an empty list, whose memory is used.
pub fn parse(line: &str, slots: Vec<(u8, Slot)>) -> Result<Parsed, serde_json::Error> {
    let mut parsing =
        Parsing { line, seen: [0; 4], parsed: Parsed { slots, has_seal: false, says_contradicted: false } };
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let found = At { parsing: &mut parsing, node: Some(0) }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    match found {
        Found::Object => Ok(parsing.parsed),
        _ => Err(serde_json::Error::custom("it is JSON, but no object")),
    }
}

struct Parsing<'l> {
    line: &'l str,
    /// The nodes that had a value, a bit each.
    seen: [u64; 4],
    parsed: Parsed,
}

impl Parsing<'_> {
    /// Of two members of one name, the last counts, as a whole.
    fn forget(&mut self, node: usize) {
        let (part, bit) = (node / 64, 1 << (node % 64));
        if self.seen[part] & bit == 0 {
            self.seen[part] |= bit;
            return;
        }
        let mut below = vec![node];
        while let Some(node) = below.pop() {
            let Node { children, field, is_seal, is_contradicted } = &NODES[node];
            self.parsed.slots.retain(|(of, _)| Some(*of) != *field);
            self.parsed.has_seal &= !is_seal;
            self.parsed.says_contradicted &= !is_contradicted;
            below.extend(children.iter().map(|(_, child)| *child));
        }
    }
}

/// A value that was read.
enum Found {
    Object,
    /// A string, a number or a list, at a node.
    Slot(Slot),
    /// Anything else, and what no reader asks for.
    Nothing,
}

/// Where a value is: at a node, or where no reader looks.
struct At<'p, 'l> {
    parsing: &'p mut Parsing<'l>,
    node: Option<usize>,
}

impl At<'_, '_> {
    fn slot(&self, slot: impl FnOnce() -> Slot) -> Found {
        if self.node.is_some() { Found::Slot(slot()) } else { Found::Nothing }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_, '_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_, '_> {
    type Value = Found;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut next = 0;
        while let Some(node) = map.next_key_seed(Name { node: self.node, next: &mut next })? {
            if let Some(node) = node {
                self.parsing.forget(node);
                self.parsing.parsed.has_seal |= NODES[node].is_seal;
                self.parsing.parsed.says_contradicted |= NODES[node].is_contradicted;
            }
            let found = map.next_value_seed(At { parsing: &mut *self.parsing, node })?;
            if let (Found::Slot(slot), Some(field)) = (found, node.and_then(|node| NODES[node].field)) {
                self.parsing.parsed.slots.push((field, slot));
            }
        }
        Ok(Found::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        let element = self.node.map(|_| NODES.len() - 1);
        // Most lists have one.
        let mut texts = Vec::with_capacity(usize::from(element.is_some()));
        while let Some(found) = seq.next_element_seed(At { parsing: &mut *self.parsing, node: element })? {
            if let Found::Slot(slot @ (Slot::OfLine { .. } | Slot::Text(_))) = found {
                texts.push(slot);
            }
        }
        Ok(self.slot(|| Slot::List(texts.into())))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Found, E> {
        let start = (text.as_ptr() as usize).wrapping_sub(self.parsing.line.as_ptr() as usize);
        Ok(self.slot(|| match (u32::try_from(start), u32::try_from(text.len())) {
            (Ok(start), Ok(length)) => Slot::OfLine { start, length },
            _ => Slot::Text(text.into()),
        }))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        Ok(self.slot(|| Slot::Text(text.into())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Found, E> {
        Ok(self.slot(|| Slot::Number(number)))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(Found::Nothing)
    }
}

/// The name of a member of an object at a node: the node that it leads to.
struct Name<'n> {
    node: Option<usize>,
    /// The place of the child that comes next where members have the order of the fields.
    next: &'n mut usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        let children = self.node.map(|node| NODES[node].children.as_slice()).unwrap_or_default();
        let (before, from_next) = children.split_at(*self.next);
        let is_it = |(known, _): &(&str, usize)| *known == name;
        let place = from_next.iter().position(is_it).map(|at| before.len() + at);
        let place = place.or_else(|| before.iter().position(is_it));
        *self.next = place.map_or(*self.next, |place| place + 1);
        Ok(place.map(|place| children[place].1))
    }
}
