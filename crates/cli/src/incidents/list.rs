//! Incidents in a list, a line each, as wide as the terminal is.

use super::{DIM, outcome, style, time};
use crate::text::{middle, width};
use crate::{out, show};
use anstyle::Style;
use portcullis_story::{DIGITS, Incident, telling};

const BOLD: Style = Style::new().bold();

/// So many digits of an ID are shown at least.
const DIGITS_SHOWN: usize = 8;
/// From so many columns on, IDs are shown in full, and times with their year and seconds.
const WIDE: usize = 130;
/// From so many columns on, there is one for how long it lasted.
const HAS_LASTS: usize = 100;
/// How wide the columns are whose values are known.
const SCORE: usize = 5;
const LASTS: usize = 5;
const OUTCOME: usize = 10;

/// How a list looks.
pub struct List {
    /// The width of the lines; where there is none, nothing is cut.
    columns: Option<usize>,
    digits: usize,
    has_hosts: bool,
}

impl List {
    /// A list of these incidents, or of any. Which host it was matters where there are several.
    pub fn of(columns: Option<usize>, incidents: &[Incident], has_hosts: bool) -> List {
        let digits = match columns {
            Some(..WIDE) => telling(incidents.iter().map(|incident| incident.id.as_str()), DIGITS_SHOWN),
            _ => DIGITS,
        };
        List { columns, digits, has_hosts }
    }

    fn has_years(&self) -> bool {
        self.columns.is_none_or(|columns| columns >= WIDE)
    }

    /// How wide the column of how long it lasted is, with what is before the next one.
    fn lasts(&self) -> usize {
        if self.columns.is_none_or(|columns| columns >= HAS_LASTS) { LASTS + 2 } else { 0 }
    }

    /// The names of the columns, for people.
    pub fn head(&self) -> Option<String> {
        self.columns?;
        let (digits, time, lasts) = (self.digits, if self.has_years() { 19 } else { 11 }, self.lasts());
        Some(format!(
            "{BOLD}{:>SCORE$}  {:<digits$}  {:<time$}{:>lasts$.lasts$}  {:<OUTCOME$}  WHAT{BOLD:#}",
            "SCORE", "ID", "TIME", "  LASTS", "OUTCOME"
        ))
    }

    /// An incident: its score, its ID, when it began and how long it lasted, what became of it, and what happened.
    pub fn line(&self, incident: &Incident) -> String {
        let style = style(incident);
        let at = time(incident.first);
        let at = if self.has_years() { at.as_str() } else { at.get(5..16).unwrap_or(&at) };
        let at = format!("{at:<0$}", if self.has_years() { 19 } else { 11 });
        let host = match incident.hosts.as_slice() {
            [host, ..] if self.has_hosts => format!("  on {}", show::value(host)),
            _ => String::new(),
        };
        let id = incident.id.get(..self.digits).unwrap_or(&incident.id);
        let (lasts, lasts_width) = (lasting(incident.first, incident.last), self.lasts());
        let start = format!(
            "{style}{:>SCORE$}{style:#}  {id}  {DIM}{at}{lasts:>lasts_width$.lasts_width$}{DIM:#}  {style}{:<OUTCOME$}{style:#}  ",
            incident.score,
            outcome(incident),
        );
        let doubt = if incident.is_contradicted { show::CONTRADICTED } else { "" };
        let used = width(&anstream::adapter::strip_str(&start).to_string()) + doubt.len();
        let left = self.columns.map_or(usize::MAX, |columns| columns.saturating_sub(used));
        let host = if self.columns.is_some() { middle(&host, left / 3) } else { host };
        let left = left.saturating_sub(width(&host));
        let what = out::printable(&incident.short(|text| width(&out::printable(text)) <= left));
        let alarm = super::ALARM;
        format!("{start}{alarm}{doubt}{alarm:#}{}{host}", middle(&what, left))
    }
}

/// How long something lasted, in its largest unit.
fn lasting(first: i64, last: i64) -> String {
    let seconds = last.saturating_sub(first).max(0) / 1_000_000_000;
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Event;
    use portcullis_story::{Story, find};
    use serde_json::json;

    #[test]
    fn a_time_is_in_its_largest_unit() {
        let second = 1_000_000_000;
        for (seconds, wanted) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (90_000, "25h"), (172_800, "2d")]
        {
            assert_eq!(lasting(5, 5 + seconds * second), wanted);
        }
        assert_eq!(lasting(i64::MAX, i64::MIN), "0s");
    }

    /// Of hostile and of ordinary values: each column is below its name, and what became of it is said once.
    #[test]
    fn a_line_is_as_wide_as_the_terminal() {
        let mut story = Story::default();
        let values = [("shop.example", "up.php"), ("\u{65e5}\u{672c}\u{1b}[2J\u{202e}.example", "a\nb\"c.php")];
        for (number, (site, script)) in values.into_iter().enumerate() {
            let long = "x".repeat(3000 * number);
            story.take(
                &Event::of(&json!({
                    "@timestamp": "2026-11-24T16:25:14Z", "rule": { "id": "stdio-socket" },
                    "event": { "action": "exec", "outcome": "success", "id": number.to_string() },
                    "host": { "hostname": format!("web{number}{long}") }, "url": { "domain": site },
                    "client": { "address": "2001:db8:1111:2222:3333:4444:5555:6666" },
                    "portcullis": { "request": { "script": format!("/srv/{long}/{script}") }, "chain": "php > sh" },
                })),
                true,
            );
        }
        let incidents = find(&story.told());
        assert_eq!(incidents.len(), 2);
        for columns in [80, 100, 129, 130, 140, 400] {
            for has_hosts in [false, true] {
                let list = List::of(Some(columns), &incidents, has_hosts);
                let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
                let head = plain(list.head().expect("a head"));
                let lines: Vec<String> = incidents.iter().map(|incident| plain(list.line(incident))).collect();
                // Where and by whom it was is always there; by which script, as long as there is room for it.
                let is_narrow = columns < 100 || columns == 100 && has_hosts;
                let is_told = |line: &String| line.contains(" from sho") && line.contains(", by 200");
                assert!(is_narrow && has_hosts || lines.iter().any(is_told), "{lines:?}");
                assert!(is_narrow || lines.iter().any(|line| line.contains("up.php")), "{lines:?}");
                for line in &lines {
                    assert!(width(line) <= columns, "{columns}: {}: {line}", width(line));
                    let at = |text: &str, part: &str| text.split(part).next().map(width);
                    assert_eq!(at(&head, "OUTCOME"), at(line, "WENT AHEAD"), "{head}\n{line}");
                    assert_eq!(line.matches("ahead").count() + line.matches("blocked").count(), 0, "{line}");
                }
            }
        }
        let whole = List::of(None, &incidents, true);
        assert!(whole.head().is_none());
        assert!(incidents.iter().all(|incident| whole.line(incident).contains(&incident.id)));
    }
}
