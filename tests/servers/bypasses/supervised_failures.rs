//! Calls of programs without hooks that the kernel refuses anyway: it says why, and where the supervisor has to, it says the same. It
//! looks as root, and what it finds is for nobody else to know.

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Listeners, Place, enter};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const ENFORCED: &str = "localhost";
const AUDITED: &str = "strict.example";

/// One virtual host is in audit.
fn audited(place: &Place) -> String {
    let root = place.join("www/strict");
    format!("[[vhost]]\nname = \"audited\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n", root.display())
}

/// What a program says without the guard, as the workers' user.
fn bare(words: &[&str]) -> String {
    let said = Command::new(words[0]).args(&words[1..]).uid(33).gid(33).current_dir("/").output().expect("the program");
    String::from_utf8(said.stdout).expect("text")
}

fn put(path: &Path, text: Option<&str>, mode: u32) {
    match text {
        Some(text) => std::fs::write(path, text).expect("a file"),
        None => std::fs::create_dir(path).expect("a folder"),
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

/// Nobody learns from the supervisor what is in a folder that he may not look into, and audit changes no errno.
#[test]
fn what_cannot_be_executed_is_the_kernel_s_affair() {
    enter();
    let place = Place::new();
    let (private, public) = (place.join("private"), place.join("public"));
    for folder in [&private, &public] {
        put(folder, None, 0o755);
        put(&folder.join("folder"), None, 0o755);
        std::fs::copy("/bin/true", folder.join("there")).expect("a copy");
        for interpreter in ["there", "missing", "folder"] {
            let line = format!("#!{}/{interpreter}\n", private.display());
            put(&folder.join(format!("script-{interpreter}")), Some(&line), 0o755);
        }
        put(&folder.join("plain"), Some("#!/bin/true\n"), 0o644);
        symlink("self", folder.join("self")).expect("a link");
        symlink("there", folder.join("link")).expect("a link");
    }
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o700)).expect("permissions");
    let hooked = compile(&place, "failing", &[]).replace("failing", "hooked");
    std::fs::rename(place.join("failing"), &hooked).expect("a program");
    let program = compile(&place, "failing", &["-static"]);
    let (guard, _fpm, nginx) = servers_with(&place, &audited(&place));
    let mut events = guard.events();
    let of = |program: &str| {
        [program, private.to_str().expect("a path"), public.to_str().expect("a path")].map(str::to_owned)
    };
    for (program, hosts) in [(&program, &[AUDITED, ENFORCED][..]), (&hooked, &[AUDITED])] {
        let words = of(program);
        let words = words.each_ref().map(String::as_str);
        let bare = bare(&words);
        assert!(bare.starts_with("there:13 there:13 there:13 ") && bare.contains("missing:13 missing:13 "), "{bare}");
        assert!(bare.contains("missing:2 "), "{bare}");
        for host in hosts {
            assert_eq!(run(nginx.port, host, &words), format!("{bare} 0"), "{host} {program}");
        }
        if *program != hooked {
            assert_eq!(events.fresh().len(), 0);
        }
    }
}

/// What nobody means to send has the kernel's result, whoever makes the call: audited and enforced, with the hooks and without.
#[test]
fn odd_sends_have_the_kernel_s_result() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let hooked = compile(&place, "odd_sends", &[]).replace("odd_sends", "hooked");
    std::fs::rename(place.join("odd_sends"), &hooked).expect("a program");
    let program = compile(&place, "odd_sends", &["-static"]);
    let (_guard, _fpm, nginx) = servers_with(&place, &audited(&place));
    for program in [&program, &hooked] {
        let bare = bare(&[program]);
        assert!(bare.lines().count() > 50, "{bare}");
        // Both may go to that port: the one because it is in audit.
        for host in [AUDITED, "other1.example"] {
            let said = run(nginx.port, host, &[program]);
            let differing: Vec<_> = bare.lines().zip(said.lines()).filter(|(bare, said)| bare != said).collect();
            assert!(differing.is_empty() && said.ends_with(" 0"), "{host} {program}: {differing:#?}\n{said}");
        }
    }
}

/// Until the supervisor has received a call, a signal interrupts it: of an announcement nothing is lost by that.
#[test]
fn a_signal_loses_no_announcement() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let hooked = compile(&place, "interrupted", &[]).replace("interrupted", "hooked");
    std::fs::rename(place.join("interrupted"), &hooked).expect("a program");
    let program = compile(&place, "interrupted", &["-static"]);
    let (guard, _fpm, nginx) = servers_with(&place, "");
    assert_eq!(run(nginx.port, "other1.example", &[&hooked, "60", &program]), "failed 0 0");
    assert_eq!(guard.events().all().len(), 0);
}
