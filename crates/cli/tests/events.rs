//! `portcullis events` for an operator: what could not be judged, wide columns, and a log that is somewhere else; and the warnings
//! of the configuration, which `check` and `compile` alone show.
#![allow(clippy::disallowed_methods)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// The command, with a journal that is empty.
    fn run(&self, arguments: &[&str]) -> Output {
        let journalctl = self.write("journalctl", "#!/bin/sh\n");
        std::fs::set_permissions(journalctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).env("PATH", self.0.path()).env_remove("PORTCULLIS_CONFIG");
        command.output().expect("portcullis")
    }

    /// A log with the examples of some rules, changed.
    fn log(&self, rules: &[&str], mut change: impl FnMut(&str, &mut Value)) -> PathBuf {
        let lines = rules.iter().map(|rule| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/events/{rule}.json"));
            let mut event: Value =
                serde_json::from_str(&std::fs::read_to_string(path).expect("an example")).expect("JSON");
            change(rule, &mut event);
            format!("{event}\n")
        });
        self.write("events.jsonl", &lines.collect::<String>())
    }
}

fn out(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn err(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[test]
fn what_could_not_be_judged_is_shown_and_chosen() {
    let place = Place::new();
    let log = place.log(&["egress-port", "exec-unguarded", "namespace"], |rule, event| match rule {
        "egress-port" => event["portcullis"]["unknown"] = "address".into(),
        "namespace" => event["portcullis"]["unknown"] = "namespace".into(),
        _ => {}
    });
    let log = log.to_str().expect("a path");
    let shown = out(&place.run(&["events", log]));
    for line in ["unknown: address (", "unguarded: setuid\n", "unknown: namespace ("] {
        assert!(shown.contains(&format!("    {line}")), "{line}: {shown}");
    }
    assert!(shown.contains("docs/triage.md, section 6"), "{shown}");
    for (choice, count) in [("--unknown", 2), ("--unknown=any", 2), ("--unknown=address", 1), ("--unknown=memory", 0)] {
        assert_eq!(out(&place.run(&["events", "--json", choice, log])).lines().count(), count, "{choice}");
    }
    assert_eq!(place.run(&["events", "--unknown=adress", log]).status.code(), Some(2));
}

#[test]
fn a_request_that_could_not_be_read_says_what_to_do() {
    let place = Place::new();
    let log = place.log(&["shell-spawn"], |_, event| event["portcullis"]["request"]["state"] = "unknown".into());
    let shown = out(&place.run(&["events", log.to_str().expect("a path")]));
    assert!(shown.contains("find out which processes can write to the server's sockets"), "{shown}");
}

#[test]
fn the_column_of_rules_takes_every_rule() {
    let place = Place::new();
    let rules = portcullis_policy::RULE_WORDS;
    let log = place.log(&rules, |_, _| {});
    let shown = out(&place.run(&["events", "--table", log.to_str().expect("a path")]));
    let mut lines = shown.lines();
    let at = lines.next().and_then(|head| head.find("SITE")).expect("a head");
    assert_eq!(shown.lines().count(), rules.len() + 1);
    for line in lines {
        assert!(line.get(at..).is_some_and(|rest| rest.starts_with("shop ")), "{line}");
    }
}

#[test]
fn who_reads_another_sink_is_told() {
    let place = Place::new();
    let log = place.log(&["shell-spawn"], |_, _| {});
    let log = log.to_str().expect("a path");
    let config = |sink: &str| {
        let config = place.write("portcullis.toml", &format!("[log]\nsink = [\"{sink}\"]\nfile = {log:?}\n"));
        config.to_str().expect("a path").to_owned()
    };
    let said = |sink: &str, more: &[&str]| err(&place.run(&[&["events", "--config", &config(sink)], more].concat()));
    // The only sink is read, and not the journal.
    let of_file = place.run(&["events", "--config", &config("file"), "--json"]);
    assert!(err(&of_file).contains(&format!("events go to the file {log}, which is read")), "{}", err(&of_file));
    assert_eq!(String::from_utf8_lossy(&of_file.stdout).lines().count(), 1);
    let of_journal = said("journald", &[log]);
    assert!(of_journal.contains("events go to the journal, not to"), "{of_journal}");
    assert!(said("stderr", &[]).contains("standard error"));
    for (sink, files) in [("file", &[log][..]), ("journald", &[])] {
        // The journal of this machine may be empty.
        let said = said(sink, files).replace("portcullis: note: no event: the journal was read, and has none\n", "");
        assert_eq!(said, "", "{sink} {files:?}");
    }
    // So do those that read events, too.
    let config = config("file");
    for verb in ["learn", "report"] {
        assert!(err(&place.run(&[verb, "--config", &config])).contains("events go to the file"), "{verb}");
    }
}

#[test]
fn only_check_and_compile_show_warnings() {
    let place = Place::new();
    let log = place.log(&["shell-spawn"], |_, _| {});
    let log = log.to_str().expect("a path");
    let config = place.write("portcullis.toml", "[exec]\nallow = [\"id\"]\n");
    let config = config.to_str().expect("a path");
    let policy = place.0.path().join("policy");
    let policy = policy.to_str().expect("a path");
    let warning = "named without its folder";
    for arguments in [&["check", "--config", config][..], &["compile", "--config", config, "-o", policy]] {
        assert!(err(&place.run(arguments)).contains(warning), "{arguments:?}");
    }
    let explain = ["explain", "--config", config, "--exec", "id"];
    let learn = ["learn", "--config", config, log];
    let run = ["run", "--config", config, "--", "/bin/true"];
    for arguments in [&explain[..], &learn, &run, &["report", "--config", config, log]] {
        let said = err(&place.run(arguments));
        assert!(!said.contains(warning) && !said.contains("warning"), "{arguments:?}: {said}");
    }
    // An error is shown by each.
    std::fs::write(config, "mode = 1\n").expect("a file");
    for arguments in [&explain[..], &learn, &run] {
        let done = place.run(arguments);
        assert!(
            done.status.code() == Some(1) && err(&done).contains("portcullis.toml:1:"),
            "{arguments:?}: {}",
            err(&done)
        );
    }
}

/// With --json, an event is as it was written: its keys in their order, whatever that is.
#[test]
fn json_is_as_it_was_written() {
    let place = Place::new();
    let lines = "{\"rule\":{\"id\":\"exec-tool\"},\"event\":{\"b\":1,\"a\":[2,1]},\"@timestamp\":\"2026-11-24T16:25:14Z\",\"message\":\"\u{fc}\"}\n\
                 {\"portcullis\":{\"mode\":\"audit\"}, \"z\": 1.50, \"a\": 10000000000000000000000}\n";
    let log = place.write("events.jsonl", lines);
    let shown = out(&place.run(&["events", "--json", log.to_str().expect("a path")]));
    assert_eq!(shown, lines.replace('\u{fc}', "\\u00fc"));
}

/// A virtual host of which there is no event is named: its name may be mistyped.
#[test]
fn a_virtual_host_without_events_is_noted() {
    let place = Place::new();
    let log = place.log(&["egress-port", "namespace"], |rule, event| {
        event["portcullis"]["vhost"] = if rule == "namespace" { "blog" } else { "shop" }.into();
    });
    let log = log.to_str().expect("a path");
    for verb in [&["events"][..], &["events", "--incidents"], &["learn"], &["report"], &["events", "--table"]] {
        let done = |name: &str| place.run(&[verb, &["--vhost", name, log]].concat());
        let said = err(&done("shpo"));
        let wanted = "no virtual host `shpo`; known: `blog`, `shop`";
        assert!(said.contains(wanted), "{verb:?}: {said}");
        assert!(!err(&done("shop")).contains("no virtual host"), "{verb:?}");
    }
    let said = out(&place.run(&["learn", "--vhost", "-", log]));
    assert!(said.contains("there are no events to learn from") && !said.contains("already allows"), "{said}");
}

/// Each form says in the same words what became of a call, and an incident opens with its request.
#[test]
fn what_became_of_a_call_is_said_in_words() {
    let place = Place::new();
    let log = place.log(&["shell-spawn", "egress-port"], |rule, event| {
        event["http"]["request"]["id"] = "8c1f0e52".into();
        event["event"]["outcome"] = if rule == "egress-port" { "failure" } else { "success" }.into();
    });
    let log = log.to_str().expect("a path");
    for arguments in [&["events"][..], &["events", "--table"], &["report"]] {
        let shown = out(&place.run(&[arguments, &[log]].concat()));
        let has = |rule: &str, word: &str| shown.lines().any(|line| line.contains(rule) && line.contains(word));
        assert!(has("shell-spawn", "WENT AHEAD") && has("egress-port", "BLOCKED"), "{arguments:?}: {shown}");
    }
    let listed = out(&place.run(&["events", "--incidents", log]));
    let incident: Vec<&str> = listed.split_whitespace().collect();
    let title = "Shell command from shop: index.php, by 127.0.0.1, 1 request, partly blocked\n";
    // What became of it has a column.
    let what = title.replace(", partly blocked", "");
    assert!(listed.ends_with(&what) && listed.contains("  PARTLY ") && listed.lines().count() == 1, "{listed}");
    // A beginning of the ID is enough.
    let shown = out(&place.run(&["events", "--incident", &incident[1][..6], log]));
    assert!(shown.starts_with(title), "{shown}");
    let shown = out(&place.run(&["events", "--incident", incident[1], log]));
    assert!(shown.starts_with(title), "{shown}");
    assert!(shown.contains("\nGET localhost/index.php?do="), "{shown}");
    assert!(shown.contains("\n  2026-11-26 03:12:44, 2 events, 1 blocked, request 8c1f0e52\n"), "{shown}");
    for step in ["WENT AHEAD  shell-spawn", "BLOCKED     egress-port"] {
        assert!(shown.lines().any(|line| line.contains(step)), "{step}: {shown}");
    }
    assert!(shown.contains("\n  portcullis events --table --client 127.0.0.1 -- "), "{shown}");
    let json: Value =
        serde_json::from_str(&out(&place.run(&["events", "--incident", incident[1], "--json", log]))).expect("JSON");
    assert_eq!((&json["id"], &json["events_by_request"][0]["request_id"]), (&incident[1].into(), &"8c1f0e52".into()));
    let none = place.run(&["events", "--incident", "ffffffff", log]);
    assert!(none.status.code() == Some(1) && err(&none).contains("no incident ffffffff"), "{}", err(&none));
}

/// What a connection that has sent nothing shares with one that has is told apart wherever events stand in a line.
#[test]
fn what_sent_nothing_is_told_in_every_list() {
    let place = Place::new();
    for detail in ["nothing sent yet", "inherited by a program"] {
        let log = place.log(&["egress-port"], |_, event| {
            event["network"]["transport"] = "udp".into();
            event["portcullis"]["detail"] = detail.into();
        });
        let (log, page) = (log.to_str().expect("a path"), place.0.path().join("report.html"));
        let listed = out(&place.run(&["events", "--incidents", log]));
        let id = listed.split_whitespace().nth(1).unwrap_or_default();
        for way in [&["--table"][..], &["--incident", id]] {
            let said = out(&place.run(&[&["events"], way, &[log]].concat()));
            assert!(said.contains(&format!("192.88.1.10:4444/udp ({detail})")), "{way:?}: {said}");
        }
        let done = place.run(&["report", "-o", page.to_str().expect("a path"), log]);
        let text = std::fs::read_to_string(&page).unwrap_or_default();
        assert!(text.contains(&format!("192.88.1.10:4444/udp ({detail})")), "{}", err(&done));
    }
    // The detail of another action may be anybody's text.
    let log = place.log(&["php-ini"], |_, event| event["portcullis"]["detail"] = "nothing sent yet".into());
    let said = out(&place.run(&["events", "--table", log.to_str().expect("a path")]));
    assert!(!said.contains("(nothing sent yet)"), "{said}");
}

/// A list that people read has names over its columns, and lines that fit.
#[test]
fn a_list_of_incidents_fits_the_terminal() {
    let place = Place::new();
    let log = place.log(&["shell-spawn", "stdio-socket", "egress-port"], |rule, event| {
        event["url"]["domain"] = format!("{}.example", "long".repeat(30)).into();
        event["client"]["address"] = format!("2001:db8:1111:2222:3333:4444:5555:{}", rule.len()).into();
        event["portcullis"]["request"]["script"] = format!("/srv/{rule}/{}.php", "deep".repeat(40)).into();
        event["portcullis"].as_object_mut().expect("an object").remove("vhost");
    });
    let (log, columns) = (log.to_str().expect("a path"), [80, 100, 120, 140]);
    for columns in columns {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let done = command.args(["events", "--incidents", log]).env("COLUMNS", columns.to_string()).output();
        let listed = out(&done.expect("portcullis"));
        let lines: Vec<&str> = listed.lines().collect();
        assert!(lines[0].starts_with("SCORE  ID ") && lines.len() > 1, "{listed}");
        assert!(lines.iter().all(|line| line.chars().count() <= columns), "{columns}: {listed}");
        assert!(lines.iter().all(|line| line.matches("WENT AHEAD").count() <= 1 && !line.contains("not blocked")));
        // What is shown of an ID finds the incident.
        let id = lines[1].split_whitespace().nth(1).expect("an ID");
        let shown = place.run(&["events", "--incident", id, log]);
        assert!(shown.status.success() && out(&shown).contains(&format!("incident {id}")), "{}", err(&shown));
    }
}

/// The commands that are shown find the same incident: with the time and the choice that it was found with.
#[test]
fn what_to_type_next_finds_the_same_incident() {
    let place = Place::new();
    let log = place.log(&["shell-spawn", "stdio-socket"], |_, event| {
        event["host"]["hostname"] = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name").trim().into();
    });
    let log = log.to_str().expect("a path");
    let choice = ["--since", "2026-11-01", "--until", "2026-12-01", "--severity", "low", "--mode", "audit"];
    let listed = out(&place.run(&[&["events", "--incidents", "--json"], &choice[..], &[log]].concat()));
    let first: Value = serde_json::from_str(listed.lines().next().expect("an incident")).expect("JSON");
    let id = first["id"].as_str().expect("an ID");
    let shown = out(&place.run(&[&["events", "--incident", id], &choice[..], &[log]].concat()));
    let next: Vec<&str> = shown.lines().skip_while(|line| *line != "Next").map(str::trim).collect();
    let contain = next.iter().find(|line| line.starts_with("portcullis contain ")).expect("contain");
    let time = "--since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z";
    assert_eq!(*contain, format!("portcullis contain --incident {id} {time} --mode audit --severity 21 -- {log}"));
    for command in next.iter().filter(|line| line.starts_with("portcullis events ")) {
        assert!(command.contains(time), "{command}");
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let done = place.run(&words);
        assert!(done.status.success() && !out(&done).is_empty(), "{command}: {}", err(&done));
    }
}

/// An ID of an earlier list says which incident has its events now.
#[test]
fn an_id_of_before_is_said_to_be_one() {
    let place = Place::new();
    let by_script = |rule: &str, event: &mut Value| {
        event["event"]["id"] = format!("ab-{rule}").into();
        event["client"]["address"] = "192.0.2.66".into();
        event["portcullis"]["request"]["script"] = format!("/srv/{rule}/up.php").into();
    };
    let ids = |log: &Path| -> Vec<String> {
        let listed = out(&place.run(&["events", "--incidents", "--json", log.to_str().expect("a path")]));
        let id = |line| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_str().expect("an ID").to_owned();
        listed.lines().map(id).collect()
    };
    let before = ids(&place.log(&["exec-tool"], by_script));
    let log = place.log(&["exec-tool", "stdio-socket"], by_script);
    let now = ids(&log);
    assert!(before.len() == 1 && now.len() == 1 && before != now, "{before:?} {now:?}");
    for id in [&before[0][..], &before[0][..8]] {
        let done = place.run(&["events", "--incident", id, log.to_str().expect("a path")]);
        let wanted = format!("the events of incident {id} are part of incident {} now", now[0]);
        assert!(
            done.status.success() && err(&done).contains(&wanted) && out(&done).contains(&now[0]),
            "{}",
            err(&done)
        );
    }
}

/// The beginning of several IDs is an error that lists them.
#[test]
fn the_beginning_of_several_ids_lists_them() {
    let place = Place::new();
    // Two of many scripts and clients whose IDs begin alike.
    let numbers = [3523, 3615];
    let mut number = numbers.into_iter();
    let log = place.log(&["stdio-socket", "stdio-socket"], |_, event| {
        let number = number.next().expect("two events");
        event["event"]["id"] = format!("ab-{number}").into();
        event["http"]["request"]["id"] = format!("{number:x}").into();
        event["client"]["address"] = format!("10.1.{}.{}", number / 250, number % 250).into();
        event["portcullis"]["request"]["script"] = format!("/srv/{number}/up.php").into();
        event["host"]["hostname"] = format!("web{number}").into();
    });
    let log = log.to_str().expect("a path");
    let listed = out(&place.run(&["events", "--incidents", "--json", log]));
    let mut pair: Vec<String> = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_str().expect("an ID").to_owned())
        .collect();
    pair.sort();
    assert_eq!(pair, ["5f669321190824bf", "5f6693dcf4dce463"]);
    for verb in [&["events", "--incident"][..], &["contain", "--dry-run", "--incident"]] {
        let done = place.run(&[verb, &[&pair[0][..6], log]].concat());
        let said = err(&done);
        assert_eq!(done.status.code(), Some(1), "{verb:?}: {said}");
        assert!(pair.iter().all(|id| said.contains(id)) && said.contains("help: write more of it"), "{verb:?}: {said}");
        let one = place.run(&["events", "--incident", &pair[0], log]);
        assert!(one.status.success() && out(&one).contains(&pair[0]), "{}", err(&one));
    }
}
