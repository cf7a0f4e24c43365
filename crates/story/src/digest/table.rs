//! Calls by one property, with a bound.

use super::Call;
use crate::distinct::Distinct;
use crate::quick;
use crate::story::rule_of;
use crate::trail::stable;
use arrayvec::ArrayVec;
use std::borrow::Cow;
use std::cmp::Reverse;

/// So many rows a table has; beyond that, the lesser half is counted without names.
pub const ROWS_MAX: usize = 8192;
/// So many clients of a row are told apart.
const CLIENTS_MAX: usize = 10;

/// The calls of one site, client, script, command or destination.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name; of commands of one kind, the first one.
    pub text: Box<str>,
    /// The rule of its gravest call.
    pub rule: Cow<'static, str>,
    /// The gravest severity.
    pub severity: u8,
    /// Whether it has calls that no application makes.
    pub is_grave: bool,
    /// Calls that went ahead, and calls that were blocked.
    pub calls: [u64; 2],
    /// When the first and the last call were: nanoseconds since 1970. `None` where no event says.
    pub span: Option<(i64, i64)>,
    /// Whether it was there before and was counted without its name then: it has more calls than these.
    pub is_partial: bool,
    /// The first clients, as parts of their hashes.
    clients: ArrayVec<u32, CLIENTS_MAX>,
}

/// See [`Row::rank`].
type Rank = (Reverse<bool>, Reverse<u8>, usize, u64, Reverse<Option<i64>>);

impl Row {
    /// How many clients have it, and whether that is exact.
    #[must_use]
    pub fn clients(&self) -> (usize, bool) {
        (self.clients.len(), self.clients.len() < CLIENTS_MAX && !self.is_partial)
    }

    /// What stays where there are too many, and what is shown first: the gravest, of these the rarest.
    fn rank(&self) -> Rank {
        let [ahead, blocked] = self.calls;
        let calls = ahead.saturating_add(blocked);
        (
            Reverse(self.is_grave),
            Reverse(self.severity),
            self.clients.len(),
            calls,
            Reverse(self.span.map(|(_, last)| last)),
        )
    }

    fn add(&mut self, call: &Call<'_>) {
        let own = &mut self.calls[usize::from(call.blocked)];
        *own = own.saturating_add(call.count);
        if (call.is_grave, call.severity) > (self.is_grave, self.severity) {
            self.rule = word(call.rule);
        }
        self.severity = self.severity.max(call.severity);
        self.is_grave |= call.is_grave;
        if let Some(when) = call.when {
            let (first, last) = self.span.unwrap_or((when, when));
            self.span = Some((first.min(when), last.max(when)));
        }
        let client = call.client as u32;
        if call.client != stable("") && self.clients.len() < CLIENTS_MAX && !self.clients.contains(&client) {
            self.clients.push(client);
        }
    }
}

/// The word of a rule, which is held only where this version does not know it.
fn word(rule: &str) -> Cow<'static, str> {
    rule_of(rule).map_or_else(|| super::cut(rule).into_owned().into(), |rule| rule.word().into())
}

/// Calls by one property.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: quick::Table<u64, Row>,
    /// How many different rows there were.
    all: Distinct,
    /// Calls that went ahead and that were blocked of rows that are not here any more.
    others: [u64; 2],
    is_cut: bool,
}

impl Table {
    pub(super) fn take(&mut self, key: u64, text: &str, call: &Call<'_>) {
        if let Some(row) = self.rows.get_mut(&key) {
            return row.add(call);
        }
        if self.rows.len() >= ROWS_MAX {
            self.cut();
        }
        self.all.add(key);
        let mut row = Row {
            text: text.into(),
            rule: word(call.rule),
            severity: call.severity,
            is_grave: call.is_grave,
            calls: [0; 2],
            span: None,
            // It may have been there before the cut.
            is_partial: self.is_cut,
            clients: ArrayVec::new(),
        };
        row.add(call);
        self.rows.insert(key, row);
    }

    /// Adds a call to a row; to those without a name where it is not there any more.
    pub(super) fn add(&mut self, key: u64, call: &Call<'_>) {
        match self.rows.get_mut(&key) {
            Some(row) => row.add(call),
            None => {
                let own = &mut self.others[usize::from(call.blocked)];
                *own = own.saturating_add(call.count);
            }
        }
    }

    /// Takes out the lesser half.
    fn cut(&mut self) {
        self.is_cut = true;
        let mut ranks: Vec<_> = self.rows.iter().map(|(key, row)| (row.rank(), *key)).collect();
        let (_, last, _) = ranks.select_nth_unstable(ROWS_MAX / 2);
        let last = *last;
        let others = &mut self.others;
        self.rows.retain(|key, row| {
            let stays = (row.rank(), *key) < last;
            if !stays {
                others.iter_mut().zip(row.calls).for_each(|(own, more)| *own = own.saturating_add(more));
            }
            stays
        });
    }

    /// The first rows, the gravest and rarest first, each with its key.
    #[must_use]
    pub fn ranked(&self, most: usize) -> Vec<(u64, &Row)> {
        let mut all: Vec<(u64, &Row)> = self.rows.iter().map(|(key, row)| (*key, row)).collect();
        all.sort_by_key(|(key, row)| (row.rank(), *key));
        all.truncate(most);
        all
    }

    /// The keys of all rows.
    pub fn keys(&self) -> impl Iterator<Item = u64> {
        self.rows.keys().copied()
    }

    /// Its row of a key.
    #[must_use]
    pub fn row(&self, key: u64) -> Option<&Row> {
        self.rows.get(&key)
    }

    /// How many different rows there were, and whether that is exact.
    #[must_use]
    pub fn count(&self) -> (usize, bool) {
        if self.is_cut { self.all.count() } else { (self.rows.len(), true) }
    }

    /// Calls that went ahead and that were blocked of rows without a name: there were too many of them.
    #[must_use]
    pub fn others(&self) -> [u64; 2] {
        self.others
    }

    /// All calls.
    #[must_use]
    pub fn calls(&self) -> [u64; 2] {
        self.rows
            .values()
            .fold(self.others, |sum, row| [sum[0].saturating_add(row.calls[0]), sum[1].saturating_add(row.calls[1])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(severity: u8, client: u64) -> Call<'static> {
        Call { rule: "x", severity, is_grave: severity > 90, blocked: false, count: 1, client, when: Some(7) }
    }

    #[test]
    fn many_rows_hide_none_that_is_graver() {
        let mut table = Table::default();
        table.take(1, "grave", &call(99, 5));
        let more = 5 * ROWS_MAX as u64;
        for number in 2..more {
            table.take(stable(number), "junk", &call(21, number));
        }
        assert!(table.rows.len() <= ROWS_MAX);
        assert_eq!(&*table.ranked(1)[0].1.text, "grave");
        assert_eq!(table.calls(), [more - 1, 0], "no call is left out");
        let (count, is_exact) = table.count();
        assert!(!is_exact && count.abs_diff(more as usize - 1) * 3 < more as usize, "{count}");
        assert!(table.rows.values().any(|row| row.is_partial) && !table.row(1).is_some_and(|row| row.is_partial));
    }

    #[test]
    fn the_gravest_is_first_and_of_these_the_rarest() {
        let mut table = Table::default();
        for client in 0..4 {
            table.take(1, "common", &call(47, client));
        }
        table.take(2, "rare", &call(47, 9));
        table.take(3, "grave", &call(73, 9));
        let order: Vec<&str> = table.ranked(9).iter().map(|(_, row)| &*row.text).collect();
        assert_eq!(order, ["grave", "rare", "common"]);
    }
}
