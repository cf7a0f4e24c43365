//! What the supervisor of a server holds that is root.

use super::*;

/// linux/capability.h: DAC_READ_SEARCH, KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_PTRACE, CHECKPOINT_RESTORE.
const KEPT: u64 = 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 19 | 1 << 40;

fn set(pid: i32, name: &str) -> u64 {
    let set = word(pid, "status", name).expect("a set of capabilities");
    u64::from_str_radix(&set, 16).expect("a number")
}

/// Soft and hard limit.
fn limit(pid: i32, name: &str) -> [String; 2] {
    let limits = word(pid, "limits", name).expect("a limit");
    let mut words = limits.split_whitespace().map(str::to_owned);
    [words.next().expect("the soft one"), words.next().expect("the hard one")]
}

/// Of these the judge: DAC_READ_SEARCH, SETGID, SETUID.
const JUDGES: u64 = 1 << 2 | 1 << 6 | 1 << 7;

/// The judge holds what reading files takes, and what acts has no part in judging; so has what takes the place of each.
#[test]
fn each_process_holds_what_its_job_takes() {
    enter();
    let place = Place::new();
    let (_guard, fpm, nginx) = fpm_and_nginx(&place, "audit");
    assert_eq!(ask(nginx.port, "localhost", "sendto"), "1 0 0");
    let master = fpm.process.pid();
    let available = set(master, "CapEff:");
    for round in 0..2 {
        let all = standing(master);
        let judge = all[2];
        for (pid, kept, filters) in [(all[0], KEPT, "1"), (all[1], KEPT, "1"), (judge, JUDGES, "2")] {
            let held = [
                ("CapEff:", available & kept),
                ("CapPrm:", available & kept),
                ("CapInh:", 0),
                ("CapBnd:", 0),
                ("CapAmb:", 0),
            ];
            for (name, wanted) in held {
                assert_eq!(set(pid, name), wanted, "{round}: {name} {:x}", set(pid, name));
            }
            for (name, wanted) in [("NoNewPrivs:", "1"), ("Seccomp:", "2"), ("Seccomp_filters:", filters)] {
                assert_eq!(word(pid, "status", name).as_deref(), Some(wanted), "{round}: {name}");
            }
            assert_eq!(limit(pid, "Max core file size"), ["0", "0"]);
            for (name, most) in [("Max open files", 8192), ("Max data size", 64 << 20)] {
                for limit in limit(pid, name) {
                    assert!(limit.parse::<u64>().is_ok_and(|limit| limit <= most), "{round}: {name} {limit}");
                }
            }
        }
        kill(judge);
        wait_until("a successor", || three(master).is_some_and(|now| now[2] != judge));
        assert_eq!(ask(nginx.port, "localhost", "sendto"), "1 0 0");
    }
}

/// What a file gives is told by whom it gives it to, not by the supervisor, which is root and gains nothing any more.
#[test]
fn what_a_program_gains_is_the_callers() {
    enter();
    let place = Place::new();
    page(&place);
    let runs = compile(&place, "tests/servers/c/raw_sockets.c", "runs", &["-static", "-pthread", "-w"]);
    let guard =
        place.guard("mode = \"audit\"\n[backstop]\nseccomp = \"supervise\"\n[rules.exec-place]\nmode = \"off\"\n");
    let files = [("user", 0, 33, 0o4755), ("group", 33, 0, 0o2755), ("own", 33, 33, 0o6755), ("none", 0, 0, 0o755)];
    let list = files.map(|(name, user, group, mode)| {
        let file = place.join(name);
        std::fs::copy("/usr/bin/id", &file).expect("a copy");
        std::os::unix::fs::chown(&file, Some(user), Some(group)).expect("chown");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("permissions");
        file.to_str().expect("a path").to_owned()
    });
    let page = format!(
        "<?php foreach ({} as $file) {{ $p = proc_open(['{runs}', 'exec', $file], [1 => ['pipe', 'w']], $q);\n\
         echo stream_get_contents($q[1]); proc_close($p); }}",
        serde_json::to_string(&list).expect("paths")
    );
    place.write("www/gains.php", &page);
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    let said = http::get(nginx.port, "/gains.php").body;
    assert!(said.contains("euid=0(root)") && said.contains("egid=0(root)") && said.lines().count() == 4, "{said}");
    let events = guard.events().all();
    let of =
        |event: &Value| (event.text("process.executable").to_owned(), event.text("portcullis.unguarded").to_owned());
    let unguarded: Vec<_> = events.iter().filter(|event| event.text("rule.id") == "exec-unguarded").map(of).collect();
    assert_eq!(unguarded, list[..2].iter().map(|file| (file.clone(), "setuid".to_owned())).collect::<Vec<_>>());
}

/// The filter refuses nothing that judging makes, in audit and in enforce, also after the log was rotated.
#[test]
fn it_makes_no_call_that_it_may_not() {
    const WAYS: [&str; 18] = [
        "connect",
        "connect nonblocking",
        "connect common port",
        "sendto",
        "sendto connected",
        "sendto fast open",
        "sendmsg",
        "sendmmsg",
        "listen",
        "bind udp",
        "execve",
        "execveat",
        "execveat by descriptor",
        "execve in memory",
        "execve forged",
        "io_uring",
        "i386 socketcall",
        "i386 execve",
    ];
    enter();
    let _listeners = Listeners::on(&[4444, 8080]);
    let place = Place::new();
    let (guard, fpm, nginx) = fpm_and_nginx(&place, "audit");
    assert_eq!(ask(nginx.port, "localhost", "sendto"), "1 0 0");
    let [keeper, broker, judge] = standing(fpm.process.pid());
    let calls = place.join("calls");
    let mut strace = Command::new("strace")
        .args(["-f", "-q", "-Z", "-o"])
        .arg(&calls)
        .args([keeper, broker, judge].iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("strace");
    wait_until("strace", || word(judge, "status", "TracerPid:").is_some_and(|pid| pid != "0"));
    for host in ["localhost", "strict.example"] {
        WAYS.iter().for_each(|way| drop(ask(nginx.port, host, way)));
        let log = &guard.log;
        std::fs::rename(log, log.with_extension("1")).expect("another name");
    }
    assert_eq!(ask(nginx.port, "strict.example", "sendto"), "-1 13 0");
    assert!(guard.log.exists(), "no new log");
    // SAFETY: this test's own process.
    assert_eq!(unsafe { libc::kill(strace.id() as i32, libc::SIGINT) }, 0);
    strace.wait().expect("strace's end");
    let calls = std::fs::read_to_string(calls).expect("calls");
    let refused: Vec<&str> = calls.lines().filter(|line| line.contains("ENOSYS")).collect();
    assert!(calls.lines().count() > 10 && refused.is_empty(), "{refused:#?}");
    assert!(supervisors(fpm.process.pid()).len() >= 3);
}

/// The lengths that sendmmsg gives are written into the caller's memory, whatever the unit lets: in its place, or by its file.
#[test]
fn what_a_call_gives_is_written() {
    enter();
    for outer in ["", "kill-write"] {
        let place = Place::new();
        page(&place);
        let program = compile(&place, "tests/servers/c/outer.c", "outer", &[]);
        let guard = place.guard(
            "mode = \"enforce\"\n[backstop]\nseccomp = \"supervise\"\n[rules.exec-place]\nmode = \"off\"\n\
             [egress]\nallow = [\"192.88.1.10:*\"]\n",
        );
        let by = [program.as_str(), outer];
        let by = if outer.is_empty() { &[][..] } else { &by[..] };
        let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), by);
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        assert_eq!(ask(nginx.port, "localhost", "sendmmsg"), "1 0 0", "{outer}");
        assert!(guard.events().all().is_empty(), "{outer}");
    }
}
