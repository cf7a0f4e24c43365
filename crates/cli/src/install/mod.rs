//! `portcullis install`: a drop-in for a unit, shown and written; the server restarted with it, and settled.

mod candidates;
pub mod jails;
mod mode;
mod module;
pub mod plan;
pub mod program;
pub mod review;
mod systemd;
mod undo;
mod uninstall;
pub mod unit;

pub use systemd::Systemd;
pub use uninstall::uninstall;

use crate::arguments::Install;
use crate::{FINE, WRONG, apply, check, complain, seal_key, sink, status};
use anstyle::{AnsiColor, Style};
use jails::State;
use plan::Change;
use portcullis_config::reading::{self, Links};
use portcullis_config::{Config, DEFAULT_CONFIG, Sink};
use review::{Review, Warning};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use undo::Undo;
use unit::Unit;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The name of the drop-in.
const DROP_IN: &str = "portcullis.conf";
/// The first words of every file that `install` writes.
const MARK: &str = "# Written by `portcullis install`";
/// The command, as units run it.
const COMMAND: &str = "/usr/bin/portcullis";

/// The service that applies the configuration when a guarded unit is reloaded.
const APPLY: &str = "portcullis-apply.service";

/// An error for whoever is not root, before the system of this machine is changed in part; images are their maker's.
pub fn needs_root(root: &Path) -> Result<(), String> {
    match root == Path::new("/") && !is_root() {
        true => Err(format!("this needs root; nothing was changed; help: {}", crate::out::as_root())),
        false => Ok(()),
    }
}

/// Whether this is run by root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where the library is installed.
pub fn library() -> PathBuf {
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let all = [multiarch.as_str(), "/usr/lib64"];
    let at = |folder: &str| Path::new(folder).join("libportcullis.so");
    // Where it is not installed at all, that is said of the place where it belongs.
    let belongs = if Path::new(&multiarch).is_dir() { all[0] } else { all[1] };
    all.into_iter().map(at).find(|path| path.exists()).unwrap_or_else(|| at(belongs))
}

/// A path below another root.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Where a unit's drop-in lies.
pub fn drop_in(root: &Path, unit: &str) -> PathBuf {
    root.join("etc/systemd/system").join(format!("{unit}.d")).join(DROP_IN)
}

/// A file of the configuration.
fn text_of(path: &Path) -> std::io::Result<String> {
    reading::text(path, Links::Follow, reading::CONFIG_MAX)
}

/// Whether a drop-in is the guard's: written by `install`, or copied from the examples.
fn is_ours(path: &Path) -> bool {
    text_of(path).is_ok_and(|text| text.starts_with(MARK) || text.contains("libportcullis.so"))
}

/// The text of a unit's drop-in.
fn drop_in_text(unit: &Unit, library: &Path, config: Option<&Path>, review: &Review) -> String {
    let short = unit.name.trim_end_matches(".service");
    let mut text = format!(
        "{MARK}; `portcullis uninstall {short}` removes it.\n[Unit]\n\
         # A reload applies the configuration first.\n\
         Wants={APPLY}\nAfter={APPLY}\nPropagatesReloadTo={APPLY}\n\n[Service]\n\
         # As root whatever the unit's user is (+); a configuration with an error does not keep the server from starting (-).\n\
         ExecStartPre=-+{COMMAND} apply --no-reload --only-if missing\n"
    );
    let others = unit.variable("LD_PRELOAD").map(|(value, _)| value).unwrap_or_default();
    let others: Vec<&str> =
        others.split([':', ' ']).filter(|other| !other.is_empty() && Path::new(other) != library).collect();
    let preload: Vec<String> =
        std::iter::once(library.display().to_string()).chain(others.into_iter().map(str::to_owned)).collect();
    text += &format!("Environment=LD_PRELOAD={}\n", preload.join(":"));
    if let Some(config) = config {
        text += &format!("Environment=PORTCULLIS_CONFIG={}\n", config.display());
    }
    for (why, line) in &review.lines {
        text += &format!("# {why}\n{line}\n");
    }
    text
}

/// The main file as `install` writes it where there is none.
fn main_file(mode: &str) -> String {
    main_file_with(mode, &crate::out::page("configuration.md"))
}

/// The same with this place of the page.
fn main_file_with(mode: &str, page: &str) -> String {
    format!(
        "{MARK}; {page} has every key.\n\
         # audit writes events and changes nothing; enforce blocks.\nmode = \"{mode}\"\n"
    )
}

/// Whether a main file is as `install` has written it; the pages may have been elsewhere then.
fn is_as_written(text: &str) -> bool {
    let page = text.strip_prefix(MARK).and_then(|rest| rest.strip_prefix("; ")?.split_once(" has every key."));
    let modes = ["off", "audit", "enforce"];
    page.is_some_and(|(page, _)| modes.iter().any(|mode| text == main_file_with(mode, page)))
}

/// The change to the main file, where one is needed, and the configuration that then holds.
fn configuration(arguments: &Install) -> Result<(Option<Change>, Config), String> {
    let named = arguments.source.config.as_ref().map(|_| check::path_of(&arguments.source));
    let path = below(&arguments.root, named.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG)));
    let mode = arguments.mode.map(|mode| portcullis_policy::Mode::from(mode).word());
    if !path.exists() {
        if named.is_some() {
            return Err(format!("{} does not exist", path.display()));
        }
        return Ok((Some(Change::Write(path, main_file(mode.unwrap_or("audit")))), Config::default()));
    }
    let loaded = portcullis_config::load_below(&arguments.root, &path);
    check::show_errors(&loaded);
    if !loaded.usable() {
        return Err(format!("{}; nothing was written", check::summary(&loaded, &path)));
    }
    check::hint(&loaded);
    if let (Some("enforce"), Some(force)) = (mode, loaded.config.force) {
        println!(
            "{WARNING}warning:{WARNING:#} override = \"{}\" is in force and takes precedence: nothing is blocked; help: {}",
            force.word(),
            crate::modes::UNDO
        );
    }
    if let (Some(mode), None) = (mode, &arguments.vhost) {
        println!("{}", of_whom(mode, &path, &with_configuration(arguments, named.as_deref())));
    }
    let change = match (mode, &arguments.vhost) {
        (Some(mode), None) => Some(mode::of_all(&path, mode)?),
        (Some(mode), Some(vhost)) => Some(mode::of_vhost(&loaded.config, vhost, mode)?),
        (None, _) => None,
    };
    Ok((change, loaded.config))
}

/// The units that have the configuration, those that are to get it included.
fn with_configuration(arguments: &Install, named: Option<&Path>) -> BTreeSet<String> {
    let main = named.unwrap_or(Path::new(DEFAULT_CONFIG));
    let config_of = |name: &String| {
        let unit = Unit::find(&arguments.root, name).ok()?;
        Some(
            unit.variable("PORTCULLIS_CONFIG").map_or_else(|| DEFAULT_CONFIG.into(), |(value, _)| PathBuf::from(value)),
        )
    };
    let others = installed(&arguments.root).into_iter().filter(|name| config_of(name).is_some_and(|path| path == main));
    let own = arguments.units.iter().filter_map(|name| Some(Unit::find(&arguments.root, name).ok()?.name));
    others.chain(own).collect()
}

/// Whose mode it is that changes: the configuration is not that of one unit.
fn of_whom(mode: &str, path: &Path, units: &BTreeSet<String>) -> String {
    let units: Vec<&str> = units.iter().map(String::as_str).collect();
    format!(
        "note: mode = \"{mode}\" in {} is the mode of every unit with this configuration: {}; for one virtual host alone, add --vhost NAME",
        path.display(),
        units.join(", ")
    )
}

/// One unit's part of the plan.
struct Guarded {
    unit: Unit,
    change: Change,
    /// Copies of the library in its pools' root directories.
    copies: Vec<Change>,
    warnings: Vec<Warning>,
}

fn guard(arguments: &Install, name: &str, library: &Path, config: &Config) -> Result<Guarded, String> {
    let found = Unit::find(&arguments.root, name)?;
    let path = drop_in(&arguments.root, &found.name);
    let foreign = path.symlink_metadata().is_ok() && !is_ours(&path);
    if foreign {
        return Err(format!("{} exists and was not written by Portcullis; help: move it away", path.display()));
    }
    let bare = found.with(&path, "");
    let mut review = review::review(&arguments.root, &bare, library, config);
    let named = arguments.source.config.as_ref().map(|_| check::path_of(&arguments.source));
    let text = drop_in_text(&bare, library, named.as_deref(), &review);
    let unit = bare.with(&path, &text);
    let (value, setting) = unit.variable("LD_PRELOAD").ok_or("the drop-in has no LD_PRELOAD")?;
    if !value.split(':').any(|part| Path::new(part) == library) {
        let message = format!(
            "this is read after the drop-in and sets LD_PRELOAD={value}: put {} before that",
            library.display()
        );
        review.warnings.push(Warning { place: setting.place(), message });
    }
    let mut copies = Vec::new();
    for jail in jails::of_unit(&arguments.root, &found) {
        let state = jail.state(&arguments.root, library);
        match state {
            // A copy that is there is renewed in any case.
            State::Other => copies.push(jail.placing(&arguments.root, library)),
            State::Missing if arguments.jails => copies.push(jail.placing(&arguments.root, library)),
            _ => {
                let lacks =
                    jails::lack(&jail, &found.name, &state).map(|message| Warning { place: jail.place, message });
                review.warnings.extend(lacks);
            }
        }
    }
    Ok(Guarded { unit: found, change: Change::Write(path, text), copies, warnings: review.warnings })
}

/// Renews the copies of the library in the root directories of the pools of every guarded unit; for an upgrade.
pub fn renew(root: &Path) -> u8 {
    if let Err(why) = needs_root(root) {
        return complain(why);
    }
    let library = library();
    let units = installed(root).into_iter().filter_map(|name| Unit::find(root, &name).ok());
    let mut code = FINE;
    for jail in units.flat_map(|unit| jails::of_unit(root, &unit)) {
        if jail.state(root, &library) == State::Other {
            let change = jail.placing(root, &library);
            code = code.max(change.make_shown(root).map_or_else(complain, |()| FINE));
        }
    }
    code
}

pub fn install(arguments: &Install) -> u8 {
    if arguments.units.is_empty() {
        return candidates::list(&arguments.root);
    }
    match try_install(arguments) {
        Ok(code) => code,
        Err(message) => complain(message),
    }
}

fn try_install(arguments: &Install) -> Result<u8, String> {
    let library = library();
    let systemd = Systemd::of(&arguments.root);
    if !arguments.dry_run {
        needs_root(&arguments.root)?;
    }
    if let Some(why) = program::unfit_library(&below(&arguments.root, &library)) {
        return Err(format!(
            "{why}; nothing was written; help: install the package, or run `make build` and copy target/release/libportcullis.so there"
        ));
    }
    let (config_change, config) = configuration(arguments)?;
    let mut guarded = Vec::new();
    for name in &arguments.units {
        guarded.push(guard(arguments, name, &library, &config)?);
    }
    if arguments.module {
        for part in &guarded {
            module::check(&arguments.root, &part.unit.name).map_err(|why| format!("{why}; nothing was changed"))?;
        }
    }
    let of_units = || guarded.iter().flat_map(|guarded| std::iter::once(&guarded.change).chain(&guarded.copies));
    if arguments.dry_run {
        config_change.iter().chain(of_units()).for_each(Change::show);
        let all = guarded.iter().filter(|_| arguments.module);
        for link in all.filter_map(|part| module::to_enable(&arguments.root, &part.unit.name)) {
            println!("{}: enabled", link.display());
        }
    }
    let is_guarded = guarded.iter().all(|part| part.change.is_done());
    if !arguments.dry_run {
        let mut undo = Undo::new(&arguments.root);
        let all = config_change.iter().chain(of_units());
        make(arguments, all, &guarded, &config, &systemd, &mut undo).map_err(|why| {
            let why = undo.back(&why);
            // What systemd has read may be what was undone.
            let _ = systemd.reload();
            why
        })?;
    }
    for part in &guarded {
        for warning in &part.warnings {
            let place = if warning.place.is_empty() { part.unit.name.clone() } else { warning.place.clone() };
            println!("{WARNING}warning:{WARNING:#} {place}: {}", warning.message);
        }
        if let Some(hint) = module::hint(&arguments.root, &part.unit.name).filter(|_| !arguments.module) {
            println!("note: {hint}");
        }
    }
    if arguments.dry_run {
        println!("Nothing was written (--dry-run).");
        return Ok(FINE);
    }
    let names: Vec<&str> = guarded.iter().map(|guarded| guarded.unit.name.as_str()).collect();
    if !arguments.now {
        let verb = if is_guarded { "reload" } else { "restart" };
        println!("Takes effect when the server is {verb}ed: systemctl {verb} {}", short(&names));
        return Ok(FINE);
    }
    let mut code = FINE;
    for part in &guarded {
        // One server that does not start keeps no other from being guarded.
        code = code.max(restart(&systemd, part).unwrap_or_else(complain));
    }
    println!(
        "See `portcullis status` for what is guarded, `portcullis doctor {}` for whether it works.",
        short(names.get(..1).unwrap_or_default())
    );
    Ok(code)
}

/// All that is done before a server is restarted: with an error, all of it is to be undone.
fn make<'c>(
    arguments: &Install,
    changes: impl Iterator<Item = &'c Change>,
    guarded: &[Guarded],
    config: &Config,
    systemd: &Systemd,
    undo: &mut Undo<'_>,
) -> Result<(), String> {
    for change in changes {
        undo.make(change)?;
    }
    for part in guarded.iter().filter(|_| arguments.module) {
        module::enable(&arguments.root, &part.unit.name, undo)?;
    }
    log(&arguments.root, config)?;
    systemd.reload()?;
    if arguments.now && arguments.root == Path::new("/") {
        // A restart keeps the applied policy.
        let named = arguments.source.config.as_ref().map(|_| check::path_of(&arguments.source));
        apply::at_once(&named.unwrap_or_else(|| DEFAULT_CONFIG.into()))?;
    }
    Ok(())
}

/// Makes the log of the file sink, where that is used, so that nothing in it can be taken back.
fn log(root: &Path, config: &Config) -> Result<(), String> {
    seal_key::prepare(config)?;
    if !config.sinks.contains(&Sink::File) {
        return Ok(());
    }
    let path = config.log_file.display();
    sink::prepare(root, config).map_err(|error| format!("cannot make the log {path}: {error}"))?;
    if sink::append_only(root, config, true) {
        println!("{path}: append-only; logrotate's rule of the package takes that away while it rotates");
    } else {
        println!(
            "{WARNING}warning:{WARNING:#} {path}: its file system has no append-only attribute: what may append to the log may \
             also empty it"
        );
    }
    Ok(())
}

fn short(names: &[&str]) -> String {
    names.iter().map(|name| name.trim_end_matches(".service")).collect::<Vec<_>>().join(" ")
}

/// Restarts a running server; where it does not come back, without the guard again.
fn restart(systemd: &Systemd, part: &Guarded) -> Result<u8, String> {
    let name = &part.unit.name;
    if !systemd.is_active(name) {
        println!("{name} is not running; it will be guarded when it is started.");
        return Ok(FINE);
    }
    let Err(why) = systemd.restart(name) else {
        return Ok(match status::settled(name, true, || systemd.main_process(name)) {
            Ok(count) => {
                println!("{name}: restarted, {count} guarded.");
                FINE
            }
            Err(why) => complain(format_args!("{name} was restarted, but {why}")),
        });
    };
    if let Change::Write(path, _) = &part.change {
        Change::Remove(path.clone()).make(Path::new("/"))?;
        plan::tidy(Path::new("/"), path.parent().unwrap_or(Path::new("/")));
    }
    systemd.reload()?;
    systemd
        .restart(name)
        .map_err(|again| format!("{name} fails to start with Portcullis ({why}), and without: {again}"))?;
    complain(format_args!(
        "{name} failed to start with Portcullis, so the drop-in was removed and the server runs without: {why}"
    ));
    Ok(WRONG)
}

/// The units that have the guard's drop-in.
pub fn installed(root: &Path) -> Vec<String> {
    let folder = root.join("etc/systemd/system");
    let mut found: Vec<String> = reading::entries(&folder, reading::ENTRIES_MAX)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".d")?.to_owned()))
        .filter(|unit| is_ours(&drop_in(root, unit)))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_file_is_known_wherever_the_pages_were() {
        for page in ["docs/configuration.md", "/usr/share/doc/portcullis/configuration.md"] {
            assert!(is_as_written(&main_file_with("enforce", page)));
        }
        assert!(is_as_written(&main_file("audit")));
        assert!(!is_as_written(&format!("{}# mine\n", main_file("audit"))) && !is_as_written("mode = \"audit\"\n"));
    }

    #[test]
    fn other_preloads_stay() {
        let unit = Unit { name: "x.service".into(), settings: Vec::new() };
        let unit = unit.with(Path::new("/x.service"), "[Service]\nEnvironment=LD_PRELOAD=/usr/lib/libjemalloc.so.2\n");
        let text = drop_in_text(&unit, Path::new("/usr/lib/libportcullis.so"), None, &Review::default());
        assert!(
            text.contains("Environment=LD_PRELOAD=/usr/lib/libportcullis.so:/usr/lib/libjemalloc.so.2\n"),
            "{text}"
        );
    }
}
