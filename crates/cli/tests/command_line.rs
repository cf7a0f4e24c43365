//! The command line as a person meets it: help, mistyped verbs, files in the current folder, and which file a summary names.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).current_dir(folder).env_remove("PORTCULLIS_CONFIG").output().expect("portcullis")
}

fn text(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(place.path().join("vhosts.d")).expect("a folder");
    std::fs::write(place.path().join("p.toml"), "mode = \"audit\"\n").expect("a file");
    std::fs::write(place.path().join("none.jsonl"), "").expect("a file");
    place
}

/// The verbs of `--help`.
fn verbs(folder: &Path) -> Vec<String> {
    let help = text(&run(folder, &["--help"]));
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    listed.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help").map(str::to_owned).collect()
}

#[test]
fn each_help_has_examples_and_exit_statuses() {
    let place = place();
    let verbs = verbs(place.path());
    assert!(verbs.len() >= 12, "{verbs:?}");
    for verb in verbs {
        for flag in ["-h", "--help"] {
            let help = text(&run(place.path(), &[&verb, flag]));
            let example = format!("  portcullis {verb}");
            assert!(help.contains(&format!("Examples:\n{example}")), "{verb} {flag}: {help}");
            assert!(help.contains("Exit status:\n  ") && help.contains("2  usage error"), "{verb} {flag}: {help}");
        }
    }
}

#[test]
fn a_mistyped_verb_suggests_no_hidden_one() {
    let place = place();
    let shown = verbs(place.path());
    for hidden in ["probe", "generate", "renew", "supervise"] {
        assert!(!shown.iter().any(|verb| verb == hidden), "{hidden}");
        for mistyped in [&hidden[..hidden.len() - 1], &format!("{hidden}s"), "frob"] {
            let done = run(place.path(), &[mistyped]);
            assert_eq!(done.status.code(), Some(2), "{mistyped}");
            assert!(!text(&done).contains(&format!("'{hidden}'")), "{mistyped}: {}", text(&done));
            assert!(!text(&done).lines().any(|line| line.trim() == "tip:"), "{mistyped}: {}", text(&done));
        }
    }
    assert!(text(&run(place.path(), &["chek"])).contains("'check'"));
}

#[test]
fn every_output_may_be_in_the_current_folder() {
    let place = place();
    let with_output: [(&str, &[&str]); 4] = [
        ("out.bin", &["compile", "--config", "p.toml", "-o", "out.bin"]),
        ("out.html", &["report", "--config", "p.toml", "-o", "out.html", "none.jsonl"]),
        ("out.toml", &["learn", "--config", "p.toml", "-o", "out.toml", "none.jsonl"]),
        (
            "out.prom",
            &["status", "--config", "p.toml", "--prometheus", "out.prom", "--log", "none.jsonl", "--state", "s"],
        ),
    ];
    for (file, arguments) in with_output {
        let done = run(place.path(), arguments);
        assert!(place.path().join(file).exists(), "{arguments:?}: {}", text(&done));
    }
}

#[test]
fn a_report_on_nothing_says_so() {
    let place = place();
    let page = text(&run(place.path(), &["report", "--config", "p.toml", "none.jsonl"]));
    assert!(page.contains("No events in this time.") && !page.contains("nowhen"), "{page}");
}

#[test]
fn the_last_line_names_the_file_at_fault() {
    let place = place();
    let last = || text(&run(place.path(), &["check", "--config", "p.toml"]));
    let vhost =
        |name: &str, text: &str| std::fs::write(place.path().join("vhosts.d").join(name), text).expect("a file");
    let main = place.path().join("p.toml").display().to_string();
    assert!(last().contains(&format!("\n{main}: 0 errors, ")) || last().contains(&format!("{main}: 0 errors, ")));
    vhost("a.toml", "name = \"a\"\n[match]\npool = [\"a\"]\nfoo = 1\n");
    assert!(last().contains("vhosts.d/a.toml: 1 error, 0 warnings"), "{}", last());
    vhost("b.toml", "name = \"b\"\n[match]\npool = [\"b\"]\nfoo = 1\n");
    assert!(last().contains("2 files of ") && last().contains("vhosts.d: 2 errors, 0 warnings"), "{}", last());
    std::fs::write(&main, "mode = \"audit\"\nfoo = 1\n").expect("a file");
    assert!(last().contains(&format!("{main} and 2 other files: 3 errors, 0 warnings")), "{}", last());
}

/// A server of another kind than this host's systemd: `uninstall` finds no unit, and what the guard left is removed all the same.
#[test]
fn a_purge_names_all_that_it_removes() {
    let place = place();
    let root = place.path().join("root");
    let files = [
        "etc/portcullis/portcullis.toml",
        "etc/portcullis/seal.key",
        "etc/portcullis/vhosts.d/shop.toml",
        "var/log/portcullis/events.jsonl",
        "var/log/portcullis/events.jsonl.1",
        "var/lib/portcullis/probes",
        "run/portcullis/policy",
    ];
    for file in files {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, "").expect("a file");
    }
    let root_argument = root.to_str().expect("a path");
    let said = text(&run(place.path(), &["uninstall", "--purge", "--dry-run", "--root", root_argument]));
    let named = ["seal.key: a file", "vhosts.d: 1 file", "var/log/portcullis: 2 files", "var/lib/portcullis: 1 file"];
    for wanted in named.into_iter().chain(["run/portcullis: 1 file", "portcullis.toml"]) {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(files.iter().all(|file| root.join(file).exists()), "{said}");
    let said = text(&run(place.path(), &["uninstall", "--purge", "--root", root_argument]));
    assert!(said.contains("var/log/portcullis: removed, 2 files"), "{said}");
    for file in files {
        assert!(!root.join(file).exists(), "{file}: {said}");
    }
}

#[test]
fn a_key_that_no_server_takes_is_warned_of() {
    let place = place();
    std::fs::write(place.path().join("p.toml"), "[log]\nseal = true\n").expect("a file");
    let check = || text(&run(place.path(), &["check", "--config", "p.toml"]));
    assert!(check().contains("0 warnings"), "the first policy makes it: {}", check());
    run(place.path(), &["compile", "--config", "p.toml", "-o", "out.bin"]);
    assert!(check().contains("0 warnings"), "{}", check());
    let key = place.path().join("seal.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("permissions");
    assert!(check().contains("events are not sealed"), "{}", check());
}
