//! A program that gave up rights of its own: the supervisor, which has them, makes no call in its place.

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Place, enter};
use std::net::TcpListener;
use std::process::Command;

#[test]
fn who_is_sandboxed_stays_so() {
    enter();
    let place = Place::new();
    let program = compile(&place, "landlocked", &["-static"]);
    let _listener = TcpListener::bind("127.0.0.1:4444").expect("a listener");
    let done = Command::new(&program).output().expect("the program");
    let bare = String::from_utf8_lossy(&done.stdout).into_owned();
    if !bare.contains("itself 13 13") {
        // A kernel whose Landlock knows no network (before 6.7).
        assert!(bare.contains("restricted -1"), "{bare}");
        return;
    }
    for mode in ["audit", "enforce"] {
        let rule = format!("[rules.listen-port]\nmode = \"{mode}\"\nallow = [45678]\n");
        let (_guard, _fpm, nginx) = servers_with(&place, &rule);
        assert_eq!(run(nginx.port, "other1.example", &[&program]).trim_end_matches(" 0"), bare, "{mode}");
    }
}

/// What such a program is allowed, the kernel would have to do by an address that another process can change by then.
#[test]
fn what_lies_in_a_sandboxed_program_s_memory_is_unknown() {
    enter();
    let place = Place::new();
    let program = compile(&place, "landlocked", &["-static"]);
    let _listener = TcpListener::bind("127.0.0.1:4444").expect("a listener");
    let bare = run_bare(&program, "files");
    if bare.contains("restricted -1") {
        // A kernel without Landlock.
        return;
    }
    assert!(bare.contains("before 0 0\n") && bare.contains("itself 0 0\n"), "{bare}");
    let rule = "[rules.listen-port]\nmode = \"enforce\"\nallow = [45678]\n";
    let (guard, _fpm, nginx) = servers_with(&place, rule);
    let said = run(nginx.port, "other1.example", &[&program, "files"]);
    assert!(said.contains("before 0 0\n") && said.contains("itself 13 13\nchild 13 13\n"), "{said}");
    let is_unknown = |event: &serde_json::Value| event["portcullis"]["unknown"] == "socket";
    assert!(guard.events().all().iter().any(is_unknown), "{said}");
}

/// However many processes of one page restrict themselves, what other pages start is none of them.
#[test]
fn a_crowd_that_restricts_itself_is_no_other_page_s() {
    enter();
    let place = Place::new();
    let program = compile(&place, "restricted", &["-static"]);
    if !run_bare(&program, "1").contains("restricted 1") {
        // A kernel without Landlock.
        return;
    }
    let (_guard, _fpm, nginx) = servers_with(&place, "[rules.listen-port]\nmode = \"enforce\"\nallow = [45678]\n");
    let alone = run(nginx.port, "other1.example", &[&program]);
    assert!(alone.contains("itself 0\nchild 0"), "{alone}");
    let crowd = run(nginx.port, "strict.example", &[&program, "300"]);
    assert!(crowd.contains("restricted 300"), "{crowd}");
    assert_eq!(run(nginx.port, "other1.example", &[&program]), alone);
}

fn run_bare(program: &str, word: &str) -> String {
    let done = Command::new(program).arg(word).output().expect("the program");
    String::from_utf8_lossy(&done.stdout).into_owned()
}
