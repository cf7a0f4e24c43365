//! A TOML document to the model: every key checked, every error kept.

pub(crate) mod defaults;
mod entries;
mod hints;
mod loading;
mod places;
mod rules;
pub(crate) mod shadow;
mod values;
mod vhost;
mod warn;

pub use hints::nearest;

use crate::diagnostic::{Diagnostic, Severity};
use crate::folders::Folders;
use crate::model::{Config, Modes, ScopeConfig};
use portcullis_policy::{Rule, Sink};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The parser's message for a key that is there twice.
const DUPLICATE: &str = "duplicate key";

type Value<'t> = Spanned<DeValue<'t>>;

/// Reads one file's text.
pub(crate) struct Reader<'d> {
    file: PathBuf,
    text: Rc<str>,
    diagnostics: &'d mut Vec<Diagnostic>,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    /// The global scope, while a virtual host is read.
    global: Option<Rc<ScopeConfig>>,
    /// What stands before the name of a table here: `vhost.` inside a `[[vhost]]`.
    prefix: &'static str,
    /// What was listed so far, for all files.
    folders: Rc<Folders>,
}

impl<'d> Reader<'d> {
    pub(crate) fn new(
        file: &Path,
        text: &str,
        folders: &Rc<Folders>,
        diagnostics: &'d mut Vec<Diagnostic>,
    ) -> Reader<'d> {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Reader {
            file: file.to_owned(),
            text: text.into(),
            diagnostics,
            lines,
            global: None,
            prefix: "",
            folders: Rc::clone(folders),
        }
    }

    /// The main file.
    pub(crate) fn main(&mut self, config: &mut Config) {
        let text = Rc::clone(&self.text);
        let Some(table) = self.document(&text) else { return };
        self.known("", &table);
        config.force = self.overriding(&table);
        self.scope(&table, &mut config.global);
        if let Some(log) = self.table(&table, "log") {
            self.log(log, config);
        }
        if let Some(backstop) = self.table(&table, "backstop") {
            self.backstop(backstop, config);
        }
        if let Some(vhosts) = table.get("vhost") {
            match vhosts.get_ref() {
                DeValue::Array(vhosts) => self.vhosts(vhosts, config),
                other => self.wrong(vhosts.span(), "a list of tables", other, "write [[vhost]]".into()),
            }
        }
    }

    /// A file of vhosts.d: `[[vhost]]` tables, or the keys of one.
    pub(crate) fn vhost_file(&mut self, config: &mut Config) {
        let text = Rc::clone(&self.text);
        let Some(table) = self.document(&text) else { return };
        if let Some(DeValue::Array(vhosts)) = table.get("vhost").map(Spanned::get_ref) {
            self.known("vhosts.d", &table);
            self.vhosts(vhosts, config);
        } else {
            self.vhost(&table, 0..0, config);
        }
    }

    fn vhosts(&mut self, vhosts: &[Value<'_>], config: &mut Config) {
        self.prefix = "vhost.";
        for vhost in vhosts {
            match vhost.get_ref() {
                DeValue::Table(table) => self.vhost(table, vhost.span(), config),
                other => self.wrong(vhost.span(), "a table", other, "write [[vhost]]".into()),
            }
        }
        self.prefix = "";
    }

    fn document<'t>(&mut self, text: &'t str) -> Option<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let broken = !errors.is_empty();
        // What the parser finds behind a syntax error follows from that; a key that is there twice does not.
        let is_own = |(at, error): &(usize, toml::de::Error)| *at == 0 || error.message() == DUPLICATE;
        for (_, error) in errors.into_iter().enumerate().filter(is_own) {
            self.push(Severity::Error, error.span().unwrap_or(0..0), error.message().to_owned(), None);
        }
        (!broken).then(|| table.into_inner())
    }

    fn scope(&mut self, table: &DeTable<'_>, scope: &mut ScopeConfig) {
        let mut modes = Modes { all: self.mode(table), ..Modes::default() };
        if let Some(egress) = self.table(table, "egress") {
            self.known("egress", egress);
            modes.rules[Rule::EgressPort as usize] = self.mode(egress);
            scope.egress_errno = self.errno(egress);
            scope.common = egress.get("common_ports").map(|value| self.common_ports(value));
            scope.local = egress.get("local_ranges").map(|value| self.local_ranges(value));
            scope.allow = egress.get("allow").map(|value| self.destinations(value, "allow"));
            scope.why.rules[Rule::EgressPort as usize] = self.why(egress);
            scope.deny = egress.get("deny").map(|value| self.destinations(value, "deny")).unwrap_or_default();
            if let Some(allow) = egress.get("allow") {
                let global = self.global.as_ref().map(|global| global.deny.clone()).unwrap_or_default();
                self.denied_too(allow, &[&scope.deny, &global]);
            }
        }
        if let Some(exec) = self.table(table, "exec") {
            self.known("exec", exec);
            modes.rules[Rule::ShellSpawn as usize] = self.mode(exec);
            scope.exec_errno = self.errno(exec);
            scope.why.rules[Rule::ShellSpawn as usize] = self.why(exec);
            scope.shells = exec.get("shells").map(|value| self.shells(value));
            scope.commands = exec.get("allow").map(|value| self.commands(value));
        }
        if let Some(rules) = self.table(table, "rules") {
            self.rules(rules, &mut modes, scope);
        }
        scope.modes = modes;
    }

    fn log(&mut self, log: &DeTable<'_>, config: &mut Config) {
        self.known("log", log);
        if let Some(value) = log.get("sink") {
            let words = Sink::ALL.map(Sink::word);
            let sinks = self.items(value).into_iter();
            config.sinks = sinks.filter_map(|item| Sink::of_word(&self.one_of(item, &words)?)).collect();
            if config.sinks == [Sink::File] {
                let message = "every program of the log's group may write to the log file, and can empty it unless it is append-only".into();
                let help = "add a second sink, `journald` or `syslog`, whose entries a program cannot take back".into();
                self.warn(value.span(), message, help);
            }
        }
        if let Some(value) = log.get("group") {
            config.log_group = self.string(value);
        }
        for (key, setting) in [("merge", &mut config.merge), ("seal", &mut config.seal)] {
            if let Some(value) = log.get(key) {
                match value.get_ref() {
                    DeValue::Boolean(wanted) => *setting = *wanted,
                    other => self.not_boolean(value, other),
                }
            }
        }
        if let Some(value) = log.get("file")
            && let Some(path) = self.string(value)
        {
            if !path.starts_with('/') || path.contains('\0') || path.len() > 1000 {
                let message = "the log file needs an absolute path of at most 1000 bytes".into();
                self.error(value.span(), message, "write for example `/var/log/portcullis/events.jsonl`".into());
            }
            config.log_file = path.into();
        }
    }
}
