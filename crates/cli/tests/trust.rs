//! What root reads and writes: each command that opens a configuration, writes one, or opens the log, over each way in which another user
//! could change it.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const OTHER: u32 = 65534;

/// A system of root's below a folder, with a configuration in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        permit(place.0.path(), 0o755);
        for folder in ["conf/vhosts.d", "log", "elsewhere", "bin"] {
            std::fs::create_dir_all(place.at(folder)).expect("a folder");
        }
        let text = format!("[log]\nsink = [\"file\"]\nfile = \"{}\"\n", place.at("log/events.jsonl").display());
        std::fs::write(place.config(), text).expect("a file");
        std::fs::write(place.at("conf/vhosts.d/shop.toml"), "name = \"shop\"\nmatch = { pool = \"shop\" }\n")
            .expect("a file");
        std::fs::write(place.at("log/events.jsonl"), "").expect("a file");
        std::fs::write(
            place.at("taught.jsonl"),
            include_str!("../../../docs/events/egress-port.json").replace('\n', " "),
        )
        .expect("a file");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.at("conf/portcullis.toml")
    }

    /// Every file, with its bytes, owner and mode: what a command that refuses leaves as it is.
    fn all(&self) -> Vec<(PathBuf, u32, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let meta = std::fs::symlink_metadata(&path).expect("a file");
                if meta.is_dir() {
                    folders.push(path.clone());
                }
                let bytes = if meta.is_file() { std::fs::read(&path).expect("a file") } else { Vec::new() };
                found.push((path, meta.uid(), meta.mode(), bytes));
            }
        }
        found.sort();
        found
    }
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

fn portcullis(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).env_remove("PORTCULLIS_CONFIG").output().expect("portcullis")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

type Way = (&'static str, fn(&Place));

/// Each way in which another user could change what a configuration says, or have root's log elsewhere.
const WAYS: [Way; 8] = [
    ("file", |place| chown(place.config(), Some(OTHER), None).expect("chown")),
    ("file, by its mode", |place| permit(&place.config(), 0o666)),
    ("folder", |place| chown(place.at("conf"), Some(OTHER), None).expect("chown")),
    ("vhosts.d", |place| chown(place.at("conf/vhosts.d"), Some(OTHER), None).expect("chown")),
    ("vhosts.d, by its mode", |place| permit(&place.at("conf/vhosts.d"), 0o777)),
    ("file of vhosts.d", |place| chown(place.at("conf/vhosts.d/shop.toml"), Some(OTHER), None).expect("chown")),
    ("link", |place| {
        std::fs::rename(place.config(), place.at("elsewhere/portcullis.toml")).expect("moved");
        symlink(place.at("elsewhere/portcullis.toml"), place.config()).expect("a link");
        lchown(place.config(), Some(OTHER), None).expect("chown");
    }),
    ("log's folder", |place| chown(place.at("log"), Some(OTHER), None).expect("chown")),
];

#[test]
fn no_command_takes_a_configuration_that_another_user_can_change() {
    for (way, spoil) in WAYS {
        let place = Place::new();
        let (config, policy, taught) = (place.config(), place.at("policy"), place.at("taught.jsonl"));
        let (config, policy, taught) =
            (config.to_str().expect("a path"), policy.to_str().expect("a path"), taught.to_str().expect("a path"));
        let verbs: [&[&str]; 9] = [
            &["check", "--config", config],
            &["compile", "--config", config, "-o", policy],
            &["run", "--config", config, "--", "/bin/true"],
            &["explain", "--config", config, "--connect", "192.0.2.1:25"],
            &["learn", "--config", config, taught],
            &["learn", "--config", config, "--write", "portcullis.toml", taught],
            &["report", "--proposal", "--config", config, taught],
            &["contain", "--config", config, "--document-root", "/srv/shop", "--dry-run"],
            &["panic", "--config", config],
        ];
        // Of a configuration of root's, none of them says so.
        for verb in verbs.iter().filter(|verb| !["panic", "run"].contains(&verb[0]) && !verb.contains(&"--write")) {
            let done = portcullis(verb);
            assert!(!said(&done).contains("another user could"), "{verb:?}: {}", said(&done));
        }
        let _ = std::fs::remove_file(policy);
        spoil(&place);
        let before = place.all();
        for verb in verbs {
            let done = portcullis(verb);
            assert_eq!(done.status.code(), Some(1), "{way}: {verb:?}: {}", said(&done));
            // `run` looks for the library only after the configuration.
            assert!(said(&done).contains("another user could"), "{way}: {verb:?}: {}", said(&done));
            // The kill switch has to work, and its own file is safe.
            let is_set = verb[0] == "panic" && (way.starts_with("log") || way.contains("vhosts.d"));
            if is_set {
                let text = std::fs::read_to_string(place.config()).expect("a configuration");
                assert!(text.contains("override = \"audit\""), "{way}: {text}");
            } else {
                assert!(before == place.all(), "{way}: {verb:?} changed a file");
            }
        }
    }
}

#[test]
fn nothing_is_written_through_another_users_link_nor_into_another_users_folder() {
    let place = Place::new();
    let (config, taught) = (place.config(), place.at("taught.jsonl"));
    let victim = place.at("elsewhere/victim");
    std::fs::write(&victim, "kept\n").expect("a file");
    std::fs::create_dir(place.at("open")).expect("a folder");
    permit(&place.at("open"), 0o1777);
    // In a folder for everybody, another user's link at the name that root is going to write.
    for name in ["report.html", "proposal.toml", "policy", "metrics.prom"] {
        symlink(&victim, place.at("open").join(name)).expect("a link");
        lchown(place.at("open").join(name), Some(OTHER), None).expect("chown");
    }
    let path = |name: &str| place.at("open").join(name).display().to_string();
    let (config, taught) = (config.display().to_string(), taught.display().to_string());
    let state = place.at("state/tally").display().to_string();
    for verb in [
        &["report", "--config", &config, "-o", &path("report.html"), &taught][..],
        &["learn", "--config", &config, "-o", &path("proposal.toml"), &taught],
        &["compile", "--config", &config, "-o", &path("policy")],
        &["status", "--config", &config, "--prometheus", &path("metrics.prom"), "--state", &state, "--log", &taught],
    ] {
        let done = portcullis(verb);
        assert_eq!(std::fs::read_to_string(&victim).expect("a file"), "kept\n", "{verb:?}: {}", said(&done));
        let output = std::fs::symlink_metadata(verb.iter().find(|word| word.contains("/open/")).expect("a path"));
        assert!(output.is_ok_and(|meta| meta.is_file() && meta.uid() == 0), "{verb:?}: {}", said(&done));
    }
    // A new file of the configuration, in place of a link of another user's.
    symlink(&victim, place.at("conf/vhosts.d/new.toml")).expect("a link");
    lchown(place.at("conf/vhosts.d/new.toml"), Some(OTHER), None).expect("chown");
    let done = portcullis(&["learn", "--config", &config, "--write", "vhosts.d/new.toml", &taught]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert_eq!(std::fs::read_to_string(&victim).expect("a file"), "kept\n");
}

type Lead = (&'static str, bool);

/// The places from which `uninstall` removes, each once led out of the root that is meant: by a link of that root's owner, which leads
/// elsewhere there, and by another user's.
#[test]
fn nothing_is_removed_outside_of_the_root_that_is_meant() {
    const LEADS: [Lead; 6] = [
        ("etc/systemd/system/shop.service.d", true),
        ("etc/systemd/system", true),
        ("etc/portcullis", false),
        ("run", false),
        ("var/log", false),
        ("var/lib/prometheus/node-exporter", false),
    ];
    const FILES: [&str; 6] = [
        "etc/systemd/system/shop.service.d/portcullis.conf",
        "etc/portcullis/portcullis.toml",
        "run/portcullis/policy",
        "var/log/portcullis/events.jsonl",
        "var/lib/portcullis/tally",
        "var/lib/prometheus/node-exporter/portcullis.prom",
    ];
    let put = |folder: &Path| {
        for file in FILES {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, "# Written by `portcullis install`\n").expect("a file");
        }
    };
    for owner in [0, OTHER] {
        for (lead, is_unit) in LEADS {
            let place = Place::new();
            let (root, out) = (place.at("root"), place.at("out"));
            put(&root);
            put(&out);
            std::fs::remove_dir_all(root.join(lead)).expect("a folder");
            symlink(out.join(lead), root.join(lead)).expect("a link");
            if owner != 0 {
                for path in std::iter::once(root.join(lead)).chain([root.join(lead).parent().expect("a folder").into()])
                {
                    lchown(path, Some(owner), None).expect("chown");
                }
            }
            let done = portcullis(&["uninstall", "--purge", "--root", root.to_str().expect("a path")]);
            for file in FILES {
                assert!(out.join(file).exists(), "{owner}: {lead}: {file}: {}", said(&done));
            }
            let is_said = done.status.code() == Some(1) && said(&done).contains("cannot");
            assert!(is_said || !is_unit, "{owner}: {lead}: {}", said(&done));
        }
    }
    // In a folder of another user's, without a link on the way.
    let place = Place::new();
    put(&place.at("root"));
    for folder in ["var/lib/prometheus", "var/lib/prometheus/node-exporter"] {
        chown(place.at("root").join(folder), Some(OTHER), None).expect("chown");
    }
    let done = portcullis(&["uninstall", "--purge", "--root", place.at("root").to_str().expect("a path")]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(FILES.iter().all(|file| !place.at("root").join(file).exists()), "{}", said(&done));
}

#[test]
fn a_log_group_that_is_not_there_is_an_error_of_check() {
    let place = Place::new();
    let text = std::fs::read_to_string(place.config()).expect("a file") + "group = \"no-such-group\"\n";
    std::fs::write(place.config(), text).expect("a file");
    let config = place.config().display().to_string();
    let done = portcullis(&["check", "--config", &config]);
    assert_eq!(done.status.code(), Some(1));
    assert!(said(&done).contains("there is no group `no-such-group`"), "{}", said(&done));
}

/// What a command says to a user who is not root is true: nothing was done.
#[test]
fn an_ordinary_user_is_told_what_was_not_done() {
    use std::os::unix::process::CommandExt;
    let place = Place::new();
    // The user may not reach the folder of the build.
    let program = place.at("bin/portcullis");
    std::fs::copy(env!("CARGO_BIN_EXE_portcullis"), &program).expect("a copy");
    for verb in [
        &["uninstall"][..],
        &["uninstall", "--purge"],
        &["uninstall", "no-such-unit"],
        &["panic"],
        &["panic", "--undo"],
        &["contain", "--document-root", "/srv/shop", "--yes"],
        &["contain", "--undo", "3f2a9c1e", "--yes"],
        &["renew"],
    ] {
        let done = Command::new(&program).args(verb).uid(OTHER).gid(OTHER).env_remove("PORTCULLIS_CONFIG").output();
        let done = done.expect("portcullis");
        assert_eq!(done.status.code(), Some(1), "{verb:?}: {}", said(&done));
        assert!(done.stdout.is_empty() && said(&done).contains("needs root"), "{verb:?}: {}", said(&done));
    }
}

/// A name that is mistyped is no unit from which nothing had to be removed.
#[test]
fn a_unit_that_does_not_exist_is_an_error() {
    let root = tempfile::tempdir().expect("a folder");
    let done = portcullis(&["uninstall", "no-such-unit", "--dry-run", "--root", root.path().to_str().expect("a path")]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("there is no unit no-such-unit.service"), "{}", said(&done));
}
