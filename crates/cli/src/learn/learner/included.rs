//! What a person named to be included, and what became of it: nothing that is named is passed over in silence.

use super::Learner;
use crate::explain;
use crate::learn::propose::{Proposal, entries};
use crate::learn::widen;
use crate::log::Event;
use crate::modes;
use crate::text::quoted;
use portcullis_policy::Policy;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the names that is in no proposal.
#[derive(Default)]
pub struct Included {
    /// Those that events would need, were they not allowed already.
    allowed: BTreeSet<String>,
    /// Values of variables, each with all those of its event: an entry for one alone is of no use.
    variables: BTreeMap<String, BTreeSet<String>>,
}

impl Included {
    /// Notes an event that the policy allows now.
    pub fn allows(&mut self, event: &Event, policy: &Policy<'_>, named: &[String]) {
        if !named.is_empty() {
            let own = entries(event, policy).unwrap_or_default().into_iter().map(|(_, text)| text);
            self.allowed.extend(own.filter(|text| named.contains(text)));
        }
    }

    /// Notes the variables with which a program is started.
    pub fn starts(&mut self, event: &Event, policy: &Policy<'_>, named: &[String]) {
        if named.is_empty() {
            return;
        }
        let (all, _) = explain::expectations(policy, event, false);
        for value in all.iter().filter(|value| named.contains(value)) {
            self.variables.entry(value.clone()).or_default().extend(all.iter().cloned());
        }
    }
}

/// What is said of a name.
pub enum Said {
    /// It is allowed already, as the policy is.
    Allowed(String),
    /// It cannot be included: why, and what can.
    Wrong(String),
}

impl Learner<'_> {
    /// What is to be said of the names, of which the proposals have some.
    pub(super) fn said(&self, proposals: &BTreeMap<String, Proposal>) -> Vec<Said> {
        let all = || proposals.values().flat_map(|proposal| proposal.entries.keys());
        let is_proposed = |name: &&String| all().any(|(list, text)| text == *name || widen::covers(*list, text, name));
        self.choice.include.iter().filter(|name| !is_proposed(name)).map(|name| self.said_of(name, proposals)).collect()
    }

    fn said_of(&self, name: &String, proposals: &BTreeMap<String, Proposal>) -> Said {
        let own = quoted(name);
        let mut withheld = proposals.values().flat_map(|proposal| proposal.withheld.keys());
        if let Some((_, why)) = withheld.find(|(what, _)| what == name) {
            return Said::Wrong(format!("--include {own} cannot be proposed: {why}"));
        }
        if self.entries().contains(name.as_str()) {
            let only = "only events need it that are not learnt from";
            return Said::Wrong(format!(
                "--include {own} is not proposed: {only}; help: --blocked learns from blocked calls, and --since, --vhost and the other \
                 choices leave events out"
            ));
        }
        if self.included.allowed.contains(name) {
            return Said::Allowed(format!("--include {own} is not needed: the policy allows its events already"));
        }
        if let Some(values) = self.included.variables.get(name) {
            let others: Vec<String> =
                values.iter().filter(|value| !self.choice.include.contains(value)).map(|value| quoted(value)).collect();
            return Said::Wrong(match others.as_slice() {
                [] => format!("--include {own} cannot be proposed: the event shows a part of its variables only"),
                others => format!(
                    "--include {own} is of no use alone: its programs have more variables; help: add --include={}",
                    others.join(" --include=")
                ),
            });
        }
        let mut known: Vec<&str> = self.entries().into_iter().collect();
        let common = |text: &&str| text.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
        known.sort_by_key(|text| (Reverse(common(text)), *text));
        let shown: Vec<String> = known.iter().map(|text| quoted(text)).collect();
        Said::Wrong(match shown.is_empty() {
            true => format!("--include {own} is no entry that these events need: they need none"),
            false => format!(
                "--include {own} is no entry that these events need; known: {}; help: `portcullis learn` without --include lists all",
                modes::some(&shown, shown.len())
            ),
        })
    }

    /// The entries of all events, of those also that are not chosen.
    fn entries(&self) -> BTreeSet<&str> {
        self.whats
            .iter()
            .filter_map(|what| what.entries.as_ref().ok())
            .flatten()
            .map(|(_, text)| text.as_str())
            .collect()
    }
}
