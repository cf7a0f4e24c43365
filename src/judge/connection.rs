//! Evaluates connections, sends and listeners: an action on a socket towards an address.

use super::{conclude, names, peers, unknown};
use crate::action::{Actor, Decision, Holds, SocketOperation};
use crate::policy::{in_force, verdict_cache};
use crate::process::state;
use crate::report::counters;
use crate::request::ServedRequest;
use crate::sys;
use core::cell::Cell;
use core::net::IpAddr;
use portcullis_event::{Action, Endpoint, NOTHING_SENT};
use portcullis_policy::egress::{Connection as Destination, Transport, canonical};
use portcullis_policy::name::HostName;
use portcullis_policy::{Outcome, Policy, Rule, Unknown, Verdict};

/// Judges what is done with socket `fd` towards an address.
#[inline(never)]
pub fn egress(
    actor: Actor<'_>,
    served: &ServedRequest,
    fd: i32,
    operation: SocketOperation,
    ip: IpAddr,
    port: u16,
) -> Decision<Holds> {
    let policy = in_force::policy();
    let names_no_host = match ip {
        IpAddr::V4(v4) => v4.is_unspecified(),
        // ::ffff:0.0.0.0
        IpAddr::V6(v6) => v6.to_bits() == 0xffff_0000_0000,
    };
    let ip = if names_no_host { this_host(fd, ip) } else { ip };
    let has_ports = match actor {
        Actor::This | Actor::Again if !verdict_cache::is_distrusted() => Some(true),
        // What could not be borrowed is judged by who asks.
        _ if fd < 0 => Some(true),
        _ => sys::has_ports(fd),
    };
    let port = match has_ports {
        Some(true) => port,
        Some(false) => 0,
        None => return unexamined(actor, served, fd, operation).map(|()| Holds::Once),
    };
    // Whether the verdict hangs on more than the destination, and on what the socket is.
    let is_distrusted = match actor {
        Actor::This | Actor::Again => verdict_cache::is_distrusted(),
        Actor::Other(_) => has_ports == Some(false),
    };
    let (looked, of_socket) = (Cell::new(false), names_no_host || is_distrusted);
    // Asked once: another thread may put another socket in its place, and a stream's verdict holds for every socket.
    let asked = Cell::new(None);
    let transport = || {
        looked.set(true);
        let answer = asked.get().unwrap_or_else(|| transport_of(fd, operation));
        asked.set(Some(answer));
        answer
    };
    let name = &|| {
        looked.set(true);
        match actor {
            Actor::This | Actor::Again => names::of(ip),
            // What another process resolved is in its own memory.
            Actor::Other(_) => HostName::none(),
        }
    };
    // Nobody connects one without ports to learn its own address.
    let to =
        Destination { address: ip, port, sends: operation != SocketOperation::Connect || has_ports == Some(false) };
    counters::decision();
    let verdict = towards(&policy, served, to, &transport, name);
    let mut holds = match (of_socket, looked.get()) {
        (true, _) => Holds::OnSocket,
        (false, true) => Holds::Once,
        (false, false) => Holds::WhilePolicy,
    };
    // What a connect may do because it sends nothing, the socket may not do once something is sent.
    if operation == SocketOperation::Connect
        && verdict.outcome != Outcome::Deny
        && (looked.get() || of_socket)
        && transport() == Transport::Datagram
    {
        let sends = Destination { sends: true, ..to };
        let sent = towards(&policy, served, sends, &|| Transport::Datagram, name);
        if sent.outcome > verdict.outcome {
            holds = Holds::UntilSent(sent.outcome == Outcome::Deny);
        }
    }
    if verdict.outcome == Outcome::Allow {
        return Ok(holds);
    }
    // It sends nothing yet, and what it sends is judged: where the hooks alone judge this process, as it is sent.
    let is_quiet = operation == SocketOperation::Connect
        && matches!(actor, Actor::This | Actor::Again)
        && !state::is_judged_elsewhere()
        && peers::can_judge_sends(fd)
        && transport() == Transport::Datagram;
    if is_quiet {
        // The kernel refuses what no hook sees; where it does not, the event of the connect is the only one of that.
        let refused = verdict.outcome == Outcome::Deny || holds == Holds::UntilSent(true);
        holds = Holds::UntilSent(refused);
        if refused {
            return Ok(holds);
        }
    }
    // It is to have an event the next time, too.
    let holds = if holds == Holds::WhilePolicy { Holds::Once } else { holds };
    // A stream that is connected, or not to be connected, does not look at the address.
    if operation == SocketOperation::Send(false) && transport() == Transport::Stream && sys::ignores_address(fd) {
        return Ok(if sys::is_tcp(fd) { Holds::Ignored } else { Holds::OnSocket });
    }
    let word = sys::transport(fd);
    // Who asks again how a connection is getting on (Perl's IO::Socket does) begins no other.
    if verdict.outcome == Outcome::Audit && word == "tcp" && sys::is_begun(fd) {
        return Ok(holds);
    }
    let name = name();
    let at = Endpoint { ip: Some(canonical(ip)), port, transport: word, domain: name.bytes() };
    let action = if operation == SocketOperation::Connect || transport() == Transport::Stream {
        Action::Connect(at)
    } else {
        Action::Send(at)
    };
    let detail: &[u8] = if is_quiet { NOTHING_SENT } else { b"" };
    conclude(&policy, verdict, served, actor, action, detail).map(|()| holds)
}

/// The policy's verdict on a destination: one function, whatever says what the socket and the name are.
#[inline(never)]
fn towards(
    policy: &Policy<'_>,
    served: &ServedRequest,
    to: Destination,
    transport: &dyn Fn() -> Transport,
    name: &dyn Fn() -> HostName,
) -> Verdict {
    policy.decide_connect(served.scope, to, transport, name)
}

/// A socket's kind; one that could not be borrowed, or asked, is taken for what would be judged.
#[inline(never)]
fn transport_of(fd: i32, operation: SocketOperation) -> Transport {
    let is_stream = if fd < 0 { None } else { sys::asked_stream(fd) };
    if is_stream.unwrap_or(operation == SocketOperation::Connect) { Transport::Stream } else { Transport::Datagram }
}

/// Where Linux goes that is told to go to no address in particular: an IPv4 socket, to the address that it is bound to
/// (net/ipv4/route.c); otherwise to loopback.
#[cold]
fn this_host(fd: i32, ip: IpAddr) -> IpAddr {
    match sys::own_address(fd) {
        Ok(Some((own, _))) if fd >= 0 => own,
        _ => ip,
    }
}

/// Judges what is sent, without an address, on a socket that was connected quietly; what is no such socket any more is none
/// of its business.
#[cold]
pub fn sent(actor: Actor<'_>, served: &ServedRequest, fd: i32) -> Decision {
    match sys::asked_peer(fd) {
        Ok(Some((ip, port))) if sys::asked_stream(fd) != Some(true) => {
            egress(actor, served, fd, SocketOperation::Send(false), ip, port).map(|_| ())
        }
        // A stream, or a socket without a peer, by which the kernel sends nothing; of one that is connected to port 0 it does
        // not say the peer.
        Ok(_) => match sys::own_address(fd) {
            _ if sys::asked_stream(fd) == Some(true) => {
                peers::unmark(fd);
                Ok(())
            }
            Ok(Some((_, 1..))) => unexamined(actor, served, fd, SocketOperation::Send(false)),
            _ => Ok(()),
        },
        Err(_) => unexamined(actor, served, fd, SocketOperation::Send(false)),
    }
}

/// Judges what the sockets of this process that were connected quietly may send in a program that inherits them. What is
/// refused is refused by the kernel.
#[cold]
#[inline(never)]
pub fn inherited(served: &ServedRequest) {
    peers::each_inherited(|fd| leaves(served, fd));
}

/// The same of one socket.
#[cold]
#[inline(never)]
pub fn leaves(served: &ServedRequest, fd: i32) {
    let Ok(Some((ip, port))) = sys::asked_peer(fd) else { return };
    if sys::asked_stream(fd) == Some(true) {
        return;
    }
    let policy = in_force::policy();
    let to = Destination { address: ip, port, sends: true };
    let name = names::of(ip);
    // Each socket is an action beside the program's own, and may have an event.
    counters::decision();
    let verdict = towards(&policy, served, to, &|| Transport::Datagram, &|| name);
    match verdict.outcome {
        Outcome::Allow => {}
        // It was connected where that was only logged, perhaps.
        Outcome::Deny => peers::shut(fd),
        Outcome::Audit => {
            let at = Endpoint { ip: Some(canonical(ip)), port, transport: sys::transport(fd), domain: name.bytes() };
            let _ = conclude(&policy, verdict, served, Actor::This, Action::Connect(at), b"inherited by a program");
        }
    }
}

/// Judges what is done with a socket that cannot be examined, so that it is not known where it goes.
#[cold]
pub fn unexamined(actor: Actor<'_>, served: &ServedRequest, fd: i32, operation: SocketOperation) -> Decision {
    let action =
        if operation == SocketOperation::Connect { Action::Connect(nowhere(fd)) } else { Action::Send(nowhere(fd)) };
    unknown(actor, served, Unknown::Socket, !Rule::ListenPort.bit(), action)
}

/// Judges what lets a socket go elsewhere than its address says; `how` says by what.
#[cold]
pub fn routed(actor: Actor<'_>, served: &ServedRequest, how: &'static str) -> Decision {
    let policy = in_force::policy();
    counters::decision();
    let verdict = policy.decide_unknown(served.scope, Unknown::Route, !Rule::ListenPort.bit());
    conclude(&policy, verdict, served, actor, Action::Route, how.as_bytes())
}

/// Judges what is done with an address that cannot be read.
#[cold]
pub fn unread(actor: Actor<'_>, served: &ServedRequest, fd: i32, operation: SocketOperation) -> Decision {
    let action =
        if operation == SocketOperation::Connect { Action::Connect(nowhere(fd)) } else { Action::Send(nowhere(fd)) };
    unknown(actor, served, Unknown::Address, !Rule::ListenPort.bit(), action)
}

/// Judges the opening of a port that is not known, because its address cannot be read or its socket cannot be examined.
#[cold]
pub fn listen_unknown(actor: Actor<'_>, served: &ServedRequest, fd: i32, what: Unknown) -> Decision {
    unknown(actor, served, what, Rule::ListenPort.bit(), Action::Listen(nowhere(fd)))
}

/// The destination of what is not known.
fn nowhere(fd: i32) -> Endpoint<'static> {
    Endpoint { ip: None, port: 0, transport: sys::transport(fd), domain: b"" }
}

/// The ports that Linux itself gives to who asks for none (net/ipv4/af_inet.c). Not as it is set here: who starts programs in a
/// network of its own sets that itself.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 32768..=60999;

/// Judges the opening of a port that the master has not opened. A datagram socket may have an ephemeral port without asking for
/// it, as a client does that binds to port 0: asking for it opens no more.
#[inline(never)]
pub fn listen(actor: Actor<'_>, served: &ServedRequest, fd: i32, ip: IpAddr, port: u16) -> Decision {
    if EPHEMERAL.contains(&port) && sys::asked_stream(fd) == Some(false) {
        return Ok(());
    }
    let policy = in_force::policy();
    counters::decision();
    let verdict = policy.decide_listen(served.scope, port);
    let at = Endpoint { ip: Some(ip), port, transport: sys::transport(fd), domain: b"" };
    conclude(&policy, verdict, served, actor, Action::Listen(at), b"")
}
