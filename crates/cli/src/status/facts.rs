//! Reads what the kernel records about a process: parent, user, start, control group and namespaces.

use super::live;
use portcullis_config::reading::{self, Links};
use std::path::Path;

/// How much is read of a process's command line and of other files about it, in bytes.
const FACTS_MAX: u64 = 1 << 18;
/// The process has not executed a program since it was forked (PF_FORKNOEXEC, include/linux/sched.h).
const FORKED_ONLY: u64 = 0x40;
/// The process is the kernel's own (PF_KTHREAD).
const KERNELS: u64 = 0x20_0000;
/// Units of time in /proc/PID/stat: USER_HZ, which is 100 on every architecture that the library supports.
const TICKS: u64 = 100;

/// Facts that a process cannot choose, but for its name.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The process that is its parent now; 0 if it is unknown.
    pub parent: u32,
    /// Its real user; `None` if it is unknown.
    pub user: Option<u32>,
    /// It has only root's users: what has another one may have been told what to start.
    pub is_root: bool,
    /// A seccomp filter is loaded, as the backstop does in each worker.
    pub is_filtered: bool,
    /// When it was started, in ticks since the machine was.
    pub started: u64,
    /// It runs the program of the process that forked it.
    pub is_fork: bool,
    /// It is the kernel's own, or has ended.
    pub is_none: bool,
    /// Its name, which it can choose.
    pub name: String,
    /// The file of its program.
    pub program: Option<String>,
    /// Its control group.
    pub group: String,
    /// It is in a PID namespace below the one of this /proc.
    pub is_nested: bool,
    /// What identifies its PID namespace.
    pub pids: Option<u64>,
    /// What identifies its mount namespace.
    pub mounts: Option<u64>,
}

impl Facts {
    /// Those of the process with this folder in /proc.
    pub fn of(folder: &Path) -> Facts {
        match live::task(folder) {
            Some(task) => Facts::by(folder, &task),
            None => Facts { is_none: true, ..Facts::by(folder, folder) },
        }
    }

    /// The same, by a task of it that runs.
    fn by(folder: &Path, task: &Path) -> Facts {
        let text =
            |folder: &Path, name: &str| String::from_utf8_lossy(&fact(folder, name).unwrap_or_default()).into_owned();
        let namespace = |name: &str| {
            let link = std::fs::read_link(task.join("ns").join(name)).ok()?;
            link.to_str()?.split_once('[')?.1.strip_suffix(']')?.parse().ok()
        };
        let program = std::fs::read_link(task.join("exe")).ok();
        Facts {
            program: program.map(|path| path.to_string_lossy().into_owned()),
            group: group(task),
            pids: namespace("pid"),
            mounts: namespace("mnt"),
            ..Facts::said(&text(task, "status"), &text(folder, "stat"))
        }
    }

    /// Those of /proc/PID/status and /proc/PID/stat. The name of the process has no line end in the one, and may have a
    /// parenthesis in the other.
    fn said(status: &str, stat: &str) -> Facts {
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let users: Vec<&str> = of("Uid:").split_whitespace().collect();
        let (before, behind) = stat.rsplit_once(')').unwrap_or_default();
        // The first field behind the name is the third (proc(5)).
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3).and_then(|field| field.parse().ok()).unwrap_or(0_u64);
        Facts {
            parent: of("PPid:").parse().unwrap_or(0),
            user: users.first().and_then(|user| user.parse().ok()),
            is_root: !users.is_empty() && users.iter().all(|user| *user == "0"),
            // SECCOMP_MODE_FILTER (include/uapi/linux/seccomp.h).
            is_filtered: of("Seccomp:") == "2",
            started: number(22),
            is_fork: number(9) & FORKED_ONLY != 0,
            is_none: number(9) & KERNELS != 0,
            name: before.split_once('(').unwrap_or_default().1.to_owned(),
            is_nested: of("NSpid:").split_whitespace().count() > 1,
            ..Facts::default()
        }
    }
}

/// How long the machine has run, in seconds.
pub fn uptime(proc: &Path) -> u64 {
    let text = fact(proc, "uptime").unwrap_or_default();
    String::from_utf8_lossy(&text).split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

/// How old a process is that began at `started`, in seconds.
pub fn age(uptime: u64, started: u64) -> u64 {
    uptime.saturating_sub(started / TICKS)
}

/// A file about a process, its beginning where it is long.
pub fn fact(folder: &Path, name: &str) -> Option<Vec<u8>> {
    reading::head(&folder.join(name), Links::Refuse, FACTS_MAX).ok()
}

/// The control group of a task: in the one hierarchy, or, where that is not used, in systemd's own.
pub fn group(folder: &Path) -> String {
    let text = fact(folder, "cgroup").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // `ID:CONTROLLERS:PATH` (cgroups(7)).
    let of = |controllers: &str| {
        let mut groups = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        groups.find(|(these, _)| *these == controllers).map(|(_, path)| path.to_owned())
    };
    of("").filter(|path| path != "/").or_else(|| of("name=systemd")).unwrap_or_default()
}

/// The unit of the system that a control group belongs to, and whether the group is the unit's own: the first one below the
/// system's manager, with nothing but slices before it. What lies below a unit, or below a folder that is no slice, is named by
/// whom it was given to, a user's own manager or a container, and may have any name.
pub fn unit<'g>(group: &'g str, manager: &str) -> (&'g str, bool) {
    let below = group.strip_prefix(manager).unwrap_or(group);
    let mut parts = below.split('/').filter(|part| !part.is_empty());
    let unit = parts.find(|part| !part.ends_with(".slice")).filter(|name| name.ends_with(".service"));
    (unit.unwrap_or_default(), parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_one_of_the_systems() {
        for (group, manager, wanted) in [
            ("/system.slice/php8.2-fpm.service", "", ("php8.2-fpm.service", true)),
            ("/odd.service", "", ("odd.service", true)),
            ("/system.slice/system-x.slice/x@a.service/inner", "", ("x@a.service", false)),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/php8.2-fpm.service",
                "",
                ("user@1000.service", false),
            ),
            ("/user.slice/user-1000.slice/session-3.scope/php8.2-fpm.service", "", ("", false)),
            ("/system.slice/docker-ab.scope/system.slice/nginx.service", "", ("", false)),
            ("/docker/ab/system.slice/nginx.service", "", ("", false)),
            ("/lxc.payload.web/system.slice/nginx.service", "", ("", false)),
            ("/machine/one/system.slice/nginx.service", "/machine/one", ("nginx.service", true)),
            ("/a.scope/payload/system.slice/nginx.service", "/a.scope/payload", ("nginx.service", true)),
            ("/user.slice", "", ("", true)),
        ] {
            assert_eq!(unit(group, manager), wanted, "{group}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cgroup"), "8:pids:/forged.service\n9:name=systemd:/a:b.service\n0::/\n")
            .unwrap();
        assert_eq!(group(folder.path()), "/a:b.service");
    }

    #[test]
    fn what_the_kernel_records() {
        let status = |uid: &str| format!("Name:\tUid: PPid:\nPPid:\t7\nNSpid:\t9\t1\nUid:\t{uid}\n");
        let stat = "9 (a) b (c) S 7 9 9 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 4200 1 1";
        let facts = Facts::said(&status("0\t0\t0\t0"), stat);
        let wanted = Facts {
            parent: 7,
            user: Some(0),
            is_root: true,
            started: 4200,
            is_fork: true,
            name: "a) b (c".into(),
            is_nested: true,
            ..Facts::default()
        };
        assert_eq!(facts, wanted);
        assert!(!Facts::said(&status("33\t33\t33\t0"), stat).is_root && !Facts::said("", "").is_root);
        assert!(Facts::said("", "9 (k) S 2 0 0 0 -1 2129984 0").is_none);
        assert_eq!(age(100, 4200), 58);
        assert_eq!(age(1, 4200), 0);
    }

    #[test]
    fn this_process_is_in_a_unit_of_time_and_space() {
        let own = Facts::of(Path::new("/proc/self"));
        assert_eq!(own.program, std::env::current_exe().unwrap().to_str().map(str::to_owned));
        assert!(own.pids.is_some() && own.mounts.is_some() && own.parent != 0 && !own.is_fork && !own.is_none);
        assert!(age(uptime(Path::new("/proc")), own.started) < 3600);
    }
}
