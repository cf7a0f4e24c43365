//! The apt repository of scripts/repository: apt verifies its signature, installs from it and upgrades from it.

use crate::machine::target;
use crate::root::own_root;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(command: &mut Command) -> String {
    let done = command.output().expect("a program");
    assert!(done.status.success(), "{command:?}: {}{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn apt(arguments: &[&str]) -> Output {
    let mut command = Command::new("apt-get");
    command.args(["--quiet", "--yes", "--no-install-recommends"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").output().expect("apt-get")
}

/// The package of the library, and the same as a later version.
fn packages(place: &Path) -> [PathBuf; 2] {
    let entries = std::fs::read_dir(target().join("packages")).expect("make the packages first: scripts/packages");
    let is_it = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("portcullis_") && name.ends_with(".deb")
    };
    let first = entries.map(|entry| entry.expect("an entry").path()).find(is_it).expect("a package");
    let unpacked = place.join("unpacked");
    run(Command::new("dpkg-deb").arg("--raw-extract").args([&first, &unpacked]));
    let control = unpacked.join("DEBIAN/control");
    let fields = std::fs::read_to_string(&control).expect("control");
    let later = |line: &str| if line.starts_with("Version: ") { format!("{line}+1\n") } else { format!("{line}\n") };
    let fields: String = fields.lines().map(later).collect();
    std::fs::write(&control, fields).expect("control");
    let later = place.join("later.deb");
    run(Command::new("dpkg-deb").args(["--build", "-Znone"]).args([&unpacked, &later]));
    [first, later]
}

fn installed() -> String {
    run(Command::new("dpkg-query").args(["--show", "--showformat=${Version}", "portcullis"]))
}

#[test]
fn apt_installs_and_upgrades_from_the_repository() {
    own_root(&[]);
    let folder = tempfile::tempdir_in("/srv").expect("a folder");
    let place = folder.path();
    // apt reads as a user of its own.
    std::fs::set_permissions(place, PermissionsExt::from_mode(0o755)).expect("permissions");
    let keys = place.join("gnupg");
    std::fs::create_dir(&keys).expect("a folder");
    std::fs::set_permissions(&keys, PermissionsExt::from_mode(0o700)).expect("permissions");
    let name = "Portcullis test <test@example.invalid>";
    let key = ["--batch", "--quiet", "--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never"];
    run(Command::new("gpg").env("GNUPGHOME", &keys).args(key));
    let repository = place.join("repository");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/repository");
    let publish = |package: &Path| {
        let arguments = [Path::new("test@example.invalid"), &repository, package];
        run(Command::new(&script).env("GNUPGHOME", &keys).args(arguments))
    };
    let [first, later] = packages(place);
    publish(&first);

    // As docs/quick-start.md has it, with a folder in the place of a server.
    let _ = std::fs::remove_file("/etc/apt/sources.list");
    for entry in std::fs::read_dir("/etc/apt/sources.list.d").expect("a folder") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
    }
    let source = |options: &str| {
        let line = format!("deb {options} file:{} stable main\n", repository.display());
        std::fs::write("/etc/apt/sources.list.d/portcullis.list", line).expect("a file");
    };
    source("");
    let unsigned = apt(&["update"]);
    assert!(!unsigned.status.success(), "apt takes a repository whose key it has not: {}", text(&unsigned.stdout));
    std::fs::copy(repository.join("portcullis.gpg"), "/usr/share/keyrings/portcullis.gpg").expect("a key");
    source("[signed-by=/usr/share/keyrings/portcullis.gpg]");
    for arguments in [&["update"][..], &["install", "portcullis"]] {
        let done = apt(arguments);
        assert!(done.status.success(), "{arguments:?}: {}{}", text(&done.stdout), text(&done.stderr));
    }
    let version = installed();
    assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
    assert!(run(Command::new("portcullis").arg("--version")).contains(env!("CARGO_PKG_VERSION")));
    run(Command::new("portcullis").arg("check"));

    publish(&later);
    for arguments in [&["update"][..], &["upgrade"]] {
        let done = apt(arguments);
        assert!(done.status.success(), "{arguments:?}: {}{}", text(&done.stdout), text(&done.stderr));
    }
    assert_eq!(installed(), format!("{version}+1"));

    // What somebody else changed is not taken: apt keeps what it had, and says so.
    let architecture = run(Command::new("dpkg").arg("--print-architecture"));
    for form in ["Packages", "Packages.gz"] {
        let list = repository.join(format!("dists/stable/main/binary-{}/{form}", architecture.trim()));
        let mut bytes = std::fs::read(&list).expect("a list");
        bytes.extend_from_slice(b"\n");
        std::fs::write(&list, bytes).expect("a list");
    }
    run(Command::new("sh").args(["-c", "rm -rf /var/lib/apt/lists/*"]));
    let changed = apt(&["update"]);
    assert!(!changed.status.success(), "{}{}", text(&changed.stdout), text(&changed.stderr));
}

#[test]
fn the_script_says_what_is_missing() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/repository");
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("repository");
    for (arguments, wanted, status) in [
        (vec![], "usage: scripts/repository KEY", 2),
        (vec![Path::new("nobody"), &out, Path::new("/nowhere.deb")], "no package /nowhere.deb", 1),
        (vec![Path::new("nobody"), &out, Path::new("/bin/true")], "gpg has no secret key nobody", 1),
    ] {
        let done = Command::new(&script).env("GNUPGHOME", folder.path()).args(&arguments).output().expect("bash");
        assert_eq!(done.status.code(), Some(status), "{arguments:?}");
        assert!(text(&done.stderr).contains(wanted), "{arguments:?}: {}", text(&done.stderr));
    }
    assert!(!out.exists());
}
