//! examples/siem/shipping/: the events of three hosts on their way to a centre, by the programs of the distribution, while the
//! centre is killed, a cable is cut and the senders are killed. Nothing is missing, and nothing is there twice but what the
//! transport sent twice, which its event.id tells.

pub mod host;

use crate::harness::events::hold_against_schema;
use crate::harness::{Fpm, Guard, Nginx, Place, Pool, journald};
use host::{Host, Kept, PATIENCE, certificates, wait_long};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many events each host has.
fn each() -> usize {
    std::env::var("SHIPPED").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000)
}

/// How many a request causes.
const OF_REQUEST: usize = 50;

const PAGE: &str =
    "<?php for ($i = 0; $i < COUNT; $i++) { @stream_socket_client('udp://192.88.1.10:4444'); usleep(400); }";

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/siem/shipping").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Puts what both sides need where the examples have it.
pub fn prepared(host: &Host, certificates: &Path, name: &str, confs: Vec<(&'static str, String)>) {
    let (from, name) = (certificates.to_owned(), name.to_owned());
    host.run(move || {
        std::fs::create_dir_all("/etc/portcullis/tls").expect("a folder");
        std::fs::create_dir_all("/etc/portcullis/ship").expect("a folder");
        std::fs::create_dir_all("/var/log/portcullis").expect("a folder");
        for (source, to) in
            [("ca.pem".into(), "ca.pem"), (format!("{name}.pem"), "host.pem"), (format!("{name}.key"), "host.key")]
        {
            std::fs::copy(from.join(source), Path::new("/etc/portcullis/tls").join(to)).expect("a copy");
        }
        std::fs::write("/etc/hosts", "127.0.0.1 localhost\n10.9.0.1 centre.example\n").expect("a file");
        for (path, text) in confs {
            std::fs::create_dir_all(Path::new(path).parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
            if let Some(ship) = path.strip_prefix("/etc/portcullis/ship/").and_then(|name| name.strip_suffix(".conf")) {
                std::fs::create_dir_all(format!("/var/lib/portcullis-ship/{ship}")).expect("a folder");
            }
        }
    });
}

/// What the unit portcullis-ship@NAME starts.
pub fn ship(host: &Host, name: &str) -> Kept {
    let unit = example("portcullis-ship@.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("ExecStart").replace("%i", name);
    host.keep(&line.split(' ').collect::<Vec<_>>())
}

/// A web server: nginx, PHP-FPM with the guard, a journal, and what ships.
struct Web {
    host: Host,
    _place: Arc<Place>,
    log: PathBuf,
    by_journal: Kept,
    by_file: Kept,
    upload: Kept,
    _servers: (crate::harness::Process, Fpm, Nginx),
    /// Is to outlive them.
    _guard: Guard,
}

fn web(number: usize, centre: &Host, certificates: &Path) -> Web {
    let host = Host::new(&format!("web{number}"));
    centre.cable(&format!("to{number}"), &host, &format!("10.9.0.1{number}"));
    let (journal, file) = (example("journal.conf"), example("file.conf"));
    let confs = vec![
        ("/etc/portcullis/ship/journal.conf", journal),
        // The test tells what came by the file from what came by the journal.
        ("/etc/portcullis/ship/file.conf", file.replace("\"2514\"", "\"2515\"")),
        ("/etc/systemd/journal-upload.conf.d/portcullis.conf", example("journal-upload.conf")),
        (
            "/etc/systemd/journald.conf.d/test.conf",
            "[Journal]\nStorage=volatile\nRuntimeMaxUse=1G\nRateLimitIntervalSec=0\n".into(),
        ),
    ];
    prepared(&host, certificates, &format!("web{number}.web.example"), confs);
    let (place, guard, servers) = host.run(|| {
        let journald = journald();
        let place = Arc::new(Place::new());
        place.write("www/many.php", &PAGE.replace("COUNT", &OF_REQUEST.to_string()));
        let log = PathBuf::from("/var/log/portcullis/events.jsonl");
        let config = place
            .write("etc/portcullis.toml", "mode = \"audit\"\n[log]\nsink = [\"journald\", \"file\"]\nmerge = false\n");
        let guard = Guard::new(&place, config, log);
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        (place, guard, (journald, fpm, nginx))
    });
    let log = guard.log.clone();
    let (by_journal, by_file) = (ship(&host, "journal"), ship(&host, "file"));
    let upload = host.keep(&[
        "/lib/systemd/systemd-journal-upload",
        "--save-state=/var/lib/upload-state",
        "--directory=/run/log/journal",
    ]);
    Web { host, _place: place, log, by_journal, by_file, upload, _servers: servers, _guard: guard }
}

impl Web {
    /// How many events it has written.
    fn written(&self) -> usize {
        let log = self.log.clone();
        let lines =
            |path: &Path| std::fs::read(path).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
        self.host.run(move || lines(&log) + lines(&rotated(&log)))
    }
}

/// What a log is rotated to.
fn rotated(log: &Path) -> PathBuf {
    log.with_extension("jsonl.1")
}

/// Events by host and sequence number: how often each came, and under which ids.
#[derive(Default)]
struct Came {
    seen: BTreeMap<(String, usize), (usize, String)>,
    twice: usize,
}

impl Came {
    /// Takes a line as it came; looks for what it needs as text, since there are many.
    fn take(&mut self, line: &str) {
        let after = |mark: &str| {
            let rest = &line[line.find(mark).unwrap_or_else(|| panic!("no {mark}: {line}")) + mark.len()..];
            rest[..rest.find('"').expect("an end")].to_owned()
        };
        let (host, id) = (after("\"hostname\":\""), after("\"event\":{\"id\":\""));
        let number = id.split_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or_else(|| panic!("{id}"));
        let entry = self.seen.entry((host, number)).or_insert_with(|| (0, id.clone()));
        entry.0 += 1;
        assert_eq!(entry.1, id, "another event with the same number");
        self.twice += usize::from(entry.0 > 1);
        if self.seen.len() < 20 {
            hold_against_schema(&serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        }
    }

    fn expect_all(&self, way: &str, hosts: &[&str]) {
        let all = hosts.iter().flat_map(|host| (1..=each()).map(|number| ((*host).to_owned(), number)));
        let missing: Vec<(String, usize)> = all.filter(|one| !self.seen.contains_key(one)).collect();
        assert!(
            missing.is_empty(),
            "{way}: {} are missing: {:?}",
            missing.len(),
            missing.iter().take(30).collect::<Vec<_>>()
        );
        assert_eq!(self.seen.len(), hosts.len() * each(), "{way}");
        println!("{way}: {} events, {} of them came twice", self.seen.len(), self.twice);
    }
}

/// A growing file of the centre's, and what came by it.
struct Arrivals {
    path: &'static str,
    read: u64,
    came: Came,
}

impl Arrivals {
    fn of(path: &'static str) -> Arrivals {
        Arrivals { path, read: 0, came: Came::default() }
    }

    /// Takes what came since; gives how many there are.
    fn look(&mut self, centre: &Host) -> usize {
        let (path, from) = (self.path, self.read);
        let bytes = centre.run(move || {
            use std::io::{Read, Seek, SeekFrom};
            let mut bytes = Vec::new();
            if let Ok(mut file) = std::fs::File::open(path) {
                file.seek(SeekFrom::Start(from)).expect("a place");
                file.read_to_end(&mut bytes).expect("the file");
            }
            bytes
        });
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in std::str::from_utf8(&bytes[..whole]).expect("UTF-8").lines() {
            self.came.take(line);
        }
        self.read += whole as u64;
        self.came.seen.len()
    }
}

/// Which of the hosts' events the journals at the centre have.
fn from_journals(centre: &Host) -> Came {
    let text = centre.run(|| {
        let journals = ["-D", "/var/log/journal/remote", "-t", "portcullis", "-o", "cat", "--no-pager"];
        Command::new("journalctl").args(journals).output().expect("journalctl").stdout
    });
    let mut came = Came::default();
    for line in String::from_utf8(text).expect("UTF-8").lines() {
        came.take(line);
    }
    came
}

/// Whoever has no certificate of the centre's authority may not write to it.
fn strangers_are_refused(host: &Host) {
    host.command(
        "test $(curl -s --cacert /etc/portcullis/tls/ca.pem -o /dev/null -w '%{http_code}' --data x https://centre.example:19532/upload) = 400",
    );
    for port in [2514, 2515] {
        host.command(&format!(
            "! echo | openssl s_client -connect centre.example:{port} -CAfile /etc/portcullis/tls/ca.pem -ign_eof > /dev/null 2>&1"
        ));
    }
}

#[test]
fn nothing_is_lost_on_the_way() {
    // What every host sees.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let names = ["web1", "web2", "web3"];
    certificates(folder.path(), &["centre.example", "web1.web.example", "web2.web.example", "web3.web.example"]);
    let centre = Host::new("centre");
    centre.command("ip link add br0 type bridge; ip address add 10.9.0.1/24 dev br0; ip link set br0 up");
    let conf = example("centre.conf");
    let other = conf
        .replace("\"2514\"", "\"2515\"")
        .replace("fleet.jsonl", "fleet-by-file.jsonl")
        .replace("-ship/centre", "-ship/other");
    let confs = vec![
        ("/etc/portcullis/ship/centre.conf", conf),
        ("/etc/portcullis/ship/other.conf", other),
        ("/etc/systemd/journal-remote.conf.d/portcullis.conf", example("journal-remote.conf")),
        ("/etc/nginx/conf.d/journal-centre.conf", example("journal-centre.nginx.conf")),
        ("/var/log/nginx/.made", String::new()),
        ("/var/log/journal/remote/.made", String::new()),
    ];
    prepared(&centre, folder.path(), "centre.example", confs);
    let takers = [
        ship(&centre, "centre"),
        ship(&centre, "other"),
        centre.keep(&[
            "/lib/systemd/systemd-journal-remote",
            "--listen-http=127.0.0.1:19531",
            "--output=/var/log/journal/remote/",
        ]),
    ];
    let _proxy = centre.keep(&["/usr/sbin/nginx", "-g", "daemon off;"]);
    let webs: Vec<Web> = (1..=3).map(|number| web(number, &centre, folder.path())).collect();
    let requests = each() / OF_REQUEST;
    let clients: Vec<_> = webs
        .iter()
        .map(|web| {
            let line =
                format!("for i in $(seq {requests}); do curl -sS --max-time 60 http://127.0.0.1:8081/many.php; done");
            web.host.start(&["sh", "-c", &line])
        })
        .collect();
    let reached = |part: usize| {
        wait_long("the events to be written", || webs.iter().all(|web| web.written() >= each() * part / 100))
    };

    reached(10);
    let log = webs[1].log.clone();
    webs[1].host.run(move || std::fs::rename(&log, rotated(&log)).expect("rotated"));
    reached(20);
    takers.iter().for_each(|taker| taker.end(libc::SIGKILL));
    reached(40);
    centre.command("ip link set to2 down");
    let cut = Instant::now();
    reached(60);
    for kept in [&webs[0].by_journal, &webs[0].by_file, &webs[0].upload] {
        kept.end(libc::SIGTERM);
    }
    for kept in [&webs[2].by_journal, &webs[2].by_file, &webs[2].upload] {
        kept.end(libc::SIGKILL);
    }
    // Longer than the sender waits before it takes the connection for a dead one, and than a queue that is full waits.
    wait_long("the connection to be given up", || cut.elapsed() > Duration::from_secs(20));
    centre.command("ip link set to2 up");
    let mut clients = clients;
    wait_long("the requests", || clients.iter_mut().all(crate::harness::Process::ended));

    strangers_are_refused(&webs[0].host);
    let all = names.len() * each();
    let (mut by_journal, mut by_file) =
        (Arrivals::of("/var/log/portcullis/fleet.jsonl"), Arrivals::of("/var/log/portcullis/fleet-by-file.jsonl"));
    let begun = Instant::now();
    let mut now = [0; 3];
    while now != [all; 3] && begun.elapsed() < PATIENCE {
        let before = now;
        now = [by_journal.look(&centre), by_file.look(&centre), from_journals(&centre).seen.len()];
        if now != before {
            println!("{now:?} of {all}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    by_journal.came.expect_all("journal, RELP", &names);
    by_file.came.expect_all("file, RELP", &names);
    from_journals(&centre).expect_all("journal-upload", &names);
    drop((webs, takers));
}

/// Further outputs, and what systemd is to start: taken by the programs that they are for.
#[test]
fn every_configuration_is_taken() {
    // What every host sees.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    certificates(folder.path(), &["centre.example"]);
    let host = Host::new("centre");
    let names = ["journal", "file", "centre", "elasticsearch", "kafka"];
    let files = names.map(|name| format!("/etc/portcullis/ship/{name}.conf"));
    let unit = ("/etc/systemd/system/portcullis-ship@.service", example("portcullis-ship@.service"));
    let confs =
        files.iter().zip(names).map(|(path, name)| (path.clone().leak() as &str, example(&format!("{name}.conf"))));
    prepared(&host, folder.path(), "centre.example", confs.chain([unit]).collect());
    let run = |line: String| host.run(move || Command::new("sh").args(["-c", &line]).output().expect("sh"));
    for file in &files {
        let done = run(format!("rsyslogd -N1 -f {file} 2>&1"));
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && !said.contains("error") && said.lines().count() == 2, "{file}: {said}");
    }
    // A mistake is one.
    let done =
        run("sed 's/omkafka/nothing/' /etc/portcullis/ship/kafka.conf > /run/x.conf; rsyslogd -N1 -f /run/x.conf 2>&1"
            .into());
    assert!(String::from_utf8_lossy(&done.stdout).contains("error"), "{done:?}");
    let verify = run("systemd-analyze verify --man=no /etc/systemd/system/portcullis-ship@x.service 2>&1".into());
    assert_eq!(String::from_utf8_lossy(&verify.stdout), "");
}
