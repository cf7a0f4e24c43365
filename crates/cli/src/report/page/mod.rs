//! The page. Every value in it may come from an attacker: the template escapes all text, and what could reorder text or move a cursor is
//! made visible first. Its policy (CSP) lets the browser run this script and use this style alone, by their digests.

mod chart;
mod detail;
mod news;
mod tables;

use super::earlier::{Age, Found};
use super::kept::Kept;
use super::{INCIDENTS, Log};
use crate::{check, out, show};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use portcullis_config::reading::{self, Links};
use portcullis_story::{Incident, Level, Outcome};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::path::Path;

const STYLE: &str = include_str!("style.css");
/// The title of the second file, and in how many bytes of its beginning that is.
const OTHERS_TITLE: &str = "Portcullis report, further incidents";
const HEAD_MAX: u64 = 64 << 10;
const SCRIPT: &str = include_str!("script.js");
/// Incidents in words at the top of the page.
const CARDS: usize = 10;
/// Values of one kind that are named; the command shows all.
const NAMED: usize = 8;
/// A value is cut in its middle beyond so many characters.
const VALUE_MAX: usize = 600;

/// What the page is about.
pub struct Facts<'f> {
    /// What the log says.
    pub log: &'f Log,
    /// Events of the incidents.
    pub kept: &'f Kept,
    /// Commands that go on from an incident.
    pub commands: &'f dyn Fn(&Incident) -> Vec<String>,
    /// What the page is compared with.
    pub earlier: &'f Found,
    /// Lines that were no events.
    pub unreadable: usize,
    /// What `learn` proposes, where that was asked for.
    pub proposal: Option<&'f str>,
    /// The policy of this machine.
    pub policy: &'f str,
    /// The second file.
    pub more: Option<&'f Path>,
    /// How this command was typed.
    pub command: &'f str,
    /// The time of the report.
    pub now: &'f str,
}

impl Facts<'_> {
    /// The incidents of the page.
    fn shown(&self) -> &[Incident] {
        &self.log.incidents[..self.log.incidents.len().min(INCIDENTS)]
    }
}

/// A part of the page: its anchor and its title.
const PARTS: [(&str, &str); 10] = [
    ("what", "What happened"),
    ("news", "What is new"),
    ("time", "When"),
    ("incidents", "Incidents"),
    ("sites", "Sites"),
    ("clients", "Clients"),
    ("scripts", "Scripts"),
    ("commands", "Commands"),
    ("destinations", "Destinations"),
    ("learn", "What learn would propose"),
];

/// A value, without what is too long in its middle.
fn text(value: &str) -> String {
    let shown = show::printable(value);
    let count = shown.chars().count();
    if count <= VALUE_MAX {
        return shown;
    }
    let half = VALUE_MAX / 2;
    let beginning: String = shown.chars().take(half).collect();
    let end: String = shown.chars().skip(count - half).collect();
    format!("{beginning} [{} characters] {end}", count - 2 * half)
}

fn time(nanoseconds: i64) -> Markup {
    let exact = crate::log::time_text(nanoseconds).unwrap_or_default();
    let second = exact.get(..19).unwrap_or(&exact);
    html! { time datetime=(format!("{second}Z")) { (second.replace('T', " ")) } }
}

/// From when to when; one time where both are in the same second.
fn span(first: i64, last: i64) -> Markup {
    let second = |at: i64| at.div_euclid(1_000_000_000);
    html! { (time(first)) @if second(first) != second(last) { " to " (time(last)) } " UTC" }
}

/// A badge of a severity.
fn level(severity: u8) -> Markup {
    let level = Level::of(severity);
    html! { span class=(format!("badge {}", level.word())) { (level.word()) } }
}

/// A badge of what became of calls.
fn outcome(outcome: Outcome) -> Markup {
    let class = match outcome {
        Outcome::NotBlocked => "badge ahead",
        Outcome::PartlyBlocked => "badge partly",
        Outcome::Blocked => "badge stopped",
    };
    html! { span class=(class) { (outcome.words()) } }
}

/// What is to be seen of an incident first.
fn badges(incident: &Incident, facts: &Facts<'_>) -> Markup {
    html! {
        p class="badges" {
            (level(incident.severity)) " " (outcome(incident.outcome))
            @match facts.earlier.age(incident) {
                Some(Age::New) => { " " span class="badge new" { "new" } }
                Some(Age::Grown) => { " " span class="badge new" { "grown" } }
                Some(Age::Known) | None => {}
            }
            @if incident.is_ordinary { " " span class="badge low" { "ordinary" } }
            @if incident.is_contradicted { " " span class="badge high" { (show::CONTRADICTED.trim()) } }
            " " span class="dim" { "score " (incident.score) ", incident " (incident.id) }
        }
    }
}

/// Names of one kind, and how many more there are.
fn names<T: AsRef<str>>(all: &[T], (count, is_exact): (usize, bool)) -> Markup {
    let shown = all.len().min(NAMED);
    let more = count.saturating_sub(shown);
    html! {
        @if all.is_empty() { span class="dim" { "not known" } }
        @for (place, name) in all.iter().take(NAMED).enumerate() { @if place > 0 { ", " } code { (text(name.as_ref())) } }
        @if more > 0 { span class="dim" { " and " @if !is_exact { "about " } (more) " more" } }
    }
}

/// The anchors of incidents: each is there once.
fn anchors(incidents: &[Incident]) -> Vec<String> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut anchors = Vec::with_capacity(incidents.len());
    for (place, incident) in incidents.iter().enumerate() {
        anchors.push(match seen.insert(&incident.id) {
            true => format!("incident-{}", incident.id),
            false => format!("incident-{}-{place}", incident.id),
        });
    }
    anchors
}

/// What the search and the filters of the page look at.
fn matched(incident: &Incident) -> (&'static str, &'static str) {
    (Level::of(incident.severity).word(), incident.outcome.words())
}

/// The policy of a page: nothing is loaded, and nothing but its own style and script is used.
fn policy(has_script: bool) -> String {
    let digest = |text: &str| format!("'sha256-{}'", data_encoding::BASE64.encode(&Sha256::digest(text)));
    let script = if has_script { digest(SCRIPT) } else { "'none'".to_owned() };
    let style = digest(STYLE);
    format!(
        "default-src 'none'; script-src {script}; style-src {style}; img-src data:; base-uri 'none'; form-action 'none'"
    )
}

/// A page of these parts.
fn document(title: &str, block: &str, has_script: bool, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy(has_script));
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
                (PreEscaped(block))
            }
            body { (body) @if has_script { script { (PreEscaped(SCRIPT)) } } }
        }
    };
    // Whatever has no neutral text of its own yet has one now.
    visible(&page.into_string())
}

/// The whole page.
pub fn page(facts: &Facts<'_>) -> String {
    let log = facts.log;
    let range = match log.totals.span {
        Some((first, last)) => span(first, last),
        None => html! { "no events" },
    };
    let shown = facts.shown();
    let anchors = anchors(shown);
    let block = facts.earlier.block(&log.incidents, &log.digest, facts.now, facts.command);
    let body = html! {
        a class="skip" href="#main" { "To the report" }
        header {
            h1 { "Portcullis report" }
            p { (range) }
            (about(facts))
            nav aria-label="Parts" { ul { @for (anchor, title) in PARTS { li { a href=(format!("#{anchor}")) { (title) } } } } }
        }
        main id="main" {
            (part("what", cards(facts, &anchors)))
            (search())
            (part("news", news::news(facts, &anchors)))
            (part("time", html! { (numbers(facts)) @if log.totals.events == 0 { p { "No events in this time." } } @else { (chart::over_time(&log.digest.timeline)) } (own(facts)) }))
            (part("incidents", detail::incidents(facts, &anchors)))
            (tables::all(facts, &anchors))
            (part("learn", proposal(facts)))
        }
        p class="dim" id="said" role="status" {}
    };
    let title = format!("Portcullis report, {}", facts.now);
    document(&title, &block, true, &body)
}

fn part(anchor: &str, content: Markup) -> Markup {
    let title = PARTS.iter().find(|(known, _)| *known == anchor).map_or("", |(_, title)| title);
    html! { section aria-labelledby=(anchor) { h2 id=(anchor) { (title) } (content) } }
}

/// What would be allowed, or how to see that.
fn proposal(facts: &Facts<'_>) -> Markup {
    html! {
        @match facts.proposal {
            Some(text) => pre { (visible(text)) },
            None => p { "Not asked for: " code { "portcullis learn" } " prints it, and " code { "portcullis report --proposal" } " writes it here." },
        }
    }
}

/// The second file: the incidents that the page has no room for, in a line each.
pub fn others(facts: &Facts<'_>) -> String {
    let others = facts.log.incidents.get(INCIDENTS..).unwrap_or_default();
    let more = facts.log.others.len();
    let body = html! {
        main {
            h1 { "Portcullis report: the incidents behind the first " (INCIDENTS) }
            p { "Made " (facts.now) ". " code { "portcullis events --incident ID" } " shows one in full." }
            ol class="others" start=(INCIDENTS + 1) { @for incident in others {
                li { p { (text(&incident.title())) } p class="dim" { (span(incident.first, incident.last)) } (badges(incident, facts)) }
            } }
            @if more > 0 { p { "And " (more) " more: " code { "portcullis events --incidents -n 0" } " lists all." } }
        }
    };
    document(OTHERS_TITLE, "", false, &body)
}

/// What is at the place of the page is not lost, unless it is a page of an earlier report.
pub fn is_ours(path: &Path) -> Result<(), String> {
    let Ok(meta) = path.symlink_metadata() else { return Ok(()) };
    // Of a link, the file that it leads to stays.
    if !meta.is_file() || meta.len() == 0 {
        return Ok(());
    }
    let head = reading::head(path, Links::Refuse, HEAD_MAX).unwrap_or_default();
    match String::from_utf8_lossy(&head).contains("<title>Portcullis report") {
        true => Ok(()),
        false => Err(format!(
            "cannot write {}: it is there, and is no report; help: give -o another name, or remove it",
            path.display()
        )),
    }
}

/// Whether a second file is there already; an error where something else has its name.
pub fn is_others(path: &Path) -> Result<bool, String> {
    if path.symlink_metadata().is_err() {
        return Ok(false);
    }
    let head = reading::head(path, Links::Own, HEAD_MAX).unwrap_or_default();
    match String::from_utf8_lossy(&head).contains(&format!("<title>{OTHERS_TITLE}</title>")) {
        true => Ok(true),
        false => Err(format!(
            "cannot write a report's second file: {} is another file; help: give -o another name",
            path.display()
        )),
    }
}

/// Several lines, each made visible.
fn visible(lines: &str) -> String {
    lines.lines().map(|line| show::printable(line) + "\n").collect()
}

/// Where the events are from and how the page was made.
fn about(facts: &Facts<'_>) -> Markup {
    let digest = &facts.log.digest;
    let hosts: Vec<&str> =
        digest.hosts.ranked(NAMED).iter().map(|(_, row)| &*row.text).filter(|host| !host.is_empty()).collect();
    let modes = digest.modes.ranked(NAMED).into_iter().map(|(_, row)| {
        let name = if row.text.is_empty() { "not known" } else { &row.text };
        format!("{}: {}", text(name), check::counted(row.calls[0].saturating_add(row.calls[1]), "call"))
    });
    // In one line: on a telephone, the first incident is on the first screen.
    html! {
        details {
            summary { (names(&hosts, digest.hosts.count())) "; " (modes.collect::<Vec<_>>().join(", ")) "; version " (env!("CARGO_PKG_VERSION")) }
            dl class="facts" {
                div { dt { "Policy of this machine" } dd { (text(facts.policy)) } }
                div { dt { "Made" } dd { (facts.now) " by " code { (text(facts.command)) } } }
            }
        }
    }
}

/// What filters the page; without scripts it is not there.
fn search() -> Markup {
    html! {
        form id="filter" role="search" hidden {
            label { "Search " input type="search" name="words" autocomplete="off"; }
            label { "Severity " select name="level" { option value="" { "any" } @for level in Level::ALL { option value=(level.word()) { (level.word()) } } } }
            label { "Outcome " select name="outcome" { option value="" { "any" } @for outcome in [Outcome::NotBlocked, Outcome::PartlyBlocked, Outcome::Blocked] { option value=(outcome.words()) { (outcome.words()) } } } }
            output id="found" {}
        }
    }
}

fn numbers(facts: &Facts<'_>) -> Markup {
    let Log { totals, digest, .. } = facts.log;
    let [ahead, blocked] = digest.sites.calls();
    let all = [
        ("Events", totals.events, true),
        ("Incidents", facts.log.count() as u64, true),
        ("Calls that went ahead", ahead, true),
        ("Calls blocked", blocked, true),
        ("Not written", digest.dropped(), true),
        ("Read before", totals.again, false),
        ("Unreadable lines", facts.unreadable as u64, true),
    ];
    html! {
        dl class="numbers" { @for (name, number, _) in all.iter().filter(|(_, number, is_always)| *is_always || *number > 0) { div { dt { (name) } dd { (number) } } } }
        @if digest.merged > 0 { p class="dim" { (check::counted(digest.merged, "call")) " were merged into events that are not in this log or long before: the tables of scripts, clients, commands and destinations are without them." } }
        @if facts.log.is_folded { p class="dim" { "There are more scripts, clients and commands than are told apart: those who do only what many do are counted together." } }
    }
}

/// What Portcullis said of itself.
fn own(facts: &Facts<'_>) -> Markup {
    let (last, count) = facts.log.digest.own();
    html! {
        @if count > 0 {
            h3 { "Events about Portcullis itself" }
            @if count > last.len() as u64 { p class="dim" { "The last " (last.len()) " of " (count) "." } }
            ul { @for (when, message) in last { li { span class="dim" { (text(when)) } " " (text(message)) } } }
        }
    }
}

/// The first incidents in words.
fn cards(facts: &Facts<'_>, anchors: &[String]) -> Markup {
    let all = facts.shown();
    let is_quiet = all.iter().all(|incident| incident.is_ordinary);
    html! {
        @if let Some(why) = &facts.kept.lack { p { strong { "Events are missing in this page: " } (text(&out::in_words(why))) } }
        @if all.is_empty() { p { "No incident." } }
        @else if is_quiet { p { "Nothing is odd: all calls are such as many clients make." } }
        ol class="cards" { @for (incident, anchor) in all.iter().zip(anchors).take(CARDS) {
            @let (level, outcome) = matched(incident);
            @let [sites, scripts, clients] = incident.counts;
            li class="card" data-search data-level=(level) data-outcome=(outcome) {
                h3 { a href=(format!("#{anchor}")) { (text(&incident.title())) } }
                (badges(incident, facts))
                dl class="facts" {
                    div { dt { "Site" } dd { (names(&incident.sites, sites)) } }
                    div { dt { "Script" } dd { (names(&incident.scripts, scripts)) } }
                    div { dt { "Client" } dd { (names(&incident.clients, clients)) } }
                    div { dt { "Time" } dd { (span(incident.first, incident.last)) } }
                    div { dt { "Outcome" } dd { (incident.outcome.words()) } }
                }
            }
        } }
        @if all.len() > CARDS { p { a href="#incidents" { "All " (check::counted(facts.log.count(), "incident")) } } }
    }
}

/// A name in a link to a file beside the page.
fn link(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let name = path.file_name().unwrap_or_default().as_bytes();
    let of_byte = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    name.iter().map(of_byte).collect()
}

/// What is said where incidents are not in the page.
fn rest(facts: &Facts<'_>) -> Markup {
    let more = facts.log.count().saturating_sub(INCIDENTS);
    html! {
        @if more > 0 {
            p { "And " (check::counted(more, "incident")) " more"
                @match facts.more {
                    Some(path) => { ": " a href=(link(path)) { (text(&path.file_name().unwrap_or_default().to_string_lossy())) } ", a second file beside this one." }
                    None => { ": " code { "portcullis events --incidents -n 0" } " lists them; with -o FILE, a second file has them." }
                }
            }
        }
    }
}

/// A command that can be selected as a whole, and copied with a key where scripts run.
fn command(line: &str) -> Markup {
    html! { pre class="command" { code { (out::printable(line)) } } }
}

#[cfg(test)]
mod tests;
