//! Events over time as inline SVG, with a table of the same numbers for whoever does not see it.

use crate::log::Event;
use maud::{Markup, html};
use portcullis_event::field;
use std::collections::BTreeMap;

/// At most so many bars.
const BARS: usize = 48;
const WIDTH: usize = 960;
const HEIGHT: usize = 160;

/// How many calls there were in a span of time, by what became of them.
#[derive(Default, Clone, Copy)]
struct Bar {
    audits: usize,
    blocked: usize,
}

/// The chart of events in the order of time.
pub fn over_time(events: &[Event]) -> Markup {
    let (bars, by) = bars(events);
    let (Some(first), Some(last)) = (bars.keys().next(), bars.keys().last()) else {
        return html! { p { "No events in this time." } };
    };
    let most = bars.values().map(|bar| bar.audits + bar.blocked).max().unwrap_or(0).max(1);
    let step = WIDTH / bars.len().max(1);
    let width = step.saturating_sub(2).clamp(1, 60);
    let tall = |count: usize| if count == 0 { 0 } else { (count * HEIGHT / most).max(2) };
    html! {
        figure {
            figcaption {
                "Calls " (by) ", " span class="word AHEAD" { "went ahead" } " and " span class="word BLOCKED" { "blocked" } ", from "
                (first) " to " (last) "; at most " (most) " in one bar."
            }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(format!("Bar chart of calls {by}; the table below has the numbers")) preserveAspectRatio="none" {
                @for (place, (time, bar)) in bars.iter().enumerate() {
                    @let (audits, blocked) = (tall(bar.audits), tall(bar.blocked));
                    g {
                        title { (time) ": " (bar.audits) " went ahead, " (bar.blocked) " blocked" }
                        rect class="audit" x=(place * step) y=(HEIGHT - audits.min(HEIGHT)) width=(width) height=(audits) {}
                        rect class="blocked" x=(place * step) y=(HEIGHT.saturating_sub(audits + blocked)) width=(width) height=(blocked) {}
                    }
                }
            }
            details {
                summary { "The numbers" }
                table {
                    thead { tr { th scope="col" { "From (UTC)" } th scope="col" { "Went ahead" } th scope="col" { "Blocked" } } }
                    tbody { @for (time, bar) in &bars { tr { th scope="row" { (time) } td { (bar.audits) } td { (bar.blocked) } } } }
                }
            }
        }
    }
}

/// By minute, hour or day: the finest of which there are few enough.
fn bars(events: &[Event]) -> (BTreeMap<String, Bar>, &'static str) {
    for (length, by) in [(16, "by minute"), (13, "by hour"), (10, "by day"), (7, "by month")] {
        let mut bars: BTreeMap<String, Bar> = BTreeMap::new();
        for event in events {
            let time = event.text(field::TIMESTAMP).get(..length).unwrap_or("?").replace('T', " ");
            let bar = bars.entry(time).or_default();
            *if event.blocked() { &mut bar.blocked } else { &mut bar.audits } += event.count();
        }
        if bars.len() <= BARS || length == 7 {
            return (bars, by);
        }
    }
    (BTreeMap::new(), "by month")
}
