//! Which rows of a report's tables are rare, by the judgement that ranks incidents.

use crate::join::is_odd;
use crate::ordinary::Kind;
use crate::quick::Set;
use crate::story::Told;
use crate::trail::stable;

/// What is not rare in a log, by the keys of the rows of [`crate::Digest`].
#[derive(Debug, Default)]
pub struct Common {
    /// Sites on which, and scripts by which, something is done that is not odd.
    sites: Set<u64>,
    scripts: Set<u64>,
    /// Kinds of calls that are odd on no host.
    kinds: Set<u64>,
}

/// Which table a row is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// That of sites.
    Sites,
    /// That of clients, of which none is rare: each is another one.
    Clients,
    /// That of scripts.
    Scripts,
    /// Those of commands and destinations.
    Kinds,
}

impl Common {
    /// Whether a row is rare.
    #[must_use]
    pub fn is_rare(&self, of: Of, key: u64) -> bool {
        match of {
            Of::Clients => false,
            Of::Sites => !self.sites.contains(&key),
            Of::Scripts => !self.scripts.contains(&key),
            Of::Kinds => !self.kinds.contains(&key),
        }
    }
}

impl Told {
    /// What is not rare.
    #[must_use]
    pub fn common(&self) -> Common {
        let mut common = Common::default();
        for trail in self.trails.iter().filter(|trail| !is_odd(trail, self)) {
            let [_, site, script, _] = trail.key;
            common.sites.insert(site);
            // Where none is known, the trail has the program.
            common.scripts.insert(if trail.whose.script == 0 { stable("") } else { script });
        }
        let is_odd = |host, shape| self.kind(host, shape) == Kind::Odd;
        common.kinds = self.shapes.keys().map(|(_, shape)| *shape).collect();
        for (_, shape) in self.shapes.keys().filter(|(host, shape)| is_odd(*host, *shape)) {
            common.kinds.remove(shape);
        }
        common
    }
}
