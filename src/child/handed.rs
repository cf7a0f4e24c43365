//! Passes the active policy and the open sinks to a program by descriptor, if it cannot open them by path.
//!
//! A program may start in another root directory or in other mounts than its server: a pool's chroot, a sandbox. There, the compiled
//! policy, the log and journald's socket are not at their paths, or another file is. The same applies if the path of the policy does
//! not lead to the active policy. Then a started program gets the policy as a sealed file in memory, which its constructor maps and
//! closes, and duplicates of the sinks, which it keeps. A program without a loader keeps both, for the programs that it starts. No
//! other program gets a descriptor.
//!
//! A container without a journal, a syslog and a log has its standard error as the only sink. A worker that has dropped its privileges
//! cannot open that, so what it starts gets a duplicate, and the policy as ever by its path.
//!
//! The context contains device, inode and time of each file beside the number of the descriptor. The caller could put another file in
//! its place, by another thread or by a file action of posix_spawn, but not one with the same device, inode and time.
//!
//! **Limits**: if no descriptor is free, or a file action closes it, nothing is passed. Then the program has lost its policy
//! ([`crate::policy::load::in_descendant`]).

use crate::action::Guarding;
use crate::child::environment::New;
use crate::policy::in_force::{self};
use crate::policy::{handed_down, load};
use crate::process::home;
use crate::process::state::{self, Role};
use crate::report::sink;
use crate::sys::{self, Fd};
use core::sync::atomic::{AtomicUsize, Ordering};
use portcullis_request::context::{HANDED, Handed};

/// The number of programs in new processes that currently get descriptors.
static LENT: AtomicUsize = AtomicUsize::new(0);

/// Descriptors that are passed to one program. They are closed here once it runs, or its exec has failed.
pub struct SinkLoan {
    policy: Option<Fd>,
    sinks: [Option<Fd>; sink::KINDS],
    to_child: bool,
}

impl SinkLoan {
    const NOTHING: SinkLoan = SinkLoan { policy: None, sinks: [const { None }; sink::KINDS], to_child: false };

    /// The numbers of the descriptors, -1 for a missing one; they stay open.
    fn into_numbers(mut self) -> [i32; HANDED] {
        let mut numbers = [-1; HANDED];
        let files = core::iter::once(&mut self.policy).chain(&mut self.sinks);
        for (number, file) in numbers.iter_mut().zip(files) {
            *number = file.take().map_or(-1, Fd::leave_open);
        }
        numbers
    }

    fn of(numbers: [i32; HANDED]) -> SinkLoan {
        let [policy, sinks @ ..] = numbers.map(|number| (number >= 0).then_some(Fd(number)));
        SinkLoan { policy, sinks, to_child: false }
    }

    /// The descriptors for a program that this process executes: they survive exec.
    pub fn to_next(new: &New<'_>) -> SinkLoan {
        let lent = SinkLoan::to(new);
        lent.files().for_each(|fd| sys::keep_over_exec(fd.0));
        lent
    }

    /// The descriptors for a program in a new process: closed on exec, unless [`is_for_children`].
    pub fn to_child(new: &New<'_>) -> SinkLoan {
        let mut lent = SinkLoan::to(new);
        let any = lent.files().next().is_some();
        if any {
            lent.to_child = true;
            LENT.fetch_add(1, Ordering::Relaxed);
        }
        lent
    }

    fn to(new: &New<'_>) -> SinkLoan {
        match in_force::policy_bytes() {
            Some(bytes) if !matches!(new.guarding, Guarding::None) && !in_force::is_lost() => match is_needed() {
                true => lend(Some(bytes)),
                false if sink::is_in_container() => lend(None),
                false => SinkLoan::NOTHING,
            },
            _ => SinkLoan::NOTHING,
        }
    }

    fn files(&self) -> impl Iterator<Item = &Fd> {
        core::iter::once(&self.policy).chain(&self.sinks).flatten()
    }

    /// The entries of the context for them.
    pub fn told(&self) -> Handed {
        let mut told = [[0; 3]; HANDED];
        let files = core::iter::once(&self.policy).chain(&self.sinks);
        for (at, (place, file)) in told.iter_mut().zip(files).enumerate() {
            *place = file.as_ref().and_then(|file| told_of(file, at == 0)).unwrap_or_default();
        }
        if (self.policy.is_some() || sink::is_in_container()) && sink::is_spoilt() {
            told.iter_mut().filter(|place| **place == [0; 3]).for_each(|place| *place = NOT_THERE);
        }
        told
    }
}

impl Drop for SinkLoan {
    fn drop(&mut self) {
        if self.to_child {
            LENT.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A descriptor's number plus one, and the identity of its file.
fn told_of(file: &Fd, is_policy: bool) -> Option<[u64; 3]> {
    let stat = if is_policy { sys::fstat(file.0) } else { sys::fstat_of_sink(file.0) }?;
    let [first, second] = handed_down::marks(&stat, is_policy);
    // The inode of a socket has 32 bits.
    let end = if is_policy { 0 } else { u64::from(sink::end_of(&stat)) << u32::BITS };
    Some([u64::from(file.0.cast_unsigned()).wrapping_add(1), first, second | end])
}

/// The entry of a sink that another process has changed.
const NOT_THERE: [u64; 3] = [u64::MAX, 0, 0];

/// Whether a program in a new process is about to get descriptors that have to survive exec.
pub fn is_for_children() -> bool {
    LENT.load(Ordering::Relaxed) != 0
}

/// Whether a program that this process starts may be unable to open policy and sinks by their paths.
fn is_needed() -> bool {
    home::has_root() == Some(false) || sink::is_elsewhere() || !load::has_path()
}

#[cold]
#[inline(never)]
fn lend(policy: Option<&[u8]>) -> SinkLoan {
    // A program that a master starts opens the sinks itself.
    let sinks = || if state::role() == Role::Master { [const { None }; sink::KINDS] } else { sink::lend() };
    let lend = || SinkLoan { policy: policy.and_then(copied), sinks: sinks(), to_child: false };
    let is_low = sys::limit(libc::RLIMIT_NOFILE).is_some_and(|[soft, _]| soft <= sys::HIGHEST as u64);
    let lent = if is_low { None } else { Some(lend()) };
    // SAFETY: makes system calls only.
    let raised =
        || unsafe { sys::with_raised_limits(|| lend().into_numbers()) }.map_or(SinkLoan::NOTHING, SinkLoan::of);
    let is_whole = |lent: &SinkLoan| policy.is_none() || lent.policy.is_some();
    lent.filter(is_whole).unwrap_or_else(raised)
}

/// A copy of the active policy for the supervisor. The supervisor starts later than its server. By then the path may lead to another
/// policy, to an incomplete one or to none, and a replaced file has another time, so that it cannot be recognised.
pub fn for_supervisor() -> Option<Fd> {
    in_force::policy_bytes().filter(|_| !in_force::is_lost()).and_then(copied)
}

/// The entry of the context for it; the supervisor has it as descriptor `as_number`.
pub fn told_supervisor(file: Option<&Fd>, as_number: i32) -> Handed {
    let mut told = [[0; 3]; HANDED];
    if let (Some(place), Some([_, first, second])) = (told.first_mut(), file.and_then(|file| told_of(file, true))) {
        *place = [u64::from(as_number.cast_unsigned()).wrapping_add(1), first, second];
    }
    told
}

/// A sealed copy, to which no process can write.
#[cold]
#[inline(never)]
fn copied(bytes: &[u8]) -> Option<Fd> {
    let low = sys::memory_file(handed_down::NAME)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = sys::write(low.0, rest, b"").ok().filter(|len| *len > 0)?;
        rest = rest.get(written..)?;
    }
    sys::seal(low.0).then_some(())?;
    sys::duplicate_to_lend(low.0).or_else(|| leaves_room(&low).then_some(low))
}

/// Whether a program's loader still has free descriptors beside this one; at a low limit, it has a low number.
fn leaves_room(low: &Fd) -> bool {
    const LOADERS: u64 = 3;
    let needed = u64::from(low.0.cast_unsigned()).wrapping_add(LOADERS);
    sys::limit(libc::RLIMIT_NOFILE).is_some_and(|[soft, _]| needed < soft)
}

/// For the constructor: keeps the sinks that were passed to this program.
pub fn take_sinks(handed: &Handed) {
    let [_, sinks @ ..] = *handed;
    sink::keep(sinks.map(sink_of));
}

/// The sink of an entry of the context, if its descriptor is open and writes.
fn sink_of(told: [u64; 3]) -> Option<sink::Handed> {
    let [_, first, second] = told;
    let found = handed_down::number(told).and_then(|fd| sys::fstat_of_sink(fd).map(|stat| (fd, stat)));
    let Some((fd, stat)) = found else {
        if told != [0; 3] {
            sink::spoil();
        }
        return None;
    };
    let is_socket = stat.mode & libc::S_IFMT == libc::S_IFSOCK;
    let (inode, end) = if is_socket { (second & u64::from(u32::MAX), second >> u32::BITS) } else { (second, 0) };
    sink::accept((fd, stat, end as u32), |stat| handed_down::marks(stat, false) == [first, inode])
}
