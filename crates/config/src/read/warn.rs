//! Warns of entries that are valid and not what was meant: paths that never apply, programs that run any command.

use super::{Reader, Value};
use crate::entry::{self, DestinationEntry};
use crate::folders::Folders;
use crate::model::{Destinations, Host};
use crate::{lists, runners};
use portcullis_policy::Rule;
use portcullis_policy::startup::SYSTEM_FOLDERS;
use std::path::{Component, Path, PathBuf};

fn is_glob(component: Component<'_>) -> bool {
    component.as_os_str().to_string_lossy().contains(['*', '?'])
}

/// The path with every symbolic link resolved, as far as it exists and has no glob.
fn real(path: &str) -> PathBuf {
    let all: Vec<Component<'_>> = Path::new(path).components().collect();
    let fixed = all.iter().position(|one| is_glob(*one)).unwrap_or(all.len());
    for end in (1..=fixed).rev() {
        let beginning: PathBuf = all.iter().take(end).collect();
        if let Ok(found) = beginning.canonicalize() {
            return all.iter().skip(end).fold(found, |found, one| found.join(one));
        }
    }
    path.into()
}

/// Where all that a pattern in the last component matches are symbolic links: what the first of them leads to.
fn only_links(path: &Path, folders: &Folders) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    if !name.contains(['*', '?']) {
        return None;
    }
    let found = folders.matching(path);
    let first = path.with_file_name(&found.first()?.name).canonicalize().ok()?;
    found.iter().all(|entry| entry.is_link).then_some(first)
}

/// Names as they are shown, three at most.
fn shown(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
    format!("{}{}", first.join(", "), if names.len() > 3 { " and others" } else { "" })
}

impl Reader<'_> {
    /// Warns of the paths in a list of `rule`, which compares real paths.
    pub(super) fn paths_of(&mut self, value: &Value<'_>, rule: Rule) {
        for item in self.items(value) {
            let Some(path) = item.get_ref().as_str().filter(|path| path.starts_with('/')) else { continue };
            let real = real(path);
            let real = if rule == Rule::ExecPlace { real } else { only_links(&real, &self.folders).unwrap_or(real) };
            let real = real.to_string_lossy().into_owned();
            if real != path {
                let message = format!(
                    "`{path}` never applies: this list is compared with a program's real path, every symbolic link resolved"
                );
                let is_runner = rule != Rule::ExecPlace && !runners::runners(&real, &self.folders).is_empty();
                let help = if is_runner { "its real path is" } else { "write" };
                self.warn(item.span(), message, format!("{help} `{real}`"));
            }
            if rule != Rule::ExecPlace {
                self.runner(item, path, &real, rule);
            }
        }
    }

    /// Warns where a list of `rule` allows a program that runs any command.
    fn runner(&mut self, item: &Value<'_>, path: &str, real: &str, rule: Rule) {
        let names = runners::runners(real, &self.folders);
        if names.is_empty() {
            return;
        }
        let (effect, help) = match rule {
            Rule::Namespace => (
                "in namespaces of the caller's choice",
                "name the program that needs the namespace, not one that starts it",
            ),
            _ => (
                "and Portcullis is not active in that",
                "remove it, and name each command of it that is needed, with its arguments, in `[exec] allow`",
            ),
        };
        let is_pattern = real.rsplit('/').next().is_some_and(|name| name.contains(['*', '?']));
        let what = match (is_pattern, names.len()) {
            (false, _) => format!("`{path}` runs"),
            (true, 1) => format!("`{path}` matches {}, which runs", shown(&names)),
            (true, _) => format!("`{path}` matches {}, which run", shown(&names)),
        };
        self.warn(item.span(), format!("{what} any command, {effect}"), help.into());
    }

    /// Warns of the destinations of `allow` that `deny` has as a whole.
    pub(super) fn denied_too(&mut self, allow: &Value<'_>, denied: &[&Destinations]) {
        let has = |all: (u16, u16), ports: (u16, u16)| all.0 <= ports.0 && ports.1 <= all.1;
        for item in self.items(allow) {
            let Some(text) = item.get_ref().as_str() else { continue };
            let Ok((destination, ports)) = entry::destination(text) else { continue };
            let mut all = denied.iter();
            let by = match &destination {
                DestinationEntry::Net(net) => all.find_map(|deny| {
                    let found = deny.nets.iter().find(|one| one.net.contains(net) && has(one.ports, ports))?;
                    Some(found.origin.text.clone())
                }),
                DestinationEntry::Name(name) => all.find_map(|deny| {
                    let is = |one: &&Host| {
                        one.name == *name || one.name.strip_prefix('*').is_some_and(|end| name.ends_with(end))
                    };
                    Some(deny.hosts.iter().find(|one| is(one) && has(one.ports, ports))?.origin.text.clone())
                }),
            };
            if let Some(by) = by {
                let message = format!("`{text}` never applies: `{by}` has all of it, and `deny` takes precedence");
                self.warn(item.span(), message, "remove it, or narrow the entry of `deny`".into());
            }
        }
    }

    /// Warns of a command that no process is compared with, or whose program the current directory chooses.
    fn unlike_any(&mut self, item: &Value<'_>, text: &str, tokens: &[String]) {
        let Some((program, rest)) = tokens.split_first() else { return };
        let name = program.rsplit('/').next().unwrap_or(program);
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        if let (true, ["-c", command] | ["-c", "--", command]) = (lists::SHELLS.contains(&name), rest.as_slice()) {
            let message = format!(
                "`{text}` never applies: of a shell with `-c`, this list is compared with the command behind it"
            );
            self.warn(item.span(), message, format!("write `{command}`"));
        } else if program.contains('/') && !program.starts_with(['/', '*']) {
            let message = format!(
                "`{program}` is a relative path: the current directory of the process decides which file it is"
            );
            self.warn(item.span(), message, "write its whole path, from `/` on".into());
        }
    }

    /// Warns of a command whose program is not there; whether it is so. Of a folder that is not there nothing is said: it may be one of a
    /// chroot.
    fn is_missing(&mut self, item: &Value<'_>, program: &str) -> bool {
        let is_pattern = |name: &str| name.contains(['*', '?']);
        let folders = match program.rsplit_once('/') {
            None => SYSTEM_FOLDERS.map(|folder| String::from_utf8_lossy(folder).into_owned()).to_vec(),
            Some((folder, _)) if folder.starts_with('/') && !is_pattern(folder) => vec![folder.to_owned()],
            Some(_) => return false,
        };
        let name = program.rsplit('/').next().unwrap_or(program);
        let is_there = |folder: &String| match is_pattern(name) {
            true => !self.folders.matching(&Path::new(folder).join(name)).is_empty(),
            false => match Path::new(folder).join(name).symlink_metadata() {
                Ok(_) => true,
                Err(error) => error.kind() != std::io::ErrorKind::NotFound,
            },
        };
        let known: Vec<&String> = folders.iter().filter(|folder| Path::new(folder).is_dir()).collect();
        if name.is_empty() || known.is_empty() || known.iter().any(|folder| is_there(folder)) {
            return false;
        }
        let stem = name.trim_end_matches(|end: char| end.is_ascii_digit() || end == '.');
        let is_version = |rest: &str| rest.chars().all(|one| one.is_ascii_digit() || one == '.');
        let mut versions: Vec<String> = Vec::new();
        for folder in known.iter().filter(|_| !stem.is_empty() && !is_pattern(name)) {
            let found = self.folders.matching(&Path::new(folder).join(format!("{stem}*")));
            let others = found.iter().filter(|one| one.name.strip_prefix(stem).is_some_and(is_version));
            versions.extend(others.map(|one| format!("{folder}/{}", one.name)));
        }
        let help = match versions.is_empty() {
            true => "correct the path, or remove the entry until the program is installed".into(),
            false => format!("a version is part of a program's name; there is {}", shown(&versions)),
        };
        self.warn(item.span(), format!("`{program}` matches nothing: there is no such program here"), help);
        true
    }

    /// Warns of an allowed command that allows any other, whose program is not there, or PATH chooses it.
    pub(super) fn command_of(&mut self, item: &Value<'_>, text: &str, tokens: &[String]) {
        let program = tokens.first().map_or("", String::as_str);
        if runners::unbounded(tokens, &self.folders).is_none() && self.is_missing(item, program) {
            return;
        }
        if let Some(program) = tokens.first().filter(|program| !program.contains('/')) {
            let message = format!(
                "`{program}` is named without its folder: the entry holds only where PATH is as at the server's start, \
                 or has the system's folders alone"
            );
            let help = format!("write its whole path, for example `/usr/bin/{program}`");
            self.warn(item.span(), message, help);
        }
        if let Some(why) = runners::unbounded(tokens, &self.folders) {
            let help = "write out the command that it runs, by its whole path, and the arguments of that";
            self.warn(item.span(), format!("`{text}` allows any command: {why}"), help.into());
        } else {
            self.unlike_any(item, text, tokens);
        }
    }
}
