//! A TOML document to the model: every key checked, every error kept.

use crate::diagnostic::{Diagnostic, Severity};
use crate::entry::{self, Target};
use crate::lists;
use crate::model::{Config, From, Modes, Net, Origin, ScopeConfig, Sink};
use portcullis_policy::Mode;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Value<'t> = Spanned<DeValue<'t>>;

/// Reads one file's text.
pub(crate) struct Reader<'d> {
    file: PathBuf,
    text: Rc<str>,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl<'d> Reader<'d> {
    pub(crate) fn new(file: &Path, text: &str, diagnostics: &'d mut Vec<Diagnostic>) -> Reader<'d> {
        Reader { file: file.to_owned(), text: text.into(), diagnostics }
    }

    /// The main file.
    pub(crate) fn main(&mut self, config: &mut Config) {
        let text = Rc::clone(&self.text);
        let Some(table) = self.document(&text) else { return };
        let keys = ["mode", "log", "egress", "exec", "rules", "backstop", "vhost"];
        self.known(&table, &keys);
        self.scope(&table, &mut config.global);
        if let Some(log) = self.table(&table, "log") {
            self.log(log, config);
        }
        if let Some(backstop) = self.table(&table, "backstop") {
            self.known(backstop, &["seccomp"]);
            if let Some(value) = backstop.get("seccomp")
                && let Some(word) = self.one_of(value, &["off", "log", "supervise"])
                && word != "off"
            {
                self.warn(value.span(), "this version has no backstop: what bypasses libc is not seen".into(), None);
            }
        }
        if let Some(vhosts) = table.get("vhost") {
            match vhosts.get_ref() {
                DeValue::Array(vhosts) => {
                    for vhost in vhosts.iter() {
                        match vhost.get_ref() {
                            DeValue::Table(table) => self.vhost(table, vhost.span(), config),
                            other => self.wrong(vhost.span(), "a table", other),
                        }
                    }
                }
                other => self.wrong(vhosts.span(), "a list of tables: write [[vhost]]", other),
            }
        }
    }

    /// A file of vhosts.d: `[[vhost]]` tables, or the keys of one.
    pub(crate) fn vhost_file(&mut self, config: &mut Config) {
        let text = Rc::clone(&self.text);
        let Some(table) = self.document(&text) else { return };
        if let Some(DeValue::Array(vhosts)) = table.get("vhost").map(Spanned::get_ref) {
            self.known(&table, &["vhost"]);
            for vhost in vhosts.iter() {
                if let DeValue::Table(table) = vhost.get_ref() {
                    self.vhost(table, vhost.span(), config);
                }
            }
        } else {
            self.vhost(&table, 0..0, config);
        }
    }

    fn document<'t>(&mut self, text: &'t str) -> Option<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let broken = !errors.is_empty();
        for error in errors {
            self.error(error.span().unwrap_or(0..0), error.message().to_owned(), None);
        }
        (!broken).then(|| table.into_inner())
    }

    fn vhost(&mut self, table: &DeTable<'_>, span: Range<usize>, config: &mut Config) {
        self.known(table, &["name", "match", "mode", "egress", "exec", "rules"]);
        match table.get("name") {
            Some(name) => drop(self.string(name)),
            None => self.error(span, "a virtual host has no `name`".into(), Some("add name = \"...\"".into())),
        }
        if let Some(keys) = self.table(table, "match") {
            self.known(keys, &["server_name", "document_root", "script", "pool", "profile"]);
            for (_, value) in keys.iter() {
                for item in self.items(value) {
                    self.string(item);
                }
            }
        }
        self.scope(table, &mut ScopeConfig::default());
        config.vhosts += 1;
    }

    fn scope(&mut self, table: &DeTable<'_>, scope: &mut ScopeConfig) {
        let mut modes = Modes { all: self.mode(table), ..Modes::default() };
        if let Some(egress) = self.table(table, "egress") {
            self.known(egress, &["mode", "errno", "common_ports", "local_ranges", "allow", "deny"]);
            modes.egress = self.mode(egress);
            scope.egress_errno = self.errno(egress);
            scope.common = egress.get("common_ports").map(|value| self.common_ports(value));
            scope.local = egress.get("local_ranges").map(|value| self.local_ranges(value));
            scope.allow = egress.get("allow").map(|value| self.destinations(value, "allow")).unwrap_or_default();
            scope.deny = egress.get("deny").map(|value| self.destinations(value, "deny")).unwrap_or_default();
        }
        if let Some(exec) = self.table(table, "exec") {
            self.known(exec, &["mode", "errno", "shells", "allow"]);
            modes.exec = self.mode(exec);
            scope.exec_errno = self.errno(exec);
            scope.shells = exec.get("shells").map(|value| self.shells(value));
            scope.commands = exec.get("allow").map(|value| self.commands(value));
        }
        if let Some(rules) = self.table(table, "rules") {
            self.known(rules, &lists::RULES);
            for (word, value) in rules.iter() {
                let DeValue::Table(rule) = value.get_ref() else {
                    self.wrong(value.span(), "a table", value.get_ref());
                    continue;
                };
                self.known(rule, &["mode"]);
                let mode = self.mode(rule);
                match word.get_ref().as_ref() {
                    "egress-port" => modes.egress = modes.egress.or(mode),
                    "shell-spawn" => modes.exec = modes.exec.or(mode),
                    known if lists::RULES.contains(&known) && mode != Some(Mode::Off) => {
                        self.warn(word.span(), format!("this version does not have the rule `{known}` yet"), None);
                    }
                    _ => {}
                }
            }
        }
        scope.modes = modes;
    }

    fn log(&mut self, log: &DeTable<'_>, config: &mut Config) {
        self.known(log, &["sink", "file"]);
        if let Some(value) = log.get("sink") {
            config.sinks = self
                .items(value)
                .into_iter()
                .filter_map(|item| {
                    Some(match self.one_of(item, &["journald", "syslog", "file", "stderr"])?.as_str() {
                        "journald" => Sink::Journald,
                        "syslog" => Sink::Syslog,
                        "file" => Sink::File,
                        _ => Sink::Stderr,
                    })
                })
                .collect();
        }
        if let Some(value) = log.get("file")
            && let Some(path) = self.string(value)
        {
            if !path.starts_with('/') || path.contains('\0') || path.len() > 1000 {
                self.error(value.span(), "the log file needs an absolute path of at most 1000 bytes".into(), None);
            }
            config.log_file = path.into();
        }
    }

    fn common_ports(&mut self, value: &Value<'_>) -> Vec<From<(u16, u16)>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            match item.get_ref() {
                DeValue::String(word) if word == "default" => out.extend(default_ports()),
                DeValue::String(text) => match entry::ports(text) {
                    Ok(value) => out.push(From { value, origin: self.origin(item, "common_ports") }),
                    Err(why) => self.error(item.span(), why, None),
                },
                DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(port @ 0..=65535) => {
                        let value = (port as u16, port as u16);
                        out.push(From { value, origin: self.origin(item, "common_ports") });
                    }
                    _ => self.error(
                        item.span(),
                        format!("{} is not a port: ports go from 0 to 65535", number.as_str()),
                        None,
                    ),
                },
                other => self.wrong(item.span(), "a port, a range like \"8000-8010\", or \"default\"", other),
            }
        }
        out
    }

    fn local_ranges(&mut self, value: &Value<'_>) -> Vec<Net> {
        let mut out = Vec::new();
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            if text == "default" {
                out.extend(default_ranges());
                continue;
            }
            match entry::network(&text) {
                Ok(net) => out.push(Net { net, ports: (0, u16::MAX), origin: self.origin(item, "local_ranges") }),
                Err(why) => self.error(item.span(), why, None),
            }
        }
        out
    }

    fn destinations(&mut self, value: &Value<'_>, key: &str) -> Vec<Net> {
        let mut out = Vec::new();
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            match entry::destination(&text) {
                Ok((Target::Net(net), ports)) => out.push(Net { net, ports, origin: self.origin(item, key) }),
                Ok((Target::Name(name), _)) => {
                    let message =
                        format!("this version does not know what `{name}` resolves to: the entry has no effect");
                    self.warn(item.span(), message, Some("add the addresses beside the name".into()));
                }
                Err(why) => self.error(item.span(), why, None),
            }
        }
        out
    }

    fn shells(&mut self, value: &Value<'_>) -> Vec<From<String>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            match self.string(item) {
                Some(word) if word == "default" => out.extend(default_shells()),
                Some(name) if name.is_empty() || name.contains(['/', '\0']) => {
                    self.error(item.span(), "a shell is named without its folder".into(), None);
                }
                Some(value) => out.push(From { value, origin: self.origin(item, "shells") }),
                None => {}
            }
        }
        out
    }

    fn commands(&mut self, value: &Value<'_>) -> Vec<From<Vec<String>>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            match self.string(item) {
                Some(word) if word == "default" => out.extend(default_commands()),
                Some(text) => match entry::command(&text) {
                    Ok(value) => out.push(From { value, origin: self.origin(item, "allow") }),
                    Err(why) => self.error(item.span(), why, None),
                },
                None => {}
            }
        }
        out
    }

    fn mode(&mut self, table: &DeTable<'_>) -> Option<Mode> {
        Some(match self.one_of(table.get("mode")?, &["off", "audit", "enforce"])?.as_str() {
            "off" => Mode::Off,
            "audit" => Mode::Audit,
            _ => Mode::Enforce,
        })
    }

    fn errno(&mut self, table: &DeTable<'_>) -> Option<u16> {
        let names: Vec<&str> = lists::ERRNOS.iter().map(|errno| errno.0).collect();
        let word = self.one_of(table.get("errno")?, &names)?;
        lists::ERRNOS.iter().find(|errno| errno.0 == word).map(|errno| errno.1)
    }

    fn one_of(&mut self, value: &Value<'_>, words: &[&str]) -> Option<String> {
        let word = self.string(value)?;
        if words.contains(&word.as_str()) {
            return Some(word);
        }
        let help = nearest(&word, words).map(|near| format!("did you mean \"{near}\"?"));
        self.error(value.span(), format!("\"{word}\" is not one of: {}", words.join(", ")), help);
        None
    }

    fn string(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            other => {
                self.wrong(value.span(), "a string", other);
                None
            }
        }
    }

    /// The items of a list; a single value is a list of one.
    fn items<'v, 't>(&mut self, value: &'v Value<'t>) -> Vec<&'v Value<'t>> {
        match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        }
    }

    fn table<'v, 't>(&mut self, table: &'v DeTable<'t>, key: &str) -> Option<&'v DeTable<'t>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                self.wrong(value.span(), "a table", other);
                None
            }
        }
    }

    fn known(&mut self, table: &DeTable<'_>, keys: &[&str]) {
        for (key, _) in table.iter() {
            let word = key.get_ref().as_ref();
            if !keys.contains(&word) {
                let help = match nearest(word, keys) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the keys here are: {}", keys.join(", ")),
                };
                self.error(key.span(), format!("unknown key `{word}`"), Some(help));
            }
        }
    }

    fn wrong(&mut self, span: Range<usize>, wanted: &str, got: &DeValue<'_>) {
        self.error(span, format!("this is {}, not {wanted}", got.type_str()), None);
    }

    fn error(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.push(Severity::Error, span, message, help);
    }

    fn warn(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.push(Severity::Warning, span, message, help);
    }

    fn push(&mut self, severity: Severity, span: Range<usize>, message: String, help: Option<String>) {
        let (file, text) = (self.file.clone(), Rc::clone(&self.text));
        self.diagnostics.push(Diagnostic { severity, file, text, span, message, help });
    }

    fn origin(&self, value: &Value<'_>, key: &str) -> Origin {
        let span = value.span();
        let line = self.text.get(..span.start).unwrap_or_default().matches('\n').count() as u32 + 1;
        let text = format!("{key} = {}", self.text.get(span).unwrap_or_default());
        Origin { text, file: Some(self.file.clone()), line }
    }
}

fn nearest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let scored = words.iter().map(|known| (strsim::damerau_levenshtein(word, known), *known));
    scored.min().filter(|(distance, known)| *distance <= 1.max(known.len() / 3)).map(|(_, known)| known)
}

fn built_in(text: String) -> Origin {
    Origin { text, file: None, line: 0 }
}

/// The built-in common ports.
pub(crate) fn default_ports() -> Vec<From<(u16, u16)>> {
    let one = |port| From { value: (port, port), origin: built_in(format!("common port {port} (default)")) };
    lists::COMMON_PORTS.into_iter().map(one).collect()
}

/// The built-in local ranges.
pub(crate) fn default_ranges() -> Vec<Net> {
    let one = |text: &str| {
        let net = entry::network(text).unwrap_or_else(|why| unreachable!("built-in list: {why}"));
        Net { net, ports: (0, u16::MAX), origin: built_in(format!("local range {text} (default)")) }
    };
    lists::LOCAL_RANGES.into_iter().map(one).collect()
}

/// The built-in shells.
pub(crate) fn default_shells() -> Vec<From<String>> {
    let one = |name: &str| From { value: name.to_owned(), origin: built_in(format!("shell {name} (default)")) };
    lists::SHELLS.into_iter().map(one).collect()
}

/// The built-in allowed commands.
pub(crate) fn default_commands() -> Vec<From<Vec<String>>> {
    let one = |text: &str| From {
        value: text.split(' ').map(str::to_owned).collect(),
        origin: built_in(format!("allow \"{text}\" (default)")),
    };
    lists::COMMANDS.into_iter().map(one).collect()
}
