//! What a value has to be for a place in another schema, and what is derived from it.

use serde_json::{Value, json};
use std::net::IpAddr;

/// Whether a value of an event can be at a place of the finding.
pub type Check = fn(&Value, &Value) -> bool;
/// What of a value of an event is at a place of the finding, if anything.
pub type Derive = fn(&Value, &Value) -> Option<Value>;

/// The methods that OCSF and OpenTelemetry both have a word for.
pub const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

pub fn text(value: &Value, _: &Value) -> bool {
    value.is_string()
}

pub fn address(value: &Value, _: &Value) -> bool {
    value.as_str().is_some_and(is_address)
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// A number of 32 bits with a sign, as OCSF has it.
pub fn integer(value: &Value, _: &Value) -> bool {
    value.as_u64().is_some_and(|number| i32::try_from(number).is_ok())
}

pub fn method(value: &Value, _: &Value) -> bool {
    value.as_str().is_some_and(|word| METHODS.contains(&word))
}

fn has(event: &Value, pointer: &str, check: Check) -> bool {
    event.pointer(pointer).is_some_and(|value| check(value, event))
}

/// OCSF has no endpoint of which only the port is known.
pub fn port_of_destination(value: &Value, event: &Value) -> bool {
    has(event, "/destination/ip", address) && is_port(value)
}

pub fn port_of_server(value: &Value, event: &Value) -> bool {
    has(event, "/server/ip", address) && is_port(value)
}

fn is_port(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| u16::try_from(number).is_ok())
}

/// OCSF has no host name of a URL that is not known.
pub fn of_url(value: &Value, event: &Value) -> bool {
    value.is_string() && has(event, "/url/original", text)
}

/// OCSF has no process without a number or another name for it.
pub fn of_parent(value: &Value, event: &Value) -> bool {
    value.is_string() && has(event, "/process/parent/pid", integer)
}

/// OCSF has no device of which only the system is known.
pub fn of_host(value: &Value, event: &Value) -> bool {
    value.is_string() && has(event, "/host/hostname", text)
}

/// Milliseconds since 1970.
pub fn time(value: &Value, _: &Value) -> Option<Value> {
    Some(json!(value.as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}

pub fn same(value: &Value, _: &Value) -> Option<Value> {
    value.is_string().then(|| value.clone())
}

/// OCSF's severity: Elastic's low, medium and high.
pub fn severity(value: &Value, _: &Value) -> Option<Value> {
    Some(json!(match value.as_u64()? {
        0..=21 => 2,
        22..=47 => 3,
        48..=73 => 4,
        _ => 5,
    }))
}

/// What was done about the action: it was observed or denied.
pub fn action(value: &Value, _: &Value) -> Option<Value> {
    Some(json!(match value.as_str()? {
        "failure" => 2,
        "success" => 3,
        _ => 0,
    }))
}

/// What came of the action: it was blocked or only detected.
pub fn disposition(value: &Value, _: &Value) -> Option<Value> {
    Some(json!(match value.as_str()? {
        "failure" => 2,
        "success" => 15,
        _ => 0,
    }))
}

pub fn direction(value: &Value, _: &Value) -> Option<Value> {
    Some(json!(match value.as_str()? {
        "ingress" => 1,
        "egress" => 2,
        _ => 0,
    }))
}

pub fn protocol_version(value: &Value, _: &Value) -> Option<Value> {
    Some(json!(match value.as_str()? {
        "ipv4" => 4,
        "ipv6" => 6,
        _ => 0,
    }))
}

pub fn system(value: &Value, event: &Value) -> Option<Value> {
    of_host(value, event).then(|| json!(if value == "linux" { 200 } else { 0 }))
}

/// The last part of a path.
pub fn file_name(value: &Value, _: &Value) -> Option<Value> {
    let path = value.as_str()?;
    Some(json!(path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path)))
}

/// The other rules that were triggered.
pub fn analytics(value: &Value, _: &Value) -> Option<Value> {
    let rules = value.as_array()?.iter().filter_map(Value::as_str);
    Some(rules.map(|rule| json!({ "uid": rule, "type_id": RULE })).collect())
}

/// OCSF's word for an analytic that is a rule.
pub const RULE: u8 = 1;

/// The techniques, each with its sub-techniques.
pub fn attacks(_: &Value, event: &Value) -> Option<Value> {
    let strings =
        |pointer| event.pointer(pointer).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut found = Vec::new();
    for technique in strings("/threat/technique/id") {
        let of_it = |sub: &&str| sub.strip_prefix(technique).is_some_and(|rest| rest.starts_with('.'));
        let mut subs = strings("/threat/technique/subtechnique/id").filter(of_it).peekable();
        let uid = json!({ "uid": technique });
        if subs.peek().is_none() {
            found.push(json!({ "technique": uid }));
        }
        found.extend(subs.map(|sub| json!({ "technique": uid, "sub_technique": { "uid": sub } })));
    }
    (!found.is_empty()).then_some(Value::Array(found))
}
