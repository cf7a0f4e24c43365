//! A pool of PHP-FPM in a root directory of its own without /proc: a link to the shell there, and a copy of it, are shells.

use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter, http};
use std::os::unix::fs::symlink;

const PAGE: &str = "<?php error_reporting(0);\n\
    $p = proc_open([$_GET['program'], '-c', 'echo shell-$((40+2))'], [1 => ['pipe', 'w']], $pipes);\n\
    echo is_resource($p) ? trim(stream_get_contents($pipes[1])) : '';\n";

const PROGRAMS: [&str; 3] = ["/bin/sh", "/bin/link", "/bin/copy"];

fn start(place: &Place, guard: Option<&Guard>) -> (Fpm, Nginx) {
    let jail = place.join("jail");
    place.write("jail/www/page.php", PAGE);
    for (from, to) in [
        ("/bin/dash", "bin/sh"),
        ("/bin/dash", "bin/copy"),
        ("/lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libc.so.6"),
        ("/lib64/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2"),
    ] {
        let to = jail.join(to);
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("folders");
        std::fs::copy(from, to).expect("a copy");
    }
    symlink("/bin/sh", jail.join("bin/link")).expect("a link");
    let lines = format!("chroot = {}", jail.display());
    let fpm = Fpm::start(place, guard, &Pool { lines, ..Pool::default() });
    let location = format!(
        "location / {{ include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME /www/page.php; fastcgi_pass {}; }}",
        fpm.address
    );
    let nginx = Nginx::start(place, None, &location);
    (fpm, nginx)
}

#[test]
fn shells_of_a_chrooted_pool() {
    enter();
    let ask = |server: &(Fpm, Nginx), program: &str| http::get(server.1.port, &format!("/?program={program}")).body;
    let bare = Place::new();
    let server = start(&bare, None);
    for program in PROGRAMS {
        assert_eq!(ask(&server, program), "shell-42", "{program}, without Portcullis");
    }
    drop(server);
    let mut wrong = Vec::new();
    for layer in ["off", "supervise"] {
        for (mode, wanted, outcome) in [("audit", "shell-42", "success"), ("enforce", "", "failure")] {
            let place = Place::new();
            let guard = place.guard_of_every_event(&format!("mode = \"{mode}\"\n[backstop]\nseccomp = \"{layer}\"\n"));
            let server = start(&place, Some(&guard));
            let mut events = guard.events();
            events.fresh();
            for program in PROGRAMS {
                let said = ask(&server, program);
                let fresh = events.fresh();
                let seen: Vec<_> =
                    fresh.iter().map(|event| (event.text("rule.id"), event.text("event.outcome"))).collect();
                if said != wanted || !seen.contains(&("shell-spawn", outcome)) {
                    wrong.push(format!("{mode}, seccomp {layer}: {program}: {said:?}, {seen:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
