//! What files were before a containment, kept so that it can be undone to the byte.
//!
//! **Invariants**: what was is on the disk before a file changes. A file that somebody has changed since is left as it is.

use crate::install::plan::{self, Change};
use crate::{check, out, show, sink};
use portcullis_config::reading::{self, Links};
use portcullis_config::trust;
use portcullis_story::DIGITS_MIN;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};

const RECORD: &str = "record.json";
const LOCK: &str = ".lock";
/// The largest record: a larger one is not written, since it would not be read.
const RECORD_MAX: u64 = reading::CONFIG_MAX * 8;
/// How many containments there may be at once.
const RECORDS_MAX: usize = 10_000;

/// A file that a containment has written.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: PathBuf,
    /// What it was; `None` where it was not there.
    pub before: Option<String>,
    /// What it is.
    pub after: String,
}

/// A containment that can be undone.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    /// When, by whom, and of what, in words.
    pub when: String,
    pub who: String,
    pub what: String,
    /// The main configuration files.
    pub configs: Vec<PathBuf>,
    pub files: Vec<Written>,
    /// The folders that were made for them.
    pub folders: Vec<PathBuf>,
    /// Files of other containments that contain some of its sites.
    #[serde(default)]
    pub relied: Vec<PathBuf>,
}

/// The folder with the records, of which one process at a time changes something.
pub struct Store {
    folder: PathBuf,
    _turn: File,
}

impl Store {
    /// Opens it, and makes it where it is not there.
    pub fn open(folder: &Path) -> Result<Store, String> {
        let failed = |error: std::io::Error| {
            format!("cannot use {}, where the files of before are kept: {error}; nothing was changed", folder.display())
        };
        let folder = std::path::absolute(folder).map_err(failed)?;
        sink::make_folder(&folder, 0o700).map_err(failed)?;
        is_safe(&folder)?;
        let turn = reading::lock(&folder.join(LOCK)).map_err(failed)?;
        Ok(Store { folder, _turn: turn })
    }

    /// Keeps a record.
    pub fn keep(&self, record: &Record) -> Result<(), String> {
        let folder = self.folder.join(&record.id);
        let failed = |error: std::io::Error| format!("cannot keep what was before in {}: {error}", folder.display());
        let text = serde_json::to_string_pretty(record).map_err(|error| failed(error.into()))?;
        let text = out::ascii(&text);
        if text.len() as u64 > RECORD_MAX {
            return Err(format!(
                "the files that change have {} MiB, and what was before is kept up to {} MiB only; nothing was changed; help: put fewer \
                 virtual hosts into one file of vhosts.d",
                text.len() >> 20,
                RECORD_MAX >> 20
            ));
        }
        sink::make_folder(&folder, 0o700).map_err(failed)?;
        plan::write(Path::new("/"), &folder.join(RECORD), text).map_err(failed)
    }

    /// Forgets one.
    pub fn forget(&self, id: &str) -> Result<(), String> {
        let folder = self.folder.join(id);
        plan::remove(Path::new("/"), &folder).map_err(|error| format!("cannot remove {}: {error}", folder.display()))
    }
}

/// A name for a record in a folder that is like `id` and that none has.
pub fn free(folder: &Path, id: &str) -> String {
    let mut names = std::iter::once(id.to_owned()).chain((2_u32..).map(|number| format!("{id}.{number}")));
    names.find(|name| std::fs::symlink_metadata(folder.join(name)).is_err()).unwrap_or_default()
}

/// The record in a folder with this name, or the only one whose name begins so.
pub fn named(folder: &Path, id: &str) -> Result<Record, String> {
    let Records { mut all, problems } = all(folder)?;
    if let Some(found) = all.iter().position(|record| record.id.eq_ignore_ascii_case(id)) {
        return Ok(all.swap_remove(found));
    }
    let begins = |record: &&Record| {
        id.len() >= DIGITS_MIN && record.id.get(..id.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(id))
    };
    let meant: Vec<&Record> = all.iter().filter(begins).collect();
    let shown = |records: &mut dyn Iterator<Item = &Record>| {
        let names: Vec<&str> = records.map(|record| record.id.as_str()).collect();
        crate::modes::some(&names, names.len())
    };
    let place = format!("{} in {}", show::value(id), folder.display());
    match (meant.as_slice(), all.as_slice()) {
        ([one], _) => Ok((*one).clone()),
        ([], []) if problems.is_empty() => Err(format!("no containment {place}: there is none")),
        ([], []) => Err(format!("no containment {place} can be read: {}", problems.join("; "))),
        ([], all) if problems.is_empty() => Err(format!("no containment {place}; known: {}", shown(&mut all.iter()))),
        ([], all) => Err(format!(
            "no containment {place} can be read; known: {}; not read: {}",
            shown(&mut all.iter()),
            problems.join("; ")
        )),
        (several, _) => Err(format!(
            "several containments {place}: {}; help: write more of one",
            shown(&mut several.iter().copied())
        )),
    }
}

/// Another user who could write there would have root write what they want.
fn is_safe(folder: &Path) -> Result<(), String> {
    trust::folder(Path::new("/"), folder).map_err(|weak| {
        format!(
            "another user could change {}: {}; {}; nothing was changed",
            folder.display(),
            weak.what(),
            weak.advice()
        )
    })
}

/// The records in a folder, the first one first, and why others cannot be read: these hide none.
#[derive(Default)]
pub struct Records {
    pub all: Vec<Record>,
    pub problems: Vec<String>,
}

/// Every record in a folder.
pub fn all(folder: &Path) -> Result<Records, String> {
    if std::fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir()) {
        is_safe(folder)?;
    }
    let entries = match reading::entries(folder, RECORDS_MAX) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Records::default()),
        Err(error) => return Err(format!("cannot read {}: {error}", folder.display())),
    };
    let mut records = Records::default();
    for entry in entries.into_iter().filter(|entry| entry.path().is_dir()) {
        let path = entry.path().join(RECORD);
        let text = match reading::text(&path, Links::Refuse, RECORD_MAX) {
            Ok(text) => text,
            // A run that was ended before it changed anything.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                records.problems.push(format!("cannot read {}: {error}", path.display()));
                continue;
            }
        };
        // What it says of the folder is what undoes it.
        match serde_json::from_str::<Record>(&text) {
            Ok(record) if Some(record.id.as_str()) == entry.file_name().to_str() => records.all.push(record),
            Ok(record) => records.problems.push(format!("{}: it is the record of {}", path.display(), record.id)),
            Err(error) => records.problems.push(format!("{}: {error}", path.display())),
        }
    }
    records.problems.sort();
    records.all.sort_by(|one, other| (&one.when, &one.id).cmp(&(&other.when, &other.id)));
    Ok(records)
}

impl Written {
    /// What a file is now, and is to be.
    pub fn of(path: &Path, after: &str) -> Result<Written, String> {
        let before = match reading::text(path, Links::Follow, reading::CONFIG_MAX) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        Ok(Written { path: path.to_owned(), before, after: after.to_owned() })
    }

    fn to(&self, text: Option<&String>) -> Change {
        match text {
            Some(text) => Change::Write(self.path.clone(), text.clone()),
            None => Change::Remove(self.path.clone()),
        }
    }

    /// The change that contains.
    pub fn forth(&self) -> Change {
        self.to(Some(&self.after))
    }

    /// The change that undoes it.
    pub fn back(&self) -> Change {
        self.to(self.before.as_ref())
    }

    /// How the file differs from what it was changed to, as lines for people.
    pub fn differs(&self) -> String {
        let now = reading::text(&self.path, Links::Follow, reading::CONFIG_MAX);
        match now {
            Ok(now) => plan::difference(&self.after, &now),
            Err(error) => format!("  {}: {error}\n", self.path.display()),
        }
    }

    /// Whether it is neither what it was nor what it was changed to.
    fn is_other(&self) -> bool {
        !self.forth().is_done() && !self.back().is_done()
    }
}

impl Record {
    /// Makes the changes; where one fails, those before it are undone.
    pub fn make(&self) -> Result<(), String> {
        for (place, file) in self.files.iter().enumerate() {
            if let Err(why) = file.forth().make(Path::new("/")) {
                let undone = self.files.iter().take(place).filter_map(|file| file.back().make(Path::new("/")).err());
                return Err(outcome(why, &undone.collect::<Vec<_>>()));
            }
        }
        Ok(())
    }

    /// Undoes the changes, and removes the folders that were made; gives what could not be undone.
    pub fn unmake(&self) -> Vec<String> {
        let failed: Vec<String> =
            self.files.iter().rev().filter_map(|file| file.back().make(Path::new("/")).err()).collect();
        self.folders.iter().for_each(|folder| plan::remove_empty(Path::new("/"), folder));
        failed
    }

    /// Another one that relies on one of its files.
    pub fn held_by<'r>(&'r self, all: &'r [Record]) -> Option<(&'r Record, &'r Path)> {
        let others = all.iter().filter(|other| other.id != self.id);
        let relied = others.flat_map(|other| other.relied.iter().map(move |path| (other, path.as_path())));
        relied.into_iter().find(|(_, path)| self.files.iter().any(|file| file.path == *path))
    }

    /// The files that somebody has changed since.
    pub fn changed(&self) -> Vec<&Written> {
        self.files.iter().filter(|file| file.is_other()).collect()
    }

    /// In a line.
    pub fn line(&self) -> String {
        let files = check::counted(self.files.len(), "file");
        let [id, when, who] = [&self.id, &self.when, &self.who].map(|value| show::value(value));
        format!("{id}  {when} by {who}: {files}, {}", show::rest(&self.what))
    }
}

/// Why something was not done, and what of it is left.
pub fn outcome(why: String, left: &[String]) -> String {
    match left {
        [] => format!("{why}; every file is as it was before"),
        left => format!("{why}; NOT put back: {}", left.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(folder: &Path) -> Record {
        let (old, new) = (folder.join("old.toml"), folder.join("vhosts.d/new.toml"));
        std::fs::write(&old, "# \u{e9} \u{202e}\r\nmode = 'audit'").expect("a file");
        let files = [(&old, "mode = \"enforce\"\n"), (&new, "name = \"x\"\n")];
        Record {
            id: "3f2a9c1e".into(),
            when: "2026-11-30T09:00:00Z".into(),
            who: "root".into(),
            what: "incident 3f2a9c1e".into(),
            configs: vec![old.clone()],
            files: files.map(|(path, after)| Written::of(path, after).expect("a file")).to_vec(),
            folders: vec![folder.join("vhosts.d")],
            relied: Vec::new(),
        }
    }

    #[test]
    fn what_was_comes_back_to_the_byte() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = std::fs::read(folder.path().join("old.toml")).unwrap_or_default();
        let made = record(folder.path());
        let store = Store::open(&folder.path().join("state/contain")).expect("a store");
        store.keep(&made).expect("kept");
        let state = folder.path().join("state/contain");
        assert_eq!(free(&state, "3f2a9c1e"), "3f2a9c1e.2");
        made.make().expect("made");
        let kept = named(&state, "3f2a9c1e").expect("a record");
        assert_eq!(kept, made);
        assert!(kept.changed().is_empty() && folder.path().join("vhosts.d/new.toml").exists());
        assert!(kept.unmake().is_empty());
        let after = std::fs::read(folder.path().join("old.toml")).expect("a file");
        assert_eq!(after, "# \u{e9} \u{202e}\r\nmode = 'audit'".as_bytes());
        assert!(!folder.path().join("vhosts.d").exists() && before.is_empty());
        store.forget("3f2a9c1e").expect("forgotten");
        assert!(named(&state, "3f2a9c1e").expect_err("none").contains("there is none"));
    }

    /// Whatever has happened to one record, the others are listed and can be undone.
    #[test]
    fn a_record_that_cannot_be_read_hides_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let store = Store::open(&state).expect("a store");
        let made = record(folder.path());
        store.keep(&made).expect("kept");
        let another = Record { id: "3f2a9c1f".into(), ..made.clone() };
        store.keep(&another).expect("kept");
        let broken: [(&str, &[u8]); 4] =
            [("0", b"{"), ("1", b"\xff"), ("2", b"[]"), ("3", include_bytes!("record.rs"))];
        for (name, text) in broken {
            std::fs::create_dir(state.join(name)).expect("a folder");
            std::fs::write(state.join(name).join(RECORD), text).expect("a file");
        }
        // One under the name of another would undo the wrong one.
        std::fs::create_dir(state.join("4")).expect("a folder");
        std::fs::copy(state.join(&made.id).join(RECORD), state.join("4").join(RECORD)).expect("a copy");
        std::fs::create_dir_all(state.join("5").join(RECORD)).expect("a folder in the place of a file");
        let Records { all, problems } = all(&state).expect("records");
        assert_eq!((all.len(), problems.len()), (2, 6), "{problems:?}");
        assert_eq!(named(&state, "3F2A9C1E").expect("one").id, made.id);
        assert!(named(&state, "3f2a9c").expect_err("two").contains("help: write more of one"));
        assert!(named(&state, "3f2").expect_err("too short").contains("known: "));
        store.forget("3f2a9c1f").expect("forgotten");
        assert_eq!(named(&state, "3f2a9c").expect("one").id, made.id);
    }

    #[test]
    fn a_file_that_was_changed_since_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = record(folder.path());
        made.make().expect("made");
        std::fs::write(folder.path().join("old.toml"), "mode = \"off\"\n").expect("a file");
        let changed = made.changed();
        assert!(changed.len() == 1 && changed[0].path == folder.path().join("old.toml"), "{changed:?}");
        let shown = anstream::adapter::strip_str(&changed[0].differs()).to_string();
        assert_eq!(shown, "  - mode = \"enforce\"\n  + mode = \"off\"\n");
        std::fs::remove_file(folder.path().join("old.toml")).expect("a file");
        assert!(made.changed()[0].differs().contains("old.toml: No such file"), "{}", made.changed()[0].differs());
    }

    #[test]
    fn a_change_that_fails_leaves_nothing_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut made = record(folder.path());
        // A file is no folder.
        made.files[1].path = folder.path().join("old.toml/new.toml");
        let why = made.make().expect_err("an error");
        assert!(why.contains("every file is as it was before"), "{why}");
        assert!(made.files[0].back().is_done());
    }

    /// A record that could not be read again would not undo anything, and would keep every other one from being read.
    #[test]
    fn a_record_that_could_not_be_read_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("state")).expect("a store");
        let mut large = record(folder.path());
        // In JSON each of these takes six bytes.
        large.files[0].before = Some("\u{1}".repeat(RECORD_MAX as usize / 6 + 1));
        let why = store.keep(&large).expect_err("too large");
        assert!(why.contains("nothing was changed; help: "), "{why}");
        assert!(all(&folder.path().join("state")).expect("no record").all.is_empty());
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("permissions");
        let Err(why) = Store::open(folder.path()) else { panic!("a store") };
        assert!(why.contains("another user could change"), "{why}");
        assert!(all(folder.path()).is_err());
    }
}
