//! From files to the model: the main file, its vhosts.d, resolv.conf, and the files of shells.

use crate::diagnostic::{Diagnostic, Severity};
use crate::images;
use crate::model::{Config, SourceFile};
use crate::read::Reader;
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
}

impl Loaded {
    /// Whether the configuration can be compiled.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error)
    }
}

/// Reads the main file `path`, then `vhosts.d/*.toml` beside it in name order, then resolv.conf; finds the files of shells.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    let mut config = Config::default();
    let mut diagnostics = Vec::new();
    let folders = Rc::default();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Some(text) = text_of(&path, &mut config, &mut diagnostics) {
        Reader::new(&path, &text, &folders, &mut diagnostics).main(&mut config);
    }
    let beside = path.parent().unwrap_or(Path::new("/")).join("vhosts.d");
    note(&beside, &mut config);
    let mut files: Vec<PathBuf> = match std::fs::read_dir(&beside) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(_) => Vec::new(),
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    for file in files {
        if let Some(text) = text_of(&file, &mut config, &mut diagnostics) {
            Reader::new(&file, &text, &folders, &mut diagnostics).vhost_file(&mut config);
        }
    }
    note(Path::new(RESOLV_CONF), &mut config);
    config.resolvers = resolvers(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default());
    images::find(Path::new("/"), &mut config);
    in_order(&mut diagnostics);
    Loaded { config, diagnostics }
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
    let resolvers = resolvers(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default());
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
    Loaded { config, diagnostics }
}

fn text_of(path: &Path, config: &mut Config, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
    note(path, config);
    let message = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => return Some(text),
        Ok(Err(error)) => format!("not UTF-8: byte {} is not text", error.utf8_error().valid_up_to()),
        Err(error) => format!("cannot be read: {error}"),
    };
    let help = Some("the built-in audit default holds until there is a file".to_owned());
    diagnostics.push(Diagnostic {
        severity: Severity::Error,
        file: path.to_owned(),
        text: "".into(),
        span: 0..0,
        message,
        help,
    });
    None
}

/// Notes a file as a source of the policy.
pub(crate) fn note(path: &Path, config: &mut Config) {
    let (mtime, size) = match std::fs::metadata(path) {
        Ok(meta) => (meta.mtime() * 1_000_000_000 + meta.mtime_nsec(), meta.len()),
        Err(_) => (-1, 0),
    };
    config.sources.push(SourceFile { path: path.to_owned(), mtime, size });
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
