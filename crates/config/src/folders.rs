//! Looks for what patterns and programs' paths lead to, once for each: ten thousand virtual hosts may have the same.

use crate::runners::is_runner;
use portcullis_policy::command::glob;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A file in a folder.
pub(crate) struct Entry {
    pub name: String,
    pub is_link: bool,
    /// It runs any command, by its name.
    pub is_runner: bool,
}

/// The files that patterns in folders stand for, and the names of those that programs' links lead to, as far as they were looked for.
#[derive(Default)]
pub(crate) struct Folders {
    entries: RefCell<HashMap<PathBuf, Rc<[Entry]>>>,
    names: RefCell<HashMap<PathBuf, Option<String>>>,
}

impl Folders {
    /// The files that a path stands for whose last component is a pattern, in order.
    pub(crate) fn matching(&self, path: &Path) -> Rc<[Entry]> {
        let mut known = self.entries.borrow_mut();
        if let Some(entries) = known.get(path) {
            return Rc::clone(entries);
        }
        let found: Rc<[Entry]> = list(path).into();
        known.insert(path.to_owned(), Rc::clone(&found));
        found
    }

    /// The name of the file that an absolute path leads to; of a link that leads nowhere, its target's.
    pub(crate) fn real_name(&self, path: &Path) -> Option<String> {
        if !path.is_absolute() {
            return None;
        }
        let mut known = self.names.borrow_mut();
        if let Some(name) = known.get(path) {
            return name.clone();
        }
        let real = path.canonicalize().or_else(|_| path.read_link()).ok();
        let name = real.and_then(|real| Some(real.file_name()?.to_string_lossy().into_owned()));
        known.insert(path.to_owned(), name.clone());
        name
    }
}

fn list(path: &Path) -> Vec<Entry> {
    let (Some(folder), Some(pattern)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let entries = crate::reading::entries(folder, crate::reading::ENTRIES_MAX).unwrap_or_default().into_iter();
    let mut found: Vec<Entry> = entries
        .filter(|entry| glob(pattern.as_encoded_bytes(), entry.file_name().as_encoded_bytes(), true))
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            Some(Entry { is_runner: is_runner(&name), name, is_link })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}
