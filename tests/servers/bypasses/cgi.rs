//! A CGI program that is no shell and starts one in a way that hid it from Portcullis, in mod_cgi and mod_cgid.

use super::compile;
use crate::harness::{Apache, Guard, Kind, Parts, Place, enter, every_rule, http};
use std::os::unix::fs::{PermissionsExt, symlink};

const WAYS: [&str; 8] =
    ["long-path", "eacces", "bash-env", "ps4", "no-descriptor", "own-symlink", "own-copy", "own-link"];

fn start(place: &Place, guard: Option<&Guard>, kind: Kind) -> Apache {
    let www = place.join("www");
    std::fs::create_dir_all(&www).expect("a folder");
    let program = compile(place, "started", &[]);
    std::fs::rename(program, www.join("started.cgi")).expect("a rename");
    // The kernel says EACCES of a script whose interpreter may not be executed.
    let none = place.write("one/none", "no program");
    let first = place.write("one/symlink", &format!("#!{}\n", none.display()));
    for (path, mode) in [(none, 0o644), (first, 0o755)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("permissions");
    }
    place.write("start", "echo shell-$((40+2))\n");
    symlink("/bin/sh", www.join("symlink")).expect("a link");
    std::fs::copy("/bin/dash", www.join("copy")).expect("a copy");
    std::fs::hard_link(www.join("copy"), www.join("link")).expect("a link");
    Apache::start(place, guard, kind, None, "")
}

fn held(kind: Kind) {
    enter();
    let bare = Place::new();
    let apache = start(&bare, None, kind);
    let ask = |way: &str| http::get(apache.port, &format!("/started.cgi?{way}")).body;
    for way in WAYS {
        assert!(ask(way).contains("shell-42"), "{way}, without Portcullis: {}", ask(way));
    }
    let unguarded: Vec<String> = WAYS.map(ask).into();
    drop(apache);
    let mut wrong = Vec::new();
    for (mode, layer) in [("audit", "off"), ("audit", "supervise"), ("enforce", "off"), ("enforce", "supervise")] {
        let place = Place::new();
        let guard = place.guard_of_every_event(&format!("{}[backstop]\nseccomp = \"{layer}\"\n", every_rule(mode)));
        let apache = start(&place, Some(&guard), kind);
        let mut events = guard.events();
        events.fresh();
        for (way, bare) in WAYS.iter().zip(&unguarded) {
            let said = http::get(apache.port, &format!("/started.cgi?{way}")).body;
            let (wanted, outcome) =
                if mode == "enforce" { ("refused 13", "failure") } else { (bare.as_str(), "success") };
            let fresh = events.fresh();
            let shells: Vec<_> = fresh.iter().filter(|event| event.text("rule.id") == "shell-spawn").collect();
            let is_fine = |script: &str, how: &str| script.ends_with("/www/started.cgi") && how == outcome;
            let fine = shells
                .iter()
                .all(|event| is_fine(event.text("portcullis.request.script"), event.text("event.outcome")));
            if said != wanted || shells.len() != 1 || !fine {
                wrong.push(format!("{mode}, seccomp {layer}: {way}: {said:?}, {fresh:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn programs_of_mod_cgi() {
    held(Kind::Cgi);
}

#[test]
fn programs_of_mod_cgid() {
    held(Kind::Cgid);
}
