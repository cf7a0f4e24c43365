//! A process as /proc has it: whether the guard is in it, and what the guard's memory says.

use super::claim::Claim;
use super::facts::{self, Facts, fact, group};
use super::lineage::Descent;
use super::memory::{self, Devices, Mapping, Memory, mappings};
use crate::modes::{self, VhostsAlike};
use portcullis_config::modes::Modes;
use portcullis_config::reading;
use portcullis_policy::beacon as at;
use portcullis_policy::format::Header;
use portcullis_policy::{BackstopKind, GLOBAL_SCOPE, Mode, Policy};
use rustix::fs::OFlags;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The largest policy that is read, in bytes.
const POLICY_MAX: usize = 256 << 20;
/// How many mappings of the library are looked at, and how much of each.
const LIBRARIES_MAX: usize = 32;
const LIBRARY_MAX: usize = 1 << 24;
/// The entry of the auxiliary vector that says whether the loader was to trust the environment (getauxval(3)).
const AT_SECURE: u64 = 23;

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
    /// This user may not read it, so that whether the guard is in it is unknown.
    pub is_unread: bool,
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

/// The guard in a process.
pub struct Guard {
    /// Its version.
    pub version: String,
    /// `master`, `serving` or `descendant`.
    pub role: &'static str,
    /// The policy in force.
    pub policy: InForce,
    /// What is counted by it and all that share its counters.
    pub counters: Counters,
}

/// The policy in force in a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InForce {
    /// Its digest; 0 for the built-in one.
    pub digest: u64,
    /// The modes outside of virtual hosts.
    pub modes: Modes,
    /// One mode overrides every other.
    pub is_overridden: bool,
    /// The virtual hosts with other modes.
    pub differing: Vec<VhostsAlike>,
    /// A supervisor is to judge what does not come through the hooks.
    pub is_supervised: bool,
    /// The file that it was mapped from; `None` for the built-in one.
    pub file: Option<PathBuf>,
    /// Whether what lies there now is the same.
    pub is_current: bool,
    /// The compiled policy; empty for the built-in one.
    pub bytes: Rc<Vec<u8>>,
}

/// Counters; of one stream of events.
#[derive(Clone, Default, Debug)]
pub struct Counters {
    /// Names the stream; 0 where nothing has been counted.
    pub stream: u64,
    /// Events.
    pub events: u64,
    /// Of these, what a sink did not take.
    pub dropped: u64,
    /// Actions that were decided on.
    pub decisions: u64,
    /// Events of actions that went ahead.
    pub audits: u64,
    /// Events of actions that were refused.
    pub denials: u64,
    /// Of both, what was not written but counted into another event.
    pub merged: u64,
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

/// Facts that are read once for all processes.
struct StatusContext {
    proc: PathBuf,
    devices: Devices,
    /// The control group of the manager of the system's units.
    manager: String,
    /// Bytes of policies that may still be read.
    left: Cell<usize>,
    /// Policies by their digest, so that processes with the same one share it.
    policies: RefCell<BTreeMap<u64, Rc<Vec<u8>>>>,
    begun: Instant,
}

impl StatusContext {
    fn new(proc: &Path) -> StatusContext {
        let own = group(&proc.join("1"));
        let manager = own.strip_suffix("/init.scope").or_else(|| own.strip_suffix("/")).unwrap_or(&own).to_owned();
        let devices = Devices::here(proc);
        let (left, policies) = (Cell::new(POLICIES_MAX), RefCell::default());
        StatusContext { proc: proc.to_owned(), devices, manager, left, policies, begun: Instant::now() }
    }

    /// The same bytes, shared with another process that has them. A process can have any digest in its memory.
    fn shared(&self, digest: u64, bytes: Vec<u8>) -> Rc<Vec<u8>> {
        let mut policies = self.policies.borrow_mut();
        let known = policies.entry(digest).or_insert_with(|| Rc::new(bytes.clone()));
        if **known == bytes { known.clone() } else { Rc::new(bytes) }
    }
}

/// Reads a process; `None` where it is gone, or is the kernel's.
pub fn read(pid: u32) -> Option<Process> {
    read_in(&StatusContext::new(Path::new(PROC)), pid)
}

fn read_in(around: &StatusContext, pid: u32) -> Option<Process> {
    let folder = around.proc.join(pid.to_string());
    let facts = Facts::of(&folder);
    let maps = memory::maps(&folder);
    if facts.is_none || maps.as_ref().is_ok_and(String::is_empty) {
        return None;
    }
    let line = fact(&folder, "cmdline")?;
    let is_supervisor = line.starts_with(b"portcullis\0supervise\0");
    let command = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    let is_supervisor = is_supervisor || command.ends_with("/portcullis supervise");
    let is_late = around.begun.elapsed() > LOOKING;
    let is_unread = maps.as_ref().is_err_and(|failure| failure.is_denied);
    let guard = match &maps {
        _ if is_late => Err("it was not looked at: looking at the others took too long".to_owned()),
        Ok(maps) => guard(around, &folder, maps),
        Err(failure) => Err(failure.message.clone()),
    };
    let command = match command.char_indices().nth(COMMAND_MAX) {
        Some((end, _)) => format!("{}\u{2026}", &command[..end]),
        None => command,
    };
    // What a server itself was started with says nothing of a request.
    let may_descend = !is_late && guard.as_ref().map_or(true, |guard| guard.role == "descendant");
    let claim = if may_descend { Claim::of(&folder) } else { None };
    let holds_policy = may_descend && guard.is_err() && holds_policy(&folder, maps.as_deref().unwrap_or_default());
    let (unit, is_own) = facts::unit(&facts.group, &around.manager);
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
        is_unread,
        is_supervisor,
        facts,
        claim,
        holds_policy,
        descent: None,
    })
}

/// Whether a process has a policy that was handed down in memory.
fn holds_policy(folder: &Path, maps: &str) -> bool {
    let leads_there =
        |entry: &std::fs::DirEntry| std::fs::read_link(entry.path()).is_ok_and(|link| is_in_memory(&link));
    mappings(maps).any(|mapping| is_in_memory(Path::new(mapping.path)))
        || reading::entries(&folder.join("fd"), DESCRIPTORS_MAX).is_ok_and(|all| all.iter().any(leads_there))
}

/// Every process that can be seen.
pub fn all() -> Vec<Process> {
    all_in(Path::new(PROC))
}

fn all_in(proc: &Path) -> Vec<Process> {
    let around = StatusContext::new(proc);
    let entries = reading::entries(proc, usize::MAX).unwrap_or_default();
    let pids = entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut pids: Vec<u32> = pids.filter(|&pid| pid != std::process::id()).collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(|pid| read_in(&around, pid)).collect()
}

fn is_library(mapping: &Mapping<'_>) -> bool {
    mapping.path.trim_end_matches(" (deleted)").ends_with("/libportcullis.so")
}

fn guard(around: &StatusContext, folder: &Path, maps: &str) -> Result<Guard, String> {
    let mapped: Vec<Mapping<'_>> = mappings(maps).filter(is_library).take(LIBRARIES_MAX).collect();
    if mapped.is_empty() {
        return Err(absent(folder, maps));
    }
    let memory = Memory::open(folder, maps, &around.devices)?;
    let word = |place: u64| {
        let mut bytes = [0; 8];
        memory.read(place, &mut bytes).map(|()| u64::from_ne_bytes(bytes))
    };
    let beacon = mapped.iter().find_map(|mapping| {
        let size = usize::try_from(mapping.end.checked_sub(mapping.start)?).ok()?;
        let mut bytes = vec![0; size.min(LIBRARY_MAX)];
        memory.read(mapping.start, &mut bytes)?;
        let candidates = (0..bytes.len().saturating_sub(at::SIZE - 1))
            .step_by(8)
            .filter_map(|place| bytes.get(place..place + at::SIZE));
        // The last page of the mapping before has the same bytes as they lie in the file, without addresses.
        let found = candidates
            .filter(|found| found.starts_with(&at::MAGIC))
            .find(|found| found[at::ROLE_AT..at::POLICY_AT] != [0; 8]);
        found.map(<[u8]>::to_vec)
    });
    let beacon = beacon.ok_or("an earlier version of the library, which cannot be read; help: restart the unit")?;
    let address = |offset: usize| {
        let bytes = beacon.get(offset..offset + 8).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        u64::from_ne_bytes(bytes)
    };
    let mut role = [0];
    let _ = memory.read(address(at::ROLE_AT), &mut role);
    let shared = word(address(at::SHARED_AT)).filter(|&shared| shared != 0).unwrap_or(address(at::OWN_AT));
    let mut counted = vec![0; at::COUNTERS_SIZE];
    let _ = memory.read(shared, &mut counted);
    let policy = word(address(at::POLICY_AT)).unwrap_or(0);
    let version = beacon[at::VERSION..at::ROLE_AT].split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(Guard {
        version: String::from_utf8_lossy(version).into_owned(),
        role: match role[0] {
            1 => "master",
            2 => "serving",
            3 => "descendant",
            _ => "starting",
        },
        policy: in_force(around, folder, maps, &memory, policy).ok_or("its policy cannot be read")?,
        counters: counters(&counted),
    })
}

fn counters(bytes: &[u8]) -> Counters {
    let number = |place: usize| {
        let bytes = bytes.get(place..place + 8).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        u64::from_ne_bytes(bytes)
    };
    let shards = |of: usize| (0..at::SHARDS).map(move |shard| at::FIRST_SHARD + shard * at::SHARD_SIZE + of);
    let sum = |of: usize| shards(of).fold(0, |sum: u64, place| sum.wrapping_add(number(place)));
    Counters {
        stream: number(at::STREAM),
        events: number(at::SEQUENCE),
        dropped: number(at::DROPPED),
        decisions: sum(at::DECISIONS),
        audits: sum(at::AUDITS),
        denials: sum(at::DENIALS),
        merged: sum(at::MERGED),
    }
}

/// How the file of a policy begins that is in memory, since there is no place for one.
const IN_MEMORY: &[u8] = b"/memfd:portcullis-policy";

fn is_in_memory(file: &Path) -> bool {
    file.as_os_str().as_encoded_bytes().starts_with(IN_MEMORY)
}

impl InForce {
    /// The one that holds where none was compiled.
    pub fn built_in() -> InForce {
        let modes = Modes::all(Mode::Audit);
        InForce {
            digest: 0,
            modes,
            is_overridden: false,
            differing: Vec::new(),
            is_supervised: false,
            file: None,
            is_current: true,
            bytes: Rc::default(),
        }
    }

    /// Whether it is in memory alone.
    pub fn is_in_memory(&self) -> bool {
        self.file.as_deref().is_some_and(is_in_memory)
    }
}

/// The policy whose bytes lie at `place` in a process; the built-in one for 0.
fn in_force(around: &StatusContext, folder: &Path, maps: &str, memory: &Memory, place: u64) -> Option<InForce> {
    if place == 0 {
        return Some(InForce::built_in());
    }
    let mapping = mappings(maps).find(|mapping| mapping.start == place)?;
    let mut header = vec![0; size_of::<Header>()];
    memory.read(place, &mut header)?;
    let length = Policy::length(&header).filter(|&length| length <= POLICY_MAX)?;
    let file = PathBuf::from(mapping.path.trim_end_matches(" (deleted)"));
    // The process says which file it is: only root's own is opened. A worker may have changed its root since.
    let seen = root_of(folder).and_then(|root| {
        let below = Path::new("/proc/self/fd").join(root.as_raw_fd().to_string());
        reading::open_trusted(&below.join(file.strip_prefix("/").unwrap_or(&file))).ok()
    });
    let now = seen.or_else(|| reading::open_trusted(&file).ok());
    let now = now.and_then(|file| reading::rest(file, POLICY_MAX as u64).ok()).filter(|now| now.starts_with(&header));
    let is_current = now.is_some() || is_in_memory(&file);
    let bytes = match now {
        Some(now) => now,
        None => {
            around.left.set(around.left.get().checked_sub(length)?);
            let mut bytes = vec![0; length];
            memory.read(place, &mut bytes)?;
            bytes
        }
    };
    let policy = Policy::new(&bytes).ok()?;
    let in_force = InForce {
        digest: policy.digest(),
        modes: modes::compiled(&policy, GLOBAL_SCOPE),
        is_overridden: policy.is_overridden(),
        differing: modes::differing(&policy),
        is_supervised: policy.backstop().kind == BackstopKind::Supervise,
        file: Some(file),
        is_current,
        bytes: Rc::default(),
    };
    Some(InForce { bytes: around.shared(in_force.digest, bytes), ..in_force })
}

/// The root folder of a process, unless it is in another user namespace: there it may have mounted what never answers, as an overlay of
/// a FUSE file system, and looking a path up would wait for ever. No process returns from one, so that the second look tells that of the
/// first, too.
fn root_of(folder: &Path) -> Option<OwnedFd> {
    let is_ours = || {
        let own = std::fs::read_link("/proc/self/ns/user").ok()?;
        (std::fs::read_link(folder.join("ns/user")).ok()? == own).then_some(())
    };
    is_ours()?;
    let root = rustix::fs::open(folder.join("root"), OFlags::PATH | OFlags::CLOEXEC, rustix::fs::Mode::empty()).ok()?;
    is_ours()?;
    Some(root)
}

/// Why the guard is not in a process.
fn absent(folder: &Path, maps: &str) -> String {
    let auxiliary = fact(folder, "auxv").unwrap_or_default();
    let secure = auxiliary.chunks_exact(16).any(|entry| {
        let number = |range: std::ops::Range<usize>| entry[range].try_into().map(u64::from_ne_bytes).unwrap_or(0);
        number(0..8) == AT_SECURE && number(8..16) != 0
    });
    let environment = fact(folder, "environ").unwrap_or_default();
    let preload = environment.split(|&byte| byte == 0).any(|entry| {
        entry.starts_with(b"LD_PRELOAD=")
            && entry.ends_with(b".so")
            && entry.windows(13).any(|part| part == b"libportcullis")
    });
    let has_loader =
        mappings(maps).any(|mapping| mapping.path.contains("/ld-linux") || mapping.path.contains("/ld.so"));
    if secure {
        return "the loader ignored LD_PRELOAD (AT_SECURE): a setuid program, file capabilities, or a change of SELinux's or AppArmor's confinement".into();
    }
    if !has_loader {
        return "it has no loader that could load it: a static program, or one made for another libc".into();
    }
    match preload {
        true => "LD_PRELOAD names it, and the loader did not load it: is the library there, and readable?".into(),
        false => {
            "started without LD_PRELOAD; help: restart the unit; if this stays, a wrapper clears the environment".into()
        }
    }
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
            assert_eq!(StatusContext::new(proc.path()).manager, wanted, "{group}");
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
        let all = all_in(root.path());
        assert!(begun.elapsed() < LOOKING, "{:?}", begun.elapsed());
        assert!(all.len() > 30 && all.iter().all(|process| process.guard.is_err()));
    }

    #[test]
    fn a_policy_is_compared_with_a_file_of_roots_alone() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let policy = portcullis_config::compile(&portcullis_config::Config::default());
        lie(root.path(), 7, "odd", "");
        std::fs::create_dir_all(at("7/ns")).unwrap();
        let of_user = |name: &str| {
            let _ = std::fs::remove_file(at("7/ns/user"));
            std::os::unix::fs::symlink(name, at("7/ns/user")).unwrap();
        };
        let own = std::fs::read_link("/proc/self/ns/user").unwrap();
        of_user(own.to_str().unwrap());
        let fifo = at("7/root/srv/fifo");
        std::fs::create_dir_all(fifo.parent().unwrap()).unwrap();
        let maps = format!("{:x}-{:x} r--p 0 00:00 9 /srv/fifo\n", 0x2000, 0x2000 + policy.len());
        std::fs::write(at("7/mem"), [vec![0; 0x2000], policy.clone()].concat()).unwrap();
        let around = StatusContext::new(root.path());
        let memory = Memory::open(&at("7"), &maps, &around.devices).unwrap();
        let now = || in_force(&around, &at("7"), &maps, &memory, 0x2000).unwrap().is_current;
        assert!(!now());
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(!now(), "a FIFO is not opened");
        std::fs::remove_file(&fifo).unwrap();
        std::fs::write(&fifo, &policy).unwrap();
        assert!(now());
        std::fs::set_permissions(&fifo, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        assert!(!now(), "anybody can write it");
        std::fs::set_permissions(&fifo, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(now());
        of_user("user:[1]");
        assert!(!now(), "it can mount there what never answers");
    }
}
