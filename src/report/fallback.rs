//! The event that says why the policy in force is not the configured one.

use crate::policy::in_force;
use crate::policy::load::Reason;
use crate::process::state;
use crate::report::{counters, emit, seal, sink};
use core::sync::atomic::{AtomicBool, Ordering};
use portcullis_policy::{Sink, Unknown};

static IS_UNSEALED: AtomicBool = AtomicBool::new(false);

/// Begins to seal events, where the policy asks for it; says so once, where there is no key.
pub fn begin_sealing() {
    let policy = in_force::policy();
    if !seal::begin(&policy) && !IS_UNSEALED.swap(true, Ordering::Relaxed) {
        emit::guard(
            &policy,
            "events are not sealed: seal.key beside the configuration is missing, or is not its reader's alone",
        );
    }
}

static IS_SAID: AtomicBool = AtomicBool::new(false);

/// Another program of this tree of processes had to say it.
pub fn said_in_container() {
    IS_SAID.store(true, Ordering::Relaxed);
}

/// Notes, and says once in a tree of processes, that events go to a container's standard error, where no sink that the policy names is that.
pub fn say_in_container() {
    let policy = in_force::policy();
    if !sink::is_in_container() || Sink::Stderr.is_in(policy.sinks()) {
        return;
    }
    counters::unsent(true);
    if !IS_SAID.swap(true, Ordering::Relaxed) {
        emit::guard(
            &policy,
            "no configured sink can be reached: events go to the standard error of the container's first process",
        );
    }
}

/// Writes the event for a reason, unless this tree of processes has told it already.
pub fn report(reason: Option<Reason>) {
    let Some(reason) = reason else { return };
    let reported = state::reported();
    // What a descendant lacks is told of each: it is no matter of its tree's.
    if reported == 0 || (reason == Reason::Lost && reported != Reason::Lost as u8) {
        state::set_reported(reason as u8);
        let unknown = (reason == Reason::Lost).then_some(Unknown::Policy);
        emit::guard_on(&in_force::policy(), reason.sentence(), unknown);
    }
}
