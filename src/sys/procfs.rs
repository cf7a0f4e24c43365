//! Small files of /proc, read into fixed buffers.

use super::broker as ask;
use crate::memory::StringBuf;
use crate::sys;

/// A process, as /proc has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The calling one.
    Own,
    /// The one with this number. The kernel says 0 of one outside the PID namespace of whoever asks: /proc has no such.
    Of(u32),
}

impl From<u32> for Whose {
    fn from(pid: u32) -> Whose {
        Whose::Of(pid)
    }
}

/// `/proc/PID/NAME`.
#[inline(always)]
pub fn proc_path(whose: impl Into<Whose>, name: &[u8]) -> StringBuf<64> {
    path_of(whose.into(), name)
}

fn path_of(whose: Whose, name: &[u8]) -> StringBuf<64> {
    let mut path = StringBuf::new();
    path.push(b"/proc/");
    match whose {
        Whose::Own => path.push(b"self"),
        Whose::Of(pid) => path.number(u64::from(pid)),
    }
    path.push(b"/");
    path.push(name);
    path
}

/// `/proc/self/fd/NUMBER`.
pub fn proc_descriptor(fd: i32) -> StringBuf<64> {
    let mut name = StringBuf::<64>::new();
    name.push(b"/proc/self/fd/");
    name.number(u64::from(fd.cast_unsigned()));
    name
}

/// Opens a file of /proc, to read it or as a place only. What the supervisor's judge may not open itself, its broker opens for it.
#[inline(never)]
pub fn proc_open(whose: Whose, name: &[u8], flags: i32) -> Result<sys::Fd, i32> {
    if let Whose::Of(thread) = whose
        && ask::is_judge()
        && flags & libc::O_PATH == 0
        && let Some(kept) = ask::kept(thread, name)
    {
        return Ok(kept);
    }
    let opened = sys::open(libc::AT_FDCWD, path_of(whose, name).c_str(), flags, 0);
    match (opened, whose) {
        (Err(errno), Whose::Of(pid)) if ask::is_judge() => ask::open(pid, name, flags & libc::O_PATH != 0).ok_or(errno),
        (opened, _) => opened,
    }
}

/// The status of what a link of /proc leads to.
pub fn proc_stat(whose: impl Into<Whose>, name: &[u8]) -> Option<sys::Stat> {
    let whose = whose.into();
    let stat = sys::stat(path_of(whose, name).c_str());
    if stat.is_none() && ask::is_judge() {
        return proc_open(whose, name, libc::O_PATH).ok().and_then(|place| sys::fstat(place.0));
    }
    stat
}

/// Where a link of /proc leads; empty where that cannot be read.
pub fn proc_link<'b>(whose: impl Into<Whose>, name: &[u8], into: &'b mut [u8]) -> &'b [u8] {
    let whose = whose.into();
    let len = sys::readlink(path_of(whose, name).c_str(), into).len();
    if len == 0
        && ask::is_judge()
        && let Ok(place) = proc_open(whose, name, libc::O_PATH)
    {
        return sys::readlink(proc_descriptor(place.0).c_str(), into);
    }
    into.get(..len).unwrap_or_default()
}

/// The beginning of a file of /proc, without a newline at its end; empty where it cannot be read.
pub fn proc_read<'b>(whose: impl Into<Whose>, name: &[u8], into: &'b mut [u8]) -> &'b [u8] {
    match proc_open(whose.into(), name, libc::O_RDONLY) {
        Ok(file) => {
            let got = sys::read(file.0, into);
            got.strip_suffix(b"\n").unwrap_or(got)
        }
        Err(_) => &[],
    }
}

/// A file of /proc, as much of it as there is room for; empty where it cannot be read.
pub fn proc_read_all<'b>(whose: impl Into<Whose>, name: &[u8], into: &'b mut [u8]) -> &'b [u8] {
    match proc_open(whose.into(), name, libc::O_RDONLY) {
        Ok(file) => read_all(&file, into),
        Err(_) => &[],
    }
}

/// The rest of an open file, as much of it as there is room for.
pub fn read_all<'b>(file: &sys::Fd, into: &'b mut [u8]) -> &'b [u8] {
    let mut len = 0_usize;
    while let Some(rest) = into.get_mut(len..) {
        match sys::read(file.0, rest).len() {
            0 => break,
            got => len = len.wrapping_add(got),
        }
    }
    into.get(..len).unwrap_or_default()
}

/// The arguments in the beginning of /proc/PID/cmdline, with their number. A program that wrote a title over them has one.
pub fn arguments<'b, const N: usize>(cmdline: &'b [u8], into: &mut [&'b [u8]; N]) -> usize {
    let cmdline = cmdline.strip_suffix(&[0]).unwrap_or(cmdline);
    // A title is padded with NULs.
    let end = cmdline.iter().rposition(|&byte| byte != 0).map_or(0, |at| at.wrapping_add(1));
    let mut count = 0_usize;
    if end > 0 {
        for argument in cmdline.get(..end).unwrap_or_default().split(|&byte| byte == 0) {
            if let Some(to) = into.get_mut(count) {
                *to = argument;
            }
            count = count.wrapping_add(1);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel cannot name is not whoever asks.
    #[test]
    fn the_number_0_is_nobody_s() {
        let mut room = [0; 64];
        assert!(!proc_read(Whose::Own, b"comm", &mut room).is_empty());
        assert!(proc_read(0, b"comm", &mut room).is_empty());
        assert!(proc_read_all(0, b"status", &mut room).is_empty());
        assert!(sys::stat(proc_path(0, b"exe").c_str()).is_none());
    }

    #[test]
    fn titles_and_arguments() {
        let mut args = [&b""[..]; 4];
        assert_eq!(arguments(b"php-fpm: pool www\0\0\0\0", &mut args), 1);
        assert_eq!(args[0], b"php-fpm: pool www");
        assert_eq!(arguments(b"a\0b\0", &mut args), 2);
        assert_eq!(arguments(b"", &mut args), 0);
    }
}
