//! Sets the user and the groups with which this thread looks files up (setfsuid(2), setfsgid(2), setgroups(2)).

use super::raw::syscall;

/// Groups of a process that can be taken over.
const GROUPS_MAX: usize = 256;

/// The user, group and supplementary groups with which files are looked up.
pub struct LookupIdentity {
    uid: u32,
    gid: u32,
    groups: [u32; GROUPS_MAX],
    count: usize,
}

/// Sets the user or the group for files, where that is allowed; the one before.
fn set_for_files(call: libc::c_long, id: u32) -> u32 {
    // SAFETY: takes no pointer.
    unsafe { syscall(call, [id as usize, 0, 0, 0, 0, 0]) as u32 }
}

impl LookupIdentity {
    /// Without further groups.
    pub fn of(uid: u32, gid: u32) -> LookupIdentity {
        LookupIdentity { uid, gid, groups: [0; GROUPS_MAX], count: 0 }
    }

    /// Adds a group; `None` where there is no room.
    pub fn add(&mut self, group: u32) -> Option<()> {
        *self.groups.get_mut(self.count)? = group;
        self.count = self.count.wrapping_add(1);
        Some(())
    }

    /// This process's.
    pub fn own() -> Option<LookupIdentity> {
        // Nobody has the highest number: it changes nothing.
        let now = |call| set_for_files(call, u32::MAX);
        let mut eyes = LookupIdentity::of(now(libc::SYS_setfsuid), now(libc::SYS_setfsgid));
        let args = [GROUPS_MAX, eyes.groups.as_mut_ptr() as usize, 0, 0, 0, 0];
        // SAFETY: the kernel writes at most that many groups.
        eyes.count = super::result(unsafe { syscall(libc::SYS_getgroups, args) }).ok()?;
        Some(eyes)
    }

    /// Whether the mode of a file lets them write to it.
    pub fn may_write(&self, stat: &super::Stat) -> bool {
        let groups = self.groups.get(..self.count).unwrap_or_default();
        let bit = if stat.uid == self.uid {
            libc::S_IWUSR
        } else if stat.gid == self.gid || groups.contains(&stat.gid) {
            libc::S_IWGRP
        } else {
            libc::S_IWOTH
        };
        self.uid == 0 || stat.mode & bit != 0
    }

    /// Looks with them from now on; whether that is so.
    pub fn take(&self) -> bool {
        let Some(groups) = self.groups.get(..self.count) else { return false };
        let has_groups = || LookupIdentity::own().is_some_and(|now| now.groups.get(..now.count) == Some(groups));
        let args = [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0];
        // SAFETY: the kernel reads the groups.
        let done = has_groups() || unsafe { syscall(libc::SYS_setgroups, args) } == 0;
        set_for_files(libc::SYS_setfsgid, self.gid);
        set_for_files(libc::SYS_setfsuid, self.uid);
        let is = |call, id| set_for_files(call, u32::MAX) == id;
        done && is(libc::SYS_setfsgid, self.gid) && is(libc::SYS_setfsuid, self.uid)
    }
}

/// Looks at files, those of /proc included, as this user and group from now on.
pub fn look_as(uid: u32, gid: u32) {
    // SAFETY: takes no pointer. The group first: without CAP_SETGID nothing changes.
    unsafe {
        syscall(libc::SYS_setfsgid, [gid as usize, 0, 0, 0, 0, 0]);
        syscall(libc::SYS_setfsuid, [uid as usize, 0, 0, 0, 0, 0]);
    }
}
