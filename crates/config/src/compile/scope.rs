//! Scopes: the global one, the strictest one, and those of virtual hosts, each complete in itself.

use super::writer::Writer;
use crate::lists;
use crate::model::{Config, From, Net, Origin, ScopeConfig};
use crate::nets;
use crate::read::defaults;
use portcullis_policy::format::{AddrSet, Range, Scope, Section, Text};
use portcullis_policy::{Mode, RULES};
use std::collections::BTreeMap;

fn built_in(text: &str) -> Origin {
    Origin { text: text.into(), file: None, line: 0 }
}

/// A scope, and what of the global one holds in every other that does not say otherwise.
#[derive(Default)]
pub(super) struct Scopes {
    global: Scope,
}

/// The modes of the rules: a virtual host's rule wins over the virtual host, that over the rule, that over all.
fn modes(vhost: &ScopeConfig, config: &Config) -> [Mode; RULES] {
    if let Some(force) = config.force {
        return [force; RULES];
    }
    let global = &config.global.modes;
    let own = &vhost.modes;
    [(own.egress, global.egress), (own.exec, global.exec)]
        .map(|(own_rule, rule)| own_rule.or(own.all).or(rule).or(global.all).unwrap_or(Mode::Audit))
}

impl Scopes {
    /// Scope 0.
    pub(super) fn global(&mut self, config: &Config, writer: &mut Writer) {
        let probe = writer.clause(&built_in("a datagram socket that only learns its own address"));
        let mut probes = lists::PROBE_PORTS;
        probes.sort_unstable();
        let resolver = |address: &std::net::IpAddr| Net {
            net: (*address).into(),
            ports: (53, 53),
            origin: Origin { text: format!("name server {address}"), file: Some("/etc/resolv.conf".into()), line: 0 },
        };
        let resolvers: Vec<Net> = config.resolvers.iter().map(resolver).collect();
        let default = built_in("no allow entry, local range or common port has this destination");
        self.global = Scope {
            egress_errno: 13.into(),
            exec_errno: 13.into(),
            local: writer.addresses(&defaults::default_ranges()),
            resolvers: writer.addresses(&resolvers),
            common: ports(&defaults::default_ports(), writer),
            probes: writer.port_list(probes.iter().map(|port| (*port, *port, probe)).collect()),
            shells: writer.names(defaults::default_shells()),
            commands: writer.commands(defaults::default_commands()),
            egress_default: writer.clause(&default).into(),
            ..Scope::default()
        };
        self.global = self.merged(&config.global, config, writer);
        writer.record(Section::Scopes, &self.global);
    }

    /// The global scope with what `own` says put over it.
    fn merged(&self, own: &ScopeConfig, config: &Config, writer: &mut Writer) -> Scope {
        let mut scope = self.global;
        scope.modes = modes(own, config).map(|mode| mode as u8);
        if let Some(errno) = own.egress_errno {
            scope.egress_errno = errno.into();
        }
        if let Some(errno) = own.exec_errno {
            scope.exec_errno = errno.into();
        }
        if !own.deny.is_empty() {
            scope.deny = denied(own, config, writer);
        }
        if let Some(allow) = &own.allow {
            scope.allow = writer.addresses(allow);
        }
        if let Some(local) = &own.local {
            scope.local = writer.addresses(local);
        }
        if let Some(common) = &own.common {
            scope.common = ports(common, writer);
        }
        if let Some(shells) = &own.shells {
            scope.shells = writer.names(shells.clone());
        }
        if let Some(commands) = &own.commands {
            scope.commands = writer.commands(commands.clone());
        }
        let whys = [own.why.egress.as_ref(), own.why.exec.as_ref()];
        for (why, rule) in scope.why.iter_mut().zip(whys) {
            if let Some(text) = rule.or(own.why.all.as_ref()) {
                *why = writer.text(text.as_bytes());
            }
        }
        scope
    }

    /// A virtual host's scope; its number.
    pub(super) fn vhost(&self, own: &ScopeConfig, config: &Config, writer: &mut Writer) -> u32 {
        let scope = self.merged(own, config, writer);
        writer.record(Section::Scopes, &scope)
    }

    /// Scope 1: never weaker than any other. Every rule as strict as anywhere, nothing allowed by name, every deny, and of
    /// ports and ranges those that are ordinary everywhere.
    pub(super) fn strictest(&self, config: &Config, writer: &mut Writer) {
        let all: Vec<&ScopeConfig> =
            std::iter::once(&config.global).chain(config.vhosts.iter().map(|vhost| &vhost.scope)).collect();
        let mut strictest = [Mode::Off; RULES];
        for scope in &all {
            for (mode, own) in strictest.iter_mut().zip(modes(scope, config)) {
                *mode = own.max(*mode);
            }
        }
        let deny: Vec<Net> = all.iter().flat_map(|scope| scope.deny.iter().cloned()).collect();
        let mut common = config.global.common.clone().unwrap_or_else(defaults::default_ports);
        for list in config.vhosts.iter().filter_map(|vhost| vhost.scope.common.as_ref()) {
            common = in_both(&common, list);
        }
        // Where a virtual host has ranges of its own, only loopback is certainly in all of them or harmless.
        let local = match config.vhosts.iter().any(|vhost| vhost.scope.local.is_some()) {
            true => AddrSet::default(),
            false => self.global.local,
        };
        let mut shells: BTreeMap<String, From<String>> = BTreeMap::new();
        for shell in all.iter().filter_map(|scope| scope.shells.clone()).flatten().chain(defaults::default_shells()) {
            shells.entry(shell.value.clone()).or_insert(shell);
        }
        let scope = Scope {
            modes: strictest.map(|mode| mode as u8),
            deny: writer.addresses(&deny),
            allow: AddrSet::default(),
            local,
            common: ports(&common, writer),
            shells: writer.names(shells.into_values().collect()),
            commands: Range::default(),
            why: [Text::default(); RULES],
            ..self.global
        };
        writer.record(Section::Scopes, &scope);
    }
}

/// What the global scope and `own` deny.
fn denied(own: &ScopeConfig, config: &Config, writer: &mut Writer) -> AddrSet {
    let mut deny = config.global.deny.clone();
    if !std::ptr::eq(own, &raw const config.global) {
        deny.extend(own.deny.iter().cloned());
    }
    writer.addresses(&deny)
}

/// The ports that both lists have, with the origin in the first.
fn in_both(first: &[From<(u16, u16)>], second: &[From<(u16, u16)>]) -> Vec<From<(u16, u16)>> {
    let both = first.iter().flat_map(|a| {
        second.iter().filter_map(move |b| {
            let value = (a.value.0.max(b.value.0), a.value.1.min(b.value.1));
            (value.0 <= value.1).then(|| From { value, origin: a.origin.clone() })
        })
    });
    both.collect()
}

/// Port ranges, disjoint and sorted.
fn ports(list: &[From<(u16, u16)>], writer: &mut Writer) -> Range {
    let merged = nets::merge(list.iter().enumerate().map(|(index, range)| (range.value.0, range.value.1, index)));
    let merged = merged.into_iter().map(|(low, high, index)| (low, high, writer.clause(&list[index].origin))).collect();
    writer.port_list(merged)
}
