//! What must not be an event: a server's own start, reload, hot upgrade, log rotation and stop, and what its master
//! starts. After each, the server is still guarded.

use crate::harness::{
    Apache, Events, Fpm, Guard, Kind, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, children, enter, http, wait_until,
};
use std::process::Command;

/// The process id in a file.
fn pid_in(place: &Place, name: &str) -> Option<i32> {
    std::fs::read_to_string(place.join(name)).ok()?.trim().parse().ok()
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: a process that this test started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "{pid}: {}", std::io::Error::last_os_error());
}

fn is_guarded(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("libportcullis.so"))
}

fn expect_silence(events: &mut Events, when: &str) {
    let fresh = events.fresh();
    assert!(fresh.is_empty(), "{when}: {fresh:#?}");
}

/// One shell, one event, by a serving process.
fn expect_one(events: &mut Events, port: u16, when: &str) {
    assert_eq!(http::get(port, "/way.php?way=system").status, 200, "{when}");
    let fresh = events.fresh();
    assert_eq!(fresh.len(), 1, "{when}: {fresh:#?}");
    assert_eq!((fresh[0].text("rule.id"), fresh[0].text("portcullis.role")), ("shell-spawn", "serving"), "{when}");
}

#[test]
fn fpm_start_reload_rotation_stop() {
    enter();
    let place = Place::new();
    let guard = place.guard("mode = \"audit\"");
    let mut fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let location = fpm.nginx_location(&place.pages());
    let nginx = Nginx::start(&place, None, &location);
    let mut events = guard.events();
    expect_silence(&mut events, "start");
    expect_one(&mut events, nginx.port, "after the start");
    let master = fpm.process.pid();
    let workers = children(master);
    fpm.process.signal(libc::SIGUSR2);
    wait_until("the reload", || {
        let now = children(master);
        now.len() == 2 && now.iter().all(|worker| !workers.contains(worker))
    });
    expect_silence(&mut events, "reload");
    expect_one(&mut events, nginx.port, "after the reload");
    std::fs::rename(place.join("fpm.log"), place.join("fpm.log.1")).expect("rotated");
    fpm.process.signal(libc::SIGUSR1);
    wait_until("the rotation", || place.join("fpm.log").exists());
    expect_silence(&mut events, "log rotation");
    expect_one(&mut events, nginx.port, "after the rotation");
    fpm.process.stop(libc::SIGQUIT);
    expect_silence(&mut events, "stop");
}

/// A guard in nginx, and a page that makes it connect to an uncommon port.
fn guarded_nginx(place: &Place) -> (Guard, Nginx) {
    place.pages();
    let guard = place.guard("mode = \"audit\"");
    let nginx = Nginx::start(place, Some(&guard), &upstream());
    (guard, nginx)
}

fn upstream() -> String {
    format!("location /up/ {{ proxy_pass http://{OUTSIDE4}:4444/; }}")
}

fn expect_connection(events: &mut Events, port: u16, when: &str) {
    assert_eq!(http::get(port, "/up/").status, 200, "{when}");
    let fresh = events.fresh();
    assert_eq!(fresh.len(), 1, "{when}: {fresh:#?}");
    assert_eq!((fresh[0].text("rule.id"), fresh[0].text("portcullis.role")), ("egress-port", "serving"), "{when}");
    assert_eq!(fresh[0].text("portcullis.chain"), "nginx", "{when}");
}

#[test]
fn nginx_start_reload_rotation_stop() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let (guard, mut nginx) = guarded_nginx(&place);
    let mut events = guard.events();
    expect_silence(&mut events, "start");
    expect_connection(&mut events, nginx.port, "after the start");
    let master = nginx.process.pid();
    let workers = children(master);
    nginx.process.signal(libc::SIGHUP);
    wait_until("the reload", || {
        let now = children(master);
        now.len() == 1 && !workers.contains(&now[0])
    });
    expect_silence(&mut events, "reload");
    expect_connection(&mut events, nginx.port, "after the reload");
    std::fs::rename(place.join("nginx-error.log"), place.join("nginx-error.log.1")).expect("rotated");
    nginx.process.signal(libc::SIGUSR1);
    wait_until("the rotation", || place.join("nginx-error.log").exists());
    expect_silence(&mut events, "log rotation");
    nginx.process.stop(libc::SIGQUIT);
    expect_silence(&mut events, "stop");
}

/// nginx upgrades itself only where it has detached.
#[test]
fn nginx_hot_upgrade() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    place.pages();
    let guard = place.guard("mode = \"audit\"");
    let mut command = Nginx::command(&place, &upstream(), 8081);
    guard.load(&mut command);
    assert!(command.status().expect("nginx").success());
    let mut events = guard.events();
    wait_until("nginx", || pid_in(&place, "nginx.pid").is_some_and(|pid| !children(pid).is_empty()));
    let old = pid_in(&place, "nginx.pid").expect("a pid");
    expect_connection(&mut events, 8081, "before the upgrade");
    // It executes the binary with an environment of nginx's own making.
    signal(old, libc::SIGUSR2);
    wait_until("the new master", || {
        pid_in(&place, "nginx.pid").is_some_and(|pid| pid != old && !children(pid).is_empty())
    });
    let new = pid_in(&place, "nginx.pid").expect("a pid");
    assert!(is_guarded(new), "the upgraded master");
    signal(old, libc::SIGQUIT);
    wait_until("the old master to stop", || !is_guarded(old));
    expect_silence(&mut events, "hot upgrade");
    expect_connection(&mut events, 8081, "after the upgrade");
    signal(new, libc::SIGQUIT);
    wait_until("the new master to stop", || !is_guarded(new));
    expect_silence(&mut events, "stop");
}

#[test]
fn apache_piped_loggers_restarts_stop() {
    enter();
    let place = Place::new();
    place.pages();
    let guard = place.guard("mode = \"audit\"");
    let path = place.path().display();
    let extra = format!(
        "LogFormat \"%r\" short\nCustomLog \"|/usr/bin/tee -a {path}/plain.log\" short\n\
         CustomLog \"|$exec /usr/bin/tee -a {path}/shell.log; true\" short\n"
    );
    let mut apache = Apache::start(&place, Some(&guard), Kind::ModPhp, None, &extra);
    let mut events = guard.events();
    expect_silence(&mut events, "start");
    expect_one(&mut events, apache.port, "after the start");
    for name in ["plain.log", "shell.log"] {
        wait_until(name, || std::fs::metadata(place.join(name)).is_ok_and(|file| file.len() > 0));
    }
    for (number, when) in [(libc::SIGUSR1, "graceful restart"), (libc::SIGHUP, "restart")] {
        let before = children(apache.process.pid());
        apache.process.signal(number);
        wait_until(when, || {
            let now = children(apache.process.pid());
            now.len() >= before.len() && now.iter().all(|child| !before.contains(child))
        });
        expect_silence(&mut events, when);
        expect_one(&mut events, apache.port, when);
    }
    apache.process.stop(libc::SIGWINCH);
    expect_silence(&mut events, "graceful stop");
}

#[test]
fn apachectl_is_a_script_of_the_unit() {
    enter();
    let place = Place::new();
    place.pages();
    let guard = place.guard("mode = \"enforce\"");
    // Writes the configuration; the server that this starts is not the one in question.
    drop(Apache::start(&place, None, Kind::ModPhp, None, ""));
    let control = |verb: &str| {
        let mut command = Command::new("/usr/sbin/apache2ctl");
        guard.load(&mut command);
        let done = command.arg("-f").arg(place.join("apache.conf")).args(["-k", verb]).output().expect("apache2ctl");
        assert!(done.status.success(), "{verb}: {}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{verb}");
    };
    control("start");
    wait_until("apache2", || pid_in(&place, "apache.pid").is_some_and(|pid| !children(pid).is_empty()));
    let master = pid_in(&place, "apache.pid").expect("a pid");
    let mut events = guard.events();
    expect_silence(&mut events, "apachectl start");
    assert!(is_guarded(master));
    let refused = http::get(8082, "/way.php?way=system");
    assert!(refused.body.contains("Unable to fork"), "{refused:?}");
    assert_eq!(events.fresh().len(), 1);
    control("stop");
    wait_until("apache2 to stop", || !is_guarded(master));
    expect_silence(&mut events, "apachectl stop");
}
