//! A process as /proc has it: whether the guard is in it, and what the guard's memory says.

use portcullis_policy::beacon as at;
use portcullis_policy::format::Header;
use portcullis_policy::{GLOBAL_SCOPE, Mode, Policy, Rule};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The largest policy that is read out of a process's memory, in bytes.
const POLICY_MAX: usize = 1 << 30;
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
    /// The mode of `egress-port` and of `shell-spawn`, outside of virtual hosts.
    pub modes: [Mode; 2],
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

/// Reads a process; `None` where it is gone, or is the kernel's.
pub fn read(pid: u32) -> Option<Process> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let maps = std::fs::read_to_string(folder.join("maps"));
    if maps.as_ref().is_ok_and(String::is_empty) {
        return None;
    }
    let line = std::fs::read(folder.join("cmdline")).ok()?;
    let command = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    let is_supervisor = line.starts_with(b"portcullis\0supervise\0") || command.ends_with("/portcullis supervise");
    let guard = match maps {
        Ok(maps) => guard(&folder, &maps),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    Some(Process { pid, unit: unit(&folder), command, guard, is_supervisor })
}

/// Every process that can be seen.
pub fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut pids: Vec<u32> = pids.filter(|&pid| pid != std::process::id()).collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(read).collect()
}

/// The unit that a process belongs to by its control group.
fn unit(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
    // `ID:CONTROLLERS:PATH`; of a hierarchy of its own for systemd, or of the only one.
    let groups = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let unit = |group: &str| group.split('/').rev().find(|part| part.ends_with(".service")).map(str::to_owned);
    groups.filter_map(unit).next().unwrap_or_default()
}

/// A mapping: where it lies, and what of.
struct Mapping<'m> {
    start: u64,
    end: u64,
    path: &'m str,
}

fn mappings(maps: &str) -> impl Iterator<Item = Mapping<'_>> {
    maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let mut fields = rest.splitn(5, ' ');
        fields.nth(3)?;
        Some(Mapping { start: hex(start)?, end: hex(end)?, path: fields.next().unwrap_or_default().trim_start() })
    })
}

fn is_library(mapping: &Mapping<'_>) -> bool {
    mapping.path.trim_end_matches(" (deleted)").ends_with("/libportcullis.so")
}

fn guard(folder: &Path, maps: &str) -> Result<Guard, String> {
    let mapped: Vec<Mapping<'_>> = mappings(maps).filter(is_library).collect();
    if mapped.is_empty() {
        return Err(absent(folder, maps));
    }
    let memory = File::open(folder.join("mem")).map_err(|error| format!("its memory cannot be read: {error}"))?;
    let word = |place: u64| {
        let mut bytes = [0; 8];
        memory.read_exact_at(&mut bytes, place).ok().map(|()| u64::from_ne_bytes(bytes))
    };
    let beacon = mapped.iter().find_map(|mapping| {
        let size = usize::try_from(mapping.end.checked_sub(mapping.start)?).ok()?;
        let mut bytes = vec![0; size.min(1 << 24)];
        memory.read_exact_at(&mut bytes, mapping.start).ok()?;
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
    let _ = memory.read_exact_at(&mut role, address(at::ROLE_AT));
    let shared = word(address(at::SHARED_AT)).filter(|&shared| shared != 0).unwrap_or(address(at::OWN_AT));
    let mut counted = vec![0; at::COUNTERS_SIZE];
    let _ = memory.read_exact_at(&mut counted, shared);
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
        policy: in_force(folder, maps, &memory, policy).ok_or("its policy cannot be read")?,
        counters: counters(&counted),
    })
}

fn counters(bytes: &[u8]) -> Counters {
    let number = |place: usize| {
        let bytes = bytes.get(place..place + 8).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        u64::from_ne_bytes(bytes)
    };
    let sum = |of: usize| (0..at::SHARDS).map(|shard| number(at::FIRST_SHARD + shard * at::SHARD_SIZE + of)).sum();
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

/// The digest and the modes of a compiled policy.
pub fn facts(bytes: &[u8]) -> Option<(u64, [Mode; 2])> {
    let policy = Policy::new(bytes).ok()?;
    let modes = [Rule::EgressPort, Rule::ShellSpawn].map(|rule| policy.mode(GLOBAL_SCOPE, rule));
    Some((policy.digest(), modes))
}

/// The policy whose bytes lie at `place` in a process; the built-in one for 0.
fn in_force(folder: &Path, maps: &str, memory: &File, place: u64) -> Option<InForce> {
    if place == 0 {
        return Some(InForce { digest: 0, modes: [Mode::Audit; 2], file: None, is_current: true });
    }
    let mapping = mappings(maps).find(|mapping| mapping.start == place)?;
    let mut header = vec![0; size_of::<Header>()];
    memory.read_exact_at(&mut header, place).ok()?;
    let mut bytes = vec![0; Policy::length(&header).filter(|&length| length <= POLICY_MAX)?];
    memory.read_exact_at(&mut bytes, place).ok()?;
    let (digest, modes) = facts(&bytes)?;
    let file = PathBuf::from(mapping.path.trim_end_matches(" (deleted)"));
    let seen = folder.join("root").join(file.strip_prefix("/").unwrap_or(&file));
    // A worker may have changed its root since.
    let now = File::open(seen).or_else(|_| File::open(&file)).and_then(|file| {
        let mut now = vec![0; header.len()];
        file.read_exact_at(&mut now, 0).map(|()| now)
    });
    let is_current = now.is_ok_and(|now| now == header);
    Some(InForce { digest, modes, file: Some(file), is_current })
}

/// Why the guard is not in a process.
fn absent(folder: &Path, maps: &str) -> String {
    let auxiliary = std::fs::read(folder.join("auxv")).unwrap_or_default();
    let secure = auxiliary.chunks_exact(16).any(|entry| {
        let number = |range: std::ops::Range<usize>| entry[range].try_into().map(u64::from_ne_bytes).unwrap_or(0);
        number(0..8) == AT_SECURE && number(8..16) != 0
    });
    let environment = std::fs::read(folder.join("environ")).unwrap_or_default();
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
    fn mappings_are_read() {
        let maps = "7f0000000000-7f0000001000 r--p 00000000 fd:01 77  /usr/lib/libportcullis.so (deleted)\n7f1-7f2 rw-p 0 0:0 0\n";
        let all: Vec<Mapping<'_>> = mappings(maps).collect();
        assert_eq!((all[0].start, is_library(&all[0])), (0x7f00_0000_0000, true));
        assert_eq!(all[1].path, "");
    }
}
