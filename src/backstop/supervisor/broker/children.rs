//! How the broker has something done by a process of its own, which may not come back.

use super::{BrokerOutcome, JudgeActivity, JudgeJob};
use crate::backstop::supervisor::helpers::Helper;
use crate::sys::broker::desk::{ANSWER, LATER, NO_PLACE};
use crate::sys::{self, Fd, Reply};
use core::sync::atomic::Ordering;

/// How often is looked whether who is waited for waits itself, in milliseconds: if so, it is not waited for any longer.
const HEARD: u32 = 2;
/// How long is waited for one that runs, or that nobody lets run, in nanoseconds.
const HEARD_MAX: u64 = 50_000_000;

/// Who hears what a process says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ears {
    /// The caller: it answers the call.
    Caller,
    /// The broker, which does not wait for long; then nobody.
    Broker,
    /// The broker; then the caller.
    BrokerOrCaller,
}

impl JudgeJob<'_> {
    /// Has `go` done by a process of its own, with these capabilities alone, on a site's account. It has no descriptors but those that are
    /// `kept`, and ends with the caller. `late` makes the call's result of what it says.
    pub(super) fn in_child(
        &self,
        (site, capabilities): (u32, u64),
        kept: [i32; 2],
        ears: Ears,
        go: &dyn Fn() -> [u64; ANSWER],
        late: &dyn Fn(i64) -> i64,
    ) -> BrokerOutcome {
        const NONE: BrokerOutcome = BrokerOutcome::Answer(NO_PLACE, None);
        let JudgeActivity::Call { member, id, .. } = self.at else { return BrokerOutcome::Nonsense };
        let (listener, worker) = (member.listener.load(Ordering::Relaxed), member.pid.load(Ordering::Relaxed));
        let pair = if ears == Ears::Caller { None } else { sys::waiting_pair().ok() };
        if self.awaited.get() || (pair.is_none() && ears != Ears::Caller) {
            return NONE;
        }
        let Some(place) = self.shared.helpers.take((listener, id), (site, worker), pair.is_some()) else { return NONE };
        self.shared.acts();
        let theirs = pair.as_ref().map_or(-1, |[_, theirs]| theirs.0);
        // SAFETY: the child only makes system calls of `sys`.
        match unsafe { sys::fork_forgotten() } {
            Ok(0) => {
                sys::end_in(0);
                // Nobody else's descriptor is to stay open for as long as this one waits.
                sys::close_all_but(&mut [0, 1, 2, listener, theirs, kept[0], kept[1]]);
                sys::keep_capabilities(|held| held & capabilities);
                let said = go();
                if place.says() {
                    sys::tell(theirs, &said, &[]);
                } else if place.answers() {
                    sys::reply(listener, id, Reply::Result(late(said[0] as i64)));
                    place.ends();
                }
                sys::exit(0)
            }
            Ok(child) => {
                place.begin(child as u32);
                match pair {
                    Some([own, theirs]) => {
                        // Whoever ends without a word hangs up.
                        drop(theirs);
                        self.heard(place, &own, ears == Ears::BrokerOrCaller)
                    }
                    None => {
                        self.awaited.set(true);
                        BrokerOutcome::Answer(LATER, None)
                    }
                }
            }
            // What was judged could be another address by the time that the kernel reads it.
            Err(_) => {
                place.free();
                NONE
            }
        }
    }

    /// What it says, unless that takes too long.
    fn heard(&self, place: &Helper, own: &Fd, answers: bool) -> BrokerOutcome {
        let begun = sys::since_boot();
        loop {
            let [is_said] = sys::either([own.0], HEARD);
            if is_said {
                let mut said = [0; ANSWER];
                return match sys::hear(own.0, &mut said, false) {
                    Some(_) => BrokerOutcome::Says(said),
                    None => BrokerOutcome::Answer(NO_PLACE, None),
                };
            }
            let is_late = sys::since_boot().wrapping_sub(begun) >= HEARD_MAX || place.waits();
            if is_late && place.leave(answers) {
                self.awaited.set(answers);
                return BrokerOutcome::Answer(if answers { LATER } else { NO_PLACE }, None);
            }
        }
    }

    /// Closes what was lent. Where that may take as long as others like, a process that has the same descriptors does it.
    pub(super) fn let_go(&self, lent: Fd) {
        let JudgeActivity::Call { member, id, .. } = self.at else { return };
        let call = (member.listener.load(Ordering::Relaxed), id);
        let worker = member.pid.load(Ordering::Relaxed);
        self.shared.acts();
        if !sys::may_linger(lent.0) {
            return;
        }
        let (Ok([own, theirs]), Some(place)) =
            (sys::waiting_pair(), self.shared.helpers.take(call, (self.site, worker), true))
        else {
            return;
        };
        // SAFETY: the child only makes system calls of `sys`.
        match unsafe { sys::fork_forgotten_with_files() } {
            Ok(0) => {
                drop(lent);
                if place.says() {
                    sys::tell(theirs.0, &[0; ANSWER], &[]);
                }
                sys::exit(0)
            }
            Ok(child) => {
                place.begin(child as u32);
                core::mem::forget(lent);
                drop(theirs);
                let _ = self.heard(place, &own, false);
            }
            Err(_) => place.free(),
        }
    }
}
