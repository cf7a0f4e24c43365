//! The host's name, asked for at most once a second: events come in bursts, and a host is seldom renamed.

use crate::memory::seqlock::Words;
use crate::sys;
use core::sync::atomic::Ordering;

/// The longest name (HOST_NAME_MAX of Linux), and in words.
const NAME_MAX: usize = 64;
const WORDS: usize = NAME_MAX / 8;
/// How long a name holds, in nanoseconds.
const HOLDS: u64 = 1_000_000_000;

/// When the kernel was asked, in nanoseconds since 1970, 0 where it was not; the name, zeros behind it.
static KNOWN: Words<{ 1 + WORDS }> = Words::new();

/// The name, in `into`; `now` is the time in nanoseconds since 1970.
pub fn name(now: u64, into: &mut [u8; NAME_MAX]) -> &[u8] {
    let lately = KNOWN.read(|[at, name @ ..]| {
        for (to, from) in into.chunks_exact_mut(8).zip(name) {
            to.copy_from_slice(&from.load(Ordering::Relaxed).to_ne_bytes());
        }
        let at = at.load(Ordering::Relaxed);
        // The clock may be set back too.
        at != 0 && now.abs_diff(at) <= HOLDS
    });
    if lately != Some(true) {
        ask(now, into);
    }
    let len = into.iter().position(|&byte| byte == 0).unwrap_or(NAME_MAX);
    into.get(..len).unwrap_or_default()
}

#[cold]
fn ask(now: u64, into: &mut [u8; NAME_MAX]) {
    sys::hostname(into);
    let (words, _) = into.as_chunks();
    KNOWN.write(core::iter::once(now).chain(words.iter().map(|word| u64::from_ne_bytes(*word))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_once_a_second() {
        let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let mut into = [b'x'; NAME_MAX];
        assert_eq!(name(5 * HOLDS, &mut into), own.trim_end().as_bytes());
        KNOWN.write([5 * HOLDS, u64::from_ne_bytes(*b"another\0")].into_iter().chain([0; WORDS - 1]));
        assert_eq!(name(6 * HOLDS, &mut into), b"another");
        assert_eq!(name(4 * HOLDS, &mut into), b"another");
        assert_eq!(name(6 * HOLDS + 1, &mut into), own.trim_end().as_bytes());
    }
}
