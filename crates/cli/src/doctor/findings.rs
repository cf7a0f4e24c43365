//! What `doctor` found, for people and for programs.

use crate::install::unit::Unit;
use crate::{check, show};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

const DIM: Style = Style::new().dimmed();

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Fine,
    Warning,
    Wrong,
    /// This user, or this program, could not look at it.
    Unknown,
    Skipped,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Fine => "fine",
            Outcome::Warning => "warning",
            Outcome::Wrong => "wrong",
            Outcome::Unknown => "unknown",
            Outcome::Skipped => "skipped",
        }
    }

    pub fn style(self) -> Style {
        match self {
            Outcome::Fine => AnsiColor::Green.on_default(),
            Outcome::Warning | Outcome::Unknown => AnsiColor::Yellow.on_default(),
            Outcome::Wrong => AnsiColor::Red.on_default().bold(),
            Outcome::Skipped => DIM,
        }
    }
}

/// What was looked at, and what was found.
pub struct Finding {
    outcome: Outcome,
    what: String,
    found: String,
    /// What to do.
    advice: String,
}

/// All that was found.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn add(&mut self, outcome: Outcome, what: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Finding {
            outcome,
            what: what.to_owned(),
            found: crate::out::in_words(&found.into()),
            advice: advice.into(),
        });
    }

    /// What could not be looked at, why, and who can; it may be fine.
    pub fn unseen(&mut self, what: &str, why: impl std::fmt::Display, advice: impl Into<String>) {
        self.add(Outcome::Unknown, what, format!("not looked at: {why}"), advice);
    }

    /// Whether nothing is wrong, as far as that is known, and everything was looked at.
    pub fn is_whole(&self) -> bool {
        self.count(Outcome::Wrong) == 0 && self.count(Outcome::Unknown) == 0
    }

    /// How many ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|finding| finding.outcome == outcome).count()
    }

    /// For people.
    pub fn print(&self) {
        for finding in &self.0 {
            let (style, word) = (finding.outcome.style(), finding.outcome.word());
            println!("{style}{word:<8}{style:#} {}: {}", finding.what, show::printable(&finding.found));
            if !finding.advice.is_empty() {
                println!("         {}", finding.advice);
            }
        }
    }

    /// What became of an act that was to be seen.
    pub fn of_event(&mut self, what: &str, sink: &str, seen: Result<crate::log::Event, String>) {
        match seen {
            Ok(event) => {
                let outcome = if event.blocked() { "blocked, logged" } else { "logged" };
                self.fine(what, format!("seen, {outcome} in {sink}: {}", event.rule()));
            }
            Err(why) => self.add(Outcome::Wrong, what, why, format!("See {}.", crate::out::page("troubleshooting.md"))),
        }
    }

    pub fn fine(&mut self, what: &str, found: impl Into<String>) {
        self.add(Outcome::Fine, what, found, "");
    }
}

/// A line for each of many units.
pub fn summary(all: &[(Unit, Findings)]) {
    println!("");
    for (unit, findings) in all {
        let (wrong, warnings) = (findings.count(Outcome::Wrong), findings.count(Outcome::Warning));
        let unknown = findings.count(Outcome::Unknown);
        let outcome = match (wrong, unknown, warnings) {
            (0, 0, 0) => Outcome::Fine,
            (0, 0, _) => Outcome::Warning,
            (0, _, _) => Outcome::Unknown,
            _ => Outcome::Wrong,
        };
        let (style, word) = (outcome.style(), outcome.word());
        let unseen = if unknown == 0 { String::new() } else { format!(", {unknown} not looked at") };
        let counts = match outcome {
            Outcome::Fine => String::new(),
            _ => format!(": {wrong} wrong, {}{unseen}", check::counted(warnings, "warning")),
        };
        println!("{style}{word:<8}{style:#} {}{counts}", show::printable(&unit.name));
    }
}

/// Those of a unit, for programs.
pub fn as_json(unit: &Unit, findings: &Findings) -> Value {
    let all = findings.0.iter().map(|finding| {
        json!({ "outcome": finding.outcome.word(), "what": finding.what, "found": finding.found, "advice": finding.advice })
    });
    json!({ "unit": unit.name, "findings": all.collect::<Vec<Value>>() })
}
