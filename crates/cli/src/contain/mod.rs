//! `portcullis contain`: one site enforces every rule, whatever else the configuration says. The change is shown, checked against the
//! incident, applied and verified; what of the site still runs is named with the commands that freeze it.
//!
//! **Invariants**: the files of before are on the disk before one changes. What is not applied is put back. What is not done is said, and
//! the exit status is then 1.

mod calls;
mod edit;
mod evidence;
mod outcome;
mod record;
mod running;
mod select;
mod site;
mod units;

use crate::arguments::Contain;
use crate::explain::{self, Request};
use crate::learn::ask;
use crate::status::users::Users;
use crate::{FINE, WRONG, apply, check, compile, complain, install, log, misuse, out, reload, show};
use calls::{Case, Verdicts};
use edit::Strict;
use evidence::Evidence;
use outcome::Outcome;
use portcullis_config::DEFAULT_CONFIG;
use portcullis_config::reading::{self, Links};
use portcullis_policy::Policy;
use record::{Record, Records, Store, Written};
use running::{Former, Of, Running};
use site::{Plan, Wanted};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use units::Units;

/// What any web shell does, for a site without an incident: a command, and a connection to a port of no service.
const COMMAND: &str = "id";
const DESTINATION: ([u8; 4], u16) = ([192, 88, 1, 10], 4444);
/// The longest name of a user and of a site in a `why`, which takes 240 bytes.
const WHO_MAX: usize = 32;
const OF_MAX: usize = 80;

pub fn run(mut arguments: Contain) -> u8 {
    arguments.selection.is_for_program = arguments.json;
    arguments.selection.is_read_again = arguments.incident.is_some();
    let has_target = arguments.incident.is_some() || arguments.document_root.is_some();
    let done = match &arguments.undo {
        Some(id) if id.is_empty() => {
            return misuse(
                "--undo is empty; help: portcullis contain --list shows the containments that can be undone",
            );
        }
        Some(id) => undo(&arguments, id),
        None if arguments.list => list(&arguments),
        None if !has_target && arguments.selection.vhost.len() != 1 => {
            return misuse("nothing to contain; help: --incident ID, --document-root PATH or one --vhost NAME");
        }
        None if !has_target && !arguments.selection.files.is_empty() => {
            return misuse("without --incident no file of events is read; help: portcullis contain --vhost NAME");
        }
        None => {
            if let Some(Err(why)) = arguments.evidence.as_deref().map(evidence::is_possible) {
                return misuse(why);
            }
            if arguments.incident.is_some() {
                log::locate(&arguments.source, &mut arguments.selection);
            }
            contain(&arguments)
        }
    };
    done.unwrap_or_else(complain)
}

/// The main configuration files that are meant, and the guarded units with theirs.
fn configurations(arguments: &Contain) -> (BTreeSet<PathBuf>, Units) {
    let named = arguments.source.config.as_ref().map(|_| check::path_of(&arguments.source));
    let units = reload::units();
    let mut files: BTreeSet<PathBuf> = match named {
        Some(path) => BTreeSet::from([path]),
        None => units.values().cloned().collect(),
    };
    if files.is_empty() {
        files.insert(DEFAULT_CONFIG.into());
    }
    let units = units.into_iter().filter(|(_, config)| files.contains(config)).collect();
    (files, Units(units))
}

/// Whether somebody has agreed to a change.
enum Agreed {
    Yes,
    No,
    /// Nobody is there to be asked.
    Unasked,
}

fn agree(arguments: &Contain, question: &str) -> Result<Agreed, String> {
    match () {
        () if arguments.yes => Ok(Agreed::Yes),
        () if arguments.json || !ask::is_possible() => Ok(Agreed::Unasked),
        () => Ok(if ask::confirm(question)? { Agreed::Yes } else { Agreed::No }),
    }
}

/// What is said of a change that nobody has agreed to.
fn unchanged(agreed: &Agreed) -> u8 {
    match agreed {
        Agreed::Unasked => misuse("nothing was changed: this is no terminal to ask on; help: add --yes, or --dry-run"),
        Agreed::No | Agreed::Yes => {
            println!("Nothing was changed.");
            WRONG
        }
    }
}

/// The records of before; none for a run that changes nothing, which takes no lock and may be another user's.
fn open(arguments: &Contain) -> Result<Option<Store>, String> {
    if arguments.dry_run {
        return Ok(None);
    }
    install::needs_root(Path::new("/"))?;
    Store::open(&arguments.state).map(Some)
}

fn contain(arguments: &Contain) -> Result<u8, String> {
    if !arguments.dry_run {
        install::needs_root(Path::new("/"))?;
    }
    let case = arguments.incident.as_ref().map(|id| calls::read(&arguments.selection, id)).transpose()?;
    let wanted = wanted(arguments, case.as_ref());
    let (of, id) = named(arguments, case.as_ref());
    let (configs, units) = configurations(arguments);
    let now = jiff::Timestamp::now().round(jiff::Unit::Second).map_err(|error| error.to_string())?;
    let who = who();
    let store = open(arguments)?;
    let id = record::free(&arguments.state, &id);
    let why = format!("contained {now} by {who}: {of}; undo: portcullis contain --undo {id}");
    let strict = Strict { why: &why, is_closed: arguments.closed };
    let plan = || configs.iter().map(|main| site::plan(main, &wanted, &strict)).collect::<Result<Vec<Plan>, String>>();
    let plans = plan()?;
    if let (None, Some(root)) = (&case, &arguments.document_root)
        && !Path::new(root).is_dir()
    {
        return Err(format!(
            "{root} is no directory of this host; nothing was changed; help: write the document root as the server has it, or --vhost NAME"
        ));
    }
    let mut outcome = Outcome::new(arguments, &id, case.as_ref(), &plans);
    outcome.expected =
        plans.iter().map(|plan| verdicts(&plan.policy, case.as_ref(), &wanted)).collect::<Result<_, _>>()?;
    outcome.show_plan();
    let has_edits = plans.iter().any(|plan| !plan.edits.is_empty());
    let Some(store) = store else {
        outcome.finish_dry();
        return Ok(if outcome.expected.iter().all(Verdicts::is_all) { FINE } else { WRONG });
    };
    if has_edits || arguments.evidence.is_some() {
        let agreed = agree(arguments, "Contain it?")?;
        if !matches!(agreed, Agreed::Yes) {
            return Ok(unchanged(&agreed));
        }
    }
    let names: Vec<BTreeSet<String>> =
        plans.iter().map(|plan| plan.sites.iter().map(|site| site.name.clone()).collect()).collect();
    let own_ids = case.as_ref().map(|case| case.ids.clone()).unwrap_or_default();
    if let Some(folder) = &arguments.evidence {
        let policies: Vec<_> = plans.iter().map(|plan| plan.policy.clone()).zip(names.iter().cloned()).collect();
        let running = Running::look(&Of { policies: &policies, ids: &own_ids }, Former::default());
        outcome.evidence(save(folder, case.as_ref(), &running, &configs)?);
    }
    // Whoever was asked has had time, and another person may have edited the files.
    if plan()?.iter().map(|plan| &plan.edits).ne(plans.iter().map(|plan| &plan.edits)) {
        return Err("the configuration was changed meanwhile; nothing was contained; help: run this again".to_owned());
    }
    let record = record(&id, &now.to_string(), &who, &of, &plans)?;
    if has_edits {
        store.keep(&record)?;
        if let Err(why) = activate(&record) {
            store.forget(&id)?;
            return Err(why);
        }
    } else {
        outcome.already(&record::all(&arguments.state)?.all, &of);
        if outcome.undo.is_none() {
            store.keep(&record)?;
            outcome.undo = Some(id.clone());
        }
        configs.iter().try_for_each(|main| apply::quietly(main).map(drop))?;
    }
    outcome.units(units.reload(&configs));
    let mut policies = Vec::new();
    for (main, names) in configs.iter().zip(names) {
        let file = compile::default_output(main);
        let bytes = reading::bytes(&file, Links::Refuse, compile::POLICY_MAX)
            .map_err(|error| format!("cannot read the applied policy {}: {error}", file.display()))?;
        outcome.verified.push(verdicts(&bytes, case.as_ref(), &wanted)?);
        policies.push((bytes, names));
    }
    let running = Running::look(&Of { policies: &policies, ids: &own_ids }, outcome.former());
    Ok(outcome.finish(&running, has_edits))
}

/// What is to be contained.
fn wanted(arguments: &Contain, case: Option<&Case>) -> Wanted {
    let of_root = |root: &String| {
        let request = Request { document_root: root.clone(), ..Request::default() };
        Wanted::Requests { own: BTreeSet::from([request]), others: BTreeSet::new() }
    };
    match (case, &arguments.document_root) {
        (Some(case), _) => Wanted::Requests { own: case.own.clone(), others: case.others.clone() },
        (None, Some(root)) => of_root(root),
        (None, None) => Wanted::Vhost(arguments.selection.vhost.concat()),
    }
}

/// What is contained, in words, and a name for it.
fn named(arguments: &Contain, case: Option<&Case>) -> (String, String) {
    let of = match (case, &arguments.document_root) {
        (Some(case), _) => return (format!("incident {}", case.incident.id), case.incident.id.clone()),
        (None, Some(root)) => format!("document root {root}"),
        (None, None) => format!("virtual host {}", arguments.selection.vhost.concat()),
    };
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    let mut shown = out::printable(&of);
    while shown.len() > OF_MAX {
        shown.pop();
    }
    (shown, format!("{:08x}", hasher.finish() as u32))
}

/// Who runs this: also behind sudo.
fn who() -> String {
    let behind = ["SUDO_USER", "DOAS_USER"].iter().find_map(|name| std::env::var(name).ok());
    let name = behind.unwrap_or_else(|| Users::here().name(Some(rustix::process::getuid().as_raw())));
    out::printable(&name).chars().filter(char::is_ascii).take(WHO_MAX).collect()
}

/// What a policy decides on the incident's calls; without an incident, on what any web shell does.
fn verdicts(bytes: &[u8], case: Option<&Case>, wanted: &Wanted) -> Result<Verdicts, String> {
    let policy = Policy::new(bytes).map_err(|why| why.reason().to_owned())?;
    if let Some(case) = case {
        return Ok(case.verdicts(&policy));
    }
    let mut verdicts = Verdicts::default();
    let to = SocketAddr::from(DESTINATION);
    let calls = [format!("sh -c {COMMAND}"), format!("connect to {to}")];
    let answers = match wanted {
        Wanted::Vhost(name) => explain::verdicts_of_vhost(&policy, name, COMMAND, to)?,
        Wanted::Requests { own, .. } => {
            let request = own.first().cloned().unwrap_or_default();
            explain::verdicts_of(&policy, &request, COMMAND, to)
        }
    };
    calls.into_iter().zip(answers).for_each(|(call, answer)| verdicts.add(call, answer));
    Ok(verdicts)
}

/// The files of sites that were contained already: their containment is not to be undone below this one.
fn relied(plans: &[Plan], files: &[Written]) -> Vec<PathBuf> {
    let all = plans.iter().flat_map(|plan| plan.sites.iter().map(|site| &site.file));
    let others: BTreeSet<&PathBuf> = all.filter(|file| files.iter().all(|written| written.path != **file)).collect();
    others.into_iter().cloned().collect()
}

/// What is to be kept of the files that change.
fn record(id: &str, when: &str, who: &str, what: &str, plans: &[Plan]) -> Result<Record, String> {
    let edits: Vec<&(PathBuf, String)> = plans.iter().flat_map(|plan| &plan.edits).collect();
    let files = edits.iter().map(|(path, text)| Written::of(path, text)).collect::<Result<Vec<Written>, String>>()?;
    let above = files.iter().filter_map(|file| file.path.parent()).filter(|folder| !folder.exists());
    let folders: BTreeSet<PathBuf> = above.map(Path::to_owned).collect();
    Ok(Record {
        id: id.to_owned(),
        when: when.to_owned(),
        who: who.to_owned(),
        what: what.to_owned(),
        configs: plans.iter().map(|plan| plan.main.clone()).collect(),
        relied: relied(plans, &files),
        files,
        folders: folders.into_iter().collect(),
    })
}

/// Writes the files and applies them; where that fails, nothing is changed.
fn activate(record: &Record) -> Result<(), String> {
    record.make()?;
    for main in &record.configs {
        if let Err(why) = apply::quietly(main) {
            let mut left = record.unmake();
            // One that was applied before.
            left.extend(record.configs.iter().filter_map(|main| apply::quietly(main).err()));
            return Err(record::outcome(format!("not contained: {why}"), &left));
        }
    }
    Ok(())
}

/// Saves the evidence.
fn save(
    folder: &Path,
    case: Option<&Case>,
    running: &Running,
    configs: &BTreeSet<PathBuf>,
) -> Result<(String, Vec<String>), String> {
    let mut evidence = Evidence::new(folder)?;
    evidence.processes(&running.evidence());
    if let Some(case) = case {
        evidence.case(case);
    }
    configs.iter().for_each(|main| evidence.configuration(main));
    let (said, mut problems) = evidence.finish();
    problems.extend(running.lacks.iter().cloned());
    Ok((said, problems))
}

fn list(arguments: &Contain) -> Result<u8, String> {
    let Records { all: records, problems } = record::all(&arguments.state)?;
    if arguments.json {
        println!("{}", out::json(&serde_json::json!(records), true));
    } else if records.is_empty() && problems.is_empty() {
        println!("No containment can be undone.");
    }
    for record in records.iter().filter(|_| !arguments.json) {
        println!("{}", record.line());
    }
    for why in &problems {
        complain(format_args!("a containment is not listed: {why}"));
    }
    Ok(if problems.is_empty() { FINE } else { WRONG })
}

fn undo(arguments: &Contain, id: &str) -> Result<u8, String> {
    let store = open(arguments)?;
    let record = record::named(&arguments.state, id)?;
    if let [first, ..] = record.changed().as_slice() {
        let later = record::all(&arguments.state)?.all;
        let later = later
            .iter()
            .rev()
            .find(|other| other.id != record.id && other.files.iter().any(|file| file.path == first.path));
        for file in record.changed() {
            eprintln!("{} differs from what this containment wrote:", out::printable(&file.path.display().to_string()));
            eprintln!("{}", file.differs().trim_end_matches('\n'));
        }
        let help = match later {
            Some(other) => format!("undo the later one first: portcullis contain --undo {}", other.id),
            None => "take the lines above back (+ was added, - was removed), and run this again".to_owned(),
        };
        return Err(format!("{} was changed since; nothing was changed; help: {help}", first.path.display()));
    }
    if let Some((other, path)) = record.held_by(&record::all(&arguments.state)?.all) {
        return Err(format!(
            "{} is also what contains {}; nothing was changed; help: undo that one first: portcullis contain --undo {}",
            path.display(),
            show::rest(&other.what),
            other.id
        ));
    }
    if !arguments.json {
        record.files.iter().for_each(|file| file.back().show());
    }
    let Some(store) = store else { return Ok(FINE) };
    let agreed = agree(arguments, "Undo it?")?;
    if !matches!(agreed, Agreed::Yes) {
        return Ok(unchanged(&agreed));
    }
    // Whoever was asked has had time, and another person may have edited the files.
    if let [first, ..] = record.changed().as_slice() {
        return Err(format!(
            "{} was changed meanwhile; nothing was undone; help: run this again",
            first.path.display()
        ));
    }
    let mut problems = record.unmake();
    problems.extend(record.configs.iter().filter_map(|main| apply::quietly(main).err()));
    if !problems.is_empty() {
        // What was contained stays so.
        let again =
            record.make().and_then(|()| record.configs.iter().try_for_each(|main| apply::quietly(main).map(drop)));
        let state =
            again.map_or_else(|why| format!("and not contained again: {why}"), |()| "the site stays contained".into());
        return Err(format!("not undone: {}; {state}", problems.join("; ")));
    }
    store.forget(&record.id)?;
    let configs: BTreeSet<PathBuf> = record.configs.iter().cloned().collect();
    let units = Units(reload::units().into_iter().filter(|(_, config)| configs.contains(config)).collect());
    Ok(outcome::undone(&record, units.reload(&configs), arguments.json))
}
