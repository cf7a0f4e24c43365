//! Servers that run on and on, under load, with a graceful reload every few seconds: nothing grows, nobody is stuck, and what
//! was done is in the events.

use crate::harness::{
    Apache, Fpm, Guard, Kind, Nginx, OUTSIDE4, Parts, Place, Pool, calls, children, enter, wait_until,
};
use crate::is_long;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PAGES: [(&str, &str); 4] = [
    ("hello.php", "<?php echo 'fine';"),
    ("popen.php", "<?php pclose(popen('/usr/sbin/sendmail -t -i', 'w')); echo 'fine';"),
    ("shell.php", "<?php echo trim(shell_exec('echo fine'));"),
    ("udp.php", "<?php stream_socket_client('udp://OUTSIDE:4444'); echo 'fine';"),
];

/// A page, asked for again where a reload came in between; whether it came, and how often it was asked for.
fn asked(port: u16, page: &str) -> (bool, u64) {
    for attempt in 1..=20 {
        let got = ureq::get(&format!("http://127.0.0.1:{port}/{page}"))
            .config()
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .call()
            .and_then(|mut answer| answer.body_mut().read_to_string());
        if got.is_ok_and(|text| text == "fine") {
            return (true, attempt);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    (false, 20)
}

/// What a process has: descriptors, and kilobytes of memory that is no file's, whether its children still share it or not.
#[derive(Clone, Copy, Debug)]
struct Held {
    descriptors: usize,
    kilobytes: u64,
}

fn held(pid: i32) -> Held {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |folder| folder.count());
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let of = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    Held { descriptors, kilobytes: of("Anonymous:") }
}

/// Everything that a process started and that is there still.
fn tree(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        all.extend(children(all[at]));
        at += 1;
    }
    all
}

fn is_zombie(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

#[test]
fn servers_under_load_with_reloads() {
    enter();
    let place = Place::new();
    let www = place.pages();
    for (name, text) in PAGES {
        std::fs::write(www.join(name), text.replace("OUTSIDE", OUTSIDE4)).expect("a page");
    }
    let guard: Guard = place.guard("mode = \"audit\"\n[backstop]\nseccomp = \"supervise\"\n");
    let pool = Pool { global: "process_control_timeout = 10s".into(), ..Pool::default() };
    let fpm = Fpm::start(&place, Some(&guard), &pool);
    let nginx = Nginx::start(&place, Some(&guard), &fpm.nginx_location(&www));
    let apache = Apache::start(&place, Some(&guard), Kind::ModPhp, None, "GracefulShutdownTimeout 10\n");
    let masters = [&fpm.process, &nginx.process, &apache.process];
    let reload = || {
        // Each by its own signal: PHP-FPM executes itself, the others fork anew.
        for (master, signal) in masters.into_iter().zip([libc::SIGUSR2, libc::SIGHUP, libc::SIGUSR1]) {
            master.signal(signal);
        }
    };
    let seconds = std::env::var("TORTURE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(if is_long() { 3600 } else { 600 }));
    let (stop, shells, attempts, failed) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let (mut first, mut reloads) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        for client in 0..3_usize {
            let (stop, shells, attempts, failed) = (&stop, &shells, &attempts, &failed);
            let ports = [nginx.port, apache.port];
            scope.spawn(move || {
                let mut turn = client;
                while !stop.load(Ordering::Relaxed) {
                    let (page, _) = PAGES[turn % PAGES.len()];
                    let (came, often) = asked(ports[turn / PAGES.len() % 2], page);
                    failed.fetch_add(u64::from(!came), Ordering::Relaxed);
                    if page == "shell.php" {
                        shells.fetch_add(1, Ordering::Relaxed);
                        attempts.fetch_add(often, Ordering::Relaxed);
                    }
                    turn += 1;
                    // It is beside other tests.
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        }
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::thread::sleep(Duration::from_secs(3));
            reload();
            reloads += 1;
            // The first few settle what a server allocates once.
            if reloads == 5 {
                std::thread::sleep(Duration::from_secs(2));
                first = masters.map(|master| held(master.pid())).to_vec();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    // Workers of earlier generations go when their time is over.
    wait_until("as many processes as at the start", || masters.iter().all(|master| tree(master.pid()).len() < 12));
    std::thread::sleep(Duration::from_secs(2));
    let last = masters.map(|master| held(master.pid()));
    println!("{first:?}, then {last:?}");
    assert_eq!(failed.load(Ordering::Relaxed), 0, "a request that never came");
    for ((first, last), name) in first.iter().zip(last).zip(["php-fpm", "nginx", "apache2"]) {
        assert!(last.descriptors <= first.descriptors + 2, "{name}: {first:?}, then {last:?}");
        // PHP-FPM is a new program after each reload, which comes and goes by a megabyte.
        assert!(last.kilobytes <= first.kilobytes + 4096, "{name}: {first:?}, then {last:?}");
    }
    for master in masters {
        wait_until("no zombie", || !tree(master.pid()).into_iter().any(is_zombie));
    }
    let (shells, attempts) = (shells.load(Ordering::Relaxed), attempts.load(Ordering::Relaxed));
    println!("{reloads} reloads, {shells} shells, {} of them asked for again", attempts - shells);
    assert!(reloads >= 10 && shells > 20, "{reloads} reloads, {shells} shells");
    drop((fpm, nginx, apache));
    let mut events = guard.events();
    let mut all = Vec::new();
    wait_until("every shell in the events", || {
        all.extend(events.fresh());
        let of_shells: Vec<_> = all.iter().filter(|event| event.text("rule.id") == "shell-spawn").cloned().collect();
        calls(&of_shells) >= shells
    });
    let of_shells: Vec<_> = all.into_iter().filter(|event| event.text("rule.id") == "shell-spawn").collect();
    assert!(calls(&of_shells) <= attempts, "{} of {attempts}", calls(&of_shells));
}
