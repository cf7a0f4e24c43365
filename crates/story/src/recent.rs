//! What was seen lately: a table with a bound, which forgets the older half.

use crate::quick::Table;

/// The newest entries of a table.
pub struct Recent<V> {
    new: Table<u64, V>,
    old: Table<u64, V>,
    max: usize,
}

impl<V: Copy> Recent<V> {
    /// A table that keeps at least `max` entries, and at most twice as many.
    #[must_use]
    pub fn new(max: usize) -> Recent<V> {
        Recent { new: Table::default(), old: Table::default(), max }
    }

    /// Remembers an entry.
    pub fn insert(&mut self, key: u64, value: V) {
        if self.new.len() >= self.max && !self.new.contains_key(&key) {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(key, value);
    }

    /// An entry that is remembered.
    #[must_use]
    pub fn get(&self, key: u64) -> Option<V> {
        self.new.get(&key).or_else(|| self.old.get(&key)).copied()
    }
}
