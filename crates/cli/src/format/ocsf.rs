//! An event as a Detection Finding of the Open Cybersecurity Schema Framework: class 2004, profile `security_control`.
//!
//! Every event is a verdict of a rule, which is what this class is for: network and process activity are its evidence. `unmapped`
//! has what the class has no attribute for, under the event's own names; `raw_data` has all of it.

use super::checks::RULE;
use super::place::{at, put, take};
use super::table::ROWS;
use crate::log::{Event, Origin};
use serde_json::{Value, json};

/// The version of the schema.
pub const VERSION: &str = "1.8.0";
const CLASS: u32 = 2004;
/// A new finding, and one more word on a finding.
const CREATE: u32 = 1;
const UPDATE: u32 = 2;
/// OCSF's words for a server, and for a regular file.
const SERVER: u8 = 1;
const REGULAR_FILE: u8 = 1;
/// Of these, an evidence has one.
const EVIDENCE: [&str; 6] = ["process", "dst_endpoint", "src_endpoint", "connection_info", "url", "file"];

/// The finding.
pub fn finding(event: &Event) -> Value {
    let value = event.value();
    let like = value.pointer("/portcullis/like").filter(|like| event.is_of_merged() && like.is_string());
    let activity = if like.is_some() { UPDATE } else { CREATE };
    let mut out = json!({
        "category_uid": CLASS / 1000,
        "class_uid": CLASS,
        "activity_id": activity,
        "type_uid": CLASS * 100 + activity,
        "is_alert": activity == CREATE,
        "metadata": {
            "version": VERSION,
            "profiles": ["security_control"],
            "product": { "name": "Portcullis", "vendor_name": "Portcullis" },
        },
        "raw_data": super::written(event),
    });
    // Calls that were merged belong to the finding of a call like them.
    if let Some(like) = like {
        put(&mut out, "finding_info.uid", like.clone());
    }
    let mut rest = value.clone();
    for row in ROWS {
        let Some(leaf) = value.pointer(row.field.pointer) else { continue };
        for (path, derive) in row.derive {
            if let Some(derived) = derive(leaf, &value) {
                put(&mut out, path, derived);
            }
        }
        if let Some((path, check)) = row.copy
            && check(leaf, &value)
            && put(&mut out, path, leaf.clone())
        {
            take(&mut rest, row.field.name);
        }
    }
    if rest.as_object().is_some_and(|rest| !rest.is_empty()) {
        put(&mut out, "unmapped", rest);
    }
    if let Origin::Journal(nanoseconds) = event.origin() {
        put(&mut out, "metadata.logged_time", json!(nanoseconds.div_euclid(1_000_000)));
    }
    complete(&mut out, &value);
    out
}

/// Adds what the schema requires of the objects that are there.
fn complete(out: &mut Value, event: &Value) {
    let received = at(out, "metadata.logged_time").cloned();
    for (within, path, value) in [
        // A line without a time of its own is as old as its entry in the journal, if it has one.
        ("", "time", received.unwrap_or_else(|| json!(0))),
        ("", "severity_id", json!(0)),
        ("", "finding_info.uid", json!("")),
        ("finding_info.analytic", "finding_info.analytic.type_id", json!(RULE)),
        ("device", "device.type_id", json!(SERVER)),
        ("device.os", "device.os.type_id", json!(0)),
        ("resources.0", "resources.0.type", json!("virtual host")),
        ("evidences.0.connection_info", "evidences.0.connection_info.direction_id", json!(0)),
        ("evidences.0.file", "evidences.0.file.type_id", json!(REGULAR_FILE)),
    ] {
        if within.is_empty() || at(out, within).is_some() {
            put(out, path, value);
        }
    }
    // A program that is yet to start has no number: the event names it.
    if at(out, "evidences.0.process").is_some_and(|process| process.get("pid").is_none()) {
        let id = event.pointer("/event/id").filter(|id| id.is_string()).cloned();
        put(out, "evidences.0.process.uid", id.unwrap_or_else(|| json!("")));
    }
    if at(out, "evidences.0").is_some_and(|evidence| EVIDENCE.iter().all(|one| evidence.get(one).is_none())) {
        put(out, "evidences.0.data", json!({}));
    }
}
