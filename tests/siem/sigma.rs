//! examples/siem/sigma/: each rule is the guard's own, fires on its own events and on no others, and is converted for each SIEM.

use crate::harness::events::fired;
use crate::worked::{example, rules};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/siem")
}

#[test]
fn there_is_a_rule_for_each_of_the_guards_rules() {
    let mut own: Vec<&str> = rules().collect();
    own.sort_unstable();
    let files = std::fs::read_dir(examples().join("sigma")).expect("the rules");
    let names = files.filter_map(|file| Some(file.ok()?.file_name().to_str()?.strip_suffix(".yml")?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    assert_eq!(names, own);
    let facts = portcullis_event::RULES.iter().chain([&portcullis_event::GUARD_POLICY]);
    for fact in facts {
        let text = std::fs::read_to_string(examples().join(format!("sigma/{}.yml", fact.id))).expect(fact.id);
        assert!(text.starts_with(&format!("title: {}\n", fact.name)), "{}", fact.id);
        let level = match fact.severity {
            73 => "high",
            47 => "medium",
            _ => "low",
        };
        assert!(text.ends_with(&format!("\nlevel: {level}\n")), "{}", fact.id);
        let tags: Vec<String> = fact
            .subtechniques
            .iter()
            .chain(fact.techniques)
            .map(|technique| format!("attack.{}", technique.to_lowercase()))
            .filter(|tag| {
                !fact
                    .subtechniques
                    .iter()
                    .any(|sub| format!("attack.{}", sub.to_lowercase()).starts_with(&format!("{tag}.")))
            })
            .collect();
        let own: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- "))
            .filter(|tag| tag.starts_with("attack.t"))
            .collect();
        for tag in &tags {
            assert!(own.contains(&tag.as_str()), "{}: {tag}", fact.id);
        }
        assert!(fact.techniques.is_empty() || own.len() == tags.len(), "{}: {own:?}, {tags:?}", fact.id);
    }
}

/// What other programs write with the same fields fires nothing.
#[test]
fn no_rule_fires_on_what_is_not_the_guards() {
    for rule in rules() {
        let mut event = example(rule);
        assert!(fired(&event).contains(&rule), "{rule}");
        event["event"]["module"] = "auditd".into();
        if rule != "guard-policy" {
            event["portcullis"] = json!({});
        }
        assert_eq!(fired(&event), [""; 0], "{rule}");
        let mut merged = example(rule);
        merged["event"]["action"] = "merged".into();
        assert!(rule == "guard-policy" || fired(&merged).is_empty(), "{rule}");
    }
}

/// The event of a UDP socket that was only connected: the rules that it would fire if something were sent.
fn unsent(rule: &str) -> Value {
    let mut event = example(rule);
    event["event"]["action"] = "connection_attempted".into();
    event["network"]["transport"] = "udp".into();
    event["portcullis"]["also"] = json!(["egress-port"]);
    event["portcullis"]["detail"] = "nothing sent yet".into();
    event
}

/// The rules on destinations.
const OF_CONNECTIONS: [&str; 3] = ["dns-direct", "egress-port", "metadata"];

/// A UDP socket that is only connected sends nothing; what is sent on it, and a program that inherits it, fires. No other event is left out
/// for its detail, which may be anybody's text.
#[test]
fn a_udp_connect_alone_is_no_egress() {
    for rule in OF_CONNECTIONS {
        let mut event = unsent(rule);
        assert_eq!(fired(&event), [""; 0], "{rule}");
        event["portcullis"]["detail"] = "inherited by a program".into();
        assert!(fired(&event).contains(&rule), "{rule}");
        event["portcullis"].as_object_mut().expect("an object").remove("detail");
        assert!(fired(&event).contains(&rule), "{rule}");
    }
    for rule in rules().filter(|rule| *rule != "guard-policy") {
        let mut event = example(rule);
        if event["event"]["action"] == "connection_attempted" {
            continue;
        }
        event["portcullis"]["detail"] = "nothing sent yet".into();
        assert!(fired(&event).contains(&rule), "{rule}");
    }
}

/// The same by pySigma, whose EQL is tried on the same events by another engine.
#[test]
fn each_rule_is_converted_for_each_siem() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/python/bin/python");
    assert!(python.exists(), "make the tools first: scripts/tools");
    let folder = tempfile::tempdir().expect("a folder");
    let names: Vec<&str> = rules().collect();
    let mut events: Vec<Value> = names.iter().map(|rule| example(rule)).collect();
    let mut both = example("exec-place");
    both["portcullis"]["also"] = json!(["shell-spawn", "stdio-socket"]);
    events.push(both);
    let mut other = example("shell-spawn");
    other["event"]["module"] = "other".into();
    events.push(other);
    events.extend(OF_CONNECTIONS.map(unsent));
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    std::fs::write(folder.path().join("events"), lines).expect("a file");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/siem/convert.py");
    let done = Command::new(python)
        .arg(script)
        .args([examples().join("sigma"), folder.path().join("events"), folder.path().to_owned()])
        .output()
        .expect("python");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.is_empty(), "{said}");
    let fired_there: Vec<Vec<String>> = serde_json::from_slice(&done.stdout).expect("JSON");
    for (event, there) in events.iter().zip(&fired_there) {
        assert_eq!(&fired(event), there, "{event:#}");
    }
    assert_eq!(fired_there[names.len()], ["exec-place", "shell-spawn", "stdio-socket"]);
    assert!(fired_there[names.len() + 1..].iter().all(Vec::is_empty), "{fired_there:?}");
    for name in ["elastic.eql", "elastic.lucene", "splunk.savedsearches.conf", "loki.rules.yml"] {
        let text = std::fs::read_to_string(folder.path().join(name)).expect(name);
        let committed = examples().join("converted").join(name);
        if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
            std::fs::create_dir_all(examples().join("converted")).expect("a folder");
            std::fs::write(&committed, &text).expect("a file");
        }
        let committed = std::fs::read_to_string(committed).unwrap_or_default();
        assert!(committed == text, "examples/siem/converted/{name} is old; PORTCULLIS_UPDATE=1 writes it anew");
    }
}
