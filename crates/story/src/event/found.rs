//! What a reader found out about an event and puts into it: the calls that it stands for, what the journal contradicts, and probes.

use super::Event;
use crate::parse;
use portcullis_event::field::{self, Field};
use serde_json::{Map, Value};

/// Where a reader says that an event is of a probe of `doctor`.
const PROBE: &str = "probe";
/// Where an event says what of it differs from what the journal vouches for.
pub const CONTRADICTED: &str = "contradicted";

impl Event {
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
}
