//! Scopes: the global one, the strictest one, and those of virtual hosts, each complete in itself.

use super::writer::Writer;
use crate::model::{Config, Destinations, From, Host, Net, Origin, ScopeConfig};
use crate::nets;
use crate::read::defaults;
use crate::{lists, modes};
use portcullis_policy::exec::{MISSING, SANITIZER, reason};
use portcullis_policy::format::{AddrSet, Range, Scope, Section, StringRange};
use portcullis_policy::{Mode, RULE_TEXTS, RULES};
use std::collections::BTreeMap;

fn built_in(text: &str) -> Origin {
    Origin { text: text.into(), file: None, line: 0 }
}

/// A scope, and what of the global one holds in every other that does not say otherwise.
#[derive(Default)]
pub(super) struct Scopes {
    global: Scope,
    /// What is enforced of the global scope's places where a mode says so.
    grave: Range,
}

impl Scopes {
    /// Scope 0.
    pub(super) fn global(&mut self, config: &Config, writer: &mut Writer) {
        let probe = writer.clause(&built_in("a datagram socket that only learns its own address"));
        let mut probes = lists::PROBE_PORTS;
        probes.sort_unstable();
        self.global = Scope {
            reasons: (reason("setuid") | reason(MISSING) | reason(SANITIZER)).into(),
            egress_errno: 13.into(),
            exec_errno: 13.into(),
            local: writer.addresses(&writer.default_ranges()),
            resolvers: writer.addresses(&resolvers(true, &[], config)),
            common: ports(&writer.default_ports(), writer),
            probes: writer.port_list(probes.iter().map(|port| (*port, *port, probe)).collect()),
            shells: writer.names(defaults::default_shells()),
            commands: writer.commands(defaults::default_commands()),
            metadata: writer.addresses(&defaults::default_metadata()),
            places: writer.names(defaults::default_places()),
            tools: writer.names(defaults::default_tools()),
            unguarded: writer.names(defaults::default_unguarded()),
            defaults: RULE_TEXTS.each_ref().map(|rule| writer.clause(&built_in(rule.otherwise)).into()),
            ..Scope::default()
        };
        let places = config.global.places.clone().unwrap_or_else(defaults::default_places);
        self.grave = writer.names(modes::grave(places));
        self.global = self.merged(&config.global, config, writer);
        writer.record(Section::Scopes, &self.global);
    }

    /// The global scope with what `own` says put over it.
    fn merged(&self, own: &ScopeConfig, config: &Config, writer: &mut Writer) -> Scope {
        let mut scope = self.global;
        let modes = modes::of(own, config);
        scope.modes = modes.rules.map(|mode| mode as u8);
        if let Some(errno) = own.egress_errno {
            scope.egress_errno = errno.into();
        }
        if let Some(errno) = own.exec_errno {
            scope.exec_errno = errno.into();
        }
        if !own.deny.nets.is_empty() {
            scope.deny = writer.addresses(&all_denied(own, config, |deny| &deny.nets));
        }
        if !own.deny.hosts.is_empty() {
            scope.deny_names = writer.hosts(&all_denied(own, config, |deny| &deny.hosts));
        }
        if let Some(allow) = &own.allow {
            scope.allow = writer.addresses(&allow.nets);
            scope.allow_names = writer.hosts(&allow.hosts);
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
        if let Some(places) = &own.places {
            scope.places = writer.names(places.clone());
        }
        scope.enforced_places = match &own.places {
            _ if !modes.grave_places => Range::default(),
            None => self.grave,
            Some(places) => writer.names(modes::grave(places.clone())),
        };
        if let Some(tools) = &own.tools {
            scope.tools = writer.names(tools.clone());
        }
        if let Some(libraries) = &own.libraries {
            scope.libraries = writer.names(libraries.clone());
        }
        if let Some(listen) = &own.listen {
            scope.listen = ports(listen, writer);
        }
        if let Some(metadata) = &own.metadata {
            scope.metadata = writer.addresses(metadata);
        }
        if let Some((default, others)) = &own.resolvers {
            scope.resolvers = writer.addresses(&resolvers(*default, others, config));
        }
        if let Some(settings) = &own.settings {
            scope.settings = writer.names(settings.clone());
        }
        if let Some(unguarded) = &own.unguarded {
            scope.unguarded = writer.names(unguarded.clone());
        }
        if let Some(reasons) = own.reasons {
            scope.reasons = reasons.into();
        }
        if let Some(namespaces) = &own.namespaces {
            scope.namespaces = writer.names(namespaces.clone());
        }
        for (why, rule) in scope.why.iter_mut().zip(&own.why.rules) {
            if let Some(text) = rule.as_ref().or(own.why.all.as_ref()) {
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
        let (mut strictest, mut grave_places) = ([Mode::Off; RULES], false);
        for scope in &all {
            let own = modes::of(scope, config);
            grave_places |= own.grave_places;
            for (mode, own) in strictest.iter_mut().zip(own.rules) {
                *mode = own.max(*mode);
            }
        }
        let deny: Vec<Net> = all.iter().flat_map(|scope| scope.deny.nets.iter().cloned()).collect();
        let deny_names: Vec<Host> = all.iter().flat_map(|scope| scope.deny.hosts.iter().cloned()).collect();
        let metadata: Vec<Net> = all
            .iter()
            .filter_map(|scope| scope.metadata.clone())
            .flatten()
            .chain(defaults::default_metadata())
            .collect();
        let mut common = config.global.common.clone().unwrap_or_else(|| writer.default_ports());
        for list in config.vhosts.iter().filter_map(|vhost| vhost.scope.common.as_ref()) {
            common = in_both(&common, list);
        }
        // Where a virtual host has ranges of its own, only loopback is certainly in all of them or harmless.
        let local = match config.vhosts.iter().any(|vhost| vhost.scope.local.is_some()) {
            true => AddrSet::default(),
            false => self.global.local,
        };
        let union = |list: fn(&ScopeConfig) -> &Option<Vec<From<String>>>, default: Vec<From<String>>| {
            let mut all_of: BTreeMap<String, From<String>> = BTreeMap::new();
            for item in all.iter().filter_map(|scope| list(scope).clone()).flatten().chain(default) {
                all_of.entry(item.value.clone()).or_insert(item);
            }
            all_of.into_values().collect::<Vec<_>>()
        };
        let shells = union(|scope| &scope.shells, defaults::default_shells());
        let places = union(|scope| &scope.places, defaults::default_places());
        let tools = union(|scope| &scope.tools, defaults::default_tools());
        let scope = Scope {
            modes: strictest.map(|mode| mode as u8),
            deny: writer.addresses(&deny),
            allow: AddrSet::default(),
            allow_names: Range::default(),
            deny_names: writer.hosts(&deny_names),
            local,
            common: ports(&common, writer),
            shells: writer.names(shells),
            commands: Range::default(),
            metadata: writer.addresses(&metadata),
            enforced_places: if grave_places { writer.names(modes::grave(places.clone())) } else { Range::default() },
            places: writer.names(places),
            tools: writer.names(tools),
            libraries: Range::default(),
            listen: Range::default(),
            settings: Range::default(),
            unguarded: Range::default(),
            namespaces: Range::default(),
            reasons: u16::MAX.into(),
            why: [StringRange::default(); RULES],
            ..self.global
        };
        writer.record(Section::Scopes, &scope);
    }
}

/// Name servers, each by DNS and by DNS over TLS (RFC 7858).
fn resolvers(default: bool, others: &[Net], config: &Config) -> Vec<Net> {
    let of_file = |address: &std::net::IpAddr| Net {
        net: (*address).into(),
        ports: (53, 53),
        origin: Origin { text: format!("name server {address}"), file: Some("/etc/resolv.conf".into()), line: 0 },
    };
    let mut all: Vec<Net> = others.to_vec();
    if default {
        all.extend(config.resolvers.iter().map(of_file));
    }
    let by_tls: Vec<Net> = all.iter().map(|net| Net { ports: (853, 853), ..net.clone() }).collect();
    all.extend(by_tls);
    all
}

/// What the global scope and `own` deny.
fn all_denied<T: Clone>(own: &ScopeConfig, config: &Config, of: fn(&Destinations) -> &Vec<T>) -> Vec<T> {
    let mut deny = of(&config.global.deny).clone();
    if !std::ptr::eq(own, &raw const config.global) {
        deny.extend(of(&own.deny).iter().cloned());
    }
    deny
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
