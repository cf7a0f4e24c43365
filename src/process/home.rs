//! Whether a process looks names up where its server does: in the server's mounts, root folder and network.
//!
//! In mounts or a root of its own, a process has files of its own in the place of /etc/hosts, resolv.conf and nsswitch.conf; in a
//! network of its own, a name server of its own at every address. None of that makes an allowed name of an address.
//!
//! The kernel is asked, and not /proc, in whose place such a process may have files of its own, too: the number of the mount
//! that is the root is no other mount's in any namespace, as long as the server runs.

use crate::sys;
use core::sync::atomic::{AtomicU64, Ordering};
use portcullis_request::context::HOME;

/// The server's: the root's mount, device and inode, and the network; zeros where that is not known.
static SERVERS: [AtomicU64; HOME] = [const { AtomicU64::new(0) }; HOME];

fn now() -> Option<[u64; HOME]> {
    let [mount, device, inode] = sys::root_folder()?;
    Some([mount, device, inode, sys::network()?])
}

/// The server begins to serve: where it is now, is its home.
pub fn settle() {
    inherit(now().unwrap_or_default());
}

/// A program has begun that inherited this.
pub fn inherit(home: [u64; HOME]) {
    SERVERS.iter().zip(home).for_each(|(place, word)| place.store(word, Ordering::Relaxed));
}

/// What a program that this process starts inherits.
pub fn handed_down() -> [u64; HOME] {
    let mut home = [0; HOME];
    home.iter_mut().zip(&SERVERS).for_each(|(word, place)| *word = place.load(Ordering::Relaxed));
    home
}

/// Whether this thread is at home; `None` where that is not known.
pub fn is_here() -> Option<bool> {
    let servers = handed_down();
    let now = now()?;
    (servers != [0; HOME]).then_some(servers == now)
}

/// Whether this process's root folder and mounts are the server's; `None` where that is not known.
pub fn has_root() -> Option<bool> {
    let [mount, device, inode, _] = handed_down();
    let now = sys::root_folder()?;
    (mount != 0).then_some(now == [mount, device, inode])
}

/// Whether a socket is of the server's network.
pub fn has(fd: i32) -> bool {
    let [.., network] = handed_down();
    network != 0 && sys::network_of(fd) == Some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_is_where_the_server_began() {
        assert_eq!(is_here(), None);
        settle();
        assert_eq!(is_here(), Some(true));
        let home = handed_down();
        for place in 0..HOME {
            let mut other = home;
            other[place] ^= 1;
            inherit(other);
            assert_eq!((is_here(), has_root()), (Some(false), Some(place == HOME - 1)));
        }
        inherit([0; HOME]);
        assert_eq!((is_here(), has(0)), (None, false));
    }
}
