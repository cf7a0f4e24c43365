//! Which virtual hosts requests select, also those that serve the same files by another name.

use super::edit::Key;
use super::site::Wanted;
use crate::check;
use crate::explain::{Request, Whose, find};
use portcullis_config::Config;
use portcullis_policy::Policy;
use portcullis_request::{Field, Source, normalise};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Virtual hosts by their number, each with a note, and the keys of new ones.
#[derive(Default)]
pub struct Selected {
    pub known: BTreeMap<usize, String>,
    pub new: BTreeSet<Vec<Key>>,
    /// Requests that were lost: the strictest policy of all decides on those.
    pub unknown: usize,
    /// Calls of which no site is known: the global policy decides on those.
    pub global: usize,
}

/// The virtual hosts that contain what is wanted.
pub fn select(config: &Config, policy: &Policy<'_>, wanted: &Wanted) -> Result<Selected, String> {
    let mut selected = Selected::default();
    let (own, others) = match wanted {
        Wanted::Vhost(name) => {
            let names = || config.vhosts.iter().map(|vhost| &vhost.name.value);
            let index = names().position(|known| known == name).ok_or_else(|| check::no_vhost(name, names()))?;
            selected.known.insert(index, String::new());
            let roots = config.vhosts.get(index).map(|vhost| vhost.matches.document_root.clone()).unwrap_or_default();
            share(config, &roots.into_iter().collect(), &mut selected);
            return Ok(selected);
        }
        Wanted::Requests { own, others } => (own, others),
    };
    for request in own {
        match find(policy, request) {
            Whose::Strictest => selected.unknown += 1,
            Whose::Vhost(index) => {
                let note = selected.known.entry(index as usize).or_default();
                let has_root =
                    config.vhosts.get(index as usize).is_some_and(|vhost| !vhost.matches.document_root.is_empty());
                let stranger = Request { server_name: String::new(), ..request.clone() };
                if request.document_root.is_empty() || !matches!(find(policy, &stranger), Whose::Global) {
                    continue;
                }
                // A server reaches the same files by each of its names. One of a document root is less specific than one of that and a name,
                // and more specific than one of a name alone, whose lists it would take from the site.
                match keys_of(&stranger) {
                    Ok(Some(keys)) if has_root => drop(selected.new.insert(keys)),
                    _ => {
                        let root = &request.document_root;
                        *note = format!(
                            "NOT requests for {root} by another server name: portcullis contain --document-root {root}"
                        );
                    }
                }
            }
            Whose::Global => match keys_of(request)? {
                Some(keys) => drop(selected.new.insert(keys)),
                None => selected.global += 1,
            },
        }
    }
    for request in others {
        if let Whose::Vhost(index) = find(policy, request) {
            let note = format!("requests for {} have the same document root", request.server_name);
            selected.known.entry(index as usize).or_insert(note);
        }
    }
    let roots = own.iter().map(|request| normal(&request.document_root)).filter(|root| !root.is_empty()).collect();
    share(config, &roots, &mut selected);
    if selected.known.is_empty() && selected.new.is_empty() {
        if selected.global > 0 {
            return Err("no request of the incident has a document root, script, pool or trusted server name that would select a site, so \
                        the global policy decides on it; nothing was changed; help: portcullis install UNIT --mode enforce"
                .to_owned());
        }
        return Err("no event of the incident names its site: the request of each was lost, and the strictest policy of all decides on \
                    those; help: contain a site by --document-root or --vhost, or every site: portcullis install UNIT --mode enforce"
            .to_owned());
    }
    Ok(selected)
}

/// Adds the virtual hosts that requests with one of these document roots may select as well: they serve the same files.
fn share(config: &Config, roots: &BTreeSet<String>, selected: &mut Selected) {
    for (index, vhost) in config.vhosts.iter().enumerate() {
        let has = |entry: &String| roots.contains(entry);
        let is_below = |entry: &String| roots.iter().any(|root| Path::new(entry).starts_with(root));
        let note = match &vhost.matches {
            matches if matches.document_root.iter().any(has) => "it has the same document root",
            matches if matches.script.iter().any(is_below) => "it has a script of that document root",
            _ => continue,
        };
        selected.known.entry(index).or_insert_with(|| note.to_owned());
    }
}

/// A path as the library compares it; empty where it is none.
fn normal(path: &str) -> String {
    let mut room = None::<Field<512>>;
    String::from_utf8_lossy(normalise(path.as_bytes(), &mut room)).into_owned()
}

/// The keys by which a request selects a virtual host that is not there yet: of what the server itself says, the narrowest that covers the
/// site. `None` where it says nothing that would select one.
pub fn keys_of(request: &Request) -> Result<Option<Vec<Key>>, String> {
    let (root, script) = (normal(&request.document_root), normal(&request.script));
    if root == "/" {
        return Err("the document root is /, which is that of every site; nothing was changed; help: portcullis install UNIT --mode \
                    enforce"
            .to_owned());
    }
    let is_trusted = [Source::Module, Source::Nginx].iter().any(|source| *source as u8 == request.source);
    let name = request.server_name.rsplit_once(':').map_or(request.server_name.as_str(), |(name, _)| name);
    Ok(match () {
        () if !root.is_empty() => Some(vec![("document_root", root)]),
        () if !script.is_empty() && script != "/" => Some(vec![("script", script)]),
        () if !request.pool.is_empty() => Some(vec![("pool", request.pool.clone())]),
        () if is_trusted && !name.is_empty() && !name.contains(['*', '?']) => {
            Some(vec![("server_name", name.to_owned())])
        }
        () => None,
    })
}
