//! Policy and proof per virtual host: in one PHP-FPM behind one nginx, and by every way that a request is known.

use crate::harness::{
    Apache, Fpm, Guard, Kind, Listeners, Nginx, Parts, Place, Pool, Process, enter, http, wait_until,
};
use serde_json::Value;
use std::process::Command;

/// Three virtual hosts of different policy.
const POLICY: &str = r#"
mode = "audit"
[[vhost]]
name = "shop"
why = "the shop starts nothing"
match = { document_root = "WWW/shop" }
mode = "enforce"
[[vhost]]
name = "blog"
match = { server_name = "blog.example" }
[vhost.egress]
allow = ["192.88.1.10:4444"]
[[vhost]]
name = "wiki"
match = { server_name = "*.wiki.example", document_root = "WWW/wiki" }
[vhost.exec]
mode = "off"
"#;

/// Puts the pages of four hosts, one of which no policy knows, under `www/`.
fn pages(place: &Place) {
    let www = place.pages();
    for host in ["shop", "blog", "wiki", "other"] {
        std::fs::create_dir(www.join(host)).expect("a folder");
        std::fs::copy(www.join("act.php"), www.join(host).join("act.php")).expect("a page");
    }
}

pub fn guard(place: &Place, replace: (&str, &str)) -> Guard {
    pages(place);
    place.guard_of_every_event(
        &POLICY.replace("WWW", place.join("www").to_str().expect("a path")).replace(replace.0, replace.1),
    )
}

/// Starts nginx with a server for each host, all with the one pool behind them.
pub fn nginx(place: &Place, fpm: &Fpm, keep: bool) -> Nginx {
    let www = place.join("www");
    let mut more = String::new();
    for (host, name) in
        [("shop", "shop.example"), ("blog", "blog.example"), ("wiki", "de.wiki.example"), ("other", "other.example")]
    {
        let root = www.join(host);
        more += &format!(
            "}}\nserver {{ listen 127.0.0.1:8081; server_name {name}; root {}; client_max_body_size 20m;\n{}\n",
            root.display(),
            fpm.nginx_location(&root)
        );
    }
    if keep {
        more = more.replace(&format!("unix:{}", fpm.socket.display()), "kept; fastcgi_keep_conn on");
        more += &format!("}}\nupstream kept {{ server unix:{}; keepalive 4;\n", fpm.socket.display());
    }
    Nginx::start(place, None, &more)
}

pub fn last(guard: &Guard) -> Value {
    guard.events().all().pop().expect("an event")
}

/// What an event says of its request: state, virtual host, host, URI.
pub fn of_request(event: &Value) -> [&str; 4] {
    ["portcullis.request.state", "portcullis.vhost", "url.domain", "url.original"].map(|path| event.text(path))
}

#[test]
fn one_pool_many_hosts_and_none_touches_another() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    for (keep, port) in [(false, None), (true, None), (false, Some(9000))] {
        let place = Place::new();
        let guard = guard(&place, ("", ""));
        let lines = "pm.max_children = 1".into();
        let fpm = Fpm::start(&place, Some(&guard), &Pool { lines, port, ..Pool::default() });
        let nginx = nginx(&place, &fpm, keep);
        let mut events = guard.events();
        let mut ask = |host: &str, what: &str| {
            let answer = http::get_host(nginx.port, host, &format!("/act.php?do={what}")).body;
            let fresh = events.fresh();
            (answer, fresh)
        };
        // A, B, A, none, over one worker, again and again.
        for _ in 0..3 {
            let (answer, fresh) = ask("shop.example", "shell");
            assert_eq!((answer.as_str(), fresh.len()), ("false", 1));
            assert_eq!(of_request(&fresh[0]), ["known", "shop", "shop.example", "/act.php?do=shell"]);
            assert_eq!(fresh[0].text("portcullis.why"), "the shop starts nothing");
            assert_eq!(fresh[0].text("portcullis.chain"), "php-fpm: pool www > sh");
            assert_eq!(fresh[0].text("client.ip"), "127.0.0.1");
            assert_eq!(fresh[0].text("http.request.method"), "GET");
            assert_eq!(fresh[0].text("portcullis.request.source"), "nginx");
            assert_eq!(fresh[0].text("portcullis.request.pool"), "www");
            assert!(fresh[0].text("portcullis.request.script").ends_with("/www/shop/act.php"));
            let (answer, fresh) = ask("blog.example", "shell");
            assert_eq!((answer.as_str(), fresh.len()), ("true", 1));
            assert_eq!(of_request(&fresh[0])[1..3], ["blog", "blog.example"]);
            let (answer, fresh) = ask("blog.example", "connect");
            assert_eq!((answer.as_str(), fresh.len()), ("true", 0), "allowed for the blog");
            let (answer, fresh) = ask("shop.example", "connect");
            assert_eq!((answer.as_str(), fresh.len()), ("false", 1), "and for nobody else");
            let (answer, fresh) = ask("de.wiki.example", "shell");
            assert_eq!((answer.as_str(), fresh.len()), ("true", 0), "off");
            let (answer, fresh) = ask("de.wiki.example", "connect");
            assert_eq!((answer.as_str(), fresh.len()), ("true", 1));
            assert_eq!(of_request(&fresh[0])[1], "wiki");
            // A host that no policy knows gets the global one, never the last one.
            let (answer, fresh) = ask("other.example", "shell");
            assert_eq!((answer.as_str(), fresh.len()), ("true", 1));
            assert_eq!(of_request(&fresh[0])[..3], ["known", "", "other.example"]);
        }
    }
}

#[test]
fn a_request_ends_when_the_next_begins() {
    enter();
    let place = Place::new();
    let guard = guard(&place, ("", ""));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = nginx(&place, &fpm, false);
    for what in ["finish", "shutdown", "body", "accept", "reuse"] {
        let path = format!("/act.php?do={what}");
        let before = guard.events().all().len();
        http::get_host(nginx.port, "blog.example", &path);
        wait_until("the event", || guard.events().all().len() > before);
        assert_eq!(of_request(&last(&guard)), ["known", "blog", "blog.example", &path], "{what}");
    }
}

#[test]
fn descendants_are_judged_by_the_request_that_started_them() {
    enter();
    let place = Place::new();
    // The shop only audits here, so that its shell lives to start another.
    let guard = guard(&place, ("mode = \"enforce\"", "mode = \"audit\""));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = nginx(&place, &fpm, false);
    for what in ["nested", "forge"] {
        let mut events = guard.events();
        events.fresh();
        let path = format!("/act.php?do={what}");
        http::get_host(nginx.port, "shop.example", &path);
        let fresh = events.fresh();
        assert_eq!(fresh.len(), 2, "{what}: {fresh:#?}");
        for event in &fresh {
            assert_eq!(of_request(event), ["known", "shop", "shop.example", &path], "{what}");
        }
        assert_eq!(fresh[1].text("portcullis.role"), "descendant");
        assert_eq!(fresh[1].text("portcullis.chain"), "php-fpm: pool www > sh > sh", "{what}");
    }
}

/// A program that is started past the hooks, with what it inherited taken away, gets the strictest policy.
#[test]
fn a_descendant_that_lost_its_request_gets_the_strictest_policy() {
    enter();
    let place = Place::new();
    let guard = guard(&place, ("", ""));
    let done = place.portcullis().arg("compile").arg("--config").arg(&guard.config).output().expect("portcullis");
    assert!(done.status.success());
    let context = format!("1;d;0;0;0;0:0;{};php-fpm > perl", guard.policy().display());
    let mut command = Command::new("/usr/bin/perl");
    command.args(["-e", "exit(system('true; true') == 0 ? 0 : 1)"]);
    let done = command.env("LD_PRELOAD", place.library()).env("PORTCULLIS_CONTEXT", context).status().expect("perl");
    assert_eq!(done.code(), Some(1), "refused: one virtual host enforces");
    let event = last(&guard);
    assert_eq!((event.text("portcullis.request.state"), event.text("event.outcome")), ("lost", "failure"));
}

#[test]
fn a_forged_host_chooses_nothing() {
    enter();
    let place = Place::new();
    let guard = guard(&place, ("", ""));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = nginx(&place, &fpm, false);
    // nginx answers a host that it does not know from its first server, whose name it sends.
    http::get_host(nginx.port, "blog.example.", "/act.php?do=shell");
    assert_eq!(of_request(&last(&guard))[1..3], ["blog", "blog.example"], "the name in the configuration");
    // Apache sends the client's Host as SERVER_NAME.
    let apache = Apache::start(&place, None, Kind::ProxyFcgi, Some(&fpm), "");
    http::get_host(apache.port, "blog.example", "/way.php?way=system");
    let event = last(&guard);
    assert_eq!(of_request(&event)[..3], ["known", "", "blog.example"], "not believed");
    assert_eq!(event.text("portcullis.request.source"), "apache");
    assert!(event.text("portcullis.request.script").ends_with("/www/way.php"), "{event}");
}

#[test]
fn apache_vouches_for_the_name_where_its_configuration_says_so() {
    enter();
    let place = Place::new();
    let from = ("server_name = \"blog.example\"", "server_name = \"blog.example\", server_name_from = \"apache\"");
    let guard = guard(&place, from);
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let extra = "UseCanonicalName On\n<VirtualHost *:8082>\nServerName blog.example\n</VirtualHost>\n";
    let apache = Apache::start(&place, None, Kind::ProxyFcgi, Some(&fpm), extra);
    http::get_host(apache.port, "forged.example", "/way.php?way=system");
    assert_eq!(of_request(&last(&guard))[..3], ["known", "blog", "blog.example"], "the name in the configuration");
}

/// mod_cgid, mod_cgi and fcgiwrap: the request in the environment of the program, and FastCGI in passing.
#[test]
fn cgi_by_document_root() {
    for server in ["mod_cgid", "mod_cgi", "fcgiwrap"] {
        std::thread::spawn(move || cgi(server)).join().expect(server);
    }
}

fn cgi(server: &str) {
    enter();
    let place = Place::new();
    let www = place.pages();
    let guard = place.guard(&format!(
        "[[vhost]]\nname = \"cgi\"\nmatch = {{ document_root = \"{}\" }}\nmode = \"enforce\"\n",
        www.display()
    ));
    let (_server, port, source): (Box<dyn std::any::Any>, u16, &str) = match server {
        "fcgiwrap" => {
            let socket = place.join("fcgiwrap.sock");
            let mut command = Command::new("/usr/sbin/fcgiwrap");
            command.arg("-s").arg(format!("unix:{}", socket.display()));
            let process = Process::start(command, Some(&guard));
            wait_until("fcgiwrap", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
            std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o666))
                .expect("permissions");
            let location = format!(
                "location ~ \\.cgi$ {{ include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME \
                 $document_root$fastcgi_script_name; fastcgi_pass unix:{}; }}",
                socket.display()
            );
            (Box::new((Nginx::start(&place, None, &location), process)), 8081, "nginx")
        }
        _ => {
            let kind = if server == "mod_cgi" { Kind::Cgi } else { Kind::Cgid };
            (Box::new(Apache::start(&place, Some(&guard), kind, None, "")), 8082, "apache")
        }
    };
    let path = "/perl.cgi?command%20with%20a%20list";
    let answer = http::get_host(port, "forged.example", path);
    assert!(answer.body.contains("undef") || answer.body.trim().is_empty(), "{server}: {answer:?}");
    let event = last(&guard);
    let domain = if source == "nginx" { "localhost" } else { "forged.example" };
    assert_eq!(of_request(&event), ["known", "cgi", domain, path], "{server}");
    assert_eq!(event.text("portcullis.request.source"), source, "{server}");
    assert_eq!(event.text("event.outcome"), "failure", "{server}");
}

/// Audit logs exactly what enforce would refuse: the same events, but for mode and outcome.
#[test]
fn audit_logs_exactly_what_enforce_refuses() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let run = |mode: &str| {
        let place = Place::new();
        let guard = guard(&place, ("mode = \"audit\"", &format!("mode = \"{mode}\"")));
        // The shop's own mode too.
        let text = std::fs::read_to_string(&guard.config).expect("the configuration");
        std::fs::write(&guard.config, text.replace("mode = \"enforce\"", &format!("mode = \"{mode}\"")))
            .expect("written");
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = nginx(&place, &fpm, false);
        for host in ["shop.example", "blog.example", "de.wiki.example", "other.example"] {
            for what in ["shell", "connect", "quiet", "shutdown", "body"] {
                http::get_host(nginx.port, host, &format!("/act.php?do={what}"));
            }
        }
        let want = if mode == "audit" { "success" } else { "failure" };
        let events = guard.events().all();
        events
            .iter()
            .map(|event| {
                assert_eq!((event.text("portcullis.mode"), event.text("event.outcome")), (mode, want));
                let [state, vhost, host, uri] = of_request(event).map(str::to_owned);
                let rest = ["rule.id", "portcullis.clause", "portcullis.chain", "process.command_line"];
                (state, vhost, host, uri, rest.map(|path| event.text(path).to_owned()))
            })
            .collect::<Vec<_>>()
    };
    let audit = run("audit");
    assert_eq!(audit.len(), 4 + 3 + 1 + 4);
    assert_eq!(audit, run("enforce"));
}
