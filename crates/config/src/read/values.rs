//! Values of keys: lists of ports, networks, destinations, shells and commands.

use super::entries::{self, WordCheck};
use super::{Reader, Value, defaults};
use crate::entry::{self, DestinationEntry};
use crate::model::{Destinations, From, Host, Net, ScopeConfig};
use toml::de::DeValue;

/// A list of a scope, for the word "global".
type Of<T> = fn(&ScopeConfig) -> &Option<Vec<T>>;
/// A built-in list, for the word "default".
type Default<T> = Option<fn() -> T>;

impl Reader<'_> {
    /// What the words "default" and "global" stand for in a list; `None` for any other word.
    pub(super) fn word<T: std::default::Default>(
        &mut self,
        item: &Value<'_>,
        word: &str,
        key: &str,
        default: Default<T>,
        of: impl Fn(&ScopeConfig) -> Option<T>,
    ) -> Option<T> {
        let (message, help) = match (word, default, &self.global) {
            ("default", Some(default), _) => return Some(default()),
            ("global", default, Some(global)) => {
                return Some(of(global).or_else(|| default.map(|default| default())).unwrap_or_default());
            }
            ("default", None, _) => (format!("`{key}` has no built-in list"), "remove `\"default\"`"),
            ("global", _, None) => (
                "`\"global\"` stands for the global list, and this is the global list".into(),
                "remove `\"global\"`: it is for the lists of a virtual host",
            ),
            _ => return None,
        };
        self.error(item.span(), message, help.into());
        Some(T::default())
    }

    pub(super) fn common_ports(&mut self, value: &Value<'_>) -> Vec<From<(u16, u16)>> {
        self.ports(value, "common_ports", Some(defaults::default_ports), |global| &global.common)
    }

    /// A list of ports and ranges, with what the words "default" and "global" stand for.
    pub(super) fn ports(
        &mut self,
        value: &Value<'_>,
        key: &str,
        default: Default<Vec<From<(u16, u16)>>>,
        of: Of<From<(u16, u16)>>,
    ) -> Vec<From<(u16, u16)>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            match item.get_ref() {
                DeValue::String(text) => {
                    if let Some(ports) = self.word(item, text, key, default, |global| of(global).clone()) {
                        out.extend(ports);
                        continue;
                    }
                    match entry::ports(text) {
                        Ok(value) => out.push(From { value, origin: self.origin(item, key) }),
                        Err(wrong) => self.error(item.span(), wrong.message, wrong.help),
                    }
                }
                DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(port @ 0..=65535) => {
                        let value = (port as u16, port as u16);
                        out.push(From { value, origin: self.origin(item, key) });
                    }
                    _ => {
                        let wrong = entry::no_port(number.as_str());
                        self.error(item.span(), wrong.message, wrong.help);
                    }
                },
                other => {
                    self.wrong(item.span(), "a port", other, "write a port, a range such as \"8000-8010\"".into());
                }
            }
        }
        out
    }

    /// A list of words, with what the words "default" and "global" stand for; `fine` says what is wrong with one.
    pub(super) fn words_of(
        &mut self,
        value: &Value<'_>,
        key: &str,
        default: Default<Vec<From<String>>>,
        of: Of<From<String>>,
        fine: WordCheck,
    ) -> Vec<From<String>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            let Some(value) = self.string(item) else { continue };
            if let Some(words) = self.word(item, &value, key, default, |global| of(global).clone()) {
                out.extend(words);
                continue;
            }
            match fine(&value) {
                Ok(()) => out.push(From { value, origin: self.origin(item, key) }),
                Err(wrong) => self.error(item.span(), wrong.message, wrong.help),
            }
        }
        out
    }

    pub(super) fn local_ranges(&mut self, value: &Value<'_>) -> Vec<Net> {
        self.networks(value, "local_ranges", Some(defaults::default_ranges), |global| &global.local)
    }

    /// A list of networks, with what the words "default" and "global" stand for.
    pub(super) fn networks(
        &mut self,
        value: &Value<'_>,
        key: &str,
        default: Default<Vec<Net>>,
        of: Of<Net>,
    ) -> Vec<Net> {
        let mut out = Vec::new();
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            if let Some(nets) = self.word(item, &text, key, default, |global| of(global).clone()) {
                out.extend(nets);
                continue;
            }
            match entry::network(&text) {
                Ok(net) => out.push(Net { net, ports: (0, u16::MAX), origin: self.origin(item, key) }),
                Err(wrong) => self.error(item.span(), wrong.message, wrong.help),
            }
        }
        out
    }

    pub(super) fn destinations(&mut self, value: &Value<'_>, key: &str) -> Destinations {
        let mut out = Destinations::default();
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            if text == "global" && key == "deny" && self.global.is_some() {
                let message = "`deny` of a virtual host adds to the global list".into();
                self.error(item.span(), message, "remove `\"global\"`".into());
                continue;
            }
            if let Some(global) = self.word(item, &text, key, None, |global| global.allow.clone()) {
                out.nets.extend(global.nets);
                out.hosts.extend(global.hosts);
                continue;
            }
            match entry::destination(&text) {
                Ok((DestinationEntry::Net(net), ports)) => {
                    out.nets.push(Net { net, ports, origin: self.origin(item, key) })
                }
                Ok((DestinationEntry::Name(name), ports)) => {
                    out.hosts.push(Host { name, ports, origin: self.origin(item, key) });
                }
                Err(wrong) => self.error(item.span(), wrong.message, wrong.help),
            }
        }
        out
    }

    pub(super) fn shells(&mut self, value: &Value<'_>) -> Vec<From<String>> {
        self.words_of(value, "shells", Some(defaults::default_shells), |global| &global.shells, entries::shell)
    }

    pub(super) fn commands(&mut self, value: &Value<'_>) -> Vec<From<Vec<String>>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            let default: Default<_> = Some(defaults::default_commands);
            if let Some(commands) = self.word(item, &text, "allow", default, |global| global.commands.clone()) {
                out.extend(commands);
                continue;
            }
            match entry::command(&text) {
                Ok(value) => {
                    self.command_of(item, &text, &value);
                    out.push(From { value, origin: self.origin(item, "allow") });
                }
                Err(wrong) => self.error(item.span(), wrong.message, wrong.help),
            }
        }
        out
    }
}
