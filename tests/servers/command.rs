//! The command as a person or a script uses it.

use crate::harness::{Fpm, Listeners, Nginx, Parts, Place, Pool, enter, http, wait_until};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(command: &mut Command) -> Output {
    command.output().expect("portcullis")
}

const BROKEN: &str = "\
mode = \"enforec\"
[egress]
comon_ports = [80]
common_ports = [70000]
allow = [\"10.1.2.3/8:1\"]
[exec]
allow = [\"a | b\"]
";

/// Where nothing is configured, servers have the built-in policy: that is what is explained.
#[test]
fn without_a_configuration_the_built_in_one_is_explained() {
    enter();
    let place = Place::new();
    let _ = std::fs::remove_dir_all("/etc/portcullis");
    let explain =
        |arguments: &[&str]| run(place.portcullis().arg("explain").args(arguments).env_remove("PORTCULLIS_CONFIG"));
    let done = explain(&["--connect", "192.0.2.1:4444", "--json"]);
    let answer: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&answer["rule"], &answer["mode"]), (&"egress-port".into(), &"audit".into()), "{answer:#}");
    assert!(text(&done.stderr).contains("built-in configuration"), "{}", text(&done.stderr));
    // One that is named has to be there.
    let done = explain(&["--connect", "192.0.2.1:4444", "--config", "/etc/portcullis/none.toml"]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stdout));
}

#[test]
fn check_shows_every_error_with_its_place() {
    enter();
    let place = Place::new();
    let config = place.write("portcullis.toml", BROKEN);
    place.write("vhosts.d/shop.toml", "name = \"shop\"\nmtach = {}\n");
    let done = run(place.portcullis().arg("check").arg("--config").arg(&config));
    assert_eq!(done.status.code(), Some(1));
    let shown = text(&done.stderr);
    let path = config.display();
    for (place, message, help) in [
        ("1:8", "\"enforec\" is not one of: off, audit, enforce", "did you mean \"enforce\"?"),
        ("3:1", "unknown key `comon_ports`", "did you mean `common_ports`?"),
        ("4:17", "`70000` is not a port: ports go from 0 to 65535", "a range such as"),
        ("5:10", "`10.1.2.3/8` has bits set behind its prefix; the network is 10.0.0.0/8", "write `10.0.0.0/8`"),
        ("7:10", "not a simple command", "the path of a script"),
    ] {
        assert!(shown.contains(&format!("{path}:{place}\n")), "{place}: {shown}");
        assert!(shown.contains(message), "{message}: {shown}");
        assert!(shown.contains(help), "{help}: {shown}");
    }
    assert!(shown.contains("vhosts.d/shop.toml:2:1\n") && shown.contains("did you mean `match`?"), "{shown}");
    // A caret under the place.
    assert!(shown.contains("3 | comon_ports = [80]\n  | ^^^^^^^^^^^\n"), "{shown}");
    assert!(text(&done.stdout).contains("7 errors"), "{}", text(&done.stdout));
    let json = run(place.portcullis().args(["check", "--json", "--config"]).arg(&config));
    assert_eq!(json.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["usable"], false);
    let places: Vec<(u64, u64)> = json["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|diagnostic| diagnostic["severity"] == "error")
        .map(|diagnostic| (diagnostic["line"].as_u64().unwrap_or(0), diagnostic["column"].as_u64().unwrap_or(0)))
        .collect();
    assert_eq!(places, [(1, 8), (3, 1), (4, 17), (5, 10), (7, 10), (1, 1), (2, 1)]);
}

#[test]
fn nothing_is_written_from_a_file_with_an_error() {
    enter();
    let place = Place::new();
    let config = place.write("portcullis.toml", "mode = \"enforce\"\n");
    let output = place.join("out/policy");
    std::fs::create_dir(place.join("out")).expect("a folder");
    let compile = || run(place.portcullis().arg("compile").arg("--config").arg(&config).arg("-o").arg(&output));
    assert!(compile().status.success());
    let good = std::fs::read(&output).expect("a policy");
    place.write("portcullis.toml", BROKEN);
    let done = compile();
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).contains("nothing was written"));
    assert_eq!(std::fs::read(&output).expect("a policy"), good);
    let left: Vec<_> = std::fs::read_dir(place.join("out")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing half-written stays");
}

#[test]
fn exit_codes() {
    enter();
    let place = Place::new();
    let config = place.write("portcullis.toml", "");
    let code = |arguments: &[&str]| run(place.portcullis().args(arguments)).status.code();
    let config = config.to_str().expect("a path");
    assert_eq!(code(&["check", "--config", config]), Some(0));
    assert_eq!(code(&["check", "--config", "/nowhere"]), Some(1));
    assert_eq!(code(&["chekc"]), Some(2));
    assert_eq!(code(&["check", "--no-such-flag"]), Some(2));
    assert_eq!(code(&["run"]), Some(2));
    assert_eq!(code(&["run", "--mode", "perhaps", "--", "true"]), Some(2));
    assert_eq!(code(&["run", "--config", config, "--", "/nowhere/program"]), Some(1));
    assert_eq!(code(&["run", "--config", "/nowhere", "--", "true"]), Some(1));
    // The command's own code.
    assert_eq!(code(&["run", "--config", config, "--", "sh", "-c", "exit 42"]), Some(42));
    assert_eq!(code(&["events", "/nowhere"]), Some(1));
    let bad = place.write("events", "not an event\n");
    assert_eq!(code(&["events", bad.to_str().expect("a path")]), Some(1));
}

#[test]
fn run_needs_neither_root_nor_a_configuration() {
    enter();
    let place = Place::new();
    let user = |command: &mut Command| {
        command.uid(12345).gid(12345).env_remove("XDG_RUNTIME_DIR").env("TMPDIR", place.path()).current_dir("/");
    };
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).expect("permissions");
    for (mode, code) in [("audit", 0), ("enforce", 1)] {
        let mut command = place.portcullis();
        user(command.args(["run", "--mode", mode, "--", "/usr/bin/perl", "-e"]));
        let done = run(command.arg("exit(system('true; true') == 0 ? 0 : 1)"));
        assert_eq!(done.status.code(), Some(code), "{mode}: {}", text(&done.stderr));
        let events: Vec<Value> =
            text(&done.stderr).lines().map(|line| serde_json::from_str(line).expect("only events")).collect();
        assert_eq!(events.len(), 1, "{events:#?}");
        assert_eq!((events[0].text("portcullis.mode"), events[0].text("user.id")), (mode, "12345"));
    }
}

/// To the first process of a PID namespace the kernel says 0 for its parent: that is not itself.
#[test]
fn the_first_process_has_no_parent() {
    enter();
    let place = Place::new();
    for program in [
        "socket(S, AF_INET, SOCK_DGRAM, 0); send(S, 'x', 0, pack_sockaddr_in(4444, inet_aton('192.88.1.10')))",
        "exec('/bin/sh', '-c', 'true; true')",
    ] {
        let mut command = Command::new("unshare");
        command.args(["-fp", "--mount-proc"]).arg(place.join("bin/portcullis"));
        command.args(["run", "--mode", "audit", "--role", "serving", "--", "/usr/bin/perl", "-MSocket", "-e"]);
        let done = run(command.arg(program));
        let events: Vec<Value> =
            text(&done.stderr).lines().map(|line| serde_json::from_str(line).expect("only events")).collect();
        assert_eq!(events.len(), 1, "{}", text(&done.stderr));
        assert_eq!(events[0].pointer("/process/pid").and_then(Value::as_u64), Some(1), "{:#}", events[0]);
        assert_eq!(events[0].pointer("/process/parent"), None, "{:#}", events[0]);
    }
}

#[test]
fn run_off_writes_nothing() {
    enter();
    let place = Place::new();
    let done = run(place.portcullis().args(["run", "--mode", "off", "--", "sh", "-c", "sh -c 'exit 3'"]));
    assert_eq!((done.status.code(), text(&done.stderr).as_str()), (Some(3), ""));
}

#[test]
fn events_for_people_and_for_programs() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let guard = place.guard("mode = \"enforce\"\n[egress]\ndeny = [\"192.88.1.10:4444\"]");
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.pages()));
    http::get(nginx.port, "/way.php?way=system");
    http::get(nginx.port, "/way.php?way=sockets%20tcp%20v4");
    let people = text(&run(place.portcullis().arg("events").arg(&guard.log)).stdout);
    let line = |needle: &str| people.lines().any(|line| line.contains(needle));
    assert!(line("BLOCKED     shell-spawn   php-fpm: pool www > sh: sh -c id -u"), "{people}");
    assert!(line("BLOCKED     egress-port   php-fpm: pool www -> 192.88.1.10:4444/tcp"), "{people}");
    assert!(line(&format!("because: deny = \"192.88.1.10:4444\" ({}:3)", guard.config.display())), "{people}");
    assert!(!people.contains('\u{1b}'), "no colour into a pipe");
    let programs = text(&run(place.portcullis().arg("events").arg("--json").arg(&guard.log)).stdout);
    let programs: Vec<Value> = programs.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(programs, guard.events().all());
    // What comes later, also into a new file of the same name.
    let mut follow = place.portcullis();
    follow.arg("events").args(["--follow", "--json"]).arg(&guard.log).stdout(Stdio::piped());
    let mut child = follow.spawn().expect("portcullis");
    let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
    let mut next = || lines.next().expect("a line").expect("a line");
    assert!(next().contains("shell-spawn"));
    assert!(next().contains("egress-port"));
    http::get(nginx.port, "/way.php?way=exec");
    assert!(next().contains("shell-spawn"));
    std::fs::rename(&guard.log, guard.log.with_extension("1")).expect("rotated");
    std::fs::write(&guard.log, "").expect("a file");
    std::os::unix::fs::chown(&guard.log, Some(0), Some(33)).expect("owner");
    std::fs::set_permissions(&guard.log, std::os::unix::fs::PermissionsExt::from_mode(0o620)).expect("permissions");
    http::get(nginx.port, "/way.php?way=sockets%20tcp%20v4");
    assert!(next().contains("egress-port"));
    child.kill().expect("killed");
    wait_until("the end", || child.try_wait().expect("a child").is_some());
}

#[test]
fn explain_says_what_decides_and_what_would_have() {
    enter();
    let place = Place::new();
    let config = place.write(
        "portcullis.toml",
        "mode = \"audit\"\n[egress]\ndeny = [\"169.254.169.254:*\"]\n[[vhost]]\nname = \"shop\"\nwhy = \"card data\"\n\
         match = { document_root = \"/srv/shop\" }\nmode = \"enforce\"\n[vhost.egress]\nallow = [\"192.88.1.25:587\"]\n",
    );
    let path = config.display();
    let explain = |arguments: &[&str]| {
        let done = run(place.portcullis().args(["explain", "--config"]).arg(&config).args(arguments));
        assert!(done.status.success(), "{}", text(&done.stderr));
        text(&done.stdout)
    };
    let shown = explain(&["--connect", "169.254.169.254:80"]);
    assert!(shown.contains("policy:   the global one\n"), "{shown}");
    assert!(shown.contains("verdict:  allowed, with an event\n"), "{shown}");
    assert!(shown.contains(&format!("clause:   deny: deny = \"169.254.169.254:*\" ({path}:3)\n")), "{shown}");
    assert!(
        shown.contains(
            "else:     metadata service: metadata service 169.254.169.254 (default) (built in): allowed, with an event"
        ),
        "{shown}"
    );
    // A connect of a UDP socket sends nothing, on any port: the answer is about what is sent.
    let shown = explain(&["--connect", "192.88.1.10:9", "--udp"]);
    assert!(shown.contains("asked:    may it send a datagram to 192.88.1.10:9?\n"), "{shown}");
    assert!(shown.contains("rule:     egress-port, mode audit\n"), "{shown}");
    for request in
        [&["--vhost", "shop"][..], &["--document-root", "/srv/shop"], &["--document-root", "/srv//shop/./sub"]]
    {
        let shown = explain(&[request, &["--connect", "192.88.1.25:587"]].concat());
        assert!(shown.contains(&format!("policy:   virtual host shop ({path}:5)\n")), "{shown}");
        assert!(shown.contains(&format!("clause:   allow: allow = \"192.88.1.25:587\" ({path}:10)\n")), "{shown}");
        assert!(shown.contains("blocked, with an event") && shown.contains("why:      card data"), "{shown}");
    }
    let shown = explain(&["--exec", "/usr/sbin/sendmail -t -i", "--json"]);
    let json: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&json["verdict"], &json["clauses"][0]["step"]), (&"allowed".into(), &"allow".into()));
    let code = |arguments: &[&str]| run(place.portcullis().args(["explain"]).args(arguments)).status.code();
    assert_eq!(code(&[]), Some(2));
    assert_eq!(code(&["--connect", "x", "--exec", "y"]), Some(2));
    let config = config.to_str().expect("a path");
    assert_eq!(code(&["--config", config, "--connect", "name.example:80"]), Some(1));
    assert_eq!(code(&["--config", config, "--vhost", "nobody", "--exec", "id"]), Some(1));
}

/// An event that a real server caused is explained by the clause that it names.
#[test]
fn explain_of_a_logged_event() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let guard = place.guard("[[vhost]]\nname = \"all\"\nmatch = { document_root = \"/\" }\nmode = \"enforce\"\n");
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.pages()));
    for way in ["system", "sockets%20udp%20v6"] {
        http::get(nginx.port, &format!("/way.php?way={way}"));
        let event = guard.events().all().pop().expect("an event");
        let mut command = place.portcullis();
        command.args(["explain", "--json", "--config"]).arg(&guard.config).arg("--event").arg(&guard.log);
        let json: Value = serde_json::from_slice(&run(&mut command).stdout).expect("JSON");
        assert_eq!(json["verdict"], "blocked, with an event");
        assert_eq!(json["clauses"][0]["clause"], event["portcullis"]["clause"]);
        assert_eq!((&json["rule"], &json["vhost"]), (&event["rule"]["id"], &"all".into()));
    }
}
