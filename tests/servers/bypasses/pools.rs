//! Many pools of one PHP-FPM that share a script, of which each has one call refused: each pool has an event of its own.

use crate::harness::{Fpm, Nginx, Parts, Place, Pool, calls, enter, http};
use std::collections::BTreeSet;

/// 1,000 in the long form of the tests.
fn count() -> usize {
    if std::env::var_os("TORTURE").is_some_and(|form| form == "long") { 1000 } else { 100 }
}

/// Of rules of every gravity: a shell is never merged away when it is refused; a listener is.
fn named(rule: &str, mode: &str, code: &str) {
    enter();
    let place = Place::new();
    let guard = place.guard(&format!("mode = \"{mode}\"\n[rules.listen-port]\nmode = \"{mode}\"\n"));
    let script = place.write("www/shared.php", &format!("<?php error_reporting(0); {code}; echo 'done';"));
    let (mut pools, mut locations) = (String::new(), String::new());
    for number in 0..count() {
        let socket = place.join(&format!("{number}.sock"));
        pools += &format!(
            "[pool{number}]\nuser = {}\nlisten = {}\nlisten.mode = 0666\npm = ondemand\npm.max_children = 1\n\
             pm.process_idle_timeout = 1s\n",
            if number % 2 == 0 { "www-data" } else { "nobody" },
            socket.display()
        );
        locations += &format!(
            "location = /{number} {{ include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {}; \
             fastcgi_param SERVER_NAME shop.example; fastcgi_pass unix:{}; }}\n",
            script.display(),
            socket.display()
        );
    }
    let global = "rlimit_files = 8192".to_owned();
    let _fpm = Fpm::start(&place, Some(&guard), &Pool { lines: pools, global, ..Pool::default() });
    let nginx = Nginx::start(&place, None, &locations);
    for number in 0..count() {
        assert_eq!(http::get(nginx.port, &format!("/{number}")).body, "done", "pool{number}");
    }
    let events = guard.events().all();
    let fired: Vec<_> = events.iter().filter(|event| event.text("rule.id") == rule).collect();
    let names: BTreeSet<&str> = fired.iter().map(|event| event.text("portcullis.request.pool")).collect();
    let missing: Vec<String> =
        (0..count()).map(|number| format!("pool{number}")).filter(|name| !names.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{rule} in {mode}: {} of {} pools have no event: {missing:?}", missing.len(), count());
    assert_eq!(calls(&events), count() as u64, "{rule} in {mode}");
}

#[test]
fn every_pool_has_its_refused_shell() {
    named("shell-spawn", "enforce", "shell_exec('id')");
}

#[test]
fn every_pool_has_its_shell_in_audit() {
    named("shell-spawn", "audit", "shell_exec('id')");
}

#[test]
fn every_pool_has_its_refused_listener() {
    named("listen-port", "enforce", "stream_socket_server('tcp://127.0.0.1:4480')");
}
