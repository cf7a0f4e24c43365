//! Who may change what a path leads to: every folder from the root on, and every symbolic link on the way.
//!
//! **Invariants**: a configuration is read by [`crate::load()`], which checks it here, and a file of it is written where [`target`] says.
//! No command of root's uses one that this module refuses.

use crate::diagnostic::{Diagnostic, Severity};
use crate::load::Loaded;
use crate::reading::Folder;
use portcullis_policy::Sink;
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
    /// A symbolic link that belongs to this user.
    OwnerOfLink(PathBuf, u32),
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
            Weak::Kind(path)
            | Weak::Owner(path, _)
            | Weak::OwnerOfLink(path, _)
            | Weak::Writable(path, _)
            | Weak::Free(path) => path,
        }
    }

    /// What is wrong there.
    #[must_use]
    pub fn what(&self) -> String {
        let shown = self.path().display();
        match self {
            Weak::Kind(_) => format!("{shown} is a symbolic link or no folder"),
            Weak::Owner(_, user) => format!("{shown} belongs to user {user}, who could replace it"),
            Weak::OwnerOfLink(_, user) => format!("the link {shown} belongs to user {user}, who could replace it"),
            Weak::Writable(_, mode) => format!("others may write to {shown} (mode {:04o})", mode & 0o7777),
            Weak::Free(_) => format!("anybody may make {shown}"),
        }
    }

    /// What to do there; its commands are right as they are printed.
    #[must_use]
    pub fn advice(&self) -> String {
        let quoted = quoted(self.path());
        match self {
            Weak::Kind(_) => "name the file itself".into(),
            Weak::Owner(..) => format!("move the file where root alone may write, or: chown root {quoted}"),
            // Without -h the file that it leads to would be given away.
            Weak::OwnerOfLink(..) => format!("name the file itself, or: chown -h root {quoted}"),
            // Everybody needs such a folder: /tmp, for one.
            Weak::Writable(_, mode) if mode & STICKY != 0 => "move the file where root alone may write".into(),
            Weak::Writable(..) => format!("chmod go-w {quoted}"),
            Weak::Free(_) => format!("make it first, as root: mkdir {quoted}"),
        }
    }
}

/// A path as a word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(&byte);
    if text.bytes().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Follows a path of the system below `root`; what is there, if it is. A sticky folder that anybody may write to is fine on
/// the way: what one of `owners` has in it, nobody else moves.
///
/// # Errors
/// The first place that belongs to none of `owners`, or that others may write to.
pub fn walk(root: &Path, path: &Path, owners: &[u32], follow: bool) -> Result<Option<Metadata>, Weak> {
    end(root, path, owners, follow, Others::Refuse).map(|(_, found)| found)
}

/// Where a file of the configuration is written that has this path, which begins with `root`: at the end of its links.
///
/// # Errors
/// The first place by which another user could have the file elsewhere, or change it.
pub fn target(root: &Path, path: &Path) -> Result<PathBuf, Weak> {
    let [root, path] = [root, path].map(absolute);
    let root = root.as_path();
    end(root, path.strip_prefix(root).unwrap_or(&path), &owners(root), true, Others::Refuse).map(|(at, _)| at)
}

/// Where what has this path, which begins with `root`, lies in the system below `root`, so that root may take it away: links are followed
/// as [`target`] follows them. A folder of another user's is entered, but no link is followed there.
///
/// # Errors
/// The first link on the way that another user could have made, or that leads nowhere.
pub fn resolved(root: &Path, path: &Path) -> Result<PathBuf, Weak> {
    let [root, path] = [root, path].map(absolute);
    let root = root.as_path();
    end(root, path.strip_prefix(root).unwrap_or(&path), &owners(root), true, Others::Enter).map(|(at, _)| at)
}

/// The folder in which an entry lies that has this path, likewise, and the entry's name. The folder is held: whatever is done to the
/// entry is done there.
///
/// # Errors
/// As of [`resolved`]; or the folder is not there.
pub fn entry(root: &Path, path: &Path) -> std::io::Result<(Folder, OsString)> {
    let refused = |weak: Weak| {
        let message = format!("another user could have it lead elsewhere: {}; {}", weak.what(), weak.advice());
        std::io::Error::new(std::io::ErrorKind::PermissionDenied, message)
    };
    let root = &absolute(root);
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?.to_owned();
    let at = resolved(root, path.parent().unwrap_or(root)).map_err(refused)?;
    Ok((Folder::below(root, at.strip_prefix(root).unwrap_or(&at))?, name))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What becomes of a folder that another user may change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// It is refused.
    Refuse,
    /// It is entered, and no link is followed from there on.
    Enter,
}

/// Whether what root puts into a folder by renaming stays there: also in one that anybody may write to, as /tmp.
///
/// # Errors
/// The first place by which another user could have it elsewhere, or replace it.
pub fn folder(root: &Path, path: &Path) -> Result<(), Weak> {
    match walk(root, path, &owners(root), true) {
        Err(Weak::Writable(at, mode)) if mode & STICKY != 0 && same(&at, path) => Ok(()),
        found => found.map(|_| ()),
    }
}

/// [`walk`], with the path of what is there.
fn end(
    root: &Path,
    path: &Path,
    owners: &[u32],
    follow: bool,
    others: Others,
) -> Result<(PathBuf, Option<Metadata>), Weak> {
    let mut parts: VecDeque<OsString> = path.components().map(|part| part.as_os_str().to_owned()).collect();
    let (mut at, mut links) = (root.to_owned(), 0);
    let mut is_others = false;
    let examined = |at: &Path, is_others: &mut bool| match examined(at, owners) {
        Err(Weak::Owner(..)) if others == Others::Enter => {
            *is_others = true;
            Ok(std::fs::symlink_metadata(at).ok())
        }
        found => found,
    };
    let mut found = examined(&at, &mut is_others)?;
    let mut is_free = found.as_ref().is_some_and(|meta| meta.mode() & WRITABLE != 0);
    if let Some(meta) = found.as_ref().filter(|meta| is_free && meta.mode() & STICKY == 0) {
        match others {
            Others::Enter => is_others = true,
            Others::Refuse => return Err(Weak::Writable(at, meta.mode())),
        }
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
        found = examined(&at, &mut is_others)?;
        let Some(meta) = &found else {
            return if is_free && others == Others::Refuse {
                Err(Weak::Free(at))
            } else {
                Ok((parts.iter().fold(at, |at, part| at.join(part)), None))
            };
        };
        if meta.is_symlink() {
            links += 1;
            if !follow || links > LINKS || is_others {
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
            match others {
                Others::Enter => is_others = true,
                Others::Refuse => return Err(Weak::Writable(at, meta.mode())),
            }
        }
    }
    Ok((at, found))
}

/// What is at a place, which has to belong to one of `owners`; a link is not followed.
fn examined(at: &Path, owners: &[u32]) -> Result<Option<Metadata>, Weak> {
    match std::fs::symlink_metadata(at) {
        Ok(meta) if owners.contains(&meta.uid()) => Ok(Some(meta)),
        Ok(meta) if meta.is_symlink() => Err(Weak::OwnerOfLink(at.to_owned(), meta.uid())),
        Ok(meta) => Err(Weak::Owner(at.to_owned(), meta.uid())),
        Err(_) => Ok(None),
    }
}

/// Who may own what this process relies on below `root`: root, the user that it runs as, and whoever has the root folder (nobody, in a
/// user namespace that does not map root; whoever makes an image).
#[must_use]
pub fn owners(root: &Path) -> Vec<u32> {
    let of = |path: &Path| std::fs::metadata(path).ok().map(|meta| meta.uid());
    let all = [Some(0), of(Path::new("/proc/self")), of(Path::new("/")), of(root)];
    all.into_iter().flatten().collect::<BTreeSet<u32>>().into_iter().collect()
}

/// Adds an error for each place by which another user could change the main file at `path`, which begins with `root`, a file of its
/// vhosts.d, or the log.
pub(crate) fn check(root: &Path, path: &Path, loaded: &mut Loaded) {
    let owners = owners(root);
    let within = |path: &Path| Path::new("/").join(path.strip_prefix(root).unwrap_or(path));
    let beside = path.parent().unwrap_or(Path::new("/")).join("vhosts.d");
    let mut ways = vec![path.to_owned()];
    // Without a folder whose entries are safe, each of its files says the same.
    match walk(root, &within(&beside), &owners, true) {
        Ok(_) => ways.extend(loaded.config.vhost_files.iter().filter(|file| !is_own(file, &owners)).cloned()),
        Err(_) => ways.push(beside),
    }
    let mut seen = BTreeSet::new();
    let mut refuse = |file: PathBuf, what: &str, weak: &Weak| {
        if seen.insert(weak.path().to_owned()) {
            let message = format!("{what}: {}", weak.what());
            loaded.diagnostics.push(Diagnostic::of_file(Severity::Error, file, message, weak.advice()));
        }
        false
    };
    let mut is_trusted = true;
    for way in ways {
        if let Err(weak) = walk(root, &within(&way), &owners, true) {
            is_trusted = refuse(way, "another user could change the policy", &weak);
        }
    }
    if loaded.config.sinks.contains(&Sink::File) {
        let log = loaded.config.log_file.clone();
        match log_place(root, &log) {
            Err(weak @ Weak::Kind(_)) => is_trusted = refuse(log, "the log is not opened through a link", &weak),
            Err(weak) => is_trusted = refuse(log, "another user could put another file in the log's place", &weak),
            Ok(()) => {}
        }
    }
    loaded.is_trusted = is_trusted;
}

/// Whether a log at `path`, of the system below `root`, can be opened by root.
///
/// # Errors
/// The first place by which another user could put another file in its place; the log itself, if it is a link.
pub fn log_place(root: &Path, path: &Path) -> Result<(), Weak> {
    let owners = owners(root);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let log = root.join(path.strip_prefix("/").unwrap_or(path));
    let found = std::fs::symlink_metadata(&log);
    // Also one that anybody may write to, as /tmp, where the log is there and root's.
    let is_there = found.as_ref().is_ok_and(|meta| owners.contains(&meta.uid()) && meta.nlink() == 1);
    match walk(root, folder, &owners, true) {
        Err(Weak::Writable(at, mode))
            if mode & STICKY != 0 && is_there && log.parent().is_some_and(|folder| same(&at, folder)) => {}
        Err(weak) => return Err(weak),
        Ok(_) => {}
    }
    if found.is_ok_and(|meta| meta.is_symlink()) { Err(Weak::Kind(log)) } else { Ok(()) }
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
        // What is to be written is written at the end of the links, or not at all.
        assert_eq!(target(root, &root.join("etc/fine/new/file")).unwrap(), root.join("etc/inner/new/file"));
        assert_eq!(target(root, &root.join("etc/link")).unwrap_err().path(), root.join("open"));
    }

    /// What root removes lies below the root folder that is meant, and on no way that another user has made.
    #[test]
    fn an_entry_is_found_as_a_file_that_is_written_is() {
        let root = tempfile::tempdir().unwrap();
        let out = tempfile::tempdir().unwrap();
        let root = root.path();
        permit(root, 0o755);
        for folder in ["etc", "theirs/inner", "own"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let of = |path: &str| {
            let (folder, name) = entry(root, &root.join(path))?;
            std::fs::canonicalize(folder.at(Path::new("."))).map(|folder| folder.join(name))
        };
        let root = &std::fs::canonicalize(root).unwrap();
        symlink("/own", root.join("etc/absolute")).unwrap();
        symlink("../../../../own", root.join("etc/relative")).unwrap();
        symlink(out.path(), root.join("etc/out")).unwrap();
        for link in ["absolute", "relative"] {
            assert_eq!(of(&format!("etc/{link}/file")).unwrap(), root.join("own/file"), "as root sees it there");
        }
        assert!(of("etc/out/file").is_err(), "nothing there has this path");
        // The entry itself is not followed.
        assert_eq!(of("etc/out").unwrap(), root.join("etc/out"));
        // A folder of another user's, in which a link may be anybody's.
        std::os::unix::fs::chown(root.join("theirs"), Some(33), None).unwrap();
        assert_eq!(of("theirs/inner/file").unwrap(), root.join("theirs/inner/file"));
        symlink("/own", root.join("theirs/link")).unwrap();
        assert!(of("theirs/link/file").is_err());
        std::os::unix::fs::lchown(root.join("etc/absolute"), Some(33), None).unwrap();
        assert!(of("etc/absolute/file").unwrap_err().to_string().contains("belongs to user 33"));
    }

    /// Each command of an advice, done as it is printed.
    #[test]
    fn advice_is_right_when_it_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        permit(root, 0o755);
        let (file, link) = (root.join("it's a file"), root.join("link"));
        std::fs::write(&file, "").unwrap();
        symlink("it's a file", &link).unwrap();
        permit(&file, 0o666);
        std::os::unix::fs::lchown(&link, Some(33), None).unwrap();
        let follow = |weak: &Weak| {
            let advice = weak.advice();
            let command = ["chown", "chmod", "mkdir"].iter().find_map(|word| advice.find(word).map(|at| &advice[at..]));
            let done = std::process::Command::new("sh").args(["-c", command.expect("a command")]).status();
            assert!(done.unwrap().success(), "{advice}");
        };
        let of = || walk(root, Path::new("/link"), &owners(root), true);
        assert_eq!(of().unwrap_err(), Weak::OwnerOfLink(link.clone(), 33));
        follow(&of().unwrap_err());
        assert!(matches!(of(), Err(Weak::Writable(at, _)) if at == file));
        follow(&of().unwrap_err());
        assert!(of().is_ok());
        // What everybody needs stays as it is.
        let shared = root.join("shared");
        std::fs::create_dir(&shared).unwrap();
        permit(&shared, 0o1777);
        let of = |path: &str| walk(root, Path::new(path), &owners(root), true);
        assert!(!of("/shared").unwrap_err().advice().contains("chmod"));
        follow(&of("/shared/none/file").unwrap_err());
        assert!(of("/shared/none/file").is_ok());
    }
}
