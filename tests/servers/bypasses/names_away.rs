//! The credit of an allowed name is for those who look it up where their server does.

use super::{run, run_page};
use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter, http};
use std::process::Command;

const HOSTS: &str = "192.88.1.10 api.example other.example\n";
const PAGE: &str =
    "<?php foreach (['api', 'other'] as $name) { @fsockopen(\"$name.example\", 4446, $n); echo \"$n \"; }";
/// Resolves and connects, first of all in mounts of its own, in which the file is the hosts'.
const AWAY: &str = "
import ctypes, socket, sys
libc = ctypes.CDLL(None)
if len(sys.argv) > 1:
    assert libc.unshare(0x10020000) == 0
    assert libc.mount(sys.argv[1].encode(), b'/etc/hosts', None, 4096, None) == 0
address = socket.gethostbyname('api.example')
print(address, socket.socket().connect_ex((address, 4446)))
";

fn guard(place: &Place) -> Guard {
    place.guard_of_every_event("mode = \"enforce\"\n[egress]\nallow = [\"api.example:4446\"]\n")
}

#[test]
fn mounts_of_a_program_give_no_credit() {
    enter();
    let place = Place::new();
    let www = place.pages();
    run_page(&place);
    place.write("www/names.php", PAGE);
    let (hosts, own) = (place.write("hosts", HOSTS), place.write("own", "192.88.1.11 api.example\n"));
    let done = Command::new("mount").arg("--bind").arg(&hosts).arg("/etc/hosts").status();
    assert!(done.expect("mount").success());
    let script = place.write("away.py", AWAY);
    let guard = guard(&place);
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
    assert_eq!(http::get(nginx.port, "/names.php").body, "111 13 ");
    let mut events = guard.events();
    events.fresh();
    let words = ["/usr/bin/python3", script.to_str().expect("a path"), own.to_str().expect("a path")];
    assert_eq!(run(nginx.port, "localhost", &words[..2]), "192.88.1.10 111\n 0");
    assert!(events.fresh().iter().all(|event| event.text("rule.id") != "egress-port"));
    assert_eq!(run(nginx.port, "localhost", &words), "192.88.1.11 13\n 0");
    let fresh = events.fresh();
    let event = fresh.iter().find(|event| event.text("rule.id") == "egress-port").expect("an event");
    assert_eq!((event.text("event.outcome"), event.text("destination.domain")), ("failure", ""));
}

/// The root of a chrooted pool is its workers' own.
#[test]
fn a_chrooted_pool_has_the_credit_of_its_names() {
    enter();
    let place = Place::new();
    place.write("jail/www/names.php", PAGE);
    place.write("jail/etc/hosts", HOSTS);
    place.write("jail/etc/nsswitch.conf", "hosts: files\n");
    let guard = guard(&place);
    let lines = format!("chroot = {}", place.join("jail").display());
    let fpm = Fpm::start(&place, Some(&guard), &Pool { lines, ..Pool::default() });
    let location = format!(
        "location / {{ include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME /www/names.php; fastcgi_pass {}; }}",
        fpm.address
    );
    let nginx = Nginx::start(&place, None, &location);
    for _ in 0..4 {
        assert_eq!(http::get(nginx.port, "/").body, "111 13 ");
    }
}
