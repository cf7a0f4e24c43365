//! A PHP-FPM that reads its requests by what is not hooked.

use crate::harness::{Fpm, Listeners, Parts, Place, Pool, enter, http};
use crate::running::ControlGroup;
use crate::vhosts::{guard, nginx};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A policy that cannot apply is an error, not silence: where no request is recognised, every page is the strictest virtual host's.
#[test]
fn a_worker_whose_requests_are_not_seen_has_the_strictest_policy_and_says_so() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let guard = guard(&place, ("", ""));
    let past = place.join("past.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/c/past.c");
    let done = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&past).arg(source).status().expect("cc");
    assert!(done.success());
    let both = format!("LD_PRELOAD={}:{}", past.display(), guard.library.display());
    let alone = format!("LD_PRELOAD={}", past.display());
    let config = format!("PORTCULLIS_CONFIG={}", guard.config.display());
    let lines = || Pool { lines: "pm.max_children = 1".into(), ..Pool::default() };
    // Bare, every page does what it likes.
    let fpm = Fpm::start_in(&place, None, &lines(), &["/usr/bin/env", &alone]);
    let server = nginx(&place, &fpm, false);
    for host in ["shop.example", "other.example"] {
        assert_eq!(http::get_host(server.port, host, "/act.php?do=shell").body, "true", "{host}");
    }
    drop((server, fpm));
    let mut events = guard.events();
    // A unit of its own, as others' servers run beside this one.
    let unit = format!("unseen-{}.service", std::process::id());
    let group = ControlGroup::new(&[&unit]);
    let by = ["/bin/sh", "-c", &group.enter(), "sh", "/usr/bin/env", &both, &config];
    let fpm = Fpm::start_in(&place, None, &lines(), &by);
    let server = nginx(&place, &fpm, false);
    for host in ["shop.example", "other.example", "blog.example"] {
        assert_eq!(http::get_host(server.port, host, "/act.php?do=shell").body, "false", "{host}");
    }
    let fresh = events.fresh();
    let (said, refused): (Vec<&Value>, Vec<&Value>) =
        fresh.iter().partition(|event| event.text("rule.id") == "guard-policy");
    assert_eq!(refused.len(), 3, "{fresh:#?}");
    for event in refused {
        assert_eq!((event.text("event.outcome"), event.text("portcullis.request.state")), ("failure", "unknown"));
        assert_eq!(event.text("portcullis.request.pool"), "www");
    }
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].text("message").contains("requests are not seen"), "{said:#?}");
    let status = Command::new(guard.library.with_file_name("portcullis")).arg("status").output().expect("portcullis");
    let text = String::from_utf8_lossy(&status.stdout);
    let of_unit = text.lines().skip_while(|line| !line.contains(&unit)).take_while(|line| !line.is_empty());
    assert!(of_unit.into_iter().any(|line| line.contains("NO REQUESTS")), "{text}");
    assert_eq!(status.status.code(), Some(1), "{text}");
}
