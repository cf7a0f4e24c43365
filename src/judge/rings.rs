//! Judges rings of io_uring that a process has without having set them up where it was judged (`server::rings`).
//!
//! What goes through a ring is no system call that could be judged, so the ring is. One from before belongs to no request:
//! the strictest policy judges it. What is refused is taken away: its number is that of /dev/null from then on.

use crate::action::{Actor, Decision};
use crate::judge;
use crate::policy::in_force;
use crate::process::state::{self, Role};
use crate::request::{self, ServedRequest};
use crate::server::rings::{is_ring, remember_if};
use crate::sys;
use portcullis_policy::{Mode, Rule, STRICTEST_SCOPE};

/// Judges what a process has when it begins to serve.
#[cold]
#[inline(never)]
pub fn serving() {
    if in_force::policy().mode(STRICTEST_SCOPE, Rule::EgressPort) == Mode::Off {
        return;
    }
    sys::each_descriptor(|fd| {
        if is_ring(fd) {
            let mut served = ServedRequest::none();
            served.scope = STRICTEST_SCOPE;
            settle(fd, judge::held_ring(Actor::This, &served, b"from before it served"));
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
        settle(fd, request::current(|served| judge::held_ring(Actor::This, served, b"from another process")));
    }
}

fn settle(fd: i32, decision: Decision) {
    if decision.is_err() {
        sys::replace_by_null(fd);
    }
}
