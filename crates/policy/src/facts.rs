//! What is said of a rule: the columns of the table in `rule.rs`, and what is made of its rows.

use crate::rule::{OF_NETWORK, OWN_ACTIONS, RULE_TEXTS, RULE_WORDS, Rule};

/// Facts on a rule that its events carry.
#[derive(Clone, Copy, Debug)]
pub struct RuleFacts {
    /// `rule.id`
    pub id: &'static str,
    /// `rule.name`
    pub name: &'static str,
    /// `event.severity`, on Elastic's scale: 21 low, 47 medium, 73 high.
    pub severity: u8,
    /// `threat.technique.id`: ATT&CK's techniques, those that the subtechniques belong to included.
    pub techniques: &'static [&'static str],
    /// `threat.technique.subtechnique.id`
    pub subtechniques: &'static [&'static str],
    /// `event.category` of what is about no action of its own: `network`, `process` or `configuration`.
    pub category: &'static str,
}

/// Facts on a rule that only the command and the compiler need. They are apart, so that the library does not have them.
#[derive(Clone, Copy, Debug)]
pub struct RuleText {
    /// The rule.
    pub rule: Rule,
    /// What an incident is called in which it is the gravest.
    pub headline: &'static str,
    /// Its table in the configuration.
    pub table: &'static str,
    /// The key of what it is about, beside `mode` and `why`; empty where it has none.
    pub list: &'static str,
    /// What an event names as the clause where nothing in the policy decided.
    pub otherwise: &'static str,
    /// Why nothing is learnt from its events, since applications do not do that; empty where they may.
    pub grave: &'static str,
    /// How far it follows the global mode.
    pub mode: Follows,
    /// What triggers it, for the Sigma rule.
    pub about: &'static str,
    /// What triggers it that is no attack, and what to do then.
    pub benign: &'static str,
    /// ATT&CK's tactics, as Sigma spells them.
    pub tactics: &'static [&'static str],
    /// The fields of its event that an analyst reads first.
    pub fields: &'static [&'static str],
    /// `event.action` of its events that are of an action which other rules are about, too; empty where there are none.
    pub shared: &'static str,
    /// The fields that tell what it is about, in Markdown.
    pub read: &'static str,
    /// The row of README.md's table that it is in.
    pub group: &'static str,
    /// What it detects, for that row.
    pub detects: &'static str,
    /// What is asked, where the rule has no list; otherwise empty, and crates/cli/src/explain/words.rs says it.
    pub asked: &'static str,
    /// Why nothing allows it, likewise.
    pub because: &'static str,
    /// The Sigma rule's identifier: never changed.
    pub uuid: &'static str,
    /// The date of the Sigma rule.
    pub since: &'static str,
}

/// An action that only one rule is about.
#[derive(Clone, Copy, Debug)]
pub struct OwnAction {
    /// `event.action`
    pub word: &'static [u8],
    /// In `message`: what a process was refused, up to the object.
    pub refused: &'static [u8],
    /// In `message`: what a process does, up to the object.
    pub proceeds: &'static [u8],
    /// In `message`: the object; `portcullis.detail` follows.
    pub object: &'static [u8],
}

/// What a rule is about: that says for which rules it is unknown what could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Where a connection goes.
    Connection,
    /// Which program it is.
    Program,
    /// What a process does to others and to its own surroundings.
    Process,
    /// Something else: crates/policy/src/unknown.rs names the rule.
    Other,
}

/// How far a rule follows the global `mode`, and a virtual host's. A rule that does not is `audit` unless something says that it, or
/// everything, is off, or it has a mode of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// The rule has no benign use in a web worker, or is one of the two of every web shell.
    Mode,
    /// In some places: what is no file, and what anybody can write to.
    InPlaces,
    /// Not at all.
    Nothing,
}
/// Makes the rules of the table: the number of a rule is its place.
macro_rules! rules {
    ($(
        $(#[$doc:meta])*
        $rule:ident: {
            id: $id:literal,
            name: $name:literal,
            headline: $headline:literal,
            severity: $severity:literal,
            techniques: $techniques:expr,
            subtechniques: $subtechniques:expr,
            category: $category:literal,
            subject: $subject:ident,
            shared: $shared:literal,
            table: $table:literal,
            list: $list:literal,
            otherwise: $otherwise:literal,
            grave: $grave:literal,
            mode: $mode:ident,
            about: $about:literal,
            benign: $benign:literal,
            tactics: $tactics:expr,
            fields: $fields:expr,
            read: $read:literal,
            detects: ($group:literal, $detects:literal),
            uuid: $uuid:literal,
            since: $since:literal,
            $(own: {
                action: $action:literal,
                refused: $refused:literal,
                proceeds: $proceeds:literal,
                object: $object:literal,
            })?
            $(question: {
                asked: $asked:literal,
                because: $because:literal,
            })?
        }
    )*) => {
        /// What is looked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        /// How many rules there are.
        pub const RULES: usize = [$(Rule::$rule),*].len();

        /// The words of all rules, in the order of [`Rule`].
        pub const RULE_WORDS: [&str; RULES] = [$($id),*];

        /// What their events carry, in that order.
        pub static RULE_FACTS: [RuleFacts; RULES] = [$(RuleFacts {
            id: $id,
            name: $name,
            severity: $severity,
            techniques: &$techniques,
            subtechniques: &$subtechniques,
            category: $category,
        }),*];

        /// What the configuration and the command say of them, in that order.
        pub static RULE_TEXTS: [RuleText; RULES] = [$(RuleText {
            rule: Rule::$rule,
            headline: $headline,
            table: $table,
            list: $list,
            otherwise: $otherwise,
            grave: $grave,
            mode: Follows::$mode,
            about: $about,
            benign: $benign,
            tactics: &$tactics,
            fields: &$fields,
            shared: $shared,
            read: $read,
            group: $group,
            detects: $detects,
            asked: concat!("" $(, $asked)?),
            because: concat!("" $(, $because)?),
            uuid: $uuid,
            since: $since,
        }),*];

        /// Those of which the events are about a connection, a bit for each.
        pub(crate) const OF_NETWORK: u16 = 0 $(| if matches!($category.as_bytes(), b"network") { Rule::$rule.bit() } else { 0 })*;

        /// A line for each rule, empty where it has no action of its own: each text of its own would be an address that the loader
        /// has to write in every program.
        pub(crate) const OWN_ACTIONS: &str =
            concat!($($($action, "|", $refused, "|", $proceeds, "|", $object,)? "\n"),*);

        impl Subject {
            /// The rules with this subject, a bit for each.
            pub(crate) const fn rules(self) -> u16 {
                0 $(| if self as u8 == Subject::$subject as u8 { Rule::$rule.bit() } else { 0 })*
            }
        }

        impl Rule {
            /// All of them, in the order of their numbers.
            pub const ALL: [Rule; RULES] = [$(Rule::$rule),*];
        }
    };
}
pub(crate) use rules;

impl Rule {
    /// `rule.id`.
    #[must_use]
    pub fn word(self) -> &'static str {
        RULE_WORDS.get(self as usize).copied().unwrap_or_default()
    }

    /// What the configuration and the command say of it.
    #[must_use]
    pub fn text(self) -> &'static RuleText {
        &RULE_TEXTS[self as usize]
    }

    /// Whether it follows the global mode everywhere.
    #[must_use]
    pub fn follows_mode(self) -> bool {
        self.text().mode == Follows::Mode
    }

    /// Whether it has a table of its own at the top.
    #[must_use]
    pub fn is_at_top(self) -> bool {
        !self.text().table.starts_with("rules.")
    }

    /// The action that this rule alone is about; `None` where its events are all of [`RuleText::shared`].
    #[must_use]
    #[inline(never)]
    pub fn own_action(self) -> Option<OwnAction> {
        let line = OWN_ACTIONS.as_bytes().split(|&byte| byte == b'\n').nth(self as usize)?;
        let mut texts = line.split(|&byte| byte == b'|');
        Some(OwnAction { word: texts.next()?, refused: texts.next()?, proceeds: texts.next()?, object: texts.next()? })
    }

    /// Whether it has an action of its own, and no list: all that is to be said of that is in the table.
    #[must_use]
    pub fn is_plain(self) -> bool {
        !self.text().asked.is_empty()
    }

    /// Its bit in [`crate::Verdict::also`].
    #[must_use]
    pub const fn bit(self) -> u16 {
        1_u16.wrapping_shl(self as u32)
    }

    /// Whether a refusal of it is one of a connection, rather than one of a program.
    #[must_use]
    pub fn is_of_network(self) -> bool {
        OF_NETWORK & self.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RULE_FACTS;

    #[test]
    fn numbers_are_places() {
        for (number, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!((rule as usize, rule.word()), (number, RULE_WORDS[number]));
            assert_eq!((rule.text().rule, RULE_FACTS[number].id), (rule, rule.word()));
            assert!([21, 47, 73].contains(&RULE_FACTS[number].severity), "{}", rule.word());
        }
    }
}
