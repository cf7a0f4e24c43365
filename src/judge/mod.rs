//! Evaluates an action against the policy and writes the event. Every decision goes through this module.

mod connection;
mod exec;
mod fed;
pub mod names;
pub mod peers;
pub mod program;
pub mod rings;
pub mod route;

pub use connection::*;
pub use exec::{ExecClearance, Start, absent, enforces_programs, exec, replaced, unknown_exec};
pub use fed::fed;

use crate::action::{Actor, Decision, Refused};
use crate::memory::StringBuf;
use crate::policy::in_force;
use crate::report::{counters, emit};
use crate::request::ServedRequest;
use crate::sys;
use crate::sys::procfs::Whose;
use portcullis_event::Action;
use portcullis_policy::egress::canonical;
use portcullis_policy::{Outcome, Policy, Rule, Unknown, Verdict};

/// Judges a system call that is not decoded.
#[cold]
pub fn system_call(actor: Actor<'_>, served: &ServedRequest) -> Decision {
    unknown(actor, served, Unknown::SystemCall, u16::MAX, Action::Call)
}

/// Judges what a process does whose memory cannot be read.
#[cold]
pub fn memory(actor: Actor<'_>, served: &ServedRequest) -> Decision {
    unknown(actor, served, Unknown::Memory, u16::MAX, Action::Call)
}

/// Judges a program of which something is not known.
#[cold]
pub fn unknown_program(actor: Actor<'_>, served: &ServedRequest, what: Unknown) -> Decision {
    unknown(actor, served, what, u16::MAX, Action::Exec)
}

/// Judges the start of a program of which this is not known, so that nothing else was looked at.
#[cold]
pub fn unseen_program(actor: Actor<'_>, served: &ServedRequest, what: Unknown) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    conclude(&policy, policy.decide_unseen(served.scope, what), served, actor, Action::Exec, b"")
}

/// Judges an action of which something is not known; `rules` (a bit for each) are about it.
#[cold]
fn unknown(actor: Actor<'_>, served: &ServedRequest, what: Unknown, rules: u16, action: Action<'_>) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    let verdict = policy.decide_unknown(served.scope, what, rules);
    conclude(&policy, verdict, served, actor, action, b"")
}

/// Judges what changes which program a file is, to the kernel: what is not known then is the format of any; `detail` says how.
#[cold]
pub fn formats(actor: Actor<'_>, served: &ServedRequest, detail: &[u8]) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    let verdict = policy.decide_unknown(served.scope, Unknown::Format, u16::MAX);
    conclude(&policy, verdict, served, actor, Action::Call, detail)
}

/// Judges putting `fd` on standard descriptor `onto`.
#[inline(never)]
pub fn descriptor(actor: Actor<'_>, served: &ServedRequest, fd: i32, onto: i32) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    let verdict = policy.decide_plain(served.scope, Rule::StdioSocket);
    if verdict.outcome == Outcome::Allow {
        return Ok(());
    }
    let mut detail = StringBuf::new();
    if !on_connection(fd, onto, &mut detail) {
        return Ok(());
    }
    conclude(&policy, verdict, served, actor, Action::Own(Rule::StdioSocket), detail.bytes())
}

/// Judges the PHP settings that a request brings.
#[inline(never)]
pub fn settings(served: &ServedRequest) -> Decision {
    let policy = in_force::policy();
    let settings = &served.request.settings;
    counters::decision();
    let verdict = policy.decide_settings(served.scope, (!settings.is_cut()).then_some(settings.bytes()));
    conclude(&policy, verdict, served, Actor::This, Action::Own(Rule::PhpIni), settings.bytes().trim_ascii())
}

/// Judges the PHP settings of a request that could not be read.
#[inline(never)]
pub fn unknown_settings(served: &ServedRequest) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    let verdict = policy.decide_unknown(served.scope, Unknown::Request, Rule::PhpIni.bit());
    conclude(&policy, verdict, served, Actor::This, Action::Own(Rule::PhpIni), b"")
}

/// Judges an io_uring.
#[inline(never)]
pub fn ring(actor: Actor<'_>, served: &ServedRequest) -> Decision {
    held_ring(actor, served, b"io_uring_setup")
}

/// Judges an io_uring that a process has without having set it up where it was judged; `detail` says whence.
#[cold]
pub fn held_ring(actor: Actor<'_>, served: &ServedRequest, detail: &'static [u8]) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    // What is done through it is no system call that could be judged.
    let verdict = policy.decide_plain(served.scope, Rule::EgressPort);
    conclude(&policy, verdict, served, actor, Action::Ring, detail)
}

/// Judges an action that one rule without a list is about: the rule's own, of the table of rules. `detail` says how, and what.
#[inline(never)]
pub fn plain(
    rule: Rule,
    actor: Actor<'_>,
    served: &ServedRequest,
    unknown: Option<Unknown>,
    detail: &[u8],
) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    let verdict = match unknown {
        None => policy.decide_plain(served.scope, rule),
        Some(what) => policy.decide_unknown(served.scope, what, rule.bit()),
    };
    conclude(&policy, verdict, served, actor, Action::Own(rule), detail)
}

/// Judges making or entering a namespace; `detail` says how, and which.
#[inline(never)]
pub fn namespace(actor: Actor<'_>, served: &ServedRequest, unknown: Option<Unknown>, detail: &[u8]) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    let whose = match actor {
        Actor::This | Actor::Again => Whose::Own,
        Actor::Other(other) => Whose::Of(other.thread),
    };
    let mut buffer = [0; 512];
    let program = crate::sys::procfs::proc_link(whose, b"exe", &mut buffer);
    let verdict = match unknown {
        None => policy.decide_namespace(served.scope, program),
        Some(what) => policy.decide_unknown(served.scope, what, Rule::Namespace.bit()),
    };
    conclude(&policy, verdict, served, actor, Action::Own(Rule::Namespace), detail)
}

/// Writes the event of a verdict that has one, and makes the decision of it.
fn conclude(
    policy: &Policy<'_>,
    verdict: Verdict,
    served: &ServedRequest,
    actor: Actor<'_>,
    action: Action<'_>,
    detail: &[u8],
) -> Decision {
    if verdict.outcome == Outcome::Allow {
        return Ok(());
    }
    let supervised = matches!(action, Action::Connect(_) | Action::Route | Action::Listen(_) | Action::Ring);
    if actor.writes(verdict.outcome, supervised) {
        emit::action(policy, verdict, served, actor, action, detail);
    }
    match (verdict.outcome, action) {
        // What a kernel without it says, so that programs do without.
        (Outcome::Deny, Action::Ring) => Err(Refused::with(libc::ENOSYS)),
        // What a kernel says that allows its users no namespaces.
        (Outcome::Deny, Action::Own(Rule::Namespace)) => Err(Refused::with(libc::EPERM)),
        (Outcome::Deny, _) => Err(Refused::with(policy.errno(served.scope, verdict.rule))),
        _ => Ok(()),
    }
}

/// Whether `fd` is an internet socket that is connected; says to where, for standard descriptor `number`.
fn on_connection(fd: i32, number: i32, detail: &mut StringBuf<256>) -> bool {
    if !sys::is_internet(fd) {
        return false;
    }
    let Some((ip, port)) = sys::peer(fd) else { return false };
    let mut buffer = [0; portcullis_event::address::TEXT_MAX];
    if !detail.bytes().is_empty() {
        detail.push(b"; ");
    }
    detail.push(b"descriptor ");
    detail.number(u64::from(number.cast_unsigned()));
    detail.push(b": ");
    let ip = canonical(ip);
    detail.push(if ip.is_ipv6() { b"[" } else { b"" });
    detail.push(portcullis_event::address::text(ip, &mut buffer));
    detail.push(if ip.is_ipv6() { b"]:" } else { b":" });
    detail.number(u64::from(port));
    true
}

/// Whether a rule is on in a scope.
fn is_on(policy: &Policy<'_>, scope: u32, rule: Rule) -> bool {
    policy.mode(scope, rule) != portcullis_policy::Mode::Off
}
