//! The incident that is to be contained: its requests and its calls, and what a policy decides on those.

use crate::explain::{self, Request, request_of};
use crate::incidents::meant;
use crate::log::{Event, Selection};
use crate::{check, out, show};
use portcullis_config::reading::{self, Links};
use portcullis_event::field;
use portcullis_policy::{Outcome, Policy};
use portcullis_story::{Incident, Members, find};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

/// The name that events of this host have.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// So many kinds of calls of an incident are evaluated, and so many of its events kept as evidence.
const KINDS_MAX: usize = 2000;
const EVENTS_MAX: usize = 100_000;
/// So many different requests of document roots are remembered.
const REQUESTS_MAX: usize = 20_000;
/// So many calls are shown that would not be blocked.
const SHOWN: usize = 10;

/// An incident, with what is needed of its events.
pub struct Case {
    pub incident: Incident,
    /// Its requests, and requests of others with the same document roots.
    pub own: BTreeSet<Request>,
    pub others: BTreeSet<Request>,
    /// The numbers of its requests.
    pub ids: BTreeSet<String>,
    /// Its events as they were written.
    pub lines: Vec<String>,
    /// An event for each kind of call, and whether the kind is ordinary in the log; and how many kinds more there are.
    kinds: BTreeMap<String, (Event, bool)>,
    more_kinds: usize,
    /// What is left out.
    pub notes: Vec<String>,
}

/// Reads the log, and finds the incident whose identifier begins so.
pub fn read(selection: &Selection, id: &str) -> Result<Case, String> {
    let mut story = selection.story();
    let (mut roots, mut count) = (BTreeMap::<String, BTreeSet<Request>>::new(), 0);
    let unreadable = selection.read_every(false, &mut |event, is_chosen| {
        story.take(&event, is_chosen);
        let mut request = request_of(&event);
        request.script.clear();
        if count < REQUESTS_MAX && !request.document_root.is_empty() {
            let of_root = roots.entry(request.document_root.clone()).or_default();
            count += usize::from(of_root.insert(request));
        }
    })?;
    let told = story.told();
    let incidents = find(&told);
    let incident = one(&incidents, id)?.clone();
    let here = reading::text(Path::new(HOSTNAME), Links::Follow, 256).unwrap_or_default();
    elsewhere(&incident.hosts, here.trim())?;
    let mut case = Case {
        incident,
        own: BTreeSet::new(),
        others: BTreeSet::new(),
        ids: BTreeSet::new(),
        lines: Vec::new(),
        kinds: BTreeMap::new(),
        more_kinds: 0,
        notes: Vec::new(),
    };
    let (mut members, mut left, mut contradicted) = (Members::default(), 0_usize, 0_usize);
    selection.read_every_again(&mut |event, is_chosen| {
        if !members.is_of(&event, &case.incident) || !is_chosen {
            return;
        }
        match case.lines.len() {
            ..EVENTS_MAX => case.lines.push(out::json(&event.value(), false)),
            _ => left += 1,
        }
        // Anybody may name any site and any request in an event that the journal contradicts: it is evidence, and no target.
        if !event.contradicted().is_empty() {
            contradicted += 1;
            return;
        }
        case.own.insert(request_of(&event));
        case.ids.extend(Some(event.text(field::HTTP_REQUEST_ID).to_owned()).filter(|id| !id.is_empty()));
        let is_ordinary = told.is_ordinary(&event);
        case.take_kind(event, is_ordinary);
    })?;
    let of_roots = case.own.iter().filter_map(|request| roots.get(&request.document_root)).flatten();
    case.others = of_roots.cloned().collect();
    if unreadable > 0 {
        case.notes.push(format!("{} of the log could not be read", check::counted(unreadable, "line")));
    }
    if contradicted > 0 {
        case.notes.push(format!(
            "{} that the journal contradicts: what only they name is not contained",
            check::counted(contradicted, "event")
        ));
    }
    if count == REQUESTS_MAX {
        case.notes.push(format!(
            "the log has more than {REQUESTS_MAX} kinds of requests: other sites with this document root may not be named"
        ));
    }
    if left > 0 {
        case.notes.push(format!("{} are not among the evidence", check::counted(left, "event")));
    }
    Ok(case)
}

/// A site of another host is not contained here.
fn elsewhere(hosts: &[Rc<str>], here: &str) -> Result<(), String> {
    let others: Vec<String> = hosts.iter().filter(|host| ***host != *here).map(|host| show::value(host)).collect();
    match others.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the incident was on {}, and this is {here}; nothing was changed; help: run this there, or contain a site of this host by \
             --document-root or --vhost",
            crate::modes::some(&others, others.len())
        )),
    }
}

/// The incident that is meant by an ID or its beginning.
fn one<'i>(incidents: &'i [Incident], id: &str) -> Result<&'i Incident, String> {
    match meant(incidents, id)?.as_slice() {
        [incident] => Ok(incident),
        _ => Err(format!(
            "several incidents have the ID {id}; help: choose one of them by --script or --client, or contain a site by --document-root"
        )),
    }
}

impl Case {
    /// Keeps an event for each kind of call. What was merged has no details, and is of the kind of another event.
    fn take_kind(&mut self, event: Event, is_ordinary: bool) {
        if event.is_of_merged() {
            return;
        }
        let text = |field| event.text(field);
        let object = event.destination().unwrap_or_else(|| event.arguments().join("\0"));
        let by = [text(field::EVENT_ACTION), text(field::PROCESS_EXECUTABLE), event.unknown(), text(field::DETAIL)];
        // A call that also is of a graver rule is another one.
        let rules: Vec<_> = event.rules().collect();
        let kind = format!("{:?} {rules:?} {by:?} {object}", request_of(&event));
        match self.kinds.len() {
            KINDS_MAX.. if !self.kinds.contains_key(&kind) => self.more_kinds += 1,
            _ => self.kinds.entry(kind).or_insert((event, true)).1 &= is_ordinary,
        }
    }

    /// What a policy decides on its calls.
    pub fn verdicts(&self, policy: &Policy<'_>) -> Verdicts {
        let mut verdicts = Verdicts { more: self.more_kinds, ..Verdicts::default() };
        for (event, is_ordinary) in self.kinds.values() {
            match explain::verdict_on(policy, event) {
                Ok((Outcome::Deny, _)) => verdicts.blocked += 1,
                // A list of the site has it, and many do it: that is the site's own work, which goes on.
                Ok((Outcome::Allow, by)) if *is_ordinary => verdicts.ordinary.push((show::brief(event), by)),
                Ok((Outcome::Allow, by)) => verdicts.others.push((show::brief(event), format!("allowed: {by}"))),
                Ok((Outcome::Audit, by)) => verdicts.others.push((show::brief(event), format!("only logged: {by}"))),
                Err(why) => verdicts.others.push((show::brief(event), format!("not evaluated: {why}"))),
            }
        }
        verdicts
    }
}

/// What is decided on calls.
#[derive(Default)]
pub struct Verdicts {
    pub blocked: usize,
    /// Those that are not blocked, each with the reason.
    pub others: Vec<(String, String)>,
    /// Those that are allowed and ordinary, likewise.
    pub ordinary: Vec<(String, String)>,
    /// How many were not evaluated.
    pub more: usize,
}

impl Verdicts {
    /// Whether every call would be blocked that is not the site's own work.
    pub fn is_all(&self) -> bool {
        self.others.is_empty() && self.more == 0
    }

    /// Adds the verdict on a call.
    pub fn add(&mut self, call: String, (outcome, by): (Outcome, String)) {
        match outcome {
            Outcome::Deny => self.blocked += 1,
            Outcome::Audit | Outcome::Allow => self.others.push((call, by)),
        }
    }

    /// In words, of calls with this name.
    pub fn said(&self, of: &str) -> Vec<String> {
        let all = self.blocked + self.others.len() + self.ordinary.len() + self.more;
        let mut lines = vec![format!(
            "{} of {} {of} blocked",
            self.blocked,
            check::counted(all, "kind of call").replace("kind of calls", "kinds of calls")
        )];
        for (call, why) in self.others.iter().take(SHOWN) {
            lines.push(format!("  NOT BLOCKED {call}\n    {}", out::printable(why)));
        }
        let more = self.others.len().saturating_sub(SHOWN);
        if more > 0 {
            lines.push(format!("  and {more} more that are not blocked"));
        }
        for (call, why) in self.ordinary.iter().take(SHOWN) {
            lines.push(format!("  allowed, and ordinary in this log: {call}\n    {}", out::printable(why)));
        }
        let more = self.ordinary.len().saturating_sub(SHOWN);
        if more > 0 {
            lines.push(format!("  and {more} more that are allowed and ordinary"));
        }
        if self.more > 0 {
            lines.push(format!("  {} more were not evaluated", self.more));
        }
        lines
    }

    pub fn as_json(&self) -> Value {
        let list = |calls: &[(String, String)]| {
            calls.iter().map(|(call, why)| json!({ "call": plain(call), "why": why })).collect::<Vec<_>>()
        };
        json!({
            "blocked": self.blocked, "not_blocked": list(&self.others), "ordinary": list(&self.ordinary),
            "not_evaluated": self.more,
        })
    }
}

/// A line without its colours.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_of_another_host_is_not_contained_here() {
        let hosts = |names: &[&str]| names.iter().map(|name| Rc::from(*name)).collect::<Vec<Rc<str>>>();
        assert!(elsewhere(&hosts(&[]), "web1").is_ok() && elsewhere(&hosts(&["web1"]), "web1").is_ok());
        for names in [&["web2"][..], &["web1", "web2"], &["\u{1b}web2"]] {
            let why = elsewhere(&hosts(names), "web1").expect_err("another host");
            assert!(
                why.contains("web2")
                    && why.contains(", and this is web1; nothing was changed")
                    && !why.contains('\u{1b}'),
                "{why}"
            );
        }
    }

    #[test]
    fn what_is_not_blocked_is_counted_and_shown() {
        let mut verdicts = Verdicts::default();
        verdicts.add("one".into(), (Outcome::Deny, "rule".into()));
        assert!(verdicts.is_all());
        for outcome in [Outcome::Audit, Outcome::Allow] {
            verdicts.add("two".into(), (outcome, "clause".into()));
        }
        assert!(!verdicts.is_all());
        let said = verdicts.said("now").join("\n");
        assert!(said.starts_with("1 of 3 kinds of calls now blocked\n") && said.contains("NOT BLOCKED two"), "{said}");
        let ordinary = vec![("mail".to_owned(), "clause\u{1b}".to_owned())];
        let own = Verdicts { ordinary, ..Verdicts::default() };
        let said = own.said("now").join("\n");
        assert!(own.is_all() && said.starts_with("0 of 1 kind of call") && !said.contains("NOT BLOCKED"), "{said}");
        assert!(said.contains("allowed, and ordinary in this log: mail\n    clause\\u{1b}"), "{said}");
        let unseen = Verdicts { more: 1, ..Verdicts::default() };
        assert!(!unseen.is_all() && unseen.said("now").concat().contains("1 more were not evaluated"));
    }
}
