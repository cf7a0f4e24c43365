//! The settings of libc's resolver in the environment: what a script sets there (putenv) makes one name another's
//! (LOCALDOMAIN with RES_OPTIONS=ndots:15, HOSTALIASES), so that a name which is allowed would lead anywhere.
//!
//! libc reads them once for a thread, and keeps them. So once they were seen to be others than the server's own, no name that
//! libc resolves for this process is believed any more.

use super::{remember, servers};
use crate::process::environ;
use crate::process::home;
use crate::process::state::{self, Role};
use crate::sys::Reader;
use core::ffi::c_void;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use portcullis_policy::name::HostName;

/// glibc's (resolv(5), hostname(7), host.conf(5)) and c-ares's.
const SETTINGS: [&[u8]; 5] = [b"RES_OPTIONS=", b"LOCALDOMAIN=", b"HOSTALIASES=", b"RESOLV_", b"CARES_HOSTS="];

/// As much of a setting as tells it from another.
const ENTRY_MAX: usize = 65536;

/// The settings that the server itself has, as a hash; 0 for none. A descendant's environment is its parent's word.
static OWN: AtomicU64 = AtomicU64::new(0);
/// There were others.
static FOREIGN: AtomicBool = AtomicBool::new(false);

/// Whether an entry of an environment, of which this is the beginning, is such a setting.
fn is_setting(entry: &[u8]) -> bool {
    matches!(entry.first(), Some(b'R' | b'L' | b'H' | b'C')) && SETTINGS.iter().any(|name| entry.starts_with(name))
}

/// The settings in the environment now, as a hash; `None` where that cannot be read.
fn now() -> Option<u64> {
    let vector = environ::current();
    let (entries, strings, mut sum) = (Reader::default(), Reader::default(), 0_u64);
    for index in 0.. {
        let entry = if vector.is_null() { vector.cast() } else { entries.pointer(vector, index)? };
        if entry.is_null() {
            break;
        }
        // Most entries have another first byte, and are not read any further.
        if matches!(strings.byte(entry)?, b'R' | b'L' | b'H' | b'C') {
            let entry = strings.string(entry, ENTRY_MAX)?;
            if is_setting(entry) {
                let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
                sum = sum.wrapping_add(entry.iter().fold(0xcbf2_9ce4_8422_2325, hash) | 1);
            }
        }
    }
    Some(sum)
}

/// The server begins to serve: what is set now is its own.
#[cold]
pub fn settle() {
    OWN.store(now().unwrap_or(0), Ordering::Relaxed);
    home::settle();
}

/// Something is put into the environment.
pub fn note_setting(entry: &[u8]) {
    if is_setting(entry) && state::role() != Role::Master {
        FOREIGN.store(true, Ordering::Relaxed);
    }
}

/// The root folder is another: libc keeps what it has read there.
pub fn note_root() {
    if state::role() != Role::Master {
        FOREIGN.store(true, Ordering::Relaxed);
    }
}

fn is_foreign() -> bool {
    if FOREIGN.load(Ordering::Relaxed) {
        return true;
    }
    if state::role() == Role::Master {
        return false;
    }
    // None is as good as the server's own.
    let own = now().is_some_and(|now| now == 0 || now == OWN.load(Ordering::Relaxed));
    let here = home::is_here();
    if !own || here == Some(false) {
        FOREIGN.store(true, Ordering::Relaxed);
    }
    !own || here != Some(true)
}

/// Whether what libc resolves for this process by this state of its resolver is believed.
pub fn believes(state: *const c_void) -> bool {
    !is_foreign() && servers::are_configured(state)
}

/// libc resolved a name to these addresses, by this state.
pub fn resolved(state: *const c_void, name: &HostName, addresses: impl Iterator<Item = IpAddr>) {
    let nobody = HostName::none();
    let name = if believes(state) { name } else { &nobody };
    for address in addresses {
        remember(name, address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_known_by_their_names() {
        for entry in
            ["RES_OPTIONS=ndots:15", "LOCALDOMAIN=", "HOSTALIASES=/tmp/a", "RESOLV_HOST_CONF=/x", "CARES_HOSTS=x"]
        {
            assert!(is_setting(entry.as_bytes()), "{entry}");
        }
        for entry in ["", "PATH=/bin", "LOCALDOMAINS=x", "RES_OPTION=", "LANG=C", "HOME=/"] {
            assert!(!is_setting(entry.as_bytes()), "{entry}");
        }
    }
}
