//! Programs behind PHP-FPM's pages that forbid themselves system calls, on pain of their life: they live as long as bare, and what
//! the hooks cannot say of them is counted.

use super::{compile, run_page};
use crate::harness::{Fpm, Guard, Nginx, Place, Pool, enter, every_rule};

const CASES: [[&str; 4]; 5] = [
    ["kill", "prctl", "nothing", "_exit"],
    ["trap", "seccomp", "nothing", "exit"],
    ["kill", "prctl", "sendto", "sendto"],
    ["kill", "seccomp", "connect", "connect"],
    ["kill", "prctl", "all but one", "connect and send"],
];

/// What the page says of each case.
fn pages(place: &Place, guard: Option<&Guard>, program: &str) -> Vec<String> {
    let fpm = Fpm::start(place, guard, &Pool::default());
    let nginx = Nginx::start(place, guard, &fpm.nginx_location(&place.join("www")));
    let said = CASES.iter().map(|case| {
        let words: Vec<&str> = std::iter::once(program).chain(case.iter().copied()).collect();
        super::run(nginx.port, "localhost", &words)
    });
    said.collect()
}

#[test]
fn a_confined_program_of_a_page_lives() {
    enter();
    let place = Place::new();
    place.pages();
    run_page(&place);
    let program = compile(&place, "confined", &[]);
    let bare = pages(&place, None, &program);
    assert!(bare.iter().all(|said| said.contains("ended")), "{bare:?}");
    for layer in ["off", "supervise"] {
        let guard = place.guard(&format!("{}[backstop]\nseccomp = \"{layer}\"\n", every_rule("audit")));
        let mut events = guard.events();
        assert_eq!(pages(&place, Some(&guard), &program), bare, "{layer}");
        let events = events.fresh();
        let to = |port: u16| events.iter().filter(|event| event["destination"]["port"] == port).count();
        // Before the filter, and under one that lets the guard write.
        assert!(to(4446) > 0 && to(4447) > 0, "{layer}: {events:#?}");
    }
}
