//! What is ordinary in a log: what many do, or what is done all the time.
//!
//! **Neither clients nor time alone make it so.** An attacker has several addresses; behind a proxy, everybody has one; and what one address
//! does for an hour is no habit of a site. So a kind of call is ordinary where many clients have it, or a few at several times, or where
//! its clients say nothing and it is there most of the time.

use crate::presence::Presence;
use crate::quick::{Set, Table};
use crate::trail::{MANY, Trail, stable};

/// So many clients do the same at several times before it is ordinary, at least and at most: a quarter of all clients.
const COMMON: std::ops::RangeInclusive<usize> = 3..=10;
/// So many clients make it ordinary at any time.
const CLIENTS_MANY: usize = 25;
/// The time of a log is looked at in so many parts.
const PARTS: u32 = 16;
/// The first quarter of these.
const EARLY: u64 = 0b1111;
/// What is there in less time than that is there for a short time, in nanoseconds.
const SHORT: i64 = 6 * 3600 * 1_000_000_000;
/// A client that makes one of so many calls of a host, or more, may be a proxy.
const SHARE: u64 = 4;
/// It is one where it has so many sites or scripts.
const SITES_SHARED: usize = 4;
const SCRIPTS_SHARED: usize = 8;

/// Whose a kind of call is, and when it was.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The first clients, as parts of their hashes.
    clients: Vec<u32>,
    /// Trails of which no client is known.
    unknown: u32,
    presence: Presence,
}

impl Shape {
    /// Notes a call; `is_first`: the first one of its trail.
    pub fn add(&mut self, client: u64, when: i64, is_first: bool) {
        // An event without a time says nothing of it.
        if when > 0 {
            self.presence.add(when);
        }
        if !is_first {
            return;
        }
        let client = match client == stable("") {
            true => return self.unknown = self.unknown.saturating_add(1),
            false => client as u32,
        };
        if self.clients.len() < CLIENTS_MANY && !self.clients.contains(&client) {
            self.clients.push(client);
        }
    }
}

/// What is ordinary.
#[derive(Debug, Default)]
pub struct Ordinary {
    /// How many clients have to do the same at several times.
    pub clients: usize,
    /// The time of the log without its ends.
    time: (i64, i64),
    /// Addresses behind which many clients are, by host; and the parts of their hashes that shapes have.
    shared: Set<(u64, u64)>,
    shared_parts: Set<u32>,
}

/// How many clients have to do the same at several times, of so many.
pub fn clients(all: usize) -> usize {
    (all / 4).clamp(*COMMON.start(), *COMMON.end())
}

impl Ordinary {
    /// That of a log with these trails and so many clients.
    pub fn of(trails: &[Trail], all: usize) -> Ordinary {
        let time = time(trails);
        let shared = shared(trails, time);
        let shared_parts = shared.iter().map(|(_, client)| *client as u32).collect();
        Ordinary { clients: clients(all), time, shared, shared_parts }
    }

    /// Whether a kind of call is.
    #[must_use]
    pub fn has(&self, shape: &Shape) -> bool {
        if shape.clients.len() >= CLIENTS_MANY {
            return true;
        }
        let found = shape.presence.within(self.time, PARTS);
        let parts = found.count_ones();
        let are_enough = shape.clients.len() >= self.clients;
        let say_nothing = shape.unknown > 0 || shape.clients.iter().any(|client| self.shared_parts.contains(client));
        // What begins in the middle of a log is new, however often it is done from then on.
        let is_habit = self.time.1.saturating_sub(self.time.0) >= SHORT && parts * 2 >= PARTS && found & EARLY != 0;
        (are_enough && parts * 4 >= PARTS) || (say_nothing && is_habit)
    }

    /// Whether many clients are behind an address.
    #[must_use]
    pub fn is_shared(&self, host: u64, client: u64) -> bool {
        self.shared.contains(&(host, client))
    }
}

/// From when to when a log is. Whoever writes an event writes any time into it: a hundredth at each end is left out.
fn time(trails: &[Trail]) -> (i64, i64) {
    let sorted = |of: fn(&Trail) -> i64| {
        let mut all: Vec<i64> = trails.iter().map(of).filter(|at| *at > 0).collect();
        all.sort_unstable();
        all
    };
    let (first, last) = (sorted(|trail| trail.first), sorted(|trail| trail.last));
    let from = first.get(first.len() / 100).copied().unwrap_or(0);
    let to = last.iter().rev().nth(last.len() / 100).copied().unwrap_or(0);
    (from, to.max(from))
}

/// The addresses that make a large part of a host's calls, and these on many sites, by many scripts, or for most of the time.
fn shared(trails: &[Trail], (from, to): (i64, i64)) -> Set<(u64, u64)> {
    let mut calls: Table<u64, u64> = Table::default();
    let mut own: Table<(u64, u64), u64> = Table::default();
    for trail in trails {
        let ([host, _, _, client], [ahead, blocked]) = (trail.key, trail.calls());
        let both = ahead.saturating_add(blocked);
        let add = |sum: &mut u64| *sum = sum.saturating_add(both);
        add(calls.entry(host).or_default());
        if client != MANY && client != stable("") {
            add(own.entry((host, client)).or_default());
        }
    }
    own.retain(|(host, _), own| own.saturating_mul(SHARE) >= calls.get(host).copied().unwrap_or(0));
    // One pass for all of them: there may be as many hosts as events.
    let mut of_host: Table<u64, All> = Table::default();
    let mut of_client: Table<(u64, u64), Reach> = Table::default();
    for trail in trails {
        let [host, site, script, client] = trail.key;
        let all = of_host.entry(host).or_default();
        all.sites.insert(site);
        all.scripts.insert((site, script));
        if own.contains_key(&(host, client)) {
            let reach = of_client.entry((host, client)).or_default();
            reach.sites.insert(site);
            reach.scripts += 1;
            let (first, last) = reach.time.unwrap_or((trail.first, trail.last));
            reach.time = Some((first.min(trail.first), last.max(trail.last)));
        }
    }
    let is_shared = |(host, _): &(u64, u64), reach: &Reach| {
        let (first, last) = reach.time.unwrap_or_default();
        let long = last.min(to).saturating_sub(first.max(from));
        let (sites, scripts) = of_host.get(host).map_or((0, 0), |all| (all.sites.len(), all.scripts.len()));
        // Who is alone with his scripts is nobody's proxy.
        let has_most = reach.scripts * 2 >= scripts;
        let is_wide = reach.sites.len() >= SITES_SHARED && reach.sites.len() * 2 >= sites;
        let is_long = long >= SHORT && long >= to.saturating_sub(from) / 2;
        has_most && (is_wide || reach.scripts >= SCRIPTS_SHARED || is_long)
    };
    of_client.into_iter().filter(|(key, reach)| is_shared(key, reach)).map(|(key, _)| key).collect()
}

/// What a host has.
#[derive(Default)]
struct All {
    sites: Set<u64>,
    scripts: Set<(u64, u64)>,
}

/// Where and when an address was.
#[derive(Default)]
struct Reach {
    sites: Set<u64>,
    scripts: usize,
    time: Option<(i64, i64)>,
}
