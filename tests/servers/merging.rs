//! Repeated events: the first are whole, the others are counted, and what is written adds up to the calls that were made.

use crate::harness::{
    Events, Fpm, Guard, Nginx, OUTSIDE4, Parts, Place, Pool, calls, enter, every_rule, http, wait_until,
};
use serde_json::Value;

/// As many calls to one place as the query says, then one each to as many places.
const FLOOD: &str = r#"<?php
$socket = socket_create(AF_INET, SOCK_DGRAM, 0);
function attempt($port) { @socket_sendto($GLOBALS['socket'], 'x', 1, 0, 'OUTSIDE', $port); }
for ($call = 0; $call < $_GET['same']; $call++) attempt(4444);
for ($call = 0; $call < $_GET['various']; $call++) attempt(20000 + $call);
"#;

fn merged(events: &[Value]) -> u64 {
    let said: Vec<Value> = events.iter().filter(|event| event.text("event.action") == "merged").cloned().collect();
    calls(&said)
}

fn whole(events: &[Value]) -> u64 {
    calls(events) - merged(events)
}

fn all(events: &mut Events, until: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut found = Vec::new();
    wait_until("the events of what was merged", || {
        found.extend(events.fresh());
        until(&found)
    });
    found
}

fn serve(place: &Place, guard: &Guard) -> (Fpm, Nginx) {
    let www = place.pages();
    place.write("www/flood.php", &FLOOD.replace("OUTSIDE", OUTSIDE4));
    let fpm = Fpm::start(place, Some(guard), &Pool::default());
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&www));
    (fpm, nginx)
}

#[test]
fn a_flood_is_merged_and_adds_up() {
    enter();
    for mode in ["audit", "enforce"] {
        let place = Place::new();
        let guard = place.guard(&format!("{}[egress]\nmode = \"{mode}\"\n", every_rule("audit")));
        let (fpm, nginx) = serve(&place, &guard);
        let mut events = guard.events();
        http::get(nginx.port, "/flood.php?same=2000&various=1500");
        let during = events.fresh();
        // Ten of each of 256 kinds, ten of what is beyond, in a while or two.
        assert!(during.len() < 2 * 2570, "{}", during.len());
        let same = |event: &&Value| event.pointer("/destination/port").and_then(Value::as_u64) == Some(4444);
        assert!(during.iter().filter(same).count() <= 20, "{}", during.iter().filter(same).count());

        let status = place.portcullis().args(["status", "--json"]).output().expect("portcullis status");
        let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
        let counters = status.pointer("/units").and_then(Value::as_array).expect("units");
        let counted = |name: &str| -> u64 {
            counters.iter().filter_map(|unit| unit.pointer(&format!("/counters/{name}"))?.as_u64()).max().unwrap_or(0)
        };
        // Servers of other tests are in the same sum.
        assert!(counted("audits") + counted("denials") >= 3500, "{status:#}");
        assert!(counted("merged") >= 3500 - whole(&during), "{status:#}");

        drop(fpm);
        let rest = all(&mut events, |rest| whole(&during) + whole(rest) + merged(&during) + merged(rest) >= 3500);
        assert_eq!(whole(&during) + whole(&rest) + merged(&during) + merged(&rest), 3500);
        let counter = |event: &Value| event.pointer("/portcullis/merged").and_then(Value::as_u64);
        assert_eq!(rest.iter().filter_map(counter).max(), Some(merged(&during) + merged(&rest)));
        let about: Vec<&Value> =
            during.iter().chain(&rest).filter(|event| event.text("event.action") == "merged").collect();
        for event in &about {
            assert_eq!((event.text("rule.id"), event.text("portcullis.mode")), ("egress-port", mode));
            let Some(like) = event.pointer("/portcullis/like").and_then(Value::as_str) else { continue };
            // Only the calls to this port were ever more than one of a kind.
            let like = during.iter().find(|one| one.text("event.id") == like);
            assert!(like.is_some_and(|like| same(&like)), "{event:#}");
        }
        let nameless = |event: &&&Value| event.pointer("/portcullis/like").is_none();
        assert!(about.iter().any(|event| nameless(&event)), "what had no place is like no event");
    }
}

/// dash ends by _exit, which runs no destructor; what it merged is said all the same, and only once.
#[test]
fn a_shell_says_what_it_merged_before_it_ends() {
    enter();
    let place = Place::new();
    let guard = place.guard(&every_rule("audit"));
    place.write("www/loop.php", "<?php shell_exec('for i in $(seq 40); do /bin/sh -c :; done; exit 0');");
    let (_fpm, nginx) = serve(&place, &guard);
    let mut events = guard.events();
    http::get(nginx.port, "/loop.php");
    let found = events.fresh();
    let inner: Vec<&Value> = found.iter().filter(|event| event.text("portcullis.chain").ends_with("sh > sh")).collect();
    assert_eq!(inner.len(), 10, "{found:#?}");
    assert_eq!(merged(&found), 30, "{found:#?}");
}

/// A program that starts no other shares its counters with nobody.
#[test]
fn a_program_that_starts_no_other_says_what_it_merged() {
    enter();
    let place = Place::new();
    let guard = place.guard(&every_rule("audit"));
    let page = r#"<?php
        $code = 'IO::Socket::INET->new(Proto => "udp", PeerAddr => "OUTSIDE:4444") for 1 .. 40';
        $pipes = [];
        proc_close(proc_open(['/usr/bin/perl', '-MIO::Socket::INET', '-e', $code], [], $pipes));"#;
    place.write("www/alone.php", &page.replace("OUTSIDE", OUTSIDE4));
    let (_fpm, nginx) = serve(&place, &guard);
    let mut events = guard.events();
    http::get(nginx.port, "/alone.php");
    let found: Vec<Value> = events.fresh().into_iter().filter(|event| event.text("rule.id") == "egress-port").collect();
    assert_eq!((whole(&found), merged(&found)), (10, 30), "{found:#?}");
}

#[test]
fn every_event_is_written_where_that_is_wanted() {
    enter();
    let place = Place::new();
    let guard = place.guard_of_every_event(&every_rule("audit"));
    let (_fpm, nginx) = serve(&place, &guard);
    let mut events = guard.events();
    http::get(nginx.port, "/flood.php?same=150&various=0");
    let found = events.fresh();
    assert_eq!((found.len() as u64, merged(&found)), (150, 0));
}

/// Commands that are alike in their first two thousand bytes are no repetition.
#[test]
fn long_commands_are_told_apart() {
    enter();
    let place = Place::new();
    let guard = place.guard(&every_rule("audit"));
    let page = "<?php for ($i = 0; $i < 15; $i++) shell_exec(': ' . str_repeat('x', 2000) . $i);";
    place.write("www/long.php", page);
    let (_fpm, nginx) = serve(&place, &guard);
    let mut events = guard.events();
    http::get(nginx.port, "/long.php");
    assert_eq!(events.fresh().len(), 15);
}

/// What was merged is said when the server takes up the next work after a while, not only at its end.
#[test]
fn the_next_request_says_what_was_merged() {
    enter();
    let place = Place::new();
    let guard = place.guard(&every_rule("audit"));
    let (_fpm, nginx) = serve(&place, &guard);
    let mut events = guard.events();
    http::get(nginx.port, "/flood.php?same=100&various=0");
    let found = all(&mut events, |found| {
        http::get(nginx.port, "/hello.php");
        merged(found) > 0
    });
    assert_eq!((whole(&found), merged(&found)), (10, 90), "{found:#?}");
}
