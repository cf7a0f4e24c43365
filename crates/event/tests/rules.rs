//! What is written from the table of rules: Sigma rules, alerts, the words of the schema, the facts in docs/rules/.

use portcullis_event::{GUARD_POLICY, OTHER_TITLES, RULES, RuleFacts, SHARED_ACTIONS, UNRULED_ACTIONS};
use portcullis_policy::{Follows, RULE_TEXTS, Rule, RuleText};
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

/// `event.action` of what this rule alone is about.
fn own_action(rule: Rule) -> Option<String> {
    rule.own_action().map(|own| String::from_utf8_lossy(own.word).into_owned())
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

/// What the rules on connections leave out.
const UNSENT: &str = "    # The connect of a UDP socket: what is sent on it has events of its own. Some engines take no comparison with a \
                      field that is not\n    # there for true, nor its negation.\n    unsent:\n        \
                      event.action: connection_attempted\n        portcullis.detail: nothing sent yet\n    plain:\n        \
                      portcullis.detail: null\n";

fn sigma(fact: &RuleFacts, text: &RuleText) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let techniques = particular(fact).map(str::to_lowercase);
    let tags = text.tactics.iter().map(|&tactic| tactic.to_owned()).chain(techniques);
    let tags: String = tags.map(|tag| format!("    - attack.{tag}\n")).collect();
    let request = ["portcullis.request.script", "url.domain", "url.original", "http.request.id", "client.address"];
    let fields = ["host.hostname"].into_iter().chain(text.fields.iter().copied());
    let fields = fields.chain(["event.outcome", "portcullis.vhost"]).chain(request).chain(["portcullis.chain"]);
    let fields: String = fields.map(|field| format!("    - {field}\n")).collect();
    let (unsent, sends) = match text.shared {
        "connection_attempted" => (UNSENT, " and (plain or not unsent)"),
        _ => ("", ""),
    };
    format!(
        "title: {}\nid: {}\nstatus: experimental\ndescription: {}\nauthor: The Portcullis developers\ndate: {}\n\
         tags:\n{tags}logsource:\n    product: linux\n    service: portcullis\n    \
         definition: 'Events of Portcullis, one JSON object a line (docs/siem.md)'\ndetection:\n    \
         decided:\n        event.module: portcullis\n        rule.id: {id}\n    \
         also:\n        event.module: portcullis\n        portcullis.also|contains: {id}\n    \
         counted:\n        event.action: merged\n{unsent}    condition: (decided or also) and not counted{sends}\n\
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
    let own: Vec<String> = Rule::ALL.into_iter().filter_map(own_action).collect();
    let actions = |shared: &[&str], unruled: &[&str]| {
        let all = shared.iter().copied().chain(own.iter().map(String::as_str)).chain(unruled.iter().copied());
        all.map(quoted).collect::<Vec<_>>().join(", ")
    };
    let text = between(&text, "\"action\": { \"enum\": [", "]", &actions(&SHARED_ACTIONS, &UNRULED_ACTIONS));
    // Those that are about no address.
    let begin = "\"action\": { \"enum\": [\"socket_route\", ";
    let without_first = actions(&["exec"], &["io_uring_setup", "system_call"]);
    hold(name, &between(&text, begin, "]", &without_first));
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
    let own: Vec<String> = Rule::ALL.into_iter().filter_map(own_action).map(|word| format!("`{word}`")).collect();
    let text = between(&read("docs/events.md"), "`listen`, `exec`, ", ", `io_uring_setup`", &own.join(", "));
    let rows: String = all()
        .map(|(fact, text)| {
            let shared = Some(text.shared.to_owned()).filter(|word| !word.is_empty());
            let words: Vec<String> = shared.into_iter().chain(own_action(text.rule)).collect();
            format!("| [{id}](events/{id}.json) | `{}` | {} |\n", words.join("` or `"), text.read, id = fact.id)
        })
        .collect();
    let begin = "| rule | `event.action` | field to read |\n| --- | --- | --- |\n";
    hold("docs/events.md", &between(&text, begin, "| [guard-policy]", &rows));
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for (fact, text) in all() {
        let detects = format!("{} (`{}`)", text.detects, fact.id);
        match groups.iter_mut().find(|(group, _)| *group == text.group) {
            Some((_, of_group)) => of_group.push(detects),
            None => groups.push((text.group, vec![detects])),
        }
    }
    let rows: String =
        groups.iter().map(|(group, detects)| format!("| {group} | {} |\n", detects.join(", "))).collect();
    hold(
        "README.md",
        &between(&read("README.md"), "| detects | rules |\n| --- | --- |\n", "\nThe server's own", &rows),
    );
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

/// A rule that has no list is a row of the table and a hook: no crate names it, in its sources or its tests.
#[test]
fn a_plain_rule_is_named_by_its_row_and_its_hooks_alone() {
    // The second says what else than its subject is unknown to a rule.
    const MAY: [&str; 2] = ["crates/policy/src/rule.rs", "crates/policy/src/unknown.rs"];
    let plain = || Rule::ALL.into_iter().filter(|rule| rule.is_plain() && rule.text().shared.is_empty());
    assert!(plain().count() > 1);
    let mut folders = vec![path("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(self::path("")).expect("a path in the tree").display().to_string();
            if !name.ends_with(".rs") || MAY.contains(&name.as_str()) {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            for rule in plain() {
                let words = [rule.word().to_owned(), own_action(rule).expect("an action")];
                let names = words.map(|word| format!("\"{word}\"")).into_iter().chain([format!("Rule::{rule:?}")]);
                for named in names {
                    assert!(!text.contains(&named), "{name} names {named}: its row in the table of rules has to do");
                }
            }
        }
    }
}
