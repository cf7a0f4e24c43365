//! The path that an open file really has, every symlink resolved: told by /proc, and checked, since a process may have
//! covered that; where it is not there, found by following the links, and checked likewise.

use crate::memory::StringBuf;
use crate::sys::PATH_MAX;
use crate::sys::procfs;
use crate::sys::{self, Stat};
use core::ffi::CStr;

/// Symlinks that the kernel follows in one path (MAXSYMLINKS).
const LINKS_MAX: usize = 40;

/// Writes the real path of the open file `fd`, whose status is `stat`, into `real`. `at` and `path` are what it was opened
/// by; no path where only the descriptor is known. False where the real path cannot be known.
pub fn find(fd: i32, stat: &Stat, opened: Option<(i32, &CStr)>, real: &mut StringBuf<PATH_MAX>) -> bool {
    real.fill(|buffer| sys::readlink(procfs::proc_descriptor(fd).c_str(), buffer).len());
    if is_of(real, stat) {
        return true;
    }
    real.set(b"");
    opened.is_some_and(|(at, path)| followed(at, path, real, &mut |_| true) && is_of(real, stat))
}

/// Whether the file at `path` has this status, or none has, since it was removed or never had a name.
fn is_of(path: &StringBuf<PATH_MAX>, stat: &Stat) -> bool {
    if path.bytes().is_empty() || !path.fits() {
        return false;
    }
    match sys::stat(path.c_str()) {
        Some(found) if path.bytes().starts_with(b"/") => found.identity == stat.identity,
        // The kernel writes ` (deleted)` behind the old name.
        _ => stat.links == 0,
    }
}

/// Follows the symlinks of `path`, one component after the other; `passes` says of each file and folder on the way, and of a
/// symlink where that leads, whether it may.
#[inline(never)]
pub(super) fn followed(
    at: i32,
    path: &CStr,
    real: &mut StringBuf<PATH_MAX>,
    passes: &mut dyn FnMut(&CStr) -> bool,
) -> bool {
    let mut rest = StringBuf::<PATH_MAX>::new();
    rest.push(path.to_bytes());
    if !path.to_bytes().starts_with(b"/") {
        if at != libc::AT_FDCWD {
            return false;
        }
        real.fill(|buffer| sys::getcwd(buffer).len());
        if !real.bytes().starts_with(b"/") {
            return false;
        }
    }
    let mut links = 0_usize;
    let mut next = 0_usize;
    loop {
        let left = rest.bytes().get(next..).unwrap_or_default();
        let skipped = left.iter().take_while(|&&byte| byte == b'/').count();
        let left = left.get(skipped..).unwrap_or_default();
        let len = left.iter().position(|&byte| byte == b'/').unwrap_or(left.len());
        let name = left.get(..len).unwrap_or_default();
        next = next.wrapping_add(skipped).wrapping_add(len);
        let end = real.bytes().len();
        match name {
            b"" => return real.fits(),
            b"." => continue,
            b".." => {
                real.cut(real.bytes().iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                continue;
            }
            _ => {
                real.push(b"/");
                real.push(name);
            }
        }
        if !real.fits() || !passes(real.c_str()) {
            return false;
        }
        let mut target = [0; PATH_MAX];
        let target = sys::readlink(real.c_str(), &mut target);
        if target.is_empty() {
            continue;
        }
        links = links.wrapping_add(1);
        let mut then = StringBuf::<PATH_MAX>::new();
        then.push(target);
        then.push(rest.bytes().get(next..).unwrap_or_default());
        if links > LINKS_MAX || !then.fits() {
            return false;
        }
        real.cut(if target.starts_with(b"/") { 0 } else { end });
        (rest, next) = (then, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn both_ways_agree() {
        for path in [c"/bin/sh", c"/usr/bin/../bin/./awk", c"/proc/self/exe", c"//bin//true"] {
            let file = std::fs::File::open(path.to_str().unwrap()).unwrap();
            let stat = sys::fstat(file.as_raw_fd()).unwrap();
            let mut told = StringBuf::new();
            assert!(find(file.as_raw_fd(), &stat, None, &mut told));
            let mut found = StringBuf::new();
            assert!(followed(libc::AT_FDCWD, path, &mut found, &mut |_| true), "{path:?}");
            assert_eq!(told.bytes(), found.bytes());
            assert!(is_of(&found, &stat));
        }
    }

    #[test]
    fn another_file_s_path_is_none() {
        let stat = sys::stat(c"/bin/true").unwrap();
        let mut path = StringBuf::new();
        path.push(b"/bin/false");
        assert!(!is_of(&path, &stat));
    }
}
