//! What was not in an earlier report.

use super::{Facts, text};
use crate::check;
use crate::report::earlier::{Age, Found, TABLES, tables};
use maud::{Markup, html};
use portcullis_story::{Incident, Row};

/// So many new incidents, and so many new rows of each table, are named.
const NAMED: usize = 10;

pub fn news(facts: &Facts<'_>, anchors: &[String]) -> Markup {
    let known = match facts.earlier {
        Found::None(why) => return html! { p { (text(why)) } },
        Found::Report(known) => known,
    };
    let all = &facts.log.incidents;
    let of_age = |age: Age| -> Vec<(usize, &Incident)> {
        all.iter().enumerate().filter(|(_, incident)| facts.earlier.age(incident) == Some(age)).collect()
    };
    let not_shown = |age: Age| {
        let others = facts.log.others.iter();
        others.filter(|brief| facts.earlier.age_of_brief(brief) == Some(age)).count()
    };
    let tables = TABLES.into_iter().zip(tables(&facts.log.digest)).map(|(name, table)| {
        let rows = table.ranked(usize::MAX).into_iter();
        (name, rows.filter(|(key, _)| facts.earlier.is_new(name, *key)).map(|(_, row)| row).collect::<Vec<&Row>>())
    });
    html! {
        p { "Compared with the report made " (text(&known.made)) " by " code { (text(&known.command)) } ", and with those before it." }
        @if known.is_cut { p class="dim" { "There was more than an earlier report keeps: some of this may not be new." } }
        @for (age, word) in [(Age::New, "New incidents"), (Age::Grown, "Incidents that have grown")] {
            @let found = of_age(age);
            @let count = found.len() + not_shown(age);
            h3 { (word) ": " (count) }
            @if count > 0 { ul {
                @for (place, incident) in found.iter().take(NAMED) { li {
                    @match anchors.get(*place) {
                        Some(anchor) => a href=(format!("#{anchor}")) { (text(&incident.title())) },
                        None => { (text(&incident.title())) }
                    }
                } }
                @if count > NAMED.min(found.len()) { li class="dim" { "and " (count - NAMED.min(found.len())) " more" } }
            } }
        }
        h3 { "New in the tables" }
        dl class="facts" { @for (name, rows) in tables { div {
            dt { a href=(format!("#{name}")) { (name) } }
            dd {
                @if rows.is_empty() { span class="dim" { "none" } }
                @for (place, row) in rows.iter().take(NAMED).enumerate() { @if place > 0 { ", " } @if row.text.is_empty() { span class="dim" { "without a name" } } @else { code { (text(&row.text)) } } }
                @if rows.len() > NAMED { span class="dim" { " and " (check::counted(rows.len() - NAMED, "more row")) } }
            }
        } } }
    }
}
