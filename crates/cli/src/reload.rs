//! Reloads guarded units, and waits until their processes have the applied policy in force.

use crate::{check, compile, install, run, status};
use install::Systemd;
use portcullis_config::DEFAULT_CONFIG;
use portcullis_config::reading::{self, Links};
use portcullis_policy::Policy;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long workers may go on after a reload, with what they are doing.
const DRAINING: Duration = Duration::from_secs(5);
/// What to do about a server that systemd does not reload.
pub const BY_HAND: &str =
    "reload the server yourself (nginx -s reload, kill -USR2 of PHP-FPM's master, apachectl graceful)";
/// How many processes are named.
const NAMED: usize = 10;

/// Every guarded unit, with its main configuration file. One that `portcullis run` guards has no reload for that.
pub fn units() -> BTreeMap<String, PathBuf> {
    let is_reloadable = |unit: &status::Unit| {
        let is_run = |guard: &status::Guard| guard.policy.file.as_deref().is_some_and(run::is_own);
        unit.workers().next().is_none() || unit.workers().any(|(_, guard)| !is_run(guard))
    };
    let guarded = status::of_host().into_iter().filter(is_reloadable).map(|unit| unit.name);
    let names: BTreeSet<String> = guarded.chain(install::installed(Path::new("/"))).collect();
    let named = names.into_iter().filter(|name| !name.is_empty());
    named.map(|name| (name.clone(), config_of(&name))).collect()
}

/// The main configuration file of a unit.
pub fn config_of(unit: &str) -> PathBuf {
    let named = || {
        let unit = install::unit::Unit::find(Path::new("/"), unit).ok()?;
        Some(PathBuf::from(unit.variable("PORTCULLIS_CONFIG")?.0))
    };
    named().unwrap_or_else(|| DEFAULT_CONFIG.into())
}

/// What a unit has in force.
#[derive(Debug, PartialEq, Eq)]
pub enum InForce {
    /// The applied policy; `reloaded` for it or, before that, already.
    Applied { reloaded: bool },
    /// Nothing: it does not run, and takes the applied policy when it is started.
    NotRunning,
    /// Nothing: it has run since before it was to be guarded.
    NotGuarded,
    /// The applied policy, in the server and its new workers; these workers from before the reload finish what they do, and end.
    Draining(Vec<u32>),
    /// These processes go on with another policy.
    Former(Vec<u32>),
    /// Nobody knows: a bound was reached before so many of its processes were looked at.
    Unseen(usize),
    /// What it had: its configuration has an error, and nothing was applied.
    Kept,
    /// It could not be reloaded.
    NotReloaded(String),
    /// These processes have another policy, and systemd does not reload them: it does not run, or they are of no unit of it.
    ByHand(Vec<u32>),
}

impl InForce {
    /// Whether no process of the unit has another policy.
    pub fn is_applied(&self) -> bool {
        matches!(self, InForce::Applied { .. } | InForce::NotRunning | InForce::Draining(_))
    }

    /// In words, of a unit.
    pub fn said(&self, unit: &str) -> String {
        match self {
            InForce::Applied { reloaded: true } => format!("{unit}: reloaded, the policy is in force"),
            InForce::Applied { reloaded: false } => format!("{unit}: the policy is in force already"),
            InForce::NotRunning => format!("{unit}: not running"),
            InForce::NotGuarded => format!("{unit}: not guarded; help: systemctl restart {unit}"),
            InForce::Kept => format!("{unit}: not reloaded, it keeps the policy that it has"),
            InForce::Draining(pids) => format!(
                "{unit}: reloaded, the policy is in force; {} from before the reload with the former policy until the requests \
                 in progress end: {}",
                check::counted(pids.len(), "worker"),
                named(pids)
            ),
            InForce::Former(pids) => format!(
                "{unit}: reloaded, but {} with the former policy, the main process among them: {}; help: systemctl restart {unit}",
                count(pids),
                named(pids)
            ),
            InForce::NotReloaded(why) => format!("{unit}: {why}; `systemctl restart {unit}` does it"),
            InForce::Unseen(count) => {
                let count = check::counted(*count, "process");
                format!(
                    "{unit}: {count} could not be looked at, so whether the policy is in force is unknown: portcullis status says why"
                )
            }
            InForce::ByHand(pids) => format!(
                "{unit}: {} with another policy, which systemd does not reload: {BY_HAND}: {}",
                count(pids),
                named(pids)
            ),
        }
    }

    /// As JSON, of a unit with this configuration.
    pub fn as_json(&self, unit: &str, config: &Path) -> Value {
        let (state, pids) = match self {
            InForce::Applied { .. } => ("in force", &[][..]),
            InForce::NotRunning => ("not running", &[][..]),
            InForce::NotGuarded => ("not guarded", &[][..]),
            InForce::Kept => ("kept", &[][..]),
            InForce::Draining(pids) => ("draining", pids.as_slice()),
            InForce::Former(pids) => ("former policy", pids.as_slice()),
            InForce::NotReloaded(_) => ("not reloaded", &[][..]),
            InForce::ByHand(pids) => ("to be reloaded by hand", pids.as_slice()),
            InForce::Unseen(_) => ("unknown", &[][..]),
        };
        let why = if let InForce::NotReloaded(why) = self { Some(why) } else { None };
        let reloaded = matches!(self, InForce::Applied { reloaded: true } | InForce::Draining(_) | InForce::Former(_));
        json!({
            "unit": unit, "config": config.display().to_string(), "state": state, "in_force": self.is_applied(),
            "reloaded": reloaded, "former": pids, "why": why,
        })
    }
}

fn count(pids: &[u32]) -> String {
    check::counted(pids.len(), "process")
}

fn named(pids: &[u32]) -> String {
    pids.iter().take(NAMED).map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// What the processes outside of units have in force that read this configuration; `None` where there are none.
pub fn outside(config: &Path) -> Option<InForce> {
    let (file, applied) = (compile::default_output(config), applied(config)?);
    let all = status::of_host().into_iter().filter(|unit| unit.name.is_empty());
    let mut known = false;
    let mut former = Vec::new();
    let mut unseen = 0;
    for unit in all {
        unseen += unit.unseen();
        let own = unit.guarded().filter(|(_, guard)| guard.policy.file.as_ref() == Some(&file));
        for (process, guard) in own {
            known = true;
            former.extend((guard.policy.digest != applied).then_some(process.pid));
        }
    }
    if known && former.is_empty() && unseen != 0 {
        return Some(InForce::Unseen(unseen));
    }
    known.then_some(if former.is_empty() { InForce::Applied { reloaded: false } } else { InForce::ByHand(former) })
}

/// The digest of the applied policy of a configuration.
fn applied(config: &Path) -> Option<u64> {
    let bytes = reading::bytes(&compile::default_output(config), Links::Refuse, compile::POLICY_MAX).ok()?;
    Policy::new(&bytes).ok().map(|policy| policy.digest())
}

/// The processes of a unit that have another policy than the applied one, and how many of it could not be looked at.
fn former(unit: &str, applied: Option<u64>) -> (Vec<u32>, usize) {
    let all = status::of_host();
    let of_unit = || all.iter().filter(|known| known.name == unit);
    let old = |unit: &status::Unit| {
        let [own, _] = unit.with_another(applied);
        own
    };
    (of_unit().flat_map(old).collect(), of_unit().map(status::Unit::unseen).sum())
}

/// What a unit has in force of which these processes have another policy, and so many could not be looked at.
fn state(old: Vec<u32>, unseen: usize, reloaded: bool) -> InForce {
    match (old.is_empty(), unseen) {
        (true, 0) => InForce::Applied { reloaded },
        (true, _) => InForce::Unseen(unseen),
        (false, _) => InForce::Former(old),
    }
}

/// What is to be said of processes that workers of these units started before: no reload reaches them.
pub fn leftovers(units: &BTreeMap<String, PathBuf>) -> Option<String> {
    let known = |unit: &status::Unit| {
        let [_, others] = unit.with_another(applied(units.get(&unit.name)?));
        Some(others)
    };
    let left: Vec<u32> = status::of_host().iter().filter_map(known).flatten().collect();
    (!left.is_empty()).then(|| left_said(&left))
}

fn left_said(left: &[u32]) -> String {
    let (verb, end) = if left.len() == 1 { ("has", "it ends") } else { ("have", "they end") };
    let more = left.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!(
        "{} that workers started {verb} another policy than the applied one, and no reload changes that until {end}: \
         {}{more}; `portcullis ps` has the request of each",
        count(left),
        named(left)
    )
}

/// Reloads a unit whose processes have another policy than the applied one of its configuration, and waits for them.
pub fn reload(systemd: &Systemd, unit: &str, config: &Path) -> InForce {
    if systemd.is_running() && !systemd.is_active(unit) {
        return InForce::NotRunning;
    }
    if status::of_host().iter().any(|known| known.name == unit && known.is_bare()) {
        return InForce::NotGuarded;
    }
    let applied = applied(config);
    let (old, unseen) = former(unit, applied);
    if old.is_empty() && unseen == 0 {
        return InForce::Applied { reloaded: false };
    }
    if !systemd.is_running() {
        return if old.is_empty() { state(old, unseen, false) } else { InForce::ByHand(old) };
    }
    if let Err(why) = systemd.reload_unit(unit) {
        return InForce::NotReloaded(why);
    }
    let begun = Instant::now();
    loop {
        let (old, unseen) = former(unit, applied);
        if old.is_empty() && unseen == 0 || begun.elapsed() > DRAINING {
            let has_former = old.is_empty() || systemd.main_process(unit).is_none_or(|main| old.contains(&main));
            return if has_former { state(old, unseen, true) } else { InForce::Draining(old) };
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_another_policy_is_named() {
        let one = left_said(&[4711]);
        assert!(one.contains("1 process that workers started has another policy") && one.contains(": 4711; "), "{one}");
        let many = left_said(&(1..13).collect::<Vec<u32>>());
        assert!(many.contains("12 processes") && many.contains(" 9, 10 and 2 more; "), "{many}");
        assert!(!many.contains("former"), "after an apply that failed it may be the later one: {many}");
    }

    #[test]
    fn only_a_unit_without_a_former_policy_has_the_applied_one() {
        let states = [
            (InForce::Applied { reloaded: true }, true, "in force"),
            (InForce::Applied { reloaded: false }, true, "in force already"),
            (InForce::NotRunning, true, "not running"),
            (InForce::NotGuarded, false, "not guarded; help: systemctl restart x.service"),
            (InForce::Draining(vec![7]), true, "1 worker from before the reload with the former policy until"),
            (
                InForce::Former(vec![7, 8]),
                false,
                "2 processes with the former policy, the main process among them: 7, 8",
            ),
            (InForce::NotReloaded("it is masked".into()), false, "it is masked"),
            (InForce::Unseen(2), false, "2 processes could not be looked at"),
            (InForce::ByHand(vec![7]), false, "1 process with another policy, which systemd does not reload"),
        ];
        for (state, is_applied, said) in states {
            assert_eq!(state.is_applied(), is_applied, "{state:?}");
            assert!(state.said("x.service").contains(said), "{}", state.said("x.service"));
            assert_eq!(state.as_json("x.service", Path::new("/c"))["in_force"], is_applied, "{state:?}");
        }
    }
}
