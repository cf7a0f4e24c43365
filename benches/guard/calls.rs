//! One call: instructions under callgrind, and nanoseconds.

use crate::counting::{CALLS, Call, guard, instructions, program};
use crate::harness::Place;
use crate::spread;
use std::path::Path;
use std::process::Command;

/// Nanoseconds of one call.
pub fn nanoseconds(place: &Place, calls: &Path, call: &Call, guarded: bool) -> f64 {
    let mut command = Command::new(calls);
    command.args([call.kind, &call.timed.to_string()]).env_clear().env("PATH", "/usr/bin:/bin");
    if guarded {
        guard(place, &mut command, call.policy);
    }
    let done = command.output().expect("the program");
    assert!(done.status.success(), "{}: {}", call.name, String::from_utf8_lossy(&done.stderr));
    // What the sinks got of one run is in nobody's way in the next.
    let _ = std::fs::remove_file(place.join("events.jsonl"));
    String::from_utf8_lossy(&done.stdout).trim().parse().expect("a number")
}

pub fn run() {
    let place = Place::new();
    let calls = program(&place, "calls");
    println!("### A call\n");
    println!("Instructions in user space under callgrind; nanoseconds, median of 7 pairs in turn.\n");
    println!("| call | instructions bare | guarded | added | ns bare | ns guarded | ratio |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for call in &CALLS {
        let [bare, guarded] = [false, true].map(|guarded| instructions(&place, &calls, call, guarded).all);
        let (mut bare_ns, mut guarded_ns, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..7 {
            let pair = [false, true].map(|guarded| nanoseconds(&place, &calls, call, guarded));
            bare_ns.push(pair[0]);
            guarded_ns.push(pair[1]);
            ratios.push(pair[1] / pair[0]);
        }
        println!(
            "| {} | {bare:.0} | {guarded:.0} | {:.0} | {:.0} | {:.0} | {:.2} |",
            call.name,
            guarded - bare,
            spread(&mut bare_ns).1,
            spread(&mut guarded_ns).1,
            spread(&mut ratios).1
        );
    }
    println!();
}
