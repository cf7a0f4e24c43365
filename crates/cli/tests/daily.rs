//! `portcullis events` for daily use: choices, columns, fields, colours, exit statuses, and what an attacker puts into values.
#![allow(clippy::disallowed_methods)]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const HOSTILE: &str = "-x;$(id) it's\n\u{1b}[2J\u{202e}\t\"";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, events: &[Value]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, events.iter().map(|event| format!("{event}\n")).collect::<String>()).expect("a file");
        path
    }

    fn command(&self, arguments: &[&str], log: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("events").args(arguments).arg(log);
        command.env_remove("PORTCULLIS_CONFIG").env_remove("NO_COLOR").env_remove("COLUMNS");
        command
    }

    fn run(&self, arguments: &[&str], log: &Path) -> Output {
        self.command(arguments, log).output().expect("portcullis")
    }

    fn said(&self, arguments: &[&str], log: &Path) -> String {
        String::from_utf8(self.run(arguments, log).stdout).expect("UTF-8")
    }
}

/// An event of a script on a host, the `number`th.
fn event(number: u32, rule: &str, script: &str) -> Value {
    json!({
        "@timestamp": format!("2026-11-24T16:{:02}:{:02}.000000000Z", number / 60, number % 60),
        "message": "m", "event": {
            "id": format!("00000000000000aa-{number}"), "action": "exec", "outcome": "success", "category": ["process"],
            "severity": 47,
        },
        "rule": { "id": rule }, "host": { "hostname": "web1" }, "client": { "address": "192.88.1.66" },
        "http": { "request": { "id": format!("{number:016x}"), "method": "GET" } },
        "url": { "domain": "shop.example", "original": "/" },
        "process": { "command_line": format!("sh -c {rule}"), "parent": { "pid": 7 } },
        "portcullis": {
            "mode": "audit", "chain": "php-fpm > sh", "stream": "00000000000000aa",
            "request": { "state": "known", "script": script },
        },
    })
}

fn five() -> Vec<Value> {
    let mut events: Vec<Value> = (1..=5).map(|number| event(number, "shell-spawn", "/srv/shop/up.php")).collect();
    events[1]["portcullis"]["vhost"] = "shop".into();
    events[2]["host"]["hostname"] = "web2".into();
    events[3]["rule"]["id"] = "stdio-socket".into();
    events[4]["url"]["domain"] = "".into();
    events
}

#[test]
fn each_choice_chooses() {
    let place = Place::new();
    let log = place.write("log.jsonl", &five());
    let numbers = |arguments: &[&str]| {
        let shown = place.said(&[&["--fields", "event.id"], arguments].concat(), &log);
        shown.lines().filter_map(|id| id.rsplit('-').next()?.parse().ok()).collect::<Vec<u32>>()
    };
    let choices: [(&[&str], &[u32]); 12] = [
        (&[], &[1, 2, 3, 4, 5]),
        (&["--host", "web2"], &[3]),
        (&["--host", "web2", "--host", "WEB1"], &[1, 2, 3, 4, 5]),
        (&["--site", "shop"], &[2]),
        (&["--site", "Shop.example"], &[1, 3, 4]),
        (&["--site", "-"], &[5]),
        (&["--severity", "high"], &[4]),
        (&["--severity", "47"], &[1, 2, 3, 4, 5]),
        (&["--id", "00000000000000aa-2"], &[2]),
        (&["--request", "0000000000000003"], &[3]),
        (&["-n", "2"], &[4, 5]),
        (&["-n", "0"], &[1, 2, 3, 4, 5]),
    ];
    for (arguments, wanted) in choices {
        assert_eq!(numbers(arguments), wanted, "{arguments:?}");
    }
    assert_eq!(place.said(&["--table", "-n", "2"], &log).lines().count(), 3, "a head and two rows");
    for wrong in [&["--severity", "grave"][..], &["--fields", "nothing"], &["--incident", ""], &["--incident", "xyz"]] {
        assert_eq!(place.run(wrong, &log).status.code(), Some(2), "{wrong:?}");
    }
}

/// A site is a virtual host; the host that a client wrote is marked as such, and a script keeps both of its ends.
#[test]
fn a_table_fits_the_terminal() {
    let place = Place::new();
    let mut events = five();
    let long = format!("/srv/shop/{}up.php", "x/".repeat(100));
    events[0]["portcullis"]["request"]["script"] = long.clone().into();
    let log = place.write("log.jsonl", &events);
    let shown = |columns: &str| {
        let done = place.command(&["--table"], &log).env("COLUMNS", columns).output().expect("portcullis");
        String::from_utf8(done.stdout).expect("UTF-8")
    };
    for columns in [150, 200] {
        let table = shown(&columns.to_string());
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= columns), "{table}");
        let at = lines[0].find("SITE").expect("the column");
        for (line, site) in [(1, "(shop.example)  "), (2, "shop  "), (5, "-  ")] {
            assert!(lines[line][at..].starts_with(site), "{table}");
        }
        assert!(
            lines[1].contains("  /srv/") && lines[1].contains("up.php  php-fpm > sh: sh -c shell-spawn"),
            "{table}"
        );
        assert!(!table.contains(&long));
    }
    assert!(place.said(&["--table"], &log).contains(&long), "what is no terminal gets all of it");
}

#[test]
fn fields_stay_in_their_columns() {
    let place = Place::new();
    let mut events = five();
    events[0]["client"]["address"] = HOSTILE.into();
    let log = place.write("log.jsonl", &events);
    let shown = place.said(&["--fields", "client.address,event.severity,event.category,client.ip"], &log);
    assert_eq!(shown.lines().count(), 5, "{shown}");
    assert!(shown.lines().all(|line| line.split('\t').count() == 4), "{shown}");
    let first = shown.lines().next().unwrap_or_default();
    assert_eq!(first, "-x;$(id) it's\\u{a}\\u{1b}[2J\\u{202e}\\u{9}\"\t47\t[\"process\"]\t");
}

#[test]
fn colours_are_a_choice() {
    let place = Place::new();
    let log = place.write("log.jsonl", &five());
    let has_colours = |arguments: &[&str], no_color: bool| {
        let mut command = place.command(arguments, &log);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        command.output().expect("portcullis").stdout.contains(&0x1b)
    };
    assert!(!has_colours(&[], false), "a pipe is no terminal");
    assert!(has_colours(&["--color", "always"], false) && has_colours(&["--color", "always", "--incidents"], true));
    assert!(!has_colours(&["--color", "never"], false));
}

#[test]
fn a_script_learns_whether_anything_matched() {
    let place = Place::new();
    let log = place.write("log.jsonl", &five());
    let broken = place.0.path().join("broken.jsonl");
    std::fs::write(&broken, "nonsense\n").expect("a file");
    let status = |arguments: &[&str], log: &Path| place.run(arguments, log).status.code();
    for form in [&["--json"][..], &["--table"], &["--incidents"], &["--fields", "message"]] {
        let with = |more: &[&'static str]| [form, &["--exit-code"], more].concat();
        assert_eq!(status(&with(&[]), &log), Some(0), "{form:?}");
        assert_eq!(status(&with(&["--client", "192.0.2.1"]), &log), Some(3), "{form:?}");
        // What could not be read may have matched.
        assert_eq!(status(&with(&[]), &broken), Some(1), "{form:?}");
        assert_eq!(status(&[form, &["--client", "192.0.2.1"]].concat(), &log), Some(0), "{form:?}");
    }
}

/// As other tools do: no word, and the status of a program that SIGPIPE ends. Any other failure is said.
#[test]
fn a_reader_that_ends_is_no_error() {
    let place = Place::new();
    let many: Vec<Value> = (0..3000).map(|number| event(number, "shell-spawn", "/srv/shop/up.php")).collect();
    let log = place.write("log.jsonl", &many);
    let mut child = place.command(&[], &log).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("portcullis");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("portcullis");
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(141), ""));
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let done = place.command(&[], &log).stdout(full).output().expect("portcullis");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("cannot write to standard output: No space left"), "{said}");
}

/// An ID that was noted finds the incident when rotated logs are read, too.
#[test]
fn an_id_stays_when_older_files_are_read() {
    let place = Place::new();
    let all: Vec<Value> = (1..=8).map(|number| event(number, "stdio-socket", "/srv/shop/up.php")).collect();
    let log = place.write("events.jsonl", &all[4..]);
    let id = |arguments: &[&str]| {
        let shown = place.said(&[&["--incidents", "--json"], arguments].concat(), &log);
        let first: Value = serde_json::from_str(shown.lines().next().unwrap_or_default()).expect("an incident");
        (first["id"].as_str().unwrap_or_default().to_owned(), first["went_ahead"].clone())
    };
    let alone = id(&[]);
    place.write("events.jsonl.1", &all[..4]);
    let both = id(&["--rotated"]);
    assert_eq!((alone.1, both.1), (json!(4), json!(8)), "the older file is read");
    assert_eq!(alone.0, both.0);
    let shown = place.said(&["--rotated", "--incident", &alone.0.to_ascii_uppercase()], &log);
    assert!(shown.contains(&format!("incident {}, score", alone.0)), "{shown}");
}

/// The list says when each began, how long it lasted and what became of it; of nothing, that there is nothing.
#[test]
fn the_list_says_when_and_what_became_of_it() {
    let place = Place::new();
    let log = place.write("log.jsonl", &five()[..4]);
    let shown = place.said(&["--incidents"], &log);
    assert!(shown.contains("  2026-11-24 16:00:01     3s  WENT AHEAD  "), "{shown}");
    let empty = place.write("empty.jsonl", &[]);
    for arguments in [&["--incidents"][..], &["--incidents", "--json"]] {
        let done = place.run(arguments, &empty);
        assert!(done.status.success() && done.stdout.is_empty());
        assert!(String::from_utf8_lossy(&done.stderr).contains("note: no event: "), "{arguments:?}");
    }
}

/// The commands under "Next" hold whatever is in the values: a shell runs each with the values as they are.
#[test]
fn commands_of_hostile_values_are_commands() {
    let place = Place::new();
    let mut hostile = event(1, "stdio-socket", HOSTILE);
    hostile["client"]["address"] = HOSTILE.into();
    hostile["event"]["id"] = HOSTILE.into();
    let log = place.write("-- $(id) log.jsonl", &[hostile.clone(), event(2, "shell-spawn", "/srv/other.php")]);
    let listed = place.said(&["--incidents", "--json"], &log);
    let incident = listed.lines().find(|line| line.contains("stdio-socket")).expect("the incident");
    let incident: Value = serde_json::from_str(incident).expect("JSON");
    let shown = place.said(&["--incident", incident["id"].as_str().expect("an ID")], &log);
    let next: Vec<&str> =
        shown.lines().skip_while(|line| *line != "Next").skip(1).filter(|line| line.contains("events ")).collect();
    assert_eq!(next.len(), 3, "{shown}");
    for command in next {
        let command = command.trim().replace("portcullis ", &format!("{} ", env!("CARGO_BIN_EXE_portcullis")));
        let command = command.replace(" --table", "").replace("events ", "events --json ");
        let done = Command::new("bash").args(["-c", &command]).output().expect("bash");
        let found = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(found.lines().count(), 1, "{command}: {}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(serde_json::from_str::<Value>(&found).expect("JSON"), hostile, "{command}");
    }
}

#[test]
fn a_value_of_any_length_has_a_bound_for_people() {
    let place = Place::new();
    let long = format!("sh -c {}END", "A".repeat(50_000));
    let mut one = event(1, "stdio-socket", &format!("/srv/{}/up.php", "d".repeat(50_000)));
    one["process"]["command_line"] = long.clone().into();
    let log = place.write("log.jsonl", &[one]);
    for arguments in [&[][..], &["--table"], &["--incidents"]] {
        let shown = place.said(arguments, &log);
        assert!(shown.len() < 5000 && !shown.is_empty(), "{arguments:?}: {}", shown.len());
    }
    let shown = place.said(&[], &log);
    assert!(shown.contains("characters: --json shows them]") && shown.contains("END"), "{shown}");
    for whole in [&["--json"][..], &["--fields", "process.command_line"]] {
        assert!(place.said(whole, &log).contains(&long), "{whole:?}");
    }
}

/// A log that is followed: its list first, then what is new, and what becomes graver.
#[test]
fn incidents_are_told_as_they_come() {
    let place = Place::new();
    let log = place.write("log.jsonl", &[event(1, "shell-spawn", "/srv/shop/up.php")]);
    let mut child = place
        .command(&["--incidents", "--follow", "--json"], &log)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("portcullis");
    let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    let more = |event: &Value| {
        let mut file = std::fs::File::options().append(true).open(&log).expect("the log");
        file.write_all(format!("{event}\n").as_bytes()).expect("a line");
    };
    let first = next();
    assert!(first["change"].is_null(), "{first}");
    let mut other = event(2, "exec-tool", "/srv/blog/other.php");
    other["client"]["address"] = "192.0.2.9".into();
    more(&other);
    let new = next();
    assert_eq!((&new["change"], &new["scripts"][0]), (&"new".into(), &"/srv/blog/other.php".into()));
    // The same once more is not worth a line; what is graver is.
    let mut again = other.clone();
    again["event"]["id"] = "00000000000000aa-3".into();
    more(&again);
    more(&event(4, "stdio-socket", "/srv/shop/up.php"));
    let graver = next();
    assert_eq!((&graver["change"], &graver["scripts"][0]), (&"graver".into(), &"/srv/shop/up.php".into()));
    assert!(graver["score"].as_u64() > first["score"].as_u64());
    child.kill().expect("portcullis");
    child.wait().expect("portcullis");
}
