//! A program that a page starts reaches a pool of its own PHP-FPM, where it is hard to see whose that is: there are more pools than
//! the guard hands down, the program is in another PID namespace, has no free descriptor, or a filter before getsockopt.

use crate::harness::{Fpm, Nginx, Place, Pool, enter, http};
use serde_json::Value;
use std::fmt::Write as _;

const PAGE: &str = "<?php
$start = ['/usr/bin/python3', __DIR__ . '/connects.py', $_GET['how'], $_GET['to']];
if ($_GET['how'] == 'namespace') array_unshift($start, '/usr/bin/unshare', '--user', '--pid', '--fork');
$process = proc_open($start, [1 => ['pipe', 'w'], 2 => ['file', '/dev/null', 'w']], $pipes);
echo stream_get_contents($pipes[1]);
";

/// The filter lets getsockopt fail with ENOMEM.
const CONNECTS: &str = "
import ctypes, os, resource, socket, struct, sys
how, to = sys.argv[1:]
local = to.startswith('/')
address = to if local else (to.rsplit(':', 1)[0], int(to.rsplit(':', 1)[1]))
client = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
if how == 'full':
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    try:
        while True: os.dup(0)
    except OSError: pass
if how == 'filtered':
    libc = ctypes.CDLL(None)
    code = b''.join(struct.pack('HBBI', *line) for line in [
        (0x20, 0, 0, 0), (0x15, 0, 1, 55), (0x06, 0, 0, 0x50000 | 12), (0x06, 0, 0, 0x7fff0000)])
    room = ctypes.create_string_buffer(code)
    program = struct.pack('HxxxxxxQ', 4, ctypes.addressof(room))
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
try:
    client.connect(address)
    print('through', end='')
except OSError as error:
    print('refused', error.errno, end='')
";

/// Pools that are not next to each other, more of them than a program learns of.
fn many() -> String {
    let mut lines = "pm.max_children = 1".to_owned();
    for port in (9500..9640).step_by(2) {
        write!(
            lines,
            "\n[p{port}]\nuser = www-data\ngroup = www-data\nlisten = 0.0.0.0:{port}\npm = static\npm.max_children = 1"
        )
        .expect("text");
    }
    lines
}

/// The rule, what could not be judged, and the outcome.
fn facts(events: &[Value]) -> Vec<[String; 3]> {
    let of = |event: &Value, path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    events
        .iter()
        .map(|event| ["/rule/id", "/portcullis/unknown", "/event/outcome"].map(|path| of(event, path)))
        .collect()
}

#[test]
fn what_is_hard_to_see_is_judged_or_unknown() {
    enter();
    let other = std::net::TcpListener::bind("127.0.0.1:9473").expect("a port");
    for mode in ["bare", "audit", "enforce"] {
        let place = Place::new();
        let www = place.pages();
        place.write("www/connects.php", PAGE);
        place.write("www/connects.py", CONNECTS);
        let policy = format!("mode = \"off\"\n[rules.fpm-socket]\nmode = \"{mode}\"\n");
        let guard = (mode != "bare").then(|| place.guard_of_every_event(&policy));
        let fpm = Fpm::start(&place, guard.as_ref(), &Pool { lines: many(), ..Pool::default() });
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
        let local = fpm.socket.to_str().expect("a path").to_owned();
        let ways = [
            // The first that it learns of, the last, and one that is none of this server's, for all that it knows.
            ("plain", "127.0.0.1:9500", ""),
            ("plain", "127.0.0.1:9638", "socket"),
            ("plain", "127.0.0.1:9473", "socket"),
            ("plain", "192.88.1.10:9502", ""),
            ("full", "192.88.1.10:9502", "socket"),
            ("full", "127.0.0.1:9502", ""),
            ("namespace", &local, "socket"),
            ("filtered", &local, "socket"),
        ];
        for (how, to, what) in ways {
            let mut events = guard.as_ref().map(|guard| guard.events());
            events.as_mut().map(|events| events.fresh());
            let said = http::get(nginx.port, &format!("/connects.php?how={how}&to={to}")).body;
            assert_eq!(said, if mode == "enforce" { "refused 13" } else { "through" }, "{mode} {how} {to}");
            let Some(events) = &mut events else { continue };
            let outcome = if mode == "enforce" { "failure" } else { "success" };
            assert_eq!(facts(&events.fresh()), [["fpm-socket", what, outcome].map(str::to_owned)], "{mode} {how} {to}");
        }
    }
    drop(other);
}
