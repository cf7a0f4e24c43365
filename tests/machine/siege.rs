//! A unit in audit and one in enforce under everything at once that a local user and a page can do to the guard's privileged side,
//! while clients ask for pages and root uses its commands: no request is lost, and the events are there.

use crate::distro::named;
use crate::load::{Load, asked};
use crate::machine::{Machine, wait_until};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The ports: nginx with PHP-FPM in enforce, Apache in audit.
const ENFORCE: u16 = 80;
const AUDIT: u16 = 8080;
/// What clients ask for, and what comes.
const PAGES: [(&str, &str); 3] =
    [("/act.php?do=hello", "hello"), ("/act.php?do=command", "www-data\n"), ("/siege.php?with=once+1+1", "sent\n")];
/// How long a command of root's may take, in seconds, beside all of this on two processors.
const COMMAND: u64 = 30;
/// What a page has go on behind it, with how much of it.
const OF_A_PAGE: [&str; 11] = [
    "flood 20",
    "wait 40",
    "flip 4",
    "mute 1",
    "fill 1",
    "kill 1",
    "lock 1",
    "log 1",
    "journal 10",
    "escapes 4",
    "names 100",
];
const OF_ANOTHER: [&str; 6] = ["names 3000", "mute 1", "kill 1", "lock 1", "log 1", "journal 10"];
const POOL: &str = "[www]\nuser = www-data\ngroup = www-data\nlisten = /run/php/phpX.Y-fpm.sock\nlisten.owner = www-data\n\
                    pm = static\npm.max_children = 8\n";
const CONFIG: &str = "[log]\nsink = [\"journald\", \"file\"]\n[exec]\nallow = [\"default\", \"/usr/bin/id -un\"]\n\
                      [rules.exec-tool]\nmode = \"audit\"\n[backstop]\nseccomp = \"supervise\"\n";

/// A minute in the long form of the tests.
fn seconds() -> u64 {
    let is_long = std::env::var_os("TORTURE").is_some_and(|form| form == "long");
    let told = std::env::var("SIEGE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    told.unwrap_or(if is_long { 60 } else { 15 })
}

/// What was not as it should be.
#[derive(Default)]
struct Wrong(Mutex<Vec<String>>);

impl Wrong {
    fn unless(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let what = what();
            println!("wrong: {what}");
            self.0.lock().expect("a list").push(what);
        }
    }
}

/// Installs the guard, with a configuration for each unit, and what the siege needs.
fn prepare(machine: &Machine) {
    machine
        .run("dpkg -i /packages/*.deb && useradd -m mallory && mkdir -p /etc/audit /var/lib/prometheus/node-exporter");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/c/siege.c");
    let done = Command::new("cc")
        .args(["-O1", "-static", "-pthread", "-w", "-o"])
        .arg(machine.file("usr/local/bin/siege"))
        .arg(source)
        .status();
    assert!(done.expect("cc").success());
    for (folder, mode) in [("portcullis", "enforce"), ("audit", "audit")] {
        let text = format!("mode = \"{mode}\"\n{CONFIG}");
        std::fs::write(machine.file(&format!("etc/{folder}/portcullis.toml")), text).expect("a file");
    }
    std::fs::write(machine.file("etc/php/X.Y/fpm/pool.d/www.conf"), named(POOL)).expect("a file");
    machine.run("sed -i 's/^;*process_control_timeout.*/process_control_timeout = 20s/' /etc/php/X.Y/fpm/php-fpm.conf");
    let pages = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nUser=www-data\nExecStart=/usr/bin/php -S 127.0.0.1:8001 -t /var/www/html\n";
    std::fs::write(machine.file("etc/systemd/system/pages.service"), pages).expect("a file");
    let audit = "[Service]\nUMask=0077\nEnvironment=PORTCULLIS_CONFIG=/etc/audit/portcullis.toml\n";
    for unit in ["apache2", "pages"] {
        machine.run(&format!("mkdir -p /etc/systemd/system/{unit}.service.d"));
        std::fs::write(machine.file(&format!("etc/systemd/system/{unit}.service.d/audit.conf")), audit)
            .expect("a file");
    }
    // An archive of half a gigabyte, and a FIFO, among files that a log was rotated to.
    machine.run("install -d -o mallory /home/mallory/logs && echo '{}' > /home/mallory/logs/a.jsonl && mkfifo /home/mallory/logs/a.jsonl.1");
    let bomb = format!("head -c 512M /dev/zero | xz -0 > {}", machine.file("home/mallory/logs/a.jsonl.2.xz").display());
    assert!(Command::new("sh").args(["-c", &bomb]).status().expect("sh").success());
    machine.run("systemctl daemon-reload && systemctl stop apache2 nginx phpX.Y-fpm && rm -rf /run/portcullis");
}

/// Another local user's, each as a unit of its own.
fn another(machine: &Machine, what: &str, seconds: u64) {
    let (name, _) = what.split_once(' ').expect("a number");
    machine.run(&format!(
        "systemd-run --quiet --collect --unit=siege-{name} --uid=mallory -p LimitNOFILE=16384 \
         /usr/local/bin/siege {what} {seconds} /home/mallory/forged"
    ));
}

/// What must be an event, in either unit: a shell, and a datagram that no hook sees.
fn mark(machine: &Machine, wrong: &Wrong, when: &str) {
    let wanted = [(ENFORCE, "refused", "Permission denied\n"), (AUDIT, "www-data\n", "sent\n")];
    for (port, shell, datagram) in wanted {
        for (page, wanted) in [("act.php?do=shell", shell), ("siege.php?with=marker+1+1", datagram)] {
            let said = asked(machine, port, &format!("/{page}&mark={when}-{port}"));
            wrong.unless(said.as_deref() == Ok(wanted), || format!("{page} {when} at {port}: {said:?}"));
        }
    }
}

/// Looks for these in the journal and in the file.
fn marked(machine: &Machine, wrong: &Wrong) {
    for (sink, file) in [("the journal", ""), ("the file", "--rotated /var/log/portcullis/events.jsonl")] {
        let text = machine.run(&format!("timeout 60 portcullis events --json {file} 2>/dev/null || true"));
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        for when in ["before", "during", "after"] {
            for (port, outcome) in [(ENFORCE, "failure"), (AUDIT, "success")] {
                for (page, rule) in [("act.php?do=shell", "shell-spawn"), ("siege.php?with=marker+1+1", "egress-port")]
                {
                    let url = format!("/{page}&mark={when}-{port}");
                    let is_it = |event: &&Value| {
                        event["url"]["original"] == url.as_str()
                            && event["rule"]["id"] == rule
                            && event["event"]["outcome"] == outcome
                            && !event["portcullis"]["contradicted"].is_object()
                    };
                    wrong.unless(events.iter().any(|event| is_it(&event)), || {
                        format!("{rule} of {url} is not in {sink}")
                    });
                }
            }
        }
        let forged = events.iter().filter(|event| event["message"] == "forged by another").collect::<Vec<_>>();
        let believed = forged.iter().filter(|event| !event["portcullis"]["contradicted"].is_object()).count();
        println!("{sink}: {} events, {} forged by another", events.len(), forged.len());
        wrong.unless(sink != "the journal" || !forged.is_empty() && believed == 0, || {
            format!("{believed} of {} forged entries of {sink} are believed", forged.len())
        });
    }
}

/// Root's commands, again and again; how long the slowest took.
fn commands(machine: &Machine, wrong: &Wrong, stop: &AtomicBool) {
    let all = [
        "portcullis status",
        "portcullis events --since 1min",
        "portcullis events --since 1min --table",
        "portcullis status --prometheus -",
        "systemctl start portcullis-metrics.service",
        "ulimit -v 1000000; portcullis events --rotated /home/mallory/logs/a.jsonl",
    ];
    let mut slowest = all.map(|_| Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        for (command, slowest) in all.iter().zip(&mut slowest) {
            let begun = Instant::now();
            let done = machine.try_run(&format!("timeout {COMMAND} bash -c '{command}'"));
            *slowest = begun.elapsed().max(*slowest);
            wrong.unless(matches!(done.status.code(), Some(0 | 1)), || format!("{command}: {done:?}"));
            let raw = String::from_utf8_lossy(&done.stdout).chars().find(|&at| {
                at.is_control() && !"\n\t".contains(at)
                    || matches!(at, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            });
            wrong.unless(raw.is_none(), || format!("{command} gives a terminal {raw:?}"));
        }
    }
    all.iter().zip(slowest).for_each(|(command, time)| println!("slowest: {time:.1?} {command}"));
}

/// A server that never was root, whose supervisor its own user may kill, is started and stopped meanwhile.
fn starts(machine: &Machine, wrong: &Wrong, stop: &AtomicBool) {
    let mut slowest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let done = machine.try_run(&format!("timeout {COMMAND} systemctl restart pages"));
        slowest = begun.elapsed().max(slowest);
        wrong.unless(done.status.success(), || format!("pages: {done:?}"));
        let begun = Instant::now();
        let mut said = asked(machine, 8001, PAGES[0].0);
        while said.is_err() && begun.elapsed() < Duration::from_secs(COMMAND) {
            said = asked(machine, 8001, PAGES[0].0);
        }
        wrong.unless(said.as_deref() == Ok("hello"), || format!("pages: {said:?}"));
        std::thread::sleep(Duration::from_secs(1));
    }
    println!("slowest start: {slowest:.1?}");
}

fn supervisors(machine: &Machine) -> usize {
    machine.run("pgrep -c -f '^portcullis supervise' || true").trim().parse().expect("a number")
}

#[test]
fn two_units_stand_everything_at_once() {
    let (machine, wrong) = (Machine::boot(), Wrong::default());
    prepare(&machine);
    // The names are taken before the servers begin.
    another(&machine, OF_ANOTHER[0], 600);
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    let units = "apache2 phpX.Y-fpm nginx pages";
    let restart = format!("timeout 60 systemctl restart {units}");
    let done = machine.try_run(&format!("portcullis install {units} --module && {restart}"));
    wrong.unless(done.status.success(), || format!("the start took {:?}: {done:?}", begun.elapsed()));
    let first = [AUDIT, ENFORCE].map(|port| asked(&machine, port, PAGES[0].0));
    let is_there = first.iter().all(|said| said.as_deref() == Ok("hello"));
    wrong.unless(is_there, || format!("the first pages: {first:?}"));
    if !is_there {
        machine.run(&format!("systemctl stop siege-names; {restart}"));
    }
    mark(&machine, &wrong, "before");
    wait_until("an event", || machine.events().len() > 2);
    let mut forged = machine.events().remove(0);
    forged["message"] = "forged by another".into();
    forged["portcullis"]["role"] = "\u{1b}[2J\u{9b}\u{202e}\u{2028}".into();
    forged["process"]["pid"] = "\u{1b}[2J\u{9b}\u{202e}\u{2028}".into();
    std::fs::write(machine.file("home/mallory/forged"), forged.to_string() + "\n").expect("a file");
    let before = supervisors(&machine);
    let mode = machine.run("stat -c %a /run/portcullis");
    wrong.unless(mode.trim() == "755", || format!("/run/portcullis has the mode {mode}"));

    let seconds = seconds();
    machine.run("cp /run/portcullis/policy /home/mallory/ && chown mallory /home/mallory/policy");
    machine.run(&format!(
        "systemd-run --quiet --collect --unit=siege-silent /usr/local/bin/siege silent 1 {}; \
         systemd-run --quiet --collect --unit=siege-maps --uid=mallory /usr/local/bin/siege maps 1 {0} /home/mallory",
        seconds + 10
    ));
    OF_ANOTHER[1..].iter().for_each(|what| another(&machine, what, seconds));
    for (port, what) in [ENFORCE, AUDIT].into_iter().flat_map(|port| OF_A_PAGE.map(|what| (port, what))) {
        let with = format!("behind {what} {seconds} /home/mallory/forged").replace(' ', "+");
        let said = asked(&machine, port, &format!("/siege.php?with={with}"));
        wrong.unless(said.as_deref() == Ok(""), || format!("{what} at {port}: {said:?}"));
    }
    let stop = AtomicBool::new(false);
    let loads = [Load::new("enforce", ENFORCE), Load::new("audit", AUDIT)];
    std::thread::scope(|scope| {
        for load in &loads {
            (0..2).for_each(|client| {
                drop(scope.spawn({
                    let (machine, stop) = (&machine, &stop);
                    move || load.run(machine, client, &PAGES, stop)
                }))
            });
        }
        scope.spawn(|| commands(&machine, &wrong, &stop));
        scope.spawn(|| starts(&machine, &wrong, &stop));
        std::thread::sleep(Duration::from_secs(seconds) / 2);
        let there = machine.run("pgrep -c -x siege || true");
        wrong.unless(there.trim().parse::<u32>().is_ok_and(|there| there > 150), || format!("a siege of {there}"));
        mark(&machine, &wrong, "during");
        let done = machine.try_run("timeout 60 systemctl reload apache2 phpX.Y-fpm nginx");
        wrong.unless(done.status.success(), || format!("the reload: {done:?}"));
        std::thread::sleep(Duration::from_secs(seconds) / 2);
        stop.store(true, Ordering::Relaxed);
    });
    for load in &loads {
        let lost = load.report();
        wrong
            .unless(lost.is_empty(), || format!("{} requests were lost: {:?}", lost.len(), &lost[..lost.len().min(3)]));
    }
    wait_until("the end of the siege", || ["0", "1"].contains(&machine.run("pgrep -c -x siege || true").trim()));
    machine.try_run("systemctl stop siege-names");
    mark(&machine, &wrong, "after");
    std::thread::sleep(Duration::from_secs(2));
    marked(&machine, &wrong);
    let after = supervisors(&machine);
    println!("{before} processes of supervisors before, {after} after");
    // Three for each unit.
    wrong.unless(after <= 12, || format!("{after} processes of supervisors"));
    machine.run(&format!("systemctl stop {units}"));
    std::thread::sleep(Duration::from_secs(3));
    wrong.unless(supervisors(&machine) == 0, || "supervisors outlive their servers".to_owned());
    let wrong = wrong.0.into_inner().expect("a list");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
