//! What a process could have put somewhere: `exec-place` goes by who owns a program and the folders on its path, and by what
//! the kernel lets the process do there, not by what the mode of the file says just now.

use super::{compile, run, run_page};
use crate::harness::{Events, Fpm, Nginx, Parts, Place, Pool, enter};
use serde_json::Value;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user who starts the programs, its group, and another group of its.
const USER: u32 = 33;
const MORE: u32 = 4242;
/// Somebody else.
const OTHER: u32 = 34;

/// An entry of an access control list: its tag, its permissions, whom it names.
type Entry = (u16, u16, u32);

/// A file or folder on the way to a program.
#[derive(Clone, Debug)]
struct Level {
    owner: u32,
    group: u32,
    mode: u32,
    list: Vec<Entry>,
}

const SYSTEM: Level = Level { owner: 0, group: 0, mode: 0o755, list: Vec::new() };

/// A folder, a folder in it, and the program in that, each of which may be another's.
fn cases() -> Vec<[Level; 3]> {
    let mut all = vec![[SYSTEM; 3]];
    for at in 0..3 {
        let mut with = |level: Level| {
            let mut levels = [SYSTEM; 3];
            levels[at] = level;
            all.push(levels);
        };
        for owner in [0, USER, OTHER] {
            for group in [0, USER, MORE, OTHER] {
                for mode in [0o555, 0o755, 0o775, 0o757, 0o577, 0o777, 0o1775, 0o1777] {
                    with(Level { owner, group, mode, list: Vec::new() });
                }
            }
        }
        // In order: owner, users, group, groups, mask, others.
        let list = |users: &[Entry], group: u16, groups: &[Entry], mask: u16, others: u16| {
            let ends = [(0x01, 7, u32::MAX), (0x04, group, u32::MAX), (0x10, mask, u32::MAX), (0x20, others, u32::MAX)];
            [&ends[..1], users, &ends[1..2], groups, &ends[2..]].concat()
        };
        for (group, list) in [
            (0, list(&[(0x02, 7, USER)], 5, &[], 7, 5)),
            (0, list(&[(0x02, 7, USER)], 5, &[], 5, 5)),
            (0, list(&[(0x02, 7, OTHER)], 5, &[], 7, 5)),
            (0, list(&[(0x02, 5, USER)], 5, &[], 7, 7)),
            (0, list(&[], 5, &[(0x08, 7, MORE)], 7, 5)),
            (0, list(&[], 5, &[(0x08, 7, MORE)], 5, 5)),
            (0, list(&[], 5, &[(0x08, 7, OTHER)], 7, 5)),
            (0, list(&[], 5, &[(0x08, 5, MORE)], 7, 7)),
            (MORE, list(&[], 7, &[(0x08, 5, USER)], 7, 5)),
            (MORE, list(&[], 5, &[(0x08, 5, OTHER)], 7, 7)),
            (0, list(&[], 5, &[(0x08, 5, OTHER)], 7, 7)),
        ] {
            with(Level { owner: 0, group, mode: 0o755, list });
        }
    }
    // Whose a folder in a sticky one is, decides.
    let sticky = Level { mode: 0o1777, ..SYSTEM };
    for owner in [0, USER, OTHER] {
        all.push([sticky.clone(), Level { owner, ..SYSTEM }, SYSTEM]);
        all.push([sticky.clone(), Level { owner, mode: 0o555, ..SYSTEM }, Level { owner: OTHER, ..SYSTEM }]);
    }
    all
}

fn set(path: &Path, level: &Level) {
    chown(path, Some(level.owner), Some(level.group)).expect("an owner");
    std::fs::set_permissions(path, PermissionsExt::from_mode(level.mode)).expect("permissions");
    if level.list.is_empty() {
        return;
    }
    let entry = |(tag, permissions, id): &Entry| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let list = [2_u32.to_le_bytes().to_vec(), level.list.iter().flat_map(entry).collect()].concat();
    let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
    // SAFETY: the strings end in NUL; the kernel reads the list.
    let done = unsafe {
        libc::setxattr(path.as_ptr(), c"system.posix_acl_access".as_ptr(), list.as_ptr().cast(), list.len(), 0)
    };
    assert_eq!(done, 0, "a file system without access control lists");
}

/// Makes the programs.
fn programs(place: &Place, cases: &[[Level; 3]]) -> Vec<PathBuf> {
    let tree = place.join("tree");
    let _ = std::fs::remove_dir_all(&tree);
    let one = |(number, levels): (usize, &[Level; 3])| {
        let top = tree.join(number.to_string()).join("above");
        let folder = top.join("folder");
        std::fs::create_dir_all(&folder).expect("folders");
        let program = folder.join("program");
        std::fs::copy("/bin/true", &program).expect("a copy");
        for (path, level) in [&top, &folder, &program].into_iter().zip(levels).rev() {
            set(path, level);
        }
        program
    };
    cases.iter().enumerate().map(one).collect()
}

/// What the program says of each.
fn said(command: &mut Command, what: &str, programs: &[PathBuf]) -> Vec<bool> {
    let [user, group, more] = [USER, USER, MORE].map(|number| number.to_string());
    let done = command.args([&user, &group, &more, what]).args(programs).output().expect("a program");
    let text = String::from_utf8(done.stdout).expect("text");
    text.lines().map(|line| line == "1").collect()
}

#[test]
fn what_a_process_could_replace_is_what_exec_place_refuses() {
    enter();
    let place = Place::new();
    let cases = cases();
    let (dynamic, fixed) = (compile(&place, "places", &[]), compile_as(&place, "fixed", &["-static"]));
    let replaced = said(&mut Command::new(&dynamic), "try", &programs(&place, &cases));
    assert_eq!(replaced.len(), cases.len());
    for layer in ["off", "supervise"] {
        let guard = place.guard(&format!(
            "mode = \"audit\"\n[rules.exec-place]\nmode = \"enforce\"\n[backstop]\nseccomp = \"{layer}\"\n"
        ));
        let programs = programs(&place, &cases);
        // By the hooks; and by the supervisor, of a program that has none.
        let starters = if layer == "off" { vec![&dynamic] } else { vec![&dynamic, &fixed] };
        for starter in starters {
            let mut command = place.portcullis();
            command.args(["run", "--role", "serving", "--config"]).arg(&guard.config);
            let started = said(command.args(["--", "/usr/bin/env", starter]), "start", &programs);
            assert_eq!(started.len(), cases.len(), "{layer} {starter}");
            let all = cases.iter().zip(&replaced).zip(&started);
            // The supervisor cannot hold a program to what it judged, so it refuses what anybody but root could replace.
            let is_wrong = |replaced: bool, started: bool| {
                if starter == &fixed { replaced && started } else { replaced == started }
            };
            let wrong: Vec<_> = all.filter(|((_, replaced), started)| is_wrong(**replaced, **started)).collect();
            assert!(wrong.is_empty(), "{layer}, {starter} (could be replaced, was started): {wrong:#?}");
        }
    }
    assert!(replaced.iter().any(|&could| could) && !replaced.iter().all(|&could| could));
}

/// The same program under another name.
fn compile_as(place: &Place, name: &str, flags: &[&str]) -> String {
    let first = compile(place, "places", flags);
    let to = place.join(name);
    std::fs::rename(&first, &to).expect("a rename");
    compile(place, "places", &[]);
    to.to_str().expect("a path").to_owned()
}

/// Puts a page into the root that makes a program of its own, takes every permission to write away, and starts it.
const PAGE: &str = r#"<?php
mkdir('WORK/own'); copy('/usr/bin/perl', 'WORK/own/x');
chmod('WORK/own/x', 0555); chmod('WORK/own', 0555); chmod('WORK', 0555);
$p = proc_open(['WORK/own/x', '-e', 'print "ran"'], [1 => ['pipe', 'w']], $pipes);
echo is_resource($p) ? stream_get_contents($pipes[1]) . proc_close($p) : 'refused';
"#;

fn places(events: &mut Events) -> Vec<String> {
    let fresh: Vec<Value> = events.fresh();
    let of_place = fresh.iter().filter(|event| event.text("rule.id") == "exec-place");
    of_place.map(|event| event.text("portcullis.clause").to_owned()).collect()
}

#[test]
fn a_mode_that_its_owner_set_says_nothing() {
    enter();
    for (mode, layer) in [("audit", "off"), ("enforce", "off"), ("enforce", "supervise")] {
        let place = Place::new();
        let work = place.join("work");
        std::fs::create_dir(&work).expect("a folder");
        chown(&work, Some(USER), Some(USER)).expect("an owner");
        place.write("www/own.php", &PAGE.replace("WORK", work.to_str().expect("a path")));
        std::fs::create_dir_all(place.join("www")).expect("a folder");
        run_page(&place);
        let guard = place.guard_of_every_event(&format!(
            "mode = \"audit\"\n[rules.exec-place]\nmode = \"{mode}\"\n[backstop]\nseccomp = \"{layer}\"\n"
        ));
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        let mut events = guard.events();
        events.fresh();
        let said = crate::harness::http::get(nginx.port, "/own.php").body;
        assert_eq!(said.contains("ran0"), mode == "audit", "{mode}, {layer}: {said}");
        let clauses = places(&mut events);
        assert!(clauses.iter().any(|clause| clause.contains("writable")), "{mode}, {layer}: {clauses:?}");
        // In a namespace of its own, it is root, and everything that it owns is root's; or it is mounted so that nobody writes.
        let own = work.join("own/x").to_str().expect("a path").to_owned();
        let bound = format!(
            "mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec {own} -e 'print q(ran)'",
            work.display()
        );
        for words in [
            &["/usr/bin/unshare", "-U", &own, "-e", "print q(ran)"][..],
            &["/usr/bin/unshare", "-Ur", &own, "-e", "print q(ran)"],
            &["/usr/bin/unshare", "-Urm", "/bin/sh", "-c", &bound],
        ] {
            let said = run(nginx.port, "x.example", words);
            assert_eq!(said.contains("ran"), mode == "audit", "{mode}, {layer}: {words:?}: {said}");
            let clauses = places(&mut events);
            assert!(
                clauses.iter().any(|clause| clause.contains("writable")),
                "{mode}, {layer}: {words:?}: {clauses:?}"
            );
        }
        let said = run(nginx.port, "x.example", &["/usr/bin/unshare", "-U", "/usr/bin/true"]);
        assert!(said.ends_with('0') && places(&mut events).is_empty(), "{mode}, {layer}: {said}");
        let said = run(nginx.port, "x.example", &["/usr/bin/unshare", "-Ur", "/usr/bin/true"]);
        assert!(said.ends_with('0') && places(&mut events).is_empty(), "{mode}, {layer}: {said}");
    }
}
