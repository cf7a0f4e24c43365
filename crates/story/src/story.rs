//! From events, in any order and each any number of times, to trails: what one client did by one script.
//!
//! **Memory** grows with the number of different scripts, clients, commands and destinations, up to a bound. Beyond that, the trails of
//! many clients by one script are put together, first those that do nothing but what many do.

use crate::Event;
use crate::clock::{Clocks, End};
use crate::distinct::Distinct;
use crate::names::Names;
use crate::ordinary::{Kind, Ordinary, Shape};
use crate::quick::{Set, Table};
use crate::recent::Recent;
use crate::resolve::{self, Resolver};
use crate::seen::Seen;
use crate::shape;
use crate::trail::{Key, MANY, Step, Trail, Whose, is_grave, stable};
use portcullis_event::field;
use portcullis_policy::{RULE_FACTS, Rule};

/// What trails and texts may take before trails are put together, in bytes.
const HELD_MAX: usize = 40 << 20;
/// So many kinds of calls are told apart.
const SHAPES_MAX: usize = 500_000;
/// So many pairs of trails of one request are remembered.
const LINKS_MAX: usize = 200_000;
/// So many events are remembered to which merged calls may be added.
const LIKE_MAX: usize = 50_000;
/// Beyond that, the rest of a text is left out, in bytes.
const TEXT_MAX: usize = 300;
/// What a log says so far.
pub struct Story {
    max: usize,
    resolver: Resolver,
    seen: Seen,
    names: Names,
    trails: Vec<Trail>,
    places: Table<Key, u32>,
    /// Events by their identifiers: the trail, and the kind of call.
    likes: Recent<(Key, u64)>,
    shapes: Table<(u64, u64), Shape>,
    clocks: Clocks,
    links: Set<(Key, Key)>,
    held: usize,
    totals: Totals,
    is_folded: bool,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events, without those that were read before.
    pub events: u64,
    /// Events that were read before.
    pub again: u64,
    /// Calls that went ahead and calls that were blocked, merged ones included.
    pub calls: [u64; 2],
    /// When the first and the last event were: nanoseconds since 1970. `None` where no event says.
    pub span: Option<(i64, i64)>,
}

/// What an event is that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// One that was read before.
    Again,
    /// Portcullis's word on itself.
    Own,
    /// A call, of the trail with this key.
    Call(Key),
}

impl Taken {
    /// Whether it was not read before.
    #[must_use]
    pub fn is_new(self) -> bool {
        self != Taken::Again
    }
}

/// Everything about a log that incidents are made of.
pub struct Told {
    /// The trails.
    pub trails: Vec<Trail>,
    /// The trails by whose they are.
    pub places: Table<Key, u32>,
    /// The texts of their numbers.
    pub names: Names,
    /// Whose each kind of call is, by host.
    pub shapes: Table<(u64, u64), Shape>,
    /// What is ordinary.
    pub ordinary: Ordinary,
    /// Trails of one request.
    pub links: Set<(Key, Key)>,
    /// What was read.
    pub totals: Totals,
    /// Whether trails were put together for want of memory.
    pub is_folded: bool,
}

impl Told {
    /// Whether the call of an event is of an ordinary kind, and of a rule that some application triggers.
    #[must_use]
    pub fn is_ordinary(&self, event: &Event) -> bool {
        let host = stable(event.text(field::HOST_HOSTNAME));
        let is_grave = event.rules().filter_map(rule_of).any(is_grave);
        !is_grave && self.kind(host, About::of(event).shape) == Kind::Ordinary
    }

    /// What a kind of call is on a host.
    #[must_use]
    pub fn kind(&self, host: u64, shape: u64) -> Kind {
        self.shapes.get(&(host, shape)).map_or(Kind::Odd, |shape| self.ordinary.kind(host, shape))
    }

    /// Whether the events that were asked for are of several hosts.
    #[must_use]
    pub fn has_hosts(&self) -> bool {
        let mut hosts = self.trails.iter().filter(|trail| trail.is_chosen).map(|trail| trail.whose.host);
        let first = hosts.next();
        hosts.any(|host| Some(host) != first)
    }
}

impl Default for Story {
    fn default() -> Story {
        Story::bounded(HELD_MAX)
    }
}

impl Story {
    /// One whose trails and texts may take so many bytes, about.
    #[must_use]
    pub fn bounded(max: usize) -> Story {
        Story {
            max,
            resolver: Resolver::default(),
            seen: Seen::default(),
            names: Names::default(),
            trails: Vec::new(),
            places: Table::default(),
            likes: Recent::new(LIKE_MAX),
            shapes: Table::default(),
            clocks: Clocks::default(),
            links: Set::default(),
            held: 0,
            totals: Totals::default(),
            is_folded: false,
        }
    }

    /// The same of a log that ends so. What an event says to be later is made up.
    #[must_use]
    pub fn until(mut self, end: End) -> Story {
        self.clocks = Clocks::until(end);
        self
    }

    /// Takes an event. One that is not chosen is part of an incident only with others that are.
    pub fn take(&mut self, event: &Event, is_chosen: bool) -> Taken {
        self.take_about(event, &About::of(event), is_chosen)
    }

    /// The same where it is known what the event is about.
    pub fn take_about(&mut self, event: &Event, about: &About, is_chosen: bool) -> Taken {
        if !self.seen.is_new(event) {
            return Taken::Again;
        }
        self.totals.events += u64::from(is_chosen);
        let when = event.nanoseconds();
        if let Some(when) = when {
            let (first, last) = self.totals.span.unwrap_or((when, when));
            self.totals.span = Some((first.min(when), last.max(when)));
        }
        if event.is_of_guard() {
            return Taken::Own;
        }
        let calls = event.count() as u64;
        let sum = &mut self.totals.calls[usize::from(event.blocked())];
        *sum = sum.saturating_add(calls);
        let said = when;
        let when = when.unwrap_or(0);
        let resolved = self.resolver.resolve(event, when);
        if event.is_of_merged() && self.add_merged(event, calls) {
            return Taken::Call(resolved.key);
        }
        let host = resolved.key[0];
        let moment = self.clocks.moment(event.origin(), said, host);
        let (rule, blocked) = (rule_of(event.rule()), event.blocked());
        let About { what, shape } = about;
        let shape = *shape;
        let place = self.place(resolved.key, event);
        let trail = &mut self.trails[place as usize];
        let before = trail.held();
        trail.note(rule, when);
        trail.note_moment(moment);
        trail.is_contradicted |= !event.contradicted().is_empty();
        trail.is_chosen |= is_chosen;
        let is_first = !trail.repeat(rule, blocked, shape, (when, when), calls);
        if is_first {
            let severity = match rule {
                Some(rule) => RULE_FACTS[rule as usize].severity,
                None => event.number(field::EVENT_SEVERITY).unwrap_or(0).min(100) as u8,
            };
            match trail.room((rule.is_some_and(is_grave), severity, !blocked)) {
                Some(at) => {
                    let (what, id) = (self.names.number(what), self.names.number(&cut(event.text(field::EVENT_ID))));
                    trail.put(at, Step { rule, severity, blocked, shape, what, id, first: when, last: when, calls });
                }
                None => trail.add_others(blocked, calls),
            }
        }
        if self.shapes.len() < SHAPES_MAX || self.shapes.contains_key(&(host, shape)) {
            let client = is_first.then(|| self.names.text(trail.whose.client));
            self.shapes.entry((host, shape)).or_default().add(client, moment);
        }
        for also in event.texts(field::ALSO) {
            trail.note(rule_of(also), when);
        }
        if let Some(request) = resolved.request {
            trail.requests.add(request);
        }
        if resolved.key[3] != stable("") {
            trail.clients.add(resolved.key[3]);
        }
        self.held += trail.held().saturating_sub(before);
        if let Some(identity) = event.identity() {
            self.likes.insert(stable(identity), (resolved.key, shape));
        }
        if let Some(other) = resolved.other
            && self.links.len() < LINKS_MAX
        {
            self.links.insert((resolved.key, other));
        }
        if self.held + self.names.held() > self.max {
            self.fold();
        }
        Taken::Call(resolved.key)
    }

    /// The place of a trail, which begins where it is not there.
    fn place(&mut self, key: Key, event: &Event) -> u32 {
        let [host, site, script, _] = key;
        if let Some(place) = self.places.get(&key).or_else(|| self.places.get(&[host, site, script, MANY])) {
            return *place;
        }
        let whose = Whose {
            host: self.names.number(&cut(event.text(field::HOST_HOSTNAME))),
            site: self.names.number(&cut(resolve::site(event))),
            script: self.names.number(&cut(event.text(field::REQUEST_SCRIPT))),
            program: self.names.number(&cut(resolve::program(event))),
            client: self.names.number(&cut(event.text(field::CLIENT_ADDRESS))),
        };
        let id = self.names.number(&cut(event.text(field::EVENT_ID)));
        let uri = self.names.number(&cut(event.text(field::URL_ORIGINAL)));
        let place = u32::try_from(self.trails.len()).unwrap_or(u32::MAX);
        let trail = Trail::new(key, whose, id, uri);
        self.held += trail.held();
        self.trails.push(trail);
        self.places.insert(key, place);
        place
    }

    /// Adds calls to those of the event that they are like; false where that is not known.
    fn add_merged(&mut self, event: &Event, calls: u64) -> bool {
        let Some((key, shape)) = event.like().and_then(|like| self.likes.get(stable(like))) else { return false };
        let [host, site, script, _] = key;
        let place = self.places.get(&key).or_else(|| self.places.get(&[host, site, script, MANY]));
        let Some(trail) = place.and_then(|place| self.trails.get_mut(*place as usize)) else { return false };
        match trail.steps.iter_mut().find(|step| step.shape == shape && step.blocked == event.blocked()) {
            Some(step) => step.calls = step.calls.saturating_add(calls),
            None => trail.add_others(event.blocked(), calls),
        }
        true
    }

    /// Puts the trails of several clients by one script together: those of ordinary calls; where that is not enough, all.
    fn fold(&mut self) {
        self.is_folded = true;
        for all in [false, true] {
            if !self.fold_those(all) {
                continue;
            }
            if self.held + self.names.held() <= self.max / 2 {
                return;
            }
        }
        // Not even scripts and sites are few: they are put together, too.
        self.fold_sites();
    }

    /// Puts those of all kinds, or of ordinary calls, together; false where these are too few for that to help.
    fn fold_those(&mut self, all: bool) -> bool {
        let ordinary = self.ordinary();
        let is_ordinary = |trail: &Trail, shapes: &Table<(u64, u64), Shape>| {
            let host = trail.key[0];
            let is_common = |step: &Step| {
                shapes.get(&(host, step.shape)).is_some_and(|shape| ordinary.kind(host, shape) > Kind::Odd)
            };
            trail.steps.iter().all(|step| !step.is_grave() && is_common(step))
        };
        let into = |trail: &Trail, shapes: &Table<(u64, u64), Shape>| {
            let [host, site, script, _] = trail.key;
            (all || is_ordinary(trail, shapes)).then_some([host, site, script, MANY])
        };
        let keys: Set<Key> = self.trails.iter().map(|trail| into(trail, &self.shapes).unwrap_or(trail.key)).collect();
        let helps = keys.len() <= self.trails.len() / 8 * 7;
        if helps {
            self.rebuild(into);
        }
        helps
    }

    fn fold_sites(&mut self) {
        self.rebuild(|trail, _| Some([trail.key[0], 0, 0, MANY]));
    }

    /// Puts the trails together for which `into` says so, and forgets the texts that nobody has any more.
    fn rebuild(&mut self, into: impl Fn(&Trail, &Table<(u64, u64), Shape>) -> Option<Key>) {
        let old = std::mem::take(&mut self.names);
        // The new numbers by the old ones.
        let mut numbers: Vec<Option<u32>> = vec![None; old.len()];
        numbers[0] = Some(0);
        let mut trails: Vec<Trail> = Vec::new();
        let mut places: Table<Key, u32> = Table::default();
        for mut trail in std::mem::take(&mut self.trails) {
            let key = into(&trail, &self.shapes).unwrap_or(trail.key);
            let is_many = key[3] == MANY;
            let names = &mut self.names;
            let mut again = |number: &mut u32| {
                let known = &mut numbers[*number as usize];
                *number = *known.get_or_insert_with(|| names.number(old.text(*number)));
            };
            again(&mut trail.whose.host);
            if key[2] == 0 {
                (trail.whose.site, trail.whose.script, trail.whose.program) = (0, 0, 0);
            } else {
                again(&mut trail.whose.site);
                again(&mut trail.whose.script);
                again(&mut trail.whose.program);
            }
            if is_many {
                trail.whose.client = 0;
            } else {
                again(&mut trail.whose.client);
            }
            again(&mut trail.id);
            again(&mut trail.uri);
            // Many have the same steps: only those of the first are kept.
            match places.get(&key) {
                Some(place) => {
                    let into: &mut Trail = &mut trails[*place as usize];
                    for step in &mut trail.steps {
                        let is_there = |known: &Step| known.shape == step.shape && known.blocked == step.blocked;
                        if !into.steps.iter().any(is_there) {
                            again(&mut step.what);
                            again(&mut step.id);
                        }
                    }
                    into.add_all(&trail);
                }
                None => {
                    for step in &mut trail.steps {
                        again(&mut step.what);
                        again(&mut step.id);
                    }
                    trail.key = key;
                    places.insert(key, u32::try_from(trails.len()).unwrap_or(u32::MAX));
                    trails.push(trail);
                }
            }
        }
        self.held = trails.iter().map(Trail::held).sum();
        (self.trails, self.places) = (trails, places);
    }

    /// What is ordinary so far.
    fn ordinary(&self) -> Ordinary {
        Ordinary::of(&self.trails, &self.names)
    }

    /// Looks at what the log said so far; it goes on afterwards.
    pub fn so_far<T>(&mut self, look: impl FnOnce(&Told) -> T) -> T {
        let told = Told {
            ordinary: self.ordinary(),
            totals: Totals { again: self.seen.again, ..self.totals },
            trails: std::mem::take(&mut self.trails),
            places: std::mem::take(&mut self.places),
            names: std::mem::take(&mut self.names),
            shapes: std::mem::take(&mut self.shapes),
            links: std::mem::take(&mut self.links),
            is_folded: self.is_folded,
        };
        let seen = look(&told);
        let Told { trails, places, names, shapes, links, .. } = told;
        (self.trails, self.places, self.names) = (trails, places, names);
        (self.shapes, self.links) = (shapes, links);
        seen
    }

    /// What the log said.
    #[must_use]
    pub fn told(self) -> Told {
        let ordinary = self.ordinary();
        let totals = Totals { again: self.seen.again, ..self.totals };
        let Story { names, trails, places, shapes, links, is_folded, .. } = self;
        Told { trails, places, names, shapes, ordinary, links, totals, is_folded }
    }
}

/// The rule of a word.
pub(crate) fn rule_of(word: &str) -> Option<Rule> {
    Rule::ALL.into_iter().find(|rule| rule.word() == word)
}

/// A text without its rest.
pub(crate) fn cut(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= TEXT_MAX {
        return text.into();
    }
    let end = (0..=TEXT_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{}", &text[..end], crate::CUT).into()
}

/// What an event is about, for all who count it.
pub struct About {
    /// As a text.
    pub(crate) what: String,
    /// What it has in common with others of its kind, as a hash.
    pub(crate) shape: u64,
}

impl About {
    /// That of an event.
    #[must_use]
    pub fn of(event: &Event) -> About {
        let what = what(event);
        let shape = stable((event.rule(), shape_of(event, &what)));
        About { what, shape }
    }
}

/// What an event is about, as a text.
fn what(event: &Event) -> String {
    let object = event.object();
    cut(object.as_deref().unwrap_or_else(|| event.text(field::MESSAGE))).into_owned()
}

/// What it has in common with others of its kind.
fn shape_of(event: &Event, what: &str) -> String {
    // The whole line, of which `what` may have the beginning only.
    match event.text(field::PROCESS_COMMAND_LINE) {
        line if event.is_exec() => {
            let (program, folder) =
                (event.text(field::PROCESS_EXECUTABLE), event.text(field::PROCESS_WORKING_DIRECTORY));
            shape::of_started(if line.is_empty() { what } else { line }, program, folder)
        }
        _ => what.to_owned(),
    }
}

/// Counts of several.
pub fn all_of<'t>(trails: impl Iterator<Item = &'t Trail>, of: impl Fn(&Trail) -> &Distinct) -> Distinct {
    let mut sum = Distinct::default();
    trails.for_each(|trail| sum.add_all(of(trail)));
    sum
}
