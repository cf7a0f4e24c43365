//! What hostile programs cost others at the supervisor: a thousand of them, which do nothing but calls that it judges, beside one
//! that does one in each millisecond, of another worker.

use crate::harness::{Fpm, Nginx, Place, Pool, http, wait_until};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const CLIENTS: usize = 1000;
const CALLS: usize = 3000;
const WORKERS: usize = 8;
/// Of those whose memory is on a disk: each keeps a disk busy.
const COLD: usize = 5;

/// How long the supervisors of this machine ran and waited for a processor, in seconds (/proc/PID/schedstat).
fn of_supervisors() -> [f64; 2] {
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| Some(entry.ok()?.path()));
    let supervises = |path: &PathBuf| {
        std::fs::read(path.join("cmdline")).is_ok_and(|line| line.starts_with(b"portcullis\0supervise"))
    };
    processes.filter(supervises).fold([0.0; 2], |sums, path| {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        let mut numbers = text.split_whitespace().filter_map(|number| number.parse::<f64>().ok());
        sums.map(|sum| sum + numbers.next().unwrap_or(0.0) / 1e9)
    })
}

/// The latencies of one who asks beside so many others, under so many workers, and of who asks a process that nobody else does; each in
/// milliseconds and in order. And how long the supervisor ran meanwhile, and waited for a processor.
fn latencies((way, clients, workers): (&'static str, usize, usize), port: u16) -> ([Vec<f64>; 2], [f64; 2]) {
    let place = Place::new();
    place.pages();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guard/c/clients.c");
    let program = place.join("clients");
    let done = Command::new("cc").args(["-O1", "-static", "-o"]).arg(&program).arg(source).status();
    assert!(done.expect("cc").success());
    let folder = place.join("clients.d");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).expect("permissions");
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
            std::thread::spawn(move || ask(way, of_each))
        })
        .collect();
    let running = || {
        let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok());
        let names = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
        names.filter(|name| name == "clients\n").count()
    };
    wait_until("the clients", || running() >= of_each * workers);
    std::thread::sleep(Duration::from_millis(500));
    let before = of_supervisors();
    let text = ask("probe", CALLS);
    let after = of_supervisors();
    let column = |index: usize| {
        let numbers = text.lines().filter_map(|line| line.split(' ').nth(index)?.parse::<f64>().ok());
        let mut all: Vec<f64> = numbers.map(|time| time / 1e6).collect();
        assert_eq!(all.len(), CALLS);
        all.sort_by(f64::total_cmp);
        all
    };
    let both = [column(0), column(1)];
    assert!(running() >= of_each * workers, "they have ended before");
    hostile.into_iter().for_each(|one| drop(one.join()));
    (both, [after[0] - before[0], after[1] - before[1]])
}

pub fn run() {
    println!("### Hostile programs\n");
    println!(
        "{CLIENTS} programs without the guard that send datagrams without a pause, or some that start programs with variables that have \
         to be read from a disk, or by paths of many steps, with `supervise` in audit, and {CALLS} calls of another worker's program; what each of these takes, and between them a byte to a process that nobody else asks, and back, in milliseconds. The supervisor is one process: while it waits for a processor, so does everybody \
         who asks it; how long it ran and waited meanwhile, in seconds.\n"
    );
    println!(
        "| hostile programs | which | below | what | median | 99th percentile | highest | the supervisor ran | waited |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let rounds = [
        ("hostile", 0, 0),
        ("hostile", CLIENTS, 1),
        ("hostile", CLIENTS, WORKERS - 1),
        ("cold", 1, 1),
        ("cold", COLD, COLD),
        ("maze", COLD, COLD),
    ];
    for (round, (way, clients, workers)) in rounds.into_iter().enumerate() {
        let which = match way {
            "cold" => "start programs with cold variables",
            "maze" => "start programs by long paths",
            _ => "send datagrams",
        };
        let below = if workers == 1 { "one worker".to_owned() } else { format!("{workers} workers") };
        let (both, [ran, waited]) = latencies((way, clients, workers), 8230 + round as u16);
        for (what, all) in ["a judged call", "a byte and back"].into_iter().zip(both) {
            let at = |part: f64| all[((all.len() - 1) as f64 * part) as usize];
            println!(
                "| {clients} | {which} | {below} | {what} | {:.3} | {:.3} | {:.3} | {ran:.2} | {waited:.2} |",
                at(0.5),
                at(0.99),
                at(1.0)
            );
        }
    }
    println!();
}
