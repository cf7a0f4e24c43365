//! Events out of systemd's journal, by `journalctl`.

use super::Moment;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Reads what the journal has, and with `follow` what comes.
pub fn read(since: Option<&Moment>, follow: bool, each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let mut more = Vec::new();
    if let Some(since) = since {
        more.push(format!("--since=@{}", since.seconds()));
    }
    if follow {
        more.extend(["--follow".to_owned(), "--lines=100".to_owned()]);
    }
    entries(&more, &mut |entry| {
        if let Some(message) = message(entry) {
            each(&message);
        }
    })
}

/// Reads what came after `cursor`, all where there is none, and moves it on.
pub fn read_from(cursor: &mut Option<String>, each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let after: Vec<String> = cursor.iter().map(|cursor| format!("--after-cursor={cursor}")).collect();
    entries(&after, &mut |entry| {
        let Ok(value) = serde_json::from_slice::<Value>(entry) else { return };
        if let Some(message) = message_of(&value) {
            each(&message);
        }
        if let Some(at) = value.get("__CURSOR").and_then(Value::as_str) {
            *cursor = Some(at.to_owned());
        }
    })
}

/// Runs journalctl on the guard's entries, a JSON object each.
fn entries(more: &[String], each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--output-fields=MESSAGE", "--identifier=portcullis", "--no-pager", "--quiet"]);
    // What the command itself prints in a unit has the same identifier, and comes by its standard output.
    command.args(["_TRANSPORT=journal", "_TRANSPORT=syslog"]).args(more);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| {
        format!("cannot run journalctl: {error}; where events go to a file, name it: portcullis events FILE")
    })?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            each(&line.map_err(|error| format!("cannot read from journalctl: {error}"))?);
        }
    }
    let status = child.wait().map_err(|error| format!("cannot wait for journalctl: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("journalctl: {status}")) }
}

/// MESSAGE of an entry: a string, or a list of bytes where it is not printable.
fn message(entry: &[u8]) -> Option<Vec<u8>> {
    message_of(&serde_json::from_slice::<Value>(entry).ok()?)
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

    #[test]
    fn messages_of_both_forms() {
        assert_eq!(message(br#"{"MESSAGE":"{}"}"#), Some(b"{}".to_vec()));
        assert_eq!(message(br#"{"MESSAGE":[123,125]}"#), Some(b"{}".to_vec()));
        assert_eq!(message(br#"{"OTHER":1}"#), None);
        assert_eq!(message(b"not JSON"), None);
    }
}
