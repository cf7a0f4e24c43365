//! Getting a compiled policy: mapped from its file, compiled first where none can be used; else the built-in one.

use crate::memory::StringBuf;
use crate::policy::compiler::{self, Failure, Output};
use crate::policy::handed_down;
use crate::policy::in_force::{self, Mapped};
use crate::process::state::{self, Settled};
use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use portcullis_policy::format::Header;
use portcullis_policy::overlay::{self, Overlay};
use portcullis_policy::{Malformed, Policy, place};
use portcullis_request::context::{Handed, Tree};

/// The largest compiled policy, in bytes.
const SIZE_MAX: u64 = 1 << 30;

/// Why the policy in force is not the configured one; told once in a tree of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// There is no configuration.
    NoConfiguration = 1,
    /// There is no command to compile it with.
    NoCommand = 2,
    /// It does not compile, and there is no earlier policy.
    Broken = 3,
    /// The file of the compiled policy belongs to somebody else, or others may write to it.
    Foreign = 5,
    /// Its bytes are not a policy of this version.
    Damaged = 6,
    /// It cannot be read.
    Unreadable = 7,
    /// `portcullis compile` took too long.
    Slow = 8,
    /// The compiled policy was unusable and was compiled anew.
    Anew = 9,
    /// A descendant cannot use the policy of its tree.
    Lost = 10,
}

impl Reason {
    /// In words.
    pub fn sentence(self) -> &'static str {
        match self {
            Reason::NoConfiguration => "there is no configuration file: the built-in audit default holds",
            Reason::NoCommand => {
                "the configuration is not compiled and the portcullis command was not found: the built-in audit default holds"
            }
            Reason::Broken => {
                "the configuration could not be compiled (portcullis compile says why): the built-in audit default holds"
            }
            Reason::Foreign => {
                "the compiled policy belongs to another user, or others may write to it: the built-in audit default holds"
            }
            Reason::Damaged => "the compiled policy is damaged or of another version: the built-in audit default holds",
            Reason::Unreadable => "the compiled policy cannot be read: the built-in audit default holds",
            Reason::Slow => "portcullis compile took too long: the built-in audit default holds",
            Reason::Anew => {
                "the compiled policy was damaged, of another version, or writable by others: it was compiled anew"
            }
            Reason::Lost => {
                "the policy of the process tree cannot be used here: the built-in lists hold, as strictly as that is anywhere"
            }
        }
    }
}

/// Which configuration it is and where its compiled policy lies: `named` is PORTCULLIS_CONFIG, `inherited` the place that
/// was handed down.
pub fn configuration(settled: &mut Settled, named: Option<&[u8]>, inherited: &[u8]) {
    let named = named.filter(|name| name.starts_with(b"/"));
    settled.config_path.push(named.unwrap_or(place::DEFAULT_CONFIG.as_bytes()));
    if !inherited.is_empty() {
        settled.policy_path.push(inherited);
        return;
    }
    let suffix = place::suffix(settled.config_path.bytes());
    let is_there = |path: &str| sys::stat(StringBuf::<64>::of(path.as_bytes()).c_str()).is_some();
    let is_of_image = suffix.is_none() && !is_there(place::DEFAULT_POLICY) && is_there(place::IMAGE_POLICY);
    let policy = if is_of_image { place::IMAGE_POLICY } else { place::DEFAULT_POLICY };
    settled.policy_path.push(policy.as_bytes());
    suffix.inspect(|suffix| settled.policy_path.push(suffix));
}

enum Unusable {
    Missing,
    For(Reason),
}

impl Unusable {
    fn reason(self) -> Reason {
        match self {
            Unusable::Missing => Reason::Unreadable,
            Unusable::For(reason) => reason,
        }
    }
}

/// Who wants to know whether a policy's file counts.
#[derive(Clone, Copy)]
enum Of<'t> {
    /// The first process of a tree, in the namespaces that somebody gave it.
    First,
    /// A descendant, with what it was handed down.
    Descendant(Option<&'t Tree<'t>>),
}

/// Whether a policy's file counts: its owner is trusted, and nobody else may write to it. In a user namespace of its own, a
/// process's root is anybody, and the host's is nobody: there only the tree's own file counts, whoever it belongs to. In a root
/// folder of its own, a process's user may have put a file there: of another file than the tree's, only root's counts.
fn is_trusted(stat: &sys::Stat, of: Of<'_>) -> bool {
    let regular = stat.mode & libc::S_IFMT == libc::S_IFREG;
    let counts = match of {
        Of::First => stat.uid == 0 || stat.uid == sys::geteuid(),
        Of::Descendant(Some(tree)) if is_of(tree, stat) => true,
        Of::Descendant(_) => is_root_s(stat),
    };
    regular && stat.mode & 0o022 == 0 && counts
}

/// Whether a file may replace a tree's policy for its descendants: nobody but root can have put it there.
fn is_root_s(stat: &sys::Stat) -> bool {
    stat.uid == 0 && stat.mode & 0o022 == 0 && sys::sees_root()
}

/// Whether a file of this size begins as a policy of this version, and is as long as it says.
#[cold]
fn is_whole(file: &sys::Fd, size: u64) -> bool {
    /// The magic and the version.
    const BEGIN: usize = 12;
    let mut header = [0; size_of::<Header>()];
    let Some(header) = sys::read_head(file.0, &mut header) else { return false };
    let is_of_version = in_force::policy_bytes().is_some_and(|own| own.get(..BEGIN) == header.get(..BEGIN));
    is_of_version && Policy::length(header).is_some_and(|length| length as u64 == size)
}

/// Whether the path of the policy in force leads to it, or to one that root has put in its place.
pub fn has_path() -> bool {
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    match sys::open(libc::AT_FDCWD, state::settled().policy_path.c_str(), flags, 0) {
        Ok(file) => sys::fstat(file.0).is_some_and(|stat| {
            in_force::file_marks(&stat) == in_force::policy_marks() || (is_root_s(&stat) && is_whole(&file, stat.size))
        }),
        // It takes a descriptor to hand one down.
        Err(errno) => matches!(errno, libc::EMFILE | libc::ENFILE),
    }
}

/// Whether a file is the one that a tree's policy was mapped from.
fn is_of(tree: &Tree<'_>, stat: &sys::Stat) -> bool {
    tree.file == in_force::file_marks(stat)
}

/// Maps the compiled policy and checks it by `check`.
fn map(
    of: Of<'_>,
    check: impl Fn(&[u8], &sys::Stat) -> Result<(), Malformed>,
) -> Result<(Mapped, sys::Stat), Unusable> {
    let path = state::settled().policy_path.c_str();
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = sys::open(libc::AT_FDCWD, path, flags, 0).map_err(|errno| match errno {
        libc::ENOENT | libc::ENOTDIR => Unusable::Missing,
        _ => Unusable::For(Reason::Unreadable),
    })?;
    let stat = sys::fstat(file.0).ok_or(Unusable::For(Reason::Unreadable))?;
    if !is_trusted(&stat, of) {
        return Err(Unusable::For(Reason::Foreign));
    }
    if stat.size == 0 || stat.size > SIZE_MAX {
        return Err(Unusable::For(Reason::Damaged));
    }
    // SAFETY: only its trusted owner may write to the file, which the command replaces by rename.
    let mapped = unsafe { Mapped::of(&file, stat.size as usize) }.ok_or(Unusable::For(Reason::Unreadable))?;
    match check(mapped.bytes(), &stat) {
        Ok(()) => Ok((mapped, stat)),
        Err(_) => Err(Unusable::For(Reason::Damaged)),
    }
}

/// The checks of [`map`].
fn unsummed(bytes: &[u8], _: &sys::Stat) -> Result<(), Malformed> {
    Policy::unsummed(bytes).map(|_| ())
}

/// The checks of [`map`] for what nobody has summed before.
fn summed(bytes: &[u8], _: &sys::Stat) -> Result<(), Malformed> {
    Policy::new(bytes).map(|_| ())
}

/// For what is told that it serves: the policy as it lies there. One that is there, or that `is_named` by whoever started this, and
/// cannot be used holds as strictly as any can be: nothing before this process knows how strict it was.
pub fn in_serving(is_named: bool) -> Option<Reason> {
    match map(Of::First, summed) {
        Ok((mapped, stat)) => {
            in_force::set_policy(mapped, &stat);
            None
        }
        Err(Unusable::Missing) if !is_named => Some(Reason::NoConfiguration),
        Err(_) => lose_all(),
    }
}

/// Nobody knows how strict the policy was: every rule of the built-in one is enforced.
fn lose_all() -> Option<Reason> {
    lose(Overlay { modes: b"", sinks: in_force::policy().sinks(), digest: 0, log: b"" }, [0; 3])
}

/// Without a usable policy, the built-in lists hold, as strictly as the tree's policy is anywhere. A tree that never had another than
/// the built-in one goes on with that, as it is.
fn without(tree: Option<&Tree<'_>>, reason: Reason) -> Option<Reason> {
    match tree {
        Some(tree) if tree.file == [0; 3] && is_built_in_s(tree.modes) => Some(reason),
        Some(tree) => {
            lose(Overlay { modes: tree.modes, sinks: tree.sinks, digest: tree.digest, log: tree.log }, tree.file)
        }
        None => lose_all(),
    }
}

/// Whether a tree that has no policy's file is as strict as the built-in policy, which is in force, and not as one that was lost. An
/// earlier version has fewer rules.
fn is_built_in_s(modes: &[u8]) -> bool {
    !modes.is_empty() && overlay::digits(&in_force::policy()).starts_with(modes)
}

/// The policy in force is in no file.
static IN_MEMORY: AtomicBool = AtomicBool::new(false);

/// Whether the policy in force is in no file.
pub fn is_in_memory() -> bool {
    IN_MEMORY.load(Ordering::Relaxed)
}

/// Puts the policy in force that this program was handed; whether it was.
fn take(tree: Option<&Tree<'_>>, handed: &Handed) -> bool {
    let taken = tree.and_then(|tree| handed_down::take_policy(tree, handed).map(|mapped| (mapped, tree.file)));
    taken.map(|(mapped, marks)| in_force::put_in_force(mapped, marks)).is_some()
}

/// For a descendant: the policy that it was handed, or that of its tree as it lies there, which a master has checked whole, or what
/// has replaced it since. Where none can be used, where somebody has spoilt the sinks that came with it, or where nobody knows any more
/// what the tree's policy was, the built-in lists hold, as strictly as the tree's policy is anywhere.
pub fn in_descendant(tree: Option<&Tree<'_>>, handed: &Handed, are_sinks_spoilt: bool) -> Option<Reason> {
    if take(tree, handed) {
        // What came with it would have to be there, too: without it, nobody hears of what this program does.
        return if are_sinks_spoilt { without(tree, Reason::Lost) } else { None };
    }
    let checked = |bytes: &[u8], stat: &sys::Stat| match tree {
        Some(tree) if !is_of(tree, stat) => summed(bytes, stat),
        Some(tree) => Policy::unsummed(bytes).and_then(|policy| match policy.digest() == tree.digest {
            true => Ok(()),
            false => Err(Malformed::Damaged),
        }),
        None => summed(bytes, stat),
    };
    let reason = match map(Of::Descendant(tree), checked) {
        Ok((mapped, stat)) => {
            in_force::set_policy(mapped, &stat);
            return None;
        }
        Err(Unusable::Missing) => Reason::NoConfiguration,
        Err(Unusable::For(reason)) => reason,
    };
    without(tree, reason)
}

#[cold]
fn lose(overlay: Overlay<'_>, file: [u64; 3]) -> Option<Reason> {
    in_force::set_lost(overlay, file);
    Some(Reason::Lost)
}

/// The policy in force has not been summed yet.
static CHECKSUM_PENDING: AtomicBool = AtomicBool::new(false);

/// For a master: the compiled policy, compiled first where none can be used; once for each state of the configuration in a tree of
/// processes, since a server's start may be many programs. A policy that can be used stays, whatever has become of its sources:
/// only `portcullis apply` replaces it. Verifying takes as long as the policy is: the first of the tree does it in
/// [`verify_checksum_once`], once it comes to what is judged. A later one that can use neither the policy of its tree nor a newer one
/// is in a descendant's place: see [`without`].
pub fn in_master(first: bool, tree: Option<&Tree<'_>>, handed: &Handed) -> Option<Reason> {
    let reason = found_or_compiled(first, tree, handed)?;
    if tree.is_some() && in_force::is_built_in() { without(tree, reason) } else { Some(reason) }
}

fn found_or_compiled(first: bool, tree: Option<&Tree<'_>>, handed: &Handed) -> Option<Reason> {
    if take(tree, handed) {
        IN_MEMORY.store(true, Ordering::Relaxed);
        return None;
    }
    let checked = |bytes: &[u8], stat: &sys::Stat| match tree {
        Some(tree) if !is_of(tree, stat) => summed(bytes, stat),
        _ => unsummed(bytes, stat),
    };
    match map(Of::First, checked) {
        Ok((mapped, stat)) => {
            in_force::set_policy(mapped, &stat);
            CHECKSUM_PENDING.store(first, Ordering::Relaxed);
            None
        }
        Err(unusable) => instead_of(unusable),
    }
}

/// For a master, before it forks or serves: sums the policy in force, where that was not done yet. Gives why another one is in
/// force now.
pub fn verify_checksum_once() -> Option<Reason> {
    if CHECKSUM_PENDING.load(Ordering::Relaxed) && CHECKSUM_PENDING.swap(false, Ordering::Relaxed) {
        sum()
    } else {
        None
    }
}

#[cold]
fn sum() -> Option<Reason> {
    if in_force::policy_bytes().is_none_or(|bytes| Policy::new(bytes).is_ok()) {
        return None;
    }
    in_force::no_policy();
    instead_of(Unusable::For(Reason::Damaged))
}

/// Compiles where there is no usable policy.
fn instead_of(unusable: Unusable) -> Option<Reason> {
    let sources = sources();
    match (unusable, sources) {
        (Unusable::Missing, 0) => Some(Reason::NoConfiguration),
        (Unusable::For(reason), 0) => Some(reason),
        (unusable, _) if TRIED.swap(sources, Ordering::Relaxed) == sources => Some(unusable.reason()),
        (unusable, _) => match compile() {
            Ok(true) => match unusable {
                Unusable::Missing => None,
                Unusable::For(_) => Some(Reason::Anew),
            },
            Ok(false) => Some(unusable.reason()),
            Err(Failure::NoCommand) => Some(Reason::NoCommand),
            Err(Failure::Slow) => Some(Reason::Slow),
            Err(Failure::Refused) => Some(Reason::Broken),
        },
    }
}

/// Compiles, and puts the policy in force; whether it is. Where its file cannot be written (a read-only /run), into memory.
fn compile() -> Result<bool, Failure> {
    let settled = state::settled();
    match compiler::run(&settled.config_path, Output::Path(&settled.policy_path)) {
        Ok(()) => Ok(renewed()),
        Err(Failure::Refused) => in_memory(),
        Err(failure) => Err(failure),
    }
}

#[cold]
#[inline(never)]
fn in_memory() -> Result<bool, Failure> {
    let file = sys::memory_file(handed_down::NAME).ok_or(Failure::Refused)?;
    compiler::run(&state::settled().config_path, Output::Descriptor(file.0))?;
    let Some(stat) = sys::fstat(file.0).filter(|_| sys::seal(file.0)) else { return Ok(false) };
    // SAFETY: the seals keep everybody from writing to the file and from cutting it.
    let mapped = unsafe { Mapped::of(&file, stat.size as usize) }.filter(|mapped| Policy::new(mapped.bytes()).is_ok());
    Ok(match mapped {
        Some(mapped) => {
            put_in_force(mapped, &stat);
            IN_MEMORY.store(true, Ordering::Relaxed);
            true
        }
        None => false,
    })
}

fn put_in_force(mapped: Mapped, stat: &sys::Stat) {
    in_force::set_policy(mapped, stat);
    CHECKSUM_PENDING.store(false, Ordering::Relaxed);
}

/// Puts the policy that lies there now in force.
fn renewed() -> bool {
    match map(Of::First, |bytes, _| Policy::new(bytes).map(|_| ())) {
        Ok((mapped, stat)) => {
            put_in_force(mapped, &stat);
            IN_MEMORY.store(false, Ordering::Relaxed);
            true
        }
        Err(_) => false,
    }
}

static TRIED: AtomicU64 = AtomicU64::new(0);

/// The state of the sources for which this tree of processes has tried to compile; 0 for none.
pub fn tried() -> u64 {
    TRIED.load(Ordering::Relaxed)
}

/// Sets it; for the constructor.
pub fn set_tried(sources: u64) {
    TRIED.store(sources, Ordering::Relaxed);
}

/// The state of the main configuration file: its time, its size, and who may change it, for of one that another user may change
/// the command compiles nothing. 0 where there is none.
fn sources() -> u64 {
    sys::stat(state::settled().config_path.c_str()).map_or(0, |stat| {
        let mark = place::source_mark(stat.mtime, stat.uid, stat.mode).cast_unsigned();
        (mark.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31) ^ stat.size) | 1
    })
}

/// Puts a newer policy in force where there is one; for a master before it forks. Only without any policy is one compiled. Gives why
/// that did not succeed.
pub fn renew() -> Option<Reason> {
    look_again();
    if !in_force::is_built_in() && !in_force::is_lost() {
        return None;
    }
    let sources = sources();
    if sources == 0 || TRIED.swap(sources, Ordering::Relaxed) == sources {
        return None;
    }
    match compile() {
        Ok(true) => {
            state::set_reported(0);
            None
        }
        _ if in_force::is_lost() => Some(Reason::Lost),
        _ => Some(Reason::Broken),
    }
}

/// Puts a policy in force that was applied since.
pub fn look_again() {
    if in_force::policy_file_changed(sys::stat(state::settled().policy_path.c_str())) {
        renewed();
    }
}
