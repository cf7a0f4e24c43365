//! `portcullis events --format`: what it prints, held against the published schemas by programs that are not of this project.

use crate::harness::Place;
use crate::lines::{harmless, hostile, of_rules};
use crate::worked::{example, rules};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Lines that somebody else may have written into the log: with values of other types, of other sizes, or none.
fn forged() -> Vec<String> {
    // Less than one of these is no event.
    let mut out = vec![
        json!({ "event": { "action": "x" } }),
        json!({ "rule": { "id": "x" }, "event": {} }),
        json!({ "rule": { "id": "x" }, "portcullis": 1, "process": [], "url": "x" }),
    ];
    let wrong = [
        json!(null),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!("x"),
        json!({ "a.b": 1 }),
        json!([1, "a"]),
    ];
    let event = example("egress-port");
    let names = crate::worked::names(&event);
    for wrong in wrong {
        for name in &names {
            let mut event = event.clone();
            *event.pointer_mut(&format!("/{}", name.replace('.', "/"))).expect(name) = wrong.clone();
            out.push(event);
        }
    }
    for name in &names {
        let mut event = event.clone();
        let (parent, leaf) = name.rsplit_once('.').unwrap_or(("", name));
        let pointer = if parent.is_empty() { String::new() } else { format!("/{}", parent.replace('.', "/")) };
        event.pointer_mut(&pointer).and_then(Value::as_object_mut).expect(name).remove(leaf);
        out.push(event);
    }
    out.iter().map(Value::to_string).collect()
}

#[test]
fn every_event_is_valid_in_each_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/tools/python/bin/python");
    assert!(python.exists(), "make the tools first: scripts/tools");
    let place = Place::new();
    let mut lines: Vec<String> = rules().map(|rule| example(rule).to_string()).collect();
    lines.extend([of_rules(true, "x"), of_rules(false, "x"), hostile(), forged()].concat());
    lines.extend(harmless().into_iter().map(|(_, line)| line));
    let log = place.write("events.jsonl", &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    for format in ["ecs", "ocsf", "otel"] {
        let done = place.portcullis().args(["events", "--format", format]).arg(&log).output().expect("portcullis");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(done.stdout.is_ascii() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
        place.write(format, &String::from_utf8(done.stdout).expect("UTF-8"));
    }
    let done = Command::new(python)
        .arg(root.join("tests/siem/schemas.py"))
        .arg(root.join("docs"))
        .arg(place.path())
        .output()
        .expect("python");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let counted: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(counted, json!({ "events": lines.len(), "mistakes found": 6 }));
}
