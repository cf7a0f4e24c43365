//! A thread that puts another socket in the place of a descriptor, between the look at it and the call.

use super::compile;
use crate::harness::{Guard, Listeners, Parts, Place, enter, every_rule};
use std::process::{Command, Stdio};

/// What the program says, as a serving process; bare without a guard.
fn run(place: &Place, guard: Option<&Guard>, words: &[&str]) -> String {
    let mut command = match guard {
        None => Command::new(words[0]),
        Some(guard) => {
            let mut command = place.portcullis();
            command.args(["run", "--role", "serving", "--config"]).arg(&guard.config).args(["--", words[0]]);
            command
        }
    };
    let done = command.args(&words[1..]).stdin(Stdio::null()).env_remove("LD_PRELOAD").output().expect("a program");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn what_is_judged_is_the_socket_of_the_call() {
    enter();
    let _listeners = Listeners::on(&[9]);
    let place = Place::new();
    std::fs::create_dir_all(place.join("log")).expect("a folder");
    let program = compile(&place, "other_socket", &["-pthread"]);
    for way in ["connect", "send", "listen"] {
        let bare = run(&place, None, &[&program, way, "200"]);
        assert!(bare.starts_with(way) && !bare.starts_with(&format!("{way} 0 ")), "the race can be lost: {bare}");
        for layer in ["off", "supervise"] {
            let policy = format!("{}[backstop]\nseccomp = \"{layer}\"\n", every_rule("enforce"));
            // It opens ports of its own.
            let port = "[rules.listen-port]\nmode = ";
            let from = if way == "send" { "enforce" } else { "none" };
            let guard = place.guard(&policy.replace(&format!("{port}\"{from}\""), &format!("{port}\"off\"")));
            let said = run(&place, Some(&guard), &[&program, way, "1500"]);
            assert!(
                said.starts_with(&format!("{way} 0 of ")) && said.rsplit(", ").next() == bare.rsplit(", ").next(),
                "{layer}: {said}"
            );
            let events = guard.events().all();
            assert!(
                events.iter().any(|event| event.text("event.outcome") == "failure"),
                "{layer} {way}: nothing refused"
            );
        }
    }
}

#[test]
fn a_signal_handler_changes_nothing_that_was_judged() {
    enter();
    let place = Place::new();
    std::fs::create_dir_all(place.join("log")).expect("a folder");
    let program = compile(&place, "handler", &[]);
    for way in ["bind", "memory"] {
        let bare = run(&place, None, &[&program, way, "1000"]);
        assert!(bare.starts_with(way) && !bare.starts_with(&format!("{way} 0 ")), "the race can be lost: {bare}");
        for layer in ["off", "supervise"] {
            let guard = place.guard(&format!("{}[backstop]\nseccomp = \"{layer}\"\n", every_rule("enforce")));
            let said = run(&place, Some(&guard), &[&program, way, "1500"]);
            assert!(said.starts_with(&format!("{way} 0 of ")), "{layer}: {said}");
            let events = guard.events().all();
            assert!(
                events.iter().any(|event| event.text("event.outcome") == "failure"),
                "{layer} {way}: nothing refused"
            );
        }
    }
}
