//! `portcullis status`: what is guarded, by which policy, and what is not and should be.

pub mod claim;
pub mod descendants;
mod disk;
pub mod facts;
mod family;
mod guard;
pub mod lineage;
pub mod live;
mod memory;
mod policy;
pub mod process;
mod prometheus;
pub mod seen;
mod shown;
mod survey;
mod tally;
mod unit;
pub mod users;

pub use guard::Guard;
pub use shown::no_supervisor;
pub use survey::{exposed, lacks, mains, named, of_host, settled, survey};
pub use unit::Unit;
#[cfg(test)]
pub use unit::tests::process as process_of_x;

use crate::arguments::Status;
use crate::out::printable;
use crate::probes::Left;
use crate::unreached::Now;
use crate::{FINE, WRONG, check, complain, install, reload, run};
pub use disk::{Applied, applied, is_any_touched, is_as_applied, is_sealed, sources_of, touched, vhosts_of};
use disk::{OnDisk, Sources, on_disk};
use portcullis_config::reading;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tally::Log;

pub fn run(arguments: &Status) -> u8 {
    let (mut units, lack) = survey::survey();
    let disks = configurations(arguments, &units);
    let configs: BTreeSet<PathBuf> = disks.iter().map(|disk| disk.config.clone()).collect();
    look_at_runs(&mut units, &configs);
    // A partial answer says so wherever the answer goes.
    lack.iter().for_each(|lack| eprintln!("portcullis: {}", printable(lack)));
    if let Some(output) = &arguments.prometheus {
        if let Err(message) = metrics(arguments, output, &units, &disks) {
            return complain(message);
        }
    } else if arguments.json {
        println!("{}", crate::out::json(&shown::as_json(&units, &disks, &lack), true));
    } else {
        shown::print(&units, &disks);
    }
    let is_open = |unit: &Unit| unit.is_exposed() || (unit.is_installed && unit.processes.is_empty());
    let is_rejected = disks.iter().any(|disk| disk.sources.rejected().is_some() || disk.sources == Sources::Missing);
    if is_rejected || !lack.is_empty() || units.iter().any(is_open) { WRONG } else { FINE }
}

/// The virtual hosts of the applied policy of every configuration.
pub fn applied_vhosts() -> BTreeSet<String> {
    let files: BTreeSet<PathBuf> =
        reload::units().into_values().chain([PathBuf::from(portcullis_config::DEFAULT_CONFIG)]).collect();
    files.iter().flat_map(|file| disk::vhosts_of(file)).collect()
}

/// Notes of what `portcullis run` has started whether it has the policy that its configuration says now: its file never changes.
fn look_at_runs(units: &mut [Unit], configs: &BTreeSet<PathBuf>) {
    let mut now = Now::default();
    let all = units.iter_mut().filter(|unit| unit.container.is_none()).flat_map(|unit| &mut unit.processes);
    for policy in all.filter_map(|process| Some(&mut process.guard.as_mut().ok()?.policy)) {
        let file = policy.file.as_deref().filter(|file| run::is_own(file));
        if file.is_some_and(|file| now.is_other(file, policy.digest, configs) == Some(true)) {
            policy.is_current = false;
        }
    }
}

/// The configuration that is named, else the default one and those of the units.
fn configurations(arguments: &Status, units: &[Unit]) -> Vec<OnDisk> {
    let first = check::path_of(&arguments.source);
    let mut paths = vec![first];
    if arguments.source.config.is_none() {
        let of_units: BTreeSet<PathBuf> = units
            .iter()
            .filter(|unit| !unit.name.is_empty() && unit.container.is_none())
            .map(|unit| reload::config_of(&unit.name))
            .collect();
        // A machine whose units all have another one has no default configuration.
        if !of_units.is_empty() && !of_units.iter().any(|path| *path == paths[0]) && !paths[0].exists() {
            paths.clear();
        }
        for path in of_units {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths.iter().map(|path| on_disk(path)).collect()
}

/// Writes what Prometheus is to get, with the calls that the log has.
fn metrics(arguments: &Status, output: &Path, units: &[Unit], disks: &[OnDisk]) -> Result<(), String> {
    let disk = disks.first().ok_or("there is no configuration")?;
    let is_shown = output.as_os_str() == "-";
    let folder = arguments.state.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    // Two at once would count twice.
    let lock = arguments.state.with_extension("lock");
    let _turn = reading::lock(&lock).map_err(|error| format!("cannot lock {}: {error}", lock.display()))?;
    let mut tally = tally::Tally::load(&arguments.state)?;
    // Where the log cannot be read, what was counted before is still said, and so is everything else.
    let left = &mut Left::by(&arguments.probe_list, arguments.probes);
    let counted = match (&arguments.log, &disk.log) {
        // It may be that of other hosts, with virtual hosts of their own.
        (Some(log), _) => tally.advance(&Log::File(log.clone()), arguments.vhosts, &|_| true, left),
        (None, Some(log)) => tally.advance(log, arguments.vhosts, &|name| disk.vhosts.contains(name), left),
        (None, None) => Err("the configured sinks keep no log; `--log FILE` names one".to_owned()),
    };
    let is_changed = disks.iter().any(|disk| disk.sources != Sources::Applied && disk.digest.is_some());
    let text = prometheus::text(units, is_changed, &tally, counted.is_ok());
    if is_shown {
        print!("{text}");
    } else {
        tally.save(&arguments.state)?;
        install::plan::output(output, &text).map_err(|error| format!("cannot write {}: {error}", output.display()))?;
    }
    counted
}
