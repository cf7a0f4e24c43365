//! Paths of which the supervisor could see another file than the kernel does: by its own /proc, or by the time that passes.

use super::supervisor::servers_with;
use super::{compile, run, run_page};
use crate::harness::{Fpm, Nginx, Parts, Place, Pool, enter};
use std::os::unix::fs::PermissionsExt;

/// A new folder in which the pool's user may do what it likes.
fn folder(place: &Place, name: &str) -> String {
    let folder = place.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("permissions");
    folder.to_str().expect("a path").to_owned()
}

/// The virtual host `strict.example` audits.
fn audited(place: &Place) -> String {
    let root = place.join("www/strict");
    format!("[[vhost]]\nname = \"audited\"\nmatch = {{ document_root = \"{}\" }}\nmode = \"audit\"\n", root.display())
}

fn number(said: &str, word: &str) -> u32 {
    let at = said.find(&format!("{word}:")).unwrap_or_else(|| panic!("{word} in {said:?}"));
    said[at + word.len() + 1..].split(' ').next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// The servers without Portcullis.
fn bare(place: &Place) -> (Fpm, Nginx) {
    place.pages();
    run_page(place);
    let fpm = Fpm::start(place, None, &Pool::default());
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&place.join("www")));
    (fpm, nginx)
}

/// Every way to name what a process has open names what that process has, for interpreters of scripts and for the loader, too.
#[test]
fn a_descriptor_in_a_path_is_the_processs_own() {
    enter();
    let place = Place::new();
    let paths = compile(&place, "paths", &["-static"]);
    let program =
        |port, host: &str, way: &str, name: &str| run(port, host, &[&paths, way, &folder(&place, name), &paths]);
    let servers = bare(&place);
    let said = program(servers.1.port, "localhost", "opened", "bare");
    let all = number(&said, "shells");
    assert!(all > 300 && said.contains("refused:0 others:0"), "{said}");
    assert!(program(servers.1.port, "localhost", "benign", "bare-benign").starts_with("0 0 0 0 0 0 0 shells"));
    drop(servers);
    let (guard, _fpm, nginx) = servers_with(&place, &audited(&place));
    let mut events = guard.events();
    events.fresh();
    assert!(program(nginx.port, "strict.example", "benign", "audit-benign").starts_with("0 0 0 0 0 0 0 shells"));
    // In enforce it is the link of its own that somebody could change.
    assert!(program(nginx.port, "localhost", "benign", "benign").starts_with("0 0 0 0 0 0 13 shells"));
    events.fresh();
    let said = program(nginx.port, "strict.example", "opened", "audit");
    assert_eq!(number(&said, "shells"), all, "{said}");
    let seen = events.fresh();
    assert!(seen.iter().all(|event| event.text("event.outcome") == "success"), "{seen:#?}");
    let spawned = seen.iter().filter(|event| event.text("rule.id") == "shell-spawn").count();
    assert!(spawned as u32 >= all, "{spawned} events of {all} shells");
    let said = program(nginx.port, "localhost", "opened", "enforce");
    assert_eq!((number(&said, "shells"), number(&said, "refused")), (0, all), "{said}");
    let seen = events.fresh().iter().filter(|event| event.text("event.outcome") == "failure").count();
    assert!(seen as u32 >= all, "{seen} events of {all} shells");
}

/// A path that somebody else can change is none that was judged.
#[test]
fn another_process_cannot_swap_what_was_judged() {
    enter();
    let place = Place::new();
    let paths = compile(&place, "paths", &["-static"]);
    const WAYS: [&str; 7] = ["link", "folder", "file", "interpreter", "shared", "mapped", "memory"];
    // By its name it is a shell, which is refused where it is seen.
    let another = place.join("dash");
    std::fs::copy(&paths, &another).expect("a copy");
    let another = another.to_str().expect("a path");
    let ask = |port, host: &str, way: &str, when: &str| {
        run(port, host, &[&paths, way, &folder(&place, &format!("{when}-{way}")), another])
    };
    let servers = bare(&place);
    for way in WAYS {
        // The memory is seldom changed in time, but where the supervisor makes that time longer, as in audit below.
        let hits = || number(&ask(servers.1.port, "localhost", way, "bare"), "shells") > 0;
        assert!(way == "memory" || (0..20).any(|_| hits()), "{way}");
    }
    drop(servers);
    let (guard, _fpm, nginx) = servers_with(&place, &audited(&place));
    let mut events = guard.events();
    for way in WAYS {
        events.fresh();
        // A race is met by chance, on a busy machine seldom.
        let is_seen = (0..20).any(|_| {
            let said = ask(nginx.port, "localhost", way, "enforce");
            assert_eq!(number(&said, "shells"), 0, "{way}: {said}");
            events.fresh().iter().any(|event| event.text("portcullis.unknown") == "replaced")
        });
        assert!(is_seen, "{way}: no event");
    }
    // In audit the event of what could not be judged goes ahead, as that of the shell.
    for way in WAYS {
        events.fresh();
        let said = ask(nginx.port, "strict.example", way, "audit");
        assert!(number(&said, "shells") > 0, "{way}: {said}");
        let seen = events.fresh();
        assert!(seen.iter().all(|event| event.text("event.outcome") == "success"), "{way}: {seen:#?}");
    }
}
