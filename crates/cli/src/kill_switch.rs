//! `portcullis panic`: `override` in the configuration of every guarded unit, each of them reloaded; and back again. Everything else
//! in the files stays as it is.

use crate::arguments::{Panic, PanicWord};
use crate::install::plan::Change;
use crate::install::{self, Systemd};
use crate::unreached::{self, Switch};
use crate::{FINE, check, compile, complain, reload};
use portcullis_config::reading::{self, Links};
use portcullis_config::{Config, DEFAULT_CONFIG, trust};
use portcullis_policy::Mode;
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Value};

/// What is at the end of the name of a file that could not be read, while another stands in for it.
const SET_ASIDE: &str = "before-panic";
/// How many of them there may be.
const ASIDE_MAX: u32 = 100;
/// The first line of a file that was not there before the switch was set.
const NEW: &str = "# Written by `portcullis panic`: there was no configuration, and --undo removes this file.\n";
/// The first line of the file that stands in for one, before that one's name.
const STAND_IN: &str = "# Written by `portcullis panic`, in place of a file that could not be read and is now ";

pub fn run(arguments: &Panic) -> u8 {
    if let Err(why) = install::needs_root(Path::new("/")) {
        return complain(why);
    }
    let units = reload::units();
    let named = arguments.source.config.as_ref().map(|_| check::path_of(&arguments.source));
    let mut files: BTreeSet<PathBuf> = match &named {
        Some(path) => BTreeSet::from([path.clone()]),
        None => units.values().cloned().collect(),
    };
    if files.is_empty() {
        files.insert(DEFAULT_CONFIG.into());
    }
    let mut code = FINE;
    let mut configs = BTreeSet::new();
    for file in &files {
        let mode = (!arguments.undo).then(|| mode_of(arguments.mode));
        let changed = if arguments.undo { undone(file) } else { switched(file, word(arguments.mode)) };
        let done = match (changed, mode) {
            (Ok(()), _) => compiled(file, mode),
            // The switch has to work all the same.
            (Err(why), Some(mode)) => {
                complain(&why);
                alone(file, mode).and(Err("`override` is in the compiled policy only; when the configuration is \
                    corrected, `portcullis apply` removes it"
                    .to_owned()))
            }
            (Err(why), None) => Err(why),
        };
        match done {
            Ok(()) => drop(configs.insert(file.clone())),
            Err(why) => code = complain(why),
        }
    }
    // Where one configuration could not be changed, the units of the others still are let go.
    let units: Vec<(&String, &PathBuf)> = units.iter().filter(|(_, file)| files.contains(*file)).collect();
    code = code.max(reload(&units));
    let unreached = match arguments.undo {
        true => unreached::by_apply(&files),
        false => {
            let only = named.is_some().then(|| files.clone());
            unreached::by_switch(&Switch { mode: mode_of(arguments.mode), configs, only })
        }
    };
    for server in &unreached {
        code = complain(server.said());
    }
    let of_file = named.map(|path| format!(" --config {}", path.display())).unwrap_or_default();
    if !arguments.undo {
        println!("To undo it: portcullis panic --undo{of_file}");
    }
    code
}

fn word(mode: PanicWord) -> &'static str {
    match mode {
        PanicWord::Audit => "audit",
        PanicWord::Off => "off",
    }
}

fn mode_of(word: PanicWord) -> Mode {
    match word {
        PanicWord::Audit => Mode::Audit,
        PanicWord::Off => Mode::Off,
    }
}

/// What stands behind the switch.
const MARK: &str = " # by `portcullis panic`";
/// What stands behind that where the file had an `override` of its own, which comes back afterwards.
const FORMER: &str = "; before: ";

/// `text` with `override = "WORD"`; what it said before is kept behind it.
fn with_switch(text: &str, word: &str) -> Result<String, String> {
    let mut document = parsed(text)?;
    let before = document.get("override").and_then(Item::as_value).cloned();
    let kept = match &before {
        Some(value) if suffix(value).starts_with(MARK) => suffix(value).to_owned(),
        Some(value) => {
            let bare = value.clone().decorated("", "").to_string();
            format!("{MARK}{FORMER}{bare}{}", suffix(value))
        }
        None => MARK.to_owned(),
    };
    let mut value = Value::from(word);
    value.decor_mut().set_prefix(" ");
    value.decor_mut().set_suffix(kept);
    document.insert("override", Item::Value(value));
    Ok(document.to_string())
}

/// `text` without the switch, and with what it said before.
fn without_switch(text: &str) -> Result<String, String> {
    let mut document = parsed(text)?;
    let kept = document.get("override").and_then(Item::as_value).map(|value| suffix(value).to_owned());
    let former = kept.as_deref().and_then(|kept| kept.strip_prefix(MARK)?.strip_prefix(FORMER));
    match former.map(|former| format!("override = {former}").parse::<DocumentMut>()) {
        Some(Ok(former)) => drop(document.insert("override", former["override"].clone())),
        _ => drop(document.remove("override")),
    }
    Ok(document.to_string())
}

fn parsed(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error: toml_edit::TomlError| error.to_string())
}

fn suffix(value: &Value) -> &str {
    value.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default()
}

/// Sets the switch in a file. One that is no TOML is set aside, and a file with the switch alone takes its place.
fn switched(path: &Path, word: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot change {}: {error}", path.display());
    let bytes = match reading::bytes(path, Links::Follow, reading::CONFIG_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => NEW.into(),
        Err(error) => return Err(failed(error)),
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string());
    let text = match text.and_then(|text| with_switch(text, word)) {
        Ok(text) => text,
        Err(_) => {
            let aside = set_aside(path, &bytes).map_err(failed)?;
            println!("{}: not readable as a configuration; kept as {}", path.display(), aside.display());
            format!("{STAND_IN}{}\noverride = \"{word}\"\n", aside.display())
        }
    };
    Change::Write(path.to_owned(), text).make_shown(Path::new("/"))
}

/// Keeps a file that is no TOML under a name that is free, for its owner alone: it may hold what only root is to read.
fn set_aside(path: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
    trust::target(Path::new("/"), path).map_err(|weak| std::io::Error::other(weak.what()))?;
    let names = std::iter::once(String::new()).chain((1..ASIDE_MAX).map(|number| format!(".{number}")));
    for number in names {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{SET_ASIDE}{number}"));
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name) {
            Ok(mut file) => return file.write_all(bytes).map(|()| name.into()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::other(format!("{ASIDE_MAX} files {}.{SET_ASIDE}* exist: remove them", path.display())))
}

/// Takes the switch out of a file, where what is left compiles.
fn undone(path: &Path) -> Result<(), String> {
    let text = reading::text(path, Links::Follow, reading::CONFIG_MAX)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if let Some(aside) = text.strip_prefix(STAND_IN).and_then(|rest| rest.lines().next()) {
        return Err(format!(
            "{0} could not be read when the switch was set, and is kept as {aside}: correct it, move it to {0}, and reload the servers",
            path.display(),
        ));
    }
    let without = without_switch(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    if without == NEW {
        return Change::Remove(path.to_owned()).make_shown(Path::new("/"));
    }
    Change::Write(path.to_owned(), without).make_shown(Path::new("/"))?;
    let loaded = portcullis_config::load(path);
    if loaded.usable() {
        return Ok(());
    }
    check::show_errors(&loaded);
    Change::Write(path.to_owned(), text).make_shown(Path::new("/"))?;
    Err(format!("{}: `override` stays, for without it nothing would compile", check::summary(&loaded, path)))
}

/// Compiles a configuration to where its servers look. While the switch is being set, one that does not compile gives a policy with
/// the switch alone.
fn compiled(path: &Path, switch: Option<Mode>) -> Result<(), String> {
    if switch.is_none() && !path.exists() {
        println!("{}: there is no configuration, as before; the built-in audit policy is compiled", path.display());
        return written(path, &portcullis_config::built_in());
    }
    let loaded = portcullis_config::load(path);
    check::show_errors(&loaded);
    check::forgiven(&loaded).iter().for_each(crate::warn);
    if loaded.usable() {
        return written(path, &loaded.config);
    }
    let summary = check::summary(&loaded, path);
    match switch {
        Some(mode) => {
            alone(path, mode)?;
            Err(format!("{summary}; the compiled policy has `override` alone"))
        }
        None => Err(format!("{summary}; the servers keep the policy that they have")),
    }
}

/// Compiles the built-in configuration with the switch: nothing of a file that somebody else may have written is used.
fn alone(path: &Path, mode: Mode) -> Result<(), String> {
    let found = portcullis_config::load(path).config;
    let (sources, vhost_files) = (found.sources, found.vhost_files);
    written(path, &Config { force: Some(mode), sources, vhost_files, ..portcullis_config::built_in() })
}

fn written(path: &Path, config: &Config) -> Result<(), String> {
    let output = compile::default_output(path);
    compile::write(&portcullis_config::compile(config), &output)
        .map_err(|error| format!("cannot write {}: {error}", output.display()))
}

/// Reloads units, and says which have the switch in force.
fn reload(units: &[(&String, &PathBuf)]) -> u8 {
    let systemd = Systemd::of(Path::new("/"));
    if !systemd.is_running() {
        println!(
            "systemd does not run here: reload each guarded server yourself (nginx -s reload, kill -USR2 of PHP-FPM's master, apachectl graceful)."
        );
        return FINE;
    }
    let mut code = FINE;
    for (unit, config) in units {
        let state = reload::reload(&systemd, unit, config);
        match state.is_applied() {
            true => println!("{}", state.said(unit)),
            false => code = complain(state.said(unit)),
        }
    }
    let all = units.iter().map(|(unit, config)| ((*unit).clone(), (*config).clone())).collect();
    if let Some(what) = reload::leftovers(&all) {
        println!("{what}");
    }
    if units.is_empty() {
        println!("No unit is guarded.");
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_switch_is_set_and_taken_out_and_nothing_else_changes() {
        for text in ["", "# ours\nmode = 'enforce' # since May\n\n[egress]\n# why\nallow = []\n", "[log]\nsink = []\n"]
        {
            let set = with_switch(text, "audit").unwrap();
            assert!(set.contains(&format!("override = \"audit\"{MARK}\n")), "{set}");
            let loaded = portcullis_config::parse_text(Path::new("x"), &set);
            assert_eq!(loaded.config.force, Some(Mode::Audit), "{set}");
            let again = with_switch(&set, "off").unwrap();
            assert_eq!([&set, &again].map(|text| without_switch(text).unwrap()), [text; 2]);
        }
    }

    #[test]
    fn where_there_was_no_configuration_there_is_none_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.toml");
        switched(&path, "audit").unwrap();
        assert_eq!(portcullis_config::load(&path).config.force, Some(Mode::Audit));
        switched(&path, "off").unwrap();
        undone(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        // An empty one was there, and stays.
        std::fs::write(&path, "").unwrap();
        switched(&path, "audit").unwrap();
        undone(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn an_override_of_before_comes_back() {
        for text in ["override = \"off\" # ours\nmode = \"audit\"\n", "mode = \"audit\"\noverride = 'off'\n[log]\n"] {
            let twice = with_switch(&with_switch(text, "audit").unwrap(), "audit").unwrap();
            let loaded = portcullis_config::parse_text(Path::new("x"), &twice);
            assert_eq!(loaded.config.force, Some(Mode::Audit), "{twice}");
            assert_eq!(without_switch(&twice).unwrap(), text);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.toml");
        std::fs::create_dir(folder.path().join("vhosts.d")).unwrap();
        std::fs::write(folder.path().join("vhosts.d/shop.toml"), "broken").unwrap();
        for (text, name) in [("mode = \"enf\nx", "before-panic"), ("second [", "before-panic.1")] {
            std::fs::write(&path, text).unwrap();
            switched(&path, "off").unwrap();
            let aside = folder.path().join(format!("portcullis.toml.{name}"));
            assert_eq!(std::fs::read_to_string(&aside).unwrap(), text);
            assert_eq!(std::fs::metadata(&aside).unwrap().permissions().mode() & 0o777, 0o600);
            let loaded = portcullis_config::load(&path);
            assert!(loaded.usable() && loaded.config.force == Some(Mode::Off));
            let [said] = check::forgiven(&loaded).try_into().expect("one file");
            assert!(said.contains("vhosts.d/shop.toml:1:"), "what is wrong in vhosts.d is still said: {said}");
            assert!(undone(&path).unwrap_err().contains(name));
        }
        // Once there is a good file again, what was set aside is nobody's business.
        std::fs::remove_file(folder.path().join("vhosts.d/shop.toml")).unwrap();
        std::fs::write(&path, "mode = \"audit\"\n").unwrap();
        switched(&path, "off").unwrap();
        undone(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mode = \"audit\"\n");
    }

    #[test]
    fn nothing_of_a_file_that_others_may_write_is_changed_or_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.toml");
        let text = "mode = \"enforce\"\n[log]\nsink = [\"file\"]\nfile = \"/etc/passwd\"\n";
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(switched(&path, "audit").unwrap_err().contains("another user could change it"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let output = compile::default_output(&path);
        alone(&path, Mode::Audit).unwrap();
        let bytes = std::fs::read(&output).unwrap();
        let policy = portcullis_policy::Policy::new(&bytes).unwrap();
        assert!(policy.is_overridden() && policy.sinks() & 4 == 0);
        std::fs::remove_file(output).unwrap();
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.toml");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert!(switched(&path, "audit").is_err() && undone(&path).is_err());
    }

    #[test]
    fn it_is_not_undone_where_nothing_would_compile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.toml");
        let text = "mode = \"of\"\noverride = \"audit\"\n";
        std::fs::write(&path, text).unwrap();
        assert!(undone(&path).unwrap_err().contains("`override` stays"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
