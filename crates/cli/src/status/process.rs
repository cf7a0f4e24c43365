//! A process as /proc has it: whether the guard is in it, and what the guard's memory says.

use super::memory::{self, Devices, Mapping, Memory, mappings};
use crate::modes::{self, VhostsAlike};
use portcullis_config::modes::Modes;
use portcullis_config::reading::{self, Links};
use portcullis_policy::beacon as at;
use portcullis_policy::format::Header;
use portcullis_policy::{BackstopKind, GLOBAL_SCOPE, Mode, Policy};
use std::cell::Cell;
use std::path::{Path, PathBuf};
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
    /// Its command line.
    pub command: String,
    /// The guard in it, or why there is none.
    pub guard: Result<Guard, String>,
    /// It is the supervisor of a server.
    pub is_supervisor: bool,
    /// The process that forked it; 0 if it is unknown.
    pub parent: u32,
    /// A seccomp filter is loaded, as the backstop does in each worker.
    pub is_filtered: bool,
    /// It has only root's users: what has another one may have been told what to start.
    pub is_root: bool,
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
/// How much is read of a process's command line, of its environment and of other files about it, in bytes.
const FACTS_MAX: u64 = 1 << 18;
/// How much of the command line is shown.
const COMMAND_MAX: usize = 4096;
/// How long all processes together are looked at; what is left after that is not, and counts as not guarded.
const LOOKING: Duration = Duration::from_secs(20);
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
    begun: Instant,
}

impl StatusContext {
    fn new(proc: &Path) -> StatusContext {
        let own = group(&proc.join("1"));
        let manager = own.strip_suffix("/init.scope").or_else(|| own.strip_suffix("/")).unwrap_or(&own).to_owned();
        let devices = Devices::here(proc);
        StatusContext { proc: proc.to_owned(), devices, manager, left: Cell::new(POLICIES_MAX), begun: Instant::now() }
    }
}

/// Reads a process; `None` where it is gone, or is the kernel's.
pub fn read(pid: u32) -> Option<Process> {
    read_in(&StatusContext::new(Path::new(PROC)), pid)
}

fn read_in(around: &StatusContext, pid: u32) -> Option<Process> {
    let folder = around.proc.join(pid.to_string());
    let maps = memory::maps(&folder);
    if maps.as_ref().is_ok_and(String::is_empty) {
        return None;
    }
    let line = fact(&folder, "cmdline")?;
    let is_supervisor = line.starts_with(b"portcullis\0supervise\0");
    let command = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    let is_supervisor = is_supervisor || command.ends_with("/portcullis supervise");
    let guard = match maps {
        _ if around.begun.elapsed() > LOOKING => {
            Err("it was not looked at: looking at the others took too long".to_owned())
        }
        Ok(maps) => guard(around, &folder, &maps),
        Err(error) => Err(error),
    };
    let command = match command.char_indices().nth(COMMAND_MAX) {
        Some((end, _)) => format!("{}\u{2026}", &command[..end]),
        None => command,
    };
    let unit = unit(&group(&folder), &around.manager);
    let Origin { parent, is_filtered, is_root } =
        Origin::of(&String::from_utf8_lossy(&fact(&folder, "status").unwrap_or_default()));
    Some(Process { pid, unit, command, guard, is_supervisor, parent, is_filtered, is_root })
}

/// Facts of /proc/PID/status. The name of the process, which it can choose, has no line end.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    parent: u32,
    is_filtered: bool,
    is_root: bool,
}

impl Origin {
    fn of(status: &str) -> Origin {
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let mut users = of("Uid:").split_whitespace().peekable();
        Origin {
            parent: of("PPid:").parse().unwrap_or(0),
            // SECCOMP_MODE_FILTER (include/uapi/linux/seccomp.h).
            is_filtered: of("Seccomp:") == "2",
            is_root: users.peek().is_some() && users.all(|user| user == "0"),
        }
    }
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

/// A file about a process, its beginning where it is long.
fn fact(folder: &Path, name: &str) -> Option<Vec<u8>> {
    reading::head(&folder.join(name), Links::Refuse, FACTS_MAX).ok()
}

/// The control group of a process: in the one hierarchy, or, where that is not used, in systemd's own.
fn group(folder: &Path) -> String {
    let text = fact(folder, "cgroup").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // `ID:CONTROLLERS:PATH` (cgroups(7)).
    let of = |controllers: &str| {
        let mut groups = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        groups.find(|(these, _)| *these == controllers).map(|(_, path)| path.to_owned())
    };
    of("").filter(|path| path != "/").or_else(|| of("name=systemd")).unwrap_or_default()
}

/// The unit of the system that a control group belongs to: the first below the system's manager. What lies below that is named by whom it
/// was given to, a user's own manager or a container, and may have any name.
fn unit(group: &str, manager: &str) -> String {
    let below = group.strip_prefix(manager).unwrap_or(group);
    let mut units = below.split('/').filter(|part| part.ends_with(".service") || part.ends_with(".scope"));
    units.next().filter(|name| name.ends_with(".service")).unwrap_or_default().to_owned()
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
    let beacon = beacon.ok_or("an earlier version of the guard, which says nothing of itself: restart the server")?;
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
    let seen = folder.join("root").join(file.strip_prefix("/").unwrap_or(&file));
    // The process says which file it is: only root's own is opened. A worker may have changed its root since.
    let now = reading::open_trusted(&seen).or_else(|_| reading::open_trusted(&file)).ok();
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
    Some(InForce {
        digest: policy.digest(),
        modes: modes::compiled(&policy, GLOBAL_SCOPE),
        is_overridden: policy.is_overridden(),
        differing: modes::differing(&policy),
        is_supervised: policy.backstop().kind == BackstopKind::Supervise,
        file: Some(file),
        is_current,
    })
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
        false => "it was started without LD_PRELOAD: before the guard was installed, or by something that clears its environment".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_guarded() {
        let process = read(std::process::id()).unwrap();
        assert!(process.guard.err().unwrap().starts_with("it was started without LD_PRELOAD"));
        assert!(read(u32::MAX).is_none());
    }

    #[test]
    fn a_unit_is_one_of_the_systems() {
        for (group, manager, wanted) in [
            ("/system.slice/php8.2-fpm.service", "", "php8.2-fpm.service"),
            ("/system.slice/system-x.slice/x@a.service/inner", "", "x@a.service"),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/php8.2-fpm.service", "", "user@1000.service"),
            ("/user.slice/user-1000.slice/session-3.scope/php8.2-fpm.service", "", ""),
            ("/system.slice/docker-ab.scope/system.slice/nginx.service", "", ""),
            ("/machine/one/system.slice/nginx.service", "/machine/one", "nginx.service"),
            ("/a.scope/payload/system.slice/nginx.service", "/a.scope/payload", "nginx.service"),
            ("/user.slice", "", ""),
        ] {
            assert_eq!(unit(group, manager), wanted, "{group}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cgroup"), "8:pids:/forged.service\n9:name=systemd:/a:b.service\n0::/\n")
            .unwrap();
        assert_eq!(group(folder.path()), "/a:b.service");
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

    #[test]
    fn where_a_process_comes_from() {
        let status = |uid: &str| format!("Name:\tUid: PPid:\nPPid:\t7\nUid:\t{uid}\n");
        assert_eq!(Origin::of(&status("0\t0\t0\t0")), Origin { parent: 7, is_filtered: false, is_root: true });
        assert_eq!(Origin::of(&status("33\t0\t0\t0")), Origin { parent: 7, is_filtered: false, is_root: false });
        assert_eq!(Origin::of(&status("33\t33\t33\t33")), Origin { parent: 7, is_filtered: false, is_root: false });
        assert_eq!(Origin::of(""), Origin { parent: 0, is_filtered: false, is_root: false });
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
        for name in ["maps", "cmdline", "cgroup", "mem", "environ", "auxv", "root", "odd"] {
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
    }
}
