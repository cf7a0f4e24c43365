//! Addresses as Linux takes them, and what is sent without one, in real PHP-FPM: by PHP's own sockets, by a program that PHP
//! starts, and past libc; bare, in audit and in enforce.

use crate::harness::{Fpm, Guard, Nginx, OUTSIDE4, Parts, Place, Pool, enter, every_rule, http};
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

/// PHP's own sockets. Each prints whether the last call went ahead.
const PAGE: &str = r#"<?php
error_reporting(0);
if (isset($_GET['argv'])) {
    $p = proc_open(json_decode($_GET['argv']), [1 => ['pipe', 'w']], $pipes);
    die(trim(stream_get_contents($pipes[1])));
}
$s = socket_create(AF_INET, SOCK_DGRAM, 0);
$quiet = socket_connect($s, '192.88.1.10', 9) && socket_getsockname($s, $own) && $own === '192.88.1.10';
$ways = [
    'php quiet' => fn() => true,
    'php quiet send' => fn() => socket_send($s, 'x', 1, 0) === 1,
    'php quiet write' => fn() => socket_write($s, 'x') === 1,
    'php quiet sendmsg' => fn() => socket_sendmsg($s, ['iov' => ['x']], 0) === 1,
    'php quiet stream' => function () { $c = stream_socket_client('udp://192.88.1.10:9'); return fwrite($c, 'x') === 1; },
    'php quiet then allowed' => fn() => socket_connect($s, '127.0.0.1', 4448) && socket_write($s, 'x') === 1,
];
echo $quiet && $ways[$_GET['way']]() ? 'yes' : 'no';
"#;

/// What PHP does, and whether that is an event.
const PHP: [(&str, bool); 6] = [
    ("php quiet", false),
    ("php quiet send", true),
    ("php quiet write", true),
    ("php quiet sendmsg", true),
    ("php quiet stream", true),
    ("php quiet then allowed", false),
];
/// What a program does that PHP starts (tests/library/c/addresses.c).
const PROGRAM: [(&str, &str); 8] = [
    ("long sendmsg", "egress-port"),
    ("long sendmmsg", "egress-port"),
    ("no family sendto", "egress-port"),
    ("no family sendmsg", "egress-port"),
    ("bind at the end of a page", "listen-port"),
    ("bind of no family", "listen-port"),
    ("connect short", ""),
    ("sendto no family v6", ""),
];

struct Site {
    port: u16,
    programs: [String; 2],
    _servers: (Fpm, Nginx),
}

fn site(place: &Place, guard: Option<&Guard>) -> Site {
    place.write("www/egress.php", PAGE);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/c/addresses.c");
    let programs = [("dynamic", "-pthread"), ("static", "-static")].map(|(name, flag)| {
        let output = place.join(name);
        let done = Command::new("cc").args(["-O1", "-w", flag, "-o"]).arg(&output).arg(&source).status();
        assert!(done.expect("cc").success());
        output.to_str().expect("a path").to_owned()
    });
    let fpm = Fpm::start(place, guard, &Pool::default());
    let nginx = Nginx::start(place, guard, &fpm.nginx_location(&place.join("www")));
    Site { port: nginx.port, programs, _servers: (fpm, nginx) }
}

impl Site {
    fn php(&self, way: &str) -> String {
        http::get(self.port, &format!("/egress.php?way={}", way.replace(' ', "%20"))).body
    }

    fn program(&self, program: &str, how: &str, way: &str) -> String {
        let argv = serde_json::to_string(&[program, how, way]).expect("words");
        let argv: String = argv.bytes().map(|byte| format!("%{byte:02x}")).collect();
        http::get(self.port, &format!("/egress.php?argv={argv}")).body
    }
}

fn held(more: &str) {
    enter();
    let addresses = [(OUTSIDE4, 9), (OUTSIDE4, 4444), ("127.0.0.1", 4448)];
    let _listeners = addresses.map(|address| UdpSocket::bind(address).expect("a port"));
    let place = Place::new();
    let bare = site(&place, None);
    let supervised = !more.is_empty();
    let programs = |site: &Site| {
        let mut all = vec![(site.programs[0].clone(), "libc"), (site.programs[0].clone(), "high")];
        if supervised {
            all.extend([(site.programs[0].clone(), "raw"), (site.programs[1].clone(), "libc")]);
        }
        all
    };
    let of_php = PHP.map(|(way, _)| bare.php(way));
    assert!(of_php.iter().all(|said| said == "yes"), "{of_php:?}");
    let of_program = PROGRAM.map(|(way, _)| bare.program(&bare.programs[0], "libc", way));
    drop(bare);
    let mut wrong = Vec::new();
    for (mode, outcome) in [("audit", "success"), ("enforce", "failure")] {
        let place = Place::new();
        let config =
            every_rule(mode).replace("[rules.exec-tool]\nmode = \"audit\"", "[rules.exec-tool]\nmode = \"off\"");
        let guard = place.guard_of_every_event(&(config + more));
        let site = site(&place, Some(&guard));
        let mut events = guard.events();
        let mut fired = |rule: &str| -> (Vec<String>, Vec<String>) {
            let fresh = events.fresh();
            let seen = fresh.iter().map(|event| format!("{} {}", event.text("rule.id"), event.text("event.outcome")));
            (seen.collect(), if rule.is_empty() { vec![] } else { vec![format!("{rule} {outcome}")] })
        };
        for (way, fires) in PHP {
            let said = site.php(way);
            let (seen, wanted) = fired(if fires { "egress-port" } else { "" });
            if said != (if fires && mode == "enforce" { "no" } else { "yes" }) || seen != wanted {
                wrong.push(format!("{mode}: {way}: {said}, {seen:?}"));
            }
        }
        for (program, how) in programs(&site) {
            for ((way, rule), bare) in PROGRAM.iter().zip(&of_program) {
                let said = site.program(&program, how, way);
                let (seen, wanted) = fired(rule);
                let refused = mode == "enforce" && !rule.is_empty();
                if said != (if refused { "-1 13" } else { bare.as_str() }) || seen != wanted {
                    wrong.push(format!("{mode}: {program} {how}: {way}: bare {bare}, {said}, {seen:?}"));
                }
            }
            // The kernel refuses it, and there is no event.
            let wanted = if mode == "enforce" { "-1 32" } else { "1 0" };
            let past = site.program(&program, if how == "high" { "libc" } else { how }, "quiet past libc");
            if past != wanted || !fired("").0.is_empty() {
                wrong.push(format!("{mode}: {program} {how}: past libc: {past}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn addresses_and_quiet_sockets_by_the_hooks() {
    held("");
}

#[test]
fn addresses_and_quiet_sockets_under_the_supervisor() {
    held("[backstop]\nseccomp = \"supervise\"\n");
}
