//! Calls over time as inline SVG, with a table of the same numbers for whoever does not see it.

use super::time;
use maud::{Markup, html};
use portcullis_story::{Bar, Level, Timeline};

const HEIGHT: u64 = 160;
const STEP: usize = 10;
/// Times below the axis, about.
const TICKS: usize = 5;

/// The chart.
pub fn over_time(timeline: &Timeline) -> Markup {
    let Some(chart) = timeline.chart() else { return html! { p { "No event has a time." } } };
    let all = |bar: &Bar| bar.iter().flatten().fold(0_u64, |sum, calls| sum.saturating_add(*calls));
    let of = |bar: &Bar, level: Level| bar[level as usize][0].saturating_add(bar[level as usize][1]);
    let most = chart.bars.iter().map(all).max().unwrap_or(0).max(1);
    let at = |place: usize| chart.start.saturating_add(chart.length.saturating_mul(place as i64));
    let width = chart.bars.len() * STEP;
    let tall = |count: u64| match count {
        0 => 0,
        count => (u128::from(count) * u128::from(HEIGHT) / u128::from(most)).max(2) as u64,
    };
    let ticks: Vec<usize> = (0..TICKS).map(|tick| tick * chart.bars.len() / TICKS).collect();
    let levels: Vec<Level> =
        Level::ALL.into_iter().rev().filter(|level| chart.bars.iter().any(|bar| of(bar, *level) > 0)).collect();
    // From below: the most severe is at the bottom.
    let stack = |bar: &Bar| {
        let mut top = HEIGHT;
        let mut parts = Vec::new();
        for level in &levels {
            let height = tall(of(bar, *level)).min(top);
            top -= height;
            parts.push((*level, top, height));
        }
        parts.retain(|(_, _, height)| *height > 0);
        parts
    };
    html! {
        figure {
            figcaption {
                "Calls by severity, one bar for each " (chart.by) "; at most " (most) " in one bar. "
                @for level in &levels { span class=(format!("key {}", level.word())) { (level.word()) } " " }
            }
            svg viewBox=(format!("0 0 {width} {HEIGHT}")) role="img" aria-label=(format!("Bar chart of calls, one bar for each {}; the table below has the numbers", chart.by)) preserveAspectRatio="none" {
                @for (place, bar) in chart.bars.iter().enumerate().filter(|(_, bar)| all(bar) > 0) {
                    g {
                        @for (level, y, height) in stack(bar) { rect class=(level.word()) x=(place * STEP) y=(y) width=(STEP - 1) height=(height) {} }
                    }
                }
            }
            ol class="ticks" aria-hidden="true" { @for place in &ticks { li { (time(at(*place))) } } }
            @let [before, after] = chart.outside;
            @if before > 0 { p class="dim" { "Before this time: " (before) "." } }
            @if after > 0 { p class="dim" { "After this time: " (after) "." } }
            @if chart.without_time > 0 { p class="dim" { "Without a time: " (chart.without_time) "." } }
            details {
                summary { "The numbers" }
                div class="wide" tabindex="0" role="region" aria-label="Calls over time" {
                    table {
                        thead { tr { th scope="col" { "From (UTC)" } @for level in Level::ALL { th scope="col" { (level.word()) } } th scope="col" { "blocked" } } }
                        tbody { @for (place, bar) in chart.bars.iter().enumerate().filter(|(_, bar)| all(bar) > 0) {
                            tr {
                                th scope="row" { (time(at(place))) }
                                @for level in Level::ALL { td { (of(bar, level)) } }
                                td { (bar.iter().fold(0_u64, |sum, calls| sum.saturating_add(calls[1]))) }
                            }
                        } }
                    }
                }
            }
        }
    }
}
