//! Which trails belong together.

use crate::ordinary::Kind;
use crate::quick::{Set, Table};
use crate::score;
use crate::story::Told;
use crate::trail::{MANY, Step, Trail, stable};

/// Trails of one client or one script belong together where no more time is between them, in nanoseconds.
const TIME_BETWEEN: i64 = 24 * 3600 * 1_000_000_000;
/// A client with more scripts that are not odd is rather a proxy: what it does is not one person's.
const SCRIPTS_OF_ONE: usize = 40;
/// What is done on so many sites, and on half of them, by an address of many clients, is no one person's either.
const SITES_OF_ONE: usize = 4;

/// Joins the trails of a log that belong together.
pub fn groups(told: &Told, odd: &[bool]) -> Groups {
    let mut groups = Groups::new(told.trails.len());
    join_odd(told, odd, &mut groups);
    for (one, other) in &told.links {
        if let (Some(one), Some(other)) = (told.places.get(one), told.places.get(other)) {
            groups.join(*one, *other);
        }
    }
    join_ordinary(told, odd, &mut groups);
    groups
}

/// Whether a step is not common on its host.
pub fn is_rare(host: u64, step: &Step, told: &Told) -> bool {
    told.kind(host, step.shape) == Kind::Odd
}

/// Whether a trail has a step that no application has, or that is not ordinary.
pub fn is_odd(trail: &Trail, told: &Told) -> bool {
    trail.rules().any(crate::trail::is_grave)
        || trail.steps.iter().any(|step| is_rare(trail.key[0], step, told))
        || score::writable_part(told.names.text(trail.whose.script)).is_some()
}

/// The scripts by which ordinary things were done, too.
pub fn scripts_of_ordinary(told: &Told, odd: &[bool]) -> Set<[u64; 3]> {
    let ordinary = told.trails.iter().zip(odd).filter(|(_, odd)| !**odd);
    ordinary.map(|(trail, _)| script_of(trail)).collect()
}

/// The script of a trail.
pub fn script_of(trail: &Trail) -> [u64; 3] {
    let [host, site, script, _] = trail.key;
    [host, site, script]
}

fn join_odd(told: &Told, odd: &[bool], groups: &mut Groups) {
    // Whose and what: all of one host, since addresses, scripts and commands of another are another's.
    type Places<K> = Table<(u64, K), Vec<u32>>;
    let (mut clients, mut shapes): (Places<u64>, Places<u64>) = Default::default();
    let mut scripts: Table<[u64; 3], Vec<u32>> = Table::default();
    let mut ordinary: Table<(u64, u64), usize> = Table::default();
    for (place, (trail, odd)) in told.trails.iter().zip(odd).enumerate() {
        let place = place as u32;
        let [host, _, _, client] = trail.key;
        if !odd {
            *ordinary.entry((host, client)).or_default() += 1;
            continue;
        }
        if client != MANY && client != stable("") && !told.ordinary.is_shared(host, client) {
            clients.entry((host, client)).or_default().push(place);
        }
        scripts.entry(script_of(trail)).or_default().push(place);
        // Of commands, several people have the same: `id`. Destinations are one's own.
        let apart = trail
            .steps
            .iter()
            .filter(|step| step.has_destination())
            .filter(|step| is_rare(host, step, told) && told.shapes.contains_key(&(host, step.shape)));
        for step in apart {
            shapes.entry((host, step.shape)).or_default().push(place);
        }
    }
    clients.retain(|client, _| ordinary.get(client).is_none_or(|count| *count <= SCRIPTS_OF_ONE));
    leave_habits(told, &mut shapes);
    // Of a script of which everybody's use is odd, nothing tells one user from another.
    for mut together in clients.into_values().chain(scripts.into_values()).chain(shapes.into_values()) {
        together.sort_by_key(|place| told.trails[*place as usize].first);
        let mut last = i64::MIN;
        for pair in together.windows(2) {
            let [one, other] = [pair[0], pair[1]].map(|place| &told.trails[place as usize]);
            last = last.max(one.last);
            if other.first.saturating_sub(last) <= TIME_BETWEEN {
                groups.join(pair[0], pair[1]);
            }
        }
    }
}

/// Leaves out what most sites of a host do, as far as no client of it is known: that is the same software, and no one person's.
fn leave_habits(told: &Told, shapes: &mut Table<(u64, u64), Vec<u32>>) {
    let mut sites: Table<u64, Set<u64>> = Table::default();
    for trail in &told.trails {
        sites.entry(trail.key[0]).or_default().insert(trail.key[1]);
    }
    for ((host, _), places) in shapes {
        let own: Set<u64> = places.iter().map(|place| told.trails[*place as usize].key[1]).collect();
        if own.len() < SITES_OF_ONE || own.len() * 2 < sites.get(host).map_or(0, Set::len) {
            continue;
        }
        places.retain(|place| {
            let client = told.trails[*place as usize].key[3];
            client != MANY && client != stable("") && !told.ordinary.is_shared(*host, client)
        });
    }
}

/// What is ordinary of a script is one.
fn join_ordinary(told: &Told, odd: &[bool], groups: &mut Groups) {
    let mut scripts: Table<[u64; 3], u32> = Table::default();
    for (place, trail) in told.trails.iter().enumerate() {
        // One that is a part of an incident with others stays there.
        if odd[place] || groups.of(place as u32) != place as u32 || groups.is_above[place] {
            continue;
        }
        match scripts.get(&script_of(trail)) {
            Some(first) => groups.join(*first, place as u32),
            None => drop(scripts.insert(script_of(trail), place as u32)),
        }
    }
}

/// Which trails belong together: the number above each, and itself at the top.
pub struct Groups {
    above: Vec<u32>,
    /// Whether something else belongs to it.
    is_above: Vec<bool>,
}

impl Groups {
    /// Each by itself.
    pub fn new(count: usize) -> Groups {
        Groups { above: (0..count as u32).collect(), is_above: vec![false; count] }
    }

    /// The first one of those that one belongs to.
    pub fn of(&mut self, mut place: u32) -> u32 {
        while self.above[place as usize] != place {
            let next = self.above[place as usize];
            self.above[place as usize] = self.above[next as usize];
            place = next;
        }
        place
    }

    /// Joins two.
    pub fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.of(one), self.of(other));
        if one != other {
            let (low, high) = (one.min(other), one.max(other));
            self.above[high as usize] = low;
            self.is_above[low as usize] = true;
        }
    }
}
