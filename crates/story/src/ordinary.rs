//! What is ordinary in a log: what many do from its beginning on.
//!
//! **Who decides**: an attacker has as many addresses as he likes, writes any time into a file that he may write to, and makes as many
//! calls as he likes. What he cannot do is to have been there before he came. So a kind of call is common only where it was there in the
//! first quarter of its host's log, by a time that he does not choose; see [`crate::clock`]. And nothing is measured by what he adds to: no
//! share of all calls, of all clients or of all the time, but those of the first quarter.
//!
//! **Neither clients nor time alone make it so.** Behind a proxy, everybody has one address; and what one address does is no habit of a
//! site. So many clients have it, or its clients say nothing and it is there again and again.
//!
//! In a short log, nothing is known to be ordinary: what is common there is told from the rest, and is not hidden.

use crate::clock::Moment;
use crate::distinct::Distinct;
use crate::names::Names;
use crate::presence::Presence;
use crate::quick::{Set, Table};
use crate::trail::{MANY, Trail, stable};
use std::net::{IpAddr, Ipv6Addr};

/// So many clients do the same before it is ordinary, at least and at most: a quarter of those of the first quarter. As many as that make
/// it common in a short time.
const CLIENTS: std::ops::RangeInclusive<usize> = 3..=10;
/// A kind of call is there in so many half hours, at least: that of many clients, and that of clients that say nothing.
const OFTEN: u32 = 4;
const HABIT: u32 = 8;
/// A log of less time is short, in nanoseconds.
const SHORT: i64 = 6 * 3600 * 1_000_000_000;
/// An address that is there for so long is there for most of the time.
const LONG: i64 = 24 * 3600 * 1_000_000_000;
/// A client that makes one of so many calls of a host, or more, may be a proxy.
const SHARE: u64 = 4;
/// It is one where it has so many sites or scripts.
const SITES_SHARED: usize = 4;
const SCRIPTS_SHARED: usize = 8;

/// Whose a kind of call is, and when it was.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The first networks of clients, as parts of their hashes.
    clients: Vec<u32>,
    /// Trails of which no client is known.
    unknown: u32,
    presence: Presence,
}

impl Shape {
    /// Notes a call; `client`: that of its trail where it is the first one of that.
    pub fn add(&mut self, client: Option<&str>, when: Moment) {
        self.presence.add(when.said, when.certain);
        let client = match client {
            None => return,
            Some("") => return self.unknown = self.unknown.saturating_add(1),
            Some(client) => network(client) as u32,
        };
        if self.clients.len() < *CLIENTS.end() && !self.clients.contains(&client) {
            self.clients.push(client);
        }
    }
}

/// The network of an address, as a hash: one customer has as many addresses of IPv6 as he likes, of the same 48 bits.
fn network(client: &str) -> u64 {
    // Most have no colon.
    let address = client.contains(':').then(|| client.parse::<Ipv6Addr>().ok()).flatten();
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => stable(&address.octets()[..6]),
        Some(IpAddr::V4(address)) => stable(address.to_string().as_str()),
        None => stable(client),
    }
}

/// What is ordinary.
#[derive(Debug, Default)]
pub struct Ordinary {
    hosts: Table<u64, Host>,
    /// Addresses behind which many clients are, by host.
    shared: Set<(u64, u64)>,
}

/// The log of a host.
#[derive(Debug, Default)]
struct Host {
    /// When its first quarter ends: nanoseconds since 1970.
    early: i64,
    is_short: bool,
    /// How many clients have to do the same.
    clients: usize,
    /// The networks of addresses that many share, as parts of their hashes.
    shared: Set<u32>,
}

impl Host {
    fn kind(&self, shape: &Shape) -> Kind {
        if shape.presence.since > self.early {
            return Kind::Odd;
        }
        let (clients, parts) = (shape.clients.len(), shape.presence.parts());
        let say_nothing = shape.unknown > 0 || shape.clients.iter().any(|client| self.shared.contains(client));
        let is_habit = clients >= self.clients && parts >= OFTEN || say_nothing && parts >= HABIT;
        match self.is_short {
            false if is_habit => Kind::Ordinary,
            _ if clients >= *CLIENTS.end() => Kind::Common,
            _ => Kind::Odd,
        }
    }
}

/// What a kind of call is on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Few make such calls, or nobody did in the first quarter of the log.
    Odd,
    /// Many make them, from the beginning on, for too short a time to know more.
    Common,
    /// They are what the sites of the host do.
    Ordinary,
}

impl Ordinary {
    /// That of a log with these trails.
    pub fn of(trails: &[Trail], names: &Names) -> Ordinary {
        let mut spans: Table<u64, (i64, i64)> = Table::default();
        for trail in trails {
            let (first, last) = spans.entry(trail.key[0]).or_insert((i64::MAX, i64::MIN));
            (*first, *last) = ((*first).min(trail.since), (*last).max(trail.until));
        }
        let host = |(first, last): (i64, i64)| {
            let length = last.saturating_sub(first).max(0);
            Host { early: first.saturating_add(length / 4), is_short: length < SHORT, ..Host::default() }
        };
        let mut hosts: Table<u64, Host> = spans.into_iter().map(|(key, span)| (key, host(span))).collect();
        let is_early = |trail: &&Trail| hosts.get(&trail.key[0]).is_some_and(|host| trail.since <= host.early);
        let early: Vec<&Trail> = trails.iter().filter(is_early).collect();
        let shared = shared(&early);
        let mut clients: Table<u64, Distinct> = Table::default();
        for trail in &early {
            clients.entry(trail.key[0]).or_default().add_all(&trail.clients);
            if let (true, Some(host)) = (shared.contains(&(trail.key[0], trail.key[3])), hosts.get_mut(&trail.key[0])) {
                host.shared.insert(network(names.text(trail.whose.client)) as u32);
            }
        }
        for (key, host) in &mut hosts {
            let all = clients.get(key).map_or(0, |clients| clients.count().0);
            host.clients = (all / 4).clamp(*CLIENTS.start(), *CLIENTS.end());
        }
        Ordinary { hosts, shared }
    }

    /// What a kind of call is on a host.
    #[must_use]
    pub fn kind(&self, host: u64, shape: &Shape) -> Kind {
        self.hosts.get(&host).map_or(Kind::Odd, |host| host.kind(shape))
    }

    /// Whether the log of a host is too short for anything to be ordinary.
    #[must_use]
    pub fn is_short(&self, host: u64) -> bool {
        self.hosts.get(&host).is_none_or(|host| host.is_short)
    }

    /// Whether many clients are behind an address.
    #[must_use]
    pub fn is_shared(&self, host: u64, client: u64) -> bool {
        self.shared.contains(&(host, client))
    }
}

/// The addresses that make a large part of a host's calls, and these on many sites, by many scripts, or for most of the time.
fn shared(trails: &[&Trail]) -> Set<(u64, u64)> {
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
            let (first, last) = reach.time.unwrap_or((trail.since, trail.until));
            reach.time = Some((first.min(trail.since), last.max(trail.until)));
        }
    }
    let is_shared = |(host, _): &(u64, u64), reach: &Reach| {
        let (first, last) = reach.time.unwrap_or_default();
        let (sites, scripts) = of_host.get(host).map_or((0, 0), |all| (all.sites.len(), all.scripts.len()));
        // Who is alone with his scripts is nobody's proxy.
        let has_most = reach.scripts * 2 >= scripts;
        let is_wide = reach.sites.len() >= SITES_SHARED && reach.sites.len() * 2 >= sites;
        let is_long = last.saturating_sub(first) >= LONG;
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
