//! Reloads what is guarded, and tells where the applied policy is not in force.

use crate::install::Systemd;
use crate::reload::{self, InForce};
use crate::status;
use crate::unreached::{self, Unreached};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Guarded units, each with its main configuration file.
pub struct Units(pub BTreeMap<String, PathBuf>);

/// What became of them.
#[derive(Default)]
pub struct Reloaded {
    /// In words, those in which the policy is in force.
    pub fine: Vec<String>,
    /// Those in which it is not, and what to do.
    pub problems: Vec<String>,
    /// Workers that have the policy of before until the request ends that they handle.
    pub former: BTreeSet<u32>,
    /// Processes with another policy that systemd does not reload.
    pub by_hand: BTreeSet<u32>,
    pub json: Vec<Value>,
}

impl Units {
    /// Reloads them, and looks at the servers of these configurations that belong to no unit.
    pub fn reload(&self, configs: &BTreeSet<PathBuf>) -> Reloaded {
        let systemd = Systemd::of(Path::new("/"));
        let mut reloaded = Reloaded::default();
        let mut is_any = false;
        for (unit, config) in &self.0 {
            let state = reload::reload(&systemd, unit, config);
            is_any |= state != InForce::NotRunning;
            reloaded.take(&state, unit, config);
        }
        for config in configs {
            if let Some(state) = reload::outside(config) {
                is_any = true;
                reloaded.take(&of_servers(state), "outside of units", config);
            }
        }
        for server in unreached::by_apply(configs) {
            is_any = true;
            reloaded.problems.push(server.said());
            reloaded.json.push(Unreached::as_json(&server));
        }
        if !is_any {
            reloaded.problems.push(
                "no running server is guarded by this configuration, so nothing is blocked; help: portcullis status"
                    .to_owned(),
            );
        }
        reloaded.fine.extend(reload::leftovers(&self.0));
        reloaded
    }
}

/// The state of servers alone: what their workers started keeps its policy until it ends, and is listed as what still runs.
fn of_servers(state: InForce) -> InForce {
    let InForce::ByHand(mut pids) = state else { return state };
    let units = status::of_host();
    let started = units.iter().flat_map(|unit| &unit.processes).filter(|process| process.descent.is_some());
    let started: BTreeSet<u32> = started.map(|process| process.pid).collect();
    pids.retain(|pid| !started.contains(pid));
    if pids.is_empty() { InForce::Applied { reloaded: false } } else { InForce::ByHand(pids) }
}

impl Reloaded {
    fn take(&mut self, state: &InForce, name: &str, config: &Path) {
        match state.is_applied() {
            true => self.fine.push(state.said(name)),
            false => self.problems.push(state.said(name)),
        }
        // Of a server that was not reloaded, the main process has it too, and the line above says what to do.
        match state {
            InForce::Draining(pids) => self.former.extend(pids),
            InForce::ByHand(pids) => self.by_hand.extend(pids),
            _ => {}
        }
        self.json.push(state.as_json(name, config));
    }
}
