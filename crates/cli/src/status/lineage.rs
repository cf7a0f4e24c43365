//! Finds the processes that descend from a worker, those that no live process leads to included.
//!
//! The kernel records a process's parent and control group; the library in it has its role; its environment has what the hooks
//! wrote there. A process can change the latter two, so each [`Sign`] is kept, and no single one is needed.

use super::claim::{self, Vhost};
use super::process::{Container, Process};
use portcullis_request::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// By what a process is known as a descendant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Its parents lead to a worker, or to another descendant, and all of them run.
    Parent,
    /// It is in the control group of guarded workers.
    ControlGroup,
    /// The library in it has that role.
    Library,
    /// Its environment says so.
    Environment,
    /// It has a policy that was handed down.
    Policy,
}

impl Sign {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Sign::Parent => "parent",
            Sign::ControlGroup => "control-group",
            Sign::Library => "library",
            Sign::Environment => "environment",
            Sign::Policy => "policy",
        }
    }
}

/// How a process descends from a worker.
#[derive(Clone, Debug, Default)]
pub struct Descent {
    /// By what that is known.
    pub signs: BTreeSet<Sign>,
    /// The process that started it has ended.
    pub is_reparented: bool,
    /// The worker from which it descends, if every process between them still runs.
    pub worker: Option<u32>,
    /// The request that led to it, and the process whose environment has that: itself, or one above it.
    pub request: Option<(u32, Rc<Request>)>,
    /// The name of its parent.
    pub parent: String,
    /// Its environment has another request than its parent's.
    pub is_contradicted: bool,
    /// It is in another PID namespace than the server.
    pub has_own_pids: bool,
    /// It is in another mount namespace than the server.
    pub has_own_mounts: bool,
    /// The virtual host of the request, under the policy of its worker.
    pub vhost: Option<Vhost>,
}

impl Descent {
    /// Whether the kernel records it, so that it is not the process's own claim alone.
    pub fn is_confirmed(&self) -> bool {
        self.worker.is_some() || self.signs.contains(&Sign::ControlGroup)
    }
}

/// The longest line of parents that is followed.
const DEPTH_MAX: usize = 256;

/// A group of processes that one server and what it starts share.
type Key = (String, Option<Container>);

fn key(process: &Process) -> Key {
    (process.unit.clone(), process.container.clone())
}

/// Whether it is a server's own process by what it has in memory; of a supervisor, the environment must not say otherwise.
fn is_servers(process: &Process) -> bool {
    let is_claimed = process.claim.as_ref().is_some_and(|claim| claim.is_descendant);
    match &process.guard {
        Ok(guard) => guard.role != "descendant",
        Err(_) => process.is_supervisor && !is_claimed && process.facts.is_root,
    }
}

fn is_serving(process: &Process) -> bool {
    process.guard.as_ref().is_ok_and(|guard| guard.role == "serving") && !process.is_supervisor
}

struct Family<'p> {
    all: &'p [Process],
    by_pid: BTreeMap<u32, usize>,
    /// The number of each process's group.
    groups: Vec<usize>,
    /// The first process of each group.
    first: Vec<usize>,
    /// A process of the server in each group that has one.
    servers: Vec<Option<usize>>,
    /// The same by control group, on the host.
    beside: BTreeMap<&'p str, usize>,
    found: Vec<Option<Descent>>,
}

impl<'p> Family<'p> {
    fn of(all: &'p [Process]) -> Family<'p> {
        let mut numbers: BTreeMap<Key, usize> = BTreeMap::new();
        let (mut groups, mut first, mut servers) = (Vec::new(), Vec::<usize>::new(), Vec::new());
        let mut beside = BTreeMap::new();
        for (index, process) in all.iter().enumerate() {
            let next = numbers.len();
            let group = *numbers.entry(key(process)).or_insert(next);
            if group == next {
                first.push(index);
                servers.push(None);
            }
            groups.push(group);
            if process.facts.started < all[first[group]].facts.started {
                first[group] = index;
            }
            if is_servers(process) && process.guard.is_ok() {
                servers[group].get_or_insert(index);
                if process.container.is_none() {
                    beside.entry(process.facts.group.as_str()).or_insert(index);
                }
            }
        }
        let by_pid = all.iter().enumerate().map(|(index, process)| (process.pid, index)).collect();
        Family { all, by_pid, groups, first, servers, beside, found: vec![None; all.len()] }
    }

    fn parent(&self, index: usize) -> Option<usize> {
        self.by_pid.get(&self.all[index].facts.parent).copied().filter(|&parent| parent != index)
    }

    /// Whether it belongs to a unit or a container.
    fn is_named(&self, index: usize) -> bool {
        !self.all[index].unit.is_empty() || self.all[index].container.is_some()
    }

    /// Whether it is the first process of its unit or container.
    fn is_first(&self, index: usize) -> bool {
        self.is_named(index) && self.first[self.groups[index]] == index
    }

    /// Signs that the process itself has.
    fn own_signs(&self, index: usize) -> BTreeSet<Sign> {
        let process = &self.all[index];
        let mut signs = BTreeSet::new();
        if process.guard.as_ref().is_ok_and(|guard| guard.role == "descendant") {
            signs.insert(Sign::Library);
        }
        if process.claim.as_ref().is_some_and(|claim| claim.is_descendant) && !is_servers(process) {
            signs.insert(Sign::Environment);
        }
        signs
    }

    /// Follows the parents until one is a worker or a known descendant. `None` where the line ends elsewhere.
    fn ancestor(&self, index: usize) -> Option<usize> {
        let mut at = index;
        for _ in 0..DEPTH_MAX {
            at = self.parent(at)?;
            let process = &self.all[at];
            if is_serving(process) || self.found[at].is_some() {
                return Some(at);
            }
            if is_servers(process) || self.is_first(at) {
                return None;
            }
        }
        None
    }

    /// Whether the parents lead out of the group without meeting a process of the server, so that whatever started it has ended.
    fn is_left_over(&self, index: usize) -> bool {
        let mut at = index;
        for _ in 0..DEPTH_MAX {
            if at != index && (is_servers(&self.all[at]) || self.is_first(at)) {
                return false;
            }
            match self.parent(at) {
                Some(parent) if self.groups[parent] == self.groups[index] => at = parent,
                _ => return true,
            }
        }
        true
    }

    /// Whether it is in a guarded unit or container, or has a policy of a server's, and nothing that runs has started it.
    fn is_stray(&self, index: usize) -> bool {
        let process = &self.all[index];
        let may_be = !is_servers(process) || is_serving(process) && process.facts.is_fork;
        let is_in = self.is_grouped(index) || process.holds_policy;
        !process.is_unread && may_be && is_in && !self.is_first(index) && self.is_left_over(index)
    }

    /// Whether its control group is that of guarded workers.
    fn is_grouped(&self, index: usize) -> bool {
        self.is_named(index) && self.servers[self.groups[index]].is_some()
    }

    /// Everything that is known of a descendant.
    fn settle(&self, index: usize) -> Option<Descent> {
        let mut descent = self.found[index].clone()?;
        let process = &self.all[index];
        let mut ancestors = Vec::new();
        let mut at = index;
        while let Some(next) = self.ancestor(at).filter(|_| ancestors.len() < DEPTH_MAX) {
            ancestors.push(next);
            if self.found[next].is_none() {
                break;
            }
            at = next;
        }
        for (sign, holds) in [
            (Sign::Parent, !ancestors.is_empty()),
            (Sign::ControlGroup, self.is_grouped(index)),
            (Sign::Policy, process.holds_policy),
        ] {
            if holds {
                descent.signs.insert(sign);
            }
        }
        let is_known = |parent: usize| self.found[parent].is_some() || is_serving(&self.all[parent]);
        descent.is_reparented = process.facts.parent != 0 && !self.parent(index).is_some_and(is_known);
        descent.worker = ancestors.last().filter(|&&last| self.found[last].is_none()).map(|&last| self.all[last].pid);
        let request = |index: usize| self.all[index].claim.as_ref()?.request.clone();
        let lines = || std::iter::once(index).chain(ancestors.iter().copied());
        let told = lines().find_map(|index| Some((self.all[index].pid, request(index)?)));
        let id = |index: usize| claim::id(&*request(index)?);
        let theirs = ancestors.iter().find_map(|&index| id(index));
        let own = id(index);
        descent.is_contradicted = own.is_some() && theirs.is_some() && own != theirs;
        // What the server itself is judged by, and where it is.
        let server = self.home(index, &descent).or(self.servers[self.groups[index]]);
        let policy = server.or(Some(index)).and_then(|index| self.all[index].guard.as_ref().ok());
        descent.vhost = told.as_ref().zip(policy).map(|((_, request), guard)| Vhost::of(request, &guard.policy.bytes));
        descent.request = told;
        descent.parent = self.parent(index).map(|parent| self.all[parent].facts.name.clone()).unwrap_or_default();
        if let Some(server) = server.map(|server| &self.all[server].facts) {
            let differs =
                |own: Option<u64>, other: Option<u64>| own.zip(other).is_some_and(|(own, other)| own != other);
            descent.has_own_pids = differs(process.facts.pids, server.pids);
            descent.has_own_mounts = differs(process.facts.mounts, server.mounts);
        }
        Some(descent)
    }

    /// The process with whose group a descendant is shown: its worker, or outside of its container a server with the same control
    /// group. `None` for its own group.
    fn home(&self, index: usize, descent: &Descent) -> Option<usize> {
        let process = &self.all[index];
        let worker = descent.worker.and_then(|pid| self.by_pid.get(&pid));
        let beside = || self.beside.get(process.facts.group.as_str()).filter(|_| process.container.is_some());
        worker.or_else(beside).copied()
    }
}

/// Finds out how each process descends from a worker, and counts what a worker has started to the worker's unit.
pub fn trace(all: &mut [Process]) {
    all.sort_by_key(|process| process.pid);
    let count = all.len();
    let mut family = Family::of(all);
    for index in 0..count {
        let signs = family.own_signs(index);
        if !signs.is_empty() {
            family.found[index] = Some(Descent { signs, ..Descent::default() });
        }
    }
    let strays: Vec<usize> =
        (0..count).filter(|&index| family.found[index].is_none() && family.is_stray(index)).collect();
    for index in strays {
        family.found[index] = Some(Descent::default());
    }
    // A serving process below a serving one is a fork of a worker; the first of a group is the server.
    let is_own = |index: usize| {
        let process = &family.all[index];
        family.is_first(index) || process.is_supervisor && is_servers(process)
    };
    let below: Vec<usize> = (0..count).filter(|&index| !is_own(index) && family.ancestor(index).is_some()).collect();
    for index in below {
        family.found[index].get_or_insert_default();
    }
    let settle = |index: usize| {
        let descent = family.settle(index)?;
        let home = family.home(index, &descent).unwrap_or(index);
        Some((descent, key(&all[home])))
    };
    let settled: Vec<Option<(Descent, Key)>> = (0..count).map(settle).collect();
    for (process, settled) in all.iter_mut().zip(settled) {
        if let Some((descent, (unit, container))) = settled {
            (process.unit, process.container, process.descent) = (unit, container, Some(descent));
            // Whatever it calls itself.
            process.is_supervisor = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::Claim;
    use super::super::facts::Facts;
    use super::super::process::{Counters, Guard, InForce};
    use super::*;
    use portcullis_request::State;

    const UNIT: &str = "php.service";

    /// A process of a unit, with the guard in this role; without one for an empty role.
    fn one(pid: u32, parent: u32, role: &'static str) -> Process {
        let guard = || {
            let bytes = Rc::new(portcullis_config::compile(&portcullis_config::Config::default()));
            let policy = InForce { bytes, ..InForce::built_in() };
            Guard { version: "1".into(), role, policy, counters: Counters::default() }
        };
        let (group, name, started) = (format!("/system.slice/{UNIT}"), format!("p{pid}"), u64::from(pid));
        Process {
            pid,
            unit: UNIT.into(),
            container: None,
            command: String::new(),
            guard: if role.is_empty() { Err("static".into()) } else { Ok(guard()) },
            is_unread: false,
            is_supervisor: false,
            facts: Facts {
                parent,
                user: Some(33),
                started,
                group,
                name,
                pids: Some(1),
                mounts: Some(1),
                ..Facts::default()
            },
            claim: None,
            holds_policy: false,
            descent: None,
        }
    }

    fn elsewhere(process: Process) -> Process {
        let facts = Facts { group: "/user.slice".into(), ..process.facts.clone() };
        Process { unit: String::new(), facts, ..process }
    }

    fn claiming(process: Process, id: u64) -> Process {
        let mut request = Request::none();
        (request.state, request.id) = (State::Known, id);
        Process {
            claim: Some(Claim { is_descendant: true, request: Some(Rc::new(request)), ..Claim::default() }),
            ..process
        }
    }

    /// A master, two workers, and more; init is outside of the unit.
    fn traced(more: Vec<Process>) -> Vec<Process> {
        let mut all =
            vec![elsewhere(one(1, 0, "")), one(10, 1, "master"), one(11, 10, "serving"), one(12, 10, "serving")];
        all.extend(more);
        trace(&mut all);
        all
    }

    /// The signs of the processes beyond those, by number; none of the server's own may have any.
    fn signs(all: &[Process]) -> Vec<(u32, String)> {
        assert!(all.iter().take(4).all(|process| process.descent.is_none()));
        let signs = |descent: &Descent| descent.signs.iter().map(|sign| sign.word()).collect::<Vec<_>>().join(" ");
        all.iter().filter_map(|process| Some((process.pid, signs(process.descent.as_ref()?)))).collect()
    }

    fn descent(all: &[Process], pid: u32) -> &Descent {
        all.iter()
            .find(|process| process.pid == pid)
            .and_then(|process| process.descent.as_ref())
            .expect("a descendant")
    }

    #[test]
    fn by_whatever_is_left_of_its_origin() {
        let known = |process: Process| {
            let all = traced(vec![process]);
            signs(&all).into_iter().next().map(|(_, signs)| signs)
        };
        let fork = |process: Process| Process { facts: Facts { is_fork: true, ..process.facts.clone() }, ..process };
        for (what, process, wanted) in [
            ("a program of a worker's", one(20, 11, "descendant"), Some("parent control-group library")),
            ("a static one", one(20, 11, ""), Some("parent control-group")),
            ("a fork of a worker", fork(one(20, 11, "serving")), Some("parent control-group")),
            ("reparented", one(20, 1, "descendant"), Some("control-group library")),
            ("reparented, without library and environment", one(20, 1, ""), Some("control-group")),
            ("a reparented fork", fork(one(20, 1, "serving")), Some("control-group")),
            ("moved to another group", elsewhere(one(20, 1, "descendant")), Some("library")),
            ("that claims it alone", claiming(elsewhere(one(20, 1, "")), 7), Some("environment")),
            ("with the policy alone", Process { holds_policy: true, ..elsewhere(one(20, 1, "")) }, Some("policy")),
            ("a worker without the library", one(20, 10, ""), None),
            ("a program of the master's", one(20, 10, "master"), None),
            ("anybody's", elsewhere(one(20, 1, "")), None),
            ("that cannot be read", Process { is_unread: true, ..one(20, 1, "") }, None),
        ] {
            assert_eq!(known(process).as_deref(), wanted, "{what}");
        }
    }

    #[test]
    fn nobody_hides_as_a_supervisor() {
        let named = |process: Process| Process { is_supervisor: true, ..process };
        let all = traced(vec![
            named(one(20, 11, "descendant")),
            named(one(21, 1, "")),
            named(elsewhere(one(22, 20, ""))),
            named(one(23, 10, "master")),
        ]);
        let found: Vec<u32> = signs(&all).iter().map(|(pid, _)| *pid).collect();
        assert_eq!(found, [20, 21, 22]);
        let still: Vec<u32> = all.iter().filter(|process| process.is_supervisor).map(|process| process.pid).collect();
        assert_eq!(still, [23]);
    }

    #[test]
    fn a_request_comes_down_and_a_forged_one_is_contradicted() {
        let lines = vec![
            claiming(one(20, 11, "descendant"), 7),
            one(21, 20, ""),
            claiming(one(22, 21, "descendant"), 8),
            claiming(elsewhere(one(23, 1, "")), 9),
            claiming(one(24, 1, ""), 9),
        ];
        let all = traced(lines);
        let request = |pid| descent(&all, pid).request.as_ref().map(|(of, request)| (*of, request.id));
        assert_eq!([20, 21, 22].map(request), [Some((20, 7)), Some((20, 7)), Some((22, 8))]);
        assert_eq!([20, 21, 22].map(|pid| descent(&all, pid).is_contradicted), [false, false, true]);
        assert_eq!([20, 22, 23, 24].map(|pid| descent(&all, pid).is_confirmed()), [true, true, false, true]);
        assert_eq!([20, 22, 23].map(|pid| descent(&all, pid).is_reparented), [false, false, true]);
        assert_eq!((descent(&all, 22).worker, descent(&all, 22).parent.as_str()), (Some(11), "p21"));
        assert_eq!(descent(&all, 20).vhost, Some(Vhost::Outside));
    }

    #[test]
    fn what_a_worker_has_put_into_a_namespace_stays_its_units() {
        let away = |process: Process, group: &str| Process {
            unit: String::new(),
            container: Some(Container { pids: Some(9), group: group.into() }),
            facts: Facts { pids: Some(9), group: group.into(), ..process.facts.clone() },
            ..process
        };
        let own = format!("/system.slice/{UNIT}");
        let all = traced(vec![
            away(one(20, 11, "descendant"), "/system.slice/php.service/x"),
            away(one(21, 1, "descendant"), &own),
            away(one(30, 1, "master"), "/docker/a/system.slice/php.service"),
            away(one(31, 30, "serving"), "/docker/a/system.slice/php.service"),
            away(one(32, 31, ""), "/docker/a/system.slice/php.service"),
        ]);
        let unit = |pid| all.iter().find(|process| process.pid == pid).map(|process| process.unit.clone());
        assert_eq!([20, 21, 30, 31, 32].map(unit), [UNIT, UNIT, "", "", ""].map(|unit| Some(unit.to_owned())));
        assert_eq!([20, 21, 32].map(|pid| descent(&all, pid).has_own_pids), [true, true, false]);
        assert_eq!(signs(&all).len(), 3);
    }

    #[test]
    fn any_number_of_processes_and_any_depth_ends() {
        let chain = (0..20_000).map(|at| one(100 + at, 99 + at, ""));
        let circle = [one(90_001, 90_002, ""), one(90_002, 90_001, ""), one(90_003, 90_003, "descendant")];
        let all = traced(std::iter::once(one(99, 11, "descendant")).chain(chain).chain(circle).collect());
        assert!(descent(&all, 99).worker == Some(11) && descent(&all, 150).worker == Some(11));
        assert!(all.iter().skip(4).all(|process| process.descent.is_some()));
    }
}
