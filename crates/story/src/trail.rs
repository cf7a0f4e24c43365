//! What one client did by one script: the smallest part of an incident.

use crate::clock::Moment;
use crate::distinct::Distinct;
use portcullis_policy::{RULE_FACTS, Rule};
use std::hash::{BuildHasher, Hash};

/// So many steps of a trail are told apart.
const STEPS_MAX: usize = 48;

/// Whose a trail is, as hashes of texts: the host, the site, the script and the client; see [`crate::resolve`].
pub type Key = [u64; 4];

/// The client of a trail of several clients.
pub const MANY: u64 = u64::MAX;

/// The same in numbers of the names; 0 where it is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whose {
    /// `host.hostname`
    pub host: u32,
    /// The virtual host of the policy, or the host that the request names.
    pub site: u32,
    /// The script.
    pub script: u32,
    /// The program of the server.
    pub program: u32,
    /// The client; 0 for a trail of several.
    pub client: u32,
}

/// Calls of one kind in a trail.
#[derive(Clone, Debug)]
pub struct Step {
    /// The rule that decided; `None` for one that this version does not know.
    pub rule: Option<Rule>,
    /// `event.severity`
    pub severity: u8,
    /// Whether the calls were blocked.
    pub blocked: bool,
    /// What they have in common with calls of other trails.
    pub shape: u64,
    /// What the first one was, as a number of the names.
    pub what: u32,
    /// `event.id` of the first one.
    pub id: u32,
    /// When the first and the last one were: nanoseconds since 1970.
    pub first: i64,
    /// The last one, likewise.
    pub last: i64,
    /// How many calls there were.
    pub calls: u64,
}

impl Step {
    /// Whether no application does that.
    pub fn is_grave(&self) -> bool {
        self.rule.is_some_and(is_grave)
    }

    /// Whether it is a connection, of which the destination is what steps have in common.
    pub fn has_destination(&self) -> bool {
        matches!(self.rule, Some(Rule::EgressPort | Rule::DnsDirect | Rule::Metadata))
    }

    /// Which of two steps stays where there are too many.
    pub fn rank(&self) -> Rank {
        (self.is_grave(), self.severity, !self.blocked)
    }
}

/// Whether it is grave, its severity, and whether it went ahead.
pub type Rank = (bool, u8, bool);

/// Whether no application does what triggers a rule.
pub fn is_grave(rule: Rule) -> bool {
    !rule.text().grave.is_empty()
}

/// What one client did by one script.
#[derive(Clone, Debug)]
pub struct Trail {
    /// Whose it is.
    pub key: Key,
    /// The same as texts.
    pub whose: Whose,
    /// Its steps, in the order in which they were seen.
    pub steps: Vec<Step>,
    /// The rules that fired beside those that decided, a bit each.
    pub rules: u32,
    /// Calls whose steps are not told apart, and how many of them were blocked.
    pub others: [u64; 2],
    /// Its requests.
    pub requests: Distinct,
    /// Its clients.
    pub clients: Distinct,
    /// When its first and last call were.
    pub first: i64,
    /// The last one, likewise.
    pub last: i64,
    /// Since when it was there for certain, and until when by its own word; see [`crate::clock`].
    pub since: i64,
    /// The end of that.
    pub until: i64,
    /// `event.id` of the first event.
    pub id: u32,
    /// The URI of the first request.
    pub uri: u32,
    /// Whether the journal says otherwise of an event.
    pub is_contradicted: bool,
    /// Whether one of its events was asked for; the others show what is ordinary.
    pub is_chosen: bool,
}

impl Trail {
    /// A trail without a step.
    pub fn new(key: Key, whose: Whose, id: u32, uri: u32) -> Trail {
        Trail {
            key,
            whose,
            steps: Vec::new(),
            rules: 0,
            others: [0; 2],
            requests: Distinct::default(),
            clients: Distinct::default(),
            first: i64::MAX,
            last: i64::MIN,
            since: i64::MAX,
            until: i64::MIN,
            id,
            uri,
            is_contradicted: false,
            is_chosen: false,
        }
    }

    /// Notes calls of a rule at a time.
    pub fn note(&mut self, rule: Option<Rule>, when: i64) {
        self.rules |= rule.map_or(0, bit);
        self.first = self.first.min(when);
        self.last = self.last.max(when);
    }

    /// Adds calls to the step that they are of; whether there is one.
    pub fn repeat(
        &mut self,
        rule: Option<Rule>,
        blocked: bool,
        shape: u64,
        (first, last): (i64, i64),
        calls: u64,
    ) -> bool {
        let same = |step: &&mut Step| (step.shape, step.rule, step.blocked) == (shape, rule, blocked);
        let Some(step) = self.steps.iter_mut().find(same) else { return false };
        step.first = step.first.min(first);
        step.last = step.last.max(last);
        step.calls = step.calls.saturating_add(calls);
        true
    }

    /// The place of a new step of this rank: that of one that it takes the place of, where there are too many. Whoever does much does not
    /// hide what is graver.
    pub fn room(&self, rank: Rank) -> Option<usize> {
        if self.steps.len() < STEPS_MAX {
            return Some(self.steps.len());
        }
        (0..self.steps.len()).min_by_key(|at| self.steps[*at].rank()).filter(|at| self.steps[*at].rank() < rank)
    }

    /// Puts a new step at its place.
    pub fn put(&mut self, at: usize, step: Step) {
        match self.steps.get_mut(at) {
            Some(there) => {
                let gone = std::mem::replace(there, step);
                self.add_others(gone.blocked, gone.calls);
            }
            None => {
                // Most trails have one.
                if self.steps.is_empty() {
                    self.steps.reserve_exact(1);
                }
                self.steps.push(step);
            }
        }
    }

    /// Counts calls whose step is not told apart.
    pub fn add_others(&mut self, blocked: bool, calls: u64) {
        let own = &mut self.others[usize::from(blocked)];
        *own = own.saturating_add(calls);
    }

    /// Adds all of another trail.
    pub fn add_all(&mut self, other: &Trail) {
        for step in &other.steps {
            if self.repeat(step.rule, step.blocked, step.shape, (step.first, step.last), step.calls) {
                continue;
            }
            match self.room(step.rank()) {
                Some(at) => self.put(at, step.clone()),
                None => self.add_others(step.blocked, step.calls),
            }
        }
        self.rules |= other.rules;
        self.is_contradicted |= other.is_contradicted;
        self.is_chosen |= other.is_chosen;
        self.others.iter_mut().zip(other.others).for_each(|(own, more)| *own = own.saturating_add(more));
        self.requests.add_all(&other.requests);
        self.clients.add_all(&other.clients);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.since = self.since.min(other.since);
        self.until = self.until.max(other.until);
    }

    /// Notes when it was there.
    pub fn note_moment(&mut self, when: Moment) {
        self.since = self.since.min(when.certain);
        self.until = self.until.max(when.said.unwrap_or(i64::MIN));
    }

    /// How many calls went ahead, and how many were blocked.
    pub fn calls(&self) -> [u64; 2] {
        self.steps.iter().fold(self.others, |mut sum, step| {
            let own = &mut sum[usize::from(step.blocked)];
            *own = own.saturating_add(step.calls);
            sum
        })
    }

    /// The gravest severity in it.
    pub fn severity(&self) -> u8 {
        let known = self.rules().map(|rule| RULE_FACTS[rule as usize].severity);
        known.chain(self.steps.iter().map(|step| step.severity)).max().unwrap_or(0)
    }

    /// The rules that fired.
    pub fn rules(&self) -> impl Iterator<Item = Rule> {
        Rule::ALL.into_iter().filter(|rule| self.rules & bit(*rule) != 0)
    }

    /// What it takes, in bytes, about.
    pub fn held(&self) -> usize {
        const BESIDE: usize = 48;
        BESIDE
            + size_of::<Trail>()
            + self.steps.capacity() * size_of::<Step>()
            + self.requests.held()
            + self.clients.held()
    }
}

/// The bit of a rule in [`Trail::rules`].
pub fn bit(rule: Rule) -> u32 {
    1 << rule as u32
}

/// A hash that depends on the texts alone, so that an incident has the same name each time: SipHash 2-4 with a key that everybody knows.
///
/// **Trust**: site and client are an attacker's texts. To be taken for another's, he needs one with a given hash of 64 bits; two of his
/// own with one hash take him 2^32 trials, and are two names of his. A simpler hash, as FNV, gives him either at once.
#[derive(Clone, Copy, Default)]
pub struct Stable;

#[expect(deprecated, reason = "the hasher that replaces it may be another one in each version of Rust")]
type Hasher = std::hash::SipHasher;

impl BuildHasher for Stable {
    type Hasher = Hasher;

    fn build_hasher(&self) -> Hasher {
        #[expect(deprecated, reason = "as above")]
        Hasher::new_with_keys(u64::from_le_bytes(*b"portcull"), u64::from_le_bytes(*b"is-story"))
    }
}

/// The stable hash of a value.
pub fn stable(value: impl Hash) -> u64 {
    Stable.hash_one(value)
}
