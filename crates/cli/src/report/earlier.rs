//! What an earlier report knew: a block of numbers in its page, which the next one reads.
//!
//! **Trust**: the file is one that others may not write, and still nothing in it is more than a number or a text to be escaped. What
//! was known before that stays known, up to a bound.

use crate::out;
use portcullis_config::reading;
use portcullis_story::{Brief, Digest, Incident, Table};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// What the block stands between.
const START: &str = "<script type=\"application/json\" id=\"portcullis-report\">";
const END: &str = "</script>";
/// The block is within so many bytes of the page's beginning.
const HEAD_MAX: u64 = 8 << 20;
/// So many incidents, and so many rows of each table, are known.
const INCIDENTS_MAX: usize = 10_000;
const ROWS_MAX: usize = 30_000;
/// The form of the block.
const VERSION: u32 = 1;

/// The tables that are compared.
pub const TABLES: [&str; 5] = ["sites", "clients", "scripts", "commands", "destinations"];

/// Those of a digest, in the same order.
pub fn tables(digest: &Digest) -> [&Table; 5] {
    [&digest.sites, &digest.clients, &digest.scripts, &digest.commands, &digest.destinations]
}

/// What is compared with.
pub enum Found {
    /// An earlier report.
    Report(Box<Known>),
    /// None, and why.
    None(String),
}

/// What a report knew.
#[derive(Serialize, Deserialize)]
pub struct Known {
    version: u32,
    /// When it was made.
    pub made: String,
    /// By which command.
    pub command: String,
    /// Incidents, each with its last call and how many calls it had.
    incidents: BTreeMap<String, (i64, u64)>,
    /// Rows of the tables.
    rows: BTreeMap<String, BTreeSet<u64>>,
    /// Not all that was known is here.
    pub is_cut: bool,
}

/// What an incident is to an earlier report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    New,
    Grown,
    Known,
}

/// What the page at `path` knew.
pub fn read(path: &Path) -> Result<Found, String> {
    let mut head = Vec::new();
    let file = reading::open_trusted(path).map_err(|error| reading::in_words(&error))?;
    // A descriptor of the caller's own may be a pipe.
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err("it is not a file".to_owned());
    }
    file.take(HEAD_MAX).read_to_end(&mut head).map_err(|error| reading::in_words(&error))?;
    known(&String::from_utf8_lossy(&head)).map(|known| Found::Report(Box::new(known)))
}

fn known(page: &str) -> Result<Known, String> {
    // No value of an event has a `<` in the page.
    let block = page.split_once(START).and_then(|(_, rest)| rest.split_once(END)).map(|(block, _)| block);
    let block = block.ok_or("it is no report, or one of a version that did not keep what it knew")?;
    let known: Known = serde_json::from_str(block).map_err(|error| format!("what it knew cannot be read: {error}"))?;
    match known.version {
        VERSION => Ok(known),
        other => Err(format!("it is of another version ({other}, not {VERSION})")),
    }
}

impl Found {
    /// What an incident is to it; `None` where there is none.
    pub fn age(&self, incident: &Incident) -> Option<Age> {
        // One that has grown may have another ID than it had then, and has that as a name.
        let Found::Report(known) = self else { return None };
        let name = incident.names().find(|name| known.incidents.contains_key(name));
        self.age_of(name.as_ref().unwrap_or(&incident.id), incident.last, all(incident))
    }

    /// The same of one that is not shown.
    pub fn age_of_brief(&self, brief: &Brief) -> Option<Age> {
        self.age_of(&brief.id(), brief.last, brief.calls)
    }

    fn age_of(&self, id: &str, now: i64, all: u64) -> Option<Age> {
        let Found::Report(known) = self else { return None };
        Some(match known.incidents.get(id) {
            None => Age::New,
            Some(&(last, calls)) if now > last || all > calls => Age::Grown,
            Some(_) => Age::Known,
        })
    }

    /// Whether a row of a table is new to it.
    pub fn is_new(&self, table: &str, key: u64) -> bool {
        match self {
            Found::Report(known) => !known.rows.get(table).is_some_and(|keys| keys.contains(&key)),
            Found::None(_) => false,
        }
    }

    /// The block of a report on these, for the next one: it stands in the page as it is.
    pub fn block(&self, incidents: &[Incident], digest: &Digest, made: &str, command: &str) -> String {
        let before = match self {
            Found::Report(known) => Some(known),
            Found::None(_) => None,
        };
        let mut next = Known {
            version: VERSION,
            made: made.to_owned(),
            command: command.to_owned(),
            incidents: BTreeMap::new(),
            rows: BTreeMap::new(),
            is_cut: before.is_some_and(|known| known.is_cut),
        };
        let own = incidents.iter().map(|incident| (incident.id.clone(), (incident.last, all(incident))));
        let earlier = before.into_iter().flat_map(|known| known.incidents.clone());
        for (id, known) in own.chain(earlier) {
            match next.incidents.len() {
                ..INCIDENTS_MAX => drop(next.incidents.entry(id).or_insert(known)),
                _ => next.is_cut = true,
            }
        }
        for (name, table) in TABLES.into_iter().zip(tables(digest)) {
            let rows = next.rows.entry(name.to_owned()).or_default();
            // What the table has no room for will seem new.
            next.is_cut |= !table.count().1;
            let earlier = before.and_then(|known| known.rows.get(name)).into_iter().flatten().copied();
            for key in table.keys().chain(earlier) {
                match rows.len() {
                    ..ROWS_MAX => drop(rows.insert(key)),
                    _ => next.is_cut = true,
                }
            }
        }
        let json = out::ascii(&serde_json::to_string(&next).unwrap_or_default());
        format!("{START}{}{END}", json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
    }
}

fn all(incident: &Incident) -> u64 {
    incident.calls[0].saturating_add(incident.calls[1])
}
