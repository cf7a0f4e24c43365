//! The files of a configuration as they were at one moment.
//!
//! **Invariants**: every file is opened below the descriptor of its folder, and within a bound. What was read counts only if every file
//! and the folder of the virtual hosts are afterwards what they were before: then there was a moment, between reading and looking again,
//! at which all of them were so. A file that was written within one tick of the kernel's clock is read again later, since a second write
//! in that tick leaves no trace.
//!
//! **Why read twice**: times do not tell of every write. Some file systems keep seconds, and what is written through a mapping has the
//! time of the first write to its page. So all bytes are read a second time, after the last of them was read the first time.

use crate::load::mark;
use crate::model::SourceFile;
use crate::reading::{self, Folder, Links};
use portcullis_policy::place;
use std::fs::Metadata;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often a configuration is read that changes meanwhile.
pub(crate) const TRIES: u32 = 12;
/// After this time a further write gets another time of change: the kernel's clock ticks 100 times a second at least.
const TICK: Duration = Duration::from_millis(20);
/// All files of a configuration together, in bytes.
const TOTAL_MAX: u64 = 512 << 20;

/// What tells whether a file or a folder has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    identity: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(meta: &Metadata) -> Mark {
        Mark {
            identity: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    fn changed_at(&self) -> SystemTime {
        let (seconds, nanos) = self.changed;
        UNIX_EPOCH + Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0))
    }
}

/// What a path leads to: what is there, and where that is a link, what is at its end. An administrator's link may be set anew.
type Place = [Option<Mark>; 2];

fn look(path: &Path) -> Place {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return [None; 2] };
    let own = Mark::of(&meta);
    let end = if meta.is_symlink() { std::fs::metadata(path).ok().as_ref().map(Mark::of) } else { Some(own) };
    [Some(own), end]
}

/// A file as it was read.
pub(crate) struct Taken {
    pub path: PathBuf,
    pub bytes: std::io::Result<Vec<u8>>,
    /// Others than its owner and its group may not read it.
    pub is_private: bool,
    /// Its size, and who may change it, for the policy.
    pub source: SourceFile,
    name: PathBuf,
    place: Place,
    /// Its bytes are not those of one moment.
    is_torn: bool,
}

/// The main file and the files of virtual hosts.
pub(crate) struct Snapshot {
    pub main: Taken,
    /// The folder of the virtual hosts.
    pub beside: SourceFile,
    /// Why that could not be listed; a folder that is not there is empty.
    pub unlisted: Option<Error>,
    /// The files in it, in name order.
    pub files: Vec<Taken>,
    begun: SystemTime,
    parent: PathBuf,
    folder: Folder,
    vhosts: Option<Folder>,
    beside_was: Place,
}

/// The name of the folder of the virtual hosts.
const VHOSTS: &str = "vhosts.d";

impl Snapshot {
    /// Reads what belongs to the main file `path`.
    pub(crate) fn take(path: &Path) -> Snapshot {
        let begun = SystemTime::now();
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        let folder = Folder::open(&parent);
        let mut left = TOTAL_MAX;
        let main = if reading::is_own_descriptor(path) {
            of_descriptor(path)
        } else {
            let name = path.file_name().map(PathBuf::from).unwrap_or_default();
            read(&folder, path.to_owned(), name, Links::Follow, &mut left)
        };
        let beside_path = parent.join(VHOSTS);
        let beside_was = look(&folder.at(Path::new(VHOSTS)));
        let beside = source(&beside_path, std::fs::metadata(folder.at(Path::new(VHOSTS))).ok().as_ref());
        let (vhosts, names, unlisted) = match listed(&folder) {
            Ok((vhosts, names)) => (Some(vhosts), names, None),
            Err(error) if error.kind() == ErrorKind::NotFound => (None, Vec::new(), None),
            Err(error) => (None, Vec::new(), Some(error)),
        };
        let one = |name: PathBuf| {
            let vhosts = vhosts.as_ref().unwrap_or(&folder);
            read(vhosts, beside_path.join(&name), name, Links::Own, &mut left)
        };
        let files = names.into_iter().map(one).collect();
        Snapshot { main, beside, unlisted, files, begun, parent, folder, vhosts, beside_was }
    }

    /// The first file or folder that is no longer what was read, or whose bytes may be of two moments.
    pub(crate) fn changed(&self) -> Option<PathBuf> {
        // Of the folder of the main file only these two entries count: that may be /tmp.
        // With the dot, one that may not be entered looks the same both times.
        if identity(self.folder.looked(look)) != identity(look(&self.parent.join("."))) {
            return Some(self.parent.clone());
        }
        let beside = &self.beside.path;
        let held = self.vhosts.as_ref().map(|held| identity(held.looked(look)));
        let is_other = held.is_some_and(|held| held != identity(self.beside_was));
        if is_other || self.differs(self.beside_was, &self.folder.at(Path::new(VHOSTS))) {
            return Some(beside.clone());
        }
        let main = std::iter::once((&self.folder, &self.main));
        let files = self.files.iter().map(|file| (self.vhosts.as_ref().unwrap_or(&self.folder), file));
        let mut of_path = main.filter(|(_, file)| !reading::is_own_descriptor(&file.path)).chain(files);
        of_path
            .find(|(folder, file)| file.is_torn || self.differs(file.place, &folder.at(&file.name)))
            .map(|(_, file)| file.path.clone())
    }

    /// The first file whose bytes are not the same when they are read once more.
    pub(crate) fn reread(&self) -> Option<PathBuf> {
        let is_other = |folder: &Folder, file: &Taken, links: Links| match &file.bytes {
            Ok(bytes) => reading::bytes(&folder.at(&file.name), links, bytes.len() as u64).ok().as_ref() != Some(bytes),
            // It may be read now; the places are compared in any case.
            Err(_) => false,
        };
        if !reading::is_own_descriptor(&self.main.path) && is_other(&self.folder, &self.main, Links::Follow) {
            return Some(self.main.path.clone());
        }
        let vhosts = self.vhosts.as_ref().unwrap_or(&self.folder);
        self.files.iter().find(|file| is_other(vhosts, file, Links::Own)).map(|file| file.path.clone())
    }

    /// The first file or folder that was being written when it was read, by what was found then.
    pub(crate) fn unsettled(&self) -> Option<PathBuf> {
        if self.is_fresh(self.beside_was) {
            return Some(self.beside.path.clone());
        }
        let mut all = std::iter::once(&self.main).chain(&self.files);
        all.find(|file| file.is_torn || self.is_fresh(file.place)).map(|file| file.path.clone())
    }

    fn differs(&self, was: Place, path: &Path) -> bool {
        was != look(path) || self.is_fresh(was)
    }

    fn is_fresh(&self, place: Place) -> bool {
        place.into_iter().flatten().any(|mark| {
            let changed = mark.changed_at();
            // The clock of another host's file system may be ahead.
            changed + TICK > self.begun && changed < self.begun + Duration::from_secs(1)
        })
    }
}

/// What tells a folder from every other.
fn identity([_, end]: Place) -> Option<(u64, u64)> {
    end.map(|mark| mark.identity)
}

/// Lets time pass before the next try.
pub(crate) fn pause(tries: u32) {
    std::thread::sleep(TICK * tries);
}

fn source(path: &Path, meta: Option<&Metadata>) -> SourceFile {
    let (mark, size) = meta.map_or((place::NO_SOURCE, 0), |meta| (mark(meta), meta.len()));
    SourceFile { path: path.to_owned(), mark, size }
}

/// The folder of the virtual hosts in `folder`, and the names of its files, in order.
fn listed(folder: &Folder) -> std::io::Result<(Folder, Vec<PathBuf>)> {
    let path = folder.at(Path::new(VHOSTS));
    let vhosts = Folder::open(&path);
    let entries = reading::entries(&vhosts.at(Path::new(".")), reading::ENTRIES_MAX)?;
    let mut names: Vec<PathBuf> = entries.into_iter().map(|entry| entry.file_name().into()).collect();
    names.retain(|name| name.extension().is_some_and(|extension| extension == "toml"));
    names.sort();
    Ok((vhosts, names))
}

/// Reads one file, of all the bytes that are `left`.
fn read(folder: &Folder, path: PathBuf, name: PathBuf, links: Links, left: &mut u64) -> Taken {
    let at = folder.at(&name);
    let place = look(&at);
    let mut taken = Taken {
        bytes: Ok(Vec::new()),
        is_private: true,
        source: source(&path, None),
        is_torn: false,
        path,
        name,
        place,
    };
    let bytes = (|| {
        let file = reading::open(&at, links)?;
        let before = file.metadata()?;
        let bytes = reading::rest(file.try_clone()?, reading::CONFIG_MAX.min(*left))?;
        let now = file.metadata()?;
        taken.source = source(&taken.path, Some(&before));
        taken.is_private = before.mode() & 0o004 == 0;
        let is_whole = !before.is_file() || bytes.len() as u64 == before.len();
        taken.is_torn = place[1] != Some(Mark::of(&before)) || Mark::of(&before) != Mark::of(&now) || !is_whole;
        Ok(bytes)
    })();
    *left = left.saturating_sub(bytes.as_ref().map_or(0, |bytes: &Vec<u8>| bytes.len() as u64));
    if bytes.is_err() {
        taken.source = source(&taken.path, std::fs::metadata(&at).ok().as_ref());
    }
    taken.bytes = bytes;
    #[cfg(test)]
    tests::was_read(&taken.path);
    taken
}

/// What comes from a descriptor of the caller's own, which may be a pipe: it comes once.
fn of_descriptor(path: &Path) -> Taken {
    let meta = std::fs::metadata(path).ok();
    Taken {
        path: path.to_owned(),
        bytes: reading::bytes(path, Links::Follow, reading::CONFIG_MAX),
        is_private: meta.as_ref().is_none_or(|meta| meta.mode() & 0o004 == 0),
        source: source(path, meta.as_ref()),
        name: PathBuf::new(),
        place: [None; 2],
        is_torn: false,
    }
}

#[cfg(test)]
mod tests;
