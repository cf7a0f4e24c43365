//! Looks for what patterns stand for, once for each: ten thousand virtual hosts may have the same.

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

/// The files that patterns in folders stand for, as far as they were looked for.
#[derive(Default)]
pub(crate) struct Folders(RefCell<HashMap<PathBuf, Rc<[Entry]>>>);

impl Folders {
    /// The files that a path stands for whose last component is a pattern, in order.
    pub(crate) fn matching(&self, path: &Path) -> Rc<[Entry]> {
        let mut known = self.0.borrow_mut();
        if let Some(entries) = known.get(path) {
            return Rc::clone(entries);
        }
        let found: Rc<[Entry]> = list(path).into();
        known.insert(path.to_owned(), Rc::clone(&found));
        found
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
