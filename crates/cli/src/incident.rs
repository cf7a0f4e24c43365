//! What happened for one request, with all that descended from it, as a tree.

use crate::log::Event;
use crate::show;
use anstyle::Style;
use portcullis_event::field;
use serde_json::{Value, json};
use std::collections::HashMap;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// How deep a tree goes: what is deeper stands beside what led to it. A program that executes itself for ever is not to
/// exhaust the stack of whoever looks at it, nor a reader of JSON, which many bound at 128 levels.
const DEPTH_MAX: usize = 32;

/// What happened for one request; where no request is known, in one stream.
pub struct Incident {
    /// The events, in the order of time.
    pub events: Vec<Event>,
    /// The events that nothing led to, by their place in `events`.
    pub roots: Vec<usize>,
    /// What each event led to.
    pub children: Vec<Vec<usize>>,
}

impl Incident {
    /// The first event.
    pub fn first(&self) -> &Event {
        &self.events[0]
    }

    /// How many of its events are refusals.
    pub fn blocked(&self) -> usize {
        self.events.iter().filter(|event| event.blocked()).count()
    }

    /// The events in the order of the tree, each with its depth.
    pub fn walk(&self) -> Vec<(usize, &Event)> {
        let mut out = Vec::new();
        let mut open: Vec<(usize, usize)> = self.roots.iter().rev().map(|&root| (0, root)).collect();
        while let Some((depth, place)) = open.pop() {
            out.push((depth, &self.events[place]));
            open.extend(self.children[place].iter().rev().map(|&child| (depth + 1, child)));
        }
        out
    }

    fn of(events: Vec<Event>) -> Incident {
        let mut incident = Incident { roots: Vec::new(), children: vec![Vec::new(); events.len()], events };
        let mut placed: Vec<(usize, Option<usize>)> = Vec::with_capacity(incident.events.len());
        // The program that a process runs, and the last program that a chain led to.
        let mut by_pid: HashMap<Option<u64>, usize> = HashMap::new();
        let mut by_chain: HashMap<&str, usize> = HashMap::new();
        for (place, event) in incident.events.iter().enumerate() {
            let (own, parent) = (event.number(field::PROCESS_PID), event.number(field::PARENT_PID));
            let chain = event.text(field::CHAIN);
            let before =
                if event.is_exec() { chain.rsplit_once(" > ").map_or("", |(before, _)| before) } else { chain };
            let found = by_pid.get(&own.or(parent)).or_else(|| by_chain.get(before)).copied();
            let cause = match found.map(|cause| (cause, placed[cause])) {
                Some((_, (depth, above))) if depth + 1 >= DEPTH_MAX => above,
                Some((cause, _)) => Some(cause),
                None => None,
            };
            match cause {
                Some(cause) => incident.children[cause].push(place),
                None => incident.roots.push(place),
            }
            placed.push((cause.map_or(0, |cause| placed[cause].0 + 1), cause));
            if event.is_exec() && !event.blocked() {
                if own.is_some() {
                    by_pid.insert(own, place);
                }
                by_chain.insert(chain, place);
            }
        }
        incident
    }
}

/// Groups events, which are in the order of time, into incidents in the order in which they begin. The guard's word on
/// itself belongs to none.
pub fn group(events: Vec<Event>) -> Vec<Incident> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Vec<Event>> = Vec::new();
    for event in events.into_iter().filter(|event| !event.is_of_guard()) {
        let key = match event.text(field::HTTP_REQUEST_ID) {
            "" => format!("stream {} {}", event.text(field::HOST_HOSTNAME), event.text(field::STREAM)),
            id => format!("request {id}"),
        };
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(event);
    }
    groups.into_iter().map(Incident::of).collect()
}

/// The events of a request for programs, each with what it led to.
pub fn as_json(incident: &Incident) -> Value {
    fn node(incident: &Incident, place: usize) -> Value {
        let led_to: Vec<Value> = incident.children[place].iter().map(|&child| node(incident, child)).collect();
        json!({ "event": incident.events[place].value(), "led_to": led_to })
    }
    let roots: Vec<Value> = incident.roots.iter().map(|&root| node(incident, root)).collect();
    json!({ "request_id": incident.first().text(field::HTTP_REQUEST_ID), "tree": roots })
}

/// An incident for people: the request, when it was, then what happened for it.
pub fn shown(incident: &Incident) -> String {
    let first = incident.first();
    let request = show::request(first);
    let request = match request.strip_prefix("for ").unwrap_or(&request) {
        "" => "no request",
        request => request,
    };
    let counted = crate::check::counted(incident.events.len(), "event");
    let blocked = incident.blocked();
    let id = match show::value(first.text(field::HTTP_REQUEST_ID)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(id: &str, pid: Option<u64>, parent: u64, chain: &str) -> Event {
        let mut value = json!({
            "event": { "action": "exec", "outcome": "success" }, "http": { "request": { "id": id } },
            "process": { "parent": { "pid": parent } }, "portcullis": { "chain": chain }, "rule": { "id": "shell-spawn" },
        });
        if let Some(pid) = pid {
            value["process"]["pid"] = pid.into();
        }
        Event::of(&value)
    }

    fn connect(id: &str, pid: u64, parent: u64, chain: &str) -> Event {
        Event::of(&json!({
            "event": { "action": "connection_attempted", "outcome": "success" }, "http": { "request": { "id": id } },
            "process": { "pid": pid, "parent": { "pid": parent } }, "portcullis": { "chain": chain },
            "rule": { "id": "egress-port" },
        }))
    }

    #[test]
    fn what_led_to_what() {
        let incidents = group(vec![
            exec("a", None, 10, "php > sh"),
            connect("b", 11, 1, "php"),
            exec("a", Some(20), 19, "php > sh > bash"),
            connect("a", 20, 19, "php > sh > bash"),
            connect("a", 10, 1, "php"),
        ]);
        assert_eq!(incidents.len(), 2);
        let depths: Vec<(usize, &str)> =
            incidents[0].walk().iter().map(|(depth, event)| (*depth, event.text(field::CHAIN))).collect();
        assert_eq!(depths, [(0, "php > sh"), (1, "php > sh > bash"), (2, "php > sh > bash"), (0, "php")]);
        assert_eq!(incidents[1].events.len(), 1);
    }

    #[test]
    fn a_tree_has_a_bound() {
        let events: Vec<Event> = (0..100_000).map(|_| exec("a", Some(7), 1, "php > sh")).collect();
        let incidents = group(events);
        let walked = incidents[0].walk();
        assert_eq!(walked.len(), 100_000, "nothing is left out");
        assert_eq!(walked.iter().map(|(depth, _)| *depth).max(), Some(DEPTH_MAX - 1));
    }

    #[test]
    fn without_a_request_a_stream_is_one() {
        let event = |stream: &str| {
            Event::of(&json!({ "rule": { "id": "egress-port" }, "portcullis": { "stream": stream, "chain": "nginx" } }))
        };
        assert_eq!(group(vec![event("1"), event("2"), event("1")]).len(), 2);
    }
}
