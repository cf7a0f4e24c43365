//! Calls by site, client, script, command and destination: first those of the gravest incidents, then the gravest and rarest.

use super::{Facts, level, part, text, time};
use crate::report::earlier::{TABLES, tables};
use maud::{Markup, html};
use portcullis_story::{Incident, Level, Of, Row, Table};
use std::collections::HashMap;
use std::rc::Rc;

/// Rows of a table in the page.
const ROWS: usize = 50;

/// All tables.
pub fn all(facts: &Facts<'_>, anchors: &[String]) -> Markup {
    let named = [
        named(facts, |incident| incident.sites.clone()),
        named(facts, |incident| incident.clients.clone()),
        named(facts, |incident| incident.scripts.clone()),
        named(facts, |incident| incident.steps.iter().map(|step| Rc::clone(&step.what)).collect()),
        named(facts, |incident| incident.steps.iter().map(|step| Rc::clone(&step.what)).collect()),
    ];
    let columns = ["Site", "Client", "Script", "Command, the first of its kind", "Destination"];
    let all = TABLES.into_iter().zip(tables(&facts.log.digest)).zip(named.iter().zip(columns));
    html! {
        @for ((name, of), (named, column)) in all { (part(name, table(facts, anchors, name, of, named, column))) }
    }
}

/// The gravest incident in which each name is.
fn named(facts: &Facts<'_>, of: impl Fn(&Incident) -> Vec<Rc<str>>) -> HashMap<Rc<str>, usize> {
    let mut places = HashMap::new();
    for (place, incident) in facts.shown().iter().enumerate().filter(|(_, incident)| !incident.is_ordinary) {
        for name in of(incident) {
            places.entry(name).or_insert(place);
        }
    }
    places
}

fn table(
    facts: &Facts<'_>,
    anchors: &[String],
    name: &str,
    of: &Table,
    named: &HashMap<Rc<str>, usize>,
    column: &str,
) -> Markup {
    let of_rows = match name {
        "sites" => Of::Sites,
        "clients" => Of::Clients,
        "scripts" => Of::Scripts,
        _ => Of::Kinds,
    };
    let place = |row: &Row| named.get(&*row.text).copied();
    let mut rows = of.ranked(usize::MAX);
    rows.sort_by_key(|(_, row)| place(row).unwrap_or(usize::MAX));
    let (count, is_exact) = of.count();
    let more = count.saturating_sub(rows.len().min(ROWS));
    let [ahead, blocked] = of.others();
    html! {
        @if rows.is_empty() { p { "None." } } @else {
            div class="wide" tabindex="0" role="region" aria-label=(format!("Calls by {name}")) {
                table {
                    thead { tr { @for title in [column, "Marks", "Went ahead", "Blocked", "Clients", "Last call (UTC)", "Incident"] { th scope="col" { (title) } } } }
                    tbody { @for (key, row) in rows.iter().take(ROWS) {
                        @let at_least = if row.is_partial { "at least " } else { "" };
                        tr data-search data-level=(Level::of(row.severity).word()) {
                            th scope="row" { @if row.text.is_empty() { span class="dim" { "none" } } @else { code { (text(&row.text)) } } }
                            td {
                                (level(row.severity))
                                @if facts.earlier.is_new(name, *key) { " " span class="badge new" { "new" } }
                                @if facts.log.common.is_rare(of_rows, *key) { " " span class="badge rare" { "rare" } }
                            }
                            td { (at_least) (row.calls[0]) }
                            td { (at_least) (row.calls[1]) }
                            @let (clients, is_all) = row.clients();
                            td { (clients) @if !is_all { " or more" } }
                            td { @if let Some((_, last)) = row.span { (time(last)) } }
                            td { @if let Some((place, anchor)) = place(row).and_then(|place| anchors.get(place).map(|anchor| (place, anchor))) { a href=(format!("#{anchor}")) { "incident " (place + 1) } } }
                        }
                    } }
                }
            }
            @if more > 0 { p class="dim" { "And " @if !is_exact { "about " } (more) " more." } }
            @if ahead + blocked > 0 { p class="dim" { "There were more than are told apart: " (ahead) " calls that went ahead and " (blocked) " that were blocked are in no row." } }
        }
    }
}
