//! A child that closes, reuses, fills or limits its descriptors before it executes a program: its event is in every sink that
//! it can reach, and where it reaches none, the loss is counted.

use crate::harness::{
    Apache, Guard, Kind, Parts, Place, Process, built, enter, http, journald, own_run_and_dev, wait_until,
};
use serde_json::Value;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// A server that does for each connection what the client names, in a child, which then executes a shell.
const SERVER: &str = r#"
import ctypes, os, resource, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 8085))
listener.listen()
jail, other = sys.argv[1:3]

def limit(which, soft, hard=None):
    resource.setrlimit(which, (soft, resource.getrlimit(which)[1] if hard is None else hard))

def fill():
    limit(resource.RLIMIT_NOFILE, 64)
    try:
        while True:
            os.open("/dev/null", os.O_RDONLY)
    except OSError:
        pass

def reuse():
    libc.closefrom(3)
    file = os.open(other, os.O_RDWR | os.O_CREAT)
    for number in [*range(4, 20), *range(200, 210), *range(900, 910)]:
        os.dup2(file, number)

while True:
    client, _ = listener.accept()
    code, _, word = client.recv(4096).decode().rpartition("|")
    if not word:
        continue
    child = os.fork()
    if child == 0:
        try:
            exec(code)
            os.execv("/bin/sh", ["sh", "-c", ": " + word])
        except PermissionError:
            os._exit(13)
        except BaseException as error:
            open(other + ".error", "a").write(f"{word}: {error!r}\n")
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    client.sendall(str(status).encode())
    client.close()
"#;

const ALL: &[&str] = &["file", "journald", "syslog", "stderr"];

/// What the child does, and the sinks that it can still reach then.
const WAYS: &[(&str, &str, &[&str])] = &[
    ("nothing", "pass", ALL),
    ("close_fds", "subprocess.run(['sh', '-c', ': ' + word], executable='/bin/sh', close_fds=True)", ALL),
    ("closefrom", "libc.closefrom(3)", ALL),
    ("close_range", "libc.close_range(3, 0x7fffffff, 0)", ALL),
    ("closerange", "os.closerange(3, 2048)", ALL),
    ("cloexec_range", "libc.close_range(3, 0x7fffffff, 4)", ALL),
    ("reuse", "reuse()", ALL),
    ("full", "libc.closefrom(3); fill()", ALL),
    ("full_and_held", "fill()", ALL),
    ("few", "libc.closefrom(3); limit(resource.RLIMIT_NOFILE, 3, 3)", ALL),
    ("none", "libc.closefrom(3); limit(resource.RLIMIT_NOFILE, 0)", ALL),
    ("file_size", "limit(resource.RLIMIT_FSIZE, 0)", ALL),
    ("user", "libc.closefrom(3); os.setgid(33); os.setuid(33)", ALL),
    ("chroot", "os.chroot(jail)", ALL),
    ("redirected", "os.dup2(os.open('/dev/null', os.O_WRONLY), 2)", ALL),
    ("closed_2", "os.close(2)", ALL),
    // Nothing leads to the rest any more.
    (
        "closed_and_redirected",
        "libc.closefrom(3); os.dup2(os.open('/dev/null', os.O_WRONLY), 2)",
        &["file", "journald", "syslog"],
    ),
    ("closed_and_chroot", "libc.closefrom(3); os.chroot(jail)", ALL),
    ("no_file_size", "limit(resource.RLIMIT_FSIZE, 0, 0)", &["journald", "syslog"]),
    ("no_limit_left", "libc.closefrom(3); limit(resource.RLIMIT_NOFILE, 0, 0)", &[]),
];

/// A real rsyslogd of the test's own.
fn rsyslogd(place: &Place) -> Process {
    let path = place.path().display();
    let config = place.write(
        "rsyslog.conf",
        &format!(
            "module(load=\"imuxsock\" SysSock.Name=\"/dev/log\" SysSock.RateLimit.Interval=\"0\")\n\
             template(name=\"raw\" type=\"string\" string=\"%msg%\\n\")\n$MaxMessageSize 16k\n\
             *.* action(type=\"omfile\" file=\"{path}/syslog\" template=\"raw\")\n"
        ),
    );
    let mut command = Command::new("/usr/sbin/rsyslogd");
    command.arg("-n").arg("-f").arg(config).arg("-i").arg(place.join("rsyslog.pid"));
    let process = Process::start(command, None);
    wait_until("rsyslogd", || Path::new("/dev/log").exists());
    process
}

/// The words of the shells whose events are in a text of lines.
fn words(text: &str) -> Vec<String> {
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.trim()).ok());
    let shells = events.filter(|event| event.text("rule.id") == "shell-spawn");
    shells.filter_map(|event| Some(event.text("process.command_line").strip_prefix("sh -c : ")?.to_owned())).collect()
}

fn ask(way: &str, code: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", 8085)).expect("the server listens");
    std::io::Write::write_all(&mut stream, format!("{code}|{way}").as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Of a file that was not opened to append, the program and the guard have one offset.
#[test]
fn standard_error_in_a_file_has_both() {
    enter();
    let place = Place::new();
    let config = place.write("etc/portcullis.toml", "mode = \"audit\"\n[log]\nsink = [\"stderr\"]\n");
    let file = place.join("stderr");
    for role in ["serving", "master"] {
        let mut command = Command::new(built().join("portcullis"));
        command.args(["run", "--role", role, "--config"]).arg(&config);
        command.args([
            "--",
            "/usr/bin/perl",
            "-e",
            "print STDERR qq(before\n); system q(exit 0;); print STDERR qq(after\n)",
        ]);
        let done = command.stderr(std::fs::File::create(&file).expect("a file")).status().expect("portcullis");
        assert!(done.success());
        let text = std::fs::read_to_string(&file).expect("the file");
        let lines: Vec<&str> = text.lines().collect();
        let (first, last) = (lines.first().copied(), lines.last().copied());
        assert_eq!((first, last), (Some("before"), Some("after")), "{role}: {text}");
        let events = &lines[1..lines.len() - 1];
        assert_eq!(events.len(), usize::from(role == "serving"), "{text}");
        assert!(events.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
    }
}

#[test]
fn every_sink_has_the_event_however_the_descriptors_are() {
    enter();
    own_run_and_dev();
    let _journald = journald();
    let place = Place::new();
    let _rsyslogd = rsyslogd(&place);
    let log = place.join("log/events.jsonl");
    let text = format!(
        "mode = \"enforce\"\n[log]\nsink = [\"journald\", \"syslog\", \"file\", \"stderr\"]\nfile = \"{}\"\n",
        log.display()
    );
    let guard = Guard::new(&place, place.write("etc/portcullis.toml", &text), log);
    // A jail with a shell and nothing else.
    std::fs::create_dir_all(place.join("jail/bin")).expect("folders");
    std::fs::copy("/bin/busybox", place.join("jail/bin/sh")).expect("a static shell");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(place.write("server.py", SERVER)).arg(place.join("jail")).arg(place.join("other"));
    let stderr = place.join("stderr");
    command.stderr(std::fs::File::options().append(true).create(true).open(&stderr).expect("a file"));
    let _process = Process::start(command, Some(&guard));
    wait_until("the server", || TcpStream::connect(("127.0.0.1", 8085)).is_ok());
    for (way, code, _) in WAYS {
        assert_eq!(ask(way, code), "13", "{way} is refused: {:?}", std::fs::read_to_string(place.join("other.error")));
    }
    assert_eq!(ask("last", "pass"), "13");
    let journal = || {
        let done =
            Command::new("journalctl").args(["-o", "cat", "--all", "-t", "portcullis"]).output().expect("journalctl");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let syslog = place.join("syslog");
    wait_until("the last event in the journal", || words(&journal()).iter().any(|word| word == "last"));
    wait_until("the last event in syslog", || words(&read(&syslog)).iter().any(|word| word == "last"));
    let found = [
        ("file", words(&read(&guard.log))),
        ("journald", words(&journal())),
        ("syslog", words(&read(&syslog))),
        ("stderr", words(&read(&stderr))),
    ];
    for (way, _, sinks) in WAYS {
        for (sink, words) in &found {
            let count = words.iter().filter(|word| word == way).count();
            assert_eq!(count, usize::from(sinks.contains(sink)), "{way} in {sink}");
        }
    }
    let other = std::fs::read(place.join("other")).unwrap_or_default();
    assert!(other.is_empty(), "somebody else's descriptor");
    // What a sink did not take is counted where every process of the tree sees it.
    let lost = WAYS.iter().filter(|(_, _, sinks)| sinks.len() < ALL.len()).count();
    let last = guard.events().all().pop().expect("an event");
    assert_eq!(last["portcullis"]["dropped"], lost, "{last:#}");
}

const APP: &str = r#"
import subprocess
def application(environ, start_response):
    try:
        subprocess.run(["/bin/sh", "-c", "exit 0"], close_fds=True)
        said = "ran"
    except PermissionError:
        said = "refused"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said.encode()]
"#;

#[test]
fn pythons_subprocess_in_uwsgi_and_mod_wsgi() {
    enter();
    for server in ["uwsgi", "mod_wsgi"] {
        let place = Place::new();
        let guard = place.guard("mode = \"enforce\"\n");
        let app = place.write("app/app.py", APP);
        place.pages();
        let _server: Box<dyn std::any::Any> = match server {
            "uwsgi" => {
                let mut command = Command::new("/usr/bin/uwsgi");
                command.args(["--plugin", "python3", "--http-socket", "127.0.0.1:8082", "--master", "--need-app"]);
                command.args([
                    "--processes",
                    "2",
                    "--uid",
                    "www-data",
                    "--gid",
                    "www-data",
                    "--die-on-term",
                    "--wsgi-file",
                ]);
                let process = Process::start(
                    {
                        command.arg(&app);
                        command
                    },
                    Some(&guard),
                );
                wait_until("uwsgi", || TcpStream::connect(("127.0.0.1", 8082)).is_ok());
                Box::new(process)
            }
            _ => {
                let extra = format!(
                    "LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so\nWSGIScriptAlias /app {}\n\
                     <Directory {}>\nRequire all granted\n</Directory>\n",
                    app.display(),
                    place.join("app").display()
                );
                Box::new(Apache::start(&place, Some(&guard), Kind::Event, None, &extra))
            }
        };
        let path = if server == "uwsgi" { "/" } else { "/app" };
        for count in 1..=2 {
            assert_eq!(http::get(8082, path).body, "refused", "{server}");
            let events = guard.events().all();
            assert_eq!(events.len(), count, "{server}: {events:#?}");
            assert_eq!((events[0].text("rule.id"), events[0].text("event.outcome")), ("shell-spawn", "failure"));
        }
    }
}
