//! From a verdict to an event in the sinks.

use crate::actor::{self, Room};
use crate::files;
use crate::judge::{Arguments, Exec, Target};
use crate::memory::base_name;
use crate::program::Program;
use crate::request::Served;
use crate::state::{self, Role};
use crate::{context, sink, sys};
use core::net::IpAddr;
use core::sync::atomic::Ordering;
use portcullis_event::{ARGS_SHOWN, Action, Destination, EGRESS_PORT, Event, GUARD_POLICY, Process, SHELL_SPAWN};
use portcullis_policy::egress::Transport;
use portcullis_policy::{Mode, Outcome, Policy, Rule, Verdict};
use portcullis_request::State;

/// The event of a connection.
#[cold]
pub fn connect(policy: &Policy<'_>, verdict: Verdict, served: &Served, ip: IpAddr, port: u16, transport: Transport) {
    let transport = match transport {
        Transport::Stream => "tcp",
        Transport::Datagram => "udp",
    };
    let (mut room, mut args) = (Room::new(), [&b""[..]; ARGS_SHOWN]);
    let (mut parent_room, mut parent_args) = (Room::new(), [&b""[..]; ARGS_SHOWN]);
    let process = actor::facts(0, &mut room, &mut args);
    let parent = actor::facts(sys::getppid(), &mut parent_room, &mut parent_args);
    let action = Action::Connect(Destination { ip, port, transport });
    let chain = context::own_chain(served);
    decided(policy, verdict, served, Event { action, ..common(chain.bytes(), process, parent) });
}

/// The event of a program.
#[cold]
pub fn exec(
    policy: &Policy<'_>,
    verdict: Verdict,
    served: &Served,
    exec: &Exec<'_>,
    program: &Program,
    arguments: &Arguments<'_>,
) {
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
    let chain = context::chain_of(process.name, served);
    decided(policy, verdict, served, common(chain.bytes(), process, parent));
}

/// The guard's word on itself.
#[cold]
pub fn guard(policy: &Policy<'_>, sentence: &'static str) {
    let (mut room, mut args) = (Room::new(), [&b""[..]; ARGS_SHOWN]);
    let (mut parent_room, mut parent_args) = (Room::new(), [&b""[..]; ARGS_SHOWN]);
    let process = actor::facts(0, &mut room, &mut args);
    let parent = actor::facts(sys::getppid(), &mut parent_room, &mut parent_args);
    let chain = state::settled().chain.bytes();
    let action = Action::Guard(sentence);
    finish(policy, Event { mode: Mode::Audit.word(), action, ..common(chain, process, parent) });
}

/// Puts in what the verdict and the request say.
fn decided(policy: &Policy<'_>, verdict: Verdict, served: &Served, event: Event<'_>) {
    let refused = verdict.outcome == Outcome::Deny;
    let (clause, clause_file, clause_line) = policy.clause(verdict.clause);
    let request = &served.request;
    let event = Event {
        rule: match verdict.rule {
            Rule::EgressPort => &EGRESS_PORT,
            Rule::ShellSpawn => &SHELL_SPAWN,
        },
        mode: if refused { Mode::Enforce.word() } else { Mode::Audit.word() },
        refused,
        served: portcullis_event::Served {
            state: request.state.word(),
            source: request.source.word(),
            vhost: served.vhost.map(|vhost| policy.vhost_name(vhost)).unwrap_or_default(),
            server_name: request.server_name.bytes(),
            document_root: request.document_root.bytes(),
            script: request.script.bytes(),
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
        served: portcullis_event::Served { state: State::None.word(), ..portcullis_event::Served::default() },
        why: b"",
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
