//! A unit of systemd as its files have it: the unit file and its drop-ins, each setting with its place.

use portcullis_config::reading::{self, Links};
use std::path::{Path, PathBuf};

/// Where units are looked for, the first wins (systemd.unit(5)).
const FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Other names of the same servers: Debian's and those of Red Hat's family.
const SYNONYMS: [(&str, &str); 2] = [("apache2", "httpd"), ("httpd", "apache2")];

/// A line of a unit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: String,
    /// Its value; empty resets what lists have so far.
    pub value: String,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl Setting {
    /// `FILE:LINE`
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }
}

/// A unit.
#[derive(Debug)]
pub struct Unit {
    /// With `.service` at its end.
    pub name: String,
    /// The settings of `[Service]`, in the order in which systemd reads them.
    pub settings: Vec<Setting>,
}

impl Unit {
    /// Reads the unit that an administrator names so, below `root`.
    pub fn find(root: &Path, name: &str) -> Result<Unit, String> {
        let name = name.strip_suffix(".service").unwrap_or(name);
        if name.is_empty() || name.contains(['/', '\0', ' ']) {
            return Err(format!("`{name}` is not the name of a unit"));
        }
        let synonym = SYNONYMS.iter().find(|(known, _)| *known == name).map(|(_, other)| (*other).to_owned());
        let names = std::iter::once(name.to_owned()).chain(synonym).chain(versions(root, name));
        for name in names {
            if let Some(fragment) = fragment(root, &name) {
                return Ok(Unit::read(root, &name, &fragment));
            }
        }
        let known = servers(root);
        let known = if known.is_empty() { "none of a web server".to_owned() } else { known.join(", ") };
        Err(format!("there is no unit {name}.service; here are: {known}"))
    }

    fn read(root: &Path, name: &str, fragment: &Path) -> Unit {
        // An alias is a link to the unit's file.
        let real = std::fs::canonicalize(fragment).unwrap_or_else(|_| fragment.to_owned());
        let own = real.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = own.filter(|own| !own.ends_with('@') && real.is_file()).unwrap_or_else(|| name.to_owned());
        let mut unit = Unit { name: format!("{name}.service"), settings: Vec::new() };
        unit.take(fragment);
        for path in drop_ins(root, &unit.name) {
            unit.take(&path);
        }
        unit
    }

    /// Adds what a file says.
    fn take(&mut self, path: &Path) {
        let text = reading::bytes(path, Links::Follow, reading::CONFIG_MAX).unwrap_or_default();
        self.settings.extend(settings(path, &String::from_utf8_lossy(&text)));
    }

    /// The same unit with one more drop-in, or another text for it.
    pub fn with(&self, path: &Path, text: &str) -> Unit {
        let mut settings: Vec<Setting> = self.settings.iter().filter(|setting| setting.file != path).cloned().collect();
        let name = path.file_name();
        let is_drop_in = |setting: &Setting| setting.file.extension().is_some_and(|end| end == "conf");
        // Drop-ins are read by name.
        let place = settings.iter().position(|setting| is_drop_in(setting) && setting.file.file_name() > name);
        let place = place.unwrap_or(settings.len());
        settings.splice(place..place, self::settings(path, text));
        Unit { name: self.name.clone(), settings }
    }

    /// The values of a key: those after the last reset.
    pub fn values(&self, key: &str) -> Vec<&Setting> {
        let mut out = Vec::new();
        for setting in self.settings.iter().filter(|setting| setting.key == key) {
            if setting.value.is_empty() { out.clear() } else { out.push(setting) }
        }
        out
    }

    /// The value of a key that has one: the last.
    pub fn value(&self, key: &str) -> Option<&Setting> {
        self.values(key).pop()
    }

    /// Whether a key is switched on.
    pub fn is_on(&self, key: &str) -> Option<&Setting> {
        self.value(key).filter(|setting| !["no", "false", "off", "0"].contains(&setting.value.as_str()))
    }

    /// A variable of `Environment=`, and where it is set.
    pub fn variable(&self, name: &str) -> Option<(String, &Setting)> {
        let mut found = None;
        for setting in self.values("Environment") {
            for word in words(&setting.value) {
                if let Some((key, value)) = word.split_once('=')
                    && key == name
                {
                    found = Some((value.to_owned(), setting));
                }
            }
        }
        found
    }

    /// The programs of `ExecStart=`, without the prefixes that change how they are run.
    pub fn programs(&self) -> Vec<(PathBuf, &Setting)> {
        let of = |setting: &&Setting| {
            let word = words(setting.value.trim_start_matches(['-', '@', ':', '+', '!', '|'])).into_iter().next()?;
            word.starts_with('/').then(|| PathBuf::from(word))
        };
        self.values("ExecStart").into_iter().filter_map(|setting| Some((of(&setting)?, setting))).collect()
    }
}

/// Splits a value into its words; quotes group.
pub fn words(value: &str) -> Vec<String> {
    let (mut out, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (_, '\\') => word.extend(characters.next()),
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => (quote, begun) = (Some(character), true),
            (None, ' ' | '\t') => {
                if begun || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => word.push(character),
        }
    }
    if begun || !word.is_empty() {
        out.push(word);
    }
    out
}

/// The settings of `[Service]` in a file's text.
fn settings(path: &Path, text: &str) -> Vec<Setting> {
    let (mut out, mut inside) = (Vec::new(), false);
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            inside = line == "[Service]";
            continue;
        }
        let mut whole = line.to_owned();
        while let Some(before) = whole.strip_suffix('\\') {
            whole = before.to_owned();
            // A comment may stand between the lines of one value.
            match lines.by_ref().map(|(_, next)| next.trim()).find(|next| !next.starts_with(['#', ';'])) {
                Some(next) => whole = format!("{whole} {next}"),
                None => break,
            }
        }
        if let (true, Some((key, value))) = (inside, whole.split_once('=')) {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            out.push(Setting { key, value, file: path.to_owned(), line: number + 1 });
        }
    }
    out
}

fn fragment(root: &Path, name: &str) -> Option<PathBuf> {
    let template = name.split_once('@').map(|(before, _)| format!("{before}@.service"));
    let names = std::iter::once(format!("{name}.service")).chain(template);
    names.flat_map(|name| FOLDERS.map(|folder| root.join(folder).join(&name))).find(|path| path.exists())
}

fn folder_of(path: &Path) -> Vec<std::fs::DirEntry> {
    reading::entries(path, reading::ENTRIES_MAX).unwrap_or_default()
}

/// The drop-ins of a unit: those of every service, then its own; of the same name in two folders the first counts.
fn drop_ins(root: &Path, name: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for suffix in ["service.d".to_owned(), format!("{name}.d")] {
        for folder in FOLDERS {
            let entries = folder_of(&root.join(folder).join(&suffix));
            for path in entries.into_iter().map(|entry| entry.path()) {
                let is_drop_in = path.extension().is_some_and(|end| end == "conf");
                if is_drop_in && found.iter().all(|other| other.file_name() != path.file_name()) {
                    found.push(path);
                }
            }
        }
    }
    found.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
    found
}

/// The names of all units that may be web servers.
pub fn servers(root: &Path) -> Vec<String> {
    let is_server = |name: &str| {
        ["apache2", "httpd", "nginx", "openresty", "lighttpd", "caddy"].contains(&name)
            || (name.starts_with("php") && name.ends_with("-fpm"))
    };
    let mut found: Vec<String> = FOLDERS
        .iter()
        .flat_map(|folder| folder_of(&root.join(folder)))
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".service")?.to_owned()))
        .filter(|name| is_server(name))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// `php8.2-fpm` for `php-fpm`, where there is but one.
fn versions(root: &Path, name: &str) -> Option<String> {
    let mut all = servers(root).into_iter().filter(|unit| name == "php-fpm" && unit.ends_with("-fpm"));
    all.next().filter(|_| all.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn settings_have_their_places() {
        let text =
            "[Unit]\nX=1\n[Service]\n# no\nEnvironment=A=1 \\\n; no\n \"B=2 3\"\nExecStart=\nExecStart=-+/bin/a b\n";
        let root = root(&[
            ("lib/systemd/system/a.service", text),
            ("etc/systemd/system/a.service.d/z.conf", "[Service]\nEnvironment=A=4\n"),
        ]);
        let unit = Unit::find(root.path(), "a").unwrap();
        assert_eq!(unit.variable("A").unwrap().0, "4");
        let (value, setting) = unit.variable("B").unwrap();
        assert_eq!((value.as_str(), setting.line), ("2 3", 5));
        assert_eq!(unit.programs()[0].0, Path::new("/bin/a"));
        let reset = unit.with(Path::new("/etc/systemd/system/a.service.d/zz.conf"), "[Service]\nEnvironment=\n");
        assert!(reset.variable("A").is_none());
        let earlier = unit.with(Path::new("/etc/systemd/system/a.service.d/b.conf"), "[Service]\nEnvironment=A=5\n");
        assert_eq!(earlier.variable("A").unwrap().0, "4");
    }

    #[test]
    fn names_of_other_distributions() {
        let root = root(&[
            ("lib/systemd/system/httpd.service", "[Service]\n"),
            ("lib/systemd/system/php8.2-fpm.service", "[Service]\n"),
        ]);
        assert_eq!(Unit::find(root.path(), "apache2").unwrap().name, "httpd.service");
        assert_eq!(Unit::find(root.path(), "php-fpm.service").unwrap().name, "php8.2-fpm.service");
        let error = Unit::find(root.path(), "nginx").unwrap_err();
        assert_eq!(error, "there is no unit nginx.service; here are: httpd, php8.2-fpm");
        assert!(Unit::find(root.path(), "../x").is_err());
        assert_eq!(words("a 'b c' \"\""), ["a", "b c", ""]);
    }
}
