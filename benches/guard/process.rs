//! One process: the start and end of /bin/true, bare, with an empty preload, with the guard, and with snoopy where that
//! is installed.

use crate::harness::Place;
use crate::{calls, spread};
use std::path::Path;
use std::process::Command;

const ROUNDS: usize = 15;
const SPAWNS: u32 = 400;

/// The mean time of one child, in microseconds, with `preload` and in the guard's case its context.
fn round(place: &Place, program: &Path, preload: Option<&Path>, guarded: bool) -> f64 {
    let mut command = Command::new(program);
    command.args(["exec", &SPAWNS.to_string()]);
    if guarded {
        calls::guard(place, &mut command, (10, true));
    } else if let Some(preload) = preload {
        command.env("LD_PRELOAD", preload);
    }
    let done = command.output().expect("the program");
    assert!(done.status.success());
    let nanoseconds: f64 = String::from_utf8_lossy(&done.stdout).trim().parse().expect("a number");
    nanoseconds / 1000.0
}

pub fn run() {
    let place = Place::new();
    let program = calls::program(&place);
    let source = place.write("empty.c", "int portcullis_bench_nothing;\n");
    let empty = place.join("libempty.so");
    let done = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&empty).arg(source).status().expect("cc");
    assert!(done.success());
    let snoopy = ["/lib/x86_64-linux-gnu/libsnoopy.so", "/lib/aarch64-linux-gnu/libsnoopy.so"].map(Path::new);
    let snoopy = snoopy.into_iter().find(|path| path.exists());
    let mut rows: Vec<(&str, Option<&Path>, bool, Vec<f64>)> = vec![
        ("bare", None, false, vec![]),
        ("empty preload", Some(&empty), false, vec![]),
        ("guard", None, true, vec![]),
    ];
    if let Some(snoopy) = snoopy {
        rows.push(("snoopy", Some(snoopy), false, vec![]));
    }
    for _ in 0..ROUNDS {
        for (_, preload, guarded, figures) in &mut rows {
            figures.push(round(&place, &program, *preload, *guarded));
        }
    }
    println!(
        "A process (/bin/true by posix_spawn until it has ended, microseconds; {ROUNDS} rounds of {SPAWNS}, in turn)\n"
    );
    println!("| preload | lowest | median | highest | over the empty preload |");
    println!("| --- | --- | --- | --- | --- |");
    let base = spread(&mut rows[1].3.clone()).1;
    for (name, _, _, figures) in &mut rows {
        let (low, middle, high) = spread(figures);
        println!("| {name} | {low:.0} | {middle:.0} | {high:.0} | {:+.0} |", middle - base);
    }
    println!();
}
