//! Events in a table, a line each, as wide as the terminal is.

use crate::log::Event;
use crate::show::{self, printable};
use crate::text::{middle, pad};
use anstyle::{AnsiColor, Style};
use portcullis_event::field;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const ALARM: Style = AnsiColor::Red.on_default().bold();

/// What is between two columns, and how wide those are whose values are known.
const APART: usize = 2;
const TIME: usize = 19;
const OUTCOME: usize = 10;
/// The least widths of the others; a terminal that is narrower breaks the lines.
const SITE: usize = 16;
const CLIENT: usize = 15;
const SCRIPT: usize = 24;
const WHAT: usize = 24;
/// From so many columns on that are left over, an address of IPv6 is shown in full.
const WIDE: usize = 60;

/// The widths of a table.
pub struct Table {
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
        let least = TIME + OUTCOME + rule + SITE + CLIENT + SCRIPT + WHAT + 6 * APART;
        let Some(width) = width else { return Table { rule, site: SITE, client: CLIENT, script: SCRIPT, what: None } };
        let spare = width.saturating_sub(least);
        let client = if spare >= WIDE { 39 } else { CLIENT };
        let spare = spare - (client - CLIENT);
        let (site, script) = ((spare / 6).min(16), (spare / 3).min(40));
        Table { rule, site: SITE + site, client, script: SCRIPT + script, what: Some(WHAT + spare - site - script) }
    }

    /// The names of the columns.
    pub fn head(&self) -> String {
        let Table { rule, site, client, script, .. } = self;
        format!(
            "{BOLD}{:<TIME$}  {:<OUTCOME$}  {:<rule$}  {:<site$}  {:<client$}  {:<script$}  WHAT{BOLD:#}",
            "TIME", "", "RULE", "SITE", "CLIENT", "SCRIPT"
        )
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
        let deed = show::deed_whole(event);
        let deed = match self.what {
            Some(width) => middle(&deed, width.saturating_sub(doubt.len()).max(WHAT)),
            None => deed,
        };
        format!(
            "{DIM}{}{DIM:#}  {style}{word:<OUTCOME$}{style:#}  {}  {}  {}  {}  {deed}{ALARM}{doubt}{ALARM:#}",
            pad(middle(&show::time(event), TIME), TIME),
            padded(printable(event.rule()), self.rule),
            padded(site(event), self.site),
            padded(show::bounded(event.text(field::CLIENT_ADDRESS)), self.client),
            padded(show::bounded(event.text(field::REQUEST_SCRIPT)), self.script),
        )
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
    use crate::text::width;
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
        for columns in [10, 80, 130, 200, 400] {
            let table = Table::new(Some(columns));
            let row = anstream::adapter::strip_str(&table.row(&event())).to_string();
            assert!(width(&row) <= columns.max(134), "{columns}: {}: {row}", width(&row));
            assert!(row.contains("up.php  ") && row.ends_with("last"), "{row}");
            assert!(row.contains("(\u{65e5}\u{672c}.example)"), "{row}");
            assert_eq!(row.contains("2001:db8:1111:2222:3333:4444:5555:6666"), columns >= 200, "{row}");
            // Each column begins where its name stands, however wide the characters before it are.
            let at =
                table.head().split("CLIENT").next().map(|head| width(&anstream::adapter::strip_str(head).to_string()));
            assert_eq!(row.split("2001:").next().map(width), at, "{row}");
        }
        let whole = anstream::adapter::strip_str(&Table::new(None).row(&event())).to_string();
        assert!(whole.contains("characters: --json"), "a value of any length has a bound");
    }
}
