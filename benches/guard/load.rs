//! A page asked for again and again: what a client sees of it, and what it costs the servers by the kernel's account.

use crate::harness::children;
use std::process::Command;

/// What one page took.
pub struct Load {
    /// Requests per second.
    pub rate: f64,
    /// The 99th percentile of their latency, in milliseconds.
    pub latency: f64,
    /// How many there were.
    pub requests: f64,
}

/// What wrk says of a page that is asked for on four connections.
pub fn load(url: &str, seconds: &str) -> Load {
    let done = Command::new("wrk").args(["-t1", "-c4", "-d", seconds, "--latency", url]).output().expect("wrk");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let after = |word: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(word));
        line.unwrap_or_else(|| panic!("no {word} in {text}")).trim().to_owned()
    };
    let latency = after("99%");
    let split = latency.find(|char: char| char.is_ascii_alphabetic()).expect("a unit");
    let number: f64 = latency[..split].parse().expect("a number");
    let milliseconds = match &latency[split..] {
        "us" => number / 1000.0,
        "ms" => number,
        "s" => number * 1000.0,
        other => panic!("{other}"),
    };
    let total = text.lines().find(|line| line.contains(" requests in ")).expect("a sum");
    let requests = total.split_whitespace().next().expect("a number").parse().expect("a number");
    Load { rate: after("Requests/sec:").parse().expect("a number"), latency: milliseconds, requests }
}

/// Processor time that the children of these masters have used, and those of their own that have ended, in microseconds.
pub fn used(masters: &[i32]) -> f64 {
    masters.iter().flat_map(|&master| children(master)).map(|worker| own(worker) + ended(worker)).sum()
}

/// Of all threads of a process, from schedstat, which counts nanoseconds.
fn own(worker: i32) -> f64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{worker}/task")) else { return 0.0 };
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1000.0
}

/// Of the children that a process waited for, from stat, in hundredths of a second (USER_HZ).
fn ended(worker: i32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
    // Behind the name in parentheses, from the state on: cutime and cstime are fields 16 and 17, proc_pid_stat(5).
    let behind = text.rsplit(')').next().unwrap_or_default();
    let ticks = behind.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() * 10_000.0
}
