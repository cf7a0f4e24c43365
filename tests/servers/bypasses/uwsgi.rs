//! Calls that a Python application makes in uWSGI's own worker, by its own libc, in a way that hid them from Portcullis.

use crate::harness::{Guard, Listeners, Parts, Place, Process, enter, every_rule, http, wait_until};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;

/// Each way gives `shell-42` when the call went ahead; only a shell can make that of the text.
const APP: &str = r#"
import ctypes, mmap, os, socket, struct
c = ctypes.CDLL(None, use_errno=True)
MARK = "echo shell-$((40+2))"
AWAY = bytes([2, 0, 0x11, 0x5c, 192, 88, 1, 10]) + bytes(8)

def said(start):
    r, w = os.pipe()
    try:
        pid = start(w)
    except PermissionError:
        return "no"
    finally:
        os.close(w)
    text = os.read(r, 64).decode().strip()
    os.close(r)
    os.waitpid(pid, 0)
    return text or "no"

def spawn(path, actions=(), by=os.posix_spawn):
    return said(lambda w: by(path, ["report", "-c", MARK], os.environ, file_actions=[*actions, (os.POSIX_SPAWN_DUP2, w, 1)]))

def long_path():
    old = os.environ["PATH"]
    os.environ["PATH"] = "/nonexistent:" * 400 + "/usr/bin:/bin"
    try:
        return spawn("sh", by=os.posix_spawnp)
    finally:
        os.environ["PATH"] = old

def action():
    os.dup2(os.open("/bin/true", os.O_RDONLY), 200)
    return spawn("/proc/self/fd/200", [(os.POSIX_SPAWN_OPEN, 200, "/bin/sh", os.O_RDONLY, 0)])

def high_exec():
    def start(w):
        pid = os.fork()
        if pid == 0:
            os.dup2(w, 1)
            argv = (ctypes.c_char_p * 4)(b"sh", b"-c", MARK.encode())
            c.syscall(ctypes.c_long((1 << 32) | 59), b"/bin/sh", argv, (ctypes.c_char_p * 1)())
            os._exit(1)
        return pid
    return said(start)

def done(result):
    return "shell-42" if result >= 0 else "no"

def datagram():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

def long_name():
    name = ctypes.create_string_buffer(AWAY + bytes(240), 256)
    text = ctypes.create_string_buffer(b"x", 1)
    vector = struct.pack("PN", ctypes.addressof(text), 1)
    vector = ctypes.create_string_buffer(vector, len(vector))
    header = struct.pack("PIxxxxPNPNi", ctypes.addressof(name), 200, ctypes.addressof(vector), 1, 0, 0, 0)
    with datagram() as s:
        return done(c.sendmsg(s.fileno(), ctypes.create_string_buffer(header, 64), 0))

def no_family():
    with datagram() as s:
        return done(c.sendto(s.fileno(), b"x", 1, 0, bytes(2) + AWAY[2:], 16))

def quiet():
    with datagram() as s:
        s.connect(("192.88.1.10", 9))
        return done(c.send(s.fileno(), b"x", 1, 0))

def high_connect():
    with socket.socket() as s:
        return done(c.syscall(ctypes.c_long((1 << 32) | 42), s.fileno(), AWAY, 16))

def page_end():
    c.mmap.restype = ctypes.c_void_p
    c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    at = c.mmap(None, 8192, 3, 0x22, -1, 0)
    c.munmap(ctypes.c_void_p(at + 4096), 4096)
    ctypes.memmove(at + 4096 - 16, bytes([2, 0, 0x11, 0x81]) + bytes(12), 16)
    with datagram() as s:
        return done(c.bind(s.fileno(), ctypes.c_void_p(at + 4096 - 16), 16))

WAYS = {
    "long-path": long_path,
    "symlink": lambda: spawn("WWW/symlink"),
    "copy": lambda: spawn("WWW/copy"),
    "action": action,
    "high-exec": high_exec,
    "long-name": long_name,
    "no-family": no_family,
    "quiet": quiet,
    "high-connect": high_connect,
    "page-end": page_end,
}

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [WAYS[environ["QUERY_STRING"]]().encode()]
"#;

const WAYS: [(&str, &str); 10] = [
    ("long-path", "shell-spawn"),
    ("symlink", "shell-spawn"),
    ("copy", "shell-spawn"),
    ("action", "shell-spawn"),
    ("high-exec", "shell-spawn"),
    ("long-name", "egress-port"),
    ("no-family", "egress-port"),
    ("quiet", "egress-port"),
    ("high-connect", "egress-port"),
    ("page-end", "listen-port"),
];

fn start(place: &Place, guard: Option<&Guard>) -> Process {
    let www = place.join("www");
    let app = place.write("www/app.py", &APP.replace("WWW", www.to_str().expect("a path")));
    symlink("/bin/sh", www.join("symlink")).expect("a link");
    std::fs::copy("/bin/dash", www.join("copy")).expect("a copy");
    let mut command = Command::new("/usr/bin/uwsgi");
    command.args(["--plugin", "python3", "--http-socket", "127.0.0.1:8082", "--master", "--need-app"]);
    command.args(["--processes", "1", "--threads", "2", "--uid", "www-data", "--gid", "www-data", "--die-on-term"]);
    command.arg("--disable-logging").arg("--wsgi-file").arg(&app);
    let process = Process::start(command, guard);
    wait_until("uwsgi", || TcpStream::connect(("127.0.0.1", 8082)).is_ok());
    process
}

fn held(layers: &[&str]) {
    enter();
    let _listeners = Listeners::on(&[4444, 9]);
    let ask = |way: &str| http::get(8082, &format!("/?{way}")).body;
    let bare = Place::new();
    let server = start(&bare, None);
    for (way, _) in WAYS {
        assert_eq!(ask(way), "shell-42", "{way}, without Portcullis");
    }
    drop(server);
    let mut wrong = Vec::new();
    for layer in layers {
        for (mode, wanted, outcome) in [("audit", "shell-42", "success"), ("enforce", "no", "failure")] {
            let place = Place::new();
            let config = every_rule(mode)
                .replace(&format!("[rules.exec-tool]\nmode = \"{mode}\""), "[rules.exec-tool]\nmode = \"off\"");
            let guard = place.guard_of_every_event(&format!("{config}[backstop]\nseccomp = \"{layer}\"\n"));
            let _server = start(&place, Some(&guard));
            let mut events = guard.events();
            events.fresh();
            for (way, rule) in WAYS {
                let said = ask(way);
                let fresh = events.fresh();
                // A program that is not the judged one has an event of its own when it begins.
                let own = fresh.iter().filter(|event| event.text("portcullis.unknown") != "replaced");
                let seen: Vec<_> = own.map(|event| (event.text("rule.id"), event.text("event.outcome"))).collect();
                if said != wanted || seen != [(rule, outcome)] {
                    wrong.push(format!("{mode}, seccomp {layer}: {way}: {said:?}, {seen:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn calls_of_uwsgis_own_worker() {
    held(&["off", "supervise"]);
}
