//! The pools of the PHP-FPM master that this process belongs to, itself a worker or started by one: by its number the master is
//! told on a local socket, by its ports on the host.
//!
//! **Limits**: a program knows the first 32 ports; in a PID namespace of its own it does not know the master by number.

use crate::memory::Text;
use crate::{files, listeners, state, sys};
use core::net::IpAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use portcullis_policy::egress::canonical;
use portcullis_policy::{Mode, Rule, STRICTEST_SCOPE};
use portcullis_request::context::number;

/// How many ports a program that is started learns of.
const PORTS_MAX: usize = 32;
/// The length of what it learns.
pub const TEXT_MAX: usize = 16 + PORTS_MAX * 6;

/// The master's number; 0 where it is none of PHP-FPM's.
static MASTER: AtomicU32 = AtomicU32::new(0);
/// The ports on which the master listens, of a program that was started; 0 for a free place.
static PORTS: [AtomicU32; PORTS_MAX] = [const { AtomicU32::new(0) }; PORTS_MAX];

/// Whether there is a pool that can be reached past the web server.
#[inline(always)]
pub fn any() -> bool {
    MASTER.load(Ordering::Relaxed) != 0
}

/// The master of this worker; `None` where that is gone, and the first process is the worker's parent. In a container the master
/// may be that itself.
pub fn parent() -> Option<u32> {
    let parent = sys::getppid();
    let mut room = [0; 32];
    (parent > 1 || files::proc_read(1, b"comm", &mut room).starts_with(b"php-fpm")).then_some(parent)
}

/// A worker of PHP-FPM has accepted its first connection on `listener`. Where the rule refuses, what the worker starts does not
/// inherit that.
pub fn serving(listener: i32) {
    if any() {
        return;
    }
    MASTER.store(parent().unwrap_or(0), Ordering::Relaxed);
    if is_refused() {
        sys::close_on_exec(listener);
    }
}

/// A program has begun that inherited this. Where the listener that it did not inherit was standard input, /dev/null is.
pub fn inherit(text: &[u8]) {
    let mut fields = text.split(|&byte| byte == b',').map(number);
    let master = fields.next().unwrap_or(0);
    for (place, port) in PORTS.iter().zip(fields) {
        place.store(port as u32, Ordering::Relaxed);
    }
    MASTER.store(master as u32, Ordering::Relaxed);
    // What is opened next where descriptor 0 is free is that.
    if master != 0
        && is_refused()
        && sys::flags(0).is_none()
        && let Ok(null) = sys::open(libc::AT_FDCWD, c"/dev/null", libc::O_RDONLY, 0)
    {
        sys::keep_over_exec(null.0);
        core::mem::forget(null);
    }
}

/// What a program that this process starts inherits.
pub fn write<const N: usize>(text: &mut Text<N>) {
    if !any() {
        return;
    }
    text.number(u64::from(MASTER.load(Ordering::Relaxed)));
    let mut push = |port: u16| {
        text.push(b",");
        text.number(u64::from(port));
    };
    if state::role() == state::Role::Descendant {
        PORTS
            .iter()
            .map(|port| port.load(Ordering::Relaxed))
            .filter(|port| *port != 0)
            .for_each(|port| push(port as u16));
    } else {
        listeners::each(PORTS_MAX, push);
    }
}

/// Whether a local socket is connected to, or is, one on which the master listens.
pub fn is_masters(fd: i32) -> bool {
    any() && sys::peer_process(fd).is_some_and(|(pid, _)| pid == MASTER.load(Ordering::Relaxed))
}

/// Whether an address of this host is one on which the master listens.
pub fn is_masters_address(ip: IpAddr, port: u16) -> bool {
    any() && is_masters_port(port) && (canonical(ip).is_loopback() || sys::is_own(ip))
}

/// Whether the master listens on a port.
pub fn is_masters_port(port: u16) -> bool {
    match state::role() {
        state::Role::Descendant => PORTS.iter().any(|known| known.load(Ordering::Relaxed) == u32::from(port)),
        _ => listeners::is_masters(port),
    }
}

/// Whether the rule refuses for anybody.
fn is_refused() -> bool {
    state::policy().mode(STRICTEST_SCOPE, Rule::FpmSocket) == Mode::Enforce
}
