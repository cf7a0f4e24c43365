//! The key that events are sealed with: a file beside the configuration, for root alone.

use crate::probes::random;
use crate::status;
use portcullis_config::Config;
use portcullis_config::reading::{self, Links};
use portcullis_event::seal::{self, KEY_SIZE, Key};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A key, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub key: Key,
    /// In nanoseconds since 1970.
    pub made: i64,
    /// The file has that time within, so that a copy of it has it, too; else it is that of the file.
    pub is_told: bool,
}

/// How many bytes the time has behind the key.
const TIME_SIZE: usize = 8;

/// The key's file of the configuration `config`.
pub fn place(config: &Path) -> PathBuf {
    config.with_file_name("seal.key")
}

/// Whether events are to be sealed, by root's word: the applied policy asks for it, or the configuration does and its key was made. Beside a
/// key without a configuration, too: they are a copy, where events of another machine are verified.
pub fn is_due(config: &Path) -> bool {
    let has_key = place(config).exists();
    let asks = || !config.exists() || portcullis_config::load(config).config.seal;
    status::is_sealed(config) || has_key && asks()
}

/// Why a server of the configuration `config` seals nothing although it is to; for root, who alone can tell.
pub fn lack(config: &Path, is_wanted: bool) -> Option<String> {
    let path = place(config);
    let is_known = is_wanted && rustix::process::geteuid().is_root();
    let why = is_known.then(|| read(&path).err()).flatten()?;
    Some(format!("{} {why}", path.display()))
}

/// Makes the key where events are to be sealed and there is none. One that is there stays: without it nothing that it sealed can be
/// checked.
pub fn prepare(config: &Config) -> Result<(), String> {
    let Some(source) = config.sources.first().filter(|_| config.seal) else { return Ok(()) };
    let path = place(&source.path);
    let failed = |error: std::io::Error| format!("cannot make {}: {error}", path.display());
    let key: [u8; KEY_SIZE] = random().map_err(failed)?;
    // Nothing that is older can be sealed with it.
    let made = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default();
    // Beside it and linked, so that no server finds half of it.
    let folder = path.parent().unwrap_or(Path::new("/"));
    let make = || {
        if std::fs::symlink_metadata(&path).is_ok() {
            return Ok(false);
        }
        let mut file = tempfile::Builder::new().prefix(".seal-").tempfile_in(folder)?;
        file.write_all(&key)?;
        file.write_all(&made.to_le_bytes())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    };
    if make().map_err(failed)? {
        println!(
            "{}: made a key for seals; keep a copy elsewhere. What another key sealed can be checked with that one only",
            path.display()
        );
    }
    read(&path).map(|_| ()).map_err(|message| format!("{}: {message}", path.display()))
}

/// The key of a file, under the same conditions under which a server takes it.
pub fn read(path: &Path) -> Result<Stored, String> {
    let file = reading::open(path, Links::Refuse).map_err(|error| format!("cannot be read: {error}"))?;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.mode() & 0o077 != 0 || meta.uid() != 0 {
        return Err("is not root's alone; help: chown root it, and chmod 0600".to_owned());
    }
    let bytes = reading::rest(file, (KEY_SIZE + TIME_SIZE) as u64).map_err(|error| error.to_string())?;
    let of_file = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
    let found = bytes.split_first_chunk().and_then(|(key, time)| {
        let told = <[u8; TIME_SIZE]>::try_from(time).ok().map(i64::from_le_bytes);
        let is_valid = told.is_some() || time.is_empty();
        is_valid.then(|| Stored { key: seal::master(*key), made: told.unwrap_or(of_file), is_told: told.is_some() })
    });
    found.ok_or_else(|| {
        format!(
            "is not {KEY_SIZE} bytes long, or {} with its time; help: remove it, and compile again",
            KEY_SIZE + TIME_SIZE
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_config::model::SourceFile;
    use std::os::unix::fs::PermissionsExt;

    fn sealing(folder: &Path) -> Config {
        let path = folder.join("portcullis.toml");
        Config { seal: true, sources: vec![SourceFile { path, mark: 0, size: 0 }], ..Config::default() }
    }

    #[test]
    fn it_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        prepare(&Config { seal: false, ..sealing(folder.path()) }).unwrap();
        assert!(!path.exists());
        prepare(&sealing(folder.path())).unwrap();
        let first = read(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        prepare(&sealing(folder.path())).unwrap();
        assert_eq!(read(&path).unwrap(), first);
        assert!(first.is_told && first.key != [0; 2]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_that_others_may_read_or_place_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        prepare(&sealing(folder.path())).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(prepare(&sealing(folder.path())).unwrap_err().contains("0600"), "{mode:o}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let file = std::fs::File::options().write(true).truncate(true).open(&path).unwrap();
        std::fs::write(&path, [1; KEY_SIZE]).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_millis(1500)).unwrap();
        let old = read(&path).unwrap();
        assert_eq!((old.made, old.is_told), (1_500_000_000, false), "a key without its time");
        std::fs::write(&path, b"short").unwrap();
        assert!(read(&path).unwrap_err().contains("16 bytes"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read(&link).unwrap_err().contains("cannot be read"));
    }
}
