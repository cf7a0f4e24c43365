//! What fails around a server: the disk is full, the log's folder is gone, the journal is gone and comes back, descriptors run
//! out, the clock is set back. It serves, the policy holds, and what was lost is counted.

use crate::harness::{
    Fpm, Guard, Nginx, OUTSIDE4, Place, Pool, Process, calls, children, enter, every_rule, from_journal, http,
    journald, own_run_and_dev, wait_until,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGES: [(&str, &str); 3] = [
    ("hello.php", "<?php echo 'fine';"),
    // Refused, as often as the query says; each to a port of its own, so that each is an event of its own.
    (
        "refused.php",
        "<?php for ($i = 0; $i < $_GET['n']; $i++) { $port = 20000 + $_GET['from'] + $i;\
         echo @fwrite(stream_socket_client(\"udp://OUTSIDE:$port\"), 'x') ? 'went ahead' : '.'; }",
    ),
    (
        "exhausted.php",
        "<?php $tcp = socket_create(AF_INET, SOCK_STREAM, SOL_TCP); $udp = socket_create(AF_INET, SOCK_DGRAM, SOL_UDP); $open = [];\
         while ($file = @fopen('/dev/null', 'r')) $open[] = $file;\
         foreach ([$tcp, $udp] as $socket)\
             echo @socket_connect($socket, 'OUTSIDE', 4444) && @socket_write($socket, 'x') ? 'went ahead' : 'refused',\
                 ' ', socket_last_error($socket), ' ';\
         echo count($open) > 50;",
    ),
];

struct Servers {
    fpm: Fpm,
    nginx: Nginx,
}

fn pages(place: &Place) -> PathBuf {
    let www = place.pages();
    for (name, text) in PAGES {
        std::fs::write(www.join(name), text.replace("OUTSIDE", OUTSIDE4)).expect("a page");
    }
    www
}

/// One worker: what it counts is what the next event says.
fn one_worker() -> Pool {
    Pool { lines: "pm.max_children = 1\nrlimit_files = 300\n".into(), ..Pool::default() }
}

fn start(place: &Place, guard: &Guard) -> Servers {
    let www = pages(place);
    let fpm = Fpm::start(place, Some(guard), &one_worker());
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&www));
    Servers { fpm, nginx }
}

impl Servers {
    /// Connections that are refused, and that the server goes on.
    fn refuses(&self, from: usize, count: usize) {
        let answer = http::get(self.nginx.port, &format!("/refused.php?from={from}&n={count}"));
        assert_eq!(answer.body, ".".repeat(count), "{answer:?}");
        assert_eq!(http::get(self.nginx.port, "/hello.php").body, "fine");
    }
}

/// Every event of its own, so that what is lost is not merged.
fn every_event(place: &Place, sink: &str, log: &Path) -> Guard {
    let text =
        format!("{}[log]\nsink = [\"{sink}\"]\nfile = \"{}\"\nmerge = false\n", every_rule("enforce"), log.display());
    Guard::new(place, place.write("etc/portcullis.toml", &text), log.to_owned())
}

/// What a log says: how many calls, and how many events were dropped so far.
fn told(events: &[Value]) -> (u64, u64) {
    let dropped = |event: &Value| event.pointer("/portcullis/dropped").and_then(Value::as_u64).unwrap_or(0);
    (calls(events), events.iter().map(dropped).max().unwrap_or(0))
}

/// The lines of a log that may end in a part of one.
fn whole_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_full_disk() {
    enter();
    let place = Place::new();
    let disk = place.join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k,mode=755", "none"]).arg(&disk).status();
    assert!(done.expect("mount").success());
    let log = disk.join("events.jsonl");
    let guard = every_event(&place, "file", &log);
    let servers = start(&place, &guard);
    servers.refuses(0, 200);
    let before = whole_lines(&log);
    let (said, _) = told(&before);
    assert!(said > 10 && said < 200, "{said}");
    // Somebody makes room.
    std::fs::OpenOptions::new().write(true).open(&log).expect("the log").set_len(0).expect("emptied");
    servers.refuses(300, 1);
    let after = whole_lines(&log);
    let (now, dropped) = told(&after);
    assert_eq!(said + now + dropped, 201, "{said}, {now} and {dropped}");
}

#[test]
fn the_logs_folder_is_removed() {
    enter();
    let place = Place::new();
    let log: PathBuf = place.join("log/events.jsonl");
    let guard = every_event(&place, "file", &log);
    let servers = start(&place, &guard);
    servers.refuses(0, 3);
    assert_eq!(told(&whole_lines(&log)).0, 3);
    std::fs::remove_dir_all(place.join("log")).expect("removed");
    servers.refuses(10, 5);
    std::fs::create_dir(place.join("log")).expect("a folder");
    std::fs::set_permissions(place.join("log"), std::os::unix::fs::PermissionsExt::from_mode(0o1777))
        .expect("permissions");
    servers.refuses(20, 1);
    assert_eq!(told(&whole_lines(&log)), (1, 5), "what went nowhere is counted");
    assert!(servers.fpm.process.pid() > 0);
}

#[test]
fn the_journal_goes_and_comes_back() {
    enter();
    own_run_and_dev();
    std::fs::create_dir_all("/run/portcullis").expect("a folder");
    let mut journal: Process = journald();
    let place = Place::new();
    let guard = every_event(&place, "journald", &place.join("none"));
    let servers = start(&place, &guard);
    servers.refuses(0, 2);
    assert_eq!(from_journal(&place, 2).len(), 2);
    journal.stop(libc::SIGTERM);
    servers.refuses(10, 4);
    drop(journal);
    let _ = std::fs::remove_file("/run/systemd/journal/socket");
    let _journal = journald();
    servers.refuses(20, 1);
    let events = from_journal(&place, 3);
    assert_eq!(told(&events[2..]), (1, 4));
}

#[test]
fn descriptors_run_out() {
    enter();
    let place = Place::new();
    let log = place.join("log/events.jsonl");
    let guard = every_event(&place, "file", &log);
    let servers = start(&place, &guard);
    // A connection, and a datagram of a connected socket.
    let refused = format!("refused {0} refused {0} 1", libc::EACCES);
    assert_eq!(http::get(servers.nginx.port, "/exhausted.php").body, refused);
    servers.refuses(0, 1);
    assert_eq!(told(&whole_lines(&log)), (3, 0));
}

/// The server gets no more address space than it has without the guard, but for a megabyte and four pages.
#[test]
fn memory_is_short() {
    enter();
    let place = Place::new();
    let peak = |pid: i32| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).expect("its size");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    // Of several starts, as where a server's memory comes to lie differs.
    let started = (0..3).map(|_| {
        let bare = Fpm::start(&place, None, &Pool::default());
        // A worker needs the most while it starts, which is over when it waits for a request.
        let accepts = format!("{} ", libc::SYS_accept);
        let waits = |pid: &i32| {
            std::fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|call| call.starts_with(&accepts))
        };
        wait_until("its workers", || children(bare.process.pid()).iter().filter(|pid| waits(pid)).count() == 2);
        let workers = children(bare.process.pid());
        workers.into_iter().chain([bare.process.pid()]).map(peak).max().expect("processes")
    });
    let needed = started.max().expect("a server");
    let log = place.join("log/events.jsonl");
    let guard = every_event(&place, "file", &log);
    let www = pages(&place);
    let limit = format!("--as={}", (needed + 1024 + 16) * 1024);
    let fpm = Fpm::start_in(&place, Some(&guard), &one_worker(), &["prlimit", &limit]);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
    let servers = Servers { fpm, nginx };
    servers.refuses(0, 20);
    assert_eq!(told(&whole_lines(&log)), (20, 0));
}

/// The clock goes back to 1970 for everything that this program asks the kernel from some call on: as one that a server
/// started, since a server's clock is read without asking.
#[test]
fn the_clock_is_set_back() {
    enter();
    let place = Place::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guard/c/calls.c");
    let program = place.join("calls");
    assert!(Command::new("cc").args(["-O1", "-o"]).arg(&program).arg(source).status().expect("cc").success());
    let guard = place.guard(&every_rule("audit"));
    std::fs::create_dir_all(place.join("log")).expect("a folder");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=clock_gettime"]);
    command.args(["-e", "inject=clock_gettime:poke_exit=@arg2=01000000000000000100000000000000:when=40+"]);
    command.arg("env").arg(format!("LD_PRELOAD={}", place.library().display()));
    let done = place.portcullis().arg("compile").arg("--config").arg(&guard.config).status().expect("portcullis");
    assert!(done.success(), "the policy");
    command.arg(format!("PORTCULLIS_CONTEXT=1;d;0;0;0;0:0;{};calls", guard.policy().display()));
    command.arg(&program).args(["audited", "500"]);
    let done = command.output().expect("strace");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let all = || guard.events().all();
    wait_until("every call in the events", || calls(&all()) >= 500);
    let events = all();
    assert_eq!(calls(&events), 500);
    let is_old = |event: &&Value| event.pointer("/@timestamp").is_some_and(|time| time.to_string().contains("1970-"));
    assert!(events.iter().any(|event| is_old(&event)), "the clock was never set back");
}
