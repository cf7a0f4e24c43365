//! What a program without hooks can change between the supervisor's judgement and the kernel's look, and what the supervisor does
//! in its place: the same that the kernel would have done for the program.

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Fpm, Guard, Nginx, OUTSIDE4, Parts, Place, enter};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// Servers of which one virtual host may go to port 4444 of the outside address, and one is in audit.
fn servers(place: &Place) -> (Guard, Fpm, Nginx) {
    let audited = format!(
        "[[vhost]]\nname = \"audited\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n",
        place.join("www/strict").display()
    );
    servers_with(place, &audited)
}

const ENFORCED: &str = "other1.example";
const AUDITED: &str = "strict.example";

fn said(socket: &UdpSocket) -> Vec<String> {
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
    let mut bytes = [0; 64];
    let mut all = Vec::new();
    while let Ok(len) = socket.recv(&mut bytes) {
        all.push(String::from_utf8_lossy(&bytes[..len]).into_owned());
    }
    all
}

/// The supervisor is root: a local socket that only root may connect to is not connected for anybody else. Where another thread could
/// put another socket in its place, the policy decides.
#[test]
fn a_local_socket_is_the_program_s_own_affair() {
    enter();
    let place = Place::new();
    let sockets = compile(&place, "raw_sockets", &["-static", "-pthread"]);
    let (guard, _fpm, nginx) = servers(&place);
    let (private, open) = (place.join("private.sock"), place.join("open.sock"));
    let _listeners = [(&private, 0o600), (&open, 0o666)].map(|(path, mode)| {
        let listener = UnixListener::bind(path).expect("a socket");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        listener
    });
    let mut events = guard.events();
    for (host, outcome, threads) in [(ENFORCED, "failure", "-1:13 "), (AUDITED, "success", "0:0 ")] {
        let ask =
            |way: &str, path: &std::path::Path| run(nginx.port, host, &[&sockets, way, path.to_str().expect("a path")]);
        assert!(ask("local", &private).starts_with("-1:13 "), "{host}");
        assert!(ask("local", &open).starts_with("0:0 "), "{host}");
        assert!(events.fresh().is_empty(), "{host}");
        assert!(ask("local-threads", &open).starts_with(threads), "{host}");
        let fresh = events.fresh();
        let facts: Vec<_> =
            fresh.iter().map(|event| (event.text("event.outcome"), event.text("portcullis.unknown"))).collect();
        assert_eq!(facts, [(outcome, "socket")], "{host}: {fresh:#?}");
    }
}

/// Whoever makes the call, its result is the same, and so is what arrives.
#[test]
fn messages_are_as_the_kernel_would_have_sent_them() {
    enter();
    let place = Place::new();
    let sockets = compile(&place, "raw_sockets", &["-static", "-pthread"]);
    let (guard, _fpm, nginx) = servers(&place);
    let to = UdpSocket::bind((OUTSIDE4, 4444)).expect("a port");
    let listener = TcpListener::bind((OUTSIDE4, 4444)).expect("a port");
    let (count, counted) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a stream");
            std::thread::sleep(Duration::from_millis(300));
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
            let _ = count.send(all.len());
        }
    });
    let mut events = guard.events();
    for host in [ENFORCED, AUDITED] {
        let ask = |words: &[&str]| run(nginx.port, host, &[&[sockets.as_str()], words].concat());
        assert_eq!(ask(&["sends"]), "3:0 10:0 2:0 5 7 0", "{host}");
        assert_eq!(said(&to), ["one", "two pieces", "first", "second!"], "{host}");
        assert!(ask(&["rights"]).starts_with("1:0 "), "{host}");
        assert_eq!(ask(&["pipe"]), "-1:32 1 0", "{host}");
        counted.recv_timeout(Duration::from_secs(10)).expect("a stream");
        // It waits for room, and nothing is lost.
        assert_eq!(ask(&["stream", "9000000"]), "0:0  0", "{host}");
        assert_eq!(counted.recv_timeout(Duration::from_secs(10)), Ok(9_000_000), "{host}");
        assert_eq!(ask(&["nonblocking", "90000000"]), "-1:11  0", "{host}");
        assert!(counted.recv_timeout(Duration::from_secs(10)).expect("a stream") > 0);
        if host == ENFORCED {
            assert!(events.fresh().is_empty());
        }
        let fresh = events.fresh();
        let answer = ask(&["control"]);
        let fresh_control = events.fresh();
        if host == ENFORCED {
            // What takes rights of the sender's is not sent with the supervisor's.
            assert!(answer.starts_with("1:0 -1:13 "), "{answer}");
            assert_eq!(said(&to), ["c"]);
            let unknown: Vec<_> = fresh_control.iter().map(|event| event.text("portcullis.unknown")).collect();
            assert_eq!(unknown, ["socket"], "{fresh_control:#?}");
        } else {
            // Each call towards the port has its event, and one only.
            assert!(fresh.iter().all(|event| event.text("rule.id") == "egress-port"), "{fresh:#?}");
            assert!(!answer.contains("-1:13"), "{answer}");
            assert_eq!(fresh_control.len(), 2, "{fresh_control:#?}");
        }
    }
}

/// The address of an allowed datagram is changed while it is judged: what is sent is what was judged.
#[test]
fn a_datagram_goes_where_it_was_judged_to_go() {
    enter();
    let place = Place::new();
    let sockets = compile(&place, "raw_sockets", &["-static", "-pthread"]);
    let (guard, _fpm, nginx) = servers(&place);
    let (allowed, refused) =
        (UdpSocket::bind((OUTSIDE4, 4444)).expect("a port"), UdpSocket::bind((OUTSIDE4, 4445)).expect("a port"));
    assert_eq!(run(nginx.port, ENFORCED, &[&sockets, "race"]), "done 0");
    assert!(!said(&allowed).is_empty());
    assert_eq!(said(&refused).len(), 0);
    assert!(!guard.events().all().is_empty());
}
