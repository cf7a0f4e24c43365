//! What `portcullis top` knows: rates, incidents, and which of them are looked at.

use super::rates::{Rate, Rates};
use crate::log::{Event, Selection};
use crate::{out, show};
use portcullis_story::{Incident, Story, find, named};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often incidents are looked for, at least, and how many times as long as that takes.
const LOOK: Duration = Duration::from_millis(500);
const LOOK_TIMES: u32 = 10;

/// What is on the screen.
pub enum Seen {
    /// Rates and the list of incidents.
    List,
    /// The incident with this ID.
    Incident(String),
    /// The question whether to contain it.
    Question(String),
}

/// All that is known.
pub struct Sight {
    pub selection: Selection,
    pub source: String,
    story: Story,
    pub sites: Rates,
    pub rules: Rates,
    pub all: Rate,
    pub incidents: Vec<Incident>,
    pub is_latest_first: bool,
    pub seen: Seen,
    /// The ID of the incident that is chosen in the list, and how far the open one is scrolled.
    chosen: Option<String>,
    pub scrolled: usize,
    /// What there was has been read.
    pub is_read: bool,
    /// What became of what was asked for.
    pub said: Option<String>,
    ended: bool,
    is_changed: bool,
    looked: Option<(Instant, Duration)>,
}

impl Sight {
    pub fn of(selection: &Selection) -> Sight {
        let source = match selection.files.as_slice() {
            [] => "journal".to_owned(),
            [file] => out::printable(&file.display().to_string()),
            files => format!("{} files", files.len()),
        };
        Sight {
            selection: selection.clone(),
            source,
            story: Selection::live_story(),
            sites: Rates::default(),
            rules: Rates::default(),
            all: Rate::default(),
            incidents: Vec::new(),
            is_latest_first: false,
            seen: Seen::List,
            chosen: None,
            scrolled: 0,
            is_read: false,
            said: None,
            ended: false,
            is_changed: false,
            looked: None,
        }
    }

    /// Takes an event; whether the picture changes.
    pub fn take(&mut self, event: &Event, is_chosen: bool) -> bool {
        if !self.story.take(event, is_chosen).is_new() {
            return false;
        }
        self.is_changed = true;
        if is_chosen {
            // Whatever an event claims, it has happened by now.
            let at = event.nanoseconds().map_or(i64::MAX, |at| at / 1_000_000_000).min(now());
            let (calls, blocked) = (event.count() as u64, event.blocked());
            let name = |text: &str| if text.is_empty() { "-".to_owned() } else { show::value(text) };
            let site = show::site(event);
            self.sites.add(if site.is_empty() { "-" } else { &site }, at, calls, blocked);
            self.rules.add(&name(event.rule()), at, calls, blocked);
            self.all.add(at, calls, blocked);
        }
        true
    }

    /// Looks for incidents where it is time to; whether it did.
    pub fn look(&mut self) -> bool {
        let is_time = self.looked.is_none_or(|(at, took)| at.elapsed() >= LOOK.max(took * LOOK_TIMES));
        if !self.is_changed || !is_time {
            return false;
        }
        let began = Instant::now();
        self.incidents = self.story.so_far(find);
        self.rank();
        (self.is_changed, self.looked) = (false, Some((Instant::now(), began.elapsed())));
        true
    }

    fn rank(&mut self) {
        match self.is_latest_first {
            true => self.incidents.sort_by_key(|incident| std::cmp::Reverse((incident.last, incident.score))),
            false => self.incidents.sort_by_key(|incident| std::cmp::Reverse((incident.score, incident.last))),
        }
    }

    /// The gravest first, or the latest.
    pub fn turn(&mut self) {
        self.is_latest_first = !self.is_latest_first;
        self.rank();
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        self.ended = true;
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The place of the chosen incident in the list.
    pub fn place(&self) -> usize {
        let chosen =
            self.chosen.as_ref().and_then(|id| named(&self.incidents, id).first().map(|found| found.id.clone()));
        chosen.and_then(|id| self.incidents.iter().position(|incident| incident.id == id)).unwrap_or(0)
    }

    /// The incident that is open, or about which is asked.
    pub fn opened(&self) -> Option<&Incident> {
        match &self.seen {
            Seen::List => None,
            Seen::Incident(id) | Seen::Question(id) => named(&self.incidents, id).first(),
        }
    }

    /// Moves in the list, or in the open incident.
    pub fn move_by(&mut self, by: isize) {
        match self.seen {
            Seen::List => {
                let last = self.incidents.len().saturating_sub(1);
                let place = self.place().saturating_add_signed(by).min(last);
                self.chosen = self.incidents.get(place).map(|incident| incident.id.clone());
            }
            // The end of what is open is known where it is drawn.
            _ => self.scrolled = self.scrolled.saturating_add_signed(by),
        }
    }

    pub fn open(&mut self) {
        if let (Seen::List, Some(incident)) = (&self.seen, self.incidents.get(self.place())) {
            let id = incident.id.clone();
            (self.seen, self.chosen, self.scrolled) = (Seen::Incident(id.clone()), Some(id), 0);
        }
    }

    pub fn close(&mut self) {
        self.seen = Seen::List;
    }

    /// Asks whether the open or the chosen incident is to be contained.
    pub fn ask(&mut self) {
        if !self.selection.files.iter().all(|file| file.is_file()) {
            self.said =
                Some("contain reads the log once more, and what came by a pipe is not there any more".to_owned());
            return;
        }
        self.open();
        if let Some(id) = self.opened().map(|incident| incident.id.clone()) {
            self.seen = Seen::Question(id);
        }
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
