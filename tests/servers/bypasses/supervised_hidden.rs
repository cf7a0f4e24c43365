//! What the kernel reads of a call's arguments, and no other process can: memory of memfd_secret(2).

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Fpm, Guard, Listeners, Nginx, Parts, Place, enter};
use std::process::Command;

const ENFORCED: &str = "other1.example";
const AUDITED: &str = "strict.example";

fn servers(place: &Place) -> (Guard, Fpm, Nginx) {
    let root = place.join("www/strict");
    servers_with(
        place,
        &format!(
            "[[vhost]]\nname = \"audited\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n\
             [vhost.egress]\nallow = [\"192.88.1.10:4444\"]\n",
            root.display()
        ),
    )
}

fn bare(words: &[&str]) -> String {
    let done = Command::new(words[0]).args(&words[1..]).output().expect("the program");
    String::from_utf8(done.stdout).expect("text")
}

/// A program of which something cannot be read is one that cannot be judged. Where nothing lies, the kernel says so.
#[test]
fn a_program_whose_arguments_only_the_kernel_reads() {
    enter();
    let place = Place::new();
    let program = compile(&place, "hidden", &["-static"]);
    let (guard, _fpm, nginx) = servers(&place);
    let mut events = guard.events();
    for (what, unknown) in [
        ("path", "path"),
        ("argv", "arguments"),
        ("string", "arguments"),
        ("envp", "environment"),
        ("variable", "environment"),
    ] {
        let words = [program.as_str(), "secret", what];
        assert_eq!(bare(&words), "ran\n", "{what}");
        for (host, answer, action) in [(AUDITED, "ran\n 0", "audit"), (ENFORCED, "execve:13  0", "deny")] {
            assert_eq!(run(nginx.port, host, &words), answer, "{what} {host}");
            let fresh = events.fresh();
            let said: Vec<_> = fresh
                .iter()
                .map(|event| [event.text("portcullis.unknown"), event.text("portcullis.request.state")])
                .collect();
            assert_eq!(said, [[unknown, "known"]], "{what} {host}: {action} {fresh:#?}");
        }
        let words = [program.as_str(), "nothing", what];
        assert_eq!(bare(&words), "execve:14 ", "{what}");
        for host in [AUDITED, ENFORCED] {
            assert_eq!(run(nginx.port, host, &words), "execve:14  0", "{what} {host}");
            assert_eq!(events.fresh().len(), 0, "{what} {host}");
        }
    }
}

/// The hooks ask the kernel in the process itself, which reads such memory as any other.
#[test]
fn the_hooks_read_what_the_kernel_reads() {
    enter();
    let place = Place::new();
    let program = compile(&place, "hidden", &[]);
    let (guard, _fpm, nginx) = servers(&place);
    let mut events = guard.events();
    for (host, answer) in [(AUDITED, "ran\n 0"), (ENFORCED, "execve:13  0")] {
        for what in ["path", "argv", "string", "envp", "variable"] {
            for memory in ["plain", "secret"] {
                assert_eq!(run(nginx.port, host, &[&program, memory, what]), answer, "{what} {host}");
                let fresh = events.fresh();
                let said: Vec<_> =
                    fresh.iter().map(|event| ["rule.id", "portcullis.layer"].map(|name| event.text(name))).collect();
                assert_eq!(said, [["shell-spawn", "libc"]], "{memory} {what} {host}: {fresh:#?}");
            }
        }
    }
}

/// What cannot be copied is not sent in the place of the caller, and that is said.
#[test]
fn data_that_only_the_kernel_reads() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let program = compile(&place, "hidden", &["-static"]);
    let (guard, _fpm, nginx) = servers(&place);
    let mut events = guard.events();
    for (memory, errno, enforced, unknown) in [("plain", 0, 0, 0), ("secret", 0, 13, 3), ("nothing", 14, 14, 0)] {
        let said = |errno: i32| format!("sendto:{errno} sendmsg:{errno} pieces:{errno} ");
        let words = [program.as_str(), memory, "send"];
        assert_eq!(bare(&words), said(errno), "{memory}");
        assert_eq!(run(nginx.port, AUDITED, &words), format!("{} 0", said(errno)), "{memory}");
        assert_eq!(events.fresh().len(), 0, "{memory}");
        assert_eq!(run(nginx.port, ENFORCED, &words), format!("{} 0", said(enforced)), "{memory}");
        let fresh = events.fresh();
        assert_eq!(fresh.len(), unknown, "{memory}: {fresh:#?}");
        assert!(fresh.iter().all(|event| event.text("portcullis.unknown") == "socket"), "{memory}: {fresh:#?}");
    }
}
