//! A process that knows of a policy and cannot use it: the built-in lists hold, as strictly as the policy was anywhere, or as can be.

use super::{compile, run, run_page};
use crate::harness::{Fpm, Guard, Listeners, Nginx, OUTSIDE4, Place, Pool, enter, http, wait_until};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

const REFUSED: u16 = 4444;

/// What a process that is told that it serves, as `user`, makes of a policy at `policy`.
fn connects(guard: &Guard, policy: &Path, user: u32) -> bool {
    let perl =
        format!("use IO::Socket::INET; exit !IO::Socket::INET->new(PeerAddr => '{OUTSIDE4}:{REFUSED}', Timeout => 5)");
    let context = format!("PORTCULLIS_CONTEXT=1;s;0;0;0;0:0;{};", policy.display());
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).args(["--clear-groups", "env", &context]);
    command.arg(format!("LD_PRELOAD={}", guard.library.display())).args(["perl", "-e", &perl]);
    let done = command.env_remove("LD_PRELOAD").output().expect("setpriv");
    assert!(matches!(done.status.code(), Some(0 | 1)), "{done:?}");
    done.status.success()
}

/// The policy says audit. What is left of it says nothing.
#[test]
fn what_serves_takes_the_strictest() {
    enter();
    let _listeners = Listeners::on(&[REFUSED]);
    let place = Place::new();
    let guard = place.guard("mode = \"audit\"");
    let done = place.portcullis().arg("compile").arg("--config").arg(&guard.config).output().expect("portcullis");
    assert!(done.status.success(), "{done:?}");
    let policy = guard.policy();
    let good = std::fs::read(&policy).expect("the policy");
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let lay = |bytes: &[u8], mode: u32, owner: u32| {
        let _ = std::fs::remove_file(&policy);
        std::fs::write(&policy, bytes).expect("a file");
        std::fs::set_permissions(&policy, PermissionsExt::from_mode(mode)).expect("permissions");
        chown(&policy, Some(owner), None).expect("chown");
    };
    for user in [0, 33] {
        lay(&good, 0o644, 0);
        assert!(connects(&guard, &policy, user), "what is allowed");
        // The version stands behind the magic.
        let damaged = [
            ("a bit", changed(good.len() / 2)),
            ("the last bit", changed(good.len() - 1)),
            ("cut", good[..good.len() - 1].to_vec()),
            ("empty", Vec::new()),
            ("version", changed(8)),
            ("text", vec![b'x'; good.len()]),
        ];
        for (what, bytes) in damaged {
            lay(&bytes, 0o644, 0);
            assert!(!connects(&guard, &policy, user), "{user}: {what}");
        }
        lay(&good, 0o666, 0);
        assert!(!connects(&guard, &policy, user), "{user}: others may write to it");
        lay(&good, 0o644, 65534);
        assert!(!connects(&guard, &policy, user), "{user}: another user's");
        let other = policy.with_extension("other");
        lay(&good, 0o644, 0);
        std::fs::rename(&policy, &other).expect("renamed");
        symlink(&other, &policy).expect("a link");
        assert!(!connects(&guard, &policy, user), "{user}: a link");
        std::fs::remove_file(&policy).expect("removed");
        assert!(!connects(&guard, &policy, user), "{user}: gone, from where it was said to be");
        std::fs::create_dir(&policy).expect("a folder");
        assert!(!connects(&guard, &policy, user), "{user}: a folder");
        std::fs::remove_dir(&policy).expect("removed");
        assert!(Command::new("mkfifo").arg(&policy).status().expect("mkfifo").success());
        assert!(!connects(&guard, &policy, user), "{user}: a FIFO");
        std::fs::remove_file(&policy).expect("removed");
        std::fs::remove_file(&other).expect("removed");
    }
    lay(&good, 0, 0);
    assert!(!connects(&guard, &policy, 33), "mode 0");
    std::fs::remove_file(&policy).expect("removed");
}

struct Site {
    place: Place,
    guard: Guard,
    fpm: Fpm,
    nginx: Nginx,
}

fn site(mode: &str) -> Site {
    let place = Place::new();
    let www = place.pages();
    run_page(&place);
    let guard = place.guard(&format!("mode = \"{mode}\"\n[rules.exec-place]\nmode = \"off\"\n"));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
    Site { place, guard, fpm, nginx }
}

/// PHP-FPM executes itself anew on a reload. Neither the compiled policy nor its sources can be used by then.
#[test]
fn the_next_master_takes_that_of_its_tree() {
    enter();
    for (mode, damage, config) in [
        ("enforce", "a bit", "broken"),
        ("enforce", "a bit", "gone"),
        ("enforce", "cut", "broken"),
        ("enforce", "fifo", "broken"),
        ("audit", "a bit", "broken"),
    ] {
        let case = format!("{mode}, {damage}, {config}");
        let site = site(mode);
        let refuses = || !http::get(site.nginx.port, "/way.php?way=system").body.contains("[\"33\",0]");
        assert_eq!(refuses(), mode == "enforce", "{case}");
        let policy = site.guard.policy();
        let mut bytes = std::fs::read(&policy).expect("the policy");
        match damage {
            "a bit" => bytes.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1),
            _ => bytes.truncate(bytes.len() / 2),
        }
        // Another file: the one that is mapped stays as it is.
        std::fs::remove_file(&policy).expect("removed");
        match damage {
            "fifo" => assert!(Command::new("mkfifo").arg(&policy).status().expect("mkfifo").success()),
            _ => std::fs::write(&policy, &bytes).expect("written"),
        }
        match config {
            "gone" => std::fs::remove_file(&site.guard.config).expect("removed"),
            _ => std::fs::write(&site.guard.config, "mode = \"of\"").expect("written"),
        }
        let ready = || {
            let log = std::fs::read_to_string(site.place.join("fpm.log")).unwrap_or_default();
            log.matches("ready to handle").count()
        };
        let before = ready();
        site.fpm.process.signal(libc::SIGUSR2);
        wait_until("the reload", || ready() > before);
        assert_eq!(refuses(), mode == "enforce", "{case}: after a reload");
        // What is mended and applied counts at the next one.
        if config == "broken" {
            let mended = format!("mode = \"{}\"", if mode == "audit" { "enforce" } else { "audit" });
            std::fs::write(&site.guard.config, mended).expect("written");
            let _ = std::fs::remove_file(&policy);
            assert!(site.guard.apply().status.success(), "{case}");
            let before = ready();
            site.fpm.process.signal(libc::SIGUSR2);
            wait_until("the reload", || ready() > before);
            assert_eq!(refuses(), mode == "audit", "{case}: mended");
        }
    }
}

/// What is started by a process that has nothing left of its tree's policy is as strict as that: the second `env` starts what the
/// first could not.
#[test]
fn what_a_lost_process_starts_is_as_strict() {
    enter();
    let _listeners = Listeners::on(&[REFUSED]);
    let site = site("enforce");
    let helper = compile(&site.place, "hide", &["-static"]);
    let perl = format!(
        "use IO::Socket::INET; print IO::Socket::INET->new(PeerAddr => '{OUTSIDE4}:{REFUSED}', Timeout => 5) ? 'through' : 'refused'"
    );
    for programs in [&["env"][..], &["env", "env"], &["env", "env", "env"]] {
        let hidden = [&helper, "alone", "/run/portcullis", &helper, "context", ""];
        let words = [&hidden[..], programs, &["perl", "-e", &perl]].concat();
        let answer = run(site.nginx.port, "localhost", &words);
        assert!(!answer.contains("through"), "{programs:?}: {answer}");
    }
}
