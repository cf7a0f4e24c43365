//! What is told of the rules outside the code, held against the one table of them (crates/policy/src/rule.rs).

use portcullis_event::{GUARD_POLICY, RULES};
use portcullis_policy::{Follows, RULE_TEXTS, Rule};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_list_of_rules_is_the_tables() {
    let text = text("docs/rules/README.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| [")).collect();
    let expected: Vec<String> = Rule::ALL
        .into_iter()
        .map(|rule| {
            let facts = &RULES[rule as usize];
            let level = match facts.severity {
                73 => "high",
                47 => "medium",
                _ => "low",
            };
            let (id, name, severity) = (facts.id, facts.name, facts.severity);
            let default = match rule.text().mode {
                Follows::Mode => "`mode`",
                Follows::InPlaces => "`audit`; `mode` in memfd and world-writable locations",
                Follows::Nothing => "`audit`",
            };
            format!("| [{id}]({id}.md) | {name} | {level} ({severity}) | {default} |")
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_schema_has_every_rule() {
    let schema: serde_json::Value = serde_json::from_str(&text("docs/events.schema.json")).expect("the schema is JSON");
    let words = |key: &str| -> Vec<String> {
        let list = schema["properties"]["rule"]["properties"][key]["enum"].as_array().expect("a list");
        list.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    let facts = || RULES.iter().chain([&GUARD_POLICY]);
    assert_eq!(words("id"), facts().map(|facts| facts.id).collect::<Vec<_>>());
    let names = words("name");
    for facts in facts() {
        assert!(names.iter().any(|name| name == facts.name), "{}", facts.name);
    }
}

/// A page, an event, a Sigma rule and the keys of each.
#[test]
fn every_rule_has_what_belongs_to_it() {
    let keys = text("docs/configuration.md");
    for rule in &RULE_TEXTS {
        let id = rule.rule.word();
        for path in
            [format!("docs/rules/{id}.md"), format!("docs/events/{id}.json"), format!("examples/siem/sigma/{id}.yml")]
        {
            assert!(root().join(&path).exists(), "{path}");
        }
        if !rule.list.is_empty() {
            let key = format!("| `[{}] {}` |", rule.table, rule.list);
            assert!(keys.contains(&key), "docs/configuration.md, and crates/config/src/keys.rs: {key}");
        }
    }
}
