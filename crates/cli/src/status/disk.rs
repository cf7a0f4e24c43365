//! What lies on the disk: the configuration, and the policy that was applied last. Neither need be in force.

use super::seen;
use super::tally::Log;
use crate::{check, compile, seal_key};
use portcullis_config::reading::{self, Links};
use portcullis_config::{Severity, SourceFile};
use portcullis_policy::Policy;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The largest compiled policy, in bytes.
const POLICY_MAX: u64 = 256 << 20;

/// The configuration, compared with the policy that was applied last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// They say the same.
    Applied,
    /// They differ.
    Differ,
    /// It has errors: their number, and the first.
    Rejected(String),
    /// It was never applied.
    NeverApplied,
    /// There is none.
    Missing,
}

impl Sources {
    /// For JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Sources::Applied => "applied",
            Sources::Differ => "differs",
            Sources::Rejected(_) => "rejected",
            Sources::NeverApplied => "never applied",
            Sources::Missing => "missing",
        }
    }

    /// What is wrong with it.
    pub fn rejected(&self) -> Option<&str> {
        if let Sources::Rejected(why) = self { Some(why) } else { None }
    }
}

/// A configuration and its applied policy.
pub struct OnDisk {
    /// The main file.
    pub config: PathBuf,
    /// The applied policy's file.
    pub path: String,
    pub digest: Option<u64>,
    pub sources: Sources,
    /// Why its events are not sealed, although they are to be.
    pub unsealed: Option<String>,
    /// Where its events can be read.
    pub log: Option<Log>,
    /// Its virtual hosts.
    pub vhosts: BTreeSet<String>,
}

/// Whether the applied policy of the configuration with the main file `main` asks for seals.
pub fn is_sealed(main: &Path) -> bool {
    let bytes = reading::bytes(&compile::default_output(main), Links::Refuse, POLICY_MAX).unwrap_or_default();
    Policy::new(&bytes).is_ok_and(|policy| policy.is_sealed())
}

/// The virtual hosts of the applied policy of the configuration with the main file `main`.
pub fn vhosts_of(main: &Path) -> BTreeSet<String> {
    let bytes = reading::bytes(&compile::default_output(main), Links::Refuse, POLICY_MAX).unwrap_or_default();
    let policy = Policy::new(&bytes).ok();
    let names = policy.iter().flat_map(Policy::vhost_names);
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// What lies there of the configuration with the main file `main`.
pub fn on_disk(main: &Path) -> OnDisk {
    let path = compile::default_output(main);
    let bytes = reading::bytes(&path, Links::Refuse, POLICY_MAX).unwrap_or_default();
    let policy = Policy::new(&bytes).ok();
    // Without a policy the built-in one holds.
    let log = policy.as_ref().map_or(Some(Log::Journal), |policy| Log::of(policy.sinks(), policy.log_file()));
    let names = policy.iter().flat_map(Policy::vhost_names);
    OnDisk {
        log,
        sources: sources(main, &path, policy.as_ref(), &bytes),
        unsealed: seal_key::lack(main, policy.as_ref().is_some_and(Policy::is_sealed)),
        vhosts: names.map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        path: path.display().to_string(),
        digest: policy.as_ref().map(Policy::digest),
        config: main.to_owned(),
    }
}

/// What is applied of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Nothing that the library accepts.
    Nothing,
    /// A policy, and a file of the configuration has changed since.
    Touched,
    /// A policy, and no file has changed. One with no sources (`portcullis run`, `panic`) never counts as changed.
    Untouched,
}

/// What is applied of the configuration with the main file `main`, without reading its files.
pub fn applied(main: &Path) -> Applied {
    let path = compile::default_output(main);
    let accepts = |meta: &std::fs::Metadata| {
        let is_own = [0, rustix::process::geteuid().as_raw()].contains(&meta.uid());
        meta.is_file() && is_own && meta.mode() & 0o022 == 0
    };
    if !std::fs::symlink_metadata(&path).is_ok_and(|meta| accepts(&meta)) {
        return Applied::Nothing;
    }
    let bytes = reading::bytes(&path, Links::Refuse, POLICY_MAX).unwrap_or_default();
    match Policy::new(&bytes) {
        Err(_) => Applied::Nothing,
        Ok(policy) if seen::sources(&path, &policy).iter().any(is_touched) => Applied::Touched,
        Ok(_) => Applied::Untouched,
    }
}

/// Whether a file of the policy at `path`, whose bytes are `bytes`, was touched since it was last compared.
pub fn is_any_touched(path: &Path, bytes: &[u8]) -> bool {
    Policy::new(bytes).is_ok_and(|policy| seen::sources(path, &policy).iter().any(is_touched))
}

/// The files of the configuration with the main file `main` that were touched since it was applied.
pub fn touched(main: &Path) -> Vec<PathBuf> {
    let path = compile::default_output(main);
    let bytes = reading::bytes(&path, Links::Refuse, POLICY_MAX).unwrap_or_default();
    let then = Policy::new(&bytes).map(|policy| seen::sources(&path, &policy)).unwrap_or_default();
    then.into_iter().filter(is_touched).map(|file| file.path).collect()
}

/// Whether the files of the configuration with the main file `main` say what is applied, whenever they were written.
pub fn is_as_applied(main: &Path) -> bool {
    on_disk(main).sources == Sources::Applied
}

/// The files that a policy was compiled from, as they were then.
pub fn sources_of(policy: &Policy<'_>) -> Vec<SourceFile> {
    let one = |(path, mark, size): (&[u8], i64, u64)| {
        let path = Path::new(OsStr::from_bytes(path.strip_suffix(&[0]).unwrap_or(path))).to_owned();
        SourceFile { path, mark, size }
    };
    policy.sources().map(one).collect()
}

/// Compares the configuration with the applied policy, which lies at `path` and whose bytes are `bytes`.
fn sources(main: &Path, path: &Path, policy: Option<&Policy<'_>>, bytes: &[u8]) -> Sources {
    let then: Vec<SourceFile> = policy.map(sources_of).unwrap_or_default();
    let seen = policy.map(|policy| seen::sources(path, policy)).unwrap_or_default();
    // What has not been touched is not read: there may be 10,000 files.
    if policy.is_some() && !seen.is_empty() && !seen.iter().any(is_touched) {
        return Sources::Applied;
    }
    if reading::head(main, Links::Follow, 1).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Sources::Missing;
    }
    let unknown = if policy.is_some() { Sources::Differ } else { Sources::NeverApplied };
    if reading::head(main, Links::Follow, 1).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied) {
        return unknown;
    }
    let mut loaded = portcullis_config::load(main);
    if !loaded.usable() {
        let first = loaded.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
        let first = first.map(|error| format!(": {}: {}", error.file.display(), error.message)).unwrap_or_default();
        return Sources::Rejected(check::summary(&loaded, main) + &first);
    }
    // As if nothing had been touched: a file that was written again as it was is no other configuration.
    loaded.config.sources = then;
    if policy.is_some() && portcullis_config::compile(&loaded.config) == bytes { Sources::Applied } else { unknown }
}

/// Whether a file has been written, or others may change it, since the policy was compiled.
fn is_touched(then: &SourceFile) -> bool {
    match std::fs::metadata(&then.path) {
        Ok(meta) => portcullis_config::mark(&meta) != then.mark || (meta.is_file() && meta.len() != then.size),
        Err(_) => then.mark != portcullis_policy::place::NO_SOURCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_three_states_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("portcullis.toml");
        let put = |text: &str| std::fs::write(&main, text).unwrap();
        let nowhere = folder.path().join("policy");
        let applied = |bytes: &[u8]| sources(&main, &nowhere, Policy::new(bytes).ok().as_ref(), bytes);
        put("mode = \"audit\"\n");
        assert_eq!(applied(b""), Sources::NeverApplied);
        let bytes = portcullis_config::compile(&portcullis_config::load(&main).config);
        assert_eq!(applied(&bytes), Sources::Applied);
        put("mode = \"enforce\"\n");
        assert_eq!(applied(&bytes), Sources::Differ);
        // Written again, and a folder that was touched: nothing else is said.
        put("mode = \"audit\"\n");
        std::fs::create_dir(folder.path().join("vhosts.d")).unwrap();
        assert_eq!(applied(&bytes), Sources::Applied);
        std::fs::write(folder.path().join("vhosts.d/a.toml"), "name = \"shop\"\n[match]\nscript = [\"/x\"]\n").unwrap();
        assert_eq!(applied(&bytes), Sources::Differ);
        std::fs::remove_file(folder.path().join("vhosts.d/a.toml")).unwrap();
        put("mode = \"enf\"\n");
        let Sources::Rejected(broken) = applied(&bytes) else { panic!("{:?}", applied(&bytes)) };
        assert!(broken.contains("portcullis.toml: 1 error, 0 warnings: ") && broken.contains("enf"), "{broken}");
        put("mode = \"audit\"\n");
        std::fs::set_permissions(&main, PermissionsExt::from_mode(0o666)).unwrap();
        let Sources::Rejected(open) = applied(&bytes) else { panic!("{:?}", applied(&bytes)) };
        assert!(open.contains("others may write to "), "{open}");
        std::fs::remove_file(&main).unwrap();
        assert_eq!([applied(&bytes), applied(b"")], [Sources::Missing, Sources::Missing]);
    }
}
