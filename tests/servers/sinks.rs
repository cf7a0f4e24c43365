//! Each sink, in a worker that has dropped privileges, whose server closed all descriptors, whose pool is chrooted.

use crate::harness::{
    Fpm, Guard, Listeners, Nginx, Parts, Place, Pool, Process, enter, from_journal, http, journald, named,
    own_run_and_dev, wait_until,
};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// A guard with these sinks.
fn guard(place: &Place, sinks: &str) -> Guard {
    let log = place.join("log/events.jsonl");
    let text = format!("[log]\nsink = [{sinks}]\nfile = \"{}\"\n", log.display());
    Guard::new(place, place.write("etc/portcullis.toml", &text), log)
}

/// A real rsyslogd of the test's own, which writes what comes to /dev/log into a file.
fn rsyslogd(place: &Place) -> Process {
    let path = place.path().display();
    let config = place.write(
        "rsyslog.conf",
        &format!(
            "module(load=\"imuxsock\" SysSock.Name=\"/dev/log\" SysSock.RateLimit.Interval=\"0\")\n\
             template(name=\"raw\" type=\"string\" string=\"%pri% %programname% %msg%\\n\")\n\
             $MaxMessageSize 16k\n*.* action(type=\"omfile\" file=\"{path}/syslog\" template=\"raw\")\n"
        ),
    );
    let mut command = Command::new("/usr/sbin/rsyslogd");
    command.arg("-n").arg("-f").arg(config).arg("-i").arg(place.join("rsyslog.pid"));
    let process = Process::start(command, None);
    wait_until("rsyslogd", || Path::new("/dev/log").exists());
    process
}

#[test]
fn journald_syslog_and_file_of_a_chrooted_pool() {
    enter();
    own_run_and_dev();
    let _listeners = Listeners::on(&[4444]);
    let _journald = journald();
    let place = Place::new();
    let _rsyslogd = rsyslogd(&place);
    let guard = guard(&place, "\"journald\", \"syslog\", \"file\", \"stderr\"");
    let www = place.pages();
    // In the jail there is neither the library nor /proc, /dev/log or the log folder.
    let jail = place.join("jail");
    std::fs::create_dir(&jail).expect("a folder");
    std::fs::copy(www.join("way.php"), jail.join("way.php")).expect("a page");
    let lines = format!("chroot = {}\n", jail.display());
    let stderr = place.join("stderr");
    let pool = Pool { lines, stderr: Some(stderr.clone()), ..Pool::default() };
    let fpm = Fpm::start(&place, Some(&guard), &pool);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(Path::new("")));
    for _ in 0..2 {
        let answer = http::get(nginx.port, "/way.php?way=sockets%20tcp%20v4");
        assert!(answer.body.contains("[true,0]"), "{answer:?}");
    }
    let events = guard.events().all();
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(event.text("rule.id"), "egress-port");
        assert_eq!(event["portcullis"]["dropped"], 0);
        assert_eq!(event.text("user.id"), "33");
        assert_eq!(event.text("process.name"), named("php-fpmX.Y"));
    }
    // In a unit, what `portcullis compile` prints comes to the journal under the same name, and is no event.
    let said = Command::new("systemd-cat").args(["--identifier=portcullis", "echo", "compiled"]).status();
    assert!(said.expect("systemd-cat").success());
    wait_until("what was said", || {
        let all = Command::new("journalctl").args(["-o", "cat", "-t", "portcullis"]).output().expect("journalctl");
        String::from_utf8_lossy(&all.stdout).contains("compiled")
    });
    assert_eq!(from_journal(&place, 2), events);
    let shown = place.portcullis().arg("events").output().expect("portcullis events");
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let text = std::fs::read_to_string(stderr).expect("standard error");
    let written: Vec<Value> = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(written, events);
    let fields = Command::new("journalctl").args(["-o", "json", "RULE_ID=egress-port"]).output().expect("journalctl");
    let fields: Value =
        serde_json::from_slice(fields.stdout.split(|&byte| byte == b'\n').next().expect("a line")).expect("JSON");
    assert_eq!(fields["DESTINATION_PORT"], "4444");
    assert_eq!(fields["DESTINATION_IP"], "192.88.1.10");
    assert_eq!(fields["PRIORITY"], "5");
    assert_eq!(fields["_UID"], "33");
    let syslog = || std::fs::read_to_string(place.join("syslog")).unwrap_or_default();
    wait_until("rsyslogd", || syslog().lines().filter(|line| line.contains("portcullis")).count() >= 2);
    let line = syslog().lines().find(|line| line.contains("portcullis")).expect("a line").to_owned();
    let line = line.strip_prefix("29 portcullis ").unwrap_or_else(|| panic!("{line}"));
    assert_eq!(serde_json::from_str::<Value>(line.trim()).expect("JSON"), events[0]);
}

#[test]
fn a_daemon_that_closes_every_descriptor_and_drops_everything() {
    enter();
    own_run_and_dev();
    let _listeners = Listeners::on(&[4444]);
    let _journald = journald();
    let place = Place::new();
    let guard = guard(&place, "\"journald\", \"file\"");
    std::fs::create_dir(place.join("empty")).expect("a folder");
    let script = place.write(
        "daemon.py",
        r#"
import os, socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 8085))
listener.listen()
for number in range(3, 2048):
    if number != listener.fileno():
        try:
            os.close(number)
        except OSError:
            pass
# The numbers that the guard had may now be somebody else's.
other = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
for number in (900, 901, 902):
    os.dup2(other, number)
if os.fork():
    os.wait()
    sys.exit()
os.chroot(sys.argv[1])
os.setgid(33)
os.setuid(33)
client, _ = listener.accept()
print(socket.socket().connect_ex(("192.88.1.10", 4444)), file=client.makefile("w"), flush=True)
"#,
    );
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).arg(place.join("empty")).arg(place.join("other"));
    let mut process = Process::start(command, Some(&guard));
    let mut answer = String::new();
    wait_until("the daemon", || match std::net::TcpStream::connect(("127.0.0.1", 8085)) {
        Ok(mut stream) => std::io::Read::read_to_string(&mut stream, &mut answer).is_ok(),
        Err(_) => false,
    });
    wait_until("the daemon to end", || process.ended());
    assert_eq!(answer, "0\n");
    let events = guard.events().all();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0].text("rule.id"), "egress-port");
    assert_eq!(from_journal(&place, 1), events);
    assert_eq!(std::fs::read_to_string(place.join("other")).expect("a file"), "", "somebody else's descriptor");
}

#[test]
fn a_rotated_file_is_left_and_the_new_one_used() {
    enter();
    let place = Place::new();
    let guard = guard(&place, "\"file\"");
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.pages()));
    http::get(nginx.port, "/way.php?way=system");
    assert_eq!(guard.events().all().len(), 1);
    // As logrotate's `create` does it.
    let old = guard.log.with_extension("1");
    std::fs::rename(&guard.log, &old).expect("rotated");
    std::fs::write(&guard.log, "").expect("a file");
    std::os::unix::fs::chown(&guard.log, Some(0), Some(33)).expect("owner");
    std::fs::set_permissions(&guard.log, std::os::unix::fs::PermissionsExt::from_mode(0o620)).expect("permissions");
    http::get(nginx.port, "/way.php?way=system");
    assert_eq!(guard.events().all().len(), 1, "the new file");
    // A new file that the worker may not open, and no permission to make one: what it holds is still right.
    std::fs::rename(&guard.log, guard.log.with_extension("2")).expect("rotated");
    http::get(nginx.port, "/way.php?way=system");
    let written: usize = ["1", "2"]
        .map(|suffix| std::fs::read_to_string(guard.log.with_extension(suffix)).unwrap_or_default().lines().count())
        .iter()
        .sum();
    assert_eq!(written, 3, "nothing is lost");
}

#[test]
fn standard_error_and_only_that() {
    enter();
    let place = Place::new();
    let guard = guard(&place, "\"stderr\"");
    let mut command = place.portcullis();
    command.args(["run", "--config"]).arg(&guard.config).args(["--", "sh", "-c"]);
    // The second shell's standard error is a pipe of the program's own: nothing may be written there.
    let script = "sh -c 'exit 0'; sh -c 'sh -c \"exit 0\"' 2>&1 | cat; sh -c 'exit 3' 2>/dev/null";
    let done = command.arg(script).stdout(Stdio::piped()).output().expect("portcullis run");
    assert_eq!(done.status.code(), Some(3));
    assert_eq!(done.stdout, b"", "{}", String::from_utf8_lossy(&done.stdout));
    let text = String::from_utf8(done.stderr).expect("text");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("only events")).collect();
    let commands: Vec<&str> = events.iter().map(|event| event.text("process.command_line")).collect();
    // Those whose shell had its standard error redirected before the exec are counted, not written.
    assert_eq!(commands.first(), Some(&"sh -c exit 0"), "{commands:?}");
}

#[test]
fn a_full_pipe_does_not_stop_the_program() {
    enter();
    let place = Place::new();
    let guard = guard(&place, "\"stderr\"");
    let mut command = place.portcullis();
    command.args(["run", "--config"]).arg(&guard.config).args(["--", "/usr/bin/perl", "-e"]);
    // 200 events of more than 700 bytes do not fit into a pipe that nobody reads.
    let script = "for (1..200) { system('true; true') == 0 or die; } print 'done'; ";
    let mut child = command.arg(script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("portcullis run");
    wait_until("the program", || child.try_wait().expect("a child").is_some());
    let done = child.wait_with_output().expect("output");
    assert_eq!(done.stdout, b"done");
    let lines = done.stderr.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"{")).count();
    assert!((1..200).contains(&lines), "{lines}");
}

#[test]
fn a_broken_pipe_brings_no_signal() {
    enter();
    let place = Place::new();
    let guard = guard(&place, "\"stderr\"");
    let mut command = place.portcullis();
    command.args(["run", "--config"]).arg(&guard.config).args(["--", "/usr/bin/perl", "-e"]);
    // Waits until the reader of its standard error is gone; a SIGPIPE would end it.
    let script = "$SIG{PIPE} = 'DEFAULT'; <STDIN>; system('true; true') == 0 or die; print 'done'";
    let mut child = command
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("portcullis run");
    drop(child.stderr.take());
    drop(child.stdin.take());
    assert_eq!(child.wait_with_output().expect("output").stdout, b"done");
}
