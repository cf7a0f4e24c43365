//! Reads the memory of another process, where reading does not depend on that process.
//!
//! A page of a file is read from its file system. Any user can mount one that a program of theirs answers for (FUSE), map a file of it, and
//! let whoever reads that memory wait for ever. So only memory is read that the kernel itself has: anonymous memory, shared memory, and
//! files of the file systems that are mounted here.

use portcullis_config::reading::{self, Links};
use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// The largest list of mappings that is read, in bytes. A server has some hundred, of 100 bytes each.
const MAPS_MAX: u64 = 8 << 20;
/// The largest list of mounts.
const MOUNTS_MAX: u64 = 16 << 20;
/// How file systems are called for which a program of a user may answer.
const ANSWERED: &str = "fuse";

/// A mapping: where it lies, and what of.
pub struct Mapping<'m> {
    pub start: u64,
    pub end: u64,
    pub path: &'m str,
    device: Option<(u64, u64)>,
    inode: u64,
}

impl Mapping<'_> {
    /// What tells its file from others.
    pub fn file(&self) -> (Option<(u64, u64)>, u64) {
        (self.device, self.inode)
    }

    /// Whether it is of this file. What one file system has on several anonymous devices, as btrfs, it calls here and there by
    /// different ones.
    pub fn is_of(&self, meta: &Metadata) -> bool {
        let (major, minor) = (u64::from(libc::major(meta.dev())), u64::from(libc::minor(meta.dev())));
        let is_there = self.device.is_some_and(|device| device == (major, minor) || (device.0, major) == (0, 0));
        is_there && meta.ino() == self.inode
    }
}

/// The mappings of a list of them.
pub fn mappings(maps: &str) -> impl Iterator<Item = Mapping<'_>> {
    maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let mut fields = rest.splitn(5, ' ');
        let device = fields.nth(2)?.split_once(':').and_then(|(major, minor)| hex(major).zip(hex(minor)));
        let inode = fields.next()?.parse().ok()?;
        Some(Mapping {
            start: hex(start)?,
            end: hex(end)?,
            path: fields.next().unwrap_or_default().trim_start(),
            device,
            inode,
        })
    })
}

/// Why the mappings of a process are not known.
#[derive(Debug, Default)]
pub struct Failure {
    /// In words.
    pub message: String,
    /// This user may not read them.
    pub is_denied: bool,
    /// Whose they were has ended.
    pub is_gone: bool,
    /// The process goes on, and each of its threads has ended before it was read.
    pub is_restless: bool,
}

/// The list of mappings of the process with this folder in /proc.
pub fn maps(folder: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure {
        message: format!("cannot be read: {error}"),
        is_denied: error.kind() == std::io::ErrorKind::PermissionDenied,
        is_gone: error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH),
        is_restless: false,
    };
    let bytes = reading::bytes(&folder.join("maps"), Links::Refuse, MAPS_MAX).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The devices whose files can be read without waiting for a user's program.
pub struct Devices(BTreeSet<(u64, u64)>);

impl Devices {
    /// Those of this process's mounts, and of memory that is shared.
    pub fn here(proc: &Path) -> Devices {
        let bytes = reading::bytes(&proc.join("self/mountinfo"), Links::Follow, MOUNTS_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut known: BTreeSet<(u64, u64)> = text.lines().filter_map(mounted).collect();
        // Shared anonymous memory is a file of a file system that is mounted nowhere.
        let shared = rustix::fs::memfd_create("portcullis", rustix::fs::MemfdFlags::CLOEXEC).map(File::from);
        if let Some(meta) = shared.ok().and_then(|file| file.metadata().ok()) {
            known.insert((u64::from(libc::major(meta.dev())), u64::from(libc::minor(meta.dev()))));
        }
        Devices(known)
    }

    /// Whether reading what is mapped waits for no user's program.
    pub fn has(&self, mapping: &Mapping<'_>) -> bool {
        match mapping.device {
            // Anonymous memory; or a file of a disk, which a user cannot mount.
            Some((major, minor)) => (major, minor) == (0, 0) || major != 0 || self.0.contains(&(major, minor)),
            None => false,
        }
    }
}

/// The device of a line of mountinfo (proc(5)); `None` where a user's program may answer for it.
fn mounted(line: &str) -> Option<(u64, u64)> {
    let (major, minor) = line.split(' ').nth(2)?.split_once(':')?;
    let (_, kind) = line.rsplit_once(" - ")?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    (!kind.starts_with(ANSWERED)).then_some(device)
}

/// The memory of a process.
pub struct Memory {
    file: File,
    /// What of it can be read, in order.
    ranges: Vec<(u64, u64)>,
}

impl Memory {
    pub fn open(folder: &Path, maps: &str, devices: &Devices) -> Result<Memory, String> {
        let failed = |error: std::io::Error| format!("its memory cannot be read: {error}");
        let file = reading::open(&folder.join("mem"), Links::Refuse).map_err(failed)?;
        let readable = mappings(maps).filter(|mapping| devices.has(mapping));
        Ok(Memory { file, ranges: readable.map(|mapping| (mapping.start, mapping.end)).collect() })
    }

    /// Fills `bytes` with what lies at `place`; `None` where that cannot be read as a whole.
    pub fn read(&self, place: u64, bytes: &mut [u8]) -> Option<()> {
        let end = place.checked_add(bytes.len() as u64)?;
        let mut at = place;
        for &(from, to) in &self.ranges {
            if from <= at && at < to {
                at = to;
            }
            if at >= end {
                break;
            }
        }
        (at >= end).then_some(())?;
        self.file.read_exact_at(bytes, place).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read() {
        let maps =
            "7f0000000000-7f0000001000 r--p 00000000 fd:01 77  /usr/lib/a b.so (deleted)\n7f1-7f2 rw-p 0 0:0 0\nx\n";
        let all: Vec<Mapping<'_>> = mappings(maps).collect();
        assert_eq!(
            (all[0].start, all[0].path, all[0].device),
            (0x7f00_0000_0000, "/usr/lib/a b.so (deleted)", Some((0xfd, 1)))
        );
        assert_eq!((all[1].path, all.len()), ("", 2));
    }

    #[test]
    fn memory_that_a_users_program_answers_for_is_not_read() {
        let mounts = [
            "1 0 0:50 / /srv rw - tmpfs tmpfs rw",
            "2 0 0:51 / /home/x rw - fuse.sshfs x rw",
            "odd",
            "3 0 0:52 / / rw - overlay o rw",
        ];
        let devices = Devices(mounts.iter().filter_map(|line| mounted(line)).collect());
        let maps = "1000-2000 r--p 0 00:32 7 /srv/a\n2000-3000 r--p 0 00:33 7 /home/x/a\n3000-4000 rw-p 0 00:00 0\n4000-5000 r--p 0 fe:00 9 /a\n5000-6000 r--p 0 00:99 9 /gone\n";
        let read: Vec<u64> =
            mappings(maps).filter(|mapping| devices.has(mapping)).map(|mapping| mapping.start).collect();
        assert_eq!(read, [0x1000, 0x3000, 0x4000]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mem"), vec![7; 0x7000]).unwrap();
        let memory = Memory::open(folder.path(), maps, &devices).unwrap();
        let readable = |place, length| memory.read(place, &mut vec![0; length]).is_some();
        assert!(readable(0x1000, 0x1000) && readable(0x3800, 0x1000), "over two of them");
        assert!(
            !readable(0x1800, 0x1000) && !readable(0x2000, 8) && !readable(0x4ff8, 16) && !readable(u64::MAX - 4, 8)
        );
    }

    #[test]
    fn own_memory_is_read() {
        let (folder, devices) = (Path::new("/proc/self"), Devices::here(Path::new("/proc")));
        let maps = maps(folder).unwrap();
        let memory = Memory::open(folder, &maps, &devices).unwrap();
        let file = mappings(&maps).find(|mapping| mapping.path.starts_with('/')).unwrap();
        let mut head = [0; 4];
        memory.read(file.start, &mut head).unwrap();
        assert_eq!(&head, b"\x7fELF");
    }
}
