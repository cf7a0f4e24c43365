//! An incident in one line.

use crate::incident::{Count, Incident};
use std::rc::Rc;

/// The longest value in a title, in characters, and in one that has to be short.
const VALUE_MAX: usize = 80;
const VALUE_MIN: usize = 8;

impl Incident {
    /// What happened, where, by whom, how often, and what became of it, in one line: the summary, and the rest.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}{}, {}", self.summary(), self.how_often(), self.outcome.words())
    }

    /// The same without what became of it, as long as it may be: what is longer has shorter values.
    #[must_use]
    pub fn short(&self, fits: impl Fn(&str) -> bool) -> String {
        let whole = self.summary() + &self.how_often();
        if fits(&whole) {
            return whole;
        }
        let lengths = || (VALUE_MIN..=VALUE_MAX).rev().step_by(4);
        let shorter = lengths().map(|max| self.summary_of(max, true));
        // By whom it was is the first that is left out.
        let mut all = shorter.chain(lengths().map(|max| self.summary_of(max, false)));
        all.find(|text| fits(text)).unwrap_or_else(|| self.summary_of(VALUE_MIN, false))
    }

    fn how_often(&self) -> String {
        match self.requests {
            (0, _) => String::new(),
            (1, _) => ", 1 request".to_owned(),
            (count, true) => format!(", {count} requests"),
            (count, false) => format!(", about {count} requests"),
        }
    }

    /// What happened, where and by whom. Its parts come from an attacker: one that has more than a name
    /// has is in quotes, so that it cannot continue the sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        self.summary_of(VALUE_MAX, true)
    }

    /// The same with values of so many characters at most, with or without the clients.
    fn summary_of(&self, max: usize, has_clients: bool) -> String {
        let delimited = |value: &str| quoted_in_title(value, max).into_owned();
        let of = |all: &[Rc<str>], (count, is_exact): Count, word: &str| match (all, count) {
            ([], _) => String::new(),
            ([one, ..], ..=1) => delimited(one),
            // Of what many do, no one is more than the others.
            ([one, ..], _) if !self.is_common => {
                format!("{} and {}{} more", delimited(one), if is_exact { "" } else { "about " }, count - 1)
            }
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
            client if client.is_empty() || !has_clients => {}
            client => out += &format!(", by {client}"),
        }
        out
    }
}

/// A value as a part of a title: in quotes where it has more than a name has, and without its middle where it is long.
fn quoted_in_title(value: &str, max: usize) -> std::borrow::Cow<'_, str> {
    let is_of_name = |one: char| one.is_alphanumeric() || "._-/:@+%~=[]".contains(one);
    let count = value.chars().count();
    if count <= max && value.chars().all(is_of_name) {
        return value.into();
    }
    let mut out = String::from("\"");
    for (at, one) in value.chars().enumerate() {
        match at {
            _ if count > max && (max / 2..count - max / 2).contains(&at) => {
                if at == max / 2 {
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
