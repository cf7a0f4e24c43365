//! Values of keys: lists of ports, networks, destinations, shells and commands.

use super::{Reader, Value, defaults};
use crate::entry::{self, Target};
use crate::model::{Destinations, From, Host, Net, ScopeConfig};
use toml::de::DeValue;

/// A list of a scope, for the word "global".
type Of<T> = fn(&ScopeConfig) -> &Option<Vec<T>>;

impl Reader<'_> {
    /// A list of the global scope, for the word "global" in a virtual host's.
    fn of_global<T>(&self, list: impl Fn(&ScopeConfig) -> Option<Vec<T>>) -> Option<Vec<T>> {
        self.global.as_ref().and_then(|global| list(global))
    }

    pub(super) fn common_ports(&mut self, value: &Value<'_>) -> Vec<From<(u16, u16)>> {
        self.ports(value, "common_ports", defaults::default_ports, |global| &global.common)
    }

    /// A list of ports and ranges, with what the words "default" and "global" stand for.
    pub(super) fn ports(
        &mut self,
        value: &Value<'_>,
        key: &str,
        default: fn() -> Vec<From<(u16, u16)>>,
        of: Of<From<(u16, u16)>>,
    ) -> Vec<From<(u16, u16)>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            match item.get_ref() {
                DeValue::String(word) if word == "default" => out.extend(default()),
                DeValue::String(word) if word == "global" && self.global.is_some() => {
                    out.extend(self.of_global(|global| of(global).clone()).unwrap_or_else(default));
                }
                DeValue::String(text) => match entry::ports(text) {
                    Ok(value) => out.push(From { value, origin: self.origin(item, key) }),
                    Err(why) => self.error(item.span(), why, None),
                },
                DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(port @ 0..=65535) => {
                        let value = (port as u16, port as u16);
                        out.push(From { value, origin: self.origin(item, key) });
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

    /// A list of words, with what the words "default" and "global" stand for; `fine` says what is wrong with one.
    pub(super) fn words_of(
        &mut self,
        value: &Value<'_>,
        key: &str,
        default: fn() -> Vec<From<String>>,
        of: Of<From<String>>,
        fine: fn(&str) -> Result<(), &'static str>,
    ) -> Vec<From<String>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            match self.string(item) {
                Some(word) if word == "default" => out.extend(default()),
                Some(word) if word == "global" && self.global.is_some() => {
                    out.extend(self.of_global(|global| of(global).clone()).unwrap_or_else(default));
                }
                Some(value) => match fine(&value) {
                    Ok(()) => out.push(From { value, origin: self.origin(item, key) }),
                    Err(why) => self.error(item.span(), why.to_owned(), None),
                },
                None => {}
            }
        }
        out
    }

    pub(super) fn local_ranges(&mut self, value: &Value<'_>) -> Vec<Net> {
        self.networks(value, "local_ranges", defaults::default_ranges, |global| &global.local)
    }

    /// A list of networks, with what the words "default" and "global" stand for.
    pub(super) fn networks(
        &mut self,
        value: &Value<'_>,
        key: &str,
        default: fn() -> Vec<Net>,
        of: Of<Net>,
    ) -> Vec<Net> {
        let mut out = Vec::new();
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            match text.as_str() {
                "default" => out.extend(default()),
                "global" if self.global.is_some() => {
                    out.extend(self.of_global(|global| of(global).clone()).unwrap_or_else(default));
                }
                text => match entry::network(text) {
                    Ok(net) => out.push(Net { net, ports: (0, u16::MAX), origin: self.origin(item, key) }),
                    Err(why) => self.error(item.span(), why, None),
                },
            }
        }
        out
    }

    pub(super) fn destinations(&mut self, value: &Value<'_>, key: &str) -> Destinations {
        let mut out = Destinations::default();
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            if text == "global" && key == "allow" && self.global.is_some() {
                let global = self.global.as_ref().and_then(|global| global.allow.clone()).unwrap_or_default();
                out.nets.extend(global.nets);
                out.hosts.extend(global.hosts);
                continue;
            }
            match entry::destination(&text) {
                Ok((Target::Net(net), ports)) => out.nets.push(Net { net, ports, origin: self.origin(item, key) }),
                Ok((Target::Name(name), ports)) => {
                    out.hosts.push(Host { name, ports, origin: self.origin(item, key) });
                }
                Err(why) => self.error(item.span(), why, None),
            }
        }
        out
    }

    pub(super) fn shells(&mut self, value: &Value<'_>) -> Vec<From<String>> {
        self.words_of(
            value,
            "shells",
            defaults::default_shells,
            |global| &global.shells,
            |name| match name.is_empty() || name.contains(['/', '\0']) {
                true => Err("a shell is named without its folder"),
                false => Ok(()),
            },
        )
    }

    pub(super) fn commands(&mut self, value: &Value<'_>) -> Vec<From<Vec<String>>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            match self.string(item) {
                Some(word) if word == "default" => out.extend(defaults::default_commands()),
                Some(word) if word == "global" && self.global.is_some() => {
                    out.extend(
                        self.of_global(|global| global.commands.clone()).unwrap_or_else(defaults::default_commands),
                    );
                }
                Some(text) => match entry::command(&text) {
                    Ok(value) => {
                        if let Some(program) = value.first().filter(|program| !program.contains('/')) {
                            let message = format!(
                                "`{program}` is named without its folder: the entry holds only where PATH is as at the \
                                 server's start, or has the system's folders alone"
                            );
                            let help = format!("write its whole path, for example `/usr/bin/{program}`");
                            self.warn(item.span(), message, Some(help));
                        }
                        out.push(From { value, origin: self.origin(item, "allow") });
                    }
                    Err(why) => self.error(item.span(), why, None),
                },
                None => {}
            }
        }
        out
    }
}
