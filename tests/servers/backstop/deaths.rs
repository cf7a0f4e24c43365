//! The supervisor's processes die, and nobody notices.

use super::*;

/// Each process may be killed at any time: in audit nothing fails, in enforce nothing gets through.
#[test]
fn the_supervisors_death_changes_nothing() {
    enter();
    for (mode, answer) in [("audit", "1 0 0"), ("enforce", "-1 13 0")] {
        let place = Place::new();
        let (guard, fpm, nginx) = fpm_and_nginx(&place, mode);
        let master = fpm.process.pid();
        assert_eq!(ask(nginx.port, "localhost", "sendto"), answer);
        for round in 0..6 {
            let victim = standing(master)[round % 3];
            kill(victim);
            // Not awaited: what comes now waits for whoever takes over.
            assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{mode}, {round}");
            wait_until("a successor", || three(master).is_some_and(|now| !now.contains(&victim)));
            assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{mode}, {round}");
        }
        let outcomes = guard.events().all();
        let outcome = if mode == "audit" { "success" } else { "failure" };
        // Those that are merged are in the memory that all share.
        assert_eq!(outcomes.len(), 10);
        assert!(outcomes.iter().all(|event| event.text("event.outcome") == outcome));
        // Keeper and broker at once: what only the backstop sees fails, and the server goes on.
        let [keeper, broker, _] = standing(master);
        kill(keeper);
        kill(broker);
        wait_until("their end", || supervisors(master).is_empty());
        assert!(ask(nginx.port, "localhost", "sendto").starts_with("-1 38"));
        assert_eq!(http::get(nginx.port, "/way.php?way=list").status, 200);
    }
}

/// A process that strace holds up in a call, until it is killed.
fn held_up(pid: i32, call: &str, seconds: u32) -> std::process::Child {
    let strace = Command::new("strace")
        .args(["-q", "-p", &pid.to_string(), "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:delay_enter={seconds}s")])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("strace");
    wait_until("strace", || word(pid, "status", "TracerPid:").is_some_and(|pid| pid != "0"));
    strace
}

fn is_in(pid: i32, call: libc::c_long) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|now| now.starts_with(&format!("{call} ")))
}

/// A judge that dies at a call: the broker has the call still, and the next judge judges it.
#[test]
fn the_next_judges_what_one_died_of() {
    enter();
    for (mode, answer) in [("audit", "1 0 0"), ("enforce", "-1 13 0")] {
        let place = Place::new();
        let (guard, fpm, nginx) = fpm_and_nginx(&place, mode);
        let master = fpm.process.pid();
        // Silent, and by then there are workers whose filters are with the judge.
        assert_eq!(ask(nginx.port, "localhost", "sendto connected"), "1 0 0");
        let [_, _, judge] = standing(master);
        let mut strace = held_up(judge, "openat", 20);
        let port = nginx.port;
        let asked = std::thread::spawn(move || ask(port, "localhost", "sendto"));
        wait_until("the call", || is_in(judge, libc::SYS_openat));
        kill(judge);
        // Its parent hears of its end once who traces it has.
        strace.kill().expect("strace");
        strace.wait().expect("strace's end");
        assert_eq!(asked.join().expect("an answer"), answer, "{mode}");
        let events = guard.events().all();
        let outcome = if mode == "audit" { "success" } else { "failure" };
        assert_eq!(events.iter().map(facts).collect::<Vec<_>>(), [["egress-port", outcome, "backstop", "known", ""]]);
        assert_eq!(events[0].pointer("/portcullis/dropped").and_then(Value::as_u64).unwrap_or(0), 0);
    }
}

/// One that waits, as for memory of a caller's that is read from a disk, holds nobody up: the call is judged anew a little later.
#[test]
fn a_judge_that_waits_is_not_waited_for() {
    enter();
    for (mode, answer, outcome) in [("audit", "1 0 0", "success"), ("enforce", "-1 13 0", "failure")] {
        let place = Place::new();
        let (guard, fpm, nginx) = fpm_and_nginx(&place, mode);
        let master = fpm.process.pid();
        assert_eq!(ask(nginx.port, "localhost", "sendto connected"), "1 0 0");
        for round in 0..3 {
            let [_, _, judge] = standing(master);
            // SAFETY: a process that this test's server started.
            assert_eq!(unsafe { libc::kill(judge, libc::SIGSTOP) }, 0);
            assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{mode} {round}");
            wait_until("a successor", || three(master).is_some_and(|now| !now.contains(&judge)));
        }
        let events = guard.events().all();
        let said: Vec<_> = events.iter().map(facts).collect();
        assert_eq!(said, [["egress-port", outcome, "backstop", "known", ""]; 3]);
    }
}

/// One that works on a call for too long: the broker ends it, and answers by the strictest policy; it says that an event may be missing.
/// In audit everywhere the call goes on.
#[test]
fn a_judge_that_does_not_end_stops_nothing() {
    enter();
    for (mode, strict, answer, after) in [
        ("audit", false, "1 0 0", "1 0 0"),
        ("audit", true, "-1 13 0", "1 0 0"),
        ("enforce", false, "-1 13 0", "-1 13 0"),
    ] {
        let place = Place::new();
        page(&place);
        let text = config(&place, mode);
        let text = if strict { text } else { text.split("[[vhost]]").next().expect("a part").to_owned() };
        let guard = place.guard(&text);
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        let master = fpm.process.pid();
        assert_eq!(ask(nginx.port, "localhost", "sendto connected"), "1 0 0");
        let [_, _, judge] = standing(master);
        // What is traced does not wait for anything of a caller's.
        let mut strace = held_up(judge, "openat", 7);
        let port = nginx.port;
        let asked = std::thread::spawn(move || ask(port, "localhost", "sendto"));
        let first = asked.join().expect("an answer");
        strace.kill().expect("strace");
        strace.wait().expect("strace's end");
        assert!(first == answer || first == after, "{mode} {first}");
        wait_until("a successor", || three(master).is_some_and(|now| !now.contains(&judge)));
        assert_eq!(ask(nginx.port, "localhost", "sendto"), after, "{mode}");
        let said = guard.events().all();
        let is_said = |event: &&Value| event.text("message").starts_with("the backstop's evaluating process ended");
        // Where the broker found out by itself, no call was answered so; what the hook announced meanwhile may be lost.
        let is_refused = said.iter().any(|event| event.text("event.outcome") == "failure");
        let count = said.iter().filter(is_said).count();
        assert!(count <= 2 && (first == after || count > 0 || is_refused), "{first} {said:#?}");
        assert_eq!(http::get(nginx.port, "/way.php?way=list").status, 200);
    }
}

/// Judges are killed while requests run: in audit none is lost, and in enforce nothing gets through.
#[test]
fn judges_die_while_requests_run() {
    enter();
    for (mode, answer) in [("audit", "1 0 0"), ("enforce", "-1 13 0")] {
        let place = Place::new();
        let (_guard, fpm, nginx) = fpm_and_nginx(&place, mode);
        let (master, port) = (fpm.process.pid(), nginx.port);
        assert_eq!(ask(port, "localhost", "sendto"), answer);
        let run = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut answers = Vec::new();
                        while run.load(std::sync::atomic::Ordering::Relaxed) {
                            answers.push(ask(port, "localhost", "sendto"));
                        }
                        answers
                    })
                })
                .collect();
            let mut killed = 0;
            while killed < 12 {
                if let Some([_, _, judge]) = three(master) {
                    // SAFETY: a process that this test's server started; it may have ended.
                    killed += i32::from(unsafe { libc::kill(judge, libc::SIGKILL) } == 0);
                }
                std::thread::sleep(std::time::Duration::from_millis(150));
            }
            run.store(false, std::sync::atomic::Ordering::Relaxed);
            let answers: Vec<_> = asked.into_iter().flat_map(|asked| asked.join().expect("answers")).collect();
            let others: Vec<_> = answers.iter().filter(|said| *said != answer).collect();
            assert!(answers.len() > 10 && others.is_empty(), "{mode}: {} {others:?}", answers.len());
        });
    }
}
