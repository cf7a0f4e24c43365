//! Saves what an incident leaves before anything changes: processes first, for they end; then events and the journal; then files.
//!
//! **Invariants**: what an attacker may have named is read and never followed, executed or written to. Copies have numbers for names.

use super::calls::Case;
use super::running::Identity;
use crate::install::plan;
use crate::status::facts::Facts;
use crate::{check, out, sink};
use portcullis_config::reading::{self, Links};
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The largest file of a process, and how many descriptors of it are listed.
const FACT_MAX: u64 = 16 << 20;
const DESCRIPTORS_MAX: usize = 10_000;
/// The journal is saved from so long before an incident to so long after it.
const AROUND: i64 = 3600 * 1_000_000_000;

/// Whether evidence can be saved there, before anybody is asked anything.
pub fn is_possible(folder: &Path) -> Result<(), String> {
    let folder = match folder.file_name() {
        Some(_) => folder,
        None => return Err(format!("--evidence {} names no new directory; help: name one", folder.display())),
    };
    out::lacks_folder(folder).map_err(|why| format!("{why}; nothing was changed"))?;
    match std::fs::symlink_metadata(folder) {
        Err(_) => Ok(()),
        Ok(_) => Err(format!(
            "{} is there already, and nothing is mixed with it; nothing was changed; help: name a new directory",
            folder.display()
        )),
    }
}

/// A directory with evidence, as it is being filled.
pub struct Evidence {
    folder: PathBuf,
    /// What was saved, and what could not be.
    index: Vec<Value>,
    problems: Vec<String>,
}

impl Evidence {
    /// Makes the directory, which must not be there: nothing is mixed, and nobody else has made it.
    pub fn new(folder: &Path) -> Result<Evidence, String> {
        let failed = |error: std::io::Error| {
            format!(
                "cannot make the directory {}: {error}; nothing was changed; help: name a new one",
                folder.display()
            )
        };
        let folder = &std::path::absolute(folder).map_err(failed)?;
        std::fs::create_dir(folder).map_err(failed)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        Ok(Evidence { folder: folder.clone(), index: Vec::new(), problems: Vec::new() })
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> bool {
        let path = self.folder.join(name);
        let made = path.parent().map_or(Ok(false), |above| sink::make_folder(above, 0o700));
        match made.and_then(|_| plan::output(&path, bytes)) {
            Ok(()) => true,
            Err(error) => {
                self.problems.push(format!("cannot write {}: {error}", path.display()));
                false
            }
        }
    }

    /// Copies a file with what is known of it.
    fn copy(&mut self, from: &Path, to: &str, max: u64) {
        let meta = std::fs::symlink_metadata(from);
        let facts = match &meta {
            Ok(meta) => json!({
                "mode": format!("{:o}", meta.mode()), "user": meta.uid(), "group": meta.gid(), "size": meta.size(),
                "modified": time(meta.mtime(), meta.mtime_nsec()), "changed": time(meta.ctime(), meta.ctime_nsec()),
                "accessed": time(meta.atime(), meta.atime_nsec()), "device": meta.dev(), "inode": meta.ino(),
                "link": std::fs::read_link(from).ok().map(|link| link.to_string_lossy().into_owned()),
            }),
            Err(error) => json!({ "missing": reading::in_words(error) }),
        };
        let mut entry = json!({ "from": from.to_string_lossy(), "facts": facts });
        if meta.is_ok_and(|meta| meta.is_file()) {
            match reading::bytes(from, Links::Refuse, max) {
                Ok(bytes) if self.write(to, &bytes) => entry["copy"] = to.into(),
                Ok(_) => {}
                Err(error) => self.problems.push(format!("cannot copy {}: {error}", from.display())),
            }
        }
        self.index.push(entry);
    }

    /// What /proc has of processes that still run.
    pub fn processes(&mut self, all: &[Identity]) {
        for one in all {
            let unread = self.process(one);
            // What ends meanwhile is no evidence that was lost: what could be read of it stays, and may be of its number's next process.
            match Facts::of(&one.folder()).started == one.started {
                true => self.problems.extend(unread),
                false => {
                    self.index.push(json!({ "process": one.pid, "started_ticks": one.started, "has_ended": true }));
                }
            }
        }
    }

    /// Saves one; what could not be read of it.
    fn process(&mut self, one: &Identity) -> Vec<String> {
        let Identity { pid, started } = one;
        let (proc, mut unread) = (one.folder(), Vec::new());
        let mut descriptors = String::new();
        let entries = reading::entries(&proc.join("fd"), DESCRIPTORS_MAX).unwrap_or_else(|error| {
            unread.push(format!("cannot list {}/fd: {error}", proc.display()));
            Vec::new()
        });
        for entry in entries {
            let to = std::fs::read_link(entry.path()).unwrap_or_default();
            descriptors += &format!("{} {}\n", entry.file_name().to_string_lossy(), to.display());
        }
        let link = |name: &str| std::fs::read_link(proc.join(name)).ok().map(|to| to.to_string_lossy().into_owned());
        let facts = json!({ "exe": link("exe"), "cwd": link("cwd"), "root": link("root"), "started_ticks": started });
        self.write(&format!("processes/{pid}/fd"), descriptors.as_bytes());
        self.write(&format!("processes/{pid}/facts.json"), out::json(&facts, true).as_bytes());
        for name in
            ["stat", "status", "cmdline", "environ", "maps", "cgroup", "net/tcp", "net/tcp6", "net/udp", "net/unix"]
        {
            match reading::head(&proc.join(name), Links::Refuse, FACT_MAX) {
                Ok(bytes) => drop(self.write(&format!("processes/{pid}/{}", name.replace('/', "-")), &bytes)),
                Err(error) => unread.push(format!("cannot read {}/{name}: {error}", proc.display())),
            }
        }
        // The program is there even where its file was removed.
        match reading::bytes(&proc.join("exe"), Links::Follow, reading::PROGRAM_MAX) {
            Ok(bytes) => drop(self.write(&format!("processes/{pid}/exe"), &bytes)),
            Err(error) => unread.push(format!("cannot copy the program of process {pid}: {error}")),
        }
        unread
    }

    /// The events of an incident, the journal around it, and the scripts.
    pub fn case(&mut self, case: &Case) {
        let lines: String = case.lines.iter().map(|line| format!("{line}\n")).collect();
        self.write("events.jsonl", lines.as_bytes());
        let at = |time: i64| format!("@{}", time / 1_000_000_000);
        let (first, last) = (case.incident.first.saturating_sub(AROUND), case.incident.last.saturating_add(AROUND));
        let since = ["--output=export", "--no-pager", "--since", &at(first), "--until", &at(last)].map(str::to_owned);
        self.output("journal.export", "journalctl", &since);
        for (number, script) in case.incident.scripts.iter().enumerate() {
            self.copy(Path::new(&**script), &format!("scripts/{}", number + 1), reading::PROGRAM_MAX);
        }
    }

    /// A configuration's files.
    pub fn configuration(&mut self, main: &Path) {
        let folder = main.with_file_name("vhosts.d");
        let files = match reading::entries(&folder, reading::ENTRIES_MAX) {
            Ok(files) => files,
            // A configuration of one file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                self.problems.push(format!("cannot read {}: {error}", folder.display()));
                Vec::new()
            }
        };
        for file in std::iter::once(main.to_owned()).chain(files.into_iter().map(|entry| entry.path())) {
            let number = self.index.len() + 1;
            self.copy(&file, &format!("configuration/{number}"), reading::CONFIG_MAX);
        }
    }

    /// What a program prints.
    fn output(&mut self, name: &str, program: &str, arguments: &[String]) {
        let file = match std::fs::File::create_new(self.folder.join(name)) {
            Ok(file) => file,
            Err(error) => return self.problems.push(format!("cannot write {name}: {error}")),
        };
        let mut command = Command::new(program);
        let done = command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).stdout(file).output();
        match done {
            Ok(done) if done.status.success() => {}
            Ok(done) => {
                let why = String::from_utf8_lossy(&done.stderr).lines().next().unwrap_or_default().to_owned();
                self.problems.push(format!("{name}: {program}: {why}"));
            }
            Err(error) => self.problems.push(format!("cannot run {program}: {error}")),
        }
    }

    /// Writes what was saved, and the sums of all files; gives it in words, and what is missing.
    pub fn finish(mut self) -> (String, Vec<String>) {
        let index = json!({ "taken": format!("{:.0}", jiff::Timestamp::now()), "files": self.index, "problems": self.problems });
        self.write("index.json", out::json(&index, true).as_bytes());
        let sums =
            ["-c", "find . -type f ! -name SHA256SUMS -exec sha256sum {} + | LC_ALL=C sort -k 2"].map(str::to_owned);
        self.output("SHA256SUMS", "sh", &sums);
        let copies = self.index.iter().filter(|entry| entry.get("copy").is_some()).count();
        (format!("{}: evidence, {} copied", self.folder.display(), check::counted(copies, "file")), self.problems)
    }
}

fn time(seconds: i64, nanoseconds: i64) -> Option<String> {
    crate::log::time_text(seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cannot be read is said: a file in the place of vhosts.d is not no virtual host.
    #[test]
    fn a_folder_that_cannot_be_read_is_a_problem() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let (main, lists) = (at("portcullis.toml"), at("vhosts.d"));
        std::fs::write(&main, "").expect("a file");
        let problems = |name: &str| {
            let mut evidence = Evidence::new(&at(name)).expect("a directory");
            evidence.configuration(&main);
            evidence.finish().1
        };
        assert!(problems("none").is_empty(), "a configuration of one file");
        std::fs::write(&lists, "").expect("a file");
        let said = problems("wrong");
        assert!(said.len() == 1 && said[0].contains("vhosts.d: Not a directory"), "{said:?}");
    }

    #[test]
    fn a_directory_for_evidence_is_looked_at_first() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(is_possible(&folder.path().join("new")).is_ok());
        for (name, why) in
            [("no/such", "does not exist; help: mkdir -p"), ("", "is there already"), ("..", "names no new")]
        {
            let said = is_possible(&folder.path().join(name)).expect_err(name);
            assert!(said.contains(why), "{name}: {said}");
        }
    }

    /// Scripts come from an attacker: a link, a FIFO and a name with line ends are what they are.
    #[test]
    fn nothing_that_an_attacker_named_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let mut evidence = Evidence::new(&at("evidence")).expect("a directory");
        assert!(Evidence::new(&at("evidence")).is_err(), "it is there");
        std::os::unix::fs::symlink("/etc/passwd", at("link.php")).expect("a link");
        assert!(Command::new("mkfifo").arg(at("fifo.php")).status().expect("mkfifo").success());
        std::fs::write(at("a\n\u{1b}[2J.php"), "<?php").expect("a file");
        for (number, name) in ["link.php", "fifo.php", "a\n\u{1b}[2J.php", "gone.php"].into_iter().enumerate() {
            evidence.copy(&at(name), &format!("scripts/{number}"), 1 << 20);
        }
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = child.id();
        evidence.processes(&[Identity { pid, started: 0 }]);
        let (said, problems) = evidence.finish();
        assert!(said.contains("1 file copied") && problems.is_empty(), "{said}: {problems:?}");
        assert_eq!(std::fs::read_to_string(at("evidence/scripts/2")).expect("a copy"), "<?php");
        assert_eq!(std::fs::read_dir(at("evidence/scripts")).expect("a folder").count(), 1);
        let index = std::fs::read_to_string(at("evidence/index.json")).expect("an index");
        let index: Value = serde_json::from_str(&index).expect("JSON");
        assert_eq!(index["files"][0]["facts"]["link"], "/etc/passwd");
        let command = std::fs::read(at(&format!("evidence/processes/{pid}/cmdline"))).expect("a command line");
        assert_eq!(command, b"sleep\x0060\x00");
        let _ = child.kill();
        let _ = child.wait();
        let checked =
            Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(at("evidence")).output();
        let checked = checked.expect("sha256sum");
        assert!(
            checked.status.success() && !std::fs::read(at("evidence/SHA256SUMS")).expect("sums").is_empty(),
            "{checked:?}"
        );
        let mode = std::fs::metadata(at("evidence")).expect("a directory").mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
