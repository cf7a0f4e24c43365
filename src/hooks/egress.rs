//! What opens a connection or sends to an address: connect, sendto, sendmsg; sendmmsg is in [`super::messages`].

use super::fail;
use super::held::Held;
use crate::address::{Address, NOWHERE, readable};
use crate::allowed::Destination;
use crate::gate::{self, Way};
use crate::judge::{self, By, Decision, Deed, Holds, Refused};
use crate::state::{self, Role};
use crate::sys::{ADDRESS_MAX, is_unspecified, unspecified};
use crate::{counters, names, peers, pools, request, route, sys};
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::net::IpAddr;
use portcullis_policy::{Rule, Unknown};

/// How a call was judged.
#[derive(Clone, Copy)]
pub(super) enum Looked {
    /// By its destination alone.
    Whole,
    /// With the socket, on which it is to be made.
    On((c_int, bool)),
    /// It has to be looked at once it is made, likewise.
    Afterwards((c_int, bool)),
}

impl Looked {
    fn on(held: Held) -> Looked {
        Looked::On(held.words())
    }

    /// The socket that was looked at.
    #[cold]
    pub(super) fn held(self) -> Option<Held> {
        match self {
            Looked::Whole => None,
            Looked::On(words) | Looked::Afterwards(words) => Some(Held::again(words)),
        }
    }

    /// Makes the call on the socket that was looked at.
    #[cold]
    #[inline(never)]
    fn call<R>(self, fd: c_int, call: impl FnOnce(c_int) -> R) -> R {
        match self {
            Looked::Whole => call(fd),
            Looked::On(words) | Looked::Afterwards(words) => {
                let held = Held::again(words);
                call(held.at())
            }
        }
    }
}

/// What the policy says, which for most destinations is what it said last time.
#[inline]
fn judged(fd: c_int, copy: &Address, len: libc::socklen_t, deed: Deed) -> Decision<Looked> {
    let known =
        |scope| Destination::new(scope, copy.head(), len as usize, deed != Deed::Connect)?.is_allowed().then_some(());
    if request::scope().and_then(known).is_some() {
        counters::decision();
        return Ok(Looked::Whole);
    }
    anew(fd, copy, len, deed)
}

#[inline(never)]
fn anew(number: c_int, copy: &Address, len: libc::socklen_t, deed: Deed) -> Decision<Looked> {
    const RULES: [Rule; 4] = [Rule::EgressPort, Rule::DnsDirect, Rule::Metadata, Rule::FpmSocket];
    let destination = copy.internet(len);
    let is_local = || deed == Deed::Connect && pools::any();
    let means = || deed != Deed::Connect && is_unspecified(copy.head(), len as usize);
    if destination.is_none() && !is_local() && !means() {
        return Ok(Looked::Whole);
    }
    let Some(held) = Held::of(number, &RULES) else {
        request::current(|served| judge::unexamined(By::This, served, number, deed))?;
        return Ok(Looked::Whole);
    };
    let fd = held.at();
    let at = match destination {
        Some(at) => Some(at),
        // A connect of it takes a socket's peer away.
        None if means() => match sys::meaning_of_unspecified(fd) {
            Ok(sys::Unspecified::Nothing) => return sent(number).map(|()| Looked::on(held)),
            Ok(meant) => unspecified(copy.head(), len as usize, meant),
            Err(_) => {
                let decision = request::current(|served| judge::unexamined(By::This, served, fd, deed));
                return decision.map(|()| Looked::on(held));
            }
        },
        None => None,
    };
    let Some((ip, port)) = at else {
        return Ok(if is_local() { Looked::Afterwards(held.words()) } else { Looked::on(held) });
    };
    if pools::any()
        && let Some(decision) = to_own_pool(ip, port, deed)
    {
        return decision.map(|()| Looked::on(held));
    }
    let revived = request::current(|served| {
        let mut revived = None;
        // As it is before the policy is asked.
        let destination = Destination::new(served.scope, copy.head(), len as usize, deed != Deed::Connect);
        match judge::egress(By::This, served, fd, deed, ip, port)? {
            Holds::UntilSent(refused) => {
                if refused {
                    peers::shut(fd);
                }
                peers::mark(number);
            }
            _ if peers::any_shut() => {
                // SAFETY: the copy has as many bytes.
                let goes =
                    |new| deed != Deed::Connect || unsafe { sys::connect_to(new, copy.as_ptr().cast(), len as usize) };
                revived = peers::revive(fd, number, goes);
            }
            Holds::WhilePolicy => {
                if let Some(destination) = destination {
                    destination.remember();
                }
            }
            Holds::Once => {}
        }
        Ok(revived)
    })?;
    Ok(Looked::on(revived.map_or(held, Held::new)))
}

/// Whether it goes to the port of name servers, perhaps to ask one; of another family these two bytes are no port.
#[inline(always)]
fn is_dns(copy: &Address, len: libc::socklen_t) -> bool {
    let [_, _, high, low, ..] = *copy.head();
    u16::from_be_bytes([high, low]) == names::DNS && copy.internet(len).is_some()
}

/// Connects to a name server.
#[cold]
fn connect_dns(way: Way, fd: c_int, at: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(way, at, copy.as_ptr(), len) };
    names::asking(fd);
    done
}

/// Sends with an address that a stream may be connected by to a name server (MSG_FASTOPEN).
#[cold]
fn opened_to_dns(fd: c_int) {
    if sys::asked_stream(fd) == Some(true) {
        names::asking(fd);
    }
}

/// What is sent without an address goes to where the socket is connected.
fn sent(fd: c_int) -> Decision {
    if peers::is_marked(fd) && state::role() != Role::Master {
        return request::current(|served| judge::sent(By::This, served, fd));
    }
    Ok(())
}

/// The same, with what is sent, which may be a question to a name server.
///
/// # Safety
/// `bytes` must be what the caller of the hook gave, `size` of them.
#[cold]
pub(super) unsafe fn sending_to_peer(fd: c_int, bytes: *const c_void, size: usize) -> Decision {
    sent(fd)?;
    if names::is_asking(fd) {
        // SAFETY: as the caller promises.
        unsafe { names::asked(fd, bytes.cast(), size) };
    }
    Ok(())
}

/// connect(2).
///
/// # Safety
/// As libc's. NULL, and an address outside user space, gives EFAULT; another wild one faults, where the kernel would give
/// EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn connect(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { connecting(Way::Libc, fd, address, len) }
}

/// Connects a socket.
///
/// # Safety
/// As [`connect`].
#[inline(always)]
pub(super) unsafe fn connecting(way: Way, fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    if state::role() == Role::Master {
        // SAFETY: as the caller promises.
        return unsafe { gate::connect(way, fd, address, len) };
    }
    let mut copy = Address::none();
    // SAFETY: as the caller promises.
    if !unsafe { copy.copy(address.cast(), len) } {
        // SAFETY: the kernel takes it for a fault, or does not read it.
        return unsafe { gate::connect(way, fd, NOWHERE.cast(), len) };
    }
    match judged(fd, &copy, len, Deed::Connect) {
        Err(Refused(errno)) => return fail(errno),
        Ok(Looked::Whole) => {}
        // SAFETY: as the caller promises.
        Ok(looked) => return looked.call(fd, |at| unsafe { connect_looked(way, looked, fd, at, &copy, len) }),
    }
    if is_dns(&copy, len) {
        return connect_dns(way, fd, fd, &copy, len);
    }
    // SAFETY: the copy has as many bytes.
    unsafe { gate::connect(way, fd, copy.as_ptr(), len) }
}

/// `connect` on the socket that was looked at.
///
/// # Safety
/// As [`connect`]'s.
unsafe fn connect_looked(
    way: Way,
    looked: Looked,
    fd: c_int,
    at: c_int,
    copy: &Address,
    len: libc::socklen_t,
) -> c_int {
    if let Looked::Afterwards(_) = looked {
        // SAFETY: as the caller promises.
        return unsafe { connect_local(way, at, copy, len) };
    }
    if is_dns(copy, len) {
        return connect_dns(way, fd, at, copy, len);
    }
    // SAFETY: the copy has as many bytes.
    unsafe { gate::connect(way, at, copy.as_ptr(), len) }
}

/// Connects a local socket.
///
/// # Safety
/// As [`connect`]'s.
#[cold]
unsafe fn connect_local(way: Way, fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(way, fd, copy.as_ptr(), len) };
    // The kernel says only now whose listener that is. Who is refused has a socket by which nothing goes.
    if done == 0
        && let Some(Err(Refused(errno))) = to_pool(pools::is_masters(fd))
    {
        sys::end_connection(fd);
        return fail(errno);
    }
    done
}

/// Judges a connection, where that goes to a pool of this process's own server, or may.
#[cold]
#[inline(never)]
fn to_own_pool(ip: IpAddr, port: u16, deed: Deed) -> Option<Decision> {
    if deed == Deed::Send(false) {
        return None;
    }
    to_pool(pools::is_masters_address(ip, port))
}

/// Judges a connection to a pool of this process's own server, where it is one, or may be.
#[cold]
#[inline(never)]
fn to_pool(is_pools: Option<bool>) -> Option<Decision> {
    let unknown = match is_pools {
        Some(false) => return None,
        Some(true) => None,
        None => Some(Unknown::Socket),
    };
    let how = b"a connection to a listener of PHP-FPM's";
    Some(request::current(|served| judge::fpm_socket(By::This, served, unknown, how)))
}

/// `connect` by its other name.
///
/// # Safety
/// As [`connect`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __connect(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { connect(fd, address, len) }
}

fn sending(flags: c_int) -> Deed {
    Deed::Send(flags & libc::MSG_FASTOPEN != 0)
}

/// sendto(2).
///
/// # Safety
/// As libc's; of the address as [`connect`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    size: libc::size_t,
    flags: c_int,
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { sending_to(Way::Libc, fd, buffer, size, flags, address, len) }
}

/// Sends to an address, or without one.
///
/// # Safety
/// As [`sendto`].
#[inline(always)]
pub(super) unsafe fn sending_to(
    way: Way,
    fd: c_int,
    buffer: *const c_void,
    size: libc::size_t,
    flags: c_int,
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> libc::ssize_t {
    // Of a length of 0 the kernel reads no address.
    if address.is_null() || len == 0 || state::role() == Role::Master {
        if peers::is_watched()
            // SAFETY: as the caller promises.
            && let Err(Refused(errno)) = unsafe { sending_to_peer(fd, buffer, size) }
        {
            return fail(errno) as libc::ssize_t;
        }
        // SAFETY: as the caller promises.
        return unsafe { gate::sendto(way, fd, buffer, size, flags, address, len) };
    }
    // SAFETY: as the caller promises.
    unsafe {
        match way {
            Way::Libc => sendto_address::<true>(fd, buffer, size, flags, address, len),
            Way::Kernel => sendto_address::<false>(fd, buffer, size, flags, address, len),
        }
    }
}

/// `sendto` with an address. Its own function, so that a datagram without one needs no room on the stack; and one for each
/// way, so that no argument is passed on the stack.
///
/// # Safety
/// As [`sendto`].
#[inline(never)]
unsafe fn sendto_address<const IS_LIBCS: bool>(
    fd: c_int,
    buffer: *const c_void,
    size: libc::size_t,
    flags: c_int,
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> libc::ssize_t {
    let way = if IS_LIBCS { Way::Libc } else { Way::Kernel };
    let mut copy = Address::none();
    // SAFETY: as the caller promises.
    if !unsafe { copy.copy(address.cast(), len) } {
        // SAFETY: as the caller promises; the kernel takes the address for a fault, or does not read it.
        return unsafe { gate::sendto(way, fd, buffer, size, flags, NOWHERE.cast(), len) };
    }
    let looked = match judged(fd, &copy, len, sending(flags)) {
        Err(Refused(errno)) => return fail(errno) as libc::ssize_t,
        Ok(looked) => looked,
    };
    if flags & libc::MSG_FASTOPEN != 0 && is_dns(&copy, len) {
        opened_to_dns(fd);
    }
    // SAFETY: as the caller promises; the copy has as many bytes.
    let send = |fd| unsafe { gate::sendto(way, fd, buffer, size, flags, copy.as_ptr(), len) };
    if let Looked::Whole = looked { send(fd) } else { looked.call(fd, send) }
}

/// Judges a message, and puts what the kernel is to have of it in the caller's room: its header, with its address in
/// `address`. An address that cannot be read the kernel is to find at [`NOWHERE`].
///
/// # Safety
/// As sendmsg's; the header must be readable.
#[inline(always)]
pub(super) unsafe fn judged_message(
    fd: c_int,
    message: *const libc::msghdr,
    flags: c_int,
    copy: &mut MaybeUninit<libc::msghdr>,
    address: &mut MaybeUninit<Address>,
) -> Decision<Looked> {
    // SAFETY: as the caller promises; it may be unaligned.
    let header = copy.write(unsafe { message.read_unaligned() });
    if header.msg_controllen != 0
        && let Some(how) = route::in_message(header)
    {
        request::current(|served| judge::routed(By::This, served, how))?;
    }
    if header.msg_name.is_null() || header.msg_namelen == 0 {
        if peers::is_watched() {
            // SAFETY: as the caller promises.
            unsafe { message_to_peer(fd, header) }?;
        }
        // The copy, in which nobody puts an address now.
        header.msg_name = core::ptr::null_mut();
        return Ok(Looked::Whole);
    }
    // Linux cuts what is longer, and refuses what is negative before it reads.
    if header.msg_namelen as i32 > ADDRESS_MAX as i32 {
        header.msg_namelen = ADDRESS_MAX as u32;
    }
    let address = address.write(Address::none());
    // SAFETY: as the caller promises.
    if !unsafe { address.copy(header.msg_name, header.msg_namelen) } {
        header.msg_name = NOWHERE.cast_mut();
        return Ok(Looked::Whole);
    }
    header.msg_name = address.as_ptr().cast_mut().cast();
    judged(fd, address, header.msg_namelen, sending(flags))
}

/// A message without an address.
///
/// # Safety
/// As sendmsg's.
#[cold]
unsafe fn message_to_peer(fd: c_int, header: &libc::msghdr) -> Decision {
    // A question to a name server is in one piece.
    let piece = match header.msg_iovlen {
        // SAFETY: as the caller promises.
        1.. if readable(header.msg_iov as usize, size_of::<libc::iovec>()) => unsafe {
            header.msg_iov.read_unaligned()
        },
        _ => libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 },
    };
    // SAFETY: as the caller promises.
    unsafe { sending_to_peer(fd, piece.iov_base, piece.iov_len) }
}

/// sendmsg(2).
///
/// # Safety
/// As libc's; of the header and the address as [`connect`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendmsg(fd: c_int, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { sending_message(Way::Libc, fd, message, flags) }
}

/// Sends a message.
///
/// # Safety
/// As [`sendmsg`].
#[inline(always)]
pub(super) unsafe fn sending_message(way: Way, fd: c_int, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t {
    if state::role() == Role::Master {
        // SAFETY: as the caller promises.
        return unsafe { gate::sendmsg(way, fd, message, flags) };
    }
    if !readable(message as usize, size_of::<libc::msghdr>()) {
        // SAFETY: the kernel takes it for a fault.
        return unsafe { gate::sendmsg(way, fd, NOWHERE.cast(), flags) };
    }
    let (mut copy, mut address) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: as the caller promises; the copy was made.
    match unsafe { judged_message(fd, message, flags, &mut copy, &mut address) } {
        // SAFETY: as above.
        Ok(Looked::Whole) => unsafe { gate::sendmsg(way, fd, copy.as_ptr(), flags) },
        // SAFETY: as above.
        Ok(looked) => looked.call(fd, |fd| unsafe { gate::sendmsg(way, fd, copy.as_ptr(), flags) }),
        Err(Refused(errno)) => fail(errno) as libc::ssize_t,
    }
}
