//! What an operator does with the command on files: learn into a new file, and be interrupted while installing.

use crate::harness::{Parts, Place, enter};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// An event of a request without a virtual host, and the text of a log with it.
fn log(place: &Place) -> std::path::PathBuf {
    let event = |port: u64, time: &str| {
        json!({
            "@timestamp": time, "event": { "action": "connection_attempted", "outcome": "success" },
            "rule": { "id": "egress-port" }, "destination": { "ip": "192.88.1.25", "port": port },
            "network": { "transport": "tcp" }, "http": { "request": { "method": "GET" } }, "url": { "original": "/pay?x" },
            "portcullis": { "mode": "audit", "chain": "php-fpm", "request": {
                "state": "known", "script": "/srv/shop/pay.php", "document_root": "/srv/shop",
            } },
        })
    };
    let lines = [event(587, "2026-11-24T16:25:14.000000000Z"), event(587, "2026-11-24T17:25:14.000000000Z")];
    place.write("events.jsonl", &lines.map(|line| format!("{line}\n")).concat())
}

#[test]
fn a_new_virtual_host_is_learnt() {
    let place = Place::new();
    let config = place.write("etc/portcullis.toml", "# mine\nmode = \"audit\"\n");
    let log = log(&place);
    let learn = |more: &[&str]| {
        let done = place.portcullis().args(["learn", "--config"]).arg(&config).arg(&log).args(more).output();
        done.expect("portcullis learn")
    };
    let done = learn(&["--write", "vhosts.d/shop.toml"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(place.join("etc/vhosts.d/shop.toml")).expect("the file");
    assert!(text.contains("name = \"shop\"") && text.contains("document_root = [\"/srv/shop\"]"), "{text}");
    assert!(
        text.contains(
            "# 2 times, 2026-11-24 16:25:14 to 2026-11-24 17:25:14, by /srv/shop/pay.php; such as: GET /pay?x"
        ),
        "{text}"
    );
    let check = learn(&["--check"]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && said.contains("2 of 2 actions would be allowed"), "{said}");
    // A file with an error is left as it is, and nothing is written beside it.
    std::fs::write(&config, "mode = 1\n").expect("a file");
    let refused = learn(&["--write", "portcullis.toml"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&config).expect("the file"), "mode = 1\n");
}

/// Every file in a folder and below.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Killed at whatever moment, it leaves each file whole or not there, and the next run mends it.
#[test]
fn an_interrupted_install_is_whole() {
    let place = Place::new();
    let library = format!("root/usr/lib/{}-linux-gnu/libportcullis.so", std::env::consts::ARCH);
    place.write(&library, "");
    std::fs::copy(place.library(), place.join(&library)).expect("the library");
    for unit in ["apache2", "nginx"] {
        place.write(&format!("root/usr/lib/systemd/system/{unit}.service"), "[Service]\nExecStart=/bin/true\n");
    }
    let root = place.join("root");
    let command = |verb: &str, units: &[&str]| {
        let mut command = place.portcullis();
        command.arg(verb).args(units).arg("--root").arg(&root).stdout(std::process::Stdio::null());
        command
    };
    let mut whole = std::collections::BTreeMap::new();
    assert!(command("install", &["apache2", "nginx"]).status().expect("install").success());
    for file in files(&root.join("etc")) {
        whole.insert(file.clone(), std::fs::read(file).expect("a file"));
    }
    assert_eq!(whole.len(), 3);
    for step in 0..40 {
        assert!(command("uninstall", &[]).status().expect("uninstall").success());
        assert!(files(&root.join("etc")).is_empty(), "nothing is left");
        let mut child = command("install", &["apache2", "nginx"]).spawn().expect("install");
        // From before it does anything to after it has done everything.
        std::thread::sleep(Duration::from_micros(step * 150));
        let _ = child.kill();
        let _ = child.wait();
        for file in files(&root.join("etc")) {
            let is_temporary = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".portcullis-"));
            assert!(
                is_temporary || whole.get(&file) == Some(&std::fs::read(&file).expect("a file")),
                "{}",
                file.display()
            );
        }
        assert!(command("install", &["apache2", "nginx"]).status().expect("install").success());
        for (file, text) in &whole {
            assert_eq!(&std::fs::read(file).expect("a file"), text);
        }
    }
}

/// What `explain` says would allow an action allows it for real: the same program, under a policy with that entry, causes no event.
#[test]
fn an_entry_that_explain_names_holds() {
    enter();
    let place = Place::new();
    let head = "mode = \"audit\"\n[log]\nsink = [\"stderr\"]\nmerge = false\n";
    let run = |more: &str, code: &str| {
        let config = place.write("portcullis.toml", &format!("{more}{head}"));
        let mut command = place.portcullis();
        command.args(["run", "--role", "serving", "--config"]).arg(&config).args(["--", "/usr/bin/perl", "-e", code]);
        let done = command.output().expect("portcullis run");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>()
    };
    for (code, rule) in [
        // Beside the library's own path, which the program was given.
        ("$ENV{LD_PRELOAD} .= ':/nowhere/x.so'; exec '/bin/true'", "loader-env"),
        ("$ENV{LD_LIBRARY_PATH} = '/nowhere'; exec '/bin/true'", "loader-env"),
        ("$ENV{PYTHONPATH} = '/nowhere; /else'; exec '/bin/true'", "loader-env"),
        ("$ENV{NODE_OPTIONS} = '--require=/nowhere'; exec '/bin/true'", "loader-env"),
        ("exec {'/usr/bin/whoami'} 'whoami'", "exec-tool"),
        ("exec {'whoami'} 'whoami'", "exec-tool"),
        ("exec {'/usr/bin/uname'} '/usr/bin/uname', '-r'", "exec-tool"),
        ("exec '/bin/sh', '-c', 'id -u'", "shell-spawn"),
        ("exec '/usr/bin/chage', '--help'", "exec-unguarded"),
        ("use IO::Socket; IO::Socket::INET->new(Listen => 1, LocalPort => 4499)", "listen-port"),
        ("use IO::Socket; IO::Socket::INET->new(PeerAddr => '192.88.1.10', PeerPort => 4444)", "egress-port"),
        (
            "use IO::Socket; IO::Socket::INET->new(PeerAddr => '192.88.1.10', PeerPort => 53, Proto => 'udp')",
            "dns-direct",
        ),
    ] {
        let events = run("", code);
        assert_eq!(events.iter().map(|event| event.text("rule.id")).collect::<Vec<_>>(), [rule], "{code}");
        let log = place.write("events.jsonl", &format!("{}\n", events[0]));
        let config = place.join("portcullis.toml");
        let done =
            place.portcullis().args(["explain", "--json", "--config"]).arg(config).arg("--event").arg(log).output();
        let answer: Value = serde_json::from_slice(&done.expect("explain").stdout).expect("JSON");
        let ways = answer["allow_by"].as_array().expect("a list");
        let entries: String =
            ways.iter().map(|way| format!("{} = {}\n", way["key"].as_str().expect("a key"), way["entries"])).collect();
        assert_eq!(run(&entries, code), Vec::<Value>::new(), "{code}: {entries}");
    }
}
