//! Why a log cannot be read.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a log cannot be read.
#[derive(Debug)]
pub enum Error {
    /// A file cannot be read.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// `journalctl` cannot be run, or its output cannot be read.
    Journalctl {
        /// What of it.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// `journalctl` has failed; it has said why on standard error.
    Journal(ExitStatus),
}

impl Error {
    /// Of a file.
    pub(super) fn of(path: impl Into<PathBuf>, error: io::Error) -> Error {
        Error::File { path: path.into(), error }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File { path, error } => {
                write!(out, "cannot read {}: {error}", path.display())?;
                // Who may, as far as its permissions say.
                let meta = std::fs::metadata(path).ok().filter(|_| error.kind() == io::ErrorKind::PermissionDenied);
                match meta {
                    None => Ok(()),
                    Some(meta) if meta.mode() & 0o040 != 0 => {
                        let (owner, group) = (meta.uid(), meta.gid());
                        write!(out, " (only its owner, user {owner}, and its group, {group}, may read it)")
                    }
                    Some(meta) => write!(out, " (only its owner, user {}, may read it)", meta.uid()),
                }
            }
            Error::Journalctl { what, error } => write!(out, "{what}: {error}"),
            Error::Journal(status) => write!(out, "the journal cannot be read: journalctl: {status}"),
        }
    }
}

impl std::error::Error for Error {}
