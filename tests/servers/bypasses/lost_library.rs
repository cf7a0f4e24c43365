//! The guard's library is not where a new program's loader looks, or another file is there.

use super::{compile, run, run_page};
use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const WAYS: [&str; 5] = ["bind", "empty", "chroot", "pivot", "own"];

fn servers(place: &Place, guard: Option<&Guard>) -> (Fpm, Nginx) {
    place.pages();
    run_page(place);
    let fpm = Fpm::start(place, guard, &Pool::default());
    let nginx = Nginx::start(place, guard, &fpm.nginx_location(&place.join("www")));
    (fpm, nginx)
}

/// A root directory with what `env sh` needs, and a folder for the library in which everybody may write.
fn tree(place: &Place, library: &Path) -> String {
    let tree = place.join("tree");
    for (from, to) in [
        ("/usr/bin/env", "usr/bin/env"),
        ("/bin/dash", "usr/bin/sh"),
        ("/lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libc.so.6"),
        ("/lib64/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2"),
    ] {
        let to = tree.join(to);
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("folders");
        std::fs::copy(from, to).expect("a copy");
    }
    let own = tree.join(library.parent().expect("a folder").strip_prefix("/").expect("a path"));
    std::fs::create_dir_all(&own).expect("folders");
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o777)).expect("permissions");
    tree.to_str().expect("a path").to_owned()
}

fn ask(place: &Place, port: u16, cover: &str, way: &str) -> String {
    let library = place.library();
    let tree = tree(place, &library);
    let _ = std::fs::remove_file(format!("{tree}{}", library.display()));
    let library = library.to_str().expect("a path");
    let shell = ["/usr/bin/env", "sh", "-c", "echo shell-$((40+2))"];
    let words = [&[cover, way, library, &tree][..], &shell[..]].concat();
    run(port, "localhost", &words)
}

fn of_rule(events: &[Value], rule: &str) -> Vec<(String, String)> {
    let of = events.iter().filter(|event| event.text("rule.id") == rule);
    of.map(|event| (event.text("event.outcome").to_owned(), event.text("portcullis.unguarded").to_owned())).collect()
}

/// What such a program is: in audit an event and nothing else, in enforce refused; with the supervisor, its shell is a shell.
#[test]
fn a_program_without_the_library_is_out_of_sight() {
    enter();
    let place = Place::new();
    let cover = compile(&place, "cover", &[]);
    let bare = servers(&place, None);
    for way in WAYS {
        let said = ask(&place, bare.1.port, &cover, way);
        assert!(said.starts_with("shell-42"), "{way}: {said}");
    }
    drop(bare);
    for (more, wanted, outcome) in [
        ("mode = \"audit\"\n", true, "success"),
        ("mode = \"enforce\"\n[rules.exec-unguarded]\nmode = \"enforce\"\n", false, "failure"),
        ("mode = \"enforce\"\n[backstop]\nseccomp = \"supervise\"\n", false, "success"),
    ] {
        let place = Place::new();
        let cover = compile(&place, "cover", &[]);
        let guard = place.guard_of_every_event(more);
        let (_fpm, nginx) = servers(&place, Some(&guard));
        let mut events = guard.events();
        let nothing = ask(&place, nginx.port, &cover, "nothing");
        assert_eq!(nothing.contains("shell-42"), wanted, "{more}: {nothing}");
        assert_eq!(of_rule(&events.fresh(), "exec-unguarded"), [], "{more}");
        for way in WAYS {
            let said = ask(&place, nginx.port, &cover, way);
            assert_eq!(said.contains("shell-42"), wanted, "{more} {way}: {said}");
            let seen = events.fresh();
            let missing = of_rule(&seen, "exec-unguarded");
            // In a root directory of its own, a program finds no log.
            let is_seen = way != "own";
            assert!(
                !is_seen || missing.contains(&(outcome.to_owned(), "missing".to_owned())),
                "{more} {way}: {seen:#?}"
            );
        }
    }
}

/// Another file in the library's place that root has put there is a library.
#[test]
fn an_upgraded_library_is_there() {
    enter();
    let place = Place::new();
    let cover = compile(&place, "cover", &[]);
    let guard = place.guard_of_every_event("mode = \"audit\"\n");
    let (_fpm, nginx) = servers(&place, Some(&guard));
    let new = place.join("new.so");
    std::fs::copy(place.library(), &new).expect("a copy");
    std::fs::rename(&new, place.library()).expect("renamed");
    let mut events = guard.events();
    assert!(ask(&place, nginx.port, &cover, "nothing").starts_with("shell-42"));
    let seen = events.fresh();
    assert_eq!(of_rule(&seen, "exec-unguarded"), []);
    assert_eq!(of_rule(&seen, "shell-spawn").len(), 1, "{seen:#?}");
}
