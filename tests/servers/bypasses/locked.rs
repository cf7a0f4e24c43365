//! Calls on what somebody else holds: a socket whose lock another thread has, so that who asks for it waits, and no signal ends that.

use super::supervisor::servers_of;
use super::{compile, run};
use crate::backstop::supervisors;
use crate::harness::{Fpm, Guard, Nginx, OUTSIDE4, Parts, Place, Pool, enter, wait_until};
use std::process::Command;
use std::time::{Duration, Instant};

/// An address of a link of the test's own, at which nobody answers.
const SILENT: &str = "10.77.0.99";
const ENFORCED: &str = "localhost";
const AUDITED: &str = "strict.example";
/// How long a call may take on a machine that others use as well, in milliseconds; a held lock is held for three seconds.
const SOON: u32 = 1500;
/// The same of a page.
const PAGE: Duration = Duration::from_millis(2900);
/// The supervisor's three processes and one judge more, those that act in a caller's place for one site, those that are left over of
/// one worker, and some that are just ending.
const PROCESSES: usize = 4 + 64 + 8 + 8;

fn link() {
    for words in [
        "link add silent0 type veth peer name silent1",
        "address add 10.77.0.1/24 dev silent0",
        "link set silent0 up",
        "link set silent1 up",
    ] {
        assert!(Command::new("ip").args(words.split(' ')).status().expect("ip").success(), "{words}");
    }
}

/// Servers with four workers, of which one virtual host is in audit.
fn servers(place: &Place) -> (Guard, Fpm, Nginx) {
    let audited = format!(
        "[[vhost]]\nname = \"audited\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n",
        place.join("www/strict").display()
    );
    let pool = Pool { lines: "pm.max_children = 4".to_owned(), ..Pool::default() };
    let (guard, fpm, nginx) = servers_of(place, &audited, &pool);
    // Each worker comes to the supervisor with its first request.
    let port = nginx.port;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || run(port, ENFORCED, &["/bin/sleep", "1"]));
        }
    });
    (guard, fpm, nginx)
}

/// The errno and the longest time of some calls on sockets of a program's own.
fn others(port: u16, host: &str, program: &str) -> (u32, u32) {
    let said = run(port, host, &[program, OUTSIDE4, "443", "0", "0", "20", "once"]);
    let numbers: Vec<u32> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [errno, longest, 0] => (errno, longest),
        _ => panic!("{said}"),
    }
}

/// Whatever is called on a held socket: the others' calls do not wait, and the supervisor's processes have a bound.
#[test]
fn who_holds_a_socket_keeps_nobody_else() {
    enter();
    link();
    let place = Place::new();
    let program = compile(&place, "locked", &["-static", "-pthread"]);
    let (guard, fpm, nginx) = servers(&place);
    let port = nginx.port;
    assert_eq!(others(port, ENFORCED, &program).0, 0);
    let begun = supervisors(fpm.process.pid());
    for (host, way) in [
        (ENFORCED, "connect"),
        (ENFORCED, "send"),
        (ENFORCED, "many"),
        (ENFORCED, "bind"),
        (ENFORCED, "nowhere"),
        (AUDITED, "nowhere"),
        (AUDITED, "listen"),
    ] {
        let program = program.as_str();
        std::thread::scope(|scope| {
            let holder = scope.spawn(move || run(port, host, &[program, SILENT, "443", "6", "2", "150", way]));
            std::thread::sleep(Duration::from_millis(1000));
            for other in [ENFORCED, AUDITED, ENFORCED, AUDITED, ENFORCED, AUDITED] {
                let begun = Instant::now();
                let (errno, longest) = others(port, other, program);
                assert_eq!(errno, 0, "{host} {way}: {other}");
                let page = begun.elapsed();
                assert!(page < PAGE, "{host} {way}: the page of {other} waits for {page:?}");
                assert!(longest < SOON, "{host} {way}: {other} waits for {longest} ms");
                std::thread::sleep(Duration::from_millis(400));
            }
            let count = supervisors(fpm.process.pid()).len();
            assert!(count <= PROCESSES, "{host} {way}: {count} processes");
            let said = holder.join().expect("the holder");
            assert!(said.starts_with("calls "), "{said}");
            assert!(host == ENFORCED || said.contains(" refused 0"), "{said}");
        });
        wait_until("the end of all that waited", || supervisors(fpm.process.pid()).len() <= 4);
    }
    // None of it was replaced.
    assert!(supervisors(fpm.process.pid()).starts_with(&begun[..2]));
    let of_supervisor = |event: &&serde_json::Value| event.text("message").contains("the backstop's");
    let all = guard.events().all();
    let of_supervisor: Vec<&serde_json::Value> = all.iter().filter(of_supervisor).collect();
    assert!(of_supervisor.is_empty(), "{of_supervisor:#?}");
}

/// Connections that wait, of three requests: others still find a place.
#[test]
fn requests_that_wait_leave_places_for_others() {
    enter();
    link();
    let place = Place::new();
    let program = compile(&place, "locked", &["-static", "-pthread"]);
    let (_guard, fpm, nginx) = servers(&place);
    let port = nginx.port;
    let program = program.as_str();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || run(port, ENFORCED, &[program, SILENT, "443", "6", "0", "100", "stream"]));
        }
        wait_until("connections that wait", || supervisors(fpm.process.pid()).len() > 50);
        std::thread::sleep(Duration::from_millis(500));
        for host in [ENFORCED, "other1.example"] {
            let said = run(port, host, &[program, OUTSIDE4, "4444", "0", "0", "10", "streams"]);
            let wanted = if host == ENFORCED { "13" } else { "111" };
            assert!(said.starts_with(wanted), "{host}: {said}");
        }
        for _ in 0..3 {
            assert_eq!(others(port, ENFORCED, program).0, 0);
        }
    });
}
