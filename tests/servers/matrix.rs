//! Every way, in every server, bare and in both modes; held against the tables of docs/coverage.md.

use crate::harness::{
    Apache, Fpm, Guard, INSIDE, Kind, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, Process, enter, every_rule, http,
    named, wait_until,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// A row's name to what was found.
type Column = BTreeMap<String, String>;

/// The answers of one server to each way, bare or guarded, with the rule of each event.
struct Seen {
    answer: http::Answer,
    rules: Vec<String>,
    outcomes: Vec<String>,
}

/// Whether something may leave by what an event is about. A UDP socket that is connected has an event in audit alone: enforce refuses
/// what is sent.
fn may_leave(event: &Value) -> bool {
    event.text("portcullis.detail") != "nothing sent yet"
}

/// Asks for every way; checks what does not depend on the way: one event at most, with the mode's outcome.
fn ask(port: u16, ways: &[(String, String)], guard: Option<&Guard>) -> BTreeMap<String, Seen> {
    let mut events = guard.map(Guard::events);
    ways.iter()
        .map(|(way, path)| {
            let answer = http::get(port, path);
            let mut new = events.as_mut().map(|events| events.fresh()).unwrap_or_default();
            new.retain(may_leave);
            let rules = new.iter().map(|event| event.text("rule.id").to_owned()).collect();
            let outcomes = new.iter().map(|event| event.text("event.outcome").to_owned()).collect();
            for event in &new {
                assert_eq!(event.text("host.os.type"), "linux");
                assert!(!event.text("portcullis.chain").is_empty());
            }
            (way.clone(), Seen { answer, rules, outcomes })
        })
        .collect()
}

/// The ways of pages/way.php.
fn php_ways(port: u16) -> Vec<(String, String)> {
    let list: Vec<String> = serde_json::from_str(&http::get(port, "/way.php?way=list").body).expect("a list");
    list.into_iter().map(|way| (way.clone(), format!("/way.php?way={}", way.replace(' ', "%20")))).collect()
}

/// Runs `start` three times: bare, audit, enforce; what the three say of each way becomes a cell.
fn column(
    ways: impl Fn(u16) -> Vec<(String, String)>,
    port: u16,
    start: impl FnMut(&Place, Option<&Guard>) -> Box<dyn std::any::Any>,
) -> Column {
    column_with("", ways, port, start)
}

/// The same with more of a configuration.
fn column_with(
    more: &str,
    ways: impl Fn(u16) -> Vec<(String, String)>,
    port: u16,
    mut start: impl FnMut(&Place, Option<&Guard>) -> Box<dyn std::any::Any>,
) -> Column {
    enter();
    let _listeners = Listeners::on(&[4444, 8080]);
    let place = Place::new();
    place.pages();
    let server = start(&place, None);
    let ways = ways(port);
    let bare = ask(port, &ways, None);
    drop(server);
    let mut modes = Vec::new();
    for mode in ["audit", "enforce"] {
        let place = Place::new();
        place.pages();
        let guard = place.guard(&(every_rule(mode) + more));
        let server = start(&place, Some(&guard));
        let seen = ask(port, &ways, Some(&guard));
        drop(server);
        let mut all = guard.events().all();
        all.retain(may_leave);
        assert_eq!(
            all.len(),
            seen.values().map(|seen| seen.rules.len()).sum::<usize>(),
            "{mode}: start, stop: {all:#?}"
        );
        modes.push(seen);
    }
    ways.iter().map(|(way, _)| (way.clone(), cell(way, &bare[way], &modes[0][way], &modes[1][way]))).collect()
}

fn cell(way: &str, bare: &Seen, audit: &Seen, enforce: &Seen) -> String {
    if bare.answer.body.contains("\"result\":\"n\\/a\"") {
        return "n/a".into();
    }
    assert_eq!(bare.answer, audit.answer, "{way}: audit changed the answer");
    assert_eq!(audit.rules, enforce.rules, "{way}: audit logs exactly what enforce refuses");
    assert!(audit.rules.len() <= 1, "{way}: more than one event: {:?}", audit.rules);
    match audit.rules.first() {
        None => {
            assert_eq!(bare.answer, enforce.answer, "{way}: nothing was logged, but something was changed");
            "silent".into()
        }
        Some(rule) => {
            assert_eq!(audit.outcomes, ["success"], "{way}");
            assert_eq!(enforce.outcomes, ["failure"], "{way}: {rule}");
            assert_ne!(bare.answer, enforce.answer, "{way}: logged as refused, but the answer is the same");
            rule.clone()
        }
    }
}

/// Holds what was found against the column `heading` of docs/coverage.md, or writes it there (PORTCULLIS_BLESS=1).
fn hold(table: &str, heading: &str, found: &Column) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/coverage.md");
    let text = std::fs::read_to_string(&path).expect("docs/coverage.md");
    let start = text.find(&format!("\n## {table}\n")).unwrap_or_else(|| panic!("no table {table}"));
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = text[start + 1..].lines().skip_while(|line| !line.starts_with('|'));
    let headings = cells(lines.next().expect("a heading"));
    let at = headings.iter().position(|cell| cell == heading).unwrap_or_else(|| panic!("no column {heading}"));
    let rows: Vec<Vec<String>> = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    let documented: Column = rows.iter().map(|row| (row[0].clone(), row[at].clone())).collect();
    assert_eq!(&documented, found, "docs/coverage.md, {table}, {heading}: documented on the left, found on the right");
}

const PHP: &str = "PHP";
const CGI: &str = "CGI";

#[test]
fn nginx_and_fpm() {
    let found = column(php_ways, 8081, |place, guard| {
        let fpm = Fpm::start(place, guard, &Pool::default());
        let location = fpm.nginx_location(&place.join("www"));
        Box::new((Nginx::start(place, guard, &location), fpm))
    });
    hold(PHP, "nginx + PHP-FPM", &found);
}

#[test]
fn apache_prefork_and_mod_php() {
    let found = column(php_ways, 8082, |place, guard| Box::new(Apache::start(place, guard, Kind::ModPhp, None, "")));
    hold(PHP, "Apache prefork + mod_php", &found);
}

#[test]
fn apache_event_and_proxy_fcgi() {
    let found = column(php_ways, 8082, |place, guard| {
        let fpm = Fpm::start(place, guard, &Pool::default());
        Box::new((Apache::start(place, guard, Kind::ProxyFcgi, Some(&fpm), ""), fpm))
    });
    hold(PHP, "Apache event + proxy_fcgi", &found);
}

#[test]
fn php_cli_server() {
    let found = column(php_ways, 8083, |place, guard| {
        let mut command = Command::new(named("/usr/bin/phpX.Y"));
        command.args(["-S", "127.0.0.1:8083", "-t"]).arg(place.join("www"));
        let process = Process::start(command, guard);
        wait_until("php -S", || TcpStream::connect(("127.0.0.1", 8083)).is_ok());
        Box::new(process)
    });
    hold(PHP, "php -S", &found);
}

fn cgi_ways() -> Vec<(String, String)> {
    let mut ways = vec![("sh: the script itself".to_owned(), "/sh.cgi".to_owned())];
    for language in ["perl", "python"] {
        for way in ["simple command", "command with a list", "tcp v4", "tcp v6", "udp v4", "common port", "local range"]
        {
            let path = format!("/{language}.cgi?{}", way.replace(' ', "%20"));
            ways.push((format!("{language}: {way}"), path));
        }
    }
    ways
}

#[test]
fn apache_event_and_cgid() {
    let found =
        column(|_| cgi_ways(), 8082, |place, guard| Box::new(Apache::start(place, guard, Kind::Cgid, None, "")));
    hold(CGI, "Apache event + mod_cgid", &found);
}

#[test]
fn nginx_as_a_proxy() {
    let ways = |_| {
        let upstreams = [("uncommon", "uncommon port"), ("common", "common port"), ("inside", "local range")];
        upstreams.map(|(path, way)| (way.to_owned(), format!("/{path}/"))).to_vec()
    };
    let found = column(ways, 8081, |place, guard| {
        let location = |name: &str, address: &str, port: u16| {
            format!("location /{name}/ {{ proxy_pass http://{address}:{port}/; proxy_connect_timeout 5s; }}\n")
        };
        let server = location("uncommon", OUTSIDE4, 4444)
            + &location("common", OUTSIDE4, 8080)
            + &location("inside", INSIDE, 4444);
        Box::new(Nginx::start(place, guard, &server))
    });
    hold("Proxy", "nginx", &found);
}

/// With the supervisor beside it everything is as without: nothing is seen twice, refused twice or missed.
const SUPERVISE: &str = "[backstop]\nseccomp = \"supervise\"\n";

#[test]
fn nginx_and_fpm_supervised() {
    let found = column_with(SUPERVISE, php_ways, 8081, |place, guard| {
        let fpm = Fpm::start(place, guard, &Pool::default());
        let location = fpm.nginx_location(&place.join("www"));
        Box::new((Nginx::start(place, guard, &location), fpm))
    });
    hold(PHP, "nginx + PHP-FPM", &found);
}

#[test]
fn apache_prefork_and_mod_php_supervised() {
    let found = column_with(SUPERVISE, php_ways, 8082, |place, guard| {
        Box::new(Apache::start(place, guard, Kind::ModPhp, None, ""))
    });
    hold(PHP, "Apache prefork + mod_php", &found);
}

#[test]
fn apache_event_and_cgid_supervised() {
    let found = column_with(
        SUPERVISE,
        |_| cgi_ways(),
        8082,
        |place, guard| Box::new(Apache::start(place, guard, Kind::Cgid, None, "")),
    );
    hold(CGI, "Apache event + mod_cgid", &found);
}
