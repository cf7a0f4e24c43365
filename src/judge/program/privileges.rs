//! Decides whether a program gains rights by its file, so that its loader ignores LD_PRELOAD.
//!
//! **Source**: bprm_fill_uid in Linux's fs/exec.c, cap_bprm_creds_from_file and rootid_owns_currentns in security/commoncap.c.
//! What cannot be told counts as gained.

use super::starter;
use crate::action::Place;
use crate::sys::procfs;
use crate::sys::{self, Stat};

/// The user and group that the kernel shows for those that have no number in this user namespace (/proc/sys/kernel/overflowuid).
const NOBODY: u32 = 65534;

/// Whether an executable file gives this process, or the one that is judged and is at `place`, a user, a group or capabilities.
pub fn gains(fd: i32, stat: &Stat, place: Option<&Place>) -> bool {
    let group = libc::S_ISGID | libc::S_IXGRP;
    let (gives_user, gives_group) = (stat.mode & libc::S_ISUID != 0, stat.mode & group == group);
    // Neither counts under no_new_privs, or where the file's user or its group has no number in the user namespace.
    let by_owner = (gives_user || gives_group) && {
        let (user, group, is_void) = match place {
            None => (Some(sys::geteuid()), Some(sys::getegid()), sys::has_no_new_privs() || is_owned_outside(stat)),
            Some(place) => starter::rights_of(place.thread()),
        };
        (gives_user && Some(stat.uid) != user || gives_group && Some(stat.gid) != group) && !is_void
    };
    // no_new_privs takes capabilities away, and the loader ignores its variables all the same. Root has all capabilities: a file
    // gives it none, and the kernel goes by the real user.
    let by_capabilities = || sys::has_capabilities(fd) && !(place.is_none() && sys::real_user() == Some(0));
    (by_owner || by_capabilities()) && !sys::is_nosuid(fd)
}

/// Whether the user or the group of a file has no number in the user namespace of this process.
fn is_owned_outside(stat: &Stat) -> bool {
    let is_outside = |id, map: &[u8]| id == NOBODY && has(map, NOBODY) == Some(false);
    is_outside(stat.uid, b"uid_map") || is_outside(stat.gid, b"gid_map")
}

/// Whether a map of this process's user namespace has a number; `None` where the map cannot be read, or not all of it.
#[cold]
fn has(map: &[u8], id: u32) -> Option<bool> {
    let mut room = [0; 1024];
    let full = room.len();
    let file = sys::open(libc::AT_FDCWD, procfs::proc_path(procfs::Whose::Own, map).c_str(), libc::O_RDONLY, 0).ok()?;
    let text = sys::read_head(file.0, &mut room)?;
    if text.len() == full { None } else { covers(text, id) }
}

/// Whether a map's text has a number: lines of the first number inside, the first outside, and how many (user_namespaces(7)).
fn covers(text: &[u8], id: u32) -> Option<bool> {
    for line in text.split(|&byte| byte == b'\n') {
        let mut numbers = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).map(number);
        let Some(first) = numbers.next() else { continue };
        let (first, count) = (first?, numbers.nth(1)??);
        if id.checked_sub(first).is_some_and(|behind| behind < count) {
            return Some(true);
        }
    }
    Some(false)
}

fn number(word: &[u8]) -> Option<u32> {
    word.iter().try_fold(0_u32, |sum, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_a_number_or_not() {
        for (text, wanted) in [
            ("         0          0 4294967295\n", Some(true)),
            ("         0       1000          1\n", Some(false)),
            ("0 1000 1\n65534 65534 1\n", Some(true)),
            ("0 100000 65536\n", Some(true)),
            ("0 100000 65534\n", Some(false)),
            ("", Some(false)),
            ("x", None),
            ("0 1", None),
        ] {
            assert_eq!(covers(text.as_bytes(), NOBODY), wanted, "{text}");
        }
        assert_eq!(has(b"uid_map", 0), Some(true));
        assert_eq!(has(b"no_map", 0), None);
    }
}
