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

/// The number of a descriptor that was told of.
pub fn number(told: [u64; 3]) -> Option<i32> {
    let [number, ..] = told;
    i32::try_from(number).ok()?.checked_sub(1).filter(|fd| *fd >= 0)
}

/// For the constructor: maps the policy that this program was handed, and closes its descriptor. `None` where it was handed none, or
/// has another in its place.
pub fn take_policy(tree: &Tree<'_>, handed: &Handed) -> Option<Mapped> {
    let told @ [_, marked @ ..] = *handed.first()?;
    let fd = number(told)?;
    let stat = sys::fstat(fd).filter(|stat| marks(stat, true) == marked)?;
    let file = Fd(fd);
    // SAFETY: the seals keep everybody from writing to the file and from cutting it.
    let mapped = unsafe { sys::is_sealed(fd).then(|| Mapped::of(&file, stat.size as usize))? }?;
    let is_tree_s = Policy::unsummed(mapped.bytes()).is_ok_and(|policy| policy.digest() == tree.digest);
    is_tree_s.then_some(mapped)
}
