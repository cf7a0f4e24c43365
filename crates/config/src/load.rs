//! From files to the model: the main file, its vhosts.d, resolv.conf, and the files of shells.

use crate::diagnostic::{Diagnostic, Severity};
use crate::images;
use crate::model::{Config, SourceFile};
use crate::read::Reader;
use crate::reading::{self, Links};
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
    let mut loaded = read(&path);
    trust::check(root, &path, &mut loaded);
    loaded
}

fn read(path: &Path) -> Loaded {
    let mut config = Config::default();
    let mut diagnostics = Vec::new();
    let folders = Rc::default();
    if let Some((text, is_private)) = text_of(path, &mut config, &mut diagnostics) {
        Reader::new(path, &text, &folders, &mut diagnostics).main(&mut config);
        keep_private(path, is_private, &mut diagnostics);
    }
    let beside = path.parent().unwrap_or(Path::new("/")).join("vhosts.d");
    note(&beside, &mut config);
    let mut files: Vec<PathBuf> = match reading::entries(&beside, reading::ENTRIES_MAX) {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            diagnostics.push(unreadable(&beside, &error));
            Vec::new()
        }
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    for file in &files {
        if let Some((text, is_private)) = text_of(file, &mut config, &mut diagnostics) {
            Reader::new(file, &text, &folders, &mut diagnostics).vhost_file(&mut config);
            keep_private(file, is_private, &mut diagnostics);
        }
    }
    config.vhost_files = files;
    note(Path::new(RESOLV_CONF), &mut config);
    config.resolvers = resolvers(&resolv_conf());
    images::find(Path::new("/"), &mut config);
    if config.force.is_some() {
        forgive(&mut diagnostics);
    }
    in_order(&mut diagnostics);
    Loaded { config, diagnostics, is_trusted: true }
}

/// Under `override` nothing is refused, so that no error keeps the kill switch from switching.
fn forgive(diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.severity == Severity::Error) {
        diagnostic.severity = Severity::Warning;
        diagnostic.message += " (an error as soon as `override` is removed)";
    }
}

/// Marks what is said about a file that not everybody may read.
fn keep_private(file: &Path, is_private: bool, diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.file == file) {
        diagnostic.is_private = is_private;
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

/// The text of a file, and whether others than its owner and its group may read it.
fn text_of(path: &Path, config: &mut Config, diagnostics: &mut Vec<Diagnostic>) -> Option<(String, bool)> {
    note(path, config);
    let read = || {
        let file = reading::open(path, Links::Follow)?;
        let is_private = file.metadata()?.mode() & 0o004 == 0;
        reading::rest(file, reading::CONFIG_MAX).map(|bytes| (bytes, is_private))
    };
    diagnostics.push(match read().map(|(bytes, is_private)| (String::from_utf8(bytes), is_private)) {
        Ok((Ok(text), is_private)) => return Some((text, is_private)),
        Ok((Err(error), _)) => {
            let message = format!("not UTF-8: byte {} is not text", error.utf8_error().valid_up_to());
            Diagnostic::of_file(Severity::Error, path.to_owned(), message, "write it as UTF-8 text".into())
        }
        Err(error) => unreadable(path, &error),
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
    Diagnostic::of_file(Severity::Error, path.to_owned(), format!("cannot be read: {error}"), help)
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
