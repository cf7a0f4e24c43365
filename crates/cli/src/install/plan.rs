//! Changes to files: shown before they are made, each made at once or not at all.

use anstyle::{AnsiColor, Style};
use portcullis_config::reading::{self, Links};
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
    fn path(&self) -> &Path {
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

    /// Shows it.
    pub fn show(&self) {
        let path = self.path().display();
        match self {
            _ if self.is_done() => println!("{BOLD}{path}{BOLD:#}: as it is to be"),
            Change::Remove(_) => println!("{BOLD}{path}{BOLD:#}: {GONE}removed{GONE:#}"),
            Change::Copy(from, at) => {
                let word = if at.exists() { "renewed" } else { "new" };
                println!("{BOLD}{path}{BOLD:#}: {ADDED}{word}{ADDED:#}, a copy of {}", from.display());
            }
            Change::Write(at, text) => {
                let before = reading::text(at, Links::Follow, reading::CONFIG_MAX).unwrap_or_default();
                println!("{BOLD}{path}{BOLD:#}: {ADDED}{}{ADDED:#}", if before.is_empty() { "new" } else { "changed" });
                for line in before.lines().filter(|line| !text.lines().any(|now| now == *line)) {
                    println!("  {GONE}- {line}{GONE:#}");
                }
                for line in text.lines().filter(|line| !before.lines().any(|was| was == *line)) {
                    println!("  {ADDED}+ {line}{ADDED:#}");
                }
            }
        }
    }

    /// Makes it: by a new file that takes the old one's place.
    pub fn make(&self) -> Result<(), String> {
        let path = self.path();
        let done = match self {
            _ if self.is_done() => Ok(()),
            Change::Remove(path) => std::fs::remove_file(path),
            Change::Write(path, text) => write(path, text),
            Change::Copy(from, path) => {
                reading::bytes(from, Links::Own, reading::PROGRAM_MAX).and_then(|bytes| write(path, &bytes))
            }
        };
        done.map_err(|error| format!("cannot change {}: {error}", path.display()))
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Writes a file atomically, with the permissions of the one before it.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    let mode = std::fs::metadata(path).map_or(0o644, |meta| meta.permissions().mode() & 0o777);
    write_as(path, bytes, mode)
}

/// Writes a file atomically, with these permissions.
pub fn write_as(path: &Path, bytes: impl AsRef<[u8]>, mode: u32) -> std::io::Result<()> {
    let file = prepare(path, bytes.as_ref(), mode)?;
    file.0.as_file().sync_all()?;
    let folder = folder_of(&file.1).to_owned();
    file.0.persist(&file.1)?;
    reading::sync_folder(&folder)
}

/// The new file that is to take the place of `path`, and that place.
fn prepare(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<(tempfile::NamedTempFile, PathBuf)> {
    // An administrator's link stays one.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&path);
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    Ok((file, path))
}

/// Writes many files, each atomically and in their order: all are on the disk before the first takes its place.
///
/// **Why together**: to wait for the disk once a file takes minutes for 10,000 virtual hosts.
pub fn write_many(files: &[(PathBuf, String, u32)]) -> std::io::Result<()> {
    let mut new = Vec::with_capacity(files.len());
    // A file of each folder, which is on the disk that is waited for.
    let mut folders = BTreeMap::new();
    for (path, text, mode) in files {
        let (file, path) = prepare(path, text.as_bytes(), *mode)?;
        let (file, temporary) = file.into_parts();
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

/// Takes away what an interrupted run has left in a folder, and the folder itself where nothing else is in it.
pub fn tidy(folder: &Path) {
    for entry in reading::entries(folder, reading::ENTRIES_MAX).into_iter().flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let _ = std::fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_made_whole_and_once() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b.conf");
        let change = Change::Write(path.clone(), "one\n".into());
        assert!(!change.is_done());
        change.make().unwrap();
        assert!(change.is_done());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Change::Write(path.clone(), "two\n".into()).make().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(path.with_file_name(".portcullis-left"), "half").unwrap();
        tidy(path.parent().unwrap());
        assert!(path.exists(), "what is not ours stays");
        Change::Remove(path.clone()).make().unwrap();
        tidy(path.parent().unwrap());
        assert!(!path.parent().unwrap().exists());
    }
}
