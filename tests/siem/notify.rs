//! examples/siem/notify/: an incident in the journal becomes a mail and a post, by a real rsyslog to a mail server and a web server of the
//! test, which refuse the first ones.

use crate::harness::journald;
use crate::shipping::host::{Host, wait_long};
use crate::shipping::{prepared, ship};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/siem/notify").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What came.
type Came = Arc<Mutex<Vec<String>>>;

/// Answers each connection, the first with an error: `answer` gives what came, if anything did.
fn server(host: &Host, port: u16, answer: fn(TcpStream, bool) -> Option<String>) -> Came {
    let came = Came::default();
    let kept = came.clone();
    host.run(move || {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port");
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if let Some(text) = answer(stream.expect("a connection"), number == 0) {
                    kept.lock().expect("a lock").push(text);
                }
            }
        });
    });
    came
}

/// A mail server; gives the mail.
fn smtp(mut stream: TcpStream, is_refused: bool) -> Option<String> {
    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
    let mut say = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes()).is_ok();
    if is_refused {
        say("421 later");
        return None;
    }
    say("220 mail.example ESMTP");
    while let Some(Ok(line)) = lines.next() {
        match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "DATA" => {
                say("354 go on");
                let mut mail = String::new();
                while let Some(Ok(line)) = lines.next().filter(|line| line.as_ref().is_ok_and(|line| line != ".")) {
                    mail.push_str(&line);
                    mail.push('\n');
                }
                say("250 taken");
                return Some(mail);
            }
            "QUIT" => return None,
            _ => say("250 fine"),
        };
    }
    None
}

/// A web server; gives the body of the post.
fn http(mut stream: TcpStream, is_refused: bool) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let status = if is_refused { "503 Later" } else { "204 Taken" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").expect("an answer");
    (!is_refused).then(|| String::from_utf8(body).expect("UTF-8"))
}

/// Words of an attacker, as the command prints them: in the JSON of one line.
const TITLE: &str = "Shell \r\nBcc: victim@example.org\r\n.\r\nMAIL FROM:<x>\u{202e}\u{1b}[2J $(id) %msg% \"'";

fn incident(id: &str, severity: u8) -> Value {
    json!({ "id": id, "score": 88, "severity": severity, "title": TITLE, "hosts": ["web1"], "clients": ["192.0.2.7"] })
}

/// Sends a line to the journal, as systemd does for a unit's standard output.
fn written(host: &Host, identifier: &'static str, line: String) {
    host.run(move || {
        let mut child = Command::new("systemd-cat")
            .args(["-t", identifier])
            .arg("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("systemd-cat");
        writeln!(child.stdin.take().expect("a pipe"), "{line}").expect("a line");
        assert!(child.wait().expect("systemd-cat").success());
    });
}

#[test]
fn systemd_takes_the_unit() {
    let host = Host::new("unit");
    let unit = example("portcullis-notify.service");
    let done = host.run(move || {
        // What it starts has to be there.
        std::fs::copy("/bin/true", "/usr/bin/portcullis").expect("a copy");
        std::fs::write("/etc/systemd/system/portcullis-notify.service", unit).expect("a file");
        let path = "/etc/systemd/system/portcullis-notify.service";
        Command::new("systemd-analyze").args(["verify", "--man=no", path]).output().expect("systemd-analyze")
    });
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.is_empty() && done.stdout.is_empty(), "{said}");
}

/// JSON as the command prints it.
fn ascii(value: &Value) -> String {
    let text = value.to_string();
    let escaped = text.chars().flat_map(|one| match one {
        ' '..='~' => vec![one.to_string()],
        _ => one.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    });
    escaped.collect()
}

#[test]
fn an_incident_is_mailed_and_posted() {
    let host = Host::new("notify");
    let conf = example("notify.conf");
    // No unit of systemd writes here; everything else is as it is shipped.
    let unit = " and $!_SYSTEMD_UNIT == \"portcullis-notify.service\"";
    assert!(conf.contains(unit));
    let conf = conf
        .replace(unit, "")
        .replace("port=\"25\"", "port=\"2525\"")
        .replace("https://hooks.example.org", "http://127.0.0.1:8099");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    crate::shipping::host::certificates(folder.path(), &["web1.example"]);
    prepared(&host, folder.path(), "web1.example", vec![("/etc/portcullis/ship/notify.conf", conf)]);
    let webhook = example("webhook");
    let _journald = host.run(move || {
        std::fs::write("/etc/portcullis/ship/webhook", webhook).expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions("/etc/portcullis/ship/webhook", mode).expect("permissions");
        std::fs::create_dir_all("/etc/systemd/journald.conf.d").expect("a folder");
        std::fs::write("/etc/systemd/journald.conf.d/test.conf", "[Journal]\nStorage=volatile\n").expect("a file");
        journald()
    });
    let (mails, posts) = (server(&host, 2525, smtp), server(&host, 8099, http));
    written(&host, "portcullis-incident", ascii(&incident("0ldoldoldold", 73)));
    let _rsyslog = ship(&host, "notify");
    wait_long("rsyslog", || host.run(|| Path::new("/run/portcullis-ship-notify.pid").exists()));
    for (identifier, id, severity) in [
        ("portcullis-incident", "a10000000000", 21),
        ("another", "b20000000000", 73),
        ("portcullis-incident", "e6af8812aaaa", 47),
        ("portcullis-incident", "f7af8812aaaa", 73),
    ] {
        written(&host, identifier, ascii(&incident(id, severity)));
    }
    let count = |came: &Came| came.lock().expect("a lock").len();
    wait_long("the mails", || count(&mails) == 2);
    wait_long("the posts", || count(&posts) == 2);
    // One that was refused may come after a later one.
    let with = |came: &Came, id: &str| came.lock().expect("a lock").iter().find(|text| text.contains(id)).cloned();
    for (id, severity) in [("e6af8812aaaa", 47), ("f7af8812aaaa", 73)] {
        let mail = with(&mails, id).expect(id);
        let (head, body) = mail.split_once("\n\n").expect("a head");
        assert!(head.contains(&format!("Subject: Portcullis: incident {id} on notify, score 88")), "{mail}");
        assert!(!head.contains("Bcc") && mail.is_ascii() && !mail.contains("\n.\n"), "{mail}");
        assert!(body.starts_with(&format!("portcullis events --incident {id}\n\n")), "{mail}");
        let line = body.lines().find(|line| line.starts_with('{')).expect("the incident");
        assert_eq!(serde_json::from_str::<Value>(line).expect("JSON"), incident(id, severity));
        let post = with(&posts, id).expect(id);
        assert_eq!(serde_json::from_str::<Value>(&post).expect("JSON"), incident(id, severity));
    }
}
