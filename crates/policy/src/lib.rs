//! The compiled policy: its format, a zero-copy view of it, and the verdict. No allocation, no I/O, no panic.
#![no_std]
#![forbid(unsafe_code)]

pub mod address;
pub mod beacon;
pub mod command;
pub mod dns;
pub mod egress;
pub mod exec;
mod facts;
pub mod format;
pub mod image;
pub mod name;
pub mod overlay;
pub mod place;
mod rest;
mod rule;
mod sink;
pub mod startup;
mod unknown;
pub mod vhost;
mod view;

pub use facts::{Follows, OwnAction, RuleFacts, RuleText, Subject};
pub use rule::{RULE_FACTS, RULE_TEXTS, RULE_WORDS, RULES, Rule};
pub use sink::{ReadFrom, Sink};
pub use unknown::Unknown;
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

/// The scope that holds where there is no other.
pub const GLOBAL_SCOPE: u32 = 0;
/// The scope that is never weaker than any other: for a descendant whose request was taken away.
pub const STRICTEST_SCOPE: u32 = 1;

/// What was decided on an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Allow, audit or deny.
    pub outcome: Outcome,
    /// The rule that decided: of several that fire, the strictest.
    pub rule: Rule,
    /// The clause of the policy that decided; an index for [`Policy::clause`].
    pub clause: u32,
    /// The other rules that fired, a bit for each by its number.
    pub also: u16,
    /// What could not be judged, where that decided.
    pub unknown: Option<Unknown>,
    /// What could not be judged either, where something else decided.
    pub beside: Option<Unknown>,
    /// The variable of the environment by which an entry of `allow` does not hold.
    pub steered: Option<startup::Variable>,
}

/// The three things a verdict can be, from the mildest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing to say.
    Allow,
    /// Goes ahead, with an event.
    Audit,
    /// Is denied, with an event.
    Deny,
}

impl Verdict {
    pub(crate) fn allow(rule: Rule, clause: u32) -> Verdict {
        Verdict { outcome: Outcome::Allow, rule, clause, also: 0, unknown: None, beside: None, steered: None }
    }

    /// The clause of what no clause of the policy decided: what could not be judged, or what steers an allowed command.
    #[must_use]
    pub fn own_clause(&self) -> Option<&'static [u8]> {
        self.unknown.map(|what| what.clause().as_bytes()).or(self.steered.map(|variable| variable.clause()))
    }
}

/// What the rules say of one action, put together: the strictest decides, and of equals the one that came first.
pub(crate) struct Findings {
    verdict: Verdict,
    fired: u16,
    /// By which rules fired beside what decided.
    unknown: Option<Unknown>,
}

impl Findings {
    /// Nothing fired; `rule` and `clause` are what an allow names.
    pub(crate) fn none(rule: Rule, clause: u32) -> Findings {
        Findings { verdict: Verdict::allow(rule, clause), fired: 0, unknown: None }
    }

    /// A rule fires, where it is on.
    pub(crate) fn fire(&mut self, rule: Rule, mode: Mode, clause: u32) {
        let outcome = match mode {
            Mode::Off => return,
            Mode::Audit => Outcome::Audit,
            Mode::Enforce => Outcome::Deny,
        };
        self.fired |= rule.bit();
        if outcome > self.verdict.outcome {
            self.verdict = Verdict { outcome, rule, clause, also: 0, unknown: None, beside: None, steered: None };
        }
    }

    /// The outcome so far, and the rules that fired.
    pub(crate) fn so_far(&self) -> (Outcome, u16) {
        (self.verdict.outcome, self.fired)
    }

    /// Rules fired because something could not be judged.
    pub(crate) fn noted(&mut self, what: Unknown) {
        self.unknown = self.unknown.or(Some(what));
    }

    /// What decided is that something could not be judged.
    pub(crate) fn decided_by(&mut self, what: Unknown) {
        self.verdict.unknown = Some(what);
    }

    /// What fired did so because this variable keeps an entry of `allow` from holding.
    pub(crate) fn steered_by(&mut self, variable: startup::Variable) {
        if self.verdict.outcome != Outcome::Allow {
            self.verdict.steered = Some(variable);
        }
    }

    /// The whole.
    pub(crate) fn verdict(self) -> Verdict {
        match self.verdict.outcome {
            Outcome::Allow => self.verdict,
            _ => {
                let beside = self.unknown.filter(|_| self.verdict.unknown.is_none());
                Verdict { also: self.fired & !self.verdict.rule.bit(), beside, ..self.verdict }
            }
        }
    }
}

/// What the filter in the kernel does with a call that did not come through the hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backstop {
    /// Nothing, log it, or ask the supervisor.
    pub kind: BackstopKind,
    /// A worker without CAP_SYS_ADMIN may set no_new_privs, which takes from setuid programs what makes them so.
    pub no_new_privs: bool,
}

/// The kinds of backstop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BackstopKind {
    /// No filter.
    Off = 0,
    /// The kernel writes an audit record.
    Log = 1,
    /// A supervisor judges the call by the policy.
    Supervise = 2,
}

impl Backstop {
    /// The number for a compiled policy.
    #[must_use]
    pub fn number(self) -> u32 {
        self.kind as u32 | if self.no_new_privs { 4 } else { 0 }
    }

    /// The backstop of a number; an unknown one is off.
    #[must_use]
    pub fn from_number(number: u32) -> Backstop {
        let kind = match number & 3 {
            1 => BackstopKind::Log,
            2 => BackstopKind::Supervise,
            _ => BackstopKind::Off,
        };
        Backstop { kind, no_new_privs: number & 4 != 0 }
    }
}

impl BackstopKind {
    /// The word for it in configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            BackstopKind::Off => "off",
            BackstopKind::Log => "log",
            BackstopKind::Supervise => "supervise",
        }
    }
}
