//! An attacker who adds any events to a log, with any time and any client, hides nothing of his and raises nothing of others'.

use portcullis_story::{End, Event, Incident, Origin, Story, find};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;

const BEGIN: i64 = 1_790_000_000;
const SITES: u64 = 10;

/// A log in the order in which it was written: when each event was written, and what it says.
#[derive(Clone, Default)]
struct Made(Vec<(i64, Value)>);

/// What an event says.
#[derive(Clone, Copy)]
struct Said<'s> {
    /// When it was by its own word, in milliseconds from the beginning of the log.
    at: i64,
    site: &'s str,
    script: &'s str,
    client: &'s str,
    what: &'s str,
}

impl Made {
    fn add(&mut self, written: i64, said: Said<'_>) {
        let Said { at, site, script, client, what } = said;
        let number = self.0.len();
        let time = jiff::Timestamp::from_millisecond(1000 * BEGIN + at).expect("a time");
        let destination = what.split_once(':').filter(|(ip, _)| ip.parse::<std::net::IpAddr>().is_ok());
        let mut value = json!({
            "@timestamp": time.to_string(), "rule": { "id": if destination.is_some() { "egress-port" } else { "shell-spawn" } },
            "event": { "id": format!("ab{written}x{number}-{number}"), "action": "exec", "outcome": "success" },
            "host": { "hostname": "web1" }, "client": { "address": client },
            "http": { "request": { "id": format!("{written:x}-{number:x}") } }, "url": { "original": "/", "domain": site },
            "process": { "command_line": what },
            "portcullis": { "chain": "php-fpm > sh", "vhost": site, "request": { "script": format!("/srv/{site}/{script}") } },
        });
        if let Some((ip, port)) = destination {
            value["event"]["action"] = "connection_attempted".into();
            value["destination"] = json!({ "ip": ip, "port": port.parse::<u16>().expect("a port") });
        }
        self.0.push((written, value));
    }

    /// Mail, pictures and feeds of ten sites, from the beginning to the end.
    fn ordinary(&mut self, length: i64, visitors: u64) {
        let count = 240;
        for number in 0..count {
            let at = length * number / count;
            let (site, client) = (
                format!("site{}.example", number as u64 / 3 % SITES),
                format!("198.51.100.{}", ((number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % visitors),
            );
            let (script, what) = ordinary_kind(number as u64);
            self.add(at, Said { at, site: &site, script, client: &client, what: &what });
        }
    }

    /// The incidents of a journal, or of a file that was last written so long after its beginning.
    fn found(&self, has_journal: bool, length: i64) -> Vec<Incident> {
        let mut written: Vec<&(i64, Value)> = self.0.iter().collect();
        written.sort_by_key(|(written, _)| *written);
        let mut story = Story::default().until(End::At((1000 * BEGIN + length) * 1_000_000));
        for (at, value) in written {
            let event = Event::of(value);
            let event =
                if has_journal { event.read_in(Origin::Journal((1000 * BEGIN + at) * 1_000_000)) } else { event };
            story.take(&event, true);
        }
        find(&story.told())
    }
}

/// A script, and what it does.
fn ordinary_kind(number: u64) -> (&'static str, String) {
    match number % 3 {
        0 => ("contact.php", "sh -c '/usr/sbin/sendmail -t -i'".to_owned()),
        1 => ("image.php", format!("sh -c 'convert /tmp/php{number} -resize 200x200 out/{number}.jpg'")),
        _ => ("feed.php", "203.0.113.9:8443".to_owned()),
    }
}

/// What the attacker does.
const HIS: [&str; 4] = ["sh -c id", "sh -c 'cat /etc/passwd'", "192.88.1.66:4444", "sh -c 'uname -a'"];

/// An event of his: how long after he came, which time it claims, whose address, by which script, and what it does. Some look like what
/// others do.
type Added = (u16, u8, u64, u8, u8);

fn attack(log: &mut Made, length: i64, came: i64, visitors: u64, kinds: usize, added: &[Added]) {
    for (number, (after, time, client, script, imitates)) in added.iter().enumerate() {
        let written = came + (length - came) * i64::from(*after) / (i64::from(u16::MAX) + 1);
        let at = match time % 6 {
            0 => -1000 * BEGIN + 1000,
            1 => 1000 * 2_300_000_000,
            2 => written + 3_600_000,
            // Anywhere in the log, as if he had always been there.
            3 | 4 => length * i64::from(*after) / (i64::from(u16::MAX) + 1),
            _ => written,
        };
        let client = match client % 4 {
            0 => format!("198.51.100.{}", client % visitors),
            1 => format!("203.0.{}.{}", client >> 8 & 255, client >> 16 & 255),
            2 => format!("2001:db8:1:1::{:x}", client & 0xffff),
            _ => "192.88.1.66".to_owned(),
        };
        // The first ones are what he came for.
        let (script, what) = match imitates % 3 {
            0 if number >= kinds => ordinary_kind(u64::from(*script)),
            _ => (if script % 2 == 0 { "up.php" } else { "contact.php" }, HIS[number % kinds].to_owned()),
        };
        log.add(written, Said { at, site: "site4.example", script, client: &client, what: &what });
    }
}

fn is_his(incident: &Incident) -> bool {
    incident.steps.iter().any(|step| HIS.iter().any(|his| step.what.starts_with(his)))
}

fn shown(incidents: &[Incident]) -> String {
    incidents.iter().take(12).map(|one| format!("{:>3} {} {}\n", one.score, one.is_ordinary, one.title())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_hides_and_nobody_is_raised(
        minutes in prop::sample::select(vec![1_i64, 20, 55, 180, 600, 2880]),
        came in 30_i64..95,
        visitors in 40_u64..200,
        kinds in 1..=HIS.len(),
        has_journal: bool,
        added in prop::collection::vec(any::<Added>(), 4..300),
    ) {
        let length = minutes * 60_000;
        let mut log = Made::default();
        log.ordinary(length, visitors);
        let before: HashMap<String, u32> =
            log.found(has_journal, length).iter().map(|one| (one.scripts.iter().map(|name| &**name).collect(), one.score)).collect();
        attack(&mut log, length, length * came / 100, visitors, kinds, &added);
        let after = log.found(has_journal, length);
        let (his, others): (Vec<&Incident>, Vec<&Incident>) = after.iter().partition(|one| is_his(one));
        prop_assert!(!his.is_empty() && !others.is_empty(), "{}", shown(&after));
        let worst = others.iter().map(|one| one.score).max().unwrap_or(0);
        prop_assert!(his.iter().all(|one| !one.is_ordinary && one.score > worst), "{}", shown(&after));
        for other in others {
            let scripts: String = other.scripts.iter().map(|name| &**name).collect();
            prop_assert!(before.get(&scripts).is_some_and(|before| other.score <= *before), "{scripts}: {:?}\n{}", before.get(&scripts), shown(&after));
        }
    }
}

/// In a short log, somebody who is there from the beginning with a few addresses, or with all of one customer's, is no ordinary visitor.
#[test]
fn a_short_log_hides_nobody() {
    for minutes in [1, 20, 55, 300] {
        let length = minutes * 60_000;
        for is_of_ipv6 in [false, true] {
            let mut log = Made::default();
            for number in 0..60 {
                let client = match is_of_ipv6 {
                    true => format!("2001:db8:1:{number:x}::{number:x}"),
                    false => format!("192.88.1.{}", number % 9),
                };
                let at = length * number / 60;
                log.add(at, Said { at, site: "site4.example", script: "up.php", client: &client, what: "sh -c id" });
            }
            log.ordinary(length, 150);
            let incidents = log.found(false, length);
            assert!(is_his(&incidents[0]) && incidents[0].score > incidents[1].score, "{}", shown(&incidents));
            assert!(incidents.iter().all(|one| !one.is_ordinary), "nothing is known: {}", shown(&incidents));
        }
    }
}
