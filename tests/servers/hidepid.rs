//! /proc that hides other users' processes (`hidepid=2`, systemd's `ProtectProc=invisible`): nothing that a page does, and no event,
//! is another, with and without CAP_SYS_PTRACE.

use crate::harness::{Fpm, Guard, Listeners, Nginx, Parts, Place, Pool, enter, every_rule, http};
use serde_json::Value;
use std::process::Command;

/// What a page does: itself, by a shell, and by a program without the guard.
const WAYS: [&str; 6] = ["own", "shell", "deeper", "static connect", "static sendto", "static execve"];

const PAGE: &str = r#"<?php
$words = explode(' ', $_GET['way'], 2);
if ($words[0] == 'own') {
    $s = @stream_socket_client('tcp://192.88.1.10:4444', $errno, $text, 5);
    echo $s ? 'connected' : "refused $errno";
} else {
    $command = ['shell' => ['/bin/sh', '-c', 'echo $((40+2))'], 'deeper' => ['/usr/bin/env', '/bin/sh', '-c', 'echo $((40+2)); true'],
        'busybox' => ['/bin/busybox', 'sh', '-c', '/usr/bin/env true; /bin/dash -c true'], 'static' => ['PROGRAM', 'libc', $words[1] ?? '']][$words[0]];
    $p = @proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);
    echo $p ? trim(stream_get_contents($pipes[1])) . ' ' . proc_close($p) : 'refused';
}
"#;

/// A /proc of the test's own; the same superblock would hide the host's. Without `gid=` it would show all to the supervisor, whose
/// group is root's.
fn hide() {
    let done = Command::new("mount").args(["-t", "proc", "-o", "hidepid=2,gid=65533", "proc", "/proc"]).status();
    assert!(done.expect("mount").success());
}

fn start(place: &Place, guard: Option<&Guard>, by: &[&str]) -> (Fpm, Nginx) {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/c/ways.c");
    let program = place.join("ways-static");
    let done = Command::new("cc").args(["-O1", "-w", "-static", "-o"]).arg(&program).arg(source).status();
    assert!(done.expect("cc").success());
    place.write("www/way.php", &PAGE.replace("PROGRAM", program.to_str().expect("a path")));
    let fpm = Fpm::start_in(place, guard, &Pool::default(), by);
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&place.join("www")));
    (fpm, nginx)
}

/// What each way said, and the events of it.
fn run(mode: &str, layer: &str, by: &[&str]) -> Vec<(String, Vec<[String; 6]>)> {
    let place = Place::new();
    let guard = place.guard_of_every_event(&format!("{}[backstop]\nseccomp = \"{layer}\"\n", every_rule(mode)));
    let (_fpm, nginx) = start(&place, Some(&guard), by);
    let mut events = guard.events();
    WAYS.map(|way| {
        let said = ask(nginx.port, way);
        let fresh = events.fresh();
        (said, fresh.iter().map(facts).collect())
    })
    .into()
}

fn ask(port: u16, way: &str) -> String {
    http::get(port, &format!("/way.php?way={}", way.replace(' ', "%20"))).body
}

/// Of what has begun another program than its parent, the chain alone says the parent's name, and not its number.
fn facts(event: &Value) -> [String; 6] {
    let words = |path: &str| event.pointer(path).map(Value::to_string).unwrap_or_default();
    let name = event.text("process.parent.name").trim_end_matches(|byte: char| byte.is_ascii_digit() || byte == '.');
    [
        event.text("rule.id").to_owned(),
        event.text("event.outcome").to_owned(),
        event.text("portcullis.unknown").to_owned(),
        event.text("portcullis.request.state").to_owned(),
        name.to_owned(),
        words("/process/parent/args").split(" (").next().expect("a part").to_owned(),
    ]
}

#[test]
fn a_hidden_proc_changes_nothing() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let bare: Vec<String> = {
        let place = Place::new();
        let (_fpm, nginx) = start(&place, None, &[]);
        WAYS.map(|way| ask(nginx.port, way)).into()
    };
    let cut = ["setpriv", "--bounding-set=-sys_ptrace"];
    let mut cases = Vec::new();
    for mode in ["audit", "enforce"] {
        for layer in ["off", "supervise"] {
            for by in [&[][..], &cut[..]] {
                cases.push((mode, layer, by, run(mode, layer, by)));
            }
        }
    }
    hide();
    let mut wrong = Vec::new();
    for (mode, layer, by, shown) in cases {
        let hidden = run(mode, layer, by);
        let is_cut = layer == "supervise" && !by.is_empty();
        for (((way, bare), shown), hidden) in WAYS.iter().zip(&bare).zip(&shown).zip(&hidden) {
            let (mut shown, mut hidden) = (shown.clone(), hidden.clone());
            if is_cut && way.starts_with("static") {
                // The worker is hidden from the supervisor too, and nothing says which it is.
                shown.1.iter_mut().chain(&mut hidden.1).for_each(|facts| facts[4..].fill(String::new()));
            }
            if shown != hidden || (mode == "audit" && hidden.0 != *bare) {
                wrong.push(format!(
                    "{mode}, {layer}, {by:?}: {way}: bare {bare:?}\n  shown  {shown:?}\n  hidden {hidden:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Before Linux 6.13, or where a filter ends who calls pidfd_open, the supervisor cannot ask who a hidden process is: its call is unknown, so that audit
/// lets it go and enforce refuses it.
#[test]
fn what_is_hidden_and_cannot_be_asked_for_is_unknown() {
    enter();
    hide();
    for (mode, said, outcome) in [("audit", "1 0 0", "success"), ("enforce", "-1 13 0", "failure")] {
        let place = Place::new();
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/c/outer.c");
        let outer = place.join("outer");
        let done = Command::new("cc").args(["-O1", "-w", "-static", "-o"]).arg(&outer).arg(source).status();
        assert!(done.expect("cc").success());
        let by = ["setpriv", "--bounding-set=-sys_ptrace", outer.to_str().expect("a path"), "kill-pidfd"];
        let guard = place.guard_of_every_event(&format!("{}[backstop]\nseccomp = \"supervise\"\n", every_rule(mode)));
        let (_fpm, nginx) = start(&place, Some(&guard), &by);
        assert_eq!(ask(nginx.port, "static sendto"), said, "{mode}");
        let events = guard.events().all();
        let unknown: Vec<_> = events.iter().filter(|event| event.text("portcullis.unknown") == "memory").collect();
        assert!(
            !unknown.is_empty() && unknown.iter().all(|event| event.text("event.outcome") == outcome),
            "{events:#?}"
        );
        let why =
            "the backstop's supervisor may not read the memory of what it is to evaluate: it needs CAP_SYS_PTRACE";
        assert_eq!(events.iter().filter(|event| event.text("message") == why).count(), 1, "{events:#?}");
    }
}

/// A request that a page, or what it starts, sends to its own pool is none of the web server's.
#[test]
fn a_hidden_process_of_the_pools_own_tree_is_known() {
    const WITHIN: &str = r#"<?php
$socket = 'unix://' . $_GET['socket'];
$code = 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => shift) or exit; print {$s} "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0\1\4\0\1\0\0\0\0";';
if ($_GET['by'] == 'page') {
    $s = stream_socket_client($socket);
    fwrite($s, "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0\1\4\0\1\0\0\0\0\1\5\0\1\0\0\0\0");
    fread($s, 1);
} else {
    proc_close(proc_open(['/usr/bin/perl', '-e', $code, $_GET['socket']], [], $pipes));
}
"#;
    enter();
    hide();
    let place = Place::new();
    let guard = place.guard_of_every_event("mode = \"audit\"\n");
    place.write("www/within.php", WITHIN);
    let (fpm, nginx) = start(&place, Some(&guard), &[]);
    let mut events = guard.events();
    for by in ["page", "perl"] {
        http::get(nginx.port, &format!("/within.php?by={by}&socket={}", fpm.socket.display()));
        let mut seen = Vec::new();
        crate::harness::wait_until("the request", || {
            seen.extend(events.fresh());
            let details = seen.iter().map(|event| event.text("portcullis.detail"));
            details.filter(|detail| detail.starts_with("a request from the pool's own tree")).count() == 1
        });
    }
}

/// Without CAP_SYS_PTRACE the supervisor does not learn whose request a program without the guard has: the one that it hands on is
/// not taken for a forged one.
#[test]
fn a_request_of_which_nothing_is_known_is_not_forged() {
    enter();
    for by in [&[][..], &["setpriv", "--bounding-set=-sys_ptrace"]] {
        let place = Place::new();
        let guard =
            place.guard_of_every_event(&format!("{}[backstop]\nseccomp = \"supervise\"\n", every_rule("audit")));
        let (_fpm, nginx) = start(&place, Some(&guard), by);
        let mut events = guard.events();
        assert!(ask(nginx.port, "busybox").ends_with('0'), "{by:?}");
        let fresh = events.fresh();
        assert!(fresh.iter().any(|event| event.text("portcullis.layer") == "backstop"), "{by:?}: {fresh:#?}");
        assert!(fresh.iter().all(|event| event.text("rule.id") != "loader-env"), "{by:?}: {fresh:#?}");
    }
}
