//! `portcullis uninstall`: the drop-ins taken away again, and with the last of them what `install` made.

use super::jails::{self, Jail, State};
use super::plan::{self, Change};
use super::undo::Undo;
use super::unit::Unit;
use super::{Systemd, below, drop_in, installed, is_as_written, is_ours, library, module, needs_root, short};
use crate::arguments::Uninstall;
use crate::{FINE, check, complain, sink, status};
use portcullis_config::DEFAULT_CONFIG;
use std::path::{Path, PathBuf};

/// What portcullis-metrics.service writes for the node exporter, where its METRICS is not another.
const METRICS: &str = "var/lib/prometheus/node-exporter/portcullis.prom";

pub fn uninstall(arguments: &Uninstall) -> u8 {
    match try_uninstall(arguments) {
        Ok(code) => code,
        Err(message) => complain(message),
    }
}

fn try_uninstall(arguments: &Uninstall) -> Result<u8, String> {
    let root = &arguments.root;
    let systemd = Systemd::of(root);
    if !arguments.dry_run {
        needs_root(root)?;
    }
    let units: Vec<String> = match arguments.units.as_slice() {
        [] => installed(root).into_iter().chain(left(arguments)).collect(),
        // A unit may be gone, and its drop-in still there.
        names => names
            .iter()
            .map(|name| {
                let unit = format!("{}.service", name.trim_end_matches(".service"));
                match Unit::find(root, name) {
                    Ok(found) => Ok(found.name),
                    Err(_) if !unit.contains('/') && drop_in(root, &unit).exists() => Ok(unit),
                    Err(why) => Err(why),
                }
            })
            .collect::<Result<_, String>>()?,
    };
    let mut changes: Vec<Change> = units.iter().map(|unit| Change::Remove(drop_in(root, unit))).collect();
    for unit in &units {
        let path = drop_in(root, unit);
        if path.exists() && !is_ours(&path) {
            return Err(format!("{} was not written by Portcullis; nothing was removed", path.display()));
        }
    }
    let library = library();
    let of_pools = |unit: &String| Unit::find(root, unit).map(|unit| jails::of_unit(root, &unit)).unwrap_or_default();
    // Another unit's pool may have the same root directory.
    let kept: Vec<_> = installed(root).iter().filter(|unit| !units.contains(unit)).flat_map(of_pools).collect();
    let is_kept = |jail: &Jail| kept.iter().any(|other| other.folder == jail.folder);
    let freed: Vec<Jail> = units.iter().flat_map(of_pools).filter(|jail| !is_kept(jail)).collect();
    let has_copy = |jail: &&Jail| matches!(jail.state(root, &library), State::Same | State::Other);
    changes.extend(freed.iter().filter(has_copy).map(|jail| Change::Remove(jail.copy(root, &library))));
    for jail in &freed {
        if let (State::Unfit(why), true) = (jail.state(root, &library), jail.copy(root, &library).exists()) {
            println!("warning: {} stays: {why}", jail.copy(root, &library).display());
        }
    }
    let last = installed(root).iter().all(|unit| units.contains(unit));
    let main = below(root, Path::new(DEFAULT_CONFIG));
    let loaded = last.then(|| portcullis_config::load_below(root, &main));
    if last {
        let text = super::text_of(&main).unwrap_or_default();
        if arguments.purge || is_as_written(&text) {
            changes.push(Change::Remove(main.clone()));
        }
    }
    changes.retain(|change| !change.is_done());
    if arguments.dry_run {
        changes.iter().for_each(Change::show);
    } else {
        let mut undo = Undo::new(root);
        make(root, &changes, &units, &systemd, &mut undo).map_err(|why| {
            let why = undo.back(&why);
            let _ = systemd.reload();
            why
        })?;
    }
    if changes.is_empty() {
        println!("Nothing of Portcullis is there.");
    }
    if arguments.dry_run {
        let rest = if last { rest(arguments, &main) } else { Vec::new() };
        rest.iter().for_each(|path| println!("{}: {}", path.display(), content(path)));
        println!("Nothing was removed (--dry-run).");
        return Ok(FINE);
    }
    freed.iter().for_each(|jail| jails::tidy(jail, root, &library));
    for unit in &units {
        plan::tidy(root, drop_in(root, unit).parent().unwrap_or(root));
    }
    let mut code = FINE;
    for unit in units.iter().filter(|unit| arguments.now && systemd.is_active(unit)) {
        let settled = || status::settled(unit, false, || systemd.main_process(unit));
        // One server that does not start keeps no other from being let go.
        match systemd.restart(unit).map(|()| settled()) {
            Ok(Ok(_)) => println!("{unit}: restarted."),
            Ok(Err(why)) => code = complain(format_args!("{unit} was restarted, but {why}")),
            Err(why) => code = complain(why),
        }
    }
    if let Some(loaded) = loaded {
        // What is append-only nobody removes. Which log that is, only a configuration of root's may say.
        if loaded.is_trusted {
            sink::append_only(root, &loaded.config, false);
        }
        clean(arguments, &main)?;
    }
    if !arguments.now && units.iter().any(|unit| systemd.is_active(unit)) {
        let names: Vec<&str> = units.iter().map(String::as_str).collect();
        println!("What runs stays guarded until it is restarted: systemctl restart {}", short(&names));
    }
    Ok(code)
}

/// All that is done before a server is restarted: with an error, all of it is to be undone.
fn make(
    root: &Path,
    changes: &[Change],
    units: &[String],
    systemd: &Systemd,
    undo: &mut Undo<'_>,
) -> Result<(), String> {
    for change in changes {
        undo.make(change)?;
    }
    for unit in units {
        module::disable(root, unit, undo)?;
    }
    if changes.is_empty() { Ok(()) } else { systemd.reload() }
}

/// The units that are still guarded without a drop-in, for it was removed without a restart.
fn left(arguments: &Uninstall) -> Vec<String> {
    if !arguments.now || arguments.root != Path::new("/") {
        return Vec::new();
    }
    let installed = installed(&arguments.root);
    let has_preload =
        |unit: &Unit| unit.variable("LD_PRELOAD").is_some_and(|(value, _)| value.contains("libportcullis"));
    let is_left = |name: &String| Unit::find(&arguments.root, name).is_ok_and(|unit| !has_preload(&unit));
    let guarded = status::of_host().into_iter().filter(|unit| unit.guarded().next().is_some());
    guarded.map(|unit| unit.name).filter(|name| !installed.contains(name) && is_left(name)).collect()
}

/// What is left when no unit is guarded any more.
fn clean(arguments: &Uninstall, main: &Path) -> Result<(), String> {
    let root = &arguments.root;
    let folder = main.parent().unwrap_or(Path::new("/"));
    if arguments.purge {
        sink::let_go(root, &root.join(LOG));
    }
    let mut kept = Vec::new();
    for path in rest(arguments, main) {
        let content = content(&path);
        match plan::remove(root, &path) {
            Ok(()) => println!("{}: removed, {content}", path.display()),
            // What is not there need not be removed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => kept.push(format!("cannot remove {}: {error}", path.display())),
        }
    }
    plan::remove_empty(root, &folder.join("vhosts.d"));
    plan::tidy(root, folder);
    if main.exists() {
        println!("{} stays: it is yours (--purge removes it, and the log).", main.display());
    }
    if kept.is_empty() { Ok(()) } else { Err(kept.join("\n")) }
}

/// The log, below the root folder.
const LOG: &str = "var/log/portcullis";

/// What is removed beside drop-ins and the configuration's main file, when no unit is guarded any more: of what is there.
fn rest(arguments: &Uninstall, main: &Path) -> Vec<PathBuf> {
    let root = &arguments.root;
    let mut rest = Vec::new();
    if arguments.now || arguments.purge || !Systemd::of(root).is_running() {
        rest.push(root.join("run/portcullis"));
    }
    if arguments.purge {
        let beside = ["vhosts.d", "seal.key"].map(|name| main.with_file_name(name));
        rest.extend(beside.into_iter().chain([LOG, "var/lib/portcullis", METRICS].map(|path| root.join(path))));
    }
    rest.retain(|path| std::fs::symlink_metadata(path).is_ok());
    rest
}

/// How much a file or a folder has, in words.
fn content(path: &Path) -> String {
    match portcullis_config::reading::entries(path, portcullis_config::reading::ENTRIES_MAX) {
        Ok(entries) => check::counted(entries.len(), "file"),
        Err(_) => "a file".to_owned(),
    }
}
