//! Outputs that are no regular files: nothing may take their place.

use rustix::fs::{FileType, Mode, OFlags, fstat};
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Whether an output is no file's name: a device, or a name that the system gives to a device or to a descriptor (/dev/null,
/// /dev/stdout). What the command says besides belongs on standard error then.
pub fn is(path: &Path) -> bool {
    std::fs::symlink_metadata(path)
        .is_ok_and(|meta| meta.file_type().is_char_device() || (meta.is_symlink() && is_of_the_system(path)))
}

/// Names that only root makes.
fn is_of_the_system(path: &Path) -> bool {
    path.parent().is_some_and(|folder| {
        ["/dev", "/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"].iter().any(|known| folder == Path::new(known))
    })
}

/// The device or descriptor that an output is, to be written into; `None` for what a new file may take the place of: nothing, a file, a
/// link that another user may have put there. What is left is an error, since it would be gone: a pipe, a socket, a directory, a disk.
pub fn open(path: &Path) -> Result<Option<File>, Error> {
    if is(path) {
        return descriptor(path).map(|open| Some(open.into()));
    }
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() && !meta.is_symlink() => Err(neither()),
        _ => Ok(None),
    }
}

/// A descriptor's place in what it writes to is kept: to open it by its name would begin at the beginning of a file.
fn descriptor(path: &Path) -> Result<OwnedFd, Error> {
    let name = path.file_name().unwrap_or_default();
    let is_numbered = |number: &str| path.parent() != Some(Path::new("/dev")) && name == number;
    if name == "stdout" || is_numbered("1") {
        crate::limits::open(true)?;
        return rustix::stdio::stdout().try_clone_to_owned();
    }
    if name == "stderr" || is_numbered("2") {
        return rustix::stdio::stderr().try_clone_to_owned();
    }
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let open = rustix::fs::open(path, flags, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&open)?.st_mode) {
        FileType::BlockDevice | FileType::Directory => Err(neither()),
        _ => {
            rustix::fs::fcntl_setfl(&open, OFlags::APPEND)?;
            Ok(open)
        }
    }
}

fn neither() -> Error {
    Error::new(ErrorKind::InvalidInput, "it is neither a file nor a device; name a file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, makedev, mknodat};

    /// Every kind of file stays what it is, by each writer.
    #[test]
    fn nothing_takes_the_place_of_what_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let null = at("null");
        // Only root makes devices.
        let is_made = mknodat(CWD, &null, FileType::CharacterDevice, Mode::from_raw_mode(0o600), makedev(1, 3)).is_ok();
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        let kind = |path: &Path| std::fs::symlink_metadata(path).unwrap().file_type();
        type Write = fn(&Path) -> Result<(), Error>;
        let writers: [Write; 2] =
            [|path| crate::install::plan::output(path, b"x"), |path| crate::compile::write(b"x", path)];
        for write in writers {
            for name in ["pipe", "socket", "directory"] {
                let before = kind(&at(name));
                assert!(write(&at(name)).is_err(), "{name}");
                assert_eq!(kind(&at(name)), before, "{name}");
            }
            let _ = write(Path::new("/dev/stdout"));
            assert!(kind(Path::new("/dev/stdout")).is_symlink());
            if is_made {
                // A filter of devices (nodev) may keep it from being opened.
                let _ = write(&null);
                assert!(kind(&null).is_char_device());
            }
        }
    }
}
