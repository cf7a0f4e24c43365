//! `[rules.NAME]`: the mode of a rule, what its events say, and what it is about.

use super::entries::{any_text, place, program, tool};
use super::{Reader, Value, defaults};
use crate::model::{Modes, Net, ScopeConfig};
use crate::{entry, lists};
use portcullis_policy::Rule;
use portcullis_policy::exec::{REASONS, reason};
use toml::de::{DeTable, DeValue};

/// The port of name servers; DNS over TLS is added when it is compiled.
const DNS: (u16, u16) = (53, 53);

impl Reader<'_> {
    pub(super) fn rules(&mut self, rules: &DeTable<'_>, modes: &mut Modes, scope: &mut ScopeConfig) {
        self.known("rules", rules);
        for (word, value) in rules.iter() {
            let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.word() == word.get_ref().as_ref()) else {
                continue;
            };
            let DeValue::Table(table) = value.get_ref() else {
                self.no_table(&format!("rules.{}", rule.word()), value);
                continue;
            };
            self.known(&format!("rules.{}", rule.word()), table);
            let number = rule as usize;
            modes.rules[number] = modes.rules[number].or(self.mode(table));
            let why = self.why(table);
            scope.why.rules[number] = scope.why.rules[number].take().or(why);
            if rule == Rule::ExecUnguarded
                && let Some(value) = table.get("reasons")
            {
                scope.reasons = Some(self.reasons(value));
            }
            let key = rule.text().list;
            let Some(value) = table.get(key).filter(|_| !key.is_empty()) else { continue };
            if matches!(rule, Rule::ExecPlace | Rule::ExecUnguarded | Rule::Namespace) {
                self.paths_of(value, rule);
            }
            match rule {
                Rule::ExecPlace => {
                    let places =
                        self.words_of(value, key, Some(defaults::default_places), |global| &global.places, place);
                    scope.places = Some(places);
                }
                Rule::ExecTool => {
                    let tools = self.words_of(value, key, Some(defaults::default_tools), |global| &global.tools, tool);
                    scope.tools = Some(tools);
                }
                Rule::LoaderEnv => {
                    self.loaded_values(value);
                    scope.libraries = Some(self.words_of(value, key, None, |global| &global.libraries, any_text));
                }
                Rule::PhpIni => {
                    scope.settings = Some(self.words_of(value, key, None, |global| &global.settings, any_text));
                }
                Rule::ExecUnguarded => {
                    let default = Some(defaults::default_unguarded as fn() -> _);
                    scope.unguarded = Some(self.words_of(value, key, default, |global| &global.unguarded, program));
                }
                Rule::Namespace => {
                    scope.namespaces = Some(self.words_of(value, key, None, |global| &global.namespaces, program));
                }
                Rule::ListenPort => scope.listen = Some(self.ports(value, key, None, |global| &global.listen)),
                Rule::DnsDirect => scope.resolvers = Some(self.resolvers(value, key)),
                Rule::Metadata => {
                    let addresses =
                        self.networks(value, key, Some(defaults::default_metadata), |global| &global.metadata);
                    scope.metadata = Some(addresses);
                }
                _ => {}
            }
        }
    }

    /// Name servers; "default" stands for those of /etc/resolv.conf, which are read later.
    fn resolvers(&mut self, value: &Value<'_>, key: &str) -> (bool, Vec<Net>) {
        let mut out = (false, Vec::new());
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            let default: fn() -> (bool, Vec<Net>) = || (true, Vec::new());
            if let Some((default, others)) =
                self.word(item, &text, key, Some(default), |global| global.resolvers.clone())
            {
                out.0 |= default;
                out.1.extend(others);
                continue;
            }
            match entry::network(&text) {
                Ok(net) => out.1.push(Net { net, ports: DNS, origin: self.origin(item, key) }),
                Err(wrong) => self.error(item.span(), wrong.message, wrong.help),
            }
        }
        out
    }

    /// The bits of the words for why a program is unguarded.
    fn reasons(&mut self, value: &Value<'_>) -> u16 {
        let mut bits = 0;
        for item in self.items(value) {
            if let Some(word) = self.one_of(item, &REASONS) {
                bits |= reason(&word);
            }
        }
        bits
    }

    pub(super) fn backstop(&mut self, backstop: &DeTable<'_>, config: &mut crate::model::Config) {
        use portcullis_policy::BackstopKind;
        self.known("backstop", backstop);
        if let Some(value) = backstop.get("seccomp")
            && let Some(word) = self.one_of(value, &lists::BACKSTOPS)
        {
            config.backstop.kind = match word.as_str() {
                "log" => BackstopKind::Log,
                "supervise" => BackstopKind::Supervise,
                _ => BackstopKind::Off,
            };
        }
        if let Some(value) = backstop.get("no_new_privs") {
            match value.get_ref() {
                DeValue::Boolean(wanted) => {
                    config.backstop.no_new_privs = *wanted;
                    if *wanted {
                        let message = "setuid and setgid programs that a worker starts (sendmail, postdrop, suexec) run \
                                       without their privileges where it is used";
                        self.warn(
                            value.span(),
                            message.into(),
                            "remove it if the worker drops root privileges itself: the filter is loaded then".into(),
                        );
                    }
                }
                other => self.not_boolean(value, other),
            }
        }
    }
}
