//! Addresses as Linux takes them, and sends without one: each way by libc, by its syscall(2), by that with a high bit in the
//! number, and past libc under the supervisor; bare, in audit and in enforce. The kernel is the oracle: whatever it did bare
//! has a verdict, and audit changes nothing.

use crate::build::{built, compile, enter, source};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;

const EGRESS: &str = "egress-port";
const LISTEN: &str = "listen-port";

/// Each way, and the rule that is about it; none where the kernel refuses it, or where nothing is sent.
const WAYS: [(&str, &str); 49] = [
    ("long sendmsg", EGRESS),
    ("long sendmmsg", EGRESS),
    ("long sendmsg fast open", EGRESS),
    ("unaligned at the end of a page", EGRESS),
    ("connect at the end of a page", EGRESS),
    ("of 128 bytes", EGRESS),
    ("v4 on v6", EGRESS),
    ("no family sendto", EGRESS),
    ("no family sendmsg", EGRESS),
    ("no family raw", EGRESS),
    ("no family v6 raw", EGRESS),
    ("bind at the end of a page", LISTEN),
    ("bind of no family", LISTEN),
    ("connect no descriptor", ""),
    ("connect nowhere", ""),
    ("connect beyond", ""),
    ("connect negative", ""),
    ("connect long", ""),
    ("connect empty", ""),
    ("connect short", ""),
    ("sendto long", ""),
    ("sendto empty", ""),
    ("sendto no family short", ""),
    ("sendto no family v6", ""),
    ("sendmsg negative", ""),
    ("sendmsg nowhere", ""),
    ("sendmsg name nowhere", ""),
    ("sendmsg empty name", ""),
    ("bind nowhere", ""),
    ("bind long", ""),
    ("bind no family v6", ""),
    ("x32", EGRESS),
    ("quiet", ""),
    ("quiet sendto", EGRESS),
    ("quiet send", EGRESS),
    ("quiet write", EGRESS),
    ("quiet writev", EGRESS),
    ("quiet sendmsg", EGRESS),
    ("quiet sendmmsg", EGRESS),
    ("quiet sendfile", EGRESS),
    ("quiet splice", EGRESS),
    ("quiet duplicate", EGRESS),
    ("quiet fork", EGRESS),
    ("quiet no family v6", EGRESS),
    ("quiet then allowed", ""),
    ("quiet then sendto allowed", ""),
    ("quiet then closed", ""),
    ("quiet past libc", "kernel"),
    ("quiet inherited", "exec"),
];

struct Place {
    folder: tempfile::TempDir,
    probe: PathBuf,
    _listeners: Vec<UdpSocket>,
}

impl Place {
    fn new() -> Place {
        enter();
        let folder = tempfile::tempdir().expect("a folder");
        let addresses = ["192.88.1.10:9", "192.88.1.10:4444", "[2a0e:1::10]:4444", "[2a0e:1::10]:9", "127.0.0.1:4448"];
        let listeners = addresses.map(|address| UdpSocket::bind(address).expect("a port")).into();
        let _ = Command::new("sysctl").args(["-qw", "net.ipv4.tcp_fastopen=1"]).status();
        let probe = compile(&source("addresses.c"), folder.path(), "addresses", &[]);
        for mode in ["audit", "enforce"] {
            let log = folder.path().join("events.jsonl");
            let config = format!(
                "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\nmerge = false\n[rules]\nexec-tool = {{ mode = \"off\" }}\n\
                 exec-place = {{ mode = \"off\" }}\nlisten-port = {{ mode = \"{mode}\" }}\n",
                log.display()
            );
            std::fs::write(folder.path().join(mode).with_extension("toml"), config).expect("a file");
        }
        Place { folder, probe, _listeners: listeners }
    }

    /// What a way prints, and the rules of its events with their outcome.
    fn run(&self, mode: Option<&str>, how: &str, way: &str) -> (String, Vec<String>) {
        let log = self.folder.path().join("events.jsonl");
        let _ = std::fs::remove_file(&log);
        let mut command = match mode {
            None => Command::new(&self.probe),
            Some(mode) => {
                let portcullis = std::env::var_os("PORTCULLIS_OLD").map_or(built().join("portcullis"), PathBuf::from);
                let mut command = Command::new(portcullis);
                let config = self.folder.path().join(mode).with_extension("toml");
                command.args(["run", "--role", "serving", "--config"]).arg(config).arg("--").arg(&self.probe);
                command
            }
        };
        let done = command.args([how, way]).output().expect("a program");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let rules = text.lines().map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            format!(
                "{} {}",
                event["rule"]["id"].as_str().unwrap_or("?"),
                event["event"]["outcome"].as_str().unwrap_or("?")
            )
        });
        let output = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        (if output.is_empty() { format!("{:?}", done.status) } else { output }, rules.collect())
    }
}

#[test]
fn whatever_the_kernel_takes_for_an_address_has_a_verdict() {
    let place = Place::new();
    let mut wrong = Vec::new();
    for how in ["libc", "syscall", "high"] {
        for (way, rule) in WAYS {
            let (bare, _) = place.run(None, how, way);
            let audit = place.run(Some("audit"), how, way);
            let enforce = place.run(Some("enforce"), how, way);
            // x32 has no function of libc.
            let rule = if way == "x32" && how == "libc" { "" } else { rule };
            let (logged, refused, result) = match rule {
                "" => (vec![], vec![], bare.clone()),
                // No hook sees it: the kernel refuses it, and nobody writes it down.
                "kernel" => (vec![], vec![], "-1 32".to_owned()),
                // The event is of the start of the program; where the kernel refuses what that sends, there is none.
                "exec" => (vec![format!("{EGRESS} success")], vec![], "-1 32".to_owned()),
                _ => (vec![format!("{rule} success")], vec![format!("{rule} failure")], "-1 13".to_owned()),
            };
            if audit != (bare.clone(), logged) || enforce != (result, refused) {
                wrong.push(format!("{how}: {way}: bare {bare}, audit {audit:?}, enforce {enforce:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
