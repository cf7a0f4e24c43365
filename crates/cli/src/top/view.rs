//! The picture of `portcullis top`. Every text in it is printable before it comes here, and takes no more than its place.

use super::rates::Rates;
use super::sight::{Seen, Sight, now};
use crate::incidents;
use crate::out::printable;
use crate::show;
use crate::text::{self, middle, pad};
use anstyle::AnsiColor;
use portcullis_story::{DIGITS, Incident};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);
const ALARM: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const AHEAD: Style = Style::new().fg(Color::Yellow);

/// From so many columns on, a table of rates has all its numbers.
const WIDE: u16 = 60;
/// From so many columns on, the ID of each incident is in the list, and what is read in the head.
const HAS_ID: usize = 110;
const SOURCE: usize = 10;
/// How wide the column of scores is.
const SCORE: usize = 5;
/// The least and the most lines of the tables of rates, with their frames.
const RATES: (u16, u16) = (6, 20);

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, sight: &mut Sight, note: Option<&str>) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    draw_head(frame, head, sight);
    match sight.seen {
        Seen::List => draw_list(frame, body, sight),
        _ => draw_incident(frame, body, sight),
    }
    draw_foot(frame, foot, sight, note);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, sight: &Sight) {
    let at = now();
    let state = match (sight.has_ended(), sight.is_read) {
        (true, _) => "  ENDED: nothing more is read",
        (false, false) => "  reading",
        (false, true) => "",
    };
    let time = crate::log::time_text(at.saturating_mul(1_000_000_000)).unwrap_or_default();
    let time = time.get(11..19).unwrap_or_default();
    let facts = format!(
        "  {time} UTC  calls {}, {} blocked; {} in a minute, {} in an hour{state}",
        sight.all.all,
        sight.all.blocked,
        sight.all.last(at, 1),
        sight.all.last(at, 60),
    );
    let width = usize::from(area.width).saturating_sub(14 + facts.len() + 2);
    let source = if width < SOURCE { String::new() } else { format!("  {}", middle(&sight.source, width)) };
    let line = Line::from(vec![Span::styled("portcullis top", BOLD), Span::raw(facts), Span::raw(source)]);
    frame.render_widget(Paragraph::new(line), area);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, sight: &Sight, note: Option<&str>) {
    let (shown, style) = match (&sight.seen, &sight.said) {
        (Seen::Question(id), _) => (format!("Contain {id}? A preview comes first. y: yes, any other key: no"), ALARM),
        (_, Some(said)) => (printable(said), ALARM),
        (Seen::List, None) => {
            let order = if sight.is_latest_first { "the gravest" } else { "the latest" };
            (format!("Up/Down choose  Enter open  s {order} first  c contain  q quit"), DIM)
        }
        (Seen::Incident(_), None) => ("Esc back  Up/Down scroll  c contain  q quit".to_owned(), DIM),
    };
    let width = usize::from(area.width);
    let shown = match note {
        Some(note) if text::width(&shown) + 3 < width => {
            let left = width - text::width(&shown) - 3;
            format!("{shown}   {}", middle(&printable(note), left))
        }
        _ => middle(&shown, width),
    };
    frame.render_widget(Paragraph::new(Span::styled(shown, style)), area);
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, sight: &Sight) {
    let height = (area.height / 3).clamp(RATES.0, RATES.1);
    let [above, below] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(area);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(above);
    draw_rates(frame, left, "SITE", &sight.sites);
    draw_rates(frame, right, "RULE", &sight.rules);
    draw_incidents(frame, below, sight);
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, what: &str, rates: &Rates) {
    let at = now();
    let block = Block::bordered();
    let inner = block.inner(area);
    let is_wide = inner.width >= WIDE;
    let row = |name: &str, numbers: [String; 5]| {
        let [minute, ten, hour, all, blocked] = numbers;
        let numbers = match is_wide {
            true => format!("{minute:>7} {ten:>7} {hour:>7} {all:>8} {blocked:>8}"),
            false => format!("{minute:>5} {hour:>6} {all:>7}"),
        };
        let width = usize::from(inner.width).saturating_sub(numbers.len() + 1);
        format!("{} {numbers}", pad(middle(name, width), width))
    };
    let head = row(what, ["1 min", "10 min", "1 h", "all", "blocked"].map(str::to_owned));
    let rows = rates.ranked(at).into_iter().take(usize::from(inner.height).saturating_sub(1)).map(|(name, rate)| {
        let numbers = [rate.last(at, 1), rate.last(at, 10), rate.last(at, 60), rate.all, rate.blocked];
        Line::raw(row(name, numbers.map(|number| number.to_string())))
    });
    let lines: Vec<Line<'_>> = std::iter::once(Line::styled(head, DIM)).chain(rows).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_incidents(frame: &mut Frame<'_>, area: Rect, sight: &Sight) {
    let order = if sight.is_latest_first { "the latest first" } else { "the gravest first" };
    let block =
        Block::bordered().title(format!(" {}, {order} ", crate::check::counted(sight.incidents.len(), "incident")));
    let inner = block.inner(area);
    let (height, width) = (usize::from(inner.height).saturating_sub(1), usize::from(inner.width));
    let place = sight.place();
    let first = (place + 1).saturating_sub(height);
    let head = std::iter::once(Line::styled(middle(&head(width), width), DIM));
    let rows = sight.incidents.iter().enumerate().skip(first).take(height).map(|(at, incident)| {
        let text = pad(row(incident, width), width);
        Line::styled(text, if at == place { style(incident).patch(CHOSEN) } else { style(incident) })
    });
    let lines: Vec<Line<'_>> = head.chain(rows).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// The names of the columns.
fn head(width: usize) -> String {
    let id = if width >= HAS_ID { format!("{:<DIGITS$}  ", "ID") } else { String::new() };
    format!("{:>SCORE$}  {id}{:<11}  {:<10}  WHAT", "SCORE", "LAST", "OUTCOME")
}

/// An incident in a line: its score, its ID where there is room for it, when its last call was, what became of it, and what happened.
fn row(incident: &Incident, width: usize) -> String {
    let time = crate::log::time_text(incident.last).unwrap_or_default().replace('T', " ");
    let id = if width >= HAS_ID { format!("{}  ", incident.id) } else { String::new() };
    let (time, outcome) = (time.get(5..16).unwrap_or_default(), incidents::outcome(incident));
    let start = format!("{:>SCORE$}  {id}{time:<11}  {outcome:<10}  ", incident.score);
    let doubt = if incident.is_contradicted { show::CONTRADICTED } else { "" };
    let left = width.saturating_sub(text::width(&start) + doubt.len());
    let what = printable(&incident.short(|text| text::width(&printable(text)) <= left));
    format!("{start}{doubt}{}", middle(&what, left))
}

fn style(incident: &Incident) -> Style {
    let own = incidents::style(incident);
    match own.get_fg_color() {
        Some(anstyle::Color::Ansi(AnsiColor::Red)) => ALARM,
        Some(_) => AHEAD,
        None => DIM,
    }
}

fn draw_incident(frame: &mut Frame<'_>, area: Rect, sight: &mut Sight) {
    let block = Block::bordered();
    let inner = block.inner(area);
    let (height, width) = (usize::from(inner.height), usize::from(inner.width));
    let lines = match sight.opened() {
        Some(incident) => lines_of(incident, sight, width),
        None => vec![Line::styled("This incident is no longer told apart: too much is in the log.", ALARM)],
    };
    let last = lines.len().saturating_sub(height);
    sight.scrolled = sight.scrolled.min(last);
    let more = lines.len().saturating_sub(sight.scrolled + height);
    let block =
        if more > 0 { block.title_bottom(format!(" {} below ", crate::check::counted(more, "line"))) } else { block };
    let shown: Vec<Line<'_>> = lines.into_iter().skip(sight.scrolled).take(height).collect();
    frame.render_widget(Paragraph::new(shown).block(block), area);
}

/// An incident in full, in lines that fit.
fn lines_of(incident: &Incident, sight: &Sight, width: usize) -> Vec<Line<'static>> {
    let overview = incidents::overview(incident);
    let steps = overview.len() - incident.steps.len() - usize::from(incident.more_steps > 0);
    let mut lines = Vec::new();
    for (at, line) in overview.iter().enumerate() {
        let text = anstream::adapter::strip_str(line).to_string();
        let style = match at.checked_sub(steps).map(|step| incident.steps.get(step)) {
            Some(Some(step)) if step.blocked => ALARM,
            Some(Some(_)) => AHEAD,
            None if at == 0 => BOLD,
            _ => Style::new(),
        };
        lines.extend(wrapped(&text, width).into_iter().map(|text| Line::styled(text, style)));
    }
    lines.extend([Line::raw(""), Line::raw("Next")]);
    for command in incidents::commands(&sight.selection, incident) {
        lines.extend(wrapped(&format!("  {}", printable(&command)), width).into_iter().map(Line::raw));
    }
    lines
}

/// A text in lines of at most so many columns: broken at a blank, where there is one in its second half; what goes on is indented.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    const INDENT: usize = 4;
    let indent = if columns > 5 * INDENT { INDENT } else { 0 };
    let mut lines = Vec::new();
    let (mut now, mut used) = (String::new(), 0);
    for character in line.chars() {
        let own = text::width(character.encode_utf8(&mut [0; 4]));
        if used + own > columns && used > 0 {
            let blank = now.rfind(' ').filter(|at| 2 * at > now.len());
            let rest = blank.map_or_else(String::new, |at| now.split_off(at).trim_start().to_owned());
            lines.push(std::mem::replace(&mut now, " ".repeat(indent) + &rest));
            used = text::width(&now);
        }
        now.push(character);
        used += own;
    }
    lines.push(now);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit() {
        assert_eq!(wrapped("  2026-11-24  one two", 30), ["  2026-11-24  one two"]);
        assert_eq!(wrapped("one two three four five six", 22), ["one two three four", "    five six"]);
        for line in ["", "a", &"x".repeat(100), &"日本 ".repeat(50), &format!("a {} b", "y".repeat(200))] {
            for columns in [1, 2, 7, 24, 80] {
                let lines = wrapped(line, columns);
                assert!(lines.iter().all(|line| text::width(line) <= columns.max(2)), "{line} {columns}: {lines:?}");
                let letters = |text: &str| text.chars().filter(|one| *one != ' ').collect::<String>();
                assert_eq!(letters(&lines.concat()), letters(line), "{columns}");
            }
        }
    }
}
