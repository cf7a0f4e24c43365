//! A built-in policy with the strictness and the sinks of another one, for a process that cannot use its tree's.

use crate::format::{Header, Scope, Section};
use crate::{Mode, RULES};
use zerocopy::{FromBytes, IntoBytes};

/// What is taken over from the policy that cannot be used.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'o> {
    /// For each rule, the digit of its strictest mode; what is missing, or no digit of a mode, is enforced.
    pub modes: &'o [u8],
    /// The sinks.
    pub sinks: u32,
    /// The digest, which goes on naming the other policy.
    pub digest: u64,
    /// Path of the file sink; empty for none.
    pub log: &'o [u8],
}

impl Overlay<'_> {
    /// The mode of a rule by its number.
    fn mode(&self, rule: usize) -> Mode {
        match self.modes.get(rule) {
            Some(b'0') => Mode::Off,
            Some(b'1') => Mode::Audit,
            _ => Mode::Enforce,
        }
    }

    /// Writes `policy`, the built-in one, to the beginning of `to`, with this laid over it. False where that has no room for it:
    /// there have to be as many bytes as the policy, the path and its NUL.
    pub fn lay(&self, policy: &[u8], to: &mut [u8]) -> bool {
        let Some((body, behind)) = to.split_at_mut_checked(policy.len()) else { return false };
        body.copy_from_slice(policy);
        // The path stands behind everything, and the strings reach up to there.
        let log = self.log.len().wrapping_add(1);
        let Some((path, end)) = behind.get_mut(..log).and_then(<[u8]>::split_last_mut).map(|(end, path)| (path, end))
        else {
            return false;
        };
        path.copy_from_slice(self.log);
        *end = 0;
        let Ok((header, _)) = Header::mut_from_prefix(body) else { return false };
        let len = policy.len().wrapping_add(log);
        header.length = (len as u32).into();
        header.sinks = self.sinks.into();
        header.checksum = self.digest.into();
        let Some(strings) = header.sections.get_mut(Section::Strings as usize) else { return false };
        let start = strings.start.get() as usize;
        strings.len = (len.wrapping_sub(start) as u32).into();
        header.log_file.start = (policy.len().wrapping_sub(start) as u32).into();
        header.log_file.len = (if self.log.is_empty() { 0 } else { log } as u32).into();
        let Some(scopes) = header.sections.get(Section::Scopes as usize).copied() else { return false };
        let start = scopes.start.get() as usize;
        let scopes = body.get_mut(start..start.wrapping_add(scopes.len.get() as usize));
        let Some(scopes) = scopes.and_then(|bytes| <[Scope]>::mut_from_bytes(bytes).ok()) else { return false };
        for scope in scopes {
            for (rule, mode) in scope.modes.iter_mut().enumerate() {
                *mode = self.mode(rule) as u8;
            }
        }
        true
    }
}

/// The modes of the strictest scope as digits.
#[must_use]
pub fn digits(policy: &crate::Policy<'_>) -> [u8; RULES] {
    crate::Rule::ALL.map(|rule| b'0'.wrapping_add(policy.mode(crate::STRICTEST_SCOPE, rule) as u8))
}

const _: () = {
    // The bytes of a header and a scope may be written as well as read.
    const fn is<T: IntoBytes>() {}
    is::<Header>();
    is::<Scope>();
};
