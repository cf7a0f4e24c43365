//! The choice among events, as it is given on the command line.

use super::{Event, Moment, Origin, moment, time_text};
use crate::probes::{self, Left};
use clap::Args;
use portcullis_event::field;
use portcullis_story::log::Copies;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Which events.
#[derive(Args, Default)]
pub struct Selection {
    /// Files of events, one per line, also compressed (gzip, xz, zstd) [default: the journal]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read the rotated files next to each FILE too, the oldest first
    #[arg(long, requires = "files")]
    pub rotated: bool,
    /// Only events from this time on, in UTC: 2026-11-24, "2026-11-24 16:25", or an age: 90m, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,
    /// Only events up to this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// Only events of this virtual host; `-` for events without one. Repeatable
    #[arg(long, value_name = "NAME")]
    pub vhost: Vec<String>,
    /// Only events that triggered this rule. Repeatable
    #[arg(long, value_name = "RULE", value_parser = rules())]
    pub rule: Vec<String>,
    /// Only events of this mode: audit for calls that were only logged, enforce for blocked calls
    #[arg(long, value_name = "MODE", value_parser = ["audit", "enforce"])]
    pub mode: Option<String>,
    /// Only events with a part that could not be evaluated; with `=WORD`, this part
    #[arg(long, value_name = "WORD", value_parser = unknowns(), num_args = 0..=1, require_equals = true, default_missing_value = ANYTHING)]
    pub unknown: Option<String>,
    /// Only events of scripts whose path contains this text
    #[arg(long, value_name = "TEXT")]
    pub script: Option<String>,
    /// Only events of requests from this client
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<String>,
    #[command(flatten)]
    pub probes: Probes,
    /// The virtual hosts of the configuration.
    #[arg(skip)]
    pub configured: BTreeSet<String>,
    /// The output is for a program, which is not told that nothing was found.
    #[arg(skip)]
    pub is_for_program: bool,
    /// The log is read more than once: what comes by a pipe is kept for that.
    #[arg(skip)]
    pub is_read_again: bool,
    /// Where it is kept.
    #[arg(skip)]
    pub copies: Copies,
}

/// Whether events of the probes of `doctor` are among them.
#[derive(Args, Clone)]
pub struct Probes {
    /// Include the events of doctor's probes
    #[arg(long)]
    pub probes: bool,
    /// List of the probes that ran, a file of root's, or its copy from another machine
    #[arg(long, value_name = "FILE", default_value = probes::LIST)]
    pub probe_list: PathBuf,
}

impl Default for Probes {
    fn default() -> Probes {
        Probes { probes: false, probe_list: probes::LIST.into() }
    }
}

impl Probes {
    /// What is left out of a reading.
    pub fn left(&self) -> Left {
        Left::by(&self.probe_list, self.probes)
    }
}

/// The words of the rules, and that of what the guard says of itself.
pub fn rules() -> Vec<&'static str> {
    portcullis_policy::RULE_WORDS.into_iter().chain(["guard-policy"]).collect()
}

/// The name by which an event has what `--vhost` names: none for `-`.
pub(super) fn of_policy(name: &str) -> &str {
    if name == "-" { "" } else { name }
}

/// The word for any word of `portcullis.unknown`.
const ANYTHING: &str = "any";

/// The words of `portcullis.unknown`.
fn unknowns() -> Vec<&'static str> {
    let words = portcullis_policy::Unknown::ALL.into_iter().map(portcullis_policy::Unknown::word);
    words.chain([ANYTHING]).collect()
}

impl Selection {
    /// Whether an event is among those that are chosen.
    pub fn has(&self, event: &Event) -> bool {
        // An entry is as old as the journal says.
        let received = match event.origin() {
            Origin::Journal(at) => time_text(at),
            Origin::File(_) => None,
        };
        let time = received.as_deref().unwrap_or_else(|| event.text(field::TIMESTAMP));
        self.since.as_ref().is_none_or(|since| time >= since.text())
            && self.until.as_ref().is_none_or(|until| time <= until.text())
            && (self.vhost.is_empty() || self.vhost.iter().any(|name| event.vhost() == of_policy(name)))
            && (self.rule.is_empty() || self.rule.iter().any(|rule| event.rules().any(|fired| fired == rule)))
            && self.mode.as_ref().is_none_or(|mode| event.text(field::MODE) == mode)
            && self.unknown.as_ref().is_none_or(|word| match event.unknown() {
                "" => false,
                unknown => word == ANYTHING || word == unknown,
            })
            && (event.is_of_merged() || self.has_request(event))
    }

    /// Whether its request is among those that are chosen.
    fn has_request(&self, event: &Event) -> bool {
        let script = event.text(field::REQUEST_SCRIPT);
        self.script.as_ref().is_none_or(|part| script.contains(part.as_str()))
            && self.client.as_ref().is_none_or(|client| event.text(field::CLIENT_ADDRESS) == client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Event {
        Event::of(&json!({
            "@timestamp": "2026-11-24T16:25:14.000000000Z", "rule": { "id": "exec-tool" },
            "client": { "address": "192.0.2.7" },
            "portcullis": { "mode": "audit", "vhost": "shop", "also": ["shell-spawn"], "request": { "script": "/srv/a.php" } },
        }))
    }

    #[test]
    fn each_key_chooses() {
        let chosen = |change: &dyn Fn(&mut Selection)| {
            let mut selection = Selection::default();
            change(&mut selection);
            selection.has(&event())
        };
        assert!(chosen(&|_| {}));
        for (value, wanted) in [("shop", true), ("blog", false), ("-", false)] {
            assert_eq!(chosen(&|selection| selection.vhost = vec![value.into()]), wanted, "{value}");
        }
        for (value, wanted) in [("exec-tool", true), ("shell-spawn", true), ("egress-port", false)] {
            assert_eq!(chosen(&|selection| selection.rule = vec![value.into()]), wanted, "{value}");
        }
        for (value, wanted) in [("2026-11-24 16:25", true), ("2026-11-24 16:26", false)] {
            assert_eq!(chosen(&|selection| selection.since = moment(value).ok()), wanted, "{value}");
            assert_eq!(chosen(&|selection| selection.until = moment(value).ok()), !wanted, "{value}");
        }
        assert!(!chosen(&|selection| selection.mode = Some("enforce".into())));
        assert!(!chosen(&|selection| selection.client = Some("192.0.2.8".into())));
        assert!(chosen(&|selection| selection.script = Some("a.php".into())));
    }
}
