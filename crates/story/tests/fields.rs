//! The fields of any line are those that `serde_json` finds in it.
#![allow(clippy::disallowed_methods)]

use portcullis_event::field;
use portcullis_story::Event;
use proptest::prelude::*;
use serde_json::Value;

/// Names of members: those of fields, and others.
fn names() -> impl Strategy<Value = String> {
    let known: Vec<&'static str> = field::ALL.iter().flat_map(|field| field.pointer.split('/').skip(1)).collect();
    prop_oneof![
        proptest::sample::select(known).prop_map(str::to_owned),
        proptest::sample::select(vec!["", "x", "seal", "contradicted", "probe", "\\u0072ule"]).prop_map(str::to_owned),
    ]
}

/// JSON as text, with members of one name and with escapes.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        proptest::sample::select(vec![
            "null",
            "true",
            "0",
            "17",
            "-3",
            "1.5",
            "18446744073709551615",
            "18446744073709551616",
            "1e999",
            "\"\"",
            "\"php > sh\"",
            "\"a\\u0041\\n\"",
            "\"\\ud800\"",
            "\"\u{e9}\"",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            proptest::collection::vec((names(), inner), 0..6).prop_map(|all| {
                let members: Vec<String> = all.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn compare(line: &str) {
    let expected: Option<Value> = serde_json::from_str(line).ok().filter(Value::is_object);
    let event = Event::parse(line.as_bytes()).and_then(Result::ok);
    assert_eq!(event.is_some(), expected.is_some(), "{line}");
    let (Some(event), Some(expected)) = (event, expected) else { return };
    for field in field::ALL {
        let value = expected.pointer(field.pointer);
        assert_eq!(event.text(*field), value.and_then(Value::as_str).unwrap_or_default(), "{} {line}", field.name);
        assert_eq!(event.number(*field), value.and_then(Value::as_u64), "{} {line}", field.name);
        let list = value.and_then(Value::as_array);
        let texts: Vec<&str> = list.map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
        assert_eq!(event.texts(*field), texts, "{} {line}", field.name);
    }
    assert_eq!(event.has_seal(), expected.pointer("/portcullis/seal").is_some(), "{line}");
    let mut own = expected;
    if let Some(own) = own.get_mut("portcullis").and_then(Value::as_object_mut) {
        own.remove("probe");
    }
    assert_eq!(event.value(), own, "{line}");
}

proptest! {
    #[test]
    fn any_json(text in json()) {
        compare(&text);
    }

    #[test]
    fn nearly_json(text in json(), at in any::<prop::sample::Index>(), byte in proptest::sample::select(b"\"{}[],:\\ x0\xff".to_vec())) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        match String::from_utf8(bytes) {
            Ok(text) => compare(&text),
            Err(error) => assert!(!matches!(Event::parse(error.as_bytes()), Some(Ok(_)))),
        }
    }
}

#[test]
fn the_events_of_the_documentation() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("docs/events") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("an event");
        compare(&serde_json::from_str::<Value>(&text).expect("JSON").to_string());
        count += 1;
    }
    assert!(count >= 15, "{count}");
}
