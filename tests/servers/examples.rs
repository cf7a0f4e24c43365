//! examples/: every configuration compiles, every drop-in is taken by systemd and guards the server it is for.

use crate::harness::{
    Apache, Fpm, Guard, Kind, Listeners, Nginx, OUTSIDE4, Parts, Place, Pool, enter, from_journal, http, journald,
    named, own_root, own_run_and_dev,
};
use std::path::{Path, PathBuf};
use std::process::Command;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn configurations() -> Vec<PathBuf> {
    let top = std::fs::read_dir(examples()).expect("examples").map(|entry| entry.expect("an entry").path());
    let mut all: Vec<PathBuf> = top.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    all.push(examples().join("vhosts/portcullis.toml"));
    all
}

/// What the pages of the rules show as configuration is one, and the list of rules has each of them.
#[test]
fn the_pages_of_the_rules_hold() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
    let list = std::fs::read_to_string(folder.join("README.md")).expect("the list");
    for rule in portcullis_policy::RULE_WORDS {
        assert!(list.contains(&format!("[{rule}]({rule}.md)")), "{rule}");
        let text = std::fs::read_to_string(folder.join(format!("{rule}.md"))).expect(rule);
        let snippet =
            text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a configuration");
        let config = place.write("rule.toml", snippet);
        let check = place.portcullis().args(["check", "--config"]).arg(config).output().expect("portcullis");
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(said.contains("0 errors, 0 warnings"), "{rule}: {said}{}", String::from_utf8_lossy(&check.stderr));
    }
}

#[test]
fn every_configuration_compiles() {
    let place = Place::new();
    let all = configurations();
    assert_eq!(all.len(), 4);
    for config in all {
        let check = place.portcullis().args(["check", "--json", "--config"]).arg(&config).output().expect("portcullis");
        let result: serde_json::Value = serde_json::from_slice(&check.stdout).expect("JSON");
        assert!(check.status.success(), "{result:#}");
        assert_eq!(result["errors"], 0);
        let output = place.join("policy");
        let done = place
            .portcullis()
            .args(["compile", "--config"])
            .arg(&config)
            .arg("-o")
            .arg(&output)
            .output()
            .expect("portcullis");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let bytes = std::fs::read(&output).expect("a policy");
        assert!(portcullis_policy::Policy::new(&bytes).is_ok());
    }
}

const UNITS: [&str; 3] = ["apache2", "nginx", "phpX.Y-fpm"];

/// The example for a unit; that for PHP-FPM has no version.
fn drop_in(unit: &str) -> PathBuf {
    examples().join(format!("systemd/{}.service.d/portcullis.conf", unit.replace("X.Y", "")))
}

#[test]
fn systemd_takes_every_drop_in() {
    // systemd-analyze writes to /run.
    own_root(&[]);
    for unit in UNITS {
        let units = tempfile::tempdir().expect("a folder");
        let name = named(&format!("{unit}.service"));
        std::fs::copy(format!("/lib/systemd/system/{name}"), units.path().join(&name)).expect("Debian's unit");
        let folder = units.path().join(format!("{name}.d"));
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::copy(drop_in(unit), folder.join("portcullis.conf")).expect("the drop-in");
        let verify = || {
            let unit = units.path().join(&name);
            let done =
                Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(unit).output().expect("systemd");
            String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
        };
        assert_eq!(verify(), "", "{unit}");
        std::fs::write(folder.join("wrong.conf"), "[Service]\nNoSuchKey=1\n").expect("a file");
        assert!(verify().contains("NoSuchKey"), "systemd reads drop-ins from there");
    }
}

/// The examples are what `install` writes, in a root that is not running.
#[test]
fn install_writes_the_drop_ins() {
    let place = Place::new();
    let root = place.join("root");
    let library = setting("nginx", "Environment").replace("LD_PRELOAD=/", "");
    place.write(&format!("root/{library}"), "");
    std::fs::copy(place.library(), root.join(&library)).expect("the library");
    for unit in UNITS {
        let name = named(&format!("{unit}.service"));
        let text = std::fs::read_to_string(format!("/lib/systemd/system/{name}")).expect("Debian's unit");
        place.write(&format!("root/usr/lib/systemd/system/{name}"), &text);
    }
    let command = |arguments: &[&str]| {
        let done = place.portcullis().args(arguments).arg("--root").arg(&root).output().expect("portcullis");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    command(&["install", "apache2", "nginx", "php-fpm"]);
    let written = |unit: &str| root.join(named(&format!("etc/systemd/system/{unit}.service.d/portcullis.conf")));
    for unit in UNITS {
        let text = std::fs::read_to_string(written(unit)).expect("a drop-in");
        let example = std::fs::read_to_string(drop_in(unit)).expect("the example");
        assert_eq!(
            text,
            example.replace("`portcullis uninstall php-fpm`", &format!("`portcullis uninstall {}`", named(unit))),
            "{unit}"
        );
    }
    let config = std::fs::read_to_string(root.join("etc/portcullis/portcullis.toml")).expect("a configuration");
    assert!(config.contains("mode = \"audit\""), "{config}");
    // What is not the guard's is neither overwritten nor removed.
    std::fs::write(written("nginx"), "[Service]\nNice=1\n").expect("a file");
    let refused = place.portcullis().args(["install", "nginx", "--root"]).arg(&root).output().expect("portcullis");
    assert_eq!(refused.status.code(), Some(1));
    let refused = place.portcullis().args(["uninstall", "nginx", "--root"]).arg(&root).output().expect("portcullis");
    assert_eq!(refused.status.code(), Some(1));
    assert!(written("nginx").exists());
    command(&["uninstall", "apache2", "php-fpm"]);
    assert!(!root.join("etc/systemd/system/apache2.service.d").exists(), "nothing is left");
}

/// The value of a setting of a drop-in.
fn setting(unit: &str, key: &str) -> String {
    let text = std::fs::read_to_string(drop_in(unit)).expect("the drop-in");
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned));
    value.unwrap_or_else(|| panic!("{unit}: no {key}"))
}

/// Installs as the drop-ins expect it, with `config` as the configuration; does what systemd does with the drop-in of
/// `unit`, and gives the guard that it loads.
fn installed(place: &Place, unit: &str, config: &Path) -> Guard {
    let preload = setting(unit, "Environment");
    let library = PathBuf::from(preload.strip_prefix("LD_PRELOAD=").expect("LD_PRELOAD"));
    let folder = library.parent().and_then(Path::to_str).expect("a folder");
    std::fs::copy(place.library(), Path::new(folder).join("libportcullis.so")).expect("the library");
    std::fs::copy(place.join("bin/portcullis"), "/usr/bin/portcullis").expect("the command");
    let etc = Path::new("/etc/portcullis");
    std::fs::create_dir(etc).expect("a folder");
    std::fs::copy(config, etc.join("portcullis.toml")).expect("the configuration");
    let before = setting(unit, "ExecStartPre");
    let before: Vec<&str> = before.trim_start_matches(['-', '+']).split(' ').collect();
    let done = Command::new(before[0]).args(&before[1..]).env("LD_PRELOAD", &library).output().expect("ExecStartPre");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(Path::new("/run/portcullis/policy").exists());
    Guard::installed(library)
}

#[test]
fn the_drop_ins_guard_their_servers() {
    for unit in UNITS {
        // Each in namespaces of its own.
        std::thread::spawn(move || guards(unit)).join().expect(unit);
    }
}

fn guards(unit: &str) {
    enter();
    own_run_and_dev();
    let _listeners = Listeners::on(&[4444]);
    let _journald = journald();
    let place = Place::new();
    place.pages();
    let guard = installed(&place, unit, &examples().join("enforce.toml"));
    let (rule, answer) = match unit {
        "apache2" => {
            let apache = Apache::start(&place, Some(&guard), Kind::ModPhp, None, "");
            ("shell-spawn", http::get(apache.port, "/way.php?way=system"))
        }
        "nginx" => {
            let upstream = format!("location / {{ proxy_pass http://{OUTSIDE4}:4444/; }}");
            let nginx = Nginx::start(&place, Some(&guard), &upstream);
            ("egress-port", http::get(nginx.port, "/"))
        }
        _ => {
            let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
            let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
            ("shell-spawn", http::get(nginx.port, "/way.php?way=system"))
        }
    };
    let events = from_journal(&place, 1);
    assert_eq!(events.len(), 1, "{unit}: {answer:?} {events:#?}");
    assert_eq!((events[0].text("rule.id"), events[0].text("event.outcome")), (rule, "failure"), "{unit}");
}
