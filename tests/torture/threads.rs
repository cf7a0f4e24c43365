//! Many threads at once, which connect, fork, start programs and get signals.

use crate::harness::{Guard, OUTSIDE4, Place, calls, enter, wait_until};
use crate::valgrind::readable;
use crate::{compiled, is_long};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

pub struct Setting {
    pub place: Place,
    guard: Guard,
    program: PathBuf,
}

pub fn setting() -> Setting {
    enter();
    let place = Place::new();
    let program = compiled(&place, "threads", &["-pthread"]);
    let guard = place.guard("mode = \"audit\"\n[rules.exec-place]\nmode = \"off\"\n");
    std::fs::create_dir_all(place.join("log")).expect("a folder");
    Setting { place, guard, program }
}

impl Setting {
    /// For valgrind, which does not read the library as it is.
    pub fn for_valgrind(self) -> Setting {
        let Setting { place, guard, program } = self;
        Setting { guard: readable(&place, guard), place, program }
    }

    pub fn run(&self, by: &[&str], threads: u64, rounds: u64) -> Output {
        let mut command = match by {
            [] => Command::new(&self.program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
        };
        self.guard.load(&mut command);
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
