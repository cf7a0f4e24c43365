//! From files to the model: the main file, its vhosts.d, resolv.conf, and the files of shells.

use crate::diagnostic::{Diagnostic, Severity};
use crate::images;
use crate::model::{Config, SourceFile};
use crate::read::Reader;
use crate::reading::{self, Links};
use crate::snapshot::{self, Snapshot, Taken};
use crate::trust;
use portcullis_policy::place;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What reading gave.
pub struct Loaded {
    /// The configuration; only to be used where there is no error.
    pub config: Config,
    /// Everything that is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// Nobody but root, or the user who reads it, can change what was read, or put another file in the log's place.
    pub is_trusted: bool,
}

impl Loaded {
    /// Whether the configuration can be compiled.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error)
    }
}

/// Reads the main file `path`, then `vhosts.d/*.toml` beside it in name order, then resolv.conf; finds the files of shells. That another
/// user can change the configuration, or replace its log, is an error.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    load_below(Path::new("/"), path)
}

/// [`load`] of a system whose root folder is `root`; `path` begins with that.
#[must_use]
pub fn load_below(root: &Path, path: &Path) -> Loaded {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut tries = 1;
    loop {
        let snapshot = Snapshot::take(&path);
        let mut changed = snapshot.unsettled().or_else(|| snapshot.reread());
        if changed.is_none() {
            let mut loaded = read(&snapshot, None);
            trust::check(root, &path, &mut loaded);
            changed = snapshot.changed();
            if changed.is_none() {
                return loaded;
            }
        }
        if tries == snapshot::TRIES {
            let mut loaded = read(&snapshot, changed);
            trust::check(root, &path, &mut loaded);
            return loaded;
        }
        snapshot::pause(tries);
        tries += 1;
    }
}

/// The configuration of a snapshot, of which `changed` went on changing.
fn read(snapshot: &Snapshot, changed: Option<PathBuf>) -> Loaded {
    let mut config = Config::default();
    let mut diagnostics = Vec::new();
    let folders = Rc::default();
    if let Some(file) = changed {
        let help = "run this again when nothing writes there: what was read may be half of a change".to_owned();
        let message = "it changed each time while the configuration was read".to_owned();
        diagnostics.push(Diagnostic::of_file(Severity::Error, file, message, help));
    }
    let main = &snapshot.main;
    if let Some(text) = text_of(main, &mut config, &mut diagnostics) {
        Reader::new(&main.path, text, &folders, &mut diagnostics).main(&mut config);
        keep_private(main, &mut diagnostics);
    }
    config.sources.push(snapshot.beside.clone());
    if let Some(error) = &snapshot.unlisted {
        diagnostics.push(unreadable(&snapshot.beside.path, error));
    }
    for file in &snapshot.files {
        if let Some(text) = text_of(file, &mut config, &mut diagnostics) {
            Reader::new(&file.path, text, &folders, &mut diagnostics).vhost_file(&mut config);
            keep_private(file, &mut diagnostics);
        }
    }
    config.vhost_files = snapshot.files.iter().map(|file| file.path.clone()).collect();
    note(Path::new(RESOLV_CONF), &mut config);
    config.resolvers = resolvers(&resolv_conf());
    images::find(Path::new("/"), &mut config);
    if config.force.is_some() {
        forgive(&mut diagnostics);
    }
    in_order(&mut diagnostics);
    Loaded { config, diagnostics, is_trusted: true }
}

/// What is behind the message of an error that `override` makes a warning.
pub const FORGIVEN: &str = " (an error as soon as `override` is removed)";

/// Under `override` nothing is refused, so that no error keeps the kill switch from switching.
fn forgive(diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.severity == Severity::Error) {
        diagnostic.severity = Severity::Warning;
        diagnostic.message += FORGIVEN;
    }
}

/// Marks what is said about a file that not everybody may read.
fn keep_private(file: &Taken, diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.file == file.path) {
        diagnostic.is_private = file.is_private;
    }
}

/// By place, the files in the order in which they were read.
fn in_order(diagnostics: &mut [Diagnostic]) {
    let files: Vec<PathBuf> = diagnostics.iter().map(|diagnostic| diagnostic.file.clone()).collect();
    diagnostics.sort_by_key(|diagnostic| {
        (files.iter().position(|file| *file == diagnostic.file), diagnostic.span.start, diagnostic.span.end)
    });
}

/// The built-in configuration, with this host's name servers and files.
#[must_use]
pub fn built_in() -> Config {
    let resolvers = resolvers(&resolv_conf());
    let mut config = Config { resolvers, ..Config::default() };
    images::find(Path::new("/"), &mut config);
    config
}

/// Reads a main file that is given as text.
#[must_use]
pub fn parse_text(path: &Path, text: &str) -> Loaded {
    let mut config = Config::default();
    let mut diagnostics = Vec::new();
    Reader::new(path, text, &Rc::default(), &mut diagnostics).main(&mut config);
    in_order(&mut diagnostics);
    Loaded { config, diagnostics, is_trusted: true }
}

/// The text of a file, which is a source of the policy.
fn text_of<'t>(file: &'t Taken, config: &mut Config, diagnostics: &mut Vec<Diagnostic>) -> Option<&'t str> {
    config.sources.push(file.source.clone());
    diagnostics.push(match file.bytes.as_deref().map(std::str::from_utf8) {
        Ok(Ok(text)) => return Some(text),
        Ok(Err(error)) => {
            let message = format!("not UTF-8: byte {} is not text", error.valid_up_to());
            Diagnostic::of_file(Severity::Error, file.path.clone(), message, "write it as UTF-8 text".into())
        }
        Err(error) => unreadable(&file.path, error),
    });
    None
}

/// The error of a file or a folder that could not be read.
fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let help = match error.kind() {
        ErrorKind::NotFound => "make it, or name another with --config",
        ErrorKind::PermissionDenied => "run this as root, or as a user who may read it",
        _ => "put a regular file there, or remove what is there",
    };
    let help = format!("{help}; a server keeps its last valid policy, if it has one, else the built-in audit policy");
    Diagnostic::of_file(Severity::Error, path.to_owned(), format!("cannot be read: {}", reading::in_words(error)), help)
}

/// resolv.conf, as much of it as libc would read with reason.
fn resolv_conf() -> String {
    reading::text(Path::new(RESOLV_CONF), Links::Follow, reading::CONFIG_MAX).unwrap_or_default()
}

/// Notes a file as a source of the policy.
pub(crate) fn note(path: &Path, config: &mut Config) {
    let (mark, size) = std::fs::metadata(path).map_or((place::NO_SOURCE, 0), |meta| (mark(&meta), meta.len()));
    config.sources.push(SourceFile { path: path.to_owned(), mark, size });
}

/// What tells whether a source has changed: its time, and who may change it.
#[must_use]
pub fn mark(meta: &Metadata) -> i64 {
    place::source_mark(meta.mtime() * 1_000_000_000 + meta.mtime_nsec(), meta.uid(), meta.mode())
}

/// The `nameserver` lines of resolv.conf; loopback where there is none (resolv.conf(5)).
fn resolvers(text: &str) -> Vec<IpAddr> {
    let servers: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().split('%').next()?.parse().ok())
        .collect();
    if servers.is_empty() { vec![IpAddr::from([127, 0, 0, 1])] } else { servers }
}
