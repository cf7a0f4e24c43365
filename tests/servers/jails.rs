//! Pools of PHP-FPM in a root directory of their own: what they start sees and says what it does without the guard; with a copy of
//! the library there, it is guarded; without, the backstop judges it. `portcullis run` where /proc or a writable /run is missing.

use crate::harness::{Fpm, Guard, Listeners, Nginx, Parts, Place, Pool, enter, every_rule, http};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Starts what its query names; says what that said on both streams, and how it ended.
const PAGE: &str = "<?php $p = proc_open(explode('|', $_GET['words']), [1 => ['pipe', 'w'], 2 => ['pipe', 'w']], $pipes);\n\
    echo $p ? stream_get_contents($pipes[1]) . '/' . stream_get_contents($pipes[2]) . '/' . proc_close($p) : 'refused';\n";

/// A shell, a shell from a program without a loader, one without an environment, and calls without the hooks.
const WAYS: [&str; 5] = [
    "/bin/sh|-c|echo $((40+2)); /bin/env",
    "/bin/busybox|sh|-c|/bin/dash -c 'echo $((40+2))'",
    "/bin/env|-i|/bin/dash|-c|echo $((40+2))",
    "/bin/ways|libc|sendto",
    "/bin/ways|libc|execve",
];

pub fn jail(place: &Place) -> PathBuf {
    let jail = place.join("jail");
    place.write("jail/www/page.php", PAGE);
    let [static_ways, dynamic_ways] = ["-static", "-no-pie"].map(|linked| {
        let program = place.join(&format!("ways{linked}"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/c/ways.c");
        let done = Command::new("cc").args(["-O1", "-w", linked, "-o"]).arg(&program).arg(source).status();
        assert!(done.expect("cc").success());
        program
    });
    for (from, to) in [
        (Path::new("/bin/dash"), "bin/sh"),
        (Path::new("/bin/dash"), "bin/dash"),
        (Path::new("/usr/bin/env"), "bin/env"),
        (Path::new("/bin/busybox"), "bin/busybox"),
        (&static_ways, "bin/ways"),
        (&dynamic_ways, "bin/dynamic-ways"),
        (Path::new("/lib/x86_64-linux-gnu/libc.so.6"), "lib/x86_64-linux-gnu/libc.so.6"),
        (Path::new("/lib64/ld-linux-x86-64.so.2"), "lib64/ld-linux-x86-64.so.2"),
    ] {
        let to = jail.join(to);
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("folders");
        std::fs::copy(from, to).expect("a copy");
    }
    jail
}

fn start(place: &Place, guard: Option<&Guard>) -> (Fpm, Nginx) {
    let lines = format!("chroot = {}", jail(place).display());
    let fpm = Fpm::start(place, guard, &Pool { lines, ..Pool::default() });
    let location = format!(
        "location / {{ include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME /www/page.php; fastcgi_pass {}; }}",
        fpm.address
    );
    let nginx = Nginx::start(place, None, &location);
    (fpm, nginx)
}

/// Words for a query.
pub fn encoded(words: &str) -> String {
    words.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn ask(server: &(Fpm, Nginx), words: &str) -> String {
    http::get(server.1.port, &format!("/?words={}", encoded(words))).body
}

fn is_missing(events: &[Value]) -> bool {
    events
        .iter()
        .any(|event| event.text("portcullis.unguarded") == "missing" && event.to_string().contains("exec-unguarded"))
}

/// Of audit, nothing is to be seen in the jail; each program without the library is an event, and what it does is one with a backstop.
#[test]
fn a_jail_without_the_library_is_as_it_is_bare() {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let bare = Place::new();
    let server = start(&bare, None);
    let unguarded: Vec<_> = WAYS.map(|way| ask(&server, way)).into();
    assert!(unguarded[0].starts_with("42\n") && unguarded[3].starts_with("1 0"), "{unguarded:#?}");
    drop(server);
    for layer in ["off", "supervise"] {
        let place = Place::new();
        let guard = place.guard_of_every_event(&format!("{}[backstop]\nseccomp = \"{layer}\"\n", every_rule("audit")));
        let server = start(&place, Some(&guard));
        let mut events = guard.events();
        for (way, bare) in WAYS.iter().zip(&unguarded) {
            assert_eq!(&ask(&server, way), bare, "{layer}: {way}");
            let seen = events.fresh();
            // A static program has no loader that would look for it.
            let is_dynamic = !way.starts_with("/bin/busybox") && !way.starts_with("/bin/ways");
            assert_eq!(is_missing(&seen), is_dynamic, "{layer}: {way}: {seen:#?}");
            let by_backstop = seen.iter().any(|event| event.text("portcullis.layer") == "backstop");
            // Its first program is judged by the hook, what that starts or does by the supervisor.
            let is_more = !way.starts_with("/bin/sh");
            assert_eq!(by_backstop, layer == "supervise" && is_more, "{layer}: {way}: {seen:#?}");
        }
    }
}

/// The same with the library where `install --jails` would put it: the program is guarded, and still nothing is to be seen.
#[test]
fn a_jail_with_the_library_is_guarded() {
    enter();
    let bare = Place::new();
    let server = start(&bare, None);
    let unguarded: Vec<_> = WAYS[..3].iter().map(|way| ask(&server, way)).collect();
    drop(server);
    let place = Place::new();
    let guard = place.guard_of_every_event(&every_rule("audit"));
    let copy = jail(&place).join(place.library().strip_prefix("/").expect("a path"));
    std::fs::create_dir_all(copy.parent().expect("a folder")).expect("folders");
    std::fs::copy(place.library(), &copy).expect("a copy");
    let server = start(&place, Some(&guard));
    let mut events = guard.events();
    for (way, bare) in WAYS.iter().zip(&unguarded) {
        assert_eq!(&ask(&server, way), bare, "{way}");
        assert!(!is_missing(&events.fresh()), "{way}");
    }
    // It is loaded.
    let said = ask(&server, "/bin/env|LD_DEBUG=libs|/bin/dash|-c|true");
    assert!(said.contains("calling init") && said.contains("libportcullis.so"), "{said}");
}

/// `portcullis run` has a place for its policy, and finds its library, in any of these.
#[test]
fn run_needs_neither_proc_nor_a_writable_run() {
    enter();
    let place = Place::new();
    let config = place.write("c.toml", "mode = \"audit\"\n[log]\nsink = [\"stderr\"]\n");
    for setting in
        ["mount -o remount,ro,bind /run", "umount -l /proc", "mount -t tmpfs -o ro none /run; umount -l /proc"]
    {
        let bin = place.join("bin/portcullis");
        let line = format!(
            "mount --bind /run /run; {setting}; exec {} run --config {} -- /bin/sh -c 'sh -c \"echo $((40+2))\"'",
            bin.display(),
            config.display()
        );
        let mut shell = Command::new("unshare");
        let done = shell.args(["-m", "sh", "-c", &line]).env("TMPDIR", place.path()).output().expect("unshare");
        let (said, error) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(said, "42\n", "{setting}: {error}");
        assert!(error.contains("\"shell-spawn\"") && !error.contains("ERROR"), "{setting}: {error}");
    }
}

/// `install --jails` places the library, an upgrade renews it, and `uninstall` takes it away.
#[test]
fn install_places_the_library_in_jails() {
    let place = Place::new();
    let root = place.join("root");
    let library = format!("usr/lib/{}-linux-gnu/libportcullis.so", std::env::consts::ARCH);
    place.write(&format!("root/{library}"), "");
    std::fs::copy(place.library(), root.join(&library)).expect("the library");
    place.write("root/usr/lib/systemd/system/php9.9-fpm.service", "[Service]\nExecStart=/usr/sbin/php-fpm9.9\n");
    place.write("root/etc/php/9.9/fpm/php-fpm.conf", "include=/etc/php/9.9/fpm/pool.d/*.conf\n");
    place.write("root/etc/php/9.9/fpm/pool.d/shop.conf", "[shop]\nchroot = /srv/$pool\n");
    place.write("root/srv/shop/www/page.php", "");
    let copy = root.join("srv/shop").join(&library);
    let run = |arguments: &[&str]| {
        let done = place.portcullis().args(arguments).arg("--root").arg(&root).output().expect("portcullis");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let said = run(&["install", "php9.9-fpm"]);
    assert!(said.contains("/etc/php/9.9/fpm/pool.d/shop.conf:2: pool shop has the root directory /srv/shop"), "{said}");
    assert!(said.contains("`portcullis install php9.9-fpm --jails`") && !copy.exists(), "{said}");
    run(&["install", "php9.9-fpm", "--jails"]);
    assert!(std::fs::read(&copy).expect("a copy") == std::fs::read(place.library()).expect("the library"));
    // An older one is renewed, whatever the flag.
    std::fs::write(&copy, "older").expect("a file");
    run(&["install", "php9.9-fpm"]);
    assert!(std::fs::read(&copy).expect("a copy") == std::fs::read(place.library()).expect("the library"));
    run(&["uninstall", "php9.9-fpm"]);
    assert!(!root.join("srv/shop/usr").exists() && root.join("srv/shop/www/page.php").exists());
}
