//! Rings of io_uring that a process has without having set them up where it was judged: made before it served, or received.
//!
//! What goes through a ring is no system call that could be judged, so the ring is. One from before belongs to no request:
//! the strictest policy judges it. What is refused is taken away: its number is that of /dev/null from then on.

use crate::judge::{self, By, Decision};
use crate::policy::in_force;
use crate::process::state::{self, Role};
use crate::request::{self, Served};
use crate::sys;
use crate::sys::procfs;
use core::sync::atomic::{AtomicBool, Ordering};
use portcullis_policy::{Mode, Rule, STRICTEST_SCOPE};

/// The master has, or had, a ring.
static KNOWN: AtomicBool = AtomicBool::new(false);

/// A ring was set up before the process serves.
pub fn remember() {
    KNOWN.store(true, Ordering::Relaxed);
}

/// Looks at a descriptor of a master.
pub fn remember_if(fd: i32) {
    if is_ring(fd) {
        remember();
    }
}

/// Judges what a process has when it begins to serve.
#[cold]
#[inline(never)]
pub fn serving() {
    if in_force::policy().mode(STRICTEST_SCOPE, Rule::EgressPort) == Mode::Off {
        return;
    }
    sys::each_descriptor(|fd| {
        if is_ring(fd) {
            let mut served = Served::none();
            served.scope = STRICTEST_SCOPE;
            settle(fd, judge::held_ring(By::This, &served, b"from before it served"));
        }
    });
}

/// Judges a descriptor that came from another process.
#[cold]
#[inline(never)]
pub fn received(fd: i32) {
    if state::role() == Role::Master {
        remember_if(fd);
    } else if is_ring(fd) {
        settle(fd, request::current(|served| judge::held_ring(By::This, served, b"from another process")));
    }
}

fn settle(fd: i32, decision: Decision) {
    if decision.is_err() {
        sys::replace_by_null(fd);
    }
}

/// Whether a descriptor is a ring's. The kernel is asked only where there is no /proc and rings are in use: of a filter that
/// kills, a call that the program does not make itself would be its end.
fn is_ring(fd: i32) -> bool {
    let mut room = [0; 32];
    match sys::readlink(procfs::proc_descriptor(fd).c_str(), &mut room) {
        b"" => KNOWN.load(Ordering::Relaxed) && sys::is_ring(fd),
        found => found == b"anon_inode:[io_uring]",
    }
}
