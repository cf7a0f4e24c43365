//! What resolves a name: getaddrinfo, gethostbyname and its kin, and the resolver's own functions. What they find is looked at,
//! and whom they ask is judged.

use super::fail;
use crate::action::{Actor, Decision, Refused, SocketOperation};
use crate::judge;
use crate::judge::names;
use crate::process::state::{self, Role};
use crate::real::table::{part, real};
use crate::real::types::Hostent;
use crate::request;
use crate::sys::Reader;
use crate::sys::address::Address;
use core::ffi::{c_char, c_int, c_uchar, c_void};
use core::net::{IpAddr, Ipv4Addr};
use portcullis_policy::dns;
use portcullis_policy::name::{HostName, NAME_MAX};

/// glibc's `h_errno` for a temporary failure.
const TRY_AGAIN: c_int = 2;

/// The same for an error that errno tells.
const NETDB_INTERNAL: c_int = -1;

/// The name that was asked for, unless that is an address: who asks for the digits of one, as PHP's fsockopen() does with what
/// gethostbyname() gave, learns nothing of it, and its name stays. The last part of a name is never a number (inet_aton(3)).
fn asked(name: *const c_char) -> Option<HostName> {
    let reader = Reader::default();
    let text = reader.string(name.cast(), NAME_MAX.wrapping_add(2))?;
    let last = text.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    let is_decimal = !last.is_empty() && last.iter().all(u8::is_ascii_digit);
    let is_number =
        is_decimal || matches!(last, [b'0', b'x' | b'X', rest @ ..] if rest.iter().all(u8::is_ascii_hexdigit));
    (!is_number && !text.contains(&b':')).then(|| HostName::of(text))
}

/// The state by which libc resolves for this thread, where it has no other.
fn own() -> *const c_void {
    // SAFETY: takes nothing; libc's own, which is there as long as the thread is.
    part::__res_state().map_or(core::ptr::null(), |own| unsafe { own() }.cast_const())
}

/// Judges the name servers of a state: libc connects and sends to them, past every hook. Those at the port of name servers are
/// left to the settings: libc reads these again only when it is asked for a name.
#[inline(never)]
fn decide(state: *const c_void) -> Decision {
    if state::role() == Role::Master || state.is_null() {
        return Ok(());
    }
    let mut decision = Ok(());
    let is_whole = names::each_server(state, |ip, port| {
        if port != names::DNS {
            let decide = |served: &request::ServedRequest| {
                judge::egress(Actor::This, served, -1, SocketOperation::Send(false), ip, port)
            };
            decision = request::current(decide).map(|_| ());
        }
        decision.is_ok()
    });
    if !is_whole && decision.is_ok() {
        decision = request::current(|served| judge::unread(Actor::This, served, -1, SocketOperation::Send(false)));
    }
    decision
}

/// getaddrinfo(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    results: *mut *mut libc::addrinfo,
) -> c_int {
    let Some(real) = real::getaddrinfo() else { return libc::EAI_SYSTEM };
    if !node.is_null()
        && let Err(Refused(errno)) = decide(own())
    {
        fail(errno);
        return libc::EAI_SYSTEM;
    }
    // SAFETY: as the caller promises.
    let done = unsafe { real(node, service, hints, results) };
    if done == 0
        && !node.is_null()
        && let Some(name) = asked(node)
    {
        // SAFETY: libc has just made that list.
        let mut next = unsafe { *results };
        names::resolved(
            own(),
            &name,
            core::iter::from_fn(|| {
                while !next.is_null() {
                    // SAFETY: an entry of the list.
                    let entry = unsafe { &*next };
                    next = entry.ai_next;
                    let mut copy = Address::none();
                    // SAFETY: libc's own address of that length.
                    if unsafe { copy.copy(entry.ai_addr.cast(), entry.ai_addrlen) }
                        && let Some((ip, _)) = copy.internet(entry.ai_addrlen)
                    {
                        return Some(ip);
                    }
                }
                None
            }),
        );
    }
    done
}

/// Takes note of what a `struct hostent` says of a name.
///
/// # Safety
/// `host` must be null or libc's.
unsafe fn note(name: *const c_char, host: *const Hostent) {
    // SAFETY: as the caller promises.
    let Some(host) = (unsafe { host.as_ref() }) else { return };
    let Some(name) = asked(name) else { return };
    let mut at = host.addresses;
    names::resolved(
        own(),
        &name,
        core::iter::from_fn(|| {
            if at.is_null() {
                return None;
            }
            // SAFETY: libc's list of addresses of that length ends in NULL.
            let address = unsafe { *at };
            at = at.wrapping_add(1);
            match (host.family, host.length) {
                _ if address.is_null() => None,
                // SAFETY: as above.
                (libc::AF_INET, 4) => Some(IpAddr::V4(Ipv4Addr::from(unsafe { address.cast::<[u8; 4]>().read() }))),
                // SAFETY: as above.
                (libc::AF_INET6, 16) => Some(IpAddr::from(unsafe { address.cast::<[u8; 16]>().read() })),
                _ => None,
            }
        }),
    );
}

macro_rules! host {
    ($($(#[$doc:meta])* $name:ident ($($family:ident)?);)*) => {
        $(
            $(#[$doc])*
            #[cfg_attr(not(test), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name(name: *const c_char $(, $family: c_int)?) -> *mut Hostent {
                let Some(real) = real::$name() else { return core::ptr::null_mut() };
                if let Err(Refused(errno)) = decide(own()) {
                    fail(errno);
                    return core::ptr::null_mut();
                }
                // SAFETY: as the caller promises.
                unsafe {
                    let host = real(name $(, $family)?);
                    note(name, host);
                    host
                }
            }
        )*
    };
}

host! {
    /// gethostbyname(3).
    ///
    /// # Safety
    /// As libc's.
    gethostbyname ();
    /// gethostbyname2(3).
    ///
    /// # Safety
    /// As libc's.
    gethostbyname2 (family);
}

macro_rules! host_in_buffer {
    ($($(#[$doc:meta])* $name:ident ($($family:ident)?);)*) => {
        $(
            $(#[$doc])*
            #[cfg_attr(not(test), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name(
                name: *const c_char,
                $($family: c_int,)?
                host: *mut Hostent,
                buffer: *mut c_char,
                size: libc::size_t,
                result: *mut *mut Hostent,
                error: *mut c_int,
            ) -> c_int {
                let Some(real) = real::$name() else { return TRY_AGAIN };
                if let Err(Refused(errno)) = decide(own()) {
                    // SAFETY: as the caller promises.
                    unsafe { (*result, *error) = (core::ptr::null_mut(), NETDB_INTERNAL) };
                    return errno;
                }
                // SAFETY: as the caller promises.
                unsafe {
                    let done = real(name, $($family,)? host, buffer, size, result, error);
                    if done == 0 {
                        note(name, *result);
                    }
                    done
                }
            }
        )*
    };
}

host_in_buffer! {
    /// gethostbyname_r(3).
    ///
    /// # Safety
    /// As libc's.
    gethostbyname_r ();
    /// gethostbyname2_r(3).
    ///
    /// # Safety
    /// As libc's.
    gethostbyname2_r (family);
}

/// Takes note of an answer of a name server, by this state, in a buffer of `room` bytes.
///
/// # Safety
/// Where `got` is positive, libc has written that many bytes, or as many as there is room for.
unsafe fn answer(state: *const c_void, buffer: *const c_uchar, room: c_int, got: c_int) -> c_int {
    if got > 0 && !buffer.is_null() && names::believes(state) {
        let len = got.min(room).max(0) as usize;
        // SAFETY: as the caller promises.
        let message = unsafe { core::slice::from_raw_parts(buffer, len) };
        dns::addresses(message, names::remember);
    }
    got
}

/// A function of the resolver: it is called, and its answer looked at.
macro_rules! resolver {
    ($($(#[$doc:meta])* $name:ident by $real:ident ($($arg:ident: $type:ty),*) of $state:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// As libc's.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name($($arg: $type,)* class: c_int, kind: c_int, buffer: *mut c_uchar, size: c_int) -> c_int {
                let Some(real) = real::$real() else { return -1 };
                let state: *const c_void = $state;
                if let Err(Refused(errno)) = decide(state) {
                    return fail(errno);
                }
                // SAFETY: as the caller promises.
                unsafe { answer(state, buffer, size, real($($arg,)* class, kind, buffer, size)) }
            }
        )*
    };
}

resolver! {
    /// res_query(3).
    res_query by res_query (name: *const c_char) of own();
    /// res_query by its other name.
    __res_query by res_query (name: *const c_char) of own();
    /// res_search(3).
    res_search by res_search (name: *const c_char) of own();
    /// res_search by its other name.
    __res_search by res_search (name: *const c_char) of own();
    /// res_querydomain(3).
    res_querydomain by res_querydomain (name: *const c_char, domain: *const c_char) of own();
    /// res_querydomain by its other name.
    __res_querydomain by res_querydomain (name: *const c_char, domain: *const c_char) of own();
    /// res_nquery(3).
    res_nquery by res_nquery (state: *mut c_void, name: *const c_char) of state;
    /// res_nquery by its other name.
    __res_nquery by res_nquery (state: *mut c_void, name: *const c_char) of state;
    /// res_nsearch(3).
    res_nsearch by res_nsearch (state: *mut c_void, name: *const c_char) of state;
    /// res_nsearch by its other name.
    __res_nsearch by res_nsearch (state: *mut c_void, name: *const c_char) of state;
    /// res_nquerydomain(3).
    res_nquerydomain by res_nquerydomain (state: *mut c_void, name: *const c_char, domain: *const c_char) of state;
    /// res_nquerydomain by its other name.
    __res_nquerydomain by res_nquerydomain (state: *mut c_void, name: *const c_char, domain: *const c_char) of state;
}

/// res_send(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn res_send(query: *const c_uchar, len: c_int, answer: *mut c_uchar, size: c_int) -> c_int {
    let Some(real) = real::res_send() else { return -1 };
    match decide(own()) {
        Err(Refused(errno)) => fail(errno),
        // SAFETY: as the caller promises.
        Ok(()) => unsafe { real(query, len, answer, size) },
    }
}

/// res_nsend(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn res_nsend(
    state: *mut c_void,
    query: *const c_uchar,
    len: c_int,
    answer: *mut c_uchar,
    size: c_int,
) -> c_int {
    let Some(real) = real::res_nsend() else { return -1 };
    match decide(state) {
        Err(Refused(errno)) => fail(errno),
        // SAFETY: as the caller promises.
        Ok(()) => unsafe { real(state, query, len, answer, size) },
    }
}

/// res_send by its other name.
///
/// # Safety
/// As [`res_send`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __res_send(query: *const c_uchar, len: c_int, answer: *mut c_uchar, size: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { res_send(query, len, answer, size) }
}

/// res_nsend by its other name.
///
/// # Safety
/// As [`res_nsend`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __res_nsend(
    state: *mut c_void,
    query: *const c_uchar,
    len: c_int,
    answer: *mut c_uchar,
    size: c_int,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { res_nsend(state, query, len, answer, size) }
}
