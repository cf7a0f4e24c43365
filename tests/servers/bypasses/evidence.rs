//! The log, the configuration and the folders of both: who else than root may write there, and what becomes of it.

use super::{run, run_page};
use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter, from_journal, http, journald, own_run_and_dev};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

/// Tries to take from the log what is in it, by its path and by every descriptor of the worker.
const SPOIL: &str = r#"<?php
$log = $_GET['log'];
$done = [];
$try = function ($how, $what) use (&$done) { try { if (@$what()) $done[] = $how; } catch (Throwable) {} };
$try('other user', fn() => posix_geteuid() != 33);
$try('unlink', fn() => unlink($log));
$try('rename', fn() => rename($log, "$log.old"));
$try('empty', fn() => file_put_contents($log, '') !== false);
$try('write', fn() => ($f = fopen($log, 'c')) && fwrite($f, "forged") && fflush($f));
$try('cut', fn() => ftruncate(fopen($log, 'a'), 0));
$try('read', fn() => file_get_contents($log) !== false);
$try('chmod', fn() => chmod($log, 0666));
foreach (scandir('/proc/self/fd') as $number) {
    if (@readlink("/proc/self/fd/$number") === $log) {
        $try('held, cut', fn() => ftruncate(fopen("/proc/self/fd/$number", 'a'), 0));
        $try('held, opened', fn() => file_put_contents("/proc/self/fd/$number", '') !== false);
    }
}
echo json_encode($done);
"#;

fn permissions(path: &Path) -> (u32, u32, u32) {
    let meta = std::fs::symlink_metadata(path).expect("a file");
    (meta.uid(), meta.gid(), meta.mode() & 0o7777)
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

/// A server that begins with this umask.
fn start(place: &Place, guard: &Guard, umask: u32) -> (Fpm, Nginx) {
    let www = place.pages();
    run_page(place);
    place.write("www/spoil.php", SPOIL);
    // SAFETY: takes no pointer; each test is a process of its own.
    let before = unsafe { libc::umask(umask) };
    let fpm = Fpm::start(place, Some(guard), &Pool::default());
    // SAFETY: likewise.
    unsafe { libc::umask(before) };
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&www));
    (fpm, nginx)
}

/// Whatever the umask with which the server begins, its descendants have its policy and append to its log, which is open to
/// nobody else; what an earlier version left open is closed.
#[test]
fn a_server_with_a_narrow_umask() {
    enter();
    let own = Path::new("/run/portcullis");
    assert!(Command::new("umount").arg(own).status().expect("umount").success());
    for before in ["nothing", "folders of an earlier version"] {
        std::fs::remove_dir_all(own).expect("removed");
        let place = Place::new();
        let guard = place.guard("mode = \"enforce\"\n[exec]\nallow = [\"/usr/bin/id -un\"]");
        if before != "nothing" {
            std::fs::create_dir(own).expect("a folder");
            permit(own, 0o700);
            std::fs::create_dir(place.join("log")).expect("a folder");
            std::fs::write(&guard.log, "").expect("a file");
            permit(&guard.log, 0o622);
        }
        let (_fpm, nginx) = start(&place, &guard, 0o077);
        assert_eq!(permissions(own), (0, 0, 0o755), "{before}");
        let log = permissions(&guard.log);
        assert_eq!((log.0, log.1, log.2), (0, 33, 0o620), "{before}");
        // The inner shell is a descendant's: with another policy than this one it would be refused, or be allowed.
        let said = run(nginx.port, "localhost", &["/usr/bin/env", "sh", "-c", "/usr/bin/id -un"]);
        assert_eq!(said.trim(), "www-data\n 0", "{before}");
        let said = run(nginx.port, "localhost", &["/usr/bin/env", "sh", "-c", "id; id"]);
        assert!(said.contains("Permission denied"), "{before}: {said}");
        let events = guard.events().all();
        assert_eq!(events.len(), 1, "{before}: {events:#?}");
        let role = events[0].text("portcullis.role");
        assert_eq!((events[0].text("rule.id"), role), ("shell-spawn", "descendant"), "{before}: {events:#?}");
    }
}

/// What `install` makes append-only, no script of the server can empty, cut, overwrite, read or replace; it is rotated all the same.
#[test]
fn an_append_only_log() {
    enter();
    let place = Place::new();
    let guard = place.guard_of_every_event("mode = \"audit\"");
    let (_fpm, nginx) = start(&place, &guard, 0o022);
    run(nginx.port, "localhost", &["/bin/sh", "-c", "id; id"]);
    let before = std::fs::read_to_string(&guard.log).expect("a log");
    assert_eq!(before.lines().count(), 1);
    let chattr = |how: &str, path: &Path| {
        assert!(Command::new("chattr").arg(how).arg(path).status().expect("chattr").success(), "{how}");
    };
    chattr("+a", &guard.log);
    let spoil = || http::get(nginx.port, &format!("/spoil.php?log={}", guard.log.display())).body;
    assert_eq!(spoil(), "[]");
    let rotated = guard.log.with_extension("jsonl.1");
    let rule = |script: &str| rotation(&guard.log, script);
    // What a script has open stays open.
    let held = std::fs::OpenOptions::new().append(true).open(&guard.log).expect("a log");
    rule("firstaction");
    rule("prerotate");
    std::fs::rename(&guard.log, &rotated).expect("rotated");
    let (owner, group, mode) = permissions(&rotated);
    std::fs::write(&guard.log, "").expect("a file");
    chown(&guard.log, Some(owner), Some(group)).expect("owner");
    permit(&guard.log, mode);
    rule("postrotate");
    run(nginx.port, "localhost", &["/usr/bin/env", "sh", "-c", "id; id"]);
    assert_eq!(spoil(), "[]");
    assert!(held.set_len(0).is_err(), "the rotated one is append-only too");
    assert_eq!(permissions(&rotated).2 & 0o777, 0o640);
    assert_eq!(std::fs::read_to_string(&rotated).expect("a log"), before);
    assert_eq!(guard.events().all().len(), 1, "the new file, by a descendant");
    // The next time, what is compressed and removed is nobody's any more.
    rule("firstaction");
    held.set_len(0).expect("a file that has no name");
    assert_eq!(std::fs::read_to_string(&rotated).expect("a log"), before);
    std::fs::remove_file(&rotated).expect("compressed");
    rule("prerotate");
}

/// Runs a script of packaging/logrotate for a log.
fn rotation(log: &Path, script: &str) {
    let text = include_str!("../../../packaging/logrotate");
    let (_, text) = text.split_once(&format!("\t{script}\n")).expect("the script");
    let (text, _) = text.split_once("\tendscript").expect("its end");
    let folder = log.parent().expect("a folder").display().to_string();
    let done = Command::new("sh").args(["-ec", &text.replace("/var/log/portcullis", &folder)]).status();
    assert!(done.expect("sh").success(), "{script}");
}

/// A log folder of the web user's, with a link at the log's place: root appends to nothing else, and the events are in the
/// journal.
#[test]
fn a_log_folder_of_another_user() {
    enter();
    own_run_and_dev();
    let _journald = journald();
    let place = Place::new();
    let (victim, folder) = (place.write("victim", "root's\n"), place.join("log"));
    let guard = place.guard("mode = \"audit\"");
    std::fs::create_dir(&folder).expect("a folder");
    let done = place.portcullis().arg("compile").arg("--config").arg(&guard.config).output().expect("compile");
    assert!(done.status.success(), "{done:?}");
    // Since then, somebody has got hold of the folder.
    let _ = std::fs::remove_file(&guard.log);
    symlink(&victim, &guard.log).expect("a link");
    chown(&folder, Some(33), Some(33)).expect("owner");
    let (_fpm, nginx) = start(&place, &guard, 0o022);
    run(nginx.port, "localhost", &["/usr/bin/env", "sh", "-c", "id; id"]);
    let events = from_journal(&place, 1);
    assert!(events.iter().any(|event| event.text("rule.id") == "shell-spawn"), "{events:#?}");
    assert_eq!(std::fs::read_to_string(&victim).expect("a file"), "root's\n");
    // A name of another file of root's, where all may write.
    std::fs::remove_file(&guard.log).expect("removed");
    std::fs::hard_link(&victim, &guard.log).expect("a link");
    chown(&folder, Some(0), Some(0)).expect("owner");
    for mode in [0o777, 0o1777] {
        // `run` refuses such a folder: it becomes one while the program runs.
        permit(&folder, 0o755);
        let command = format!("chmod {mode:o} {}; /bin/sh -c 'id; id' # {mode}", folder.display());
        let mut done = place.portcullis();
        done.args(["run", "--config"]).arg(&guard.config).args(["--", "sh", "-c", &command]);
        assert!(done.stdout(std::process::Stdio::null()).status().expect("run").success());
        assert_eq!(std::fs::read_to_string(&victim).expect("a file"), "root's\n", "{mode:o}");
    }
}

/// What another user could change is no configuration, and no log.
#[test]
fn places_that_others_may_write_to_are_refused() {
    enter();
    let place = Place::new();
    let guard = place.guard("mode = \"enforce\"");
    let vhost = place.write("etc/vhosts.d/shop.toml", "[[vhost]]\nname = \"shop\"\nmatch = { pool = \"shop\" }\n");
    std::fs::create_dir(place.join("log")).expect("a folder");
    let tried = |verb: &str| {
        let done = place.portcullis().arg(verb).arg("--config").arg(&guard.config).output().expect("portcullis");
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    assert_eq!((tried("check").0, tried("compile").0), (Some(0), Some(0)), "{}", tried("check").1);
    let (etc, folder, log) = (place.join("etc"), place.join("etc/vhosts.d"), place.join("log"));
    for path in [&guard.config, &vhost, &folder, &etc, &log, &place.path().to_owned()] {
        let before = permissions(path);
        let refused = |how: &str, word: &str| {
            for verb in ["check", "compile"] {
                let (code, said) = tried(verb);
                assert_eq!(code, Some(1), "{verb} {} {how}: {said}", path.display());
                assert!(said.contains(word) && said.contains(&path.display().to_string()), "{verb} {how}: {said}");
            }
        };
        permit(path, 0o666 | before.2);
        refused("writable", "others may write");
        permit(path, before.2);
        chown(path, Some(33), None).expect("owner");
        refused("another's", "belongs to user 33");
        chown(path, Some(0), None).expect("owner");
    }
    assert_eq!((tried("check").0, tried("compile").0), (Some(0), Some(0)));
}
