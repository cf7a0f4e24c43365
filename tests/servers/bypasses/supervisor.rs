//! What a program without hooks tells the supervisor about itself, and where that looks for files.

use super::{compile, run, run_page};
use crate::harness::{Fpm, Guard, Listeners, Nginx, Parts, Place, Pool, enter};
use std::path::Path;

fn servers(place: &Place) -> (Guard, Fpm, Nginx) {
    servers_with(place, "")
}

/// The same with more in the configuration.
pub fn servers_with(place: &Place, more: &str) -> (Guard, Fpm, Nginx) {
    servers_of(place, more, &Pool::default())
}

/// The same with another pool.
pub fn servers_of(place: &Place, more: &str, pool: &Pool) -> (Guard, Fpm, Nginx) {
    place.pages();
    run_page(place);
    let (www, strict, other) = (place.join("www"), place.join("www/strict"), place.join("www/other1"));
    let config = format!(
        "mode = \"enforce\"\n[backstop]\nseccomp = \"supervise\"\n[rules.exec-place]\nmode = \"off\"\n[[vhost]]\nname = \"other\"\n\
         match = {{ document_root = \"{}\" }}\n[vhost.egress]\nallow = [\"192.88.1.10:4444\"]\n{more}",
        other.display()
    );
    let guard = place.guard_of_every_event(&config);
    let fpm = Fpm::start(place, Some(&guard), pool);
    let server = |name: &str, root: &Path| {
        format!(
            "server {{ listen 127.0.0.1:8081; server_name {name}; root {};\n{}\n}}",
            root.display(),
            fpm.nginx_location(root)
        )
    };
    let location = format!(
        "{}\n}}\n{}\n{}",
        fpm.nginx_location(&www),
        server("strict.example", &strict),
        server("other1.example", &other).trim_end_matches('}')
    );
    let nginx = Nginx::start(place, Some(&guard), &location);
    (guard, fpm, nginx)
}

/// The request belongs to the process, not to what its environment says by now; what it forks has the same one. A script can write over
/// the environment, too: as a title.
#[test]
fn a_program_cannot_say_that_it_is_another_host_s() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let (guard, _fpm, nginx) = servers(&place);
    let mut events = guard.events();
    for flag in ["-static", "-O1"] {
        let claim = compile(&place, "claim", &[flag]);
        let from = |host: &str, words: [&str; 2]| run(nginx.port, host, &[&claim, words[0], words[1]]);
        // What the other host may do, it may do, and what it forks.
        let own = from("other1.example", ["www/other1", "www/other1"]);
        assert!(own.contains("own:0 ") && own.contains("child:0 "), "{flag}: {own}");
        assert!(events.fresh().is_empty(), "{flag}");
        let forged = from("strict.example", ["www/strict", "www/other1"]);
        assert!(!forged.contains("claims:0"), "{flag}: {forged}");
        assert!(forged.contains("own:13 ") && forged.contains("child:13 "), "{flag}: {forged}");
        let fresh = events.fresh();
        assert_eq!(fresh.len(), 2, "{fresh:#?}");
        for event in fresh {
            assert_eq!((event.text("rule.id"), event.text("portcullis.layer")), ("egress-port", "backstop"));
            assert_eq!(event.text("portcullis.request.state"), "known", "{event:#}");
            assert!(event.text("portcullis.request.script").contains("www/strict/"), "{event:#}");
        }
    }
}

/// A path means what it means to the process, in mounts of its own.
#[test]
fn a_path_is_looked_for_where_the_process_is() {
    enter();
    let place = Place::new();
    let hide = compile(&place, "hide", &["-static"]);
    let (_guard, _fpm, nginx) = servers(&place);
    let tools = place.join("tools");
    std::fs::create_dir(&tools).expect("a folder");
    std::fs::copy("/bin/true", tools.join("tool")).expect("a copy");
    let (tools, tool) = (tools.to_str().expect("a path").to_owned(), tools.join("tool"));
    let tool = tool.to_str().expect("a path");
    let plain = run(nginx.port, "localhost", &[&hide, "nothing", "", tool]);
    assert!(plain.trim().ends_with('0'), "{plain}");
    for way in ["link", "relative", "bind"] {
        let said = run(nginx.port, "localhost", &[&hide, way, &tools, tool, "-c", "echo shell"]);
        assert!(!said.contains("shell"), "{way}: {said}");
        assert!(said.contains("Permission denied"), "{way}: {said}");
    }
}
