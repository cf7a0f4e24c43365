//! What events are about, each held once, and of each kind the first ones only.
//!
//! **Why by kind**: where each command is another (`convert /srv/in/17.jpg`), a list of them all is for nobody, and whoever can call the
//! application could fill the memory. What is not held is counted, and said.

use crate::learn::propose::List;
use crate::learn::widen;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// So many of a kind are held, and so many in all; so many kinds are told apart.
const OF_KIND_MAX: u32 = 1000;
const ALL_MAX: usize = if cfg!(test) { 3000 } else { 20_000 };
const KINDS_MAX: usize = 5000;

/// What an event is about, which many events have in common.
pub struct What {
    /// The entries that would allow it, or why there are none.
    pub entries: Result<Vec<(List, String)>, String>,
    /// What it is, where there are none.
    pub described: String,
    /// Why it looks like an intrusion by itself.
    pub suspicion: Option<String>,
    /// It says nothing of its entry elsewhere.
    pub sends_nothing: bool,
    /// Whether a program is started.
    pub is_exec: bool,
    /// Of a connection.
    pub transport: String,
    /// One of the requests.
    pub example: String,
    /// It stands for those of a kind that are not held, which this names.
    pub rest_of: Option<String>,
}

impl What {
    /// Whether it is not proposed by itself; of those that are not held, nobody knows.
    pub fn is_suspicious(&self) -> bool {
        self.suspicion.is_some() || self.rest_of.is_some()
    }
}

/// All of them.
#[derive(Default)]
pub struct Whats {
    all: Vec<What>,
    numbers: HashMap<u64, u32>,
    /// How many of a kind are held, and what stands for the others.
    kinds: HashMap<u64, (u32, Option<u32>)>,
    hasher: RandomState,
}

impl Whats {
    /// The number of what an event is about. `is_held`: a person named one of its entries: it is one of its own.
    pub fn number(&mut self, what: What, is_held: bool) -> u32 {
        let key = self.hasher.hash_one((&what.entries, &what.described, &what.suspicion, &what.transport));
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let is_full = self.is_full();
        let mut kind = kind_of(&what, is_full);
        let mut of_kind = self.hasher.hash_one((&kind, is_full));
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&of_kind) {
            kind = "others".to_owned();
            of_kind = 0;
        }
        let (held, rest) = self.kinds.entry(of_kind).or_default();
        if is_held || (*held < OF_KIND_MAX && !is_full) {
            *held += 1;
            self.numbers.insert(key, place(&self.all));
            self.all.push(what);
            return place(&self.all) - 1;
        }
        if let Some(rest) = rest {
            return *rest;
        }
        *rest = Some(place(&self.all));
        let what = What { entries: Err(String::new()), suspicion: None, rest_of: Some(kind), ..what };
        self.all.push(what);
        place(&self.all) - 1
    }

    /// Whether there is no room for more but what stands for those that are not held.
    pub fn is_full(&self) -> bool {
        self.all.len() >= ALL_MAX
    }

    /// What has a number.
    pub fn get(&self, number: u32) -> &What {
        &self.all[number as usize]
    }

    /// All of them, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &What> {
        self.all.iter()
    }
}

fn place(all: &[What]) -> u32 {
    u32::try_from(all.len()).unwrap_or(u32::MAX)
}

/// What it has in common with others of its kind; `coarse`: with as many as can be.
fn kind_of(what: &What, coarse: bool) -> String {
    let of_entry = |(list, text): &(List, String)| {
        let (path, key) = list.path();
        let kind = match (list, coarse) {
            (List::Exec, false) => widen::kind_of_command(text),
            (List::Exec, true) => text.split(' ').next().map(|program| format!("{program} ...")),
            (List::Egress, false) => widen::destination(text),
            (List::Egress, true) => text.rsplit_once(':').map(|(_, port)| format!("port {port}")),
            _ => None,
        };
        format!("{} ([{}] {key})", kind.unwrap_or_else(|| "others".to_owned()), path.join("."))
    };
    let entries = match &what.entries {
        Ok(all) => all.iter().map(of_entry).collect::<Vec<String>>().join("; "),
        Err(why) => why.clone(),
    };
    match &what.suspicion {
        Some(why) => format!("{entries}: {why}"),
        None => entries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> What {
        What {
            entries: Ok(vec![(List::Exec, text.to_owned())]),
            described: String::new(),
            suspicion: None,
            sends_nothing: false,
            is_exec: true,
            transport: String::new(),
            example: String::new(),
            rest_of: None,
        }
    }

    #[test]
    fn the_first_of_a_kind_are_held() {
        let mut whats = Whats::default();
        let number =
            |whats: &mut Whats, at: u32| whats.number(command(&format!("/usr/bin/convert /srv/{at}.jpg")), false);
        let all: Vec<u32> = (0..OF_KIND_MAX + 500).map(|at| number(&mut whats, at)).collect();
        assert_eq!(whats.all.len() as u32, OF_KIND_MAX + 1);
        assert_eq!(whats.get(all[17]).rest_of, None);
        let rest = whats.get(all[all.len() - 1]).rest_of.clone();
        assert_eq!(rest.as_deref(), Some("/usr/bin/convert * ([exec] allow)"));
        assert_eq!(number(&mut whats, 17), all[17], "what is held stays");
        let named = whats.number(command("/usr/bin/convert /srv/named.jpg"), true);
        assert_eq!(whats.get(named).rest_of, None);
        let other = whats.number(command("/usr/bin/identify /srv/1.jpg"), false);
        assert_eq!(whats.get(other).rest_of, None, "another kind");
    }

    #[test]
    fn kinds_have_a_bound_as_well() {
        let mut whats = Whats::default();
        for at in 0..ALL_MAX + 2 * KINDS_MAX {
            whats.number(command(&format!("/srv/program-{at} -x")), false);
        }
        assert!(whats.all.len() <= ALL_MAX + KINDS_MAX + 1 && whats.kinds.len() <= KINDS_MAX + 1);
    }
}
