//! Keeps how the files of a configuration were when they were last found to say what is applied. A file that was only touched is then
//! compiled once, and not at each reload.
//!
//! **Why beside the policy**: the policy has the times of its sources in it. With other times it would be another one, which every server
//! would have to take.

use super::disk;
use crate::install::plan;
use portcullis_config::SourceFile;
use portcullis_config::reading;
use portcullis_policy::Policy;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What is at the end of its name.
const END: &str = ".seen";
/// The largest file, in bytes.
const SEEN_MAX: u64 = 64 << 20;

/// Where it lies, by its policy.
fn place(policy: &Path) -> PathBuf {
    let mut path = policy.as_os_str().to_owned();
    path.push(END);
    path.into()
}

/// The files of a policy at `path`, as they were when they were last compared; else as they were when it was compiled.
pub fn sources(path: &Path, policy: &Policy<'_>) -> Vec<SourceFile> {
    read(path, policy.digest()).unwrap_or_else(|| disk::sources_of(policy))
}

/// Only what root has written of this very policy is used.
fn read(path: &Path, digest: u64) -> Option<Vec<SourceFile>> {
    let file = reading::open_trusted(&place(path)).ok()?;
    let bytes = reading::rest(file, SEEN_MAX).ok()?;
    let mut parts = bytes.strip_suffix(&[0])?.split(|byte| *byte == 0);
    if parts.next()? != format!("{digest:016x}").as_bytes() {
        return None;
    }
    let mut sources = Vec::new();
    while let Some(numbers) = parts.next() {
        let (mark, size) = std::str::from_utf8(numbers).ok()?.split_once(' ')?;
        let path = PathBuf::from(OsString::from_vec(parts.next()?.to_vec()));
        sources.push(SourceFile { path, mark: mark.parse().ok()?, size: size.parse().ok()? });
    }
    Some(sources)
}

/// Keeps that these files say what the policy at `path` says. What cannot be kept is compiled again the next time.
pub fn keep(path: &Path, policy: &Policy<'_>, sources: &[SourceFile]) {
    let mut text = OsString::from(format!("{:016x}\0", policy.digest()));
    for source in sources {
        text.push(format!("{} {}\0", source.mark, source.size));
        text.push(&source.path);
        text.push(OsStr::from_bytes(&[0]));
    }
    let _ = plan::output(&place(path), text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_seen_is_of_one_policy_and_of_root() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy");
        let source = |mark: i64| SourceFile { path: OsString::from_vec(b"/a b\n\xff".to_vec()).into(), mark, size: 7 };
        let bytes = |mark: i64| {
            let config = portcullis_config::Config { sources: vec![source(mark)], ..Default::default() };
            portcullis_config::compile(&config)
        };
        let (one, other) = (bytes(1), bytes(2));
        let [one, other] = [&one, &other].map(|bytes| Policy::new(bytes).unwrap());
        let marks = |policy: &Policy<'_>| sources(&path, policy).iter().map(|source| source.mark).collect::<Vec<_>>();
        assert_eq!(marks(&one), [1]);
        keep(&path, &one, &[source(-3), source(4)]);
        assert_eq!((marks(&one), marks(&other)), (vec![-3, 4], vec![2]));
        assert_eq!(sources(&path, &one)[0].path, source(1).path);
        std::fs::set_permissions(place(&path), std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(marks(&one), [1], "others can write it");
        std::fs::set_permissions(place(&path), std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(place(&path), "half").unwrap();
        assert_eq!(marks(&one), [1]);
    }
}
