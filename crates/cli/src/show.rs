//! An event for people: what happened, who did it, which clause decided.

use crate::explain::rule_of;
use crate::log::Event;
pub use crate::out::printable;
use crate::text;
use anstyle::{AnsiColor, Style};
use portcullis_event::field::{self, Field};
use portcullis_policy::Rule;
use portcullis_story::{chain, delimited};
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
pub const CONTRADICTED: &str = "NOT WHAT THE JOURNAL SAYS  ";

/// Where the documentation says what to do about what could not be judged.
pub fn triage() -> String {
    format!("{}, section 6", crate::out::page("triage.md"))
}

/// How wide a column of rules is: as the longest word of one.
pub fn rule_width() -> usize {
    crate::log::rules().into_iter().map(str::len).max().unwrap_or_default()
}

/// A text of an event that has a line's end to itself, with a bound in its length.
pub fn rest(text: &str) -> String {
    crate::text::bounded(&printable(text))
}

/// A text of an event, as a part of a sentence, of a list or of a row: nothing in it seems to be the next part. Empty for none.
pub fn value(text: &str) -> String {
    match text {
        "" => String::new(),
        text => rest(&delimited(text, usize::MAX)),
    }
}

/// A value of an event, whatever its type, likewise.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => self::value(text),
        Some(other) => self::value(&other.to_string()),
    }
}

/// The event in two or three lines. Every value comes from an attacker and may be of any type: all go through [`shown`], but for those
/// with which a line ends.
pub fn event(event: &Event) -> String {
    let whole = event.value();
    let text = |field: Field| shown(whole.pointer(field.pointer));
    let end = |field: Field| crate::text::bounded(&crate::out::shown(whole.pointer(field.pointer)));
    let number = |field: Field| event.number(field);
    let (style, word) = outcome(event);
    let mut out = format!(
        "{DIM}{}{DIM:#}  {style}{word:<10}{style:#}  {BOLD}{:<12}{BOLD:#}  ",
        time(event),
        text(field::RULE_ID)
    );
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
    let detail = end(field::DETAIL);
    if !detail.is_empty() {
        let _ = write!(out, "\n    {detail}");
    }
    let also: Vec<String> = match whole.pointer(field::ALSO.pointer).and_then(Value::as_array) {
        Some(also) => also.iter().map(|rule| shown(Some(rule))).collect(),
        None => Vec::new(),
    };
    if !also.is_empty() {
        let _ = write!(out, "\n    also: {}", also.join(", "));
    }
    for (field, journal) in contradicted(&whole) {
        let _ = write!(
            out,
            "\n    {ALARM}NOT WHAT THE JOURNAL SAYS:{ALARM:#} {field} is {journal} there; somebody else may have written this event"
        );
    }
    if whole.pointer("/portcullis/probe").is_some() {
        out.push_str("\n    a probe of portcullis doctor");
    }
    let unguarded = end(field::UNGUARDED);
    if !unguarded.is_empty() {
        let _ = write!(out, "\n    unguarded: {unguarded}");
    }
    let unknown = text(field::UNKNOWN);
    if !unknown.is_empty() {
        let _ = write!(out, "\n    unknown: {unknown} (what to do: {})", triage());
    }
    let clause = clause(&end(field::CLAUSE));
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
    found.into_iter().flatten().map(|(field, own)| (value(field), shown(Some(own)))).collect()
}

/// The words of the clause that decided: its source stands behind it in parentheses, in which only those of this program's lists are.
fn clause(text: &str) -> String {
    let words = text.strip_suffix(" (default)").unwrap_or(text);
    if words.contains(['(', ')']) { value(text) } else { text.to_owned() }
}

/// What is said behind one line of an event.
pub fn doubt(event: &Event) -> &'static str {
    if event.contradicted().is_empty() { "" } else { CONTRADICTED }
}

/// What became of it: how that looks, and the word for it.
pub fn outcome(event: &Event) -> (Style, &'static str) {
    let category = event.texts(field::EVENT_CATEGORY);
    match (category.first(), event.rule(), event.text(field::EVENT_OUTCOME)) {
        (Some(&"configuration"), "guard-policy", _) => (GUARD, "GUARD"),
        (_, _, "failure") => (ALARM, BLOCKED),
        _ => (AUDIT, WENT_AHEAD),
    }
}

/// A time to the second; a value that is none is shown as any other.
fn shown_time(time: &str) -> String {
    let seconds = time.get(..19).unwrap_or_default();
    match seconds.split_once('T') {
        Some((day, clock)) if seconds.bytes().all(|byte| byte.is_ascii_digit() || b"-:T".contains(&byte)) => {
            format!("{day} {clock}")
        }
        _ => value(time),
    }
}

/// Who did what.
pub fn deed(event: &Event) -> String {
    let (who, between, what) = parts(event);
    format!("{who}{between}{what}")
}

/// Who, what is written between them, and the command, the destination or what else it was about.
fn parts(event: &Event) -> (String, String, String) {
    let Some(object) = event.object().map(|object| rest(&object)) else {
        return (String::new(), String::new(), rest(event.text(field::MESSAGE)));
    };
    let who = match event.text(field::CHAIN) {
        "" => String::new(),
        programs => rest(&chain(programs, usize::MAX)),
    };
    let words = own_words(event);
    let has = |port| event.number(port).is_some();
    let between = match event.text(field::EVENT_ACTION) {
        _ if !words.is_empty() => words,
        "exec" => ": ".to_owned(),
        "connection_attempted" => " -> ".to_owned(),
        _ if has(field::DESTINATION_PORT) => " -> ".to_owned(),
        _ if has(field::SERVER_PORT) => " listens on ".to_owned(),
        _ => ": ".to_owned(),
    };
    (who, between, object)
}

/// The words of what only one rule is about, as in the event's message; empty for what several are about.
fn own_words(event: &Event) -> String {
    let own = rule_of(event.text(field::EVENT_ACTION)).and_then(Rule::own_action);
    own.map_or_else(String::new, |own| {
        let verb = if event.blocked() { own.refused } else { own.proceeds };
        String::from_utf8_lossy(&[verb, own.object].concat()).into_owned()
    })
}

/// Who did what in so many columns: what it was about is cut last. Where no column has the rule, it says what kind of call that was.
pub fn deed_within(event: &Event, columns: usize, has_rule: bool) -> String {
    let (who, between, what) = parts(event);
    let whole = format!("{who}{between}{what}");
    if text::width(&whole) <= columns {
        return whole;
    }
    let rule = if has_rule || own_words(event).is_empty() { String::new() } else { value(event.rule()) + ": " };
    let between = if between == " -> " { between } else { ": ".to_owned() };
    // So much of a chain of programs says something.
    const WHO_MIN: usize = 6;
    let taken = text::width(&between) + text::width(&rule) + text::width(&what);
    match columns.checked_sub(taken) {
        Some(left) if left >= WHO_MIN && !who.is_empty() => {
            format!("{}{between}{rule}{what}", text::middle(&who, left))
        }
        _ if text::width(&rule) + text::width(&what) <= columns => rule + &what,
        // A sentence says what it is at its beginning.
        _ if who.is_empty() => text::beginning(&what, columns),
        _ => text::middle(&what, columns),
    }
}

/// The site of an event, as `--site` takes it: its virtual host; in parentheses, the host that the client wrote in the request.
pub fn site(event: &Event) -> String {
    match portcullis_story::site(event) {
        "" => String::new(),
        site if site == event.vhost() => value(site),
        site => format!("({})", value(site)),
    }
}

/// When an event was, to the second.
pub fn time(event: &Event) -> String {
    shown_time(event.text(field::TIMESTAMP))
}

/// How often a call was, before what it was: behind that, anybody could have written it.
pub fn times(count: u64) -> String {
    if count > 1 { format!("{count} times  ") } else { String::new() }
}

/// An event in one line of a tree: outcome, rule, who did what.
pub fn brief(event: &Event) -> String {
    let (style, word) = outcome(event);
    let rule = value(event.rule());
    let count = if event.is_of_merged() { 1 } else { event.count() as u64 };
    let width = rule_width();
    format!(
        "{style}{word:<10}{style:#}  {BOLD}{rule:<width$}{BOLD:#}  {}{}{}",
        format_args!("{ALARM}{}{ALARM:#}", doubt(event)),
        times(count),
        deed(event),
    )
}

/// The request behind an event, in a line; empty where there is none.
pub fn request(event: &Event) -> String {
    let whole = event.value();
    let text = |field: Field| shown(whole.pointer(field.pointer));
    let mut out = match text(field::REQUEST_STATE).as_str() {
        "known" => {
            let url = value(&format!("{}{}", event.text(field::URL_DOMAIN), event.text(field::URL_ORIGINAL)));
            format!("for {} {url}", text(field::HTTP_REQUEST_METHOD))
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
        let own = text(path);
        if !own.is_empty() {
            let _ = write!(out, " {word} {own}");
        }
    }
    let why = rest(event.text(field::WHY));
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
        let shown = anstream::adapter::strip_str(&event(&Event::of(&value))).to_string();
        assert!(shown.chars().all(|character| character == '\n' || !character.is_control()), "{shown:?}");
        assert!(!shown.contains('\u{202e}'));
    }

    /// A site or a script of that name is one fact, also where other facts stand beside it.
    #[test]
    fn no_value_is_two_parts_of_a_line() {
        const FAKE: &str = "x) by (10.0.0.1, BLOCKED";
        let made = |action: &str| {
            Event::of(&json!({
                "@timestamp": FAKE, "message": FAKE, "rule": { "id": FAKE },
                "event": { "category": ["process"], "outcome": "success", "action": action, "id": FAKE },
                "process": { "command_line": FAKE, "pid": 7 }, "user": { "name": FAKE },
                "host": { "hostname": FAKE }, "url": { "original": FAKE, "domain": FAKE },
                "client": { "address": FAKE }, "http": { "request": { "method": FAKE, "id": FAKE } },
                "destination": { "ip": FAKE, "port": 1, "domain": FAKE }, "network": { "transport": FAKE },
                "portcullis": {
                    "chain": FAKE, "role": FAKE, "detail": FAKE, "also": [FAKE], "clause": FAKE, "clause_source": FAKE, "why": FAKE,
                    "vhost": FAKE, "unknown": FAKE, "unguarded": FAKE, "contradicted": { FAKE: FAKE },
                    "request": { "state": "known", "script": FAKE },
                },
            }))
        };
        let actions = Rule::ALL.into_iter().filter_map(Rule::own_action).map(|own| own.word);
        let actions = actions.map(|word| String::from_utf8_lossy(word).into_owned());
        for action in ["exec", "connection_attempted", "listen", "other"].map(str::to_owned).into_iter().chain(actions)
        {
            let event = made(&action);
            let mut story = portcullis_story::Story::default();
            story.take(&event, true);
            let incident = &portcullis_story::find(&story.told())[0];
            let mut texts = vec![self::event(&event), brief(&event), request(&event)];
            texts.extend(crate::incidents::overview(incident));
            for text in texts {
                for line in anstream::adapter::strip_str(&text).to_string().lines() {
                    // In quotes, alone after a name that is in quotes too, or with nothing behind it.
                    let is_end = line.ends_with(FAKE) || line.ends_with(&format!("{FAKE})"));
                    let in_quotes =
                        line.split('"').skip(1).step_by(2).map(|part| part.matches(FAKE).count()).sum::<usize>();
                    assert_eq!(line.matches(FAKE).count(), in_quotes + usize::from(is_end), "{action}: {line}");
                }
            }
        }
    }

    #[test]
    fn a_request_is_named() {
        let value = json!({
            "url": { "original": "/x?y", "domain": "shop.example" }, "client": { "address": "192.0.2.7" },
            "http": { "request": { "method": "GET" } },
            "portcullis": { "vhost": "shop", "why": "cards", "request": { "state": "known", "script": "/srv/x.php" } },
        });
        let wanted = "for GET shop.example/x?y from 192.0.2.7 by /srv/x.php as virtual host shop (cards)";
        assert_eq!(request(&Event::of(&value)), wanted);
        assert_eq!(request(&Event::of(&json!({ "portcullis": { "request": { "state": "none" } } }))), "");
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
            deed(&Event::of(&value))
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
        let shown = anstream::adapter::strip_str(&event(&Event::of(&value))).to_string();
        assert!(
            shown.contains("2026-11-24 16:25:14  BLOCKED     egress-port   php-fpm8.2 -> [2001::1]:4444/tcp"),
            "{shown}"
        );
        assert!(shown.contains("2 before it not written"), "{shown}");
    }
}
