//! The supervisor's processes die, and nobody notices.

use super::*;

/// Either process may be killed at any time: in audit nothing fails, in enforce nothing gets through.
#[test]
fn the_supervisors_death_changes_nothing() {
    enter();
    for (mode, answer) in [("audit", "1 0 0"), ("enforce", "-1 13 0")] {
        let place = Place::new();
        let (guard, fpm, nginx) = fpm_and_nginx(&place, mode);
        let master = fpm.process.pid();
        assert_eq!(ask(nginx.port, "localhost", "sendto"), answer);
        for round in 0..6 {
            let (keeper, judge) = standing_pair(master);
            let victim = if round % 2 == 0 { judge } else { keeper };
            kill(victim);
            // Not awaited: what comes now waits for whoever takes over.
            assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{mode}, {round}");
            wait_until("a successor", || pair(master).is_some_and(|(a, b)| a != victim && b != victim));
            assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{mode}, {round}");
        }
        let outcomes = guard.events().all();
        let outcome = if mode == "audit" { "success" } else { "failure" };
        // The three that are merged are in the memory that both share.
        assert_eq!(outcomes.len(), 10);
        assert!(outcomes.iter().all(|event| event.text("event.outcome") == outcome));
        // Both at once: what only the backstop sees fails, and the server goes on.
        let (keeper, judge) = standing_pair(master);
        kill(keeper);
        kill(judge);
        wait_until("their end", || supervisors(master).is_empty());
        assert!(ask(nginx.port, "localhost", "sendto").starts_with("-1 38"));
        assert_eq!(http::get(nginx.port, "/way.php?way=list").status, 200);
    }
}

/// A judge that dies at what a hook announces: its successor judges by the strictest policy, and one virtual host enforces; it
/// says that an event may be missing.
#[test]
fn the_call_at_hand_is_answered() {
    enter();
    for (mode, answer) in [("audit", "1 0 0"), ("enforce", "-1 13 0")] {
        let place = Place::new();
        let (guard, fpm, nginx) = fpm_and_nginx(&place, mode);
        let master = fpm.process.pid();
        // Silent, and by then there are workers whose filters are with the judge.
        assert_eq!(ask(nginx.port, "localhost", "sendto connected"), "1 0 0");
        let (_, judge) = standing_pair(master);
        // Holds the judge up where it opens the memory of the process whose call it has received.
        let mut strace = Command::new("strace")
            .args(["-q", "-p", &judge.to_string(), "-e", "trace=openat", "-e", "inject=openat:delay_enter=20s"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("strace");
        wait_until("strace", || word(judge, "status", "TracerPid:").is_some_and(|pid| pid != "0"));
        let port = nginx.port;
        let asked = std::thread::spawn(move || ask(port, "localhost", "sendto"));
        let openat = format!("{} ", libc::SYS_openat);
        let at_hand =
            || std::fs::read_to_string(format!("/proc/{judge}/syscall")).is_ok_and(|now| now.starts_with(&openat));
        wait_until("the call", at_hand);
        kill(judge);
        // Its parent hears of its end once who traces it has.
        strace.kill().expect("strace");
        strace.wait().expect("strace's end");
        assert_eq!(asked.join().expect("an answer"), "-1 13 0", "{mode}");
        // It was at what the hook announced: of the program's own call nobody knows whose it is.
        let events = guard.events().all();
        assert_eq!(events.iter().map(|event| event.text("portcullis.request.state")).collect::<Vec<_>>(), ["lost"]);
        assert_eq!(ask(port, "localhost", "sendto"), answer, "{mode}");
        let events = guard.events().all();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].pointer("/portcullis/dropped").and_then(Value::as_u64), Some(1), "{:#}", events[0]);
    }
}
