//! The policy that lies on the disk, which need not be the one in force.

use super::tally::Log;
use crate::arguments::Status;
use crate::{check, compile};
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
    /// Where its events can be read.
    pub log: Option<Log>,
    /// Its virtual hosts.
    pub vhosts: BTreeSet<String>,
}

pub fn on_disk(arguments: &Status) -> OnDisk {
    let path = compile::default_output(&check::path_of(&arguments.source));
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
    OnDisk {
        log,
        vhosts: names.map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        path: path.display().to_string(),
        digest: policy.as_ref().map(portcullis_policy::Policy::digest),
        is_stale: policy.is_some_and(|policy| policy.sources().any(changed)),
    }
}
