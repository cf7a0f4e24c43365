//! How many calls the rules fired on, by virtual host: counted from the log, from where the last count ended.
//!
//! The guard in a program that a worker starts counts for itself, and its count ends with the program; the log has all of them,
//! over restarts, too.

use crate::install::plan;
use crate::log::{self, Event, Item};
use crate::probes::Left;
use portcullis_config::reading::{self, Links};
use portcullis_policy::{ReadFrom, Sink};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The label of what belongs to no virtual host.
const NONE: &str = "-";
/// The label of all virtual hosts beyond the limit.
const OTHERS: &str = "_others";

/// The largest state, in bytes.
const STATE_MAX: u64 = 64 << 20;

/// Where the last count ended.
#[derive(Clone, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The last entry of the journal.
    pub cursor: Option<String>,
    /// The file, by its inode, and how much of it was read.
    pub file: Option<(u64, u64)>,
}

/// What was counted so far, and up to where.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Tally {
    place: Place,
    /// The virtual hosts that have series of their own: those that came first.
    vhosts: BTreeSet<String>,
    /// By virtual host, rule and outcome.
    calls: Vec<((String, String, String), u64)>,
    /// The latest event's time, in seconds since 1970.
    latest: i64,
}

/// The log that is counted.
#[derive(Clone)]
pub enum Log {
    Journal,
    File(PathBuf),
}

impl Log {
    /// That of a policy with these sinks; `None` where none of them can be read again.
    pub fn of(sinks: u32, file: &[u8]) -> Option<Log> {
        let reads = |place| Sink::ALL.into_iter().any(|sink| sink.is_in(sinks) && sink.read_from() == place);
        if reads(ReadFrom::Journal) {
            return Some(Log::Journal);
        }
        let file = file.strip_suffix(&[0]).unwrap_or(file);
        reads(ReadFrom::File).then(|| Log::File(OsStr::from_bytes(file).into()))
    }
}

impl Tally {
    /// What an earlier run left; nothing where there was none.
    pub fn load(path: &Path) -> Result<Tally, String> {
        match reading::bytes(path, Links::Refuse, STATE_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                format!("{}: {error}: remove it, and counting begins anew with all that the log has", path.display())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Tally::default()),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }

    /// Leaves it for the next run.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        plan::output(path, &text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Counts what the log has that was not counted yet. At most `limit` virtual hosts get series of their own, of those that
    /// `is_known` knows.
    pub fn advance(
        &mut self,
        log: &Log,
        limit: usize,
        is_known: &dyn Fn(&str) -> bool,
        left: &mut Left,
    ) -> Result<(), String> {
        let mut place = std::mem::take(&mut self.place);
        let mut calls: BTreeMap<(String, String, String), u64> = std::mem::take(&mut self.calls).into_iter().collect();
        let now = jiff::Timestamp::now().as_second();
        let (mut wrong, mut unreadable) = (log::Complaints::default(), None);
        let mut take = |item: Item<'_>| match item {
            Item::Event(mut event) => {
                // A UDP socket that is only connected is no egress.
                if left.out(&mut event) || event.sends_nothing() {
                    return;
                }
                // A time that is still to come would hide all others.
                self.latest = self.latest.max(event.seconds().unwrap_or(0).min(now));
                let sum = calls.entry(self.labels(&event, limit, is_known)).or_default();
                *sum = sum.saturating_add(event.count() as u64);
            }
            Item::Unreadable(error) => unreadable = Some(log::explained(&error)),
            other => wrong.take(&other),
        };
        let done = match log {
            Log::Journal => log::journal_from(&mut place.cursor, &mut take),
            Log::File(path) => log::file_from(path, &mut place.file, &mut take),
        };
        wrong.done();
        let done = done.map_err(|error| log::explained(&error)).and(unreadable.map_or(Ok(()), Err));
        self.place = place;
        self.calls = calls.into_iter().collect();
        done
    }

    /// Whoever may write to the log may write any name: only those of the policy become series, and rules are the guard's own.
    fn labels(&mut self, event: &Event, limit: usize, is_known: &dyn Fn(&str) -> bool) -> (String, String, String) {
        let vhost = match event.vhost() {
            "" => NONE,
            name if self.vhosts.contains(name) => name,
            name if is_known(name) && self.vhosts.iter().filter(|name| is_known(name)).count() < limit => {
                self.vhosts.insert(name.to_owned());
                name
            }
            _ => OTHERS,
        };
        let rule = crate::log::rules().into_iter().find(|rule| *rule == event.rule()).unwrap_or(OTHERS);
        let outcome = if event.blocked() { "failure" } else { "success" };
        (vhost.to_owned(), rule.to_owned(), outcome.to_owned())
    }

    /// Virtual host, rule, outcome, and the number of calls.
    pub fn calls(&self) -> impl Iterator<Item = ([&str; 3], u64)> {
        self.calls
            .iter()
            .map(|((vhost, rule, outcome), count)| ([vhost.as_str(), rule.as_str(), outcome.as_str()], *count))
    }

    /// The latest event's time, in seconds since 1970; 0 where there was none.
    pub fn latest(&self) -> i64 {
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write;

    fn line(vhost: &str, rule: &str, refused: bool) -> String {
        let outcome = if refused { "failure" } else { "success" };
        let event = json!({
            "@timestamp": "2026-11-24T16:25:14.000000000Z", "event": { "action": "exec", "outcome": outcome },
            "rule": { "id": rule }, "portcullis": { "vhost": vhost },
        });
        format!("{event}\n")
    }

    fn counts(tally: &Tally) -> Vec<(String, u64)> {
        tally.calls().map(|(labels, count)| (labels.join(" "), count)).collect()
    }

    #[test]
    fn each_event_counts_once_whatever_happens_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, state) = (folder.path().join("events.jsonl"), folder.path().join("state"));
        let log = Log::File(path.clone());
        let append = |to: &Path, text: &str| {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(to).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        let count = || {
            let mut tally = Tally::load(&state).unwrap();
            tally.advance(&log, 2, &|_| true, &mut Left::default()).unwrap();
            tally.save(&state).unwrap();
            counts(&tally)
        };
        let one = line("shop", "shell-spawn", false);
        append(&path, &one);
        assert_eq!(count(), [("shop shell-spawn success".to_owned(), 1)]);
        assert_eq!(count()[0].1, 1, "what was counted is not counted again");
        append(&path, &one[..20]);
        assert_eq!(count()[0].1, 1, "a line without its end is not read yet");
        append(&path, &one[20..]);
        append(&path, &one);
        // Rotated with something that nobody has counted, twice.
        std::fs::rename(&path, folder.path().join("events.jsonl.1")).unwrap();
        append(&path, &one);
        std::fs::rename(folder.path().join("events.jsonl.1"), folder.path().join("events.jsonl.2")).unwrap();
        std::fs::rename(&path, folder.path().join("events.jsonl.1")).unwrap();
        append(&path, &one);
        assert_eq!(count()[0].1, 5);
        std::fs::write(&path, &one).unwrap();
        assert_eq!(count()[0].1, 5, "as long as before, so nothing is new");
        std::fs::write(&path, "").unwrap();
        assert_eq!(count()[0].1, 5);
        append(&path, &one);
        assert_eq!(count()[0].1, 6, "from the start of a file that was emptied");
    }

    #[test]
    fn a_log_is_one_that_can_be_read_again() {
        let of = |sinks: &[Sink]| Log::of(sinks.iter().fold(0, |bits, sink| bits | sink.bit()), b"/x.jsonl");
        assert!(matches!(of(&[Sink::File, Sink::Journald]), Some(Log::Journal)));
        assert!(matches!(of(&[Sink::Syslog]), Some(Log::Journal)));
        assert!(matches!(of(&[Sink::File, Sink::Stderr]), Some(Log::File(path)) if path == Path::new("/x.jsonl")));
        assert!(of(&[Sink::Stderr]).is_none());
    }

    #[test]
    fn there_are_so_many_series_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let merged = json!({
            "event": { "action": "merged", "outcome": "success" }, "rule": { "id": "egress-port" },
            "portcullis": { "vhost": "a", "repeated": 41 },
        });
        let unsent = json!({
            "event": { "action": "connection_attempted", "outcome": "success" }, "rule": { "id": "egress-port" },
            "portcullis": { "vhost": "a", "detail": "nothing sent yet" },
        });
        let lines = [
            line("invented", "egress-port", false),
            line("a", "egress-port", false),
            line("b", "egress-port", true),
            line("", "egress-port", false),
            line("c", "egress-port", false),
            line("d", "egress-port", false),
            format!("{unsent}\n"),
            line("a", "a rule of somebody's", false),
            format!("{merged}\nno event\n"),
        ];
        std::fs::write(&path, lines.concat()).unwrap();
        let mut tally = Tally::default();
        tally.advance(&Log::File(path), 2, &|name| name != "invented", &mut Left::default()).unwrap();
        let wanted = [
            ("- egress-port success", 1),
            ("_others egress-port success", 3),
            ("a _others success", 1),
            ("a egress-port success", 42),
            ("b egress-port failure", 1),
        ];
        assert_eq!(counts(&tally), wanted.map(|(labels, count)| (labels.to_owned(), count)));
        assert_eq!(tally.latest(), 1_795_537_514);
    }
}
