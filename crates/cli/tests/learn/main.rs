//! `portcullis learn`: what is proposed for an event, what is withheld with others, and what is written.
#![allow(clippy::disallowed_methods)]

mod events;
mod files;
mod incidents;
mod included;
mod udp;

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

fn example(rule: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/events/{rule}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("an example")).expect("JSON")
}

/// What is proposed, and what is not with the reason, for some events.
fn learn(events: &[Value], more: &[&str]) -> (Vec<[String; 2]>, Vec<[String; 2]>) {
    let done = run(events, more);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let pairs = |list: &str, keys: [&str; 2]| {
        let parts = said.as_array().expect("a list").iter().flat_map(|part| part[list].as_array().expect("a list"));
        parts.map(|part| keys.map(|key| part[key].as_str().unwrap_or_default().to_owned())).collect()
    };
    (pairs("proposed", ["list", "entry"]), pairs("withheld", ["what", "why"]))
}

/// Why nothing is proposed for some events: the command was used wrongly.
fn misused(events: &[Value], more: &[&str]) -> String {
    let done = run(events, more);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(2) && done.stdout.is_empty(), "{:?}: {said}", done.status);
    said
}

/// `learn --json` of some events.
fn run(events: &[Value], more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, log) = (folder.path().join("portcullis.toml"), folder.path().join("events.jsonl"));
    std::fs::write(&config, "rules.exec-unguarded.reasons = [\"setuid\", \"static\"]\n").expect("a file");
    std::fs::write(&log, events.iter().map(|event| format!("{event}\n")).collect::<String>()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    // A few events are too little for anything else.
    let rare = ["learn", "--json", "--include-rare", "--config"];
    command.args(rare).arg(config).arg(log).args(more).output().expect("learn")
}

/// An ordinary connection of some day, by some client.
fn connection(vhost: &str, day: u32, client: &str, to: &str) -> Value {
    let mut event = example("egress-port");
    event["@timestamp"] = format!("2026-11-{day:02}T03:12:44.000000000Z").into();
    event["client"] = json!({ "address": client });
    event["destination"] = json!({ "ip": "192.88.1.10", "port": 4444, "domain": to });
    event["http"]["request"]["id"] = format!("{day:08x}{:08x}", to.len() * 100 + client.len() * 7 + vhost.len()).into();
    event["portcullis"]["vhost"] = vhost.into();
    event["portcullis"]["request"]["script"] = format!("/srv/www/{vhost}/index.php").into();
    event
}

/// A configuration with virtual hosts, and a log.
struct Place(tempfile::TempDir);

impl Place {
    fn new(vhosts: &[&str], events: &[Value]) -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(place.0.path().join("vhosts.d")).expect("a folder");
        std::fs::write(place.0.path().join("portcullis.toml"), "# mine\n").expect("a file");
        for vhost in vhosts {
            let text = format!("# of {vhost}\nname = \"{vhost}\"\nmatch = {{ pool = \"{vhost}\" }}\n");
            std::fs::write(place.vhost(vhost), text).expect("a file");
        }
        std::fs::write(place.log(), events.iter().map(|event| format!("{event}\n")).collect::<String>())
            .expect("a file");
        place
    }

    fn vhost(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(format!("vhosts.d/{name}.toml"))
    }

    fn log(&self) -> std::path::PathBuf {
        self.0.path().join("events.jsonl")
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.path().join(path)).unwrap_or_default()
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let (verb, more) = arguments.split_first().expect("a verb");
        command.arg(verb).arg("--config").arg(self.0.path().join("portcullis.toml")).args(more);
        if *verb == "learn" {
            command.arg(self.log());
        }
        let done = command.output().expect("portcullis");
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code(), said)
    }
}
