//! The ports that the server itself has opened, before it served.

use crate::sys;
use core::sync::atomic::{AtomicU32, Ordering};

/// The ports, each plus one; 0 for a free place. A server with more of them opens the rest unseen.
#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static PORTS: [AtomicU32; 256] = [const { AtomicU32::new(0) }; 256];

/// The socket listens on behalf of the server.
pub fn remember(fd: i32) {
    if let Ok(Some((_, port))) = sys::own_address(fd) {
        remember_port(port);
    }
}

/// The server has opened a port.
pub fn remember_port(port: u16) {
    let number = u32::from(port).wrapping_add(1);
    for place in &PORTS {
        match place.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(other) if other == number => return,
            Err(_) => {}
        }
    }
}

/// Calls `with` with the first ports, at most `most`.
pub fn each(most: usize, mut with: impl FnMut(u16)) {
    for place in PORTS.iter().take(most) {
        match place.load(Ordering::Relaxed).checked_sub(1) {
            Some(port) => with(port as u16),
            None => return,
        }
    }
}

/// Whether the server itself has opened this port.
pub fn is_masters(port: u16) -> bool {
    let number = u32::from(port).wrapping_add(1);
    let known = PORTS.iter().map(|place| place.load(Ordering::Relaxed)).take_while(|known| *known != 0);
    known.into_iter().any(|known| known == number)
}
