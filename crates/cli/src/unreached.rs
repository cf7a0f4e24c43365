//! Guarded servers that no reload by systemd reaches, so that `apply` and `panic` have to name them: those that `portcullis run` started,
//! those that were started by hand, and those of containers.

use crate::out::printable;
use crate::status::process::Process;
use crate::status::{self, Unit};
use crate::{compile, run};
use portcullis_config::modes::Modes;
use portcullis_policy::Mode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A server's first process.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreached {
    pub pid: u32,
    command: String,
    /// Its unit or container; `outside of units` for neither.
    of: String,
    help: String,
}

impl Unreached {
    /// In words.
    pub fn said(&self) -> String {
        let Unreached { pid, command, of, help } = self;
        format!("not reached: process {pid} ({}), {of}; help: {help}", printable(command))
    }

    /// As JSON, as of a unit that a reload did not reach.
    pub fn as_json(&self) -> Value {
        json!({
            "unit": self.of, "command": self.command, "state": "not reached", "in_force": false, "reloaded": false,
            "former": [self.pid], "why": self.help,
        })
    }
}

/// An `override` that is set.
pub struct Switch {
    /// What it says.
    pub mode: Mode,
    /// The configurations that have it: a server that is started with one of them has it, too.
    pub configs: BTreeSet<PathBuf>,
    /// Only the servers of these configurations are meant to have it.
    pub only: Option<BTreeSet<PathBuf>>,
}

/// The servers that a switch does not reach and that do more than it lets them.
pub fn by_switch(switch: &Switch) -> Vec<Unreached> {
    let (units, _) = status::survey();
    let find = |unit: &Unit| {
        // A unit's own policy is what the reload of the unit is for.
        let is_meant = |file: &Path| {
            let is_apart = unit.name.is_empty() || run::is_own(file);
            let of_config = |config: &PathBuf| run::is_of(file, config) || compile::default_output(config) == file;
            is_apart && switch.only.as_ref().is_none_or(|only| only.iter().any(of_config))
        };
        servers(unit, &mut |guard| {
            let file = guard.policy.file.as_deref()?;
            let scopes = guard.policy.differing.iter().map(|alike| &alike.modes).chain([&guard.policy.modes]);
            let is_reached = !scopes.into_iter().any(|modes| exceeds(modes, switch.mode));
            (is_meant(file) && !is_reached).then(|| switch.help(&unit.name, unit.container.is_some(), file))
        })
    };
    units.iter().flat_map(find).collect()
}

/// The servers that `portcullis run` started with one of these configurations, and that have another policy than it says now.
pub fn by_apply(configs: &BTreeSet<PathBuf>) -> Vec<Unreached> {
    let mut now = Now::default();
    let mut find = |unit: &Unit| {
        servers(unit, &mut |guard| {
            let file = guard.policy.file.as_deref()?;
            let is_behind = now.is_other(file, guard.policy.digest, configs) == Some(true);
            is_behind.then(|| help(unit))
        })
    };
    status::of_host().iter().flat_map(&mut find).collect()
}

/// What is compiled of a configuration now for a file of `portcullis run`; each once.
#[derive(Default)]
pub struct Now(BTreeMap<PathBuf, Option<u64>>);

impl Now {
    /// Whether a policy of `portcullis run` with this digest is another than its configuration says, if that is one of these.
    pub fn is_other(&mut self, file: &Path, digest: u64, configs: &BTreeSet<PathBuf>) -> Option<bool> {
        let config = configs.iter().find(|config| run::is_of(file, config))?;
        let now = self.0.entry(file.to_owned()).or_insert_with(|| run::digest_now(file, config));
        now.map(|now| now != digest)
    }
}

/// The first processes of the servers of a unit for which there is a help.
fn servers(unit: &Unit, help: &mut dyn FnMut(&status::Guard) -> Option<String>) -> Vec<Unreached> {
    let own: BTreeSet<u32> = unit.workers().map(|(process, _)| process.pid).collect();
    let first = |process: &Process| !own.contains(&process.facts.parent);
    let all = unit.workers().filter(|(process, _)| first(process));
    all.filter_map(|(process, guard)| {
        Some(Unreached { pid: process.pid, command: process.command.clone(), of: unit.label(), help: help(guard)? })
    })
    .collect()
}

/// How a server of `portcullis run` gets what its configuration says now.
fn help(unit: &Unit) -> String {
    match &unit.container {
        Some(_) => "run `portcullis apply` in its container, or start that again".to_owned(),
        None => restart(&unit.name),
    }
}

impl Switch {
    /// What gives the switch to a server that has it not. Its policy's file says what it would have if it were started again.
    fn help(&self, unit: &str, is_contained: bool, file: &Path) -> String {
        let word = self.mode.word();
        if is_contained {
            return format!("run `portcullis panic --mode {word}` in its container");
        }
        if !run::is_own(file) {
            let has_it = self.configs.iter().any(|config| compile::default_output(config) == file);
            let before =
                if has_it { String::new() } else { format!("set `override = \"{word}\"` in its configuration, then ") };
            return before + crate::reload::BY_HAND;
        }
        // `override` takes precedence over a mode that its command names.
        if self.configs.iter().any(|config| run::is_of(file, config)) {
            return restart(unit);
        }
        let again = if unit.is_empty() {
            format!("end the server, and start it again with `portcullis run --mode {word}`")
        } else {
            let unit = printable(unit);
            format!(
                "write `--mode {word}` into ExecStart (systemctl edit --full {unit}), then systemctl restart {unit}"
            )
        };
        format!("its configuration lacks the override, so that the same options do not help: {again}")
    }
}

/// How a server of `portcullis run` gets another policy.
pub fn restart(unit: &str) -> String {
    if unit.is_empty() {
        "end the server, and start it again with the same `portcullis run`".to_owned()
    } else {
        format!("systemctl restart {}", printable(unit))
    }
}

/// Whether a rule does more than `mode`.
pub fn exceeds(modes: &Modes, mode: Mode) -> bool {
    modes.rules.iter().any(|rule| *rule > mode) || modes.grave_places && mode < Mode::Enforce
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the remedy of a switch says is what the server has when it is started so.
    #[test]
    fn a_server_is_told_to_start_as_before_only_where_that_gives_it_the_switch() {
        let (default, other) = (Path::new(portcullis_config::DEFAULT_CONFIG), Path::new("/root/run.toml"));
        let of = |configs: &[&Path], mode| Switch {
            mode,
            configs: configs.iter().map(|config| config.to_path_buf()).collect(),
            only: None,
        };
        let files = [None, Some(Mode::Enforce), Some(Mode::Audit)]
            .into_iter()
            .flat_map(|told| [None, Some(default), Some(other)].map(|config| (config, told)));
        for (config, told) in files {
            let file = run::file_of(config, told);
            for configs in [&[default][..], &[other], &[default, other], &[]] {
                for unit in ["", "x.service"] {
                    let said = of(configs, Mode::Off).help(unit, false, &file);
                    let is_obeyed = configs.contains(&config.unwrap_or(default));
                    assert_eq!(said == restart(unit), is_obeyed, "{config:?} {told:?} {configs:?}: {said}");
                    assert_eq!(said.contains("--mode off") && said.contains("do not help"), !is_obeyed, "{said}");
                }
            }
        }
        let by_hand = |config| of(&[default], Mode::Audit).help("", false, &compile::default_output(config));
        assert_eq!(by_hand(default), crate::reload::BY_HAND);
        assert!(by_hand(other).starts_with("set `override = \"audit\"` in its configuration"), "{}", by_hand(other));
        let contained = of(&[default], Mode::Audit).help("", true, &run::file_of(None, None));
        assert!(!contained.contains("start"), "its container has a configuration of its own: {contained}");
    }

    #[test]
    fn a_switch_is_missed_by_whatever_does_more() {
        let grave = Modes { grave_places: true, ..Modes::all(Mode::Audit) };
        let all = [Modes::all(Mode::Off), Modes::all(Mode::Audit), grave, Modes::all(Mode::Enforce)];
        assert_eq!(all.map(|modes| exceeds(&modes, Mode::Audit)), [false, false, true, true]);
        assert_eq!(all.map(|modes| exceeds(&modes, Mode::Off)), [false, true, true, true]);
    }
}
