//! The guard in a process: whether root's library is mapped there, and what the guard's memory says.

use super::facts::fact;
use super::memory::{Mapping, Memory, mappings};
use super::policy::{self, InForce, Unread};
use super::process::{Look, Unknown};
use portcullis_config::trust;
use portcullis_policy::beacon as at;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// How many mappings of the library are looked at, and how much of each.
const LIBRARIES_MAX: usize = 32;
/// How many mappings are looked at that have its name, each of them root's or another's.
const NAMED_MAX: usize = 4096;
const LIBRARY_MAX: usize = 1 << 24;
/// The entry of the auxiliary vector that says whether the loader was to trust the environment (getauxval(3)).
const AT_SECURE: u64 = 23;

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

/// Counters; of one stream of events.
#[derive(Clone, Default, Debug)]
pub struct Counters {
    /// Names the stream; 0 where nothing has been counted.
    pub stream: u64,
    /// When counting began: at the start of the server, or at a reload that starts its program again. `None` where that is not known.
    pub since: Option<SystemTime>,
    /// Events.
    pub events: u64,
    /// Of these, what a sink did not take.
    pub dropped: u64,
    /// Actions that were decided on.
    pub decisions: u64,
    /// Events of actions that went ahead.
    pub audits: u64,
    /// Events of actions that were blocked.
    pub denials: u64,
    /// Of both, what was not written but counted into another event.
    pub merged: u64,
    /// What is known of the requests of these processes: bits of the beacon's.
    pub requests: u64,
}

/// Why nothing is known of a guard in a process.
pub struct Absence {
    /// In words.
    pub message: String,
    /// Whether the guard is in it is unknown.
    pub unknown: Option<Unknown>,
}

impl Absence {
    /// For a reason that is no bound of this command.
    pub fn new(message: impl Into<String>) -> Absence {
        Absence { message: message.into(), unknown: None }
    }
}

fn is_library(mapping: &Mapping<'_>) -> bool {
    mapping.path.trim_end_matches(" (deleted)").ends_with("/libportcullis.so")
}

/// Whether a mapped file is root's, or the caller's, and nobody else can write it; `None` if that cannot be told. Its path is the
/// process's to choose, by a mount or a folder of its own: the kernel's record of the mapping is asked.
fn is_roots(look: &Look, task: &Path, mapping: &Mapping<'_>) -> Option<bool> {
    if !look.devices().has(mapping) {
        return Some(false);
    }
    let owners = trust::owners(Path::new("/"));
    let is_fine = |meta: &Metadata| owners.contains(&meta.uid()) && meta.mode() & 0o022 == 0;
    match std::fs::metadata(look.mapped(task, mapping)) {
        Ok(meta) => Some(is_fine(&meta)),
        // The record is for root alone. Whoever else asks looks at the path, where no other user can have laid what never answers.
        Err(_) => {
            let path = Path::new(mapping.path.trim_end_matches(" (deleted)"));
            let roots = std::iter::once(Path::new("/").to_owned());
            let roots = roots.chain(policy::root_of(task).map(|_| task.join("root/.")));
            let mut found = roots.filter_map(|root| trust::walk(&root, path, &owners, true).ok()?);
            found.any(|meta| mapping.is_of(&meta)).then_some(true)
        }
    }
}

/// The guard in the process with a task that has this folder in /proc, and these mappings.
pub fn guard(look: &Look, folder: &Path, maps: &str) -> Result<Guard, Absence> {
    let named: Vec<Mapping<'_>> = mappings(maps).filter(is_library).collect();
    if named.is_empty() {
        return Err(Absence::new(absent(folder, maps)));
    }
    let mut answers: BTreeMap<_, Option<bool>> = BTreeMap::new();
    let mut answer =
        |mapping: &Mapping<'_>| *answers.entry(mapping.file()).or_insert_with(|| is_roots(look, folder, mapping));
    let (mut mapped, mut is_unknown) = (Vec::new(), false);
    // Any number of others may be mapped before it.
    for mapping in named.iter().take(NAMED_MAX) {
        match answer(mapping) {
            Some(true) => mapped.push(mapping),
            Some(false) => {}
            None => is_unknown = true,
        }
    }
    mapped.truncate(LIBRARIES_MAX);
    match named.first().filter(|_| mapped.is_empty()) {
        Some(_) if is_unknown => {
            let message = "whose library is in it cannot be told".to_owned();
            return Err(Absence { message, unknown: Some(Unknown::Denied) });
        }
        Some(other) => {
            return Err(Absence::new(format!(
                "the library in it is not one that only root can write, so that nothing it says counts: {}",
                other.path
            )));
        }
        None => {}
    }
    let memory = Memory::open(folder, maps, look.devices()).map_err(Absence::new)?;
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
    let beacon = beacon.ok_or_else(|| {
        Absence::new("an earlier version of the library, which cannot be read; help: restart the unit")
    })?;
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
        policy: policy::in_force(look, folder, maps, &memory, policy).map_err(|why| Absence {
            message: "its policy cannot be read".to_owned(),
            unknown: (why == Unread::NoRoom).then_some(Unknown::NoRoom),
        })?,
        counters: Counters { since: made(folder, maps, shared), ..counters(&counted) },
    })
}

/// When the memory at an address was made that processes share: it is a file without a name, which nobody writes to by write(2).
fn made(folder: &Path, maps: &str, address: u64) -> Option<SystemTime> {
    let mapping = mappings(maps).find(|mapping| (mapping.start..mapping.end).contains(&address))?;
    let file = folder.join(format!("map_files/{:x}-{:x}", mapping.start, mapping.end));
    std::fs::metadata(file).and_then(|meta| meta.modified()).ok()
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
        since: None,
        events: number(at::SEQUENCE),
        dropped: number(at::DROPPED),
        decisions: sum(at::DECISIONS),
        audits: sum(at::AUDITS),
        denials: sum(at::DENIALS),
        merged: sum(at::MERGED),
        requests: number(at::REQUESTS),
    }
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
