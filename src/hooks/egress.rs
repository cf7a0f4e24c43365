//! Judges what opens a connection or sends to an address: [`mod@super::connect`], [`mod@super::sendto`], [`super::messages`].

use super::apart::{self, Call};
use crate::action::{Actor, Decision, Holds, SocketOperation};
use crate::judge;
use crate::judge::{names, peers};
use crate::policy::verdict_cache::Destination;
use crate::process::state::{self, Role};
use crate::real::gate::Way;
use crate::report::counters;
use crate::server::pools;
use crate::sys::address::Address;
use crate::sys::{is_unspecified, unspecified};
use crate::{request, sys};
use core::ffi::{c_int, c_void};
use core::net::IpAddr;
use portcullis_policy::{Rule, Unknown};

/// How a call was judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    /// By its destination alone; or nobody else can touch the socket.
    Whole,
    /// The socket takes no notice of the address, so it is sent without.
    WithoutAddress,
    /// By its socket too: it is to be made apart.
    OnSocket,
    /// It has to be looked at once it is made.
    Afterwards,
}

/// What the policy says, which for most destinations is what it said last time.
#[inline]
pub(super) fn decide(fd: c_int, copy: &Address, len: libc::socklen_t, operation: SocketOperation) -> Decision<Looked> {
    let known = |scope| {
        Destination::new(scope, copy.head(), len as usize, operation != SocketOperation::Connect)?
            .is_allowed()
            .then_some(())
    };
    if request::scope().and_then(known).is_some() {
        counters::decision();
        return Ok(Looked::Whole);
    }
    anew(Actor::This, fd, copy, len, operation)
}

const RULES: [Rule; 4] = [Rule::EgressPort, Rule::DnsDirect, Rule::Metadata, Rule::FpmSocket];

#[inline(never)]
pub(super) fn anew(
    actor: Actor<'_>,
    fd: c_int,
    copy: &Address,
    len: libc::socklen_t,
    operation: SocketOperation,
) -> Decision<Looked> {
    let is_first = matches!(actor, Actor::This);
    let on = |looked| if is_first && !apart::is_needed(&RULES) { Looked::Whole } else { looked };
    let at = match copy.internet(len) {
        Some(at) => Some(at),
        // A connect of it takes a socket's peer away.
        None if operation != SocketOperation::Connect && is_unspecified(copy.head(), len as usize) => {
            match sys::meaning_of_unspecified(fd) {
                Ok(sys::Unspecified::Nothing) => return sent(actor, fd).map(|()| on(Looked::OnSocket)),
                Ok(meant) => match unspecified(copy.head(), len as usize, meant) {
                    None => return Ok(on(Looked::OnSocket)),
                    at => at,
                },
                Err(_) => return unexamined(actor, fd, operation).map(|()| Looked::Whole),
            }
        }
        None => None,
    };
    let Some((ip, port)) = at else {
        let is_local = operation == SocketOperation::Connect && pools::any();
        return Ok(if is_local { Looked::Afterwards } else { Looked::Whole });
    };
    if pools::any()
        && let Some(decision) = to_own_pool(actor, ip, port, operation)
    {
        return decision.map(|()| Looked::Whole);
    }
    // What is an address to some sockets only.
    let is_meant = copy.internet(len).is_none();
    let holds = request::current(|served| {
        // As it is before the policy is asked.
        let destination =
            Destination::new(served.scope, copy.head(), len as usize, operation != SocketOperation::Connect);
        let holds = judge::egress(actor, served, fd, operation, ip, port)?;
        match holds {
            Holds::UntilSent(refused) => {
                if refused {
                    peers::shut(fd);
                }
                peers::mark(fd);
            }
            _ if is_first && peers::any_shut() => {
                // SAFETY: the copy has as many bytes.
                let connect = |new| unsafe { sys::connect_to(new, copy.as_ptr().cast(), len as usize) };
                let goes = |new| operation != SocketOperation::Connect || connect(new);
                peers::revive(fd, goes);
            }
            Holds::WhilePolicy => {
                if let Some(destination) = destination {
                    destination.remember();
                }
            }
            Holds::Once | Holds::OnSocket | Holds::Ignored => {}
        }
        Ok(holds)
    })?;
    Ok(match holds {
        Holds::OnSocket | Holds::UntilSent(_) => on(Looked::OnSocket),
        Holds::Ignored => on(Looked::WithoutAddress),
        Holds::Once | Holds::WhilePolicy if is_meant => on(Looked::OnSocket),
        Holds::Once | Holds::WhilePolicy => Looked::Whole,
    })
}

/// Judges a socket that cannot be examined.
#[cold]
fn unexamined(actor: Actor<'_>, fd: c_int, operation: SocketOperation) -> Decision {
    request::current(|served| judge::unexamined(actor, served, fd, operation))
}

/// Makes a call whose verdict hangs on the socket: negative errno on failure.
#[cold]
pub(super) fn make_apart(
    way: Way,
    fd: c_int,
    operation: SocketOperation,
    waits: bool,
    judge: &dyn Fn(Actor<'_>) -> Decision,
    make: &dyn Fn(Way) -> Option<isize>,
) -> Decision<isize> {
    Call { way, waits, judge, make, unexamined: &|| unexamined(Actor::This, fd, operation) }.run()
}

/// Whether it goes to the port of name servers, perhaps to ask one; of another family these two bytes are no port.
#[inline(always)]
pub(super) fn is_dns(copy: &Address, len: libc::socklen_t) -> bool {
    let [_, _, high, low, ..] = *copy.head();
    u16::from_be_bytes([high, low]) == names::DNS && copy.internet(len).is_some()
}

/// What is sent without an address goes to where the socket is connected.
fn sent(actor: Actor<'_>, fd: c_int) -> Decision {
    if peers::is_marked(fd) && state::role() != Role::Master {
        return request::current(|served| judge::sent(actor, served, fd));
    }
    Ok(())
}

/// The same, with what is sent, which may be a question to a name server.
///
/// # Safety
/// `bytes` must be what the caller of the hook gave, `size` of them.
#[cold]
pub(super) unsafe fn sending_to_peer(fd: c_int, bytes: *const c_void, size: usize) -> Decision {
    sent(Actor::This, fd)?;
    if names::is_asking(fd) {
        // SAFETY: as the caller promises.
        unsafe { names::asked(fd, bytes.cast(), size) };
    }
    Ok(())
}

/// Judges a connection, where that goes to a pool of this process's own server, or may.
#[cold]
#[inline(never)]
fn to_own_pool(actor: Actor<'_>, ip: IpAddr, port: u16, operation: SocketOperation) -> Option<Decision> {
    if operation == SocketOperation::Send(false) {
        return None;
    }
    to_pool(actor, pools::is_masters_address(ip, port))
}

/// Judges a connection to a pool of this process's own server, where it is one, or may be.
#[cold]
#[inline(never)]
pub(super) fn to_pool(actor: Actor<'_>, is_pools: Option<bool>) -> Option<Decision> {
    let unknown = match is_pools {
        Some(false) => return None,
        Some(true) => None,
        None => Some(Unknown::Socket),
    };
    let how = b"a connection to a listener of PHP-FPM's";
    Some(request::current(|served| judge::plain(Rule::FpmSocket, actor, served, unknown, how)))
}
