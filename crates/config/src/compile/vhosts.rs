//! Virtual hosts and the hash table in which they are found.

use super::scope::Scopes;
use super::writer::{Writer, range};
use crate::model::{Config, Match};
use portcullis_policy::format::{Entry, Section, Vhost};
use portcullis_policy::vhost::{Key, key_hash};

/// Writes all virtual hosts of `config`.
pub(super) fn write(config: &Config, scopes: &mut Scopes, writer: &mut Writer) {
    let mut entries: Vec<(u64, u32)> = Vec::new();
    for vhost in &config.vhosts {
        let scope = scopes.vhost(&vhost.scope, config, writer);
        let matches = &vhost.matches;
        let record = Vhost {
            name: writer.text(vhost.name.value.as_bytes()),
            scope: scope.into(),
            clause: writer.clause(&vhost.name.origin).into(),
            believed: matches.believed.into(),
            server_name: writer.tokens(&matches.server_name),
            document_root: writer.tokens(&matches.document_root),
            script: writer.tokens(&matches.script),
            pool: writer.tokens(&matches.pool),
            profile: writer.tokens(&matches.profile),
        };
        let index = writer.record(Section::Vhosts, &record);
        entries.extend(keys(matches).into_iter().map(|hash| (hash, index)));
    }
    let buckets = entries.len().next_power_of_two();
    let mut table: Vec<Vec<(u64, u32)>> = vec![Vec::new(); buckets];
    for entry in entries {
        table[entry.0 as usize & (buckets - 1)].push(entry);
    }
    let mut start = 0;
    for bucket in table {
        writer.record(Section::Buckets, &range(start, bucket.len()));
        start += bucket.len();
        for (hash, vhost) in bucket {
            writer.record(Section::Index, &Entry { hash: hash.into(), vhost: vhost.into() });
        }
    }
}

/// The hashes under which a match is found: the alternatives of one of its keys, of which all must hold anyway. The one
/// that is shared by the fewest virtual hosts comes first.
fn keys(matches: &Match) -> Vec<u64> {
    let hashed = |key: Key, values: &[String]| values.iter().map(|value| key_hash(key, value.as_bytes())).collect();
    if !matches.profile.is_empty() {
        return hashed(Key::Profile, &matches.profile);
    }
    if !matches.script.is_empty() {
        return hashed(Key::Script, &matches.script);
    }
    if !matches.document_root.is_empty() {
        return hashed(Key::Root, &matches.document_root);
    }
    if !matches.server_name.is_empty() {
        return matches.server_name.iter().map(|name| name_key(name)).collect();
    }
    hashed(Key::Pool, &matches.pool)
}

fn name_key(name: &str) -> u64 {
    match name.strip_prefix('*') {
        _ if !name.contains(['*', '?']) => key_hash(Key::Name, name.as_bytes()),
        Some(suffix) if suffix.starts_with('.') && !suffix.contains(['*', '?']) => {
            key_hash(Key::Suffix, suffix.as_bytes())
        }
        _ => key_hash(Key::Pattern, b""),
    }
}
