//! `portcullis events`: what the library saw, for people or for programs; an event each, a line each, or by incident.

pub mod fields;
pub mod live;
mod table;

use crate::arguments::Events;
use crate::format;
use crate::incidents;
use crate::log::{self, Event};
use crate::{FINE, NOTHING, WRONG, complain, show, verify};
use live::{Beat, Live};
use std::collections::VecDeque;
use table::Table;

/// What was read: how many lines were no events, and how many events or incidents matched.
pub struct Read {
    pub unreadable: usize,
    pub matched: usize,
}

pub fn run(mut arguments: Events) -> u8 {
    arguments.color.apply();
    // The output of a choice of fields is for a program, too, and an incident less is no silence.
    let is_lines = arguments.json || arguments.format.is_some() || !arguments.fields.is_empty();
    arguments.selection.is_for_program = (is_lines && !arguments.incidents) || arguments.exit_code;
    arguments.selection.is_read_again = arguments.incident.is_some();
    log::locate(&arguments.source, &mut arguments.selection);
    let arguments = &arguments;
    if arguments.verify {
        return verify::run(arguments);
    }
    let done = if let Some(id) = &arguments.incident {
        incidents::one(arguments, id)
    } else if arguments.incidents && arguments.follow {
        incidents::follow(arguments)
    } else if arguments.incidents {
        incidents::list(arguments)
    } else {
        each(arguments)
    };
    match done {
        Ok(Read { unreadable: 1.., .. }) => WRONG,
        Ok(Read { matched: 0, .. }) if arguments.exit_code => NOTHING,
        Ok(_) => FINE,
        Err(message) => complain(message),
    }
}

/// Prints the chosen events, or the last ones of them.
fn each(arguments: &Events) -> Result<Read, String> {
    let table = Table::new(crate::out::columns());
    if arguments.table && !arguments.json {
        println!("{}", table.head());
    }
    let mut last = Last::of(arguments.lines);
    let mut matched = 0;
    let mut show = |event: Event| print(&event, arguments, &table);
    if arguments.follow {
        let live = Live::begin(arguments.selection.clone());
        loop {
            match live.next() {
                Beat::Event(event, true) => {
                    matched += 1;
                    last.take(*event, &mut show);
                }
                Beat::Event(_, false) => {}
                // From now on, each is shown when it comes.
                Beat::Quiet => last.end(&mut show),
                Beat::End(done) => {
                    last.end(&mut show);
                    return Ok(Read { unreadable: done?, matched });
                }
            }
        }
    }
    let unreadable = arguments.selection.read(false, &mut |event| {
        matched += 1;
        last.take(event, &mut show);
    })?;
    last.end(&mut show);
    Ok(Read { unreadable, matched })
}

/// The last ones of many events; all of them where there is no bound.
struct Last {
    most: Option<usize>,
    held: VecDeque<Event>,
}

impl Last {
    fn of(most: Option<usize>) -> Last {
        Last { most: most.filter(|most| *most > 0), held: VecDeque::new() }
    }

    fn take(&mut self, event: Event, show: &mut dyn FnMut(Event)) {
        let Some(most) = self.most else { return show(event) };
        if self.held.len() == most {
            self.held.pop_front();
        }
        self.held.push_back(event);
    }

    /// Shows those that are held; the others are shown when they come.
    fn end(&mut self, show: &mut dyn FnMut(Event)) {
        self.most = None;
        self.held.drain(..).for_each(show);
    }
}

fn print(event: &Event, arguments: &Events, table: &Table) {
    if !arguments.fields.is_empty() {
        println!("{}", fields::line(event, &arguments.fields));
    } else if let Some(format) = arguments.format {
        println!("{}", format::line(event, format));
    } else if arguments.json {
        println!("{}", format::written(event));
    } else if arguments.table {
        println!("{}", table.row(event));
    } else {
        println!("{}", show::event(event));
    }
}
