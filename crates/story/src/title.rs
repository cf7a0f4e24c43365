//! An incident in one line.

use crate::incident::{Count, Incident};
use std::rc::Rc;

/// The longest value in a title, in characters.
const VALUE_MAX: usize = 80;

impl Incident {
    /// What happened, where, by whom, how often, and what became of it, in one line: the summary, and the rest.
    #[must_use]
    pub fn title(&self) -> String {
        let requests = match self.requests {
            (0, _) => String::new(),
            (1, _) => ", 1 request".to_owned(),
            (count, true) => format!(", {count} requests"),
            (count, false) => format!(", about {count} requests"),
        };
        format!("{}{requests}, {}", self.summary(), self.outcome.words())
    }

    /// What happened, where and by whom. Its parts come from an attacker: one that has more than a name
    /// has is in quotes, so that it cannot continue the sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let of = |all: &[Rc<str>], (count, is_exact): Count, word: &str| match (all, count) {
            ([], _) => String::new(),
            ([one], ..=1) => delimited(one).into_owned(),
            (_, count) => format!("{}{count} {word}", if is_exact { "" } else { "about " }),
        };
        let [sites, scripts, clients] = self.counts;
        let script_names: Vec<Rc<str>> =
            self.scripts.iter().map(|script| script.rsplit('/').next().unwrap_or_default().into()).collect();
        let mut out = self.headline.to_owned();
        match of(&self.sites, sites, "sites") {
            site if site.is_empty() => {}
            site => out += &format!(" from {site}"),
        }
        match of(&script_names, scripts, "scripts") {
            script if script.is_empty() => {
                let programs = self.programs.iter().take(1);
                programs.for_each(|program| out += &format!(", no known request of {}", delimited(program)));
            }
            script => out += &format!(": {script}"),
        }
        match of(&self.clients, clients, "clients") {
            client if client.is_empty() => {}
            client => out += &format!(", by {client}"),
        }
        out
    }
}

/// A value as a part of a title: in quotes where it has more than a name has, and without its middle where it is long.
fn delimited(value: &str) -> std::borrow::Cow<'_, str> {
    let is_of_name = |one: char| one.is_alphanumeric() || "._-/:@+%~=[]".contains(one);
    let count = value.chars().count();
    if count <= VALUE_MAX && value.chars().all(is_of_name) {
        return value.into();
    }
    let mut out = String::from("\"");
    for (at, one) in value.chars().enumerate() {
        match at {
            _ if count > VALUE_MAX && (VALUE_MAX / 2..count - VALUE_MAX / 2).contains(&at) => {
                if at == VALUE_MAX / 2 {
                    out.push(crate::CUT);
                }
            }
            _ if matches!(one, '"' | '\\') => out.extend(['\\', one]),
            _ => out.push(one),
        }
    }
    out.push('"');
    out.into()
}
