//! Whole requests through nginx and PHP-FPM, with and without the guard in both, in turn.

use crate::harness::{Fpm, Guard, Nginx, Place, Pool};
use crate::spread;
use std::process::Command;

const ROUNDS: usize = 9;

/// Requests per second of one page.
fn rate(port: u16, page: &str, count: u32) -> f64 {
    let url = format!("http://127.0.0.1:{port}{page}");
    let done = Command::new("ab").args(["-q", "-k", "-c", "4", "-n", &count.to_string(), &url]).output().expect("ab");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(text.contains("Failed requests:        0") && !text.contains("Non-2xx"), "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix("Requests per second:")).expect("a rate");
    line.split_whitespace().next().and_then(|rate| rate.parse().ok()).expect("a number")
}

fn start(place: &Place, guard: Option<&Guard>, port: u16) -> (Nginx, Fpm) {
    let www = place.pages();
    std::fs::write(www.join("hello.php"), "<?php echo 'hello';").expect("a page");
    std::fs::write(www.join("static.txt"), "hello").expect("a page");
    // What the built-in policy allows, so that no event is written.
    std::fs::write(www.join("popen.php"), "<?php pclose(popen('/usr/sbin/sendmail -t -i', 'w')); echo 'hello';")
        .expect("a page");
    std::fs::write(www.join("shell.php"), "<?php echo shell_exec(':'), 'hello';").expect("a page");
    let fpm = Fpm::start(place, guard, &Pool::default());
    let location = fpm.nginx_location(&www);
    (Nginx::start_on(place, guard, &location, port), fpm)
}

pub fn run() {
    let (bare_place, place) = (Place::new(), Place::new());
    let guard = place.guard("mode = \"audit\"");
    let _bare = start(&bare_place, None, 8091);
    let _guarded = start(&place, Some(&guard), 8092);
    println!("A request (nginx + PHP-FPM, requests per second by ab -k -c 4; {ROUNDS} pairs in turn)\n");
    println!("| page | bare | guarded | ratio: lowest | median | highest |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, page, count) in [
        ("a file", "/static.txt", 20_000),
        ("PHP, hello", "/hello.php", 8_000),
        ("PHP, an allowed popen", "/popen.php", 600),
        ("PHP, an audited shell", "/shell.php", 600),
    ] {
        let (mut bare, mut guarded, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        rate(8091, page, count / 10);
        rate(8092, page, count / 10);
        for round in 0..ROUNDS {
            // Which comes first alternates.
            let (first, second) = if round % 2 == 0 { (8091, 8092) } else { (8092, 8091) };
            let figures = (rate(first, page, count), rate(second, page, count));
            let (without, with) = if round % 2 == 0 { figures } else { (figures.1, figures.0) };
            bare.push(without);
            guarded.push(with);
            ratios.push(with / without);
        }
        let (low, middle, high) = spread(&mut ratios);
        println!(
            "| {name} | {:.0} | {:.0} | {low:.3} | {middle:.3} | {high:.3} |",
            spread(&mut bare).1,
            spread(&mut guarded).1
        );
    }
}

/// The backstop: pages with its supervisor, beside the guard without it. A filter costs each system call of a worker a little,
/// and a call that does not come through the hooks the way to the supervisor.
pub fn backstop() {
    let (off_place, place) = (Place::new(), Place::new());
    let rules = "[rules]\nexec-tool = { mode = \"off\" }\nexec-place = { mode = \"off\" }\n";
    let off = off_place.guard(&format!("mode = \"audit\"\n{rules}"));
    let on = place.guard(&format!("mode = \"audit\"\n{rules}[backstop]\nseccomp = \"supervise\"\n"));
    let _off = start(&off_place, Some(&off), 8093);
    let _on = start(&place, Some(&on), 8094);
    println!("The backstop (the same, guarded in both; {ROUNDS} pairs in turn)\n");
    println!("| page | `off` | `supervise` | ratio: lowest | median | highest |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, page, count) in [
        ("a file", "/static.txt", 20_000),
        ("PHP, hello", "/hello.php", 8_000),
        ("PHP, popen once", "/popen.php", 600),
        ("PHP, an audited shell", "/shell.php", 600),
    ] {
        let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        rate(8093, page, count / 10);
        rate(8094, page, count / 10);
        for round in 0..ROUNDS {
            let (first, second) = if round % 2 == 0 { (8093, 8094) } else { (8094, 8093) };
            let figures = (rate(first, page, count), rate(second, page, count));
            let (off, on) = if round % 2 == 0 { figures } else { (figures.1, figures.0) };
            without.push(off);
            with.push(on);
            ratios.push(on / off);
        }
        let (low, middle, high) = spread(&mut ratios);
        let (off, on) = (spread(&mut without).1, spread(&mut with).1);
        println!("| {name} | {off:.0} | {on:.0} | {low:.3} | {middle:.3} | {high:.3} |");
    }
}
