//! A flood: sixteen workers of PHP-FPM that are held to 100,000 violations a second, beside a page that goes on being served.

use crate::harness::{Events, Fpm, Nginx, OUTSIDE4, Place, Pool, calls, wait_until};
use crate::load::load;
use serde_json::Value;
use std::time::Instant;

const WORKERS: usize = 16;
const SECONDS: u32 = 6;
/// Calls of each worker in a second.
const RATE: u32 = 100_000 / WORKERS as u32;

/// Connects a datagram socket, which sends nothing, so many times in each hundredth of a second; prints how many were made.
const FLOOD: &str = r#"<?php
set_time_limit(60);
$made = 0;
$begun = hrtime(true);
for ($slot = 0; $slot < SECONDS * 100; $slot++) {
    for ($call = 0; $call < RATE / 100; $call++, $made++)
        @stream_socket_client('udp://OUTSIDE:4444', $number, $message, 1);
    $left = $begun + ($slot + 1) * 10000000 - hrtime(true);
    if ($left > 0) usleep(intdiv($left, 1000));
}
echo $made;
"#;

struct Run {
    /// Requests per second of the page beside.
    page: f64,
    calls: u64,
    seconds: f64,
    events: Vec<Value>,
}

fn flood(guarded: bool, port: u16) -> Run {
    let place = Place::new();
    let www = place.pages();
    std::fs::write(www.join("static.txt"), "hello").expect("a page");
    let text =
        FLOOD.replace("OUTSIDE", OUTSIDE4).replace("SECONDS", &SECONDS.to_string()).replace("RATE", &RATE.to_string());
    std::fs::write(www.join("flood.php"), text).expect("a page");
    let guard = guarded.then(|| place.guard("mode = \"audit\"\n"));
    let pool = Pool { lines: format!("pm.max_children = {WORKERS}\n"), ..Pool::default() };
    let fpm = Fpm::start(&place, guard.as_ref(), &pool);
    let location = fpm.nginx_location(&www);
    let _nginx = Nginx::start_on(&place, guard.as_ref(), &location, port);
    let url = format!("http://127.0.0.1:{port}");
    let begun = Instant::now();
    let floods: Vec<_> = (0..WORKERS)
        .map(|_| {
            let url = format!("{url}/flood.php");
            std::thread::spawn(move || {
                let text = ureq::get(&url).call().expect("the flood").body_mut().read_to_string().expect("a body");
                (text.trim().parse::<u64>().expect("a number"), begun.elapsed())
            })
        })
        .collect();
    let page = load(&format!("{url}/static.txt"), &(SECONDS - 1).to_string()).rate;
    let made: Vec<_> = floods.into_iter().map(|flood| flood.join().expect("a flood")).collect();
    let calls_made = made.iter().map(|made| made.0).sum();
    let seconds = made.iter().map(|made| made.1.as_secs_f64()).fold(0.0, f64::max);
    // What is merged is said at the latest when the master ends.
    drop(fpm);
    let events = guard.map(|guard| {
        let mut events: Events = guard.events();
        let mut all = Vec::new();
        wait_until("what was merged", || {
            all.extend(events.fresh());
            calls(&all) >= calls_made
        });
        all
    });
    Run { page, calls: calls_made, seconds, events: events.unwrap_or_default() }
}

pub fn run() {
    println!("### A flood\n");
    println!(
        "{WORKERS} workers of PHP-FPM, held to {} connects a second to an uncommon port, beside a static page by nginx.\n",
        RATE * WORKERS as u32
    );
    println!(
        "| server | calls made | a second | page, per second | ratio | events written | calls that they stand for |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut ratios = Vec::new();
    for round in 0..3 {
        let bare = flood(false, 8210 + round * 2);
        let guarded = flood(true, 8211 + round * 2);
        let ratio = guarded.page / bare.page;
        ratios.push(ratio);
        println!("| bare | {} | {:.0} | {:.0} | | | |", bare.calls, bare.calls as f64 / bare.seconds, bare.page);
        println!(
            "| guarded | {} | {:.0} | {:.0} | {ratio:.3} | {} | {} |",
            guarded.calls,
            guarded.calls as f64 / guarded.seconds,
            guarded.page,
            guarded.events.len(),
            calls(&guarded.events)
        );
        assert_eq!(calls(&guarded.events), guarded.calls, "each call is an event, or counted in one");
    }
    println!();
}
