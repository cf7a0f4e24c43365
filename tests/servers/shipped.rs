//! What is shipped beside the guard: units have few rights, and what pip installs is what was looked at.

use crate::harness::own_root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Ten times what `systemd-analyze security` calls exposure: it begins to be a matter at 5.0 (MEDIUM).
const EXPOSURE: &str = "--threshold=29";

fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn services(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(tree(folder)).expect("units").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "service")).collect()
}

#[test]
fn every_unit_is_hardened() {
    // systemd-analyze writes to /run.
    own_root(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let units: Vec<PathBuf> = ["packaging/systemd", "examples/siem/shipping"].into_iter().flat_map(services).collect();
    assert_eq!(units.len(), 4, "{units:?}");
    for unit in units {
        let name = unit.file_name().expect("a name").to_str().expect("a name").replace("@.", "@x.");
        let copy = folder.path().join(&name);
        std::fs::copy(&unit, &copy).expect("a copy");
        let said = |words: &[&str]| {
            let done = Command::new("systemd-analyze").args(words).arg(&copy).output().expect("systemd");
            (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
        };
        let (fine, table) = said(&["security", "--offline=true", EXPOSURE]);
        assert!(fine, "{name}: {table}");
        // A setting that is misspelt is none. What the unit starts need not be here.
        let (_, verified) = said(&["verify", "--man=no"]);
        let wrong: Vec<&str> = verified.lines().filter(|line| !line.contains("is not executable")).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}

#[test]
fn every_python_package_has_hashes() {
    for list in ["tests/siem/requirements.txt", "tests/zoo/requirements.txt"] {
        let text = std::fs::read_to_string(tree(list)).expect("a list").replace("\\\n", "");
        assert!(!text.is_empty());
        for line in text.lines() {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{list}: {line}");
        }
    }
    for script in ["scripts/tools", "scripts/zoo"] {
        let text = std::fs::read_to_string(tree(script)).expect("a script");
        let installs: Vec<&str> = text.lines().filter(|line| line.contains("--requirement")).collect();
        assert!(installs.len() == 1 && installs[0].contains("--require-hashes"), "{script}: {installs:?}");
    }
}
