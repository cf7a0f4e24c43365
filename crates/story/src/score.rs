//! How grave and how unusual an incident is, and why.

use crate::incident::IncidentStep;
use portcullis_policy::Rule;
use std::rc::Rc;

/// Parts of a script's path that anybody's upload may lie in.
const WRITABLE: [&str; 7] = ["upload", "uploads", "tmp", "temp", "cache", "shm", "sessions"];

/// A part of a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What it adds.
    pub points: u32,
    /// Why, as the end of "N points: ...".
    pub why: &'static str,
}

/// What a score is made of.
pub struct Facts<'f> {
    /// The gravest severity.
    pub severity: u8,
    /// The rules that fired.
    pub rules: &'f [Rule],
    /// The kinds of calls.
    pub steps: &'f [IncidentStep],
    /// How many sites there are.
    pub sites: usize,
    /// How many clients there are.
    pub clients: usize,
    /// The scripts.
    pub scripts: &'f [Rc<str>],
    /// No script of it was used for anything ordinary.
    pub is_script_odd: bool,
    /// Nothing in it is odd.
    pub is_common: bool,
    /// It is what the sites do.
    pub is_ordinary: bool,
    /// The log is too short to know that anything is.
    pub is_short: bool,
}

/// The part of a script's path by which anybody may have put it there.
#[must_use]
pub fn writable_part(script: &str) -> Option<&str> {
    script.split('/').find(|part| WRITABLE.contains(&part.to_ascii_lowercase().as_str()))
}

/// What the score of an incident is made of.
pub fn reasons(facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut add = |points: usize, why: &'static str| {
        if points > 0 {
            reasons.push(Reason { points: points as u32, why });
        }
    };
    let severity = usize::from(facts.severity);
    match (facts.is_common, facts.is_ordinary, facts.is_short) {
        (true, true, _) => add(severity / 2, "half of the severity: it is ordinary in this log"),
        (true, false, true) => {
            add(severity / 2, "half of the severity: many do it from the beginning of this short log")
        }
        (true, false, false) => add(severity, "severity: many did it early in this log, for a short time"),
        (false, ..) => {}
    }
    if facts.is_common {
        return reasons;
    }
    add(severity, "severity");
    let rare = facts.steps.iter().filter(|step| step.is_rare).count();
    add(if rare > 0 { 10 } else { 0 }, "a rare command or destination");
    add(2 * rare.saturating_sub(1).min(5), "further rare ones");
    add(4 * facts.rules.len().saturating_sub(1).min(5), "several rules");
    if facts.rules.iter().any(|rule| crate::trail::is_grave(*rule)) {
        add(10, "calls that no application makes");
    }
    if facts.scripts.iter().any(|script| writable_part(script).is_some()) {
        add(15, "a script in a place for files, not for programs");
    }
    if facts.is_script_odd && !facts.scripts.is_empty() {
        add(8, "a script that does nothing ordinary");
    }
    if facts.clients == 1 {
        add(4, "one client alone");
    }
    add(3 * facts.sites.saturating_sub(1).min(4), "several sites");
    let gravest = facts.steps.iter().any(|step| step.severity == facts.severity && !step.blocked);
    if gravest {
        add(8, "what is most severe went ahead");
    }
    reasons
}
