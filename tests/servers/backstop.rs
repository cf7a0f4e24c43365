//! The backstop in real servers: what does not come through libc is judged for its request, and neither the supervisor nor its
//! end is a reason for the server to fail.

use crate::harness::{
    Apache, Fpm, Guard, Kind, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, children, enter, http, wait_until,
};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A configuration with a supervisor, in which one virtual host refuses.
fn config(place: &Place, mode: &str) -> String {
    format!(
        "mode = \"{mode}\"\n[backstop]\nseccomp = \"supervise\"\n[rules.exec-place]\nmode = \"off\"\n[[vhost]]\n\
         name = \"strict\"\nmode = \"enforce\"\nmatch = {{ document_root = \"{}/www/strict\" }}\n",
        place.path().display()
    )
}

/// A program of the test, static, in the place.
fn compile(place: &Place, source: &str, name: &str, flags: &[&str]) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let output = place.join(name);
    let done = Command::new("cc").args(["-O1", "-w"]).args(flags).arg("-o").arg(&output).arg(source).status();
    assert!(done.expect("cc").success());
    output.to_str().expect("a path").to_owned()
}

/// Puts a page that starts the static program for what its query names into the root and into `strict/`.
fn page(place: &Place) {
    place.pages();
    let program = compile(place, "tests/library/c/ways.c", "ways-static", &["-static"]);
    let page = format!(
        "<?php $p = proc_open(['{program}', 'libc', $_GET['way']], [1 => ['pipe', 'w']], $pipes);\n\
         echo stream_get_contents($pipes[1]), proc_close($p);"
    );
    place.write("www/static.php", &page);
    place.write("www/strict/static.php", &page);
}

fn word(pid: i32, file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    Some(text.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
}

fn is_filtered(pid: i32) -> bool {
    word(pid, "status", "Seccomp:").as_deref() == Some("2")
}

/// The supervisor's processes for a server.
fn supervisors(master: i32) -> Vec<i32> {
    let wanted = format!("PORTCULLIS_SUPERVISE={master}");
    let mut found: Vec<i32> = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
                && word(*pid, "status", "State:").is_some_and(|state| !state.starts_with('Z'))
        })
        .collect();
    found.sort_unstable();
    found
}

/// Of the two, the one that waits and the one that judges.
fn pair(master: i32) -> Option<(i32, i32)> {
    let found = supervisors(master);
    let [a, b] = *found.as_slice() else { return None };
    let parent = |pid| word(pid, "status", "PPid:").and_then(|parent| parent.parse::<i32>().ok());
    if parent(b) == Some(a) { Some((a, b)) } else { (parent(a) == Some(b)).then_some((b, a)) }
}

/// The same once it stands: a supervisor that has just been started tries what it may do in a child.
fn standing_pair(master: i32) -> (i32, i32) {
    let mut last = None;
    wait_until("a supervisor of two processes", || {
        let now = pair(master);
        let stands = now.is_some() && now == last;
        last = now;
        stands
    });
    last.expect("two processes")
}

fn kill(pid: i32) {
    // SAFETY: a process that this test's server started.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0, "{}", std::io::Error::last_os_error());
}

fn fpm_and_nginx(place: &Place, mode: &str) -> (Guard, Fpm, Nginx) {
    page(place);
    let guard = place.guard(&config(place, mode));
    let fpm = Fpm::start(place, Some(&guard), &Pool::default());
    let strict = place.join("www/strict");
    let location = format!(
        "{}\n}}\nserver {{ listen 127.0.0.1:8081; server_name strict.example; root {};\n{}",
        fpm.nginx_location(&place.join("www")),
        strict.display(),
        fpm.nginx_location(&strict)
    );
    let nginx = Nginx::start(place, Some(&guard), &location);
    (guard, fpm, nginx)
}

fn ask(port: u16, host: &str, way: &str) -> String {
    http::get_host(port, host, &format!("/static.php?way={}", way.replace(' ', "%20"))).body.trim().replace('\n', " ")
}

/// What the events say that matters here.
fn facts(event: &Value) -> [&str; 5] {
    [
        event.text("rule.id"),
        event.text("event.outcome"),
        event.text("portcullis.layer"),
        event.text("portcullis.request.state"),
        event.text("portcullis.vhost"),
    ]
}

#[test]
fn a_static_program_is_judged_for_its_request() {
    enter();
    let _listeners = Listeners::on(&[4444, 8080]);
    let place = Place::new();
    let (guard, fpm, nginx) = fpm_and_nginx(&place, "audit");
    let mut events = guard.events();
    for (way, rule, plain, strict) in [
        ("connect nonblocking", "egress-port", "0 0 0", "-1 13 0"),
        ("connect common port", "", "0 0 0", "0 0 0"),
        ("sendto", "egress-port", "1 0 0", "-1 13 0"),
        ("sendto connected", "", "1 0 0", "1 0 0"),
        ("execve", "shell-spawn", "7", "-1 13 0"),
        ("listen", "listen-port", "0 0 0", "0 0 0"),
    ] {
        assert_eq!(ask(nginx.port, "localhost", way), plain, "{way}");
        assert_eq!(ask(nginx.port, "strict.example", way), strict, "{way}");
        let fresh = events.fresh();
        let seen: Vec<_> = fresh.iter().map(facts).collect();
        let outcome = if rule == "listen-port" { "success" } else { "failure" };
        match rule {
            "" => assert_eq!(seen, [[""; 5]; 0], "{way}"),
            _ => assert_eq!(
                seen,
                [[rule, "success", "backstop", "known", ""], [rule, outcome, "backstop", "known", "strict"]],
                "{way}"
            ),
        }
        for event in fresh {
            assert!(event.text("url.original").starts_with("/static.php?way="), "{event:#}");
            assert_eq!(event.text("client.address"), "127.0.0.1");
            assert!(event.text("portcullis.chain").starts_with("php-fpm: pool www > ways-static"), "{event:#}");
            assert_eq!(event.text("user.name"), "www-data");
        }
    }
    let workers = children(fpm.process.pid());
    assert!(workers.len() == 2 && workers.into_iter().all(is_filtered));
}

#[test]
fn the_tree_is_as_it_was_but_for_the_supervisor() {
    enter();
    let place = Place::new();
    let (guard, mut fpm, mut nginx) = fpm_and_nginx(&place, "audit");
    let mut events = guard.events();
    let (fpm_master, nginx_master) = (fpm.process.pid(), nginx.process.pid());
    for _ in 0..300 {
        assert_eq!(http::get(nginx.port, "/way.php?way=list").status, 200);
    }
    for master in [fpm_master, nginx_master] {
        assert!(!is_filtered(master), "the master has no filter");
        standing_pair(master);
    }
    assert_eq!((children(fpm_master).len(), children(nginx_master).len()), (2, 1));
    assert!(is_filtered(children(nginx_master)[0]));
    // A reload: other workers, the same supervisor.
    let (before, fpm_workers, nginx_workers) = (pair(fpm_master), children(fpm_master), children(nginx_master));
    fpm.process.signal(libc::SIGUSR2);
    nginx.process.signal(libc::SIGHUP);
    wait_until("the reloads", || {
        let (fpm, nginx) = (children(fpm_master), children(nginx_master));
        fpm.len() == 2
            && nginx.len() == 1
            && fpm.iter().all(|worker| !fpm_workers.contains(worker) && is_filtered(*worker))
            && nginx.iter().all(|worker| !nginx_workers.contains(worker) && is_filtered(*worker))
    });
    assert_eq!(ask(nginx.port, "localhost", "sendto"), "1 0 0");
    assert_eq!(pair(fpm_master), before);
    let fresh = events.fresh();
    assert_eq!(fresh.iter().map(facts).collect::<Vec<_>>(), [["egress-port", "success", "backstop", "known", ""]]);
    nginx.process.stop(libc::SIGQUIT);
    fpm.process.stop(libc::SIGQUIT);
    wait_until("the supervisors to end", || supervisors(fpm_master).is_empty() && supervisors(nginx_master).is_empty());
    assert!(events.fresh().is_empty());
}

#[test]
fn apache_starts_reloads_and_stops_with_it() {
    enter();
    for kind in [Kind::Event, Kind::ModPhp, Kind::Cgid] {
        let place = Place::new();
        page(&place);
        let guard = place.guard(&config(&place, "audit"));
        let mut apache = Apache::start(&place, Some(&guard), kind, None, "");
        let master = apache.process.pid();
        assert_eq!(http::get(apache.port, "/way.php?way=list").status, 200);
        wait_until("filters", || {
            let workers = children(master);
            !workers.is_empty() && workers.into_iter().all(is_filtered)
        });
        let before = children(master);
        assert!(!is_filtered(master));
        standing_pair(master);
        apache.process.signal(libc::SIGUSR1);
        wait_until("the reload", || {
            let now = children(master);
            !now.is_empty() && now.iter().all(|worker| !before.contains(worker) && is_filtered(*worker))
        });
        assert_eq!(http::get(apache.port, "/way.php?way=list").status, 200);
        apache.process.stop(libc::SIGTERM);
        wait_until("the supervisor to end", || supervisors(master).is_empty());
        assert_eq!(guard.events().all().len(), 0, "{:#?}", guard.events().all());
    }
}

/// Either process may be killed at any time: in audit nothing fails, in enforce nothing gets through.
#[test]
fn the_supervisors_death_changes_nothing() {
    enter();
    for (mode, answer) in [("audit", "1 0 0"), ("enforce", "-1 13 0")] {
        let place = Place::new();
        let (guard, fpm, nginx) = fpm_and_nginx(&place, mode);
        let master = fpm.process.pid();
        assert_eq!(ask(nginx.port, "localhost", "sendto"), answer);
        for round in 0..6 {
            let (keeper, judge) = standing_pair(master);
            let victim = if round % 2 == 0 { judge } else { keeper };
            kill(victim);
            // Not awaited: what comes now waits for whoever takes over.
            assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{mode}, {round}");
            wait_until("a successor", || pair(master).is_some_and(|(a, b)| a != victim && b != victim));
            assert_eq!(ask(nginx.port, "localhost", "sendto"), answer, "{mode}, {round}");
        }
        let outcomes = guard.events().all();
        let outcome = if mode == "audit" { "success" } else { "failure" };
        assert_eq!(outcomes.len(), 13);
        assert!(outcomes.iter().all(|event| event.text("event.outcome") == outcome));
        // Both at once: what only the backstop sees fails, and the server goes on.
        let (keeper, judge) = standing_pair(master);
        kill(keeper);
        kill(judge);
        wait_until("their end", || supervisors(master).is_empty());
        assert!(ask(nginx.port, "localhost", "sendto").starts_with("-1 38"));
        assert_eq!(http::get(nginx.port, "/way.php?way=list").status, 200);
    }
}

/// A judge that dies at a call: its successor lets the call go on in audit, refuses it in enforce, and says that an event may be
/// missing.
#[test]
fn the_call_at_hand_is_answered() {
    enter();
    for (mode, answer) in [("audit", "1 0 0"), ("enforce", "-1 13 0")] {
        let place = Place::new();
        let (guard, fpm, nginx) = fpm_and_nginx(&place, mode);
        let master = fpm.process.pid();
        // Silent, and by then there are workers whose filters are with the judge.
        assert_eq!(ask(nginx.port, "localhost", "sendto connected"), "1 0 0");
        let (_, judge) = standing_pair(master);
        // Holds the judge up where it opens the memory of the process whose call it has received.
        let mut strace = Command::new("strace")
            .args(["-q", "-p", &judge.to_string(), "-e", "trace=openat", "-e", "inject=openat:delay_enter=20s"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("strace");
        wait_until("strace", || word(judge, "status", "TracerPid:").is_some_and(|pid| pid != "0"));
        let port = nginx.port;
        let asked = std::thread::spawn(move || ask(port, "localhost", "sendto"));
        let openat = format!("{} ", libc::SYS_openat);
        let at_hand =
            || std::fs::read_to_string(format!("/proc/{judge}/syscall")).is_ok_and(|now| now.starts_with(&openat));
        wait_until("the call", at_hand);
        kill(judge);
        // Its parent hears of its end once who traces it has.
        strace.kill().expect("strace");
        strace.wait().expect("strace's end");
        assert_eq!(asked.join().expect("an answer"), answer, "{mode}");
        assert!(guard.events().all().is_empty());
        assert_eq!(ask(port, "localhost", "sendto"), answer, "{mode}");
        let events = guard.events().all();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].pointer("/portcullis/dropped").and_then(Value::as_u64), Some(1), "{:#}", events[0]);
    }
}

/// In a pool's own root the library is not there: what is started is not guarded, but known by its request all the same.
#[test]
fn in_a_chroot_the_request_is_known() {
    enter();
    let place = Place::new();
    let jail = place.join("jail");
    std::fs::create_dir(&jail).expect("a folder");
    std::fs::create_dir(jail.join("www")).expect("a folder");
    compile(&place, "tests/library/c/ways.c", "jail/ways-static", &["-static"]);
    let page = "<?php $p = proc_open(['/ways-static', 'libc', 'sendto'], [1 => ['pipe', 'w']], $q); \
                echo stream_get_contents($q[1]); proc_close($p);";
    place.write("jail/www/static.php", page);
    let guard = place.guard(&config(&place, "audit"));
    let lines = format!("chroot = {}", jail.display());
    let fpm = Fpm::start(&place, Some(&guard), &Pool { lines, ..Pool::default() });
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(Path::new("/www")));
    assert_eq!(http::get(nginx.port, "/static.php").body, "1 0\n");
    let events = guard.events().all();
    assert_eq!(events.iter().map(facts).collect::<Vec<_>>(), [["egress-port", "success", "backstop", "known", ""]]);
    assert_eq!(events[0].text("portcullis.request.script"), "/www/static.php");
}

/// More calls at once than one process judges: they wait, and none is lost.
#[test]
fn overload_makes_calls_wait() {
    enter();
    let place = Place::new();
    page(&place);
    let program = place.join("ways-static");
    let page = format!(
        "<?php for ($i = 0; $i < 100; $i++) {{ $p[] = proc_open(['{}', 'libc', 'sendto'], [1 => ['pipe', 'w']], $q[]); }}\n\
         $n = 0; foreach ($p as $i => $one) {{ $n += stream_get_contents($q[$i][1]) === \"1 0\\n\" ? 1 : 0; proc_close($one); }}\n\
         echo $n;",
        program.display()
    );
    place.write("www/many.php", &page);
    let guard = place.guard(&config(&place, "audit"));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    assert_eq!(http::get(nginx.port, "/many.php").body, "100");
    assert_eq!(guard.events().all().len(), 100);
}

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
        let folder = place.join("log");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("permissions");
        let www = place.pages();
        helper(&place);
        let text = format!("[backstop]\nseccomp = \"supervise\"\n{more}");
        let guard = place.guard(&text);
        let compiled =
            place.portcullis().arg("compile").arg("--config").arg(&guard.config).output().expect("portcullis");
        assert!(compiled.status.success());
        let mut command = Command::new("/usr/bin/php8.2");
        // www-data, from the start on.
        std::os::unix::process::CommandExt::uid(&mut command, 33);
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
        assert_eq!(said, if filtered { vec![] } else { vec![off] });
    }
}

/// Where another supervisor has a filter already, or the kernel knows no user notification, the kernel logs instead, and
/// one event says so.
#[test]
fn without_user_notification_it_logs() {
    enter();
    for (outer, sentence) in [
        ("listener", "the backstop logs only: the process has a filter with a supervisor of its own"),
        ("none", "the backstop logs only: the kernel has no user notification of seccomp"),
    ] {
        let place = Place::new();
        page(&place);
        let program = compile(&place, "tests/servers/c/outer.c", "outer", &[]);
        let guard = place.guard(&config(&place, "audit"));
        let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &[&program, outer]);
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        assert_eq!(ask(nginx.port, "localhost", "sendto"), "1 0 0");
        // The outer program's child is one of the master's, too.
        let is_worker = |pid: &i32| word(*pid, "status", "Name:").as_deref() == Some("php-fpm8.2");
        let workers: Vec<i32> = children(fpm.process.pid()).into_iter().filter(is_worker).collect();
        assert_eq!(workers.len(), 2);
        for worker in workers {
            assert_eq!(word(worker, "status", "Seccomp_filters:").as_deref(), Some("2"), "{outer}");
        }
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
            assert_eq!(word(worker, "status", "Seccomp_filters:").as_deref(), Some(filters), "{outer}");
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

/// A unit whose CapabilityBoundingSet= lacks CAP_SYS_PTRACE: the supervisor looks at a process as that process's user.
#[test]
fn without_the_right_to_trace_it_looks_as_the_user() {
    enter();
    let place = Place::new();
    page(&place);
    let guard = place.guard(&config(&place, "audit"));
    let by = ["setpriv", "--bounding-set=-sys_ptrace"];
    let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &by);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    assert_eq!(ask(nginx.port, "localhost", "sendto"), "1 0 0");
    let events = guard.events().all();
    assert_eq!(events.iter().map(facts).collect::<Vec<_>>(), [["egress-port", "success", "backstop", "known", ""]]);
    let (_, judge) = standing_pair(fpm.process.pid());
    let effective = word(judge, "status", "CapEff:").expect("capabilities");
    // CAP_SYS_PTRACE is 19 (linux/capability.h).
    assert_eq!(u64::from_str_radix(&effective, 16).expect("a number") & (1 << 19), 0);
}

/// curl and what nginx itself connects to: allowed by the hooks, they never come to the supervisor.
#[test]
fn nginx_proxies_under_it() {
    enter();
    let _listeners = Listeners::on(&[4444, 8080]);
    let place = Place::new();
    place.pages();
    let guard = place.guard(&config(&place, "enforce"));
    let location = format!(
        "location /common/ {{ proxy_pass http://{OUTSIDE4}:8080/; }}\nlocation /other/ {{ proxy_pass http://{OUTSIDE4}:4444/; }}"
    );
    let nginx = Nginx::start(&place, Some(&guard), &location);
    assert_eq!(http::get(nginx.port, "/common/").status, 200);
    assert_eq!(http::get(nginx.port, "/other/").status, 502);
    let events = guard.events().all();
    assert_eq!(events.iter().map(|event| event.text("portcullis.layer")).collect::<Vec<_>>(), ["libc"]);
}
