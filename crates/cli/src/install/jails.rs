//! Pools of PHP-FPM with a root directory of their own: what they start finds no library there unless a copy is placed in it.

use super::below;
use super::plan::Change;
use super::unit::{Unit, words};
use portcullis_config::reading::{self, Links};
use portcullis_config::trust::{self, Weak};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Files that a configuration includes, at most: one may include itself.
const FILES: usize = 1024;

/// A pool's root directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Jail {
    /// The pool.
    pub pool: String,
    /// The root directory.
    pub folder: PathBuf,
    /// `FILE:LINE`
    pub place: String,
}

/// How a jail stands to the library.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// It has this library.
    Same,
    /// It has another one.
    Other,
    /// It has none.
    Missing,
    /// Nothing can be placed there, for this reason.
    Unfit(String),
}

/// The jails of a unit's pools, of the system below `root`. None where the unit is not PHP-FPM's.
pub fn of_unit(root: &Path, unit: &Unit) -> Vec<Jail> {
    let Some(config) = configuration(root, unit) else { return Vec::new() };
    let reader = Reader::of(root, &config);
    let mut seen = BTreeSet::new();
    reader.jails.into_iter().filter(|jail| seen.insert(jail.folder.clone())).collect()
}

/// The configuration files of a unit's pools, and the folders that they include.
pub fn files_of(root: &Path, unit: &Unit) -> BTreeSet<PathBuf> {
    let Some(config) = configuration(root, unit) else { return BTreeSet::new() };
    let reader = Reader::of(root, &config);
    reader.files.iter().chain(&reader.folders).map(|path| below(root, path)).collect()
}

/// The main configuration file of PHP-FPM, as the unit names it or as the distribution has it.
fn configuration(root: &Path, unit: &Unit) -> Option<PathBuf> {
    let name = unit.name.trim_end_matches(".service");
    if !name.ends_with("fpm") {
        return None;
    }
    let command = unit.values("ExecStart").into_iter().flat_map(|setting| words(&setting.value)).collect::<Vec<_>>();
    let named = command.iter().enumerate().find_map(|(at, word)| match word.as_str() {
        "--fpm-config" | "-y" => command.get(at + 1).cloned(),
        _ => word.strip_prefix("--fpm-config=").map(str::to_owned),
    });
    let version = name.strip_prefix("php").and_then(|rest| rest.strip_suffix("-fpm")).unwrap_or_default();
    let known = [format!("/etc/php/{version}/fpm/php-fpm.conf"), "/etc/php-fpm.conf".to_owned()];
    named.into_iter().chain(known).map(PathBuf::from).find(|path| below(root, path).is_file())
}

struct Reader<'r> {
    root: &'r Path,
    files: BTreeSet<PathBuf>,
    /// Those that files are included from.
    folders: BTreeSet<PathBuf>,
    jails: Vec<Jail>,
    pool: String,
}

impl Reader<'_> {
    /// What has read a main file, and all that it includes.
    fn of<'r>(root: &'r Path, config: &Path) -> Reader<'r> {
        let (files, folders) = (BTreeSet::new(), BTreeSet::new());
        let mut reader = Reader { root, files, folders, jails: Vec::new(), pool: String::new() };
        reader.read(config);
        reader
    }

    /// Reads a file as PHP-FPM's own parser does: `[section]`, `key = value`, `include = GLOB`.
    fn read(&mut self, path: &Path) {
        if self.files.len() >= FILES || !self.files.insert(path.to_owned()) {
            return;
        }
        let text = reading::text(&below(self.root, path), Links::Follow, reading::CONFIG_MAX).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let line = line.split(';').next().unwrap_or_default().trim();
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section.trim().clone_into(&mut self.pool);
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim().trim_matches(['"', '\'']);
            match key.trim() {
                "include" => self.included(value),
                "chroot" if !value.is_empty() => {
                    let folder = PathBuf::from(value.replace("$pool", &self.pool));
                    let place = format!("{}:{}", path.display(), number + 1);
                    self.jails.push(Jail { pool: self.pool.clone(), folder, place });
                }
                _ => {}
            }
        }
    }

    /// The files of a pattern, of which the last part may have globs.
    fn included(&mut self, pattern: &str) {
        let pattern = Path::new(pattern);
        let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else { return };
        self.folders.insert(folder.to_owned());
        let entries = reading::entries(&below(self.root, folder), reading::ENTRIES_MAX).into_iter().flatten();
        let matching = |file: &std::ffi::OsString| {
            portcullis_policy::command::glob(name.as_encoded_bytes(), file.as_encoded_bytes(), true)
        };
        let mut files: Vec<_> = entries.map(|entry| entry.file_name()).filter(matching).collect();
        files.sort();
        files.iter().for_each(|file| self.read(&folder.join(file)));
    }
}

impl Jail {
    /// Where the library belongs in it, in the system below `root`.
    pub fn copy(&self, root: &Path, library: &Path) -> PathBuf {
        below(&below(root, &self.folder), library)
    }

    /// How it stands to the library.
    pub fn state(&self, root: &Path, library: &Path) -> State {
        if let Some(why) = self.unfit(root, library) {
            return State::Unfit(why);
        }
        let read = |path: &Path, links| reading::bytes(path, links, reading::PROGRAM_MAX).ok();
        match (read(&self.copy(root, library), Links::Refuse), read(&below(root, library), Links::Own)) {
            (None, _) => State::Missing,
            (Some(there), Some(here)) if there == here => State::Same,
            (Some(_), _) => State::Other,
        }
    }

    /// The change that places it, or renews it.
    pub fn placing(&self, root: &Path, library: &Path) -> Change {
        Change::Copy(below(root, library), self.copy(root, library))
    }

    /// Why a library in the jail could be replaced, or would not be where it seems: a folder on the way is a link, or not root's alone.
    /// What is not there yet is made by root.
    fn unfit(&self, root: &Path, library: &Path) -> Option<String> {
        if self.folder.components().any(|part| !matches!(part, Component::RootDir | Component::Normal(_))) {
            return Some(format!("{} is no plain path", self.folder.display()));
        }
        if self.folder.to_string_lossy().contains("$prefix") {
            return Some("`$prefix` is PHP-FPM's to know: write the path out".into());
        }
        if !below(root, &self.folder).is_dir() {
            return Some(format!("{} is no folder", self.folder.display()));
        }
        // From the system's root on: who may rename a folder above the jail may put another in its place.
        let way = self.folder.join(library.strip_prefix("/").unwrap_or(library));
        match trust::walk(root, &way, &[0], false) {
            Ok(Some(meta)) if !meta.is_file() => {
                Some(format!("{} is a link, or not what it should be", below(root, &way).display()))
            }
            Ok(_) => None,
            Err(Weak::Kind(at)) => Some(format!("{} is a link, or not what it should be", at.display())),
            Err(weak) => Some(format!(
                "{} does not belong to root alone: who may write there could replace the library; give it to root \
                 (chown root, chmod go-w), and the pool's user the folders in it",
                weak.path().display()
            )),
        }
    }
}

/// What `install` and `doctor` say of a jail that lacks the library.
pub fn lack(jail: &Jail, unit: &str, state: &State) -> Option<String> {
    let of = format!("pool {} has the root directory {}", jail.pool, jail.folder.display());
    let place = format!("`portcullis install {} --jails` places a copy there", unit.trim_end_matches(".service"));
    match state {
        State::Same => None,
        State::Missing => Some(format!(
            "{of}, which has no copy of the library: its descendants are not guarded (exec-unguarded, `missing`); {place}"
        )),
        State::Other => Some(format!("{of}, which has another version of the library; {place}")),
        State::Unfit(why) => Some(format!("{of}, in which the library cannot be placed: {why}")),
    }
}

/// Takes away the folders that a removed copy has left empty, up to the jail.
pub fn tidy(jail: &Jail, root: &Path, library: &Path) {
    if jail.unfit(root, library).is_some() {
        return;
    }
    let end = below(root, &jail.folder);
    let copy = jail.copy(root, library);
    copy.ancestors().skip(1).take_while(|folder| **folder != end).all(|folder| std::fs::remove_dir(folder).is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn system() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("etc/php/8.2/fpm/php-fpm.conf", "[global]\npid = /run/x\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n"),
            ("etc/php/8.2/fpm/pool.d/a.conf", "[a]\n; chroot = /no\nchroot = \"/srv/$pool\" ; its own\n"),
            (
                "etc/php/8.2/fpm/pool.d/b.conf",
                "[b]\nuser = b\n[c]\nchroot=/srv/c\ninclude=/etc/php/8.2/fpm/pool.d/b.conf\n",
            ),
            ("etc/php/8.2/fpm/pool.d/b.conf.bak", "[d]\nchroot=/srv/d\n"),
            ("usr/lib/x/libportcullis.so", "one"),
            ("srv/a/x", ""),
            ("srv/c/x", ""),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn unit(name: &str, settings: &str) -> Unit {
        Unit { name: name.into(), settings: Vec::new() }.with(Path::new("/x.service"), settings)
    }

    #[test]
    fn pools_with_a_root_of_their_own_are_found() {
        let root = system();
        let of = |name: &str, settings: &str| {
            let found = of_unit(root.path(), &unit(name, settings));
            found.into_iter().map(|jail| (jail.pool, jail.folder, jail.place)).collect::<Vec<_>>()
        };
        let named = |pool: &str, line: &str| {
            (pool.to_owned(), PathBuf::from(format!("/srv/{pool}")), format!("/etc/php/8.2/fpm/pool.d/{line}"))
        };
        let both = vec![named("a", "a.conf:3"), named("c", "b.conf:4")];
        assert_eq!(of("php8.2-fpm.service", ""), both);
        let exec =
            "[Service]\nExecStart=/usr/sbin/php-fpm8.2 --nodaemonize --fpm-config /etc/php/8.2/fpm/php-fpm.conf\n";
        assert_eq!(of("own-fpm.service", exec), both);
        assert_eq!(of("nginx.service", exec), []);
    }

    #[test]
    fn a_copy_is_placed_renewed_and_taken_away() {
        let root = system();
        let (root, library) = (root.path(), Path::new("/usr/lib/x/libportcullis.so"));
        let [a, c] = of_unit(root, &unit("php8.2-fpm.service", "")).try_into().unwrap();
        assert_eq!(a.state(root, library), State::Missing);
        a.placing(root, library).make(root).unwrap();
        assert_eq!(a.state(root, library), State::Same);
        let meta = std::fs::metadata(a.copy(root, library)).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o644, 0));
        std::fs::write(root.join("usr/lib/x/libportcullis.so"), "two").unwrap();
        assert_eq!(a.state(root, library), State::Other);
        a.placing(root, library).make(root).unwrap();
        assert_eq!(std::fs::read_to_string(a.copy(root, library)).unwrap(), "two");
        Change::Remove(a.copy(root, library)).make(root).unwrap();
        tidy(&a, root, library);
        assert!(!root.join("srv/a/usr").exists() && root.join("srv/a/x").exists());
        // A link leads out of the jail, and who may write to a folder of it, or above it, could replace the library.
        std::os::unix::fs::symlink("/", root.join("srv/c/usr")).unwrap();
        assert!(matches!(c.state(root, library), State::Unfit(why) if why.contains("is a link")));
        tidy(&c, root, library);
        assert!(root.join("usr/lib/x").exists());
        std::fs::set_permissions(root.join("srv"), PermissionsExt::from_mode(0o777)).unwrap();
        assert!(
            matches!(a.state(root, library), State::Unfit(why) if why.contains("srv does not belong to root alone"))
        );
        std::fs::set_permissions(root.join("srv"), PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("srv", root.join("moved")).unwrap();
        let moved = Jail { pool: "m".into(), folder: "/moved/a".into(), place: String::new() };
        assert!(matches!(moved.state(root, library), State::Unfit(why) if why.contains("is a link")));
        std::fs::set_permissions(root.join("srv/a"), PermissionsExt::from_mode(0o777)).unwrap();
        assert!(matches!(a.state(root, library), State::Unfit(why) if why.contains("root alone")));
    }
}
