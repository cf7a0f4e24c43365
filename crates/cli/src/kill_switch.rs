//! `portcullis panic`: `override` in the configuration of every guarded unit, each of them reloaded; and back again. Everything else
//! in the files stays as it is.

use crate::arguments::{Panic, PanicWord};
use crate::install::plan::{self, Change};
use crate::install::{self, Systemd};
use crate::{FINE, WRONG, check, compile, complain, status};
use portcullis_config::DEFAULT_CONFIG;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use toml_edit::DocumentMut;

/// What is at the end of the name of a file that could not be read, while another stands in for it.
const SET_ASIDE: &str = "before-panic";
/// How long workers may go on after a reload, with what they are doing.
const DRAINING: Duration = Duration::from_secs(5);

pub fn run(arguments: &Panic) -> u8 {
    if let Err(why) = install::needs_root(Path::new("/")) {
        return complain(why);
    }
    let units = units();
    let named = arguments.source.config.as_ref().map(|_| check::path_of(&arguments.source));
    let mut files: BTreeSet<PathBuf> = match &named {
        Some(path) => BTreeSet::from([path.clone()]),
        None => units.values().cloned().collect(),
    };
    if files.is_empty() {
        files.insert(DEFAULT_CONFIG.into());
    }
    let mut code = FINE;
    let mut is_set = false;
    for file in &files {
        let done = trusted(file)
            .and_then(|()| if arguments.undo { undone(file) } else { switched(file, word(arguments.mode)) });
        is_set |= done.is_ok() && !arguments.undo;
        if let Err(why) = done.and_then(|()| compiled(file)) {
            code = complain(why);
        }
    }
    // Where one configuration could not be changed, the units of the others still are let go.
    let units: Vec<&String> = units.iter().filter(|(_, file)| files.contains(*file)).map(|(unit, _)| unit).collect();
    code = code.max(reload(&units));
    let of_file = named.map(|path| format!(" --config {}", path.display())).unwrap_or_default();
    if is_set {
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

/// Every guarded unit, with its main configuration file.
fn units() -> BTreeMap<String, PathBuf> {
    let root = Path::new("/");
    let guarded = status::units().into_iter().map(|unit| unit.name);
    let names: BTreeSet<String> = guarded.chain(install::installed(root)).filter(|name| !name.is_empty()).collect();
    let config = |name: &String| {
        let unit = install::unit::Unit::find(root, name).ok()?;
        Some(PathBuf::from(unit.variable("PORTCULLIS_CONFIG")?.0))
    };
    names.into_iter().map(|name| (name.clone(), config(&name).unwrap_or_else(|| DEFAULT_CONFIG.into()))).collect()
}

fn set_aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{SET_ASIDE}"));
    name.into()
}

/// `text` with `override = "WORD"`, or without it.
fn edited(text: &str, word: Option<&str>) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    match word {
        Some(word) => drop(document.insert("override", toml_edit::value(word))),
        None => drop(document.remove("override")),
    }
    Ok(document.to_string())
}

/// A configuration that another user can change would not compile after the switch either: nothing of it is changed.
fn trusted(path: &Path) -> Result<(), String> {
    let loaded = portcullis_config::load(path);
    if loaded.is_trusted {
        return Ok(());
    }
    check::show_errors(&loaded);
    Err(format!("{}: another user could change it; nothing was changed", path.display()))
}

/// Sets the switch in a file. One that is no TOML is set aside, and a file with the switch alone takes its place.
fn switched(path: &Path, word: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot change {}: {error}", path.display());
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let text = String::from_utf8(bytes.clone()).map_err(|error| error.to_string());
    let text = match text.and_then(|text| edited(&text, Some(word))) {
        Ok(text) => text,
        Err(_) => {
            plan::write(Path::new("/"), &set_aside(path), &bytes).map_err(failed)?;
            println!("{}: not readable as a configuration; kept as {}", path.display(), set_aside(path).display());
            format!("override = \"{word}\"\n")
        }
    };
    Change::Write(path.to_owned(), text).make_shown(Path::new("/"))
}

/// Takes the switch out of a file, where what is left compiles.
fn undone(path: &Path) -> Result<(), String> {
    let aside = set_aside(path);
    if aside.exists() {
        return Err(format!(
            "{0} could not be read when the switch was set, and is kept as {1}: correct it, move it to {0}, and reload the servers",
            path.display(),
            aside.display()
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let change =
        Change::Write(path.to_owned(), edited(&text, None).map_err(|why| format!("{}: {why}", path.display()))?);
    change.make_shown(Path::new("/"))?;
    let loaded = portcullis_config::load(path);
    if loaded.usable() {
        return Ok(());
    }
    check::show_errors(&loaded);
    Change::Write(path.to_owned(), text).make(Path::new("/"))?;
    Err(format!("{}: `override` stays, for without it nothing would compile", check::summary(&loaded, path)))
}

/// Compiles a configuration to where its servers look.
fn compiled(path: &Path) -> Result<(), String> {
    let loaded = portcullis_config::load(path);
    check::show_errors(&loaded);
    if !loaded.usable() {
        return Err(format!("{}; the servers keep the policy that they have", check::summary(&loaded, path)));
    }
    let output = compile::default_output(path);
    compile::write(&portcullis_config::compile(&loaded.config), &output)
        .map_err(|error| format!("cannot write {}: {error}", output.display()))
}

/// Reloads units, and waits until none of their processes has another policy than the one on disk.
fn reload(units: &[&String]) -> u8 {
    let systemd = Systemd::of(Path::new("/"));
    if !systemd.is_running() {
        println!(
            "systemd does not run here: reload each guarded server yourself (nginx -s reload, kill -USR2 of PHP-FPM's master, apachectl graceful)."
        );
        return FINE;
    }
    let mut code = FINE;
    for unit in units {
        if !systemd.is_active(unit) {
            println!("{unit}: not running");
            continue;
        }
        if let Err(why) = systemd.reload_unit(unit) {
            code = complain(format_args!("{why}; `systemctl restart {unit}` does it"));
            continue;
        }
        code = code.max(settled(&systemd, unit));
    }
    if units.is_empty() {
        println!("No unit is guarded.");
    }
    code
}

/// Waits for a unit's processes, and says of those that go on with the former policy.
fn settled(systemd: &Systemd, unit: &str) -> u8 {
    let begun = Instant::now();
    let mut asked_again = false;
    loop {
        let old: Vec<u32> =
            status::units().iter().filter(|known| known.name == unit).flat_map(status::Unit::outdated).collect();
        if old.is_empty() {
            println!("{unit}: reloaded");
            return FINE;
        }
        if begun.elapsed() > DRAINING {
            let pids = old.iter().take(10).map(u32::to_string).collect::<Vec<_>>().join(", ");
            eprintln!(
                "portcullis: {unit}: reloaded, but {} still has the former policy until it ends: {pids}",
                check::counted(old.len(), "process").replace("processs", "processes")
            );
            return WRONG;
        }
        // A master looks for a new policy once a second at most.
        if !asked_again && begun.elapsed() > Duration::from_millis(1500) {
            asked_again = systemd.reload_unit(unit).is_ok();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_is_set_and_taken_out_and_nothing_else_changes() {
        for text in ["", "# ours\nmode = 'enforce' # since May\n\n[egress]\n# why\nallow = []\n", "[log]\nsink = []\n"]
        {
            let set = edited(text, Some("audit")).unwrap();
            assert!(set.contains("override = \"audit\"\n") && set.len() == text.len() + 19, "{set}");
            let loaded = portcullis_config::parse_text(Path::new("x"), &set);
            assert_eq!(loaded.config.force, Some(portcullis_policy::Mode::Audit), "{set}");
            assert_eq!(edited(&set, None).unwrap(), text);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.toml");
        std::fs::write(&path, "mode = \"enf\nx").unwrap();
        std::fs::create_dir(folder.path().join("vhosts.d")).unwrap();
        std::fs::write(folder.path().join("vhosts.d/shop.toml"), "broken").unwrap();
        switched(&path, "off").unwrap();
        assert_eq!(std::fs::read_to_string(set_aside(&path)).unwrap(), "mode = \"enf\nx");
        let loaded = portcullis_config::load(&path);
        assert!(loaded.usable() && loaded.config.force == Some(portcullis_policy::Mode::Off));
        assert!(!loaded.diagnostics.is_empty(), "what is wrong in vhosts.d is still said");
        assert!(undone(&path).unwrap_err().contains(SET_ASIDE));
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
