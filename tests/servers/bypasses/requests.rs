//! Requests that the server accepts and the guard could not read, or not as a whole: never the global policy.

use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter, http};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub const BEGIN: u8 = 1;
const ABORT: u8 = 2;
pub const PARAMS: u8 = 4;
pub const STDIN: u8 = 5;
const GET_VALUES: u8 = 9;
pub const RESPONDER: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
const KEPT: [u8; 8] = [0, 1, 1, 0, 0, 0, 0, 0];

/// One virtual host enforces, all else audits.
const SHOP: &str =
    "mode = \"audit\"\n[[vhost]]\nname = \"shop\"\nmatch = { document_root = \"WWW/shop\" }\nmode = \"enforce\"\n";

/// A record of any version and id, with padding.
pub fn record(version: u8, kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let [id1, id0] = id.to_be_bytes();
    let [len1, len0] = u16::try_from(content.len()).expect("a short record").to_be_bytes();
    let mut out = vec![version, kind, id1, id0, len1, len0, padding, 0];
    out.extend(content);
    out.extend(std::iter::repeat_n(b'p', usize::from(padding)));
    out
}

pub fn pairs(params: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in params {
        out.push(u8::try_from(name.len()).expect("a short name"));
        out.extend((u32::try_from(value.len()).expect("a length") | 0x8000_0000).to_be_bytes());
        out.extend(name.as_bytes());
        out.extend(value.as_bytes());
    }
    out
}

/// What comes back for bytes on a pool's socket, sent in pieces.
fn answer(socket: &Path, pieces: &[Vec<u8>]) -> String {
    let mut stream = UnixStream::connect(socket).expect("the pool listens");
    stream.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
    for piece in pieces {
        let _ = stream.write_all(piece);
        if pieces.len() > 1 {
            std::thread::sleep(Duration::from_millis(30));
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let (mut all, mut part) = (Vec::new(), [0; 8192]);
    while let Ok(got @ 1..) = stream.read(&mut part) {
        all.extend(&part[..got]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn vhost(event: &Value) -> [&str; 3] {
    ["portcullis.request.state", "portcullis.vhost", "event.outcome"].map(|path| event.text(path))
}

fn site(place: &Place, policy: &str) -> (Guard, Fpm) {
    let www = place.pages();
    std::fs::create_dir(www.join("shop")).expect("a folder");
    std::fs::copy(www.join("act.php"), www.join("shop/act.php")).expect("a page");
    let guard = place.guard_of_every_event(&policy.replace("WWW", www.to_str().expect("a path")));
    let fpm = Fpm::start(place, Some(&guard), &Pool { lines: "pm.max_children = 1".into(), ..Pool::default() });
    (guard, fpm)
}

/// What PHP-FPM accepts and runs is judged as the request that it runs, however it is framed.
#[test]
fn oddly_framed_requests_have_their_virtual_host() {
    enter();
    let place = Place::new();
    let (guard, fpm) = site(&place, SHOP);
    let root = place.join("www/shop");
    let (root, script) = (root.to_str().expect("a path"), root.join("act.php"));
    let params = |more: &[(&str, &str)]| {
        let own = [
            ("SCRIPT_FILENAME", script.to_str().expect("a path")),
            ("DOCUMENT_ROOT", root),
            ("REQUEST_METHOD", "GET"),
            ("QUERY_STRING", "do=shell"),
            ("REQUEST_URI", "/act.php?do=shell"),
            ("SERVER_SOFTWARE", "nginx/1"),
        ];
        pairs(&[&own, more].concat())
    };
    let own = params(&[]);
    let (first, second) = (pairs(&[("SERVER_NAME", "shop.example")]), own.clone());
    let usual = |version: u8, id: u16, begin: &[u8]| {
        [
            record(version, BEGIN, id, begin, 0),
            record(version, PARAMS, id, &own, 0),
            record(version, PARAMS, id, &[], 0),
            record(version, STDIN, id, &[], 0),
        ]
        .concat()
    };
    let begin = record(1, BEGIN, 1, &RESPONDER, 0);
    let (end, stdin) = (record(1, PARAMS, 1, &[], 0), record(1, STDIN, 1, &[], 0));
    let cases: Vec<(&str, usize, Vec<Vec<u8>>)> = vec![
        ("as nginx sends it", 1, vec![usual(1, 1, &RESPONDER)]),
        ("another version", 1, vec![usual(2, 1, &RESPONDER)]),
        ("the last version", 1, vec![usual(255, 7, &RESPONDER)]),
        ("id 0", 1, vec![usual(1, 0, &RESPONDER)]),
        (
            "another id in each record",
            1,
            vec![begin.clone(), record(1, PARAMS, 2, &own, 0), record(1, PARAMS, 3, &[], 0), stdin.clone()],
        ),
        (
            "padding",
            1,
            vec![record(1, BEGIN, 1, &RESPONDER, 255), record(1, PARAMS, 1, &own, 255), end.clone(), stdin.clone()],
        ),
        (
            "many records",
            1,
            vec![
                begin.clone(),
                record(1, PARAMS, 1, &first, 9),
                record(1, PARAMS, 1, &second, 1),
                end.clone(),
                stdin.clone(),
            ],
        ),
        ("no end of the parameters", 1, vec![begin.clone(), record(1, PARAMS, 1, &own, 0), stdin.clone()]),
        (
            "an abort in the place of the end",
            1,
            vec![begin.clone(), record(1, PARAMS, 1, &own, 0), record(1, ABORT, 1, &[], 0)],
        ),
        ("input before the beginning", 1, vec![stdin.clone(), stdin.clone(), usual(1, 1, &RESPONDER)]),
        (
            "a padded end",
            1,
            vec![begin.clone(), record(1, PARAMS, 1, &own, 0), record(1, PARAMS, 1, &[], 8), stdin.clone()],
        ),
        (
            "parameters behind the input",
            1,
            vec![usual(1, 1, &RESPONDER), record(1, PARAMS, 1, &pairs(&[("DOCUMENT_ROOT", "/weak")]), 0)],
        ),
        ("an authorizer", 1, vec![usual(1, 1, &[0, 2, 0, 0, 0, 0, 0, 0])]),
        (
            "one byte at a time",
            1,
            usual(3, 4, &RESPONDER)
                .chunks(1)
                .map(<[u8]>::to_vec)
                .take(20)
                .chain([usual(3, 4, &RESPONDER)[20..].to_vec()])
                .collect(),
        ),
        ("a kept connection with another id", 2, vec![usual(1, 1, &KEPT), usual(1, 9, &RESPONDER)]),
        (
            "a kept connection with a body that nobody reads",
            2,
            vec![usual(1, 1, &KEPT), record(1, STDIN, 1, &[], 0), record(1, STDIN, 1, &[], 0), usual(4, 2, &RESPONDER)],
        ),
        (
            "NULs in values",
            1,
            vec![
                begin.clone(),
                record(1, PARAMS, 1, &params(&[("DOCUMENT_ROOT", &format!("{root}\0/weak"))]), 0),
                end.clone(),
                stdin.clone(),
            ],
        ),
        // Not accepted by every version of PHP; where it is, as what it is.
        (
            "values asked for first",
            0,
            vec![record(1, GET_VALUES, 0, &pairs(&[("FCGI_MAX_CONNS", "")]), 3), usual(1, 1, &RESPONDER)],
        ),
        (
            "a pair in two records",
            0,
            vec![begin.clone(), record(1, PARAMS, 1, &own[..40], 0), record(1, PARAMS, 1, &own[40..], 0), end.clone()],
        ),
        ("version 0", 0, vec![usual(0, 1, &RESPONDER)]),
    ];
    let mut events = guard.events();
    for (what, runs, pieces) in &cases {
        let said = answer(&fpm.socket, pieces);
        let fresh = events.fresh();
        let ran = said.matches("Content-type").count();
        if *runs > 0 {
            assert_eq!(ran, *runs, "{what}: PHP-FPM is to accept it: {said:?}");
        }
        let shells: Vec<&Value> = fresh.iter().filter(|event| event.text("rule.id") == "shell-spawn").collect();
        assert_eq!(shells.len(), ran, "{what}: {fresh:#?}");
        for event in shells {
            assert_eq!(vhost(event), ["known", "shop", "failure"], "{what}: {event:#}");
        }
        assert!(!said.contains("true"), "{what}: the shell started: {said:?}");
    }
}

/// The settings that an oddly framed request brings are judged.
#[test]
fn oddly_framed_settings_are_judged() {
    enter();
    let place = Place::new();
    let (guard, fpm) = site(&place, "mode = \"enforce\"\n[rules.php-ini]\nmode = \"enforce\"\n");
    let script = place.join("www/act.php");
    let params = pairs(&[
        ("SCRIPT_FILENAME", script.to_str().expect("a path")),
        ("REQUEST_METHOD", "GET"),
        ("QUERY_STRING", "do=quiet"),
        ("PHP_VALUE", "auto_prepend_file=/etc/hostname"),
    ]);
    for (version, id) in [(1, 1), (2, 1), (1, 2)] {
        let stream = [
            record(version, BEGIN, 1, &RESPONDER, 0),
            record(version, PARAMS, id, &params, 0),
            record(version, PARAMS, id, &[], 0),
            record(version, STDIN, id, &[], 0),
        ];
        let mut events = guard.events();
        events.fresh();
        let said = answer(&fpm.socket, &[stream.concat()]);
        let rules: Vec<String> = events.fresh().iter().map(|event| event.text("rule.id").to_owned()).collect();
        assert_eq!(rules, ["php-ini"], "version {version}, id {id}: {said:?}");
        assert!(!said.contains("quiet"), "{said:?}");
    }
}

/// Parameters that end in the middle of one may bring any setting.
#[test]
fn settings_that_cannot_be_read_are_unknown() {
    enter();
    for (mode, outcome) in [("enforce", "failure"), ("audit", "success")] {
        let place = Place::new();
        let (guard, fpm) = site(&place, &format!("mode = \"{mode}\"\n[rules.php-ini]\nmode = \"{mode}\"\n"));
        let script = place.join("www/act.php");
        let params = pairs(&[("SCRIPT_FILENAME", script.to_str().expect("a path")), ("PHP_VALUE", "precision=9")]);
        let cut = &params[..params.len() - 3];
        let stream =
            [record(1, BEGIN, 1, &RESPONDER, 0), record(1, PARAMS, 1, cut, 0), record(1, PARAMS, 1, &[], 0)].concat();
        let mut events = guard.events();
        events.fresh();
        answer(&fpm.socket, &[stream]);
        let facts: Vec<[String; 3]> = events
            .fresh()
            .iter()
            .map(|event| ["rule.id", "portcullis.unknown", "event.outcome"].map(|field| event.text(field).to_owned()))
            .collect();
        assert_eq!(facts, [["php-ini", "request", outcome]]);
    }
}

/// A request's first script leaves a part of its body, in which the client hid another request: where PHP-FPM
/// runs that, it is judged as what it is.
#[test]
fn a_request_in_a_body_that_is_left() {
    enter();
    let place = Place::new();
    let (guard, fpm) = site(&place, SHOP);
    place.write("www/half.php", "<?php $input = fopen('php://input', 'r'); echo strlen(fread($input, 10));");
    let root = place.join("www/shop");
    let (script, half) = (root.join("act.php"), place.join("www/half.php"));
    let params = pairs(&[
        ("SCRIPT_FILENAME", script.to_str().expect("a path")),
        ("DOCUMENT_ROOT", root.to_str().expect("a path")),
        ("REQUEST_METHOD", "GET"),
        ("QUERY_STRING", "do=shell"),
    ]);
    let hidden =
        [record(1, BEGIN, 1, &RESPONDER, 0), record(1, PARAMS, 1, &params, 0), record(1, PARAMS, 1, &[], 0)].concat();
    let mut events = guard.events();
    // PHP reads bodies in pieces of one of these sizes.
    for piece in [0x1000, 0x2000, 0x4000] {
        let body = [&vec![b'x'; piece][..], &hidden, &[b'x'; 600]].concat();
        let length = body.len().to_string();
        let params = pairs(&[
            ("SCRIPT_FILENAME", half.to_str().expect("a path")),
            ("DOCUMENT_ROOT", place.join("www").to_str().expect("a path")),
            ("REQUEST_METHOD", "POST"),
            ("CONTENT_TYPE", "application/octet-stream"),
            ("CONTENT_LENGTH", &length),
        ]);
        let stream = [
            record(1, BEGIN, 1, &KEPT, 0),
            record(1, PARAMS, 1, &params, 0),
            record(1, PARAMS, 1, &[], 0),
            record(1, STDIN, 1, &body, 0),
            record(1, STDIN, 1, &[], 0),
        ];
        let said = answer(&fpm.socket, &[stream.concat()]);
        let shells: Vec<Value> = events.fresh();
        for event in &shells {
            assert_eq!(vhost(event), ["known", "shop", "failure"], "{event:#}");
        }
        assert!(!said.contains("true"), "{said:?}");
    }
}

/// A value that was cut is no value of another virtual host, and no value at all: where a match asks for it, the strictest.
#[test]
fn values_that_were_cut_are_judged_by_the_strictest() {
    enter();
    for key in ["script", "document_root", "server_name"] {
        let place = Place::new();
        let folder = format!("www/{}", ["d".repeat(200), "e".repeat(200), "f".repeat(200)].join("/"));
        place.pages();
        let long =
            place.write(&format!("{folder}/shell.php"), "<?php echo var_export(shell_exec('exit 0') !== false, true);");
        let (wanted, of_server) = match key {
            "script" => (place.join("www/dd"), format!("fastcgi_param SCRIPT_FILENAME {};", long.display())),
            "document_root" => (
                place.join("www/dd"),
                format!(
                    "fastcgi_param SCRIPT_FILENAME {}/www/way.php; fastcgi_param QUERY_STRING way=system; fastcgi_param DOCUMENT_ROOT {};",
                    place.path().display(),
                    long.parent().expect("a folder").display()
                ),
            ),
            _ => (
                "shop.example".into(),
                format!(
                    "fastcgi_param SCRIPT_FILENAME {}; fastcgi_param SERVER_NAME {}.example;",
                    long.display(),
                    "s".repeat(300)
                ),
            ),
        };
        // Another key that the request has not.
        let other = "[[vhost]]\nname = \"pool\"\nmatch = { pool = \"another\" }\nmode = \"audit\"\n";
        let policy = format!(
            "mode = \"audit\"\n{other}[[vhost]]\nname = \"shop\"\nmatch = {{ {key} = \"{}\" }}\nmode = \"enforce\"\n",
            wanted.display()
        );
        let guard = place.guard_of_every_event(&policy);
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let location =
            format!("location / {{ include /etc/nginx/fastcgi_params; {of_server} fastcgi_pass {}; }}", fpm.address);
        // The later of two values counts.
        let nginx = Nginx::start(&place, None, &location);
        http::get(nginx.port, "/");
        let events = guard.events().all();
        let shells: Vec<&Value> = events.iter().filter(|event| event.text("rule.id") == "shell-spawn").collect();
        assert!(!shells.is_empty(), "{key}: {events:#?}");
        for event in shells {
            assert_eq!(vhost(event), ["unknown", "", "failure"], "{key}: {event:#}");
        }
    }
}

/// A page, and a program that it starts, connect to the page's own pool and name a virtual host of milder policy.
#[test]
fn a_request_from_the_pools_own_tree_is_unknown() {
    enter();
    for (mode, by) in [("audit", "page"), ("audit", "program"), ("enforce", "page"), ("enforce", "program")] {
        let place = Place::new();
        let policy = format!(
            "mode = \"enforce\"\n[rules.fpm-socket]\nmode = \"{mode}\"\n[exec]\nshells = [\"sh\"]\n[rules.stdio-socket]\nmode = \"audit\"\n[[vhost]]\nname = \"mild\"\nmatch = {{ document_root = \"/mild\" }}\nmode = \"audit\"\n"
        );
        let www = place.pages();
        let guard = place.guard_of_every_event(&policy);
        let lines = "pm.max_children = 2".into();
        let fpm = Fpm::start(&place, Some(&guard), &Pool { lines, ..Pool::default() });
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
        let script = www.join("act.php");
        let params = pairs(&[
            ("SCRIPT_FILENAME", script.to_str().expect("a path")),
            ("DOCUMENT_ROOT", "/mild"),
            ("REQUEST_METHOD", "GET"),
            ("QUERY_STRING", "do=shell"),
        ]);
        let stream = [
            record(1, BEGIN, 1, &RESPONDER, 0),
            record(1, PARAMS, 1, &params, 0),
            record(1, PARAMS, 1, &[], 0),
            record(1, STDIN, 1, &[], 0),
        ];
        let file = place.join("stream");
        std::fs::write(&file, stream.concat()).expect("a file");
        let (socket, file) = (fpm.socket.display(), file.display());
        let page = match by {
            "page" => format!(
                "<?php $s = stream_socket_client('unix://{socket}'); fwrite($s, file_get_contents('{file}')); echo stream_get_contents($s);"
            ),
            _ => format!(
                "<?php $code = 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => shift) or die; open my $f, q(<), shift; local $/; print $s scalar <$f>; $s->flush; print scalar <$s>'; \
                 $p = proc_open(['/usr/bin/perl', '-e', $code, '{socket}', '{file}'], [1 => ['pipe', 'w']], $pipes); echo stream_get_contents($pipes[1]);"
            ),
        };
        place.write("www/within.php", &page);
        let said = http::get(nginx.port, "/within.php").body;
        assert!(!said.contains("true"), "{mode} {by}: {said:?}");
        let events = guard.events().all();
        let of =
            |rule: &str| events.iter().filter(|event| event.text("rule.id") == rule).map(vhost).collect::<Vec<_>>();
        let refused = mode == "enforce";
        // The connection, and where that is made the request that comes by it.
        let (connects, comes) = (["known", "", "success"], ["unknown", "", "success"]);
        let wanted = if refused { vec![["known", "", "failure"]] } else { vec![connects, comes] };
        assert_eq!(of("fpm-socket"), wanted, "{by}: {said:?} {events:#?}");
        let pool: Vec<&Value> = events.iter().filter(|event| event.text("rule.id") == "fpm-socket").collect();
        if let [made, came] = pool.as_slice() {
            // It names the process that made the connection.
            let peer = format!("a request from the pool's own tree: process {}", made["process"]["pid"]);
            assert_eq!(came.text("portcullis.detail"), peer, "{by}");
        }
        let shells = of("shell-spawn");
        assert_eq!(shells, vec![["unknown", "", "failure"]; usize::from(!refused)], "{mode} {by}: {said:?}");
    }
}
