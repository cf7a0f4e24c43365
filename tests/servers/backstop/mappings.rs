//! Programs with many mappings: a call of theirs is judged as one of a program with few, and costs the supervisor no more.

use super::long::used;
use super::*;

/// How much more processor time of the supervisor's a run may take than one with few mappings. With the mappings read for each call it
/// is fifty and more.
const TIMES: u64 = 8;
const RUNS: u64 = 3;
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

#[test]
fn many_mappings_change_nothing() {
    enter();
    for (mode, flags) in [("audit", &["-static"][..]), ("enforce", &["-static"]), ("audit", &[]), ("enforce", &[])] {
        let place = Place::new();
        let program = compile(&place, "tests/servers/c/mappings.c", "mappings", flags);
        place.pages();
        let page = format!(
            "<?php $p = proc_open(array_merge($_GET['by'] ? [$_GET['by']] : [], ['{program}', $_GET['count']]), \
             [1 => ['pipe', 'w']], $pipes);\necho is_resource($p) ? stream_get_contents($pipes[1]) : 'refused';"
        );
        place.write("www/mappings.php", &page);
        let guard = place.guard_of_every_event(&config(&place, mode));
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        let mut events = guard.events();
        // Of a program that is started by its loader's name, the kernel knows the loader alone.
        let starts: &[&str] = if flags.is_empty() { &["", LOADER] } else { &[""] };
        let mut run = |by: &str, count: u32| {
            let said = http::get(nginx.port, &format!("/mappings.php?count={count}&by={by}")).body;
            let facts = |event: &Value| {
                ["rule.id", "event.outcome", "portcullis.unknown", "portcullis.request.state"]
                    .map(|name| event.text(name).to_owned())
            };
            (said, events.fresh().iter().map(facts).collect::<Vec<_>>())
        };
        for by in starts {
            let few = run(by, 0);
            let what = format!("{mode} {flags:?} {by:?}");
            println!("{what}: {few:?}");
            assert!(mode == "enforce" || few.0.ends_with("started\n0\n"), "{what}: {few:?}");
            let mut cost = |count: u32| {
                let before = used(fpm.process.pid());
                for _ in 0..RUNS {
                    assert_eq!(run(by, count), few, "{what}: {count}");
                }
                used(fpm.process.pid()).saturating_sub(before) / RUNS
            };
            let short = cost(0);
            for count in [12_000, 30_000] {
                let long = cost(count);
                println!("{what}: {count}: {} us, with few {} us", long / 1000, short / 1000);
                assert!(long < short * TIMES, "{what}: {count}: {long} ns, with few {short} ns");
            }
        }
    }
}
