//! Incidents: trails that belong together, ranked.
//!
//! **What belongs together**: trails of one request or one tree of programs; and on one host *odd* trails of one client, of one script, or
//! to one destination that hardly anybody else has. A trail is odd where it has a step that no application has, or that is not ordinary;
//! see [`crate::ordinary`]. What is left of a script is ordinary: all of it is one incident, ranked low.

use crate::distinct::Distinct;
use crate::id::{name, number, of_all, text};
use crate::join::{self, is_odd, is_rare, script_of, scripts_of_ordinary};
use crate::names::Names;
use crate::ordinary::Kind;
use crate::quick::Set;
use crate::score::{self, Reason};
use crate::story::{Told, all_of};
use crate::trail::{Key, MANY, Step, Trail, stable};
use portcullis_policy::Rule;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::rc::Rc;

/// So many steps, sites, scripts and clients of an incident are named.
const STEPS_SHOWN: usize = 60;
const NAMED: usize = 20;

/// What became of the calls of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All went ahead.
    NotBlocked,
    /// Some were blocked.
    PartlyBlocked,
    /// All were blocked.
    Blocked,
}

impl Outcome {
    /// Its words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Outcome::NotBlocked => "not blocked",
            Outcome::PartlyBlocked => "partly blocked",
            Outcome::Blocked => "blocked",
        }
    }
}

/// A kind of call in an incident.
#[derive(Clone, Debug)]
pub struct IncidentStep {
    /// `rule.id`; empty for a rule of another version.
    pub rule: &'static str,
    /// `event.severity`
    pub severity: u8,
    /// Whether the calls were blocked.
    pub blocked: bool,
    /// The command, the destination or what else the first call was about.
    pub what: Rc<str>,
    /// `event.id` of the first event.
    pub event: Rc<str>,
    /// When the first and the last call were: nanoseconds since 1970.
    pub first: i64,
    /// The last one, likewise.
    pub last: i64,
    /// How many calls there were.
    pub calls: u64,
    /// Whether hardly anything else in the log is like it.
    pub is_rare: bool,
}

/// A number of different things, and whether it is exact.
pub type Count = (usize, bool);

/// What belongs together.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Its name, that of its gravest trail. More events change it only where they bring a graver trail; see [`crate::named`].
    pub id: String,
    /// How grave and how unusual it is; see [`Incident::reasons`].
    pub score: u32,
    /// What the score is made of.
    pub reasons: Vec<Reason>,
    /// What happened, in a few words.
    pub headline: &'static str,
    /// The gravest severity in it.
    pub severity: u8,
    /// What became of its calls.
    pub outcome: Outcome,
    /// The rules that fired.
    pub rules: Vec<Rule>,
    /// The hosts, the sites, the scripts and the clients, the first ones by time; those that are not known are left out.
    pub hosts: Vec<Rc<str>>,
    /// The sites, likewise.
    pub sites: Vec<Rc<str>>,
    /// The scripts, likewise.
    pub scripts: Vec<Rc<str>>,
    /// The clients, likewise.
    pub clients: Vec<Rc<str>>,
    /// The programs of the server, likewise.
    pub programs: Vec<Rc<str>>,
    /// How many sites, scripts and clients there are.
    pub counts: [Count; 3],
    /// How many requests there are.
    pub requests: Count,
    /// Calls that went ahead, and calls that were blocked.
    pub calls: [u64; 2],
    /// When the first and the last call were: nanoseconds since 1970.
    pub first: i64,
    /// The last one, likewise.
    pub last: i64,
    /// Its steps, in the order of time.
    pub steps: Vec<IncidentStep>,
    /// How many kinds of calls more there are.
    pub more_steps: usize,
    /// The URI of its first request.
    pub uri: Rc<str>,
    /// Whether nothing in it is odd.
    pub is_common: bool,
    /// The same, and it was done for long enough to know that it is ordinary.
    pub is_ordinary: bool,
    /// Whether it has calls that no application makes.
    pub is_grave: bool,
    /// Whether the journal says otherwise of an event's sender.
    pub is_contradicted: bool,
    name: u64,
    members: Set<Key>,
}

impl Incident {
    /// Whether an event with this key is a part of it.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        let [host, site, script, _] = *key;
        let folded = [[host, site, script, MANY], [host, 0, 0, MANY]];
        self.members.contains(key) || folded.iter().any(|key| self.members.contains(key))
    }

    /// The keys of its trails.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.members.iter()
    }

    /// The names under which any of its events may have been ordinary before.
    pub(crate) fn former_names(&self) -> impl Iterator<Item = String> {
        self.members.iter().map(|key| name(&of_all(key)))
    }

    /// The names of its trails: each of them was the name of an incident, or may become one, as the log grows.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let scripts = self.members.iter().filter(|_| self.is_common).map(|key| name(&of_all(key)));
        scripts.chain(self.members.iter().map(name))
    }
}

/// What is kept of an incident behind those that are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Brief {
    score: u32,
    name: u64,
    /// Its name where a graver one has that already.
    second: u64,
    /// When the last call was: nanoseconds since 1970.
    pub last: i64,
    /// How many calls there were.
    pub calls: u64,
}

impl Brief {
    fn of(incident: &Incident) -> Brief {
        let second = incident.members.iter().min();
        Brief {
            score: incident.score,
            name: incident.name,
            second: second.map_or(incident.name, number),
            last: incident.last,
            calls: incident.calls[0].saturating_add(incident.calls[1]),
        }
    }

    /// Its name, as [`Incident::id`].
    #[must_use]
    pub fn id(&self) -> String {
        text(self.name)
    }
}

/// The incidents of a log.
pub struct Found {
    /// The first ones, the gravest first.
    pub first: Vec<Incident>,
    /// What is kept of the others, likewise.
    pub others: Vec<Brief>,
}

impl Found {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.first.len() + self.others.len()
    }
}

/// So many incidents more than are asked for are held at once.
const AT_ONCE: usize = 2048;

/// Finds the incidents of a log, the gravest first.
#[must_use]
pub fn find(told: &Told) -> Vec<Incident> {
    find_first(told, usize::MAX).first
}

/// The same where only the first ones are asked for: a log may have as many incidents as it has events.
#[must_use]
pub fn find_first(told: &Told, most: usize) -> Found {
    let odd: Vec<bool> = told.trails.iter().map(|trail| is_odd(trail, told)).collect();
    let mut groups = join::groups(told, &odd);
    let scripts = scripts_of_ordinary(told, &odd);
    let mut members: Vec<(u32, usize)> = (0..told.trails.len()).map(|place| (groups.of(place as u32), place)).collect();
    members.sort_unstable();
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for all in members.chunk_by(|(one, _), (other, _)| one == other) {
        let places: Vec<usize> = all.iter().map(|(_, place)| *place).collect();
        if !places.iter().any(|place| told.trails[*place].is_chosen) {
            continue;
        }
        first.push(incident(told, &places, &odd, &scripts));
        if first.len() >= most.saturating_add(AT_ONCE) {
            leave(&mut first, most, &mut others);
        }
    }
    leave(&mut first, most, &mut others);
    others.sort_by_key(|brief| (Reverse(brief.score), Reverse(brief.last), brief.name));
    // What is ordinary of a script may be several incidents: the others have the name of a trail.
    let mut names: Set<u64> = Set::default();
    for incident in &mut first {
        if !names.insert(incident.name) {
            incident.name = Brief::of(incident).second;
            incident.id = text(incident.name);
        }
    }
    for brief in &mut others {
        if !names.insert(brief.name) {
            brief.name = brief.second;
        }
    }
    Found { first, others }
}

/// Sorts incidents, and keeps only the first ones as they are.
fn leave(first: &mut Vec<Incident>, most: usize, others: &mut Vec<Brief>) {
    first.sort_by_key(|incident| (Reverse(incident.score), Reverse(incident.last), incident.name));
    others.extend(first.drain(most.min(first.len())..).map(|incident| Brief::of(&incident)));
}

/// An incident of these trails.
fn incident(told: &Told, places: &[usize], odd: &[bool], ordinary: &Set<[u64; 3]>) -> Incident {
    let mut trails: Vec<&Trail> = places.iter().map(|place| &told.trails[*place]).collect();
    trails.sort_by_key(|trail| (trail.first, trail.key));
    let first = trails[0];
    let names = &told.names;
    // Those of the gravest trails first.
    let rank = |trail: &Trail| (trail.rules().any(crate::trail::is_grave), trail.severity());
    let mut gravest_first = trails.clone();
    gravest_first.sort_by_key(|trail| Reverse(rank(trail)));
    let named = |of: fn(&Trail) -> u32| texts(&gravest_first, names, of);
    let calls = trails.iter().fold([0_u64; 2], |sum, trail| {
        let own = trail.calls();
        [sum[0].saturating_add(own[0]), sum[1].saturating_add(own[1])]
    });
    let rules: BTreeSet<u8> = trails.iter().flat_map(|trail| trail.rules()).map(|rule| rule as u8).collect();
    let rules: Vec<Rule> = Rule::ALL.into_iter().filter(|rule| rules.contains(&(*rule as u8))).collect();
    let (steps, more_steps) = steps(&trails, told);
    let is_common = !places.iter().any(|place| odd[*place]);
    let is_habit =
        |trail: &&Trail| trail.steps.iter().all(|step| told.kind(trail.key[0], step.shape) == Kind::Ordinary);
    let is_ordinary = is_common && trails.iter().all(is_habit);
    let is_script_odd = trails.iter().all(|trail| !ordinary.contains(&script_of(trail)));
    let clients = all_of(trails.iter().copied(), |trail| &trail.clients);
    // A site of two names, as one has that is contained meanwhile, has one script.
    let sites = count(trails.iter().filter(|trail| trail.whose.site != 0), |key| [key[0], key[1], 0]);
    let of_scripts = count(trails.iter().filter(|trail| trail.whose.script != 0), |key| [key[0], 0, key[2]]);
    let counts = [sites, of_scripts, clients.count()];
    let severity = trails.iter().map(|trail| trail.severity()).max().unwrap_or(0);
    let scripts = named(|trail| trail.whose.script);
    let facts = score::Facts {
        severity,
        rules: &rules,
        steps: &steps,
        sites: counts[0].0,
        clients: counts[2].0,
        scripts: &scripts,
        is_script_odd,
        is_common,
        is_ordinary,
        is_short: told.ordinary.is_short(first.key[0]),
    };
    let reasons = score::reasons(&facts);
    let is_of = |rule: &&Rule| portcullis_policy::RULE_FACTS[**rule as usize].severity == severity;
    let gravest = rules.iter().filter(is_of).min_by_key(|rule| (!crate::trail::is_grave(**rule), **rule as u8));
    // Whatever else is read: neither the order of the events nor the number of the trails has a part in it.
    let gravest_rank = trails.iter().map(|trail| rank(trail)).max();
    let keys = trails.iter().filter(|trail| Some(rank(trail)) == gravest_rank).map(|trail| trail.key);
    let key = keys.map(|key| if is_common { of_all(&key) } else { key }).min().unwrap_or(first.key);
    Incident {
        id: name(&key),
        name: number(&key),
        score: reasons.iter().map(|reason| reason.points).sum(),
        reasons,
        headline: gravest.map_or("Events of another version", |rule| rule.text().headline),
        severity,
        outcome: match calls {
            [_, 0] => Outcome::NotBlocked,
            [0, _] => Outcome::Blocked,
            _ => Outcome::PartlyBlocked,
        },
        hosts: named(|trail| trail.whose.host),
        sites: named(|trail| trail.whose.site),
        scripts,
        clients: named(|trail| trail.whose.client),
        programs: named(|trail| trail.whose.program),
        counts,
        requests: all_of(trails.iter().copied(), |trail| &trail.requests).count(),
        calls,
        first: first.first,
        last: trails.iter().map(|trail| trail.last).max().unwrap_or(first.first),
        steps,
        more_steps,
        uri: names.text(first.uri).into(),
        is_common,
        is_ordinary,
        is_grave: rules.iter().any(|rule| crate::trail::is_grave(*rule)),
        is_contradicted: trails.iter().any(|trail| trail.is_contradicted),
        members: trails.iter().map(|trail| trail.key).collect(),
        rules,
    }
}

/// The first texts of the trails, each once.
fn texts(trails: &[&Trail], names: &Names, of: impl Fn(&Trail) -> u32) -> Vec<Rc<str>> {
    let mut seen = Set::default();
    let new = trails.iter().map(|trail| of(trail)).filter(|number| *number != 0 && seen.insert(*number));
    new.take(NAMED).map(|number| names.text(number).into()).collect()
}

/// How many different keys there are.
fn count<'t>(trails: impl Iterator<Item = &'t &'t Trail>, of: impl Fn(&Key) -> [u64; 3]) -> Count {
    let mut all = Distinct::default();
    trails.for_each(|trail| all.add(stable(of(&trail.key))));
    all.count()
}

/// The steps of trails, in the order of time, the same ones together; and how many more there are.
fn steps(trails: &[&Trail], told: &Told) -> (Vec<IncidentStep>, usize) {
    let kind = |step: &Step| (step.shape, step.blocked);
    let mut parts: Vec<&Step> = trails.iter().flat_map(|trail| &trail.steps).collect();
    parts.sort_by_key(|step| kind(step));
    let whole = |parts: &[&Step]| {
        let mut whole = parts[0].clone();
        for step in &parts[1..] {
            if step.first < whole.first {
                (whole.what, whole.id, whole.first) = (step.what, step.id, step.first);
            }
            whole.last = whole.last.max(step.last);
            whole.calls = whole.calls.saturating_add(step.calls);
        }
        whole
    };
    let mut all: Vec<Step> = parts.chunk_by(|one, other| kind(one) == kind(other)).map(whole).collect();
    let more = all.len().saturating_sub(STEPS_SHOWN);
    let host = trails.first().map_or(0, |trail| trail.key[0]);
    all.sort_by_key(|step| Reverse((step.rank(), is_rare(host, step, told))));
    all.truncate(STEPS_SHOWN);
    all.sort_by_key(|step| (step.first, step.shape));
    let shown = |step: &Step| IncidentStep {
        rule: step.rule.map_or("", Rule::word),
        severity: step.severity,
        blocked: step.blocked,
        what: told.names.text(step.what).into(),
        event: told.names.text(step.id).into(),
        first: step.first,
        last: step.last,
        calls: step.calls,
        is_rare: is_rare(host, step, told),
    };
    (all.iter().map(shown).collect(), more)
}
