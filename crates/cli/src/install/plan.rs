//! Changes to files: shown before they are made, each made at once or not at all.

use crate::device;
use anstyle::{AnsiColor, Style};
use portcullis_config::reading::{self, Links};
use portcullis_config::trust;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

const ADDED: Style = AnsiColor::Green.on_default();
const GONE: Style = AnsiColor::Red.on_default();
const BOLD: Style = Style::new().bold();
/// The beginning of the names of files that are not yet what they will be; systemd reads none of them.
const TEMPORARY: &str = ".portcullis-";

/// What a file is to be.
pub enum Change {
    /// It has this text.
    Write(PathBuf, String),
    /// It is what the first file is.
    Copy(PathBuf, PathBuf),
    /// It is gone.
    Remove(PathBuf),
}

impl Change {
    /// What it changes.
    pub fn path(&self) -> &Path {
        match self {
            Change::Write(path, _) | Change::Copy(_, path) | Change::Remove(path) => path,
        }
    }

    /// Whether the file is so already.
    pub fn is_done(&self) -> bool {
        match self {
            Change::Write(path, text) => {
                reading::bytes(path, Links::Follow, reading::CONFIG_MAX).is_ok_and(|now| now == text.as_bytes())
            }
            Change::Copy(from, path) => {
                let bytes = |path: &Path| reading::bytes(path, Links::Follow, reading::PROGRAM_MAX).ok();
                bytes(path).is_some_and(|now| bytes(from).is_some_and(|from| from == now))
            }
            Change::Remove(path) => std::fs::symlink_metadata(path).is_err(),
        }
    }

    /// Shows it: what is done, or would be.
    pub fn show(&self) {
        print!("{}", self.said());
    }

    fn said(&self) -> String {
        let path = self.path().display();
        match self {
            _ if self.is_done() => format!("{BOLD}{path}{BOLD:#}: unchanged\n"),
            Change::Remove(_) => format!("{BOLD}{path}{BOLD:#}: {GONE}removed{GONE:#}\n"),
            Change::Copy(from, at) => {
                let word = if at.exists() { "renewed" } else { "new" };
                format!("{BOLD}{path}{BOLD:#}: {ADDED}{word}{ADDED:#}, a copy of {}\n", from.display())
            }
            Change::Write(at, text) => {
                let before = reading::text(at, Links::Follow, reading::CONFIG_MAX).unwrap_or_default();
                let word = if before.is_empty() { "new" } else { "changed" };
                let mut out = format!("{BOLD}{path}{BOLD:#}: {ADDED}{word}{ADDED:#}\n");
                out += &difference(&before, text);
                out
            }
        }
    }

    /// Makes it, and then says so.
    pub fn make_shown(&self, root: &Path) -> Result<(), String> {
        let said = self.said();
        self.make(root)?;
        print!("{said}");
        Ok(())
    }

    /// Makes it, in the system below `root`: by a new file that takes the old one's place.
    pub fn make(&self, root: &Path) -> Result<(), String> {
        let path = self.path();
        let done = match self {
            _ if self.is_done() => Ok(()),
            Change::Remove(path) => remove(root, path),
            Change::Write(path, text) => write(root, path, text),
            Change::Copy(from, path) => {
                reading::bytes(from, Links::Own, reading::PROGRAM_MAX).and_then(|bytes| write(root, path, &bytes))
            }
        };
        done.map_err(|error| format!("cannot change {}: {error}", path.display()))
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Where a file of the configuration, or one that a server loads, lies in the system below `root`: an administrator's link is followed,
/// and a place where another user could change it is refused.
fn target(root: &Path, path: &Path) -> std::io::Result<PathBuf> {
    trust::target(root, path).map_err(|weak| {
        let message = format!("another user could change it: {}; {}", weak.what(), weak.advice());
        std::io::Error::new(std::io::ErrorKind::PermissionDenied, message)
    })
}

/// Removes what has this path in the system below `root`, a folder with all that is in it. The way to it is walked as that of a file
/// which is written; a link at its end is removed itself.
pub fn remove(root: &Path, path: &Path) -> std::io::Result<()> {
    let held;
    let at = if Path::new("/proc/self/fd").exists() {
        held = trust::entry(root, path)?;
        held.0.at(Path::new(&held.1))
    } else {
        // In a chroot without /proc (rpm's), nothing leads to a folder that is held: nobody else may be able to change the way there.
        trust::folder(root, folder_of(path)).map_err(|weak| std::io::Error::other(weak.what()))?;
        path.to_owned()
    };
    if std::fs::symlink_metadata(&at)?.is_dir() { std::fs::remove_dir_all(at) } else { std::fs::remove_file(at) }
}

/// Makes a link in the system below `root`, where a file of the configuration would be written.
pub fn link(root: &Path, to: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, target(root, path)?)
}

/// Writes a file of the configuration, or one that a server loads, in the system below `root`: an administrator's link stays one, and
/// where another user could change what is written, nothing is.
pub fn write(root: &Path, path: &Path, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    output(&target(root, path)?, bytes)
}

/// Writes a file that was asked for, wherever that is: atomically, with the permissions of the one before it. What is there is
/// replaced, and not followed if it is a link: another user may have put it there.
pub fn output(path: &Path, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    let path = &std::path::absolute(path)?;
    if let Some(mut device) = device::open(path)? {
        return device.write_all(bytes.as_ref());
    }
    let mode = std::fs::symlink_metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)
        .map_or(0o644, |meta| meta.permissions().mode() & 0o777);
    let file = prepare(path, bytes.as_ref(), mode)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    reading::sync_folder(folder_of(path))
}

/// A line that a change takes out or puts in.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    Gone(&'a str),
    Added(&'a str),
}

/// The lines that differ, for people.
pub fn difference(before: &str, after: &str) -> String {
    let shown = changed_lines(before, after).into_iter().map(|line| match line {
        Line::Gone(line) => format!("  {GONE}- {line}{GONE:#}\n"),
        Line::Added(line) => format!("  {ADDED}+ {line}{ADDED:#}\n"),
    });
    shown.collect()
}

/// How many pairs of lines are compared; of larger changes, every line between the first and the last changed one is shown.
const PAIRS_MAX: usize = 4 << 20;

/// The lines that differ, in their order: what is left out is the longest common subsequence.
fn changed_lines<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (mut was, mut is): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let alike = |was: &[&str], is: &[&str]| was.iter().zip(is).take_while(|(one, other)| one == other).count();
    let start = alike(&was, &is);
    (was, is) = (was.split_off(start), is.split_off(start));
    let end = was.iter().rev().zip(is.iter().rev()).take_while(|(one, other)| one == other).count();
    was.truncate(was.len() - end);
    is.truncate(is.len() - end);
    let width = is.len() + 1;
    let is_small = was.len().saturating_mul(width) <= PAIRS_MAX;
    // The length of the longest common subsequence of what follows two lines.
    let mut lengths = vec![0_u32; if is_small { (was.len() + 1) * width } else { 0 }];
    for at in (0..was.len()).rev().filter(|_| is_small) {
        for to in (0..is.len()).rev() {
            lengths[at * width + to] = match was[at] == is[to] {
                true => lengths[(at + 1) * width + to + 1] + 1,
                false => lengths[(at + 1) * width + to].max(lengths[at * width + to + 1]),
            };
        }
    }
    let (mut at, mut to, mut out) = (0, 0, Vec::new());
    while at < was.len() || to < is.len() {
        let both = at < was.len() && to < is.len();
        if both && is_small && was[at] == is[to] {
            (at, to) = (at + 1, to + 1);
        } else if to == is.len()
            || (both && (!is_small || lengths[(at + 1) * width + to] >= lengths[at * width + to + 1]))
        {
            out.push(Line::Gone(was[at]));
            at += 1;
        } else {
            out.push(Line::Added(is[to]));
            to += 1;
        }
    }
    out
}

/// The new file that is to take the place of `path`.
fn prepare(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = folder_of(path);
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    Ok(file)
}

/// Writes many files of the configuration, each atomically and in their order: all are on the disk before the first takes its place.
///
/// **Why together**: to wait for the disk once a file takes minutes for 10,000 virtual hosts.
pub fn write_many(files: &[(PathBuf, String, u32)]) -> std::io::Result<()> {
    let mut new = Vec::with_capacity(files.len());
    // A file of each folder, which is on the disk that is waited for.
    let mut folders = BTreeMap::new();
    for (path, text, mode) in files {
        let path = target(Path::new("/"), path)?;
        let (file, temporary) = prepare(&path, text.as_bytes(), *mode)?.into_parts();
        folders.entry(folder_of(&path).to_owned()).or_insert(file);
        new.push((temporary, path));
    }
    for file in folders.values() {
        rustix::fs::syncfs(file)?;
    }
    for (file, path) in new {
        file.persist(path)?;
    }
    folders.keys().try_for_each(|folder| reading::sync_folder(folder))
}

/// Takes away what an interrupted run has left in a folder of the system below `root`, and the folder itself where nothing else is in
/// it.
pub fn tidy(root: &Path, folder: &Path) {
    // Any name in it will do: what counts is the folder that is held.
    if let Ok((held, _)) = trust::entry(root, &folder.join(TEMPORARY)) {
        for entry in reading::entries(&held.at(Path::new(".")), reading::ENTRIES_MAX).into_iter().flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
    remove_empty(root, folder);
}

/// Removes a folder of the system below `root` where nothing is in it.
pub fn remove_empty(root: &Path, folder: &Path) {
    if let Ok((held, name)) = trust::entry(root, folder) {
        let _ = std::fs::remove_dir(held.at(Path::new(&name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that is elsewhere in the file too is shown as any other, and so is a moved one.
    #[test]
    fn no_changed_line_is_left_out() {
        let shown = |before: &str, after: &str| -> Vec<String> {
            let line = |line| match line {
                Line::Gone(line) => format!("-{line}"),
                Line::Added(line) => format!("+{line}"),
            };
            changed_lines(before, after).into_iter().map(line).collect()
        };
        let before = "mode = \"audit\"\n\n[exec]\nmode = \"enforce\"\n";
        assert_eq!(
            shown(before, "mode = \"enforce\"\n\n[exec]\nmode = \"enforce\"\n"),
            ["-mode = \"audit\"", "+mode = \"enforce\""]
        );
        assert_eq!(shown("a\nb\nb\n", "a\nb\n"), ["-b"]);
        assert_eq!(shown("a\nb\n", "b\na\n"), ["-a", "+a"]);
        assert_eq!(shown("", "a\n\na\n"), ["+a", "+", "+a"]);
        assert!(shown(before, before).is_empty());
        // Applied to what was, the changes give what is.
        let (was, is) = ("1\n2\n3\n2\n1\n4\n", "2\n3\n1\n2\n4\n4\n");
        let changes = shown(was, is);
        let count = |sign: char| changes.iter().filter(|line| line.starts_with(sign)).count();
        assert_eq!(was.lines().count() - count('-') + count('+'), is.lines().count());
        assert_eq!(changes.len(), 4, "{changes:?}");
    }

    #[test]
    fn changes_are_made_whole_and_once() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b.conf");
        let change = Change::Write(path.clone(), "one\n".into());
        assert!(!change.is_done());
        change.make(root.path()).unwrap();
        assert!(change.is_done());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Change::Write(path.clone(), "two\n".into()).make(root.path()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(path.with_file_name(".portcullis-left"), "half").unwrap();
        tidy(root.path(), path.parent().unwrap());
        assert!(path.exists(), "what is not ours stays");
        Change::Remove(path.clone()).make(root.path()).unwrap();
        tidy(root.path(), path.parent().unwrap());
        assert!(!path.parent().unwrap().exists());
    }
}
