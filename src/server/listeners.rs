//! The ports that the server itself has opened, before it served.

use crate::server::{local_listeners, rings};
use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Every port's bit. Only the pages of ports that are in it are ever made.
pub type Ports = [AtomicU64; 1024];

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static PORTS: Ports = [const { AtomicU64::new(0) }; 1024];

/// They have been looked for.
static LOOKED: AtomicBool = AtomicBool::new(false);

/// The socket listens on behalf of the server.
pub fn remember(fd: i32) {
    match sys::own_address(fd) {
        Ok(Some((_, port))) => remember_port(port),
        _ => local_listeners::remember(fd),
    }
}

/// Where they lie.
pub fn address() -> usize {
    &raw const PORTS as usize
}

/// Remembers what a master listens on when it first forks or serves. It may have been handed that: by the program before it, as PHP-FPM
/// hands its listeners to itself at a reload, or by systemd.
pub fn remember_all() {
    if LOOKED.load(Ordering::Relaxed) || LOOKED.swap(true, Ordering::Relaxed) {
        return;
    }
    sys::each_descriptor(|fd| {
        if sys::listens(fd) {
            remember(fd);
        } else {
            rings::remember_if(fd);
        }
    });
}

/// The server has opened a port.
pub fn remember_port(port: u16) {
    // What is written to is this process's own page from then on.
    if !is_masters(port) {
        PORTS[usize::from(port >> 6)].fetch_or(bit(port), Ordering::Relaxed);
    }
}

/// Whether the server itself has opened this port.
pub fn is_masters(port: u16) -> bool {
    PORTS[usize::from(port >> 6)].load(Ordering::Relaxed) & bit(port) != 0
}

/// Calls `with` with the first and the last port of each run of them, until it says that it wants no more.
pub fn runs(mut with: impl FnMut(u16, u16) -> bool) {
    let mut first = None;
    for (place, word) in (0_u16..).zip(&PORTS) {
        let word = word.load(Ordering::Relaxed);
        if word == 0 && first.is_none() {
            continue;
        }
        for port in (0..64).map(|bit| place << 6 | bit) {
            match (word & bit(port) != 0, first) {
                (true, None) => first = Some(port),
                (false, Some(begun)) => {
                    first = None;
                    if !with(begun, port.wrapping_sub(1)) {
                        return;
                    }
                }
                _ => {}
            }
        }
    }
    if let Some(begun) = first {
        with(begun, u16::MAX);
    }
}

fn bit(port: u16) -> u64 {
    1 << (port & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_of_neighbours() {
        for port in [1, 62, 63, 64, 65, 9000, 9002, 65_534, 65_535] {
            assert!(!is_masters(port));
            remember_port(port);
            assert!(is_masters(port));
        }
        let mut found = Vec::new();
        runs(|first, last| {
            found.push((first, last));
            true
        });
        assert_eq!(found, [(1, 1), (62, 65), (9000, 9000), (9002, 9002), (65_534, 65_535)]);
        let mut calls = 0;
        runs(|_, _| {
            calls += 1;
            false
        });
        assert_eq!(calls, 1);
    }
}
