//! Evaluates connections of programs without the hooks to the pools of their own PHP-FPM. Each worker reports these pools.
//!
//! The hooks read from the kernel to whose listener a socket was connected. The supervisor does not connect a local socket for another
//! process. It looks up the file to which the path leads for that process, before the kernel does.

use super::Member;
use super::answer::SupervisedCall;
use super::remote::Memory;
use crate::action::Place;
use crate::action::{Decision, SocketOperation};
use crate::judge;
use crate::memory::StringBuf;
use crate::server::listeners::Ports;
use crate::server::local_listeners::{self, Marks};
use crate::sys::broker as ask;
use crate::sys::procfs;
use crate::sys::{self, ADDRESS_MAX, LOCAL_MAX};
use core::net::IpAddr;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use portcullis_policy::egress::canonical;
use portcullis_policy::{Rule, Unknown};

/// What is known of a worker's pools: none exist, they are in the table, or they could not be read.
const NONE: u8 = 0;
const TOLD: u8 = 1;
const LOST: u8 = 2;

/// The pools of a worker's master, as that had them when the worker began.
pub struct Pools {
    known: AtomicU8,
    ports: Ports,
    marks: Marks,
}

impl Pools {
    /// Of a new worker, nothing is known.
    pub fn lose(&self) {
        self.known.store(LOST, Ordering::Relaxed);
    }

    /// Takes over the report of a worker that has run no request's code yet.
    pub fn take(&self, member: &Member) {
        let pid = member.pid.load(Ordering::Relaxed);
        let [ports_at, marks_at] = [&member.ports_at, &member.marks_at].map(|word| word.load(Ordering::Relaxed));
        if is_fpm(pid) == Some(false) {
            return self.known.store(NONE, Ordering::Relaxed);
        }
        let done = Memory::of(pid).ok().and_then(|memory| {
            let marks = core::iter::once(&self.marks.is_more).chain(&self.marks.marks);
            copy(&memory, ports_at, self.ports.iter())?;
            copy(&memory, marks_at, marks)
        });
        self.known.store(if done.is_some() { TOLD } else { LOST }, Ordering::Relaxed);
    }

    fn any(&self) -> bool {
        self.known.load(Ordering::Relaxed) != NONE
    }

    /// Whether the master listens on a port; `None` where that is not known.
    fn has_port(&self, port: u16) -> Option<bool> {
        let word = self.ports.get(usize::from(port >> 6)).map_or(0, |word| word.load(Ordering::Relaxed));
        (self.known.load(Ordering::Relaxed) == TOLD).then_some(word & (1 << (port & 63)) != 0)
    }

    /// Whether it listens on the local socket with this mark; `None` if unknown.
    fn has_mark(&self, mark: u64) -> Option<bool> {
        if self.known.load(Ordering::Relaxed) == TOLD { self.marks.have(mark) } else { None }
    }
}

/// Whether a process is of PHP-FPM, by its name, or the title that its master has; `None` where /proc hides it.
fn is_fpm(pid: u32) -> Option<bool> {
    let (mut name, mut title) = ([0; 16], [0; 64]);
    let is = |text: &[u8]| text.starts_with(b"php-fpm");
    let name = procfs::proc_read(pid, b"comm", &mut name);
    let is_so = is(name) || is(procfs::proc_read(pid, b"cmdline", &mut title));
    (!name.is_empty()).then_some(is_so)
}

/// Copies words, and writes only those that differ, so that pages of zeros stay unused.
fn copy<'w>(memory: &Memory, at: u64, words: impl Iterator<Item = &'w AtomicU64>) -> Option<()> {
    /// Bytes at a time.
    const PART: usize = 512;
    let (mut part, mut from) = ([0; PART], at);
    let mut left: &[u8] = &[];
    for word in words {
        if left.is_empty() {
            left = memory.read(from, &mut part);
            from = from.wrapping_add(PART as u64);
        }
        let (bytes, rest) = left.split_first_chunk::<8>()?;
        let new = u64::from_ne_bytes(*bytes);
        if word.load(Ordering::Relaxed) != new {
            word.store(new, Ordering::Relaxed);
        }
        left = rest;
    }
    Some(())
}

impl SupervisedCall<'_> {
    /// Evaluates a connection to an address at which a pool listens, or may listen.
    pub(super) fn to_pool_at(&self, ip: IpAddr, port: u16, operation: SocketOperation) -> Option<Decision> {
        let pools = self.with.pools;
        if operation == SocketOperation::Send(false) || !pools.any() {
            return None;
        }
        let is_pools = match pools.has_port(port) {
            Some(false) => Some(false),
            known if canonical(ip).is_loopback() => known,
            known => ask::is_own(ip).and_then(|own| if own { known } else { Some(false) }),
        };
        self.to_pool(is_pools)
    }

    /// Evaluates a connection of a local socket to a path at which a pool listens, or may listen.
    pub(super) fn to_local_pool(&self, address: &[u8; ADDRESS_MAX], size: usize) -> Option<Decision> {
        if !self.with.pools.any() {
            return None;
        }
        let name = sys::local_name(address, size)?;
        let is_pools = match name.first() {
            Some(0) => self.with.pools.has_mark(local_listeners::mark_of_name(name)),
            _ => self.is_pools_file(name),
        };
        self.to_pool(is_pools)
    }

    /// Whether a path leads to the listener of a pool; `None` if unknown.
    fn is_pools_file(&self, path: &[u8]) -> Option<bool> {
        let path = StringBuf::<{ LOCAL_MAX + 1 }>::of(path);
        let place = Place::of(self.subject.pid, self.subject.thread, false)?;
        match place.open(None, path.c_str(), true) {
            Ok(file) => self.with.pools.has_mark(local_listeners::mark_of(sys::fstat(file.0)?.identity)),
            // The kernel finds nothing either.
            Err(Some(_)) => Some(false),
            Err(None) => None,
        }
    }

    fn to_pool(&self, is_pools: Option<bool>) -> Option<Decision> {
        let unknown = match is_pools {
            Some(false) => return None,
            Some(true) => None,
            None => Some(Unknown::Socket),
        };
        let how = b"a connection to a listener of PHP-FPM's";
        Some(self.with_actor(|actor| judge::plain(Rule::FpmSocket, actor, &self.subject.served, unknown, how)))
    }
}
