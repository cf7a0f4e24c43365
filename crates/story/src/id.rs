//! The names of incidents: 64 bits of a hash of their gravest trail, as 16 digits.

use crate::incident::Incident;
use crate::trail::{Key, MANY, stable};

/// How many digits a name has, and how many of its first ones are enough to ask for it.
pub const DIGITS: usize = 16;
/// The same at least: fewer would often be those of several.
pub const DIGITS_MIN: usize = 6;

/// The incidents that an ID, or the beginning of one, stands for: those that have it, else those of which a trail has it.
#[must_use]
pub fn named<'i>(incidents: &'i [Incident], id: &str) -> Vec<&'i Incident> {
    let id = id.to_ascii_lowercase();
    let own: Vec<&Incident> = incidents.iter().filter(|incident| incident.id.starts_with(&id)).collect();
    if !own.is_empty() {
        return own;
    }
    incidents.iter().filter(|incident| incident.names().any(|name| name.starts_with(&id))).collect()
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
