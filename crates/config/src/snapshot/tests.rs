//! Files that change while they are read.

use super::*;
use crate::{Loaded, load};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

fn configuration() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("portcullis.toml");
    std::fs::create_dir(folder.path().join(VHOSTS)).unwrap();
    std::fs::write(&main, "mode = \"audit\"\n").unwrap();
    (folder, main)
}

fn vhost(name: &str) -> String {
    format!("name = \"{name}\"\n[match]\ndocument_root = \"/srv/{name}\"\n")
}

fn names(loaded: &Loaded) -> Vec<String> {
    loaded.config.vhosts.iter().map(|vhost| vhost.name.value.clone()).collect()
}

fn said(loaded: &Loaded) -> String {
    loaded.diagnostics.iter().map(|one| format!("{}: {}\n", one.file.display(), one.message)).collect()
}

type Change = Box<dyn FnMut(&Path)>;
thread_local! {
    static AFTER: std::cell::RefCell<Option<Change>> = const { std::cell::RefCell::new(None) };
}

/// A file has been read: what the test changes then.
pub(super) fn was_read(path: &Path) {
    AFTER.with_borrow_mut(|after| after.iter_mut().for_each(|change| change(path)));
}

/// What is read when `change` is made once, as soon as the file `name` has been read.
fn changed_after(main: &Path, name: &'static str, change: impl FnOnce() + 'static) -> Loaded {
    let mut change = Some(change);
    let after = move |path: &Path| {
        if path.ends_with(name)
            && let Some(change) = change.take()
        {
            change();
        }
    };
    AFTER.set(Some(Box::new(after)));
    let loaded = load(main);
    AFTER.take();
    assert!(loaded.usable(), "{}", said(&loaded));
    loaded
}

#[test]
fn files_are_of_one_moment() {
    let (folder, main) = configuration();
    let at = |name: &str| folder.path().join(VHOSTS).join(name);
    let put = |path: PathBuf, name: &str| {
        std::fs::write(path.with_extension("new"), vhost(name)).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    };
    let (a, b, z) = (at("a.toml"), at("b.toml"), at("z.toml"));
    put(a.clone(), "a-1");
    put(b.clone(), "b-1");
    // Old beside new never was.
    let (one, other) = (a.clone(), b.clone());
    let both = changed_after(&main, "a.toml", move || {
        put(one, "a-2");
        put(other, "b-2");
    });
    assert_eq!(names(&both), ["a-2", "b-2"]);
    // Read twice, or not at all.
    let (from, to) = (a.clone(), z.clone());
    assert_eq!(names(&changed_after(&main, "a.toml", move || std::fs::rename(from, to).unwrap())), ["b-2", "a-2"]);
    let (from, to) = (z.clone(), a.clone());
    assert_eq!(names(&changed_after(&main, "b.toml", move || std::fs::rename(from, to).unwrap())), ["a-2", "b-2"]);
    assert_eq!(names(&changed_after(&main, "a.toml", move || std::fs::remove_file(a).unwrap())), ["b-2"]);
    // Before the first of them, and after the last.
    let first = main.clone();
    let main_file = changed_after(&main, "b.toml", move || std::fs::write(first, "override = \"off\"\n").unwrap());
    assert_eq!(main_file.config.force, Some(portcullis_policy::Mode::Off));
}

#[test]
fn a_file_that_is_written_in_place_is_read_again() {
    let (folder, main) = configuration();
    let path = folder.path().join(VHOSTS).join("a.toml");
    std::fs::write(&path, vhost("shop-1")).unwrap();
    let same = path.clone();
    let loaded = changed_after(&main, "a.toml", move || std::fs::write(same, vhost("shop-2")).unwrap());
    assert_eq!(names(&loaded), ["shop-2"], "of one length");
}

#[test]
fn what_was_written_a_moment_ago_is_read_again_later() {
    let (folder, main) = configuration();
    std::fs::write(folder.path().join(VHOSTS).join("a.toml"), vhost("shop")).unwrap();
    let snapshot = Snapshot::take(&main);
    assert!(snapshot.changed().is_some());
    pause(2);
    assert_eq!(snapshot.changed(), snapshot.changed(), "time alone makes nothing of a snapshot good");
    assert!(Snapshot::take(&main).changed().is_none());
}

/// Maps two files, writes to the page of each, and then, for a line, one byte to both: that changes none of their times.
const MAPS: &str = "
import mmap, sys
files = [open(path, 'r+b') for path in sys.argv[2:]]
all = [mmap.mmap(file.fileno(), 0) for file in files]
for one in all: one[0] = one[0]
print(flush=True)
sys.stdin.readline()
for one in all: one[int(sys.argv[1])] = ord('2')
print(flush=True)
";

#[test]
fn what_is_written_without_a_trace_in_the_times_is_no_mix() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    // The test runs once more in mounts of its own, with files in memory: only there a mapping is written without a trace.
    const FOLDER: &str = "PORTCULLIS_TEST_FOLDER";
    const NAME: &str = "snapshot::tests::what_is_written_without_a_trace_in_the_times_is_no_mix";
    const MOUNT: &str = "mount -t tmpfs none \"$PORTCULLIS_TEST_FOLDER\" && exec \"$@\"";
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        let folder = tempfile::tempdir().unwrap();
        let mut again = Command::new("unshare");
        again.args(["--mount", "sh", "-c", MOUNT, "sh"]).arg(std::env::current_exe().unwrap());
        let done = again.args(["--exact", NAME]).env(FOLDER, folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&done.stderr));
        return;
    };
    let main = folder.join("portcullis.toml");
    std::fs::create_dir(folder.join(VHOSTS)).unwrap();
    std::fs::write(&main, "mode = \"audit\"\n").unwrap();
    let files = ["a", "b"].map(|name| {
        let path = folder.join(VHOSTS).join(name).with_extension("toml");
        std::fs::write(&path, vhost(&format!("{name}-1"))).unwrap();
        path
    });
    let digit = vhost("a-1").find('1').unwrap().to_string();
    let mut python = Command::new("python3");
    python.args(["-c", MAPS, &digit]).args(&files).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut writer = python.spawn().unwrap();
    let mut answers = BufReader::new(writer.stdout.take().unwrap()).lines();
    assert!(answers.next().unwrap().is_ok());
    let mut asked = writer.stdin.take().unwrap();
    let loaded = changed_after(&main, "a.toml", move || {
        writeln!(asked).unwrap();
        assert!(answers.next().unwrap().is_ok());
    });
    assert!(writer.wait().unwrap().success());
    assert_eq!(names(&loaded), ["a-2", "b-2"]);
}

#[test]
fn a_folder_that_takes_the_place_of_another_is_no_mix() {
    let (folder, main) = configuration();
    for state in ["one", "two"] {
        let of = folder.path().join(state);
        std::fs::create_dir(&of).unwrap();
        for file in 0..3 {
            std::fs::write(of.join(format!("{file}.toml")), vhost(&format!("{state}-{file}"))).unwrap();
        }
    }
    let beside = folder.path().join(VHOSTS);
    std::fs::remove_dir(&beside).unwrap();
    symlink("one", &beside).unwrap();
    let root = folder.path().to_owned();
    let (link, next) = (beside.clone(), root.join("next"));
    let loaded = changed_after(&main, "1.toml", move || {
        symlink("two", &next).unwrap();
        std::fs::rename(next, link).unwrap();
    });
    assert_eq!(names(&loaded), ["two-0", "two-1", "two-2"]);
    // The folder itself.
    let loaded = changed_after(&main, "1.toml", move || {
        std::fs::rename(root.join("two"), root.join("three")).unwrap();
        std::fs::rename(root.join("one"), root.join("two")).unwrap();
    });
    assert_eq!(names(&loaded), ["one-0", "one-1", "one-2"]);
}

#[test]
fn a_thread_that_renames_files_gives_one_state_or_the_other() {
    const WHOLE: usize = 5;
    let (folder, main) = configuration();
    let at = |name: &str| folder.path().join(VHOSTS).join(name);
    std::fs::write(at("a.toml"), vhost("shop")).unwrap();
    let done = AtomicBool::new(false);
    let found: Vec<Loaded> = std::thread::scope(|scope| {
        scope.spawn(|| {
            for (from, to) in [("a.toml", "z.toml"), ("z.toml", "a.toml")].into_iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                std::fs::rename(at(from), at(to)).unwrap();
                std::thread::sleep(8 * TICK);
            }
        });
        let found = (0..WHOLE).map(|_| load(&main)).collect();
        done.store(true, Ordering::Relaxed);
        found
    });
    for loaded in &found {
        assert!(if loaded.usable() {
            names(loaded) == ["shop"]
        } else {
            said(loaded).contains("it changed each time")
        });
    }
}

#[test]
fn what_never_stays_as_it_is_is_an_error_that_names_it() {
    let (folder, main) = configuration();
    let path = folder.path().join(VHOSTS).join("a.toml");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::fs::write(&path, vhost("shop")).unwrap();
            }
        });
        let loaded = load(&main);
        done.store(true, Ordering::Relaxed);
        assert!(!loaded.usable());
        let said = said(&loaded);
        assert!(said.contains("vhosts.d") && said.contains("it changed each time"), "{said}");
    });
    assert!(load(&main).usable(), "afterwards it is read");
}

#[test]
fn only_files_are_read_and_only_links_of_root_or_the_caller_are_followed() {
    let (folder, main) = configuration();
    let at = |name: &str| folder.path().join(VHOSTS).join(name);
    std::fs::write(folder.path().join("own"), vhost("linked")).unwrap();
    symlink("../own", at("own.toml")).unwrap();
    assert_eq!(names(&load(&main)), ["linked"]);
    symlink("../own", at("theirs.toml")).unwrap();
    symlink("/dev/zero", at("zero.toml")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("fifo.toml")).status().unwrap().success());
    std::os::unix::fs::lchown(at("theirs.toml"), Some(33), None).unwrap();
    let loaded = load(&main);
    let said = said(&loaded);
    for (file, why) in [("fifo", "FIFO"), ("theirs", "link that is not followed"), ("zero", "not a regular file")] {
        assert!(said.lines().any(|line| line.contains(file) && line.contains(why)), "{file}: {said}");
    }
    assert!(!loaded.usable());
}
