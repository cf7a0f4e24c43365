//! Opens and reads files that somebody else may have written or replaced: the one module that does, each read with a bound.
//!
//! **Invariants**: a FIFO, a socket or a device is never opened, whatever a path leads to: the place is found first (O_PATH), and only
//! a regular file is opened there. Nothing waits, and nothing is read past its bound.
//!
//! **Why a module**: `clippy.toml` forbids the reading functions of `std::fs` in this crate and in the command outside of it.
#![allow(clippy::disallowed_methods)]

use std::fs::{DirEntry, File, Metadata, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The largest file of the configuration, in bytes.
pub const CONFIG_MAX: u64 = 16 << 20;
/// The most files in a folder of the configuration, and the most entries of a folder of programs.
pub const ENTRIES_MAX: usize = 100_000;

/// The largest program or library, in bytes.
pub const PROGRAM_MAX: u64 = 512 << 20;

/// How long a lock is waited for.
const LOCKED_MAX: Duration = Duration::from_secs(10);

/// What becomes of a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// It is followed.
    Follow,
    /// It is followed where root or the caller made it: in a folder that others write to, theirs lead to files of their choice.
    Own,
    /// It is not followed.
    Refuse,
}

/// Opens a regular file. A descriptor of the caller's own (`/dev/stdin`, `/dev/fd/N`) may be a pipe.
pub fn open(path: &Path, links: Links) -> Result<File> {
    if is_own_descriptor(path) {
        return File::open(path);
    }
    let mut place = find(path, if links == Links::Follow { 0 } else { libc::O_NOFOLLOW })?;
    let mut meta = place.metadata()?;
    if meta.is_symlink() && links == Links::Own && is_trusted(&meta) {
        place = find(path, 0)?;
        meta = place.metadata()?;
    }
    if let Some(why) = unfit(&meta) {
        return Err(Error::new(ErrorKind::InvalidInput, why));
    }
    let open = |path: &Path| OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    match open(&by_number(&place)) {
        // Without /proc it is opened by its path once more.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let file = open(path)?;
            let now = file.metadata()?;
            if (now.dev(), now.ino()) == (meta.dev(), meta.ino()) {
                Ok(file)
            } else {
                Err(Error::new(ErrorKind::InvalidInput, "it was replaced meanwhile"))
            }
        }
        opened => opened,
    }
}

/// Opens a file that belongs to root or to the caller, and that nobody else can write.
pub fn open_trusted(path: &Path) -> Result<File> {
    let file = open(path, Links::Refuse)?;
    let meta = file.metadata()?;
    if is_trusted(&meta) && meta.mode() & 0o022 == 0 {
        Ok(file)
    } else {
        Err(Error::new(ErrorKind::PermissionDenied, "others can write it"))
    }
}

/// Makes a file that only its owner can open, and locks it: whoever can open a file or a folder can hold its lock for ever.
pub fn lock(path: &Path) -> Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(_) if begun.elapsed() < LOCKED_MAX => std::thread::sleep(LOCKED_MAX / 200),
            Err(TryLockError::WouldBlock) => return Err(Error::other("another process holds the lock")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// A file as a whole; an error where it is larger than `max` bytes.
pub fn bytes(path: &Path, links: Links, max: u64) -> Result<Vec<u8>> {
    rest(open(path, links)?, max)
}

/// What is left of an open file, likewise.
pub fn rest(file: File, max: u64) -> Result<Vec<u8>> {
    let too_large = || Error::new(ErrorKind::FileTooLarge, format!("it is larger than {max} bytes"));
    if file.metadata()?.len() > max {
        return Err(too_large());
    }
    // It may grow, and what /proc has seems empty.
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(too_large()) } else { Ok(bytes) }
}

/// A file as text, likewise.
pub fn text(path: &Path, links: Links, max: u64) -> Result<String> {
    let invalid = |error: std::string::FromUtf8Error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(ErrorKind::InvalidData, format!("not UTF-8: byte {at} is not text"))
    };
    String::from_utf8(bytes(path, links, max)?).map_err(invalid)
}

/// The first `max` bytes of a file, or fewer.
pub fn head(path: &Path, links: Links, max: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, links)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The entries of a folder; an error where there are more than `max`.
pub fn entries(folder: &Path, max: usize) -> Result<Vec<DirEntry>> {
    let found: Vec<DirEntry> = std::fs::read_dir(folder)?.flatten().take(max.saturating_add(1)).collect();
    if found.len() > max {
        return Err(Error::other(format!("it has more than {max} entries")));
    }
    Ok(found)
}

/// An error of the system in its words, without its number.
#[must_use]
pub fn in_words(error: &Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error ").map_or(text.as_str(), |(words, _)| words).to_owned()
}

/// A folder that is held by its descriptor: what is opened in it is in this folder, whatever takes its name meanwhile.
pub struct Folder {
    held: Option<File>,
    path: PathBuf,
}

impl Folder {
    /// The folder that a path leads to. One that is not there, or is none, fails when something in it is opened.
    #[must_use]
    pub fn open(path: &Path) -> Folder {
        Folder {
            held: find(path, libc::O_DIRECTORY).ok().filter(|held| by_number(held).exists()),
            path: path.to_owned(),
        }
    }

    /// The folder at the end of `parts`, none of which is a link, in the folder `root`.
    ///
    /// # Errors
    /// The first of them is a link or no folder, or is not there.
    pub fn below(root: &Path, parts: &Path) -> Result<Folder> {
        let mut held = find(root, libc::O_DIRECTORY)?;
        for part in parts {
            held = find(&by_number(&held).join(part), libc::O_DIRECTORY | libc::O_NOFOLLOW)?;
        }
        Ok(Folder { held: Some(held), path: root.join(parts) })
    }

    /// The path of `name` in it.
    #[must_use]
    pub fn at(&self, name: &Path) -> PathBuf {
        // Without /proc it is found by its path.
        self.held.as_ref().map_or_else(|| self.path.clone(), by_number).join(name)
    }

    /// What `look` says of the folder that is held.
    pub fn looked<T>(&self, look: impl Fn(&Path) -> T) -> T {
        look(&self.at(Path::new(".")))
    }
}

fn by_number(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Writes to the disk which entries a folder has.
pub fn sync_folder(folder: &Path) -> Result<()> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(folder)?.sync_all()
}

/// Finds what a path leads to, without opening it.
fn find(path: &Path, more: i32) -> Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | more).open(path)
}

/// Why something is not read; /dev/null is an empty file.
fn unfit(meta: &Metadata) -> Option<&'static str> {
    let kind = meta.file_type();
    let is_null = kind.is_char_device() && (libc::major(meta.rdev()), libc::minor(meta.rdev())) == (1, 3);
    match () {
        () if kind.is_file() || is_null => None,
        () if kind.is_symlink() => Some("it is a link that is not followed: others may have made it"),
        () if kind.is_dir() => Some("it is a folder"),
        () if kind.is_fifo() => Some("it is a FIFO, not a file"),
        () => Some("it is not a regular file"),
    }
}

/// Whether root or the caller owns it.
fn is_trusted(meta: &Metadata) -> bool {
    // /proc/self belongs to the effective user.
    meta.uid() == 0 || std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == meta.uid())
}

/// Whether a path names a descriptor of the caller's own, which may be a pipe.
pub(crate) fn is_own_descriptor(path: &Path) -> bool {
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    path.to_str().is_some_and(|path| {
        let number = path.strip_prefix("/dev/fd/").or_else(|| path.strip_prefix("/proc/self/fd/"));
        path == "/dev/stdin" || number.is_some_and(is_number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_are_opened_and_within_their_bound() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "12345").unwrap();
        symlink("file", at("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(text(&at("file"), Links::Refuse, 5).unwrap(), "12345");
        assert_eq!(head(&at("file"), Links::Refuse, 2).unwrap(), b"12");
        assert!(bytes(&at("file"), Links::Refuse, 4).unwrap_err().to_string().contains("larger than 4"));
        // Root's own link, or the caller's.
        assert_eq!(bytes(&at("link"), Links::Own, 9).unwrap(), b"12345");
        assert!(bytes(&at("link"), Links::Refuse, 9).unwrap_err().to_string().contains("link"));
        for name in ["fifo", "socket", "."] {
            for links in [Links::Follow, Links::Own, Links::Refuse] {
                assert!(open(&at(name), links).is_err(), "{name}");
            }
        }
        assert!(open(Path::new("/dev/zero"), Links::Follow).is_err());
        assert_eq!(bytes(Path::new("/dev/null"), Links::Follow, 0).unwrap(), b"");
        assert!(entries(folder.path(), 3).is_err() && entries(folder.path(), 4).unwrap().len() == 4);
    }

    #[test]
    fn who_locks_the_folder_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let held = File::open(folder.path()).unwrap();
        held.lock().unwrap();
        let path = folder.path().join("lock");
        let turn = lock(&path).unwrap();
        assert_eq!(turn.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(File::open(&path).unwrap().try_lock().is_err(), "it is held");
        let (told, hears) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(lock(&path).map(drop)));
        assert!(hears.recv_timeout(LOCKED_MAX * 3).expect("it gives up").is_err());
    }

    #[test]
    fn what_others_can_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy");
        std::fs::write(&path, "x").unwrap();
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o644);
        assert!(open_trusted(&path).is_ok());
        set(0o646);
        assert!(open_trusted(&path).is_err());
    }
}
