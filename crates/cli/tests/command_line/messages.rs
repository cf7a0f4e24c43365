//! Errors, warnings and notes: they name the file, the line and the next command.

use crate::{place, run, text};
use std::path::Path;
use std::process::Command;

/// An ordinary user who may enter none of the folders.
const NOBODY: u32 = 65534;

fn text_of_check(folder: &Path) -> String {
    text(&run(folder, &["check", "--config", "p.toml"]))
}

#[test]
fn every_output_may_be_in_the_current_folder() {
    let place = place();
    let with_output: [(&str, &[&str]); 4] = [
        ("out.bin", &["compile", "--config", "p.toml", "-o", "out.bin"]),
        ("out.html", &["report", "--config", "p.toml", "-o", "out.html", "none.jsonl"]),
        ("out.toml", &["learn", "--config", "p.toml", "-o", "out.toml", "none.jsonl"]),
        (
            "out.prom",
            &["status", "--config", "p.toml", "--prometheus", "out.prom", "--log", "none.jsonl", "--state", "s"],
        ),
    ];
    for (file, arguments) in with_output {
        let done = run(place.path(), arguments);
        assert!(place.path().join(file).exists(), "{arguments:?}: {}", text(&done));
    }
}

#[test]
fn a_report_on_nothing_says_so() {
    let place = place();
    let page = text(&run(place.path(), &["report", "--config", "p.toml", "none.jsonl"]));
    assert!(page.contains("No events in this time.") && !page.contains("nowhen"), "{page}");
}

#[test]
fn the_last_line_names_the_file_at_fault() {
    let place = place();
    let last = || text(&run(place.path(), &["check", "--config", "p.toml"]));
    let vhost =
        |name: &str, text: &str| std::fs::write(place.path().join("vhosts.d").join(name), text).expect("a file");
    let main = place.path().join("p.toml").display().to_string();
    assert!(last().contains(&format!("\n{main}: 0 errors, ")) || last().contains(&format!("{main}: 0 errors, ")));
    vhost("a.toml", "name = \"a\"\n[match]\npool = [\"a\"]\nfoo = 1\n");
    assert!(last().contains("vhosts.d/a.toml: 1 error, 0 warnings"), "{}", last());
    vhost("b.toml", "name = \"b\"\n[match]\npool = [\"b\"]\nfoo = 1\n");
    assert!(last().contains("2 files of ") && last().contains("vhosts.d: 2 errors, 0 warnings"), "{}", last());
    std::fs::write(&main, "mode = \"audit\"\nfoo = 1\n").expect("a file");
    assert!(last().contains(&format!("{main} and 2 other files: 3 errors, 0 warnings")), "{}", last());
}

/// A server of another kind than this host's systemd: `uninstall` finds no unit, and what the guard left is removed all the same.
#[test]
fn a_purge_names_all_that_it_removes() {
    let place = place();
    let root = place.path().join("root");
    let files = [
        "etc/portcullis/portcullis.toml",
        "etc/portcullis/seal.key",
        "etc/portcullis/vhosts.d/shop.toml",
        "var/log/portcullis/events.jsonl",
        "var/log/portcullis/events.jsonl.1",
        "var/lib/portcullis/probes",
        "run/portcullis/policy",
    ];
    for file in files {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, "").expect("a file");
    }
    let root_argument = root.to_str().expect("a path");
    let said = text(&run(place.path(), &["uninstall", "--purge", "--dry-run", "--root", root_argument]));
    let named = ["seal.key: a file", "vhosts.d: 1 file", "var/log/portcullis: 2 files", "var/lib/portcullis: 1 file"];
    for wanted in named.into_iter().chain(["run/portcullis: 1 file", "portcullis.toml"]) {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(files.iter().all(|file| root.join(file).exists()), "{said}");
    let said = text(&run(place.path(), &["uninstall", "--purge", "--root", root_argument]));
    assert!(said.contains("var/log/portcullis: removed, 2 files"), "{said}");
    for file in files {
        assert!(!root.join(file).exists(), "{file}: {said}");
    }
}

#[test]
fn a_key_that_no_server_takes_is_warned_of() {
    let place = place();
    std::fs::write(place.path().join("p.toml"), "[log]\nseal = true\n").expect("a file");
    let check = || text(&run(place.path(), &["check", "--config", "p.toml"]));
    assert!(check().contains("0 warnings"), "the first policy makes it: {}", check());
    run(place.path(), &["compile", "--config", "p.toml", "-o", "out.bin"]);
    assert!(check().contains("0 warnings"), "{}", check());
    let key = place.path().join("seal.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("permissions");
    assert!(check().contains("events are not sealed"), "{}", check());
}

/// Each verb that lacks a right says what it cannot do, and which command can; no message has a number of the system's.
#[test]
fn each_verb_says_what_an_ordinary_user_lacks() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = tempfile::tempdir().expect("a folder");
    let secret = place.path().join("secret");
    std::fs::create_dir(&secret).expect("a folder");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("permissions");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path(), open).expect("permissions");
    // A copy, for the folders above the command may be root's alone, too.
    let own = place.path().join("portcullis");
    std::fs::copy(env!("CARGO_BIN_EXE_portcullis"), &own).expect("a copy");
    let log = place.path().join("events.jsonl");
    std::fs::write(&log, "").expect("a file");
    std::fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o640)).expect("permissions");
    std::fs::write(place.path().join("p.toml"), "").expect("a file");
    let in_secret = |name: &str| secret.join(name).to_str().expect("a path").to_owned();
    let (config, log) = (in_secret("p.toml"), log.to_str().expect("a path").to_owned());
    let fine = place.path().join("p.toml").to_str().expect("a path").to_owned();
    let (page, policy) = (in_secret("page.html"), in_secret("policy"));
    let verbs: [(&[&str], &str); 20] = [
        (&["check", "--config", &config], "run this as root"),
        (&["compile", "--config", &config], "run this as root"),
        (&["compile", "--config", &fine, "-o", &policy], "help: sudo portcullis compile"),
        (&["apply"], "help: sudo portcullis apply"),
        (&["apply", "--check", "--config", &config], "run this as root"),
        (&["events", &log], "help: sudo portcullis events"),
        (&["events", "--verify", &log], "help: sudo portcullis events"),
        (&["learn", "--config", &fine, &log], "help: sudo portcullis learn"),
        (&["report", &log], "help: sudo portcullis report"),
        (&["report", "-o", &page, "/dev/null"], "help: sudo portcullis report"),
        (&["explain", "--config", &config, "--exec", "id"], "run this as root"),
        (&["explain", "--config", &fine, "--event", &log], "help: sudo portcullis explain"),
        (&["status", "--config", &fine], "help: sudo portcullis status"),
        (&["status", "--prometheus", &page, "--state", &in_secret("state")], "help: sudo portcullis status"),
        (&["ps"], "help: sudo portcullis ps"),
        (&["panic"], "help: sudo portcullis panic"),
        (&["contain", "--vhost", "shop"], "help: sudo portcullis contain --vhost shop"),
        (&["install", "nginx"], "help: sudo portcullis install"),
        (&["uninstall", "nginx"], "help: sudo portcullis uninstall"),
        (&["uninstall", "--now"], "help: sudo portcullis uninstall"),
    ];
    for (arguments, wanted) in verbs {
        let mut command = Command::new(&own);
        std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        std::os::unix::process::CommandExt::gid(&mut command, NOBODY);
        let done =
            command.args(arguments).current_dir("/").env_remove("PORTCULLIS_CONFIG").output().expect("portcullis");
        assert!(!done.status.success(), "{arguments:?}: {}", text(&done));
        assert!(text(&done).contains(wanted) && !text(&done).contains("os error"), "{arguments:?}: {}", text(&done));
        assert!(!text(&done).contains("it changed each time"), "{arguments:?}: {}", text(&done));
    }
}

/// Root gets no number either.
#[test]
fn no_message_has_a_number_of_the_system() {
    let place = place();
    let verbs: [&[&str]; 7] = [
        &["events", "nosuch"],
        &["learn", "--config", "p.toml", "nosuch"],
        &["report", "nosuch"],
        &["report", "-o", "/dev/null/page.html", "/dev/null"],
        &["explain", "--config", "p.toml", "--event", "nosuch"],
        &["check", "--config", "nosuch"],
        &["compile", "--config", "p.toml", "-o", "p.toml/policy"],
    ];
    for arguments in verbs {
        let done = run(place.path(), arguments);
        assert!(!done.status.success() && !text(&done).contains("os error"), "{arguments:?}: {}", text(&done));
    }
}

/// Each reader names the file and the line of what is no event.
#[test]
fn what_is_no_event_is_said_with_its_line() {
    let place = place();
    let event = "{\"@timestamp\":\"2026-11-24T16:25:14.000000000Z\"}";
    let garbage = format!("{event}\n\nnonsense\n{event}\n[1]\n");
    std::fs::write(place.path().join("log.jsonl"), garbage).expect("a file");
    for verb in [
        &["events"][..],
        &["events", "--table"],
        &["events", "--incidents"],
        &["events", "--verify"],
        &["learn"],
        &["report"],
    ] {
        let done = run(place.path(), &[verb, &["log.jsonl"]].concat());
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            said.contains("log.jsonl:3: not an event") && said.contains("log.jsonl:5: not an event"),
            "{verb:?}: {said}"
        );
    }
}

/// One function makes every plural: no command says `1 events`.
#[test]
fn one_is_no_plural() {
    let place = place();
    let event = "{\"@timestamp\":\"2026-11-24T16:25:14.000000000Z\",\"event\":{\"id\":\"00000000000000aa-1\",\"sequence\":1},\
        \"portcullis\":{\"stream\":\"00000000000000aa\"}}\n";
    std::fs::write(place.path().join("log.jsonl"), event).expect("a file");
    for arguments in [&["events", "--verify"][..], &["events", "--incidents"], &["report"], &["learn"]] {
        let done = run(place.path(), &[arguments, &["log.jsonl"]].concat());
        let said = text(&done);
        let plural =
            said.split_inclusive([' ', '\n']).zip(said.split_inclusive([' ', '\n']).skip(1)).find(|(one, noun)| {
                let nouns = ["event", "stream", "incident", "process", "virtual"];
                *one == "1 "
                    && nouns.iter().any(|stem| {
                        noun.starts_with(stem)
                            && noun.trim_end_matches([' ', ',', ':', ';', '\n']).ends_with('s')
                            && !noun.starts_with("process")
                    })
            });
        assert!(plural.is_none(), "{arguments:?}: {plural:?} in {said}");
    }
}

/// What a configuration with an error decides is what is in force.
#[test]
fn a_rejected_configuration_leaves_explain_with_what_is_in_force() {
    let place = place();
    std::fs::write(place.path().join("p.toml"), "mode = \"enf").expect("a file");
    let done = run(place.path(), &["explain", "--config", "p.toml", "--exec", "id"]);
    assert_eq!(done.status.code(), Some(1));
    let said = text(&done);
    assert!(
        said.contains("rejected; this is what the built-in audit policy") && said.contains("shell-spawn, mode audit"),
        "{said}"
    );
}

#[test]
fn a_log_that_is_no_file_is_warned_of() {
    let place = place();
    let log = place.path().join("log");
    let text = format!("[log]\nsink = [\"file\", \"stderr\"]\ngroup = \"\"\nfile = \"{}\"\n", log.display());
    std::fs::write(place.path().join("p.toml"), text).expect("a file");
    let check = || text_of_check(place.path());
    assert!(!check().contains("not a file"), "{}", check());
    assert!(Command::new("mkfifo").arg(&log).status().expect("mkfifo").success());
    assert!(check().contains("is a FIFO, not a file"), "{}", check());
    std::fs::remove_file(&log).expect("the FIFO");
    std::fs::create_dir(&log).expect("a folder");
    assert!(check().contains("is a directory, not a file"), "{}", check());
}

#[test]
fn a_virtual_host_that_is_not_there_is_named_with_those_that_are() {
    let place = place();
    let shop = "name = \"shop\"\n[match]\nscript = [\"/srv/shop\"]\n";
    std::fs::write(place.path().join("vhosts.d/shop.toml"), shop).expect("a file");
    let done = run(place.path(), &["explain", "--config", "p.toml", "--exec", "id", "--vhost", "shpo"]);
    assert!(text(&done).contains("no virtual host `shpo`; known: `shop`"), "{}", text(&done));
    let done = run(place.path(), &["ps", "--vhost", "shpo"]);
    assert!(done.status.code() == Some(1) && text(&done).contains("no virtual host `shpo`"), "{}", text(&done));
}

/// Whatever file is asked for: its directory is not made.
#[test]
fn a_missing_directory_of_an_output_is_said_and_not_made() {
    let place = place();
    let outputs: [&[&str]; 4] = [
        &["report", "--config", "p.toml", "-o", "made/page.html", "none.jsonl"],
        &["learn", "--config", "p.toml", "-o", "made/new.toml", "none.jsonl"],
        &["compile", "--config", "p.toml", "-o", "made/policy"],
        &["apply", "--no-reload", "--config", "p.toml", "-o", "made/policy"],
    ];
    for arguments in outputs {
        let done = run(place.path(), arguments);
        let said = text(&done);
        assert_eq!(done.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("the directory made does not exist; help: mkdir -p made"), "{arguments:?}: {said}");
        assert!(!place.path().join("made").exists(), "{arguments:?}");
    }
}

/// A virtual host of the configuration has no events; one that is nowhere is an error; the same for a time that ends before it begins.
#[test]
fn a_choice_of_nothing_is_told_from_one_of_what_is_not_there() {
    let place = place();
    let shop = "name = \"shop\"\n[match]\nscript = [\"/srv/shop\"]\n";
    std::fs::write(place.path().join("vhosts.d/shop.toml"), shop).expect("a file");
    let event = "{\"@timestamp\":\"2026-11-24T16:25:14.000000000Z\",\"portcullis\":{\"vhost\":\"old\"}}\n";
    std::fs::write(place.path().join("log.jsonl"), event).expect("a file");
    for reader in [
        &["events"][..],
        &["events", "--table"],
        &["events", "--incidents"],
        &["events", "--json"],
        &["learn"],
        &["report"],
    ] {
        let chosen =
            |more: &[&str]| run(place.path(), &[reader, &["--config", "p.toml"], more, &["log.jsonl"]].concat());
        let none = chosen(&["--vhost", "shop"]);
        let said = text(&none);
        assert!(none.status.success() && said.contains("note: no events of shop\n"), "{reader:?}: {said}");
        let wrong = chosen(&["--vhost", "shpo"]);
        let said = text(&wrong);
        assert_eq!(wrong.status.code(), Some(1), "{reader:?}: {said}");
        assert!(
            said.contains("no virtual host `shpo`; known: `old`, `shop`; help: --vhost takes"),
            "{reader:?}: {said}"
        );
        let known = text(&chosen(&["--vhost", "old"]));
        assert!(!known.contains("no events of") && !known.contains("no virtual host"), "{reader:?}: {known}");
        let without = chosen(&["--vhost", "-"]);
        let said = text(&without);
        assert!(without.status.success() && said.contains("no events without a virtual host"), "{reader:?}: {said}");
        let turned = chosen(&["--since", "2026-11-24", "--until", "2026-11-23"]);
        let said = text(&turned);
        assert!(turned.status.code() == Some(2) && said.contains("--since is after --until"), "{reader:?}: {said}");
    }
}

/// A reader of nothing says on standard error what it has read, unless its output is for a program.
#[test]
fn a_reader_of_nothing_says_what_it_read() {
    let place = place();
    let event = r#"{"@timestamp":"2026-11-24T16:25:14.000000000Z","event":{"module":"portcullis","action":"exec","outcome":"success"},"rule":{"id":"exec-tool"},"portcullis":{"mode":"audit"}}"#;
    std::fs::write(place.path().join("one.jsonl"), format!("{event}\n")).expect("a file");
    let own = event.replace("exec-tool", "guard-policy");
    std::fs::write(place.path().join("own.jsonl"), format!("{own}\n")).expect("a file");
    let none = "portcullis: note: no event: none.jsonl was read, and has none\n";
    let unmatched = "portcullis: note: no event matched, of 1 event in one.jsonl\n";
    let unknown = "portcullis: note: no event has --client 192.0.2.9, of 1 event in one.jsonl\n";
    for verb in [&["events"][..], &["events", "--table"], &["events", "--incidents"], &["report"], &["learn"]] {
        let said = |more: &[&str]| {
            let done = run(place.path(), &[verb, more].concat());
            assert_eq!(done.status.code(), Some(0), "{verb:?} {more:?}: {}", text(&done));
            String::from_utf8_lossy(&done.stderr).into_owned()
        };
        assert!(said(&["none.jsonl"]).contains(none), "{verb:?}: {}", said(&["none.jsonl"]));
        assert!(said(&["one.jsonl", "--client", "192.0.2.9"]).contains(unknown), "{verb:?}");
        assert!(said(&["one.jsonl", "--mode", "enforce"]).contains(unmatched), "{verb:?}");
        assert!(!said(&["one.jsonl"]).contains("no event"), "{verb:?}");
        // A list of incidents in JSON that is empty has no line: only a note says that anything was read.
        if !["report", "--table", "--incidents"].iter().any(|word| verb.contains(word)) {
            assert!(!said(&["none.jsonl", "--json"]).contains("no event"), "{verb:?}");
        }
    }
    let done = run(place.path(), &["events", "--incidents", "own.jsonl"]);
    assert!(text(&done).contains("note: no incident: 1 event of Portcullis itself"), "{}", text(&done));
}
