//! The local sockets on which the server itself listens, each known by the file that it is bound to: to the kernel, whoever
//! connects to a path connects to the socket of the inode.

use crate::memory::StringBuf;
use crate::sys::{self, ADDRESS_MAX, LOCAL_MAX};
use core::sync::atomic::{AtomicU64, Ordering};

/// How many are known.
pub const MARKS_MAX: usize = 512;

/// They are read by the supervisor from a worker's memory.
#[repr(C)]
pub struct Marks {
    /// One that has no mark here: 0 for none.
    pub is_more: AtomicU64,
    /// 0 for a free place.
    pub marks: [AtomicU64; MARKS_MAX],
}

impl Marks {
    /// None.
    const fn none() -> Marks {
        Marks { is_more: AtomicU64::new(0), marks: [const { AtomicU64::new(0) }; MARKS_MAX] }
    }

    fn put(&self, mark: u64) {
        for place in &self.marks {
            match place.compare_exchange(0, mark, Ordering::Relaxed, Ordering::Relaxed) {
                Err(other) if other != mark => {}
                _ => return,
            }
        }
        self.is_more.store(1, Ordering::Relaxed);
    }

    /// Whether a socket of this mark is among them; `None` where that is not known.
    pub fn have(&self, mark: u64) -> Option<bool> {
        let known = self.marks.iter().map(|place| place.load(Ordering::Relaxed)).take_while(|known| *known != 0);
        match known.into_iter().any(|known| known == mark) {
            true => Some(true),
            false => (self.is_more.load(Ordering::Relaxed) == 0).then_some(false),
        }
    }
}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static MARKS: Marks = Marks::none();

/// Where they lie.
pub fn address() -> usize {
    &raw const MARKS as usize
}

/// The mark of a file; never 0.
pub fn mark_of((device, inode): (u64, u64)) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    mix(mix(1, device), inode) | 1
}

/// The mark of an abstract name, which has no file; never 0.
pub fn mark_of_name(name: &[u8]) -> u64 {
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    name.iter().fold(0xcbf2_9ce4_8422_2325, hash) | 1
}

/// The socket listens on behalf of the server.
pub fn remember(fd: i32) {
    let mut bytes = [0; ADDRESS_MAX];
    match sys::own_local_name(fd, &mut bytes) {
        None => {}
        Some(name) if name.first() == Some(&0) => MARKS.put(mark_of_name(name)),
        Some(path) => match sys::stat(StringBuf::<{ LOCAL_MAX + 1 }>::of(path).c_str()) {
            Some(stat) => MARKS.put(mark_of(stat.identity)),
            // It may have another name by now.
            None => MARKS.is_more.store(1, Ordering::Relaxed),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_finds_no_place_is_not_known() {
        let marks = Marks::none();
        for mark in 1..=MARKS_MAX as u64 {
            assert_eq!(marks.have(mark), Some(false));
            marks.put(mark);
            marks.put(mark);
            assert_eq!(marks.have(mark), Some(true));
        }
        assert_eq!(marks.have(9999), Some(false));
        marks.put(1000);
        assert_eq!((marks.have(9999), marks.have(7)), (None, Some(true)));
    }

    #[test]
    fn a_listener_is_known_by_its_file() {
        let folder = std::env::temp_dir().join(format!("portcullis-listener-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        remember(listener.as_raw_fd());
        let file = std::fs::metadata(&path).unwrap();
        assert_eq!(MARKS.have(mark_of((file.dev(), file.ino()))), Some(true));
        std::fs::rename(&path, folder.join("other")).unwrap();
        remember(listener.as_raw_fd());
        assert_eq!(MARKS.have(1), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
