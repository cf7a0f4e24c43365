//! What was typed and cannot be meant: exit status 2, with what is wrong, where, and what to type.

use crate::{place, run, text};

const EVENT: &str = r#"{"@timestamp":"2026-11-24T16:25:14.000000000Z","event":{"module":"portcullis","action":"exec","outcome":"success","id":"a-1"},"rule":{"id":"exec-tool"},"host":{"hostname":"web1"},"process":{"command_line":"/usr/bin/curl x","executable":"/usr/bin/curl"},"portcullis":{"mode":"audit"}}"#;

#[test]
fn each_misuse_says_what_to_type() {
    let place = place();
    std::fs::write(place.path().join("one.jsonl"), format!("{EVENT}\n")).expect("a file");
    let verbs: [(&[&str], &str); 13] = [
        (&["events", "-n", "x", "one.jsonl"], "write how many, such as 20; 0 is for all"),
        (&["events", "--fields", "clinet.address", "one.jsonl"], "Similar: client.address."),
        (&["events", "--incident", "3f2a9", "one.jsonl"], "16 digits from 0 to f, of which the first 6 or more"),
        (&["contain", "--incident", "", "one.jsonl"], "16 digits from 0 to f"),
        (&["contain", "--incident", "xyzxyz", "one.jsonl"], "16 digits from 0 to f"),
        (&["contain", "--undo", ""], "--undo is empty; help: portcullis contain --list"),
        (&["contain", "--vhost", "x", "--evidence", "no/such"], "the directory no does not exist; help: mkdir -p no"),
        (&["contain", "--vhost", "x", "--evidence", "vhosts.d"], "vhosts.d is there already"),
        (&["events", "--since", "1h", "--until", "2h", "one.jsonl"], "--since is after --until"),
        (&["report", "--since", "1h", "--until", "2h", "one.jsonl"], "--since is after --until"),
        (&["learn", "--since", "1h", "--until", "2h", "one.jsonl"], "--since is after --until"),
        (&["contain", "--vhost", "x", "--since", "1h", "--until", "2h"], "--since is after --until"),
        (&["contain"], "nothing to contain; help: --incident ID"),
    ];
    for (arguments, wanted) in verbs {
        let done = run(place.path(), arguments);
        let said = text(&done);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
        assert!(done.stdout.is_empty(), "{arguments:?}: {said}");
    }
}

/// A value that no event has is named, for programs too; nothing is an exit status of its own only where that is asked for.
#[test]
fn a_value_that_no_event_has_is_named() {
    let place = place();
    std::fs::write(place.path().join("one.jsonl"), format!("{EVENT}\n")).expect("a file");
    for option in ["host", "site", "client", "request", "id"] {
        let (option, note) = (
            format!("--{option}=no.such"),
            format!("portcullis: note: no event has --{option} no.such, of 1 event in one.jsonl\n"),
        );
        for way in [&["--table"][..], &["--json"], &["--incidents"], &["--incidents", "--json"]] {
            let chosen = |more: &[&str]| {
                run(place.path(), &[&["events"], way, more, &["--config", "p.toml", &option, "one.jsonl"]].concat())
            };
            let done = chosen(&[]);
            assert!(done.status.success() && text(&done).ends_with(&note), "{option} {way:?}: {}", text(&done));
            let done = chosen(&["--exit-code"]);
            assert!(done.status.code() == Some(3) && text(&done).ends_with(&note), "{option} {way:?}: {}", text(&done));
        }
    }
    let right = run(place.path(), &["events", "--json", "--host", "web1", "--id", "a-1", "one.jsonl"]);
    assert!(right.status.success() && right.stderr.is_empty(), "{}", text(&right));
}

#[test]
fn a_sign_is_standard_input() {
    let place = place();
    let log = place.path().join("one.jsonl");
    std::fs::write(&log, format!("{EVENT}\n")).expect("a file");
    for arguments in [&["events", "--table", "-"][..], &["events", "--incidents", "-"]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let input = std::fs::File::open(&log).expect("a file");
        let done = command.args(arguments).current_dir(place.path()).stdin(input).output().expect("portcullis");
        assert!(done.status.success() && text(&done).contains("WENT AHEAD"), "{arguments:?}: {}", text(&done));
    }
}
