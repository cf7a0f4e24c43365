//! The command line as a user meets it: help and man pages, and messages.
#![allow(clippy::disallowed_methods)]

mod help;
mod messages;
mod misuse;

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
