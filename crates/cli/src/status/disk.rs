//! The policy that lies on the disk, which need not be the one in force.

use super::tally::Log;
use crate::arguments::Status;
use crate::{check, compile};
use portcullis_config::Severity;
use portcullis_config::reading::{self, Links};
use std::collections::BTreeSet;
use std::path::Path;

/// The largest compiled policy, in bytes.
const POLICY_MAX: u64 = 256 << 20;

/// The compiled policy that lies there, and whether the configuration has changed since.
pub struct OnDisk {
    pub path: String,
    pub digest: Option<u64>,
    pub is_stale: bool,
    /// What is wrong with the configuration, if it does not compile.
    pub rejected: Option<String>,
    /// Where its events can be read.
    pub log: Option<Log>,
    /// Its virtual hosts.
    pub vhosts: BTreeSet<String>,
}

pub fn on_disk(arguments: &Status) -> OnDisk {
    let main = check::path_of(&arguments.source);
    let path = compile::default_output(&main);
    let bytes = reading::bytes(&path, Links::Refuse, POLICY_MAX).unwrap_or_default();
    let policy = portcullis_policy::Policy::new(&bytes).ok();
    let changed = |(file, then, size): (&[u8], i64, u64)| {
        use std::os::unix::ffi::OsStrExt;
        let file = Path::new(std::ffi::OsStr::from_bytes(file.strip_suffix(&[0]).unwrap_or(file)));
        match std::fs::metadata(file) {
            Ok(meta) => portcullis_config::mark(&meta) != then || (meta.is_file() && meta.len() != size),
            Err(_) => then != portcullis_policy::place::NO_SOURCE,
        }
    };
    // Without a policy the built-in one holds.
    let log = policy.as_ref().map_or(Some(Log::Journal), |policy| Log::of(policy.sinks(), policy.log_file()));
    let names = policy.iter().flat_map(portcullis_policy::Policy::vhost_names);
    let is_stale = policy.as_ref().is_some_and(|policy| policy.sources().any(changed));
    // What was compiled and has not changed is fine, and 10,000 files are not read again.
    let rejected = if policy.is_some() && !is_stale { None } else { rejected(&main) };
    OnDisk {
        log,
        is_stale,
        rejected,
        vhosts: names.map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        path: path.display().to_string(),
        digest: policy.as_ref().map(portcullis_policy::Policy::digest),
    }
}

/// The number of errors, and the first of them; none where there is no configuration, or it may not be read.
fn rejected(main: &Path) -> Option<String> {
    if reading::head(main, Links::Follow, 1).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied) {
        return None;
    }
    let loaded = portcullis_config::load(main);
    if loaded.usable() {
        return None;
    }
    let first = loaded.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
    let first = first.map(|error| format!(": {}: {}", error.file.display(), error.message)).unwrap_or_default();
    Some(check::summary(&loaded, main) + &first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_compile_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("portcullis.toml");
        let said = |text: &str| {
            std::fs::write(&main, text).unwrap();
            rejected(&main)
        };
        assert_eq!(said("mode = \"audit\"\n"), None);
        let broken = said("mode = \"enf\"\n").unwrap();
        assert!(broken.contains("portcullis.toml: 1 error, 0 warnings: ") && broken.contains("enf"), "{broken}");
        std::fs::set_permissions(&main, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let open = said("mode = \"audit\"\n").unwrap();
        assert!(open.contains("others may write to "), "{open}");
    }
}
