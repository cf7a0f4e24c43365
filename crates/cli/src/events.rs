//! `portcullis events`: what the guard saw, for people or for programs; an event each, a line each, or by incident.

use crate::arguments::Events;
use crate::incident::{self, Incident};
use crate::log::{self, Event};
use crate::{FINE, WRONG, complain, show, verify};
use anstyle::Style;
use portcullis_event::field;
use serde_json::{Value, json};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

pub fn run(mut arguments: Events) -> u8 {
    arguments.selection.is_for_program = arguments.json;
    log::locate(&arguments.source, &mut arguments.selection);
    let arguments = &arguments;
    if arguments.verify {
        return verify::run(arguments);
    }
    let done = if arguments.incidents {
        arguments.selection.all().map(|(events, unreadable)| {
            let count = events.len();
            let incidents = incident::group(events);
            if incidents.is_empty() && count > 0 && !arguments.json {
                eprintln!(
                    "portcullis: note: no incident: {} of Portcullis itself",
                    crate::check::counted(count, "event")
                );
            }
            for incident in &incidents {
                if arguments.json {
                    println!("{}", crate::out::json(&as_json(incident), false))
                } else {
                    println!("{}", tree(incident))
                }
            }
            unreadable
        })
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
    if arguments.json {
        println!("{}", written(&event));
    } else if arguments.table {
        println!("{}", show::row(event));
    } else {
        println!("{}", show::event(&event.value()));
    }
}

/// An event as it was written, in JSON of one line; put together again where a reader has found something out about it.
fn written(event: &Event) -> String {
    match event.is_as_written() && !event.line().chars().any(|one| one.is_ascii_control()) {
        true => crate::out::ascii(event.line()),
        false => crate::out::json(&event.value(), false),
    }
}

/// An incident for programs.
fn as_json(incident: &Incident) -> Value {
    fn node(incident: &Incident, place: usize) -> Value {
        let led_to: Vec<Value> = incident.children[place].iter().map(|&child| node(incident, child)).collect();
        json!({ "event": incident.events[place].value(), "led_to": led_to })
    }
    let roots: Vec<Value> = incident.roots.iter().map(|&root| node(incident, root)).collect();
    let last = incident.events.last().map_or("", |event| event.text(field::TIMESTAMP));
    json!({
        "request_id": incident.first().text(field::HTTP_REQUEST_ID),
        "first": incident.first().text(field::TIMESTAMP),
        "last": last,
        "events": incident.events.len(),
        "blocked": incident.blocked(),
        "severity": incident.severity(),
        "tree": roots,
    })
}

/// An incident for people: the request, when it was, then what happened for it.
fn tree(incident: &Incident) -> String {
    let first = incident.first();
    let request = show::request(&first.value());
    let request = match request.strip_prefix("for ").unwrap_or(&request) {
        "" => "no request",
        request => request,
    };
    let counted = crate::check::counted(incident.events.len(), "event");
    let blocked = incident.blocked();
    let id = match show::printable(first.text(field::HTTP_REQUEST_ID)) {
        id if id.is_empty() => id,
        id => format!(", request {id}"),
    };
    let mut out =
        format!("{BOLD}{request}{BOLD:#}\n  {DIM}{}, {counted}, {blocked} blocked{id}{DIM:#}\n", show::time(first));
    for (depth, event) in incident.walk() {
        out += &format!("{}{}\n", "  ".repeat(depth.min(20) + 1), show::brief(event));
    }
    out
}
