//! Values of keys: lists of ports, networks, destinations, shells and commands.

use super::{Reader, Value, defaults};
use crate::entry::{self, Target};
use crate::model::{From, Net, ScopeConfig};
use toml::de::DeValue;

impl Reader<'_> {
    /// A list of the global scope, for the word "global" in a virtual host's.
    fn of_global<T>(&self, list: impl Fn(&ScopeConfig) -> Option<Vec<T>>) -> Option<Vec<T>> {
        self.global.as_ref().and_then(|global| list(global))
    }

    pub(super) fn common_ports(&mut self, value: &Value<'_>) -> Vec<From<(u16, u16)>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            match item.get_ref() {
                DeValue::String(word) if word == "default" => out.extend(defaults::default_ports()),
                DeValue::String(word) if word == "global" && self.global.is_some() => {
                    out.extend(self.of_global(|global| global.common.clone()).unwrap_or_else(defaults::default_ports));
                }
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

    pub(super) fn local_ranges(&mut self, value: &Value<'_>) -> Vec<Net> {
        let mut out = Vec::new();
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            match text.as_str() {
                "default" => {
                    out.extend(defaults::default_ranges());
                    continue;
                }
                "global" if self.global.is_some() => {
                    out.extend(self.of_global(|global| global.local.clone()).unwrap_or_else(defaults::default_ranges));
                    continue;
                }
                _ => {}
            }
            match entry::network(&text) {
                Ok(net) => out.push(Net { net, ports: (0, u16::MAX), origin: self.origin(item, "local_ranges") }),
                Err(why) => self.error(item.span(), why, None),
            }
        }
        out
    }

    pub(super) fn destinations(&mut self, value: &Value<'_>, key: &str) -> Vec<Net> {
        let mut out = Vec::new();
        for item in self.items(value) {
            let Some(text) = self.string(item) else { continue };
            if text == "global" && key == "allow" && self.global.is_some() {
                out.extend(self.of_global(|global| global.allow.clone()).unwrap_or_default());
                continue;
            }
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

    pub(super) fn shells(&mut self, value: &Value<'_>) -> Vec<From<String>> {
        let mut out = Vec::new();
        for item in self.items(value) {
            match self.string(item) {
                Some(word) if word == "default" => out.extend(defaults::default_shells()),
                Some(word) if word == "global" && self.global.is_some() => {
                    out.extend(self.of_global(|global| global.shells.clone()).unwrap_or_else(defaults::default_shells));
                }
                Some(name) if name.is_empty() || name.contains(['/', '\0']) => {
                    self.error(item.span(), "a shell is named without its folder".into(), None);
                }
                Some(value) => out.push(From { value, origin: self.origin(item, "shells") }),
                None => {}
            }
        }
        out
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
                    Ok(value) => out.push(From { value, origin: self.origin(item, "allow") }),
                    Err(why) => self.error(item.span(), why, None),
                },
                None => {}
            }
        }
        out
    }
}
