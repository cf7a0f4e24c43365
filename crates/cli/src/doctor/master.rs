//! The main process of a unit, by systemd and the kernel.
//!
//! **Invariants**: root starts, asks and looks into only what this module returns. What a process says of itself (its memory, its title, what
//! it maps) is for printing.
//!
//! **Why**: any program that a script starts in the unit is a process of the unit, can have the library in it, and can have any role in
//! its memory.

use super::fact;
use crate::install::Systemd;
use crate::install::unit::Unit;
use crate::status::live;
use crate::status::process::Process;
use portcullis_config::trust;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A main process that is what the unit's files start.
#[derive(Clone, Copy)]
pub struct Master {
    pid: u32,
    user: u32,
}

impl Master {
    /// The main process among those that the kernel counts to the unit.
    pub fn of(unit: &Unit, systemd: &Systemd, processes: &[&Process]) -> Result<Master, String> {
        if !systemd.is_running() {
            return Err("systemd does not run here".to_owned());
        }
        let pid = systemd.main_process(&unit.name).ok_or("systemd knows no main process of the unit")?;
        if processes.iter().all(|process| process.pid != pid) {
            return Err(format!("process {pid}, which systemd calls the main process, is not one of the unit's"));
        }
        let user = user(pid).ok_or_else(|| format!("process {pid} has more than one user"))?;
        // Under `NotifyAccess=all` any process of the unit may call itself the main process.
        let has_own_user = unit.value("User").is_some() || unit.is_on("DynamicUser").is_some();
        if user != 0 && !has_own_user {
            return Err(format!(
                "process {pid}, which systemd calls the main process, is not root's but of user {user}"
            ));
        }
        Ok(Master { pid, user })
    }

    /// Its number.
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Its user.
    pub fn user(self) -> u32 {
        self.user
    }

    /// Its program, where root alone can put another one in its place.
    pub fn program(self) -> Result<PathBuf, String> {
        let link = live::path(self.pid, "exe");
        let path = std::fs::read_link(&link).map_err(|error| format!("cannot read {}: {error}", link.display()))?;
        trusted(&path, &link)?;
        Ok(path)
    }
}

/// The user of a process: real, effective, saved and that of the file system, which are one.
fn user(pid: u32) -> Option<u32> {
    let status = fact(live::path(pid, "status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let users: Vec<u32> = line.split_whitespace().filter_map(|user| user.parse().ok()).collect();
    let first = *users.first()?;
    (users.len() == 4 && users.iter().all(|&user| user == first)).then_some(first)
}

/// Whether a path leads, by folders and files of root's alone, to the file behind `link`.
fn trusted(path: &Path, link: &Path) -> Result<(), String> {
    let found = trust::walk(Path::new("/"), path, &trust::owners(Path::new("/")), true)
        .map_err(|weak| format!("others may change {}", weak.path().display()))?;
    let same = std::fs::metadata(link)
        .is_ok_and(|meta| found.as_ref().is_some_and(|found| (found.dev(), found.ino()) == (meta.dev(), meta.ino())));
    if same { Ok(()) } else { Err(format!("{} is not the file that runs", path.display())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_one_that_root_alone_can_replace() {
        let folder = tempfile::tempdir().unwrap();
        let own = Path::new("/bin/true");
        assert_eq!(trusted(&std::fs::canonicalize(own).unwrap(), own), Ok(()));
        assert!(trusted(Path::new("/bin/false"), own).unwrap_err().contains("is not the file that runs"));
        let copy = folder.path().join("true");
        std::fs::write(&copy, "x").unwrap();
        std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert!(trusted(&copy, &copy).unwrap_err().contains("others may change"));
        assert!(trusted(Path::new("/none (deleted)"), own).is_err());
    }

    #[test]
    fn a_process_has_one_user() {
        let own = std::fs::metadata("/proc/self").unwrap().uid();
        assert_eq!(user(std::process::id()), Some(own));
    }
}
