//! Where a socket goes that its address does not say: source routes, and sockets without ports; by a program that a page starts,
//! through the hooks and past them.

use crate::harness::{Fpm, Nginx, Parts, Place, Pool, enter, every_rule, http};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const PAGE: &str = "<?php
$process = proc_open([__DIR__ . '/../' . $_GET['program'], $_GET['way']], [1 => ['pipe', 'w']], $pipes);
echo trim(stream_get_contents($pipes[1]));
";

/// A way, and what its event says: that the route is not known, or nothing beside the rule; no event where there is none.
const WAYS: [(&str, Option<&str>); 16] = [
    ("option", Some("route")),
    // That only has headers shown which come in (net/ipv6/ipv6_sockglue.c).
    ("older option", None),
    ("nothing set", None),
    ("other option", None),
    ("flow label", Some("route")),
    ("message", Some("route")),
    ("source route", Some("route")),
    ("record", None),
    ("fillers", None),
    // The kernel refuses that.
    ("half a route", None),
    ("message with a route", Some("route")),
    ("message with a record", None),
    ("ping", Some("")),
    ("ping behind", Some("")),
    ("ping handed on", Some("")),
    ("ping among many", Some("")),
];

fn run(command: &mut Command) {
    assert!(command.status().expect("a command").success());
}

/// The rule, what could not be judged (`portcullis.unknown`), and the outcome.
fn facts(events: &[Value]) -> Vec<[String; 3]> {
    let of = |event: &Value, path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    events
        .iter()
        .map(|event| ["/rule/id", "/portcullis/unknown", "/event/outcome"].map(|path| of(event, path)))
        .collect()
}

#[test]
fn what_the_address_does_not_say() {
    enter();
    for address in ["fd00:9::9/128", "2a00:bad::10/128"] {
        run(Command::new("ip").args(["-6", "address", "add", address, "dev", "lo", "nodad"]));
    }
    run(Command::new("sysctl").args(["-qw", "net.ipv4.ping_group_range=0 2147483647"]));
    run(Command::new("sysctl").args(["-qw", "net.ipv6.conf.lo.seg6_enabled=1"]));
    for (program, layer) in [("dynamic", "off"), ("dynamic", "supervise"), ("static", "supervise")] {
        for mode in ["bare", "audit", "enforce"] {
            let place = Place::new();
            let www = place.pages();
            place.write("www/routes.php", PAGE);
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/c/routes.c");
            let flag = if program == "static" { "-static" } else { "-O1" };
            run(Command::new("cc").args(["-w", flag, "-o"]).arg(place.join(program)).arg(source));
            let policy =
                format!("{}[egress]\nmode = \"{mode}\"\n[backstop]\nseccomp = \"{layer}\"\n", every_rule("off"));
            let guard = (mode != "bare").then(|| place.guard_of_every_event(&policy));
            let fpm = Fpm::start(&place, guard.as_ref(), &Pool::default());
            let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
            for (way, what) in WAYS {
                let mut events = guard.as_ref().map(|guard| guard.events());
                events.as_mut().map(|events| events.fresh());
                let page = format!("/routes.php?program={program}&way={}", way.replace(' ', "%20"));
                let said = http::get(nginx.port, &page).body;
                let case = format!("{program} {layer} {mode} {way}");
                match what {
                    Some(_) if mode == "enforce" => assert!(said.ends_with(" 13"), "{case}: {said}"),
                    _ => assert!(!said.is_empty() && !said.ends_with(" 13"), "{case}: {said}"),
                }
                let Some(events) = &mut events else { continue };
                let outcome = if mode == "enforce" { "failure" } else { "success" };
                // The supervisor knows the control messages that do no harm, and no others.
                let is_read = !(program == "static" && way.starts_with("message"));
                let wanted = what.map(|what| ["egress-port", if is_read { what } else { "socket" }, outcome]);
                let wanted = wanted.map(|wanted| wanted.map(str::to_owned));
                let mut found = events.fresh();
                // In audit, the connect of a datagram socket has an event beside the send's.
                found.retain(|event| event.text("portcullis.detail") != "nothing sent yet");
                assert_eq!(facts(&found), Vec::from_iter(wanted), "{case}");
                for event in found.iter().filter(|event| event.text("portcullis.unknown") == "route") {
                    assert_eq!(event.text("event.action"), "socket_route", "{case}");
                    let said = event.text("message");
                    assert!(said.contains("where a socket's packets go: a"), "{case}: {said}");
                    assert!(event.get("destination").is_none(), "{case}");
                }
            }
        }
    }
}
