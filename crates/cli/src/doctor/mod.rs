//! `portcullis doctor`: whether the guard in a unit sees and logs, shown by harmless acts; what is wrong, and what to do.

mod apache;
mod bounded;
mod fastcgi;
mod findings;
mod master;
mod proof;

use crate::arguments::Doctor;
use crate::install::unit::Unit;
use crate::install::{self, Systemd, program, review};
use crate::status::live;
use crate::status::process::Process;
use crate::{FINE, WRONG, check, compile, complain, instead, show, sink, status};
use anstyle::Style;
use findings::{Findings, Outcome, as_json, summary};
use master::Master;
use portcullis_config::reading::{self, Links};
use portcullis_config::{Config, Severity};
use portcullis_event::field;
use portcullis_policy::{GLOBAL_SCOPE, Mode, Policy, Rule, Sink};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

pub use proof::probe;

/// The largest file that is read of a server, in bytes.
const FACT_MAX: u64 = 256 << 20;
const BOLD: Style = Style::new().bold();

pub fn run(arguments: &Doctor) -> u8 {
    let root = Path::new("/");
    let names = match arguments.units.as_slice() {
        [] => install::installed(root),
        named => named.to_vec(),
    };
    if names.is_empty() {
        return complain(match Systemd::of(root).is_running() {
            true => "no unit is guarded; help: `portcullis install` lists those that can be",
            false => {
                "there is no systemd here, whose units this tests; help: `portcullis status` shows what is guarded, \
                 `portcullis run -- SERVER` starts a server with the library"
            }
        });
    }
    let (mut all, mut code) = (Vec::new(), FINE);
    let mut shown = BTreeSet::new();
    let is_one = arguments.units.len() == 1;
    for name in &names {
        let unit = match Unit::find(root, name) {
            Ok(unit) => unit,
            // Of many, the others are examined all the same.
            Err(message) => {
                code = complain(message);
                continue;
            }
        };
        let mut findings = Findings::default();
        if !is_one && !arguments.json {
            println!("{}{BOLD}{}{BOLD:#}", if all.is_empty() { "" } else { "\n" }, show::printable(&unit.name));
        }
        examine(&unit, &mut shown, &mut findings);
        if !arguments.json {
            findings.print();
        }
        code = code.max(if findings.is_whole() { FINE } else { WRONG });
        all.push((unit, findings));
    }
    match (arguments.json, is_one) {
        (true, true) => {
            all.iter().for_each(|(unit, findings)| println!("{}", crate::out::json(&as_json(unit, findings), true)))
        }
        (true, false) => {
            let units: Vec<Value> = all.iter().map(|(unit, findings)| as_json(unit, findings)).collect();
            println!("{}", crate::out::json(&json!({ "units": units }), true));
        }
        (false, true) => {}
        (false, false) => summary(&all),
    }
    code
}

/// Why a file or a folder cannot be looked at by this user; `None` where it can, or is not there.
fn hidden(path: &Path) -> Option<String> {
    let error = std::io::Error::from(rustix::fs::access(path, rustix::fs::Access::READ_OK).err()?);
    (error.kind() == std::io::ErrorKind::PermissionDenied).then(|| format!("{}: {error}", path.display()))
}

/// `shown`: the configurations whose errors have been shown.
fn examine(unit: &Unit, shown: &mut BTreeSet<PathBuf>, findings: &mut Findings) {
    let library = install::library();
    let advice = || format!("sudo portcullis doctor {}", unit.name.trim_end_matches(".service"));
    match program::unfit_library(&library) {
        _ if let Some(why) = hidden(&library) => findings.unseen("library", why, advice()),
        None => findings.fine("library", library.display().to_string()),
        Some(why) => findings.add(Outcome::Wrong, "library", why, "Install the package again."),
    }
    let (config, config_path) = settings(unit, &library, shown, findings);
    for warning in
        review::review(Path::new("/"), &unit.with(&install::drop_in(Path::new("/"), &unit.name), ""), &library, &config)
            .warnings
    {
        findings.add(Outcome::Warning, "unit", format!("{} {}", warning.place, warning.message), "");
    }
    for file in install::jails::files_of(Path::new("/"), unit) {
        if let Some(why) = hidden(&file) {
            findings.unseen("pool", why, advice());
        }
    }
    for jail in install::jails::of_unit(Path::new("/"), unit) {
        let copy = jail.copy(Path::new("/"), &library);
        if let Some(why) = hidden(&jail.folder).or_else(|| hidden(&copy)) {
            findings.unseen("pool", why, advice());
            continue;
        }
        let state = jail.state(Path::new("/"), &library);
        match install::jails::lack(&jail, &unit.name, &state) {
            Some(lack) => findings.add(Outcome::Warning, "pool", format!("{} {lack}", jail.place), ""),
            None => findings.fine("pool", format!("{} has the library in {}", jail.pool, jail.folder.display())),
        }
    }
    if let Some(why) = sink::lacks_group(Path::new("/"), &config) {
        findings.add(
            Outcome::Wrong,
            "log group",
            why,
            "Name another `[log] group`, or make this one: groupadd --system.",
        );
    }
    let policy = compile::default_output(&config_path);
    let bytes = on_disk(&policy, findings).unwrap_or_else(|| instead::of(&config_path).bytes);
    let Ok(compiled) = Policy::new(&bytes) else { return };
    if !install::is_root() {
        let why = "only root can read other users' processes and start a probe";
        findings.unseen("processes, sinks, proof", why, advice());
        return;
    }
    let Some(master) = processes(unit, findings) else { return };
    match master {
        // Another user's process may have any root.
        Some(master) if master.user() != 0 => {
            findings.add(
                Outcome::Skipped,
                "sinks",
                "the unit's main process is not root's: its view is not looked into",
                "",
            );
        }
        Some(master) => sinks(&config, master, findings),
        None => {}
    }
    show_it(unit, &config, &compiled, &policy, master, findings);
}

/// The drop-in and the configuration that the unit uses.
fn settings(unit: &Unit, library: &Path, shown: &mut BTreeSet<PathBuf>, findings: &mut Findings) -> (Config, PathBuf) {
    match unit.variable("LD_PRELOAD") {
        Some((value, setting)) if value.split([':', ' ']).any(|part| Path::new(part) == library) => {
            findings.fine("drop-in", setting.place());
        }
        Some((value, setting)) => {
            let found = format!("{} sets LD_PRELOAD={value}", setting.place());
            findings.add(Outcome::Wrong, "drop-in", found, format!("Put {} first in it.", library.display()));
        }
        None if let Some(why) = hidden(&install::drop_in(Path::new("/"), &unit.name)) => {
            findings.unseen("drop-in", why, format!("sudo portcullis doctor {}", unit.name));
        }
        None => {
            let advice = format!("portcullis install {} --now", unit.name.trim_end_matches(".service"));
            findings.add(Outcome::Wrong, "drop-in", "the unit does not load the library", advice);
        }
    }
    let named = unit.variable("PORTCULLIS_CONFIG").map(|(value, _)| PathBuf::from(value));
    let path = named.unwrap_or_else(|| PathBuf::from(portcullis_config::DEFAULT_CONFIG));
    let loaded = portcullis_config::load(&path);
    let errors = || loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let unread = errors().find_map(|error| hidden(&error.file));
    // What this user cannot read has no error for that.
    let is_only_unread = unread.is_some() && errors().all(|error| hidden(&error.file).is_some());
    if !is_only_unread && shown.insert(path.clone()) {
        check::show_errors(&loaded);
    }
    if let (Some(why), true) = (unread, is_only_unread) {
        let instead = instead::of(&path);
        findings.unseen(
            "configuration",
            format!("{why}; from here on, {} is examined", instead.what),
            format!("sudo portcullis doctor {}", unit.name),
        );
        return (instead.config, path);
    }
    if loaded.usable() {
        findings.fine("configuration", check::summary(&loaded, &path));
        return (loaded.config, path);
    }
    let instead = instead::of(&path);
    findings.add(
        Outcome::Wrong,
        "configuration",
        format!("{}; from here on, {} is examined", check::summary(&loaded, &path), instead.what),
        "Correct what is shown above. Until then a server keeps its last valid policy, or has the built-in audit policy.",
    );
    (instead.config, path)
}

/// A file about a process, or one that the server writes.
fn fact(path: impl AsRef<Path>) -> Option<String> {
    reading::text(path.as_ref(), Links::Follow, FACT_MAX).ok()
}

fn on_disk(policy: &Path, findings: &mut Findings) -> Option<Vec<u8>> {
    let bytes = reading::bytes(policy, Links::Follow, FACT_MAX).unwrap_or_default();
    match Policy::new(&bytes) {
        Err(_) if let Some(why) = hidden(policy) => {
            findings.unseen("policy", why, "run this as root");
            None
        }
        Ok(found) => {
            findings.fine("policy", format!("{} {:016x}", policy.display(), found.digest()));
            Some(bytes)
        }
        Err(why) => {
            let found = format!("{}: {}", policy.display(), if bytes.is_empty() { "not there" } else { why.reason() });
            let advice = "portcullis apply; where /run is read-only, the server has it in memory";
            findings.add(Outcome::Wrong, "policy", found, advice);
            None
        }
    }
}

/// The unit's processes; gives its main one, where that is known. `None` where there is none at all.
fn processes(unit: &Unit, findings: &mut Findings) -> Option<Option<Master>> {
    let found = status::of_host().into_iter().find(|known| known.name == unit.name);
    let running = found.as_ref().map_or(&[][..], |found| found.processes.as_slice());
    // What a worker has started is none of the server's own.
    let is_own = |process: &&Process| !process.is_supervisor && process.descent.is_none();
    let own: Vec<&Process> = running.iter().filter(is_own).collect();
    if own.is_empty() {
        let advice = format!("systemctl restart {}", unit.name);
        findings.add(
            Outcome::Wrong,
            "processes",
            "the unit does not run, or not one of its processes is guarded",
            advice,
        );
        return None;
    }
    let advice = format!("systemctl restart {}", unit.name);
    let mut all = true;
    for process in &own {
        if let Err(why) = &process.guard {
            all = false;
            if process.unread.is_some() {
                findings.unseen("processes", format!("{} {}: {why}", process.pid, process.command), "");
                continue;
            }
            findings.add(Outcome::Wrong, "processes", format!("{} {}: {why}", process.pid, process.command), &advice);
        }
    }
    if let Some(unit) = found.as_ref().filter(|unit| unit.lacks_supervisor()) {
        let advice = format!("systemctl reload {}", unit.name);
        findings.add(
            Outcome::Wrong,
            "backstop",
            "no supervisor runs: ".to_owned() + &status::no_supervisor(&unit.name),
            advice,
        );
    }
    if let Some((unit, why)) = found.as_ref().and_then(|unit| Some((unit, unit.lacks_requests()?))) {
        // Without a module, nginx has the global policy: that is no fault, only less.
        let outcome = if unit.is_unseen() { Outcome::Wrong } else { Outcome::Warning };
        findings.add(outcome, "requests", format!("none was recognised: {why}"), "");
    }
    if all {
        findings.fine("processes", format!("all {} are guarded", own.len()));
    }
    let guards = own.iter().filter_map(|process| process.guard.as_ref().ok());
    if guards.clone().any(|guard| !guard.policy.is_current) {
        let advice = format!("systemctl reload {}", unit.name);
        findings.add(Outcome::Warning, "policy in force", "not the one on disk in every process", advice);
    }
    if guards.clone().any(|guard| guard.policy.file.is_none()) {
        findings.add(
            Outcome::Wrong,
            "policy in force",
            "the built-in one, which blocks nothing",
            format!("portcullis check, then portcullis apply and systemctl restart {}", unit.name),
        );
    }
    let master = Master::of(unit, &Systemd::of(Path::new("/")), &own);
    if let Err(why) = &master {
        findings.add(Outcome::Warning, "main process", format!("{why}: nothing is asked of it"), "");
    }
    Some(master.ok())
}

/// Whether the sinks can be reached from where the server is.
fn sinks(config: &Config, master: Master, findings: &mut Findings) {
    let seen = |path: &Path| live::path(master.pid(), "root").join(path.strip_prefix("/").unwrap_or(path));
    for sink in &config.sinks {
        let name = format!("sink {}", sink.word());
        let path = match sink.socket() {
            Some(socket) => Path::new(OsStr::from_bytes(socket.to_bytes())),
            None if *sink == Sink::File => config.log_file.parent().unwrap_or(Path::new("/")),
            None => {
                findings.add(Outcome::Skipped, &name, "it goes where the server's standard error goes", "");
                continue;
            }
        };
        match std::fs::metadata(seen(path)) {
            Ok(_) => findings.fine(&name, path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                findings.unseen(&name, format!("{}: {error}", path.display()), "");
            }
            Err(error) => findings.add(
                Outcome::Wrong,
                &name,
                format!("{} cannot be seen from the server: {error}", path.display()),
                "The unit hides it (PrivateDevices=, RootDirectory=, InaccessiblePaths=), or nobody listens there.",
            ),
        }
    }
}

/// Does what the guard has to see, and looks for the events.
fn show_it(
    unit: &Unit,
    config: &Config,
    policy: &Policy<'_>,
    file: &Path,
    master: Option<Master>,
    findings: &mut Findings,
) {
    let off = |rule: Rule| policy.mode(GLOBAL_SCOPE, rule) == Mode::Off;
    if off(Rule::ShellSpawn) && off(Rule::EgressPort) {
        findings.add(Outcome::Skipped, "proof", "the mode is off: nothing is logged", "mode = \"audit\"");
        return;
    }
    let Some((sink, selection)) = proof::sink(config) else {
        findings.add(
            Outcome::Skipped,
            "proof",
            "no sink can be read from here",
            "add \"journald\" or \"file\" to [log] sink",
        );
        return;
    };
    let Some(port) = proof::port(policy) else {
        findings.add(Outcome::Skipped, "proof", "the policy allows every connection", "");
        return;
    };
    let report = |findings: &mut Findings, what: &str, done| findings.of_event(what, sink, done);
    let systemd = Systemd::of(Path::new("/"));
    if let Some(master) = master.filter(|_| unit.name.contains("fpm")) {
        for listener in fastcgi::listeners(master.pid()) {
            let Some(run) = proof::begin(findings, |token| proof::of_fpm(token, port)) else { return };
            let token = &run.token;
            let script = match proof::Script::lay(port, token) {
                Ok(script) => script,
                Err(error) => {
                    return findings.add(Outcome::Wrong, "proof", format!("cannot lay the probe: {error}"), "");
                }
            };
            for act in &proof::IN_PHP {
                let what = format!("{} ({listener})", act.what);
                match proof::in_php(&listener, master, &script, act, token) {
                    Ok(()) => {
                        report(findings, &what, proof::await_event(&selection, |event| proof::is_of(event, act, token)))
                    }
                    Err(why) => findings.add(Outcome::Skipped, &what, why, ""),
                }
            }
        }
    }
    if let Some((master, layout)) = master.and_then(|master| Some((master, apache::layout(master)?))) {
        let Some(run) = proof::begin(findings, |token| apache::expected(master, token, port)) else { return };
        match proof::Script::lay(port, &run.token) {
            Ok(script) => {
                apache::in_its_php(unit, &systemd, layout, master, &script, &run.token, (sink, &selection), findings)
            }
            Err(error) => findings.add(Outcome::Wrong, "PHP in Apache", format!("cannot lay the probe: {error}"), ""),
        }
    }
    if !systemd.is_running() {
        return findings.add(Outcome::Skipped, "a process with the unit's settings", "systemd does not run here", "");
    }
    let Some(run) = proof::begin(findings, |token| proof::of_beside(token, port)) else { return };
    let token = &run.token;
    if let Err(why) = proof::beside(unit, &systemd, file, port, token) {
        return findings.add(Outcome::Wrong, "a process with the unit's settings", why, "");
    }
    let shell = format!(": {token}");
    let seen = proof::await_event(&selection, |event| event.shell_command() == Some(&shell));
    let pid = seen.as_ref().ok().and_then(|event| event.number(field::PARENT_PID));
    report(findings, "a shell from a process with the unit's settings", seen);
    let seen = proof::await_event(&selection, |event| {
        event.text(field::DESTINATION_IP) == crate::probes::ADDRESS
            && pid.is_some()
            && event.number(field::PROCESS_PID) == pid
    });
    report(findings, "a connection from a process with the unit's settings", seen);
}
