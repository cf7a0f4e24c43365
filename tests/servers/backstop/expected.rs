//! A program that libc starts for a hook, which has written its event, is no cover for another one.

use super::*;
use crate::harness::Process;
use std::io::Read;
use std::net::TcpStream;

#[test]
fn what_one_thread_expects_no_other_may_start() {
    starts(&[]);
}

/// Nor is it one for a child of the same thread, made in a handler.
#[test]
fn a_thread_may_start_what_it_announced_and_nothing_else() {
    starts(&["signal"]);
}

fn starts(more: &[&str]) {
    enter();
    let place = Place::new();
    let program = compile(&place, "tests/servers/c/expecting.c", "expecting", &["-pthread"]);
    let fifo = place.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let guard = place.guard(&config(&place, "audit"));
    let mut server = Command::new(program);
    server.arg("4321").arg(&fifo).args(more);
    let _server = Process::start(server, Some(&guard));
    let mut events = guard.events();
    for round in 0..3 {
        let mut connection = None;
        wait_until("the server", || {
            connection = TcpStream::connect("127.0.0.1:4321").ok();
            connection.is_some()
        });
        let mut said = String::new();
        connection.expect("a connection").read_to_string(&mut said).expect("an answer");
        assert_eq!(said, "7 done\n");
        let fresh = events.fresh();
        let mut layers: Vec<&str> = fresh.iter().map(|event| event.text("portcullis.layer")).collect();
        layers.sort_unstable();
        assert_eq!(layers, ["backstop", "libc"], "round {round}: {fresh:#?}");
    }
}
