//! What is ordinary where clients say little: behind a proxy, on a site of few, and of an attacker with several addresses.

use portcullis_story::{Event, Incident, Story, find};
use serde_json::{Value, json};

const BEGIN: i64 = 1_790_000_000;
const HOUR: i64 = 3600;
const SITES: usize = 10;

/// A log as it is made.
#[derive(Default)]
struct Made {
    host: &'static str,
    events: Vec<Value>,
}

impl Made {
    fn call(&mut self, at: i64, rule: &str, site: &str, script: &str, client: &str, what: &str) {
        self.call_at(1000 * at, rule, site, script, client, what);
    }

    /// The same at so many milliseconds.
    fn call_at(&mut self, at: i64, rule: &str, site: &str, script: &str, client: &str, what: &str) {
        let number = self.events.len();
        let mut value = json!({
            "@timestamp": jiff::Timestamp::from_millisecond(1000 * BEGIN + at).expect("a time").to_string(), "rule": { "id": rule },
            "event": { "id": format!("{}-{number}", self.host), "action": "exec", "outcome": "success" },
            "host": { "hostname": self.host }, "client": { "address": client },
            "http": { "request": { "id": format!("{}{number:x}", self.host) } }, "url": { "original": "/", "domain": site },
            "process": { "command_line": what },
            "portcullis": { "chain": "php-fpm > sh", "vhost": site, "request": { "script": format!("/srv/{site}/{script}") } },
        });
        if rule.starts_with("egress") {
            let (ip, port) = what.split_once(':').expect("a destination");
            value["event"]["action"] = "connection_attempted".into();
            value["destination"] = json!({ "ip": ip, "port": port.parse::<u16>().expect("a port") });
        }
        self.events.push(value);
    }

    /// An ordinary time of so many sites: mail, pictures and feeds, each now and then.
    fn ordinary(&mut self, sites: usize, seconds: i64, each: i64, client: &dyn Fn(usize) -> String) {
        for (number, at) in (0..seconds).step_by(each as usize).enumerate() {
            let site = format!("site{}.example", number / 3 % sites);
            let client = client(number);
            match number % 3 {
                0 => self.call(at, "shell-spawn", &site, "contact.php", &client, "sh -c '/usr/sbin/sendmail -t -i'"),
                1 => {
                    let command = format!("sh -c 'convert /tmp/php{number} -resize 200x200 out/{number}.jpg'");
                    self.call(at, "shell-spawn", &site, "image.php", &client, &command);
                }
                _ => self.call(at, "egress-port", &site, "feed.php", &client, "203.0.113.9:8443"),
            }
        }
    }

    /// A web shell, from a moment on.
    fn shell(&mut self, from: i64, site: &str, client: &str) {
        for (number, command) in ["id", "uname -a", "cat /etc/passwd", "id", "uname -a"].into_iter().enumerate() {
            let command = format!("sh -c '{command}'");
            self.call(from + 60 * number as i64, "shell-spawn", site, "up.php", client, &command);
        }
    }

    fn found(&self) -> Vec<Incident> {
        let mut story = Story::default();
        for event in &self.events {
            story.take(&Event::of(event), true);
        }
        find(&story.told())
    }
}

fn log() -> Made {
    Made { host: "web1", ..Made::default() }
}

fn shown(incidents: &[Incident]) -> String {
    incidents.iter().take(12).map(|one| format!("{:>3} {}\n", one.score, one.title())).collect()
}

/// Checks that the web shell is the first incident, alone, on its site, and that all else is ordinary.
fn is_found(incidents: &[Incident], site: &str) {
    let shown = shown(incidents);
    let first = &incidents[0];
    assert!(first.title().starts_with(&format!("Shell command from {site}: up.php, by ")), "{shown}");
    assert_eq!(first.calls.iter().sum::<u64>() % 5, 0, "{shown}");
    assert!(first.score >= 60 && incidents[1..].iter().all(|one| one.is_ordinary), "{shown}");
}

#[test]
fn behind_a_proxy_an_intruder_is_told_from_the_sites() {
    // One address, and a pool of four.
    for addresses in [1, 4] {
        let mut log = log();
        log.ordinary(SITES, 48 * HOUR, 300, &|number| format!("10.0.0.{}", 1 + number / 7 % addresses));
        log.shell(30 * HOUR, "site4.example", "10.0.0.1");
        is_found(&log.found(), "site4.example");
    }
}

/// In a short time nothing is a habit: each script is an incident of its own then, and none takes every site.
#[test]
fn behind_a_proxy_no_incident_takes_every_site() {
    let mut log = log();
    log.ordinary(SITES, HOUR / 2, 10, &|_| "10.0.0.1".to_owned());
    log.shell(600, "site4.example", "10.0.0.1");
    let incidents = log.found();
    assert!(incidents.iter().all(|one| one.counts[0].0 == 1), "{}", shown(&incidents));
    assert!(incidents.iter().any(|one| one.title().contains("site4.example: up.php")), "{}", shown(&incidents));
}

/// A client that nobody knows is no other case.
#[test]
fn without_clients_an_intruder_is_told_from_the_sites() {
    let mut log = log();
    log.ordinary(SITES, 48 * HOUR, 300, &|_| String::new());
    log.shell(30 * HOUR, "site4.example", "");
    let incidents = log.found();
    assert!(incidents[0].title().starts_with("Shell command from site4.example: up.php"), "{}", shown(&incidents));
    assert!(incidents[1..].iter().all(|one| one.is_ordinary), "{}", shown(&incidents));
}

#[test]
fn on_a_site_of_two_an_intruder_is_told_from_them() {
    let mut log = log();
    log.ordinary(1, 48 * HOUR, 300, &|number| format!("10.0.0.{}", 1 + number / 7 % 2));
    log.shell(30 * HOUR, "site0.example", "10.0.0.2");
    is_found(&log.found(), "site0.example");
}

/// However often it is done: within a short time, a few addresses make nothing ordinary.
#[test]
fn several_addresses_make_nothing_ordinary() {
    for visitors in [5, 20, 200] {
        let mut log = log();
        log.ordinary(SITES, 48 * HOUR, 300, &|number| format!("198.51.100.{}", number % visitors));
        for number in 0..9 {
            log.shell(30 * HOUR + 300 * number, "site4.example", &format!("192.88.1.{}", number % 3));
        }
        is_found(&log.found(), "site4.example");
    }
}

/// Nor does a long time: what begins in the middle of a log is no habit, although one address makes most of the calls.
#[test]
fn what_begins_later_is_no_habit() {
    let mut log = log();
    log.ordinary(1, 48 * HOUR, 1200, &|_| "10.0.0.1".to_owned());
    for at in (20 * HOUR..48 * HOUR).step_by(300) {
        log.call(at, "egress-port", "site0.example", "up.php", "10.0.0.1", "192.88.1.66:4444");
    }
    let first = &log.found()[0];
    assert!(first.title().contains("site0.example: up.php") && !first.is_ordinary, "{}", shown(&log.found()));
}

/// A time that somebody made up makes nothing ordinary, and nothing else odd.
#[test]
fn a_time_that_somebody_made_up_changes_little() {
    for outlier in [-BEGIN + 1, 9_000_000_000] {
        let mut log = log();
        log.ordinary(SITES, 48 * HOUR, 300, &|number| format!("198.51.100.{}", number % 150));
        log.shell(30 * HOUR, "site4.example", "192.88.1.1");
        log.call(outlier, "shell-spawn", "site4.example", "up.php", "192.88.1.1", "sh -c id");
        let incidents = log.found();
        assert!(incidents[0].title().contains("site4.example: up.php, by 192.88.1.1"), "{}", shown(&incidents));
        let odd = incidents.iter().filter(|one| !one.is_ordinary).count();
        assert!(odd <= 2, "{outlier}: {}", shown(&incidents));
    }
}

/// What of an incident is the site's own work is known of each event; what no application does never is.
#[test]
fn an_event_is_ordinary_as_its_kind_is() {
    let mut log = log();
    log.ordinary(SITES, 48 * HOUR, 300, &|number| format!("198.51.100.{}", number % 150));
    log.shell(30 * HOUR, "site4.example", "198.51.100.1");
    for at in 0..200 {
        log.call(800 * at, "stdio-socket", "site4.example", "contact.php", &format!("198.51.100.{at}"), "sh -i");
    }
    let mut story = Story::default();
    for event in &log.events {
        story.take(&Event::of(event), true);
    }
    let told = story.told();
    for event in log.events.iter().map(Event::of) {
        let script = event.text(portcullis_event::field::REQUEST_SCRIPT);
        let is_own = event.rule() != "stdio-socket" && !script.ends_with("up.php");
        assert_eq!(told.is_ordinary(&event), is_own, "{}", event.line());
    }
}

/// The blind exercise in small: 80 requests of ten sites within seconds, and in their middle one client who does a few things, by a script
/// of his own or by one that others use, too.
#[test]
fn in_a_short_log_the_intruder_is_first() {
    const KINDS: [&[(&str, &str)]; 4] = [
        &[
            ("shell-spawn", "sh -c id"),
            ("shell-spawn", "sh -c 'cat /etc/hostname'"),
            ("shell-spawn", "sh -c 'uname -a'"),
        ],
        &[("egress-port", "192.88.1.66:4444"), ("stdio-socket", "/bin/sh -c id")],
        &[("exec-place", "/tmp/.x1")],
        &[("egress-port", "192.88.1.66:4444"), ("shell-spawn", "sh -c 'tar c /etc/hostname | wc -c'")],
    ];
    let mut state = 1_u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    for seed in 0..40 {
        let mut log = log();
        let (mut at, kind) = (0, KINDS[seed % KINDS.len()]);
        let (site, client) = (format!("site{}.example", below(10)), format!("192.88.1.{}", 20 + below(200)));
        let script = if seed % 3 == 2 { "contact.php" } else { "up.php" };
        for number in 0..80 + kind.len() {
            let (own, number_of_file) = (format!("198.51.100.{}", 1 + below(200)), below(100_000));
            let place = format!("site{}.example", below(10));
            at += 20 + below(40) as i64;
            match below(4) {
                0 => log.call_at(at, "shell-spawn", &place, "contact.php", &own, "sh -c '/bin/cat > /dev/null'"),
                1 => {
                    let command = format!("sh -c '/usr/bin/sha1sum -t /dev/null /tmp/php{number_of_file}.jpg'");
                    log.call_at(at, "shell-spawn", &place, "image.php", &own, &command);
                }
                2 => log.call_at(at, "egress-port", &place, "feed.php", &own, "203.0.113.9:8765"),
                _ => log.call_at(at, "shell-spawn", &place, "job.php", &own, "sh -c '/bin/date +%s'"),
            }
            if let Some((rule, what)) = number.checked_sub(40).and_then(|step| kind.get(step)) {
                log.call_at(at + 5, rule, &site, script, &client, what);
            }
            // The servers wait for the events on both sides of the intrusion.
            at += if number == 39 || number == 40 + kind.len() { 700 } else { 0 };
        }
        let incidents = log.found();
        let wanted = format!(" from {site}: {script}, by {client}, ");
        assert!(incidents[0].title().contains(&wanted), "{seed}: {wanted}: {}", shown(&incidents));
        assert!(incidents[1].score < incidents[0].score, "{seed}: {}", shown(&incidents));
    }
}

/// What is done on another host is another incident, whoever did it.
#[test]
fn an_incident_is_of_one_host() {
    let (mut one, mut other) = (log(), Made { host: "web2", ..Made::default() });
    one.shell(0, "site4.example", "192.88.1.1");
    other.shell(60, "site4.example", "192.88.1.1");
    one.events.append(&mut other.events);
    let incidents = one.found();
    let hosts: Vec<&[std::rc::Rc<str>]> = incidents.iter().map(|one| one.hosts.as_slice()).collect();
    assert!(incidents.len() == 2 && hosts.iter().all(|hosts| hosts.len() == 1), "{}", shown(&incidents));
}

/// An identifier of an event is one host's: calls that were merged elsewhere are no calls here.
#[test]
fn merged_calls_are_those_of_an_event_of_their_host() {
    let mut log = log();
    log.shell(0, "site4.example", "192.88.1.1");
    let mut story = Story::default();
    log.events.iter().for_each(|event| assert!(story.take(&Event::of(event), true).is_new()));
    for host in ["web1", "web2"] {
        let merged = json!({
            "@timestamp": "2026-09-21T15:00:00Z", "event": { "action": "merged", "id": format!("{host}-m") },
            "host": { "hostname": host }, "rule": { "id": "shell-spawn" }, "portcullis": { "like": "web1-0", "repeated": 7 },
        });
        story.take(&Event::of(&merged), true);
    }
    let incidents = find(&story.told());
    let own = incidents.iter().find(|one| one.title().contains("up.php")).expect("the shell");
    assert_eq!(own.calls, [5 + 7, 0], "{}", shown(&incidents));
}
