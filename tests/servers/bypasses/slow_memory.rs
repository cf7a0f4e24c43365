//! Calls that take long to be judged: arguments that are on a disk, paths of many steps.

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Parts, Place, enter};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_shell_with_an_environment_on_a_disk() {
    is_judged("cold", "known");
}

#[test]
fn a_shell_behind_a_path_of_thirty_thousand_steps() {
    is_judged("maze", "known");
}

#[test]
fn loader_env_enforced_alone_refuses_a_path_that_is_not_seen() {
    is_refused_by("loader-env", &["dots", "secret", "many"]);
}

#[test]
fn stdio_socket_enforced_alone_refuses_a_path_that_is_not_seen() {
    is_refused_by("stdio-socket", &["dots", "secret"]);
}

/// What is not seen of the start of a program cannot be said to keep any rule on it.
fn is_refused_by(rule: &str, ways: &[&str]) {
    enter();
    let place = Place::new();
    let program = compile(&place, "unseen", &["-static"]);
    let one = format!(
        "[[vhost]]\nname = \"one\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n\
         [vhost.rules.{rule}]\nmode = \"enforce\"\n",
        place.join("www/strict").display()
    );
    let (_guard, _fpm, nginx) = servers_with(&place, &one);
    for way in ways {
        let answer = run(nginx.port, "strict.example", &[&program, way]);
        // The machine may have been started without such memory.
        assert!(["execve: 13\n 1", "no secret memory\n 0"].contains(&answer.as_str()), "{way}: {answer}");
    }
}

/// However slow, it is judged, or its event says what of it is unknown: in audit it runs, in enforce it does not.
fn is_judged(source: &str, state: &str) {
    enter();
    let place = Place::new();
    let program = compile(&place, source, &["-static", "-pthread"]);
    let folder = place.join("pages");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).expect("chmod");
    let folder = folder.to_str().expect("a path");
    let audited = format!(
        "[[vhost]]\nname = \"audited\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n",
        place.join("www/strict").display()
    );
    let (guard, _fpm, nginx) = servers_with(&place, &audited);
    let mut events = guard.events();
    for (host, answer, outcome) in
        [("strict.example", "ran\n 0", "success"), ("localhost", "execve: 13\n 1", "failure")]
    {
        assert_eq!(run(nginx.port, host, &[&program, folder]), answer, "{host}");
        let fresh = events.fresh();
        let is_shells = |event: &&serde_json::Value| {
            event.text("rule.id") == "shell-spawn" && event.text("portcullis.layer") == "backstop"
        };
        let shell = fresh.iter().find(is_shells).unwrap_or_else(|| panic!("{host}: {fresh:#?}"));
        assert_eq!(shell.text("event.outcome"), outcome, "{shell:#}");
        assert_eq!(shell.text("portcullis.request.state"), state, "{shell:#}");
    }
}
