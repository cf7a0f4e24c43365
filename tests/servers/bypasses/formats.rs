//! Formats of programs that somebody registers in a user namespace of his own: what such a file runs, only the kernel knows.

use super::{compile, run, run_page};
use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter};
use std::os::unix::fs::PermissionsExt;

fn ask(place: &Place, guard: Option<&Guard>, flags: &[&str]) -> String {
    place.pages();
    run_page(place);
    let formats = compile(place, "formats", flags);
    let folder = place.join("folder");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("permissions");
    let fpm = Fpm::start(place, guard, &Pool::default());
    let nginx = Nginx::start(place, guard, &fpm.nginx_location(&place.join("www")));
    run(nginx.port, "localhost", &[&formats, folder.to_str().expect("a path")])
}

/// The file system of formats is refused where a rule on programs is in enforce, and an event in audit; without the hooks, the programs of such a
/// user namespace are.
#[test]
fn formats_of_a_user_namespace_of_its_own() {
    enter();
    let bare = ask(&Place::new(), None, &[]);
    // Linux before 6.7: EPERM.
    let is_possible = bare == "0 42; 0 42; 0 42; 0 42;  0";
    assert!(is_possible || bare == "1 0; 1 0; 1 0; 1 0;  0", "{bare}");
    let supervised = "[backstop]\nseccomp = \"supervise\"\n";
    let off = "[rules.exec-place]\nmode = \"audit\"\n";
    for (mode, more, flags) in [
        ("audit", "", &[][..]),
        ("audit", supervised, &[]),
        ("audit", supervised, &["-static"]),
        ("enforce", "", &[]),
        ("enforce", supervised, &[]),
        ("enforce", supervised, &["-static"]),
    ] {
        let place = Place::new();
        let guard = place.guard_of_every_event(&format!("mode = \"{mode}\"\n{more}{off}"));
        let mut events = guard.events();
        let said = ask(&place, Some(&guard), flags);
        let seen = events.fresh();
        let told = seen.iter().filter(|event| event.text("portcullis.unknown") == "format").count();
        if mode == "audit" {
            assert_eq!(said, bare, "{more} {flags:?}");
        } else {
            assert!(!said.contains("42"), "{more} {flags:?}: {said}");
        }
        // Without hooks, in audit, mounting is not seen.
        let wanted = if mode == "audit" && !flags.is_empty() { 0 } else { 4 };
        assert!(told >= wanted, "{mode} {more} {flags:?}: {said} {seen:#?}");
    }
}
