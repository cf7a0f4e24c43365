//! As many workers as the supervisor has places for, and more: 1,024 in the long form of the tests.

use super::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// The supervisor's places.
const PLACES: usize = 1024;

fn is_long() -> bool {
    std::env::var_os("TORTURE").is_some_and(|form| form == "long")
}

/// What each worker's program is told, by the worker's number: PHP-FPM's workers accept in turn.
fn answers(port: u16, workers: &[i32]) -> BTreeMap<i32, String> {
    let mut all = BTreeMap::new();
    for _ in 0..workers.len() * 4 {
        let text = http::get(port, "/static.php?way=sendto").body;
        let (said, pid) = text.trim().rsplit_once(' ').expect("an answer");
        all.insert(pid.parse().expect("a number"), said.replace('\n', " "));
        if all.len() == workers.len() {
            break;
        }
    }
    assert!(all.keys().all(|pid| workers.contains(pid)), "others answered");
    assert_eq!(all.len(), workers.len(), "not every worker answered");
    all
}

/// A master with so many workers, each of which has its place or has been told that there is none.
fn server(place: &Place, mode: &str, number: usize) -> (Guard, Fpm, Nginx) {
    place.pages();
    let program = compile(place, "tests/library/c/ways.c", "ways-static", &["-static"]);
    let page = format!(
        "<?php $p = proc_open(['{program}', 'libc', $_GET['way']], [1 => ['pipe', 'w']], $pipes);\n\
         echo stream_get_contents($pipes[1]), proc_close($p), ' ', getmypid();"
    );
    place.write("www/static.php", &page);
    // A virtual host in enforce would have each worker without a place refuse what nobody judges.
    let guard = place.guard(&format!(
        "mode = \"{mode}\"\n[backstop]\nseccomp = \"supervise\"\n[rules.exec-place]\nmode = \"off\"\n"
    ));
    let pool = Pool {
        lines: format!("pm.max_children = {number}\nphp_admin_value[memory_limit] = 8M\n"),
        global: "process_control_timeout = 60s".into(),
        ..Pool::default()
    };
    let fpm = Fpm::start(place, Some(&guard), &pool);
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&place.join("www")));
    (guard, fpm, nginx)
}

/// The workers, once all are there with their filters.
fn workers(master: i32, number: usize, before: &[i32]) -> Vec<i32> {
    wait_until("the workers", || {
        let all = children(master);
        all.len() == number && all.iter().all(|pid| !before.contains(pid) && is_filtered(*pid))
    });
    children(master)
}

fn said(guard: &Guard) -> Vec<String> {
    let events = guard.events().all();
    let own = events.iter().filter(|event| event.text("rule.id") == "guard-policy");
    own.map(|event| event.text("message").to_owned()).collect()
}

/// Each worker is judged, before and after a graceful reload, and the supervisor ends with the server.
#[test]
fn every_worker_of_many_is_judged() {
    enter();
    let number = if is_long() { PLACES } else { 96 };
    let place = Place::new();
    let (guard, fpm, nginx) = server(&place, "enforce", number);
    let master = fpm.process.pid();
    let mut before = Vec::new();
    for round in 0..2 {
        let now = workers(master, number, &before);
        for (pid, answer) in answers(nginx.port, &now) {
            assert_eq!(answer, "-1 13 0", "{pid} in round {round}");
        }
        before = now;
        if round == 0 {
            fpm.process.signal(libc::SIGUSR2);
        }
    }
    assert_eq!(said(&guard), [""; 0]);
    drop(fpm);
    let begun = std::time::Instant::now();
    wait_until("the supervisor's end", || supervisors(master).is_empty());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // It says at its end what was merged.
    let judged = guard.events().all();
    let judged: Vec<Value> = judged.into_iter().filter(|event| event.text("rule.id") == "egress-port").collect();
    assert!(calls(&judged) >= 2 * number as u64, "{} of {number}", calls(&judged));
}

/// Those for whom there is no place serve as the policy says: as without a backstop in audit, while in enforce the kernel
/// refuses what nobody judges. Both are said.
#[test]
#[ignore = "takes a thousand workers, twice"]
fn more_workers_than_places() {
    enter();
    for (mode, answer, sentence) in [
        ("audit", "1 0 0", "the backstop logs only: its supervisor has no place for another worker"),
        (
            "enforce",
            "-1 13 0",
            "the backstop denies what bypasses the hooks: its supervisor has no place for another worker",
        ),
    ] {
        let place = Place::new();
        let (guard, fpm, nginx) = server(&place, mode, PLACES + 16);
        let master = fpm.process.pid();
        let now = workers(master, PLACES + 16, &[]);
        for (pid, said) in answers(nginx.port, &now) {
            assert_eq!(said, answer, "{pid} in {mode}");
        }
        let said = said(&guard);
        assert!(!said.is_empty() && said.iter().all(|said| said == sentence), "{mode}: {said:#?}");
        // Where workers end, their places are others'.
        now[..64].iter().copied().for_each(kill);
        wait_until("other workers", || {
            let then = children(master);
            then.len() == PLACES + 16
                && then.iter().filter(|pid| !now.contains(pid) && is_filtered(**pid)).count() == 64
        });
        println!("{mode}: {} said it", said.len());
    }
}
