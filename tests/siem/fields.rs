//! The fields of the events: docs/fields.csv against the schema, against real events, and against what ECS and the rules that
//! came before ask for.

use crate::worked::{example, names, rules};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A line of docs/fields.csv.
struct Field {
    kind: String,
    is_list: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn table() -> BTreeMap<String, Field> {
    let text = std::fs::read_to_string(root().join("docs/fields.csv")).expect("docs/fields.csv");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("field,type,source,list"));
    let fields = lines.map(|line| {
        let [name, kind, source, list] = line.split(',').collect::<Vec<_>>().try_into().expect(line);
        assert_eq!(source == "portcullis", name.starts_with("portcullis."), "{line}");
        (name.to_owned(), Field { kind: kind.to_owned(), is_list: list == "yes" })
    });
    fields.collect()
}

fn schema() -> Value {
    let text = std::fs::read_to_string(root().join("docs/events.schema.json")).expect("the schema");
    serde_json::from_str(&text).expect("JSON")
}

/// Every field that the schema allows. A parent's parent is not shown.
fn allowed(schema: &Value, at: &Value, path: &str, out: &mut Vec<String>) {
    let at = at.get("$ref").map_or(at, |name| {
        schema.pointer(name.as_str().expect("a name").trim_start_matches('#')).expect("a definition")
    });
    if at["type"] != "object" {
        out.push(path.to_owned());
        return;
    }
    assert_eq!(at["additionalProperties"], false, "{path}: a name that comes from outside could become a field");
    for (key, inner) in at["properties"].as_object().expect("properties") {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if !name.ends_with("parent.parent") {
            allowed(schema, inner, &name, out);
        }
    }
}

#[test]
fn the_table_has_the_fields_of_the_schema_and_no_other() {
    let schema = schema();
    let mut all = Vec::new();
    allowed(&schema, &schema, "", &mut all);
    all.sort();
    assert_eq!(all, table().into_keys().collect::<Vec<_>>());
}

/// Event types that ECS allows for the categories that are used. Source: ECS's page on its categorisation fields.
const TYPES: [(&str, &[&str]); 3] = [
    ("network", &["access", "allowed", "connection", "denied", "end", "info", "protocol", "start"]),
    ("process", &["access", "change", "end", "info", "start"]),
    ("configuration", &["access", "change", "creation", "deletion", "info"]),
];

#[test]
fn every_value_has_its_fields_type() {
    let table = table();
    for rule in rules() {
        let event = example(rule);
        for name in names(&event) {
            let field = table.get(&name).unwrap_or_else(|| panic!("{rule}: {name}"));
            let value = event.pointer(&format!("/{}", name.replace('.', "/"))).expect("a value");
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            assert_eq!(field.is_list, value.is_array(), "{rule}: {name}");
            for value in values {
                let fits = match field.kind.as_str() {
                    "long" => value.is_u64(),
                    "ip" => value.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
                    "date" => value.as_str().is_some_and(|text| text.ends_with('Z')),
                    "keyword" | "wildcard" | "match_only_text" | "text" => value.is_string(),
                    _ => false,
                };
                assert!(fits, "{rule}: {name}: {value} as {}", field.kind);
            }
        }
        let category = event["event"]["category"][0].as_str().expect("a category");
        let types = TYPES.iter().find(|(name, _)| *name == category).expect(category).1;
        for kind in event["event"]["type"].as_array().expect("types") {
            assert!(types.contains(&kind.as_str().expect("a type")), "{rule}: {category}: {kind}");
        }
    }
}

/// What Elastic's withdrawn rule on ports, and its rules on the children of web servers, ask for. Source: elastic/detection-rules,
/// persistence_web_server_sus_destination_port.toml and persistence_webserver_*.toml.
#[test]
fn the_rules_that_came_before_find_their_fields() {
    let has = |rule: &str, wanted: &[(&str, Value)]| {
        let event = example(rule);
        for (path, wanted) in wanted {
            let value = event.pointer(path).unwrap_or_else(|| panic!("{rule}: {path}"));
            let is_there = value == wanted || value.as_array().is_some_and(|values| values.contains(wanted));
            assert!(is_there, "{rule}: {path}: {value}, not {wanted}");
        }
    };
    let ports = [
        ("/host/os/type", json!("linux")),
        ("/event/category", json!("network")),
        ("/event/type", json!("start")),
        ("/event/action", json!("connection_attempted")),
        ("/network/direction", json!("egress")),
        ("/destination/ip", json!("192.88.1.10")),
        ("/destination/port", json!(4444)),
        ("/process/name", json!("php-fpm8.2")),
        ("/user/name", json!("www-data")),
        ("/user/id", json!("33")),
    ];
    has("egress-port", &ports);
    let children = [
        ("/host/os/type", json!("linux")),
        ("/event/category", json!("process")),
        ("/event/type", json!("start")),
        ("/event/action", json!("exec")),
        ("/process/name", json!("sh")),
        ("/process/args", json!("-c")),
        ("/process/command_line", json!("sh -c id")),
        ("/process/working_directory", json!("/srv/www/shop")),
        ("/process/parent/name", json!("php-fpm8.2")),
        ("/process/parent/executable", json!("/usr/sbin/php-fpm8.2")),
        ("/process/parent/command_line", json!("php-fpm: pool www")),
        ("/user/name", json!("www-data")),
    ];
    has("shell-spawn", &children);
}

/// The mapping of the fields, for an index of Elasticsearch or OpenSearch.
fn template() -> Value {
    let mut properties = Map::new();
    for (name, field) in table() {
        let mut at = &mut properties;
        let (path, last) = name.rsplit_once('.').unwrap_or(("", &name));
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let inner = at.entry(part).or_insert_with(|| json!({ "properties": {} }));
            at = inner["properties"].as_object_mut().expect("an object");
        }
        // Longer keywords than a field can have would be refused by the index.
        let mapping = match field.kind.as_str() {
            "keyword" => json!({ "type": "keyword", "ignore_above": 1024 }),
            kind => json!({ "type": kind }),
        };
        at.insert(last.to_owned(), mapping);
    }
    json!({
        "index_patterns": ["logs-portcullis.events-*"],
        "data_stream": {},
        "priority": 200,
        "template": {
            "settings": { "index.mapping.total_fields.limit": 200 },
            "mappings": { "dynamic": false, "properties": properties },
        },
        "_meta": { "description": "Events of Portcullis; written by its tests from docs/fields.csv" },
    })
}

#[test]
fn the_index_template_has_every_field() {
    let path = root().join("examples/siem/elastic/index-template.json");
    let text = format!("{:#}\n", template());
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(&path, &text).expect("a file");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{} is old; PORTCULLIS_UPDATE=1 writes it anew", path.display());
}
