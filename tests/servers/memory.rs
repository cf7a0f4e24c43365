//! What a worker costs in memory: what the README says of it.

use crate::harness::{Apache, Fpm, Guard, Kind, Nginx, Place, Pool, children, enter, http};
use std::path::Path;

/// KiB of the guard's own that no other process shares, in a worker that has served, at most: the README's figure.
const PRIVATE: u64 = 40;
/// The same of the whole worker, over a bare one: its stack too, which a request that is read uses more of.
const GROWN: u64 = 40;

/// KiB of a process that no other shares: of all, and of the library with what is zero in its file.
fn private(pid: i32) -> [u64; 2] {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("smaps");
    let (mut of_library, mut end, mut sums) = (false, String::new(), [0; 2]);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((from, to)) = first.split_once('-').filter(|_| !first.ends_with(':')) {
            let path = words.nth(4).unwrap_or_default();
            of_library = path.ends_with("libportcullis.so") || (of_library && path.is_empty() && from == end);
            end = to.to_owned();
        } else if first == "Private_Dirty:" {
            let size: u64 = words.next().and_then(|size| size.parse().ok()).expect("a size");
            sums[0] += size;
            sums[1] += if of_library { size } else { 0 };
        }
    }
    sums
}

/// The most of any worker of each server, once they have served.
fn workers(config: Option<&str>) -> Vec<(&'static str, [u64; 2])> {
    let place = Place::new();
    let www = place.pages();
    place.write("www/hello.php", "<?php echo 'hello';");
    let guard = config.map(|config| place.guard(config));
    let guard: Option<&Guard> = guard.as_ref();
    let fpm = Fpm::start(&place, guard, &Pool::default());
    let nginx = Nginx::start(&place, guard, &fpm.nginx_location(Path::new(&www)));
    let apache = Apache::start(&place, guard, Kind::ModPhp, None, "");
    for port in [nginx.port, apache.port] {
        for _ in 0..40 {
            assert_eq!(http::get(port, "/hello.php").body, "hello");
        }
    }
    let most = |pid| {
        let all = children(pid).into_iter().map(private);
        all.fold([0; 2], |most, now| [most[0].max(now[0]), most[1].max(now[1])])
    };
    let servers = [("nginx", &nginx.process), ("php-fpm", &fpm.process), ("apache2", &apache.process)]
        .map(|(name, process)| (name, process.pid()));
    servers.into_iter().map(|(name, pid)| (name, most(pid))).collect()
}

/// The least of three starts: what a worker happens to touch once comes on top, with and without the guard.
fn least(config: Option<&str>) -> Vec<(&'static str, [u64; 2])> {
    let mut all = workers(config);
    for _ in 0..2 {
        for ((_, least), (_, now)) in all.iter_mut().zip(workers(config)) {
            *least = [least[0].min(now[0]), least[1].min(now[1])];
        }
    }
    all
}

#[test]
fn a_worker_has_few_pages_of_its_own() {
    enter();
    let bare = least(None);
    for layer in ["off", "supervise"] {
        let guarded = least(Some(&format!("mode = \"audit\"\n[backstop]\nseccomp = \"{layer}\"\n")));
        for ((name, [bare, _]), (_, [all, own])) in bare.iter().zip(guarded) {
            println!("{name}, {layer}: {own} KiB of the library, {bare} and {all} KiB of all");
            assert!(own <= PRIVATE, "{name}, {layer}: {own} KiB of the library");
            assert!(all <= bare + GROWN, "{name}, {layer}: {bare} KiB without the guard, {all} with it");
        }
    }
}
