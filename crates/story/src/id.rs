//! The names of incidents: 64 bits of a hash of their gravest trail, as 16 digits.

use crate::incident::Incident;
use crate::trail::{Key, MANY, stable};

/// How many digits a name has, and how many of its first ones are enough to ask for it.
pub const DIGITS: usize = 16;
/// The same at least: fewer would often be those of several.
pub const DIGITS_MIN: usize = 6;

/// What an ID, or the beginning of one, stands for.
#[derive(Debug)]
pub enum Named<'i> {
    /// Incidents that have it.
    Own(Vec<&'i Incident>),
    /// No incident has it now; these have the events of the one that had it when less was read.
    Former(Vec<&'i Incident>),
    /// Nothing in the log is known by it.
    Unknown,
}

impl<'i> Named<'i> {
    /// The first one of them, the gravest.
    #[must_use]
    pub fn first(&self) -> Option<&'i Incident> {
        match self {
            Named::Own(all) | Named::Former(all) => all.first().copied(),
            Named::Unknown => None,
        }
    }
}

/// Finds the incidents that an ID, or the beginning of one, stands for: those that have it, else those of which a trail has it, else those
/// with a script of which it was what everybody did.
#[must_use]
pub fn named<'i>(incidents: &'i [Incident], id: &str) -> Named<'i> {
    let id = id.to_ascii_lowercase();
    let those = |has: &dyn Fn(&Incident) -> bool| -> Vec<&Incident> {
        incidents.iter().filter(|incident| has(incident)).collect()
    };
    let begins = |name: String| name.starts_with(&id);
    let own = those(&|incident| incident.id.starts_with(&id));
    if !own.is_empty() {
        return Named::Own(own);
    }
    let former = || those(&|incident| incident.names().any(begins));
    let ordinary = || those(&|incident| incident.former_names().any(begins));
    let found = [&former as &dyn Fn() -> Vec<&'i Incident>, &ordinary]
        .into_iter()
        .map(|find| find())
        .find(|found| !found.is_empty());
    found.map_or(Named::Unknown, Named::Former)
}

/// How many first digits tell one of these names from the others, so many at least.
#[must_use]
pub fn telling<'i>(ids: impl Iterator<Item = &'i str>, least: usize) -> usize {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    let same = |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(one, other)| one == other).count();
    ids.windows(2).map(same).map(|same| same + 1).max().unwrap_or(0).clamp(least, DIGITS)
}

/// The name of a trail.
pub fn name(key: &Key) -> String {
    text(number(key))
}

/// The same as a number.
pub fn number(key: &Key) -> u64 {
    stable(key)
}

/// A number as a name.
pub fn text(name: u64) -> String {
    format!("{name:0DIGITS$x}")
}

/// What all clients do by the script of a trail.
pub fn of_all(key: &Key) -> Key {
    let [host, site, script, _] = *key;
    [host, site, script, MANY]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_digits_tell_one_from_the_others() {
        let telling = |ids: &[&str]| telling(ids.iter().copied(), 8);
        assert_eq!(telling(&["0123456789abcdef"]), 8);
        assert_eq!(telling(&["0123456789abcdef", "f123456789abcdef", "0123456780000000"]), 10);
        assert_eq!(telling(&["0123456789abcdef", "0123456789abcdef"]), DIGITS);
        assert_eq!((text(0).len(), text(u64::MAX).len()), (DIGITS, DIGITS));
    }
}
