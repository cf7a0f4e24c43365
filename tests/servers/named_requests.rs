//! Which request an event names: under load, with hostile requests, for processes that outlive the request, and without one.

use crate::harness::{Apache, Fpm, Kind, Nginx, Parts, Place, Pool, Process, enter, http, named, wait_until};
use crate::vhosts::{guard, last, nginx, of_request};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

/// One request as it goes over the wire; what comes back until the server closes.
fn raw(port: u16, head: &str, body: &[u8], abort: bool) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let _ = stream.write_all(head.as_bytes());
    if abort {
        let _ = stream.write_all(&body[..body.len() / 2]);
        return String::new();
    }
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Requests with tokens, in random order, to all hosts at once: each event names the right one, none is missing.
#[test]
fn under_load_each_event_names_the_right_request() {
    const THREADS: u32 = 16;
    let count: u32 = std::env::var("PORTCULLIS_REQUESTS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    enter();
    let place = Place::new();
    let guard = guard(&place, ("mode = \"off\"", "mode = \"audit\""));
    let fpm = Fpm::start(&place, Some(&guard), &Pool { lines: "pm.max_children = 8".into(), ..Pool::default() });
    let nginx = nginx(&place, &fpm, true);
    let hosts =
        [("shop.example", "shop"), ("blog.example", "blog"), ("de.wiki.example", "wiki"), ("other.example", "")];
    let big = vec![b'x'; 2 << 20];
    let wanted: Vec<(String, &str, &str, bool)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (big, hosts) = (&big, &hosts);
                let port = nginx.port;
                scope.spawn(move || {
                    let mut asked = Vec::new();
                    let mut random = thread.wrapping_mul(2_654_435_761).wrapping_add(1);
                    for number in 0..count / THREADS {
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let (host, vhost) = hosts[(random >> 28) as usize % 4];
                        let token = format!("t{thread}-{number}");
                        let kind = (random >> 20) % 100;
                        let what = if kind < 40 { "shell" } else { "quiet" };
                        let path = format!("/act.php?do={what}&token={token}");
                        let get = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                        match kind {
                            // Given up half-way through the body.
                            95..=96 => {
                                let length = 100_000;
                                let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
                                raw(port, &head, &big[..length], true);
                                continue;
                            }
                            // Megabytes of body.
                            97 => {
                                let path = format!("/act.php?do=body&token={token}");
                                let head = format!(
                                    "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                                    big.len()
                                );
                                let answer = raw(port, &head, big, false);
                                assert!(answer.contains("200 OK"), "{answer}");
                                asked.push((path, host, vhost, true));
                                continue;
                            }
                            // Several requests of one connection, sent in one go.
                            98..=99 => {
                                let more: Vec<String> =
                                    (0..4).map(|nth| format!("/act.php?do=shell&token={token}-{nth}")).collect();
                                let mut all = get.replace("close", "keep-alive");
                                for (nth, next) in more.iter().enumerate() {
                                    let get = get.replace(&path, next);
                                    all += &if nth < 3 { get.replace("close", "keep-alive") } else { get };
                                }
                                raw(port, &all, b"", false);
                                asked.extend(more.into_iter().map(|next| (next, host, vhost, true)));
                            }
                            _ => drop(raw(port, &get, b"", false)),
                        }
                        asked.push((path, host, vhost, what == "shell"));
                    }
                    asked
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    });
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for event in guard.events().all() {
        let uri = event.text("url.original").to_owned();
        assert!(seen.insert(uri.clone(), event).is_none(), "{uri} twice");
    }
    let expected: Vec<_> = wanted.iter().filter(|request| request.3).collect();
    assert!(expected.len() > count as usize / 3, "{}", expected.len());
    for (path, host, vhost, _) in &expected {
        let event = seen.remove(path).unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(of_request(&event), ["known", vhost, host, path]);
        let outcome = if *vhost == "shop" { "failure" } else { "success" };
        assert_eq!(event.text("event.outcome"), outcome);
        assert_eq!(event["portcullis"]["dropped"], 0);
    }
    // An aborted POST may have started its shell.
    assert!(seen.values().all(|event| event.text("http.request.method") == "POST"), "{seen:#?}");
}

#[test]
fn hostile_requests_are_one_valid_line_each() {
    enter();
    let place = Place::new();
    let guard = guard(&place, ("", ""));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let location = fpm.nginx_location(&place.join("www"));
    let buffers = "large_client_header_buffers 4 80k; fastcgi_buffers 16 16k;";
    let nginx = Nginx::start(&place, None, &format!("{buffers}\n{location}"));
    // nginx refuses parameters of more than 64 KiB together; Apache leaves out one of more than 16 KiB, and sends more in
    // several records.
    let long = "u".repeat(30_000);
    for uri in ["%22%0a%00%1b[31m", "\u{ff}\"'\\<>", "é", &long] {
        let head = format!("GET /act.php?do=shell&{uri} HTTP/1.0\r\nHost: a\"b\r\n\r\n");
        raw(nginx.port, &head, b"", false);
    }
    // Bytes that are no UTF-8.
    let mut stream = TcpStream::connect(("127.0.0.1", nginx.port)).expect("nginx");
    stream.write_all(b"GET /act.php?do=shell&\xff\xfe\x80 HTTP/1.0\r\nHost: x\r\n\r\n").expect("sent");
    let _ = stream.read_to_end(&mut Vec::new());
    let apache = Apache::start(&place, None, Kind::ProxyFcgi, Some(&fpm), "LimitRequestLine 80000\n");
    let answer =
        raw(apache.port, &format!("GET /act.php?do=shell&{} HTTP/1.0\r\n\r\n", "v".repeat(12_000)), b"", false);
    assert!(answer.contains("200 OK"), "{answer}");
    let events = guard.events().all();
    assert!(last(&guard).text("url.original").starts_with("/act.php?do=shell&vvvv"));
    assert!(events.len() >= 5, "{}", events.len());
    assert!(events.iter().any(|event| event.text("url.original").ends_with('…')), "the long one is cut");
    assert!(events.iter().any(|event| event.text("url.original").contains('\u{fffd}')));
}

/// A server that speaks no FastCGI: no request, and it says so.
#[test]
fn without_a_request_the_event_says_so() {
    enter();
    let place = Place::new();
    let www = place.pages();
    let guard = place.guard("[[vhost]]\nname = \"all\"\nmatch = { document_root = \"/\" }\nmode = \"enforce\"\n");
    let mut command = Command::new(named("/usr/bin/phpX.Y"));
    command.args(["-S", "127.0.0.1:8083", "-t"]).arg(www);
    let _process = Process::start(command, Some(&guard));
    wait_until("php -S", || TcpStream::connect(("127.0.0.1", 8083)).is_ok());
    assert_eq!(http::get(8083, "/act.php?do=shell").body, "true");
    let event = last(&guard);
    assert_eq!((of_request(&event), event.text("event.outcome")), (["none", "", "", ""], "success"));
}

/// A process that a request left behind is that request's, whatever the worker serves by now.
#[test]
fn a_process_left_in_the_background_keeps_its_request() {
    enter();
    let place = Place::new();
    let guard = guard(&place, ("mode = \"enforce\"", "mode = \"audit\""));
    let fpm = Fpm::start(&place, Some(&guard), &Pool { lines: "pm.max_children = 1".into(), ..Pool::default() });
    let nginx = nginx(&place, &fpm, false);
    let go = place.join("go");
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let page = format!("<?php exec(\"({wait}; sh -c 'exit 0') >/dev/null 2>&1 &\");");
    std::fs::write(place.join("www/shop/left.php"), page).expect("a page");
    http::get_host(nginx.port, "shop.example", "/left.php");
    http::get_host(nginx.port, "blog.example", "/act.php?do=shell");
    let before = guard.events().all();
    assert_eq!(of_request(before.last().expect("an event"))[1], "blog");
    std::fs::write(&go, "").expect("a file");
    wait_until("the process", || guard.events().all().len() > before.len());
    assert_eq!(of_request(&last(&guard)), ["known", "shop", "shop.example", "/left.php"]);
    assert_eq!(last(&guard).text("portcullis.role"), "descendant");
}

/// A descendant that serves by itself stays its request's.
#[test]
fn a_descendant_that_accepts_keeps_its_request() {
    enter();
    let place = Place::new();
    let guard = guard(&place, ("mode = \"enforce\"", "mode = \"audit\""));
    let script = "use IO::Socket::INET; my $l = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');\n\
                  my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $l->sockport); my $s = $l->accept;\n\
                  system('true; true');\n";
    let script = place.write("accepts.pl", script);
    std::fs::write(place.join("www/shop/starts.php"), format!("<?php shell_exec('perl {}');", script.display()))
        .expect("a page");
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = nginx(&place, &fpm, false);
    http::get_host(nginx.port, "shop.example", "/starts.php");
    let event = last(&guard);
    assert_eq!(event.text("portcullis.chain"), "php-fpm: pool www > sh > perl > sh");
    assert_eq!(of_request(&event), ["known", "shop", "shop.example", "/starts.php"]);
}
