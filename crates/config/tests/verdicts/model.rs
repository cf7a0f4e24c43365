//! The compiled view against a slow, obvious model of the same configuration.
#![allow(clippy::disallowed_methods)]

use crate::to;
use ipnet::IpNet;
use portcullis_config::{compile, parse_text};
use portcullis_policy::egress::Transport;
use portcullis_policy::exec::ExecutedProgram;
use portcullis_policy::name::HostName;
use portcullis_policy::{Outcome, Policy};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::IpAddr;
use std::path::Path;

/// A destination: network, first and last port.
type Entry = (IpNet, (u16, u16));

/// Few addresses and ports, so that entries overlap.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..4, 0_u8..4).prop_map(|(a, b)| IpAddr::from([25, 0, a, b])),
        (0_u16..4, 0_u16..4).prop_map(|(a, b)| IpAddr::from([0x2a00, 0, 0, 0, 0, 0, a, b])),
        Just(IpAddr::from([255, 255, 255, 255])),
        Just(IpAddr::from([0xffff_u16; 8])),
        Just(IpAddr::from([10, 0, 0, 1])),
    ]
}

fn network() -> impl Strategy<Value = IpNet> {
    (address(), 0_u8..=128).prop_map(|(address, prefix)| {
        let prefix = if address.is_ipv4() { prefix.min(32) } else { prefix };
        IpNet::new(address, prefix).expect("a prefix").trunc()
    })
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![0_u16..6, Just(443), Just(4444), Just(u16::MAX)]
}

fn ports() -> impl Strategy<Value = (u16, u16)> {
    prop_oneof![
        (port(), port()).prop_map(|(a, b)| (a.min(b), a.max(b))),
        port().prop_map(|port| (port, port)),
        Just((0, u16::MAX)),
    ]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec((network(), ports()), 0..6)
}

#[derive(Debug, Clone)]
struct Model {
    deny: Vec<Entry>,
    allow: Vec<Entry>,
    local: Vec<IpNet>,
    common: Vec<(u16, u16)>,
}

fn model() -> impl Strategy<Value = Model> {
    (entries(), entries(), vec(network(), 0..4), vec(ports(), 0..4)).prop_map(|(deny, allow, local, common)| Model {
        deny,
        allow,
        local,
        common,
    })
}

fn range((low, high): (u16, u16)) -> String {
    format!("{low}-{high}")
}

fn list(name: &str, items: impl Iterator<Item = String>) -> String {
    format!("{name} = [{}]\n", items.map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", "))
}

impl Model {
    fn text(&self) -> String {
        let entry = |entry: &Entry| match entry.0 {
            IpNet::V4(net) => format!("{net}:{}", range(entry.1)),
            IpNet::V6(net) => format!("[{net}]:{}", range(entry.1)),
        };
        let mut text = String::from("mode = \"enforce\"\n[egress]\n");
        text += &list("deny", self.deny.iter().map(entry));
        text += &list("allow", self.allow.iter().map(entry));
        text += &list("local_ranges", self.local.iter().map(ToString::to_string));
        text += &list("common_ports", self.common.iter().copied().map(range));
        // The rules beside the first two are tested by themselves.
        text += "[rules]\nmetadata = { mode = \"off\" }\ndns-direct = { mode = \"off\" }\n";
        text
    }

    /// The first entry of a list that has the destination.
    fn first(entries: &[Entry], address: IpAddr, port: u16) -> Option<usize> {
        entries.iter().position(|(net, (low, high))| net.contains(&address) && (*low..=*high).contains(&port))
    }

    fn refuses(&self, address: IpAddr, port: u16) -> bool {
        Model::first(&self.deny, address, port).is_some()
            || !(Model::first(&self.allow, address, port).is_some()
                || self.local.iter().any(|net| net.contains(&address))
                || self.common.iter().any(|(low, high)| (*low..=*high).contains(&port)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn egress_is_decided_as_the_model_decides_it(model in model(), targets in vec((address(), port()), 1..12)) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        prop_assert!(loaded.usable(), "{}", model.text());
        let bytes = compile(&loaded.config);
        let policy = Policy::new(&bytes).expect("a policy");
        for (address, port) in targets {
            let verdict = policy.decide_connect(0, to(address, port), || Transport::Stream, HostName::none);
            prop_assert_eq!(verdict.outcome == Outcome::Deny, model.refuses(address, port), "{}:{}", address, port);
            // What explains a decision is what decides: the first step that has a clause.
            let steps = policy.steps_connect(0, to(address, port), Transport::Stream, &HostName::none());
            let first = steps.iter().find(|step| step.clause.is_some()).expect("the last step has one");
            prop_assert_eq!((first.clause, first.fires.is_some()), (Some(verdict.clause), verdict.outcome == Outcome::Deny));
            // The clause is the first entry of the list that decided.
            let decided = [("deny", &model.deny), ("allow", &model.allow)]
                .into_iter()
                .find_map(|(name, entries)| Some((name, entries, Model::first(entries, address, port)?)));
            if let Some((name, entries, index)) = decided {
                let (text, file, _) = policy.clause(verdict.clause);
                let text = String::from_utf8_lossy(text);
                let net = entries[index].0;
                let host = if net.addr().is_ipv4() { net.to_string() } else { format!("[{net}]") };
                prop_assert_eq!(text, format!("{name} = \"{host}:{}\"", range(entries[index].1)));
                prop_assert_eq!(file, b"/test.toml");
            }
        }
    }

    #[test]
    fn v4_mapped_is_judged_as_v4_and_the_unspecified_as_loopback(model in model(), target in address(), port in port()) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        let bytes = compile(&loaded.config);
        let policy = Policy::new(&bytes).expect("a policy");
        let decide = |address: IpAddr| policy.decide_connect(0, to(address, port), || Transport::Stream, HostName::none);
        if let IpAddr::V4(v4) = target {
            prop_assert_eq!(decide(v4.to_ipv6_mapped().into()), decide(target));
        }
        prop_assert_eq!(decide([0; 4].into()), decide([127, 0, 0, 1].into()));
        prop_assert_eq!(decide([0_u16; 8].into()), decide("::1".parse().expect("an address")));
    }

    #[test]
    fn programs_are_decided_as_the_model_decides_them(
        shells in vec("[ab]sh", 0..4),
        commands in vec(vec("[ab]{1,2}|\\*|a\\*|-a", 1..4), 0..5),
        names in vec("[abc]sh", 0..3),
        words in vec("-?[ab]{0,3}", 1..4),
    ) {
        let mut text = String::from("mode = \"enforce\"\n[exec]\n");
        text += &list("shells", shells.iter().cloned());
        text += &list("allow", commands.iter().map(|command| command.join(" ")));
        let loaded = parse_text(Path::new("/test.toml"), &text);
        prop_assert!(loaded.usable(), "{}", text);
        let bytes = compile(&loaded.config);
        let policy = Policy::new(&bytes).expect("a policy");
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        let is_shell = names.iter().any(|name| shells.iter().any(|shell| shell.as_bytes() == *name));
        // A shell that always runs a file in the home folder.
        let at_home = names.iter().any(|name| [&b"zsh"[..], b"zsh5", b"zsh-static", b"rzsh", b"csh", b"bsd-csh", b"tcsh", b"fish", b"pwsh"].contains(name));
        let allowed = !at_home && commands.iter().any(|command| {
            command.len() == words.len() && command.iter().zip(&words).all(|(pattern, word)| matches(pattern, word))
        });
        let line = words.join(" ");
        let parts: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        for program in [
            ExecutedProgram { names: &names, command: Some(line.as_bytes()), ..ExecutedProgram::default() },
            ExecutedProgram { names: &names, words: Some(&parts), of_system: true, ..ExecutedProgram::default() },
        ] {
            let refused = policy.decide_exec(0, &program).outcome == Outcome::Deny;
            let steps = policy.steps_exec(0, &program);
            let first = steps.iter().find(|step| step.clause.is_some()).expect("a step");
            prop_assert_eq!(first.fires.is_some(), refused);
            prop_assert_eq!(refused, is_shell && !allowed, "{} {:?}", &text, &line);
        }
    }

    /// Any bytes with a right head and checksum: a verdict, never a panic or a read out of bounds (which safe code
    /// turns into a panic).
    #[test]
    fn a_policy_of_any_bytes_is_refused_or_decides(
        model in model(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        target in address(),
        port in port(),
    ) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        let mut bytes = compile(&loaded.config);
        for (index, byte) in edits {
            // Behind the magic and the version.
            let at = 12 + index.index(bytes.len() - 12);
            bytes[at] = byte;
        }
        let sum = portcullis_policy::format::checksum(&bytes[24..]);
        bytes[16..24].copy_from_slice(&sum.to_le_bytes());
        if let Ok(policy) = Policy::new(&bytes) {
            let verdict = policy.decide_connect(0, to(target, port), || Transport::Datagram, HostName::none);
            let _ = policy.clause(verdict.clause);
            let names: [&[u8]; 2] = [b"sh", b"dash"];
            let program = ExecutedProgram { names: &names, command: Some(b"/usr/sbin/sendmail -t -i"), ..ExecutedProgram::default() };
            let verdict = policy.decide_exec(u32::MAX, &program);
            let _ = (policy.clause(verdict.clause), policy.sources().count(), policy.log_file(), policy.sinks());
        }
    }

    #[test]
    fn any_change_of_a_bit_is_found(model in model(), at: prop::sample::Index, bit in 0_u8..8) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        let mut bytes = compile(&loaded.config);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Policy::new(&bytes).is_err(), "byte {}", at);
    }

    #[test]
    fn any_truncation_is_found(model in model(), at: prop::sample::Index) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        let bytes = compile(&loaded.config);
        prop_assert!(Policy::new(&bytes[..at.index(bytes.len())]).is_err());
    }
}

/// Whether a word is matched, by recursion over both.
fn matches(pattern: &str, word: &str) -> bool {
    fn all(pattern: &[u8], word: &[u8]) -> bool {
        match (pattern.split_first(), word.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => all(rest, word) || (!word.is_empty() && all(pattern, &word[1..])),
            (Some((want, rest)), Some((have, tail))) => want == have && all(rest, tail),
            _ => false,
        }
    }
    (!word.starts_with('-') || pattern.starts_with('-')) && all(pattern.as_bytes(), word.as_bytes())
}
