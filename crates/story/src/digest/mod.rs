//! What a report says of a whole log, event by event: when calls were, and by which sites, clients, scripts, commands and destinations.
//!
//! **Memory** is bounded: each table has at most [`table::ROWS_MAX`] rows, and the timeline as many spans as [`timeline`] says. What is
//! beyond a bound is counted, without its name.

mod table;
mod timeline;

pub use table::{Row, Table};
pub use timeline::{Bar, Chart, Timeline};

use crate::Event;
use crate::quick;
use crate::recent::Recent;
use crate::resolve;
use crate::story::{About, cut, rule_of};
use crate::trail::{is_grave, stable};
use portcullis_event::field;
use portcullis_policy::RULE_FACTS;
use std::collections::VecDeque;

/// So many events are remembered to which merged calls may be added.
const LIKE_MAX: usize = 20_000;
/// So many streams are told apart whose sinks did not take all events.
const STREAMS_MAX: usize = 10_000;
/// So many events of Portcullis itself are kept, the last ones.
const OWN_MAX: usize = 20;

/// How severe a call is, by the ranges of `event.severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Below 47.
    Low,
    /// From 47 on.
    Medium,
    /// From 73 on.
    High,
    /// From 99 on.
    Critical,
}

impl Level {
    /// All, the least severe first.
    pub const ALL: [Level; 4] = [Level::Low, Level::Medium, Level::High, Level::Critical];

    /// That of a severity.
    #[must_use]
    pub fn of(severity: u8) -> Level {
        match severity {
            ..47 => Level::Low,
            47..73 => Level::Medium,
            73..99 => Level::High,
            99.. => Level::Critical,
        }
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["low", "medium", "high", "critical"][self as usize]
    }
}

/// What is counted of one event.
#[derive(Clone, Copy)]
struct Call<'e> {
    /// The word of its rule, whether this version knows it or not.
    rule: &'e str,
    severity: u8,
    is_grave: bool,
    blocked: bool,
    count: u64,
    client: u64,
    when: Option<i64>,
}

/// What a log says as a whole.
pub struct Digest {
    /// When the calls were.
    pub timeline: Timeline,
    /// The virtual hosts of the policy, or the hosts that requests named.
    pub sites: Table,
    /// The clients.
    pub clients: Table,
    /// The scripts.
    pub scripts: Table,
    /// The commands, those of one kind together.
    pub commands: Table,
    /// The destinations of connections.
    pub destinations: Table,
    /// The rules.
    pub rules: Table,
    /// The hosts.
    pub hosts: Table,
    /// The modes.
    pub modes: Table,
    /// Calls that were merged into events which are not known any more: no table but that of sites has them.
    pub merged: u64,
    /// What Portcullis said of itself: how often, and the last time and text of each.
    own: VecDeque<(String, String)>,
    own_count: u64,
    /// What sinks did not take, by stream, and without those that are told apart.
    dropped: quick::Table<u64, u64>,
    /// The rows of events, by their identifiers.
    likes: Recent<Places>,
}

/// The rows that an event is in: of sites, clients, scripts, and commands or destinations.
#[derive(Clone, Copy)]
struct Places {
    site: u64,
    client: u64,
    script: u64,
    kind: u64,
    is_exec: bool,
    call_client: u64,
}

impl Default for Digest {
    fn default() -> Digest {
        Digest {
            timeline: Timeline::default(),
            sites: Table::default(),
            clients: Table::default(),
            scripts: Table::default(),
            commands: Table::default(),
            destinations: Table::default(),
            rules: Table::default(),
            hosts: Table::default(),
            modes: Table::default(),
            merged: 0,
            own: VecDeque::new(),
            own_count: 0,
            dropped: quick::Table::default(),
            likes: Recent::new(LIKE_MAX),
        }
    }
}

impl Digest {
    /// Takes an event that was not read before.
    pub fn take(&mut self, event: &Event, about: &About) {
        let stream = stable(event.text(field::STREAM));
        if let Some(dropped @ 1..) = event.number(field::DROPPED)
            && (self.dropped.len() < STREAMS_MAX || self.dropped.contains_key(&stream))
        {
            let most = self.dropped.entry(stream).or_default();
            *most = (*most).max(dropped);
        }
        if event.is_of_guard() {
            return self.take_own(event);
        }
        let known = event.rules().filter_map(rule_of);
        let (severity, grave) = known.fold((None, false), |(severity, grave), rule| {
            (severity.max(Some(RULE_FACTS[rule as usize].severity)), grave || is_grave(rule))
        });
        let claimed = || event.number(field::EVENT_SEVERITY).unwrap_or(0).min(100) as u8;
        let client = event.text(field::CLIENT_ADDRESS);
        let call = Call {
            rule: event.rule(),
            severity: severity.unwrap_or_else(claimed),
            is_grave: grave,
            blocked: event.blocked(),
            count: event.count() as u64,
            client: stable(client),
            when: event.nanoseconds(),
        };
        self.timeline.take(call.when, call.severity, call.blocked, call.count);
        self.rules.take(stable(event.rule()), event.rule(), &call);
        self.modes.take(stable(event.text(field::MODE)), event.text(field::MODE), &call);
        let host = event.text(field::HOST_HOSTNAME);
        self.hosts.take(stable(host), host, &call);
        if event.is_of_merged() {
            return self.take_merged(event, call);
        }
        let (site, script) = (resolve::site(event), event.text(field::REQUEST_SCRIPT));
        let is_exec = event.is_exec();
        let About { what: text, shape } = about;
        let kind = *shape;
        let places = Places {
            site: stable(site),
            client: call.client,
            script: stable(script),
            kind,
            is_exec,
            call_client: call.client,
        };
        self.sites.take(places.site, &cut(site), &call);
        self.clients.take(places.client, &cut(client), &call);
        self.scripts.take(places.script, &cut(script), &call);
        if is_exec {
            self.commands.take(kind, text, &call);
        } else if event.destination().is_some() {
            self.destinations.take(kind, text, &call);
        }
        if let Some(identity) = event.identity() {
            self.likes.insert(stable(identity), places);
        }
    }

    /// Adds calls to those of the event that they are like.
    fn take_merged(&mut self, event: &Event, mut call: Call<'_>) {
        let Some(places) = event.like().and_then(|like| self.likes.get(stable(like))) else {
            self.merged = self.merged.saturating_add(call.count);
            let site = resolve::site(event);
            return self.sites.take(stable(site), &cut(site), &call);
        };
        call.client = places.call_client;
        let kinds = if places.is_exec { &mut self.commands } else { &mut self.destinations };
        kinds.add(places.kind, &call);
        self.sites.add(places.site, &call);
        self.clients.add(places.client, &call);
        self.scripts.add(places.script, &call);
    }

    fn take_own(&mut self, event: &Event) {
        self.own_count += 1;
        if self.own.len() == OWN_MAX {
            self.own.pop_front();
        }
        self.own.push_back((event.text(field::TIMESTAMP).to_owned(), cut(event.text(field::MESSAGE)).into_owned()));
    }

    /// What Portcullis said of itself: time and text of the last times, and how often it did.
    #[must_use]
    pub fn own(&self) -> (Vec<&(String, String)>, u64) {
        (self.own.iter().collect(), self.own_count)
    }

    /// How many events sinks did not take: the most that each stream says. The streams beyond the bound are not in it.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.values().fold(0, |sum, dropped| sum.saturating_add(*dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(number: u64, command: &str) -> Event {
        Event::of(&json!({
            "@timestamp": "2026-11-24T16:25:14Z", "rule": { "id": "shell-spawn" }, "client": { "address": "192.0.2.7" },
            "event": { "id": format!("ab-{number}"), "action": "exec", "outcome": "success", "severity": 47 },
            "process": { "command_line": command }, "host": { "hostname": "web1" },
            "portcullis": { "vhost": "shop", "mode": "audit", "stream": "s", "dropped": number, "request": { "script": "/srv/a.php" } },
        }))
    }

    fn take(digest: &mut Digest, event: &Event) {
        digest.take(event, &About::of(event));
    }

    #[test]
    fn merged_calls_are_those_of_the_event_that_they_are_like() {
        let mut digest = Digest::default();
        take(&mut digest, &event(1, "sh -c id"));
        let merged = |like: &str| {
            Event::of(&json!({
                "rule": { "id": "shell-spawn" }, "event": { "action": "merged", "outcome": "failure" },
                "host": { "hostname": "web1" }, "portcullis": { "like": like, "repeated": 5, "vhost": "blog" },
            }))
        };
        take(&mut digest, &merged("ab-1"));
        take(&mut digest, &merged("ab-2"));
        for table in [&digest.commands, &digest.scripts, &digest.clients] {
            assert_eq!(table.ranked(3)[0].1.calls, [1, 5]);
        }
        assert_eq!(digest.merged, 5);
        let sites: Vec<(&str, [u64; 2])> =
            digest.sites.ranked(3).iter().map(|(_, row)| (&*row.text, row.calls)).collect();
        assert_eq!(sites, [("blog", [0, 5]), ("shop", [1, 5])]);
    }

    #[test]
    fn what_sinks_did_not_take_is_the_most_that_a_stream_says() {
        let mut digest = Digest::default();
        for number in [3, 9, 4] {
            take(&mut digest, &event(number, "sh -c id"));
        }
        assert_eq!(digest.dropped(), 9);
    }

    #[test]
    fn what_portcullis_says_of_itself_has_a_bound() {
        let mut digest = Digest::default();
        for number in 0..100 {
            let own = json!({ "@timestamp": format!("2026-11-24T16:25:{number}Z"), "rule": { "id": "guard-policy" }, "message": "x" });
            take(&mut digest, &Event::of(&own));
        }
        let (kept, all) = digest.own();
        assert_eq!((kept.len(), all), (OWN_MAX, 100));
        assert_eq!(kept[OWN_MAX - 1].0, "2026-11-24T16:25:99Z");
    }
}
