//! Programs that begin in another root folder or in other mounts than their server, where neither the policy nor the log is at its
//! path, or somebody else's file is: they are judged by their tree's policy, and their events arrive.

use crate::harness::{Fpm, Guard, Listeners, Nginx, Parts, Place, Pool, children, enter, every_rule, http, wait_until};
use crate::jails::{encoded, jail};
use std::os::unix::fs::chown;
use std::path::Path;

/// One virtual host that lets everything go, one that refuses shells, and one that refuses all but what it allows.
const POLICY: &str = r#"
[[vhost]]
name = "blog"
match = { server_name = "blog.example" }
[[vhost]]
name = "shop"
match = { server_name = "shop.example" }
mode = "enforce"
[[vhost]]
name = "wiki"
match = { server_name = "wiki.example" }
mode = "enforce"
[vhost.egress]
allow = ["192.88.1.10:4446"]
[vhost.exec]
mode = "off"
"#;
const HOSTS: [&str; 3] = ["blog.example", "shop.example", "wiki.example"];

/// Three programs deep, the second without an environment; then a connection.
const SHELLS: &str = "/bin/env|/bin/dash|-c|/bin/env -i /bin/dash -c '/bin/sh -c \"echo \\$((40+2))\"'";
const CONNECTS: &str = "/bin/env|/bin/dash|-c|/bin/dynamic-ways libc connect";

pub fn start(place: &Place, guard: Option<&Guard>, root: Option<&Path>) -> (Fpm, Nginx) {
    start_in(place, guard, root, &[], "")
}

/// The same with one worker.
pub fn start_one(place: &Place, guard: &Guard, root: &Path) -> (Fpm, Nginx) {
    start_in(place, Some(guard), Some(root), &[], "\npm.max_children = 1")
}

/// The same by a command that executes its arguments.
fn start_in(place: &Place, guard: Option<&Guard>, root: Option<&Path>, by: &[&str], more: &str) -> (Fpm, Nginx) {
    let lines = root.map_or(String::new(), |root| format!("chroot = {}", root.display())) + more;
    let fpm = Fpm::start_in(place, guard, &Pool { lines, ..Pool::default() }, by);
    let script = if root.is_some() { "/www/page.php".into() } else { place.join("jail/www/page.php") };
    let location = format!(
        "location / {{ include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {}; fastcgi_pass {}; }}",
        script.display(),
        fpm.address
    );
    let more: String =
        HOSTS.map(|host| format!("}}\nserver {{ listen 127.0.0.1:8081; server_name {host};\n{location}\n")).concat();
    (fpm, Nginx::start(place, None, &format!("{location}\n{more}")))
}

pub fn ask(server: &(Fpm, Nginx), host: &str, words: &str) -> String {
    http::get_host(server.1.port, host, &format!("/?words={}", encoded(words))).body
}

pub fn place_library(place: &Place) {
    let copy = place.join("jail").join(place.library().strip_prefix("/").expect("a path"));
    std::fs::create_dir_all(copy.parent().expect("a folder")).expect("folders");
    std::fs::copy(place.library(), &copy).expect("a copy");
}

pub fn configuration(layer: &str) -> String {
    // That a program was handed its request is what the supervisor would doubt.
    let [audit, enforce] = ["audit", "enforce"].map(|mode| format!("[rules.loader-env]\nmode = \"{mode}\"\n"));
    let rules = every_rule("audit");
    assert!(rules.contains(&audit));
    format!("{}\n[backstop]\nseccomp = \"{layer}\"\n{POLICY}", rules.replace(&audit, &enforce))
}

/// Holds what the three virtual hosts do against what is bare, and their events against what they did.
fn hold(server: &(Fpm, Nginx), guard: &Guard, bare: &[String; 2], ways: [&str; 2], depth: usize, layer: &str) {
    let mut events = guard.events();
    events.fresh();
    for host in HOSTS {
        for (way, bare) in ways.iter().zip(bare) {
            let said = ask(server, host, way);
            let mut seen = events.fresh();
            seen.retain(|event| ["shell-spawn", "egress-port"].contains(&event.text("rule.id")));
            let name = host.trim_end_matches(".example");
            assert!(seen.iter().all(|event| event.text("portcullis.vhost") == name), "{layer} {way}: {seen:#?}");
            let refused = host == "shop.example";
            assert_eq!(&said == bare, !refused, "{layer} {host} {way}: {said} instead of {bare}");
            let is_allowed = host == "wiki.example";
            assert_eq!(seen.is_empty(), is_allowed, "{layer} {host} {way}: {seen:#?}");
            let chains = seen.iter().map(|event| event.text("portcullis.chain").matches(" > ").count()).max();
            let all = chains.is_some_and(|deepest| deepest >= depth);
            assert!(all || refused || is_allowed, "{layer} {host} {way}: {seen:#?}");
            let mut actions: Vec<_> = seen.iter().map(|event| event.text("message")).collect();
            actions.sort_unstable();
            actions.dedup();
            assert_eq!(actions.len(), seen.len(), "{layer} {host} {way}: {seen:#?}");
        }
    }
}

#[test]
fn in_a_pools_own_root_the_trees_policy_holds() {
    enter();
    let _listeners = Listeners::on(&[4446]);
    let place = Place::new();
    let root = jail(&place);
    let server = start(&place, None, Some(&root));
    let bare = [SHELLS, CONNECTS].map(|way| ask(&server, "blog.example", way));
    drop(server);
    assert!(bare[0].starts_with("42\n") && bare[1].starts_with("0 0"), "{bare:#?}");
    place_library(&place);
    for layer in ["off", "supervise"] {
        let guard = place.guard_of_every_event(&configuration(layer));
        let server = start(&place, Some(&guard), Some(&root));
        hold(&server, &guard, &bare, [SHELLS, CONNECTS], 3, layer);
        // A program without a loader hands it on.
        let ways = [SHELLS, CONNECTS].map(|way| way.replace("/bin/env|/bin/dash|-c|", "/bin/busybox|sh|-c|"));
        if layer == "off" {
            hold(&server, &guard, &bare, [&ways[0], &ways[1]], 1, "by busybox");
        }
    }
}

/// In mounts of its own, where something else hides the policy and the log, and with a folder that the program's user has filled.
#[test]
fn in_mounts_of_its_own_the_trees_policy_holds() {
    enter();
    let _listeners = Listeners::on(&[4446]);
    let place = Place::new();
    jail(&place);
    let hidden = [SHELLS, CONNECTS].map(|way| {
        let (program, rest) =
            way.split_once("/bin/env|/bin/dash|-c|").map(|(_, line)| ("/usr/bin/unshare", line)).expect("a line");
        let line = rest.replace("/bin/dynamic-ways", place.join("ways-no-pie").to_str().expect("a path"));
        let log = place.join("log");
        format!("{program}|-rm|/bin/dash|-c|mount -t tmpfs none /run\nmount -t tmpfs none {}\n{line}", log.display())
    });
    let ways = [hidden[0].as_str(), hidden[1].as_str()];
    std::fs::create_dir(place.join("log")).expect("a folder");
    let server = start(&place, None, None);
    let bare = ways.map(|way| ask(&server, "blog.example", way));
    drop(server);
    assert!(bare[0].starts_with("42\n") && bare[1].starts_with("0 0"), "{bare:#?}");
    for layer in ["off", "supervise"] {
        let guard = place.guard_of_every_event(&configuration(layer));
        let server = start(&place, Some(&guard), None);
        hold(&server, &guard, &bare, ways, 3, layer);
    }
}

/// A policy that the pool's user has put into its own root folder is not the tree's.
#[test]
fn a_planted_policy_is_not_believed() {
    enter();
    let place = Place::new();
    let root = jail(&place);
    place_library(&place);
    let lenient = place.guard_of_every_event("mode = \"off\"\n");
    assert!(lenient.apply().status.success());
    let planted = std::fs::read(lenient.policy()).expect("a policy");
    let guard = place.guard_of_every_event(&configuration("off"));
    assert!(guard.apply().status.success());
    let at = root.join(guard.policy().strip_prefix("/").expect("a path"));
    std::fs::create_dir_all(at.parent().expect("a folder")).expect("folders");
    std::fs::write(&at, planted).expect("a file");
    chown(&at, Some(33), Some(33)).expect("www-data's");
    let server = start(&place, Some(&guard), Some(&root));
    let mut events = guard.events();
    assert!(ask(&server, "blog.example", SHELLS).starts_with("42\n"));
    let seen = events.fresh();
    assert!(
        seen.iter().any(|event| event.text("portcullis.chain").ends_with("env > dash > env > dash > sh")),
        "{seen:#?}"
    );
}

/// Where the compiled policy has no place, it is held in memory.
#[test]
fn with_a_read_only_run_the_configuration_holds() {
    const READ_ONLY: &str = "mount --bind /run /run && mount -o remount,ro,bind /run && exec env \"$@\"";
    enter();
    let _listeners = Listeners::on(&[4446]);
    let place = Place::new();
    jail(&place);
    let connects = CONNECTS.replace("/bin/dynamic-ways", place.join("ways-no-pie").to_str().expect("a path"));
    let ways = [SHELLS, connects.as_str()];
    let server = start(&place, None, None);
    let bare = ways.map(|way| ask(&server, "blog.example", way));
    drop(server);
    for layer in ["off", "supervise"] {
        let guard = place.guard_of_every_event(&configuration(layer));
        // Only the server has the guard: what goes before would compile while it can.
        let [preload, config] = [("LD_PRELOAD", &guard.library), ("PORTCULLIS_CONFIG", &guard.config)]
            .map(|(name, path)| format!("{name}={}", path.display()));
        let by = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", &preload, &config];
        let server = start_in(&place, None, None, &by, "");
        assert!(!guard.policy().exists());
        hold(&server, &guard, &bare, ways, 3, layer);
        // The supervisor has the policy, too, and so has the next master.
        let by_static = connects.replace("ways-no-pie", "ways-static");
        if layer == "supervise" {
            hold(&server, &guard, &bare, [SHELLS, &by_static], 1, "a static program");
        }
        let before = children(server.0.process.pid());
        server.0.process.signal(libc::SIGUSR2);
        wait_until("the next master's workers", || {
            let now = children(server.0.process.pid());
            now.len() == before.len() && now.iter().all(|worker| !before.contains(worker))
        });
        hold(&server, &guard, &bare, ways, 3, "after a reload");
    }
}
