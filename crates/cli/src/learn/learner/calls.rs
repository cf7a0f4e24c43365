//! What is known of a call when it comes again: most calls of a log are like earlier ones.
//!
//! **When a call is the same**: all fields of its event are, but those in [`APART`], of which nothing depends, or only what
//! [`Calls::key`] takes of them.

use super::whats::Whats;
use crate::explain;
use crate::learn::propose::described;
use crate::log::Event;
use crate::probes;
use portcullis_event::field::{self, Field};
use portcullis_policy::Policy;
use portcullis_story::{Recent, writable_part};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// So many calls are remembered at least.
const REMEMBERED: usize = 20_000;

/// Fields in which calls differ that are the same.
pub const APART: [Field; 31] = [
    field::TIMESTAMP,
    field::EVENT_ID,
    field::EVENT_SEQUENCE,
    field::PROCESS_PID,
    field::PARENT_PID,
    field::USER_ID,
    field::USER_NAME,
    field::CLIENT_ADDRESS,
    field::CLIENT_IP,
    field::HTTP_REQUEST_ID,
    field::HTTP_REQUEST_METHOD,
    field::HOST_HOSTNAME,
    field::HOST_OS_TYPE,
    field::STREAM,
    field::DROPPED,
    field::MERGED,
    field::REPEATED,
    field::SEAL_TREE,
    field::SEAL_PROCESS,
    field::SEAL_INDEX,
    field::SEAL_LOST,
    field::SEAL_DIGEST,
    // What is taken of these is less than all of it.
    field::MESSAGE,
    field::URL_ORIGINAL,
    field::URL_DOMAIN,
    field::REQUEST_SCRIPT,
    field::REQUEST_DOCUMENT_ROOT,
    field::REQUEST_SOURCE,
    field::REQUEST_POOL,
    field::REQUEST_PROFILE,
    field::VHOST,
];

/// What is known of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number of what it is about.
    pub what: u32,
    /// The number of the reason why no application causes it; 0 where one may.
    pub grave: u32,
}

/// The calls that are remembered; `None` for those that the policy allows now.
pub struct Calls {
    known: Recent<(Option<Call>, bool)>,
    hasher: RandomState,
}

impl Default for Calls {
    fn default() -> Calls {
        Calls { known: Recent::new(REMEMBERED), hasher: RandomState::new() }
    }
}

impl Calls {
    /// What tells the call of an event from others; `None` for one that has to be looked at by itself.
    pub fn key(&self, event: &Event, policy: &Policy<'_>) -> Option<u64> {
        if !event.contradicted().is_empty() {
            return None;
        }
        let mut state = self.hasher.build_hasher();
        event.hash_without(&APART, &mut state);
        let script = event.text(field::REQUEST_SCRIPT);
        // A script that is itself the program.
        let own = event.rules().any(|rule| rule == "exec-tool").then_some(script);
        let scope = explain::scope_of(policy, event);
        let is_marked = probes::is_marked(event);
        (scope, own, writable_part(script), is_marked, explain::is_datagram_sent(event)).hash(&mut state);
        described(event).hash(&mut state);
        Some(state.finish())
    }

    /// What is known of it. What is not held of a kind may be counted elsewhere once there is no room.
    pub fn get(&self, key: u64, whats: &Whats) -> Option<Option<Call>> {
        let (call, was_full) = self.known.get(key)?;
        let is_held = call.is_none_or(|call| whats.get(call.what).rest_of.is_none());
        (is_held || was_full == whats.is_full()).then_some(call)
    }

    /// Remembers it. `was_full`: whether there was no room before it came.
    pub fn insert(&mut self, key: u64, call: Option<Call>, was_full: bool) {
        self.known.insert(key, (call, was_full));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Choice, Learner};
    use super::*;
    use serde_json::{Value, json};
    use std::collections::HashSet;
    use std::path::Path;

    /// All that is learnt of a call.
    fn learnt(event: &Event, policy: &Policy<'_>) -> String {
        let choice = Choice::default();
        let mut learner = Learner::new(policy, &choice);
        learner.judge(event).map_or_else(String::new, |call| {
            let what = learner.whats.get(call.what);
            let grave = learner.names.text(call.grave);
            let told = (&what.entries, &what.described, &what.suspicion, &what.transport, what.sends_nothing);
            format!("{told:?} {} {grave}", what.is_exec)
        })
    }

    /// An event of each clause of each rule.
    fn corpus() -> Vec<Value> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
        let logs = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let logs = logs.filter(|path| path.extension().is_some_and(|kind| kind == "jsonl"));
        let texts: Vec<String> = logs.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let all = texts.iter().flat_map(|text| text.lines());
        let all = all.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut seen = HashSet::new();
        all.filter(|event| seen.insert((event["rule"].to_string(), event["portcullis"]["clause"].to_string())))
            .collect()
    }

    /// Puts a value in the place of a field.
    fn put(event: &mut Value, field: Field, value: Value) {
        let mut at = event;
        for name in field.pointer.split('/').skip(1) {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[name];
        }
        *at = value;
    }

    /// Whatever a field says in which calls may differ: nothing else is learnt of two that have one key.
    #[test]
    fn of_the_same_call_the_same_is_learnt() {
        let bytes = portcullis_config::compile(&portcullis_config::built_in());
        let policy = Policy::new(&bytes).expect("a policy");
        let calls = Calls::default();
        let (mut same, mut others) = (0, 0);
        let chain =
            |event: &Value| event.pointer(field::CHAIN.pointer).and_then(Value::as_str).unwrap_or("").to_owned();
        for told in corpus() {
            let event = Event::of(&told);
            let (key, own) = (calls.key(&event, &policy), learnt(&event, &policy));
            for field in APART {
                let values = [
                    json!("x"),
                    json!(17),
                    json!("/srv/www/uploads/x.php"),
                    json!("/portcullis-doctor-0123456789abcdef0123456789abcdef"),
                    json!("lost"),
                    json!(format!("{} sends a datagram", chain(&told))),
                    told.pointer(field::PROCESS_EXECUTABLE.pointer).cloned().unwrap_or_default(),
                ];
                for value in values {
                    let mut changed = told.clone();
                    put(&mut changed, field, value.clone());
                    let changed = Event::of(&changed);
                    if calls.key(&changed, &policy) == key {
                        same += 1;
                        assert_eq!(learnt(&changed, &policy), own, "{}: {value}: {told}", field.name);
                    } else {
                        others += 1;
                    }
                }
            }
        }
        assert!(same > others && others > 0, "{same} and {others}");
    }
}
