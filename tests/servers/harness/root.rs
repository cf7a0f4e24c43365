//! A root of the test's own: what it writes into the folders of the system is seen by this thread and by what it starts, is kept
//! in memory, and goes with them. The build tree stays the host's.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Where the layers lie; that it is there tells that this thread has its own root.
pub const LAYERS: &str = "/mnt/own";
/// Folders that are no files of a disk, or that get an empty file system.
const OTHERS: [&str; 7] = ["/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", "/lost+found"];
/// Of linux/mount.h and linux/fcntl.h.
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
const AT_RECURSIVE: u32 = 0x8000;
/// Kinds of file systems that have no files to change.
const WITHOUT_FILES: [&str; 8] = ["proc", "sysfs", "cgroup", "cgroup2", "autofs", "nsfs", "binfmt_misc", "rpc_pipefs"];

fn string(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("no zero")
}

fn mount(kind: &str, path: &Path, flags: u64, options: &str) {
    let (name, options) = (string(kind.as_bytes()), string(options.as_bytes()));
    let (at, pointer) = (string(path.as_os_str().as_bytes()), name.as_ptr());
    // SAFETY: strings that end with zero.
    let done = unsafe { libc::mount(pointer, at.as_ptr(), pointer, flags, options.as_ptr().cast()) };
    assert_eq!(done, 0, "{kind} on {}, {options:?}: {}", path.display(), std::io::Error::last_os_error());
}

fn tmpfs(path: &str, mode: &str) {
    mount("tmpfs", Path::new(path), 0, &format!("mode={mode}"));
}

/// A mount as it is now, to be put back over what is mounted in its way.
struct Kept {
    path: PathBuf,
    tree: OwnedFd,
    is_build: bool,
}

impl Kept {
    fn of(path: &Path, is_build: bool) -> Option<Kept> {
        let at = string(path.as_os_str().as_bytes());
        let below = if is_build { AT_RECURSIVE } else { 0 };
        let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | below;
        // SAFETY: a string that ends with zero.
        let tree = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, at.as_ptr(), flags) };
        // What another mount hides is nothing to keep.
        let tree = i32::try_from(tree).ok().filter(|tree| *tree >= 0)?;
        // SAFETY: just opened, and nobody else's.
        Some(Kept { path: path.to_owned(), tree: unsafe { OwnedFd::from_raw_fd(tree) }, is_build })
    }

    fn put_back(&self) {
        let from = format!("/proc/thread-self/fd/{}", self.tree.as_raw_fd());
        if !std::fs::metadata(&from).expect("a mount").is_dir() {
            // A container's /etc/hosts: a copy of it can be changed.
            let text = std::fs::read(&from).expect("a file");
            std::fs::write(&self.path, text).expect("a copy");
            return;
        }
        std::fs::create_dir_all(&self.path).expect("a folder");
        let (tree, at) = (self.tree.as_raw_fd(), string(self.path.as_os_str().as_bytes()));
        let flags = MOVE_MOUNT_F_EMPTY_PATH;
        // SAFETY: strings that end with zero.
        let done =
            unsafe { libc::syscall(libc::SYS_move_mount, tree, c"".as_ptr(), libc::AT_FDCWD, at.as_ptr(), flags) };
        assert_eq!(done, 0, "{}: {}", self.path.display(), std::io::Error::last_os_error());
        if !self.is_build {
            own(&self.path);
        }
    }
}

/// Lays a folder of this thread's own over a folder.
fn own(folder: &Path) {
    let name = folder.to_str().expect("a path").replace('/', "_");
    let layer = Path::new(LAYERS).join(name);
    for part in ["upper", "work"] {
        std::fs::create_dir_all(layer.join(part)).expect("a folder");
    }
    let (there, upper) = (std::fs::metadata(folder).expect("a folder"), layer.join("upper"));
    chown(&upper, Some(there.uid()), Some(there.gid())).expect("owners");
    std::fs::set_permissions(&upper, std::fs::Permissions::from_mode(there.mode())).expect("permissions");
    let [lower, upper, work] = [folder, &upper, &layer.join("work")].map(|path| path.display().to_string());
    mount("overlay", folder, 0, &format!("lowerdir={lower},upperdir={upper},workdir={work}"));
}

/// The points and kinds of the mounts, outermost first.
fn mounts() -> Vec<(PathBuf, String)> {
    let text = std::fs::read_to_string("/proc/thread-self/mountinfo").expect("mounts");
    let mount = |line: &str| {
        let (point, kind) = (line.split(' ').nth(4)?, line.split(" - ").nth(1)?.split(' ').next()?);
        Some((PathBuf::from(point.replace("\\040", " ")), kind.to_owned()))
    };
    let mut all: Vec<_> = text.lines().filter_map(mount).collect();
    all.sort_by_key(|(point, _)| point.components().count());
    all.dedup_by(|one, other| one.0 == other.0);
    all
}

/// Moves this thread, and what it starts, into a root of its own. `shared` stays the host's: what is to be on a disk.
pub fn own_root(shared: &[&str]) {
    // SAFETY: affects this thread only.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWIPC) };
    assert_eq!(done, 0, "the tests need root: {}", std::io::Error::last_os_error());
    mount("none", Path::new("/"), libc::MS_REC | libc::MS_PRIVATE, "");
    if Path::new(LAYERS).exists() {
        return;
    }
    let here = std::env::current_dir().expect("a folder");
    let program = std::env::current_exe().expect("the test has a path");
    let target = program.ancestors().nth(3).expect("tests lie in target/PROFILE/deps");
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_other = |path: &Path| OTHERS.iter().chain(shared).any(|other| path.starts_with(other));
    let below = |path: &Path| path.components().count() > 2 && !is_other(path) && !path.starts_with(tree);
    let below = mounts().into_iter().filter(|(path, kind)| below(path) && !WITHOUT_FILES.contains(&kind.as_str()));
    let mut kept: Vec<Kept> = below.filter_map(|(path, _)| Kept::of(&path, false)).collect();
    kept.extend(Kept::of(tree, true));
    kept.extend(Some(target).filter(|target| !target.starts_with(tree)).and_then(|target| Kept::of(target, true)));

    tmpfs("/mnt", "755");
    std::fs::create_dir(LAYERS).expect("a folder");
    for entry in std::fs::read_dir("/").expect("the root") {
        let path = entry.expect("an entry").path();
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) && !is_other(&path) {
            own(&path);
        }
    }
    tmpfs("/tmp", "1777");
    // Also so that nobody speaks to a journal, a bus or a service manager of the host.
    tmpfs("/run", "755");
    std::fs::create_dir("/run/lock").expect("a folder");
    std::fs::set_permissions("/run/lock", std::fs::Permissions::from_mode(0o1777)).expect("permissions");
    // What a program leaves there would meet another one of the same number.
    tmpfs("/dev/shm", "1777");
    for kept in &kept {
        kept.put_back();
    }
    // The path of this folder leads elsewhere now.
    std::env::set_current_dir(here).expect("a folder");
}
