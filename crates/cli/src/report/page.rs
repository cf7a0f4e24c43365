//! The page. Every value in it may come from an attacker: the template escapes all text, and what could reorder text or
//! move a cursor is made visible first.

use super::chart;
use crate::incident::Incident as Tree;
use crate::log::Event;
use crate::show;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use portcullis_event::field;
use portcullis_story::{Incident, Outcome};
use std::collections::BTreeMap;

/// Incidents that are named, the gravest first.
const INCIDENTS: usize = 20;
/// Requests that are shown whole, the gravest first.
const REQUESTS: usize = 200;
/// Rows of the table of scripts.
const SCRIPTS: usize = 20;
/// Steps of an incident.
const STEPS: usize = 12;

/// What the page is about.
pub struct Facts<'f> {
    /// All events, in the order of time.
    pub events: &'f [Event],
    /// What happened, the gravest first.
    pub incidents: &'f [Incident],
    /// The events by request.
    pub requests: &'f [Tree],
    /// Lines that were no events.
    pub unreadable: usize,
    /// What `learn` proposes.
    pub proposal: &'f str,
    /// The time of the report.
    pub now: &'f str,
}

/// A part of the page: its anchor and its title.
const PARTS: [(&str, &str); 7] = [
    ("incidents", "What happened"),
    ("time", "When"),
    ("hosts", "Virtual hosts"),
    ("rules", "Rules"),
    ("scripts", "Scripts"),
    ("requests", "Requests"),
    ("learn", "What learn would propose"),
];

fn text(value: &str) -> String {
    show::printable(value)
}

/// The whole page.
pub fn page(facts: &Facts<'_>) -> String {
    let sum =
        |of: &dyn Fn(&Event) -> bool| facts.events.iter().filter(|event| of(event)).map(Event::count).sum::<usize>();
    let guard: Vec<&Event> = facts.events.iter().filter(|event| event.is_of_guard()).collect();
    let range = match (facts.events.first(), facts.events.last()) {
        (Some(first), Some(last)) => format!("{} to {} UTC", show::time(first), show::time(last)),
        _ => "no events".to_owned(),
    };
    let numbers = [
        ("Events", facts.events.len()),
        ("Incidents", facts.incidents.len()),
        ("Calls that went ahead", sum(&|event| !event.blocked() && !event.is_of_guard())),
        ("Calls blocked", sum(&Event::blocked)),
        ("Not written", dropped(facts.events)),
        ("Unreadable lines", facts.unreadable),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { "Portcullis report, " (text(&range)) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                a class="skip" href="#main" { "To the report" }
                header {
                    h1 { "Portcullis report" }
                    p { (text(&range)) "; made " (facts.now) }
                    nav aria-label="Parts" { ul { @for (anchor, title) in PARTS { li { a href=(format!("#{anchor}")) { (title) } } } } }
                }
                main id="main" {
                    dl class="numbers" { @for (name, number) in numbers { div { dt { (name) } dd { (number) } } } }
                    @if !guard.is_empty() {
                        section aria-label="Events about Portcullis itself" {
                            @for event in guard.iter().take(20) { p { span class="word BLOCKED" { "GUARD " } (show::time(event)) ": " (text(event.text(field::MESSAGE))) } }
                        }
                    }
                    section aria-labelledby="incidents" { h2 id="incidents" { "What happened" } (incidents(facts.incidents)) }
                    section aria-labelledby="time" { h2 id="time" { "When" } (chart::over_time(facts.events)) }
                    section aria-labelledby="hosts" { h2 id="hosts" { "Virtual hosts" } (counts(facts.events, "Virtual host", |event| event.vhost().to_owned())) }
                    section aria-labelledby="rules" { h2 id="rules" { "Rules" } (counts(facts.events, "Rule", |event| format!("{}: {}", event.rule(), event.text(field::RULE_NAME)))) }
                    section aria-labelledby="scripts" { h2 id="scripts" { "Scripts" } (counts(facts.events, "Script", |event| event.text(field::REQUEST_SCRIPT).to_owned())) }
                    section aria-labelledby="requests" { h2 id="requests" { "Requests" } (requests(facts.requests)) }
                    section aria-labelledby="learn" { h2 id="learn" { "What learn would propose" } pre tabindex="0" { (visible(facts.proposal)) } }
                }
            }
        }
    };
    // Whatever has no neutral text of its own yet has one now.
    visible(&page.into_string())
}

/// Several lines, each made visible.
fn visible(lines: &str) -> String {
    lines.lines().map(|line| text(line) + "\n").collect()
}

/// What sinks did not take: the most that each stream says.
fn dropped(events: &[Event]) -> usize {
    let mut streams: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        let most = streams.entry(event.text(field::STREAM)).or_default();
        *most = (*most).max(event.number(field::DROPPED).unwrap_or(0));
    }
    streams.values().fold(0, |sum: u64, dropped| sum.saturating_add(*dropped)) as usize
}

/// How many events there are of each kind, the most first.
fn counts(events: &[Event], title: &str, of: impl Fn(&Event) -> String) -> Markup {
    let mut all: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.is_of_guard()) {
        all.entry(of(event)).or_default()[usize::from(event.blocked())] += event.count();
    }
    let mut all: Vec<(String, [usize; 2])> = all.into_iter().collect();
    all.sort_by_key(|(_, [ahead, blocked])| std::cmp::Reverse(ahead + blocked));
    let more = all.len().saturating_sub(SCRIPTS);
    html! {
        div class="wide" tabindex="0" role="region" aria-label=(format!("Calls by {}", title.to_lowercase())) {
            table {
                thead { tr { th scope="col" { (title) } th scope="col" { "Went ahead" } th scope="col" { "Blocked" } } }
                tbody { @for (name, [ahead, blocked]) in all.iter().take(SCRIPTS) {
                    tr { th scope="row" { @if name.is_empty() { span class="dim" { "none" } } @else { (text(name)) } } td { (ahead) } td { (blocked) } }
                } }
            }
        }
        @if more > 0 { p class="dim" { "And " (more) " more." } }
    }
}

/// The incidents in words: the score, the title, when, and what was done.
fn incidents(all: &[Incident]) -> Markup {
    html! {
        @if all.is_empty() { p { "Nothing." } }
        ol class="incidents" { @for incident in all.iter().take(INCIDENTS) {
            @let is_blocked = incident.outcome == Outcome::Blocked;
            li {
                span class=(if is_blocked { "word BLOCKED" } else { "word AHEAD" }) { (incident.score) } " " strong { (text(&incident.title())) }
                div class="dim" { (when(incident.first)) " to " (when(incident.last)) ", incident " (incident.id) @if incident.is_contradicted { " " span class="word BLOCKED" { (show::CONTRADICTED.trim()) } } }
                @if !incident.is_ordinary { ul class="tree" { @for step in incident.steps.iter().take(STEPS) { li { @let (class, word) = outcome(step.blocked); span class=(format!("word {class}")) { (word) } " " (step.rule) " " code { (text(&step.what)) } @if step.calls > 1 { " " span class="dim" { (step.calls) " times" } } } } } }
            }
        } }
        @if all.len() > INCIDENTS { p class="dim" { "And " (all.len() - INCIDENTS) " more: portcullis events --incidents -n 0 lists them all." } }
    }
}

/// What became of a call: how that looks, and the word for it.
fn outcome(blocked: bool) -> (&'static str, &'static str) {
    if blocked { ("BLOCKED", show::BLOCKED) } else { ("AHEAD", show::WENT_AHEAD) }
}

fn when(nanoseconds: i64) -> String {
    let text = crate::log::time_text(nanoseconds).unwrap_or_default();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

fn requests(all: &[Tree]) -> Markup {
    let mut order: Vec<&Tree> = all.iter().collect();
    order.sort_by_key(|incident| std::cmp::Reverse((incident.severity(), incident.events.len())));
    html! {
        @if all.is_empty() { p { "None." } }
        @for incident in order.iter().take(REQUESTS) {
            @let first = incident.first();
            @let request = show::request(&first.value());
            details {
                summary { @if request.is_empty() { "no request" } @else { (text(request.strip_prefix("for ").unwrap_or(&request))) } " " span class="dim" { (show::time(first)) ", " (crate::check::counted(incident.events.len(), "event")) } }
                ul class="tree" { @for &root in &incident.roots { (node(incident, root, 0)) } }
            }
        }
        @if all.len() > REQUESTS { p class="dim" { "And " (all.len() - REQUESTS) " more: portcullis events has their events." } }
    }
}

fn node(incident: &Tree, place: usize, depth: usize) -> Markup {
    let event = &incident.events[place];
    let (class, word) = outcome(event.blocked());
    let rules: Vec<&str> = event.rules().collect();
    html! {
        li {
            span class=(format!("word {class}")) { (word) } " " span class="dim" { (text(&rules.join(", "))) } " " code { (show::deed_whole(event)) }
            @if !event.contradicted().is_empty() { " " span class="word BLOCKED" { "NOT WHAT THE JOURNAL SAYS" } }
            @if event.count() > 1 { " " span class="dim" { (event.count()) " times" } }
            @if !event.text(field::CLAUSE).is_empty() { div class="dim" { "because: " (text(event.text(field::CLAUSE))) } }
            // A chain of programs may be as long as an intruder likes.
            @if depth < 40 && !incident.children[place].is_empty() { ul { @for &child in &incident.children[place] { (node(incident, child, depth + 1)) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_value_becomes_markup() {
        let hostile = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}\u{1b}\" onload='x'";
        let event = Event::of(&json!({
            "@timestamp": hostile, "message": hostile, "rule": { "id": hostile, "name": hostile },
            "event": { "category": ["process"], "outcome": "failure", "action": "exec" },
            "process": { "command_line": hostile, "args": ["sh", "-c", hostile] }, "client": { "address": hostile },
            "url": { "original": hostile, "domain": hostile }, "http": { "request": { "id": hostile, "method": hostile } },
            "portcullis": { "chain": hostile, "vhost": hostile, "clause": hostile, "also": [hostile], "stream": hostile,
                "request": { "state": "known", "script": hostile } },
        }));
        let events = [event.clone(), Event::of(&json!({ "rule": { "id": "guard-policy" }, "message": hostile }))];
        let page = super::super::page_on(&events, 1, hostile, "now");
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("onload='x'\""), "{page}");
        assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'));
        assert_eq!(page.matches("<pre").count(), 1);
    }
}
