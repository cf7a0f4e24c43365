//! Virtual hosts that are never selected: those before them win every request that they match.
//!
//! Of two that match, the more specific one is selected, and of two equal ones the first. So a virtual host can only be covered by
//! earlier ones with the same keys, each of whose values is one of its own.

use crate::model::{From, Match, Vhost};
use std::collections::HashMap;

/// How many combinations of values are looked at for one virtual host; one with more is not warned of.
const COMBINATIONS_MAX: usize = 256;

/// Which virtual host has a combination of values, one of each key: the first one wins.
#[derive(Clone, Debug, Default)]
pub struct Winners {
    by_values: HashMap<String, u32>,
    names: Vec<From<String>>,
}

impl Winners {
    /// Adds a virtual host; gives the earlier ones that win all its requests, in words.
    pub(super) fn add(&mut self, vhost: &Vhost) -> Option<String> {
        let combinations = combinations(&vhost.matches)?;
        let own = self.names.len() as u32;
        self.names.push(vhost.name.clone());
        let mut winners: Vec<u32> = Vec::new();
        let mut is_covered = true;
        for values in combinations {
            let first = *self.by_values.entry(values).or_insert(own);
            is_covered &= first != own;
            if !winners.contains(&first) {
                winners.push(first);
            }
        }
        is_covered.then(|| {
            let said = winners.iter().filter_map(|&winner| self.names.get(winner as usize)).map(|name| {
                match &name.origin.file {
                    Some(file) => format!("`{}` ({}:{})", name.value, file.display(), name.origin.line),
                    None => format!("`{}`", name.value),
                }
            });
            said.collect::<Vec<String>>().join(" and ")
        })
    }
}

/// Every choice of one value of each key; `None` where there are too many, or no key.
fn combinations(matches: &Match) -> Option<Vec<String>> {
    // Which source the name comes from is a key of its own.
    let believed: Vec<String> = match matches.server_name.is_empty() {
        true => Vec::new(),
        false => (0..u32::BITS).filter(|bit| matches.believed >> bit & 1 == 1).map(|bit| bit.to_string()).collect(),
    };
    let keys: [&[String]; 6] =
        [&matches.profile, &matches.script, &matches.document_root, &matches.server_name, &believed, &matches.pool];
    if matches.is_empty() {
        return None;
    }
    let mut all = vec![String::new()];
    for values in keys {
        // A key that is not there differs from each value.
        let choices = if values.is_empty() { &[String::new()][..] } else { values };
        if all.len().saturating_mul(choices.len()) > COMBINATIONS_MAX {
            return None;
        }
        let with =
            |before: &String| choices.iter().map(move |value| format!("{before}{value}\0")).collect::<Vec<String>>();
        all = all.iter().flat_map(with).collect();
    }
    Some(all)
}
