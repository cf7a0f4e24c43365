//! `portcullis learn`: proposes the smallest allowlist that what was seen needs. It allows nothing by itself.

pub mod ask;
mod dangers;
mod edit;
mod evidence;
pub mod files;
mod grouped;
mod groups;
mod hoist;
mod incidents;
mod launchers;
mod learner;
mod nginx;
mod of_nginx;
mod parsed;
mod propose;
mod reasons;
mod suspicion;
mod text;
mod widen;

use crate::arguments::Learn;
use crate::install::plan::Change;
use crate::log;
use crate::{FINE, WRONG, check, complain, explain, install, misuse, show};
pub use launchers::{namespace_note, runs_commands};
pub use learner::Learner;
use learner::{Learnt, Said};
use portcullis_config::{Config, Loaded};
use portcullis_event::field;
use portcullis_policy::Policy;
use portcullis_story::Seen;
use propose::Choice;
pub use propose::{literal, settings, words};
use std::path::{Path, PathBuf};

pub fn run(mut arguments: Learn) -> u8 {
    arguments.selection.is_for_program = arguments.json;
    arguments.selection.is_read_again = arguments.check || (asks(&arguments) && ask::is_possible());
    if arguments.nginx.is_none() {
        log::locate(&arguments.source, &mut arguments.selection);
    }
    match try_run(&arguments) {
        Ok(code) => code,
        Err(message) => complain(message),
    }
}

/// Whether each entry is asked for, where somebody is there to answer.
fn asks(arguments: &Learn) -> bool {
    (arguments.write.is_some() || arguments.write_all) && !arguments.yes
}

fn try_run(arguments: &Learn) -> Result<u8, String> {
    if let Some(output) = &arguments.output {
        crate::out::lacks_folder(output)?;
        arguments.selection.is_no_input(output)?;
    }
    let (path, loaded) = configuration(&arguments.source)?;
    let bytes = portcullis_config::compile(&loaded.config);
    let policy = Policy::new(&bytes).map_err(|why| why.reason().to_owned())?;
    let choice = Choice {
        include: &arguments.include,
        blocked: arguments.blocked,
        rare: arguments.include_rare,
        proxies: &arguments.proxy,
        widen: arguments.widen,
    };
    let (mut learnt, mut unreadable) = (Learnt::default(), 0);
    match &arguments.nginx {
        Some(file) => learnt.proposals = of_nginx::proposals(file, &policy, &choice)?,
        None => {
            let mut learner = Learner::new(&policy, &choice);
            unreadable =
                arguments.selection.read_every(false, &mut |event, is_chosen| learner.take(&event, is_chosen))?;
            learnt = learner.finish(&files::written)?;
        }
    }
    let mut is_wrong = false;
    for said in &learnt.said {
        match said {
            Said::Allowed(text) => eprintln!("portcullis: note: {text}"),
            Said::Wrong(text) => {
                complain(text);
                is_wrong = true;
            }
        }
    }
    if is_wrong {
        return Ok(misuse("nothing was proposed or written"));
    }
    hoist::hoist(&mut learnt.proposals);
    let config = &loaded.config;
    if arguments.write.is_some() || arguments.write_all {
        if !arguments.yes && ask::is_possible() {
            learnt.proposals = ask::each(std::mem::take(&mut learnt.proposals), &arguments.selection, &policy)?;
        }
        write(arguments, &learnt, config, &path)?;
    } else if let Some(output) = &arguments.output {
        let text = text::text(&learnt, config)?;
        install::plan::output(output, &text).map_err(|error| format!("cannot write {}: {error}", output.display()))?;
        if !crate::device::is(output) {
            println!("{}: written; no configuration was changed", output.display());
        }
    } else if arguments.json {
        println!("{}", crate::out::json(&text::as_json(&learnt), true));
    } else {
        print!("{}", text::text(&learnt, config)?);
    }
    if arguments.check {
        let edits = if arguments.write.is_some() || arguments.write_all {
            Vec::new()
        } else {
            files::every_edit(&learnt.proposals, config, &path)?
        };
        return still_fires(&path, &edits, &arguments.selection);
    }
    Ok(if unreadable == 0 { FINE } else { WRONG })
}

/// Puts what is proposed into the files of the configuration.
fn write(arguments: &Learn, learnt: &Learnt, config: &Config, path: &Path) -> Result<(), String> {
    let has_entries = learnt.proposals.values().any(|proposal| !proposal.entries.is_empty());
    if !has_entries {
        print!("{}", text::nothing(learnt));
        return Ok(());
    }
    let edits = || match &arguments.write {
        None => files::every_edit(&learnt.proposals, config, path),
        Some(target) => {
            let target = files::target(target, path)?;
            let text = files::edited(&target, &learnt.proposals, config, path)?;
            Ok(vec![(target, text)])
        }
    };
    let planned = edits()?;
    let (candidate, _copy) = files::candidate(path, &planned)?;
    if !candidate.usable() {
        check::show_errors(&candidate);
        return Err("the configuration would have errors; nothing was written".to_owned());
    }
    for (target, text) in &planned {
        Change::Write(target.clone(), text.clone()).show();
    }
    if !arguments.yes && ask::is_possible() && !ask::confirm("Write these changes?")? {
        println!("Nothing was written.");
        return Ok(());
    }
    // Whoever was asked has had time, and another person may have edited the files.
    if edits()? != planned {
        return Err("the configuration was changed meanwhile; nothing was written; help: run this again".to_owned());
    }
    files::write(&planned)?;
    if let Some(merged) = text::merged(&learnt.counts) {
        println!("{merged}.");
    }
    Ok(())
}

/// What `learn` would print for the events that a learner is given, one by one, in any order:
///
/// ```ignore
/// let streaming = learn::Streaming::of(&arguments.source)?;
/// let policy = streaming.policy()?;
/// let mut learner = streaming.learner(&policy);
/// selection.read_every(false, &mut |event, is_chosen| learner.take(&event, is_chosen))?;
/// let text = streaming.text(learner)?;
/// ```
pub struct Streaming {
    loaded: Loaded,
    policy: Vec<u8>,
    choice: Choice<'static>,
}

impl Streaming {
    /// By the configuration; what was blocked is learnt from, too.
    pub fn of(source: &crate::arguments::Source) -> Result<Streaming, String> {
        let (_, loaded) = configuration(source)?;
        let policy = portcullis_config::compile(&loaded.config);
        Ok(Streaming { loaded, policy, choice: Choice { blocked: true, ..Choice::default() } })
    }

    /// The policy, for [`Streaming::learner`].
    pub fn policy(&self) -> Result<Policy<'_>, String> {
        Policy::new(&self.policy).map_err(|why| why.reason().to_owned())
    }

    /// A learner that knows nothing yet.
    pub fn learner<'s>(&'s self, policy: &'s Policy<'s>) -> Learner<'s> {
        Learner::new(policy, &self.choice)
    }

    /// What a learner proposes.
    pub fn text(&self, learner: Learner<'_>) -> Result<String, String> {
        text::text(&learner.finish(&files::written)?, &self.loaded.config)
    }
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

/// How many events are listed that would still be written.
const STILL_SHOWN: usize = 1000;

/// What of the log would be an event under the new policy: the log is read again, as only a part of it is held.
fn still_fires(path: &Path, edits: &[(PathBuf, String)], selection: &log::Selection) -> Result<u8, String> {
    let (candidate, _copy) = files::candidate(path, edits)?;
    if !candidate.usable() {
        check::show_errors(&candidate);
        return Err("the proposal does not compile".to_owned());
    }
    let bytes = portcullis_config::compile(&candidate.config);
    let policy = Policy::new(&bytes).map_err(|why| why.reason().to_owned())?;
    let (mut firing, mut quiet, mut shown) = (0, 0, Vec::new());
    let mut seen = Seen::default();
    selection.read_again(&mut |event| {
        if !seen.is_new(&event) {
            return;
        }
        // What a policy alone cannot tell fires as it did.
        match explain::has_event(&policy, &event) {
            _ if event.is_of_guard() || (event.is_of_merged() && !event.text(field::LIKE).is_empty()) => {}
            Some(false) => quiet += 1,
            Some(true) | None => {
                firing += 1;
                if firing <= STILL_SHOWN {
                    shown.push((event.text(field::TIMESTAMP).to_owned(), show::brief(&event)));
                }
            }
        }
    })?;
    println!(
        "under the new policy {quiet} of {} would be allowed; still events:",
        check::counted(firing + quiet, "action")
    );
    shown.sort();
    for (_, line) in &shown {
        println!("  {line}");
    }
    match firing {
        0 => println!("  none"),
        many if many > STILL_SHOWN => println!("  and {} more", many - STILL_SHOWN),
        _ => {}
    }
    Ok(if firing == 0 { FINE } else { WRONG })
}
