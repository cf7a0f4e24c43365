//! Outputs that are no regular files: nothing may take their place.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Whether an output is a device, or a name that the system has for one or for a descriptor (/dev/null, /dev/stdout).
pub fn is(path: &Path) -> bool {
    let of_the_system = || path.starts_with("/dev") || path.starts_with("/proc");
    std::fs::symlink_metadata(path).is_ok_and(|meta| {
        meta.file_type().is_char_device() || (meta.is_symlink() && of_the_system() && !path.is_dir() && path.exists())
    })
}

/// The device that an output is, to be written into; `None` for what a new file may take the place of: nothing, a file, a link that
/// another user may have put there. What is left is an error, since it would be gone: a pipe, a socket, a directory, a disk.
pub fn open(path: &Path) -> Result<Option<File>, Error> {
    if is(path) {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        return Ok(Some(rustix::fs::open(path, flags, Mode::empty())?.into()));
    }
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() && !meta.is_symlink() => {
            Err(Error::new(ErrorKind::InvalidInput, "it is neither a file nor a device; name a file"))
        }
        _ => Ok(None),
    }
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
