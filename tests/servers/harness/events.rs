//! The events that a guard wrote to its file.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A file of events, read from where the last look ended.
pub struct Events {
    path: PathBuf,
    seen: usize,
}

impl Events {
    pub fn of(path: PathBuf) -> Events {
        Events { path, seen: 0 }
    }

    /// Every event so far.
    pub fn all(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "a line is torn");
        // Not every one of thousands: that takes milliseconds each.
        const HELD: usize = 100;
        text.lines()
            .enumerate()
            .map(|(number, line)| {
                let event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if number < HELD {
                    hold_against_schema(&event);
                }
                event
            })
            .collect()
    }

    /// The events since the last look.
    pub fn fresh(&mut self) -> Vec<Value> {
        let all = self.all();
        let new = all[self.seen..].to_vec();
        self.seen = all.len();
        new
    }
}

/// How many calls the events stand for: those with events of their own, and those that were merged.
pub fn calls(events: &[Value]) -> u64 {
    let of = |event: &Value| match event.pointer("/portcullis/repeated") {
        Some(repeated) => repeated.as_u64().expect("a number"),
        None => 1,
    };
    events.iter().map(of).sum()
}

/// Fails where an event is not as docs/events.schema.json has it.
pub fn hold_against_schema(event: &Value) {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.schema.json");
        let text = std::fs::read_to_string(path).expect("docs/events.schema.json");
        jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a schema")
    });
    let errors: Vec<String> =
        SCHEMA.iter_errors(event).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{event:#}");
}

/// The parts of an event that the tests look at most.
pub trait Parts {
    fn text(&self, path: &str) -> &str;
}

impl Parts for Value {
    /// A string by its dotted name; empty where there is none.
    fn text(&self, path: &str) -> &str {
        self.pointer(&format!("/{}", path.replace('.', "/"))).and_then(Value::as_str).unwrap_or_default()
    }
}
