//! What nginx's configuration says that it connects to: upstreams and resolvers, as `nginx -T` prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Directives whose first argument is where requests go.
const PASSES: [&str; 6] = ["proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass"];

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// `HOST:PORT`, with the directives that name it.
    pub destinations: BTreeMap<String, BTreeSet<String>>,
    /// Addresses of name servers.
    pub resolvers: BTreeSet<String>,
    /// What is made of variables, and cannot be known.
    pub unknown: BTreeSet<String>,
}

/// Reads the text of a configuration.
pub fn read(text: &str) -> Found {
    let directives = directives(text);
    let mut found = Found::default();
    let mut upstreams = BTreeSet::new();
    for directive in &directives {
        if let [name, upstream] = directive.words.as_slice()
            && name == "upstream"
        {
            upstreams.insert(upstream.clone());
        }
    }
    for directive in &directives {
        let said = directive.words.join(" ");
        let Some((name, rest)) = directive.words.split_first() else { continue };
        let Some(first) = rest.first() else { continue };
        match name.as_str() {
            "server" if directive.inside.starts_with("upstream ") => add(&mut found, first, Some(80), &said),
            "resolver" => {
                let addresses = rest.iter().filter(|word| !word.contains('='));
                found.resolvers.extend(addresses.map(|word| bare_resolver(word)));
            }
            pass if PASSES.contains(&pass) => {
                let (scheme, target) =
                    first.split_once("://").map_or(("", first.as_str()), |(scheme, rest)| (scheme, rest));
                let target = target.split('/').next().unwrap_or_default();
                if upstreams.contains(target) {
                    continue;
                }
                let port = match (scheme, pass) {
                    ("https" | "grpcs", _) => Some(443),
                    (_, "proxy_pass" | "grpc_pass") => Some(80),
                    _ => None,
                };
                let local = scheme == "unix" || first.starts_with("unix:") || first.contains("://unix:");
                add(&mut found, if local { "unix:" } else { target }, port, &said);
            }
            _ => {}
        }
    }
    found
}

fn bare_resolver(word: &str) -> String {
    match word.parse::<SocketAddr>() {
        Ok(address) => address.ip().to_string(),
        Err(_) => word.trim_matches(['[', ']']).to_owned(),
    }
}

fn add(found: &mut Found, target: &str, port: Option<u16>, said: &str) {
    if target.starts_with("unix:") {
        return;
    }
    if target.contains('$') {
        found.unknown.insert(said.to_owned());
        return;
    }
    let has_port = target.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let whole = match port {
        Some(port) if !has_port => format!("{target}:{port}"),
        _ => target.to_owned(),
    };
    found.destinations.entry(whole).or_default().insert(said.to_owned());
}

/// A directive with its words, and the block that it stands in.
struct Directive {
    words: Vec<String>,
    inside: String,
}

fn directives(text: &str) -> Vec<Directive> {
    let (mut out, mut words, mut word, mut blocks) = (Vec::new(), Vec::new(), String::new(), Vec::<String>::new());
    let mut quote = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (_, '\\') => word.extend(characters.next()),
            (Some(open), close) if open == close => quote = None,
            (Some(_), other) => word.push(other),
            (None, '"' | '\'') => quote = Some(character),
            (None, '#') if word.is_empty() => {
                characters.by_ref().find(|&next| next == '\n');
            }
            // `${name}` is part of a word.
            (None, '{') if word.ends_with('$') => {
                word.push('{');
                word.extend(characters.by_ref().take_while(|&next| next != '}'));
                word.push('}');
            }
            (None, ';' | '{' | '}') => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                let inside = blocks.last().cloned().unwrap_or_default();
                let whole = words.join(" ");
                if !words.is_empty() {
                    out.push(Directive { words: std::mem::take(&mut words), inside });
                }
                match character {
                    '{' => blocks.push(whole),
                    '}' => {
                        blocks.pop();
                    }
                    _ => {}
                }
            }
            (None, space) if space.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, other) => word.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_and_resolvers() {
        let text = r#"
            http { # a comment; with { signs }
              resolver 192.88.1.53 [2a0e:1::53]:5353 valid=30s;
              upstream back { server 192.88.1.7:9999 weight=2; server b.example; server unix:/run/x.sock; }
              server { server_name "a b";
                location / { proxy_pass http://back/x; }
                location /s { proxy_pass https://api.example/v1; }
                location /v { proxy_pass http://${host}:1; }
                location ~ \.php$ { fastcgi_pass unix:/run/php.sock; }
                location /f { fastcgi_pass 192.88.1.8:9000; }
              } }"#;
        let found = read(text);
        let names: Vec<&str> = found.destinations.keys().map(String::as_str).collect();
        assert_eq!(names, ["192.88.1.7:9999", "192.88.1.8:9000", "api.example:443", "b.example:80"]);
        assert_eq!(found.resolvers.iter().map(String::as_str).collect::<Vec<_>>(), ["192.88.1.53", "2a0e:1::53"]);
        assert_eq!(found.unknown.len(), 1);
    }
}
