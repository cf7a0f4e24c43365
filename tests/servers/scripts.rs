//! Scripts whose first line has env(1) find their interpreter are judged like those whose first line names it: as a whole, by their
//! path, and once.

use crate::harness::{Parts, Place, enter, named};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Runs its arguments in a child, and says how that ended.
const STARTER: &str = "if (!(my $child = fork)) { exec {$ARGV[0]} @ARGV; print \"errno \", $! + 0, \"\\n\"; exit 0 } else { waitpid $child, 0; print $? >> 8 }";

/// A first line, and one by which env(1) finds the same interpreter; what the script says.
const PAIRS: [(&str, &str, &str); 11] = [
    ("/bin/bash", "/usr/bin/env bash", "echo said\n"),
    ("/bin/bash", " /bin/env\tbash ", "echo said\n"),
    ("/bin/bash -e", "/usr/bin/env -S bash -e", "echo said\n"),
    ("/bin/bash -e", "/usr/bin/env -Sbash -e", "echo said\n"),
    ("/bin/dash", "/usr/bin/env -S A=b C=d dash", "echo said\n"),
    ("/bin/sh", "/usr/bin/env -iS PATH=/usr/bin sh", "echo said\n"),
    ("/usr/bin/perl", "/usr/bin/env perl", "print \"said\\n\";\n"),
    ("/usr/bin/perl -w", "/usr/bin/env -S perl -w", "print \"said\\n\";\n"),
    ("/usr/bin/perl", "/usr/bin/env -S -u HOME perl", "print \"said\\n\";\n"),
    ("/usr/bin/phpX.Y", "/usr/bin/env phpX.Y", "<?php echo \"said\\n\";\n"),
    ("/usr/bin/python3", "/usr/bin/env python3", "print('said')\n"),
];

fn script(place: &Place, name: &str, line: &str, text: &str) -> String {
    let path = place.write(name, &format!("#!{line}\n{text}"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("permissions");
    path.to_str().expect("a path").to_owned()
}

/// What a program says that is started so, and the events of it: rule, clause, path, outcome.
fn started(place: &Place, config: Option<&Path>, path: Option<&str>, words: &[&str]) -> (String, Vec<[String; 4]>) {
    let mut command = match config {
        None => Command::new("/usr/bin/perl"),
        Some(config) => {
            let mut command = place.portcullis();
            command.args(["run", "--role", "serving", "--config"]).arg(config).args(["--", "/usr/bin/perl"]);
            command
        }
    };
    command.args(["-e", STARTER]).args(words);
    command.env("PATH", path.unwrap_or("/usr/bin:/bin"));
    let done = command.output().expect("a program");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let keys = ["rule.id", "portcullis.clause", "process.executable", "event.outcome"];
    let events = events.map(|event| keys.map(|key| event.text(key).to_owned())).collect();
    (String::from_utf8_lossy(&done.stdout).into_owned(), events)
}

fn config(place: &Place, mode: &str, allow: &str) -> std::path::PathBuf {
    place.write(
        &format!("{mode}.toml"),
        &format!(
            "[exec]\nmode = \"{mode}\"\nallow = [\"default\"{allow}]\n[rules.exec-tool]\nmode = \"{mode}\"\n\
             [rules.exec-place]\nmode = \"off\"\n[log]\nsink = [\"stderr\"]\nmerge = false\n"
        ),
    )
}

#[test]
fn a_script_by_env_is_judged_like_one_with_an_interpreter() {
    enter();
    let place = Place::new();
    for mode in ["audit", "enforce"] {
        let allow: String =
            (0..PAIRS.len()).map(|number| format!(", \"{}/allowed{number} *\"", place.join("").display())).collect();
        let allow = allow.replace("//", "/");
        let config = config(&place, mode, &allow);
        for (number, (direct, by_env, text)) in PAIRS.iter().enumerate() {
            for allowed in [false, true] {
                let name = format!("{}{number}", if allowed { "allowed" } else { "script" });
                let mut results = Vec::new();
                for line in [direct, by_env].map(|line| named(line)) {
                    let path = script(&place, &name, &line, text);
                    let bare = started(&place, None, None, &[&path, "x"]).0;
                    assert_eq!(bare, "said\n0", "{line}");
                    let guarded = started(&place, Some(&config), None, &[&path, "x"]);
                    if guarded.1.is_empty() || mode == "audit" {
                        assert_eq!(guarded.0, bare, "{mode}: {line}");
                    }
                    results.push(guarded);
                }
                assert_eq!(results[1], results[0], "{mode}, allowed {allowed}: {by_env}");
                let is_shell = !allowed && direct.contains("sh");
                assert_eq!(
                    results[0].1.len(),
                    usize::from(is_shell),
                    "{mode}, allowed {allowed}: {direct}: {results:?}"
                );
                assert!(results[0].1.iter().all(|event| event[0] == "shell-spawn" && event[2].ends_with(&name)));
            }
        }
    }
}

/// Only what env(1) executes in its own place was judged with the script, and only as what the line says.
#[test]
fn what_was_not_judged_with_the_script_is_judged() {
    enter();
    let place = Place::new();
    std::fs::create_dir_all(place.join("bin")).expect("a folder");
    std::fs::copy("/bin/dash", place.join("bin/perl")).expect("a copy");
    let path = format!("{}:/usr/bin:/bin", place.join("bin").display());
    let config = config(&place, "audit", "");
    let rules = |path: Option<&str>, words: &[&str]| {
        let (said, events) = started(&place, Some(&config), path, words);
        assert_eq!(said, started(&place, None, path, words).0, "{words:?}");
        events.into_iter().map(|[rule, clause, ..]| format!("{rule}: {clause}")).collect::<Vec<_>>()
    };
    let shell = "shell-spawn: shell ";
    // PATH leads to a shell that is called as the interpreter is.
    let other = script(&place, "other", "/usr/bin/env perl", ":\n");
    assert_eq!(rules(Some(&path), &[&other]), [format!("{shell}dash (default)")]);
    // Or, by a link of that name, to any other program of the system.
    for (target, finding) in [
        ("/usr/bin/gdb", "exec-tool: tool "),
        ("/usr/bin/python3", "exec-tool: tool "),
        ("/bin/bash", "shell-spawn: shell "),
    ] {
        std::fs::remove_file(place.join("bin/perl")).expect("removed");
        std::os::unix::fs::symlink(target, place.join("bin/perl")).expect("a link");
        let named = rules(Some(&path), &[&other]);
        assert!(named.iter().any(|rule| rule.starts_with(finding)), "{target}: {named:?}");
    }
    std::fs::remove_file(place.join("bin/perl")).expect("removed");
    std::fs::copy("/bin/dash", place.join("bin/perl")).expect("a copy");
    // What the interpreter starts itself, and what that starts.
    let starts = script(
        &place,
        "starts",
        "/usr/bin/env perl",
        "system '/bin/bash', '-c', 'exit 0'; exec '/bin/sh', '-c', 'exit 0';\n",
    );
    assert_eq!(rules(None, &[&starts]), [format!("{shell}bash (default)"), format!("{shell}sh (default)")]);
    let tool = script(&place, "tool", "/usr/bin/env perl", "exec '/usr/bin/python3', '-c', '';\n");
    assert_eq!(rules(None, &[&tool]), ["exec-tool: tool python* (default)"]);
    let nested = script(&place, "nested", "/usr/bin/env bash", "/bin/dash -c 'exit 0'\n");
    assert_eq!(rules(None, &[&nested]), [format!("{shell}bash (default)"), format!("{shell}dash (default)")]);
    // A script that is a tool by its own name, and env(1) that nobody's line names.
    let named = script(&place, "bin/socat", "/usr/bin/env perl", "1;\n");
    assert_eq!(rules(None, &[&named]), ["exec-tool: tool socat (default)"]);
    assert_eq!(rules(None, &["/usr/bin/env", "perl", "-e", "1"]), ["exec-tool: tool perl (default)"]);
    assert_eq!(rules(None, &["/usr/bin/env", "bash", "-c", "exit 0"]), [format!("{shell}bash (default)")]);
    // What loads code into the interpreter, and where that is.
    let loads = script(&place, "loads", "/usr/bin/env -S LD_PRELOAD=/nowhere/x.so perl", "1;\n");
    let (_, events) = started(&place, Some(&config), None, &[&loads]);
    assert_eq!(events.iter().map(|event| event[0].as_str()).collect::<Vec<_>>(), ["loader-env"]);
    let places = place.write("places.toml", "mode = \"audit\"\n[log]\nsink = [\"stderr\"]\nmerge = false\n");
    let anybodys = tempfile::tempdir_in("/tmp").expect("a folder");
    std::fs::copy("/usr/bin/perl", anybodys.path().join("perl")).expect("a copy");
    let path = format!("{}:/usr/bin", anybodys.path().display());
    let (_, events) = started(&place, Some(&places), Some(&path), &[&other]);
    assert!(events.iter().any(|event| event[0] == "exec-place" && event[2].ends_with("/perl")), "{events:?}");
}

/// A redirection by which nothing is read or written is part of the simple command that an entry names; any other is not.
#[test]
fn a_command_with_a_redirection_to_nowhere_is_simple() {
    enter();
    let place = Place::new();
    let config = config(&place, "enforce", ", \"/usr/bin/printf * *\"");
    for shell in ["/bin/sh", "/bin/dash", "/bin/bash"] {
        for (redirection, allowed) in [
            ("", true),
            (" 2>&1", true),
            (" >/dev/null", true),
            (" 2>/dev/null", true),
            (" > /dev/null 2>&1 < /dev/null", true),
            (" &>/dev/null", false),
            (" >/dev/null/../../tmp/x", false),
            (" 2>&1file", false),
            (" >/dev/null;id", false),
            (" &>/dev/null id", false),
            (" >>/dev/null", false),
            (" </etc/passwd", false),
            (" 2>&1|/usr/bin/id", false),
        ] {
            let command = format!("/usr/bin/printf said x{redirection}");
            let (said, events) = started(&place, Some(&config), None, &[shell, "-c", &command]);
            if allowed {
                let bare = started(&place, None, None, &[shell, "-c", &command]).0;
                assert_eq!(said, bare, "{shell}: {command}");
            } else {
                assert_eq!(said, "errno 13\n0", "{shell}: {command}");
            }
            assert_eq!(events.is_empty(), allowed, "{shell}: {command}: {events:?}");
        }
    }
}
