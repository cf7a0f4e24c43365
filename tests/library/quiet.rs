//! A connect of a UDP socket sends nothing, and is not refused, on any port, to any address. What is sent afterwards is judged,
//! whatever sends it and whatever copied the socket; a program that inherits it has its event at its start. In enforce the connect is
//! no event, for the kernel refuses what no hook sees. In audit it is one, which says that nothing was sent yet.

use crate::build::{built, compile, enter, source};
use std::path::PathBuf;
use std::process::Command;

/// Of this host, but for the guard outside: an ordinary one, that of a metadata service, one of `deny`.
const V4: [&str; 3] = ["192.88.1.10", "169.254.169.254", "10.9.8.7"];
const V6: [&str; 3] = ["2a0e:1::10", "fd00:ec2::254", "2a0e:1::99"];
/// None is a port to which programs connect to learn their own address.
const PORTS: [&str; 4] = ["1", "53", "4444", "33434"];

const SENDS: [&str; 13] = [
    "send",
    "sendto",
    "write",
    "writev",
    "sendmsg",
    "sendmmsg",
    "sendfile",
    "splice",
    "SYS_write",
    "SYS_writev",
    "SYS_sendto",
    "SYS_sendmsg",
    "SYS_sendmmsg",
];
const COPIES: [&str; 11] = [
    "dup",
    "dup2",
    "dup3",
    "F_DUPFD",
    "F_DUPFD_CLOEXEC",
    "__fcntl",
    "SYS_fcntl",
    "copy of a copy",
    "SCM_RIGHTS",
    "SCM_RIGHTS, recvmmsg",
    "pidfd_getfd",
];

/// The event of the connect, in audit.
const CONNECTED: &str = "success nothing sent yet";

struct Bench {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        enter();
        for address in ["169.254.169.254/32", "10.9.8.7/32", "fd00:ec2::254/128", "2a0e:1::99/128"] {
            let mut command = Command::new("ip");
            command.args(["address", "add", address, "dev", "lo"]);
            if address.contains(':') {
                command.arg("nodad");
            }
            assert!(command.status().expect("ip").success(), "{address}");
        }
        let folder = crate::build::folder();
        let program = compile(&source("quiet.c"), folder.path(), "quiet", &[]);
        Bench { folder, program }
    }

    fn bare(&self, words: &[&str]) -> String {
        said(Command::new(&self.program).args(words))
    }

    /// What the program says, and of each event its outcome and its detail.
    fn guarded(&self, mode: &str, words: &[&str]) -> (String, Vec<String>) {
        let (config, log) = (self.folder.path().join("config.toml"), self.folder.path().join("events.jsonl"));
        let _ = std::fs::remove_file(&log);
        let (mode, metadata, local) =
            if mode == "metadata in audit" { ("enforce", "audit", "") } else { (mode, mode, "\"default\"") };
        let text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\nmerge = false\n[egress]\nlocal_ranges = [{local}]\n\
             deny = [\"10.9.8.7:*\", \"[2a0e:1::99]:*\"]\n[rules]\nexec-tool = {{ mode = \"off\" }}\n\
             exec-place = {{ mode = \"off\" }}\nmetadata = {{ mode = \"{metadata}\" }}\n",
            log.display()
        );
        std::fs::write(&config, text).expect("a file");
        let mut command = Command::new(built().join("portcullis"));
        command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&self.program).args(words);
        let said = said(&mut command);
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let events = text.lines().map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(event["destination"]["ip"], words[0], "{event:#}");
            let word = |at: &str| event.pointer(at).and_then(|word| word.as_str()).unwrap_or_default().to_owned();
            if word("/portcullis/detail") == "nothing sent yet" {
                // Whatever the rule is: that of metadata is graver.
                assert_eq!(event["event"]["severity"], 21, "{event:#}");
                assert!(word("/message").ends_with(" (nothing sent yet)"), "{event:#}");
            }
            format!("{} {}", word("/event/outcome"), word("/portcullis/detail")).trim_end().to_owned()
        });
        (said, events.collect())
    }

    /// What is wrong in a mode: `said` is what the program should say, `events` what each event should be.
    fn wrong(&self, mode: &str, words: &[&str], said: &str, events: &[&str]) -> Option<String> {
        let found = self.guarded(mode, words);
        (found.0 != said || found.1 != events).then(|| format!("{mode}: {words:?}: {found:?}, not {said}, {events:?}"))
    }
}

fn said(command: &mut Command) -> String {
    let done = command.output().expect("a program");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

fn none_is(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_connect_alone_is_refused_nowhere() {
    let bench = Bench::new();
    let mut wrong = Vec::new();
    for address in V4.into_iter().chain(V6) {
        for port in PORTS {
            let words = [address, port, "none", "nothing"];
            assert_eq!(bench.bare(&words), "0 0, 0 0", "{words:?}");
            wrong.extend(bench.wrong("audit", &words, "0 0, 0 0", &[CONNECTED]));
            wrong.extend(bench.wrong("enforce", &words, "0 0, 0 0", &[]));
            // What is sent there is an event.
            let words = [address, port, "none", "write"];
            wrong.extend(bench.wrong("audit", &words, "0 0, 1 0", &[CONNECTED, "success"]));
            wrong.extend(bench.wrong("enforce", &words, "0 0, -1 13", &["failure"]));
        }
    }
    none_is(&wrong);
}

#[test]
fn what_is_sent_afterwards_is_judged() {
    let bench = Bench::new();
    let forks = ["fork:write", "fork:send", "fork:sendmmsg"];
    let ways = SENDS.into_iter().chain(forks).map(|way| ("none", way)).chain([("raw", "write"), ("raw", "sendmsg")]);
    let copies = COPIES.into_iter().flat_map(|copy| [(copy, "write"), (copy, "sendmsg"), (copy, "fork:send")]);
    let mut wrong = Vec::new();
    for (copy, way) in ways.chain(copies) {
        let words = ["192.88.1.10", "4444", copy, way];
        assert_eq!(bench.bare(&words), "0 0, 1 0", "{words:?}");
        wrong.extend(bench.wrong("audit", &words, "0 0, 1 0", &[CONNECTED, "success"]));
        wrong.extend(bench.wrong("enforce", &words, "0 0, -1 13", &["failure"]));
    }
    none_is(&wrong);
}

/// In audit the event is of the start of the program; in enforce the kernel refuses what that sends (EPIPE).
/// What the socket holds back goes where it was judged.
#[test]
fn what_was_sent_before_does_not_go_elsewhere() {
    let mut bench = Bench::new();
    bench.program = compile(&source("held_back.c"), bench.folder.path(), "held_back", &[]);
    let words = ["192.88.1.10"];
    assert_eq!(bench.bare(&words), "0 1", "Linux sends it to the last one");
    none_is(&Vec::from_iter(bench.wrong("audit", &words, "0 1", &[CONNECTED])));
    none_is(&Vec::from_iter(bench.wrong("enforce", &words, "1 0", &[])));
}

#[test]
fn a_program_that_inherits_it_has_its_event() {
    const STARTED: &str = "success inherited by a program";
    let bench = Bench::new();
    let mut wrong = Vec::new();
    // What is said bare, the events of audit, what is said in enforce.
    let cases: [(&str, &str, &[&str], &str); 8] = [
        // The program says nothing, and what it wrote is unknown here.
        ("start:exec", "0 0,", &[CONNECTED, STARTED], "0 0,"),
        ("start:vfork", "0 0, 1 0", &[CONNECTED, STARTED], "0 0, -1 32"),
        ("start:spawn", "0 0, 1 0", &[CONNECTED, STARTED], "0 0, -1 32"),
        ("start closed:exec", "0 0,", &[CONNECTED], "0 0,"),
        ("start closed:vfork", "0 0, -1 9", &[CONNECTED], "0 0, -1 9"),
        ("start closed:spawn", "0 0, -1 9", &[CONNECTED], "0 0, -1 9"),
        ("put:spawn", "0 0, 1 0", &[CONNECTED, STARTED], "0 0, -1 32"),
        ("put closed:spawn", "0 0, 1 0", &[CONNECTED, STARTED], "0 0, -1 32"),
    ];
    for (way, bare, events, enforced) in &cases {
        let words = ["192.88.1.10", "4444", "none", way];
        assert_eq!(bench.bare(&words), *bare, "{words:?}");
        wrong.extend(bench.wrong("audit", &words, bare, events));
        wrong.extend(bench.wrong("enforce", &words, enforced, &[]));
    }
    // Its starter goes on, and what that sends is an event of its own.
    for (way, events) in
        [("no program", &[CONNECTED, "success"][..]), ("program and write", &[CONNECTED, STARTED, "success"])]
    {
        let words = ["192.88.1.10", "4444", "none", way];
        wrong.extend(bench.wrong("audit", &words, "0 0, 1 0", events));
        wrong.extend(bench.wrong("enforce", &words, "0 0, -1 13", &["failure"]));
    }
    none_is(&wrong);
}

/// Sends that no hook sees, which docs/threat-model.md lists: the kernel refuses them (EPIPE), and where it does not, the connect has an
/// event.
#[test]
fn what_no_hook_sees_is_refused_by_the_kernel() {
    let bench = Bench::new();
    let mut wrong = Vec::new();
    for way in ["stdio", "dprintf", "pwritev2", "io_submit", "instruction"] {
        let words = ["192.88.1.10", "4444", "none", way];
        assert_eq!(bench.bare(&words), "0 0, 1 0", "{words:?}");
        wrong.extend(bench.wrong("audit", &words, "0 0, 1 0", &[CONNECTED]));
        wrong.extend(bench.wrong("enforce", &words, "0 0, -1 32", &[]));
    }
    none_is(&wrong);
}

/// A process that is not guarded connected it and sent it here: its sending was not shut down then, and is when a program inherits it.
#[test]
fn a_program_that_inherits_one_of_another_process_has_its_event() {
    const STARTED: &str = "success inherited by a program";
    let bench = Bench::new();
    let mut wrong = Vec::new();
    for way in ["start:vfork", "start:spawn", "put:spawn", "put closed:spawn"] {
        let words = ["192.88.1.10", "4444", "received", way];
        assert_eq!(bench.bare(&words), "0 0, 1 0", "{words:?}");
        wrong.extend(bench.wrong("audit", &words, "0 0, 1 0", &[STARTED]));
        wrong.extend(bench.wrong("enforce", &words, "0 0, -1 32", &[]));
    }
    // Sent by this process itself it is refused by the hook.
    let words = ["192.88.1.10", "4444", "received", "write"];
    wrong.extend(bench.wrong("audit", &words, "0 0, 1 0", &["success"]));
    wrong.extend(bench.wrong("enforce", &words, "0 0, -1 13", &["failure"]));
    none_is(&wrong);
}

#[test]
fn it_may_go_elsewhere() {
    let bench = Bench::new();
    let mut wrong = Vec::new();
    for way in ["reconnect", "sendto elsewhere", "disconnect"] {
        for address in V4 {
            let words = [address, "4444", "none", way];
            let bare = bench.bare(&words);
            assert_eq!(bare, "0 0, 1 0", "{words:?}");
            wrong.extend(bench.wrong("audit", &words, &bare, &[CONNECTED]));
            wrong.extend(bench.wrong("enforce", &words, &bare, &[]));
        }
    }
    none_is(&wrong);
}

/// Of port 9, the connect is of a rule that only logs, and what is sent of one that refuses.
#[test]
fn a_rule_that_only_logs_opens_no_way_past_one_that_refuses() {
    let bench = Bench::new();
    let mut wrong = Vec::new();
    for (way, said, events) in
        [("nothing", "0 0, 0 0", &[][..]), ("write", "0 0, -1 13", &["failure"]), ("dprintf", "0 0, -1 32", &[])]
    {
        wrong.extend(bench.wrong("metadata in audit", &["169.254.169.254", "9", "none", way], said, events));
    }
    none_is(&wrong);
}
