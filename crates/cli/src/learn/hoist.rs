//! Entries that many virtual hosts share, once for all of them.

use super::propose::{List, Proposal};
use std::collections::BTreeMap;

/// How many virtual hosts share what is common.
const SHARED: usize = 10;

/// Moves what is proposed for ten virtual hosts or more to the global policy, whose lists theirs go on from.
pub fn hoist(proposals: &mut BTreeMap<String, Proposal>) {
    let mut hosts: BTreeMap<(List, String), usize> = BTreeMap::new();
    for (_, proposal) in proposals.iter().filter(|(vhost, _)| !vhost.is_empty()) {
        for key in proposal.entries.keys() {
            *hosts.entry(key.clone()).or_default() += 1;
        }
    }
    for (key, number) in hosts.into_iter().filter(|(_, number)| *number >= SHARED) {
        let mut together = proposals.get_mut("").and_then(|global| global.entries.remove(&key)).unwrap_or_default();
        for (_, proposal) in proposals.iter_mut().filter(|(vhost, _)| !vhost.is_empty()) {
            if let Some(evidence) = proposal.entries.remove(&key) {
                together.join(&evidence);
            }
        }
        together.note = format!("{number} virtual hosts share it; a list of theirs without \"global\" needs it itself");
        proposals.entry(String::new()).or_default().entries.insert(key, together);
    }
    proposals.retain(|_, proposal| !proposal.is_empty());
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Evidence;
    use super::*;

    #[test]
    fn ten_virtual_hosts_share_one_entry() {
        let of = |hosts: usize| {
            let one = |text: &str| ((List::Egress, text.to_owned()), Evidence { count: 2, ..Evidence::default() });
            let mut proposals: BTreeMap<String, Proposal> = BTreeMap::new();
            for host in 0..hosts {
                let proposal = proposals.entry(format!("host{host}")).or_default();
                proposal.entries.extend([one("mail.example:587"), one(&format!("own{host}.example:6379"))]);
            }
            hoist(&mut proposals);
            proposals
        };
        assert_eq!(of(9).len(), 9);
        let hoisted = of(10);
        assert_eq!(hoisted.len(), 11);
        let global = &hoisted[""].entries;
        assert_eq!(global.len(), 1);
        assert_eq!(global[&(List::Egress, "mail.example:587".to_owned())].count, 20);
        assert!(hoisted["host3"].entries.len() == 1);
    }
}
