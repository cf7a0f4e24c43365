//! `portcullis check`: every error of the configuration, with its place.

use crate::arguments::{Check, Source};
use crate::{FINE, WRONG, out, seal_key, sink, status};
use portcullis_config::reading::{self, Links};
use portcullis_config::{DEFAULT_CONFIG, Diagnostic, FORGIVEN, Loaded, Severity};
use portcullis_policy::BackstopKind;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The main file of a configuration that is named by its folder.
const MAIN_FILE: &str = "portcullis.toml";

/// The main file that is meant.
pub fn path_of(source: &Source) -> PathBuf {
    let path = source.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    let path = std::path::absolute(&path).unwrap_or(path);
    if path.is_dir() { path.join(MAIN_FILE) } else { path }
}

/// Shows errors and warnings on standard error; for `check` and `compile`.
pub fn show(loaded: &Loaded) {
    render(loaded, |_| true);
}

/// Shows the errors alone; for every other verb, which would repeat the warnings of `check` each time.
pub fn show_errors(loaded: &Loaded) {
    render(loaded, |diagnostic| diagnostic.severity == Severity::Error);
}

/// What keeps the configuration from being compiled once `override` is taken out: the first error of each file, with its place.
pub fn forgiven(loaded: &Loaded) -> Vec<String> {
    let may_quote = is_for_the_caller(out::is_terminal(true));
    let mut files = BTreeSet::new();
    let forgiven = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.message.ends_with(FORGIVEN));
    let firsts = forgiven.filter(|diagnostic| files.insert(&diagnostic.file));
    let one = |diagnostic: &Diagnostic| {
        let (line, column) = diagnostic.position();
        let message = &readable(diagnostic, may_quote).message;
        format!("{}:{line}:{column}: {message}; help: portcullis check", diagnostic.file.display())
    };
    firsts.map(one).collect()
}

/// One line in place of the warnings, for a verb that goes on with them.
pub fn hint(loaded: &Loaded) {
    let warnings = count(loaded, Severity::Warning);
    if warnings > 0 {
        eprintln!("portcullis: note: the configuration has {}; help: portcullis check", counted(warnings, "warning"));
    }
}

fn render(loaded: &Loaded, shown: impl Fn(&Diagnostic) -> bool) {
    let colour = out::is_terminal(true) && std::env::var_os("NO_COLOR").is_none();
    let may_quote = is_for_the_caller(out::is_terminal(true));
    for diagnostic in loaded.diagnostics.iter().filter(|diagnostic| shown(diagnostic)) {
        eprintln!("{}\n", readable(diagnostic, may_quote).render(colour));
    }
}

/// Whether what is printed is read by the user who runs this, with that user's rights to files. A journal and a server's log have other
/// readers; behind sudo is somebody who may have no right but to this command.
fn is_for_the_caller(is_terminal: bool) -> bool {
    is_terminal && ["SUDO_UID", "DOAS_USER", "PKEXEC_UID"].iter().all(|name| std::env::var_os(name).is_none())
}

/// A diagnostic as its reader may see it.
fn readable(diagnostic: &Diagnostic, may_quote: bool) -> Cow<'_, Diagnostic> {
    match diagnostic.is_private && !may_quote {
        true => Cow::Owned(diagnostic.without_text()),
        false => Cow::Borrowed(diagnostic),
    }
}

fn count(loaded: &Loaded, severity: Severity) -> usize {
    loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

/// A number with its noun; the only place that makes a plural.
pub fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if noun.ends_with('s') { "es" } else { "s" };
    format!("{number} {noun}{}", if number == 1 { "" } else { plural })
}

/// How many virtual hosts are named to a user who named one that is not there.
const VHOSTS_SHOWN: usize = 10;

/// That there is no virtual host of this name, and which there are; the only place that says so.
pub fn no_vhost<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> String {
    let known: BTreeSet<String> = known.into_iter().map(|name| out::printable(name.as_ref())).collect();
    let shown: Vec<String> =
        known.iter().filter(|name| !name.is_empty()).take(VHOSTS_SHOWN).map(|name| format!("`{name}`")).collect();
    let more = known.iter().filter(|name| !name.is_empty()).count() - shown.len();
    let more = if more == 0 { String::new() } else { format!(" and {}", counted(more, "other")) };
    match shown.is_empty() {
        true => format!("no virtual host `{name}`: there is none"),
        false => format!("no virtual host `{name}`; known: {}{more}", shown.join(", ")),
    }
}

/// The file that all diagnostics are of; of several, the main file and how many others.
fn place(loaded: &Loaded, main: &Path) -> String {
    let files: BTreeSet<&Path> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.file.as_path()).collect();
    match (files.len(), files.first()) {
        (1, Some(only)) => only.display().to_string(),
        (0 | 1, _) => main.display().to_string(),
        (all, _) if files.contains(main) => format!("{} and {}", main.display(), counted(all - 1, "other file")),
        (all, _) => format!("{} of {}", counted(all, "file"), main.with_file_name("vhosts.d").display()),
    }
}

/// What was found, in one line.
pub fn summary(loaded: &Loaded, path: &Path) -> String {
    let (errors, warnings) = (count(loaded, Severity::Error), count(loaded, Severity::Warning));
    format!("{}: {}, {}", place(loaded, path), counted(errors, "error"), counted(warnings, "warning"))
}

fn as_json(diagnostic: &Diagnostic, may_quote: bool) -> Value {
    let (line, column) = diagnostic.position();
    let diagnostic = readable(diagnostic, may_quote);
    json!({
        "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "file": diagnostic.file.display().to_string(),
        "line": line,
        "column": column,
        "message": diagnostic.message,
        "help": diagnostic.help,
    })
}

/// Whether processes here cannot have CAP_SYS_PTRACE, by what /proc/self/status says.
fn lacks_ptrace(status: &str) -> bool {
    // linux/capability.h
    const CAP_SYS_PTRACE: u64 = 1 << 19;
    let bounds = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    bounds.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & CAP_SYS_PTRACE == 0)
}

/// What this place, a container for one, lacks for the configuration. Of a unit, `doctor` says so.
pub fn here(loaded: &Loaded) {
    let status = reading::text(Path::new("/proc/self/status"), Links::Follow, 1 << 16).unwrap_or_default();
    if loaded.usable() && loaded.config.backstop.kind == BackstopKind::Supervise && lacks_ptrace(&status) {
        eprintln!(
            "portcullis: warning: CAP_SYS_PTRACE is not in the bounding set here\n  help: where the server has no more, the \
             backstop evaluates unguarded programs by the strictest policy, and an enforced one denies their \
             connections and what they start; in a container, add `--cap-add SYS_PTRACE`\n"
        );
    }
}

/// What is wrong with the log of the file sink. Without the group that is to append to the log, no worker does. `compile` warns of it: a policy without a log is better than none.
pub fn log_group(path: &Path, loaded: &mut Loaded) {
    if let Some(why) = sink::lacks_group(Path::new("/"), &loaded.config) {
        let message = format!("`[log] group`: {why}");
        let help = "name a group of /etc/group, or make it: groupadd --system NAME".to_owned();
        loaded.diagnostics.push(Diagnostic::of_file(Severity::Error, path.to_owned(), message, help));
    }
    if let Some(kind) = sink::no_file(Path::new("/"), &loaded.config) {
        let log = loaded.config.log_file.display();
        let message = format!("`[log] file`: {log} is {kind}, not a file: events that nothing reads there are dropped");
        let help = "remove it, and portcullis apply makes the file; or name another".to_owned();
        loaded.diagnostics.push(Diagnostic::of_file(Severity::Warning, path.to_owned(), message, help));
    }
}

/// Without the key no event is sealed, and the server serves all the same. Before the first policy that asks for it, there is none.
pub fn seal_key(path: &Path, loaded: &mut Loaded) {
    let is_due = || seal_key::place(path).exists() || status::is_sealed(path);
    if let Some(why) = seal_key::lack(path, loaded.config.seal && is_due()) {
        let message = format!("`[log] seal`: events are not sealed: {why}");
        let help = "portcullis apply makes a key where there is none".to_owned();
        loaded.diagnostics.push(Diagnostic::of_file(Severity::Warning, path.to_owned(), message, help));
    }
}

/// The result for programs.
pub fn json(loaded: &Loaded, path: &Path) -> Value {
    let may_quote = is_for_the_caller(out::is_terminal(false));
    let diagnostics: Vec<Value> = loaded.diagnostics.iter().map(|one| as_json(one, may_quote)).collect();
    json!({
        "config": path.display().to_string(),
        "usable": loaded.usable(),
        "errors": count(loaded, Severity::Error),
        "warnings": count(loaded, Severity::Warning),
        "override": loaded.config.force.map(portcullis_policy::Mode::word),
        "modes": crate::modes::json(&portcullis_config::modes::of(&loaded.config.global, &loaded.config)),
        "diagnostics": diagnostics,
    })
}

pub fn run(arguments: &Check) -> u8 {
    let path = path_of(&arguments.source);
    let mut loaded = portcullis_config::load(&path);
    log_group(&path, &mut loaded);
    seal_key(&path, &mut loaded);
    if arguments.json {
        println!("{}", crate::out::json(&json(&loaded, &path), true));
    } else {
        show(&loaded);
        here(&loaded);
        crate::modes::said(&loaded.config).iter().for_each(|line| println!("{line}"));
        println!("{}", summary(&loaded, &path));
    }
    if loaded.usable() { FINE } else { WRONG }
}

#[cfg(test)]
mod tests {
    use super::lacks_ptrace;

    #[test]
    fn the_bounding_set_is_read() {
        assert!(!lacks_ptrace("Name:\tx\nCapBnd:\t000001ffffffffff\n"));
        // Docker's default.
        assert!(lacks_ptrace("CapBnd:\t00000000a80425fb\n"));
        assert!(!lacks_ptrace(""));
    }
}
