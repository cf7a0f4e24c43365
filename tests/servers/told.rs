//! What an operator is told is true: of a kill switch, of what a user could not look at, and of where the documentation is.

use crate::harness::{Parts, Place, enter, named};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn text(done: &Output) -> String {
    String::from_utf8_lossy(&[done.stdout.clone(), done.stderr.clone()].concat()).into_owned()
}

/// `override` lets a server go whose command asks for enforcement, and that is said.
#[test]
fn an_override_takes_precedence_over_run_with_a_mode() {
    enter();
    let place = Place::new();
    for (override_, mode, is_refused) in [
        ("", "enforce", true),
        ("override = \"audit\"\n", "enforce", false),
        ("override = \"off\"\n", "enforce", false),
    ] {
        let guard = place.guard(&format!("{override_}mode = \"enforce\"\n"));
        let mut run = place.portcullis();
        run.args(["run", "--mode", mode, "--role", "serving", "--config"]).arg(&guard.config);
        let done = run.args(["--", "php", "-r", "echo shell_exec('echo yes; :') ? 'yes' : 'no';"]).output();
        let done = done.expect("portcullis run");
        let answer = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(answer == "no", is_refused, "{override_}{}", text(&done));
        let is_said = text(&done).contains("takes precedence over `--mode enforce`; help: portcullis panic --undo");
        assert_eq!(is_said, !is_refused, "{}", text(&done));
        let mut explain = place.portcullis();
        let done = explain.args(["explain", "--exec", "id", "--config"]).arg(&guard.config).output().expect("explain");
        assert_eq!(text(&done).contains("by `override`"), !is_refused, "{}", text(&done));
    }
}

/// What an ordinary user may not look at is not called wrong.
#[test]
fn doctor_does_not_call_wrong_what_it_could_not_look_at() {
    enter();
    let place = Place::new();
    let library = format!("/usr/lib/{}-linux-gnu/libportcullis.so", std::env::consts::ARCH);
    std::fs::copy(place.library(), &library).expect("the library");
    for words in [&["install", &named("phpX.Y-fpm")][..], &["apply", "--no-reload"]] {
        let done = place.portcullis().args(words).output().expect("portcullis");
        assert!(done.status.success(), "{}", text(&done));
    }
    let doctor = |user: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--clear-groups"]).arg(place.join("bin/portcullis"));
        let done = command.args(["doctor", &named("phpX.Y-fpm"), "--json"]).output().expect("setpriv");
        let found: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
        let of = |outcome: &str| -> Vec<String> {
            let all = found["findings"].as_array().expect("findings").iter();
            all.filter(|finding| finding["outcome"] == outcome)
                .map(|finding| format!("{}: {}", finding.text("what"), finding.text("found")))
                .collect()
        };
        (done.status.code(), of("wrong"), of("unknown"))
    };
    let (code, wrong, unknown) = doctor("nobody");
    assert_eq!((code, wrong.as_slice()), (Some(1), &[][..]), "{unknown:?}");
    assert!(unknown[0].starts_with("processes, sinks, proof: not looked at: only root"), "{unknown:?}");
    let drop_in = &named("/etc/systemd/system/phpX.Y-fpm.service.d");
    let pools = &named("/etc/php/X.Y/fpm/pool.d");
    for (path, mode, what) in [
        ("/etc/portcullis/portcullis.toml", 0o600, "configuration"),
        ("/etc/portcullis", 0o700, "configuration"),
        (drop_in, 0o700, "drop-in"),
        ("/run/portcullis/policy", 0o600, "policy"),
        (library.as_str(), 0o600, "library"),
        (pools, 0o700, "pool"),
        (&format!("{pools}/www.conf"), 0o600, "pool"),
    ] {
        let before = std::fs::metadata(path).expect(path).permissions();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect(path);
        let (code, wrong, unknown) = doctor("nobody");
        std::fs::set_permissions(path, before).expect(path);
        assert_eq!((code, wrong.as_slice()), (Some(1), &[][..]), "{path}: {unknown:?}");
        let begins = format!("{what}: not looked at: /");
        assert!(unknown.iter().any(|found| found.starts_with(&begins)), "{path}: {unknown:?}");
    }
    // What can be looked at and is wrong still is.
    std::fs::write("/etc/portcullis/portcullis.toml", "mode = \"enf\"\n").expect("a file");
    let (code, wrong, _) = doctor("nobody");
    assert!(code == Some(1) && wrong[0].starts_with("configuration: "), "{wrong:?}");
    let (code, wrong, _) = doctor("root");
    assert!(code == Some(1) && wrong.iter().any(|found| found.starts_with("processes: ")), "{wrong:?}");
}

/// A message names a page where the packages have put it.
#[test]
fn a_page_is_named_where_it_is() {
    enter();
    let place = Place::new();
    let explained = || {
        let done = place.portcullis().args(["explain", "--exec", "id | cat"]).output().expect("explain");
        text(&done)
    };
    let installed = Path::new("/usr/share/doc/portcullis/configuration.md");
    let _ = std::fs::remove_file(installed);
    assert!(explained().contains("(listed in docs/configuration.md, Commands)"), "{}", explained());
    std::fs::create_dir_all(installed.parent().expect("a folder")).expect("a folder");
    std::fs::write(installed, "").expect("a file");
    assert!(
        explained().contains("(listed in /usr/share/doc/portcullis/configuration.md, Commands)"),
        "{}",
        explained()
    );
}
