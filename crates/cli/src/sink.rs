//! The log of the file sink: its folder and the file, with the permissions that they need and no others.

use portcullis_config::Config;
use portcullis_config::reading::{self, Links};
use portcullis_config::trust::{self, Weak};
use portcullis_policy::Sink;
use rustix::fs::{IFlags, OFlags};
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Error};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The guard's own folder, whose permissions are always these.
const OWN: &str = "/var/log/portcullis";
/// Groups of web servers, as distributions have them.
const GROUPS: [&str; 4] = ["www-data", "apache", "nginx", "http"];
/// The largest list of groups, in bytes.
const GROUP_MAX: u64 = 64 << 20;
/// The log's permissions: its group appends and does not read, or it reads.
const GROUP_MODE: u32 = 0o620;
const MODE: u32 = 0o640;
/// What a new file takes its group from.
const SET_GROUP: u32 = 0o2000;

/// Makes a folder and those above it, with these permissions whatever the umask; whether it was not there before.
pub fn make_folder(folder: &Path, mode: u32) -> io::Result<bool> {
    if folder.is_dir() {
        return Ok(false);
    }
    if let Some(above) = folder.parent() {
        make_folder(above, 0o755)?;
    }
    match std::fs::DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(mode)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// The number of a group of the system below `root`.
fn number(root: &Path, name: &str) -> Option<u32> {
    let text = reading::text(&root.join("etc/group"), Links::Follow, GROUP_MAX).unwrap_or_default();
    let of = |line: &str| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    };
    name.parse().ok().or_else(|| text.lines().find_map(of))
}

/// The group that may append to the log.
fn group(root: &Path, config: &Config) -> Result<Option<u32>, Error> {
    match config.log_group.as_deref() {
        None => Ok(GROUPS.iter().find_map(|name| number(root, name))),
        Some("") => Ok(None),
        Some(name) => match number(root, name) {
            Some(found) => Ok(Some(found)),
            None => Err(Error::new(io::ErrorKind::NotFound, format!("there is no group `{name}`"))),
        },
    }
}

/// Why the log of the file sink does not get the group that the configuration names for it.
pub fn lacks_group(root: &Path, config: &Config) -> Option<String> {
    let found = config.sinks.contains(&Sink::File).then(|| group(root, config))?;
    found.err().map(|error| format!("{error}: no worker could append to the log"))
}

/// What is in the log's place and is no file.
pub fn no_file(root: &Path, config: &Config) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    let kind = std::fs::symlink_metadata(place(root, config)?).ok()?.file_type();
    match () {
        () if kind.is_fifo() => Some("a FIFO"),
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_socket() => Some("a socket"),
        () if kind.is_block_device() => Some("a block device"),
        () => None,
    }
}

/// Where the log lies, if the sink is used.
fn place(root: &Path, config: &Config) -> Option<PathBuf> {
    let path = root.join(config.log_file.strip_prefix("/").unwrap_or(&config.log_file));
    let folder = path.parent().and_then(|folder| trust::resolved(root, folder).ok());
    // Where its folder cannot be found, `trust::log_place` says so.
    let found = folder.map_or_else(|| path.clone(), |folder| folder.join(path.file_name().unwrap_or_default()));
    config.sinks.contains(&Sink::File).then_some(found)
}

/// Makes the folder and the file where the file sink is used: of a file that is there, what others than the group may do is
/// taken away. Who is not root keeps the group that it has.
pub fn prepare(root: &Path, config: &Config) -> io::Result<()> {
    let Some(path) = place(root, config) else { return Ok(()) };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let found = group(root, config);
    let own = *found.as_ref().unwrap_or(&None);
    let refused = |weak: Weak| {
        Error::other(format!("another user could put another file in its place: {}; {}", weak.what(), weak.advice()))
    };
    match trust::log_place(root, &config.log_file) {
        // What is not there yet is made by root.
        Ok(()) | Err(Weak::Free(_)) => {}
        Err(weak) => return Err(refused(weak)),
    }
    let is_made = make_folder(folder, 0o755)?;
    trust::log_place(root, &config.log_file).map_err(refused)?;
    let of_root = std::fs::metadata(folder)?.uid() == 0;
    if let Some(group) = own.filter(|_| of_root && (is_made || config.log_file.parent() == Some(Path::new(OWN))))
        && std::os::unix::fs::chown(folder, None, Some(group)).is_ok()
    {
        std::fs::set_permissions(folder, Permissions::from_mode(0o755 | SET_GROUP))?;
    }
    let file = open(&path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.nlink() != 1 {
        return Ok(());
    }
    let is_right = |meta: &Metadata| {
        let mode = if own.is_some_and(|own| own == meta.gid()) { GROUP_MODE } else { MODE };
        trust::owners(root).contains(&meta.uid())
            && own.is_none_or(|own| own == meta.gid())
            && meta.mode() & 0o7777 == mode
    };
    if !is_right(&meta) {
        // The attributes of a file that is append-only cannot be changed.
        let flags = rustix::fs::ioctl_getflags(&file).ok().filter(|flags| flags.contains(IFlags::APPEND));
        flags.map(|flags| rustix::fs::ioctl_setflags(&file, flags - IFlags::APPEND));
        let done = permit(root, &file, &meta, own);
        flags.map(|flags| rustix::fs::ioctl_setflags(&file, flags));
        done?;
    }
    found.map(|_| ())
}

fn open(path: &Path) -> io::Result<File> {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CREATE | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, rustix::fs::Mode::from_raw_mode(0o600)).map(File::from)?)
}

fn permit(root: &Path, file: &File, meta: &Metadata, group: Option<u32>) -> io::Result<()> {
    if !trust::owners(root).contains(&meta.uid()) {
        fchown(file, Some(0), None)?;
    }
    let has_group = group.is_some_and(|group| meta.gid() == group || fchown(file, None, Some(group)).is_ok());
    file.set_permissions(Permissions::from_mode(if has_group { GROUP_MODE } else { MODE }))
}

/// Sets or takes away the append-only attribute of the log, so that nobody but root can cut or remove it. False where there is
/// no such file, or its file system has no such attribute.
pub fn append_only(root: &Path, config: &Config, wanted: bool) -> bool {
    let Some(path) = place(root, config).filter(|_| trust::log_place(root, &config.log_file).is_ok()) else {
        return false;
    };
    set_append_only(&path, wanted).is_ok()
}

fn set_append_only(path: &Path, wanted: bool) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    let mut now = rustix::fs::ioctl_getflags(&file)?;
    if now.contains(IFlags::APPEND) != wanted {
        now.set(IFlags::APPEND, wanted);
        rustix::fs::ioctl_setflags(&file, now)?;
    }
    Ok(())
}

/// Takes the append-only attribute away from every file in a folder of root's, so that it can be removed.
pub fn let_go(root: &Path, folder: &Path) {
    let Ok(folder) = &trust::target(root, folder) else { return };
    for entry in reading::entries(folder, reading::ENTRIES_MAX).into_iter().flatten() {
        let _ = set_append_only(&entry.path(), false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(group: &str, path: &Path) -> Config {
        Config {
            sinks: vec![Sink::File],
            log_file: path.to_owned(),
            log_group: Some(group.into()),
            ..Config::default()
        }
    }

    #[test]
    fn nobody_but_the_group_may_append() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/group"), "root:x:0:\nwww-data:x:33:a,b\n").unwrap();
        let path = Path::new("/var/log/x/events.jsonl");
        let log = root.join("var/log/x/events.jsonl");
        let now = |path: &Path| {
            let meta = std::fs::symlink_metadata(path).unwrap();
            (meta.uid(), meta.gid(), meta.mode() & 0o7777)
        };
        prepare(root, &config("www-data", path)).unwrap();
        assert_eq!((now(&log), now(log.parent().unwrap())), ((0, 33, 0o620), (0, 33, 0o2755)));
        // What an earlier version has made, or somebody else has.
        std::fs::set_permissions(&log, Permissions::from_mode(0o622)).unwrap();
        std::os::unix::fs::chown(&log, Some(33), Some(0)).unwrap();
        std::fs::write(&log, "kept\n").unwrap();
        prepare(root, &config("33", path)).unwrap();
        assert_eq!(now(&log), (0, 33, 0o620));
        prepare(root, &config("", path)).unwrap();
        assert_eq!((now(&log).2, std::fs::read_to_string(&log).unwrap().as_str()), (0o640, "kept\n"));
        assert!(prepare(root, &config("nobody-here", path)).is_err());
        // Not through a link, and not where somebody else may put one.
        std::fs::rename(&log, root.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(root.join("elsewhere"), &log).unwrap();
        assert!(prepare(root, &config("", path)).is_err());
        std::fs::remove_file(&log).unwrap();
        std::os::unix::fs::chown(log.parent().unwrap(), Some(33), None).unwrap();
        assert!(prepare(root, &config("", path)).is_err());
        assert!(!log.exists());
    }

    #[test]
    fn folders_have_their_mode_whatever_the_umask() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        assert!(make_folder(&folder, 0o711).unwrap());
        assert!(!make_folder(&folder, 0o700).unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(&folder), mode(&root.path().join("a"))), (0o711, 0o755));
    }
}
