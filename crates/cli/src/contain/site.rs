//! The virtual hosts of a configuration that requests select, or are to select, and the files that make them enforce every rule.

use super::edit::{self, Key, Strict};
use super::select::{Selected, keys_of, select};
use crate::changes::Changes;
use crate::explain::{Request, Whose, find};
use crate::learn::files;
use crate::{check, compile, show};
use portcullis_config::model::{Match, Vhost};
use portcullis_config::reading::{self, Links};
use portcullis_config::{Config, Loaded, modes};
use portcullis_policy::{Mode, Policy};
use portcullis_story::CONTAINED;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The longest part of a new virtual host's name that comes from its site.
const SLUG_MAX: usize = 40;
/// So many values of a match are shown.
const SHOWN: usize = 4;

/// What is to be contained.
pub enum Wanted {
    /// The virtual host of this name.
    Vhost(String),
    /// The sites of these requests, and those of others with the same document roots.
    Requests { own: BTreeSet<Request>, others: BTreeSet<Request> },
}

/// A virtual host that is a site's.
#[derive(Debug)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// The file that has it.
    pub file: PathBuf,
    /// It is not there yet.
    pub is_new: bool,
    /// The requests that select it, in words.
    pub selects: String,
    /// Why it is one of them, if no request that is meant selects it by itself.
    pub note: String,
}

/// What is to become of one configuration.
pub struct Plan {
    /// Its main file.
    pub main: PathBuf,
    pub sites: Vec<Site>,
    /// The files that change; none where every site enforces every rule already.
    pub edits: Vec<(PathBuf, String)>,
    /// The policy that it would be, and what that changes of the applied one, also by what nobody has applied yet.
    pub policy: Vec<u8>,
    pub changes: Vec<String>,
    /// How many requests of those that are meant are not known, so that the strictest policy decides on them.
    pub unknown: usize,
    /// Calls of which no site is known.
    pub global: usize,
}

/// Works out what contains the sites in one configuration.
pub fn plan(main: &Path, wanted: &Wanted, strict: &Strict<'_>) -> Result<Plan, String> {
    let loaded = portcullis_config::load(main);
    check::show_errors(&loaded);
    if !loaded.usable() {
        return Err(format!(
            "{}; nothing was changed; help: correct it, or without a configuration: portcullis install UNIT",
            check::summary(&loaded, main)
        ));
    }
    if let Some(mode) = loaded.config.force {
        return Err(format!(
            "override = \"{}\" in {} takes precedence over every virtual host, so nothing would be blocked; nothing was changed; \
             help: {}",
            mode.word(),
            main.display(),
            crate::modes::UNDO
        ));
    }
    let bytes = portcullis_config::compile(&loaded.config);
    let policy = Policy::new(&bytes).map_err(|why| why.reason().to_owned())?;
    let Selected { known, new, unknown, global } = select(&loaded.config, &policy, wanted)?;
    let mut sites = Vec::new();
    let mut edits: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (index, note) in known {
        let Some(vhost) = loaded.config.vhosts.get(index) else { continue };
        let name = vhost.name.value.clone();
        let file = vhost.name.origin.file.clone().ok_or_else(|| format!("`{name}` is in no file"))?;
        if !is_strict(vhost, &loaded.config, strict.is_closed) {
            let before = match edits.get(&file) {
                Some(text) => text.clone(),
                None => reading::text(&file, Links::Follow, reading::CONFIG_MAX)
                    .map_err(|error| format!("cannot read {}: {error}", file.display()))?,
            };
            let text = edit::enforced(&before, &name, strict).map_err(|why| format!("{}: {why}", file.display()))?;
            edits.insert(file.clone(), text);
        }
        sites.push(Site { name, file, is_new: false, selects: selects(&vhost.matches), note });
    }
    for keys in new {
        let (name, file) = free_name(main, &loaded.config, &edits, &keys);
        let selects =
            keys.iter().map(|(key, value)| format!("{key} {}", show::value(value))).collect::<Vec<_>>().join(", ");
        edits.insert(file.clone(), edit::fresh(&name, &keys, strict)?);
        sites.push(Site { name, file, is_new: true, selects, note: String::new() });
    }
    let edits: Vec<(PathBuf, String)> = edits.into_iter().collect();
    let policy = checked(main, &loaded, &edits, &sites, wanted)?;
    let changes = changes(main, &policy);
    Ok(Plan { main: main.to_owned(), sites, edits, policy, changes, unknown, global })
}

/// What a policy changes of the applied one.
fn changes(main: &Path, policy: &[u8]) -> Vec<String> {
    let applied =
        reading::bytes(&compile::default_output(main), Links::Refuse, compile::POLICY_MAX).unwrap_or_default();
    match (Policy::new(&applied), Policy::new(policy)) {
        (Ok(applied), Ok(policy)) => Changes::between(&applied, &policy).said(),
        _ => vec!["no policy is applied so far".to_owned()],
    }
}

/// Compiles the configuration with its changes, and checks that the requests that are meant select what is contained.
fn checked(
    main: &Path,
    loaded: &Loaded,
    edits: &[(PathBuf, String)],
    sites: &[Site],
    wanted: &Wanted,
) -> Result<Vec<u8>, String> {
    if edits.is_empty() {
        return Ok(portcullis_config::compile(&loaded.config));
    }
    let (candidate, _copy) = files::candidate(main, edits)?;
    if !candidate.usable() {
        check::show_errors(&candidate);
        return Err("the configuration would have errors; nothing was changed".to_owned());
    }
    let bytes = portcullis_config::compile(&candidate.config);
    let policy = Policy::new(&bytes).map_err(|why| why.reason().to_owned())?;
    if let Wanted::Requests { own, .. } = wanted {
        for request in own {
            let name = match find(&policy, request) {
                // Without a request, the strictest of all policies decides.
                Whose::Strictest => continue,
                Whose::Vhost(index) => String::from_utf8_lossy(policy.vhost_name(index)).into_owned(),
                // Of those that name no site, it is said.
                Whose::Global if keys_of(request)?.is_none() => continue,
                Whose::Global => String::new(),
            };
            if !sites.iter().any(|site| site.name == name) {
                return Err(format!(
                    "a request with the document root {} would select {}; nothing was changed; help: portcullis contain --vhost NAME",
                    request.document_root,
                    if name.is_empty() { "no virtual host".to_owned() } else { format!("the virtual host {name}") }
                ));
            }
        }
    }
    Ok(bytes)
}

/// Whether a virtual host is contained.
fn is_strict(vhost: &Vhost, config: &Config, is_closed: bool) -> bool {
    let scope = &vhost.scope;
    let is_empty = || {
        scope.allow.as_ref().is_some_and(|allow| allow.nets.is_empty() && allow.hosts.is_empty())
            && scope.common.as_ref().is_some_and(Vec::is_empty)
            && scope.commands.as_ref().is_some_and(Vec::is_empty)
    };
    modes::of(scope, config).rules.iter().all(|mode| *mode == Mode::Enforce) && (!is_closed || is_empty())
}

/// What selects a virtual host, in words.
fn selects(matches: &Match) -> String {
    let keys = [
        ("profile", &matches.profile),
        ("script", &matches.script),
        ("document_root", &matches.document_root),
        ("server_name", &matches.server_name),
        ("pool", &matches.pool),
    ];
    let named = keys.into_iter().filter(|(_, values)| !values.is_empty());
    let words = named.map(|(key, values)| {
        let shown: Vec<String> = values.iter().take(SHOWN).map(|value| show::value(value)).collect();
        let more = if values.len() > SHOWN { format!(" and {} more", values.len() - SHOWN) } else { String::new() };
        format!("{key} {}{more}", shown.join(" or "))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A name that no virtual host has, and a file that is not there.
fn free_name(main: &Path, config: &Config, edits: &BTreeMap<PathBuf, String>, keys: &[Key]) -> (String, PathBuf) {
    let of = keys.first().map(|(_, value)| slug(value)).unwrap_or_default();
    let folder = main.parent().unwrap_or(Path::new("/")).join("vhosts.d");
    let names =
        std::iter::once(format!("{CONTAINED}{of}")).chain((2_u32..).map(|number| format!("{CONTAINED}{of}-{number}")));
    let mut all = names.map(|name| {
        let file = folder.join(format!("{name}.toml"));
        (name, file)
    });
    let is_free = |(name, file): &(String, PathBuf)| {
        !config.vhost_names.contains(name) && !edits.contains_key(file) && std::fs::symlink_metadata(file).is_err()
    };
    all.find(is_free).unwrap_or_default()
}

/// A site's path or name as a part of a file's name.
fn slug(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character.to_ascii_lowercase() {
            plain if plain.is_ascii_alphanumeric() => out.push(plain),
            _ if out.is_empty() || out.ends_with('-') => {}
            _ => out.push('-'),
        }
        if out.len() == SLUG_MAX {
            break;
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "site".to_owned() } else { out.to_owned() }
}

impl Site {
    /// In a line.
    pub fn line(&self) -> String {
        let Site { name, file, selects, note, .. } = self;
        let new = if self.is_new { "new " } else { "" };
        let note = if note.is_empty() { String::new() } else { format!("; {note}") };
        let file = show::value(&file.display().to_string());
        format!("{new}virtual host {} ({file}), selected by {selects}{note}", show::value(name))
    }
}

#[cfg(test)]
mod tests;
