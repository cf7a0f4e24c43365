//! What the documents show: every command in a block marked `sh` is run, document by document, in a machine of its own;
//! every configuration in one marked `toml` is checked.

use crate::machine::{Machine, target, wait_until};
use std::path::{Path, PathBuf};

/// Documents whose commands are run, and whether they begin without the package.
const RUN: [(&str, bool); 9] = [
    ("README.md", true),
    ("docs/quick-start.md", true),
    ("docs/concepts.md", false),
    ("docs/configuration.md", false),
    ("docs/deployment.md", false),
    ("docs/tuning.md", false),
    ("docs/troubleshooting.md", false),
    ("docs/events.md", false),
    ("docs/triage.md", false),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The blocks of a document that are marked with `language`; they may be indented in a list.
pub fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(document)).expect(document);
    let (mut out, mut open) = (Vec::new(), None);
    for line in text.lines() {
        match (&mut open, line.trim()) {
            (None, mark) if mark == format!("```{language}") => open = Some(String::new()),
            (Some(_), "```") => out.extend(open.take()),
            (Some(block), _) => *block += &format!("{}\n", line.trim_start()),
            _ => {}
        }
    }
    out
}

#[test]
fn every_command_of_every_document() {
    for (document, is_bare) in RUN {
        let machine = Machine::boot();
        if !is_bare {
            machine.run("dpkg -i /packages/*.deb && portcullis install phpX.Y-fpm nginx --now");
            for what in ["shell", "connect", "command"] {
                machine.run(&format!("curl -sS 'http://127.0.0.1/act.php?do={what}'"));
            }
            wait_until("the events", || machine.events().len() >= 3);
        }
        if let Some(hosts) = blocks(document, "toml").iter().find(|block| block.starts_with("[[vhost]]")) {
            machine.run(&format!("cat > /etc/portcullis/portcullis.toml <<'TOML'\n{hosts}TOML"));
        }
        let blocks = blocks(document, "sh");
        assert!(!blocks.is_empty(), "{document}");
        for block in blocks {
            machine.run(&format!("cd /packages && set -e\n{block}"));
        }
        machine.run("systemctl is-active nginx phpX.Y-fpm");
    }
}

/// The command that the README has before anything is installed: denied, with an event on standard error.
#[test]
fn any_command_under_the_guard() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let line = readme.lines().find_map(|line| line.strip_prefix("    target/release/")).expect("a command");
    let done = std::process::Command::new("sh")
        .args(["-c", &format!("{}/{line}", target().join("release").display())])
        .output()
        .expect("sh");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && ["NULL\n", "bool(false)\n"].iter().any(|end| out.ends_with(end)), "{out}{err}");
    let events: Vec<serde_json::Value> = err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(events.len() == 1 && events[0]["rule"]["id"] == "shell-spawn", "{err}");
}

#[test]
fn every_configuration_of_every_document() {
    let command = target().join("release/portcullis");
    let folder = tempfile::tempdir().expect("a folder");
    let folders = ["docs", "docs/recipes"].map(|folder| std::fs::read_dir(root().join(folder)).expect(folder));
    let documents = folders.into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let documents = documents.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut count = 0;
    for document in documents.chain([root().join("README.md")]) {
        for block in blocks(document.to_str().expect("a path"), "toml") {
            let config = folder.path().join("portcullis.toml");
            std::fs::create_dir_all(folder.path().join("vhosts.d")).expect("a folder");
            // What begins with a name is a virtual host's file.
            let is_vhost = block.starts_with("name =");
            std::fs::write(&config, if is_vhost { "" } else { &block }).expect("a file");
            std::fs::write(folder.path().join("vhosts.d/x.toml"), if is_vhost { &block } else { "vhost = []\n" })
                .expect("a file");
            let done = std::process::Command::new(&command)
                .args(["check", "--config"])
                .arg(&config)
                .output()
                .expect("portcullis");
            // The programs of an example need not be on this host.
            let warnings = String::from_utf8_lossy(&done.stderr).into_owned();
            let absent = warnings.matches("there is no such program here").count();
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(
                said.contains(&format!("0 errors, {absent} warning")),
                "{}: {block}\n{}",
                document.display(),
                String::from_utf8_lossy(&done.stderr)
            );
            count += 1;
        }
    }
    assert!(count >= 6, "{count}");
}

/// No link of the book leads nowhere.
#[test]
fn every_link_leads_somewhere() {
    let mut documents: Vec<PathBuf> = vec![root().join("README.md"), root().join("docs/rules/README.md")];
    documents
        .extend(std::fs::read_dir(root().join("docs")).expect("docs").map(|entry| entry.expect("an entry").path()));
    for document in documents.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = std::fs::read_to_string(document).expect("a document");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let at = document.parent().expect("a folder").join(path);
            assert!(at.exists(), "{}: {target}", document.display());
        }
    }
}
