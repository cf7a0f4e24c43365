//! What of a site still runs: descendants of its requests, and workers that have the policy of before; and the commands that freeze them.
//!
//! **Why a control group**: the kernel freezes all that is in it, and what that starts. Only root thaws it, while any process of the same
//! user can continue one that SIGSTOP stopped. The unit's own control group has the server in it.

use crate::ps;
use crate::status::claim::{self, Vhost};
use crate::status::descendants::{self, Machine};
use crate::status::lineage::{self, Descent};
use crate::status::process::{self, Process, Seen};
use crate::status::{self, lacks};
use crate::text::quoted;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where control groups of the second version are: by themselves, or beside those of the first; and the file that these alone have.
const GROUPS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
const UNIFIED: &str = "cgroup.controllers";

/// What is looked for.
pub struct Of<'a> {
    /// Compiled policies, each with the names of the contained virtual hosts.
    pub policies: &'a [(Vec<u8>, BTreeSet<String>)],
    /// The numbers of an incident's requests.
    pub ids: &'a BTreeSet<String>,
}

/// What runs.
pub struct Running {
    all: Vec<Process>,
    /// The descendants of the site's requests, and those of requests that are not known.
    own: BTreeSet<u32>,
    unknown: BTreeSet<u32>,
    /// Those with the policy of before.
    former: Former,
    /// What could not be looked at.
    pub lacks: Vec<String>,
}

/// Processes that have the policy of before.
#[derive(Default)]
pub struct Former {
    /// Workers, until their request ends.
    pub workers: BTreeSet<u32>,
    /// Servers that systemd does not reload.
    pub by_hand: BTreeSet<u32>,
}

/// A process that no other takes for another: its number, and when it was started, in ticks since the machine was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub pid: u32,
    pub started: u64,
}

impl Running {
    /// Looks at the processes of this host.
    pub fn look(of: &Of<'_>, former: Former) -> Running {
        let Seen { processes: mut all, is_settled } = process::all();
        let mains = status::mains(&all);
        lineage::trace(&mut all, &mains);
        let lacks = lacks(&all, is_settled);
        let (mut own, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for (process, descent) in descendants::of(all.iter()) {
            match of.has(descent) {
                Some(true) => drop(own.insert(process.pid)),
                Some(false) => {}
                None => drop(unknown.insert(process.pid)),
            }
        }
        Running { all, own, unknown, former, lacks }
    }

    fn members(&self, pids: &BTreeSet<u32>) -> Vec<(&Process, &Descent)> {
        descendants::of(self.all.iter().filter(|process| pids.contains(&process.pid)))
    }

    /// What is to be frozen: the site's descendants.
    pub fn own(&self) -> Vec<Identity> {
        self.identities(&self.own)
    }

    fn identities(&self, pids: &BTreeSet<u32>) -> Vec<Identity> {
        let found = self.all.iter().filter(|process| pids.contains(&process.pid));
        found.map(|process| Identity { pid: process.pid, started: process.facts.started }).collect()
    }

    /// Every process that is evidence.
    pub fn evidence(&self) -> Vec<Identity> {
        self.identities(&self.own.union(&self.unknown).copied().collect())
    }

    /// Prints them, and the commands.
    pub fn print(&self, name: &str) {
        let machine = Machine::here();
        println!("\nStill running");
        ps::print(&self.members(&self.own), &machine, "  no process that a request of the site started");
        if !self.unknown.is_empty() {
            println!("\nOf requests that are not known, so perhaps of this site:");
            ps::print(&self.members(&self.unknown), &machine, "");
        }
        for (title, commands) in self.commands(name) {
            println!("\n{title}");
            commands.iter().for_each(|command| println!("  {command}"));
        }
    }

    /// What to do about them, with the commands.
    pub fn commands(&self, name: &str) -> Vec<(&'static str, Vec<String>)> {
        let mut parts = self.commands_of_own(name);
        let mut add = |title, pids: &BTreeSet<u32>, signal| {
            let found = self.identities(pids);
            if !found.is_empty() {
                parts.push((title, signals(&found, signal)));
            }
        };
        let Former { workers, by_hand } = &self.former;
        add(
            "Workers have the former policy until their request ends. To end them, if it is the attacker's:",
            workers,
            "TERM",
        );
        add(
            "Processes outside of units have another policy. To stop them, with the sites that they serve:",
            by_hand,
            "STOP",
        );
        add("To let these run again, and reload them by hand:", by_hand, "CONT");
        parts
    }

    /// What to do about the descendants of the site's requests.
    fn commands_of_own(&self, name: &str) -> Vec<(&'static str, Vec<String>)> {
        let own = self.own();
        if own.is_empty() {
            return Vec::new();
        }
        let group = groups().map(|above| quoted(&format!("{above}/portcullis-{name}")));
        let mut parts = vec![(
            "To freeze them, with their memory and connections, while the server continues:",
            freeze(&own, group.as_deref()),
        )];
        let end = match &group {
            Some(group) => vec![format!("echo 1 > {group}/cgroup.kill")],
            None => signals(&own, "KILL"),
        };
        parts.push(("To end them, after a look at them:", end));
        let resume = match &group {
            Some(group) => vec![format!("echo 0 > {group}/cgroup.freeze")],
            None => signals(&own, "CONT"),
        };
        parts.push(("To let them run again:", resume));
        parts
    }

    pub fn as_json(&self, name: &str) -> Value {
        let machine = Machine::here();
        let list = |pids: &BTreeSet<u32>| {
            let all = self.members(pids);
            all.iter().map(|(process, descent)| descendants::json(process, descent, &machine)).collect::<Vec<_>>()
        };
        let commands = self.commands(name);
        let commands = commands.iter().map(|(title, commands)| json!({ "what": title, "commands": commands }));
        json!({
            "processes": list(&self.own), "unknown": list(&self.unknown), "former_workers": self.former.workers,
            "commands": commands.collect::<Vec<_>>(), "complete": self.lacks.is_empty(), "lacks": self.lacks,
        })
    }
}

impl Of<'_> {
    /// Whether a descendant is of the site; `None` where that is not known.
    fn has(&self, descent: &Descent) -> Option<bool> {
        let (_, request) = descent.request.as_ref()?;
        if claim::id(request).is_some_and(|id| self.ids.contains(&id)) {
            return Some(true);
        }
        let of = |(policy, names): &(Vec<u8>, BTreeSet<String>)| match Vhost::of(request, policy) {
            Vhost::Named(name) => Some(names.contains(&name)),
            Vhost::Outside => Some(false),
            Vhost::Unknown => None,
        };
        let answers: Vec<Option<bool>> = self.policies.iter().map(of).collect();
        match () {
            () if answers.contains(&Some(true)) => Some(true),
            () if answers.contains(&None) => None,
            () => Some(false),
        }
    }
}

/// Prints when a process was started, in ticks. A name of a process has any characters, line ends and brackets too; what follows the last
/// bracket is the kernel's (proc_pid_stat(5)).
const STARTED: &str = "started() { cat /proc/$1/stat 2> /dev/null | tr '\\n' ' ' | sed 's/.*) //' | cut -d' ' -f20; }";

impl Identity {
    /// Its directory in /proc.
    pub fn folder(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid))
    }

    /// A command by number, only if the process was started then: its number may be another's by now.
    fn checked(&self, command: &str) -> String {
        let Identity { pid, started } = self;
        format!(
            "if [ \"$(started {pid})\" = {started} ]; then {command}; else echo \"process {pid} has ended\" >&2; fi"
        )
    }
}

/// Where a control group can be made that freezes.
fn groups() -> Option<&'static str> {
    GROUPS.into_iter().find(|above| Path::new(above).join(UNIFIED).exists())
}

/// Commands that freeze processes: in a control group, or where there are none, by a signal.
fn freeze(processes: &[Identity], group: Option<&str>) -> Vec<String> {
    let Some(group) = group else { return signals(processes, "STOP") };
    // What comes into a frozen group is frozen as it comes.
    let make = format!("mkdir -p {group} && echo 1 > {group}/cgroup.freeze");
    let moves = processes.iter().map(|one| one.checked(&format!("echo {} > {group}/cgroup.procs", one.pid)));
    [STARTED.to_owned(), make].into_iter().chain(moves).collect()
}

/// Commands that send processes a signal.
fn signals(processes: &[Identity], signal: &str) -> Vec<String> {
    let each = processes.iter().map(|one| one.checked(&format!("kill -{signal} {}", one.pid)));
    std::iter::once(STARTED.to_owned()).chain(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn state(pid: u32) -> String {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned()
    }

    fn started(pid: u32) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        stat.rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(19))
            .and_then(|text| text.parse().ok())
            .expect("a number")
    }

    /// A process whose name would be the end of the kernel's line; only the one that was meant is stopped.
    #[test]
    fn the_commands_stop_the_process_that_was_meant_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("x) S 1\n1 (y");
        std::fs::copy("/bin/sleep", &program).expect("a program");
        let mut child = Command::new(&program).arg("60").stdout(Stdio::null()).spawn().expect("sleep");
        let pid = child.id();
        let started = started(pid);
        let run = |identity: Identity| {
            let script = freeze(&[identity], None).join("\n");
            Command::new("sh").args(["-c", &script]).status().expect("sh").success()
        };
        assert!(run(Identity { pid, started: started + 1 }) && state(pid) != "T", "it is another process");
        assert!(run(Identity { pid, started }), "the start is that of the process");
        let begun = std::time::Instant::now();
        while state(pid) != "T" {
            assert!(begun.elapsed().as_secs() < 20, "{}", state(pid));
            std::thread::yield_now();
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    /// What is outside of units, and workers with the former policy, are named with signals that reach no other process.
    #[test]
    fn what_has_the_former_policy_is_named_with_its_start() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let (pid, started) = (child.id(), started(child.id()));
        let none = BTreeSet::new();
        let former = Former { workers: BTreeSet::from([pid]), by_hand: BTreeSet::from([pid]) };
        let running = Running::look(&Of { policies: &[], ids: &none }, former);
        let commands = running.commands("3f2a9c1e00000000").into_iter().flat_map(|(_, commands)| commands);
        let commands: Vec<String> = commands.collect();
        for signal in ["TERM", "STOP", "CONT"] {
            let wanted = format!("if [ \"$(started {pid})\" = {started} ]; then kill -{signal} {pid};");
            assert!(commands.iter().any(|command| command.starts_with(&wanted)), "{signal}: {commands:?}");
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    /// By the kernel's control groups, where this user may make one.
    #[test]
    fn a_control_group_freezes_and_ends_them() {
        let Some(above) = groups() else { return };
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let identity = Identity { pid: child.id(), started: started(child.id()) };
        let group = format!("{above}/portcullis-test-{}", child.id());
        if std::fs::create_dir(&group).is_err() {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        let run = |commands: &[String]| {
            let done = Command::new("sh").args(["-c", &commands.join("\n")]).status().expect("sh");
            assert!(done.success(), "{commands:?}");
        };
        let until = |state: &str| {
            let begun = std::time::Instant::now();
            let now = || std::fs::read_to_string(format!("{group}/cgroup.events")).expect("a control group");
            while !now().lines().any(|line| line == state) {
                assert!(begun.elapsed().as_secs() < 20, "{state}: {}", now());
                std::thread::yield_now();
            }
        };
        run(&freeze(&[identity], Some(&group)));
        until("frozen 1");
        run(&[format!("echo 1 > {group}/cgroup.kill")]);
        let ended = child.wait().expect("its end");
        assert!(!ended.success());
        until("populated 0");
        std::fs::remove_dir(&group).expect("the control group");
    }
}
