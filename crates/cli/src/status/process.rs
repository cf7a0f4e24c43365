//! A process as /proc has it: what the kernel records of it, and whether the guard is in it.

use super::claim::Claim;
use super::facts::{self, Facts, fact, group};
use super::guard::{self, Absence, Guard};
use super::lineage::Descent;
use super::live;
use super::memory::{self, Devices, Failure, Mapping, mappings};
use super::policy::is_in_memory;
use portcullis_config::reading;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Why whether the guard is in a process is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// This user may not read it.
    Denied,
    /// Looking at the processes before it has taken all the time that there is.
    Late,
    /// Their policies have taken all the memory that there is.
    NoRoom,
    /// Its threads end before they can be read.
    Restless,
}

/// A process.
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The unit that it belongs to; empty for none.
    pub unit: String,
    /// The container that it belongs to, if it does, and so to no unit of the host.
    pub container: Option<Container>,
    /// Its command line.
    pub command: String,
    /// The guard in it, or why there is none.
    pub guard: Result<Guard, String>,
    /// Whether the guard is in it is unknown.
    pub unread: Option<Unknown>,
    /// It is the supervisor of a server.
    pub is_supervisor: bool,
    /// What the kernel records about it.
    pub facts: Facts,
    /// What it claims of its origin; of a server's own processes it is not read.
    pub claim: Option<Claim>,
    /// It has a descriptor of a policy in memory.
    pub holds_policy: bool,
    /// How it descends from a worker, if it does.
    pub descent: Option<Descent>,
}

/// A container: processes of other PID namespaces that belong to no unit of the host, by control group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Container {
    /// What identifies its PID namespace; `None` if that cannot be read.
    pub pids: Option<u64>,
    /// Its control group.
    pub group: String,
}

impl Container {
    /// Its name.
    pub fn name(&self) -> String {
        let pids = self.pids.map_or("other PID namespace".to_owned(), |pids| format!("PID namespace {pids}"));
        format!("{pids}, control group {}", if self.group.is_empty() { "/" } else { &self.group })
    }

    /// The same as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "pid_namespace": self.pids, "control_group": self.group })
    }
}

/// Where processes are looked up.
const PROC: &str = "/proc";
/// How much of the command line is shown.
const COMMAND_MAX: usize = 4096;
/// How long all processes together are looked at; what is left after that is not, and counts as not guarded.
const LOOKING: Duration = Duration::from_secs(20);
/// The most descriptors of a process among which a policy is looked for.
const DESCRIPTORS_MAX: usize = 1 << 16;
/// How much of policies is read out of processes' memory in one run: what lies on the disk is read there.
const POLICIES_MAX: usize = 512 << 20;

/// A look at processes: what is read once for all of them, and how much more may be read.
pub struct Look {
    proc: PathBuf,
    devices: Devices,
    /// The control group of the manager of the system's units.
    manager: String,
    /// Bytes of policies that may still be read.
    left: Cell<usize>,
    /// Policies by their digest, so that processes with the same one share it.
    policies: RefCell<BTreeMap<u64, Rc<Vec<u8>>>>,
    begun: Instant,
    /// How long it may take.
    time: Duration,
}

impl Look {
    /// A look at the processes in `proc`.
    pub fn new(proc: &Path) -> Look {
        let own = group(&proc.join("1"));
        let manager = own.strip_suffix("/init.scope").or_else(|| own.strip_suffix("/")).unwrap_or(&own).to_owned();
        let devices = Devices::here(proc);
        let (left, policies) = (Cell::new(POLICIES_MAX), RefCell::default());
        Look { proc: proc.to_owned(), devices, manager, left, policies, begun: Instant::now(), time: LOOKING }
    }

    /// The devices that can be read.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// Takes so many bytes of what may still be read of policies.
    pub fn take(&self, length: usize) -> Option<()> {
        self.left.set(self.left.get().checked_sub(length)?);
        Some(())
    }

    /// The kernel's record of a mapping, which leads to the file itself. Of a task there is one under its own number alone.
    pub fn mapped(&self, task: &Path, mapping: &Mapping<'_>) -> PathBuf {
        let number = task.file_name().unwrap_or_default();
        self.proc.join(number).join("map_files").join(format!("{:x}-{:x}", mapping.start, mapping.end))
    }

    /// The same bytes, shared with another process that has them. A process can have any digest in its memory.
    pub fn shared(&self, digest: u64, bytes: Vec<u8>) -> Rc<Vec<u8>> {
        let mut policies = self.policies.borrow_mut();
        let known = policies.entry(digest).or_insert_with(|| Rc::new(bytes.clone()));
        if **known == bytes { known.clone() } else { Rc::new(bytes) }
    }
}

/// Reads a process; `None` where it is gone, or is the kernel's.
pub fn read(pid: u32) -> Option<Process> {
    read_in(&Look::new(Path::new(PROC)), pid)
}

fn read_in(look: &Look, pid: u32) -> Option<Process> {
    let folder = look.proc.join(pid.to_string());
    let facts = Facts::of(&folder);
    if facts.is_none {
        return None;
    }
    let (task, maps) = mapped(&folder)?;
    let line = fact(&task, "cmdline")?;
    let is_supervisor = line.starts_with(b"portcullis\0supervise\0");
    let command = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    let is_supervisor = is_supervisor || command.ends_with("/portcullis supervise");
    let is_late = look.begun.elapsed() > look.time;
    let guard = match &maps {
        _ if is_late => Err(Absence {
            message: "it was not looked at: looking at the others took too long".to_owned(),
            unknown: Some(Unknown::Late),
        }),
        Ok(maps) => guarded(look, &task, maps),
        Err(failure) => Err(Absence {
            message: failure.message.clone(),
            unknown: match () {
                () if failure.is_denied => Some(Unknown::Denied),
                () if failure.is_restless => Some(Unknown::Restless),
                () => None,
            },
        }),
    };
    let unread = guard.as_ref().err().and_then(|absence| absence.unknown);
    let guard = guard.map_err(|absence| absence.message);
    let command = match command.char_indices().nth(COMMAND_MAX) {
        Some((end, _)) => format!("{}\u{2026}", &command[..end]),
        None => command,
    };
    // What a server itself was started with says nothing of a request.
    let may_descend = !is_late && guard.as_ref().map_or(true, |guard| guard.role == "descendant");
    let claim = if may_descend { Claim::of(&task) } else { None };
    let holds_policy = may_descend && guard.is_err() && holds_policy(&task, maps.as_deref().unwrap_or_default());
    let (unit, is_own) = facts::unit(&facts.group, &look.manager);
    // A unit's process may be in a namespace of its own; what a control group below the unit's has there is a container.
    let is_elsewhere = facts.is_nested && (unit.is_empty() || !is_own);
    let unit = if is_elsewhere { String::new() } else { unit.to_owned() };
    let container = is_elsewhere.then(|| Container { pids: facts.pids, group: facts.group.clone() });
    // The number may be another process's by now.
    (Facts::of(&folder).started == facts.started).then_some(Process {
        pid,
        unit,
        container,
        command,
        guard,
        unread,
        is_supervisor,
        facts,
        claim,
        holds_policy,
        descent: None,
    })
}

/// The guard in a process, looked for again where it has executed another program meanwhile.
fn guarded(look: &Look, task: &Path, maps: &str) -> Result<Guard, Absence> {
    let known = guard::guard(look, task, maps);
    if known.as_ref().err().is_none_or(|absence| absence.unknown.is_none()) {
        return known;
    }
    match memory::maps(task) {
        Ok(now) if now != maps => guard::guard(look, task, &now),
        _ => known,
    }
}

/// How often another task of a process is looked for, where one ends while it is read.
const TASKS: usize = 8;

/// A task of a process that runs, and the mappings that it has; `None` if the process has ended.
fn mapped(folder: &Path) -> Option<(PathBuf, Result<String, Failure>)> {
    let mut task = live::task(folder)?;
    for _ in 0..TASKS {
        match memory::maps(&task) {
            // It has ended since; or this is no process.
            Ok(maps) if maps.is_empty() => {}
            Err(failure) if failure.is_gone => {}
            known => return Some((task, known)),
        }
        task = live::task(folder)?;
    }
    let message = "its threads end before they can be read".to_owned();
    Some((task, Err(Failure { message, is_restless: true, ..Failure::default() })))
}

/// Whether a process has a policy that was handed down in memory.
fn holds_policy(folder: &Path, maps: &str) -> bool {
    let leads_there =
        |entry: &std::fs::DirEntry| std::fs::read_link(entry.path()).is_ok_and(|link| is_in_memory(&link));
    mappings(maps).any(|mapping| is_in_memory(Path::new(mapping.path)))
        || reading::entries(&folder.join("fd"), DESCRIPTORS_MAX).is_ok_and(|all| all.iter().any(leads_there))
}

/// The processes that were read.
pub struct Seen {
    /// By number, those first that were there from the beginning.
    pub processes: Vec<Process>,
    /// Whether none of which nothing is known was there.
    pub is_settled: bool,
}

/// Every process that can be seen.
pub fn all() -> Seen {
    all_in(Path::new(PROC))
}

fn all_in(proc: &Path) -> Seen {
    all_by(&Look::new(proc))
}

fn all_by(look: &Look) -> Seen {
    let list = || {
        let entries = reading::entries(&look.proc, usize::MAX).unwrap_or_default();
        let pids = entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| pid != std::process::id()).collect()
    };
    until_settled(list, |pid| read_in(look, pid))
}

/// How often the processes are listed, where one ends before it is read.
const LISTINGS: usize = 32;

/// Reads what is listed. A process can start another and end between being listed and being read, and that one can do the same: so what is
/// new is read again and again, until nothing that was new has ended before it was read.
fn until_settled(mut list: impl FnMut() -> BTreeSet<u32>, mut read: impl FnMut(u32) -> Option<Process>) -> Seen {
    let mut listed = BTreeSet::new();
    let mut processes = Vec::new();
    for listing in 0..LISTINGS {
        let new: Vec<u32> = list().into_iter().filter(|&pid| listed.insert(pid)).collect();
        let before = processes.len();
        processes.extend(new.iter().filter_map(|&pid| read(pid)));
        // Of the first listing some are the kernel's own, and one that ends may have started what was not listed.
        if listing > 0 && processes.len() - before == new.len() {
            return Seen { processes, is_settled: true };
        }
    }
    Seen { processes, is_settled: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_guarded() {
        let process = read(std::process::id()).unwrap();
        assert!(process.guard.err().unwrap().starts_with("started without LD_PRELOAD"));
        assert!(read(u32::MAX).is_none());
    }

    #[test]
    fn the_systems_manager_may_be_in_a_group_of_its_own() {
        for (group, wanted) in [("/init.scope", ""), ("/machine/one/init.scope", "/machine/one"), ("/", "")] {
            let proc = tempfile::tempdir().unwrap();
            std::fs::create_dir(proc.path().join("1")).unwrap();
            std::fs::write(proc.path().join("1/cgroup"), format!("0::{group}\n")).unwrap();
            assert_eq!(Look::new(proc.path()).manager, wanted, "{group}");
        }
    }

    /// A tree like /proc of a process that is all lies.
    fn lie(proc: &Path, pid: u32, name: &str, what: &str) {
        let folder = proc.join(pid.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        let maps = "1000-2000 rw-p 0 00:00 0 /x/libportcullis.so\n2000-3000 r--p 0 00:00 9 /srv/fifo\n";
        for (file, text) in [
            ("maps", maps),
            ("cmdline", "sh\0\x1b[2J\n\0"),
            ("cgroup", "0::/a\x1b.service\n"),
            ("mem", ""),
            ("environ", ""),
            ("auxv", "x"),
        ] {
            std::fs::write(folder.join(file), text).unwrap();
        }
        let path = folder.join(name);
        let _ = std::fs::remove_file(&path);
        match what {
            "fifo" => assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()),
            "link" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
            "folder" => std::fs::create_dir(&path).unwrap(),
            "endless" => std::fs::File::create(&path).unwrap().set_len(1 << 42).unwrap(),
            "noise" => {
                let bytes: Vec<u8> = (0..60_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
                std::fs::write(&path, bytes).unwrap();
            }
            _ => {}
        }
    }

    #[test]
    fn nothing_that_a_process_says_of_itself_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let mut pid = 2;
        for name in
            ["maps", "cmdline", "cgroup", "mem", "environ", "auxv", "stat", "status", "fd", "ns", "exe", "root", "odd"]
        {
            for what in ["fifo", "link", "folder", "endless", "noise", "gone"] {
                lie(root.path(), pid, name, what);
                pid += 1;
            }
        }
        let begun = Instant::now();
        let all = all_in(root.path()).processes;
        assert!(begun.elapsed() < LOOKING, "{:?}", begun.elapsed());
        assert!(all.len() > 30 && all.iter().all(|process| process.guard.is_err()));
    }

    #[test]
    fn a_bound_that_was_reached_is_said() {
        let proc = tempfile::tempdir().unwrap();
        for pid in [1, 7, 8] {
            lie(proc.path(), pid, "odd", "");
            std::fs::write(proc.path().join(format!("{pid}/maps")), "1000-2000 rw-p 0 00:00 0\n").unwrap();
        }
        let seen = |look: &Look| {
            let all = all_by(look);
            assert_eq!(all.processes.len(), 3);
            super::super::lacks(&all.processes, all.is_settled)
        };
        assert_eq!(seen(&Look::new(proc.path())), [""; 0]);
        let late = seen(&Look { time: Duration::ZERO, ..Look::new(proc.path()) });
        assert!(late.len() == 1 && late[0].starts_with("incomplete: 2 processes were not looked at"), "{late:?}");
        // Of this process every thread that is listed has ended.
        let stat = |at: PathBuf, state: char| {
            std::fs::create_dir_all(&at).unwrap();
            std::fs::write(at.join("stat"), format!("7 (a) {state} 1 7 7 0 -1 0 0 0")).unwrap();
        };
        stat(proc.path().join("7"), 'Z');
        stat(proc.path().join("7/task/9"), 'S');
        for (name, text) in [("maps", ""), ("cmdline", "a\0")] {
            std::fs::write(proc.path().join("7/task/9").join(name), text).unwrap();
        }
        let restless = seen(&Look::new(proc.path()));
        assert!(restless.len() == 1 && restless[0].contains("1 process could not be looked at"), "{restless:?}");
    }

    /// A process that starts the next one and ends, before it is read, so many times.
    fn handing_on(times: u32) -> (Vec<u32>, bool) {
        let at = Cell::new(10);
        let list = || BTreeSet::from([1, at.get()]);
        let read = |pid: u32| {
            let is_there = pid == 1 || pid >= 10 + times;
            at.set(if pid == 1 { at.get() } else { pid + u32::from(!is_there) });
            is_there.then(|| Process { pid, ..super::super::unit::tests::process(0, 0, false) })
        };
        let seen = until_settled(list, read);
        (seen.processes.iter().map(|process| process.pid).collect(), seen.is_settled)
    }

    #[test]
    fn a_process_that_hands_on_is_found_or_said_to_be_missing() {
        for times in [0, 1, 2, 20] {
            assert_eq!(handing_on(times), (vec![1, 10 + times], true));
        }
        assert_eq!(handing_on(u32::MAX - 20), (vec![1], false));
        // It had another start when the list was made, which has none of either.
        let mut listings = [BTreeSet::from([1]), BTreeSet::from([1, 5])].into_iter().cycle();
        let read = |pid: u32| Some(Process { pid, ..super::super::unit::tests::process(0, 0, false) });
        let seen = until_settled(|| listings.next().unwrap(), read);
        assert!(seen.is_settled && seen.processes.len() == 2);
        assert!(super::super::lacks(&[read(1).unwrap()], false)[0].contains("ended before they were read"));
    }
}
