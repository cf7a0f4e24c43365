//! What the filter and the supervisor may do: setuid helpers, servers that never were root, filters and sets of the unit.

use super::*;

/// A setuid program that says who it is, and a page that starts it.
fn helper(place: &Place) {
    let source = place
        .write("who.c", "#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf(\"%d\", geteuid()); }\n");
    let program = place.join("who");
    assert!(Command::new("cc").arg("-o").arg(&program).arg(source).status().expect("cc").success());
    std::os::unix::fs::chown(&program, Some(0), Some(0)).expect("chown");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o4755)).expect("setuid");
    let page = "<?php $p = proc_open([$_SERVER['DOCUMENT_ROOT'] . '/../who'], [1 => ['pipe', 'w']], $q); \
                echo stream_get_contents($q[1]); proc_close($p);";
    place.write("www/who.php", page);
}

/// Loaded by a worker that is still root, the filter needs no no_new_privs, and setuid programs keep what makes them so.
#[test]
fn setuid_helpers_keep_their_privileges() {
    enter();
    let place = Place::new();
    place.pages();
    helper(&place);
    let guard = place.guard(&config(&place, "audit"));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    assert_eq!(http::get(nginx.port, "/who.php").body, "0");
    for worker in children(fpm.process.pid()) {
        assert_eq!(word(worker, "status", "NoNewPrivs:").as_deref(), Some("0"));
        assert!(is_filtered(worker));
    }
}

/// A server without root: the filter needs no_new_privs, and the configuration has to say so.
#[test]
fn without_root_it_needs_no_new_privs() {
    enter();
    for (more, filtered) in [("", false), ("no_new_privs = true\n", true)] {
        let place = Place::new();
        let www = place.pages();
        helper(&place);
        let text = format!("[backstop]\nseccomp = \"supervise\"\n{more}");
        let guard = place.guard(&text);
        let compiled =
            place.portcullis().arg("compile").arg("--config").arg(&guard.config).output().expect("portcullis");
        assert!(compiled.status.success());
        let mut command = Command::new(named("/usr/bin/phpX.Y"));
        // www-data, from the start on.
        std::os::unix::process::CommandExt::uid(&mut command, 33);
        std::os::unix::process::CommandExt::gid(&mut command, 33);
        command.args(["-S", "127.0.0.1:8083", "-t"]).arg(www);
        let process = crate::harness::Process::start(command, Some(&guard));
        wait_until("php -S", || std::net::TcpStream::connect(("127.0.0.1", 8083)).is_ok());
        assert_eq!(http::get(8083, "/way.php?way=list").status, 200);
        assert_eq!(is_filtered(process.pid()), filtered, "{more}");
        // With no_new_privs, a setuid program is what started it.
        assert_eq!(http::get(8083, "/who.php").body, if filtered { "33" } else { "0" });
        let events = guard.events().all();
        let said = events.iter().filter(|event| event.text("rule.id") == "guard-policy");
        let said: Vec<&str> = said.map(|event| event.text("message")).collect();
        let off = "the backstop is off: it needs CAP_SYS_ADMIN, or no_new_privs = true in [backstop]";
        // Nothing keeps its programs from the supervisor, which has no other user.
        let on = "the backstop's supervisor has the server's own user, whose programs can end it";
        assert_eq!(said, [if filtered { on } else { off }]);
    }
}

/// Where another supervisor has a filter already, or the kernel knows no user notification, the kernel logs instead, or refuses
/// where the policy enforces anything; one event says so.
#[test]
fn without_user_notification_it_logs_or_refuses() {
    enter();
    for (outer, mode, answer, sentence) in [
        ("listener", "audit", "1 0 0", "the backstop logs only: the process has a filter with a supervisor of its own"),
        ("none", "audit", "1 0 0", "the backstop logs only: the kernel has no user notification of seccomp"),
        (
            "listener",
            "enforce",
            "-1 13 0",
            "the backstop denies what bypasses the hooks: the process has a filter with a supervisor of its own",
        ),
        (
            "none",
            "enforce",
            "-1 13 0",
            "the backstop denies what bypasses the hooks: the kernel has no user notification of seccomp",
        ),
    ] {
        let place = Place::new();
        page(&place);
        let program = compile(&place, "tests/servers/c/outer.c", "outer", &[]);
        let guard = place.guard(&format!(
            "mode = \"{mode}\"\n[backstop]\nseccomp = \"supervise\"\n[rules.exec-place]\nmode = \"off\"\n"
        ));
        let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &[&program, outer]);
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{outer}, {mode}");
        // The outer program's child is one of the master's, too.
        let is_worker = |pid: &i32| word(*pid, "status", "Name:").as_deref() == Some(named("php-fpmX.Y").as_str());
        let workers: Vec<i32> = children(fpm.process.pid()).into_iter().filter(is_worker).collect();
        assert_eq!(workers.len(), 2);
        // The second may still be about to give up root.
        wait_until("filters", || {
            workers.iter().all(|worker| word(*worker, "status", "Seccomp_filters:").as_deref() == Some("2"))
        });
        let events = guard.events().all();
        let said: Vec<&str> = events.iter().map(|event| event.text("message")).collect();
        assert_eq!(said, [sentence], "{outer}");
    }
}

/// A unit whose system call filter ends whoever calls what the backstop needs (SystemCallFilter=@system-service): the server
/// serves all the same.
#[test]
fn a_units_own_filter_is_no_danger() {
    enter();
    for (outer, filters, said, layers) in [
        (
            "kill-seccomp",
            "1",
            "the backstop is off: the unit's system call filter ends whoever calls seccomp; add seccomp and pidfd_getfd to its SystemCallFilter=",
            vec![],
        ),
        // Without descriptors of other processes it judges what it can.
        ("kill-borrow", "2", "", vec!["backstop", "backstop"]),
        // Without a cage, it judges all the same.
        (
            "kill-capset",
            "2",
            "the backstop's supervisor keeps rights that it does not need: it could not give them up",
            vec!["backstop", "backstop"],
        ),
    ] {
        let place = Place::new();
        page(&place);
        let program = compile(&place, "tests/servers/c/outer.c", "outer", &[]);
        let guard = place.guard(&config(&place, "audit"));
        let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &[&program, outer]);
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        assert_eq!(ask(nginx.port, "localhost", "sendto"), "1 0 0");
        assert_eq!(ask(nginx.port, "localhost", "execve"), "7");
        for worker in children(fpm.process.pid()) {
            // A worker that has not served may still be starting.
            wait_until(&format!("the filters of a worker with {outer}"), || {
                word(worker, "status", "Seccomp_filters:").as_deref() == Some(filters)
            });
        }
        let events = guard.events().all();
        let own = |event: &&Value| event.text("rule.id") == "guard-policy";
        let sentences: Vec<&str> = events.iter().filter(own).map(|event| event.text("message")).collect();
        assert_eq!(sentences, if said.is_empty() { vec![] } else { vec![said] }, "{outer}");
        let seen: Vec<&str> =
            events.iter().filter(|event| !own(event)).map(|event| event.text("portcullis.layer")).collect();
        assert_eq!(seen, layers, "{outer}");
    }
}

/// A descriptor that cannot be borrowed may be another one by the time that the kernel looks, and so may the address: what is
/// allowed, but cannot be made in the process's place, is for the policy to decide.
#[test]
fn what_cannot_be_borrowed_is_unknown() {
    enter();
    let _listeners = Listeners::on(&[8080]);
    let place = Place::new();
    page(&place);
    let program = compile(&place, "tests/servers/c/outer.c", "outer", &[]);
    let guard = place.guard(&config(&place, "audit"));
    let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &[&program, "kill-borrow"]);
    let strict = place.join("www/strict");
    let location = format!(
        "{}\n}}\nserver {{ listen 127.0.0.1:8081; server_name strict.example; root {};\n{}",
        fpm.nginx_location(&place.join("www")),
        strict.display(),
        fpm.nginx_location(&strict)
    );
    let nginx = Nginx::start(&place, None, &location);
    assert_eq!(ask(nginx.port, "localhost", "connect common port"), "0 0 0");
    assert_eq!(ask(nginx.port, "strict.example", "connect common port"), "-1 13 0");
    let events = guard.events().all();
    let facts: Vec<_> =
        events.iter().map(|event| (event.text("event.outcome"), event.text("portcullis.unknown"))).collect();
    assert_eq!(facts, [("success", "socket"), ("failure", "socket")], "{events:#?}");
}

/// A unit whose CapabilityBoundingSet= lacks CAP_SYS_PTRACE: the supervisor looks at a process as that process's user. It cannot
/// read what a worker announces, so whose program it is it does not know: the strictest policy holds.
#[test]
fn without_the_right_to_trace_it_looks_as_the_user() {
    enter();
    let place = Place::new();
    page(&place);
    let guard =
        place.guard("mode = \"audit\"\n[backstop]\nseccomp = \"supervise\"\n[rules.exec-place]\nmode = \"off\"\n");
    let by = ["setpriv", "--bounding-set=-sys_ptrace"];
    for (before, warns) in [(&by[..], true), (&["env"][..], false)] {
        let mut check = Command::new(before[0]);
        check.args(&before[1..]).arg(place.join("bin/portcullis")).arg("check").arg("--config").arg(&guard.config);
        let output = check.output().expect("portcullis");
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr).contains("CAP_SYS_PTRACE"), warns, "{output:?}");
    }
    let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &by);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    assert_eq!(ask(nginx.port, "localhost", "sendto"), "1 0 0");
    let events = guard.events().all();
    assert_eq!(events.iter().map(facts).collect::<Vec<_>>(), [["egress-port", "success", "backstop", "lost", ""]]);
    let [_, broker, _] = standing(fpm.process.pid());
    let effective = word(broker, "status", "CapEff:").expect("capabilities");
    // CAP_SYS_PTRACE is 19 (linux/capability.h).
    assert_eq!(u64::from_str_radix(&effective, 16).expect("a number") & (1 << 19), 0);
}
