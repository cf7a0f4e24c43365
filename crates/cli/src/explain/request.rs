//! The request that is asked about, the policy that decides on it, and why that one.

use crate::log::Event;
use portcullis_config::Config;
use portcullis_config::model::{Match, Vhost};
use portcullis_event::field;
use portcullis_policy::vhost::VhostQuery;
use portcullis_policy::{GLOBAL_SCOPE, Policy, STRICTEST_SCOPE};
use portcullis_request::{Field, Source, normalise};

/// Of which request.
#[derive(Clone, Default, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    pub server_name: String,
    pub source: u8,
    pub document_root: String,
    pub script: String,
    pub pool: String,
    pub profile: String,
    /// It is not known, or was taken away, so that the strictest policy judges.
    pub is_unknown: bool,
}

/// Whose policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Global,
    Strictest,
    Vhost(u32),
}

impl Whose {
    pub fn scope(self, policy: &Policy<'_>) -> u32 {
        match self {
            Whose::Global => GLOBAL_SCOPE,
            Whose::Strictest => STRICTEST_SCOPE,
            Whose::Vhost(vhost) => policy.vhost_scope(vhost).0,
        }
    }
}

pub fn find(policy: &Policy<'_>, request: &Request) -> Whose {
    if request.is_unknown {
        return Whose::Strictest;
    }
    let (mut root, mut script) = (None::<Field<512>>, None::<Field<512>>);
    let name = bare_name(&request.server_name).to_ascii_lowercase();
    let found = policy.vhost(&VhostQuery {
        server_name: name.as_bytes(),
        source: request.source,
        document_root: normalise(request.document_root.as_bytes(), &mut root),
        script: normalise(request.script.as_bytes(), &mut script),
        pool: request.pool.as_bytes(),
        profile: request.profile.as_bytes(),
    });
    found.map_or(Whose::Global, Whose::Vhost)
}

/// The scope of the policy that decides on the request of an event.
pub fn scope_of(policy: &Policy<'_>, event: &Event) -> u32 {
    let is_global = policy.vhost_names().next().is_none() && !is_unknown(event);
    if is_global { GLOBAL_SCOPE } else { find(policy, &request_of(event)).scope(policy) }
}

fn is_unknown(event: &Event) -> bool {
    ["unknown", "lost"].contains(&event.text(field::REQUEST_STATE))
}

/// A server's name without a port and a dot at its end, as the library compares it.
fn bare_name(name: &str) -> &str {
    let bare = match name.rsplit_once(':') {
        Some((bare, _)) if !name.ends_with(']') => bare,
        _ => name,
    };
    bare.strip_suffix('.').unwrap_or(bare)
}

pub fn source(word: &str) -> u8 {
    let all = [Source::Module, Source::Nginx, Source::Apache];
    all.into_iter().find(|source| source.word() == word).unwrap_or(Source::Unknown) as u8
}

pub fn request_of(event: &Event) -> Request {
    let text = |field: field::Field| event.text(field).to_owned();
    Request {
        server_name: text(field::URL_DOMAIN),
        source: source(event.text(field::REQUEST_SOURCE)),
        document_root: text(field::REQUEST_DOCUMENT_ROOT),
        script: text(field::REQUEST_SCRIPT),
        pool: text(field::REQUEST_POOL),
        profile: text(field::REQUEST_PROFILE),
        is_unknown: is_unknown(event),
    }
}

/// What a match may ask for: the key, the request's value, and the values of a match.
type Key = (&'static str, fn(&Request) -> &String, fn(&mut Match) -> &mut Vec<String>);

const KEYS: [Key; 5] = [
    ("profile", |request| &request.profile, |matches| &mut matches.profile),
    ("script", |request| &request.script, |matches| &mut matches.script),
    ("document_root", |request| &request.document_root, |matches| &mut matches.document_root),
    ("server_name", |request| &request.server_name, |matches| &mut matches.server_name),
    ("pool", |request| &request.pool, |matches| &mut matches.pool),
];

/// The virtual host of `vhosts` alone that the library's own look-up finds for a request.
fn winner(base: &Config, vhosts: Vec<Vhost>, request: &Request) -> Option<u32> {
    let bytes = portcullis_config::compile(&Config { vhosts, ..base.clone() });
    match find(&Policy::new(&bytes).ok()?, request) {
        Whose::Vhost(vhost) => Some(vhost),
        Whose::Global | Whose::Strictest => None,
    }
}

/// Why a policy decides on a request.
pub fn why(config: &Config, whose: Whose, request: &Request) -> String {
    // Everything but the virtual hosts, of which there may be ten thousand.
    let base = Config { vhosts: Vec::new(), ..config.clone() };
    match whose {
        Whose::Strictest => "the request is not known: no `allow` is in it".to_owned(),
        Whose::Vhost(index) => why_vhost(config, &base, index as usize, request),
        Whose::Global if config.vhosts.is_empty() => "the configuration has no virtual hosts".to_owned(),
        Whose::Global => why_global(config, &base, request),
    }
}

fn why_vhost(config: &Config, base: &Config, index: usize, request: &Request) -> String {
    let Some(chosen) = config.vhosts.get(index) else { return String::new() };
    let mut held = Vec::new();
    for (key, value, values) in KEYS {
        let mut matches = chosen.matches.clone();
        let of_key = std::mem::take(values(&mut matches));
        let decided = of_key.into_iter().find(|one| {
            let mut alone = Match { believed: chosen.matches.believed, ..Match::default() };
            values(&mut alone).push(one.clone());
            winner(base, vec![Vhost { matches: alone, ..chosen.clone() }], request).is_some()
        });
        if let Some(entry) = decided {
            held.push(format!("{key} `{}` matches `{entry}`", value(request)));
        }
    }
    let others: Vec<Vhost> =
        config.vhosts.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, vhost)| vhost.clone()).collect();
    let next = winner(base, others.clone(), request).and_then(|next| others.get(next as usize));
    let next = next.map_or(String::new(), |next| {
        format!(
            "; `{}` matches too, and is less specific or written later (profile, script, document_root, server_name, pool)",
            next.name.value
        )
    });
    format!("{}{next}", held.join(" and "))
}

fn why_global(config: &Config, base: &Config, request: &Request) -> String {
    let known = KEYS.into_iter().map(|(key, value, _)| (key, value(request))).filter(|(_, value)| !value.is_empty());
    let known: Vec<String> = known.map(|(key, value)| format!("{key} `{value}`")).collect();
    if known.is_empty() {
        return "no request is given: --vhost, --server-name, --document-root, --script, --pool or --profile names one"
            .to_owned();
    }
    let from_any = [Source::Module, Source::Nginx, Source::Apache]
        .into_iter()
        .find_map(|source| winner(base, config.vhosts.clone(), &Request { source: source as u8, ..request.clone() }));
    let distrusted = from_any.and_then(|vhost| config.vhosts.get(vhost as usize));
    let distrusted = distrusted.map_or(String::new(), |vhost| {
        format!("; `{}` has this server_name and does not trust its source (`server_name_from`)", vhost.name.value)
    });
    format!("no virtual host matches {}{distrusted}", known.join(", "))
}
