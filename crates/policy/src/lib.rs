//! The compiled policy: its format, a zero-copy view of it, and the verdict. No allocation, no I/O, no panic.
#![no_std]
#![forbid(unsafe_code)]

pub mod command;
pub mod egress;
pub mod exec;
pub mod format;
pub mod place;
pub mod vhost;
mod view;

pub use view::{Malformed, Policy};

/// How a rule acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mode {
    /// The rule is not looked at.
    Off = 0,
    /// The call goes ahead and an event is written.
    Audit = 1,
    /// The call is refused and an event is written.
    Enforce = 2,
}

impl Mode {
    /// The mode for its stored byte; an unknown byte is `Audit`, which never stops a server.
    #[must_use]
    pub fn from_byte(byte: u8) -> Mode {
        match byte {
            0 => Mode::Off,
            2 => Mode::Enforce,
            _ => Mode::Audit,
        }
    }

    /// The word for it in configuration and events.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Audit => "audit",
            Mode::Enforce => "enforce",
        }
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rule {
    /// A connection to an uncommon port outside the local ranges.
    EgressPort = 0,
    /// A shell started by a serving process or a descendant of one.
    ShellSpawn = 1,
}

/// How many rules there are.
pub const RULES: usize = 2;

/// The words of all rules, in the order of [`Rule`].
pub const RULE_WORDS: [&str; RULES] = ["egress-port", "shell-spawn"];

impl Rule {
    /// `rule.id`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Rule::EgressPort => "egress-port",
            Rule::ShellSpawn => "shell-spawn",
        }
    }
}

/// The scope that holds where there is no other.
pub const GLOBAL_SCOPE: u32 = 0;
/// The scope that is never weaker than any other: for a descendant whose request was taken away.
pub const STRICTEST_SCOPE: u32 = 1;

/// What was decided on an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Allow, audit or deny.
    pub outcome: Outcome,
    /// The rule that was asked.
    pub rule: Rule,
    /// The clause of the policy that decided; an index for [`Policy::clause`].
    pub clause: u32,
}

/// The three things a verdict can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to say.
    Allow,
    /// Goes ahead, with an event.
    Audit,
    /// Is refused, with an event.
    Deny,
}

impl Verdict {
    pub(crate) fn allow(rule: Rule, clause: u32) -> Verdict {
        Verdict { outcome: Outcome::Allow, rule, clause }
    }

    pub(crate) fn fire(rule: Rule, mode: Mode, clause: u32) -> Verdict {
        let outcome = match mode {
            Mode::Off => Outcome::Allow,
            Mode::Audit => Outcome::Audit,
            Mode::Enforce => Outcome::Deny,
        };
        Verdict { outcome, rule, clause }
    }
}
