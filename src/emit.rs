//! From a verdict to an event in the sinks.

use crate::actor::{self, Room};
use crate::files;
use crate::judge::{Arguments, Exec, Target};
use crate::memory::base_name;
use crate::program::Program;
use crate::state::{self, Role};
use crate::{context, sink, sys};
use core::net::IpAddr;
use core::sync::atomic::Ordering;
use portcullis_event::{
    ARGS_SHOWN, Action, Destination, EGRESS_PORT, Event, GUARD_POLICY, Process, RuleFacts, SHELL_SPAWN,
};
use portcullis_policy::egress::Transport;
use portcullis_policy::{Mode, Outcome, Policy, Rule, Verdict};

/// The event of a connection.
#[cold]
pub fn connect(policy: &Policy<'_>, verdict: Verdict, ip: IpAddr, port: u16, transport: Transport) {
    let transport = match transport {
        Transport::Stream => "tcp",
        Transport::Datagram => "udp",
    };
    let (mut room, mut args) = (Room::new(), [&b""[..]; ARGS_SHOWN]);
    let (mut parent_room, mut parent_args) = (Room::new(), [&b""[..]; ARGS_SHOWN]);
    let process = actor::facts(0, &mut room, &mut args);
    let parent = actor::facts(sys::getppid(), &mut parent_room, &mut parent_args);
    let action = Action::Connect(Destination { ip, port, transport });
    write(policy, verdict, action, state::settled().chain.bytes(), process, parent);
}

/// The event of a program.
#[cold]
pub fn exec(policy: &Policy<'_>, verdict: Verdict, exec: &Exec<'_>, program: &Program, arguments: &Arguments<'_>) {
    let (mut room, mut args) = (Room::new(), [&b""[..]; ARGS_SHOWN]);
    // A program that replaces this process has this process's parent; one in a new process has this one.
    let parent = if exec.replaces { sys::getppid() } else { 0 };
    let parent = actor::facts(parent, &mut room, &mut args);
    let name = exec.name();
    let mut folder = [0; 512];
    let executable = match (program.real.bytes(), exec.target) {
        (b"", Target::Path(_, path) | Target::Search(path)) => path.to_bytes(),
        (real, _) => real,
    };
    let process = Process {
        pid: if exec.replaces { sys::getpid() } else { 0 },
        name: if name.bytes().is_empty() { base_name(executable) } else { name.bytes() },
        executable,
        working_directory: sys::getcwd(&mut folder),
        args: arguments.words().get(..ARGS_SHOWN).unwrap_or(arguments.words()),
        args_count: u32::try_from(arguments.count).unwrap_or(u32::MAX),
    };
    let chain = context::chain_of(process.name);
    write(policy, verdict, Action::Exec, chain.bytes(), process, parent);
}

/// The guard's word on itself.
#[cold]
pub fn guard(policy: &Policy<'_>, sentence: &'static str) {
    let (mut room, mut args) = (Room::new(), [&b""[..]; ARGS_SHOWN]);
    let (mut parent_room, mut parent_args) = (Room::new(), [&b""[..]; ARGS_SHOWN]);
    let process = actor::facts(0, &mut room, &mut args);
    let parent = actor::facts(sys::getppid(), &mut parent_room, &mut parent_args);
    let event = Event {
        rule: &GUARD_POLICY,
        mode: Mode::Audit.word(),
        refused: false,
        action: Action::Guard(sentence),
        clause: b"",
        clause_file: b"",
        clause_line: 0,
        ..common(state::settled().chain.bytes(), process, parent)
    };
    finish(policy, event);
}

fn facts_of(rule: Rule) -> &'static RuleFacts {
    match rule {
        Rule::EgressPort => &EGRESS_PORT,
        Rule::ShellSpawn => &SHELL_SPAWN,
    }
}

fn write(
    policy: &Policy<'_>,
    verdict: Verdict,
    action: Action,
    chain: &[u8],
    process: Process<'_>,
    parent: Process<'_>,
) {
    let refused = verdict.outcome == Outcome::Deny;
    let (clause, clause_file, clause_line) = policy.clause(verdict.clause);
    let event = Event {
        rule: facts_of(verdict.rule),
        mode: if refused { Mode::Enforce.word() } else { Mode::Audit.word() },
        refused,
        action,
        clause,
        clause_file,
        clause_line,
        ..common(chain, process, parent)
    };
    finish(policy, event);
}

/// What does not depend on the verdict.
fn common<'a>(chain: &'a [u8], process: Process<'a>, parent: Process<'a>) -> Event<'a> {
    let role = match state::role() {
        Role::Master => "master",
        Role::Serving => "serving",
        Role::Descendant => "descendant",
    };
    Event {
        time: sys::now(),
        stream: 0,
        sequence: 0,
        dropped: 0,
        rule: &GUARD_POLICY,
        mode: "",
        refused: false,
        action: Action::Exec,
        role,
        chain,
        clause: b"",
        clause_file: b"",
        clause_line: 0,
        process,
        parent,
        uid: sys::geteuid(),
        user: b"",
        host: b"",
    }
}

/// Numbers the event and hands it to the sinks.
fn finish(policy: &Policy<'_>, event: Event<'_>) {
    let counters = state::counters();
    let user = files::user_name(event.uid);
    let mut host = [0; 65];
    let event = Event {
        stream: counters.stream.load(Ordering::Relaxed),
        sequence: counters.sequence.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
        dropped: counters.dropped.load(Ordering::Relaxed),
        user: user.bytes(),
        host: sys::hostname(&mut host),
        ..event
    };
    if !sink::send(policy, &event) {
        counters.dropped.fetch_add(1, Ordering::Relaxed);
    }
}
