//! A page, and what it starts, reach the pools of their own PHP-FPM past the web server.

use super::requests::{BEGIN, PARAMS, RESPONDER, STDIN, pairs, record};
use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter, http, wait_until};
use serde_json::Value;
use std::path::Path;

/// What connects, by a page's own code (`page`) or by a program that it starts (`program`), and what it says where it gets through.
const CONNECTS: &str = "<?php
$to = $_GET['to'];
if ($_GET['by'] == 'page') {
    $socket = @stream_socket_client($to, $code);
    echo $socket ? 'through' : \"refused $code\";
} else {
    $perl = 'use IO::Socket; my $to = shift; my $s = $to =~ s/^unix:..// ? IO::Socket::UNIX->new(Peer => $to)'
        . ' : IO::Socket::INET->new(PeerAddr => $to =~ s/^tcp:..//r); print $s ? q(through) : q(refused ) . ($! + 0)';
    $process = proc_open(['/usr/bin/perl', '-e', $perl, $to], [1 => ['pipe', 'w']], $pipes);
    echo stream_get_contents($pipes[1]);
}
";
/// What a program finds that PHP-FPM's listener is: accepts on it, without waiting, and says how that went.
const TAKES: &str = "<?php
$perl = 'use Fcntl; use Socket; for my $fd (0..60) { open my $s, qq(+<&=), $fd or next; unpack(q(i), getsockopt($s, SOL_SOCKET, SO_ACCEPTCONN) // next) or next;'
    . ' my $flags = fcntl($s, F_GETFL, 0); fcntl($s, F_SETFL, $flags | O_NONBLOCK); print q(listener ), accept(my $c, $s) ? q(accepted) : $! + 0; fcntl($s, F_SETFL, $flags) }'
    . ' print q( end)';
echo shell_exec(\"/usr/bin/perl -e '$perl'\");
";

struct Site {
    place: Place,
    guard: Option<Guard>,
    nginx: Nginx,
    fpm: Fpm,
}

/// A site whose master has a second pool by TCP.
fn site(mode: &str) -> Site {
    let place = Place::new();
    let www = place.pages();
    place.write("www/connects.php", CONNECTS);
    place.write("www/takes.php", TAKES);
    let policy = format!("mode = \"off\"\n[rules.fpm-socket]\nmode = \"{mode}\"\n");
    let guard = (mode != "bare").then(|| place.guard_of_every_event(&policy));
    let lines = "pm.max_children = 2\n[other]\nuser = www-data\ngroup = www-data\nlisten = 0.0.0.0:9471\npm = static\npm.max_children = 1";
    let fpm = Fpm::start(&place, guard.as_ref(), &Pool { lines: lines.into(), ..Pool::default() });
    std::os::unix::fs::symlink(&fpm.socket, place.join("link")).expect("a link");
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
    Site { place, guard, nginx, fpm }
}

fn facts(events: &[Value]) -> Vec<[&str; 3]> {
    events
        .iter()
        .map(|event| ["rule.id", "event.outcome", "portcullis.request.script"].map(|path| event.text(path)))
        .collect()
}

#[test]
fn connections_to_pools_of_the_own_master() {
    enter();
    // Nothing to do with any pool.
    let other = std::net::TcpListener::bind("127.0.0.1:9472").expect("a port");
    let local = tempfile::tempdir().expect("a folder");
    let unix = local.path().join("socket");
    let _other = std::os::unix::net::UnixListener::bind(&unix).expect("a socket");
    for path in [local.path(), &unix] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("permissions");
    }
    for mode in ["bare", "audit", "enforce"] {
        let site = site(mode);
        let path = site.place.path().display();
        let pools = [
            format!("unix://{path}/fpm.sock"),
            format!("unix://{path}/link"),
            format!("unix://{path}/www/../fpm.sock"),
            "tcp://127.0.0.1:9471".to_owned(),
            "tcp://127.1.2.3:9471".to_owned(),
            "tcp://192.88.1.10:9471".to_owned(),
        ];
        let others = [format!("unix://{}", unix.display()), "tcp://127.0.0.1:9472".to_owned()];
        for (to, is_pool) in pools.iter().map(|to| (to, true)).chain(others.iter().map(|to| (to, false))) {
            for by in ["page", "program"] {
                let mut events = site.guard.as_ref().map(Guard::events);
                events.as_mut().map(|events| events.fresh());
                let said = http::get(site.nginx.port, &format!("/connects.php?by={by}&to={to}")).body;
                let refused = mode == "enforce" && is_pool;
                assert_eq!(said, if refused { "refused 13" } else { "through" }, "{mode} {by} {to}");
                let Some(events) = &mut events else { continue };
                let (events, script) = (events.fresh(), site.place.join("www/connects.php"));
                let outcome = if refused { "failure" } else { "success" };
                let wanted = [["fpm-socket", outcome, script.to_str().expect("a path")]];
                assert_eq!(facts(&events), &wanted[..usize::from(is_pool)], "{mode} {by} {to}");
            }
        }
    }
    drop(other);
}

/// A master that executes itself anew has its listeners from the program before it.
#[test]
fn a_reload_forgets_no_pool() {
    enter();
    let site = site("enforce");
    let ready = || {
        let log = std::fs::read_to_string(site.place.join("fpm.log")).unwrap_or_default();
        log.matches("ready to handle").count()
    };
    site.fpm.process.signal(libc::SIGUSR2);
    wait_until("the reload", || ready() == 2);
    for to in ["tcp://127.0.0.1:9471".to_owned(), format!("unix://{}", site.fpm.socket.display())] {
        for by in ["page", "program"] {
            let said = http::get(site.nginx.port, &format!("/connects.php?by={by}&to={to}")).body;
            assert_eq!(said, "refused 13", "{by} {to}");
        }
    }
}

/// A program that a page starts inherits the worker's listener, as PHP-FPM has it, and in audit an accept on it is an event; where
/// the rule refuses, it does not inherit it.
#[test]
fn the_listener_of_a_worker_is_not_for_its_programs() {
    enter();
    for (mode, wanted) in [("bare", "listener 11 end"), ("audit", "listener 11 end"), ("enforce", " end")] {
        let site = site(mode);
        let mut events = site.guard.as_ref().map(Guard::events);
        events.as_mut().map(|events| events.fresh());
        assert_eq!(http::get(site.nginx.port, "/takes.php").body, wanted, "{mode}");
        if let Some(events) = &mut events {
            let (events, script) = (events.fresh(), site.place.join("www/takes.php"));
            let wanted = [["fpm-socket", "success", script.to_str().expect("a path")]];
            assert_eq!(facts(&events), &wanted[..usize::from(mode == "audit")], "{mode}");
        }
        // The worker goes on.
        assert!(Path::new(&site.place.join("fpm.sock")).exists());
        let page = format!("/connects.php?by=page&to=tcp://127.0.0.1:{}", site.nginx.port);
        assert_eq!(http::get(site.nginx.port, &page).body, "through", "{mode}");
    }
}

/// A client that gives up its privileges, as a web server's worker does, sends a request, and ends or waits for the answer.
const CLIENT: &str = "
import os, socket, sys
os.setgid(33)
os.setuid(33)
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[2])
client.sendall(open(sys.argv[3], 'rb').read())
if sys.argv[1] == 'waits':
    while client.recv(4096): pass
";
/// Keeps the only worker until a file is there.
const BUSY: &str =
    "<?php touch(__DIR__ . '/begun'); while (!file_exists(__DIR__ . '/go')) { clearstatcache(); usleep(1000); }";

/// Of the worker's own user, a client that /proc hides is a web server's worker, and one that has ended before it is accepted
/// may have been anything.
#[test]
fn a_client_that_is_hidden_is_believed_and_one_that_has_ended_is_not() {
    enter();
    let mounted = std::process::Command::new("mount").args(["-t", "proc", "-o", "hidepid=2", "proc", "/proc"]).status();
    assert!(mounted.expect("mount").success());
    let place = Place::new();
    let www = place.pages();
    std::fs::set_permissions(&www, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("permissions");
    place.write("www/busy.php", BUSY);
    let guard = place.guard_of_every_event("mode = \"off\"\n[rules.fpm-socket]\nmode = \"audit\"\n");
    let fpm = Fpm::start(&place, Some(&guard), &Pool { lines: "pm.max_children = 1".into(), ..Pool::default() });
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
    let script = www.join("act.php");
    let params = pairs(&[("SCRIPT_FILENAME", script.to_str().expect("a path")), ("REQUEST_METHOD", "GET")]);
    let stream = [
        record(1, BEGIN, 1, &RESPONDER, 0),
        record(1, PARAMS, 1, &params, 0),
        record(1, PARAMS, 1, &[], 0),
        record(1, STDIN, 1, &[], 0),
    ];
    let (file, bytes) = (place.join("stream"), stream.concat());
    std::fs::write(&file, bytes).expect("a file");
    let client = place.write("client.py", CLIENT);
    let run = |how: &str| {
        let mut command = std::process::Command::new("/usr/bin/python3");
        let done = command.arg(&client).arg(how).arg(&fpm.socket).arg(&file).status();
        assert!(done.expect("python").success(), "{how}");
    };
    let mut events = guard.events();
    events.fresh();
    run("waits");
    assert!(events.fresh().is_empty());
    let port = nginx.port;
    let busy = std::thread::spawn(move || http::get(port, "/busy.php"));
    wait_until("the worker", || www.join("begun").exists());
    run("ends");
    std::fs::write(www.join("go"), "").expect("a file");
    busy.join().expect("the page");
    let mut seen = Vec::new();
    wait_until("the event", || {
        seen.extend(events.fresh());
        !seen.is_empty()
    });
    assert_eq!(facts(&seen), [["fpm-socket", "success", script.to_str().expect("a path")]]);
}
