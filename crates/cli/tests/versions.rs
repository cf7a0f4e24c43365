//! The version of a release is in several files, and they agree: Cargo.toml, the lock files, CHANGELOG.md, the changelog of the Debian
//! package, docs/bypasses.md.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The releases of CHANGELOG.md, newest first: version and date.
fn releases() -> Vec<(String, String)> {
    let text = file("CHANGELOG.md");
    let mut heads = text.lines().filter_map(|line| line.strip_prefix("## ["));
    assert_eq!(heads.next(), Some("Unreleased]"), "CHANGELOG.md begins with what is not released");
    let release = |head: &str| {
        let (version, date) = head.split_once("] - ").unwrap_or_else(|| panic!("`## [{head}` has no date"));
        (version.to_owned(), date.to_owned())
    };
    heads.map(release).collect()
}

#[test]
fn the_changelog_has_the_version_and_its_date() {
    let releases = releases();
    assert_eq!(releases[0].0, VERSION, "CHANGELOG.md");
    for (version, date) in &releases {
        assert!(date.parse::<jiff::civil::Date>().is_ok(), "CHANGELOG.md: {version} has the date {date}");
    }
}

#[test]
fn the_package_has_the_version_and_the_day() {
    let text = file("packaging/debian/changelog");
    assert!(text.starts_with(&format!("portcullis ({VERSION}-1) ")), "packaging/debian/changelog");
    let signed = text.lines().find_map(|line| line.strip_prefix(" -- ")).expect("a signature");
    let (_, time) = signed.split_once("  ").expect("a time");
    let day = jiff::fmt::rfc2822::parse(time).expect("a time of RFC 2822").date();
    assert_eq!(day.to_string(), releases()[0].1, "packaging/debian/changelog has another day than CHANGELOG.md");
}

/// The crates that are built apart have 0.0.0: they are not released.
#[test]
fn the_lock_files_have_the_version() {
    for (name, least) in
        [("Cargo.lock", 6), ("fuzz/Cargo.lock", 5), ("fuzz/differential/Cargo.lock", 0), ("loom/Cargo.lock", 0)]
    {
        let text = file(name);
        let mut count = 0;
        for package in text.split("[[package]]\n").skip(1) {
            let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            let version = value("version = ").trim_matches('"');
            if value("name = ").trim_matches('"').starts_with("portcullis") && version != "0.0.0" {
                assert_eq!(version, VERSION, "{name}: cargo update --workspace writes it");
                count += 1;
            }
        }
        assert!(count >= least, "{name} has {count} crates of the workspace");
    }
}

/// A fix is in a release that there is, or in the next one.
#[test]
fn each_bypass_is_fixed_in_a_known_version() {
    let releases = releases();
    let text = file("docs/bypasses.md");
    let mut rows = 0;
    for line in text.lines().filter(|line| line.starts_with('|') && line.matches(" | ").count() == 5) {
        let cell = line.split(" | ").nth(4).expect("fixed in");
        let version = cell.split([':', ',', ';', ' ']).next().unwrap_or_default();
        if ["fixed", "---", "**open**"].contains(&version) {
            continue;
        }
        let is_known = version == "Unreleased" || releases.iter().any(|(known, _)| known == version);
        assert!(is_known, "docs/bypasses.md: `{version}` in {line}");
        rows += 1;
    }
    assert!(rows > 150, "{rows}");
}

#[test]
fn the_command_and_its_page_say_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).current_dir(folder.path()).output().expect("portcullis")
    };
    assert_eq!(String::from_utf8_lossy(&run(&["--version"]).stdout), format!("portcullis {VERSION}\n"));
    assert!(run(&["generate", "out"]).status.success());
    let page = std::fs::read_to_string(folder.path().join("out/man/portcullis.1")).expect("a page");
    assert!(page.contains(VERSION), "{page}");
}
