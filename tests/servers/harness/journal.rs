//! A journal of the test's own, in a /run of its own.

use super::events::hold_against_schema;
use super::{Place, Process, wait_until};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A real journald of the test's own.
pub fn journald() -> Process {
    std::fs::create_dir_all("/run/systemd/journal").expect("a folder");
    std::fs::create_dir_all("/run/log/journal").expect("a folder");
    let process = Process::start(Command::new("/lib/systemd/systemd-journald"), None);
    wait_until("journald", || Path::new("/run/systemd/journal/socket").exists());
    process
}

/// `portcullis events --json` on the journal, once it has `count` events.
pub fn from_journal(place: &Place, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    wait_until("the journal", || {
        let done = place.portcullis().args(["events", "--json"]).output().expect("portcullis events");
        events = done
            .stdout
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("JSON"))
            .inspect(hold_against_schema)
            .collect();
        events.len() >= count
    });
    events
}
