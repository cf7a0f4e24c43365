//! The files of the configuration: where a virtual host is written, what a file would be, and whether all of them would be right.

use super::edit;
use super::propose::Proposal;
use crate::install::plan;
use portcullis_config::reading::{self, Links};
use portcullis_config::{Config, Loaded};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// What the name of a backup ends in: nothing reads a file of that name as a configuration.
const BACKUP: &str = "~";
/// The permissions of a new file.
const MODE: u32 = 0o644;

/// What is known of how a file came to be.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// When it was written last, in seconds since 1970; nobody but root can set that.
    pub when: i64,
    /// Its owner.
    pub owner: u32,
    /// Others than its owner can write it.
    pub is_shared: bool,
}

impl Written {
    /// Whether this user may have written it.
    pub fn may_be_of(&self, user: Option<u32>) -> bool {
        self.is_shared || user.is_none_or(|user| user == 0 || user == self.owner)
    }
}

/// How a file came to be.
pub fn written(path: &str) -> Option<Written> {
    const OTHERS: u32 = 0o022;
    let meta = std::fs::symlink_metadata(path).ok()?;
    let written = Written { when: meta.ctime(), owner: meta.uid(), is_shared: meta.mode() & OTHERS != 0 };
    meta.is_file().then_some(written)
}

/// The file that `--write` names: one of the current directory that exists, or `./FILE`; otherwise, of the directory of the
/// configuration `main`.
pub fn target(named: &Path, main: &Path) -> Result<PathBuf, String> {
    let here = std::path::absolute(named).map_err(|error| format!("cannot find {}: {error}", named.display()))?;
    let there = main.parent().unwrap_or(Path::new("/")).join(named);
    let is_of_here = matches!(named.components().next(), Some(Component::CurDir | Component::ParentDir));
    match (here.exists(), there.exists()) {
        _ if is_of_here || here == there => Ok(here),
        (true, true) => Err(format!(
            "`{}` is {} and {}; nothing was written; help: write the whole path",
            named.display(),
            here.display(),
            there.display()
        )),
        (true, false) => Ok(here),
        (false, _) => Ok(there),
    }
}

/// Writes files, and what each was before beside it.
pub fn write(changes: &[(PathBuf, String)]) -> Result<(), String> {
    let (mut backups, mut new) = (Vec::new(), Vec::new());
    for (target, text) in changes {
        let Ok(meta) = std::fs::metadata(target) else {
            new.push((target.clone(), text.clone(), MODE));
            continue;
        };
        let before = file(target).map_err(|error| format!("cannot read {}: {error}", target.display()))?;
        if before == *text {
            continue;
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(BACKUP);
        let mode = meta.permissions().mode() & 0o777;
        backups.push((target.with_file_name(name), before, mode));
        new.push((target.clone(), text.clone(), mode));
    }
    let failed = |what: &str, error: std::io::Error| format!("cannot write the {what}: {error}");
    plan::write_many(&backups).map_err(|error| failed("backups; nothing was written", error))?;
    plan::write_many(&new).map_err(|error| failed("configuration", error))?;
    let named = |files: &[(PathBuf, String, u32)]| match files {
        [(path, ..)] => path.display().to_string(),
        files => format!("{} files", files.len()),
    };
    if !backups.is_empty() {
        println!("{}: as before the change", named(&backups));
    }
    match new.as_slice() {
        [] => println!("Nothing changed."),
        new => println!("{}: written. `portcullis apply` puts it in force.", named(new)),
    }
    Ok(())
}

/// The configuration with some files changed, in a copy that is gone with what is given beside it.
pub fn candidate(path: &Path, edits: &[(PathBuf, String)]) -> Result<(Loaded, tempfile::TempDir), String> {
    let place = portcullis_story::spill_folder();
    let failed = |error: std::io::Error| {
        format!("cannot copy the configuration to {}: {error}; help: TMPDIR names another directory", place.display())
    };
    let copy = tempfile::tempdir_in(&place).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let main = copy.path().join(path.file_name().unwrap_or_default());
    std::fs::create_dir(copy.path().join("vhosts.d")).map_err(failed)?;
    std::fs::write(&main, file(path).unwrap_or_default()).map_err(failed)?;
    for entry in reading::entries(&folder.join("vhosts.d"), reading::ENTRIES_MAX).into_iter().flatten() {
        if entry.path().is_file() {
            let text = file(&entry.path()).map_err(failed)?;
            std::fs::write(copy.path().join("vhosts.d").join(entry.file_name()), text).map_err(failed)?;
        }
    }
    for (target, text) in edits {
        let within = target
            .strip_prefix(folder)
            .map_err(|_| format!("{} is not among the files of {}", target.display(), path.display()))?;
        std::fs::write(copy.path().join(within), text).map_err(failed)?;
    }
    Ok((portcullis_config::load(&main), copy))
}

/// The text of a file of the configuration.
fn file(path: &Path) -> std::io::Result<String> {
    reading::text(path, Links::Follow, reading::CONFIG_MAX)
}

/// Where a virtual host is written.
fn home(vhost: &str, config: &Config, main: &Path) -> Option<PathBuf> {
    if vhost.is_empty() {
        return Some(main.to_owned());
    }
    config.vhosts.iter().find(|known| known.name.value == vhost)?.name.origin.file.clone()
}

/// The changes of all files that the proposals are for.
pub fn every_edit(
    proposals: &BTreeMap<String, Proposal>,
    config: &Config,
    main: &Path,
) -> Result<Vec<(PathBuf, String)>, String> {
    let mut edits: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (vhost, proposal) in proposals {
        let Some(home) = home(vhost, config, main) else { continue };
        let before = edits.get(&home).cloned().unwrap_or_else(|| file(&home).unwrap_or_default());
        edits.insert(home, edit::edited(&before, vhost, proposal)?);
    }
    Ok(edits.into_iter().collect())
}

/// The new text of one file.
pub fn edited(
    target: &Path,
    proposals: &BTreeMap<String, Proposal>,
    config: &Config,
    main: &Path,
) -> Result<String, String> {
    let of_target: Vec<&String> =
        proposals.keys().filter(|vhost| home(vhost, config, main).as_deref() == Some(target)).collect();
    if !of_target.is_empty() {
        let mut text = file(target).unwrap_or_default();
        for vhost in of_target {
            text = edit::edited(&text, vhost, &proposals[vhost])?;
        }
        return Ok(text);
    }
    if target.exists() {
        let others: Vec<String> = proposals
            .keys()
            .map(|vhost| if vhost.is_empty() { "the global policy".to_owned() } else { vhost.clone() })
            .collect();
        return Err(format!(
            "{} has no virtual host of which there is something to learn ({})",
            target.display(),
            others.join(", ")
        ));
    }
    let name = target.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(known) = home(&name, config, main) {
        return Err(format!("the virtual host `{name}` is in {}: write there", known.display()));
    }
    let proposal = proposals.get("").ok_or("nothing is to be learnt of requests without a virtual host")?;
    if proposal.roots.len() != 1 {
        return Err(format!(
            "these requests have {} document roots: choose those of one host with --script",
            proposal.roots.len()
        ));
    }
    edit::fresh(&name, proposal)
}
