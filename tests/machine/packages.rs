//! The packages as files: without errors by Debian's own checks, and with what belongs in them.

use crate::machine::{target, turn};
use std::path::PathBuf;
use std::process::Command;

fn packages(extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(target().join("packages")).expect("make the packages first: scripts/packages");
    let all = entries.map(|entry| entry.expect("an entry").path());
    all.filter(|path| path.extension().is_some_and(|end| end == extension)).collect()
}

#[test]
fn lintian_finds_no_error() {
    let packages = packages("deb");
    assert_eq!(packages.len(), 3);
    let done =
        Command::new("lintian").args(["--allow-root", "--fail-on", "error"]).args(&packages).output().expect("lintian");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && !said.lines().any(|line| line.starts_with("E:")), "{said}");
}

#[test]
fn the_rpm_has_what_the_deb_has() {
    let packages = packages("rpm");
    let list = |what: &str| {
        let done = Command::new("rpm").args(["-qp", what]).args(&packages).output().expect("rpm");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let said = list("--list");
    for file in [
        "/usr/bin/portcullis",
        "/usr/lib64/libportcullis.so",
        "/usr/lib/tmpfiles.d/portcullis.conf",
        "/usr/share/man/man1/portcullis.1.gz",
        "/usr/share/bash-completion/completions/portcullis",
        "/usr/share/doc/portcullis/sbom/libportcullis.cdx.json",
        "/usr/share/doc/portcullis/sbom/portcullis.cdx.json",
    ] {
        assert!(said.lines().any(|line| line == file), "{file}: {said}");
    }
    assert!(list("--configfiles").contains("/etc/portcullis/portcullis.toml"));
}

/// Holds CycloneDX on standard input against its published schema.
const VALIDATE: &str = "import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_5).validate_str(sys.stdin.read()))";

/// The list of what is in them, which the packages carry, names what was built.
#[test]
fn the_bills_of_materials() {
    for (name, dependency) in [("libportcullis", "libc"), ("portcullis", "clap")] {
        let path = target().join(format!("packages/root/usr/share/doc/portcullis/sbom/{name}.cdx.json"));
        let text = std::fs::read_to_string(&path).expect("scripts/sbom writes it");
        let mut python = Command::new(target().join("tools/python/bin/python"));
        run(python.args(["-c", VALIDATE]).stdin(std::fs::File::open(&path).expect("the file")));
        let bom: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(bom["bomFormat"], "CycloneDX");
        let components = bom["components"].as_array().expect("components");
        let found = components.iter().find(|component| component["name"] == dependency).expect("a dependency");
        assert!(
            found["licenses"].is_array() && found["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/"))
        );
        let root = env!("CARGO_MANIFEST_DIR");
        assert!(!text.contains(root), "nothing of the machine that built it");
    }
}

/// A root that is changed in memory alone; unmounted at its end.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Root {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Root(folder);
        run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(root.0.path()));
        for name in ["upper", "work", "root"] {
            std::fs::create_dir(root.0.path().join(name)).expect("a folder");
        }
        let part = |name: &str| root.0.path().join(name).display().to_string();
        let lower = target().join("machine/root");
        let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), part("upper"), part("work"));
        run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(root.path()));
        root
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("root")
    }

    fn shell(&self, commands: &str) -> String {
        run(Command::new("chroot").arg(self.path()).args(["/bin/sh", "-c", commands]))
    }

    fn rpm(&self, arguments: &[&str], package: &str) {
        // Debian's database of packages knows nothing of what the package needs.
        run(Command::new("rpm").arg("--root").arg(self.path()).arg("--nodeps").args(arguments).arg(package));
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for path in [self.path(), self.0.path().to_owned()] {
            let _ = Command::new("umount").arg(path).status();
        }
    }
}

fn run(command: &mut Command) -> String {
    let done = command.output().expect("a program");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&done.stderr));
    said
}

/// Every file that is not rpm's own. Folders that other packages have on Fedora are nobody's here, and stay.
const FILES: &str = "find /etc /usr /var /run -xdev -path /var/lib/rpm -prune -o ! -type d -print | sort";

#[test]
fn the_rpm_is_installed_replaced_and_erased() {
    let _turn = turn();
    let packages = packages("rpm");
    let package = packages.first().and_then(|path| path.to_str()).expect("a package");
    let root = Root::new();
    let before = root.shell(FILES);
    root.rpm(&["--install"], package);
    let library = "/usr/lib64/libportcullis.so";
    root.shell("portcullis --version && portcullis check && portcullis compile -o /tmp/policy");
    root.shell(&format!("LD_PRELOAD={library} /bin/grep -q libportcullis.so /proc/self/maps || test ! -e /proc/self"));
    let shown = root.shell("portcullis install nginx --dry-run");
    assert!(shown.contains(&format!("+ Environment=LD_PRELOAD={library}")), "{shown}");
    // What the administrator wrote stays.
    let config = "/etc/portcullis/portcullis.toml";
    root.shell(&format!("echo '# ours' >> {config}"));
    root.rpm(&["--upgrade", "--replacepkgs"], package);
    assert!(root.shell(&format!("cat {config}")).ends_with("# ours\n"));
    root.rpm(&["--erase"], "portcullis");
    let after = root.shell(FILES);
    let left: Vec<&str> = after.lines().filter(|file| !before.lines().any(|known| known == *file)).collect();
    assert_eq!(left, [format!("{config}.rpmsave")]);
}
