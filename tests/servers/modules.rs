//! The modules inside the servers, and any other server by the C API: the request from the server's own configuration.

use crate::harness::{Apache, Guard, Kind, Listeners, Nginx, Parts, Place, Process, enter, http, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

const HOSTS: [&str; 3] = ["shop", "blog", "other"];

const POLICY: &str = r#"
mode = "audit"
[[vhost]]
name = "shop"
match = { server_name = "shop.example", server_name_from = "module" }
mode = "enforce"
[[vhost]]
name = "blog"
match = { server_name = "blog.example" }
[vhost.egress]
allow = ["192.88.1.10:4444"]
[[vhost]]
name = "admin"
match = { profile = "admin" }
mode = "enforce"
"#;

/// `make` builds the modules before the tests; scripts/torture has others, in another folder of target/.
fn module(name: &str) -> PathBuf {
    let folder = std::env::var("PORTCULLIS_MODULES").unwrap_or_else(|_| "modules".into());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(folder).join(name);
    assert!(path.exists(), "build first: scripts/modules");
    path
}

/// Virtual hosts with the module; the document roots of all lie in `www`.
fn configuration(place: &Place, more: &str) -> String {
    let copy = place.join("mod_portcullis.so");
    std::fs::copy(module("mod_portcullis.so"), &copy).expect("the module");
    let mut text = format!("LoadModule portcullis_module {}\n{more}\n", copy.display());
    for host in HOSTS {
        let root = place.join("www").join(host);
        std::fs::create_dir_all(root.join("admin")).expect("a folder");
        let page = place.join("www/act.php");
        std::fs::copy(&page, root.join("act.php")).expect("a page");
        std::fs::copy(&page, root.join("admin/act.php")).expect("a page");
        text += &format!(
            "<VirtualHost *:8082>\nServerName {host}.example\nDocumentRoot {root}\n\
             <Directory {root}/admin>\nPortcullisProfile admin\n</Directory>\n</VirtualHost>\n",
            root = root.display()
        );
    }
    text
}

fn guard(place: &Place) -> Guard {
    place.pages();
    place.guard_of_every_event(POLICY)
}

fn of_request(event: &Value) -> [&str; 4] {
    ["portcullis.request.state", "portcullis.vhost", "url.domain", "url.original"].map(|path| event.text(path))
}

#[test]
fn apache_prefork_with_mod_php() {
    enter();
    let place = Place::new();
    let guard = guard(&place);
    let extra = configuration(&place, "StartServers 1\nMinSpareServers 1\nMaxSpareServers 1\nServerLimit 1");
    let apache = Apache::start(&place, Some(&guard), Kind::ModPhp, None, &extra);
    let mut events = guard.events();
    let mut ask = |host: &str, path: &str| {
        let body = http::get_host(apache.port, host, path).body;
        let mut fresh = events.fresh();
        assert_eq!(fresh.len(), 1, "{host}{path}: {fresh:#?}");
        (body, fresh.remove(0))
    };
    for _ in 0..3 {
        let (body, event) = ask("shop.example", "/act.php?do=shell");
        assert_eq!(
            (body.as_str(), of_request(&event)),
            ("false", ["known", "shop", "shop.example", "/act.php?do=shell"])
        );
        assert_eq!(event.text("portcullis.request.source"), "module");
        assert!(event.text("portcullis.request.script").ends_with("/www/shop/act.php"), "{event}");
        let (body, event) = ask("blog.example", "/act.php?do=shell");
        assert_eq!((body.as_str(), of_request(&event)[1]), ("true", "blog"));
        let (_, event) = ask("other.example", "/act.php?do=shell");
        assert_eq!(of_request(&event)[1..3], ["", "other.example"]);
        // A Host that is no virtual host's is served by the first, and judged as the first.
        let (_, event) = ask("blog.example.forged", "/act.php?do=shell");
        assert_eq!(of_request(&event)[1..3], ["shop", "shop.example"]);
        let (body, event) = ask("blog.example", "/admin/act.php?do=shell");
        assert_eq!((body.as_str(), of_request(&event)[1]), ("false", "admin"));
        assert_eq!(event.text("portcullis.request.profile"), "admin");
        // After the answer was sent there still is the request; a descendant has it too.
        let (_, event) = ask("blog.example", "/act.php?do=shutdown");
        assert_eq!(of_request(&event)[1], "blog");
    }
}

/// How many requests a burst has.
const REQUESTS: usize = 20_000;

/// Requests to all hosts at concurrency 16: the token in each URI, and its host.
fn burst(port: u16, path: &(dyn Fn(usize) -> String + Sync)) -> BTreeMap<String, &'static str> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|thread| {
                scope.spawn(move || {
                    let mut asked = BTreeMap::new();
                    for number in (thread..REQUESTS).step_by(16) {
                        let host = HOSTS[(number * 7 + thread) % 3];
                        let path = path(number);
                        http::get_host(port, &format!("{host}.example"), &path);
                        asked.insert(path, host);
                    }
                    asked
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    })
}

/// Each request of `asked` that the policy does not allow has its event, with the right host.
fn hold(guard: &Guard, asked: &BTreeMap<String, &str>, silent: &str) {
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for event in guard.events().all() {
        let uri = event.text("url.original").to_owned();
        assert!(seen.insert(uri.clone(), event).is_none(), "{uri} twice");
    }
    for (path, host) in asked {
        if *host == silent {
            assert!(!seen.contains_key(path), "{path}");
            continue;
        }
        let event = seen.remove(path).unwrap_or_else(|| panic!("{path} is missing"));
        let vhost = if *host == "other" { "" } else { host };
        assert_eq!(of_request(&event), ["known", vhost, &format!("{host}.example"), path]);
        assert_eq!(event.text("event.outcome"), if *host == "shop" { "failure" } else { "success" });
    }
    assert!(seen.is_empty(), "{seen:#?}");
}

#[test]
fn apache_prefork_under_load() {
    enter();
    let place = Place::new();
    let guard = guard(&place);
    let apache = Apache::start(&place, Some(&guard), Kind::ModPhp, None, &configuration(&place, ""));
    let asked = burst(apache.port, &|number| format!("/act.php?do=shell&token={number}"));
    hold(&guard, &asked, "nobody");
}

/// Under the threaded MPMs each request is on a thread of a pool; what it does in the process is to connect upstream.
#[test]
fn apache_worker_and_event_under_load() {
    for mpm in ["worker", "event"] {
        std::thread::spawn(move || {
            enter();
            let _listeners = Listeners::on(&[4444]);
            let place = Place::new();
            let guard = guard(&place);
            let proxy = "LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so\n\
                         LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so\n\
                         ProxyPassMatch ^/up http://192.88.1.10:4444/ disablereuse=On\n";
            let vhosts = configuration(&place, proxy)
                .replace("</VirtualHost>", "ProxyPass /up http://192.88.1.10:4444/ disablereuse=On\n</VirtualHost>");
            let vhosts = vhosts.replace("ProxyPassMatch ^/up http://192.88.1.10:4444/ disablereuse=On\n", "");
            let kind = if mpm == "worker" { Kind::Worker } else { Kind::Event };
            let apache = Apache::start(&place, Some(&guard), kind, None, &vhosts);
            let asked = burst(apache.port, &|number| format!("/up?token={number}"));
            hold(&guard, &asked, "blog");
        })
        .join()
        .expect(mpm);
    }
}

#[test]
fn apache_http2() {
    enter();
    let place = Place::new();
    let guard = guard(&place);
    let _listeners = Listeners::on(&[4444]);
    let more = "LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so\nProtocols h2c http/1.1\n\
                LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so\n\
                LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so\n";
    let vhosts = configuration(&place, more)
        .replace("</VirtualHost>", "ProxyPass /up http://192.88.1.10:4444/ disablereuse=On\n</VirtualHost>");
    let apache = Apache::start(&place, Some(&guard), Kind::Event, None, &vhosts);
    let mut asked = BTreeMap::new();
    for number in 0..60 {
        let host = HOSTS[number % 3];
        let path = format!("/up?token={number}");
        let done = Command::new("curl")
            .args([
                "-sS",
                "--http2-prior-knowledge",
                "--max-time",
                "20",
                "-o",
                "/dev/null",
                "-w",
                "%{http_version}",
                "-H",
            ])
            .arg(format!("Host: {host}.example"))
            .arg(format!("http://127.0.0.1:{}{path}", apache.port))
            .output()
            .expect("curl");
        assert_eq!(String::from_utf8_lossy(&done.stdout), "2", "{}", String::from_utf8_lossy(&done.stderr));
        asked.insert(path, host);
    }
    hold(&guard, &asked, "blog");
}

#[test]
fn what_apaches_module_says_at_start() {
    enter();
    let place = Place::new();
    let guard = guard(&place);
    let extra = configuration(&place, "LogLevel notice\nPortcullisProfile nosuch");
    // Apache answers before it has opened its log.
    let log = || std::fs::read_to_string(place.join("apache-error.log")).unwrap_or_default();
    let apache = Apache::start(&place, Some(&guard), Kind::Event, None, &extra);
    let warning = "the Portcullis policy has no virtual host whose match has the profile nosuch";
    wait_until("the warning", || log().contains(warning));
    drop(apache);
    assert!(!log().contains("profile admin"), "{}", log());
    assert!(!log().contains("guard is not loaded"));
    std::fs::remove_file(place.join("apache-error.log")).expect("removed");
    let apache = Apache::start(&place, None, Kind::Event, None, &extra);
    assert!(http::get_host(apache.port, "shop.example", "/act.php").status == 200);
    assert_eq!(log().matches("the guard is not loaded").count(), 1, "{}", log());
}

/// nginx's configuration with the module, at its top and in its servers: a server for each host that passes everything to
/// an outside port.
fn nginx_configuration(place: &Place, more: &str) -> (String, String) {
    let copy = place.join("ngx_http_portcullis_module.so");
    std::fs::copy(module("ngx_http_portcullis_module.so"), &copy).expect("the module");
    let mut servers = String::new();
    for host in HOSTS {
        let root = place.join("www").join(host);
        servers += &format!(
            "}}\nserver {{ listen 127.0.0.1:8081; server_name {host}.example; root {};\n\
             location / {{ proxy_pass http://192.88.1.10:4444; }}\n\
             location /admin/ {{ portcullis_profile admin; proxy_pass http://192.88.1.10:4444; }}\n",
            root.display()
        );
    }
    (format!("load_module {};", copy.display()), servers + more)
}

fn nginx(place: &Place, guard: Option<&Guard>) -> Nginx {
    let (top, servers) = nginx_configuration(place, "");
    Nginx::start_with(place, guard, &top, &servers, 8081)
}

#[test]
fn nginx_upstreams() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let guard = guard(&place);
    let nginx = nginx(&place, Some(&guard));
    let mut events = guard.events();
    for _ in 0..3 {
        assert_eq!(http::get_host(nginx.port, "shop.example", "/a?b").status, 502);
        let event = events.fresh().remove(0);
        assert_eq!(of_request(&event), ["known", "shop", "shop.example", "/a?b"]);
        assert_eq!((event.text("portcullis.request.source"), event.text("client.ip")), ("module", "127.0.0.1"));
        assert!(event.text("portcullis.request.document_root").ends_with("/www/shop"));
        assert_eq!(http::get_host(nginx.port, "blog.example", "/").status, 200);
        assert_eq!(events.fresh().len(), 0, "allowed for the blog");
        assert_eq!(http::get_host(nginx.port, "other.example", "/").status, 200);
        assert_eq!(of_request(&events.fresh()[0])[..3], ["known", "", "other.example"]);
        assert_eq!(http::get_host(nginx.port, "blog.example", "/admin/").status, 502);
        assert_eq!(of_request(&events.fresh()[0])[1], "admin");
    }
}

#[test]
fn nginx_upstreams_under_load() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let guard = guard(&place);
    let nginx = nginx(&place, Some(&guard));
    let asked = burst(nginx.port, &|number| format!("/up?token={number}"));
    hold(&guard, &asked, "blog");
}

#[test]
fn what_nginxs_module_says_at_start() {
    enter();
    let place = Place::new();
    let guard = guard(&place);
    let (top, servers) = nginx_configuration(&place, "location /x { portcullis_profile nosuch; }");
    let test = |guard: Option<&Guard>| {
        let mut command = Nginx::command_with(&place, &top, &servers, 8081);
        if let Some(guard) = guard {
            guard.load(&mut command);
        }
        let done = command.arg("-t").output().expect("nginx");
        assert!(done.status.success());
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let guarded = test(Some(&guard));
    assert!(guarded.contains("no virtual host whose match has the profile nosuch in"), "{guarded}");
    assert!(!guarded.contains("profile admin") && !guarded.contains("not loaded"), "{guarded}");
    let bare = test(None);
    assert!(bare.contains("guard is not loaded") && !bare.contains("nosuch"), "{bare}");
    let _listeners = Listeners::on(&[4444]);
    let nginx = nginx(&place, None);
    assert_eq!(http::get_host(nginx.port, "shop.example", "/").status, 200, "without the guard it does nothing");
}

#[test]
fn any_server_by_the_c_api() {
    enter();
    let place = Place::new();
    let guard = guard(&place);
    let program = place.join("server");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/c-api/server.c");
    let built = Command::new("cc").args(["-Wall", "-Werror", "-pthread", "-o"]).arg(&program).arg(source).status();
    assert!(built.expect("cc").success());
    let start = |guard: Option<&Guard>| {
        let mut command = Command::new(&program);
        command.arg("8084");
        let process = Process::start(command, guard);
        wait_until("the server", || TcpStream::connect(("127.0.0.1", 8084)).is_ok());
        process
    };
    let bare = start(None);
    assert_eq!(http::get(8084, "/shop").body, "0\n", "without the guard it does nothing");
    drop(bare);
    let _process = start(Some(&guard));
    let mut events = guard.events();
    for _ in 0..4 {
        assert_eq!(http::get(8084, "/shop").body, "-1\n");
        assert_eq!(of_request(&events.fresh()[0]), ["known", "shop", "shop.example", "/shop"]);
        assert_eq!(http::get(8084, "/blog").body, "0\n");
        assert_eq!(of_request(&events.fresh()[0])[1], "blog");
        assert_eq!(http::get(8084, "/blog/admin").body, "-1\n");
        assert_eq!(of_request(&events.fresh()[0])[1], "admin");
        http::get(8084, "/blog/after");
        let fresh = events.fresh();
        assert_eq!(fresh.len(), 2);
        assert_eq!(of_request(&fresh[0])[..2], ["known", "blog"]);
        assert_eq!(of_request(&fresh[1]), ["none", "", "", ""], "it has ended");
    }
}
