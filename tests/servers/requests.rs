//! The number of a request: the same in all that was done for it, by whatever process, and another in the next.

use crate::harness::{Apache, Fpm, Kind, Nginx, Parts, Place, Pool, enter, every_rule, http};
use std::collections::BTreeSet;

/// Shells by fork and exec, where the child alone would know the number that it makes, by popen, and by what these start.
const MANY: &str = r#"<?php
foreach ([1, 2] as $again) {
    $child = proc_open(['/bin/sh', '-c', '(sh -c "exit 0"); true'], [], $pipes);
    proc_close($child);
}
shell_exec('sh -c "exit 0"; true');
"#;

fn ids(events: &[serde_json::Value]) -> BTreeSet<&str> {
    events.iter().map(|event| event.text("http.request.id")).collect()
}

#[test]
fn one_number_a_request_in_fpm() {
    enter();
    for backstop in ["off", "supervise"] {
        let place = Place::new();
        let guard = place.guard(&format!("{}[backstop]\nseccomp = \"{backstop}\"", every_rule("audit")));
        let www = place.pages();
        place.write("www/many.php", MANY);
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
        let mut events = guard.events();
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            http::get(nginx.port, "/many.php");
            let fresh = events.fresh();
            assert!(fresh.len() >= 5, "{fresh:#?}");
            assert!(fresh.iter().any(|event| event.text("portcullis.role") == "descendant"), "{fresh:#?}");
            let ids = ids(&fresh);
            assert!(ids.len() == 1 && !ids.contains(""), "{backstop}: {ids:?} {fresh:#?}");
            assert!(seen.insert(ids.first().map(|id| (*id).to_owned())), "each request has its own");
        }
    }
}

/// A CGI program's request is known from its environment: what it starts has its number.
#[test]
fn one_number_a_request_in_cgi() {
    enter();
    let place = Place::new();
    let www = place.pages();
    let script = "#!/bin/sh\necho 'Content-Type: text/plain'\necho\nsh -c 'exit 0'; (sh -c 'exit 0')\n";
    std::fs::write(www.join("many.cgi"), script).expect("a script");
    std::fs::set_permissions(www.join("many.cgi"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("permissions");
    let guard = place.guard("mode = \"audit\"");
    let apache = Apache::start(&place, Some(&guard), Kind::Cgi, None, "");
    let mut events = guard.events();
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        http::get(apache.port, "/many.cgi");
        let fresh = events.fresh();
        assert!(fresh.len() >= 2, "{fresh:#?}");
        let ids = ids(&fresh);
        assert!(ids.len() == 1 && !ids.contains(""), "{ids:?} {fresh:#?}");
        assert!(seen.insert(ids.first().map(|id| (*id).to_owned())));
    }
}
