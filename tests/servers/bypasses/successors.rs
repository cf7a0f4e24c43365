//! A call that waits, whose process has become another program meanwhile; and one call that is many.

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Listeners, Parts, Place, enter};
use std::os::unix::fs::PermissionsExt;

/// What the supervisor has to write for a call belongs to the memory of its caller, not to whatever has its number by then, which may
/// be a set-user-ID program.
#[test]
fn nothing_is_written_into_what_a_caller_executes() {
    enter();
    let place = Place::new();
    let program = compile(&place, "successor", &["-static", "-pthread"]);
    let watcher = place.join("watcher");
    std::fs::copy(&program, &watcher).expect("a copy");
    std::fs::set_permissions(&watcher, PermissionsExt::from_mode(0o4755)).expect("chmod");
    let watcher = watcher.to_str().expect("a path");
    let (_guard, _fpm, nginx) = servers_with(&place, "");
    for round in 0..6 {
        assert_eq!(run(nginx.port, "strict.example", &[&program, "send", watcher]), "whole as 0 0", "round {round}");
    }
}

/// In audit, the kernel sends the messages of one call whatever is found: past some that are events, the rest is one event.
#[test]
fn one_call_has_a_bounded_number_of_events() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let program = compile(&place, "successor", &["-static", "-pthread"]);
    let audited = format!(
        "[[vhost]]\nname = \"audited\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n",
        place.join("www/strict").display()
    );
    let (guard, _fpm, nginx) = servers_with(&place, &audited);
    let mut events = guard.events();
    assert_eq!(run(nginx.port, "strict.example", &[&program, "many", "4444"]), "1024 0 0");
    let fresh = events.fresh();
    assert!((2..=40).contains(&fresh.len()), "{}", fresh.len());
    let last = fresh.last().expect("an event");
    assert!(!last.text("portcullis.unknown").is_empty(), "{last:#}");
    // Of those that the supervisor sends itself, a part may be sent, as by the kernel.
    let sent = run(nginx.port, "other1.example", &[&program, "many", "4444"]);
    let count = sent.strip_suffix(" 0 0").and_then(|count| count.parse::<u32>().ok());
    assert!(count.is_some_and(|count| (1..=1024).contains(&count)), "{sent}");
    assert!(events.fresh().is_empty());
}
