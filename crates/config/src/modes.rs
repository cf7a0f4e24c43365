//! The modes of the rules: a virtual host's rule wins over the virtual host, that over the rule, that over all; `override` wins over
//! everything.

use crate::model::{Config, From, ScopeConfig};
use portcullis_policy::exec::MEMFD;
use portcullis_policy::{Mode, RULES, Rule};

/// The places of `exec-place` that `mode` covers: what is no file, and what anybody can write to.
pub const GRAVE_PLACES: [&str; 5] = [MEMFD, "/tmp", "/var/tmp", "/dev/shm", "/run/lock"];

/// The modes of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Of each rule, by its number.
    pub rules: [Mode; RULES],
    /// Whether `exec-place`, which only audits, refuses in [`GRAVE_PLACES`].
    pub grave_places: bool,
}

impl Modes {
    /// The same for every rule.
    #[must_use]
    pub fn all(mode: Mode) -> Modes {
        Modes { rules: [mode; RULES], grave_places: false }
    }

    /// The words of the rules that have this mode.
    fn words(&self, mode: Mode) -> Vec<&'static str> {
        let word = |rule: Rule| match (rule, mode, self.grave_places) {
            (Rule::ExecPlace, Mode::Audit, true) => "exec-place (other places)",
            _ => rule.word(),
        };
        let of_mode = Rule::ALL.into_iter().filter(|rule| self.rules.get(*rule as usize) == Some(&mode)).map(word);
        let grave = (self.grave_places && mode == Mode::Enforce).then_some("exec-place (memfd, world-writable places)");
        of_mode.chain(grave).collect()
    }

    /// In words: the mode, or each mode with its rules.
    #[must_use]
    pub fn said(&self) -> String {
        let of_mode = |mode: Mode| (mode, self.words(mode));
        let all: Vec<_> = [Mode::Enforce, Mode::Audit, Mode::Off].map(of_mode).into_iter().collect();
        match all.iter().filter(|(_, words)| !words.is_empty()).collect::<Vec<_>>()[..] {
            [(mode, _)] => format!("{} for every rule", mode.word()),
            ref parts => {
                let part = |(mode, words): &&(Mode, Vec<&str>)| format!("{}: {}", mode.word(), words.join(", "));
                parts.iter().map(part).collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// Whether something is refused, and something only logged.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        (self.rules.contains(&Mode::Enforce) || self.grave_places) && self.rules.contains(&Mode::Audit)
    }
}

/// The modes of what `own`, the global scope or a virtual host, says.
#[must_use]
pub fn of(own: &ScopeConfig, config: &Config) -> Modes {
    if let Some(force) = config.force {
        return Modes::all(force);
    }
    let (own, global) = (&own.modes, &config.global.modes);
    let rules = Rule::ALL.map(|rule| {
        let of_all = |all: Option<Mode>| match rule.follows_mode() {
            true => all,
            false => all.filter(|mode| *mode == Mode::Off),
        };
        let number = rule as usize;
        let all = if own.all.is_some() { None } else { of_all(global.all) };
        own.rules[number].or(of_all(own.all)).or(global.rules[number]).or(all).unwrap_or(Mode::Audit)
    });
    let place = Rule::ExecPlace as usize;
    let grave_places = own.rules[place].is_none()
        && rules[place] == Mode::Audit
        && match own.all {
            Some(mode) => mode == Mode::Enforce,
            None => global.rules[place].is_none() && global.all == Some(Mode::Enforce),
        };
    Modes { rules, grave_places }
}

/// Those of `places` that are [`GRAVE_PLACES`].
pub(crate) fn grave(mut places: Vec<From<String>>) -> Vec<From<String>> {
    places.retain(|place| GRAVE_PLACES.contains(&place.value.as_str()));
    places
}
