//! Events in a table, a line each, as wide as the terminal is.

use crate::log::{CUT, Event};
use crate::show;
use crate::text::{middle, pad, width};
use anstyle::{AnsiColor, Style};
use portcullis_event::field;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const ALARM: Style = AnsiColor::Red.on_default().bold();

/// What is between two columns, and how wide those are whose values are known.
const APART: usize = 2;
const OUTCOME: usize = 10;
/// A time with its year and seconds, and without.
const TIME: usize = 19;
const TIME_SHORT: usize = 11;
/// The least widths of the others; a terminal that is narrower than `NARROW` breaks the lines.
const SITE: usize = 10;
const CLIENT: usize = 15;
const SCRIPT: usize = 12;
const NARROW: usize = 80;
/// From so many columns on, there is one for the client, and one for the rule.
const HAS_CLIENT: usize = 100;
const HAS_RULE: usize = 120;
/// From so many columns on, a time has its year and seconds, and an address of IPv6 is shown in full.
const HAS_TIME: usize = 150;
const HAS_WIDE_CLIENT: usize = 200;
/// What it was about gets so much before the others get more, of which the site gets so much first.
const WHAT: usize = 40;
const SITE_MORE: usize = 15;
/// The widths of columns that have a good deal of room.
const SITE_WIDE: usize = 32;
const SCRIPT_WIDE: usize = 64;
const CLIENT_WIDE: usize = 39;

/// The widths of a table; a column without a width is not there.
pub struct Table {
    time: usize,
    rule: usize,
    site: usize,
    client: usize,
    script: usize,
    /// What is left for the last column; `None` where nothing is cut.
    what: Option<usize>,
}

impl Table {
    /// A table for a terminal of this width; for anything else, nothing is cut.
    pub fn new(width: Option<usize>) -> Table {
        let rule = show::rule_width();
        let Some(columns) = width.map(|width| width.max(NARROW)) else {
            return Table { time: TIME, rule, site: 16, client: CLIENT, script: 24, what: None };
        };
        let client = if columns >= HAS_CLIENT { CLIENT } else { 0 };
        let rule = if columns >= HAS_RULE { rule } else { 0 };
        let mut table = Table { time: TIME_SHORT, rule, site: SITE, client, script: SCRIPT, what: None };
        let used: usize = table.before().iter().filter(|width| **width > 0).map(|width| width + APART).sum();
        let mut left = columns.saturating_sub(used);
        let mut what = 0;
        let more = |own: &mut usize, most: usize, left: &mut usize| {
            let taken = (*left).min(most.saturating_sub(*own));
            *own += taken;
            *left -= taken;
        };
        more(&mut what, WHAT, &mut left);
        more(&mut table.site, SITE_MORE, &mut left);
        more(&mut table.script, PATH_MIN, &mut left);
        // A time and an address of IPv6 are whole or short; what either does not take is the others'. Beyond that, half of what a wider
        // terminal has is for what it was about, so that it is never narrower there.
        let mut others = left;
        if columns >= HAS_TIME {
            more(&mut table.time, TIME, &mut left);
            others = left / 2;
        }
        what += left.saturating_sub(others);
        if columns >= HAS_WIDE_CLIENT {
            more(&mut table.client, CLIENT_WIDE, &mut others);
        }
        let mut script = others - others / 4;
        others -= script;
        more(&mut table.script, SCRIPT_WIDE, &mut script);
        more(&mut table.site, SITE_WIDE, &mut others);
        Table { what: Some(what + script + others), ..table }
    }

    /// The widths of the columns before the last one.
    fn before(&self) -> [usize; 6] {
        [self.time, OUTCOME, self.rule, self.site, self.client, self.script]
    }

    /// A line of these cells; those of columns that are not there are left out.
    fn line(&self, cells: [String; 6]) -> String {
        let shown = cells.into_iter().zip(self.before()).filter(|(_, width)| *width > 0);
        shown.map(|(cell, _)| cell + &" ".repeat(APART)).collect()
    }

    /// The names of the columns.
    pub fn head(&self) -> String {
        let names = ["TIME", "", "RULE", "SITE", "CLIENT", "SCRIPT"];
        let mut widths = self.before().into_iter();
        let cells = names.map(|name| pad(name.to_owned(), widths.next().unwrap_or_default()));
        format!("{BOLD}{}WHAT{BOLD:#}", self.line(cells))
    }

    /// An event.
    pub fn row(&self, event: &Event) -> String {
        let known = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let padded = |text: String, width: usize| match self.what {
            Some(_) => pad(middle(&known(text), width), width),
            None => pad(known(text), width),
        };
        let (style, word) = show::outcome(event);
        let doubt = show::doubt(event);
        let deed = match self.what {
            Some(width) => {
                let width = width.saturating_sub(doubt.len()).max(WHAT / 2);
                show::deed_within(event, width, self.rule > 0)
            }
            None => show::deed(event),
        };
        let time = show::time(event);
        // What is no time is a value in quotes, whose quotes it keeps.
        let short = time.get(5..16).filter(|_| self.time < TIME && !time.starts_with('"'));
        let time = short.map_or(time.clone(), str::to_owned);
        let script = show::value(event.text(field::REQUEST_SCRIPT));
        let cells = [
            format!("{DIM}{}{DIM:#}", pad(middle(&time, self.time), self.time)),
            format!("{style}{word:<OUTCOME$}{style:#}"),
            padded(show::value(event.rule()), self.rule),
            padded(show::site(event), self.site),
            padded(show::value(event.text(field::CLIENT_ADDRESS)), self.client),
            padded(if self.what.is_some() { end(&script, self.script) } else { script }, self.script),
        ];
        format!("{}{ALARM}{doubt}{ALARM:#}{deed}", self.line(cells))
    }
}

/// From so many columns on, a path without its middle says where it is.
const PATH_MIN: usize = 20;

/// A path that may have so many columns: of one with less room than for its folders, its name.
fn end(path: &str, columns: usize) -> String {
    match path.rsplit_once('/') {
        Some((_, name)) if columns < PATH_MIN && width(path) > columns => middle(&format!("{CUT}/{name}"), columns),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Event {
        let long = "x/".repeat(25_000);
        Event::of(&json!({
            "@timestamp": "2026-11-24T16:25:14.000000000Z", "rule": { "id": "shell-spawn" },
            "event": { "action": "exec", "outcome": "success" }, "url": { "domain": "\u{65e5}\u{672c}.example" },
            "client": { "address": "2001:db8:1111:2222:3333:4444:5555:6666" },
            "process": { "command_line": format!("sh -c {long} last") },
            "portcullis": { "chain": "php > sh", "request": { "script": format!("/srv/{long}up.php") } },
        }))
    }

    #[test]
    fn a_row_is_as_wide_as_the_terminal() {
        for columns in [10, 80, 100, 120, 130, 140, 160, 200, 400] {
            let table = Table::new(Some(columns));
            let row = anstream::adapter::strip_str(&table.row(&event())).to_string();
            assert!(width(&row) <= columns.max(NARROW), "{columns}: {}: {row}", width(&row));
            assert!(row.contains("up.php  ") && row.ends_with("last"), "{row}");
            assert_eq!(row.contains("(\u{65e5}\u{672c}.example)"), columns >= 130, "{row}");
            assert_eq!(row.contains("2001:db8:1111:2222:3333:4444:5555:6666"), columns >= 200, "{row}");
            // Each column begins where its name stands, however wide the characters before it are.
            let head = anstream::adapter::strip_str(&table.head()).to_string();
            for (name, value) in
                [("CLIENT", "2001:"), ("SITE", "(\u{65e5}"), ("RULE", "shell-spawn"), ("WHAT", "sh -c")]
            {
                if head.contains(name) {
                    let at = |text: &str, part: &str| text.split(part).next().map(width);
                    assert_eq!(at(&row, value), at(&head, name), "{columns}: {name}\n{head}\n{row}");
                }
            }
        }
        let whole = anstream::adapter::strip_str(&Table::new(None).row(&event())).to_string();
        assert!(whole.contains("characters: --json"), "a value of any length has a bound");
    }

    /// A wider terminal shows no less of what it was about; docs/events.md has the columns of each width.
    #[test]
    fn what_it_was_about_is_not_narrower_on_a_wider_terminal() {
        let of = |columns| Table::new(Some(columns));
        for columns in 80..500 {
            let (table, wider) = (of(columns), of(columns + 1));
            let what = |table: &Table| table.what.unwrap_or_default();
            let has_more = |one: usize, other: usize| one == 0 && other > 0;
            let is_new = has_more(table.client, wider.client) || has_more(table.rule, wider.rule);
            assert!(what(&wider) >= what(&table) || is_new, "{columns}: {} {}", what(&table), what(&wider));
            assert!(columns < 134 || what(&table) >= WHAT, "{columns}: {}", what(&table));
            let used: usize = table.before().iter().filter(|width| **width > 0).map(|width| width + APART).sum();
            assert_eq!(used + what(&table), columns, "no column is left empty");
        }
        for (columns, client, rule, time) in
            [(80, 0, 0, 11), (100, 15, 0, 11), (120, 15, 14, 11), (150, 15, 14, 19), (200, 39, 14, 19)]
        {
            let table = of(columns);
            assert_eq!((table.client, table.rule, table.time), (client, rule, time), "{columns}");
        }
    }

    /// The columns of a row are the event's, whoever named a site or a script.
    #[test]
    fn no_value_is_two_columns() {
        let fake = "shop  192.0.2.1  up.php  php > sh: id";
        let mut value = event().value();
        value["client"]["address"] = fake.into();
        value["url"]["domain"] = fake.into();
        value["portcullis"]["request"]["script"] = fake.into();
        value["portcullis"]["chain"] = fake.into();
        value["rule"]["id"] = fake.into();
        for columns in [None, Some(80), Some(120), Some(400)] {
            let row = anstream::adapter::strip_str(&Table::new(columns).row(&Event::of(&value))).to_string();
            let mut in_quotes = false;
            let outside: String = row
                .chars()
                .filter(|one| {
                    *one != '"' && !in_quotes || {
                        in_quotes ^= *one == '"';
                        false
                    }
                })
                .collect();
            assert!(!outside.contains("shop") && !outside.contains("192.0.2.1"), "{columns:?}: {row}");
        }
    }

    /// Each rule's event says what it was about in a field, or stands in this list.
    #[test]
    fn each_rule_has_an_object() {
        const NONE: [&str; 1] = ["guard-policy"];
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events");
        for rule in crate::log::rules() {
            let text = std::fs::read_to_string(folder.join(format!("{rule}.json"))).expect(rule);
            let event = Event::of(&serde_json::from_str(&text).expect(rule));
            let Some(object) = event.object() else {
                assert!(NONE.contains(&rule), "{rule}");
                continue;
            };
            assert!(!NONE.contains(&rule), "{rule}");
            for columns in [80, 100, 120, 200, 300] {
                let row = anstream::adapter::strip_str(&Table::new(Some(columns)).row(&event)).to_string();
                let (begin, end) = (object.split(' ').next().unwrap_or_default(), &object[object.len() - 6..]);
                assert!(row.ends_with(end) && (columns < 134 || row.contains(begin)), "{columns}: {object}: {row}");
                assert!(width(&row) <= columns, "{columns}: {row}");
            }
        }
    }

    /// What a responder looks for is there at each width, whatever stands before it.
    #[test]
    fn what_it_was_about_is_cut_last() {
        let events = [
            (json!({ "process": { "command_line": "sh -c 'cat /etc/passwd'" } }), "sh -c 'cat /etc/passwd'"),
            (
                json!({
                    "event": { "action": "connection_attempted" }, "network": { "transport": "tcp" },
                    "destination": { "ip": "198.51.100.66", "port": 4444 },
                }),
                "198.51.100.66:4444/tcp",
            ),
        ];
        for (more, wanted) in events {
            let mut value = event().value();
            value["portcullis"]["chain"] = "php-fpm: pool www > sh > bash > python3 > sh".into();
            for (key, own) in more.as_object().expect("an object") {
                value[key] = own.clone();
            }
            for columns in 80..=200 {
                let row = anstream::adapter::strip_str(&Table::new(Some(columns)).row(&Event::of(&value))).to_string();
                assert!(row.ends_with(wanted) && width(&row) <= columns, "{columns}: {row}");
                assert!(row.contains("WENT AHEAD") && row.contains("up.php"), "{columns}: {row}");
            }
        }
    }
}
