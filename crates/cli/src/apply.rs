//! `portcullis apply`: the configuration as it is at one moment becomes the policy that the servers have. It is checked, compiled beside
//! the policy that is applied, and takes its place by a rename; then the guarded units are reloaded. A configuration with an error changes
//! nothing.

use crate::arguments::{Apply, OnlyIf};
use crate::changes::Changes;
use crate::out::printable;
use crate::unreached::{self, Switch, Unreached};
use crate::{FINE, WRONG, check, compile, complain, install, modes, reload, sink, status};
use install::Systemd;
use portcullis_config::reading::{self, Links};
use portcullis_config::{DEFAULT_CONFIG, Loaded};
use portcullis_policy::Policy;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The lock of whoever applies: of two at once, the one that has read the later configuration has to be the later one to write.
const LOCK: &str = ".apply-lock";
/// What an interrupted run has left is removed when it is this old.
const LEFT: Duration = Duration::from_secs(60);

/// What became of a configuration.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It has an error; the applied policy stays.
    Rejected,
    /// It is right, and nothing was to be written; whether the applied policy is another.
    Checked { differs: bool },
    /// It was applied before.
    Unchanged,
    /// It is applied now.
    Applied,
    /// It could not be written.
    Failed(String),
}

impl State {
    fn is_fine(&self) -> bool {
        !matches!(self, State::Rejected | State::Failed(_))
    }

    fn word(&self) -> &'static str {
        match self {
            State::Rejected => "rejected",
            State::Checked { differs: true } => "would be applied",
            State::Checked { differs: false } | State::Unchanged => "unchanged",
            State::Applied => "applied",
            State::Failed(_) => "failed",
        }
    }
}

/// A configuration, and what became of it.
struct Outcome {
    path: PathBuf,
    output: PathBuf,
    loaded: Loaded,
    digest: Option<u64>,
    state: State,
    /// What it changes of the policy that was applied before.
    changes: Changes,
}

/// The policy that is applied, where it says what the configuration says: a file that was only touched changes nothing.
fn same_as(applied: &[u8], config: &mut portcullis_config::Config) -> Option<Vec<u8>> {
    let policy = Policy::new(applied).ok()?;
    let now = std::mem::replace(&mut config.sources, status::sources_of(&policy));
    let is_same = portcullis_config::compile(config) == applied;
    config.sources = now;
    is_same.then(|| applied.to_vec())
}

/// Reads, checks and compiles the configuration at `path`, and puts it at `output` unless that `is_check`.
fn one(path: &Path, output: &Path, is_check: bool) -> Outcome {
    let folder = output.parent().unwrap_or(Path::new("/"));
    let turn = if is_check { Ok(None) } else { lock(folder).map(Some) };
    let mut loaded = portcullis_config::load(path);
    check::log_group(path, &mut loaded);
    if is_check {
        check::seal_key(path, &mut loaded);
    }
    let mut outcome = Outcome {
        path: path.to_owned(),
        output: output.to_owned(),
        loaded,
        digest: None,
        state: State::Rejected,
        changes: Changes::default(),
    };
    if !outcome.loaded.usable() {
        return outcome;
    }
    let applied = reading::bytes(output, Links::Refuse, compile::POLICY_MAX).unwrap_or_default();
    let bytes = same_as(&applied, &mut outcome.loaded.config)
        .unwrap_or_else(|| portcullis_config::compile(&outcome.loaded.config));
    let is_there = applied == bytes;
    if let Ok(policy) = Policy::new(&bytes) {
        outcome.digest = Some(policy.digest());
        outcome.changes = Policy::new(&applied).map(|before| Changes::between(&before, &policy)).unwrap_or_default();
    }
    outcome.state = match turn {
        _ if is_check => State::Checked { differs: !is_there },
        Err(error) => State::Failed(format!("cannot lock {}: {error}", folder.join(LOCK).display())),
        Ok(_turn) => {
            compile::prepare(&outcome.loaded.config);
            keep(path, &outcome.loaded.config);
            tidy(folder);
            match compile::write(&bytes, output) {
                Ok(()) if is_there => {
                    // So that the next reload need not find out again.
                    if let (Ok(policy), true) = (Policy::new(&bytes), status::is_any_touched(output, &bytes)) {
                        status::seen::keep(output, &policy, &outcome.loaded.config.sources);
                    }
                    State::Unchanged
                }
                Ok(()) => State::Applied,
                Err(error) => State::Failed(format!("cannot write {}: {error}", output.display())),
            }
        }
    };
    outcome
}

/// Makes the log append-only again where `install` made it so: it may have been removed since.
fn keep(path: &Path, config: &portcullis_config::Config) {
    let is_guarded = || install::installed(Path::new("/")).iter().any(|unit| reload::config_of(unit) == path);
    if install::is_root() && config.sinks.contains(&portcullis_policy::Sink::File) && is_guarded() {
        sink::append_only(Path::new("/"), config, true);
    }
}

fn lock(folder: &Path) -> std::io::Result<std::fs::File> {
    sink::make_folder(folder, 0o755)?;
    reading::lock(&folder.join(LOCK))
}

/// Removes what was never renamed: nobody reads it, but it would stay until the machine is started again.
fn tidy(folder: &Path) {
    for entry in reading::entries(folder, reading::ENTRIES_MAX).into_iter().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(compile::TEMPORARY);
        let changed = entry.metadata().and_then(|meta| meta.modified());
        let is_old = changed.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > LEFT));
        if is_ours && is_old {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The configurations that are meant, and the units of each.
fn meant(arguments: &Apply) -> (BTreeSet<PathBuf>, BTreeMap<String, PathBuf>) {
    let named = arguments.source.config.as_ref().map(|_| check::path_of(&arguments.source));
    let reloads = !arguments.no_reload && !arguments.check;
    let units: BTreeMap<String, PathBuf> = match (&named, reloads) {
        (Some(_), false) => BTreeMap::new(),
        (None, false) => {
            let installed = install::installed(Path::new("/")).into_iter();
            installed.map(|unit| (unit.clone(), reload::config_of(&unit))).collect()
        }
        (_, true) => reload::units(),
    };
    let mut files: BTreeSet<PathBuf> = match &named {
        Some(path) => BTreeSet::from([path.clone()]),
        None => units.values().cloned().collect(),
    };
    if files.is_empty() {
        files.insert(DEFAULT_CONFIG.into());
    }
    if let Some(only_if) = arguments.only_if {
        files.retain(|file| is_wanted(file, only_if));
    }
    let units = units.into_iter().filter(|(_, file)| reloads && files.contains(file)).collect();
    (files, units)
}

/// Applies the configuration with this main file, and reloads nothing; for who restarts the servers.
pub fn at_once(main: &Path) -> Result<(), String> {
    let outcome = one(main, &compile::default_output(main), false);
    if outcome.state != State::Unchanged {
        say(&outcome);
    }
    match &outcome.state {
        State::Rejected => Err(format!("{} was not applied", main.display())),
        State::Failed(why) => Err(why.clone()),
        _ => Ok(()),
    }
}

/// Applies the configuration with this main file, reloads nothing, and prints nothing but its errors; gives what changes of the policy.
pub fn quietly(main: &Path) -> Result<Changes, String> {
    let outcome = one(main, &compile::default_output(main), false);
    match outcome.state {
        State::Rejected => {
            check::show_errors(&outcome.loaded);
            Err(format!("{}: rejected", check::summary(&outcome.loaded, main)))
        }
        State::Failed(why) => Err(why),
        State::Checked { .. } | State::Unchanged | State::Applied => Ok(outcome.changes),
    }
}

/// Whether a configuration is to be applied that may be left as it is.
fn is_wanted(file: &Path, only_if: OnlyIf) -> bool {
    match (status::applied(file), only_if) {
        (status::Applied::Nothing, _) | (status::Applied::Touched, OnlyIf::Changed) => true,
        (status::Applied::Untouched, _) => false,
        (status::Applied::Touched, OnlyIf::Missing) => {
            // A file that was only touched says what it said.
            if !status::is_as_applied(file) {
                let what = changed(file, &status::touched(file));
                eprintln!("portcullis: {what} since it was applied; `portcullis apply` checks it and puts it in force");
            }
            false
        }
    }
}

/// How many files are named.
const NAMED: usize = 3;

/// Which files of the configuration with this main file have changed; of a folder the name says enough.
fn changed(main: &Path, touched: &[PathBuf]) -> String {
    let files: Vec<String> = touched.iter().map(|file| printable(&file.display().to_string())).collect();
    let of = match touched {
        [only] if only == main => return format!("{} has changed", files.concat()),
        [] => String::new(),
        _ => format!(": {}", modes::some(&files[..files.len().min(NAMED)], files.len())),
    };
    format!("the configuration {}{of} has changed", printable(&main.display().to_string()))
}

pub fn run(arguments: &Apply) -> u8 {
    if !arguments.check
        && let Err(why) = install::needs_root(Path::new("/"))
    {
        return complain(why);
    }
    if let Some(Err(why)) = arguments.output.as_deref().map(crate::out::lacks_folder) {
        return complain(why);
    }
    let (files, units) = meant(arguments);
    if arguments.output.is_some() && files.len() > 1 {
        return complain("--output takes one configuration: name it with --config");
    }
    let place = |path: &Path| arguments.output.clone().unwrap_or_else(|| compile::default_output(path));
    let outcomes: Vec<Outcome> = files.iter().map(|path| one(path, &place(path), arguments.check)).collect();
    if !arguments.json {
        outcomes.iter().for_each(say);
    }
    let mut code = if outcomes.iter().all(|outcome| outcome.state.is_fine()) { FINE } else { WRONG };
    let systemd = Systemd::of(Path::new("/"));
    let mut of_units = Vec::new();
    for (unit, config) in &units {
        // One configuration with an error keeps no unit of another from being reloaded.
        let is_fine = |outcome: &Outcome| outcome.path == *config && outcome.state.is_fine();
        if !outcomes.iter().any(is_fine) {
            let state = reload::InForce::Kept;
            if !arguments.json {
                println!("{}", state.said(unit));
            }
            of_units.push(state.as_json(unit, config));
            continue;
        }
        let state = reload::reload(&systemd, unit, config);
        match state.is_applied() {
            _ if arguments.json => {}
            true => println!("{}", state.said(unit)),
            false => drop(complain(state.said(unit))),
        }
        code = code.max(if state.is_applied() { FINE } else { WRONG });
        of_units.push(state.as_json(unit, config));
    }
    if !arguments.json
        && let Some(what) = reload::leftovers(&units)
    {
        println!("{what}");
    }
    let fine = outcomes.iter().filter(|outcome| outcome.state.is_fine());
    for outcome in fine.filter(|_| !arguments.no_reload && !arguments.check) {
        let Some(state) = reload::outside(&outcome.path) else { continue };
        if !state.is_applied() {
            code = WRONG;
            if !arguments.json {
                complain(state.said("outside of units"));
            }
        }
        of_units.push(state.as_json("", &outcome.path));
    }
    if !arguments.no_reload && !arguments.check {
        let applied = outcomes.iter().filter(|outcome| outcome.state.is_fine()).map(|outcome| outcome.path.clone());
        let mut unreached = switch(&outcomes, arguments.source.config.is_some())
            .map(|switch| unreached::by_switch(&switch))
            .unwrap_or_default();
        let known: BTreeSet<u32> = unreached.iter().map(|server| server.pid).collect();
        unreached
            .extend(unreached::by_apply(&applied.collect()).into_iter().filter(|server| !known.contains(&server.pid)));
        for server in &unreached {
            code = WRONG;
            if !arguments.json {
                complain(server.said());
            }
        }
        of_units.extend(unreached.iter().map(Unreached::as_json));
    }
    if arguments.json {
        let configurations: Vec<Value> = outcomes.iter().map(as_json).collect();
        let is_changed = outcomes.iter().any(|outcome| outcome.state == State::Applied);
        let result = json!({ "changed": is_changed, "configurations": configurations, "units": of_units });
        println!("{}", crate::out::json(&result, true));
    } else if of_units.is_empty() && !arguments.no_reload && !arguments.check {
        println!("No unit is guarded by it.");
    }
    code
}

/// The `override` of the configurations that are applied. Where all that is guarded has it, it is meant for every server.
fn switch(outcomes: &[Outcome], is_named: bool) -> Option<Switch> {
    let forced = |outcome: &Outcome| outcome.loaded.config.force.filter(|_| outcome.state.is_fine());
    let mode = outcomes.iter().filter_map(forced).max()?;
    let with = outcomes.iter().filter(|outcome| forced(outcome).is_some());
    let configs: BTreeSet<PathBuf> = with.map(|outcome| outcome.path.clone()).collect();
    let is_for_all = !is_named && configs.len() == outcomes.len();
    Some(Switch { mode, only: (!is_for_all).then(|| configs.clone()), configs })
}

fn say(outcome: &Outcome) {
    check::show(&outcome.loaded);
    let (summary, output) = (check::summary(&outcome.loaded, &outcome.path), outcome.output.display());
    match &outcome.state {
        State::Rejected => {
            eprintln!("{summary}; nothing was applied: the servers keep the policy that they have");
        }
        State::Failed(why) => drop(complain(why)),
        state => {
            check::here(&outcome.loaded);
            modes::said(&outcome.loaded.config).iter().for_each(|line| println!("{line}"));
            println!("{summary}\n{output}: {} {:016x}", state.word(), outcome.digest.unwrap_or_default());
            outcome.changes.said().iter().for_each(|line| println!("{line}"));
            if matches!(state, State::Unchanged | State::Checked { differs: false }) {
                println!("Nothing changed.");
            }
        }
    }
}

fn as_json(outcome: &Outcome) -> Value {
    let mut checked = check::json(&outcome.loaded, &outcome.path);
    let why = if let State::Failed(why) = &outcome.state { Some(why) } else { None };
    if let Some(fields) = checked.as_object_mut() {
        fields.insert("policy".into(), outcome.output.display().to_string().into());
        fields.insert("digest".into(), outcome.digest.map(|digest| format!("{digest:016x}")).into());
        fields.insert("state".into(), outcome.state.word().into());
        fields.insert("changes".into(), outcome.changes.as_json());
        fields.insert("why".into(), json!(why));
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_policy::Mode;

    /// What `apply` says of `override` is for every server only where each configuration has it.
    #[test]
    fn an_override_is_meant_for_every_server_where_all_configurations_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            one(&path, &folder.path().join("policy"), true)
        };
        let (audit, off) = (of("audit", "override = \"audit\"\n"), of("off", "override = \"off\"\n"));
        let (none, broken) = (of("none", "mode = \"enforce\"\n"), of("broken", "mode = \n"));
        assert!(switch(&[none], false).is_none() && switch(&[broken], false).is_none());
        let all = [audit, off];
        let found = switch(&all, false).expect("a switch");
        assert_eq!((found.mode, found.configs.len(), found.only), (Mode::Audit, 2, None));
        let named = switch(&all, true).expect("a switch");
        assert_eq!(named.only, Some(named.configs));
        let [audit, _] = all;
        let some = switch(&[audit, of("none", "mode = \"enforce\"\n")], false).expect("a switch");
        assert_eq!(some.only.map(|only| only.len()), Some(1));
    }

    /// A file that was only touched is compiled once, whatever touched it; a change that comes with it is taken.
    #[test]
    fn what_was_only_touched_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let main = at("portcullis.toml");
        std::fs::create_dir(at("vhosts.d")).unwrap();
        let policy = compile::default_output(&main);
        let put = |mode: &str| std::fs::write(&main, format!("mode = \"{mode}\"\n")).unwrap();
        put("audit");
        assert_eq!(one(&main, &policy, false).state, State::Applied);
        let bytes = std::fs::read(&policy).unwrap();
        assert!(!is_wanted(&main, OnlyIf::Changed));
        for round in 0..2 {
            put("audit");
            // So does an editor that leaves a file there which is none of the configuration.
            std::fs::write(at(&format!("vhosts.d/{round}.toml~")), "").unwrap();
            assert!(is_wanted(&main, OnlyIf::Changed), "it was touched");
            assert_eq!(one(&main, &policy, true).state, State::Checked { differs: false });
            assert!(is_wanted(&main, OnlyIf::Changed), "`--check` keeps nothing");
            assert_eq!(one(&main, &policy, false).state, State::Unchanged);
            assert!(!is_wanted(&main, OnlyIf::Changed), "it is known to say the same");
            assert_eq!(std::fs::read(&policy).unwrap(), bytes, "no server has to take another policy");
        }
        put("enforce");
        assert!(is_wanted(&main, OnlyIf::Changed));
        assert_eq!(one(&main, &policy, false).state, State::Applied);
        assert!(!is_wanted(&main, OnlyIf::Changed) && std::fs::read(&policy).unwrap() != bytes);
        std::fs::remove_file(&policy).unwrap();
        let _ = std::fs::remove_file(format!("{}.seen", policy.display()));
    }

    #[test]
    fn the_file_that_changed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let main = at("portcullis.toml");
        std::fs::create_dir(at("vhosts.d")).unwrap();
        std::fs::write(&main, "mode = \"audit\"\n").unwrap();
        let put = |more: &str| {
            std::fs::write(at("vhosts.d/blog.toml"), format!("name = \"blog\"\nmatch = {{ pool = \"b\" }}\n{more}"))
                .unwrap();
        };
        put("");
        let policy = compile::default_output(&main);
        std::fs::create_dir_all(policy.parent().unwrap()).unwrap();
        compile::write(&portcullis_config::compile(&portcullis_config::load(&main).config), &policy).unwrap();
        put("mode = \"enforce\"\n");
        let said = changed(&main, &status::touched(&main));
        std::fs::remove_file(policy).unwrap();
        assert!(said.contains("vhosts.d/blog.toml has changed"), "{said}");
        assert_eq!(changed(&main, std::slice::from_ref(&main)), format!("{} has changed", main.display()));
    }
}
