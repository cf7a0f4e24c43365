//! `portcullis report`: what happened, as an HTML page that needs nothing else.
//!
//! **Passes**: the first one finds the incidents and counts everything, in bounded memory; the second one reads only the lines with the
//! events that the page shows.

mod earlier;
mod kept;
mod page;

use crate::arguments::Report;
use crate::log::{self, Event, Selection};
use crate::{FINE, WRONG, check, complain, device, incidents, install, learn};
use kept::Kept;
use page::Facts;
use portcullis_story::{About, Brief, Common, Digest, Found, Incident, Notes, Story, Totals, find_first};
use std::path::{Path, PathBuf};

/// So many incidents are in the page; the others are in a second file.
const INCIDENTS: usize = 500;
/// So many are in the second file.
const OTHERS: usize = 20_000;

pub fn run(mut arguments: Report) -> u8 {
    arguments.selection.is_read_again = true;
    log::locate(&arguments.source, &mut arguments.selection);
    match try_run(&arguments) {
        Ok(code) => code,
        Err(message) => complain(message),
    }
}

/// What a log says.
struct Log {
    digest: Digest,
    /// Those that are shown.
    incidents: Vec<Incident>,
    others: Vec<Brief>,
    totals: Totals,
    common: Common,
    is_folded: bool,
}

impl Log {
    /// How many incidents there are.
    fn count(&self) -> usize {
        self.incidents.len() + self.others.len()
    }
}

/// Reads events one by one.
#[derive(Default)]
struct Reading {
    story: Story,
    digest: Digest,
    notes: Notes,
}

impl Reading {
    /// Takes an event; whether it was not read before. What is not chosen shows what is ordinary.
    fn take(&mut self, event: &Event, is_chosen: bool) -> bool {
        let about = About::of(event);
        let taken = self.story.take_about(event, &about, is_chosen);
        if taken.is_new() && is_chosen {
            self.digest.take(event, &about);
            self.notes.take(event, taken);
        }
        taken.is_new()
    }

    fn done(self) -> Log {
        let told = self.story.told();
        let Found { first: incidents, others } = find_first(&told, INCIDENTS + OTHERS);
        Log {
            digest: self.digest,
            incidents,
            others,
            totals: told.totals,
            common: told.common(),
            is_folded: told.is_folded,
        }
    }
}

fn try_run(arguments: &Report) -> Result<u8, String> {
    // Before a log of hours is read.
    if let Some(output) = &arguments.output {
        crate::out::lacks_folder(output)?;
        arguments.selection.is_no_input(output)?;
        page::is_ours(output)?;
    }
    let earlier = earlier(arguments)?;
    let selection = &arguments.selection;
    let mut reading = Reading { story: selection.story(), ..Reading::default() };
    // Without a proposal there is a report still.
    let streaming = arguments.proposal.then(|| learn::Streaming::of(&arguments.source));
    let policy =
        streaming.as_ref().map(|learn| learn.as_ref().map_err(String::clone).and_then(learn::Streaming::policy));
    let mut learner = match (&streaming, &policy) {
        (Some(Ok(learn)), Some(Ok(policy))) => Some(learn.learner(policy)),
        _ => None,
    };
    let unreadable = selection.read_every(false, &mut |event, is_chosen| {
        if reading.take(&event, is_chosen)
            && let Some(learner) = &mut learner
        {
            learner.take_new(&event, is_chosen);
        }
    })?;
    // What the incidents are made of is not held beside what the proposal is made of.
    let notes = std::mem::take(&mut reading.notes);
    let log = reading.done();
    let learnt = match (&streaming, learner) {
        (Some(Ok(learn)), Some(learner)) => Some(learn.text(learner)),
        _ => policy.map(|policy| policy.map(|_| String::new())),
    };
    let shown = &log.incidents[..log.incidents.len().min(INCIDENTS)];
    let kept = Kept::read(selection, shown, notes);
    // Whoever only looks at the page learns it there; whoever only runs this, here.
    let unlearnt = learnt.as_ref().and_then(|learnt| learnt.as_ref().err());
    let lacks = [("nothing is proposed", unlearnt), ("events are missing in the page", kept.lack.as_ref())];
    for (what, why) in lacks.iter().filter_map(|(what, why)| why.map(|why| (what, why))) {
        complain(format_args!("{what}: {why}"));
    }
    let is_whole = unreadable == 0 && lacks.iter().all(|(_, why)| why.is_none());
    let code = if is_whole { FINE } else { WRONG };
    let proposal = learnt.map(|learnt| learnt.unwrap_or_else(|error| format!("Nothing is proposed: {error}\n")));
    // Beside a device there is no second file.
    let beside = arguments.output.as_deref().filter(|path| !device::is(path)).map(second);
    let more = beside.as_ref().filter(|_| log.incidents.len() > INCIDENTS);
    let now = format!("{:.0}", jiff::Timestamp::now());
    let commands = |incident: &Incident| incidents::commands(selection, incident);
    let facts = Facts {
        log: &log,
        kept: &kept,
        commands: &commands,
        earlier: &earlier,
        unreadable,
        proposal: proposal.as_deref(),
        policy: &policy_here(arguments),
        more: more.map(PathBuf::as_path),
        command: &crate::out::command(),
        now: &now,
    };
    let html = page::page(&facts);
    let write = |path: &Path, html: &str| {
        install::plan::output(path, html).map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    let Some(path) = &arguments.output else {
        print!("{html}");
        return Ok(code);
    };
    let Some(beside) = &beside else { return write(path, &html).map(|()| code) };
    let is_earlier = match (page::is_others(beside), more) {
        (Err(error), Some(_)) => return Err(error),
        (found, _) => found.unwrap_or(false),
    };
    // The page leads to it.
    if let Some(more) = more {
        write(more, &page::others(&facts))?;
    }
    write(path, &html)?;
    // That of an earlier page would seem to be of this one.
    if is_earlier && more.is_none() {
        std::fs::remove_file(beside).map_err(|error| format!("cannot remove {}: {error}", beside.display()))?;
    }
    println!(
        "{}: {}, {}",
        path.display(),
        check::counted(log.totals.events, "event"),
        check::counted(log.count(), "incident")
    );
    if let Some(more) = more {
        println!("{}: the incidents behind the first {INCIDENTS}", more.display());
    }
    Ok(code)
}

/// The report with which this one is compared: the one that is named, or the one in whose place this one comes.
fn earlier(arguments: &Report) -> Result<earlier::Found, String> {
    match (&arguments.since_report, &arguments.output) {
        (Some(path), _) => earlier::read(path).map_err(|error| {
            format!("cannot compare with {}: {error}; help: name a page that `portcullis report` wrote", path.display())
        }),
        (None, Some(path)) if path.is_file() => Ok(earlier::read(path).unwrap_or_else(|error| {
            eprintln!("portcullis: note: {} is not compared with: {error}", path.display());
            earlier::Found::None(format!("The page that was there before is not compared with: {error}."))
        })),
        (None, output) => Ok(earlier::Found::None(match output {
            Some(_) => {
                "No earlier report was there. The next one with the same -o is compared with this one.".to_owned()
            }
            None => "It is not compared with an earlier report: --since-report FILE names one.".to_owned(),
        })),
    }
}

/// The second file, beside the page.
fn second(page: &Path) -> PathBuf {
    let mut name = page.file_stem().unwrap_or_default().to_owned();
    name.push("-more");
    if let Some(kind) = page.extension() {
        name.push(".");
        name.push(kind);
    }
    page.with_file_name(name)
}

/// The policy of this machine in words.
fn policy_here(arguments: &Report) -> String {
    let path = check::path_of(&arguments.source);
    if !path.try_exists().unwrap_or(true) {
        return format!("{} does not exist: the built-in audit policy", path.display());
    }
    let loaded = portcullis_config::load(&path);
    if !loaded.usable() {
        return format!("{} has errors: the last valid policy stays active", path.display());
    }
    let modes = portcullis_config::modes::of(&loaded.config.global, &loaded.config).said();
    format!("{}: {modes}; {}", path.display(), check::counted(loaded.config.vhosts.len(), "virtual host"))
}

/// The page on the events of some lines, and the second file, for tests and the fuzzer.
pub fn pages_on(events: &[Event], unreadable: usize, text: &str) -> [String; 2] {
    let mut reading = Reading::default();
    for event in events {
        reading.take(event, true);
    }
    let mut notes = std::mem::take(&mut reading.notes);
    let log = reading.done();
    let kept = kept::Keeper::of(&log.incidents, &mut notes).map(|mut keeper| {
        events.iter().for_each(|event| keeper.take(event.clone(), &notes));
        keeper.done()
    });
    let selection = Selection::default();
    let facts = Facts {
        log: &log,
        kept: &kept.unwrap_or_default(),
        commands: &|incident| incidents::commands(&selection, incident),
        earlier: &earlier::Found::None(text.to_owned()),
        unreadable,
        proposal: Some(text),
        policy: text,
        more: None,
        command: text,
        now: "2026-01-01T00:00:00Z",
    };
    [page::page(&facts), page::others(&facts)]
}
