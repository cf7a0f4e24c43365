//! An event as a log record of OpenTelemetry, in the JSON of OTLP: one `LogsData` per line, as the collector's file exporter writes it and
//! its `otlpjsonfile` receiver reads it.

use super::checks::METHODS;
use super::place::take;
use super::table::{Otel, ROWS};
use crate::log::{Event, Origin};
use serde_json::{Map, Value, json};

/// Where the method is that the semantic conventions have no word for.
const METHOD: &str = "http.request.method";
const METHOD_ORIGINAL: &str = "http.request.method_original";
const METHOD_OTHER: &str = "_OTHER";
/// What of an event has no row, in JSON.
const UNMAPPED: &str = "portcullis.unmapped";

/// The record, with its resource.
pub fn record(event: &Event) -> Value {
    let value = event.value();
    let mut rest = value.clone();
    let mut resource = vec![attribute("service.name", json!({ "stringValue": "portcullis" }))];
    let mut attributes = Vec::new();
    let mut out = Map::new();
    for row in ROWS {
        let Some(leaf) = value.pointer(row.field.pointer) else { continue };
        let is_taken = match row.otel {
            Otel::Time => time(leaf).map(|(time, is_whole)| {
                out.insert("timeUnixNano".to_owned(), time);
                is_whole
            }),
            Otel::Body => text(leaf).map(|text| {
                out.insert("body".to_owned(), text);
                true
            }),
            Otel::Resource(name) => any(leaf).map(|value| {
                resource.push(attribute(name, value));
                true
            }),
            Otel::Attribute(METHOD) => leaf.as_str().map(|method| {
                let is_known = METHODS.contains(&method);
                let word = if is_known { method } else { METHOD_OTHER };
                attributes.push(attribute(METHOD, json!({ "stringValue": word })));
                if !is_known {
                    attributes.push(attribute(METHOD_ORIGINAL, json!({ "stringValue": method })));
                }
                true
            }),
            Otel::Attribute(name) => any(leaf).map(|value| {
                attributes.push(attribute(name, value));
                true
            }),
        };
        if is_taken == Some(true) {
            take(&mut rest, row.field.name);
        }
    }
    if rest.as_object().is_some_and(|rest| !rest.is_empty()) {
        attributes.push(attribute(UNMAPPED, json!({ "stringValue": rest.to_string() })));
    }
    if let Origin::Journal(nanoseconds) = event.origin() {
        out.insert("observedTimeUnixNano".to_owned(), json!(nanoseconds.max(0).to_string()));
    }
    if let Some(action) = value.pointer("/event/action").and_then(Value::as_str) {
        out.insert("eventName".to_owned(), json!(format!("portcullis.{action}")));
    }
    if let Some((number, word)) = value.pointer("/event/severity").and_then(Value::as_u64).map(severity) {
        out.insert("severityNumber".to_owned(), json!(number));
        out.insert("severityText".to_owned(), json!(word));
    }
    out.insert("attributes".to_owned(), Value::Array(attributes));
    let scope = json!({ "scope": { "name": "portcullis" }, "logRecords": [Value::Object(out)] });
    json!({ "resourceLogs": [{ "resource": { "attributes": resource }, "scopeLogs": [scope] }] })
}

fn attribute(key: &str, value: Value) -> Value {
    json!({ "key": key, "value": value })
}

/// Nanoseconds since 1970, and whether they say all that the text says.
fn time(leaf: &Value) -> Option<(Value, bool)> {
    let text = leaf.as_str()?;
    let time: jiff::Timestamp = text.parse().ok()?;
    let nanoseconds = u64::try_from(time.as_nanosecond()).ok()?;
    Some((json!(nanoseconds.to_string()), format!("{time:.9}") == text))
}

fn text(leaf: &Value) -> Option<Value> {
    leaf.is_string().then(|| json!({ "stringValue": leaf }))
}

/// A value of OTLP: numbers of 64 bits are strings there.
fn any(leaf: &Value) -> Option<Value> {
    match leaf {
        Value::String(_) => text(leaf),
        Value::Number(number) => number.as_i64().map(|number| json!({ "intValue": number.to_string() })),
        Value::Array(all) => {
            let values: Option<Vec<Value>> = all.iter().map(text).collect();
            Some(json!({ "arrayValue": { "values": values? } }))
        }
        _ => None,
    }
}

/// The severity number, and the word for it: Elastic's low, medium, high and critical.
fn severity(severity: u64) -> (u8, &'static str) {
    match severity {
        0..=21 => (9, "low"),
        22..=47 => (13, "medium"),
        48..=73 => (17, "high"),
        _ => (21, "critical"),
    }
}
