//! `portcullis events --incidents` and `--incident ID`: what happened, the gravest first, and one of them in full.

mod commands;
mod follow;
mod list;

pub use commands::commands;
pub use follow::follow;

use crate::arguments::Events;
use crate::events::Read;
use crate::incident as tree;
use crate::log::{self, Event};
use crate::{check, out, show};
use anstyle::{AnsiColor, Style};
use list::List;
use portcullis_story::{
    Count, Incident, IncidentStep, Members, Named, Outcome, Told, delimited, find, find_first, named,
};
use serde_json::{Value, json};
use std::rc::Rc;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const ALARM: Style = AnsiColor::Red.on_default().bold();
const GRAVE: Style = AnsiColor::Yellow.on_default();

/// From that severity on, an incident is shown as an alarm; so is one with calls that no application makes.
const ALARMING: u8 = 73;
/// So many events of an incident are shown as trees, and of so many requests.
const EVENTS_SHOWN: usize = 2000;
const REQUESTS_SHOWN: usize = 20;

/// Reads the log; also gives how many lines were no events. What is not chosen shows what is ordinary.
pub fn read(arguments: &Events) -> Result<(Told, usize), String> {
    let mut story = arguments.selection.story();
    let unreadable = arguments.selection.read_every(false, &mut |event, is_chosen| {
        story.take(&event, is_chosen);
    })?;
    Ok((story.told(), unreadable))
}

/// So many are listed where nobody says how many.
const LISTED: usize = 40;

/// Prints them, a line each.
pub fn list(arguments: &Events) -> Result<Read, String> {
    let (told, unreadable) = read(arguments)?;
    let found = find_first(&told, most(arguments));
    if found.count() == 0 && told.totals.events > 0 {
        let own = check::counted(told.totals.events as usize, "event");
        eprintln!("portcullis: note: no incident: {own} of Portcullis itself");
    }
    print_list(arguments, &found.first, found.count(), told.has_hosts());
    Ok(Read { unreadable, matched: found.count() })
}

/// So many are listed.
fn most(arguments: &Events) -> usize {
    match arguments.lines.unwrap_or(LISTED) {
        0 => usize::MAX,
        most => most,
    }
}

/// Prints the first ones of so many. Which host it was matters where there are several.
fn print_list(arguments: &Events, incidents: &[Incident], all: usize, has_hosts: bool) {
    let shown = &incidents[..incidents.len().min(most(arguments))];
    let list = List::of(out::columns(), shown, has_hosts);
    if let Some(head) = list.head().filter(|_| !arguments.json && !shown.is_empty()) {
        println!("{head}");
    }
    for incident in shown {
        match arguments.json {
            true => println!("{}", out::json(&as_json(incident), false)),
            false => println!("{}", list.line(incident)),
        }
    }
    let more = all.saturating_sub(most(arguments));
    if more > 0 {
        eprintln!("portcullis: note: {} more; -n 0 shows all", check::counted(more, "incident"));
    }
}

/// How an incident looks.
pub fn style(incident: &Incident) -> Style {
    match incident.severity {
        _ if incident.is_ordinary => DIM,
        ALARMING.. => ALARM,
        _ if incident.is_grave => ALARM,
        _ => GRAVE,
    }
}

/// What became of its calls.
pub fn outcome(incident: &Incident) -> &'static str {
    match incident.outcome {
        Outcome::NotBlocked => show::WENT_AHEAD,
        Outcome::PartlyBlocked => "PARTLY",
        Outcome::Blocked => show::BLOCKED,
    }
}

/// What happened, for a terminal.
pub fn title(incident: &Incident) -> String {
    let doubt = if incident.is_contradicted { show::CONTRADICTED } else { "" };
    format!("{ALARM}{doubt}{ALARM:#}{BOLD}{}{BOLD:#}", out::printable(&incident.title()))
}

/// What an event has that says no time: the beginning of 1970 is when no server was.
const NO_TIME: &str = "at no time";

fn time(nanoseconds: i64) -> String {
    if nanoseconds == 0 {
        return NO_TIME.to_owned();
    }
    let text = log::time_text(nanoseconds).unwrap_or_default();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// The incidents that are meant by an ID or its beginning: one, or all that have the whole of it, since one of them may be made to be taken
/// for another.
pub fn meant<'i>(incidents: &'i [Incident], id: &str) -> Result<Vec<&'i Incident>, String> {
    let found = match named(incidents, id) {
        Named::Own(found) => found,
        Named::Former(found) => {
            // Whoever has the ID from an earlier list is not to take another incident for it.
            if let [now] = found.as_slice() {
                eprintln!("portcullis: note: the events of incident {id} are part of incident {} now", now.id);
                return Ok(found);
            }
            candidates(&found);
            return Err(format!(
                "the events of incident {id} are part of {} now; help: give the ID of one of them",
                check::counted(found.len(), "incident")
            ));
        }
        Named::Unknown => {
            return Err(format!(
                "no incident {id} in these events; help: give the same FILE, --since and other choices as to \
                 `portcullis events --incidents`, which lists them"
            ));
        }
    };
    if found.iter().all(|incident| incident.id == found[0].id) {
        return Ok(found);
    }
    candidates(&found);
    Err(format!("{} have an ID that begins with {id}; help: write more of it", check::counted(found.len(), "incident")))
}

/// Shows which incidents may be meant.
fn candidates(found: &[&Incident]) {
    for incident in found.iter().take(CANDIDATES) {
        eprintln!("  {}  {}", incident.id, out::printable(&incident.title()));
    }
    let more = found.len().saturating_sub(CANDIDATES);
    if more > 0 {
        eprintln!("  and {}", check::counted(more, "more incident"));
    }
}

/// So many are shown where several are meant.
const CANDIDATES: usize = 10;

/// Prints the one whose ID begins so.
pub fn one(arguments: &Events, id: &str) -> Result<Read, String> {
    let (told, unreadable) = read(arguments)?;
    let incidents = find(&told);
    let found = meant(&incidents, id)?;
    for (at, incident) in found.iter().enumerate() {
        let events = events(arguments, incident);
        if arguments.json {
            let events = events?;
            let mut value = as_json(incident);
            value["events_by_request"] = events.trees.iter().map(tree::as_json).collect();
            println!("{}", out::json(&value, false));
            continue;
        }
        if at > 0 {
            println!("\n{ALARM}ANOTHER INCIDENT WITH THE SAME ID{ALARM:#}\n");
        }
        overview(incident).iter().for_each(|line| println!("{line}"));
        // What is known of it is shown also where the log cannot be read once more.
        print_events(&events?);
        println!("\nNext");
        for command in commands(&arguments.selection, incident) {
            println!("  {command}");
        }
    }
    Ok(Read { unreadable, matched: found.len() })
}

/// What happened, when, where and why, and each kind of call.
pub fn overview(incident: &Incident) -> Vec<String> {
    let mut lines = vec![title(incident)];
    lines.extend(facts(incident).into_iter().map(|fact| format!("  {DIM}{fact}{DIM:#}")));
    lines.extend([String::new(), "Steps".to_owned()]);
    lines.extend(incident.steps.iter().map(|step| format!("  {}", step_line(step))));
    if incident.more_steps > 0 {
        lines.push(format!("  and {} more kinds", incident.more_steps));
    }
    lines
}

/// The longest name of a fact, in characters; --json has all of it.
const FACT_MAX: usize = 160;

/// When, where and why.
fn facts(incident: &Incident) -> Vec<String> {
    let all = |word: &str, names: &[Rc<str>], (count, is_exact): Count| match names {
        [] => None,
        names => {
            let shown: Vec<String> =
                names.iter().take(8).map(|name| out::printable(&delimited(name, FACT_MAX))).collect();
            let more = count.saturating_sub(shown.len());
            let about = if is_exact { "" } else { "about " };
            let more = if more > 0 { format!(", and {about}{more} more") } else { String::new() };
            Some(format!("{word}: {}{more}", shown.join(", ")))
        }
    };
    let [sites, scripts, clients] = incident.counts;
    let points: Vec<String> =
        incident.reasons.iter().map(|reason| format!("+{} {}", reason.points, reason.why)).collect();
    let hosts = (incident.hosts.len(), true);
    let lists = [
        all("host", &incident.hosts, hosts),
        all("site", &incident.sites, sites),
        all("script", &incident.scripts, scripts),
        all("client", &incident.clients, clients),
    ];
    let mut facts =
        vec![format!("incident {}, score {}: {}", incident.id, incident.score, points.join("; ")), when(incident)];
    facts.extend(lists.into_iter().flatten());
    let [ahead, blocked] = incident.calls;
    facts.push(format!("calls: {ahead} went ahead, {blocked} blocked"));
    facts
}

/// From when to when it was.
fn when(incident: &Incident) -> String {
    match (incident.first, incident.last) {
        (0, 0) => "when it was is not known".to_owned(),
        (0, last) => format!("of some events it is not known when they were, up to {} UTC", time(last)),
        (first, last) => format!("{} to {} UTC", time(first), time(last)),
    }
}

fn step_line(step: &IncidentStep) -> String {
    let (style, word) = if step.blocked { (ALARM, show::BLOCKED) } else { (GRAVE, show::WENT_AHEAD) };
    let rare = if step.is_rare { "rare  " } else { "" };
    format!(
        "{DIM}{}{DIM:#}  {style}{word:<10}{style:#}  {BOLD}{:<14}{BOLD:#}  {rare}{}{}",
        time(step.first),
        step.rule,
        show::times(step.calls),
        show::rest(&step.what)
    )
}

/// Events of an incident, by request.
struct ByRequest {
    trees: Vec<tree::Incident>,
    /// How many events are left out.
    more: usize,
}

/// Reads the log once more, for the events of an incident.
fn events(arguments: &Events, incident: &Incident) -> Result<ByRequest, String> {
    let (mut members, mut events, mut more) = (Members::default(), Vec::new(), 0);
    arguments.selection.read_every_again(&mut |event: Event, is_chosen| {
        if members.is_of(&event, incident) && is_chosen {
            match events.len() {
                ..EVENTS_SHOWN => events.push(event),
                _ => more += 1,
            }
        }
    })?;
    events.sort_by_key(Event::nanoseconds);
    Ok(ByRequest { trees: tree::group(log::together(events, false)), more })
}

fn print_events(events: &ByRequest) {
    println!("\nEvents by request");
    for one in events.trees.iter().take(REQUESTS_SHOWN) {
        print!("{}", tree::shown(one));
    }
    let trees = events.trees.len().saturating_sub(REQUESTS_SHOWN);
    if trees > 0 {
        println!("and {}: --json has them", check::counted(trees, "more request"));
    }
    if events.more > 0 {
        println!("and {} that are not held at once", check::counted(events.more, "more event"));
    }
}

/// One for programs.
pub fn as_json(incident: &Incident) -> Value {
    let time = |at: i64| log::time_text(at).unwrap_or_default();
    let names = |all: &[Rc<str>]| all.iter().map(|name| name.to_string()).collect::<Vec<String>>();
    let count = |(number, is_exact): Count| json!({ "count": number, "exact": is_exact });
    let step = |step: &IncidentStep| {
        json!({
            "rule": step.rule, "severity": step.severity, "blocked": step.blocked, "what": &*step.what,
            "event": &*step.event, "first": time(step.first), "last": time(step.last), "calls": step.calls,
            "rare": step.is_rare,
        })
    };
    let [sites, scripts, clients] = incident.counts;
    let [ahead, blocked] = incident.calls;
    json!({
        "id": incident.id,
        "score": incident.score,
        "reasons": incident.reasons.iter().map(|one| json!({ "points": one.points, "why": one.why })).collect::<Vec<_>>(),
        "title": incident.title(),
        "headline": incident.headline,
        "severity": incident.severity,
        "outcome": incident.outcome.words(),
        "ordinary": incident.is_ordinary,
        "contradicted": incident.is_contradicted,
        "first": time(incident.first),
        "last": time(incident.last),
        "hosts": names(&incident.hosts),
        "sites": names(&incident.sites),
        "scripts": names(&incident.scripts),
        "clients": names(&incident.clients),
        "counts": { "sites": count(sites), "scripts": count(scripts), "clients": count(clients) },
        "requests": count(incident.requests),
        "went_ahead": ahead,
        "blocked": blocked,
        "rules": incident.rules.iter().map(|rule| rule.word()).collect::<Vec<_>>(),
        "steps": incident.steps.iter().map(step).collect::<Vec<_>>(),
        "more_steps": incident.more_steps,
    })
}
