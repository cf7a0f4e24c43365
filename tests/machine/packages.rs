//! The packages as files: without errors by Debian's own checks, and with what belongs in them.

use std::path::PathBuf;
use std::process::Command;

fn packages(extension: &str) -> Vec<PathBuf> {
    let own = std::env::current_exe().expect("the test has a path");
    let folder = own.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").join("packages");
    let entries = std::fs::read_dir(folder).expect("make the packages first: scripts/packages");
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
    ] {
        assert!(said.lines().any(|line| line == file), "{file}: {said}");
    }
    assert!(list("--configfiles").contains("/etc/portcullis/portcullis.toml"));
}
