//! The events that a guard wrote to its file.

use serde_json::Value;
use std::collections::BTreeMap;
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
    hold_against_rules(event);
}

/// A Sigma engine with the rules of examples/siem/sigma/, and the name of each rule's file by its title.
fn sigma() -> &'static (rsigma_eval::Engine, BTreeMap<String, String>) {
    static RULES: LazyLock<(rsigma_eval::Engine, BTreeMap<String, String>)> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/siem/sigma");
        let (mut engine, mut names) = (rsigma_eval::Engine::new(), BTreeMap::new());
        for entry in std::fs::read_dir(folder).expect("the rules") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|end| end == "yml") {
                let text = std::fs::read_to_string(&path).expect("a rule");
                let rules = rsigma_parser::parse_sigma_yaml(&text);
                let rules = rules.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                engine.add_collection(&rules).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
                names.extend(rules.rules.iter().map(|rule| (rule.title.clone(), name.clone())));
            }
        }
        (engine, names)
    });
    &RULES
}

/// The Sigma rules that fire on an event, in order.
pub fn fired(event: &Value) -> Vec<&'static str> {
    let (engine, names) = sigma();
    let found = engine.evaluate(&rsigma_eval::event::JsonEvent::borrow(event));
    let mut fired: Vec<&str> = found.iter().map(|found| names[&found.header.rule_title].as_str()).collect();
    fired.sort_unstable();
    fired
}

/// Fails where another rule of the SIEM fires on an event than the guard's own, or one of these does not; none does on
/// what was merged, nor on a UDP socket that was only connected.
fn hold_against_rules(event: &Value) {
    let mut own: Vec<&str> = Vec::new();
    let is_unsent =
        event.text("event.action") == "connection_attempted" && event.text("portcullis.detail") == "nothing sent yet";
    if event.text("event.action") != "merged" && !is_unsent {
        own.push(event.text("rule.id"));
        let also = event.pointer("/portcullis/also").and_then(Value::as_array);
        own.extend(also.into_iter().flatten().filter_map(Value::as_str));
        own.sort_unstable();
    }
    assert_eq!(fired(event), own, "{event:#}");
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
