//! The incidents in full: facts, steps, events by request and the commands that go on from there.

use super::{Facts, badges, command, matched, names, rest, span, text, time, visible};
use crate::incident::{Incident as Tree, group};
use crate::log::Event;
use crate::{check, show};
use maud::{Markup, html};
use portcullis_event::field;
use portcullis_story::{Incident, IncidentStep};

/// So many incidents are open when the page opens.
const OPEN: usize = 3;
/// So many steps of the first incidents are shown, and of the others.
const STEPS: [usize; 2] = [60, 12];
/// So many are the first.
const FIRST: usize = 20;
/// A line of the log is cut in its middle beyond so many characters.
const LINE_MAX: usize = 8192;
/// A chain of programs may be as long as an intruder likes.
const DEPTH_MAX: usize = 40;

/// All incidents of the page.
pub fn incidents(facts: &Facts<'_>, anchors: &[String]) -> Markup {
    let all = facts.shown();
    html! {
        @if all.is_empty() { p { "None." } }
        @for (place, (incident, anchor)) in all.iter().zip(anchors).enumerate() { (one(facts, place, incident, anchor)) }
        (rest(facts))
    }
}

fn one(facts: &Facts<'_>, place: usize, incident: &Incident, anchor: &str) -> Markup {
    let (level, outcome) = matched(incident);
    let [sites, scripts, clients] = incident.counts;
    let (requests, is_exact) = incident.requests;
    let (events, more) = facts.kept.of(place);
    let trees = group(events.to_vec());
    let steps = STEPS[usize::from(place >= FIRST)];
    let left = incident.steps.len().saturating_sub(steps) + incident.more_steps;
    html! {
        article id=(anchor) class="incident" data-search data-level=(level) data-outcome=(outcome) {
            h3 { (text(&incident.title())) }
            (badges(incident, facts))
            details open[place < OPEN] {
                summary { (span(incident.first, incident.last)) ", " (check::counted(incident.steps.len() + incident.more_steps, "kind")) " of calls" }
                dl class="facts" {
                    div { dt { "Hosts" } dd { (names(&incident.hosts, (incident.hosts.len(), true))) } }
                    div { dt { "Sites" } dd { (names(&incident.sites, sites)) } }
                    div { dt { "Scripts" } dd { (names(&incident.scripts, scripts)) } }
                    div { dt { "Clients" } dd { (names(&incident.clients, clients)) } }
                    @if !incident.uri.is_empty() { div { dt { "First URI" } dd { code { (text(&incident.uri)) } } } }
                    div { dt { "Requests" } dd { @if !is_exact { "about " } (requests) } }
                    div { dt { "Calls" } dd { (incident.calls[0]) " went ahead, " (incident.calls[1]) " blocked" } }
                    div { dt { "Score" } dd { (incident.score) @for reason in &incident.reasons { "; " (reason.points) ": " (reason.why) } } }
                }
                h4 { "Steps" }
                ol class="steps" { @for step in incident.steps.iter().take(steps) { li { (self::step(step)) } } }
                @if left > 0 { p class="dim" { "And " (left) " more: the first command below shows them." } }
                @if trees.is_empty() && facts.kept.lack.is_some() { p class="dim" { "Its events could not be read again: the first command below shows them." } }
                (self::events(&trees, more))
                h4 { "Commands" }
                (command(&format!("portcullis events --incident {}", incident.id)))
                @for line in (facts.commands)(incident) { (command(&line)) }
            }
        }
    }
}

fn word(blocked: bool) -> Markup {
    let (class, word) = if blocked { ("word stopped", show::BLOCKED) } else { ("word ahead", show::WENT_AHEAD) };
    html! { span class=(class) { (word) } }
}

fn step(step: &IncidentStep) -> Markup {
    html! {
        (time(step.first)) " " (word(step.blocked)) " " (super::level(step.severity)) " " (step.rule) " " code { (text(&step.what)) }
        @if step.calls > 1 { span class="dim" { " " (step.calls) " times, the last one " (time(step.last)) } }
        @if step.is_rare { " " span class="badge rare" { "rare" } }
    }
}

fn events(trees: &[Tree], more: usize) -> Markup {
    html! {
        @if !trees.is_empty() { h4 { "Events by request" } }
        @for tree in trees {
            @let request = show::request(tree.first());
            details open {
                summary { @if request.is_empty() { "no request" } @else { (text(request.strip_prefix("for ").unwrap_or(&request))) } }
                ul class="tree" { @for &root in &tree.roots { (node(tree, root, 0)) } }
            }
        }
        @if more > 0 { p class="dim" { (check::counted(more, "more event")) ": the commands below show them." } }
    }
}

fn node(tree: &Tree, place: usize, depth: usize) -> Markup {
    let event = &tree.events[place];
    let rules: Vec<String> = event.rules().map(show::value).collect();
    html! {
        li {
            span class="dim" { (show::time(event)) } " " (word(event.blocked())) " " (text(&rules.join(", "))) " " code { (text(&show::deed(event))) }
            @if !event.contradicted().is_empty() { " " span class="badge high" { (show::CONTRADICTED.trim()) } }
            @if event.count() > 1 { " " span class="dim" { (event.count()) " times" } }
            @if !event.text(field::CLAUSE).is_empty() { div class="dim" { "because: " (text(event.text(field::CLAUSE))) } }
            (raw(event))
            @if depth < DEPTH_MAX && !tree.children[place].is_empty() { ul { @for &child in &tree.children[place] { (node(tree, child, depth + 1)) } } }
        }
    }
}

/// The line of the log.
fn raw(event: &Event) -> Markup {
    let line = event.line();
    let count = line.chars().count();
    let shown = match count {
        ..=LINE_MAX => visible(line),
        _ => {
            let beginning: String = line.chars().take(LINE_MAX / 2).collect();
            let end: String = line.chars().skip(count - LINE_MAX / 2).collect();
            visible(&format!("{beginning}\n[{} characters are left out]\n{end}", count - LINE_MAX / 2 * 2))
        }
    };
    html! { details class="raw" { summary { "Raw event" } pre { (shown) } } }
}
