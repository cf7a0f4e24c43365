//! Root's list of the probes that ran: a line when one begins, and one when it ends.

use super::{Expected, Probe};
use jiff::{SignedDuration, Timestamp};
use portcullis_config::reading;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Error, Result, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How long a probe may take: one whose end is not in the list, because `doctor` was killed, ended then.
const LIFE_MAX: SignedDuration = SignedDuration::from_secs(180);
/// How far a clock of the kernel's ticks may be behind: an event may seem to be older than the act.
const TICKS: SignedDuration = SignedDuration::from_secs(1);
/// The most probes that are kept, the latest.
const PROBES_MAX: usize = 4096;
/// How large the list becomes before old probes are taken out, and the largest that is read, in bytes.
const FULL: u64 = 2 << 20;
const LIST_MAX: u64 = 16 << 20;

/// A line of the list.
#[derive(Serialize, Deserialize)]
struct Line {
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    until: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    expected: Vec<Expected>,
}

fn shown(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// A probe that runs: its end is written when this is dropped.
pub struct Entry {
    list: PathBuf,
    token: String,
}

/// Writes a probe that begins now into the list.
pub fn open(list: &Path, token: &str, expected: Vec<Expected>) -> Result<Entry> {
    let now = Timestamp::now();
    let until = now.checked_add(LIFE_MAX).map_err(Error::other)?;
    let from = now.checked_sub(TICKS).map_err(Error::other)?;
    if let Some(folder) = list.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    append(list, &Line { token: token.to_owned(), from: Some(shown(from)), until: shown(until), expected })?;
    Ok(Entry { list: list.to_owned(), token: token.to_owned() })
}

impl Drop for Entry {
    fn drop(&mut self) {
        let line = Line { token: self.token.clone(), from: None, until: shown(Timestamp::now()), expected: Vec::new() };
        if let Err(error) = append(&self.list, &line) {
            let least = LIFE_MAX.as_secs();
            crate::complain(format_args!(
                "cannot write the end of a probe to {}: {error}; it counts as running for {least} seconds",
                self.list.display()
            ));
        }
    }
}

/// Adds a line, by one writer at a time.
fn append(list: &Path, line: &Line) -> Result<()> {
    let _turn = reading::lock(&list.with_extension("lock"))?;
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(list, flags, rustix::fs::Mode::from_raw_mode(0o600))?);
    let meta = file.metadata()?;
    let own = rustix::process::geteuid().as_raw();
    if !meta.is_file() || meta.nlink() != 1 || meta.uid() != own || meta.mode() & 0o077 != 0 {
        return Err(Error::other("it is not a file of root's alone, of mode 0600; remove it"));
    }
    file.write_all((serde_json::to_string(line)? + "\n").as_bytes())?;
    if meta.len() > FULL { shorten(list) } else { Ok(()) }
}

/// Keeps the latest half of the probes.
fn shorten(list: &Path) -> Result<()> {
    let mut probes: Vec<Probe> = read(list)?.into_values().collect();
    probes.sort_by_key(|probe| probe.from);
    let mut text = String::new();
    for probe in &probes[probes.len() / 2..] {
        let line = Line {
            token: probe.token.clone(),
            from: Some(shown(probe.from)),
            until: shown(probe.until),
            expected: probe.expected.clone(),
        };
        text += &(serde_json::to_string(&line)? + "\n");
    }
    // A temporary file has the mode 0600.
    let mut file = tempfile::Builder::new().prefix(".probes-").tempfile_in(list.parent().unwrap_or(Path::new("/")))?;
    file.write_all(text.as_bytes())?;
    file.persist(list)?;
    Ok(())
}

/// The probes of a list, by token. A line that is none is passed over: its probe is shown.
pub fn read(list: &Path) -> Result<HashMap<String, Probe>> {
    let bytes = reading::rest(reading::open_trusted(list)?, LIST_MAX)?;
    let mut probes: HashMap<String, Probe> = HashMap::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        let Ok(until) = line.until.parse::<Timestamp>() else { continue };
        match line.from.map(|from| from.parse::<Timestamp>()) {
            Some(Ok(from)) => {
                let until = until.min(from.checked_add(LIFE_MAX).unwrap_or(from));
                let probe = Probe { token: line.token.clone(), from, until, expected: line.expected };
                // The first of a token counts: none lives twice.
                probes.entry(line.token).or_insert(probe);
            }
            Some(Err(_)) => {}
            None => {
                if let Some(probe) = probes.get_mut(&line.token) {
                    probe.until = probe.until.min(until);
                }
            }
        }
    }
    if probes.len() > PROBES_MAX {
        let mut times: Vec<Timestamp> = probes.values().map(|probe| probe.from).collect();
        times.sort_unstable();
        let oldest = times[times.len() - PROBES_MAX];
        probes.retain(|_, probe| probe.from >= oldest);
    }
    Ok(probes)
}

#[cfg(test)]
mod tests {
    use super::super::{By, token};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn expected() -> Vec<Expected> {
        vec![Expected::shell(By::Uri("/x".into()))]
    }

    #[test]
    fn a_probe_ends_with_its_run_and_in_any_case() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("probes");
        let (ended, killed) = (token().unwrap(), token().unwrap());
        drop(open(&list, &ended, expected()).unwrap());
        std::mem::forget(open(&list, &killed, expected()).unwrap());
        let probes = read(&list).unwrap();
        assert!(probes[&ended].until <= Timestamp::now());
        assert_eq!(probes[&killed].until, probes[&killed].from + LIFE_MAX);
        assert_eq!(std::fs::metadata(&list).unwrap().permissions().mode() & 0o777, 0o600);
        // An end that is later than the life of a probe gives it no more.
        let later = shown(Timestamp::now() + LIFE_MAX + LIFE_MAX);
        append(&list, &Line { token: killed.clone(), from: None, until: later, expected: Vec::new() }).unwrap();
        assert_eq!(read(&list).unwrap()[&killed].until, probes[&killed].until);
    }

    #[test]
    fn no_link_is_followed_and_no_file_of_others_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (list, other) = (folder.path().join("probes"), folder.path().join("other"));
        std::fs::write(&other, "").unwrap();
        // But for the link it would do.
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&other, &list).unwrap();
        assert!(open(&list, "t", expected()).is_err() && read(&list).is_err());
        std::fs::remove_file(&list).unwrap();
        std::fs::hard_link(&other, &list).unwrap();
        assert!(open(&list, "t", expected()).is_err());
        std::fs::remove_file(&list).unwrap();
        std::fs::write(&list, "").unwrap();
        std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(open(&list, "t", expected()).is_err() && read(&list).is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"");
    }

    #[test]
    fn the_list_has_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("probes");
        let now = Timestamp::now();
        let lines = |count: i64| {
            let line = |at: i64| {
                let from = shown(now - SignedDuration::from_secs(count - at));
                let line = Line { token: format!("t{at}"), from: Some(from), until: shown(now), expected: expected() };
                serde_json::to_string(&line).unwrap() + "\n"
            };
            (0..count).map(line).collect::<String>()
        };
        std::fs::write(&list, lines(20_000)).unwrap();
        std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(std::fs::metadata(&list).unwrap().len() > FULL);
        drop(open(&list, "new", expected()).unwrap());
        assert!(std::fs::metadata(&list).unwrap().len() < FULL);
        let probes = read(&list).unwrap();
        assert!(probes.len() <= PROBES_MAX && probes.contains_key("new") && probes.contains_key("t19999"));
        assert_eq!(std::fs::metadata(&list).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
