//! An event for people: what happened, who did it, which clause decided.

use crate::log::Event;
pub use crate::out::printable;
use crate::text;
use anstyle::{AnsiColor, Style};
use portcullis_event::field::{self, Field};
use serde_json::Value;
use std::fmt::Write;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const ALARM: Style = AnsiColor::Red.on_default().bold();
const AUDIT: Style = AnsiColor::Yellow.on_default();
const GUARD: Style = AnsiColor::Magenta.on_default().bold();

/// The word for what was blocked, and that for what was not.
pub const BLOCKED: &str = "BLOCKED";
pub const WENT_AHEAD: &str = "WENT AHEAD";
/// What is said behind one line that is not what the journal says.
pub const CONTRADICTED: &str = "  NOT WHAT THE JOURNAL SAYS";

/// Where the documentation says what to do about what could not be judged.
pub fn triage() -> String {
    format!("{}, section 6", crate::out::page("triage.md"))
}

/// How wide a column of rules is: as the longest word of one.
pub fn rule_width() -> usize {
    crate::log::rules().into_iter().map(str::len).max().unwrap_or_default()
}

/// A value of an event, whatever its type, with a bound in its length.
fn shown(value: Option<&Value>) -> String {
    crate::text::bounded(&crate::out::shown(value))
}

/// A text of an event, likewise.
pub fn bounded(text: &str) -> String {
    crate::text::bounded(&printable(text))
}

/// The event in two or three lines. Every value comes from an attacker and may be of any type: all go through [`shown`].
pub fn event(event: &Value) -> String {
    let text = |field: Field| shown(event.pointer(field.pointer));
    let number = |field: Field| event.pointer(field.pointer).and_then(Value::as_u64);
    let (style, word) = outcome(event);
    let time = shown_time(&text(field::TIMESTAMP));
    let mut out =
        format!("{DIM}{time}{DIM:#}  {style}{word:<10}{style:#}  {BOLD}{:<12}{BOLD:#}  ", text(field::RULE_ID));
    out.push_str(&deed(event));
    let who = match number(field::PROCESS_PID).or_else(|| number(field::PARENT_PID)) {
        Some(pid) => format!("pid {pid}, "),
        None => String::new(),
    };
    let user = match text(field::USER_NAME) {
        name if name.is_empty() => format!("uid {}", text(field::USER_ID)),
        name => name,
    };
    let _ = write!(out, "\n    {DIM}{who}{user}, {} on {}", text(field::ROLE), text(field::HOST_HOSTNAME));
    if let Some(sequence) = number(field::EVENT_SEQUENCE) {
        let _ = write!(out, ", event {sequence}");
    }
    if let Some(dropped @ 1..) = number(field::DROPPED) {
        let _ = write!(out, ", {dropped} before it not written");
    }
    if let Some(merged @ 1..) = number(field::MERGED) {
        let _ = write!(out, ", {merged} before it merged");
    }
    let _ = write!(out, "{DIM:#}");
    let request = request(event);
    if !request.is_empty() {
        let _ = write!(out, "\n    {request}");
    }
    let detail = text(field::DETAIL);
    if !detail.is_empty() {
        let _ = write!(out, "\n    {detail}");
    }
    let also: Vec<String> = match event.pointer(field::ALSO.pointer).and_then(Value::as_array) {
        Some(also) => also.iter().map(|rule| shown(Some(rule))).collect(),
        None => Vec::new(),
    };
    if !also.is_empty() {
        let _ = write!(out, "\n    also: {}", also.join(", "));
    }
    for (field, journal) in contradicted(event) {
        let _ = write!(
            out,
            "\n    {ALARM}NOT WHAT THE JOURNAL SAYS:{ALARM:#} {field} is {journal} there; somebody else may have written this event"
        );
    }
    if event.pointer("/portcullis/probe").is_some() {
        out.push_str("\n    a probe of portcullis doctor");
    }
    let unguarded = text(field::UNGUARDED);
    if !unguarded.is_empty() {
        let _ = write!(out, "\n    unguarded: {unguarded}");
    }
    let unknown = text(field::UNKNOWN);
    if !unknown.is_empty() {
        let _ = write!(out, "\n    unknown: {unknown} (what to do: {})", triage());
    }
    let clause = text(field::CLAUSE);
    if !clause.is_empty() {
        let source = match text(field::CLAUSE_SOURCE) {
            source if source.is_empty() => "built in".to_owned(),
            source => source,
        };
        let _ = write!(out, "\n    {DIM}because: {clause} ({source}){DIM:#}");
    }
    out
}

/// What the journal says otherwise, as it is shown.
fn contradicted(event: &Value) -> Vec<(String, String)> {
    let found = event.pointer("/portcullis/contradicted").and_then(Value::as_object);
    found.into_iter().flatten().map(|(field, value)| (printable(field), shown(Some(value)))).collect()
}

/// What is said behind one line of an event.
pub fn doubt(event: &Event) -> &'static str {
    if event.contradicted().is_empty() { "" } else { CONTRADICTED }
}

/// What became of it: how that looks, and the word for it.
pub fn outcome(event: &Value) -> (Style, &'static str) {
    let text = |field: Field| event.pointer(field.pointer).and_then(Value::as_str).unwrap_or_default();
    let category = event.pointer("/event/category/0").and_then(Value::as_str).unwrap_or_default();
    match (category, text(field::RULE_ID), text(field::EVENT_OUTCOME)) {
        ("configuration", "guard-policy", _) => (GUARD, "GUARD"),
        (_, _, "failure") => (ALARM, BLOCKED),
        _ => (AUDIT, WENT_AHEAD),
    }
}

/// A time to the second.
fn shown_time(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

/// Whether an event names no address because it is not known. Events from before 0.2.0 say 0.0.0.0:0 then, and what else is not known.
pub fn is_unknown_address(event: &Value) -> bool {
    let text = |field: Field| event.pointer(field.pointer).and_then(Value::as_str).unwrap_or_default();
    let port = event.pointer(field::DESTINATION_PORT.pointer).and_then(Value::as_u64);
    !text(field::UNKNOWN).is_empty() && text(field::DESTINATION_IP) == "0.0.0.0" && port == Some(0)
}

/// Who did what.
pub fn deed(event: &Value) -> String {
    let (who, between, what) = who_and_what(event);
    format!("{who}{between}{what}")
}

/// Who, what is written between them, and the command, the destination or what else it was about.
fn who_and_what(event: &Value) -> (String, &'static str, String) {
    let text = |field: Field| shown(event.pointer(field.pointer));
    match event.pointer(field::DESTINATION_PORT.pointer) {
        port if text(field::EVENT_ACTION) == "connection_attempted"
            && (port.is_none() || is_unknown_address(event)) =>
        {
            (text(field::CHAIN), " -> ", format!("an unknown address/{}", text(field::NETWORK_TRANSPORT)))
        }
        Some(port) => {
            let port = shown(Some(port));
            let ip = text(field::DESTINATION_IP);
            let ip = if ip.contains(':') { format!("[{ip}]") } else { ip };
            let domain = match text(field::DESTINATION_DOMAIN) {
                domain if domain.is_empty() => domain,
                domain => format!(" ({domain})"),
            };
            (text(field::CHAIN), " -> ", format!("{ip}:{port}/{}{domain}", text(field::NETWORK_TRANSPORT)))
        }
        None if text(field::EVENT_ACTION) == "exec" => (text(field::CHAIN), ": ", text(field::PROCESS_COMMAND_LINE)),
        None => (String::new(), "", text(field::MESSAGE)),
    }
}

/// Who did what in so many columns: what it was about is cut last.
pub fn deed_within(event: &Event, columns: usize) -> String {
    let whole = deed_whole(event);
    if text::width(&whole) <= columns {
        return whole;
    }
    let (who, between, _) = who_and_what(&event.value());
    let what = whole.get(who.len() + between.len()..).unwrap_or(&whole);
    // So much of a chain of programs says something.
    const WHO_MIN: usize = 6;
    match columns.checked_sub(text::width(what) + between.len()) {
        Some(left) if left >= WHO_MIN => format!("{}{between}{what}", text::middle(&who, left)),
        _ => text::middle(what, columns),
    }
}

/// Who did what in one line, with what its destination does not show: that a UDP socket sent nothing yet, or was inherited.
pub fn deed_whole(event: &Event) -> String {
    let deed = deed(&event.value());
    match event.sends_nothing() || event.is_inherited() {
        true => format!("{deed} ({})", bounded(event.text(field::DETAIL))),
        false => deed,
    }
}

/// When an event was, to the second.
pub fn time(event: &Event) -> String {
    shown_time(&bounded(event.text(field::TIMESTAMP)))
}

/// An event in one line of a tree: outcome, rule, who did what.
pub fn brief(event: &Event) -> String {
    let (style, word) = outcome(&event.value());
    let rule = printable(event.rule());
    let times = match event.count() {
        count @ 2.. if !event.is_of_merged() => format!("  ({count} times)"),
        _ => String::new(),
    };
    let width = rule_width();
    format!(
        "{style}{word:<10}{style:#}  {BOLD}{rule:<width$}{BOLD:#}  {}{times}{}",
        deed_whole(event),
        format_args!("{ALARM}{}{ALARM:#}", doubt(event))
    )
}

/// The request behind an event, in a line; empty where there is none.
pub fn request(event: &Value) -> String {
    let text = |field: Field| shown(event.pointer(field.pointer));
    let mut out = match text(field::REQUEST_STATE).as_str() {
        "known" => {
            format!("for {} {}{}", text(field::HTTP_REQUEST_METHOD), text(field::URL_DOMAIN), text(field::URL_ORIGINAL))
        }
        "unknown" => format!(
            "for a request that could not be read: the strictest policy judged it; find out which processes can write to \
             the server's sockets ({}, `request`)",
            triage()
        ),
        "lost" => "for a request that was removed from its environment: the strictest policy decided".to_owned(),
        _ => return String::new(),
    };
    for (word, path) in
        [("from", field::CLIENT_ADDRESS), ("by", field::REQUEST_SCRIPT), ("as virtual host", field::VHOST)]
    {
        let value = text(path);
        if !value.is_empty() {
            let _ = write!(out, " {word} {value}");
        }
    }
    let why = text(field::WHY);
    if !why.is_empty() {
        let _ = write!(out, " ({why})");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_of_an_event_reaches_the_terminal_as_a_control_character() {
        let hostile = "\u{1b}[2J\r\n\u{202e}";
        let value = json!({
            "@timestamp": hostile, "message": hostile, "rule": { "id": hostile },
            "event": { "category": ["process"], "outcome": hostile, "action": "exec" },
            "process": { "command_line": hostile, "pid": 7 },
            "user": { "name": hostile }, "host": { "hostname": hostile },
            "url": { "original": hostile, "domain": hostile }, "client": { "address": hostile },
            "http": { "request": { "method": hostile } },
            "portcullis": {
                "chain": hostile, "role": hostile, "detail": hostile, "also": [hostile], "clause": hostile, "clause_source": hostile, "why": hostile,
                "vhost": hostile, "request": { "state": "known", "script": hostile },
            },
        });
        let shown = anstream::adapter::strip_str(&event(&value)).to_string();
        assert!(shown.chars().all(|character| character == '\n' || !character.is_control()), "{shown:?}");
        assert!(!shown.contains('\u{202e}'));
    }

    #[test]
    fn a_request_is_named() {
        let value = json!({
            "url": { "original": "/x?y", "domain": "shop.example" }, "client": { "address": "192.0.2.7" },
            "http": { "request": { "method": "GET" } },
            "portcullis": { "vhost": "shop", "why": "cards", "request": { "state": "known", "script": "/srv/x.php" } },
        });
        let wanted = "for GET shop.example/x?y from 192.0.2.7 by /srv/x.php as virtual host shop (cards)";
        assert_eq!(request(&value), wanted);
        assert_eq!(request(&json!({ "portcullis": { "request": { "state": "none" } } })), "");
    }

    #[test]
    fn an_address_that_is_not_known_is_none() {
        let of = |destination: Option<Value>, unknown: &str| {
            let mut value = json!({
                "event": { "action": "connection_attempted" }, "network": { "transport": "tcp" },
                "portcullis": { "chain": "php", "unknown": unknown },
            });
            if let Some(destination) = destination {
                value["destination"] = destination;
            }
            deed(&value)
        };
        let zero = || Some(json!({ "ip": "0.0.0.0", "port": 0 }));
        assert_eq!(of(None, "address"), "php -> an unknown address/tcp");
        assert_eq!(of(zero(), "socket"), "php -> an unknown address/tcp");
        assert_eq!(of(zero(), ""), "php -> 0.0.0.0:0/tcp");
    }

    #[test]
    fn a_connection_names_its_destination() {
        let value = json!({
            "@timestamp": "2026-11-24T16:25:14.000000000Z", "rule": { "id": "egress-port" },
            "event": { "category": ["network"], "outcome": "failure", "sequence": 3 },
            "destination": { "ip": "2001::1", "port": 4444 }, "network": { "transport": "tcp" },
            "process": { "pid": 7 }, "user": { "id": "33", "name": "www-data" }, "host": { "hostname": "web1" },
            "portcullis": { "chain": "php-fpm8.2", "role": "serving", "clause": "deny = x", "dropped": 2 },
        });
        let shown = anstream::adapter::strip_str(&event(&value)).to_string();
        assert!(
            shown.contains("2026-11-24 16:25:14  BLOCKED     egress-port   php-fpm8.2 -> [2001::1]:4444/tcp"),
            "{shown}"
        );
        assert!(shown.contains("2 before it not written"), "{shown}");
    }
}
