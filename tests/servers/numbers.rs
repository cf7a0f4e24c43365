//! `portcullis events --verify` over the log of a real server: an ordinary one is whole, and what was removed or added is found as far
//! as numbers can tell.

use crate::harness::{Fpm, Guard, Nginx, Place, Pool, enter, every_rule, http, wait_until};
use serde_json::Value;
use std::path::Path;

/// Each request starts a shell that starts two more.
const PAGE: &str = "<?php for ($i = 0; $i < 4; $i++) shell_exec('/bin/sh -c : ; /bin/sh -c : ; exit 0');";
const WORKERS: usize = 6;

/// The exit status, and the streams.
fn verify(place: &Place, log: &Path) -> (Option<i32>, Vec<Value>) {
    let done =
        place.portcullis().args(["events", "--verify", "--rotated", "--json"]).arg(log).output().expect("portcullis");
    let streams = String::from_utf8(done.stdout).expect("UTF-8");
    (done.status.code(), streams.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

fn states(streams: &[Value]) -> Vec<&str> {
    streams.iter().filter_map(|stream| stream["state"].as_str()).collect()
}

/// A log to which workers and their descendants append, as logrotate's `create` makes it.
fn new_log(log: &Path) {
    std::fs::create_dir_all(log.parent().expect("a folder")).expect("a folder");
    std::fs::write(log, "").expect("a file");
    std::os::unix::fs::chown(log, Some(0), Some(33)).expect("owner");
    std::fs::set_permissions(log, std::os::unix::fs::PermissionsExt::from_mode(0o620)).expect("permissions");
}

/// The log of a server with many workers and their descendants, rotated while they served.
fn rotated_log(place: &Place, guard: &Guard) {
    place.write("www/shells.php", PAGE);
    new_log(&guard.log);
    let lines = format!("pm = static\npm.max_children = {WORKERS}\n");
    let fpm = Fpm::start(place, Some(guard), &Pool { lines, ..Pool::default() });
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&place.join("www")));
    let serve = || {
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| http::get(nginx.port, "/shells.php"));
            }
        });
    };
    serve();
    std::fs::rename(&guard.log, guard.log.with_extension("jsonl.1")).expect("a rotation");
    new_log(&guard.log);
    serve();
    drop((fpm, nginx));
    wait_until("the end of the log", || std::fs::read(&guard.log).is_ok_and(|log| log.ends_with(b"\n")));
}

#[test]
fn the_numbers_of_a_log_say_what_is_missing() {
    enter();
    let place = Place::new();
    let guard = place.guard_of_every_event(&every_rule("audit"));
    place.pages();
    rotated_log(&place, &guard);

    let (status, streams) = verify(&place, &guard.log);
    assert!(states(&streams).iter().all(|state| *state == "ok") && status == Some(0), "{streams:#?}");
    let longest = streams.iter().max_by_key(|stream| stream["events"].as_u64()).expect("a stream");
    assert!(longest["events"].as_u64() >= Some(8 * WORKERS as u64) && longest["first"] == 1, "{longest}");
    assert!(streams.len() > 1, "descendants have streams of their own: {streams:#?}");

    // The events of the longest stream in the file that is written now.
    let log = std::fs::read_to_string(&guard.log).expect("the log");
    let name = longest["stream"].as_str().expect("a name");
    let own: Vec<&str> = log.lines().filter(|line| line.contains(&format!("\"stream\":\"{name}\""))).collect();
    let number = |line: &str| -> u64 {
        let event: Value = serde_json::from_str(line).expect("an event");
        event["event"]["sequence"].as_u64().expect("a number")
    };
    let last = own.iter().max_by_key(|line| number(line)).expect("an event");
    let inner = own.iter().find(|line| number(line) != number(last) && number(line) > 1).expect("an event");
    let with = |change: &str| std::fs::write(&guard.log, change).expect("the log");
    let state = |streams: &[Value]| {
        streams
            .iter()
            .find(|stream| stream["stream"] == name)
            .map(|stream| stream["state"].as_str().unwrap_or("").to_owned())
    };

    with(&log.replace(&format!("{inner}\n"), ""));
    let (status, streams) = verify(&place, &guard.log);
    assert_eq!((status, state(&streams).as_deref()), (Some(1), Some("gap")), "removed");
    let gaps = streams.iter().find(|stream| stream["stream"] == name).map(|stream| stream["gaps"].clone());
    assert_eq!(gaps, Some(serde_json::json!([[number(inner), number(inner)]])));

    with(&format!("{log}{}\n", inner.replace("\"outcome\":\"success\"", "\"outcome\":\"failure\"")));
    let (status, streams) = verify(&place, &guard.log);
    assert_eq!((status, state(&streams).as_deref()), (Some(1), Some("changed")), "added");

    let own_number = format!("\"sequence\":{}", number(inner));
    with(&log.replace(inner, &inner.replace(&own_number, "\"sequence\":999999")));
    let (status, streams) = verify(&place, &guard.log);
    assert_eq!((status, state(&streams).as_deref()), (Some(1), Some("gap")), "numbered anew");

    // What numbers cannot tell: another order, a change in place, the end of a stream.
    let reversed: Vec<&str> = log.lines().rev().collect();
    for (what, change) in [
        ("another order", reversed.join("\n") + "\n"),
        ("a change in place", log.replace(inner, &inner.replace("\"outcome\":\"success\"", "\"outcome\":\"failure\""))),
        ("the end", log.replace(&format!("{last}\n"), "")),
    ] {
        with(&change);
        assert_eq!(verify(&place, &guard.log).0, Some(0), "{what}");
    }
}
