//! The table against the fields, and every value of an event against what becomes of it.

use super::place::at;
use super::table::{Otel, ROWS};
use super::{Format, line, ocsf};
use crate::log::Event;
use portcullis_event::field::{self, Field, Kind};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn each_field_has_one_row_and_each_attribute_one_field() {
    let names = |fields: &mut dyn Iterator<Item = Field>| fields.map(|field| field.name).collect::<Vec<_>>();
    assert_eq!(names(&mut ROWS.iter().map(|row| row.field)), names(&mut field::ALL.iter().copied()));
    let mut seen = BTreeMap::new();
    for row in ROWS {
        if let Otel::Attribute(name) | Otel::Resource(name) = row.otel {
            assert_eq!(seen.insert(name, row.field.name), None, "{name}");
        }
    }
}

#[test]
fn the_file_has_the_table() {
    let mut expected = "field,ocsf,derived in ocsf,otel\n".to_owned();
    for row in ROWS {
        let copy = row.copy.map_or("unmapped", |(path, _)| path);
        let derived: Vec<&str> = row.derive.iter().map(|(path, _)| *path).collect();
        let otel = match row.otel {
            Otel::Time => "timeUnixNano".to_owned(),
            Otel::Body => "body".to_owned(),
            Otel::Resource(name) => format!("resource: {name}"),
            Otel::Attribute(name) => name.to_owned(),
        };
        let _ = writeln!(expected, "{},{copy},{},{otel}", row.field.name, derived.join(" "));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/mapping.csv");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("docs/mapping.csv");
    }
    assert!(
        std::fs::read_to_string(&path).is_ok_and(|text| text == expected),
        "docs/mapping.csv is old; PORTCULLIS_UPDATE=1 cargo nextest run -p portcullis-cli format:: writes it"
    );
}

/// A value of OTLP, as JSON has it.
fn of_otlp(value: &Value) -> Value {
    if let Some(text) = value.get("stringValue") {
        return text.clone();
    }
    if let Some(number) = value.get("intValue").and_then(Value::as_str) {
        return json!(number.parse::<i64>().expect("a number"));
    }
    value["arrayValue"]["values"].as_array().expect("a list").iter().map(of_otlp).collect()
}

/// The attributes of a record and of its resource, each of which is there once.
fn attributes(record: &Value) -> BTreeMap<String, Value> {
    let within = &record["resourceLogs"][0];
    let lists = [&within["resource"]["attributes"], &within["scopeLogs"][0]["logRecords"][0]["attributes"]];
    let mut found = BTreeMap::new();
    for one in lists.into_iter().flat_map(|list| list.as_array().expect("a list")) {
        let key = one["key"].as_str().expect("a key").to_owned();
        assert_eq!(found.insert(key, of_otlp(&one["value"])), None, "{one}");
    }
    found
}

/// Every value that is no object, by its pointer.
fn leaves(value: &Value, pointer: &str, out: &mut Vec<(String, Value)>) {
    match value.as_object() {
        Some(members) => {
            for (key, inner) in members {
                leaves(inner, &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        None => out.push((pointer.to_owned(), value.clone())),
    }
}

/// Nothing of an event is left out of either schema, and each is one line of ASCII.
fn expect_all_of(event: &Value) {
    let read = Event::of(event);
    let parsed = |format| {
        let text = line(&read, format);
        assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    assert_eq!(&parsed(Format::Ecs), event);
    let (finding, record) = (parsed(Format::Ocsf), parsed(Format::Otel));
    let raw = finding["raw_data"].as_str().expect("raw data");
    assert_eq!(&serde_json::from_str::<Value>(raw).expect("JSON"), event);
    let attributes = attributes(&record);
    let unmapped: Value = match attributes.get("portcullis.unmapped") {
        Some(text) => serde_json::from_str(text.as_str().expect("text")).expect("JSON"),
        None => Value::Null,
    };
    let log = &record["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    let mut all = Vec::new();
    leaves(event, "", &mut all);
    for (pointer, value) in all {
        let row = ROWS.iter().find(|row| row.field.pointer == pointer);
        let copied = row.and_then(|row| at(&finding, row.copy?.0));
        let rest = finding.get("unmapped").and_then(|rest| rest.pointer(&pointer));
        assert!(copied == Some(&value) || rest == Some(&value), "{pointer}: {value}: {finding:#}");
        let there = match row.map(|row| row.otel) {
            Some(Otel::Attribute("http.request.method"))
                if attributes.get("http.request.method").is_some_and(|word| word == "_OTHER") =>
            {
                attributes.get("http.request.method_original") == Some(&value)
            }
            Some(Otel::Attribute(name) | Otel::Resource(name)) => attributes.get(name) == Some(&value),
            Some(Otel::Body) => log["body"]["stringValue"] == value,
            Some(Otel::Time) => log["timeUnixNano"].as_str().is_some_and(|nanoseconds| {
                let time = jiff::Timestamp::from_nanosecond(nanoseconds.parse().expect("a number")).expect("a time");
                format!("{time:.9}") == value
            }),
            None => false,
        };
        assert!(there || unmapped.pointer(&pointer) == Some(&value), "{pointer}: {value}: {record:#}");
    }
}

fn put(event: &mut Value, name: &str, value: Value) {
    let mut at = event;
    for part in name.split('.') {
        at = at.as_object_mut().expect("an object").entry(part).or_insert_with(|| Value::Object(Map::new()));
    }
    *at = value;
}

/// What a field may have: what the library writes, and what somebody else may.
fn value_of(field: Field) -> BoxedStrategy<Value> {
    let text = || {
        prop_oneof![".*", "[\\x00-\\x20\"'\\\\<>{}\u{202e}\u{1b}]{0,9}", "\"\\},\"client\":\\{\"ip\":\"1\\.1\\.1\\.1"]
    };
    let fitting = match field.kind {
        Kind::Number => prop_oneof![(0_u64..=70_000).prop_map(Value::from), any::<u64>().prop_map(Value::from)].boxed(),
        Kind::Address => prop_oneof![Just(json!("192.0.2.1")), Just(json!("2001:db8::1"))].boxed(),
        Kind::Date => "20[0-9]{2}-0[1-9]-1[0-9]T1[0-9]:00:00\\.[0-9]{9}Z".prop_map(Value::from).boxed(),
        _ if field.is_list => prop::collection::vec(text().prop_map(Value::from), 0..4).prop_map(Value::from).boxed(),
        _ => text().prop_map(Value::from).boxed(),
    };
    let other = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
        Just(json!([1, "a", null])),
    ];
    prop_oneof![4 => fitting, 1 => other].boxed()
}

/// Some of the fields, and some that no row knows.
fn events() -> impl Strategy<Value = Value> {
    let fields: Vec<_> = field::ALL.iter().map(|field| prop::option::of(value_of(*field))).collect();
    let strange = prop::option::of(".*".prop_map(|text: String| json!({ text.clone(): [text] })));
    (fields, strange).prop_map(|(values, strange)| {
        let mut event = json!({});
        for (field, value) in field::ALL.iter().zip(values) {
            if let Some(value) = value {
                put(&mut event, field.name, value);
            }
        }
        if let Some(strange) = strange {
            event["strange"] = strange;
            event["client"]["geo"] = json!("strange");
        }
        event
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_of_an_event_is_left_out(event in events()) {
        expect_all_of(&event);
    }
}

#[test]
fn a_finding_says_what_was_done_and_by_what_rule() {
    let example = |rule: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/events/{rule}.json"));
        serde_json::from_str::<Value>(&std::fs::read_to_string(path).expect("an example")).expect("JSON")
    };
    let mut event = example("egress-port");
    expect_all_of(&event);
    let finding = ocsf::finding(&Event::of(&event));
    for (path, wanted) in [
        ("time", json!(1_795_662_764_108_u64)),
        ("severity_id", json!(2)),
        ("action_id", json!(3)),
        ("disposition_id", json!(15)),
        ("finding_info.uid", json!("8c1f0e52a7d94b36-1")),
        ("finding_info.analytic.uid", json!("egress-port")),
        ("evidences.0.dst_endpoint.ip", json!("192.88.1.10")),
        ("evidences.0.dst_endpoint.port", json!(4444)),
        ("evidences.0.connection_info.direction_id", json!(2)),
        ("evidences.0.src_endpoint.ip", json!("127.0.0.1")),
        ("device.os.type_id", json!(200)),
    ] {
        assert_eq!(at(&finding, path), Some(&wanted), "{path}");
    }
    event["event"]["outcome"] = "failure".into();
    let finding = ocsf::finding(&Event::of(&event));
    assert_eq!((&finding["action_id"], &finding["disposition_id"]), (&json!(2), &json!(2)));
    // Calls that were merged are a word more on the finding of one of them.
    let merged = json!({
        "event": { "id": "b-9", "action": "merged" }, "portcullis": { "like": "a-1", "repeated": 7 },
    });
    let finding = ocsf::finding(&Event::of(&merged));
    assert_eq!(finding["finding_info"]["uid"], "a-1");
    assert_eq!(
        (&finding["activity_id"], &finding["type_uid"], &finding["count"]),
        (&json!(2), &json!(200_402), &json!(7))
    );
}
