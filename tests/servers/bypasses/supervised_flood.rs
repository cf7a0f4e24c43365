//! One script's processes, as many as the supervisor has records for.

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Listeners, Parts, Place, enter};
use std::process::Command;

/// Other requests keep theirs: those of other virtual hosts are judged by their own policy, and their events name them.
#[test]
fn processes_of_one_script_displace_nobody_else_s() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let place = Place::new();
    let program = compile(&place, "flood", &["-static"]);
    let root = place.join("www/strict");
    let audited = format!(
        "[[vhost]]\nname = \"audited\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n",
        root.display()
    );
    let (guard, _fpm, nginx) = servers_with(&place, &audited);
    let mut events = guard.events();
    let words = [program.as_str(), "connect"];
    let bare = Command::new(&program).arg("connect").output().expect("the program").stdout;
    assert_eq!(bare, b"own:0 child:0");
    let keeper = run(nginx.port, "localhost", &[&program, "1100"]);
    let keeper = keeper.strip_suffix(" 0").and_then(|number| number.parse::<u32>().ok()).expect("a process");
    assert_eq!(events.fresh().len(), 0);
    for round in 0..3 {
        assert_eq!(run(nginx.port, "other1.example", &words), "own:0 child:0 0", "round {round}");
        assert_eq!(events.fresh().len(), 0, "round {round}");
        assert_eq!(run(nginx.port, "strict.example", &words), "own:0 child:0 0", "round {round}");
        let fresh = events.fresh();
        assert_eq!(fresh.len(), 2, "round {round}: {fresh:#?}");
        for event in fresh {
            assert_eq!(event.text("portcullis.request.state"), "known", "{event:#}");
            assert!(event.text("portcullis.request.script").contains("www/strict/"), "{event:#}");
        }
        // Its own are judged as before.
        assert_eq!(run(nginx.port, "localhost", &words), "own:13 child:13 0", "round {round}");
        assert_eq!(events.fresh().len(), 2, "round {round}");
    }
    let done = Command::new("kill").args(["-KILL", &keeper.to_string()]).status();
    assert!(done.expect("kill").success());
}
