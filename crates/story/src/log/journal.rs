//! Events out of systemd's journal, by `journalctl`.
//!
//! **What vouches for an entry**: journald writes who sent it (`_UID`, `_PID`, `_SYSTEMD_UNIT`), by what the kernel says of the sender. Any
//! local user can send an entry under any identifier; what its event claims is compared with that, and what differs is put into the event.
//!
//! **What a process of root's vouches for**: itself, and as the supervisor, others. A daemon that passes on what it was given (a container
//! engine, a relay of syslog) sends as root, too: so the entry's `_PID` has to be of the event's own processes, and its `_EXE` the program
//! that the event says they run, or, where the event is of the backstop, `_EXE` and `_COMM` have to be the supervisor's, which is the
//! `portcullis` command. journald reads these of `/proc/PID`: where the process has ended they are not there, and contradict nothing.

use super::lines::Lines;
use super::{Error, Item, Place};
use crate::{Event, Origin};
use portcullis_event::field;
use serde_json::{Map, Value};
use std::io::BufReader;
use std::process::{Command, Stdio};

/// The longest entry as JSON, in bytes: each byte of a message that is not text takes four, and the fields of the sender a few hundred.
const ENTRY_MAX: usize = 5 << 20;

/// Reads what the journal has, and with `follow` what comes.
pub fn read(since: Option<i64>, follow: bool, each: &mut dyn FnMut(Item<'_>)) -> Result<(), Error> {
    let mut more = Vec::new();
    if let Some(since) = since {
        more.push(format!("--since=@{since}"));
    }
    if follow {
        more.extend(["--follow".to_owned(), "--lines=100".to_owned()]);
    }
    entries(&more, &mut |entry| each_of(entry.as_ref(), each))
}

/// When journald received an entry; what it does not say is no time at which an event needs no seal.
fn received(entry: &Value) -> i64 {
    let micros = entry.get("__REALTIME_TIMESTAMP").and_then(Value::as_str).and_then(|text| text.parse::<i64>().ok());
    micros.map_or(i64::MAX, |micros| micros.saturating_mul(1000))
}

/// Reads what came after `cursor`, all where there is none, and moves it on.
pub fn read_from(cursor: &mut Option<String>, each: &mut dyn FnMut(Item<'_>)) -> Result<(), Error> {
    let after: Vec<String> = cursor.iter().map(|cursor| format!("--after-cursor={cursor}")).collect();
    entries(&after, &mut |entry| {
        each_of(entry.as_ref(), each);
        if let Some(at) = entry.ok().as_ref().and_then(|entry| entry.get("__CURSOR")).and_then(Value::as_str) {
            *cursor = Some(at.to_owned());
        }
    })
}

/// Calls `each` with what an entry has.
fn each_of(entry: Result<&Value, &String>, each: &mut dyn FnMut(Item<'_>)) {
    match entry.map_err(Clone::clone).map(event_of) {
        Ok(Some(Ok(event))) => each(Item::Event(event)),
        Ok(None) => {}
        Err(why) | Ok(Some(Err(why))) => each(Item::Wrong { place: Place::Journal, why }),
    }
}

/// Runs journalctl on the guard's entries, a JSON object each.
fn entries(more: &[String], each: &mut dyn FnMut(Result<Value, String>)) -> Result<(), Error> {
    let mut command = Command::new("journalctl");
    // Without --all, a message of more than 4096 bytes is left out.
    command.args([
        "--output=json",
        "--all",
        "--output-fields=MESSAGE,_UID,_PID,_SYSTEMD_UNIT,_EXE,_COMM",
        "--identifier=portcullis",
    ]);
    // What the command itself prints in a unit has the same identifier, and comes by its standard output.
    // Not quiet: that there is no journal, or that this user sees but a part of it, is said on standard error.
    command.args(["--no-pager", "_TRANSPORT=journal", "_TRANSPORT=syslog"]).args(more);
    let failed = |what| move |error| Error::Journalctl { what, error };
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed("cannot run journalctl"))?;
    if let Some(output) = child.stdout.take() {
        let mut lines = Lines::new(BufReader::new(output)).longest(ENTRY_MAX);
        let read = lines.read(&mut |line| {
            // An entry that is longer than any of the library's is cut, and then is no JSON.
            each(serde_json::from_slice(line).map_err(|error| format!("no entry as journalctl writes it: {error}")));
        });
        if let Err(error) = read {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed("cannot read from journalctl")(error));
        }
    }
    let status = child.wait().map_err(failed("cannot wait for journalctl"))?;
    if status.success() { Ok(()) } else { Err(Error::Journal(status)) }
}

/// The event of an entry, `None` where its message is empty, with what the journal's own fields contradict in it.
fn event_of(entry: &Value) -> Option<Result<Event, String>> {
    let Some(message) = message_of(entry) else { return Some(Err("the entry has no message".to_owned())) };
    let event = Event::parse(&message[..message.len().min(super::lines::LINE_MAX)])?;
    Some(event.map(|mut event| {
        let found = contradicted(&event, entry);
        event.contradict(found);
        event.read_in(Origin::Journal(received(entry)))
    }))
}

/// What an event says otherwise than the journal says of its sender: the name of the event's field, and the journal's value.
fn contradicted(event: &Event, entry: &Value) -> Map<String, Value> {
    let number = |name: &str| entry.get(name).and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut out = Map::new();
    let is_root = number("_UID") == Some(0);
    let is_backstop = event.text(field::LAYER) == "backstop";
    let user = event.text(field::USER_ID);
    match number("_UID") {
        // A process of root's may have any effective user, and the supervisor says what others do.
        Some(0) => {}
        Some(uid) if user == uid.to_string() => {}
        Some(uid) => drop(out.insert("user.id".to_owned(), uid.to_string().into())),
        None => drop(out.insert("user.id".to_owned(), "none".into())),
    }
    // The event of a program that is about to be started comes from the process that starts it.
    let own = [event.number(field::PROCESS_PID), event.number(field::PARENT_PID)];
    let pid = number("_PID").filter(|_| !is_backstop);
    if let Some(pid) = pid
        && (is_root || own.iter().any(Option::is_some))
        && !own.contains(&Some(pid))
    {
        out.insert("process.pid".to_owned(), pid.into());
    }
    let program = program_of(event, pid);
    let program = if is_backstop { SUPERVISOR } else { program };
    let is_other = |name: &str| {
        let runs = base_name(text(name));
        !runs.is_empty() && !program.is_empty() && runs != program
    };
    if is_root && (is_other("_EXE") || is_backstop && is_other("_COMM")) {
        let runs = if text("_EXE").is_empty() { text("_COMM") } else { text("_EXE") };
        out.insert("process.executable".to_owned(), runs.into());
    }
    // A session, a user's own manager and its units run no server of the system's; root starts one wherever it is.
    let unit = text("_SYSTEMD_UNIT");
    if !is_root && (unit.starts_with("user@") || unit.starts_with("session-")) {
        out.insert("unit".to_owned(), unit.into());
    }
    out
}

/// The program that the supervisor runs, and its name as a process.
const SUPERVISOR: &str = "portcullis";

/// The program that the process `pid` runs by what an event says; empty where it does not: a process that is about to execute another
/// program has the number and runs that one only later.
fn program_of(event: &Event, pid: Option<u64>) -> &str {
    let path = match pid {
        Some(_) if pid == event.number(field::PROCESS_PID) && !event.is_exec() => field::PROCESS_EXECUTABLE,
        Some(_) if pid == event.number(field::PARENT_PID) => field::PARENT_EXECUTABLE,
        _ => return "",
    };
    base_name(event.text(path))
}

/// The name in a path, which is another in another root folder.
fn base_name(path: &str) -> &str {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.rsplit('/').next().unwrap_or_default()
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
        assert_eq!(marked("0", "1", unit), [("process.pid".to_owned(), "1".to_owned())], "a relay of root's");
        assert_eq!(marked("1000", "70", unit), [("user.id".to_owned(), "1000".to_owned())]);
        assert_eq!(marked("33", "71", unit), [("process.pid".to_owned(), "71".to_owned())]);
        assert_eq!(marked("33", "70", "user@33.service"), [("unit".to_owned(), "user@33.service".to_owned())]);
        assert_eq!(marked("1000", "9", "session-2.scope").len(), 3);
        assert!(marked("0", "60", "session-2.scope").is_empty(), "a server that root has started by hand");
        let entry = json!({ "MESSAGE": event.to_string(), "__REALTIME_TIMESTAMP": "1782700000000001" });
        let received = event_of(&entry).unwrap().unwrap().nanoseconds();
        assert_eq!(received, Some(1_782_700_000_000_001_000), "the journal's time");
        let foreign = event_of(&json!({ "MESSAGE": "{}", "_UID": "1000" })).unwrap().unwrap();
        assert_eq!(foreign.contradicted().len(), 1);
    }
    #[test]
    fn root_speaks_for_itself_and_as_the_supervisor() {
        let marked = |layer: &str, action: &str, exe: &str, comm: &str| {
            let event = json!({
                "user": { "id": "33" }, "portcullis": { "layer": layer }, "event": { "action": action },
                "process": {
                    "pid": 70, "executable": "/usr/sbin/nginx",
                    "parent": { "pid": 60, "executable": "/usr/sbin/apache2" }
                },
            });
            let pid = if layer == "backstop" { "5" } else { "70" };
            let entry = json!({ "MESSAGE": event.to_string(), "_UID": "0", "_PID": pid, "_EXE": exe, "_COMM": comm });
            event_of(&entry).unwrap().unwrap().contradicted()
        };
        let other = |exe: &str| vec![("process.executable".to_owned(), exe.to_owned())];
        assert!(marked("backstop", "connect", "/usr/bin/portcullis", "portcullis").is_empty());
        assert!(marked("backstop", "connect", "", "").is_empty(), "it has ended");
        assert_eq!(marked("backstop", "connect", "/usr/bin/dockerd", "dockerd"), other("/usr/bin/dockerd"));
        assert_eq!(marked("backstop", "connect", "/usr/bin/portcullis", "bash"), other("/usr/bin/portcullis"));
        assert_eq!(marked("backstop", "connect", "", "dockerd"), other("dockerd"));
        assert!(marked("libc", "connect", "/jail/usr/sbin/nginx (deleted)", "worker").is_empty());
        assert_eq!(marked("libc", "connect", "/usr/bin/dockerd", "nginx"), other("/usr/bin/dockerd"));
        assert!(marked("libc", "exec", "/usr/bin/sh", "sh").is_empty(), "it executes another program");
    }
}
