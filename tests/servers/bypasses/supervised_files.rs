//! The files that a worker names to the supervisor, which is root, and the name that it is found by.

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Parts, Place, children, enter, http, wait_until};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path")
}

/// The supervisor never opens a FIFO, a device or a socket: that can wait for ever, and has effects.
#[test]
fn only_regular_files_are_opened() {
    enter();
    let place = Place::new();
    let sockets = compile(&place, "raw_sockets", &["-static", "-pthread"]);
    let (_guard, _fpm, nginx) = servers_with(&place, "");
    let (fifo, device, socket) = (place.join("fifo"), place.join("device"), place.join("socket"));
    // SAFETY: the paths are C strings.
    unsafe {
        assert_eq!(libc::mkfifo(c_path(&fifo).as_ptr(), 0o777), 0);
        // The null device.
        assert_eq!(libc::mknod(c_path(&device).as_ptr(), libc::S_IFCHR | 0o777, libc::makedev(1, 3)), 0);
    }
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    // SAFETY: the path is a C string.
    let watch = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
    for path in [&fifo, &device, &socket] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("permissions");
        // SAFETY: as above.
        assert!(unsafe { libc::inotify_add_watch(watch, c_path(path).as_ptr(), libc::IN_OPEN) } >= 0);
    }
    for host in ["localhost", "other1.example"] {
        for path in [&fifo, &device, &socket] {
            let answer = run(nginx.port, host, &[&sockets, "exec", path.to_str().expect("a path")]);
            assert_eq!(answer, "-1:13  0", "{}", path.display());
        }
    }
    let mut bytes = [0_u8; 256];
    // SAFETY: the kernel writes at most that many bytes.
    let seen = unsafe { libc::read(watch, bytes.as_mut_ptr().cast(), bytes.len()) };
    assert_eq!(seen, -1, "something was opened");
    // SAFETY: this test's own.
    unsafe { libc::close(watch) };
}

/// Another local user takes abstract names: says `taken`, and keeps them until its standard input ends.
const TAKER: &str = "import os, socket, sys\n\
    held = []\n\
    for name in sys.argv[1:]:\n\
    \x20   one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n\
    \x20   one.bind(b'\\0' + name.encode()); one.listen(64)\n\
    \x20   held.append(one)\n\
    print('taken', flush=True)\n\
    sys.stdin.read()\n";

struct Taker(std::process::Child);

impl Taker {
    fn take(names: &[String]) -> Taker {
        let mut command = Command::new("python3");
        command.arg("-c").arg(TAKER).args(names).uid(1000).gid(1000).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().expect("a pipe")), &mut line)
            .expect("a line");
        assert_eq!(line, "taken\n");
        Taker(child)
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The names of supervisors that listen here.
fn names() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/unix").expect("sockets");
    let mut all: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_whitespace().last()?.strip_prefix('@'))
        .filter(|name| name.starts_with("portcullis-"))
        .map(str::to_owned)
        .collect();
    all.sort();
    all.dedup();
    all
}

/// No local user can make a supervised server one that only logs: the name cannot be known before, and where it is taken once the
/// supervisor has ended, the server refuses.
#[test]
fn a_taken_name_is_no_way_past() {
    use std::os::linux::fs::MetadataExt;
    enter();
    let place = Place::new();
    let sockets = compile(&place, "raw_sockets", &["-static", "-pthread"]);
    // The names that versions before took for the servers whose numbers come next.
    let namespace = std::fs::metadata("/proc/self/ns/pid").expect("a namespace").st_ino();
    // SAFETY: takes no pointer.
    let own = unsafe { libc::fork() };
    if own == 0 {
        // SAFETY: ends the child alone.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: a child of this test.
    unsafe { libc::waitpid(own, std::ptr::null_mut(), 0) };
    let guessed: Vec<String> = (own..own + 600).map(|pid| format!("portcullis-2-{pid}-{namespace}")).collect();
    let _taker = Taker::take(&guessed);
    let (guard, fpm, nginx) = servers_with(&place, "");
    let ask = || run(nginx.port, "localhost", &[&sockets, "sends"]);
    // Under load, and all of it judged.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert!(ask().starts_with("-1:13 -1:13 -1:13 "));
                }
            });
        }
    });
    let events = guard.events().all();
    assert!(events.len() >= 120, "{}", events.len());
    for event in &events {
        assert_eq!((event.text("rule.id"), event.text("portcullis.layer")), ("egress-port", "backstop"), "{event:#}");
    }
    // The supervisor's processes end, and somebody takes its name before the next worker comes.
    let real: Vec<String> = names().into_iter().filter(|name| !guessed.contains(name)).collect();
    let masters = [fpm.process.pid(), nginx.process.pid()];
    let mut all: Vec<i32> = masters.into_iter().flat_map(crate::backstop::supervisors).collect();
    all.sort_unstable();
    assert!(!all.is_empty() && !real.is_empty());
    all.into_iter().for_each(crate::backstop::kill);
    let _second = {
        wait_until("the names", || names().iter().all(|name| !real.contains(name)));
        Taker::take(&real)
    };
    let before = children(masters[0]);
    fpm.process.signal(libc::SIGUSR2);
    wait_until("other workers", || {
        let now = children(masters[0]);
        now.len() == 2 && now.iter().all(|worker| !before.contains(worker))
    });
    let mut fresh = guard.events();
    let _ = fresh.fresh();
    assert!(ask().starts_with("-1:13 -1:13 -1:13 "), "{}", ask());
    assert_eq!(http::get(nginx.port, "/way.php?way=list").status, 200);
    let said: Vec<String> = guard.events().all().iter().map(|event| event.text("message").to_owned()).collect();
    assert!(
        said.iter().any(|message| message.starts_with("the backstop refuses what did not come through the hooks")),
        "{said:#?}"
    );
}
