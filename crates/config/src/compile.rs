//! The model to the bytes of a compiled policy.

use crate::lists;
use crate::model::{Config, Net, Origin, ScopeConfig};
use crate::{nets, read};
use portcullis_policy::command::token_hash;
use portcullis_policy::format::{
    AddrSet, Clause, Command, Header, MAGIC, Name, Net4, Net6, Ports, Range, SECTIONS, Scope, Section, Source, Text,
    VERSION, checksum,
};
use portcullis_policy::{Mode, RULES};
use std::collections::HashMap;
use zerocopy::IntoBytes;

/// Compiles `config`.
#[must_use]
pub fn compile(config: &Config) -> Vec<u8> {
    let mut writer = Writer::default();
    let scope = writer.scope(&config.global, config);
    writer.sections[Section::Scopes as usize].extend_from_slice(scope.as_bytes());
    for source in &config.sources {
        let mut path = source.path.as_os_str().as_encoded_bytes().to_vec();
        path.push(0);
        let record = Source { path: writer.text(&path), mtime: source.mtime.into(), size: source.size.into() };
        writer.sections[Section::Sources as usize].extend_from_slice(record.as_bytes());
    }
    let mut file = config.log_file.as_os_str().as_encoded_bytes().to_vec();
    file.push(0);
    let log_file = writer.text(&file);
    let sinks = config.sinks.iter().fold(0, |bits, sink| bits | *sink as u32);
    writer.finish(sinks, log_file)
}

#[derive(Default)]
struct Writer {
    sections: [Vec<u8>; SECTIONS],
    texts: HashMap<Vec<u8>, Text>,
    clauses: HashMap<Origin, u32>,
    ports: HashMap<Vec<(u16, u16, u32)>, Range>,
}

fn range(start: usize, len: usize) -> Range {
    Range { start: (start as u32).into(), len: (len as u32).into() }
}

impl Writer {
    fn scope(&mut self, scope: &ScopeConfig, config: &Config) -> Scope {
        let all = scope.modes.all.unwrap_or(Mode::Audit);
        let mut modes = [scope.modes.egress.unwrap_or(all) as u8, scope.modes.exec.unwrap_or(all) as u8];
        if let Some(force) = config.force {
            modes = [force as u8; RULES];
        }
        let common = scope.common.clone().unwrap_or_else(read::default_ports);
        let local = scope.local.clone().unwrap_or_else(read::default_ranges);
        let shells = scope.shells.clone().unwrap_or_else(read::default_shells);
        let commands = scope.commands.clone().unwrap_or_else(read::default_commands);
        let resolver = |address: &std::net::IpAddr| Net {
            net: (*address).into(),
            ports: (53, 53),
            origin: Origin { text: format!("name server {address}"), file: Some("/etc/resolv.conf".into()), line: 0 },
        };
        let resolvers: Vec<Net> = config.resolvers.iter().map(resolver).collect();
        let built_in = |text: &str| Origin { text: text.into(), file: None, line: 0 };
        let probe = self.clause(&built_in("a datagram socket that only learns its own address"));
        let egress_default = built_in("no allow entry, local range or common port has this destination");
        let common =
            common.iter().enumerate().map(|(index, ports)| (ports.value.0, ports.value.1, index, &ports.origin));
        let common: Vec<_> = common.collect();
        let merged = nets::merge(common.iter().map(|(low, high, index, _)| (*low, *high, *index)));
        let merged = merged.into_iter().map(|(low, high, index)| (low, high, self.clause(common[index].3))).collect();
        let mut probes = lists::PROBE_PORTS;
        probes.sort_unstable();
        Scope {
            modes,
            egress_errno: scope.egress_errno.unwrap_or(13).into(),
            exec_errno: scope.exec_errno.unwrap_or(13).into(),
            deny: self.addresses(&scope.deny),
            allow: self.addresses(&scope.allow),
            local: self.addresses(&local),
            resolvers: self.addresses(&resolvers),
            common: self.port_list(merged),
            probes: self.port_list(probes.iter().map(|port| (*port, *port, probe)).collect()),
            shells: self.names(shells),
            commands: self.commands(commands),
            egress_default: self.clause(&egress_default).into(),
        }
    }

    fn addresses(&mut self, entries: &[Net]) -> AddrSet {
        let indexed: Vec<(usize, &Net)> = entries.iter().enumerate().collect();
        let mut lists = [true, false].map(|v4| {
            let section = if v4 { Section::Net4 } else { Section::Net6 };
            let size = if v4 { size_of::<Net4>() } else { size_of::<Net6>() };
            let start = self.sections[section as usize].len() / size;
            let intervals = nets::flatten(&indexed, v4);
            let count = intervals.len();
            for (first, ports) in intervals {
                let ports =
                    ports.into_iter().map(|(low, high, at)| (low, high, self.clause(&entries[at].origin))).collect();
                let ports = self.port_list(ports);
                let out = &mut self.sections[section as usize];
                if v4 {
                    out.extend_from_slice(Net4 { start: (first as u32).into(), ports }.as_bytes());
                } else {
                    out.extend_from_slice(Net6 { start: first.into(), ports }.as_bytes());
                }
            }
            range(start, count)
        });
        AddrSet { v4: std::mem::take(&mut lists[0]), v6: std::mem::take(&mut lists[1]) }
    }

    fn port_list(&mut self, list: Vec<(u16, u16, u32)>) -> Range {
        if let Some(known) = self.ports.get(&list) {
            return *known;
        }
        let out = &mut self.sections[Section::Ports as usize];
        let at = range(out.len() / size_of::<Ports>(), list.len());
        for &(low, high, clause) in &list {
            out.extend_from_slice(Ports { low: low.into(), high: high.into(), clause: clause.into() }.as_bytes());
        }
        self.ports.insert(list, at);
        at
    }

    fn names(&mut self, mut names: Vec<crate::model::From<String>>) -> Range {
        names.sort_by(|a, b| a.value.cmp(&b.value));
        names.dedup_by(|a, b| a.value == b.value);
        let start = self.sections[Section::Names as usize].len() / size_of::<Name>();
        for name in &names {
            let record = Name { text: self.text(name.value.as_bytes()), clause: self.clause(&name.origin).into() };
            self.sections[Section::Names as usize].extend_from_slice(record.as_bytes());
        }
        range(start, names.len())
    }

    fn commands(&mut self, commands: Vec<crate::model::From<Vec<String>>>) -> Range {
        let hash = |tokens: &[String]| match tokens[0].contains(['*', '?']) {
            true => 0,
            false => token_hash(tokens[0].as_bytes()),
        };
        let mut commands: Vec<_> = commands.into_iter().map(|command| (hash(&command.value), command)).collect();
        commands.sort_by_key(|(hash, _)| *hash);
        let start = self.sections[Section::Commands as usize].len() / size_of::<Command>();
        for (hash, command) in &commands {
            let first = self.sections[Section::Tokens as usize].len() / size_of::<Text>();
            for token in &command.value {
                let text = self.text(token.as_bytes());
                self.sections[Section::Tokens as usize].extend_from_slice(text.as_bytes());
            }
            let tokens = range(first, command.value.len());
            let record = Command { hash: (*hash).into(), tokens, clause: self.clause(&command.origin).into() };
            self.sections[Section::Commands as usize].extend_from_slice(record.as_bytes());
        }
        range(start, commands.len())
    }

    fn clause(&mut self, origin: &Origin) -> u32 {
        if let Some(known) = self.clauses.get(origin) {
            return *known;
        }
        let file = origin.file.as_ref().map(|file| file.as_os_str().as_encoded_bytes().to_vec()).unwrap_or_default();
        let record =
            Clause { text: self.text(origin.text.as_bytes()), file: self.text(&file), line: origin.line.into() };
        let out = &mut self.sections[Section::Clauses as usize];
        let index = (out.len() / size_of::<Clause>()) as u32;
        out.extend_from_slice(record.as_bytes());
        self.clauses.insert(origin.clone(), index);
        index
    }

    fn text(&mut self, bytes: &[u8]) -> Text {
        if let Some(known) = self.texts.get(bytes) {
            return *known;
        }
        let out = &mut self.sections[Section::Strings as usize];
        let text = range(out.len(), bytes.len());
        out.extend_from_slice(bytes);
        self.texts.insert(bytes.to_vec(), text);
        text
    }

    fn finish(self, sinks: u32, log_file: Text) -> Vec<u8> {
        let mut sections = [Range::default(); SECTIONS];
        let mut at = size_of::<Header>();
        for (section, bytes) in sections.iter_mut().zip(&self.sections) {
            *section = range(at, bytes.len());
            at += bytes.len();
        }
        let mut header = Header {
            magic: MAGIC,
            version: VERSION.into(),
            length: (at as u32).into(),
            checksum: 0.into(),
            sinks: sinks.into(),
            log_file,
            sections,
        };
        let mut out = header.as_bytes().to_vec();
        out.extend(self.sections.iter().flatten());
        header.checksum = checksum(&out[24..]).into();
        out[..size_of::<Header>()].copy_from_slice(header.as_bytes());
        out
    }
}
