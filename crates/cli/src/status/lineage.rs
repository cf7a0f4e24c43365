//! Finds the processes that descend from a worker, those that no live process leads to included.
//!
//! The kernel records a process's parent and control group; the library in it has its role; its environment has what the hooks
//! wrote there. A process can change the latter two, so each [`Sign`] is kept, and no single one is needed.
//!
//! **Invariant**: a role in memory is a claim. In a unit or a container a process is the server's own only if the kernel agrees: it is the
//! main process, or its parents lead to that without a worker between them ([`family`](super::family)).

use super::claim::{self, Vhost};
use super::family::{Family, Key, key};
use super::process::Process;
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

/// Everything that is known of a descendant. `above` is the nearest worker or descendant above it, with what is known of that.
fn settle(
    family: &Family<'_>,
    index: usize,
    signs: BTreeSet<Sign>,
    above: Option<(usize, Option<&Descent>)>,
) -> Descent {
    let process = &family.all[index];
    let mut descent = Descent { signs, ..Descent::default() };
    for (sign, holds) in [
        (Sign::Parent, above.is_some()),
        (Sign::ControlGroup, family.is_grouped(index)),
        (Sign::Policy, process.holds_policy),
    ] {
        if holds {
            descent.signs.insert(sign);
        }
    }
    descent.is_reparented = process.facts.parent != 0 && family.parent(index) != above.map(|(above, _)| above);
    descent.worker = above.and_then(|(above, theirs)| match theirs {
        Some(theirs) => theirs.worker,
        None => Some(family.all[above].pid),
    });
    let own = process.claim.as_ref().and_then(|claim| claim.request.clone());
    let id = |request: &Option<(u32, Rc<Request>)>| claim::id(&request.as_ref()?.1);
    let inherited = above.and_then(|(_, theirs)| theirs?.request.clone());
    let own = own.map(|request| (process.pid, request));
    descent.is_contradicted = id(&own).is_some() && id(&inherited).is_some() && id(&own) != id(&inherited);
    let told = own.or(inherited);
    // What the server itself is judged by, and where it is.
    let server = home(family, index, &descent).or(family.servers[family.groups[index]]);
    let guard = |index: usize| family.all[index].guard.as_ref().ok();
    // What it says of its own policy is no more than that, unless root has the file.
    let policy = server.and_then(guard).or_else(|| guard(index).filter(|guard| guard.policy.is_roots));
    descent.vhost = told.as_ref().map(|(_, request)| match policy {
        Some(guard) => Vhost::of(request, &guard.policy.bytes),
        None => Vhost::Unknown,
    });
    descent.request = told;
    descent.parent = family.parent(index).map(|parent| family.all[parent].facts.name.clone()).unwrap_or_default();
    if let Some(server) = server.map(|server| &family.all[server].facts) {
        let differs = |own: Option<u64>, other: Option<u64>| own.zip(other).is_some_and(|(own, other)| own != other);
        descent.has_own_pids = differs(process.facts.pids, server.pids);
        descent.has_own_mounts = differs(process.facts.mounts, server.mounts);
    }
    descent
}

/// The process with whose group a descendant is shown: its worker, or outside of its container a server with the same control group.
/// `None` for its own group.
fn home(family: &Family<'_>, index: usize, descent: &Descent) -> Option<usize> {
    let process = &family.all[index];
    let worker = descent.worker.and_then(|pid| family.of_pid(pid));
    let beside = || family.beside.get(process.facts.group.as_str()).filter(|_| process.container.is_some());
    worker.or_else(|| beside().copied())
}

/// Finds out how each process descends from a worker, and counts what a worker has started to the worker's unit. `mains` has what is
/// known to be the main process of units.
pub fn trace(all: &mut [Process], mains: &BTreeMap<String, u32>) {
    all.sort_by_key(|process| process.pid);
    let family = Family::of(all, mains);
    let mut found: Vec<Option<Descent>> = vec![None; all.len()];
    // The nearest worker or descendant above each.
    let mut nearest: Vec<Option<usize>> = vec![None; all.len()];
    for &index in &family.order {
        let parent = family.parent(index);
        nearest[index] = parent.and_then(|parent| match () {
            () if family.is_worker(parent) || found[parent].is_some() => Some(parent),
            () if family.own[parent] || family.is_first(parent) => None,
            () => nearest[parent],
        });
        let signs = family.own_signs(index);
        // A serving process below a serving one is a fork of a worker; the first of a group is the server.
        let is_servers = family.is_first(index) || all[index].is_supervisor && family.own[index];
        let is_below = !is_servers && nearest[index].is_some();
        if !signs.is_empty() || family.is_stray(index) || is_below {
            let above = nearest[index].map(|above| (above, found[above].as_ref()));
            found[index] = Some(settle(&family, index, signs, above));
        }
    }
    let homes: Vec<Option<Key>> = found
        .iter()
        .enumerate()
        .map(|(index, descent)| Some(key(&all[home(&family, index, descent.as_ref()?).unwrap_or(index)])))
        .collect();
    for ((process, descent), home) in all.iter_mut().zip(found).zip(homes) {
        if let Some((unit, container)) = home {
            (process.unit, process.container, process.descent) = (unit, container, descent);
            // Whatever it calls itself.
            process.is_supervisor = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::Claim;
    use super::super::facts::Facts;
    use super::super::guard::{Counters, Guard};
    use super::super::policy::InForce;
    use super::super::process::{Container, Unknown};
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
            unread: None,
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
        trace(&mut all, &BTreeMap::new());
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
            ("that cannot be read", Process { unread: Some(Unknown::Denied), ..one(20, 1, "") }, None),
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

    /// Each has root's library, and a role of its own choice in it.
    #[test]
    fn nobody_hides_as_a_server() {
        let of = |parent: u32, role: &'static str| Process { pid: 20, ..one(20, parent, role) };
        let fork = |process: Process| {
            let facts = Facts { is_fork: true, program: Some("/bin/x".into()), ..process.facts.clone() };
            Process { facts, ..process }
        };
        let known = |process: Process, mains: &[(&str, u32)]| {
            let mut all = vec![elsewhere(one(1, 0, "")), one(10, 1, "master"), one(11, 10, "serving"), process];
            all[1].facts.program = Some("/bin/server".into());
            // What it starts is in no unit's control group, so that only the parent tells of it.
            all.push(elsewhere(one(30, 20, "")));
            trace(&mut all, &mains.iter().map(|(unit, main)| ((*unit).to_owned(), *main)).collect());
            all[3..].iter().map(|process| process.descent.is_some()).collect::<Vec<bool>>()
        };
        for role in ["master", "serving", "starting"] {
            for (what, process, mains) in [
                ("reparented", of(1, role), &[][..]),
                ("reparented, to init", of(1, role), &[(UNIT, 10)]),
                ("below a worker", of(11, role), &[]),
                ("older than the server, which was restarted", of(1, role), &[(UNIT, 10)]),
                ("taken on by the master, and a fork of another program", fork(of(10, role)), &[]),
            ] {
                let mut process = process;
                if what.starts_with("older") {
                    process.facts.started = 1;
                }
                assert_eq!(known(process, mains), [true, true], "{what}, as {role}");
            }
        }
        // What root starts in a unit beside its main process, no worker without privileges can have made.
        let roots = |process: Process| {
            let facts = Facts { is_root: true, ..process.facts.clone() };
            Process { facts, ..process }
        };
        assert_eq!(known(roots(of(1, "master")), &[(UNIT, 10)]), [false, false]);
        // Nobody without root's users becomes the main process of a unit of root's.
        let mut all =
            vec![elsewhere(one(1, 0, "")), roots(one(10, 1, "master")), one(11, 10, "serving"), of(1, "master")];
        trace(&mut all, &BTreeMap::from([(UNIT.to_owned(), 20)]));
        assert_eq!(
            all.iter().map(|process| process.descent.is_some()).collect::<Vec<_>>(),
            [false, false, false, true]
        );
    }

    #[test]
    fn what_is_said_of_a_policy_is_roots_or_the_servers() {
        let own = |is_roots: bool| {
            let mut process = claiming(elsewhere(one(20, 1, "descendant")), 7);
            process.guard.as_mut().expect("a guard").policy.is_roots = is_roots;
            descent(&traced(vec![process]), 20).vhost.clone()
        };
        assert_eq!([own(true), own(false)], [Some(Vhost::Outside), Some(Vhost::Unknown)]);
    }

    #[test]
    fn any_number_of_processes_and_any_depth_ends() {
        let chain = (0..20_000).map(|at| one(100 + at, 99 + at, ""));
        let circle = [one(90_001, 90_002, ""), one(90_002, 90_001, ""), one(90_003, 90_003, "descendant")];
        let all = traced(std::iter::once(one(99, 11, "descendant")).chain(chain).chain(circle).collect());
        assert!([99, 150, 20_000].iter().all(|&pid| descent(&all, pid).worker == Some(11)));
        assert!(all.iter().skip(4).all(|process| process.descent.is_some()));
    }
}
