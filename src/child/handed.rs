//! Hands a program what it cannot reach by path: the policy in force, and the sinks that this process holds.
//!
//! A program may begin in another root folder or in other mounts than its server: a pool's chroot, a sandbox. There, neither the
//! compiled policy nor the log nor journald's socket is at its path, or somebody else's file is. From there, and from where the path
//! of the policy does not lead to what this process is judged by, a program that it starts gets the policy as a sealed file in memory,
//! which its constructor maps and closes, and duplicates of the sinks, which it keeps. A program without a loader keeps both, for what
//! it starts. Elsewhere nothing gets a descriptor.
//!
//! The program is told which files they are, and not their numbers alone: the starter may put a file of its own in their place, by
//! another thread or by an action of posix_spawn, and cannot make one with the device, the inode and the time of another.
//!
//! **Limits**: where no descriptor is free, or the program is spawned with an action that closes it, nothing is handed down, and what
//! [`crate::policy::load::in_descendant`] says of a lost policy holds.

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

/// How many are lent to children at the moment.
static LENT: AtomicUsize = AtomicUsize::new(0);

/// Descriptors that are lent to one program, until it runs or its exec has failed.
pub struct SinkLoan {
    policy: Option<Fd>,
    sinks: [Option<Fd>; sink::KINDS],
    to_child: bool,
}

impl SinkLoan {
    const NOTHING: SinkLoan = SinkLoan { policy: None, sinks: [const { None }; sink::KINDS], to_child: false };

    /// Its descriptors as numbers, -1 for one that is not there; they stay open.
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

    /// What the program has to be lent that takes the place of this one: it survives exec.
    pub fn to_next(new: &New<'_>) -> SinkLoan {
        let lent = SinkLoan::to(new);
        lent.files().for_each(|fd| sys::keep_over_exec(fd.0));
        lent
    }

    /// What a program in a new process has to be lent: closed on exec, but for what [`is_for_children`] makes of it.
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
            Some(bytes) if !matches!(new.guarding, Guarding::None) && !in_force::is_lost() && is_needed() => {
                lend(bytes)
            }
            _ => SinkLoan::NOTHING,
        }
    }

    fn files(&self) -> impl Iterator<Item = &Fd> {
        core::iter::once(&self.policy).chain(&self.sinks).flatten()
    }

    /// What the program is told of them.
    pub fn told(&self) -> Handed {
        let mut told = [[0; 3]; HANDED];
        let files = core::iter::once(&self.policy).chain(&self.sinks);
        for (at, (place, file)) in told.iter_mut().zip(files).enumerate() {
            *place = file.as_ref().and_then(|file| told_of(file, at == 0)).unwrap_or_default();
        }
        if self.policy.is_some() && sink::is_spoilt() {
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

/// A descriptor's number and one, and what tells its file from others.
fn told_of(file: &Fd, is_policy: bool) -> Option<[u64; 3]> {
    let stat = if is_policy { sys::fstat(file.0) } else { sys::fstat_of_sink(file.0) }?;
    let [first, second] = handed_down::marks(&stat, is_policy);
    // The inode of a socket has 32 bits.
    let end = if is_policy { 0 } else { u64::from(sink::end_of(&stat)) << u32::BITS };
    Some([u64::from(file.0.cast_unsigned()).wrapping_add(1), first, second | end])
}

/// What is told of a sink that somebody has spoilt.
const NOT_THERE: [u64; 3] = [u64::MAX, 0, 0];

/// Whether anything is lent to a program in a new process, which is to have it beyond exec.
pub fn is_for_children() -> bool {
    LENT.load(Ordering::Relaxed) != 0
}

/// Whether a program that this process starts may not find policy and sinks by their paths.
fn is_needed() -> bool {
    home::has_root() == Some(false) || sink::is_elsewhere() || !load::has_path()
}

#[cold]
#[inline(never)]
fn lend(policy: &[u8]) -> SinkLoan {
    // What a master starts opens its own.
    let sinks = || if state::role() == Role::Master { [const { None }; sink::KINDS] } else { sink::lend() };
    let lend = || SinkLoan { policy: copied(policy), sinks: sinks(), to_child: false };
    let is_low = sys::limit(libc::RLIMIT_NOFILE).is_some_and(|[soft, _]| soft <= sys::HIGHEST as u64);
    let lent = if is_low { None } else { Some(lend()) };
    // SAFETY: makes system calls only.
    let raised =
        || unsafe { sys::with_raised_limits(|| lend().into_numbers()) }.map_or(SinkLoan::NOTHING, SinkLoan::of);
    lent.filter(|lent| lent.policy.is_some()).unwrap_or_else(raised)
}

/// A copy of the policy in force for the supervisor. It begins later than its server, when the path may lead to another policy, to half
/// of one or to none; and a file that was replaced has another time than it had, so that it cannot be told from any other.
pub fn for_supervisor() -> Option<Fd> {
    in_force::policy_bytes().filter(|_| !in_force::is_lost()).and_then(copied)
}

/// What the supervisor is told of it, which has it with the number `as_number`.
pub fn told_supervisor(file: Option<&Fd>, as_number: i32) -> Handed {
    let mut told = [[0; 3]; HANDED];
    if let (Some(place), Some([_, first, second])) = (told.first_mut(), file.and_then(|file| told_of(file, true))) {
        *place = [u64::from(as_number.cast_unsigned()).wrapping_add(1), first, second];
    }
    told
}

/// A copy that nobody can write to.
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

/// Whether a program's loader has descriptors left beside this one, which a low limit keeps at a low number.
fn leaves_room(low: &Fd) -> bool {
    const LOADERS: u64 = 3;
    let needed = u64::from(low.0.cast_unsigned()).wrapping_add(LOADERS);
    sys::limit(libc::RLIMIT_NOFILE).is_some_and(|[soft, _]| needed < soft)
}

/// For the constructor: keeps the sinks that this program was handed.
pub fn take_sinks(handed: &Handed) {
    let [_, sinks @ ..] = *handed;
    sink::keep(sinks.map(sink_of));
}

/// The sink that was told of, where it is there and writes.
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
