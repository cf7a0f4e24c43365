//! `portcullis apply`: what is applied is one configuration without an error, or the one before it.
#![allow(clippy::disallowed_methods)]

use portcullis_policy::Policy;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("etc/vhosts.d")).unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        let host = Host { folder };
        host.put("portcullis.toml", "mode = \"audit\"\n");
        host.put("vhosts.d/shop.toml", "name = \"shop\"\n[match]\nscript = [\"/srv/shop\"]\n");
        host
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, file: &str, text: &str) {
        std::fs::write(self.at("etc").join(file), text).unwrap();
    }

    fn command(&self, more: &[&str]) -> Vec<String> {
        let (config, output) = (self.at("etc"), self.at("run/policy"));
        let fixed = ["apply", "--no-reload", "--config", config.to_str().unwrap(), "-o", output.to_str().unwrap()];
        fixed.iter().chain(more).map(|word| (*word).to_owned()).collect()
    }

    fn apply(&self, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_portcullis")).args(self.command(more)).output().unwrap()
    }

    fn policy(&self) -> Option<Vec<u8>> {
        std::fs::read(self.at("run/policy")).ok()
    }

    /// What lies beside the policy.
    fn others(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.at("run")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name != "policy" && name != ".apply-lock");
        names
    }
}

fn vhosts(policy: &[u8]) -> Vec<String> {
    let policy = Policy::new(policy).expect("a policy");
    policy.vhost_names().map(|name| String::from_utf8(name.to_vec()).unwrap()).collect()
}

fn said(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

#[test]
fn what_is_right_is_applied_and_only_once() {
    let host = Host::new();
    let first = host.apply(&[]);
    assert!(first.status.success() && said(&first).contains("applied"), "{}", said(&first));
    let policy = host.policy().unwrap();
    assert_eq!(vhosts(&policy), ["shop"]);
    let again = host.apply(&[]);
    assert!(again.status.success() && said(&again).contains("unchanged"), "{}", said(&again));
    assert_eq!(host.policy().unwrap(), policy);
    assert_eq!(host.others(), [""; 0]);
}

/// A file that was only touched, or written again as it was, is no change.
#[test]
fn what_says_the_same_is_not_applied_again() {
    let host = Host::new();
    assert!(host.apply(&[]).status.success());
    let policy = host.policy();
    age(&host.at("etc/portcullis.toml"));
    host.put("vhosts.d/shop.toml", "# Ours.\nname = \"shop\"\n[match]\nscript = [\"/srv/shop\"]\n");
    host.put("vhosts.d/shop.toml", "name = \"shop\"\n[match]\nscript = [\"/srv/shop\"]\n");
    let done = host.apply(&["--check"]);
    assert!(said(&done).contains("Nothing changed.") && host.policy() == policy, "{}", said(&done));
    let done = host.apply(&[]);
    assert!(said(&done).contains("Nothing changed.") && host.policy() == policy, "{}", said(&done));
    host.put("portcullis.toml", "mode = \"off\"\n");
    let done = host.apply(&[]);
    assert!(!said(&done).contains("Nothing changed.") && host.policy() != policy, "{}", said(&done));
}

#[test]
fn virtual_hosts_and_modes_that_change_are_named() {
    let host = Host::new();
    host.put("portcullis.toml", "mode = \"enforce\"\n");
    let first = host.apply(&[]);
    assert!(!said(&first).contains("new: "), "{}", said(&first));
    host.put("portcullis.toml", "mode = \"audit\"\n");
    std::fs::rename(host.at("etc/vhosts.d/shop.toml"), host.at("etc/vhosts.d/shop.off")).unwrap();
    host.put("vhosts.d/blog.toml", "name = \"blog\"\n[match]\nscript = [\"/srv/blog\"]\n");
    for more in [&["--check"][..], &[]] {
        let done = said(&host.apply(more));
        for wanted in [
            "LOWERED global",
            "enforce to audit: egress-port",
            "gone: 1 virtual host: shop",
            "new: 1 virtual host: blog",
        ] {
            assert!(done.contains(wanted), "{wanted}: {done}");
        }
    }
    host.put("portcullis.toml", "mode = \"off\"\n");
    let json: Value = serde_json::from_slice(&host.apply(&["--json"]).stdout).expect("JSON");
    let changes = &json["configurations"][0]["changes"];
    assert_eq!(changes["lowered"][0]["modes"], "audit to off: every rule", "{changes}");
}

#[test]
fn one_syntax_error_is_shown_once() {
    let host = Host::new();
    host.put("portcullis.toml", "[egress]\nallow = [\"192.0.2.1:5\"\n[exec]\nmode = \"audit\"\n");
    for more in [&["--check"][..], &[]] {
        let done = said(&host.apply(more));
        assert_eq!(done.matches("error: ").count(), 1, "{done}");
        assert!(done.contains("portcullis.toml: 1 error, "), "{done}");
    }
    host.put("portcullis.toml", "mode = \"audit\"\nmode = \"off\"\n[log]\nmerge = true\nmerge = false\n");
    let done = said(&host.apply(&[]));
    assert_eq!(done.matches("error: duplicate key").count(), 2, "{done}");
}

#[test]
fn what_has_an_error_leaves_the_policy_before_it() {
    let host = Host::new();
    assert!(host.apply(&[]).status.success());
    let policy = host.policy();
    let fifo = |name: &str| assert!(Command::new("mkfifo").arg(host.at("etc").join(name)).status().unwrap().success());
    let half = |name: &str| host.put(name, "name = \"blog\"\n[match]\nscript = [\"/srv/bl");
    let theirs = |name: &str| {
        std::os::unix::fs::symlink("/etc/hostname", host.at("etc").join(name)).unwrap();
        std::os::unix::fs::lchown(host.at("etc").join(name), Some(33), None).unwrap();
    };
    let open = |name: &str| {
        host.put(name, "name = \"blog\"\n[match]\nscript = [\"/srv/blog\"]\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(host.at("etc").join(name), mode).unwrap();
    };
    type Kind<'k> = (&'k str, &'k dyn Fn(&str), &'k str);
    let kinds: [Kind<'_>; 4] = [
        ("vhosts.d/half.toml", &half, "half.toml:3:"),
        ("vhosts.d/fifo.toml", &fifo, "FIFO"),
        ("vhosts.d/theirs.toml", &theirs, "belongs to user 33"),
        ("vhosts.d/open.toml", &open, "others may write to"),
    ];
    for (name, make, why) in kinds {
        make(name);
        for more in [&[][..], &["--check"]] {
            let done = host.apply(more);
            assert_eq!(done.status.code(), Some(1), "{name}: {}", said(&done));
            assert!(
                said(&done).contains(why) && said(&done).contains("nothing was applied"),
                "{name}: {}",
                said(&done)
            );
            assert!(host.policy() == policy, "{name}");
        }
        std::fs::remove_file(host.at("etc").join(name)).unwrap();
    }
    assert_eq!(host.others(), [""; 0]);
    assert!(host.apply(&[]).status.success());
}

#[test]
fn a_check_writes_nothing_and_says_whether_it_would() {
    let host = Host::new();
    let before = host.apply(&["--check", "--json"]);
    assert!(before.status.success(), "{}", said(&before));
    let json = |done: &Output| serde_json::from_slice::<Value>(&done.stdout).expect("JSON");
    assert_eq!(json(&before)["configurations"][0]["state"], "would be applied");
    assert_eq!(std::fs::read_dir(host.at("run")).unwrap().count(), 0);
    let applied = json(&host.apply(&["--json"]));
    assert_eq!((&applied["changed"], &applied["configurations"][0]["state"]), (&true.into(), &"applied".into()));
    let digest = format!("{:016x}", Policy::new(&host.policy().unwrap()).unwrap().digest());
    assert_eq!(applied["configurations"][0]["digest"], digest);
    let after = json(&host.apply(&["--dry-run", "--json"]));
    assert_eq!((&after["changed"], &after["configurations"][0]["state"]), (&false.into(), &"unchanged".into()));
    host.put("vhosts.d/shop.toml", "name = ");
    let broken = json(&host.apply(&["--json"]));
    let found = &broken["configurations"][0];
    assert_eq!((&found["state"], &found["usable"]), (&"rejected".into(), &false.into()));
    assert_eq!(found["diagnostics"][0]["line"], 1);
}

/// What a process leaves that ends by a signal while it writes the new policy: half of one. The rename was never made.
fn crash(host: &Host) {
    let policy = host.policy().unwrap();
    std::fs::write(host.at("run").join(".policy-Cr4sh1"), &policy[..policy.len() / 2]).unwrap();
}

#[test]
fn what_a_crash_leaves_is_read_by_nobody_and_removed() {
    let host = Host::new();
    assert!(host.apply(&[]).status.success());
    let policy = host.policy();
    host.put("vhosts.d/blog.toml", "name = \"blog\"\n[match]\nscript = [\"/srv/blog\"]\n");
    crash(&host);
    assert!(host.policy() == policy, "the policy before it is whole");
    let left = host.others();
    assert_eq!(left.len(), 1, "{left:?}");
    // It may be of a run that goes on.
    assert!(host.apply(&[]).status.success());
    assert_eq!(vhosts(&host.policy().unwrap()), ["blog", "shop"]);
    assert_eq!(host.others(), left);
    age(&host.at("run").join(&left[0]));
    assert!(host.apply(&[]).status.success());
    assert_eq!(host.others(), [""; 0]);
}

/// Makes a file an hour older.
fn age(path: &Path) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
}
