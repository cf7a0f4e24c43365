//! What opens a connection or sends to an address: connect, sendto, sendmsg; sendmmsg is in [`super::messages`].

use super::apart::{self, Call, as_kernel};
use super::{as_libc, as_libc_size, fail};
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
fn judged(fd: c_int, copy: &Address, len: libc::socklen_t, deed: Deed) -> Decision<Looked> {
    let known =
        |scope| Destination::new(scope, copy.head(), len as usize, deed != Deed::Connect)?.is_allowed().then_some(());
    if request::scope().and_then(known).is_some() {
        counters::decision();
        return Ok(Looked::Whole);
    }
    anew(By::This, fd, copy, len, deed)
}

const RULES: [Rule; 4] = [Rule::EgressPort, Rule::DnsDirect, Rule::Metadata, Rule::FpmSocket];

#[inline(never)]
fn anew(by: By<'_>, fd: c_int, copy: &Address, len: libc::socklen_t, deed: Deed) -> Decision<Looked> {
    let is_first = matches!(by, By::This);
    let on = |looked| if is_first && !apart::is_needed(&RULES) { Looked::Whole } else { looked };
    let at = match copy.internet(len) {
        Some(at) => Some(at),
        // A connect of it takes a socket's peer away.
        None if deed != Deed::Connect && is_unspecified(copy.head(), len as usize) => {
            match sys::meaning_of_unspecified(fd) {
                Ok(sys::Unspecified::Nothing) => return sent(by, fd).map(|()| on(Looked::OnSocket)),
                Ok(meant) => match unspecified(copy.head(), len as usize, meant) {
                    None => return Ok(on(Looked::OnSocket)),
                    at => at,
                },
                Err(_) => return unexamined(by, fd, deed).map(|()| Looked::Whole),
            }
        }
        None => None,
    };
    let Some((ip, port)) = at else {
        let is_local = deed == Deed::Connect && pools::any();
        return Ok(if is_local { Looked::Afterwards } else { Looked::Whole });
    };
    if pools::any()
        && let Some(decision) = to_own_pool(by, ip, port, deed)
    {
        return decision.map(|()| Looked::Whole);
    }
    // What is an address to some sockets only.
    let is_meant = copy.internet(len).is_none();
    let holds = request::current(|served| {
        // As it is before the policy is asked.
        let destination = Destination::new(served.scope, copy.head(), len as usize, deed != Deed::Connect);
        let holds = judge::egress(by, served, fd, deed, ip, port)?;
        match holds {
            Holds::UntilSent(refused) => {
                if refused {
                    peers::shut(fd);
                }
                peers::mark(fd);
            }
            _ if is_first && peers::any_shut() => {
                // SAFETY: the copy has as many bytes.
                let goes =
                    |new| deed != Deed::Connect || unsafe { sys::connect_to(new, copy.as_ptr().cast(), len as usize) };
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
fn unexamined(by: By<'_>, fd: c_int, deed: Deed) -> Decision {
    request::current(|served| judge::unexamined(by, served, fd, deed))
}

/// Makes a call apart, whose verdict hangs on the socket: negative errno on failure.
#[cold]
pub(super) fn make_apart(
    fd: c_int,
    deed: Deed,
    judge: &dyn Fn(By<'_>) -> Decision,
    make: &dyn Fn() -> Option<isize>,
) -> Decision<isize> {
    let waits = deed == Deed::Connect && sys::known_stream(fd) != Some(false);
    let unexamined = &|| unexamined(By::This, fd, deed);
    Call { waits, judge, make, undone: unexamined, unexamined }.run()
}

/// Whether it goes to the port of name servers, perhaps to ask one; of another family these two bytes are no port.
#[inline(always)]
fn is_dns(copy: &Address, len: libc::socklen_t) -> bool {
    let [_, _, high, low, ..] = *copy.head();
    u16::from_be_bytes([high, low]) == names::DNS && copy.internet(len).is_some()
}

/// Sends with an address that a stream may be connected by to a name server (MSG_FASTOPEN).
#[cold]
fn opened_to_dns(fd: c_int) {
    if sys::asked_stream(fd) == Some(true) {
        names::asking(fd);
    }
}

/// What is sent without an address goes to where the socket is connected.
fn sent(by: By<'_>, fd: c_int) -> Decision {
    if peers::is_marked(fd) && state::role() != Role::Master {
        return request::current(|served| judge::sent(by, served, fd));
    }
    Ok(())
}

/// The same, with what is sent, which may be a question to a name server.
///
/// # Safety
/// `bytes` must be what the caller of the hook gave, `size` of them.
#[cold]
pub(super) unsafe fn sending_to_peer(fd: c_int, bytes: *const c_void, size: usize) -> Decision {
    sent(By::This, fd)?;
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
    let looked = match judged(fd, &copy, len, Deed::Connect) {
        Err(Refused(errno)) => return fail(errno),
        Ok(looked) => looked,
    };
    if looked == Looked::Afterwards {
        // SAFETY: as the caller promises.
        return unsafe { connect_local(way, fd, &copy, len) };
    }
    if looked == Looked::OnSocket {
        // SAFETY: as the caller promises.
        return unsafe { connect_apart(fd, &copy, len) };
    }
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(way, fd, copy.as_ptr(), len) };
    if is_dns(&copy, len) {
        names::asking(fd);
    }
    done
}

/// `connect` on the socket that is judged, in the child.
///
/// # Safety
/// The copy must have as many bytes.
#[cold]
unsafe fn connect_apart(fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    let judge = |by: By<'_>| anew(by, fd, copy, len, Deed::Connect).map(|_| ());
    // SAFETY: as the caller promises.
    let make = || Some(unsafe { gate::connect_raw(fd, copy.as_ptr(), len) });
    let done = match make_apart(fd, Deed::Connect, &judge, &make) {
        Ok(done) => as_libc(done),
        Err(Refused(errno)) => return fail(errno),
    };
    if is_dns(copy, len) {
        names::asking(fd);
    }
    done
}

/// Connects a local socket. The kernel says only then whose listener that is. Who is refused has a socket by which nothing
/// goes.
///
/// # Safety
/// The copy must have as many bytes.
#[cold]
unsafe fn connect_local(way: Way, fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    if apart::is_needed(&[Rule::FpmSocket]) {
        // SAFETY: as the caller promises.
        return unsafe { connect_local_apart(fd, copy, len) };
    }
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(way, fd, copy.as_ptr(), len) };
    if done == 0
        && let Some(Err(Refused(errno))) = to_pool(By::This, pools::is_masters(fd))
    {
        sys::end_connection(fd);
        return fail(errno);
    }
    done
}

/// The same, where another thread could put another socket in its place.
///
/// # Safety
/// As [`connect_local`].
unsafe fn connect_local_apart(fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    const POOL: isize = -4096;
    const PERHAPS: isize = -4097;
    let make = || {
        // SAFETY: as the caller promises.
        let done = unsafe { gate::connect_raw(fd, copy.as_ptr(), len) };
        let is_pools = if done == 0 { pools::is_masters(fd) } else { Some(false) };
        if let Some(Err(_)) = to_pool(By::Again, is_pools) {
            sys::end_connection(fd);
        }
        Some(match is_pools {
            Some(false) => done,
            Some(true) => POOL,
            None => PERHAPS,
        })
    };
    match make_apart(fd, Deed::Connect, &|_| Ok(()), &make) {
        Err(Refused(errno)) => fail(errno),
        Ok(is @ (POOL | PERHAPS)) => match to_pool(By::This, (is == POOL).then_some(true)) {
            Some(Err(Refused(errno))) => fail(errno),
            _ => 0,
        },
        Ok(done) => as_libc(done),
    }
}

/// Judges a connection, where that goes to a pool of this process's own server, or may.
#[cold]
#[inline(never)]
fn to_own_pool(by: By<'_>, ip: IpAddr, port: u16, deed: Deed) -> Option<Decision> {
    if deed == Deed::Send(false) {
        return None;
    }
    to_pool(by, pools::is_masters_address(ip, port))
}

/// Judges a connection to a pool of this process's own server, where it is one, or may be.
#[cold]
#[inline(never)]
fn to_pool(by: By<'_>, is_pools: Option<bool>) -> Option<Decision> {
    let unknown = match is_pools {
        Some(false) => return None,
        Some(true) => None,
        None => Some(Unknown::Socket),
    };
    let how = b"a connection to a listener of PHP-FPM's";
    Some(request::current(|served| judge::fpm_socket(by, served, unknown, how)))
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
    match looked {
        // SAFETY: as the caller promises.
        Looked::WithoutAddress => unsafe { gate::sendto(way, fd, buffer, size, flags, core::ptr::null(), 0) },
        Looked::OnSocket => {
            let piece = libc::iovec { iov_base: buffer.cast_mut(), iov_len: size };
            // SAFETY: as the caller promises.
            unsafe { sendto_apart(fd, piece, flags, &copy, len) }
        }
        // SAFETY: as the caller promises; the copy has as many bytes.
        Looked::Whole | Looked::Afterwards => unsafe { gate::sendto(way, fd, buffer, size, flags, copy.as_ptr(), len) },
    }
}

/// Sends to an address on the socket that is judged, in the child.
///
/// # Safety
/// As [`sendto`]; the copy must have as many bytes.
#[cold]
#[inline(never)]
unsafe fn sendto_apart(
    fd: c_int,
    piece: libc::iovec,
    flags: c_int,
    copy: &Address,
    len: libc::socklen_t,
) -> libc::ssize_t {
    let deed = sending(flags);
    let judge = |by: By<'_>| anew(by, fd, copy, len, deed).map(|_| ());
    // SAFETY: as the caller promises.
    let send = || unsafe { gate::sendto(Way::Kernel, fd, piece.iov_base, piece.iov_len, flags, copy.as_ptr(), len) };
    match make_apart(fd, deed, &judge, &|| Some(as_kernel(send()))) {
        Ok(done) => as_libc_size(done),
        Err(Refused(errno)) => fail(errno) as libc::ssize_t,
    }
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
    if header.msg_controllen != 0 && route::in_message(header) {
        request::current(|served| judge::routed(By::This, served, fd))?;
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
    let looked = judged(fd, address, header.msg_namelen, sending(flags))?;
    if looked == Looked::WithoutAddress {
        (header.msg_name, header.msg_namelen) = (core::ptr::null_mut(), 0);
    }
    Ok(looked)
}

/// Judges a copy of a message once more, where it has an address.
///
/// # Safety
/// The header must be one that [`judged_message`] has written, with its address.
pub(super) unsafe fn judged_again(by: By<'_>, fd: c_int, header: &libc::msghdr, flags: c_int) -> Decision {
    if header.msg_name.is_null() || header.msg_name.cast_const() == NOWHERE.cast() {
        return Ok(());
    }
    // SAFETY: as the caller promises.
    let address = unsafe { &*header.msg_name.cast::<Address>() };
    anew(by, fd, address, header.msg_namelen, sending(flags)).map(|_| ())
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
        // SAFETY: both were written, as an address was looked at.
        Ok(Looked::OnSocket) => unsafe { send_message_apart(fd, copy.assume_init_ref(), flags) },
        // SAFETY: as above.
        Ok(_) => unsafe { gate::sendmsg(way, fd, copy.as_ptr(), flags) },
        Err(Refused(errno)) => fail(errno) as libc::ssize_t,
    }
}

/// Sends a message on the socket that is judged, in the child.
///
/// # Safety
/// The header must be one that [`judged_message`] has written, with its address.
#[cold]
#[inline(never)]
unsafe fn send_message_apart(fd: c_int, header: &libc::msghdr, flags: c_int) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    let judge = |by: By<'_>| unsafe { judged_again(by, fd, header, flags) };
    // SAFETY: likewise.
    let send = || Some(as_kernel(unsafe { gate::sendmsg(Way::Kernel, fd, header, flags) }));
    match make_apart(fd, sending(flags), &judge, &send) {
        Ok(done) => as_libc_size(done),
        Err(Refused(errno)) => fail(errno) as libc::ssize_t,
    }
}
