//! The way from workers to their supervisor: nobody else has it, can take it, or can make it slow; and what waits in the place of
//! others is bounded.

use super::*;
use crate::bypasses::{compile as compile_here, run, run_page};
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Another local user takes abstract names, each with a full queue, or connects to them and says nothing. Says `done`, and keeps it
/// all until its standard input ends.
const OTHER: &str = "import os, socket, sys\n\
    held = []\n\
    def new():\n\
    \x20   held.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)); held[-1].setblocking(False)\n\
    \x20   return held[-1]\n\
    for name in sys.argv[2:]:\n\
    \x20   address = b'\\0' + name.encode()\n\
    \x20   if sys.argv[1] == 'take':\n\
    \x20       one = new(); one.bind(address); one.listen(0)\n\
    \x20   for _ in range(50 if sys.argv[1] == 'connect' else 2):\n\
    \x20       try: new().connect(address)\n\
    \x20       except OSError: pass\n\
    print('done', flush=True)\n\
    sys.stdin.read()\n";

struct Other(Child);

impl Other {
    fn does(what: &str, names: &[String]) -> Other {
        let mut command = Command::new("python3");
        command.args(["-c", OTHER, what]).args(names).uid(1000).gid(1000).stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: makes a system call alone.
        unsafe {
            command.pre_exec(|| {
                let limit = libc::rlimit { rlim_cur: 4096, rlim_max: 4096 };
                libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
                Ok(())
            })
        };
        let mut child = command.spawn().expect("python3");
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().expect("a pipe")), &mut line)
            .expect("a line");
        assert_eq!(line, "done\n");
        Other(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The abstract names at which somebody listens here.
fn names() -> BTreeSet<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/unix").expect("sockets");
    text.lines().filter_map(|line| Some(line.split_whitespace().last()?.strip_prefix('@')?.to_owned())).collect()
}

/// How long a call takes that is judged.
fn time_of(port: u16, answer: &str) -> Duration {
    let begun = Instant::now();
    assert_eq!(ask(port, "localhost", "sendto"), answer);
    begun.elapsed()
}

/// A local user who knows every name that a supervisor could have, and takes them all with full queues, or connects and says
/// nothing, neither stops a server from starting, nor turns a refusal into an event, nor makes anybody wait.
#[test]
fn nobody_else_can_reach_or_take_it() {
    use std::os::linux::fs::MetadataExt;
    enter();
    for (mode, answer) in [("audit", "1 0 0"), ("enforce", "-1 13 0")] {
        let place = Place::new();
        // Those of a version that named it by the master's number.
        let namespace = std::fs::metadata("/proc/self/ns/pid").expect("a namespace").st_ino();
        // SAFETY: the child ends at once.
        let own = unsafe { libc::fork() };
        if own == 0 {
            // SAFETY: as above.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: a child of this test.
        unsafe { libc::waitpid(own, std::ptr::null_mut(), 0) };
        let guessed: Vec<String> = (own..own + 900).map(|pid| format!("portcullis-2-{pid}-{namespace}")).collect();
        let _other = Other::does("take", &guessed);
        let before = names();
        let (guard, fpm, nginx) = fpm_and_nginx(&place, mode);
        let master = fpm.process.pid();
        assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{mode}");
        let added: Vec<String> = names().difference(&before).cloned().collect();
        let _silent = Other::does("connect", &added);
        for _ in 0..5 {
            let time = time_of(nginx.port, answer);
            assert!(time < Duration::from_secs(1), "{time:?}, {mode}");
        }
        assert_eq!(added, [""; 0], "{mode}");
        // Where its processes were killed, the next worker has another at the same place.
        let workers = children(master);
        supervisors(master).into_iter().for_each(kill);
        wait_until("their end", || supervisors(master).is_empty());
        workers.iter().copied().for_each(kill);
        wait_until("other workers", || {
            let now = children(master);
            now.len() == 2 && now.iter().all(|pid| !workers.contains(pid) && is_filtered(*pid))
        });
        standing(master);
        assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{mode}");
        let events = guard.events().all();
        let (said, judged): (Vec<&Value>, Vec<&Value>) =
            events.iter().partition(|event| event.text("rule.id") == "guard-policy");
        let said: Vec<&str> = said.iter().map(|event| event.text("message")).collect();
        let ended = "the backstop's supervisor has ended or does not answer, and another has begun: calls that earlier workers send to it fail";
        assert_eq!(said, [ended], "{mode}");
        assert!(judged.iter().all(|event| event.text("portcullis.layer") == "backstop"), "{events:#?}");
    }
}

/// A worker lets go of its way to the supervisor before it runs anything for a request.
#[test]
fn a_worker_that_serves_has_no_way_to_it() {
    enter();
    let place = Place::new();
    let (_guard, fpm, nginx) = fpm_and_nginx(&place, "enforce");
    assert_eq!(ask(nginx.port, "localhost", "sendto"), "-1 13 0");
    let sockets = |pid: i32, from: i32| -> BTreeSet<String> {
        let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors");
        folder
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let number: i32 = path.file_name()?.to_str()?.parse().ok()?;
                let target = std::fs::read_link(path).ok()?.to_str()?.to_owned();
                (number >= from && target.starts_with("socket:")).then_some(target)
            })
            .collect()
    };
    for master in [fpm.process.pid(), nginx.process.pid()] {
        let held = sockets(master, 50);
        assert_eq!(held.len(), 2, "{held:?}");
        for worker in children(master) {
            assert!(sockets(worker, 0).is_disjoint(&held), "{worker}");
        }
    }
}

/// A port where nobody accepts: who connects there waits.
fn silent() -> std::net::TcpListener {
    use std::os::fd::AsRawFd;
    let listener = std::net::TcpListener::bind((OUTSIDE4, 8080)).expect("a listener");
    // SAFETY: the listener's own descriptor.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    listener
}

fn named(name: &str) -> Vec<i32> {
    let processes =
        std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|pid| word(*pid, "status", "Name:").as_deref() == Some(name)).collect()
}

/// Whoever waits for connections past the hooks has a bounded number of processes of the supervisor's wait for it, which end
/// with it, and makes nobody else wait.
#[test]
fn who_waits_for_others_is_bounded() {
    enter();
    let _listener = silent();
    for way in ["connect", "flip"] {
        let place = Place::new();
        let program = compile_here(&place, "waiters", &["-static", "-pthread"]);
        let (_guard, fpm, nginx) = fpm_and_nginx(&place, "enforce");
        run_page(&place);
        let (port, master) = (nginx.port, fpm.process.pid());
        assert_eq!(ask(port, "localhost", "sendto"), "-1 13 0");
        let [_, broker, judge] = standing(master);
        let number = if way == "connect" { "100" } else { "6" };
        let asked = std::thread::spawn(move || run(port, "localhost", &[&program, way, number]));
        wait_until("those who wait", || supervisors(master).len() > 5);
        wait_until("helpers without rights", || {
            let is_helper = |pid: &i32| {
                *pid != judge && word(*pid, "status", "PPid:").is_some_and(|parent| parent == broker.to_string())
            };
            let helpers = supervisors(master).into_iter().filter(is_helper);
            let sets: Vec<_> = helpers.filter_map(|pid| word(pid, "status", "CapPrm:")).collect();
            sets.len() > 2 && sets.iter().all(|set| set == "0000000000000000")
        });
        let begun = Instant::now();
        let mut most = 0;
        while begun.elapsed() < Duration::from_secs(3) {
            let time = time_of(port, "-1 13 0");
            assert!(time < Duration::from_secs(1), "{time:?}, {way}");
            most = most.max(supervisors(master).len());
        }
        // Three of its own, and one may have been made for a moment.
        assert!(most <= 3 + 32 + 1, "{most}, {way}");
        named("waiters").into_iter().for_each(|pid| {
            // SAFETY: a process that this test's server started.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        });
        let begun = Instant::now();
        wait_until("their end", || supervisors(master).len() == 3);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        asked.join().expect("an answer");
    }
}
