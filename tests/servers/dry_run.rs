//! `--dry-run` of every verb that has it: the whole machine is as before, to the time of a folder in which a file was made and removed.

use crate::harness::{Place, enter};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells that a file or a folder was changed.
type State = BTreeMap<PathBuf, (u32, u32, u64, i64, i64, Vec<u8>)>;

/// Where the command makes its temporary files.
const TEMPORARY: &str = "temporary";

fn look(folder: &Path, state: &mut State) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = path.symlink_metadata() else { continue };
        let bytes = if meta.is_file() { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
        // What is left in the folder of temporary files counts, and its time does not; nor does that of an overlay's own folder.
        let is_used = path.ends_with(TEMPORARY) || path.ends_with("work");
        let time = if is_used { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) };
        state.insert(path.clone(), (meta.mode(), meta.uid(), meta.ino(), time.0, time.1, bytes));
        if meta.is_dir() {
            look(&path, state);
        }
    }
}

/// All that was changed on this machine since the test has a root of its own, and what is in memory.
fn machine() -> State {
    let mut state = State::new();
    for folder in ["/mnt", "/run", "/tmp", "/dev/shm"] {
        look(Path::new(folder), &mut state);
    }
    state
}

#[test]
fn a_dry_run_changes_nothing() {
    enter();
    let place = Place::new();
    let root = place.join("root");
    let library = format!("root/usr/lib/{}-linux-gnu/libportcullis.so", std::env::consts::ARCH);
    place.write(&library, "");
    std::fs::copy(place.library(), place.join(&library)).expect("the library");
    for unit in ["apache2", "nginx"] {
        place.write(&format!("root/usr/lib/systemd/system/{unit}.service"), "[Service]\nExecStart=/bin/true\n");
    }
    let site = place.join("www/shop");
    std::fs::create_dir_all(&site).expect("a folder");
    let config = place.write("etc/portcullis.toml", "mode = \"audit\"\n");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let event = json!({
        "@timestamp": "2026-11-24T16:25:14Z", "rule": { "id": "stdio-socket" }, "host": { "hostname": host.trim() },
        "event": { "id": "ab-1", "action": "exec", "outcome": "success" }, "client": { "address": "192.0.2.7" },
        "process": { "command_line": "sh -i", "args": ["sh", "-i"] },
        "portcullis": { "request": { "state": "known", "script": site.join("x.php"), "document_root": site } },
    });
    let log = place.write("events.jsonl", &format!("{event}\n"));
    let [root, config, site, log, evidence] =
        [root, config, site, log, place.join("evidence")].map(|path| path.display().to_string());
    let temporary = place.join(TEMPORARY);
    std::fs::create_dir(&temporary).expect("a folder");
    let run = |words: &[&str]| {
        let done = place.portcullis().env("TMPDIR", &temporary).args(words).output().expect("portcullis");
        let said = String::from_utf8_lossy(&[&done.stdout[..], &done.stderr].concat()).into_owned();
        (done.status.code(), said)
    };
    let dry = |words: &[&str]| {
        let before = machine();
        let (status, said) = run(words);
        let after = machine();
        let changed: Vec<&PathBuf> =
            before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
        assert_eq!(changed, Vec::<&PathBuf>::new(), "{words:?}: {said}");
        assert!(status == Some(0), "{words:?}: {status:?}: {said}");
        said
    };
    let real = |words: &[&str]| {
        let before = machine();
        // Without a unit of systemd, contain says that nothing was reloaded, and exits with 1.
        let (status, said) = run(words);
        assert!(matches!(status, Some(0 | 1)) && before != machine(), "{words:?}: {status:?}: {said}");
    };
    let install = ["install", "apache2", "nginx", "--root", &root];
    let more = |words: &[&'static str]| [&install[..], words].concat();
    assert!(dry(&more(&["--dry-run"])).contains("Nothing was written"));
    real(&install);
    dry(&more(&["--mode", "enforce", "--dry-run"]));
    dry(&["uninstall", "--root", &root, "--dry-run"]);
    dry(&["uninstall", "--root", &root, "--purge", "--dry-run"]);

    dry(&["apply", "--config", &config, "--dry-run"]);
    real(&["apply", "--config", &config]);
    std::fs::write(&config, "mode = \"enforce\"\n").expect("a file");
    dry(&["apply", "--config", &config, "--dry-run"]);
    dry(&["check", "--config", &config]);
    std::fs::write(&config, "mode = \"audit\"\n").expect("a file");

    let listed = run(&["events", "--incidents", "--json", &log]).1;
    let incident: serde_json::Value = serde_json::from_str(listed.lines().next().expect("an incident")).expect("JSON");
    let id = incident["id"].as_str().expect("an ID");
    let contain = |more: &[&'static str]| [&["contain", "--config", &config][..], more].concat();
    dry(&[&contain(&["--dry-run", "--incident"])[..], &[id, &log]].concat());
    let evidence = ["--evidence", &evidence];
    let folder = ["--document-root", &site];
    dry(&[&contain(&["--dry-run", "--closed"])[..], &evidence, &folder].concat());
    real(&[&contain(&["--yes", "--incident"])[..], &[id, &log]].concat());
    let undo = [&contain(&["--dry-run", "--undo"])[..], &[id]].concat();
    let said = dry(&undo);
    assert!(said.contains("shop"), "{said}");
    dry(&contain(&["--list"]));
    // A lock that is not there is not made.
    std::fs::remove_file("/var/lib/portcullis/contain/.lock").expect("a lock");
    dry(&undo);
}
