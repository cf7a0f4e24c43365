//! Many threads at once, which connect, fork, start programs and get signals: by themselves, and under valgrind.

use crate::harness::{Guard, OUTSIDE4, Place, calls, enter, wait_until};
use crate::{compiled, is_long};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

struct Setting {
    place: Place,
    guard: Guard,
    program: PathBuf,
    library: PathBuf,
}

fn setting() -> Setting {
    enter();
    let place = Place::new();
    let program = compiled(&place, "threads", &["-pthread"]);
    let guard = place.guard("mode = \"audit\"\n[rules.exec-place]\nmode = \"off\"\n");
    std::fs::create_dir_all(place.join("log")).expect("a folder");
    Setting { library: place.library(), place, guard, program }
}

impl Setting {
    /// For valgrind, which does not read the library as it is.
    fn for_valgrind(self) -> Setting {
        Setting { library: self.place.library_for_valgrind(), ..self }
    }

    fn run(&self, by: &[&str], threads: u64, rounds: u64) -> Output {
        let mut command = match by {
            [] => Command::new(&self.program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
        };
        self.guard.load(&mut command);
        command.env("LD_PRELOAD", &self.library);
        let done = command.args([threads.to_string(), rounds.to_string()]).output().expect("the program");
        assert!(done.status.success(), "{:?}: {}", done.status, String::from_utf8_lossy(&done.stderr));
        done
    }
}

#[test]
fn threads_that_do_everything_at_once() {
    let setting = setting();
    let (threads, rounds) = (16, if is_long() { 20_000 } else { 150 });
    let done = setting.run(&[], threads, rounds);
    let text = String::from_utf8(done.stdout).expect("text");
    let counts: Vec<u64> = text.split_whitespace().map(|count| count.parse().expect("a number")).collect();
    assert_eq!(counts[0], threads * rounds);
    assert_eq!(counts[1..].iter().sum::<u64>(), threads * rounds);
    // Each is in the events, whole or counted: one uncommon port in each round, the shells, what was done in the handler of a
    // signal, and what a child of fork did.
    let signals: u64 = {
        let text = String::from_utf8(done.stderr).expect("text");
        text.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a number")
    };
    let of = |events: &[Value], wanted: &dyn Fn(u64) -> bool| {
        let at = |event: &Value, wanted: &dyn Fn(u64) -> bool| {
            event.pointer("/destination/port").and_then(Value::as_u64).is_some_and(wanted)
        };
        let chosen: Vec<Value> = events.iter().filter(|event| at(event, wanted)).cloned().collect();
        calls(&chosen)
    };
    let all = setting.guard.events().all();
    assert!(of(&all, &|port| (20_000..20_500).contains(&port)) > 0, "{OUTSIDE4} was never reported");
    let total = |events: &[Value]| calls(events);
    let expected = threads * rounds + counts[2] + counts[3] + signals;
    wait_until("as many calls in the events as were made", || total(&setting.guard.events().all()) >= expected);
    assert_eq!(total(&setting.guard.events().all()), expected);
}

#[test]
fn memcheck_finds_nothing() {
    let setting = setting().for_valgrind();
    let log = setting.place.join("memcheck");
    let out = format!("--log-file={}.%p", log.display());
    setting.run(
        &["valgrind", "-q", "--error-exitcode=9", "--leak-check=no", &out],
        4,
        if is_long() { 300 } else { 12 },
    );
    let errors = reports(&setting.place, "memcheck");
    assert!(errors.is_empty(), "{errors}");
}

/// The guard takes no lock, and what its threads share are atomics, which helgrind takes for races, since it sees no lock. So
/// what is looked for is anything else: a lock, or a race for memory that is not the guard's own.
#[test]
fn helgrind_finds_no_lock_and_no_race_for_what_is_the_programs() {
    let setting = setting().for_valgrind();
    let log = setting.place.join("helgrind");
    let out = format!("--log-file={}.%p", log.display());
    setting.run(&["valgrind", "--tool=helgrind", "-q", &out], 4, if is_long() { 300 } else { 12 });
    let text = reports(&setting.place, "helgrind");
    let own = |report: &&str| {
        let place = report.lines().find_map(|line| line.split_once("  Address ")).map_or("", |(_, place)| place);
        let of_library = ["BSS", "Data"].iter().any(|kind| place.contains(&format!("is in the {kind} segment of")))
            && place.ends_with("libportcullis.so");
        // What a tree of processes shares.
        of_library || place.contains("in a rw- anonymous segment")
    };
    let separator = "----------------------------------------------------------------";
    let found: Vec<&str> = text
        .split(separator)
        .filter(|report| report.contains("libportcullis") && (report.contains("data race") || report.contains("lock")))
        .filter(|report| !(report.contains("data race") && own(report)))
        .collect();
    assert!(text.contains("data race"), "helgrind saw nothing at all");
    assert!(found.is_empty(), "{}", found.join(separator));
}

/// What valgrind said of the guard.
fn reports(place: &Place, name: &str) -> String {
    let mut all = String::new();
    for file in std::fs::read_dir(place.path()).expect("the folder").flatten() {
        if file.file_name().to_string_lossy().starts_with(name) {
            let text = std::fs::read_to_string(file.path()).expect("a file");
            if text.contains("libportcullis") {
                all += &text;
            }
        }
    }
    all
}
