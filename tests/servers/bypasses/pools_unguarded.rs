//! A program without the hooks reaches the pools of its own PHP-FPM.

use super::requests::{BEGIN, PARAMS, RESPONDER, STDIN, pairs, record};
use super::{compile, run, run_page};
use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter, http, wait_until};
use serde_json::Value;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

struct Site {
    place: Place,
    guard: Option<Guard>,
    nginx: Nginx,
    fpm: Fpm,
    client: String,
}

/// A site whose master has a second pool by TCP. The command `by` executes the master.
fn site(mode: &str, supervise: bool, by: &[&str]) -> Site {
    let place = Place::new();
    let www = place.pages();
    run_page(&place);
    let client = compile(&place, "pool_client", &["-static"]);
    let backstop = if supervise { "[backstop]\nseccomp = \"supervise\"\n" } else { "" };
    let policy = format!("mode = \"off\"\n[rules.fpm-socket]\nmode = \"{mode}\"\n{backstop}");
    let guard = (mode != "bare").then(|| place.guard_of_every_event(&policy));
    let lines = "pm.max_children = 2\n[other]\nuser = www-data\ngroup = www-data\nlisten = 0.0.0.0:9471\npm = static\npm.max_children = 1";
    let fpm = Fpm::start_in(&place, guard.as_ref(), &Pool { lines: lines.into(), ..Pool::default() }, by);
    std::os::unix::fs::symlink(&fpm.socket, place.join("link")).expect("a link");
    std::fs::hard_link(&fpm.socket, place.join("name")).expect("a name");
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
    Site { place, guard, nginx, fpm, client }
}

impl Site {
    fn run(&self, how: &str, to: &str) -> String {
        run(self.nginx.port, "localhost", &[&self.client, how, to]).trim_end_matches(" 0").to_owned()
    }

    /// A file with a request for a page.
    fn request(&self, script: &Path) -> PathBuf {
        let params = pairs(&[("SCRIPT_FILENAME", script.to_str().expect("a path")), ("REQUEST_METHOD", "GET")]);
        let stream = [
            record(1, BEGIN, 1, &RESPONDER, 0),
            record(1, PARAMS, 1, &params, 0),
            record(1, PARAMS, 1, &[], 0),
            record(1, STDIN, 1, &[], 0),
        ];
        let file = self.place.join("request");
        std::fs::write(&file, stream.concat()).expect("a file");
        file
    }
}

/// The rule, what could not be judged, and the outcome.
fn facts(events: &[Value]) -> Vec<[&str; 3]> {
    events.iter().map(|event| ["rule.id", "portcullis.unknown", "event.outcome"].map(|path| event.text(path))).collect()
}

/// However many generations lie between: the worker does not believe the request.
#[test]
fn a_request_from_within_is_known_after_many_generations() {
    enter();
    for (mode, said, outcome) in
        [("bare", "answered", ""), ("audit", "answered", "success"), ("enforce", "unanswered", "failure")]
    {
        let site = site(mode, false, &[]);
        let script = site.place.write("www/within.php", "<?php echo 'within';");
        let request = site.request(&script);
        let mut events = site.guard.as_ref().map(Guard::events);
        events.as_mut().map(|events| events.fresh());
        let words =
            [&site.client, "nested", site.fpm.socket.to_str().expect("a path"), request.to_str().expect("a path")];
        assert_eq!(run(site.nginx.port, "localhost", &words).trim_end_matches(" 0"), said, "{mode}");
        let Some(events) = &mut events else { continue };
        let mut fresh = Vec::new();
        wait_until("the event", || {
            fresh.extend(events.fresh());
            !fresh.is_empty()
        });
        assert_eq!(facts(&fresh), [["fpm-socket", "", outcome]], "{mode}");
    }
}

/// Connects in every way to both pools, and to what is none.
fn connects(site: &Site, mode: &str) {
    let path = site.place.path().display();
    let (socket, other) = (format!("{path}/fpm.sock"), format!("{path}/other.sock"));
    let listener = UnixListener::bind(&other).expect("a socket");
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("permissions");
    let tcp = std::net::TcpListener::bind("0.0.0.0:9472").expect("a port");
    let (link, name) = (format!("{path}/link"), format!("{path}/name"));
    let (pool, none) = (Some(""), None);
    let ways = [
        ("plain", socket.as_str(), pool),
        ("orphan", &socket, pool),
        ("nested", &socket, pool),
        ("relative", &socket, pool),
        ("chroot", &socket, pool),
        ("mount", &socket, pool),
        ("plain", &link, pool),
        ("plain", &name, pool),
        ("descriptor", &socket, pool),
        ("plain", "127.0.0.1:9471", pool),
        ("orphan", "127.0.0.1:9471", pool),
        ("plain", "192.88.1.10:9471", pool),
        ("plain", "0.0.0.0:9471", pool),
        ("fastopen", "127.1.2.3:9471", pool),
        ("plain", &other, none),
        ("orphan", &other, none),
        ("relative", &other, none),
        ("chroot", &other, none),
        ("mount", &other, none),
        ("plain", "127.0.0.1:9472", none),
        ("plain", "192.88.1.10:9472", none),
    ];
    for (how, to, what) in ways {
        let mut events = site.guard.as_ref().map(Guard::events);
        events.as_mut().map(|events| events.fresh());
        let refused = mode == "enforce" && what.is_some();
        assert_eq!(site.run(how, to), if refused { "refused 13" } else { "through" }, "{mode} {how} {to}");
        let Some(events) = &mut events else { continue };
        let outcome = if refused { "failure" } else { "success" };
        let fresh = events.fresh();
        let wanted: Vec<_> = what.iter().map(|what| ["fpm-socket", what, outcome]).collect();
        assert_eq!(facts(&fresh), wanted, "{mode} {how} {to}");
        assert!(fresh.iter().all(|event| event.text("portcullis.layer") == "backstop"), "{fresh:#?}");
    }
    drop((listener, tcp));
}

#[test]
fn connections_are_the_supervisor_s_to_judge() {
    enter();
    for mode in ["bare", "audit", "enforce"] {
        connects(&site(mode, true, &[]), mode);
    }
}

/// In a container, the master is often the first process: each of its workers is supervised.
#[test]
fn a_master_that_is_the_first_process_has_pools() {
    enter();
    let site = site("enforce", true, &["/usr/bin/unshare", "--pid", "--kill-child", "--mount", "--mount-proc"]);
    let mut events = site.guard.as_ref().expect("a guard").events();
    events.fresh();
    for to in [site.fpm.socket.to_str().expect("a path"), "127.0.0.1:9471"] {
        for how in ["plain", "orphan"] {
            for _ in 0..4 {
                assert_eq!(site.run(how, to), "refused 13", "{how} {to}");
                assert_eq!(facts(&events.fresh()), [["fpm-socket", "", "failure"]], "{how} {to}");
            }
        }
    }
    assert_eq!(http::get(site.nginx.port, "/run.php?argv=%5B%22/bin/echo%22,%22runs%22%5D").body, "runs\n 0");
}

/// A master that executes itself anew has its listeners from the program before it, and the supervisor outlives that.
#[test]
fn after_a_reload_the_pools_are_known() {
    enter();
    let site = site("enforce", true, &[]);
    let ready = || {
        let log = std::fs::read_to_string(site.place.join("fpm.log")).unwrap_or_default();
        log.matches("ready to handle").count()
    };
    site.fpm.process.signal(libc::SIGUSR2);
    wait_until("the reload", || ready() == 2);
    for to in [site.fpm.socket.to_str().expect("a path"), "127.0.0.1:9471"] {
        for how in ["plain", "orphan"] {
            assert_eq!(site.run(how, to), "refused 13", "{how} {to}");
        }
    }
}
