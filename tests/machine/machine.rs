//! A machine with systemd: booted for one test, on a root that it changes in memory alone.

use crate::distro::{named, written};
use crate::root::own_root;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of what was built.
pub fn target() -> PathBuf {
    let own = std::env::current_exe().expect("the test has a path");
    own.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").to_owned()
}

/// The folder of applications that no registry of packages has: what a person put there.
pub fn sources() -> PathBuf {
    let folder = target().join("sources");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Waits until something holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Machines and containers run one after the other: the one that has the lock.
pub fn turn() -> File {
    // What systemd-nspawn keeps in /run and /var is this test's.
    own_root(&[]);
    let turn = File::create(target().join("machine/turn")).expect("make the machine first: scripts/machine");
    turn.lock().expect("a lock");
    turn
}

/// A running machine. It ends with the value.
pub struct Machine {
    nspawn: Child,
    /// The first process in it.
    pub leader: u32,
    _turn: Arc<File>,
}

impl Machine {
    /// Boots one, with the packages in /packages, others' sources in /sources, an outside address, and the pages of the tests.
    pub fn boot() -> Machine {
        Machine::boot_on("root")
    }

    /// The same on another root of target/machine/.
    pub fn boot_on(root: &str) -> Machine {
        Machine::boot_as("portcullis-test", root, Arc::new(turn()))
    }

    /// The same with this name, beside others that share the turn.
    pub fn boot_as(name: &str, root: &str, turn: Arc<File>) -> Machine {
        let folder = target().join("machine");
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine");
        let nspawn = Command::new("systemd-nspawn")
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .args(["--register=no", "--keep-unit", "--private-network", "--boot", "--console=read-only", "--quiet"])
            // Of what the kernel has and systemd-nspawn refuses: by this a supervisor borrows descriptors.
            .args([
                "--volatile=overlay",
                "--system-call-filter=pidfd_getfd",
                &format!("--machine={name}"),
                "--directory",
            ])
            .arg(folder.join(root))
            .arg(format!("--bind-ro={}:/packages", target().join("packages").display()))
            .arg(format!("--bind-ro={}:/var/www/html", own.join("pages").display()))
            .arg(format!("--bind-ro={}:/recipes", own.join("recipes").display()))
            .arg(format!("--bind-ro={}:/sources", sources().display()))
            .stdin(Stdio::null())
            .stdout(File::create(folder.join(format!("{name}-console"))).expect("a file"))
            .stderr(File::create(folder.join(format!("{name}-nspawn"))).expect("a file"))
            .spawn()
            .expect("systemd-nspawn");
        let mut machine = Machine { nspawn, leader: 0, _turn: turn };
        let children = format!("/proc/{0}/task/{0}/children", machine.nspawn.id());
        wait_until("the machine", || {
            // The first child of systemd-nspawn makes the one that stays, and ends.
            let text = std::fs::read_to_string(&children).unwrap_or_default();
            machine.leader = text.split_whitespace().next_back().and_then(|pid| pid.parse().ok()).unwrap_or(0);
            if machine.leader == 0 {
                return false;
            }
            let said = machine.try_run("systemctl is-system-running");
            ["running\n", "degraded\n"].contains(&String::from_utf8_lossy(&said.stdout).as_ref())
        });
        machine.run("ip link set lo up; ip address add 192.88.1.10/32 dev lo");
        machine
    }

    /// Runs commands of a shell in the machine, as root. They are written with the names of Debian 12, and so is what they print.
    pub fn try_run(&self, commands: &str) -> Output {
        let mut done = Command::new("nsenter")
            .args(["--all", "--target", &self.leader.to_string(), "--", "/usr/bin/env", "-i"])
            .args([
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
                "LANG=C.UTF-8",
                "DEBIAN_FRONTEND=noninteractive",
            ])
            .args(["/bin/bash", "-c", &named(commands)])
            .stdin(Stdio::null())
            .output()
            .expect("nsenter");
        done.stdout = written(&done.stdout);
        done.stderr = written(&done.stderr);
        done
    }

    /// The same, which has to end with 0; gives what was printed.
    pub fn run(&self, commands: &str) -> String {
        let done = self.try_run(commands);
        let (out, err) = (String::from_utf8_lossy(&done.stdout).into_owned(), String::from_utf8_lossy(&done.stderr));
        if !done.status.success() {
            let state = self.try_run("systemctl list-jobs; ps -efww; journalctl --no-pager --lines 60");
            let state = String::from_utf8_lossy(&state.stdout);
            panic!("{commands}: {}\n{out}\n{err}\n{state}", done.status);
        }
        out
    }

    /// A file in the machine, as it is seen from outside.
    pub fn file(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.leader.to_string()).join("root").join(named(path))
    }

    /// What was printed, as JSON.
    pub fn json(&self, commands: &str) -> serde_json::Value {
        let done = self.try_run(commands);
        serde_json::from_slice(&done.stdout)
            .unwrap_or_else(|error| panic!("{commands}: {error}: {}", String::from_utf8_lossy(&done.stderr)))
    }

    /// The guard's events so far.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let text = self.run("portcullis events --json");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.leader != 0 {
            let _ = self.try_run("systemctl poweroff --force");
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE / 2 {
            if self.nspawn.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}
