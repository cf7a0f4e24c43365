//! The policy that decides while a configuration is rejected: the applied one, else the built-in one.

use crate::compile;
use portcullis_config::reading::{self, Links};
use portcullis_config::{Config, Sink};
use portcullis_policy::Policy;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What decides instead of a configuration.
pub struct Instead {
    /// The compiled policy.
    pub bytes: Vec<u8>,
    /// What of a configuration is in it: where events go. Virtual hosts are in the policy alone.
    pub config: Config,
    /// What it is, in words.
    pub what: String,
}

/// What the servers of the configuration at `path` have while it is rejected.
pub fn of(path: &Path) -> Instead {
    let output = compile::default_output(path);
    let bytes = reading::bytes(&output, Links::Refuse, compile::POLICY_MAX).unwrap_or_default();
    let mut config = portcullis_config::built_in();
    let applied = Policy::new(&bytes).map(|policy| {
        config.sinks = Sink::ALL.into_iter().filter(|sink| sink.is_in(policy.sinks())).collect();
        let log = policy.log_file();
        config.log_file = OsStr::from_bytes(log.strip_suffix(&[0]).unwrap_or(log)).into();
        policy.digest()
    });
    match applied {
        Ok(digest) => {
            let what = format!("the applied policy ({} {digest:016x})", output.display());
            Instead { bytes, config, what }
        }
        Err(_) => {
            let what = format!("the built-in audit policy ({} has no policy)", output.display());
            Instead { bytes: portcullis_config::compile(&config), config, what }
        }
    }
}
