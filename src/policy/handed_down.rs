//! The policy that a program is handed by descriptor, where it cannot reach its tree's by path (`child::handed`).

use crate::policy::in_force::Mapped;
use crate::sys::{self, Fd, Stat};
use core::ffi::CStr;
use portcullis_policy::Policy;
use portcullis_request::context::{Handed, Tree};

/// The name of a policy in memory, as /proc/PID/maps shows it.
pub const NAME: &CStr = c"portcullis-policy";

/// What tells a file from others. All files in memory are on one device; that of a sink comes of [`sys::fstat_of_sink`].
pub fn marks(stat: &Stat, is_policy: bool) -> [u64; 2] {
    let (device, inode) = stat.identity;
    [if is_policy { stat.ctime.cast_unsigned() } else { device }, inode]
}

/// The descriptor that was handed down, where it still is of that file.
pub fn descriptor(told: [u64; 3], is_policy: bool) -> Option<(i32, Stat)> {
    let [number, told @ ..] = told;
    let fd = i32::try_from(number).ok()?.checked_sub(1).filter(|fd| *fd >= 0)?;
    let stat = if is_policy { sys::fstat(fd) } else { sys::fstat_of_sink(fd) }?;
    (marks(&stat, is_policy) == told).then_some((fd, stat))
}

/// For the constructor: maps the policy that this program was handed, and closes its descriptor. `None` where it was handed none, or
/// has another in its place.
pub fn take_policy(tree: &Tree<'_>, handed: &Handed) -> Option<Mapped> {
    let (fd, stat) = descriptor(*handed.first()?, true)?;
    let file = Fd(fd);
    // SAFETY: the seals keep everybody from writing to the file and from cutting it.
    let mapped = unsafe { sys::is_sealed(fd).then(|| Mapped::of(&file, stat.size as usize))? }?;
    let is_tree_s = Policy::unsummed(mapped.bytes()).is_ok_and(|policy| policy.digest() == tree.digest);
    is_tree_s.then_some(mapped)
}
