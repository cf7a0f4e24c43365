//! What is written from the table of rules: Sigma rules, alerts, the words of the schema, the facts in docs/rules/.

use portcullis_event::{GUARD_POLICY, OTHER_TITLES, RULES, RuleFacts};
use portcullis_policy::{Follows, RULE_TEXTS, RuleText};
use std::path::{Path, PathBuf};

const HELP: &str = "PORTCULLIS_UPDATE=1 cargo test -p portcullis-event --test rules";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_default()
}

/// Holds a file against what it should be, or writes it.
fn hold(name: &str, expected: &str) {
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(path(name), expected).expect(name);
    }
    assert!(read(name) == expected, "{name} is not as the table of rules has it; {HELP} writes it");
}

/// `text` with what is between `begin` and the next `end` replaced.
fn between(text: &str, begin: &str, end: &str, new: &str) -> String {
    let (before, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{begin} is missing"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{end} is missing after {begin}"));
    format!("{before}{begin}{new}{end}{after}")
}

fn all() -> impl Iterator<Item = (&'static RuleFacts, &'static RuleText)> {
    RULES.iter().zip(&RULE_TEXTS)
}

fn level(fact: &RuleFacts) -> &'static str {
    match fact.severity {
        73 => "high",
        47 => "medium",
        _ => "low",
    }
}

/// The most particular techniques: a technique only where no subtechnique of it is listed.
fn particular(fact: &RuleFacts) -> impl Iterator<Item = &'static str> {
    let subtechniques = fact.subtechniques;
    let is_alone = move |technique: &&&str| !subtechniques.iter().any(|sub| sub.starts_with(**technique));
    subtechniques.iter().copied().chain(fact.techniques.iter().filter(is_alone).copied())
}

fn sigma(fact: &RuleFacts, text: &RuleText) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let techniques = particular(fact).map(str::to_lowercase);
    let tags = text.tactics.iter().map(|&tactic| tactic.to_owned()).chain(techniques);
    let tags: String = tags.map(|tag| format!("    - attack.{tag}\n")).collect();
    let request = ["portcullis.request.script", "url.domain", "url.original", "http.request.id", "client.address"];
    let fields = ["host.hostname"].into_iter().chain(text.fields.iter().copied());
    let fields = fields.chain(["event.outcome", "portcullis.vhost"]).chain(request).chain(["portcullis.chain"]);
    let fields: String = fields.map(|field| format!("    - {field}\n")).collect();
    format!(
        "title: {}\nid: {}\nstatus: experimental\ndescription: {}\nauthor: The Portcullis developers\ndate: {}\n\
         tags:\n{tags}logsource:\n    product: linux\n    service: portcullis\n    \
         definition: 'Events of Portcullis, one JSON object a line (docs/siem.md)'\ndetection:\n    \
         decided:\n        event.module: portcullis\n        rule.id: {id}\n    \
         also:\n        event.module: portcullis\n        portcullis.also|contains: {id}\n    \
         counted:\n        event.action: merged\n    condition: (decided or also) and not counted\n\
         fields:\n{fields}falsepositives:\n    - {}\nlevel: {}\n",
        fact.name,
        text.uuid,
        quoted(text.about),
        text.since,
        quoted(text.benign),
        level(fact),
        id = fact.id,
    )
}

#[test]
fn each_has_its_sigma_rule() {
    for (fact, text) in all() {
        hold(&format!("examples/siem/sigma/{}.yml", fact.id), &sigma(fact, text));
    }
}

#[test]
fn prometheus_alerts_by_severity() {
    let name = "examples/siem/prometheus/rules.yml";
    let mut text = read(name);
    for (alert, severity) in [("FiredHigh", 73), ("Fired", 47), ("FiredLow", 21)] {
        let of_severity = RULES.iter().chain([&GUARD_POLICY]).filter(|fact| fact.severity == severity);
        let words: Vec<&str> = of_severity.map(|fact| fact.id).collect();
        let begin = format!("alert: PortcullisRule{alert}\n        expr: portcullis:calls:increase10m{{rule=~\"");
        text = between(&text, &begin, "\"}", &words.join("|"));
    }
    hold(name, &text);
}

#[test]
fn the_schema_has_their_words_and_names() {
    let name = "docs/events.schema.json";
    let quoted = |text: &str| format!("\"{text}\"");
    let words: Vec<String> = RULES.iter().chain([&GUARD_POLICY]).map(|fact| quoted(fact.id)).collect();
    let text = between(&read(name), "\"id\": {\n          \"enum\": [", "]", &words.join(", "));
    let mut titles: Vec<String> = RULES.iter().chain([&GUARD_POLICY]).map(|fact| quoted(fact.name)).collect();
    titles.splice(1..1, OTHER_TITLES.map(quoted));
    let titles = titles.join(",\n            ");
    let text = between(&text, "\"name\": {\n          \"enum\": [\n            ", "\n          ]", &titles);
    hold(name, &text);
}

fn default(text: &RuleText) -> &'static str {
    match text.mode {
        Follows::Mode => "`mode`",
        Follows::InPlaces => "`audit`; `mode` in memfd and world-writable locations",
        Follows::Nothing => "`audit`",
    }
}

#[test]
fn the_pages_have_their_facts() {
    let rows: String = all()
        .map(|(fact, text)| {
            let (id, severity) = (fact.id, fact.severity);
            format!("| [{id}]({id}.md) | {} | {} ({severity}) | {} |\n", fact.name, level(fact), default(text))
        })
        .collect();
    let name = "docs/rules/README.md";
    let text = read(name);
    let begin = "| --- | --- | --- | --- |\n";
    let (before, _) = text.split_once(begin).expect("the table");
    hold(name, &format!("{before}{begin}{rows}"));
    let events = read("docs/events.md");
    let (_, table) = events.split_once("## One event of each rule\n").expect("the table of docs/events.md");
    let listed: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| [")?.split(']').next())
        .take_while(|id| *id != GUARD_POLICY.id)
        .collect();
    assert_eq!(listed, all().map(|(fact, _)| fact.id).collect::<Vec<_>>(), "docs/events.md: a row for each rule");
    for (fact, text) in all() {
        let page = read(&format!("docs/rules/{}.md", fact.id));
        let id = fact.id;
        assert!(page.starts_with(&format!("# {id}\n\n**{}**\n", fact.name)), "docs/rules/{id}.md: its name");
        let severity = format!("\n| severity | {} ({}) |\n", level(fact), fact.severity);
        assert!(page.contains(&severity), "docs/rules/{id}.md needs: {severity}");
        let mode = format!("\n| default | {} |\n", default(text));
        assert!(text.mode == Follows::InPlaces || page.contains(&mode), "docs/rules/{id}.md needs: {mode}");
        let (_, attack) = page.split_once("| ATT&CK | ").expect("a row for ATT&CK");
        let attack = attack.lines().next().unwrap_or_default();
        let listed: Vec<&str> = attack.split("; ").filter_map(|named| named.split(' ').next()).collect();
        assert_eq!(listed, particular(fact).collect::<Vec<_>>(), "docs/rules/{id}.md: ATT&CK");
    }
}
