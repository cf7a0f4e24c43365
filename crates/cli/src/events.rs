//! `portcullis events`: what the guard saw, for people or for programs; an event each, a line each, or by incident.

use crate::arguments::Events;
use crate::format;
use crate::incidents;
use crate::log::{self, Event};
use crate::{FINE, WRONG, complain, show, verify};

pub fn run(mut arguments: Events) -> u8 {
    arguments.selection.is_for_program = arguments.json || arguments.format.is_some();
    log::locate(&arguments.source, &mut arguments.selection);
    let arguments = &arguments;
    if arguments.verify {
        return verify::run(arguments);
    }
    let done = if let Some(id) = &arguments.incident {
        incidents::one(arguments, id)
    } else if arguments.incidents {
        incidents::list(arguments)
    } else {
        if arguments.table && !arguments.json {
            println!("{}", show::table_head());
        }
        arguments.selection.read(arguments.follow, &mut |event| print(&event, arguments))
    };
    match done {
        Ok(0) => FINE,
        Ok(_) => WRONG,
        Err(message) => complain(message),
    }
}

fn print(event: &Event, arguments: &Events) {
    if let Some(format) = arguments.format {
        println!("{}", format::line(event, format));
    } else if arguments.json {
        println!("{}", format::written(event));
    } else if arguments.table {
        println!("{}", show::row(event));
    } else {
        println!("{}", show::event(&event.value()));
    }
}
