//! The backstop in real servers: what does not come through libc is judged for its request, and neither the supervisor nor its
//! end is a reason for the server to fail.

mod cage;
mod deaths;
mod expected;
mod judged;
mod link;
mod long;
mod many;
mod mappings;
mod privileges;

use crate::harness::{
    Apache, Fpm, Guard, Kind, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, calls, children, enter, http, named,
    wait_until,
};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A configuration with a supervisor, in which one virtual host refuses.
fn config(place: &Place, mode: &str) -> String {
    format!(
        "mode = \"{mode}\"\n[backstop]\nseccomp = \"supervise\"\n[rules.exec-place]\nmode = \"off\"\n[[vhost]]\n\
         name = \"strict\"\nmode = \"enforce\"\nmatch = {{ document_root = \"{}/www/strict\" }}\n",
        place.path().display()
    )
}

/// A program of the test, static, in the place.
fn compile(place: &Place, source: &str, name: &str, flags: &[&str]) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let output = place.join(name);
    let done = Command::new("cc").args(["-O1", "-w"]).args(flags).arg("-o").arg(&output).arg(source).status();
    assert!(done.expect("cc").success());
    output.to_str().expect("a path").to_owned()
}

/// Puts a page that starts the static program for what its query names into the root and into `strict/`.
pub fn page(place: &Place) {
    place.pages();
    let program = compile(place, "tests/library/c/ways.c", "ways-static", &["-static"]);
    let page = format!(
        "<?php $p = proc_open(['{program}', 'libc', $_GET['way']], [1 => ['pipe', 'w']], $pipes);\n\
         echo stream_get_contents($pipes[1]), proc_close($p);"
    );
    place.write("www/static.php", &page);
    place.write("www/strict/static.php", &page);
}

fn word(pid: i32, file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    Some(text.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
}

fn is_filtered(pid: i32) -> bool {
    word(pid, "status", "Seccomp:").as_deref() == Some("2")
}

/// The supervisor's processes for a server.
pub fn supervisors(master: i32) -> Vec<i32> {
    let wanted = format!("PORTCULLIS_SUPERVISE={master}");
    let mut found: Vec<i32> = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
                && word(*pid, "status", "State:").is_some_and(|state| !state.starts_with('Z'))
        })
        .collect();
    found.sort_unstable();
    found
}

/// Of the three, the keeper, its broker, and the judge of that one.
fn three(master: i32) -> Option<[i32; 3]> {
    let found = supervisors(master);
    let parent = |pid| word(pid, "status", "PPid:").and_then(|parent| parent.parse::<i32>().ok());
    let child = |of: i32| found.iter().copied().find(|pid| parent(*pid) == Some(of));
    let keeper = found.iter().copied().find(|pid| !parent(*pid).is_some_and(|parent| found.contains(&parent)))?;
    let broker = child(keeper)?;
    let judge = child(broker)?;
    (found.len() == 3).then_some([keeper, broker, judge])
}

/// The same once they stand: a supervisor that has just been started tries what it may do in a child.
fn standing(master: i32) -> [i32; 3] {
    let mut last = None;
    wait_until("a supervisor of three processes", || {
        let now = three(master);
        let stands = now.is_some() && now == last;
        last = now;
        stands
    });
    last.expect("three processes")
}

pub fn kill(pid: i32) {
    // SAFETY: a process that this test's server started.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0, "{}", std::io::Error::last_os_error());
}

fn fpm_and_nginx(place: &Place, mode: &str) -> (Guard, Fpm, Nginx) {
    page(place);
    let guard = place.guard(&config(place, mode));
    let fpm = Fpm::start(place, Some(&guard), &Pool::default());
    let strict = place.join("www/strict");
    let location = format!(
        "{}\n}}\nserver {{ listen 127.0.0.1:8081; server_name strict.example; root {};\n{}",
        fpm.nginx_location(&place.join("www")),
        strict.display(),
        fpm.nginx_location(&strict)
    );
    let nginx = Nginx::start(place, Some(&guard), &location);
    (guard, fpm, nginx)
}

fn ask(port: u16, host: &str, way: &str) -> String {
    http::get_host(port, host, &format!("/static.php?way={}", way.replace(' ', "%20"))).body.trim().replace('\n', " ")
}

/// What the events say that matters here.
fn facts(event: &Value) -> [&str; 5] {
    [
        event.text("rule.id"),
        event.text("event.outcome"),
        event.text("portcullis.layer"),
        event.text("portcullis.request.state"),
        event.text("portcullis.vhost"),
    ]
}
