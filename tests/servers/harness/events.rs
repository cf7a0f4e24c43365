//! The events that a guard wrote to its file.

use serde_json::Value;
use std::path::PathBuf;

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
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The events since the last look.
    pub fn fresh(&mut self) -> Vec<Value> {
        let all = self.all();
        let new = all[self.seen..].to_vec();
        self.seen = all.len();
        new
    }
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
