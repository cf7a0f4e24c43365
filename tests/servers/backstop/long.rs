//! A call of which the supervisor has much to look at: it holds up nobody, and ends as it does bare, or as one that cannot be judged.

use super::*;

/// Nanoseconds of processor time that the supervisor's processes have had.
pub fn used(master: i32) -> u64 {
    let of = |pid: i32| {
        std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok()
    };
    standing(master).into_iter().filter_map(of).sum()
}

#[test]
fn no_call_takes_the_supervisor_long() {
    /// How many short ones it may take the time of. Without a bound it is a thousand and more.
    const TIMES: u64 = 100;
    const SHORT: u64 = 100;
    enter();
    for mode in ["audit", "enforce"] {
        let place = Place::new();
        let program = compile(&place, "tests/servers/c/long_calls.c", "long_calls", &["-static"]);
        place.pages();
        let page = format!(
            "<?php $p = proc_open(['{program}', $_GET['way'], $_GET['count']], [1 => ['pipe', 'w']], $pipes);\n\
             echo stream_get_contents($pipes[1]), proc_close($p);"
        );
        place.write("www/long.php", &page);
        let text = config(&place, mode) + "[rules.exec-unguarded]\nmode = \"audit\"\n";
        let bare = Fpm::start(&place, None, &Pool::default());
        let nginx = Nginx::start(&place, None, &bare.nginx_location(&place.join("www")));
        let run = |port: u16, way: &str, count: u64| {
            http::get(port, &format!("/long.php?way={}&count={count}", way.replace(' ', "%20"))).body
        };
        let ways = ["one string", "scattered", "mapped", "pieces"];
        let wanted = ways.map(|way| run(nginx.port, way, 1));
        drop((nginx, bare));
        let guard = place.guard(&text);
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        let master = fpm.process.pid();
        let mut events = guard.events();
        let cost = |way: &str, count: u64| {
            let before = used(master);
            let said = run(nginx.port, way, count);
            (said, used(master).saturating_sub(before) / count)
        };
        let (short_exec, short_send) = (cost("exec", SHORT).1, cost("sendmmsg", SHORT).1);
        events.fresh();
        for (way, wanted) in ways.into_iter().zip(&wanted) {
            let (said, each) = cost(way, 3);
            let short = if way == "pieces" { short_send * 1024 } else { short_exec };
            println!("{mode} {way}: {said:?}, {} us, a short one {} us", each / 1000, short / 1000);
            assert!(each < short * if way == "pieces" { 20 } else { TIMES }, "{mode} {way}: {each} ns, {short} ns");
            let cannot = events.fresh().iter().any(|event| !event.text("portcullis.unknown").is_empty());
            // What would have failed fails in enforce as what cannot be judged, with an event.
            let is_refused = mode == "enforce" && cannot && said.contains("-1 13");
            assert!(said == *wanted || is_refused, "{mode} {way}: {said:?}, bare {wanted:?}");
        }
    }
}
