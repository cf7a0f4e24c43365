//! Processes by their parents and their groups: which of them are a server's own, by what the kernel records.

use super::lineage::Sign;
use super::process::{Container, Process};
use std::collections::{BTreeMap, BTreeSet};

/// A group of processes that one server and what it starts share.
pub type Key = (String, Option<Container>);

/// The group of a process.
pub fn key(process: &Process) -> Key {
    (process.unit.clone(), process.container.clone())
}

/// Whether a process claims to be a server's own by what it has in memory; of a supervisor, the environment must not say otherwise.
fn is_claimed(process: &Process) -> bool {
    let is_descendant = process.claim.as_ref().is_some_and(|claim| claim.is_descendant);
    match &process.guard {
        Ok(guard) => guard.role != "descendant",
        Err(_) => process.is_supervisor && !is_descendant && process.facts.is_root,
    }
}

fn is_serving(process: &Process) -> bool {
    process.guard.as_ref().is_ok_and(|guard| guard.role == "serving") && !process.is_supervisor
}

/// All processes.
pub struct Family<'p> {
    pub all: &'p [Process],
    /// All of them, each behind its parent.
    pub order: Vec<usize>,
    /// The server's own.
    pub own: Vec<bool>,
    /// The number of each process's group.
    pub groups: Vec<usize>,
    /// A process of the server in each group that has one.
    pub servers: Vec<Option<usize>>,
    /// The same by control group, on the host.
    pub beside: BTreeMap<&'p str, usize>,
    by_pid: BTreeMap<u32, usize>,
    parents: Vec<Option<usize>>,
    /// The main process of each group, or its first.
    first: Vec<usize>,
    /// Its parents lead out of the group without meeting a process of the server.
    left_over: Vec<bool>,
}

impl<'p> Family<'p> {
    /// These processes, with what is known to be the main process of units.
    pub fn of(all: &'p [Process], mains: &BTreeMap<String, u32>) -> Family<'p> {
        let by_pid: BTreeMap<u32, usize> =
            all.iter().enumerate().map(|(index, process)| (process.pid, index)).collect();
        let parent = |(index, process): (usize, &Process)| {
            by_pid.get(&process.facts.parent).copied().filter(|&parent| parent != index)
        };
        let mut parents: Vec<Option<usize>> = all.iter().enumerate().map(parent).collect();
        let order = in_order(&mut parents);
        let (groups, first) = grouped(all, &by_pid, mains);
        let mut family = Family {
            all,
            order,
            own: vec![false; all.len()],
            servers: vec![None; first.len()],
            left_over: vec![true; all.len()],
            beside: BTreeMap::new(),
            groups,
            by_pid,
            parents,
            first,
        };
        family.judge();
        for (index, process) in all.iter().enumerate() {
            if family.own[index] && process.guard.is_ok() {
                family.servers[family.groups[index]].get_or_insert(index);
                if process.container.is_none() {
                    family.beside.entry(process.facts.group.as_str()).or_insert(index);
                }
            }
        }
        family
    }

    /// Which are the server's own, and which have been left by whatever started them.
    fn judge(&mut self) {
        // No process without privileges becomes root's: where workers have none, one of root's is no descendant.
        let mut has_root_worker = vec![false; self.first.len()];
        for (index, process) in self.all.iter().enumerate() {
            has_root_worker[self.groups[index]] |= is_serving(process) && process.facts.is_root;
        }
        // Its parents lead to the first process of its group, and no worker is among them.
        let mut leads = vec![false; self.all.len()];
        for at in 0..self.order.len() {
            let index = self.order[at];
            let process = &self.all[index];
            let above = self.parent(index).filter(|&parent| self.groups[parent] == self.groups[index]);
            let above = above.filter(|&above| self.may_be_of(index, above));
            let passes = |above: usize| leads[above] && !self.is_worker(above) && self.own_signs(above).is_empty();
            leads[index] = self.is_first(index) || above.is_some_and(passes);
            let is_roots = process.facts.is_root && !has_root_worker[self.groups[index]];
            self.own[index] = is_claimed(process) && (!self.is_named(index) || leads[index] || is_roots);
            self.left_over[index] =
                above.is_none_or(|above| !self.own[above] && !self.is_first(above) && self.left_over[above]);
        }
    }

    /// Whether a process may have been started by its parent: a fork runs the parent's program. Another has lost the one that started
    /// it, and was taken on.
    fn may_be_of(&self, index: usize, parent: usize) -> bool {
        let program = |index: usize| Some(self.all[index].facts.program.as_deref()?.trim_end_matches(" (deleted)"));
        let is_other = program(index).zip(program(parent)).is_some_and(|(own, other)| own != other);
        !(self.all[index].facts.is_fork && is_other)
    }

    /// The process with this number.
    pub fn of_pid(&self, pid: u32) -> Option<usize> {
        self.by_pid.get(&pid).copied()
    }

    /// Its parent, if that is known.
    pub fn parent(&self, index: usize) -> Option<usize> {
        self.parents[index]
    }

    /// Whether it belongs to a unit or a container.
    fn is_named(&self, index: usize) -> bool {
        !self.all[index].unit.is_empty() || self.all[index].container.is_some()
    }

    /// Whether it is the main process of its unit, or the first of its unit or container.
    pub fn is_first(&self, index: usize) -> bool {
        self.is_named(index) && self.first[self.groups[index]] == index
    }

    /// Whether it is a server's own that serves requests.
    pub fn is_worker(&self, index: usize) -> bool {
        self.own[index] && is_serving(&self.all[index])
    }

    /// Signs of a descendant that the process itself has.
    pub fn own_signs(&self, index: usize) -> BTreeSet<Sign> {
        let process = &self.all[index];
        let mut signs = BTreeSet::new();
        if process.guard.as_ref().is_ok_and(|guard| guard.role == "descendant") {
            signs.insert(Sign::Library);
        }
        if process.claim.as_ref().is_some_and(|claim| claim.is_descendant) && !is_claimed(process) {
            signs.insert(Sign::Environment);
        }
        signs
    }

    /// Whether it is in a guarded unit or container, or has a policy of a server's, and nothing that runs has started it.
    pub fn is_stray(&self, index: usize) -> bool {
        let process = &self.all[index];
        let may_be = !self.own[index] || is_serving(process) && process.facts.is_fork;
        let is_in = self.is_grouped(index) || process.holds_policy;
        process.unread.is_none() && may_be && is_in && !self.is_first(index) && self.left_over[index]
    }

    /// Whether its control group is that of guarded workers.
    pub fn is_grouped(&self, index: usize) -> bool {
        self.is_named(index) && self.servers[self.groups[index]].is_some()
    }
}

/// The number of each process's group, and the first process of each group: the main one, if that is known, or the oldest.
fn grouped(all: &[Process], by_pid: &BTreeMap<u32, usize>, mains: &BTreeMap<String, u32>) -> (Vec<usize>, Vec<usize>) {
    let mut numbers: BTreeMap<Key, usize> = BTreeMap::new();
    let (mut groups, mut first) = (Vec::new(), Vec::<usize>::new());
    for (index, process) in all.iter().enumerate() {
        let next = numbers.len();
        let group = *numbers.entry(key(process)).or_insert(next);
        if group == next {
            first.push(index);
        }
        groups.push(group);
        if process.facts.started < all[first[group]].facts.started {
            first[group] = index;
        }
    }
    for ((unit, container), &group) in &numbers {
        let main = mains.get(unit).filter(|_| container.is_none()).and_then(|pid| by_pid.get(pid));
        // Under `NotifyAccess=all` any process of a unit may call itself the main one (systemd.service(5)).
        let is_fit =
            |main: usize| groups[main] == group && (all[main].facts.is_root || !all[first[group]].facts.is_root);
        if let Some(&main) = main.filter(|&&main| is_fit(main)) {
            first[group] = main;
        }
    }
    (groups, first)
}

/// All processes, each behind its parent. Where parents lead in a circle, since numbers were given anew, it is cut.
fn in_order(parents: &mut [Option<usize>]) -> Vec<usize> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    for (index, parent) in parents.iter().enumerate() {
        if let Some(parent) = parent {
            children[*parent].push(index);
        }
    }
    let mut is_placed = vec![false; parents.len()];
    let mut order = Vec::with_capacity(parents.len());
    let roots: Vec<usize> = (0..parents.len()).filter(|&index| parents[index].is_none()).collect();
    for start in roots.into_iter().chain(0..parents.len()) {
        if is_placed[start] {
            continue;
        }
        // What no root leads to is a circle.
        parents[start] = None;
        is_placed[start] = true;
        let mut at = order.len();
        order.push(start);
        while let Some(&index) = order.get(at) {
            for &child in &children[index] {
                if !is_placed[child] {
                    is_placed[child] = true;
                    order.push(child);
                }
            }
            at += 1;
        }
    }
    order
}
