//! Limits of resources in a unit, a pool and a script: pages are the same with and without the guard, and no event is lost unsaid.

use crate::harness::{
    Fpm, Guard, Listeners, Nginx, OUTSIDE4, Place, Pool, children, enter, from_journal, http, journald, own_run_and_dev,
};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const PAGE: &str = "<?php
header('Content-Type: text/plain');
if (isset($_GET['size'])) posix_setrlimit(POSIX_RLIMIT_FSIZE, (int) $_GET['size'], (int) $_GET['size']);
$said = [@shell_exec('echo said')];
$said[] = @fsockopen('OUTSIDE', 4444, $errno, $error, 5) !== false;
$process = @proc_open(['/bin/sh', '-c', 'exit 3'], [], $pipes);
$said[] = $process ? proc_close($process) : false;
$said[] = @file_get_contents(__FILE__) !== false;
$said[] = mail('a@example.com', 'subject', 'body');
echo json_encode($said);
";
/// What fires on the page: two shells, a connection. The mailer's shell is allowed.
const EVENTS: usize = 3;

/// The pages' bodies of one worker behind `by`, of which there are `count`.
fn bodies(place: &Place, guard: Option<&Guard>, lines: &str, by: &[&str], count: usize) -> Vec<String> {
    let www = place.pages();
    std::fs::write(www.join("limits.php"), PAGE.replace("OUTSIDE", OUTSIDE4)).expect("a page");
    let pool = Pool { lines: format!("pm.max_children = 1\n{lines}"), ..Pool::default() };
    let fpm = Fpm::start_in(place, guard, &pool, by);
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&www));
    let page = |_| http::get(nginx.port, "/limits.php").body;
    let first = page(0);
    let workers = children(fpm.process.pid());
    let bodies = [first].into_iter().chain((1..count).map(page)).collect();
    assert_eq!(children(fpm.process.pid()), workers, "no worker has died");
    bodies
}

fn dropped(events: &[Value]) -> usize {
    let of = |event: &Value| event.pointer("/portcullis/dropped").and_then(Value::as_u64);
    events.iter().filter_map(of).max().unwrap_or(0) as usize
}

fn guard(place: &Place, log: &Path, mode: &str) -> Guard {
    let text = format!("mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nmerge = false\nfile = \"{}\"\n", log.display());
    let guard = Guard::new(place, place.write("etc/portcullis.toml", &text), log.to_owned());
    std::fs::create_dir_all(log.parent().expect("a folder")).expect("a folder");
    guard
}

/// A unit's LimitFSIZE below the log's size: what the file does not take is in the journal, and counted.
#[test]
fn a_log_that_is_longer_than_a_file_may_be() {
    enter();
    own_run_and_dev();
    let _listeners = Listeners::on(&[4444]);
    let _journald = journald();
    const PAGES: usize = 4;
    const LIMIT: usize = 100_000;
    let mut in_journal = 0;
    for mode in ["audit", "enforce"] {
        // The soft limit alone keeps nothing from the log.
        for (limit, filled) in [("100000:100000", 90_000), ("100000:", 120_000), ("100000:100000", 120_000)] {
            let place = Place::new();
            let log = place.join("log/events.jsonl");
            let guard = guard(&place, &log, mode);
            std::fs::write(&log, "\n".repeat(filled)).expect("a file");
            let by = format!("--fsize={limit}");
            let by = ["setpriv", "--bounding-set=-sys_resource", "prlimit", by.as_str()];
            let bare = bodies(&place, None, "", &by, PAGES);
            let guarded = bodies(&place, Some(&guard), "", &by, PAGES);
            let is_audit = mode == "audit";
            assert_eq!(guarded == bare, is_audit, "{limit} {filled}: {guarded:?} {bare:?}");
            assert!(is_audit || guarded.iter().all(|body| body.starts_with("[false,false,127,")), "{guarded:?}");
            let text = std::fs::read_to_string(&log).expect("a log");
            let lines = text.lines().filter(|line| !line.is_empty());
            let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect(line)).collect();
            if limit.ends_with(':') {
                assert_eq!((events.len(), dropped(&events)), (PAGES * EVENTS, 0), "{limit} {filled}");
                continue;
            }
            assert!(text.len() <= LIMIT.max(filled), "{limit} {filled}");
            let missed = PAGES * EVENTS - events.len();
            assert!(missed > 0, "{limit} {filled}: {}", events.len());
            in_journal += missed;
            let journal = from_journal(&place, in_journal);
            let own = &journal[in_journal - missed..];
            assert_eq!(dropped(own) + 1, missed, "{limit} {filled}: {own:#?}");
        }
    }
}

/// Limits at 0 or just short, of a unit and of a pool.
#[test]
fn pages_are_the_same_at_any_limit() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    for (lines, by) in [
        ("rlimit_files = 12", ""),
        ("rlimit_files = 16", ""),
        ("", "--nofile=14"),
        ("", "--nproc=0"),
        ("", "--nproc=1"),
        ("", "--memlock=0"),
        ("", "--sigpending=0"),
        ("", "--msgqueue=0"),
        ("", "--stack=131072"),
        ("", "--stack=262144"),
        ("", "--data=60000000"),
        ("", "--core=0"),
    ] {
        let place = Place::new();
        let log = place.join("log/events.jsonl");
        let guard = guard(&place, &log, "audit");
        let words = ["prlimit", by];
        let by = if by.is_empty() { &[][..] } else { &words };
        let bare = bodies(&place, None, lines, by, 2);
        let guarded = bodies(&place, Some(&guard), lines, by, 2);
        assert_eq!(guarded, bare, "{lines} {by:?}");
        let events = guard.events().all();
        let all = events.last().map_or(0, |event| event["event"]["sequence"].as_u64().unwrap_or(0) as usize);
        assert_eq!(events.len() + dropped(&events), all, "{lines} {by:?}");
        let done = bare
            .iter()
            .map(|body| ["\"said\\n\"", ",true,3,", ",3,"].iter().filter(|part| body.contains(**part)).count());
        assert!(all >= done.sum(), "{lines} {by:?}: {all} {bare:?}");
    }
}

/// A unit's LimitFSIZE below the length of the policy: `compile` lifts what it may, or says that the policy does not fit. Nothing is left
/// behind.
#[test]
fn a_policy_that_is_longer_than_a_file_may_be() {
    enter();
    let place = Place::new();
    let config = place.write("etc/portcullis.toml", "mode = \"enforce\"\n");
    let command = place.join("bin/portcullis");
    for (limit, fits) in [("--fsize=1000:", true), ("--fsize=1000:1000", false)] {
        let folder = place.join(if fits { "soft" } else { "hard" });
        std::fs::create_dir(&folder).expect("a folder");
        let mut compile = Command::new("setpriv");
        compile.args(["--bounding-set=-sys_resource", "prlimit", limit]).arg(&command);
        compile.args(["compile", "--config"]).arg(&config).arg("-o").arg(folder.join("policy"));
        let output = compile.output().expect("setpriv");
        assert_eq!(output.status.code(), Some(i32::from(!fits)), "{limit}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).contains("RLIMIT_FSIZE"), !fits, "{output:?}");
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), usize::from(fits), "{limit}");
    }
}
