//! The task of a process that /proc can be asked about. The first thread may have exited (pthread_exit(3) in main) while others run: then
//! the kernel has taken its memory, its files and its namespaces from it, and `/proc/PID` has none of them, but `/proc/PID/task/TID` of
//! every other thread has.
//!
//! **Invariant**: what belongs to the whole process is read from the folder that this module returns. Of the first thread there are only
//! `stat` (when the process began, its name, whether it has executed a program) and `task`.

use super::facts::fact;
use portcullis_config::reading;
use std::path::{Path, PathBuf};

/// The task is about to have nothing any more (PF_EXITING, include/linux/sched.h).
const EXITING: u64 = 0x4;
/// The most tasks of a process among which a live one is looked for.
const TASKS_MAX: usize = 1 << 16;

/// The folder in /proc of the first task that runs, of the process with this folder there; `None` if it has ended.
pub fn task(folder: &Path) -> Option<PathBuf> {
    if !is_over(folder) {
        return Some(folder.to_owned());
    }
    let tasks = reading::entries(&folder.join("task"), TASKS_MAX).unwrap_or_default();
    tasks.into_iter().map(|entry| entry.path()).find(|task| !is_over(task))
}

/// A file about the process with this number, by a task that runs.
pub fn path(pid: u32, name: &str) -> PathBuf {
    let folder = Path::new("/proc").join(pid.to_string());
    task(&folder).unwrap_or(folder).join(name)
}

fn is_over(task: &Path) -> bool {
    let stat = fact(task, "stat").unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat);
    // Behind the name, which may have a parenthesis: the state, and six fields later the flags (proc(5)).
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap_or_default().1.split_whitespace().collect();
    let flags = fields.get(6).and_then(|flags| flags.parse().ok()).unwrap_or(0_u64);
    fields.first().is_some_and(|state| matches!(*state, "Z" | "X" | "x")) || flags & EXITING != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_runs_speaks_for_its_process() {
        let proc = tempfile::tempdir().unwrap();
        let folder = proc.path().join("7");
        let put = |path: &str, state: &str, flags: u64| {
            let at = folder.join(path);
            std::fs::create_dir_all(&at).unwrap();
            std::fs::write(at.join("stat"), format!("7 (a) Z) {state} 1 7 7 0 -1 {flags} 0 0")).unwrap();
        };
        put("", "S", 0);
        put("task/7", "S", 0);
        assert_eq!(task(&folder), Some(folder.clone()));
        put("", "Z", 0);
        put("task/7", "Z", 0);
        assert_eq!(task(&folder), None, "nobody else is there");
        put("task/8", "R", EXITING | 0x40);
        assert_eq!(task(&folder), None);
        put("task/9", "S", 0x40);
        assert_eq!(task(&folder), Some(folder.join("task/9")));
        put("", "S", 0x40);
        assert_eq!(task(&folder), Some(folder.clone()));
    }
}
