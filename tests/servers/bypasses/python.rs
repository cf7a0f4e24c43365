//! Python's threads in uWSGI and in mod_wsgi that start commands simultaneously for two virtual hosts, one of which allows the
//! command: each command, and each of its descendants, is judged by the virtual host of its own request.

use crate::harness::{Apache, Guard, Kind, Listeners, Parts, Place, Process, enter, http, wait_until};
use std::any::Any;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Reports its request as a module does, since neither server's protocol is read in passing, and starts the command.
const APP: &str = r#"
import ctypes, os, subprocess
libc = ctypes.CDLL(None)
begin, end = libc.portcullis_request_begin, libc.portcullis_request_end
begin.restype, end.argtypes = ctypes.c_uint64, [ctypes.c_uint64]
libc.popen.restype = ctypes.c_void_p
libc.fread.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]
libc.pclose.argtypes = [ctypes.c_void_p]

class Request(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t)] + [
        (name, ctypes.c_char_p)
        for name in ("server_name", "document_root", "script", "method", "uri", "client", "profile")
    ]

def by_system(command):
    # Its output is the server's: what it returns says whether it connected.
    return "yes" if os.system(command) == 0 else "no"

def by_popen(command):
    stream = libc.popen(command.encode(), b"r")
    if not stream:
        return "no"
    text = ctypes.create_string_buffer(64)
    libc.fread(text, 1, 63, stream)
    libc.pclose(stream)
    return text.value.decode() or "no"

def by_python(command):
    try:
        return os.popen(command).read() or "no"
    except PermissionError:
        return "no"

def by_subprocess(command):
    try:
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        return done.stdout.decode() or "no"
    except PermissionError:
        return "no"

def application(environ, start_response):
    host = environ["QUERY_STRING"].encode()
    request = Request(ctypes.sizeof(Request), host + b".example", None, b"/srv/app.py", b"GET", b"/" + host, b"192.0.2.1")
    token = begin(ctypes.byref(request))
    said = [way("PROGRAM") for way in (by_system, by_popen, by_python, by_subprocess)]
    end(token)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(said).encode()]
"#;

/// Connects to where one of the virtual hosts may connect.
const PROGRAM: &str = "#!/usr/bin/perl\nsocket(S, 2, 1, 0);\n\
                       $done = connect(S, pack('SnC4x8', 2, 4444, 192, 88, 1, 10));\nprint $done ? 'yes' : 'no';\nexit !$done;\n";

const WAYS: usize = 4;
const CLIENTS: usize = 16;
const ROUNDS: usize = 3;

fn start(place: &Place, guard: &Guard, server: &str) -> Box<dyn Any> {
    let program = place.write("program", PROGRAM);
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("permissions");
    let app = place.write("app/app.py", &APP.replace("PROGRAM", program.to_str().expect("a path")));
    place.pages();
    if server == "uwsgi" {
        let mut command = Command::new("/usr/bin/uwsgi");
        command.args(["--plugin", "python3", "--http-socket", "127.0.0.1:8082", "--master", "--need-app"]);
        command.args([
            "--processes",
            "1",
            "--threads",
            "32",
            "--uid",
            "www-data",
            "--gid",
            "www-data",
            "--die-on-term",
        ]);
        command.arg("--disable-logging").arg("--wsgi-file").arg(&app);
        let process = Process::start(command, Some(guard));
        wait_until("uwsgi", || TcpStream::connect(("127.0.0.1", 8082)).is_ok());
        return Box::new(process);
    }
    let extra = format!(
        "LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so\nWSGISocketPrefix {}/wsgi\n\
         WSGIDaemonProcess app threads=16\nWSGIProcessGroup app\nWSGIApplicationGroup %{{GLOBAL}}\n\
         WSGIScriptAlias /app {}\n<Directory {}>\nRequire all granted\n</Directory>\n",
        place.path().display(),
        app.display(),
        place.join("app").display()
    );
    Box::new(Apache::start(place, Some(guard), Kind::Event, None, &extra))
}

/// What each request of a host says, of many at the same time.
fn ask(server: &str) -> Vec<(&'static str, String)> {
    let path = if server == "uwsgi" { "/" } else { "/app" };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .flat_map(|_| ["open", "strict"])
            .map(|host| {
                scope.spawn(move || {
                    (0..ROUNDS).map(|_| (host, http::get(8082, &format!("{path}?{host}")).body)).collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    })
}

fn exact(server: &str) {
    enter();
    let _listeners = Listeners::on(&[4444]);
    for (mode, layer) in [("audit", "off"), ("enforce", "off"), ("audit", "supervise"), ("enforce", "supervise")] {
        let place = Place::new();
        let guard = place.guard_of_every_event(&format!(
            "mode = \"{mode}\"\n[rules.exec-tool]\nmode = \"off\"\n[backstop]\nseccomp = \"{layer}\"\n\
             [[vhost]]\nname = \"open\"\nmatch = {{ server_name = [\"open.example\"] }}\n\
             [vhost.exec]\nallow = [\"{}\"]\n[vhost.egress]\nallow = [\"192.88.1.10:4444\"]\n\
             [[vhost]]\nname = \"strict\"\nmatch = {{ server_name = [\"strict.example\"] }}\n",
            place.join("program").display()
        ));
        let _server = start(&place, &guard, server);
        let before = guard.events().all().len();
        let answers = ask(server);
        let what = format!("{server}, {mode}, seccomp {layer}");
        let (yes, no) = (["yes"; WAYS].join(" "), ["no"; WAYS].join(" "));
        for (host, said) in &answers {
            let wanted = if *host == "strict" && mode == "enforce" { &no } else { &yes };
            assert_eq!(said, wanted, "{what}: {host}");
        }
        let events = guard.events().all().split_off(before);
        let foreign: Vec<_> = events.iter().filter(|event| event.text("url.domain") != "strict.example").collect();
        let first = foreign.first();
        assert!(first.is_none(), "{what}: {} events of another host, first {first:#?}", foreign.len());
        let count = |rule: &str| events.iter().filter(|event| event.text("rule.id") == rule).count();
        // What is refused connects nowhere.
        let calls = CLIENTS * ROUNDS * WAYS;
        let connections = if mode == "enforce" { 0 } else { calls };
        assert_eq!((count("shell-spawn"), count("egress-port")), (calls, connections), "{what}");
    }
}

#[test]
fn threads_of_uwsgi_start_commands_for_their_own_hosts() {
    exact("uwsgi");
}

#[test]
fn threads_of_mod_wsgi_start_commands_for_their_own_hosts() {
    exact("mod_wsgi");
}
