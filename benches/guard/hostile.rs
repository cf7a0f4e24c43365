//! What hostile programs cost others at the supervisor: a thousand of them, which do nothing but calls that it judges, beside one
//! that does one in each millisecond, of another worker.

use crate::harness::{Fpm, Nginx, Place, Pool, http, wait_until};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const CLIENTS: usize = 1000;
const CALLS: usize = 3000;
const WORKERS: usize = 8;

/// The latencies of one who asks beside so many others, under so many workers, in milliseconds and in order.
fn latencies(clients: usize, workers: usize, port: u16) -> Vec<f64> {
    let place = Place::new();
    place.pages();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guard/c/clients.c");
    let program = place.join("clients");
    let done = Command::new("cc").args(["-O1", "-static", "-o"]).arg(&program).arg(source).status();
    assert!(done.expect("cc").success());
    let page = "<?php $p = proc_open([$_GET['program'], $_GET['way'], $_GET['number']], [1 => ['pipe', 'w']], $pipes);\n\
                echo stream_get_contents($pipes[1]); proc_close($p);";
    place.write("www/clients.php", page);
    let guard = place.guard("mode = \"audit\"\n[backstop]\nseccomp = \"supervise\"\n");
    let pool = Pool { lines: format!("pm.max_children = {WORKERS}\n"), ..Pool::default() };
    let fpm = Fpm::start(&place, Some(&guard), &pool);
    let _nginx = Nginx::start_on(&place, None, &fpm.nginx_location(&place.join("www")), port);
    let ask = move |way: &str, number: usize| {
        let path = format!("/clients.php?program={}&way={way}&number={number}", program.display());
        http::get(port, &path).body
    };
    let of_each = clients.checked_div(workers).unwrap_or(0);
    let hostile: Vec<_> = (0..workers)
        .map(|_| {
            let ask = ask.clone();
            std::thread::spawn(move || ask("hostile", of_each))
        })
        .collect();
    let running = || {
        let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok());
        let names = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
        names.filter(|name| name == "clients\n").count()
    };
    wait_until("the clients", || running() >= of_each * workers);
    std::thread::sleep(Duration::from_millis(500));
    let text = ask("probe", CALLS);
    let mut all: Vec<f64> = text.lines().map(|line| line.parse::<f64>().expect("a number") / 1e6).collect();
    assert_eq!(all.len(), CALLS);
    assert!(running() >= of_each * workers, "they have ended before");
    all.sort_by(f64::total_cmp);
    hostile.into_iter().for_each(|one| drop(one.join()));
    all
}

pub fn run() {
    println!("### Hostile programs\n");
    println!(
        "{CLIENTS} programs without the guard that send datagrams without a pause, with `supervise` in audit, and {CALLS} calls of another \
         worker's program; what each of these takes, in milliseconds.\n"
    );
    println!("| hostile programs | below | median | 99th percentile | highest |");
    println!("| --- | --- | --- | --- | --- |");
    for (round, (clients, workers)) in [(0, 0), (CLIENTS, 1), (CLIENTS, WORKERS - 1)].into_iter().enumerate() {
        let all = latencies(clients, workers, 8230 + round as u16);
        let at = |part: f64| all[((all.len() - 1) as f64 * part) as usize];
        let below = if workers == 1 { "one worker".to_owned() } else { format!("{workers} workers") };
        println!("| {clients} | {below} | {:.3} | {:.3} | {:.3} |", at(0.5), at(0.99), at(1.0));
    }
    println!();
}
