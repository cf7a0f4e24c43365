//! `portcullis report`: what happened, as one HTML page that needs nothing else.

mod chart;
mod page;

use crate::arguments::Report;
use crate::log::{self, Event};
use crate::{FINE, WRONG, check, complain, incident, install, learn};
use portcullis_story::{Incident, Story, find};

pub fn run(mut arguments: Report) -> u8 {
    log::locate(&arguments.source, &mut arguments.selection);
    match try_run(&arguments) {
        Ok(code) => code,
        Err(message) => complain(message),
    }
}

fn try_run(arguments: &Report) -> Result<u8, String> {
    // Before a log of hours is read.
    arguments.output.as_deref().map_or(Ok(()), crate::out::lacks_folder)?;
    let (events, unreadable) = arguments.selection.all()?;
    let streaming = learn::Streaming::of(&arguments.source)?;
    let policy = streaming.policy()?;
    let mut learner = streaming.learner(&policy);
    events.iter().for_each(|event| learner.take(event, true));
    let proposal = streaming.text(learner)?;
    let now = format!("{:.0}", jiff::Timestamp::now());
    let found = found(&events);
    let requests = incident::group(events.clone());
    let html = page::page(&page::Facts {
        events: &events,
        incidents: &found,
        requests: &requests,
        unreadable,
        proposal: &proposal,
        now: &now,
    });
    match &arguments.output {
        Some(path) => {
            install::plan::output(path, &html).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            println!(
                "{}: {}, {}",
                path.display(),
                check::counted(events.len(), "event"),
                check::counted(found.len(), "incident")
            );
        }
        None => print!("{html}"),
    }
    Ok(if unreadable == 0 { FINE } else { WRONG })
}

/// The incidents of some events, the gravest first.
fn found(events: &[Event]) -> Vec<Incident> {
    let mut story = Story::default();
    for event in events {
        story.take(event, true);
    }
    find(&story.told())
}

/// The page on some events.
pub fn page_on(events: &[Event], unreadable: usize, proposal: &str, now: &str) -> String {
    let requests = incident::group(events.to_vec());
    page::page(&page::Facts { events, incidents: &found(events), requests: &requests, unreadable, proposal, now })
}
