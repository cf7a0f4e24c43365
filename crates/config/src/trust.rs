//! Who may change what a path leads to: every folder from the root on, and every symbolic link on the way.

use crate::diagnostic::{Diagnostic, Severity};
use crate::load::Loaded;
use crate::model::Sink;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Symbolic links on one way, at most, as the kernel has it.
const LINKS: usize = 40;
/// Others than the owner may write.
const WRITABLE: u32 = 0o022;
/// Of a folder: its entries belong to their owners (S_ISVTX).
const STICKY: u32 = 0o1000;

/// The place on a way at which somebody else could put another file.
#[derive(Debug, PartialEq, Eq)]
pub enum Weak {
    /// A symbolic link, where none is followed, or a file in place of a folder.
    Kind(PathBuf),
    /// It belongs to this user.
    Owner(PathBuf, u32),
    /// Others than its owner may write to it; its permissions.
    Writable(PathBuf, u32),
    /// It is not there yet, and anybody may make it.
    Free(PathBuf),
}

impl Weak {
    /// The place.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Weak::Kind(path) | Weak::Owner(path, _) | Weak::Writable(path, _) | Weak::Free(path) => path,
        }
    }

    /// What is wrong there, and what to do.
    fn said(&self) -> (String, String) {
        let shown = self.path().display();
        match self {
            Weak::Kind(_) => (format!("{shown} is a symbolic link or no folder"), "name the file itself".into()),
            Weak::Owner(_, user) => (
                format!("{shown} belongs to user {user}, who could replace it"),
                format!("chown root {shown}, or move the file where root alone may write"),
            ),
            Weak::Writable(_, mode) => {
                (format!("others may write to {shown} (mode {:04o})", mode & 0o7777), format!("chmod go-w {shown}"))
            }
            Weak::Free(_) => (format!("anybody may make {shown}"), format!("make it first, as root: mkdir {shown}")),
        }
    }
}

/// Follows a path of the system below `root`; what is there, if it is. A sticky folder that anybody may write to is fine on
/// the way: what one of `owners` has in it, nobody else moves.
///
/// # Errors
/// The first place that belongs to none of `owners`, or that others may write to.
pub fn walk(root: &Path, path: &Path, owners: &[u32], follow: bool) -> Result<Option<Metadata>, Weak> {
    let mut parts: VecDeque<OsString> = path.components().map(|part| part.as_os_str().to_owned()).collect();
    let (mut at, mut links) = (root.to_owned(), 0);
    let mut found = examined(&at, owners)?;
    let mut is_free = found.as_ref().is_some_and(|meta| meta.mode() & WRITABLE != 0);
    if let Some(meta) = found.as_ref().filter(|meta| is_free && meta.mode() & STICKY == 0) {
        return Err(Weak::Writable(at, meta.mode()));
    }
    while let Some(part) = parts.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::RootDir) => {
                root.clone_into(&mut at);
                continue;
            }
            Some(Component::ParentDir) => {
                if at != root {
                    at.pop();
                }
                continue;
            }
            Some(Component::Normal(_)) => at.push(&part),
            _ => continue,
        }
        found = examined(&at, owners)?;
        let Some(meta) = &found else {
            return if is_free { Err(Weak::Free(at)) } else { Ok(None) };
        };
        if meta.is_symlink() {
            links += 1;
            if !follow || links > LINKS {
                return Err(Weak::Kind(at));
            }
            let target = std::fs::read_link(&at).unwrap_or_default();
            at.pop();
            for part in target.components().rev() {
                parts.push_front(part.as_os_str().to_owned());
            }
            continue;
        }
        if !parts.is_empty() && !meta.is_dir() {
            return Err(Weak::Kind(at));
        }
        is_free = meta.mode() & WRITABLE != 0;
        // The last one of all is what counts, and not only for what lies in it.
        if is_free && (parts.is_empty() || meta.mode() & STICKY == 0) {
            return Err(Weak::Writable(at, meta.mode()));
        }
    }
    Ok(found)
}

/// What is at a place, which has to belong to one of `owners`; a link is not followed.
fn examined(at: &Path, owners: &[u32]) -> Result<Option<Metadata>, Weak> {
    match std::fs::symlink_metadata(at) {
        Ok(meta) if owners.contains(&meta.uid()) => Ok(Some(meta)),
        Ok(meta) => Err(Weak::Owner(at.to_owned(), meta.uid())),
        Err(_) => Ok(None),
    }
}

/// Who may own what this process relies on: root, the user that it runs as, and whoever has the root folder (nobody, in a user
/// namespace that does not map root).
#[must_use]
pub fn owners() -> Vec<u32> {
    let of = |path: &str| std::fs::metadata(path).ok().map(|meta| meta.uid());
    [Some(0), of("/proc/self"), of("/")].into_iter().flatten().collect::<BTreeSet<u32>>().into_iter().collect()
}

/// Adds an error for each place by which another user could change the main file at `path`, a file of its vhosts.d, or the log.
pub fn check(path: &Path, loaded: &mut Loaded) {
    let owners = owners();
    let beside = path.parent().unwrap_or(Path::new("/")).join("vhosts.d");
    let mut ways = vec![path.to_owned()];
    // Without a folder whose entries are safe, each of its files says the same.
    match walk(Path::new("/"), &beside, &owners, true) {
        Ok(_) => ways.extend(loaded.config.vhost_files.iter().filter(|file| !is_own(file, &owners)).cloned()),
        Err(_) => ways.push(beside),
    }
    let mut seen = BTreeSet::new();
    let mut refuse = |file: PathBuf, what: &str, weak: &Weak| {
        if seen.insert(weak.path().to_owned()) {
            let (message, help) = weak.said();
            loaded.diagnostics.push(unread(Severity::Error, file, format!("{what}: {message}"), help));
        }
    };
    for way in ways {
        if let Err(weak) = walk(Path::new("/"), &way, &owners, true) {
            refuse(way, "another user could change the policy", &weak);
        }
    }
    if !loaded.config.sinks.contains(&Sink::File) {
        return;
    }
    let log = loaded.config.log_file.clone();
    let folder = log.parent().unwrap_or(Path::new("/")).to_owned();
    // Also one that anybody may write to, as /tmp, where the log is there and root's.
    let there = std::fs::symlink_metadata(&log).is_ok_and(|meta| owners.contains(&meta.uid()) && meta.nlink() == 1);
    match walk(Path::new("/"), &folder, &owners, true) {
        Err(Weak::Writable(at, mode)) if mode & STICKY != 0 && there && same(&at, &folder) => {}
        Err(weak) => refuse(log.clone(), "another user could put another file in the log's place", &weak),
        Ok(_) => {}
    }
    if std::fs::symlink_metadata(&log).is_ok_and(|meta| meta.is_symlink()) {
        refuse(log.clone(), "the log is not opened through a link", &Weak::Kind(log));
    }
}

/// Whether two paths lead to one folder.
fn same(one: &Path, other: &Path) -> bool {
    let of = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    of(one).is_some() && of(one) == of(other)
}

/// Whether a file in a folder that is safe is safe too, without following it.
fn is_own(file: &Path, owners: &[u32]) -> bool {
    std::fs::symlink_metadata(file)
        .is_ok_and(|meta| meta.is_file() && owners.contains(&meta.uid()) && meta.mode() & WRITABLE == 0)
}

/// A diagnostic of a file as a whole.
fn unread(severity: Severity, file: PathBuf, message: String, help: String) -> Diagnostic {
    Diagnostic { severity, file, text: "".into(), span: 0..0, message, help: Some(help), is_private: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn permit(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn every_folder_and_link_on_the_way_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let own = std::fs::metadata(root).unwrap().uid();
        let owners = [own];
        permit(root, 0o755);
        std::fs::create_dir_all(root.join("etc/inner")).unwrap();
        std::fs::write(root.join("etc/inner/file"), "").unwrap();
        let of = |path: &str| walk(root, Path::new(path), &owners, true);
        assert!(of("/etc/inner/file").unwrap().unwrap().is_file());
        assert!(of("/etc/inner/none").unwrap().is_none());
        assert!(of("/etc/inner/../inner/./file").unwrap().is_some());
        for (path, mode) in [("etc", 0o775), ("etc", 0o757), ("etc/inner", 0o777), ("etc/inner/file", 0o666)] {
            let (path, before) = (root.join(path), if path.ends_with("file") { 0o644 } else { 0o755 });
            permit(&path, mode);
            assert!(matches!(of("/etc/inner/file"), Err(Weak::Writable(at, _)) if at == path), "{}", path.display());
            permit(&path, before);
        }
        // In a sticky folder what is there is safe, and what is not may be anybody's.
        permit(&root.join("etc"), 0o1777);
        assert!(of("/etc/inner/file").is_ok());
        assert_eq!(of("/etc/other/file").unwrap_err(), Weak::Free(root.join("etc/other")));
        assert!(matches!(of("/etc"), Err(Weak::Writable(..))));
        permit(&root.join("etc"), 0o755);
        // A link is followed from the root that is meant, and the way behind it counts.
        std::fs::create_dir(root.join("open")).unwrap();
        permit(&root.join("open"), 0o777);
        std::fs::write(root.join("open/file"), "").unwrap();
        symlink("/open/file", root.join("etc/link")).unwrap();
        symlink("inner", root.join("etc/fine")).unwrap();
        symlink("round", root.join("etc/round")).unwrap();
        assert_eq!(of("/etc/link").unwrap_err().path(), root.join("open"));
        assert!(of("/etc/fine/file").is_ok());
        assert_eq!(of("/etc/round").unwrap_err(), Weak::Kind(root.join("etc/round")));
        assert_eq!(
            walk(root, Path::new("/etc/fine/file"), &owners, false).unwrap_err(),
            Weak::Kind(root.join("etc/fine"))
        );
        assert_eq!(of("/etc/inner/file/x").unwrap_err(), Weak::Kind(root.join("etc/inner/file")));
        assert_eq!(walk(root, Path::new("/etc"), &[own + 1], true).unwrap_err(), Weak::Owner(root.to_owned(), own));
    }
}
