//! docs/events/: one event of each rule as real nginx and PHP-FPM cause it, held against what they cause now.

use crate::harness::{Fpm, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, children, enter, http, named, wait_until};
use serde_json::{Map, Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One harmless act for each rule, and some that no rule is about.
const PAGE: &str = r#"<?php
error_reporting(0);
function start($command, $environment = null, $in = ['file', '/dev/null', 'r']) {
    $process = proc_open($command, [0 => $in, 1 => ['pipe', 'w']], $pipes, null, $environment);
    stream_get_contents($pipes[1]);
    return proc_close($process);
}
function udp($host, $port) { socket_sendto(socket_create(AF_INET, SOCK_DGRAM, 0), 'x', 1, 0, $host, $port); }
switch ($_GET['do']) {
    case 'egress-port': fsockopen('OUTSIDE', 4444); break;
    case 'shell-spawn': system('id'); break;
    case 'exec-place': copy('/bin/true', __DIR__ . '/uploads/x'); chmod(__DIR__ . '/uploads/x', 0755); start([__DIR__ . '/uploads/x']); break;
    case 'exec-tool': start(['/usr/bin/whoami']); break;
    case 'stdio-socket': start(['/usr/bin/true'], null, stream_socket_client('tcp://OUTSIDE:8080')); break;
    case 'loader-env': start(['/usr/bin/true'], ['LD_PRELOAD' => __DIR__ . '/uploads/x.so']); break;
    case 'listen-port': stream_socket_server('tcp://127.0.0.1:4470'); break;
    case 'dns-direct': udp('OUTSIDE', 53); break;
    case 'metadata': udp('169.254.169.254', 80); break;
    case 'exec-unguarded': start(['/usr/bin/chage', '--help']); break;
    case 'fpm-socket': stream_socket_client('unix://SOCKET'); break;
    case 'process-memory': start(['/usr/bin/perl', '-e', 'open F, "+<", "/proc/self/mem"']); break;
    case 'namespace': start(['/usr/bin/unshare', '-U', '/usr/bin/true']); break;
    case 'silent':
        fsockopen('OUTSIDE', 8080);
        fsockopen('10.1.2.3', 4444);
        start(['/usr/bin/sort', '/dev/null']);
        mail('a@example.com', 'subject', 'body');
        break;
}
"#;

/// Where the examples stand.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events")
}

/// The example of a rule.
pub fn example(rule: &str) -> Value {
    let path = folder().join(format!("{rule}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every rule's word, and that of the guard's own events.
pub fn rules() -> impl Iterator<Item = &'static str> {
    portcullis_policy::RULE_WORDS.into_iter().chain(["guard-policy"])
}

/// An event of each rule, from real servers.
fn seen() -> Vec<Value> {
    enter();
    assert!(
        Command::new("ip").args(["address", "add", "169.254.169.254/32", "dev", "lo"]).status().expect("ip").success()
    );
    let _listeners = Listeners::on(&[4444, 8080]);
    let place = Place::new();
    let shop = place.join("shop");
    place.write(
        "shop/index.php",
        &PAGE.replace("OUTSIDE", OUTSIDE4).replace("SOCKET", place.join("fpm.sock").to_str().expect("a path")),
    );
    let uploads = shop.join("uploads");
    std::fs::create_dir(&uploads).expect("a folder");
    std::fs::set_permissions(&uploads, std::fs::Permissions::from_mode(0o777)).expect("permissions");
    let config =
        format!("mode = \"audit\"\n[[vhost]]\nname = \"shop\"\nmatch = {{ document_root = \"{}\" }}\n", shop.display());
    let guard = place.guard(&config);
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let location = fpm.nginx_location(&shop);
    let settings = location.replace("location ~ \\.php$", "location = /settings.php");
    let settings = settings.replace("$fastcgi_script_name", "/index.php");
    let settings = settings.replace(" fastcgi_pass", " fastcgi_param PHP_VALUE \"precision=9\"; fastcgi_pass");
    let server = format!("{settings}\n{location}");
    let server = server.replace("fastcgi_pass", "fastcgi_param DOCUMENT_ROOT SHOP; fastcgi_pass");
    let nginx = Nginx::start(&place, None, &server.replace("SHOP", &shop.display().to_string()));
    let mut events = guard.events();
    http::get(nginx.port, "/index.php?do=silent");
    assert!(events.fresh().is_empty(), "ordinary acts");
    let mut seen = Vec::new();
    for rule in portcullis_policy::RULE_WORDS {
        let path = if rule == "php-ini" { "/settings.php?do=nothing".into() } else { format!("/index.php?do={rule}") };
        http::get(nginx.port, &path);
        let fresh = events.fresh();
        let event = fresh.iter().find(|event| event.text("rule.id") == rule);
        seen.push(event.unwrap_or_else(|| panic!("{rule}: {fresh:#?}")).clone());
    }
    // With a damaged policy, a reload compiles it anew, and says so.
    let policy = guard.policy();
    let mut bytes = std::fs::read(&policy).expect("the policy");
    bytes.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
    std::fs::remove_file(&policy).expect("removed");
    std::fs::write(&policy, bytes).expect("written");
    let workers = children(fpm.process.pid());
    fpm.process.signal(libc::SIGUSR2);
    wait_until("the reload", || children(fpm.process.pid()).iter().all(|worker| !workers.contains(worker)));
    wait_until("the guard's word", || {
        events.fresh().into_iter().any(|event| {
            let own = event.text("rule.id") == "guard-policy";
            if own {
                seen.push(event)
            }
            own
        })
    });
    let text = Value::from(seen).to_string().replace(place.path().to_str().expect("a path"), "/srv/www");
    // The examples have the names of Debian 12.
    let text = text.replace(&named("php-fpmX.Y"), "php-fpm8.2");
    let Ok(Value::Array(seen)) = serde_json::from_str(&text) else { panic!("{text}") };
    seen
}

/// What differs from one run to the next, made the same.
fn settled(mut event: Value) -> Value {
    let mut put = |path: &str, value: Value| {
        if let Some(at) = event.pointer_mut(path) {
            *at = value;
        }
    };
    put("/@timestamp", json!("2026-11-26T03:12:44.108210451Z"));
    put("/event/id", json!("8c1f0e52a7d94b36-1"));
    put("/event/sequence", json!(1));
    put("/portcullis/stream", json!("8c1f0e52a7d94b36"));
    let pid = event["process"]["pid"].as_u64().unwrap_or_default();
    for path in ["/portcullis/detail", "/message"] {
        if let Some(Value::String(text)) = event.pointer_mut(path) {
            *text = text.replace(&format!("/proc/{pid}/"), "/proc/4021/");
        }
    }
    let mut put = |path: &str, value: Value| {
        if let Some(at) = event.pointer_mut(path) {
            *at = value;
        }
    };
    put("/process/pid", json!(4021));
    put("/process/parent/pid", json!(4018));
    put("/http/request/id", json!("53a6b1c0de724f98"));
    put("/host/hostname", json!("web1"));
    // The test starts the master where systemd would, and elsewhere.
    let own = std::env::current_dir().expect("a folder").display().to_string();
    for path in ["/process/working_directory", "/process/parent/working_directory"] {
        if let Some(folder) = event.pointer_mut(path).filter(|folder| **folder == json!(own)) {
            *folder = json!("/");
        }
    }
    if event["portcullis"]["role"] == "master" {
        event["process"]["parent"] = json!({ "pid": 1, "name": "systemd", "executable": "/usr/lib/systemd/systemd" });
    }
    event
}

/// The names of all fields.
pub fn names(event: &Value) -> Vec<String> {
    fn walk(at: &Map<String, Value>, path: &str, out: &mut Vec<String>) {
        for (key, value) in at {
            let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                Value::Object(inner) => walk(inner, &name, out),
                _ => out.push(name),
            }
        }
    }
    let mut out = Vec::new();
    walk(event.as_object().expect("an object"), "", &mut out);
    out
}

#[test]
fn each_example_is_what_real_servers_cause() {
    let update = std::env::var_os("PORTCULLIS_UPDATE").is_some();
    for (rule, event) in rules().zip(seen()) {
        let event = settled(event);
        if update {
            let text = format!("{event:#}\n");
            std::fs::create_dir_all(folder()).expect("a folder");
            std::fs::write(folder().join(format!("{rule}.json")), text).expect("a file");
        }
        assert_eq!(example(rule), event, "docs/events/{rule}.json; PORTCULLIS_UPDATE=1 writes it anew");
    }
}
