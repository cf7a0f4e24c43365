//! `override` and `portcullis panic`: what is enforced is let go without a restart, and refused again when that is undone.

use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter, http, wait_until};

const SHELL: &str = "/shell.php";
const VHOST: &str = "mode = \"enforce\"\n[exec]\nmode = \"enforce\"\n[[vhost]]\nname = \"shop\"\nmode = \"enforce\"\n\
                     exec = { mode = \"enforce\" }\nmatch = { document_root = \"WWW\" }\n";

/// Whether the page's shell is refused.
fn refuses(port: u16) -> bool {
    let body = http::get(port, SHELL).body;
    assert!(["yes", "no"].contains(&body.as_str()), "{body}");
    body == "no"
}

/// Runs `portcullis panic` on the configuration of the test; what it says.
fn panic(place: &Place, guard: &Guard, more: &[&str]) -> String {
    let done = place.portcullis().arg("panic").arg("--config").arg(&guard.config).args(more).output();
    let done = done.expect("portcullis panic");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    // The server is none of systemd's: where it still does more than it is to, it is named.
    let unreached = said.matches("not reached: process ").count();
    assert_eq!(done.status.code(), Some(i32::from(unreached != 0)), "{said}");
    assert!(unreached <= 1 && (unreached == 0 || said.contains("reload the server yourself")), "{said}");
    said
}

fn reload(fpm: &Fpm, place: &Place) {
    let ready =
        || std::fs::read_to_string(place.join("fpm.log")).unwrap_or_default().matches("ready to handle").count();
    let before = ready();
    fpm.process.signal(libc::SIGUSR2);
    wait_until("the reload", || ready() > before);
}

#[test]
fn panic_lets_an_enforced_virtual_host_go_and_is_undone() {
    enter();
    let place = Place::new();
    place.write("www/shell.php", "<?php echo shell_exec('echo yes; :') ? 'yes' : 'no';");
    let config = VHOST.replace("WWW", &place.join("www").display().to_string());
    let guard = place.guard(&config);
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    let master = fpm.process.pid();
    assert!(refuses(nginx.port));
    let before = std::fs::read_to_string(&guard.config).expect("the configuration");

    let said = panic(&place, &guard, &[]);
    assert!(said.contains("To undo it: portcullis panic --undo"), "{said}");
    assert!(said.contains(&format!("not reached: process {master} ")), "{said}");
    reload(&fpm, &place);
    assert!(!refuses(nginx.port), "{said}");
    let events = guard.events().all();
    let last = events.last().expect("an event");
    assert_eq!((last.text("event.outcome"), last.text("portcullis.mode")), ("success", "audit"));
    for verb in ["check", "compile"] {
        let done = place.portcullis().arg(verb).arg("--config").arg(&guard.config).output().expect(verb);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success() && said.contains("override = \"audit\" takes precedence over every mode"),
            "{verb}: {said}"
        );
    }
    let status = place.portcullis().arg("status").arg("--config").arg(&guard.config).output().expect("status");
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("override is in force: nothing is blocked"), "{said}");

    panic(&place, &guard, &["--mode", "off"]);
    reload(&fpm, &place);
    let count = guard.events().all().len();
    assert!(!refuses(nginx.port));
    assert_eq!(guard.events().all().len(), count, "off writes nothing");

    panic(&place, &guard, &["--undo"]);
    assert_eq!(std::fs::read_to_string(&guard.config).expect("the configuration"), before);
    reload(&fpm, &place);
    assert!(refuses(nginx.port));
    assert_eq!(fpm.process.pid(), master, "without a restart");
}

/// In an outage the configuration may be broken, too: nothing of that keeps the switch from switching.
#[test]
fn a_broken_configuration_does_not_keep_it_from_switching() {
    enter();
    let place = Place::new();
    place.write("www/shell.php", "<?php echo shell_exec('echo yes; :') ? 'yes' : 'no';");
    let guard = place.guard("mode = \"enforce\"");
    let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
    assert!(refuses(nginx.port));
    let text = std::fs::read_to_string(&guard.config).expect("the configuration");
    std::fs::write(&guard.config, text.replace("\"enforce\"", "\"enforc\"")).expect("the configuration");
    panic(&place, &guard, &[]);
    reload(&fpm, &place);
    assert!(!refuses(nginx.port));
    let undo = place.portcullis().args(["panic", "--undo", "--config"]).arg(&guard.config).output().expect("panic");
    assert!(!undo.status.success(), "what would not compile is not put in its place");
    assert!(!refuses(nginx.port));
}

/// Without a word about it, `mode` covers the rules that have no benign use in a web worker; and an entry of `deny` takes nothing
/// from what another rule refuses.
#[test]
fn mode_covers_what_has_no_benign_use() {
    enter();
    let place = Place::new();
    let page = "<?php $w = $_GET['way'];
        if ($w == 'metadata') { $s = @stream_socket_client('tcp://169.254.169.254:80', $n, $e, 1); echo $n == 13 ? 'no' : 'yes'; }
        if ($w == 'loader') { $p = @proc_open(['/bin/true'], [], $x, null, ['LD_PRELOAD' => '/tmp/x.so']); echo $p && proc_close($p) == 0 ? 'yes' : 'no'; }
        if ($w == 'place') { copy('/bin/true', '/tmp/kill-switch'); chmod('/tmp/kill-switch', 0755);
            $p = @proc_open(['/tmp/kill-switch'], [], $x); echo $p && proc_close($p) == 0 ? 'yes' : 'no'; }
        if ($w == 'tool') { $p = @proc_open(['/usr/bin/whoami'], [1 => ['file', '/dev/null', 'w']], $x); echo $p && proc_close($p) == 0 ? 'yes' : 'no'; }";
    place.write("www/way.php", page);
    let deny =
        "[egress]\nmode = \"audit\"\ndeny = [\"169.254.0.0/16:*\"]\n[rules.exec-place]\nplaces = [\"default\"]\n";
    for (config, answers) in [
        ("mode = \"enforce\"\n".to_owned(), ["no", "no", "no", "yes"]),
        (format!("mode = \"enforce\"\n{deny}"), ["no", "no", "no", "yes"]),
        ("mode = \"audit\"\n".to_owned(), ["yes", "yes", "yes", "yes"]),
        (
            "mode = \"enforce\"\n[rules]\nexec-place = { mode = \"audit\" }\nmetadata = { mode = \"audit\" }\n"
                .to_owned(),
            ["yes", "no", "yes", "yes"],
        ),
    ] {
        let guard = place.guard(&config);
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        let all = ["metadata", "loader", "place", "tool"];
        let got = all.map(|way| http::get(nginx.port, &format!("/way.php?way={way}")).body);
        assert_eq!(got, answers, "{config}: {:#?}", guard.events().all());
    }
    let _ = std::fs::remove_file("/tmp/kill-switch");
}
