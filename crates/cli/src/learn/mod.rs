//! `portcullis learn`: proposes the smallest allowlist that what was seen needs. It allows nothing by itself.

mod edit;
mod launchers;
mod nginx;
mod propose;
mod suspicion;
mod widen;

use crate::arguments::Learn;
use crate::log::{self, Event};
use crate::out::comment;
use crate::{FINE, WRONG, check, complain, explain, install, show};
pub use launchers::{namespace_note, runs_commands};
use portcullis_config::reading::{self, Links};
use portcullis_config::{Config, Loaded};
use portcullis_policy::Policy;
use propose::{Choice, Evidence, List, Proposal};
pub use propose::{literal, settings, words};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest configuration of nginx, in bytes.
const NGINX_MAX: u64 = 256 << 20;

pub fn run(arguments: &Learn) -> u8 {
    match try_run(arguments) {
        Ok(code) => code,
        Err(message) => complain(message),
    }
}

fn try_run(arguments: &Learn) -> Result<u8, String> {
    let (path, loaded) = configuration(&arguments.source)?;
    let bytes = portcullis_config::compile(&loaded.config);
    let policy = Policy::new(&bytes).map_err(|why| why.reason().to_owned())?;
    let (mut events, mut unreadable) = (Vec::new(), 0);
    let mut proposals = match &arguments.nginx {
        Some(file) => of_nginx(file, &policy)?,
        None => {
            log::note_whereabouts(&arguments.source, &arguments.selection);
            (events, unreadable) = arguments.selection.all()?;
            let choice = Choice { include: &arguments.include, refused: arguments.refused };
            propose::proposals(&events, &policy, &choice)
        }
    };
    let mut hints = BTreeMap::new();
    for (vhost, proposal) in &mut proposals {
        if arguments.widen {
            widen::apply(proposal);
        } else {
            hints.insert(vhost.clone(), widen::wider(proposal));
        }
    }
    let text = text(&proposals, &hints, &loaded.config)?;
    if proposals.is_empty() && arguments.write.is_some() {
        println!("Nothing is to be learnt: what was seen is allowed.");
    } else if let Some(target) = &arguments.write {
        let target = path.parent().unwrap_or(Path::new("/")).join(target);
        let new = edited(&target, &proposals, &loaded.config, &path)?;
        let (candidate, _copy) = candidate(&path, &[(target.clone(), new.clone())])?;
        if !candidate.usable() {
            check::show_errors(&candidate);
            return Err(format!("{} would not be right; nothing was written", target.display()));
        }
        install::plan::write(Path::new("/"), &target, &new)
            .map_err(|error| format!("cannot write {}: {error}", target.display()))?;
        println!("{}: written. A reload of the server puts it in force.", target.display());
    } else if let Some(output) = &arguments.output {
        install::plan::output(output, &text).map_err(|error| format!("cannot write {}: {error}", output.display()))?;
    } else if arguments.json {
        println!("{}", crate::out::json(&as_json(&proposals), true));
    } else {
        print!("{text}");
    }
    if arguments.check {
        let edits = if arguments.write.is_some() { Vec::new() } else { every_edit(&proposals, &loaded.config, &path)? };
        return still_fires(&path, &edits, &events);
    }
    Ok(if unreadable == 0 { FINE } else { WRONG })
}

/// What `learn` would print for these events.
pub fn text_for(source: &crate::arguments::Source, events: &[Event]) -> Result<String, String> {
    let (_, loaded) = configuration(source)?;
    let bytes = portcullis_config::compile(&loaded.config);
    let policy = Policy::new(&bytes).map_err(|why| why.reason().to_owned())?;
    let proposals = propose::proposals(events, &policy, &Choice { include: &[], refused: true });
    let hints = proposals.iter().map(|(vhost, proposal)| (vhost.clone(), widen::wider(proposal))).collect();
    text(&proposals, &hints, &loaded.config)
}

/// The configuration; without one, the built-in one is what an allowlist would be for.
fn configuration(source: &crate::arguments::Source) -> Result<(PathBuf, Loaded), String> {
    let path = check::path_of(source);
    // Where nobody knows whether it is there, reading it says why.
    let loaded = match path.try_exists().unwrap_or(true) {
        true => portcullis_config::load(&path),
        false => Loaded { config: portcullis_config::built_in(), diagnostics: Vec::new(), is_trusted: true },
    };
    check::show_errors(&loaded);
    if loaded.usable() { Ok((path, loaded)) } else { Err(check::summary(&loaded, &path)) }
}

/// What of the log would be an event under the new policy.
fn still_fires(path: &Path, edits: &[(PathBuf, String)], events: &[Event]) -> Result<u8, String> {
    let (candidate, _copy) = candidate(path, edits)?;
    if !candidate.usable() {
        check::show_errors(&candidate);
        return Err("the proposal does not compile".to_owned());
    }
    let bytes = portcullis_config::compile(&candidate.config);
    let policy = Policy::new(&bytes).map_err(|why| why.reason().to_owned())?;
    let all = events.iter().filter(|event| !event.is_of_guard());
    // What a policy alone cannot tell fires as it did.
    let (firing, quiet): (Vec<&Event>, Vec<&Event>) =
        all.partition(|event| explain::fires(&policy, event) != Some(false));
    println!(
        "under the new policy {} of {} would be allowed; still events:",
        quiet.len(),
        check::counted(firing.len() + quiet.len(), "action")
    );
    for event in &firing {
        println!("  {}", show::brief(event));
    }
    if firing.is_empty() {
        println!("  none");
    }
    Ok(if firing.is_empty() { FINE } else { WRONG })
}

/// The configuration with some files changed, in a copy that is gone with what is given beside it.
fn candidate(path: &Path, edits: &[(PathBuf, String)]) -> Result<(Loaded, tempfile::TempDir), String> {
    let failed = |error: std::io::Error| format!("cannot copy the configuration: {error}");
    let copy = tempfile::tempdir().map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let main = copy.path().join(path.file_name().unwrap_or_default());
    std::fs::create_dir(copy.path().join("vhosts.d")).map_err(failed)?;
    std::fs::write(&main, file(path).unwrap_or_default()).map_err(failed)?;
    for entry in reading::entries(&folder.join("vhosts.d"), reading::ENTRIES_MAX).into_iter().flatten() {
        if entry.path().is_file() {
            let text = file(&entry.path()).map_err(failed)?;
            std::fs::write(copy.path().join("vhosts.d").join(entry.file_name()), text).map_err(failed)?;
        }
    }
    for (target, text) in edits {
        let within = target
            .strip_prefix(folder)
            .map_err(|_| format!("{} is not among the files of {}", target.display(), path.display()))?;
        std::fs::write(copy.path().join(within), text).map_err(failed)?;
    }
    Ok((portcullis_config::load(&main), copy))
}

/// The text of a file of the configuration.
fn file(path: &Path) -> std::io::Result<String> {
    reading::text(path, Links::Follow, reading::CONFIG_MAX)
}

/// Where a virtual host is written.
fn home(vhost: &str, config: &Config, main: &Path) -> Option<PathBuf> {
    if vhost.is_empty() {
        return Some(main.to_owned());
    }
    config.vhosts.iter().find(|known| known.name.value == vhost)?.name.origin.file.clone()
}

/// The changes of all files that the proposals are for.
fn every_edit(
    proposals: &BTreeMap<String, Proposal>,
    config: &Config,
    main: &Path,
) -> Result<Vec<(PathBuf, String)>, String> {
    let mut edits: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (vhost, proposal) in proposals {
        let Some(home) = home(vhost, config, main) else { continue };
        let before = edits.get(&home).cloned().unwrap_or_else(|| file(&home).unwrap_or_default());
        edits.insert(home, edit::edited(&before, vhost, proposal)?);
    }
    Ok(edits.into_iter().collect())
}

/// The new text of one file.
fn edited(
    target: &Path,
    proposals: &BTreeMap<String, Proposal>,
    config: &Config,
    main: &Path,
) -> Result<String, String> {
    let of_target: Vec<&String> =
        proposals.keys().filter(|vhost| home(vhost, config, main).as_deref() == Some(target)).collect();
    if !of_target.is_empty() {
        let mut text = file(target).unwrap_or_default();
        for vhost in of_target {
            text = edit::edited(&text, vhost, &proposals[vhost])?;
        }
        return Ok(text);
    }
    if target.exists() {
        let others: Vec<String> = proposals
            .keys()
            .map(|vhost| if vhost.is_empty() { "the global policy".to_owned() } else { vhost.clone() })
            .collect();
        return Err(format!(
            "{} has no virtual host of which there is something to learn ({})",
            target.display(),
            others.join(", ")
        ));
    }
    let name = target.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(known) = home(&name, config, main) {
        return Err(format!("the virtual host `{name}` is in {}: write there", known.display()));
    }
    let proposal = proposals.get("").ok_or("nothing is to be learnt of requests without a virtual host")?;
    if proposal.roots.len() != 1 {
        return Err(format!(
            "these requests have {} document roots: choose those of one host with --script",
            proposal.roots.len()
        ));
    }
    edit::fresh(&name, proposal)
}

/// The proposals for people: a part for each scope.
fn text(
    proposals: &BTreeMap<String, Proposal>,
    hints: &BTreeMap<String, Vec<widen::Wider>>,
    config: &Config,
) -> Result<String, String> {
    let mut out = String::new();
    if proposals.is_empty() {
        out += "# Nothing is to be learnt: what was seen is allowed.\n";
    }
    for (vhost, proposal) in proposals {
        let place = config.vhosts.iter().find(|known| known.name.value == *vhost);
        let of =
            match place.and_then(|known| known.name.origin.file.as_ref().map(|file| (file, known.name.origin.line))) {
                Some((file, line)) => format!("For the virtual host {vhost} ({}:{line})", file.display()),
                None if vhost.is_empty() => "For everything that has no virtual host of the policy".to_owned(),
                None => format!("For the virtual host {vhost}, which the policy does not have any more"),
            };
        out += &comment("", &of);
        out += &edit::alone(!vhost.is_empty(), proposal)?;
        for wider in hints.get(vhost).into_iter().flatten() {
            out += &comment("", &format!("--widen would write {:?} for {} entries", wider.text, wider.covers.len()));
        }
        for ((what, why), evidence) in &proposal.refused {
            out += &comment("", &format!("NOT proposed: {what}"));
            out += &comment("", &format!("  {why}"));
            out += &comment("", &format!("  {}", evidence.line()));
        }
        out += "\n";
    }
    if proposals.values().any(|proposal| !proposal.refused.is_empty()) {
        out += "# What is not proposed looks like an intrusion, could not be judged, or has no list. --include 'ENTRY' proposes an entry that is named above all the same.\n";
    }
    Ok(out)
}

fn as_json(proposals: &BTreeMap<String, Proposal>) -> serde_json::Value {
    use serde_json::json;
    let evidence = |evidence: &Evidence| json!({ "count": evidence.count, "first": evidence.first, "last": evidence.last, "scripts": evidence.scripts, "example": evidence.example, "note": evidence.note });
    let all = proposals.iter().map(|(vhost, proposal)| {
        let entries = proposal.entries.iter().map(|((list, text), seen)| {
            let (path, key) = list.path();
            json!({ "list": format!("{}.{key}", path.join(".")), "entry": text, "evidence": evidence(seen) })
        });
        let refused = proposal
            .refused
            .iter()
            .map(|((what, why), seen)| json!({ "what": what, "why": why, "evidence": evidence(seen) }));
        json!({
            "vhost": if vhost.is_empty() { None } else { Some(vhost) },
            "proposed": entries.collect::<Vec<_>>(), "refused": refused.collect::<Vec<_>>(),
        })
    });
    all.collect()
}

/// What nginx's own configuration needs.
fn of_nginx(file: &str, policy: &Policy<'_>) -> Result<BTreeMap<String, Proposal>, String> {
    let text = if file == "-T" {
        let done = std::process::Command::new("nginx")
            .arg("-T")
            .output()
            .map_err(|error| format!("cannot run nginx -T: {error}"))?;
        if !done.status.success() {
            return Err(format!("nginx -T: {}", String::from_utf8_lossy(&done.stderr).trim().replace('\n', "; ")));
        }
        String::from_utf8_lossy(&done.stdout).into_owned()
    } else {
        reading::text(Path::new(file), Links::Follow, NGINX_MAX)
            .map_err(|error| format!("cannot read {file}: {error}"))?
    };
    let found = nginx::read(&text);
    let now = jiff::Timestamp::now().to_string();
    let now = now.get(..10).unwrap_or(&now);
    let mut proposal = Proposal::default();
    let evidence = |said: String| Evidence {
        count: 1,
        first: now.to_owned(),
        last: now.to_owned(),
        scripts: ["nginx's configuration".to_owned()].into(),
        example: said,
        note: String::new(),
    };
    for (destination, said) in found.destinations {
        let is_allowed = match destination.parse() {
            Ok(address) => explain::allows_connect(policy, address),
            // Whatever a name stands for, a common port is allowed.
            Err(_) => destination
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok())
                .is_some_and(|port| portcullis_config::lists::COMMON_PORTS.contains(&port)),
        };
        if !is_allowed {
            proposal
                .entries
                .insert((List::Egress, destination), evidence(said.into_iter().collect::<Vec<_>>().join("; ")));
        }
    }
    for resolver in found.resolvers {
        let is_allowed =
            resolver.parse().is_ok_and(|ip| explain::allows_connect(policy, std::net::SocketAddr::new(ip, 53)));
        if !is_allowed {
            proposal.entries.insert((List::Resolvers, resolver), evidence("resolver".to_owned()));
        }
    }
    for unknown in found.unknown {
        eprintln!("note: `{}` is made of variables: what it stands for shows in the events", show::printable(&unknown));
    }
    let mut out = BTreeMap::new();
    if !proposal.entries.is_empty() {
        out.insert(String::new(), proposal);
    }
    Ok(out)
}
