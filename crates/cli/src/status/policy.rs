//! The policy that is in force in a process.
//!
//! **Invariant**: the process says where its policy lies; what is said of it is from a file of root's, or marked as the process's own.

use super::memory::{Memory, mappings};
use super::process::Look;
use crate::modes::{self, VhostsAlike};
use portcullis_config::modes::Modes;
use portcullis_config::reading;
use portcullis_policy::format::Header;
use portcullis_policy::{BackstopKind, GLOBAL_SCOPE, Mode, Policy};
use rustix::fs::OFlags;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The largest policy that is read, in bytes.
const POLICY_MAX: usize = 256 << 20;

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
    /// Where events go: bits of sinks.
    pub sinks: u32,
    /// A supervisor is to judge what does not come through the hooks.
    pub is_supervised: bool,
    /// The file that it was mapped from; `None` for the built-in one.
    pub file: Option<PathBuf>,
    /// Whether what lies there now is the same.
    pub is_current: bool,
    /// What is said of it is from a file of root's, and not from the process's memory.
    pub is_roots: bool,
    /// The compiled policy; empty for the built-in one.
    pub bytes: Rc<Vec<u8>>,
}

/// How the file of a policy begins that is in memory, since there is no place for one.
const IN_MEMORY: &[u8] = b"/memfd:portcullis-policy";

pub fn is_in_memory(file: &Path) -> bool {
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
            sinks: portcullis_config::built_in().sinks.iter().fold(0, |bits, sink| bits | sink.bit()),
            is_supervised: false,
            file: None,
            is_current: true,
            is_roots: true,
            bytes: Rc::default(),
        }
    }

    /// Whether it is in memory alone.
    pub fn is_in_memory(&self) -> bool {
        self.file.as_deref().is_some_and(is_in_memory)
    }
}

/// Why there is nothing to say of a policy.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It cannot be read, or is none.
    Unreadable,
    /// The policies of the processes that were read before it have taken all the memory that there is for them.
    NoRoom,
}

/// The policy whose bytes lie at `place` in a process; the built-in one for 0.
pub fn in_force(look: &Look, folder: &Path, maps: &str, memory: &Memory, place: u64) -> Result<InForce, Unread> {
    if place == 0 {
        return Ok(InForce::built_in());
    }
    let mapping = mappings(maps).find(|mapping| mapping.start == place).ok_or(Unread::Unreadable)?;
    let mut header = vec![0; size_of::<Header>()];
    memory.read(place, &mut header).ok_or(Unread::Unreadable)?;
    let length = Policy::length(&header).filter(|&length| length <= POLICY_MAX).ok_or(Unread::Unreadable)?;
    let file = PathBuf::from(mapping.path.trim_end_matches(" (deleted)"));
    // The process says which file it is: only root's own is opened. A worker may have changed its root since.
    let seen = root_of(folder).and_then(|root| {
        let below = Path::new("/proc/self/fd").join(root.as_raw_fd().to_string());
        reading::open_trusted(&below.join(file.strip_prefix("/").unwrap_or(&file))).ok()
    });
    let now = seen.or_else(|| reading::open_trusted(&file).ok());
    let now = now.and_then(|file| reading::rest(file, POLICY_MAX as u64).ok()).filter(|now| now.starts_with(&header));
    let is_roots = now.is_some();
    let is_current = is_roots || is_in_memory(&file);
    let bytes = match now {
        Some(now) => now,
        None => {
            look.take(length).ok_or(Unread::NoRoom)?;
            let mut bytes = vec![0; length];
            memory.read(place, &mut bytes).ok_or(Unread::Unreadable)?;
            bytes
        }
    };
    let policy = Policy::new(&bytes).map_err(|_| Unread::Unreadable)?;
    let in_force = InForce {
        digest: policy.digest(),
        modes: modes::compiled(&policy, GLOBAL_SCOPE),
        is_overridden: policy.is_overridden(),
        differing: modes::differing(&policy),
        sinks: policy.sinks(),
        is_supervised: policy.backstop().kind == BackstopKind::Supervise,
        file: Some(file),
        is_current,
        is_roots,
        bytes: Rc::default(),
    };
    Ok(InForce { bytes: look.shared(in_force.digest, bytes), ..in_force })
}

/// The root folder of a process, unless it is in another user namespace: there it may have mounted what never answers, as an overlay of
/// a FUSE file system, and looking a path up would wait for ever. No process returns from one, so that the second look tells that of the
/// first, too.
pub fn root_of(folder: &Path) -> Option<OwnedFd> {
    let is_ours = || {
        let own = std::fs::read_link("/proc/self/ns/user").ok()?;
        (std::fs::read_link(folder.join("ns/user")).ok()? == own).then_some(())
    };
    is_ours()?;
    let root = rustix::fs::open(folder.join("root"), OFlags::PATH | OFlags::CLOEXEC, rustix::fs::Mode::empty()).ok()?;
    is_ours()?;
    Some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_compared_with_a_file_of_roots_alone() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let policy = portcullis_config::compile(&portcullis_config::Config::default());
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
        let look = Look::new(root.path());
        let memory = Memory::open(&at("7"), &maps, look.devices()).unwrap();
        let now = || in_force(&look, &at("7"), &maps, &memory, 0x2000).unwrap().is_current;
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
