//! Events in a table, a line each, as wide as the terminal is.

use crate::log::{CUT, Event};
use crate::show::{self, printable};
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
/// What it was about gets so much before the others get more.
const WHAT: usize = 40;
/// From so many columns on that are left over, an address of IPv6 is shown in full.
const WIDE: usize = 60;
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
        let mut what = left.min(WHAT);
        left -= what;
        let mut more = |own: &mut usize, part: usize, most: usize| {
            let taken = part.min(left).min(most.saturating_sub(*own));
            *own += taken;
            left -= taken;
        };
        more(&mut table.site, SITE / 2, SITE_WIDE);
        more(&mut table.time, TIME, TIME);
        if columns >= HAS_RULE + WIDE {
            more(&mut table.client, CLIENT_WIDE, CLIENT_WIDE);
        }
        more(&mut table.script, SCRIPT, SCRIPT_WIDE);
        more(&mut table.site, columns / 16, SITE_WIDE);
        more(&mut table.script, columns / 8, SCRIPT_WIDE);
        what += left;
        // A time is whole or short.
        if table.time < TIME {
            what += table.time - TIME_SHORT;
            table.time = TIME_SHORT;
        }
        Table { what: Some(what), ..table }
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
        let (style, word) = show::outcome(&event.value());
        let doubt = show::doubt(event);
        let deed = match self.what {
            Some(width) => show::deed_within(event, width.saturating_sub(doubt.len()).max(WHAT / 2)),
            None => show::deed_whole(event),
        };
        let time = show::time(event);
        let time = if self.time < TIME { time.get(5..16).unwrap_or_default().to_owned() } else { time };
        let script = show::bounded(event.text(field::REQUEST_SCRIPT));
        let cells = [
            format!("{DIM}{}{DIM:#}", pad(middle(&time, self.time), self.time)),
            format!("{style}{word:<OUTCOME$}{style:#}"),
            padded(printable(event.rule()), self.rule),
            padded(site(event), self.site),
            padded(show::bounded(event.text(field::CLIENT_ADDRESS)), self.client),
            padded(if self.what.is_some() { end(&script, self.script) } else { script }, self.script),
        ];
        format!("{}{deed}{ALARM}{doubt}{ALARM:#}", self.line(cells))
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

/// The site of an event: its virtual host; in parentheses, the host that the client wrote in the request.
fn site(event: &Event) -> String {
    match (event.vhost(), event.text(field::URL_DOMAIN)) {
        ("", "") => String::new(),
        ("", host) => format!("({})", show::bounded(host)),
        (vhost, _) => show::bounded(vhost),
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
