//! Takes back the changes of a command of which a later step fails: what it leaves is what it found.
//!
//! **Limit**: a file is put back with its text and its mode. The log and the key of the seals, once made, stay.

use super::plan::{self, Change};
use portcullis_config::reading::{self, Links};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What was at a path.
enum Former {
    Nothing,
    File { bytes: Vec<u8>, mode: u32 },
    Link(PathBuf),
}

impl Former {
    fn of(path: &Path) -> Result<Former, String> {
        let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Former::Nothing),
            Err(error) => Err(failed(error)),
            Ok(meta) if meta.is_symlink() => std::fs::read_link(path).map(Former::Link).map_err(failed),
            Ok(meta) => {
                let bytes = reading::bytes(path, Links::Own, reading::PROGRAM_MAX).map_err(failed)?;
                Ok(Former::File { bytes, mode: meta.permissions().mode() & 0o777 })
            }
        }
    }

    /// Puts it back.
    fn back(&self, root: &Path, path: &Path) -> std::io::Result<()> {
        let gone = || match plan::remove(root, path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
        match self {
            Former::Nothing => {
                gone()?;
                plan::tidy(root, path.parent().unwrap_or(root));
                Ok(())
            }
            Former::File { bytes, mode } => {
                plan::write(root, path, bytes)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode))
            }
            Former::Link(to) => {
                gone()?;
                plan::link(root, to, path)
            }
        }
    }
}

/// What was at each path that was changed.
pub struct Undo<'r> {
    root: &'r Path,
    former: Vec<(PathBuf, Former)>,
}

impl<'r> Undo<'r> {
    /// Of the system below `root`.
    pub fn new(root: &'r Path) -> Undo<'r> {
        Undo { root, former: Vec::new() }
    }

    /// Keeps what is at a path that is to be changed. A file that is written through an administrator's link is what is kept.
    pub fn keep(&mut self, path: &Path) -> Result<(), String> {
        self.former.push((path.to_owned(), Former::of(path)?));
        Ok(())
    }

    /// Makes a change that can be taken back, and says so.
    pub fn make(&mut self, change: &Change) -> Result<(), String> {
        let path = change.path();
        let is_written = !matches!(change, Change::Remove(_));
        let at = if is_written { std::fs::canonicalize(path).ok() } else { None };
        self.keep(at.as_deref().unwrap_or(path))?;
        change.make_shown(self.root)
    }

    /// What a failure is reported with: all that was changed is put back first, the last change first.
    pub fn back(&mut self, why: &str) -> String {
        let mut left = Vec::new();
        let is_changed = !self.former.is_empty();
        for (path, former) in self.former.drain(..).rev() {
            if let Err(error) = former.back(self.root, &path) {
                left.push(format!("{} ({error})", path.display()));
            }
        }
        match (is_changed, left.as_slice()) {
            (false, _) => format!("{why}; nothing was changed"),
            (true, []) => format!("{why}; the changes above were undone"),
            (true, left) => format!("{why}; these changes could not be undone: {}", left.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::write(at("kept"), "one\n").unwrap();
        std::fs::set_permissions(at("kept"), std::fs::Permissions::from_mode(0o640)).unwrap();
        std::fs::write(at("gone"), "two\n").unwrap();
        std::fs::set_permissions(at("gone"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("kept", at("link")).unwrap();
        let mut undo = Undo::new(root.path());
        for change in [
            Change::Write(at("kept"), "other\n".into()),
            Change::Write(at("new/x.conf"), "new\n".into()),
            Change::Remove(at("gone")),
            Change::Remove(at("link")),
        ] {
            undo.make(&change).unwrap();
        }
        assert!(!at("gone").exists() && !at("link").exists() && at("new/x.conf").exists());
        let said = undo.back("why");
        assert_eq!(said, "why; the changes above were undone");
        let text = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        let mode = |name: &str| std::fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!([text("kept"), text("gone"), text("link")], ["one\n", "two\n", "one\n"]);
        assert_eq!([mode("kept"), mode("gone")], [0o640, 0o600]);
        assert_eq!(std::fs::read_link(at("link")).unwrap(), Path::new("kept"));
        assert!(!at("new").exists());
        assert_eq!(Undo::new(root.path()).back("why"), "why; nothing was changed");
    }
}
