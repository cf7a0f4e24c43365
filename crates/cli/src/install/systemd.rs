//! The systemd that runs here, by `systemctl`; where none does, or another root is meant, nothing is asked of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// systemd.
pub struct Systemd {
    running: bool,
}

impl Systemd {
    /// The one that manages the units below `root`.
    pub fn of(root: &Path) -> Systemd {
        // sd_booted(3)
        Systemd { running: root == Path::new("/") && Path::new("/run/systemd/system").is_dir() }
    }

    /// Whether there is one.
    pub fn is_running(&self) -> bool {
        self.running
    }

    fn call(&self, arguments: &[&str]) -> Result<String, String> {
        let done = Command::new("systemctl").args(arguments).output();
        let done = done.map_err(|error| format!("cannot run systemctl: {error}"))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let why: Vec<&str> = std::str::from_utf8(&done.stderr).unwrap_or("?").lines().collect();
        Err(format!("systemctl {}: {}", arguments.join(" "), why.join(" ")))
    }

    /// Has it read its files anew.
    pub fn reload(&self) -> Result<(), String> {
        if self.running { self.call(&["daemon-reload"]).map(drop) } else { Ok(()) }
    }

    /// Whether a unit runs.
    pub fn is_active(&self, unit: &str) -> bool {
        self.running && self.call(&["is-active", "--quiet", unit]).is_ok()
    }

    /// The main process of a unit.
    pub fn main_process(&self, unit: &str) -> Option<u32> {
        let said = self.call(&["show", "--property=MainPID", "--value", unit]).ok()?;
        said.trim().parse().ok().filter(|&pid| pid > 1)
    }

    /// The main processes of these units, of those that have one.
    pub fn main_processes(&self, units: &BTreeSet<&str>) -> BTreeMap<String, u32> {
        if !self.running || units.is_empty() {
            return BTreeMap::new();
        }
        let mut arguments = vec!["show", "--property=Id,MainPID", "--"];
        arguments.extend(units);
        let said = self.call(&arguments).unwrap_or_default();
        let one = |part: &str| {
            let of = |name: &str| part.lines().find_map(|line| line.strip_prefix(name));
            let main = of("MainPID=")?.trim().parse().ok().filter(|&pid| pid > 1)?;
            Some((of("Id=")?.to_owned(), main))
        };
        said.split("\n\n").filter_map(one).collect()
    }

    /// Restarts a unit, and waits until it has started.
    pub fn restart(&self, unit: &str) -> Result<(), String> {
        // What an administrator asks for does not count towards the unit's own limit of starts.
        self.forget(unit);
        self.call(&["restart", unit])?;
        // A server of Type=simple counts as started before it has done anything.
        if self.is_active(unit) { Ok(()) } else { Err(format!("{unit} ended at once; journalctl -u {unit} says why")) }
    }

    /// Has a unit's server read its configuration anew.
    pub fn reload_unit(&self, unit: &str) -> Result<(), String> {
        self.call(&["reload", unit]).map(drop)
    }

    /// Starts a unit, and waits until it has started or, of Type=oneshot, has ended.
    pub fn start(&self, unit: &str) -> Result<(), String> {
        self.call(&["start", unit]).map(drop)
    }

    /// Stops a unit.
    pub fn stop(&self, unit: &str) -> Result<(), String> {
        self.call(&["stop", unit]).map(drop)
    }

    /// Forgets how a unit ended.
    pub fn forget(&self, unit: &str) {
        let _ = self.call(&["reset-failed", unit]);
    }
}
