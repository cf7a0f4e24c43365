//! The rules beside the first two, in real nginx + PHP-FPM: each fires on its own, in audit and in enforce, and is silent on
//! what only looks like it. docs/rules/ is held against what the events say.

use crate::harness::{Events, Fpm, Guard, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, enter, every_rule, http};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Pages, each of which does one thing, and prints whether that was done. What is behind a `+` is for the next two to use.
const PAGE: &str = r#"<?php
error_reporting(0);
function start($command, $environment = null, $in = ['file', '/dev/null', 'r']) {
    $p = proc_open($command, [0 => $in, 1 => ['pipe', 'w']], $q, null, $environment);
    if (!is_resource($p)) { return 'no'; }
    $text = stream_get_contents($q[1]);
    return proc_close($p) === 0 ? 'yes' : 'no';
}
function connected($port) { $s = stream_socket_client("tcp://192.88.1.10:$port"); return $s; }
function udp($host, $port) {
    $s = socket_create(AF_INET, SOCK_DGRAM, 0);
    return socket_sendto($s, 'x', 1, 0, $host, $port) === 1 ? 'yes' : 'no';
}
function python($code) { return start(['/usr/bin/python3', '-S', '-c', "import ctypes\n$code"]); }
function own($name, $mode = 0755) { copy('/bin/true', "WORK/$name"); chmod("WORK/$name", $mode); return "WORK/$name"; }
$ways = [
    'place writable' => fn() => start([own('tool')]),
    'place writable file' => fn() => start(['WWW/file']),
    'place tmp' => function () { copy('/bin/true', '/tmp/portcullis-test'); chmod('/tmp/portcullis-test', 0755);
        $done = start(['/tmp/portcullis-test']); unlink('/tmp/portcullis-test'); return $done; },
    'place hidden' => fn() => start(['WWW/.hidden']),
    'place ordinary' => fn() => start(['/usr/bin/true']),
    'place of the application' => fn() => start(['WWW/helper']),
    'tool whoami' => fn() => start(['whoami']),
    'tool perl' => fn() => start(['/usr/bin/perl', '-e', '1']),
    'tool by version' => fn() => start(['/usr/bin/python3', '-c', '']),
    'tool none' => fn() => start(['/usr/bin/sort', '/dev/null']),
    'tool allowed' => fn() => start(['/usr/bin/uname', '-r']),
    'stdio socket' => fn() => start(['/usr/bin/true'], null, connected(8080)),
    'stdio file' => fn() => start(['/usr/bin/true'], null, ['file', '/dev/null', 'r']),
    'loader preload' => fn() => start(['/usr/bin/true'], ['LD_PRELOAD' => '/nowhere/x.so']),
    'loader putenv' => function () { putenv('LD_AUDIT=/nowhere/y.so'); $done = start(['/usr/bin/true']); putenv('LD_AUDIT'); return $done; },
    'loader library path' => fn() => start(['/usr/bin/true'], ['LD_LIBRARY_PATH' => '/nowhere']),
    'loader allowed' => fn() => start(['/usr/bin/true'], ['LD_LIBRARY_PATH' => '/opt/vendor/lib']),
    'loader of the pool' => fn() => start(['/usr/bin/true'], ['LD_BIND_NOW' => '1']),
    'listen' => fn() => stream_socket_server('tcp://127.0.0.1:4470') ? 'yes' : 'no',
    'listen udp' => fn() => stream_socket_server('udp://127.0.0.1:4471', $n, $t, STREAM_SERVER_BIND) ? 'yes' : 'no',
    'listen udp ephemeral' => fn() => stream_socket_server('udp://127.0.0.1:40471', $n, $t, STREAM_SERVER_BIND) ? 'yes' : 'no',
    'listen tcp ephemeral' => fn() => stream_socket_server('tcp://127.0.0.1:40471') ? 'yes' : 'no',
    'listen allowed' => fn() => stream_socket_server('tcp://127.0.0.1:4472') ? 'yes' : 'no',
    'listen unix' => function () { $s = stream_socket_server('unix://WORK/s'); unlink('WORK/s'); return $s ? 'yes' : 'no'; },
    'dns outside' => fn() => udp('192.88.1.10', 53),
    'dns by tls' => fn() => connected(853) ? 'yes' : 'no',
    'dns inside' => fn() => udp('10.1.2.3', 53),
    'dns allowed' => fn() => udp('10.1.2.4', 53),
    'dns loopback' => fn() => udp('127.0.0.1', 53),
    'metadata' => fn() => udp('169.254.169.254', 80),
    'unguarded setgid' => fn() => start(['WWW/setgid']),
    'unguarded static' => fn() => start(['WWW/static']),
    'unguarded allowed' => fn() => start(['WWW/mailer']),
    'unguarded by its command' => fn() => start(['WWW/setgid', 'one', 'thing']),
    'unguarded by another' => fn() => start(['WWW/setgid', 'one', 'other']),
    'memory of a child' => fn() => python('open("/proc/self/mem", "r+b", 0)'),
    'memory by a symlink' => function () { symlink('/proc/self/mem', 'WORK/file'); $done = python('open("WORK/file", "wb", 0)'); unlink('WORK/file'); return $done; },
    'memory to read' => fn() => python('open("/proc/self/mem", "rb", 0)'),
    'memory beside' => fn() => python('open("/proc/self/comm", "w")'),
    'namespace' => fn() => python('assert ctypes.CDLL(None).unshare(0x10000000) == 0'),
    'namespace by number' => fn() => python('assert ctypes.CDLL(None).syscall(NUMBER, 0x10000000) == 0'),
    'namespace none' => fn() => python('assert ctypes.CDLL(None).unshare(0x400) == 0'),
    'metadata beside' => fn() => udp('169.254.169.250', 80),
];
$way = $_GET['way'];
if ($way === 'ini') { echo ini_get('precision'); return; }
echo $ways[$way]();
"#;

/// A program that is static.
fn without_loader(path: &Path) {
    let source = path.with_extension("c");
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("a file");
    let done = Command::new("cc").arg("-static").arg("-o").arg(path).arg(&source).status();
    assert!(done.expect("cc").success());
    std::fs::remove_file(source).expect("removed");
}

struct Site {
    guard: Guard,
    events: Events,
    port: u16,
    _servers: (Fpm, Nginx),
}

/// The site, with the rules in one mode and what the rest of the configuration says.
fn site(place: &Place, mode: &str) -> Site {
    let (www, work) = (place.join("www"), place.join("work"));
    for (folder, mode) in [(&www, 0o755), (&work, 0o777)] {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::set_permissions(folder, PermissionsExt::from_mode(mode)).expect("permissions");
    }
    for (name, mode) in [("file", 0o777), (".hidden", 0o755), ("helper", 0o755), ("setgid", 0o2755), ("mailer", 0o2755)]
    {
        std::fs::copy("/bin/true", www.join(name)).expect("a copy");
        std::fs::set_permissions(www.join(name), PermissionsExt::from_mode(mode)).expect("permissions");
    }
    without_loader(&www.join("static"));
    let page = PAGE.replace("NUMBER", &libc::SYS_unshare.to_string());
    let page = page.replace("WORK", work.to_str().expect("a path")).replace("WWW", www.to_str().expect("a path"));
    place.write("www/rules.php", &page);
    let more = [
        ("[rules.loader-env]\n", "allow = [\"/opt/vendor/lib\"]\n"),
        ("[rules.listen-port]\n", "allow = [4472]\n"),
        ("[rules.dns-direct]\n", "resolvers = [\"default\", \"10.1.2.4\"]\n"),
        (
            "[rules.exec-unguarded]\n",
            "allow = [\"default\", \"/srv/*/www/mailer\"]\nreasons = [\"setuid\", \"static\", \"foreign\"]\n",
        ),
        ("[rules.php-ini]\n", "allow = [\"memory_limit\"]\n"),
    ];
    let config = more.iter().fold(every_rule(mode), |text, (rule, keys)| text.replace(rule, &format!("{rule}{keys}")))
        + &format!(
            "[exec]\nallow = [\"default\", \"uname -r\", \"/usr/bin/uname -r\", \"/usr/bin/python3 -S -c *\", \"{} one thing\"]\n",
            www.join("setgid").display()
        );
    let guard = place.guard(&config);
    let fpm = Fpm::start(place, Some(&guard), &Pool { lines: "env[LD_BIND_NOW] = 1".into(), ..Pool::default() });
    let php = fpm.nginx_location(&www);
    let setting = |path: &str, value: &str| {
        let php = php.replace("location ~ \\.php$", &format!("location = /{path}.php"));
        php.replace("$fastcgi_script_name", "/rules.php")
            .replace(" fastcgi_pass", &format!(" fastcgi_param PHP_VALUE \"{value}\"; fastcgi_pass"))
    };
    let location = format!(
        "{php}\n{}\n{}",
        setting("expected", "memory_limit=64M"),
        setting("unexpected", "memory_limit=64M\\nprecision=9")
    );
    let nginx = Nginx::start(place, Some(&guard), &location);
    let events = guard.events();
    Site { guard, events, port: nginx.port, _servers: (fpm, nginx) }
}

impl Site {
    fn ask(&mut self, way: &str) -> (String, Vec<Value>) {
        let answer = http::get(self.port, &format!("/rules.php?way={}", way.replace(' ', "%20")));
        (answer.body, self.events.fresh())
    }
}

/// The addresses that the pages speak to.
fn addresses() {
    for address in ["169.254.169.254/32", "169.254.169.250/32", "10.1.2.4/32"] {
        assert!(Command::new("ip").args(["address", "add", address, "dev", "lo"]).status().expect("ip").success());
    }
}

/// Each way, the rule that is about it, and a part of what the event says of it.
const CASES: &[(&str, &str, &str)] = &[
    ("place writable", "exec-place", "writable"),
    ("place writable file", "exec-place", "writable"),
    ("place tmp", "exec-place", "/tmp"),
    ("place hidden", "exec-place", "hidden"),
    ("place ordinary", "", ""),
    ("place of the application", "", ""),
    ("tool whoami", "exec-tool", "whoami"),
    ("tool perl", "exec-tool", "perl"),
    ("tool by version", "exec-tool", "python*"),
    ("tool none", "", ""),
    ("tool allowed", "", ""),
    ("stdio socket", "stdio-socket", "descriptor 0: 192.88.1.10:8080"),
    ("stdio file", "", ""),
    ("loader preload", "loader-env", "LD_PRELOAD=/nowhere/x.so"),
    ("loader putenv", "loader-env", "LD_AUDIT=/nowhere/y.so"),
    ("loader library path", "loader-env", "LD_LIBRARY_PATH=/nowhere"),
    ("loader allowed", "", ""),
    ("loader of the pool", "", ""),
    ("listen", "listen-port", "4470"),
    ("listen udp", "listen-port", "4471"),
    ("listen udp ephemeral", "", ""),
    ("listen tcp ephemeral", "listen-port", "40471"),
    ("listen allowed", "", ""),
    ("listen unix", "", ""),
    ("dns outside", "dns-direct", "53"),
    ("dns by tls", "dns-direct", "853"),
    ("dns inside", "dns-direct", "53"),
    ("dns allowed", "", ""),
    ("dns loopback", "", ""),
    ("metadata", "metadata", "169.254.169.254"),
    ("metadata beside", "", ""),
    ("unguarded setgid", "exec-unguarded", "www/setgid"),
    ("unguarded static", "exec-unguarded", "www/static"),
    ("unguarded allowed", "", ""),
    ("unguarded by its command", "", ""),
    ("unguarded by another", "exec-unguarded", "www/setgid"),
    ("memory of a child", "process-memory", "/mem"),
    ("memory by a symlink", "process-memory", "/mem"),
    ("memory to read", "", ""),
    ("memory beside", "", ""),
    ("namespace", "namespace", "unshare: user"),
    ("namespace by number", "namespace", "unshare: user"),
    ("namespace none", "", ""),
];

#[test]
fn each_fires_on_its_own_and_is_silent_on_the_rest() {
    enter();
    addresses();
    let _listeners = Listeners::on(&[8080, 853]);
    for (mode, outcome) in [("audit", "success"), ("enforce", "failure")] {
        let place = Place::new();
        let mut site = site(&place, mode);
        for &(way, rule, what) in CASES {
            let (answer, events) = site.ask(way);
            assert_eq!(answer, if rule.is_empty() || mode == "audit" { "yes" } else { "no" }, "{mode}: {way}");
            let fired: Vec<&str> = events.iter().map(|event| event.text("rule.id")).collect();
            // A connection on standard input is put there before the program is started, and seen both times.
            let mut wanted = vec![rule];
            if way == "stdio socket" && mode == "audit" {
                wanted.push(rule);
            }
            assert_eq!(fired, if rule.is_empty() { vec![] } else { wanted }, "{mode}: {way}");
            for event in &events {
                assert_eq!(event.text("event.outcome"), outcome, "{way}");
                assert_eq!(event.text("portcullis.request.state"), "known", "{way}");
                assert!(event.to_string().contains(what), "{way}: {what}: {event:#}");
                hold_against_document(event);
            }
        }
        assert_eq!(http::get(site.port, "/expected.php?way=ini").body, "14");
        assert!(site.events.fresh().is_empty());
        let answer = http::get(site.port, "/unexpected.php?way=ini");
        let expected = if mode == "audit" { (200, "9") } else { (502, "") };
        assert!(answer.status == expected.0 && answer.body.contains(expected.1), "{mode}: {answer:?}");
        let events = site.events.fresh();
        let fired: Vec<&str> = events.iter().map(|event| event.text("rule.id")).collect();
        assert_eq!(fired, ["php-ini"]);
        assert_eq!(events[0].text("event.outcome"), outcome);
        assert!(events[0].text("portcullis.detail").contains("precision=9"), "{:#}", events[0]);
        hold_against_document(&events[0]);
        // The worker goes on with the next request.
        assert_eq!(site.ask("place ordinary").0, "yes");
        drop(site.guard);
    }
}

/// `docs/rules/RULE.md` has the rule's title, its severity and its techniques.
fn hold_against_document(event: &Value) {
    let id = event.text("rule.id");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/rules/{id}.md"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.contains(event.text("rule.name")), "{id}: {}", event.text("rule.name"));
    let severity = event.pointer("/event/severity").and_then(Value::as_u64).expect("a severity");
    if event.pointer("/portcullis/also").is_none() {
        assert!(text.contains(&format!("({severity})")), "{id}: {severity}");
    }
    for path in ["/threat/technique/id", "/threat/technique/subtechnique/id"] {
        for technique in event.pointer(path).and_then(Value::as_array).expect("techniques") {
            assert!(text.contains(technique.as_str().expect("text")), "{id}: {technique}");
        }
    }
    assert!(text.contains("## False positives"), "{id}");
}

/// Without a word of the configuration the rules beside the first two are in audit, also where the mode is enforce; off is off
/// for all.
#[test]
fn they_are_in_audit_unless_something_says_otherwise() {
    enter();
    let _listeners = Listeners::on(&[8080]);
    for (config, answer, outcomes) in [
        ("mode = \"enforce\"", "yes", vec!["success"]),
        ("mode = \"off\"", "yes", vec![]),
        ("mode = \"off\"\n[rules.exec-tool]\nmode = \"enforce\"", "no", vec!["failure"]),
        ("mode = \"enforce\"\n[rules]\nexec-tool = { mode = \"off\" }", "yes", vec![]),
    ] {
        let place = Place::new();
        place.write("www/rules.php", &PAGE.replace("WORK", "/tmp").replace("WWW", "/tmp"));
        let guard = place.guard(config);
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        assert_eq!(http::get(nginx.port, "/rules.php?way=tool%20whoami").body, answer, "{config}");
        let events = guard.events().all();
        assert_eq!(events.iter().map(|event| event.text("event.outcome")).collect::<Vec<_>>(), outcomes, "{config}");
    }
}

/// What nginx resolves for itself at run time, by its own resolver, has a name too.
#[test]
fn an_upstream_that_nginx_resolves_has_a_name() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    place.pages();
    let server = std::net::UdpSocket::bind("127.0.0.1:53").expect("a name server");
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((got, from)) = server.recv_from(&mut query) {
            let mut answer = query[..got].to_vec();
            answer[2] = 0x81;
            answer[3] = 0x80;
            let end = 12 + answer[12..].iter().position(|byte| *byte == 0).expect("a name") + 5;
            answer.truncate(end);
            answer[8..12].fill(0);
            if answer[end - 3] == 1 {
                answer[7] = 1;
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 88, 1, 10]);
            }
            let _ = server.send_to(&answer, from);
        }
    });
    let guard = place.guard(
        "mode = \"enforce\"\n[egress]\nallow = [\"*.upstream.example:4444\"]\n[rules.dns-direct]\nresolvers = [\"127.0.0.1\"]",
    );
    let location = "resolver 127.0.0.1 ipv6=off; location /a/ { set $to a.upstream.example; proxy_pass http://$to:4444/; }\n\
                    location /b/ { set $to other.example; proxy_pass http://$to:4444/; }";
    let nginx = Nginx::start(&place, Some(&guard), location);
    assert_eq!(http::get(nginx.port, "/a/").status, 200);
    assert_eq!(http::get(nginx.port, "/b/").status, 502);
    let events = guard.events().all();
    let domains: Vec<&str> = events.iter().map(|event| event.text("destination.domain")).collect();
    assert_eq!(domains, ["other.example"], "{OUTSIDE4} was resolved to two names");
}

/// A datagram socket that only learns its own address is allowed at ports at which a stream is not, and what was allowed once is
/// remembered: not this, which hangs on the kind of socket.
#[test]
fn what_hangs_on_the_socket_is_not_remembered() {
    enter();
    let _listeners = Listeners::on(&[9]);
    let place = Place::new();
    let guard = place.guard("mode = \"enforce\"\n");
    let www = place.pages();
    let page = format!(
        "<?php foreach (['udp', 'udp', 'tcp', 'udp'] as $kind) \
         echo @stream_socket_client(\"$kind://{OUTSIDE4}:9\", $number) ? 'went ahead ' : \"refused $number \";"
    );
    std::fs::write(www.join("kinds.php"), page).expect("a page");
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
    assert_eq!(http::get(nginx.port, "/kinds.php").body, "went ahead went ahead refused 13 went ahead ");
}
