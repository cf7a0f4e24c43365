//! `portcullis learn` on mixed logs: ordinary days of several applications, with a simulated intrusion of each kind among them. What is
//! proposed, what was seen too little and what is refused is compared with the whole of what is expected.
//!
//! `corpus/NAME.jsonl` has events, `corpus/NAME.expected` a line for each result: `proposed`, `rare` or `refused`, the virtual host, and
//! the entry. An intrusion's file has what it adds to the ordinary; it may propose nothing.
#![allow(clippy::disallowed_methods)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

/// The results for some logs together, a line each.
fn learn(logs: &[PathBuf], more: &[&str]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("portcullis.toml");
    std::fs::write(&config, "").expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let done =
        command.args(["learn", "--json", "--config"]).arg(&config).args(logs).args(more).output().expect("learn");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let mut results = BTreeSet::new();
    for part in said.as_array().expect("a list") {
        let vhost = part["vhost"].as_str().unwrap_or("-");
        for (list, word) in [("proposed", "proposed"), ("seen_too_little", "rare"), ("withheld", "refused")] {
            for one in part[list].as_array().expect("a list") {
                let text = one["entry"].as_str().or(one["what"].as_str()).expect("a text");
                assert!(results.insert(format!("{word} {vhost} {text}")), "{vhost} {text} is named twice");
            }
        }
    }
    results
}

fn expected(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(corpus(&format!("{name}.expected"))).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Compares the whole of both.
fn compare(name: &str, results: &BTreeSet<String>, wanted: &BTreeSet<String>) {
    let lines = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect::<Vec<_>>();
    assert!(
        results == wanted,
        "{name}\n  missing: {:#?}\n  too much: {:#?}",
        lines(wanted, results),
        lines(results, wanted)
    );
}

fn intrusions() -> Vec<String> {
    let files = std::fs::read_dir(corpus("")).expect("the corpus").map(|file| file.expect("a file").file_name());
    let names = files.filter_map(|name| Some(name.to_str()?.strip_suffix(".jsonl")?.to_owned()));
    let mut names: Vec<String> = names.filter(|name| name.starts_with("intrusion-")).collect();
    names.sort();
    assert!(names.len() >= 9, "{names:?}");
    names
}

#[test]
fn ordinary_days_are_learnt() {
    compare("ordinary", &learn(&[corpus("ordinary.jsonl")], &[]), &expected("ordinary"));
    compare("widened", &learn(&[corpus("ordinary.jsonl")], &["--widen"]), &expected("widened"));
}

#[test]
fn nothing_of_an_intrusion_is_proposed() {
    let (ordinary, mut all) = (expected("ordinary"), vec![corpus("ordinary.jsonl")]);
    let mut together = ordinary.clone();
    for name in intrusions() {
        let log = corpus(&format!("{name}.jsonl"));
        let own = expected(&name);
        assert!(own.iter().all(|line| !line.starts_with("proposed")), "{name}");
        let wanted = ordinary.union(&own).cloned().collect();
        compare(&name, &learn(&[corpus("ordinary.jsonl"), log.clone()], &[]), &wanted);
        together.extend(own);
        all.push(log);
    }
    compare("all", &learn(&all, &[]), &together);
    // Whatever is asked for, but for an entry by its name.
    let proposed =
        |results: BTreeSet<String>| results.into_iter().filter(|line| line.starts_with("proposed")).collect();
    let more = ["--include-rare", "--blocked", "--widen"];
    let of_ordinary: BTreeSet<String> = proposed(learn(&all[..1], &more));
    let of_all: BTreeSet<String> = proposed(learn(&all, &more));
    assert_eq!(of_all, of_ordinary);
    // The choice of one host, rule or client does not hide what the rest of the log shows.
    for more in [["--rule", "egress-port"], ["--vhost", "shop"], ["--client", "198.51.100.77"]] {
        let of_all: BTreeSet<String> = proposed(learn(&all, &more));
        assert!(of_all.is_subset(&ordinary), "{more:?}: {of_all:?}");
    }
}
