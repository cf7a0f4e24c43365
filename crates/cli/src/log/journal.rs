//! Events out of systemd's journal, by `journalctl`.
//!
//! **What vouches for an entry**: journald writes who sent it (`_UID`, `_PID`, `_SYSTEMD_UNIT`), by what the kernel says of the sender. Any
//! local user can send an entry under any identifier; what its event claims is compared with that, and what differs is put into the event.

use super::lines::Lines;
use super::{Event, Moment};
use serde_json::{Map, Value};
use std::io::BufReader;
use std::process::{Command, Stdio};

/// The longest entry as JSON, in bytes: each byte of a message that is not text takes four, and the fields of the sender a few hundred.
const ENTRY_MAX: usize = 5 << 20;
/// Where an event says what of it differs from what the journal vouches for.
pub const CONTRADICTED: &str = "contradicted";

/// Reads what the journal has, and with `follow` what comes.
pub fn read(since: Option<&Moment>, follow: bool, each: &mut dyn FnMut(Result<Event, String>)) -> Result<(), String> {
    let mut more = Vec::new();
    if let Some(since) = since {
        more.push(format!("--since=@{}", since.seconds()));
    }
    if follow {
        more.extend(["--follow".to_owned(), "--lines=100".to_owned()]);
    }
    entries(&more, &mut |entry| {
        if let Some(event) = event_of(entry) {
            each(event);
        }
    })
}

/// Reads what came after `cursor`, all where there is none, and moves it on.
pub fn read_from(cursor: &mut Option<String>, each: &mut dyn FnMut(Result<Event, String>)) -> Result<(), String> {
    let after: Vec<String> = cursor.iter().map(|cursor| format!("--after-cursor={cursor}")).collect();
    entries(&after, &mut |entry| {
        if let Some(event) = event_of(entry) {
            each(event);
        }
        if let Some(at) = entry.get("__CURSOR").and_then(Value::as_str) {
            *cursor = Some(at.to_owned());
        }
    })
}

/// Runs journalctl on the guard's entries, a JSON object each.
fn entries(more: &[String], each: &mut dyn FnMut(&Value)) -> Result<(), String> {
    let mut command = Command::new("journalctl");
    // Without --all, a message of more than 4096 bytes is left out.
    command.args([
        "--output=json",
        "--all",
        "--output-fields=MESSAGE,_UID,_PID,_SYSTEMD_UNIT",
        "--identifier=portcullis",
    ]);
    // What the command itself prints in a unit has the same identifier, and comes by its standard output.
    command.args(["--no-pager", "--quiet", "_TRANSPORT=journal", "_TRANSPORT=syslog"]).args(more);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| {
        format!("cannot run journalctl: {error}; where events go to a file, name it: portcullis events FILE")
    })?;
    if let Some(output) = child.stdout.take() {
        let mut lines = Lines::new(BufReader::new(output)).longest(ENTRY_MAX);
        let read = lines.read(&mut |line| {
            if let Ok(entry) = serde_json::from_slice(line) {
                each(&entry);
            }
        });
        if let Err(error) = read {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("cannot read from journalctl: {error}"));
        }
    }
    let status = child.wait().map_err(|error| format!("cannot wait for journalctl: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("journalctl: {status}")) }
}

/// The event of an entry, with what the journal's own fields contradict in it.
fn event_of(entry: &Value) -> Option<Result<Event, String>> {
    let message = message_of(entry)?;
    let event = Event::parse(&message[..message.len().min(super::lines::LINE_MAX)])?;
    Some(event.map(|mut event| {
        let found = contradicted(&event, entry);
        event.contradict(found);
        event
    }))
}

/// What an event says otherwise than the journal says of its sender: the name of the event's field, and the journal's value.
fn contradicted(event: &Event, entry: &Value) -> Map<String, Value> {
    let number = |name: &str| entry.get(name).and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut out = Map::new();
    // The supervisor, which says what others do, is root; root may say anything.
    if number("_UID") == Some(0) {
        return out;
    }
    let user = event.text("/user/id");
    match number("_UID") {
        Some(uid) if user == uid.to_string() => {}
        Some(uid) => drop(out.insert("user.id".to_owned(), uid.to_string().into())),
        None => drop(out.insert("user.id".to_owned(), "none".into())),
    }
    // The event of a program that is about to be started comes from the process that starts it.
    let own = [event.number("/process/pid"), event.number("/process/parent/pid")];
    if let Some(pid) = number("_PID").filter(|_| event.text("/portcullis/layer") != "backstop")
        && own.iter().any(Option::is_some)
        && !own.contains(&Some(pid))
    {
        out.insert("process.pid".to_owned(), pid.into());
    }
    // A session, a user's own manager and its units run no server of the system's.
    let unit = text("_SYSTEMD_UNIT");
    if unit.starts_with("user@") || unit.starts_with("session-") {
        out.insert("unit".to_owned(), unit.into());
    }
    out
}

fn message_of(entry: &Value) -> Option<Vec<u8>> {
    match entry.get("MESSAGE")? {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(bytes) => bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_of_both_forms() {
        let message = |entry: Value| message_of(&entry);
        assert_eq!(message(json!({ "MESSAGE": "{}" })), Some(b"{}".to_vec()));
        assert_eq!(message(json!({ "MESSAGE": [123, 125] })), Some(b"{}".to_vec()));
        assert_eq!(message(json!({ "OTHER": 1 })), None);
    }

    #[test]
    fn what_the_journal_says_otherwise_is_marked() {
        let event = json!({
            "user": { "id": "33" }, "process": { "pid": 70, "parent": { "pid": 60 } },
            "portcullis": { "layer": "libc", "contradicted": { "user.id": "a lie" } },
        });
        let marked = |uid: &str, pid: &str, unit: &str| {
            let entry = json!({ "MESSAGE": event.to_string(), "_UID": uid, "_PID": pid, "_SYSTEMD_UNIT": unit });
            event_of(&entry).unwrap().unwrap().contradicted()
        };
        let unit = "php8.2-fpm.service";
        assert!(marked("33", "70", unit).is_empty(), "whatever the entry itself says");
        assert!(marked("33", "60", unit).is_empty(), "a program that it starts");
        assert!(marked("0", "1", unit).is_empty(), "the supervisor");
        assert_eq!(marked("1000", "70", unit), [("user.id".to_owned(), "1000".to_owned())]);
        assert_eq!(marked("33", "71", unit), [("process.pid".to_owned(), "71".to_owned())]);
        assert_eq!(marked("33", "70", "user@33.service"), [("unit".to_owned(), "user@33.service".to_owned())]);
        assert_eq!(marked("1000", "9", "session-2.scope").len(), 3);
        let foreign = event_of(&json!({ "MESSAGE": "{}", "_UID": "1000" })).unwrap().unwrap();
        assert_eq!(foreign.contradicted().len(), 1);
    }
}
