//! Why calls are withheld because of others: each reason once, with a number.

use super::incidents::{Part, Shared, Taint};
use crate::show;
use portcullis_story::Names;
use std::collections::{HashMap, HashSet};

/// So many reasons are told apart.
const REASONS_MAX: usize = 2000;
/// So many programs of requests are told apart; beyond that, what is done by such a program is withheld in every request.
const STARTED_MAX: usize = 1_000_000;

/// Why a call is withheld.
pub enum Reason<'r> {
    /// It shares something with a call that no application makes.
    Part(Taint, &'r Shared),
    /// The program of this chain did it, which is not proposed itself.
    Above(u32),
}

/// All of them.
#[derive(Default)]
pub struct Reasons {
    /// The text, and whether the entry is withheld wherever else it was seen.
    all: Vec<(String, bool)>,
    numbers: HashMap<(u8, u32, u32), u32>,
}

impl Reasons {
    /// The number of a reason, from 1.
    pub fn of(&mut self, reason: Reason<'_>, names: &Names) -> u32 {
        let (kind, why, mut who) = match reason {
            Reason::Part(Taint { part, reason }, shared) => match part {
                Part::Request => (0, reason, 0),
                Part::Script => (1, reason, shared.script),
                Part::Client => (2, reason, shared.client),
            },
            Reason::Above(chain) => (3, 0, chain),
        };
        if self.all.len() >= REASONS_MAX && !self.numbers.contains_key(&(kind, why, who)) {
            who = 0;
        }
        *self.numbers.entry((kind, why, who)).or_insert_with(|| {
            let chain_of = who;
            let (why, who) = (names.text(why), show::value(names.text(who)));
            self.all.push(match (kind, who.as_str()) {
                (0, _) => (format!("it is a part of an intrusion: its request ({why})"), true),
                (1, "") => (format!("it is a part of an intrusion: one of many scripts ({why})"), true),
                (1, script) => (format!("it is a part of an intrusion: {script} ({why})"), true),
                (2, "") => (format!("it is for one of many clients of intrusions ({why})"), false),
                (2, client) => (format!("it is for {client}, the client of an intrusion ({why})"), false),
                // What is also done without that program stands for itself.
                (_, "") => ("one of many programs did it that are not proposed themselves".to_owned(), false),
                _ => {
                    let program = names.text(chain_of).rsplit(" > ").next().unwrap_or_default();
                    (format!("{} did it, which is not proposed itself", show::value(program)), false)
                }
            });
            u32::try_from(self.all.len()).unwrap_or(u32::MAX)
        })
    }

    /// The reason of a number; `None` for 0.
    pub fn get(&self, number: u32) -> Option<&(String, bool)> {
        self.all.get((number as usize).checked_sub(1)?)
    }
}

/// The programs of each request that are not proposed by themselves, as far as others were started by them.
pub struct Started {
    /// The chains of programs that a chain begins with, the shortest first; the last may be the chain itself.
    above: HashMap<u32, Vec<u32>>,
    /// All of the former.
    needed: HashSet<u32>,
    all: HashSet<(u64, u32)>,
    everywhere: HashSet<u32>,
}

impl Started {
    /// None yet, of programs that have these chains; with each, whether a program of it did more than start.
    pub fn among(chains: &HashMap<u32, bool>, names: &Names) -> Started {
        let texts: Vec<_> = chains.keys().map(|chain| (names.text(*chain), *chain)).collect();
        let numbers: HashMap<&str, u32> = texts.iter().copied().collect();
        let above: HashMap<u32, Vec<u32>> = texts
            .iter()
            .map(|(text, chain)| {
                let ends = text.match_indices(" > ").map(|(at, _)| at);
                let ends = ends.chain(chains[chain].then_some(text.len()));
                (*chain, ends.filter_map(|end| numbers.get(&text[..end]).copied()).collect())
            })
            .collect();
        let needed = above.values().flatten().copied().collect();
        Started { above, needed, all: HashSet::new(), everywhere: HashSet::new() }
    }

    /// Adds the program of a chain, in a request or a tree of programs.
    pub fn insert(&mut self, group: u64, chain: u32) {
        if group == 0 || !self.needed.contains(&chain) {
            return;
        }
        match self.all.len() < STARTED_MAX {
            true => drop(self.all.insert((group, chain))),
            false => drop(self.everywhere.insert(chain)),
        }
    }

    /// The chain of the program that did something; `is_exec`: it is the last program's start.
    pub fn above(&self, group: u64, chain: u32, is_exec: bool) -> Option<u32> {
        let above = self.above.get(&chain).filter(|_| group != 0)?;
        let is_it = |of: &&u32| {
            (**of != chain || !is_exec) && (self.all.contains(&(group, **of)) || self.everywhere.contains(*of))
        };
        above.iter().find(is_it).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_did_is_the_program_s() {
        let mut names = Names::default();
        let [fpm, shell, tool] = ["fpm", "fpm > sh", "fpm > sh > tool"].map(|text| names.number(text));
        let mut started = Started::among(&[(fpm, false), (shell, true), (tool, false)].into(), &names);
        assert!(started.needed == [fpm, shell].into());
        started.insert(7, shell);
        assert_eq!(started.above(7, tool, true), Some(shell));
        assert_eq!(started.above(7, shell, false), Some(shell), "a connection of the shell's own");
        assert_eq!(
            [started.above(7, shell, true), started.above(7, fpm, false), started.above(8, tool, true)],
            [None; 3]
        );
    }

    #[test]
    fn reasons_have_a_bound() {
        let mut names = Names::default();
        let mut reasons = Reasons::default();
        let why = names.number("why");
        for at in 0..REASONS_MAX + 50 {
            let client = names.number(&format!("client {at}"));
            let shared = Shared { client, ..Shared::default() };
            let number = reasons.of(Reason::Part(Taint { part: Part::Client, reason: why }, &shared), &names);
            let (text, _) = reasons.get(number).expect("a reason");
            assert_eq!(text.contains(&format!("\"client {at}\", ")), at < REASONS_MAX, "{text}");
        }
        assert_eq!(reasons.all.len(), REASONS_MAX + 1);
    }
}
