//! From a verdict to an event in the sinks.

use crate::action::{Actor, Arguments, Exec, ExecTarget};
use crate::memory::{StringBuf, base_name};
use crate::process::stack;
use crate::process::state::{self, Role};
use crate::report::actor::{self, Child, ProcBuffer};
use crate::report::chain as chains;
use crate::report::host;
use crate::report::merge::{self, Fingerprint, Marks, MergeDecision, MergeFacts, Merged, WrittenEvent};
use crate::report::{counters, sink};
use crate::request::ServedRequest;
use crate::sys;
use crate::sys::procfs::{self, Whose};
use crate::sys::users;
use core::sync::atomic::Ordering;
use portcullis_event::{ARGS_SHOWN, Action, Event, GUARD_POLICY, Process, RULES};
use portcullis_policy::{Mode, Outcome, Policy, Rule, Unknown, Verdict};
use portcullis_request::{Source, State};

/// The event of what is done with a descriptor.
#[cold]
pub fn action(
    policy: &Policy<'_>,
    verdict: Verdict,
    served: &ServedRequest,
    actor: Actor<'_>,
    action: Action<'_>,
    detail: &[u8],
) {
    let mut kind = kind(verdict, served, actor, detail);
    action.each_part(|part| kind.bytes(part));
    let Some(whole) = counted(policy, verdict, served, actor, &kind) else { return };
    let write = || done(policy, verdict, served, actor, action, detail, &whole);
    match actor {
        Actor::This | Actor::Again => stack::on(write),
        // The supervisor has a stack of its own.
        Actor::Other(_) => write(),
    }
}

/// Writes the event of what is done with a descriptor.
#[inline(never)]
fn done(
    policy: &Policy<'_>,
    verdict: Verdict,
    served: &ServedRequest,
    actor: Actor<'_>,
    action: Action<'_>,
    detail: &[u8],
    whole: &WrittenEvent<'_>,
) {
    let (mut room, mut args) = (ProcBuffer::new(), [&b""[..]; ARGS_SHOWN]);
    let (mut parent_room, mut parent_args) = (ProcBuffer::new(), [&b""[..]; ARGS_SHOWN]);
    let (own, whose, parent) = match actor {
        Actor::This | Actor::Again => (sys::getpid(), Whose::Own, sys::getppid()),
        Actor::Other(other) => (other.pid, Whose::Of(other.thread), other.parent),
    };
    let now = sys::now();
    let chain = chain(actor, served);
    let process = Process { pid: own, ..actor::facts(now, whose, None, &mut room, &mut args) };
    let parent = actor::facts(now, Whose::Of(parent), child(actor, chain.bytes()), &mut parent_room, &mut parent_args);
    let event = Event { action, detail, ..common(now, actor, chain.bytes(), process, parent) };
    decided(policy, verdict, served, whole, event);
}

/// What makes the kind of an event, beside its action. Its request is not among it, but whose it is: the virtual host in all
/// that tells it from another, the user and the client.
fn kind(verdict: Verdict, served: &ServedRequest, actor: Actor<'_>, detail: &[u8]) -> Fingerprint {
    let mut kind = Fingerprint::new();
    kind.number(u64::from(verdict.rule as u8) << 48 | u64::from(verdict.also) << 32 | u64::from(verdict.clause));
    kind.number(u64::from(verdict.outcome == Outcome::Deny) << 32 | u64::from(served.scope));
    if let Actor::Other(other) = actor {
        kind.bytes(other.chain);
    }
    kind.number(verdict.unknown.or(verdict.beside).map_or(0, |what| what as u64));
    host_of(&mut kind, served, actor);
    let request = &served.request;
    for part in [request.server_name.bytes(), request.script.bytes(), request.client.bytes(), detail] {
        kind.bytes(part);
    }
    kind
}

/// Whose the event is, without the client.
fn host_of(kind: &mut Fingerprint, served: &ServedRequest, actor: Actor<'_>) {
    let request = &served.request;
    kind.number(u64::from(served.vhost.map_or(0, |vhost| vhost.wrapping_add(1))));
    kind.number(u64::from(match actor {
        Actor::This | Actor::Again => sys::geteuid(),
        Actor::Other(other) => other.user.0,
    }));
    // A name that the client chooses is not among it.
    let name = match request.source {
        Source::Nginx | Source::Module => request.server_name.bytes(),
        Source::Apache | Source::Unknown => b"",
    };
    for part in [request.pool.bytes(), name, request.document_root.bytes(), request.profile.bytes()] {
        kind.bytes(part);
    }
}

/// Of what kind the event is, and whose, for the table of what is merged.
fn marks(verdict: Verdict, served: &ServedRequest, actor: Actor<'_>, kind: &Fingerprint) -> Marks {
    let (mut host, mut client) = (Fingerprint::new(), Fingerprint::new());
    host_of(&mut host, served, actor);
    // So that one client's events of many virtual hosts do not meet.
    client.number(host.mark());
    client.bytes(served.request.client.bytes());
    let fired = |rule: &Rule| *rule == verdict.rule || verdict.also & rule.bit() != 0;
    let severity = Rule::ALL.iter().filter(|rule| fired(rule)).filter_map(|rule| RULES.get(*rule as usize));
    let is_refused_shell = verdict.outcome == Outcome::Deny && fired(&Rule::ShellSpawn);
    let is_grave = is_refused_shell || severity.into_iter().any(|facts| facts.severity >= GRAVE);
    Marks { kind: kind.mark(), host: host.mark(), client: client.mark(), is_grave }
}

/// The severity of the gravest rules.
const GRAVE: u8 = 73;

/// Counts an event; `None` where it is merged with others, and not written.
fn counted(
    policy: &Policy<'_>,
    verdict: Verdict,
    served: &ServedRequest,
    actor: Actor<'_>,
    kind: &Fingerprint,
) -> Option<WrittenEvent<'static>> {
    let refused = verdict.outcome == Outcome::Deny;
    counters::event(refused);
    match merge::note(
        policy,
        marks(verdict, served, actor, kind),
        MergeFacts { rule: verdict.rule as u8, refused, vhost: served.vhost, policy: policy.digest() as u16 },
    )? {
        MergeDecision::Write(whole) => {
            if let Some(left) = whole.left {
                stack::on(|| merged(policy, left));
            }
            Some(whole)
        }
        MergeDecision::Merged => {
            counters::merged();
            None
        }
    }
}

/// The event of how many were merged.
#[cold]
pub fn merged(policy: &Policy<'_>, merged: Merged) {
    let (mut room, mut args) = (ProcBuffer::new(), [&b""[..]; ARGS_SHOWN]);
    let (mut parent_room, mut parent_args) = (ProcBuffer::new(), [&b""[..]; ARGS_SHOWN]);
    let now = sys::now();
    let process = actor::facts(now, Whose::Own, None, &mut room, &mut args);
    let chain = state::settled().chain.bytes();
    let parent =
        actor::facts(now, Whose::Of(sys::getppid()), child(Actor::This, chain), &mut parent_room, &mut parent_args);
    let Merged { about, like, count } = merged;
    let common = common(now, Actor::This, chain, process, parent);
    let event = Event {
        rule: RULES.get(usize::from(about.rule)).unwrap_or(&GUARD_POLICY),
        mode: if about.refused { Mode::Enforce.word() } else { Mode::Audit.word() },
        refused: about.refused,
        action: Action::Merged { count, like },
        served: portcullis_event::RequestFields {
            // Another policy has other numbers.
            vhost: match about.vhost {
                Some(vhost) if about.policy == policy.digest() as u16 => policy.vhost_name(vhost),
                _ => b"",
            },
            ..common.served
        },
        ..common
    };
    finish(policy, event);
}

/// Whose parent is asked for.
fn child<'c>(actor: Actor<'_>, chain: &'c [u8]) -> Option<Child<'c>> {
    Some(Child { chain, is_this: matches!(actor, Actor::This | Actor::Again) })
}

fn chain(actor: Actor<'_>, served: &ServedRequest) -> StringBuf<256> {
    match actor {
        Actor::This | Actor::Again => chains::own(served),
        Actor::Other(other) => {
            let mut chain = StringBuf::new();
            chain.push(other.chain);
            chain
        }
    }
}

/// The event of a program.
#[cold]
#[allow(clippy::too_many_arguments)]
pub fn exec(
    policy: &Policy<'_>,
    verdict: Verdict,
    served: &ServedRequest,
    actor: Actor<'_>,
    exec: &Exec<'_>,
    real: &[u8],
    unguarded: &'static str,
    arguments: &Arguments<'_>,
    detail: &[u8],
) {
    let executable = match (real, exec.target) {
        (b"", ExecTarget::Path(_, path)) => path.to_bytes(),
        (real, _) => real,
    };
    let mut kind = kind(verdict, served, actor, detail);
    kind.bytes(executable);
    kind.number(arguments.count as u64);
    for word in arguments.words() {
        kind.bytes(word);
    }
    // Two long commands may differ only behind what is kept of a word.
    kind.bytes(arguments.command().flatten().unwrap_or_default());
    let Some(whole) = counted(policy, verdict, served, actor, &kind) else { return };
    let (mut room, mut args) = (ProcBuffer::new(), [&b""[..]; ARGS_SHOWN]);
    // A program that replaces this process has this process's parent; one in a new process has this one.
    let parent = match actor {
        Actor::Other(other) => Whose::Of(other.parent),
        Actor::This | Actor::Again if exec.replaces => Whose::Of(sys::getppid()),
        Actor::This | Actor::Again => Whose::Own,
    };
    let now = sys::now();
    let own = self::chain(actor, served);
    let parent = actor::facts(now, parent, child(actor, own.bytes()), &mut room, &mut args);
    let name = exec.name();
    let mut folder = [0; 512];
    let process = Process {
        pid: match actor {
            Actor::Other(other) => other.pid,
            Actor::This | Actor::Again if exec.replaces => sys::getpid(),
            Actor::This | Actor::Again => 0,
        },
        name: if name.bytes().is_empty() { base_name(executable) } else { name.bytes() },
        executable,
        working_directory: match actor {
            Actor::This | Actor::Again => sys::getcwd(&mut folder),
            Actor::Other(other) => procfs::proc_link(other.thread, b"cwd", &mut folder),
        },
        args: arguments.words().get(..ARGS_SHOWN).unwrap_or(arguments.words()),
        args_count: u32::try_from(arguments.count).unwrap_or(u32::MAX),
    };
    let chain = match actor {
        Actor::This | Actor::Again if state::role() == Role::Master => chains::from(b"", process.name),
        _ => chains::from(own.bytes(), process.name),
    };
    let event = Event { detail, unguarded, ..common(now, actor, chain.bytes(), process, parent) };
    decided(policy, verdict, served, &whole, event);
}

/// The guard's word on itself.
#[cold]
pub fn guard(policy: &Policy<'_>, sentence: &'static str) {
    guard_on(policy, sentence, None);
}

/// The guard's word on itself, and what it cannot judge therefore.
#[cold]
pub fn guard_on(policy: &Policy<'_>, sentence: &'static str, unknown: Option<Unknown>) {
    stack::on(|| guard_event(policy, sentence, unknown));
}

fn guard_event(policy: &Policy<'_>, sentence: &'static str, unknown: Option<Unknown>) {
    let (mut room, mut args) = (ProcBuffer::new(), [&b""[..]; ARGS_SHOWN]);
    let (mut parent_room, mut parent_args) = (ProcBuffer::new(), [&b""[..]; ARGS_SHOWN]);
    let now = sys::now();
    let process = actor::facts(now, Whose::Own, None, &mut room, &mut args);
    let chain = state::settled().chain.bytes();
    let parent =
        actor::facts(now, Whose::Of(sys::getppid()), child(Actor::This, chain), &mut parent_room, &mut parent_args);
    let action = Action::Guard(sentence);
    let common = common(now, Actor::This, chain, process, parent);
    let unknown = unknown.map_or("", Unknown::word);
    finish(policy, Event { mode: Mode::Audit.word(), action, unknown, ..common });
}

/// Puts in what the verdict and the request say.
fn decided(policy: &Policy<'_>, verdict: Verdict, served: &ServedRequest, whole: &WrittenEvent<'_>, event: Event<'_>) {
    let refused = verdict.outcome == Outcome::Deny;
    let (clause, clause_file, clause_line) = match verdict.own_clause() {
        Some(clause) => (clause, &b""[..], 0),
        None => policy.clause(verdict.clause),
    };
    let request = &served.request;
    let event = Event {
        rule: RULES.get(verdict.rule as usize).unwrap_or(&GUARD_POLICY),
        also: verdict.also,
        mode: if refused { Mode::Enforce.word() } else { Mode::Audit.word() },
        refused,
        unknown: verdict.unknown.or(verdict.beside).map_or("", Unknown::word),
        served: portcullis_event::RequestFields {
            state: request.state.word(),
            source: request.source.word(),
            vhost: served.vhost.map(|vhost| policy.vhost_name(vhost)).unwrap_or_default(),
            server_name: request.server_name.bytes(),
            document_root: request.document_root.bytes(),
            script: request.script.bytes(),
            id: served.id(),
            method: request.method.bytes(),
            uri: request.uri.bytes(),
            client: request.client.bytes(),
            pool: request.pool.bytes(),
            profile: request.profile.bytes(),
        },
        why: policy.why(served.scope, verdict.rule),
        clause,
        clause_file,
        clause_line,
        ..event
    };
    whole.written_as(finish(policy, event));
}

/// What does not depend on the verdict.
fn common<'a>(now: u64, actor: Actor<'_>, chain: &'a [u8], process: Process<'a>, parent: Process<'a>) -> Event<'a> {
    let (role, uid, layer) = match actor {
        Actor::This | Actor::Again => (state::role(), sys::geteuid(), "libc"),
        Actor::Other(other) => (other.role, other.user.0, "backstop"),
    };
    let role = match role {
        Role::Master => "master",
        Role::Serving => "serving",
        Role::Descendant => "descendant",
    };
    Event {
        time: now,
        stream: 0,
        sequence: 0,
        dropped: 0,
        merged: 0,
        rule: &GUARD_POLICY,
        also: 0,
        mode: "",
        refused: false,
        action: Action::Exec,
        detail: b"",
        layer,
        unguarded: "",
        unknown: "",
        role,
        chain,
        served: portcullis_event::RequestFields {
            state: State::None.word(),
            ..portcullis_event::RequestFields::default()
        },
        why: b"",
        clause: b"",
        clause_file: b"",
        clause_line: 0,
        process,
        parent,
        uid,
        user: b"",
        host: b"",
    }
}

/// Numbers the event and hands it to the sinks; gives its number.
#[inline(never)]
fn finish(policy: &Policy<'_>, event: Event<'_>) -> u64 {
    let counters = counters::counters();
    let user = users::user_name(event.uid);
    let mut host = [0; 64];
    let event = Event {
        stream: counters.stream.load(Ordering::Relaxed),
        sequence: counters.sequence.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
        dropped: counters.dropped.load(Ordering::Relaxed),
        merged: counters::all_merged(),
        user: user.bytes(),
        host: host::name(event.time, &mut host),
        ..event
    };
    if !sink::send(policy, &event) {
        counters.dropped.fetch_add(1, Ordering::Relaxed);
    }
    event.sequence
}
