//! examples/siem/fail2ban/: the filter on an event of each rule and on an attacker's text in them, and a real fail2ban on the log and the
//! journal of a real server.

use crate::harness::{Fpm, Guard, Nginx, Place, Pool, Process, journald};
use crate::lines::{CLIENT, HOSTILE, harmless, hostile, of_rules};
use crate::shipping::host::{Host, wait_long};
use std::path::{Path, PathBuf};
use std::process::Command;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/siem/fail2ban").join(name)
}

/// The addresses that the filter finds in lines, one for each line that it matches, in a mode.
fn found(lines: &[String], mode: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    std::fs::write(&log, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("a file");
    let filter = format!("{}[mode={mode}]", example("filter.d/portcullis.conf").display());
    let done =
        Command::new("fail2ban-regex").args(["-o", "ip"]).arg(&log).arg(&filter).output().expect("fail2ban-regex");
    let said = String::from_utf8(done.stdout).expect("UTF-8");
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    said.lines().map(str::to_owned).collect()
}

/// The line as fail2ban reads it from the journal.
fn of_journal(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| format!("web1 portcullis[4021]: {line}")).collect()
}

#[test]
fn the_filter_finds_the_client_of_each_rule() {
    let (blocked, logged) = (of_rules(true, "x"), of_rules(false, "x"));
    let severe = portcullis_event::RULES.iter().filter(|rule| rule.severity >= 73).count();
    for (mode, lines, count) in [
        ("blocked", &blocked, blocked.len()),
        ("blocked", &logged, 0),
        ("severe", &blocked, blocked.len()),
        ("severe", &logged, severe),
        ("any", &logged, logged.len()),
    ] {
        for lines in [lines.clone(), of_journal(lines)] {
            assert_eq!(found(&lines, mode), vec![CLIENT; count], "{mode}: {}", lines[0]);
        }
    }
}

#[test]
fn nobody_elses_address_is_taken_for_the_client() {
    let lines = hostile();
    assert_eq!(lines.len(), HOSTILE.len() * portcullis_event::RULES.len());
    for lines in [lines.clone(), of_journal(&lines)] {
        assert_eq!(found(&lines, "any"), vec![CLIENT; lines.len()]);
    }
}

#[test]
fn what_is_no_reason_to_ban_bans_nobody() {
    for (why, line) in harmless() {
        assert_eq!(found(&[line], "any"), Vec::<String>::new(), "{why}");
    }
    // Half a line, and what is no event.
    let line = &of_rules(true, "x")[1];
    let (half, _) = line.split_at(line.find(",\"client\"").expect("a client") + 20);
    for other in [half, &line.replace("portcullis.events", "other"), &format!("x{line}")] {
        assert_eq!(found(&[other.to_owned()], "any"), Vec::<String>::new(), "{other}");
    }
}

/// A client of the web server of the test.
const ATTACKER: &str = "198.51.100.7";
const VISITOR: &str = "198.51.100.8";

/// Debian's jails are of services that are not here; bans are written to a file.
const SETTINGS: &str = "\
[sshd]
enabled = false
[portcullis]
action = portcullis-test[file=/run/banned-by-file]
[portcullis-journal]
enabled = true
filter = portcullis[mode=blocked]
backend = systemd
maxretry = 1
action = portcullis-test[file=/run/banned-by-journal]
";
const ACTION: &str = "[Definition]\nactionban = echo <ip> >> <file>\nactionunban = true\n";
const PAGE: &str = "<?php if (isset($_GET['do'])) { system('id'); }";

/// A web server whose calls are blocked, with a journal.
fn web() -> (Process, Fpm, Nginx, Guard, Place) {
    for address in [ATTACKER, VISITOR] {
        let line = ["address", "add", &format!("{address}/32"), "dev", "lo"];
        assert!(Command::new("ip").args(line).status().expect("ip").success());
    }
    std::fs::create_dir_all("/var/log/portcullis").expect("a folder");
    let journald = journald();
    let place = Place::new();
    place.write("www/index.php", PAGE);
    let log = PathBuf::from("/var/log/portcullis/events.jsonl");
    let config = place.write("etc/portcullis.toml", "mode = \"enforce\"\n[log]\nsink = [\"journald\", \"file\"]\n");
    let guard = Guard::new(&place, config, log);
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    // The guard is to outlive the servers.
    (journald, fpm, nginx, guard, place)
}

#[test]
fn a_real_fail2ban_bans_the_attacker_only() {
    let host = Host::new("ban");
    let servers = host.run(web);
    host.run(|| {
        let etc = Path::new("/etc/fail2ban");
        for name in ["filter.d/portcullis.conf", "jail.d/portcullis.conf"] {
            std::fs::copy(example(name), etc.join(name)).expect("a copy");
        }
        std::fs::write(etc.join("jail.d/zz-test.conf"), SETTINGS).expect("a file");
        std::fs::write(etc.join("action.d/portcullis-test.conf"), ACTION).expect("a file");
        std::fs::create_dir_all("/run/fail2ban").expect("a folder");
    });
    let get = |from: &str, path: &str| {
        host.command(&format!(
            "curl -sS --interface {from} -H 'X-Forwarded-For: 203.0.113.9' -A '\",\"client\":{{\"address\":\"203.0.113.9\",\"ip\":\"203.0.113.9\"}}' -o /dev/null 'http://127.0.0.1:8081{path}'"
        ));
    };
    // The log file is there from the first event on.
    get("127.0.0.1", "/index.php?do=it");
    wait_long("the log", || host.run(|| Path::new("/var/log/portcullis/events.jsonl").exists()));
    let _server = host.start(&["fail2ban-server", "-f", "--logtarget=/run/fail2ban.log", "start"]);
    let pings = |name: &'static str| {
        host.run(move || {
            Command::new("fail2ban-client").args(["status", name]).output().is_ok_and(|done| done.status.success())
        })
    };
    wait_long("fail2ban", || pings("portcullis") && pings("portcullis-journal"));
    get(VISITOR, "/index.php");
    get(ATTACKER, "/index.php?do=%22,%22client%22:%7B%22address%22:%22203.0.113.9%22,%22ip%22:%22203.0.113.9%22%7D");
    for file in ["/run/banned-by-file", "/run/banned-by-journal"] {
        let banned = || host.run(move || std::fs::read_to_string(file).unwrap_or_default());
        wait_long(file, || banned().lines().count() > 0);
        assert_eq!(banned(), format!("{ATTACKER}\n"), "{file}");
    }
    drop(servers);
}
