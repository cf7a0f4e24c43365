//! Threads of a program without hooks that see something else than the rest of their process.

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Events, Fpm, Guard, Listeners, Nginx, Parts, Place, enter};
use std::process::Command;

const ENFORCED: &str = "localhost";
const AUDITED: &str = "strict.example";

/// Servers that refuse, and of which one virtual host is in audit; with two folders in which `tool` is true(1) and a shell.
fn servers(place: &Place) -> (Guard, Fpm, Nginx, [String; 2]) {
    let more = format!(
        "[rules.listen-port]\nmode = \"enforce\"\n[[vhost]]\nname = \"audited\"\nmode = \"audit\"\n\
         match = {{ document_root = \"{}\" }}\n[vhost.rules.listen-port]\nmode = \"audit\"\n",
        place.join("www/strict").display()
    );
    let folders = [("harmless", "/bin/true"), ("shell", "/bin/sh")].map(|(name, program)| {
        let folder = place.join(name);
        std::fs::create_dir(&folder).expect("a folder");
        std::os::unix::fs::symlink(program, folder.join("tool")).expect("a link");
        folder.to_str().expect("a path").to_owned()
    });
    let (guard, fpm, nginx) = servers_with(place, &more);
    (guard, fpm, nginx, folders)
}

fn rules(events: &mut Events) -> Vec<String> {
    events.fresh().iter().map(|event| event.text("rule.id").to_owned()).collect()
}

/// Each thread is judged by its own working folder and its own descriptors; that the first thread has ended changes nothing.
#[test]
fn a_thread_s_view_is_its_own() {
    enter();
    let _listeners = Listeners::on(&[443, 4444]);
    let place = Place::new();
    let threads = compile(&place, "threads", &["-static", "-pthread"]);
    let (guard, _fpm, nginx, [harmless, shell]) = servers(&place);
    let mut events = guard.events();
    let refused = "refused:13 allowed:0 sent:13 bound:13 named:0 listens:13 ";
    let of_sockets = ["egress-port", "egress-port", "listen-port", "listen-port"];
    for (view, first, own, is_shell) in [
        ("shared", &harmless, &shell, false),
        ("shared", &shell, &harmless, true),
        ("folder", &harmless, &shell, true),
        ("folder", &shell, &harmless, false),
        ("files", &harmless, &shell, false),
        ("files", &shell, &shell, true),
        ("ended", &harmless, &shell, false),
        ("ended", &shell, &shell, true),
    ] {
        let words = [threads.as_str(), view, first, own];
        let mut expected: Vec<&str> = of_sockets.to_vec();
        expected.extend(is_shell.then_some("shell-spawn"));
        let bare = Command::new(words[0]).args(&words[1..]).output().expect("the program");
        let bare = String::from_utf8(bare.stdout).expect("text");
        let audited = run(nginx.port, AUDITED, &words);
        assert_eq!(audited, format!("{bare} 0"), "{view} {first}");
        assert_eq!(rules(&mut events), expected, "{view} {first}");
        let enforced = run(nginx.port, ENFORCED, &words);
        assert_eq!(enforced, format!("{refused}{} 0", if is_shell { "tool:13 " } else { "" }), "{view} {first}");
        assert_eq!(rules(&mut events), expected, "{view} {first}");
    }
}
