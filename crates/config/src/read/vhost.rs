//! A virtual host: its name, what a request must be, and what it says.

use super::Reader;
use crate::model::{BELIEVED, Config, From, Match, Origin, ScopeConfig, Vhost};
use portcullis_request::{Field, normalise};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use toml::de::DeTable;

impl Reader<'_> {
    pub(super) fn vhost(&mut self, table: &DeTable<'_>, span: Range<usize>, config: &mut Config) {
        self.known("vhost", table);
        let name = match table.get("name") {
            Some(value) => self.string(value).map(|name| (name, value.span())),
            None => {
                self.error(span.clone(), "a virtual host has no `name`".into(), "add name = \"...\"".into());
                None
            }
        };
        if let Some((name, span)) = &name
            && !config.vhost_names.insert(name.clone())
        {
            self.error(
                span.clone(),
                format!("there is another virtual host named `{name}`"),
                "give it another name".into(),
            );
        }
        let matches = match self.table(table, "match") {
            Some(keys) => self.matches(keys),
            None => Match::default(),
        };
        let asked = |keys: &DeTable<'_>| keys.iter().count() > 0;
        if matches.is_empty() && !self.table(table, "match").is_some_and(asked) {
            let help = "add match = { document_root = \"/srv/NAME\" }, or server_name, script, pool or profile".into();
            self.error(span, "a virtual host without a `match` would never apply".into(), help);
        }
        let mut scope = ScopeConfig::default();
        // Lent, not copied: there may be ten thousand virtual hosts, and a hundred thousand networks in the global scope.
        let global = Rc::new(std::mem::take(&mut config.global));
        self.global = Some(Rc::clone(&global));
        scope.why.all = self.why(table);
        self.scope(table, &mut scope);
        self.global = None;
        config.global = Rc::unwrap_or_clone(global);
        if let Some((value, span)) = name {
            let origin = Origin { text: format!("vhost {value}"), ..self.origin_at(span.clone()) };
            let vhost = Vhost { name: From { value, origin }, matches, scope };
            if let Some(winners) = config.winners.add(&vhost) {
                let message = format!("`{}` is never selected: {winners} matches first", vhost.name.value);
                let help =
                    "of equal matches, the one that is written first is selected: change one `match`, or remove one";
                self.warn(span, message, help.into());
            }
            config.vhosts.push(vhost);
        }
    }

    fn matches(&mut self, keys: &DeTable<'_>) -> Match {
        self.known("vhost.match", keys);
        let believed = match keys.get("server_name_from") {
            Some(value) => {
                let words = BELIEVED.map(|word| word.0);
                let named: Vec<String> =
                    self.items(value).into_iter().filter_map(|item| self.one_of(item, &words)).collect();
                BELIEVED
                    .iter()
                    .filter(|word| named.iter().any(|name| name == word.0))
                    .fold(0, |bits, word| bits | word.1)
            }
            // nginx sends `server_name` of its configuration, and a module knows the server's own.
            None => 0b0110,
        };
        Match {
            server_name: self.names(keys),
            believed,
            document_root: self.paths(keys, "document_root"),
            script: self.paths(keys, "script"),
            pool: self.words(keys, "pool"),
            profile: self.words(keys, "profile"),
        }
    }

    fn words(&mut self, keys: &DeTable<'_>, key: &str) -> Vec<String> {
        let Some(value) = keys.get(key) else { return Vec::new() };
        let mut out = Vec::new();
        for item in self.items(value) {
            match self.string(item) {
                Some(word) if word.is_empty() || word.len() > 64 => {
                    self.error(
                        item.span(),
                        format!("`{key}` takes 1 to 64 bytes"),
                        format!("name one {key} per entry"),
                    );
                }
                Some(word) => out.push(word),
                None => {}
            }
        }
        if out.is_empty() {
            self.empty(value.span(), key);
        }
        out
    }

    fn names(&mut self, keys: &DeTable<'_>) -> Vec<String> {
        let Some(value) = keys.get("server_name") else { return Vec::new() };
        let mut out = Vec::new();
        for item in self.items(value) {
            let Some(name) = self.string(item) else { continue };
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*?:[]".contains(&byte);
            if name.is_empty() || name.len() > 253 || !name.bytes().all(fine) {
                let help = "write a host name, or a pattern such as \"*.example.com\"".into();
                self.error(item.span(), format!("`{name}` is not a host name"), help);
                continue;
            }
            out.push(name.trim_end_matches('.').to_ascii_lowercase());
        }
        if out.is_empty() {
            self.empty(value.span(), "server_name");
        }
        out
    }

    /// Absolute paths, each as it is written and as its symbolic links resolve now.
    fn paths(&mut self, keys: &DeTable<'_>, key: &str) -> Vec<String> {
        let Some(value) = keys.get(key) else { return Vec::new() };
        let mut out: Vec<String> = Vec::new();
        for item in self.items(value) {
            let Some(path) = self.string(item) else { continue };
            let mut room = None::<Field<512>>;
            let Ok(normal) = std::str::from_utf8(normalise(path.as_bytes(), &mut room)) else { continue };
            if normal.is_empty() {
                let message = format!("`{key}` takes absolute paths of at most 512 bytes");
                self.error(item.span(), message, "write an absolute path, for example `/srv/NAME`".into());
                continue;
            }
            out.push(normal.to_owned());
            if let Ok(real) = Path::new(normal).canonicalize()
                && let Some(real) = real.to_str()
                && real != normal
            {
                out.push(real.to_owned());
            }
        }
        if out.is_empty() {
            self.empty(value.span(), key);
        }
        out
    }

    fn empty(&mut self, span: Range<usize>, key: &str) {
        self.error(
            span,
            format!("`{key}` names nothing, so the virtual host would never apply"),
            format!("name one {}, or remove the key", key.replace('_', " ")),
        );
    }
}
