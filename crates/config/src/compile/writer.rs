//! The sections of a compiled policy as they are written; equal texts, clauses, port lists and address sets once.

use crate::model::{self, Net, Origin};
use crate::nets;
use crate::read::defaults;
use portcullis_policy::command::token_hash;
use portcullis_policy::format::{
    AddrSet, Clause, Command, Header, Host, MAGIC, Net4, Net6, Ports, ProgramEntry, Range, SECTIONS, Section,
    StringRange, VERSION, checksum,
};
use portcullis_policy::vhost::{Key, key_hash};
use std::collections::HashMap;
use zerocopy::{Immutable, IntoBytes};

#[derive(Default)]
pub(super) struct Writer {
    /// What makes a destination ordinary is one clause.
    is_brief: bool,
    sections: [Vec<u8>; SECTIONS],
    texts: HashMap<Vec<u8>, StringRange>,
    clauses: HashMap<Origin, u32>,
    ports: HashMap<Vec<(u16, u16, u32)>, Range>,
}

fn ordinary() -> Origin {
    Origin { text: "a local range or a common port".into(), file: None, line: 0 }
}

pub(super) fn range(start: usize, len: usize) -> Range {
    Range { start: (start as u32).into(), len: (len as u32).into() }
}

impl Writer {
    /// One by which what makes a destination ordinary is one clause.
    pub(super) fn brief() -> Writer {
        Writer { is_brief: true, ..Writer::default() }
    }

    /// The built-in local ranges.
    pub(super) fn default_ranges(&self) -> Vec<Net> {
        let mut ranges = defaults::default_ranges();
        if self.is_brief {
            ranges.iter_mut().for_each(|range| range.origin = ordinary());
        }
        ranges
    }

    /// The built-in common ports.
    pub(super) fn default_ports(&self) -> Vec<model::From<(u16, u16)>> {
        let mut common = defaults::default_ports();
        if self.is_brief {
            common.iter_mut().for_each(|port| port.origin = ordinary());
        }
        common
    }

    pub(super) fn addresses(&mut self, entries: &[Net]) -> AddrSet {
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

    /// Adds a record; gives its index.
    pub(super) fn record(&mut self, section: Section, record: &(impl IntoBytes + Immutable)) -> u32 {
        let bytes = record.as_bytes();
        let out = &mut self.sections[section as usize];
        let index = out.len() / bytes.len();
        out.extend_from_slice(bytes);
        index as u32
    }

    /// Texts in the section of tokens.
    pub(super) fn tokens(&mut self, texts: &[String]) -> Range {
        let start = self.sections[Section::Tokens as usize].len() / size_of::<StringRange>();
        for text in texts {
            let text = self.text(text.as_bytes());
            self.record(Section::Tokens, &text);
        }
        range(start, texts.len())
    }

    pub(super) fn port_list(&mut self, list: Vec<(u16, u16, u32)>) -> Range {
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

    pub(super) fn names(&mut self, mut names: Vec<model::From<String>>) -> Range {
        names.sort_by(|a, b| a.value.cmp(&b.value));
        names.dedup_by(|a, b| a.value == b.value);
        let start = self.sections[Section::Names as usize].len() / size_of::<ProgramEntry>();
        for name in &names {
            let clause = self.clause(&name.origin);
            let text = self.text_within(&name.origin.text, &name.value);
            let record = ProgramEntry { text, clause: clause.into() };
            self.sections[Section::Names as usize].extend_from_slice(record.as_bytes());
        }
        range(start, names.len())
    }

    /// Names of hosts with ports.
    pub(super) fn hosts(&mut self, hosts: &[model::Host]) -> Range {
        let hashed = |host: &model::Host| match host.name.strip_prefix('*') {
            Some(suffix) => (key_hash(Key::Suffix, suffix.as_bytes()), suffix.to_owned()),
            None => (key_hash(Key::Name, host.name.as_bytes()), host.name.clone()),
        };
        let mut hosts: Vec<_> = hosts.iter().map(|host| (hashed(host), host)).collect();
        hosts.sort_by_key(|((hash, _), _)| *hash);
        let start = self.sections[Section::Hosts as usize].len() / size_of::<Host>();
        for ((hash, text), host) in &hosts {
            let record = Host {
                hash: (*hash).into(),
                text: self.text(text.as_bytes()),
                low: host.ports.0.into(),
                high: host.ports.1.into(),
                clause: self.clause(&host.origin).into(),
            };
            self.record(Section::Hosts, &record);
        }
        range(start, hosts.len())
    }

    pub(super) fn commands(&mut self, commands: Vec<model::From<Vec<String>>>) -> Range {
        let hash = |tokens: &[String]| match tokens[0].contains(['*', '?']) {
            true => 0,
            false => token_hash(tokens[0].as_bytes()),
        };
        let mut commands: Vec<_> = commands.into_iter().map(|command| (hash(&command.value), command)).collect();
        commands.sort_by_key(|(hash, _)| *hash);
        let start = self.sections[Section::Commands as usize].len() / size_of::<Command>();
        for (hash, command) in &commands {
            let first = self.sections[Section::Tokens as usize].len() / size_of::<StringRange>();
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

    pub(super) fn clause(&mut self, origin: &Origin) -> u32 {
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

    pub(super) fn text(&mut self, bytes: &[u8]) -> StringRange {
        if let Some(known) = self.texts.get(bytes) {
            return *known;
        }
        let out = &mut self.sections[Section::Strings as usize];
        let text = range(out.len(), bytes.len());
        out.extend_from_slice(bytes);
        self.texts.insert(bytes.to_vec(), text);
        text
    }

    /// A text that may be part of another one, which is there already.
    fn text_within(&mut self, whole: &str, part: &str) -> StringRange {
        match (self.texts.get(whole.as_bytes()), whole.find(part)) {
            (Some(known), Some(at)) => range(known.start.get() as usize + at, part.len()),
            _ => self.text(part.as_bytes()),
        }
    }

    pub(super) fn finish(self, sinks: u32, backstop: u32, log_file: StringRange) -> Vec<u8> {
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
            backstop: backstop.into(),
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
