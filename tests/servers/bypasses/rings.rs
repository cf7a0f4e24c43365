//! Rings of io_uring that an application has before its worker serves, or receives from elsewhere, in uWSGI: with the kernel
//! as the oracle, whether a request can still enter them.

use crate::harness::{Guard, Parts, Place, Process, enter, every_rule, http, wait_until};
use std::net::TcpStream;
use std::process::Command;

/// The master makes the rings, by the instruction and by syscall(2); a third is another process's, of which a request takes it by
/// pidfd_getfd. A socket does not pass rings on (since Linux 6.7).
const APP: &str = r#"
import ctypes, mmap, os, struct
c = ctypes.CDLL(None, use_errno=True)
code = mmap.mmap(-1, 4096, prot=7)
# mov eax, edi; mov rdi, rsi; mov rsi, rdx; syscall; ret
code.write(bytes.fromhex("89f8 4889f7 4889d6 0f05 c3"))
past_libc = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)(
    ctypes.addressof(ctypes.c_char.from_buffer(code)))

def parameters():
    return ctypes.create_string_buffer(120)

held = parameters()
RINGS = {"instruction": past_libc(425, 4, ctypes.addressof(held)), "syscall": c.syscall(425, 4, parameters())}
r, w = os.pipe()
HOLDER = os.fork()
if HOLDER == 0:
    c.prctl(1, 9, 0, 0, 0)
    os.closerange(3, w)
    os.closerange(w + 1, 1024)
    own = c.syscall(425, 4, parameters())
    c.prctl(4, 1, 0, 0, 0)
    os.write(w, struct.pack("i", own))
    c.pause()
os.close(w)
OWN = struct.unpack("i", os.read(r, 4))[0]

def enter(ring):
    done = c.syscall(426, ring, 0, 0, 0, None, 0)
    return "entered" if done == 0 else os.strerror(ctypes.get_errno())

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["QUERY_STRING"] == "received":
        ring = c.syscall(438, os.pidfd_open(HOLDER), OWN, 0)
    else:
        ring = RINGS[environ["QUERY_STRING"]]
    return [f"{os.readlink(f'/proc/self/fd/{ring}')} {enter(ring)}".encode()]
"#;

fn start(place: &Place, guard: Option<&Guard>) -> Process {
    let app = place.write("app/app.py", APP);
    let mut command = Command::new("/usr/bin/uwsgi");
    command.args([
        "--plugin",
        "python3",
        "--http-socket",
        "127.0.0.1:8082",
        "--master",
        "--need-app",
        "--processes",
        "1",
    ]);
    command.args(["--uid", "www-data", "--gid", "www-data", "--die-on-term", "--wsgi-file"]).arg(app);
    let process = Process::start(command, guard);
    wait_until("uwsgi", || TcpStream::connect(("127.0.0.1", 8082)).is_ok());
    process
}

#[test]
fn a_ring_from_before_a_worker_serves_is_judged() {
    enter();
    let ask = |way: &str| http::get(8082, &format!("/?{way}")).body;
    let ways = ["instruction", "syscall", "received"];
    let bare = Place::new();
    let server = start(&bare, None);
    for way in ways {
        assert_eq!(ask(way), "anon_inode:[io_uring] entered", "{way}, without Portcullis");
    }
    drop(server);
    for (mode, layer) in [("audit", "off"), ("audit", "supervise"), ("enforce", "off"), ("enforce", "supervise")] {
        let place = Place::new();
        let guard = place.guard_of_every_event(&format!("{}[backstop]\nseccomp = \"{layer}\"\n", every_rule(mode)));
        let _server = start(&place, Some(&guard));
        let mut events = guard.events();
        let (wanted, outcome) = match mode {
            "audit" => ("anon_inode:[io_uring] entered", "success"),
            _ => ("/dev/null Operation not supported", "failure"),
        };
        for way in ways {
            assert_eq!(ask(way), wanted, "{mode}, {layer}: {way}");
        }
        let rings: Vec<_> =
            events.fresh().into_iter().filter(|event| event.text("event.action") == "io_uring_setup").collect();
        assert_eq!(rings.len(), 3, "{mode}, {layer}: two from before and one received: {rings:#?}");
        for event in &rings {
            assert_eq!(event.text("event.outcome"), outcome);
            assert_eq!(event.text("rule.id"), "egress-port");
            assert_eq!(event.text("rule.name"), "Web Server Process Using io_uring");
            assert!(event.text("message").contains("io_uring from "), "{event:#?}");
        }
    }
}
