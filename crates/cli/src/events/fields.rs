//! Fields of events by their names, for `cut`, `sort` and `awk`: a line each, with tabs between them.

use crate::log::Event;
use crate::out;
use portcullis_event::field;
use serde_json::Value;

/// What a reader puts into an event.
const OF_READERS: [&str; 2] = ["portcullis.contradicted", "portcullis.probe"];
/// So many names are suggested for one that is not there.
const SUGGESTED: usize = 4;

/// A field that is printed.
#[derive(Clone, Debug)]
pub struct Column {
    pointer: String,
}

/// Finds a field by its name.
pub fn column(name: &str) -> Result<Column, String> {
    let all = || field::ALL.iter().map(|field| field.name).chain(OF_READERS);
    if all().any(|known| known == name) {
        return Ok(Column { pointer: format!("/{}", name.replace('.', "/")) });
    }
    // A part of a name is one of several; else a slip of the keys is a letter or two.
    let mut near: Vec<&str> = all().filter(|known| !name.is_empty() && known.contains(name)).take(SUGGESTED).collect();
    if near.is_empty() {
        near.extend(portcullis_config::nearest(name, &all().collect::<Vec<&str>>()));
    }
    // Whatever is asked for, some names are the most like it.
    if near.is_empty() {
        near.extend(all());
        near.sort_by_key(|known| std::cmp::Reverse(in_common(name, known)));
        near.truncate(SUGGESTED);
    }
    let near = if near.is_empty() { String::new() } else { format!(" Similar: {}.", near.join(", ")) };
    Err(format!("no field of events has this name.{near} {} lists them", out::page("fields.csv")))
}

/// How many letters two names have in common in a row, at most.
fn in_common(one: &str, other: &str) -> usize {
    let (one, other) = (one.to_ascii_lowercase(), other.as_bytes());
    // Nobody types more.
    let starts = 0..one.len().min(64);
    let from = |at: usize| {
        let most = (at + 1..=one.len().min(64)).rev().find(|end| {
            let part = &one.as_bytes()[at..*end];
            other.windows(part.len()).any(|window| window == part)
        });
        most.map_or(0, |end| end - at)
    };
    starts.map(from).max().unwrap_or(0)
}

/// The fields of an event in a line. What is not there is empty; a list is in JSON; and nothing that anybody wrote ends a field or a line.
pub fn line(event: &Event, columns: &[Column]) -> String {
    let value = event.value();
    let texts: Vec<String> = columns.iter().map(|column| text(value.pointer(&column.pointer))).collect();
    texts.join("\t")
}

fn text(value: Option<&Value>) -> String {
    // As a sign of what follows it, a backslash of the value has to be told from one that is put in.
    out::shown(
        value
            .map(|value| match value {
                Value::String(text) => Value::String(text.replace('\\', "\\\\")),
                other => other.clone(),
            })
            .as_ref(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_stays_a_field() {
        let event = Event::of(&json!({
            "event": { "category": ["process"], "severity": 47 }, "client": { "address": "a\tb\n\\u{9}" },
        }));
        let names = ["event.category", "event.severity", "client.address", "client.ip"];
        let columns: Vec<Column> = names.iter().map(|name| column(name).expect(name)).collect();
        assert_eq!(line(&event, &columns), "[\"process\"]\t47\ta\\u{9}b\\u{a}\\\\u{9}\t");
    }

    #[test]
    fn every_field_has_a_column() {
        assert!(field::ALL.iter().all(|field| column(field.name).is_ok_and(|column| column.pointer == field.pointer)));
        let error = column("client").expect_err("no field");
        assert!(error.contains("client.address, client.ip"), "{error}");
        assert!(column("").is_err());
        for (far, meant) in [
            ("command", "process.command_line"),
            ("ipaddress", "client.address"),
            ("zzz", "."),
            ("vhosts", "portcullis.vhost"),
        ] {
            let error = column(far).expect_err("no field");
            let names = error.split_once("Similar: ").map(|(_, names)| names).unwrap_or_default();
            assert!(names.contains(meant), "{far}: {error}");
        }
        for (slip, meant) in
            [("clinet.address", "client.address"), ("rule.di", "rule.id"), ("event.serverity", "event.severity")]
        {
            let error = column(slip).expect_err("no field");
            assert!(error.contains(&format!("Similar: {meant}.")), "{error}");
        }
    }
}
