//! What of a proposal is one thing to a reader: entries that differ in a few words, and what is withheld for one reason.
//!
//! A person reads what is proposed before it is written. A thousand lines that differ in a number are read by nobody.

use super::evidence::Evidence;
use super::propose::{List, Proposal};
use crate::out::comment;
use std::collections::BTreeMap;

/// More entries than that are shown as one group, if a pattern is there for them.
const GROUPED: usize = 20;
/// So many of a group are shown, and so many of what no pattern is for.
const EXAMPLES: usize = 3;
const LISTED: usize = 100;

/// Entries that one pattern stands for.
struct Group {
    list: List,
    pattern: String,
    members: BTreeMap<(List, String), Evidence>,
}

type Entries = BTreeMap<(List, String), Evidence>;

/// Takes large groups out of some entries.
fn take_groups(entries: &mut Entries, proposal: &Proposal) -> Vec<Group> {
    let mut groups = Vec::new();
    for wider in &proposal.wider {
        let of_group = |text: &String| {
            let key = (wider.list, text.clone());
            entries.contains_key(&key).then_some(key)
        };
        let keys: Vec<_> = wider.covers.iter().filter_map(of_group).collect();
        if keys.len() > GROUPED {
            let members = keys.into_iter().filter_map(|key| entries.remove_entry(&key)).collect();
            groups.push(Group { list: wider.list, pattern: wider.text.clone(), members });
        }
    }
    groups
}

/// A proposal without its large groups of entries.
pub fn listed(proposal: &Proposal) -> Proposal {
    let mut listed = proposal.clone();
    take_groups(&mut listed.entries, proposal);
    listed
}

/// All that is said of a proposal beside its entries that are listed.
pub fn comments(proposal: &Proposal) -> String {
    let (mut entries, mut rare) = (proposal.entries.clone(), proposal.rare.clone());
    let groups = take_groups(&mut entries, proposal);
    let rare_groups = take_groups(&mut rare, proposal);
    let is_grouped = |text: &str| groups.iter().chain(&rare_groups).any(|group| group.pattern == text);
    let mut out = String::new();
    for wider in proposal.wider.iter().filter(|wider| !is_grouped(&wider.text)) {
        out += &comment("", &format!("--widen would write {:?} in place of {} others", wider.text, wider.covers.len()));
    }
    groups.iter().for_each(|group| out += &of_group("GROUP", group));
    rare_groups.iter().for_each(|group| out += &of_group("SEEN TOO LITTLE, one by one", group));
    for ((list, text), evidence) in rare.iter().take(LISTED) {
        let why = evidence.too_little().unwrap_or_default();
        out += &comment("", &format!("SEEN TOO LITTLE: {text} ({}): {why}", key(*list)));
        out += &comment("", &format!("  {}", evidence.line()));
    }
    if rare.len() > LISTED {
        out += &comment("", &format!("SEEN TOO LITTLE: {} more; --json lists them", rare.len() - LISTED));
    }
    out + &withheld(proposal) + &rest(proposal)
}

fn key(list: List) -> String {
    let (path, key) = list.path();
    format!("[{}] {key}", path.join("."))
}

fn of_group(word: &str, group: &Group) -> String {
    let mut evidence = Evidence::default();
    group.members.values().for_each(|one| evidence.join(one));
    let many = group.members.len();
    let mut out =
        comment("", &format!("{word}: {many} entries for {} that differ in a part, such as:", key(group.list)));
    for (_, text) in group.members.keys().take(EXAMPLES) {
        out += &comment("", &format!("  {text:?}"));
    }
    out += &comment("", &format!("  {}", evidence.line()));
    let how = "--widen proposes this entry for all of them, --json lists them";
    out + &comment("", &format!("  {how}: {:?}", group.pattern))
}

/// What is not proposed: of what there is one reason for, the first ones.
fn withheld(proposal: &Proposal) -> String {
    let mut by_reason: BTreeMap<&str, Vec<(&str, &Evidence)>> = BTreeMap::new();
    for ((what, why), evidence) in &proposal.withheld {
        by_reason.entry(why).or_default().push((what, evidence));
    }
    let mut out = String::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut said = None::<&String>;
    for ((what, why), evidence) in &proposal.withheld {
        let all = &by_reason[why.as_str()];
        let next = places.entry(why).or_default();
        let place = std::mem::replace(next, *next + 1);
        if all.len() > GROUPED && place >= EXAMPLES {
            continue;
        }
        // It may have several reasons, each with calls of its own.
        if said.replace(what) != Some(what) {
            out += &comment("", &format!("NOT proposed: {what}"));
        }
        out += &comment("", &format!("  {why}"));
        out += &comment("", &format!("  {}", evidence.line()));
        if all.len() > GROUPED && place + 1 == EXAMPLES {
            let mut others = Evidence::default();
            all[EXAMPLES..].iter().for_each(|(_, evidence)| others.join(evidence));
            let more = all.len() - EXAMPLES;
            out += &comment("", &format!("NOT proposed: {more} more for the same reason; --json lists them"));
            out += &comment("", &format!("  {}", others.line()));
            said = None;
        }
    }
    out
}

/// What is not held.
fn rest(proposal: &Proposal) -> String {
    let mut out = String::new();
    for (kind, evidence) in &proposal.rest {
        out += &comment("", &format!("NOT LISTED: more of the kind {kind}, which has too many that differ"));
        out += &comment("", &format!("  {}", evidence.line()));
        out += &comment("", "  Allow what is listed of it, with --widen where a pattern is right, and learn again");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::widen;
    use super::*;

    fn proposal(count: usize) -> Proposal {
        let mut proposal = Proposal::default();
        for at in 0..count {
            let evidence = Evidence { count: 2, when: Some((0, 3600)), ..Evidence::default() };
            proposal.entries.insert((List::Exec, format!("/usr/bin/convert /srv/in/{at}.jpg x.png")), evidence);
            let why = ("it is a tool".to_owned(), format!("what {at:04}"));
            proposal.withheld.insert((why.1, why.0), Evidence { count: 1, ..Evidence::default() });
        }
        proposal.wider = widen::wider(&proposal);
        proposal
    }

    #[test]
    fn many_that_differ_in_a_part_are_one_group() {
        let all = proposal(1000);
        assert_eq!(listed(&all).entries.len(), 0);
        let text = comments(&all);
        assert!(text.lines().count() < 30, "{text}");
        for part in [
            "GROUP: 1000 entries for [exec] allow",
            "\"/usr/bin/convert /srv/in/* x.png\"",
            "2000 times",
            "NOT proposed: what 0002",
            "NOT proposed: 997 more for the same reason",
            "997 times",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn few_are_listed() {
        let all = proposal(GROUPED);
        assert_eq!(listed(&all).entries.len(), GROUPED);
        let text = comments(&all);
        assert!(text.contains("--widen would write") && !text.contains("GROUP"), "{text}");
        assert_eq!(text.matches("NOT proposed").count(), GROUPED);
    }
}
