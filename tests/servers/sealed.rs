//! `[log] seal`: every event of a real server that has a chain is sealed, each change is found, and no worker has a key that was used.

use crate::backstop;
use crate::harness::{Events, Fpm, Guard, Nginx, Parts, Place, Pool, children, enter, every_rule, http, wait_until};
use portcullis_event::seal::{self, Key};
use serde_json::Value;
use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// A command of the worker's own, and one of a child that it forks.
const PAGE: &str = "<?php shell_exec('/bin/sh -c :'); proc_close(proc_open('exit 0', [], $pipes));";

fn guard(place: &Place, more: &str) -> Guard {
    let log = place.join("log/events.jsonl");
    let text = format!("{more}[log]\nsink = [\"file\"]\nfile = \"{}\"\nmerge = false\nseal = true\n", log.display());
    Guard::new(place, place.write("etc/portcullis.toml", &text), log)
}

/// The exit status, the chains that have seals, and what is said on standard error.
fn verify(place: &Place, guard: &Guard) -> (Option<i32>, Vec<Value>, String) {
    let mut command = place.portcullis();
    command.args(["events", "--verify", "--json", "--config"]).arg(&guard.config).arg(&guard.log);
    let done = command.output().expect("portcullis");
    let found = String::from_utf8(done.stdout).expect("UTF-8");
    let found = found.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let said = String::from_utf8(done.stderr).expect("UTF-8");
    (done.status.code(), found.filter(|one| one["seal"].is_object()).collect(), said)
}

fn serve(place: &Place, guard: &Guard) -> (Fpm, Nginx) {
    backstop::page(place);
    place.write("www/seal.php", PAGE);
    let lines = "pm = static\npm.max_children = 3\n".to_owned();
    let fpm = Fpm::start(place, Some(guard), &Pool { lines, ..Pool::default() });
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&place.join("www")));
    (fpm, nginx)
}

fn process(event: &Value) -> &str {
    event["portcullis"]["seal"]["process"].as_str().unwrap_or("none")
}

#[test]
fn each_change_of_a_sealed_log_is_found() {
    enter();
    let place = Place::new();
    let guard = guard(&place, &format!("{}[backstop]\nseccomp = \"supervise\"\n", every_rule("audit")));
    let (fpm, nginx) = serve(&place, &guard);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..3).for_each(|_| drop(http::get(nginx.port, "/seal.php"))));
        }
    });
    http::get(nginx.port, "/static.php?way=connect");
    wait_until("an event of the supervisor", || {
        guard.events().all().iter().any(|event| event.text("portcullis.layer") == "backstop")
    });
    drop((fpm, nginx));

    let log = std::fs::read_to_string(&guard.log).expect("the log");
    let events = Events::of(guard.log.clone()).all();
    for event in &events {
        let is_sealed = event["portcullis"]["seal"].is_object();
        // A program that is started has no key; what starts it has.
        let has_key = event.text("portcullis.role") != "descendant" || event.text("portcullis.layer") == "backstop";
        assert_eq!(is_sealed, has_key || is_sealed, "{event}");
    }
    let depth = |event: &Value| process(event).matches('/').count();
    for (what, wanted) in [("a worker", 1), ("a child that a worker forked", 2)] {
        assert!(events.iter().any(|event| depth(event) == wanted), "{what}: {events:#?}");
    }
    let of_backstop = events.iter().find(|event| event.text("portcullis.layer") == "backstop").expect("one");
    assert_ne!(process(of_backstop), "none", "{of_backstop}");

    let (status, chains, said) = verify(&place, &guard);
    assert!(chains.iter().all(|chain| chain["state"] == "ok") && status == Some(0), "{chains:#?} {said}");
    let longest = chains.iter().max_by_key(|chain| chain["events"].as_u64()).expect("a chain");
    assert!(longest["events"].as_u64() >= Some(3), "{chains:#?}");
    let name = |chain: &Value, key: &str| chain["seal"][key].as_str().expect("a name").to_owned();
    let (tree, of) = (name(longest, "tree"), name(longest, "process"));
    // Two trees may have processes of the same name.
    let index = |line: &&str| line.contains(&format!("\"tree\":\"{tree}\",\"process\":\"{of}\",\"index\":2,"));
    let inner = log.lines().find(index).expect("the second event");
    let bare = inner.split(",\"seal\":").next().expect("its beginning");
    for (what, change, state, complaint) in [
        ("removed", log.replace(&format!("{inner}\n"), ""), "gap", ""),
        (
            "changed in place",
            log.replace(inner, &inner.replacen("success", "failure", 1)),
            "gap",
            "changed after sealing",
        ),
        ("without its seal", log.replace(inner, &format!("{bare}}}}}")), "gap", ""),
        (
            "numbered anew",
            log.replace(inner, &inner.replace("\"index\":2,", "\"index\":77,")),
            "gap",
            "changed after sealing",
        ),
        ("added", format!("{log}{}\n", inner.replace(&format!("\"{of}\""), "\"0/99\"")), "ok", "changed after sealing"),
    ] {
        std::fs::write(&guard.log, change).expect("the log");
        let (status, chains, said) = verify(&place, &guard);
        let chain = chains.iter().find(|chain| chain["seal"] == longest["seal"]).expect("the chain");
        assert_eq!((status, chain["state"].as_str()), (Some(1), Some(state)), "{what}: {said}");
        assert!(said.contains(complaint), "{what}: {said}");
    }

    // What ought to have a seal is not what the log says of itself.
    let cut = |line: &str| match line.split_once(",\"seal\":") {
        Some((before, _)) => format!("{before}}}}}\n"),
        None => format!("{line}\n"),
    };
    let set_back = |line: &str| line.replacen("\"@timestamp\":\"20", "\"@timestamp\":\"19", 1);
    let all_cut: String = log.lines().map(cut).collect();
    let descendants = all_cut.replace("\"role\":\"serving\"", "\"role\":\"descendant\"");
    let last = log.lines().rfind(|line| line.contains(&format!("\"process\":\"{of}\""))).expect("the last event");
    let without_any = "no event has a valid seal";
    for (what, change, complaint) in [
        ("every seal cut off", all_cut.clone(), without_any),
        ("and set back", all_cut.lines().map(|line| set_back(line) + "\n").collect(), without_any),
        ("and said to be of others", descendants, without_any),
        (
            "the last one forged",
            log.replace(last, set_back(&cut(last)).trim_end()),
            "1 event of servers without a seal",
        ),
    ] {
        std::fs::write(&guard.log, change).expect("the log");
        let (status, _, said) = verify(&place, &guard);
        assert!(status == Some(1) && said.contains(complaint), "{what}: {status:?} {said}");
    }

    std::fs::write(&guard.log, &log).expect("the log");
    let key = guard.config.with_file_name("seal.key");
    std::fs::write(&key, [1; 16]).expect("another key");
    assert_eq!(verify(&place, &guard).0, Some(1), "another key");
    std::fs::remove_file(&key).expect("the key");
    let (status, _, said) = verify(&place, &guard);
    assert!(status == Some(1) && said.contains(" not checked: "), "{said}");
}

/// All that a process may write to, as far as it can be read.
fn memory(pid: i32) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("memory");
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("an address");
        memory.seek(SeekFrom::Start(number(from))).expect("a place");
        let mut part = vec![0; (number(to) - number(from)) as usize];
        if memory.read_exact(&mut part).is_ok() {
            all.extend(part);
        }
    }
    all
}

/// Which words of these keys are in memory.
fn words(memory: &[u8], keys: &[Key]) -> HashSet<u64> {
    let wanted: HashSet<u64> = keys.iter().flatten().copied().collect();
    let (words, _) = memory.as_chunks();
    words.iter().map(|word| u64::from_ne_bytes(*word)).filter(|word| wanted.contains(word)).collect()
}

/// The root of a chain, by its name.
fn root(master: Key, event: &Value) -> Key {
    let tree = u64::from_str_radix(event.text("portcullis.seal.tree"), 16).expect("a tree");
    let forks = process(event).split('/').skip(1);
    forks.fold(seal::tree(master, tree), |root, fork| seal::child(root, fork.parse().expect("a number")))
}

#[test]
fn a_worker_has_no_key_that_was_used() {
    enter();
    let place = Place::new();
    let guard = guard(&place, &every_rule("audit"));
    let (fpm, nginx) = serve(&place, &guard);
    for _ in 0..9 {
        http::get(nginx.port, "/seal.php");
    }
    let file = std::fs::read(guard.config.with_file_name("seal.key")).expect("the key");
    let master = seal::master(*file.first_chunk().expect("16 bytes"));
    let events = guard.events().all();
    for worker in children(fpm.process.pid()) {
        let pid = |event: &&Value| event["process"]["parent"]["pid"].as_i64() == Some(i64::from(worker));
        let own = events.iter().filter(pid).filter(|event| process(event).matches('/').count() == 1);
        let Some(last) = own.max_by_key(|event| event["portcullis"]["seal"]["index"].as_u64()) else { continue };
        let (memory, root) = (memory(worker), root(master, last));
        let used = last["portcullis"]["seal"]["index"].as_u64().expect("an index") as u32;
        let tree = u64::from_str_radix(last.text("portcullis.seal.tree"), 16).expect("a tree");
        let next = seal::event(root, used + 1);
        let mut former = vec![("the master's", master), ("the tree's", seal::tree(master, tree)), ("its root", root)];
        former.extend((1..=used).map(|index| ("a used one", seal::event(root, index))));
        // Each request has made it fork once.
        let below = format!("{}/", process(last));
        let forks: HashSet<u32> =
            events.iter().filter_map(|event| process(event).strip_prefix(&below)?.parse().ok()).collect();
        assert!(!forks.is_empty(), "{events:#?}");
        former.extend(forks.iter().map(|fork| ("a child's root", seal::child(root, *fork))));
        former.extend(forks.iter().map(|fork| ("a child's key", seal::event(seal::child(root, *fork), 1))));
        let all: Vec<Key> = former.iter().map(|(_, key)| *key).chain([next]).collect();
        let found = words(&memory, &all);
        assert!(next.iter().all(|word| found.contains(word)), "the next key is there: this looks in the right place");
        for (what, key) in former {
            assert!(key.iter().all(|word| !found.contains(word)), "{what} in worker {worker}");
        }
        return;
    }
    panic!("no worker of which there are events: {events:#?}");
}

#[test]
fn without_a_key_of_its_own_a_server_says_so() {
    enter();
    for mode in [0o644, 0o620] {
        let place = Place::new();
        let guard = guard(&place, &every_rule("audit"));
        let key = place.write("etc/seal.key", "0123456789abcdef");
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("permissions");
        let (_fpm, nginx) = serve(&place, &guard);
        http::get(nginx.port, "/seal.php");
        let events = guard.events().all();
        let is_said = |event: &&Value| event.text("message").contains("events are not sealed");
        assert_eq!(events.iter().filter(is_said).count(), 1, "{events:#?}");
        assert!(events.iter().all(|event| process(event) == "none"));
        let (status, _, said) = verify(&place, &guard);
        assert!(status == Some(1) && said.contains("no event has a valid seal"), "{said}");
    }
}

/// Threads, children with shared memory (vfork), forked ones, and one that a bare system call forks.
const PROGRAM: &str = r"
import ctypes, os, subprocess, threading
def work():
    for _ in range(20): subprocess.run(['/bin/sh', '-c', 'exit 0'])
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for fork in [os.fork, lambda: ctypes.CDLL(None).syscall(FORK, 17, 0, 0, 0, 0)]:
    child = fork()
    if child == 0:
        os.system('exit 0')
        os._exit(0)
    os.waitpid(child, 0)
os.system('exit 0')
";

#[test]
fn threads_and_children_of_each_kind_leave_no_gap() {
    enter();
    let place = Place::new();
    let guard = guard(&place, &every_rule("audit"));
    let program = place.write("program.py", &PROGRAM.replace("FORK", &libc::SYS_clone.to_string()));
    let mut command = place.portcullis();
    command.args(["run", "--config"]).arg(&guard.config).args(["--", "/usr/bin/python3"]).arg(program);
    assert!(command.status().expect("portcullis").success());
    let events = guard.events().all();
    let own: Vec<&Value> = events.iter().filter(|event| process(event) == "0").collect();
    let (status, chains, said) = verify(&place, &guard);
    assert!(chains.iter().all(|chain| chain["state"] == "ok"), "{chains:#?}");
    // That of the child which was forked past the guard.
    assert!(status == Some(1) && said.contains("1 event of servers without a seal"), "{said}");
    assert!(own.len() > 160, "{} of {}", own.len(), events.len());
    let children: Vec<&str> = events.iter().map(process).filter(|name| name.contains('/')).collect();
    assert_eq!(children.len(), 1, "the forked child's: {children:?}");
    // The one that was forked past the guard has no key.
    let unsealed =
        events.iter().filter(|event| process(event) == "none" && event.text("process.parent.name") == "python3");
    assert_eq!(unsealed.count(), 1, "{events:#?}");
    assert!(Path::new(&guard.config).with_file_name("seal.key").exists());
}

/// A thread starts a program while another one forks, which takes long: a handler of the fork is the size of a large process.
const SLOW_FORK: &str = r"
import ctypes, os, threading
libc = ctypes.CDLL(None)
is_forking = threading.Event()
def work():
    is_forking.wait()
    libc.system(b'exit 0')
thread = threading.Thread(target=work)
def before():
    is_forking.set()
    WAIT
handler = ctypes.CFUNCTYPE(None)(before)
libc.__register_atfork(handler, None, None, None)
thread.start()
child = os.fork()
if child == 0: os._exit(0)
os.waitpid(child, 0)
thread.join()
";

#[test]
fn a_fork_that_takes_long_costs_no_seal() {
    enter();
    for (wait, expected, sealed) in [("libc.usleep(50000)", 0, 1), ("thread.join()", 1, 0)] {
        let place = Place::new();
        let guard = guard(&place, &every_rule("audit"));
        let program = place.write("program.py", &SLOW_FORK.replace("WAIT", wait));
        let mut command = place.portcullis();
        command.args(["run", "--config"]).arg(&guard.config).args(["--", "/usr/bin/python3"]).arg(program);
        // A handler that waits for the thread is not waited for without an end.
        assert!(command.status().expect("portcullis").success(), "{wait}");
        let events = guard.events().all();
        assert_eq!(events.iter().filter(|event| process(event) == "0").count(), sealed, "{wait}: {events:#?}");
        let (status, _, said) = verify(&place, &guard);
        assert_eq!(status, Some(expected), "{wait}: {said}");
    }
}
