//! What the journal says of who sent an event: the supervisor and a master are root, and so is a daemon that passes on what others give it.

use super::{compile, run, run_page};
use crate::harness::{
    Fpm, Guard, Listeners, Nginx, OUTSIDE4, Place, Pool, enter, journald, own_run_and_dev, wait_until,
};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Child, Command, Stdio};

const REFUSED: u16 = 4444;

/// What the command makes of the journal.
fn shown(place: &Place) -> Vec<Value> {
    let done = place.portcullis().args(["events", "--json"]).output().expect("portcullis");
    let text = String::from_utf8(done.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Passes `event` on as root, by a daemon that is there until it is dropped.
fn relay(event: &Value) -> Daemon {
    let perl = "use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); local $/; my $entry = <STDIN>; \
                send($s, $entry, 0, sockaddr_un('/run/systemd/journal/socket')) or die; sleep 60";
    let mut daemon = Command::new("perl").args(["-e", perl]).stdin(Stdio::piped()).spawn().expect("perl");
    let entry = format!("SYSLOG_IDENTIFIER=portcullis\nMESSAGE={event}\n");
    daemon.stdin.take().expect("a pipe").write_all(entry.as_bytes()).expect("written");
    Daemon(daemon)
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_daemon_of_root_speaks_for_nobody_else() {
    enter();
    own_run_and_dev();
    let _journald = journald();
    let _listeners = Listeners::on(&[REFUSED]);
    let place = Place::new();
    let www = place.pages();
    run_page(&place);
    let text = "mode = \"audit\"\n[log]\nsink = [\"journald\"]\nmerge = false\n[backstop]\nseccomp = \"supervise\"\n\
                [rules.exec-place]\nmode = \"off\"\n";
    let guard = Guard::new(&place, place.write("etc/portcullis.toml", text), place.join("nowhere"));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, Some(&guard), &fpm.nginx_location(&www));
    let helper = compile(&place, "hide", &[]);
    let perl = format!("use IO::Socket::INET; IO::Socket::INET->new(PeerAddr => '{OUTSIDE4}:{REFUSED}', Timeout => 5)");
    run(nginx.port, "localhost", &["perl", "-e", &perl]);
    // It loses the policy, so that the supervisor judges it.
    run(nginx.port, "localhost", &[&helper, "alone", "/run/portcullis", "perl", "-e", &perl]);
    let is_of =
        |event: &Value, layer: &str| event["portcullis"]["layer"] == layer && event["rule"]["id"] == "egress-port";
    wait_until("the events", || {
        let own = shown(&place);
        ["libc", "backstop"].iter().all(|layer| own.iter().any(|event| is_of(event, layer)))
    });
    let own = shown(&place);
    // The helper is root in a user namespace alone, and the journal knows better.
    let outside: Vec<&Value> =
        own.iter().filter(|event| event["process"]["name"] != "hide" && event["user"]["id"] == "33").collect();
    for event in &outside {
        assert_eq!(event["portcullis"]["contradicted"], Value::Null, "the guard's own: {event:#}");
    }
    let of = |layer: &str| own.iter().find(|event| is_of(event, layer)).expect("an event of that layer");
    let (backstop, libc) = (of("backstop"), of("libc"));
    assert_eq!(backstop["portcullis"]["contradicted"], Value::Null, "the supervisor: {backstop:#}");
    let _first = relay(backstop);
    wait_until("the first", || shown(&place).len() > own.len());
    let _second = relay(libc);
    wait_until("the second", || shown(&place).len() > own.len() + 1);
    let all = shown(&place);
    let marks: Vec<&Value> = all[own.len()..].iter().map(|event| &event["portcullis"]["contradicted"]).collect();
    assert_eq!(marks.len(), 2, "{all:#?}");
    assert_eq!(marks[0], &json!({ "process.executable": "/usr/bin/perl" }));
    assert!(marks[1]["process.pid"].is_u64(), "{}", marks[1]);
}
