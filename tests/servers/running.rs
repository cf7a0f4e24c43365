//! `portcullis ps` and `status` on what workers have started: each such process is named, with the request behind it, whatever it does
//! to its parents, its environment, its namespaces and its name.

use crate::harness::{Fpm, Guard, Nginx, Place, Pool, children, enter, http, wait_until};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

const VHOST: &str = "mode = \"audit\"\n[[vhost]]\nname = \"shop\"\nmode = \"enforce\"\nexec = { mode = \"audit\" }\n\
                     rules = { namespace = { mode = \"audit\" }, exec-unguarded = { mode = \"audit\" }, \
                     exec-place = { mode = \"audit\" } }\nmatch = { document_root = \"WWW\" }\n";

/// Programs that read a FIFO, and so run until the test opens it.
const PAGE: &str = r#"<?php
$fifo = 'FIFO';
$quiet = '> /dev/null 2>&1 < /dev/null';
switch ($_GET['way']) {
    case 'live': shell_exec("cat $fifo; true"); break;
    case 'reparented': shell_exec("(cat $fifo $quiet &); true"); break;
    case 'cleared': shell_exec("(/bin/busybox env -i /bin/busybox cat $fifo $quiet &); true"); break;
    case 'apart': shell_exec("(unshare --user --map-root-user --pid --mount --fork cat $fifo $quiet &); true"); break;
    // Its name is the supervisor's; of the files that it is to read, one is not there.
    case 'disguised': shell_exec("exec /bin/bash -c '(exec -a portcullis cat supervise $fifo $quiet &); true'"); break;
    case 'leaderless': shell_exec("(PLACE/leaderless $fifo $quiet &); true"); break;
    // Root's library without what the hooks hand down, and one of the page's own.
    case 'alone':
    case 'forged':
        $library = $_GET['way'] == 'alone' ? 'LIBRARY' : 'PLACE/forged/libportcullis.so';
        shell_exec("(/bin/busybox env -i LD_PRELOAD=$library /bin/sh -c '/bin/busybox cat $fifo; true' $quiet &); true");
        break;
    case 'named':
        $large = [];
        for ($at = 0; $at < 9; $at++) { $large["A$at"] = str_repeat('x', 120000); }
        proc_close(proc_open(["PLACE/\x1b[2Jnamed", $fifo], [], $pipes, null, $large));
        break;
}
echo 'done';
"#;

/// A control group of the test's own, as a unit or a container has it.
pub struct ControlGroup {
    folders: Vec<PathBuf>,
}

impl ControlGroup {
    /// A folder for each of `names`, each in the one before.
    pub fn new(names: &[&str]) -> ControlGroup {
        let root = PathBuf::from("/mnt/cgroup");
        if !root.exists() {
            std::fs::create_dir(&root).expect("a folder");
            let done = Command::new("mount").args(["-t", "cgroup2", "none"]).arg(&root).status();
            assert!(done.expect("mount").success());
        }
        let mut folders = vec![root];
        for name in names {
            let folder = folders.last().expect("the root").join(name);
            std::fs::create_dir(&folder).expect("a control group");
            folders.push(folder);
        }
        ControlGroup { folders }
    }

    /// What runs its arguments in it.
    pub fn enter(&self) -> String {
        format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.folders.last().expect("a group").display())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        for folder in self.folders.iter().skip(1).rev() {
            // What is in it, the test's server started.
            let _ = std::fs::write(folder.join("cgroup.kill"), "1");
            wait_until("the control group's processes to end", || std::fs::remove_dir(folder).is_ok());
        }
    }
}

fn ps(place: &Place, arguments: &[&str]) -> Value {
    let done = place.portcullis().args(["ps", "--json"]).args(arguments).output().expect("portcullis ps");
    assert!(done.stdout.is_ascii());
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

fn listed(of: &Value) -> &[Value] {
    of["processes"].as_array().expect("processes")
}

/// Those that a way of the page has started, by their command.
fn of_way<'v>(all: &'v Value, way: &str) -> Vec<&'v Value> {
    let is_of = |process: &&Value| process["request"]["uri"] == format!("/start.php?way={way}");
    listed(all).iter().filter(is_of).collect()
}

fn signs(process: &Value) -> Vec<&str> {
    process["known_by"].as_array().expect("signs").iter().filter_map(Value::as_str).collect()
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn page(place: &Place) -> (PathBuf, Guard) {
    let fifo = place.join("fifo");
    assert!(Command::new("mkfifo").args(["-m", "666"]).arg(&fifo).status().expect("mkfifo").success());
    let named = place.join("\u{1b}[2Jnamed");
    std::fs::copy("/bin/cat", &named).expect("a copy");
    std::fs::set_permissions(&named, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let page = PAGE.replace("FIFO", fifo.to_str().expect("a path"));
    let page = page.replace("LIBRARY", place.library().to_str().expect("a path"));
    place.write("www/start.php", &page.replace("PLACE", place.path().to_str().expect("a path")));
    let guard = place.guard(&VHOST.replace("WWW", place.join("www").to_str().expect("a path")));
    (fifo, guard)
}

/// Each way of the page, and what is known of it.
#[test]
fn each_descendant_is_named_with_its_request() {
    enter();
    let place = Place::new();
    let (fifo, guard) = page(&place);
    let unit = format!("portcullis-ps-{}.service", std::process::id());
    let group = ControlGroup::new(&[&unit]);
    let by = ["/bin/sh", "-c", &group.enter(), "sh"];
    let pool = Pool { lines: "pm.max_children = 4".into(), ..Pool::default() };
    let fpm = Fpm::start_in(&place, Some(&guard), &pool, &by);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    let port = nginx.port;
    assert_eq!(ps(&place, &[&unit])["processes"], json!([]), "workers are no descendants");

    let pending: Vec<_> = ["live", "named"]
        .map(|way| std::thread::spawn(move || http::get(port, &format!("/start.php?way={way}")).body))
        .into();
    for way in ["reparented", "cleared", "apart"] {
        assert_eq!(http::get(port, &format!("/start.php?way={way}")).body, "done");
    }
    // sh and cat; the named one; cat; busybox; unshare and its cat.
    let mut all = Value::Null;
    wait_until("every program", || {
        all = ps(&place, &[&unit]);
        let reads = |process: &&Value| {
            process["command"]
                .as_str()
                .is_some_and(|command| !command.starts_with("sh -c") && command.ends_with("/fifo"))
        };
        listed(&all).iter().filter(reads).count() == 6 && listed(&all).len() == 7
    });
    assert_eq!((&all["lacks"], &all["complete"]), (&json!([]), &json!(true)));

    let live = of_way(&all, "live");
    assert_eq!(live.len(), 2, "{all:#}");
    for process in &live {
        assert_eq!(signs(process), ["parent", "control-group", "library", "environment"], "{process:#}");
        let known = ["reparented", "confirmed", "contradicted", "guarded", "fork"].map(|name| process[name] == true);
        assert_eq!(known, [false, true, false, true, false], "{process:#}");
        assert_eq!((&process["vhost"], &process["unit"]), (&json!("shop"), &json!(unit)));
        let request = &process["request"];
        assert_eq!((&request["method"], &request["client"]), (&json!("GET"), &json!("127.0.0.1")));
        assert_eq!(process["user"]["name"], "www-data");
        assert!(children(fpm.process.pid()).contains(&(process["worker"].as_i64().expect("a worker") as i32)));
    }
    let [shell, cat] = ["sh -c", "cat"].map(|begin| {
        *live
            .iter()
            .find(|process| process["command"].as_str().is_some_and(|said| said.starts_with(begin)))
            .expect(begin)
    });
    assert_eq!((&cat["parent"]["pid"], &shell["parent"]["pid"]), (&shell["pid"], &shell["worker"]));
    assert_eq!(cat["chain"], "php-fpm: pool www > sh > cat");

    let [reparented] = of_way(&all, "reparented")[..] else { panic!("{all:#}") };
    assert_eq!(signs(reparented), ["control-group", "library", "environment"]);
    assert_eq!((&reparented["reparented"], &reparented["confirmed"]), (&json!(true), &json!(true)));

    // Nothing in it tells of a request.
    let unknown: Vec<&Value> = listed(&all).iter().filter(|process| process["request"].is_null()).collect();
    let [cleared] = unknown[..] else { panic!("{all:#}") };
    assert_eq!((signs(cleared), &cleared["guarded"]), (vec!["control-group"], &json!(false)));
    assert_eq!((&cleared["reparented"], &cleared["vhost"]), (&json!(true), &Value::Null));
    assert!(cleared["program"].as_str().is_some_and(|program| program.ends_with("/busybox")));

    let apart = of_way(&all, "apart");
    let nested = apart.iter().find(|process| process["command"].as_str().is_some_and(|said| said.starts_with("cat")));
    let nested = nested.expect("in a namespace of its own");
    assert_eq!(nested["own_namespaces"], json!({ "pid": true, "mount": true }));
    assert_eq!((&nested["unit"], &nested["container"], apart.len()), (&json!(unit), &Value::Null, 2));

    let [named] = of_way(&all, "named")[..] else { panic!("{all:#}") };
    assert_eq!(named["name"], "\u{1b}[2Jnamed");

    // What is asked for, and how much of it is not known.
    let shop = ps(&place, &[&unit, "--vhost", "shop"]);
    assert_eq!((listed(&shop).len(), &shop["left_out_unknown"]), (6, &json!(1)));
    let id = reparented["request"]["id"].as_str().expect("a number");
    let asked = ps(&place, &["--request", id]);
    assert_eq!(listed(&asked).iter().map(|process| &process["pid"]).collect::<Vec<_>>(), [&reparented["pid"]]);
    let none = ps(&place, &[&unit, "--vhost", "other"]);
    assert_eq!((listed(&none).len(), &none["left_out_unknown"]), (0, &json!(1)));

    // In words, and by `status`.
    for verb in [&["ps", &unit][..], &["status"]] {
        let done = place.portcullis().args(verb).output().expect("portcullis");
        let said = said(&done);
        assert!(!said.contains("\u{1b}[2J") && said.contains("\\u{1b}[2Jnamed"), "{said}");
        assert!(said.contains("reparented") && said.contains("/start.php?way=live"), "{said}");
    }
    let done = place.portcullis().arg("status").output().expect("status");
    assert_eq!(done.status.code(), Some(1), "one is not guarded");
    let said = said(&done);
    let part = said.split("\n\n").find(|part| part.contains(&unit)).expect("the unit");
    assert!(
        part.contains("  5 processes guarded") && part.contains("  7 descendants of its workers run still"),
        "{part}"
    );
    assert!(part.contains("NOT GUARDED") && part.contains("and 2 more"), "{part}");
    assert!(part.contains("modes of shop: enforce: "), "{part}");
    let status = place.portcullis().args(["status", "--json"]).output().expect("status");
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let shown =
        status["units"].as_array().expect("units").iter().find(|known| known["unit"] == unit).expect("the unit");
    assert_eq!(shown["descendants"].as_array().map(Vec::len), Some(7));
    let vhosts = &shown["policies"][0]["vhosts"][0];
    assert_eq!((&vhosts["names"], &vhosts["mode"]["php-ini"]), (&json!(["shop"]), &json!("enforce")));
    let metrics = ["status", "--prometheus", "-", "--log", "/dev/null", "--state"];
    let metrics = place.portcullis().args(metrics).arg(place.join("state")).output().expect("status");
    let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
    for (name, count) in [("guarded_processes", 5), ("descendant_processes", 7)] {
        assert!(metrics.contains(&format!("portcullis_{name}{{unit=\"{unit}\"}} {count}\n")), "{metrics}");
    }

    // Other users see what they may, and what they may not.
    let as_user = |user: &str, group: &str, verb: &[&str]| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", user, "--regid", group, "--clear-groups"])
            .arg(place.join("bin/portcullis"))
            .args(verb);
        command.output().expect("setpriv")
    };
    let own = as_user("www-data", "www-data", &["ps", &unit, "--json"]);
    let seen: Value = serde_json::from_slice(&own.stdout).expect("JSON");
    assert_eq!(own.status.code(), Some(1));
    let [reparented] = of_way(&seen, "reparented")[..] else { panic!("{seen:#}") };
    assert_eq!((&reparented["vhost"], &reparented["confirmed"]), (&json!("shop"), &json!(false)));
    assert!(seen["lacks"][0].as_str().is_some_and(|lack| lack.contains("cannot be read")), "{seen:#}");
    let lack = String::from_utf8_lossy(&own.stderr).into_owned();
    assert!(seen["complete"] == false && lack.contains("incomplete: "), "{lack}");
    let status = as_user("nobody", "nogroup", &["status"]);
    let [text, lack] = [&status.stdout, &status.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    assert_eq!(status.status.code(), Some(1));
    assert!(text.contains("applied policy") && lack.contains("help: sudo "), "{text}{lack}");
    assert!(!text.contains("NOT GUARDED"), "unknown is not unguarded: {text}");

    drop(std::fs::OpenOptions::new().write(true).open(&fifo).expect("the FIFO"));
    for request in pending {
        assert_eq!(request.join().expect("an answer"), "done");
    }
    wait_until("all to end", || listed(&ps(&place, &[&unit])).is_empty());
    drop((nginx, fpm));
    let gone = place.portcullis().args(["ps", &unit]).output().expect("ps");
    assert_eq!(gone.status.code(), Some(1), "no process of the unit");
}

/// The supervisor is the server's own; what takes its name is not.
#[test]
fn a_supervisor_is_no_descendant_and_a_descendant_no_supervisor() {
    enter();
    let place = Place::new();
    let (fifo, guard) = page(&place);
    let text = std::fs::read_to_string(&guard.config).expect("the configuration");
    std::fs::write(&guard.config, text + "[backstop]\nseccomp = \"supervise\"\n").expect("the configuration");
    let unit = format!("portcullis-supervised-{}.service", std::process::id());
    let group = ControlGroup::new(&[&unit]);
    let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &["/bin/sh", "-c", &group.enter(), "sh"]);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    let mut all = Value::Null;
    let mut is = |wanted: &[&str]| {
        wait_until("the descendants", || {
            all = ps(&place, &[&unit]);
            let names: Vec<&str> = listed(&all).iter().filter_map(|process| process["name"].as_str()).collect();
            names == wanted
        });
        all.clone()
    };
    assert_eq!(http::get(nginx.port, "/start.php?way=").body, "done");
    wait_until("the supervisor", || crate::backstop::supervisors(fpm.process.pid()).len() == 3);
    is(&[]);
    assert_eq!(http::get(nginx.port, "/start.php?way=disguised").body, "done");
    let all = is(&["cat"]);
    let process = &listed(&all)[0];
    assert!(
        process["command"].as_str().is_some_and(|command| command.starts_with("portcullis supervise ")),
        "{process:#}"
    );
    assert_eq!((&process["vhost"], &process["reparented"]), (&json!("shop"), &json!(true)), "{process:#}");
    drop(std::fs::OpenOptions::new().write(true).open(&fifo).expect("the FIFO"));
    is(&[]);
}

/// What a process says of itself, in its memory, by its environment or by what it lacks, hides neither it nor what it starts.
#[test]
fn a_process_is_known_by_what_the_kernel_says() {
    enter();
    let place = Place::new();
    let (fifo, guard) = page(&place);
    let compiled = |source: &str, name: &str, flags: &[&str]| {
        let output = place.join(name);
        std::fs::create_dir_all(output.parent().expect("a folder")).expect("a folder");
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/servers/c").join(source);
        let done = Command::new("cc").args(["-O1", "-w"]).args(flags).arg("-o").arg(&output).arg(source).status();
        assert!(done.expect("cc").success());
        output
    };
    compiled("leaderless.c", "leaderless", &["-pthread"]);
    let forged = compiled("forged.c", "forged/libportcullis.so", &["-shared", "-fPIC"]);
    std::os::unix::fs::chown(forged, Some(33), Some(33)).expect("chown");
    let unit = format!("portcullis-facts-{}.service", std::process::id());
    let group = ControlGroup::new(&[&unit]);
    let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &["/bin/sh", "-c", &group.enter(), "sh"]);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    for (way, count) in [("leaderless", 1), ("alone", 2), ("forged", 2)] {
        assert_eq!(http::get(nginx.port, &format!("/start.php?way={way}")).body, "done");
        let mut all = Value::Null;
        wait_until(way, || {
            all = ps(&place, &[&unit]);
            let has = |begin: &str| {
                listed(&all)
                    .iter()
                    .any(|process| process["command"].as_str().is_some_and(|said| said.starts_with(begin)))
            };
            let is_whole = way == "leaderless" || has("/bin/sh -c /bin/busybox cat ") && has("/bin/busybox cat ");
            listed(&all).len() == count && is_whole
        });
        for process in listed(&all) {
            assert!(signs(process).contains(&"control-group") && process["confirmed"] == true, "{way}: {process:#}");
        }
        let first = &listed(&all)[0];
        match way {
            "leaderless" => {
                assert_eq!(first["request"]["uri"], "/start.php?way=leaderless", "{first:#}");
                assert_eq!((&first["guarded"], &first["vhost"]), (&json!(true), &json!("shop")), "{first:#}");
                assert!(first["program"].as_str().is_some_and(|program| program.ends_with("/leaderless")), "{first:#}");
            }
            // Root's library is there, and its role is not believed.
            "alone" => assert_eq!((&first["guarded"], &first["reparented"]), (&json!(true), &json!(true)), "{first:#}"),
            _ => assert!(
                first["guarded"] == false && first["why"].as_str().is_some_and(|why| why.contains("forged/")),
                "{first:#}"
            ),
        }
        let status = place.portcullis().arg("status").output().expect("status");
        let said = said(&status);
        let part = said.split("\n\n").find(|part| part.contains(&unit)).expect("the unit");
        assert!(!part.contains("9.9.9") && !part.contains("1000 decisions"), "{part}");
        drop(std::fs::OpenOptions::new().write(true).open(&fifo).expect("the FIFO"));
        wait_until("it to end", || listed(&ps(&place, &[&unit])).is_empty());
    }
    drop((nginx, fpm));
}

/// Each event is of a decision, also that of a socket which a program inherits.
#[test]
fn the_counters_of_a_unit_add_up() {
    enter();
    let place = Place::new();
    let page = r"<?php
        $sockets = [];
        foreach ([4441, 4442, 4443] as $port) {
            $sockets[] = $socket = socket_create(AF_INET, SOCK_DGRAM, 0);
            socket_connect($socket, '192.88.1.10', $port);
        }
        for ($round = 0; $round < 4; $round++) {
            proc_close(proc_open(['/usr/bin/whoami'], [1 => ['file', '/dev/null', 'w']], $pipes));
        }
        echo 'done';";
    place.write("www/start.php", page);
    let guard = place.guard("mode = \"audit\"\n");
    let unit = format!("portcullis-counters-{}.service", std::process::id());
    let group = ControlGroup::new(&[&unit]);
    let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &["/bin/sh", "-c", &group.enter(), "sh"]);
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    assert_eq!(http::get(nginx.port, "/start.php").body, "done");
    let status = place.portcullis().args(["status", "--json"]).output().expect("status");
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let shown = status["units"].as_array().expect("units").iter().find(|known| known["unit"] == unit);
    let counters = &shown.expect("the unit")["counters"];
    let [decisions, audits, denials] =
        ["decisions", "audits", "denials"].map(|name| counters[name].as_u64().expect("a number"));
    // The connects, the programs, and each socket in each program.
    assert!(audits == 3 + 4 + 3 * 4 && denials == 0, "{counters:#}");
    assert!(decisions >= audits + denials, "{counters:#}");
    let status = place.portcullis().arg("status").output().expect("status");
    let said = said(&status);
    let part = said.split("\n\n").find(|part| part.contains(&unit)).expect("the unit");
    assert!(part.contains("decisions: rules triggered in 19, of which 19 went ahead and 0 were blocked; "), "{part}");
    drop((nginx, fpm));
}

/// A unit of a container has the name of one of the host's, and is none.
#[test]
fn a_container_is_not_mixed_in() {
    enter();
    let place = Place::new();
    let (_, guard) = page(&place);
    let [outer, unit] = ["", ".service"].map(|end| format!("portcullis-container-{}{end}", std::process::id()));
    let group = ControlGroup::new(&[&outer, "system.slice", &unit]);
    let by = ["/bin/sh", "-c", &group.enter(), "sh", "unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let fpm = Fpm::start_in(&place, Some(&guard), &Pool::default(), &by);
    let status = place.portcullis().args(["status", "--json"]).output().expect("status");
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let units = status["units"].as_array().expect("units");
    assert!(units.iter().all(|known| known["unit"] != unit), "{status:#}");
    let path = format!("/{outer}/system.slice/{unit}");
    let found = units.iter().find(|known| known["container"]["control_group"] == path).expect("the container");
    assert!(found["processes"].as_array().is_some_and(|all| all.len() >= 3), "{found:#}");
    let pid = found["processes"][0]["pid"].as_u64().expect("a number");
    let link = std::fs::read_link(format!("/proc/{pid}/ns/pid")).expect("a namespace");
    assert_eq!(link.to_str(), Some(format!("pid:[{}]", found["container"]["pid_namespace"]).as_str()));
    fpm.process.signal(libc::SIGKILL);
}
