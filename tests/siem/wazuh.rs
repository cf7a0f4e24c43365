//! examples/siem/wazuh/: rules made from the table of rules. There is no Wazuh here: tests/siem/wazuh.py applies them to events as Wazuh's
//! documentation says that it does.

use crate::harness::events::fired;
use crate::lines::{harmless, hostile, of_rules};
use crate::worked::{example, rules};
use portcullis_event::{GUARD_POLICY, RULES, RuleFacts};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Wazuh's range for rules of users is 100000 to 120000.
const FIRST: usize = 117_300;
/// Where the rules on single rules begin.
const OF_RULES: usize = FIRST + 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Wazuh's level: from 12 on, an alert is of high importance.
fn level(severity: u8) -> u8 {
    match severity {
        73.. => 12,
        47.. => 8,
        _ => 5,
    }
}

fn all() -> impl Iterator<Item = &'static RuleFacts> {
    RULES.iter().chain([&GUARD_POLICY])
}

fn written() -> String {
    let mut out = format!(
        "<!-- Portcullis's events, by Wazuh's own JSON decoder. Install as /var/ossec/etc/rules/portcullis_rules.xml.\n     \
         Written by tests/siem/wazuh.rs. -->\n\
         <group name=\"portcullis,web,\">\n  \
           <rule id=\"{FIRST}\" level=\"3\">\n    <decoded_as>json</decoded_as>\n    \
             <field name=\"event.module\" type=\"pcre2\">^portcullis$</field>\n    \
             <field name=\"event.dataset\" type=\"pcre2\">^portcullis\\.events$</field>\n    \
             <description>Portcullis: event of a rule that is not listed here</description>\n  </rule>\n"
    );
    let conditions = [
        (1, 0, "event.action", "^merged$", "calls that were merged into an event"),
        (2, 0, "portcullis.detail", "^nothing sent yet$", "UDP socket that was only connected"),
    ];
    for (number, level, field, pattern, description) in conditions {
        let only = if number == 2 {
            "    <field name=\"event.action\" type=\"pcre2\">^connection_attempted$</field>\n"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "  <rule id=\"{}\" level=\"{level}\">\n    <if_sid>{FIRST}</if_sid>\n{only}    \
             <field name=\"{field}\" type=\"pcre2\">{pattern}</field>\n    <description>Portcullis: {description}</description>\n  </rule>",
            FIRST + number
        );
    }
    for (number, rule) in all().enumerate() {
        let _ = write!(
            out,
            "  <rule id=\"{}\" level=\"{}\">\n    <if_sid>{FIRST}</if_sid>\n    \
             <field name=\"rule.id\" type=\"pcre2\">^{}$</field>\n    \
             <description>Portcullis: {}, on $(host.hostname) for $(client.ip), outcome $(event.outcome)</description>\n",
            OF_RULES + number,
            level(rule.severity),
            rule.id,
            rule.name
        );
        let techniques = if rule.subtechniques.is_empty() { rule.techniques } else { rule.subtechniques };
        if !techniques.is_empty() {
            let ids: String = techniques.iter().map(|id| format!("<id>{id}</id>")).collect();
            let _ = writeln!(out, "    <mitre>{ids}</mitre>");
        }
        let _ = writeln!(out, "    <group>portcullis_{},</group>\n  </rule>", rule.id.replace('-', "_"));
    }
    out.push_str("</group>\n");
    out
}

#[test]
fn the_rules_are_those_of_the_table() {
    let path = root().join("examples/siem/wazuh/portcullis_rules.xml");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&path, written()).expect("a file");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == written(), "{} is old; PORTCULLIS_UPDATE=1 writes it anew", path.display());
}

/// The number and level of the rule that Wazuh alerts with, for each line; `None` for none.
fn alerts(lines: &[String]) -> Vec<Option<(usize, u8)>> {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    std::fs::write(&log, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("a file");
    let done = Command::new("/usr/bin/python3")
        .arg(root().join("tests/siem/wazuh.py"))
        .arg(root().join("examples/siem/wazuh/portcullis_rules.xml"))
        .arg(root().join("docs/fields.csv"))
        .arg(&log)
        .output()
        .expect("python3");
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    let found: Vec<Value> = serde_json::from_slice(&done.stdout).expect("JSON");
    let number = |one: &Value| one.as_u64().and_then(|one| usize::try_from(one).ok()).expect("a number");
    let level = |one: &Value| u8::try_from(number(one)).expect("a level");
    found.iter().map(|one| one.as_array().map(|pair| (number(&pair[0]), level(&pair[1])))).collect()
}

#[test]
fn each_event_alerts_with_its_own_rule() {
    let expected: Vec<_> =
        all().enumerate().map(|(number, rule)| Some((OF_RULES + number, level(rule.severity)))).collect();
    let events: Vec<Value> = rules().map(example).collect();
    assert!(events.iter().all(|event| !fired(event).is_empty()));
    assert_eq!(alerts(&events.iter().map(Value::to_string).collect::<Vec<_>>()), expected);
    assert_eq!(alerts(&of_rules(true, "x")), expected[..RULES.len()]);
    // An attacker's text makes no event another one.
    for alerts in alerts(&hostile()).chunks(RULES.len()) {
        assert_eq!(alerts, &expected[..RULES.len()]);
    }
    for (why, line) in harmless().into_iter().filter(|(why, _)| matches!(*why, "merged" | "nothing was sent yet")) {
        assert_eq!(alerts(&[line]), [None], "{why}");
    }
    let mut other = example("shell-spawn");
    other["event"]["module"] = "auditd".into();
    assert_eq!(alerts(&[other.to_string()]), [None]);
}
