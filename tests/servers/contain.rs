//! `portcullis contain` with real servers: one site's calls are refused, the other site's are not, and undone is undone.

#[path = "../../crates/cli/tests/terminal/mod.rs"]
mod terminal;

use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter, http, wait_until};
use serde_json::Value;
use std::process::{Command, Output};
use terminal::Terminal;

/// Two sites in one pool, of which the policy knows the blog; the pages of the shop start a shell that stays, and one that does not.
fn sites(place: &Place) {
    for site in ["shop", "blog"] {
        place.write(&format!("www/{site}/shell.php"), "<?php echo shell_exec('echo yes; :') ? 'yes' : 'no';");
    }
    place.write("www/shop/stay.php", "<?php exec('sleep 600 > /dev/null 2>&1 & :'); echo 'started';");
}

fn nginx(place: &Place, fpm: &Fpm) -> Nginx {
    let server = |site: &str| {
        let root = place.join("www").join(site);
        format!(
            "}}\nserver {{ listen 127.0.0.1:8081; server_name {site}.example; root {};\n{}\n",
            root.display(),
            fpm.nginx_location(&root)
        )
    };
    Nginx::start(place, None, &["shop", "blog"].map(server).concat())
}

const BLOG: &str = "mode = \"audit\"\n[[vhost]]\nname = \"blog\"\nmatch = { document_root = \"WWW/blog\" }\n";

fn contain(place: &Place, guard: &Guard, more: &[&str]) -> Output {
    let mut command = place.portcullis();
    command.arg("contain").arg("--config").arg(&guard.config).arg("--state").arg(place.join("state")).args(more);
    command.output().expect("portcullis contain")
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&[&done.stdout[..], &done.stderr].concat()).into_owned()
}

fn reload(fpm: &Fpm, place: &Place) {
    let ready =
        || std::fs::read_to_string(place.join("fpm.log")).unwrap_or_default().matches("ready to handle").count();
    let before = ready();
    fpm.process.signal(libc::SIGUSR2);
    wait_until("the reload", || ready() > before);
}

#[test]
fn the_site_of_an_incident_is_contained_alone_and_undone() {
    enter();
    let place = Place::new();
    sites(&place);
    let guard = place.guard(&BLOG.replace("WWW", &place.join("www").display().to_string()));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = nginx(&place, &fpm);
    let ask = |site: &str, page: &str| http::get_host(nginx.port, &format!("{site}.example"), page).body;
    assert_eq!((ask("shop", "/shell.php"), ask("shop", "/stay.php")), ("yes".into(), "started".into()));
    wait_until("the events", || guard.events().all().len() >= 2);
    let log = guard.log.to_str().expect("a path");
    let listed = place.portcullis().args(["events", "--incidents", "--json", log]).output().expect("portcullis events");
    let first = String::from_utf8_lossy(&listed.stdout).lines().next().map(str::to_owned).expect("an incident");
    let incident: Value = serde_json::from_str(&first).expect("JSON");
    let id = incident["id"].as_str().expect("an identifier");

    // Nobody is there to be asked, and nothing is done unasked.
    let before = std::fs::read_to_string(&guard.config).expect("the configuration");
    for (more, code) in [(&["--dry-run"][..], 0), (&[], 2)] {
        let done = contain(&place, &guard, &[&["--incident", id, log][..], more].concat());
        let text = said(&done);
        assert_eq!(done.status.code(), Some(code), "{text}");
        assert!(text.contains("+ mode = \"enforce\"") && text.to_lowercase().contains("nothing was changed"), "{text}");
        assert!(!guard.config.with_file_name("vhosts.d").exists(), "{text}");
    }

    // The server is none of systemd's, so it is not reloaded, which is said; its shell is listed.
    let evidence = place.join("evidence");
    let folder = evidence.to_str().expect("a path");
    let done = contain(&place, &guard, &["--incident", id, log, "--yes", "--evidence", folder]);
    let text = said(&done);
    assert_eq!(done.status.code(), Some(1), "{text}");
    let master = fpm.process.pid().to_string();
    assert!(text.contains("reload the server yourself") && text.contains(&master), "{text}");
    assert!(text.contains("sleep 600") && text.contains("started() {"), "{text}");
    assert!(text.contains(&format!("portcullis contain --undo {id}")), "{text}");
    assert_eq!(std::fs::read_to_string(&guard.config).expect("the configuration"), before);
    let scripts = std::fs::read_dir(evidence.join("scripts")).expect("scripts").count();
    assert_eq!(scripts, 2, "{text}");
    let processes = std::fs::read_dir(evidence.join("processes")).expect("processes").flatten();
    let commands: Vec<Vec<u8>> =
        processes.map(|process| std::fs::read(process.path().join("cmdline")).expect("a command")).collect();
    assert!(commands.iter().any(|command| command == b"sleep\x00600\x00"), "{commands:?}");

    reload(&fpm, &place);
    assert!(ask("shop", "/shell.php").ends_with("no"));
    let last = guard.events().all();
    let blocked = last.iter().find(|event| event.text("event.outcome") == "failure").expect("a refusal");
    assert!(blocked.text("portcullis.why").contains(&format!("incident {id}; undo:")), "{blocked:#}");

    // Once is enough, and it is verified.
    let done = contain(&place, &guard, &["--incident", id, log, "--yes", "--json"]);
    let again: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&done)));
    assert_eq!((&again["state"], done.status.code()), (&"contained already".into(), Some(0)), "{again:#}");
    assert_eq!(again["undo"], format!("portcullis contain --undo {id}"), "{again:#}");
    assert!(again["verified"][0]["blocked"].as_u64() >= Some(1), "{again:#}");
    assert_eq!(again["verified"][0]["not_blocked"], serde_json::json!([]), "{again:#}");
    let running = again["running"]["processes"].as_array().expect("a list");
    assert!(!running.is_empty(), "{again:#}");
    for process in running {
        let ended = Command::new("kill").arg(process["pid"].to_string()).status().expect("kill");
        assert!(ended.success(), "{process:#}");
    }

    // The other site is not. From then on, it is a part of the incident, for the client is the same.
    assert_eq!(ask("blog", "/shell.php"), "yes");

    // A file that was changed since is not overwritten.
    let file = again["configurations"][0]["sites"][0]["file"].as_str().expect("a file").to_owned();
    let written = std::fs::read_to_string(&file).expect("the file");
    std::fs::write(&file, format!("{written}# mine\n")).expect("a file");
    let done = contain(&place, &guard, &["--undo", id, "--yes"]);
    assert!(done.status.code() == Some(1) && said(&done).contains("was changed since"), "{}", said(&done));
    std::fs::write(&file, written).expect("a file");

    let done = contain(&place, &guard, &["--undo", id, "--yes"]);
    assert!(said(&done).contains("Every file is as it was before"), "{}", said(&done));
    let folder = guard.config.with_file_name("vhosts.d");
    assert!(!folder.exists() && !std::path::Path::new(&file).exists(), "{}", said(&done));
    reload(&fpm, &place);
    assert_eq!(ask("shop", "/shell.php"), "yes");
    assert_eq!(fpm.process.pid().to_string(), master, "without a restart");
}

/// Undoing the containment of one site opens none that an incident holds, whether that has files of its own or not.
#[test]
fn what_another_containment_relies_on_is_not_undone() {
    enter();
    for pages in [&["shop"][..], &["shop", "blog"]] {
        let place = Place::new();
        sites(&place);
        let guard = place.guard("mode = \"audit\"\n");
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = nginx(&place, &fpm);
        for site in pages {
            assert_eq!(http::get_host(nginx.port, &format!("{site}.example"), "/shell.php").body, "yes");
        }
        wait_until("the events", || guard.events().all().len() >= pages.len());
        let id_of = |done: &Output| {
            let text = said(done);
            let (_, id) = text.rsplit_once("portcullis contain --undo ").unwrap_or_else(|| panic!("{text}"));
            id.split_whitespace().next().expect("an identifier").to_owned()
        };
        let root = place.join("www/shop").display().to_string();
        let first = id_of(&contain(&place, &guard, &["--document-root", &root, "--yes"]));
        let log = guard.log.to_str().expect("a path");
        let listed = place.portcullis().args(["events", "--incidents", "--json", log]).output().expect("incidents");
        let line = String::from_utf8_lossy(&listed.stdout).lines().next().map(str::to_owned).expect("an incident");
        let incident: Value = serde_json::from_str(&line).expect("JSON");
        let id = incident["id"].as_str().expect("an identifier");
        assert_eq!(id_of(&contain(&place, &guard, &["--incident", id, log, "--yes"])), id);

        let folder = guard.config.with_file_name("vhosts.d");
        let files = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
        assert_eq!(files(), pages.len());
        let done = contain(&place, &guard, &["--undo", &first, "--yes"]);
        assert_eq!((done.status.code(), files()), (Some(1), pages.len()), "{}", said(&done));
        assert!(said(&done).contains(&format!("portcullis contain --undo {id}")), "{}", said(&done));
        for undone in [id, &first] {
            let done = contain(&place, &guard, &["--undo", undone, "--yes"]);
            assert!(said(&done).contains("Every file is as it was before"), "{}", said(&done));
        }
        assert_eq!(files(), 0);
    }
}

/// In a terminal, by keys: a question is asked twice, "no" changes nothing, and "yes" contains the site.
#[test]
fn a_site_is_contained_from_the_live_view() {
    enter();
    let place = Place::new();
    sites(&place);
    let guard = place.guard(&BLOG.replace("WWW", &place.join("www").display().to_string()));
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = nginx(&place, &fpm);
    let ask = || http::get_host(nginx.port, "shop.example", "/shell.php").body;
    assert_eq!(ask(), "yes");
    wait_until("the event", || !guard.events().all().is_empty());
    let terminal = Terminal::new(200, 60);
    let program = place.join("bin/portcullis");
    terminal.command(&format!("{} top --config {} {}", program.display(), guard.config.display(), guard.log.display()));
    terminal.await_text("1 incident");
    let contain = |answer: &str| {
        terminal.key("c");
        terminal.await_text("A preview comes first. y: yes, any other key: no");
        terminal.key("y");
        terminal.await_that("the question", |screen| screen.trim_end().ends_with("Contain it? [y/N]"));
        terminal.line(answer);
        let screen = terminal.await_that("its end", |screen| screen.trim_end().ends_with("Enter continues"));
        terminal.key("Enter");
        terminal.await_that("the live view", |screen| screen.contains("Steps") && !screen.contains("Enter continues"));
        screen
    };
    assert!(contain("n").contains("Nothing was changed.") && !place.join("etc/vhosts.d").exists());
    let screen = contain("y");
    assert!(screen.contains("portcullis contain --undo ") && place.join("etc/vhosts.d").exists(), "{screen}");
    terminal.key("q");
    terminal.await_text("status 0");
    terminal.await_quiet();
    reload(&fpm, &place);
    assert!(ask().ends_with("no"));
}
