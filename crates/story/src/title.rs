//! An incident in one line.

use crate::CUT;
use crate::incident::{Count, Incident};
use crate::value::delimited;
use std::rc::Rc;

/// The longest value in a title, in characters.
const VALUE_MAX: usize = 80;
/// A part that has no place is left out: so short is none.
const NONE: usize = 0;
/// The lengths of the parts of a short title, the best ones first. An address of IPv4 is whole as long as anything is.
const HEADLINES: [usize; 5] = [VALUE_MAX, 24, 16, 12, 8];
const VALUES: [usize; 9] = [80, 60, 40, 32, 24, 20, 16, 12, 8];
const CLIENT: usize = 15;

/// How many characters each part of a summary may have.
#[derive(Clone, Copy)]
struct Lengths {
    headline: usize,
    site: usize,
    script: usize,
    client: usize,
}

impl Lengths {
    const WHOLE: Lengths = Lengths { headline: VALUE_MAX, site: VALUE_MAX, script: VALUE_MAX, client: VALUE_MAX };
    const LEAST: Lengths = Lengths { headline: 8, site: 8, script: NONE, client: 8 };

    /// Shorter and shorter ones: where it was and by whom is left longer than by which script and what.
    fn shorter() -> impl Iterator<Item = Lengths> {
        let of = |headline, value: usize, script| Lengths { headline, site: value, script, client: value.max(CLIENT) };
        let of_headlines = move |headline: usize, has_script: bool| {
            VALUES.into_iter().map(move |value| of(headline, value, if has_script { value } else { NONE }))
        };
        let with = HEADLINES.into_iter().flat_map(move |headline| of_headlines(headline, true));
        let without = HEADLINES.into_iter().flat_map(move |headline| of_headlines(headline, false));
        with.chain(without).chain([Lengths::LEAST])
    }
}

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
        let mut all = Lengths::shorter().map(|lengths| self.summary_of(lengths));
        all.find(|text| fits(text)).unwrap_or_else(|| self.summary_of(Lengths::LEAST))
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
        self.summary_of(Lengths::WHOLE)
    }

    /// The same with parts of so many characters at most.
    fn summary_of(&self, lengths: Lengths) -> String {
        let of = |all: &[Rc<str>], (count, is_exact): Count, word: &str, max: usize| match (all, count) {
            ([], _) => String::new(),
            _ if max == NONE => String::new(),
            ([one, ..], ..=1) => delimited(one, max).into_owned(),
            // Of what many do, no one is more than the others.
            ([one, ..], _) if !self.is_common => {
                let (about, others) = (if is_exact { "" } else { "about " }, count - 1);
                match lengths.script {
                    NONE => format!("{} +{about}{others}", delimited(one, max)),
                    _ => format!("{} and {about}{others} more", delimited(one, max)),
                }
            }
            (_, count) => format!("{}{count} {word}", if is_exact { "" } else { "about " }),
        };
        let [sites, scripts, clients] = self.counts;
        let script_names: Vec<Rc<str>> =
            self.scripts.iter().map(|script| script.rsplit('/').next().unwrap_or_default().into()).collect();
        let mut out = beginning(self.headline, lengths.headline).into_owned();
        match of(&self.sites, sites, "sites", lengths.site) {
            site if site.is_empty() => {}
            site => out += &format!(" from {site}"),
        }
        match of(&script_names, scripts, "scripts", lengths.script) {
            script if script.is_empty() && self.scripts.is_empty() && lengths.script != NONE => {
                let programs = self.programs.iter().take(1);
                let of = |program: &Rc<str>| format!(", no known request of {}", delimited(program, lengths.script));
                programs.for_each(|program| out += &of(program));
            }
            script if script.is_empty() => {}
            script => out += &format!(": {script}"),
        }
        match of(&self.clients, clients, "clients", lengths.client) {
            client if client.is_empty() => {}
            client => out += &format!(", by {client}"),
        }
        out
    }
}

/// The first words of this program, without their end where they are longer.
fn beginning(words: &str, max: usize) -> std::borrow::Cow<'_, str> {
    if words.len() <= max {
        return words.into();
    }
    let begin: String = words.chars().take(max.saturating_sub(1)).collect();
    format!("{}{CUT}", begin.trim_end()).into()
}
