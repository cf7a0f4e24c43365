//! Names of users, out of /etc/passwd.

use crate::memory::StringBuf;
use crate::sys;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU8, Ordering};

/// The name of a user, remembered from the first time on: a process has few users in its life.
pub fn user_name(uid: u32) -> StringBuf<64> {
    let mut name = StringBuf::new();
    for known in &KNOWN {
        match known.state.load(Ordering::Acquire) {
            READY => {
                // SAFETY: nobody writes to what is ready.
                let (of, text) = unsafe { &*known.name.get() };
                if *of == uid {
                    name.push(text.bytes());
                    return name;
                }
            }
            FREE if known.state.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok() => {
                name.push(read_user_name(uid).bytes());
                // SAFETY: whoever took it alone writes to it, until it is ready.
                let place = unsafe { &mut *known.name.get() };
                place.0 = uid;
                place.1.set(name.bytes());
                known.state.store(READY, Ordering::Release);
                return name;
            }
            _ => {}
        }
    }
    read_user_name(uid)
}

const FREE: u8 = 0;
const TAKEN: u8 = 1;
const READY: u8 = 2;

/// A user's name that was looked up before.
struct CachedUser {
    state: AtomicU8,
    name: UnsafeCell<(u32, StringBuf<64>)>,
}

// SAFETY: the name is written by whoever took the place, and read once it is ready.
unsafe impl Sync for CachedUser {}

static KNOWN: [CachedUser; 4] =
    [const { CachedUser { state: AtomicU8::new(FREE), name: UnsafeCell::new((0, StringBuf::zeroed())) } }; 4];

/// The name of a user in /etc/passwd; the file's first 16 KiB are looked at.
fn read_user_name(uid: u32) -> StringBuf<64> {
    let mut name = StringBuf::new();
    let mut wanted = StringBuf::<16>::new();
    wanted.number(u64::from(uid));
    let Ok(file) = sys::open(libc::AT_FDCWD, c"/etc/passwd", libc::O_RDONLY, 0) else { return name };
    let mut chunk = [0; 2048];
    let mut line = StringBuf::<256>::new();
    for _ in 0..8 {
        let got = sys::read(file.0, &mut chunk);
        if got.is_empty() {
            break;
        }
        for &byte in got {
            if byte != b'\n' {
                line.push(&[byte]);
                continue;
            }
            let mut fields = line.bytes().split(|&byte| byte == b':');
            let (first, third) = (fields.next(), fields.nth(1));
            if third == Some(wanted.bytes()) {
                name.push(first.unwrap_or_default());
                return name;
            }
            line = StringBuf::new();
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_root() {
        assert_eq!(user_name(0).bytes(), b"root");
        assert_eq!(user_name(0).bytes(), b"root");
        assert_eq!(user_name(4_000_000_000).bytes(), b"");
    }
}
