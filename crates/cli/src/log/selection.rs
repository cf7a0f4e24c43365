//! The choice among events, as it is given on the command line.

use super::{Event, Moment, Origin, moment, time_text};
use crate::limits;
use crate::probes::{self, Left};
use clap::Args;
use clap::builder::TypedValueParser;
use portcullis_event::field;
use portcullis_policy::{RULE_FACTS, Rule};
use portcullis_story::log::Copies;
use portcullis_story::site;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What `--help` puts these options under.
const WHICH: &str = "Which events";

/// Which events.
#[derive(Args, Clone, Default)]
pub struct Selection {
    /// Files of events, one per line, also compressed (gzip, xz, zstd); `-` for standard input [default: the journal]
    #[arg(value_name = "FILE", value_parser = clap::builder::OsStringValueParser::new().map(file))]
    pub files: Vec<PathBuf>,
    /// Read the rotated files next to each FILE too, the oldest first; without FILE, those of the log that the configuration names
    #[arg(help_heading = WHICH, long)]
    pub rotated: bool,
    /// Only events from this time on, in UTC: 2026-11-24, "2026-11-24 16:25", or an age: 90m, 2h, 7d
    #[arg(help_heading = WHICH, long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,
    /// Only events up to this time
    #[arg(help_heading = WHICH, long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// Only events of this virtual host; `-` for events without one. Repeatable
    #[arg(help_heading = WHICH, long, value_name = "NAME")]
    pub vhost: Vec<String>,
    /// Only events that triggered this rule. Repeatable
    #[arg(help_heading = WHICH, long, value_name = "RULE", value_parser = rules())]
    pub rule: Vec<String>,
    /// Only events of this mode: audit for calls that were only logged, enforce for blocked calls
    #[arg(help_heading = WHICH, long, value_name = "MODE", value_parser = ["audit", "enforce"])]
    pub mode: Option<String>,
    /// Only events with a part that could not be evaluated; with `=WORD`, this part
    #[arg(help_heading = WHICH, long, value_name = "WORD", value_parser = unknowns(), num_args = 0..=1, require_equals = true, default_missing_value = ANYTHING)]
    pub unknown: Option<String>,
    /// Only events of this severity or above: low, medium, high, or a number (21, 47, 73)
    #[arg(help_heading = WHICH, long, value_name = "LEVEL", value_parser = severity)]
    pub severity: Option<u64>,
    /// Only events of this server, by its `host.hostname`. Repeatable
    #[arg(help_heading = WHICH, long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Only events of this site: a virtual host, or the host of the request where no virtual host is known; `-` for events without
    /// one. Repeatable
    #[arg(help_heading = WHICH, long, value_name = "NAME")]
    pub site: Vec<String>,
    /// Only events of scripts whose path contains this text
    #[arg(help_heading = WHICH, long, value_name = "TEXT")]
    pub script: Option<String>,
    /// Only events of requests from this client
    #[arg(help_heading = WHICH, long, value_name = "ADDRESS")]
    pub client: Option<String>,
    /// Only events of this request, by its `http.request.id`. Repeatable
    #[arg(help_heading = WHICH, long, value_name = "ID")]
    pub request: Vec<String>,
    /// Only the event with this `event.id`, and the calls that were merged into it. Repeatable
    #[arg(help_heading = WHICH, long, value_name = "ID")]
    pub id: Vec<String>,
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
    #[arg(help_heading = WHICH, long)]
    pub probes: bool,
    /// List of the probes that ran, a file of root's, or its copy from another machine
    #[arg(help_heading = WHICH, long, value_name = "FILE", default_value = probes::LIST)]
    pub probe_list: PathBuf,
}

impl Default for Probes {
    fn default() -> Probes {
        Probes { probes: false, probe_list: probes::LIST.into() }
    }
}

impl Probes {
    /// Whether the list is not the one of this host.
    pub fn is_elsewhere(&self) -> bool {
        self.probe_list != Path::new(probes::LIST)
    }

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

/// Severities by their words, as `event.severity` has them.
const SEVERITIES: [(&str, u64); 3] = [("low", 21), ("medium", 47), ("high", 73)];

/// Reads a severity.
fn severity(text: &str) -> Result<u64, String> {
    let word = SEVERITIES.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, number)| *number);
    let number = || text.parse().ok().filter(|number| *number <= 100);
    word.or_else(number).ok_or_else(|| "write low, medium, high, or a number from 0 to 100".to_owned())
}

/// How severe an event is: by its rules, whatever it says itself. `None` where neither says anything.
fn severity_of(event: &Event) -> Option<u64> {
    let known = event.rules().filter_map(|word| Rule::ALL.into_iter().find(|rule| rule.word() == word));
    let known = known.map(|rule| u64::from(RULE_FACTS[rule as usize].severity));
    known.chain(event.number(field::EVENT_SEVERITY)).max()
}

/// The word for any word of `portcullis.unknown`.
const ANYTHING: &str = "any";

/// The words of `portcullis.unknown`.
fn unknowns() -> Vec<&'static str> {
    let words = portcullis_policy::Unknown::ALL.into_iter().map(portcullis_policy::Unknown::word);
    words.chain([ANYTHING]).collect()
}

/// The file of a name; `-` is standard input, as other programs have it.
fn file(name: std::ffi::OsString) -> PathBuf {
    if name == "-" { "/dev/stdin".into() } else { name.into() }
}

impl Selection {
    /// Whether anything can be chosen by it.
    pub fn is_possible(&self) -> Result<(), String> {
        const INPUT: [&str; 4] = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/proc/thread-self/fd/0"];
        if self.files.iter().any(|name| INPUT.iter().any(|input| name == Path::new(input)))
            && let Err(error) = limits::open(false)
        {
            return Err(format!("cannot read standard input: {error}; help: name a file in place of -"));
        }
        match (&self.since, &self.until) {
            (Some(since), Some(until)) if since.text() > until.text() => {
                Err("--since is after --until: no event is between them; help: exchange them".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// A file that is read is not one to write: what was read would be lost.
    pub fn is_no_input(&self, output: &Path) -> Result<(), String> {
        let identity = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        let Some(own) = identity(output) else { return Ok(()) };
        // Rotated files have the name of the first one, and more.
        let begins = |file: &PathBuf| {
            let name = |path: &Path| path.file_name().unwrap_or_default().as_bytes().to_owned();
            self.rotated && file.parent() == output.parent() && name(output).starts_with(&name(file))
        };
        match self.files.iter().any(|file| identity(file) == Some(own) || begins(file)) {
            false => Ok(()),
            true => Err(format!("cannot write {}: it is read as a log; help: give -o another name", output.display())),
        }
    }

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
            // What is not known is not left out.
            && self.severity.is_none_or(|least| severity_of(event).is_none_or(|severity| severity >= least))
            && among(&self.host, event.text(field::HOST_HOSTNAME))
            && (self.id.is_empty() || [field::EVENT_ID, field::LIKE].iter().any(|field| among(&self.id, event.text(*field))))
            && (event.is_of_merged() && site(event).is_empty() || among(&self.site, site(event)))
            && (event.is_of_merged() || self.has_request(event))
    }

    /// Whether its request is among those that are chosen.
    fn has_request(&self, event: &Event) -> bool {
        let script = event.text(field::REQUEST_SCRIPT);
        self.script.as_ref().is_none_or(|part| script.contains(part.as_str()))
            && self.client.as_ref().is_none_or(|client| event.text(field::CLIENT_ADDRESS) == client)
            && among(&self.request, event.text(field::HTTP_REQUEST_ID))
    }

    /// Whether the choice is one of requests, of which merged calls know nothing.
    pub(super) fn is_of_requests(&self) -> bool {
        self.script.is_some() || self.client.is_some() || !self.request.is_empty()
    }
}

/// Whether a name is among those that are chosen: any, where none is; none, where `-` is.
fn among(chosen: &[String], name: &str) -> bool {
    chosen.is_empty() || chosen.iter().any(|one| of_policy(one).eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Event {
        Event::of(&json!({
            "@timestamp": "2026-11-24T16:25:14.000000000Z", "rule": { "id": "exec-tool" },
            "client": { "address": "192.0.2.7" }, "host": { "hostname": "web1" }, "http": { "request": { "id": "5b1e" } },
            "event": { "id": "ab-7", "severity": 21 }, "url": { "domain": "shop.example" },
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
        type Key = fn(&mut Selection) -> &mut Vec<String>;
        let keys: [(Key, &str, &str); 4] = [
            (|selection| &mut selection.host, "WEB1", "web2"),
            (|selection| &mut selection.site, "shop", "shop.example"),
            (|selection| &mut selection.request, "5b1e", "-"),
            (|selection| &mut selection.id, "ab-7", "ab-70"),
        ];
        for (key, right, wrong) in keys {
            assert!(chosen(&|selection| key(selection).push(right.into())), "{right}");
            assert!(!chosen(&|selection| key(selection).push(wrong.into())), "{wrong}");
            assert!(chosen(&|selection| key(selection).extend([wrong.into(), right.into()])), "{right}");
        }
        // The rules of the event are worth 47; what it says of itself, whoever wrote it, does not make it less.
        for (level, wanted) in [("low", true), ("MEDIUM", true), ("47", true), ("48", false), ("high", false)] {
            assert_eq!(chosen(&|selection| selection.severity = severity(level).ok()), wanted, "{level}");
        }
        assert!(severity("grave").is_err() && severity("101").is_err() && severity("-1").is_err());
        assert!(!chosen(&|selection| selection.mode = Some("enforce".into())));
        assert!(!chosen(&|selection| selection.client = Some("192.0.2.8".into())));
        assert!(chosen(&|selection| selection.script = Some("a.php".into())));
    }

    #[test]
    fn merged_calls_go_with_what_they_are_like() {
        let merged = Event::of(&json!({ "event": { "action": "merged" }, "portcullis": { "like": "ab-7" } }));
        let has = |change: &dyn Fn(&mut Selection)| {
            let mut selection = Selection::default();
            change(&mut selection);
            selection.has(&merged)
        };
        assert!(
            has(&|selection| selection.id = vec!["ab-7".into()])
                && !has(&|selection| selection.id = vec!["ab-8".into()])
        );
        // Of which site and request they were is not known.
        assert!(has(&|selection| selection.site = vec!["shop".into()]));
        assert!(has(&|selection| selection.request = vec!["5b1e".into()]));
        assert!(has(&|selection| selection.severity = Some(73)));
    }
}
