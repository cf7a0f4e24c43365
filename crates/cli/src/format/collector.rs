//! examples/siem/otel/collector.yaml: the table as operators of OpenTelemetry's collector, so that fields have the names there that
//! `events --format otel` gives them.

use super::table::{Otel, ROWS};
use portcullis_event::field;
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "\
# Portcullis's events as log records, for the contrib distribution of OpenTelemetry's collector. The operators give each field the name that
# `portcullis events --format otel` gives it; they are written by crates/cli/src/format/collector.rs from the table of docs/mapping.csv.
# Not run in a test: no package has the collector. `parse_ints` needs a version that has it; without it, numbers are floating-point.
extensions:
  file_storage/portcullis: { directory: /var/lib/otelcol/portcullis, create_directory: true }

receivers:
";
const FILE: &str = "\
  # The log file, for the sink `file`.
  filelog/portcullis:
    include: [/var/log/portcullis/events.jsonl]
    start_at: beginning
    max_log_size: 32KiB
    storage: file_storage/portcullis
    operators:
";
const JOURNAL: &str = "\
  # The journal, for the sink `journald`.
  journald/portcullis:
    matches: [{ SYSLOG_IDENTIFIER: portcullis, _TRANSPORT: journal }]
    priority: debug
    start_at: beginning
    storage: file_storage/portcullis
    operators:
      - { type: move, id: message, from: body.MESSAGE, to: body }
";
const TAIL: &str = "
exporters:
  otlphttp/portcullis: { endpoint: \"https://otel.example.org:4318\" }

service:
  extensions: [file_storage/portcullis]
  pipelines:
    logs/portcullis:
      receivers: [filelog/portcullis]  # or journald/portcullis
      exporters: [otlphttp/portcullis]
";

/// What is done to each record, in this order.
fn operators(out: &mut String) {
    out.push_str("      - { type: json_parser, parse_to: body, parse_ints: true }\n");
    out.push_str("      - { type: add, id: service, field: 'resource[\"service.name\"]', value: portcullis }\n");
    for row in ROWS {
        let (first, rest) = row.field.name.split_once('.').map_or((row.field.name, None), |(a, b)| (a, Some(b)));
        let from = if first.starts_with('@') { format!("body[\"{first}\"]") } else { format!("body.{first}") };
        let from = rest.map_or(from.clone(), |rest| format!("{from}.{rest}"));
        let known = rest.map_or(from.clone(), |rest| format!("body.{first}?.{}", rest.replace('.', "?.")));
        let id = row.field.name.replace('.', "-");
        if row.field.name == field::EVENT_SEVERITY.name {
            let _ = writeln!(
                out,
                "      - {{ type: severity_parser, if: '{known} != nil', parse_from: {from}, mapping: {{ info: 21, warn: 47, error: 73 }} }}"
            );
        }
        let operator = match row.otel {
            Otel::Time => {
                format!(
                    "type: time_parser, parse_from: '{from}', layout_type: gotime, layout: '2006-01-02T15:04:05.999999999Z07:00'"
                )
            }
            // What is left in the body would go with its other members: it is the last one.
            Otel::Body => continue,
            Otel::Resource(name) => format!("type: move, id: {id}, from: {from}, to: 'resource[\"{name}\"]'"),
            Otel::Attribute(name) => format!("type: move, id: {id}, from: {from}, to: 'attributes[\"{name}\"]'"),
        };
        let _ = writeln!(out, "      - {{ {operator}, if: '{known} != nil' }}");
    }
    out.push_str("      - { type: move, id: body, from: body.message, to: body, if: 'body.message != nil' }\n");
}

#[test]
fn the_collectors_operators_are_the_table() {
    let mut text = HEAD.to_owned();
    for receiver in [FILE, JOURNAL] {
        text.push_str(receiver);
        operators(&mut text);
    }
    text.push_str(TAIL);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/siem/otel/collector.yaml");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&path, &text).expect("the example");
    }
    assert!(
        std::fs::read_to_string(&path).is_ok_and(|committed| committed == text),
        "examples/siem/otel/collector.yaml is old; PORTCULLIS_UPDATE=1 cargo nextest run -p portcullis-cli format:: writes it"
    );
}
