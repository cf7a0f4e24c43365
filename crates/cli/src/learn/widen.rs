//! Wider entries, where there is evidence for them: a network, a wildcard, a glob.

use super::propose::{Evidence, List, Proposal, words};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How many literal entries a wider one takes.
const EVIDENCE: usize = 3;

/// A wider entry, and the literal ones that it would replace.
#[derive(Debug, PartialEq, Eq)]
pub struct Wider {
    /// Which list.
    pub list: List,
    /// The entry.
    pub text: String,
    /// What it covers.
    pub covers: BTreeSet<String>,
}

/// The wider entries that a proposal has evidence for.
pub fn wider(proposal: &Proposal) -> Vec<Wider> {
    let mut groups: BTreeMap<(List, String), BTreeSet<String>> = BTreeMap::new();
    for (list, text) in proposal.entries.keys() {
        let patterns = match list {
            List::Egress => destination(text).into_iter().collect(),
            List::Exec => commands(text),
            _ => Vec::new(),
        };
        for pattern in patterns {
            groups.entry((*list, pattern)).or_default().insert(text.clone());
        }
    }
    let found = groups.into_iter().filter(|(_, covers)| covers.len() >= EVIDENCE);
    found.map(|((list, text), covers)| Wider { list, text, covers }).collect()
}

/// Replaces literal entries by the wider ones that cover most, each literal once.
pub fn apply(proposal: &mut Proposal) {
    let mut all = wider(proposal);
    all.sort_by_key(|wider| std::cmp::Reverse(wider.covers.len()));
    for wider in all {
        let covered: Vec<_> = wider.covers.iter().map(|text| (wider.list, text.clone())).collect();
        if covered.iter().all(|key| proposal.entries.contains_key(key)) {
            let mut evidence = Evidence::default();
            for key in covered {
                if let Some(part) = proposal.entries.remove(&key) {
                    evidence.join(&part);
                }
            }
            // What others of it were seen is covered as well.
            let rest =
                proposal.entries.keys().filter(|(list, text)| *list == wider.list && covers(*list, &wider.text, text));
            for key in rest.cloned().collect::<Vec<_>>() {
                if let Some(part) = proposal.entries.remove(&key) {
                    evidence.join(&part);
                }
            }
            proposal.entries.insert((wider.list, wider.text), evidence);
        }
    }
}

/// Whether an entry makes another one redundant.
pub fn covers(list: List, wide: &str, literal: &str) -> bool {
    let network = |host: &str| {
        let host = host.trim_matches(['[', ']']);
        host.parse::<ipnet::IpNet>().or_else(|_| host.parse::<IpAddr>().map(ipnet::IpNet::from)).ok()
    };
    match (list, wide.rsplit_once(':'), literal.rsplit_once(':')) {
        _ if wide == literal => false,
        (List::Egress, Some((wide, port)), Some((host, other))) if port == other => {
            let by_name = wide.strip_prefix('*').is_some_and(|end| host.ends_with(end) && !host.starts_with('*'));
            by_name || network(wide).zip(network(host)).is_some_and(|(wide, host)| wide.contains(&host))
        }
        (List::Exec, ..) => {
            // A literal command has no `*` that is not one.
            let (Some(wide), Some(literal)) = (pattern(wide), pattern(literal)) else { return false };
            let each = |(wide, literal): (&String, &String)| wide == "*" || wide == literal;
            wide.len() == literal.len() && wide.iter().zip(&literal).all(each)
        }
        _ => false,
    }
}

/// The words of an entry of `[exec] allow`, in which `*` may stand.
fn pattern(text: &str) -> Option<Vec<String>> {
    let hidden = words(&text.replace('*', "\u{E000}"))?;
    Some(hidden.into_iter().map(|word| word.replace('\u{E000}', "*")).collect())
}

/// The network of an address (/24, /64), or the names beside a name, with the same port.
fn destination(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        let net = ipnet::IpNet::new(address, if address.is_ipv4() { 24 } else { 64 }).ok()?.trunc();
        return Some(if address.is_ipv4() { format!("{net}:{port}") } else { format!("[{net}]:{port}") });
    }
    let (_, parent) = host.split_once('.')?;
    // A public suffix is not one owner's.
    let owned = psl::domain_str(host)?;
    (parent == owned || parent.ends_with(&format!(".{owned}"))).then(|| format!("*.{parent}:{port}"))
}

/// A command with each of its arguments in turn left open.
fn commands(text: &str) -> Vec<String> {
    let Some(words) = words(text) else { return Vec::new() };
    let with = |open: usize| {
        let parts = words.iter().enumerate().map(|(place, word)| match word {
            _ if place == open => "*".to_owned(),
            word if word.contains(' ') || word.is_empty() => format!("'{word}'"),
            word => word.clone(),
        });
        parts.collect::<Vec<String>>().join(" ")
    };
    (1..words.len()).map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(list: List, texts: &[&str]) -> Proposal {
        let mut proposal = Proposal::default();
        for text in texts {
            let evidence = Evidence { count: 1, ..Evidence::default() };
            proposal.entries.insert((list, (*text).to_owned()), evidence);
        }
        proposal
    }

    fn applied(list: List, texts: &[&str]) -> Vec<String> {
        let mut proposal = proposal(list, texts);
        apply(&mut proposal);
        proposal.entries.into_keys().map(|(_, text)| text).collect()
    }

    #[test]
    fn three_of_a_kind_are_evidence() {
        let nets = ["192.88.1.1:25", "192.88.1.2:25", "192.88.1.3:25"];
        assert_eq!(applied(List::Egress, &nets), ["192.88.1.0/24:25"]);
        assert_eq!(applied(List::Egress, &nets[..2]).len(), 2);
        assert_eq!(applied(List::Egress, &["192.88.1.1:25", "192.88.1.2:26", "192.88.1.3:25"]).len(), 3);
        let names = ["a.x.example.com:587", "b.x.example.com:587", "c.x.example.com:587"];
        assert_eq!(applied(List::Egress, &names), ["*.x.example.com:587"]);
        let v6 = ["[2a0e:1::1]:25", "[2a0e:1::2]:25", "[2a0e:1::3]:25"];
        assert_eq!(applied(List::Egress, &v6), ["[2a0e:1::/64]:25"]);
    }

    #[test]
    fn what_is_covered_is_redundant() {
        for (list, wide, literal, wanted) in [
            (List::Egress, "192.88.1.0/24:25", "192.88.1.9:25", true),
            (List::Egress, "192.88.1.0/24:25", "192.88.1.9:26", false),
            (List::Egress, "[2a0e:1::/64]:25", "[2a0e:1::9]:25", true),
            (List::Egress, "*.x.example:25", "a.x.example:25", true),
            (List::Egress, "*.x.example:25", "x.example:25", false),
            (List::Egress, "a.example:25", "a.example:25", false),
            (List::Exec, "/bin/a * c", "/bin/a b c", true),
            (List::Exec, "/bin/a * c", "/bin/a b d", false),
        ] {
            assert_eq!(covers(list, wide, literal), wanted, "{wide} {literal}");
        }
    }

    #[test]
    fn a_public_suffix_is_nobodys() {
        assert_eq!(applied(List::Egress, &["a.co.uk:587", "b.co.uk:587", "c.co.uk:587"]).len(), 3);
        assert_eq!(applied(List::Egress, &["a.com:1", "b.com:1", "c.com:1"]).len(), 3);
    }

    #[test]
    fn arguments_and_never_programs() {
        let commands = ["/usr/bin/convert a x.png", "/usr/bin/convert b x.png", "/usr/bin/convert c x.png"];
        assert_eq!(applied(List::Exec, &commands), ["/usr/bin/convert * x.png"]);
        assert_eq!(applied(List::Exec, &["a x", "b x", "c x"]).len(), 3);
    }
}
