//! Whatever is wrong with the configuration or the compiled policy: the server starts and serves, the applied policy
//! or the built-in audit default holds, and one event at severity high says why.

use crate::harness::{
    Apache, Fpm, Guard, Kind, Nginx, Parts, Place, Pool, children, enter, from_journal, http, journald,
    own_run_and_dev, wait_until,
};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const SHELL: &str = "/way.php?way=system";

struct Php {
    fpm: Fpm,
    nginx: Nginx,
}

fn php(place: &Place, guard: &Guard) -> Php {
    let fpm = Fpm::start(place, Some(guard), &Pool::default());
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&place.pages()));
    Php { fpm, nginx }
}

/// Asks for a shell with `guard` in FPM; what is in the journal then must be one word of the guard on itself, with
/// `reason` in it, and the shell in audit.
fn expect_default(place: &Place, guard: &Guard, reason: &str) {
    let php = php(place, guard);
    for _ in 0..2 {
        assert!(http::get(php.nginx.port, SHELL).body.contains("[\"33\",0]"));
    }
    expect_word(&from_journal(place, 3), reason, "audit");
}

fn expect_word(events: &[Value], reason: &str, mode: &str) {
    let (own, others): (Vec<&Value>, Vec<&Value>) =
        events.iter().partition(|event| event.text("rule.id") == "guard-policy");
    assert_eq!(own.len(), 1, "{events:#?}");
    assert_eq!(own[0]["event"]["severity"], 73);
    assert!(own[0].text("message").contains(reason), "{}", own[0]);
    assert_eq!(others.len(), 2, "{events:#?}");
    for event in others {
        assert_eq!((event.text("rule.id"), event.text("portcullis.mode")), ("shell-spawn", mode), "{event}");
    }
}

fn in_own_world() -> Place {
    enter();
    own_run_and_dev();
    Place::new()
}

#[test]
fn no_configuration() {
    let place = in_own_world();
    let _journald = journald();
    let guard = Guard::new(&place, place.join("etc/portcullis.toml"), place.join("nowhere"));
    expect_default(&place, &guard, "there is no configuration file");
}

#[test]
fn a_broken_configuration() {
    let place = in_own_world();
    let _journald = journald();
    let guard = place.guard("mode = \"enforce\"\n[egress]\ncomon_ports = [1]");
    expect_default(&place, &guard, "could not be compiled");
    let check = place.portcullis().arg("check").arg("--config").arg(&guard.config).output().expect("portcullis");
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&check.stderr).contains("comon_ports"));
}

#[test]
fn no_command() {
    let place = in_own_world();
    let _journald = journald();
    let guard = place.guard("mode = \"enforce\"");
    std::fs::remove_file(place.join("bin/portcullis")).expect("removed");
    let php = php(&place, &guard);
    for _ in 0..2 {
        assert!(http::get(php.nginx.port, SHELL).body.contains("[\"33\",0]"));
    }
    let mut events: Vec<Value> = Vec::new();
    wait_until("the journal", || {
        let journal = Command::new("journalctl").args(["-o", "cat", "-t", "portcullis", "-n", "10"]).output();
        let text = String::from_utf8(journal.expect("journalctl").stdout).expect("text");
        events = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        events.len() >= 3
    });
    expect_word(&events, "the portcullis command was not found", "audit");
}

#[test]
fn no_run() {
    enter();
    // Nothing can be written there.
    let done = Command::new("mount").args(["-t", "tmpfs", "-o", "ro", "none", "/run"]).status().expect("mount");
    assert!(done.success());
    let place = Place::new();
    let guard = place.guard("mode = \"enforce\"");
    let php = php(&place, &guard);
    assert!(!http::get(php.nginx.port, SHELL).body.contains("[\"33\",0]"), "the policy is in memory");
    assert!(php.fpm.process.pid() > 0);
}

#[test]
fn a_compiled_policy_that_is_damaged_or_not_to_be_trusted() {
    let place = in_own_world();
    let _journald = journald();
    let guard = place.guard("mode = \"enforce\"");
    let compile = || {
        let done = place.portcullis().arg("compile").arg("--config").arg(&guard.config).output().expect("portcullis");
        assert!(done.status.success());
    };
    compile();
    let good = std::fs::read(guard.policy()).expect("a policy");
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let mut newer = good.clone();
    newer[8] = 99;
    // Without the configuration it cannot be compiled anew.
    let config = std::fs::read(&guard.config).expect("the configuration");
    std::fs::remove_file(&guard.config).expect("removed");
    let mut count = 0;
    let mut refused = |what: &str, reason: &str| {
        // A master sums its policy before it forks.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "(:); :"]);
        guard.load(&mut command);
        assert!(command.status().expect("sh").success(), "{what}");
        count += 1;
        let events = from_journal(&place, count);
        assert_eq!(events.len(), count, "{what}");
        let last = events.last().expect("an event");
        assert_eq!(last.text("rule.id"), "guard-policy", "{what}");
        assert!(last.text("message").contains(reason), "{what}: {last}");
    };
    std::fs::write(guard.policy(), &damaged).expect("written");
    refused("one bit", "damaged");
    std::fs::write(guard.policy(), &good[..good.len() - 1]).expect("written");
    refused("truncated", "damaged");
    std::fs::write(guard.policy(), b"").expect("written");
    refused("empty", "damaged");
    std::fs::write(guard.policy(), &newer).expect("written");
    refused("newer", "damaged");
    std::fs::write(guard.policy(), &good).expect("written");
    std::os::unix::fs::chown(guard.policy(), Some(33), None).expect("chown");
    refused("of another user", "belongs to another user");
    std::os::unix::fs::chown(guard.policy(), Some(0), None).expect("chown");
    std::fs::set_permissions(guard.policy(), PermissionsExt::from_mode(0o666)).expect("chmod");
    refused("writable by others", "others may write");
    std::fs::remove_file(guard.policy()).expect("removed");
    std::os::unix::fs::symlink("/etc/passwd", guard.policy()).expect("a link");
    refused("a link", "cannot be read");
    // With the configuration it is.
    std::fs::write(&guard.config, config).expect("written");
    std::fs::remove_file(guard.policy()).expect("removed");
    std::fs::write(guard.policy(), &damaged).expect("written");
    let php = php(&place, &guard);
    assert!(http::get(php.nginx.port, SHELL).body.contains("Unable to fork"));
    let events = guard.events().all();
    assert_eq!(events[0].text("rule.id"), "guard-policy");
    assert!(events[0].text("message").contains("compiled anew"), "{}", events[0]);
}

/// No content has changed, so that its times are what they were: another user has become its owner, or may write.
#[test]
fn a_configuration_that_another_user_comes_to_own_is_not_applied() {
    use std::os::unix::fs::chown;
    let place = in_own_world();
    let guard = place.guard("mode = \"enforce\"");
    let (folder, file) = (place.join("etc/vhosts.d"), place.join("etc/vhosts.d/shop.toml"));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(&file, "name = \"shop\"\nmatch = { pool = \"shop\" }\n").expect("a file");
    assert!(guard.apply().status.success());
    let good = std::fs::read(guard.policy()).expect("a policy");
    let permit = |path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
    for (at, (spoil, mend)) in [
        (
            &(|| chown(&folder, Some(33), None).expect("chown")) as &dyn Fn(),
            &(|| chown(&folder, Some(0), None).expect("chown")) as &dyn Fn(),
        ),
        (&|| chown(&file, Some(33), None).expect("chown"), &|| chown(&file, Some(0), None).expect("chown")),
        (&|| permit(&folder, 0o777), &|| permit(&folder, 0o755)),
        (&|| permit(&guard.config, 0o666), &|| permit(&guard.config, 0o644)),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(guard.apply().status.success(), "{at}");
        spoil();
        // As a reload of the unit applies it, too.
        for only_if in [&[][..], &["--only-if", "changed"]] {
            let mut command = place.portcullis();
            let done = command.args(["apply", "--no-reload", "--config"]).arg(&guard.config).args(only_if).output();
            let done = done.expect("portcullis");
            let said = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(1), "{at}, {only_if:?}: {said}");
            assert!(said.contains("nothing was applied"), "{at}, {only_if:?}: {said}");
        }
        assert!(std::fs::read(guard.policy()).expect("a policy") == good, "{at}: the policy is another");
        mend();
    }
}

/// What each start of a unit runs says that a file has changed only if it says something else now.
#[test]
fn a_touched_file_has_not_changed() {
    let place = in_own_world();
    let guard = place.guard("mode = \"audit\"");
    assert!(guard.apply().status.success());
    let started = || {
        let mut command = place.portcullis();
        let done =
            command.args(["apply", "--no-reload", "--only-if", "missing", "--config"]).arg(&guard.config).output();
        let done = done.expect("portcullis");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    assert_eq!(started(), "");
    let text = std::fs::read_to_string(&guard.config).expect("a file");
    // Another time, and the same text.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    std::fs::File::options().write(true).open(&guard.config).and_then(|file| file.set_modified(old)).expect("a time");
    assert_eq!(started(), "");
    for text in [text.replace("\"audit\"", "\"enforce\""), text.replace("\"audit\"", "\"enf\"")] {
        place.write("etc/portcullis.toml", &text);
        assert!(started().contains("has changed since it was applied"), "{text}");
    }
}

/// Replaces the configuration; its modification time moves on by more than the file system's grain.
fn rewrite(place: &Place, guard: &Guard, rest: &str) {
    let text = format!("{rest}\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n", guard.log.display());
    place.write("etc/portcullis.toml", &text);
}

fn refuses(port: u16) -> bool {
    http::get(port, SHELL).body.contains("Unable to fork")
}

/// A policy that was applied holds over every restart, reload and fork, whatever has become of the configuration, until another one is
/// applied.
#[test]
fn the_applied_policy_holds_over_reloads_of_fpm() {
    enter();
    let place = Place::new();
    let guard = place.guard("mode = \"enforce\"");
    let mut php = php(&place, &guard);
    let ready =
        || std::fs::read_to_string(place.join("fpm.log")).unwrap_or_default().matches("ready to handle").count();
    let reload = |php: &Php| {
        let before = ready();
        php.fpm.process.signal(libc::SIGUSR2);
        wait_until("the reload", || ready() > before);
    };
    assert!(refuses(php.nginx.port));
    for written in ["mode = \"of\"", "mode = \"audit\""] {
        rewrite(&place, &guard, written);
        reload(&php);
        assert!(refuses(php.nginx.port), "{written}");
        // A worker takes the place of another.
        let before = children(php.fpm.process.pid());
        let killed = Command::new("kill").arg("-KILL").args(before.iter().map(i32::to_string)).status();
        assert!(killed.expect("kill").success());
        wait_until("other workers", || {
            let now = children(php.fpm.process.pid());
            !now.is_empty() && now.iter().all(|worker| !before.contains(worker))
        });
        assert!(refuses(php.nginx.port), "{written}, after the death of the workers");
        drop(php);
        php = self::php(&place, &guard);
        assert!(refuses(php.nginx.port), "{written}, after a restart");
    }
    let own = |event: &Value| event.text("rule.id") == "guard-policy";
    assert!(!guard.events().all().iter().any(own));
    assert!(guard.apply().status.success());
    reload(&php);
    assert!(!refuses(php.nginx.port));
}

/// A master that forks new workers on a reload takes what was applied before, at once.
#[test]
fn a_reload_of_apache_takes_the_applied_policy() {
    enter();
    let place = Place::new();
    place.pages();
    let guard = place.guard("mode = \"enforce\"");
    let apache = Apache::start(&place, Some(&guard), Kind::ModPhp, None, "");
    assert!(refuses(apache.port));
    let reload = || {
        let before = children(apache.process.pid());
        apache.process.signal(libc::SIGHUP);
        wait_until("the restart", || {
            let now = children(apache.process.pid());
            !now.is_empty() && now.iter().all(|child| !before.contains(child))
        });
    };
    for (written, refused) in [("mode = \"of\"", true), ("mode = \"audit\"", false), ("mode = \"enforce\"", true)] {
        let before = refuses(apache.port);
        rewrite(&place, &guard, written);
        reload();
        assert_eq!(refuses(apache.port), before, "{written}, not applied");
        guard.apply();
        reload();
        assert_eq!(refuses(apache.port), refused, "{written}");
    }
}
