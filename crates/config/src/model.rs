//! The configuration as it is understood, before it is compiled.

use portcullis_policy::{Backstop, BackstopKind, Mode, RULES, Sink};
use std::path::PathBuf;

/// Where a clause was written; `file` is `None` for what is built in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The clause as events show it.
    pub text: String,
    /// The file.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: u32,
}

/// An address range with ports.
#[derive(Clone, Debug)]
pub struct Net {
    /// The network; v4-mapped v6 is v4 already.
    pub net: ipnet::IpNet,
    /// First and last port.
    pub ports: (u16, u16),
    /// Where from.
    pub origin: Origin,
}

/// A value with its origin.
#[derive(Clone, Debug)]
pub struct From<T> {
    /// The value.
    pub value: T,
    /// Where from.
    pub origin: Origin,
}

/// A host's name with ports, in `allow` or `deny`.
#[derive(Clone, Debug)]
pub struct Host {
    /// In lower case; perhaps with `*.` before it.
    pub name: String,
    /// First and last port.
    pub ports: (u16, u16),
    /// Where from.
    pub origin: Origin,
}

/// Destinations: by address and by name.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    /// By address.
    pub nets: Vec<Net>,
    /// By name.
    pub hosts: Vec<Host>,
}

/// The modes as written; `None` inherits.
#[derive(Clone, Debug, Default)]
pub struct Modes {
    /// Of everything.
    pub all: Option<Mode>,
    /// Of each rule, by its number.
    pub rules: [Option<Mode>; RULES],
}

/// What one scope (everything, or a virtual host) says.
#[derive(Clone, Debug, Default)]
pub struct ScopeConfig {
    /// Modes.
    pub modes: Modes,
    /// errno of a refused connect.
    pub egress_errno: Option<u16>,
    /// errno of a refused exec.
    pub exec_errno: Option<u16>,
    /// `deny`; a virtual host's adds to the global one
    pub deny: Destinations,
    /// `allow`
    pub allow: Option<Destinations>,
    /// `local_ranges`
    pub local: Option<Vec<Net>>,
    /// `common_ports`
    pub common: Option<Vec<From<(u16, u16)>>>,
    /// `shells`
    pub shells: Option<Vec<From<String>>>,
    /// `[exec] allow`: tokens
    pub commands: Option<Vec<From<Vec<String>>>>,
    /// `[rules.exec-place] places`
    pub places: Option<Vec<From<String>>>,
    /// `[rules.exec-tool] tools`
    pub tools: Option<Vec<From<String>>>,
    /// `[rules.loader-env] allow`
    pub libraries: Option<Vec<From<String>>>,
    /// `[rules.listen-port] allow`
    pub listen: Option<Vec<From<(u16, u16)>>>,
    /// `[rules.metadata] addresses`
    pub metadata: Option<Vec<Net>>,
    /// `[rules.dns-direct] resolvers`: whether those of /etc/resolv.conf are among them, and the others
    pub resolvers: Option<(bool, Vec<Net>)>,
    /// `[rules.php-ini] allow`
    pub settings: Option<Vec<From<String>>>,
    /// `[rules.exec-unguarded] allow`
    pub unguarded: Option<Vec<From<String>>>,
    /// `[rules.exec-unguarded] reasons`: bits of `portcullis_policy::exec::reason`
    pub reasons: Option<u16>,
    /// `[rules.namespace] allow`
    pub namespaces: Option<Vec<From<String>>>,
    /// The sentences that events carry
    pub why: Whys,
}

/// `why`, of a scope and of its rules.
#[derive(Clone, Debug, Default)]
pub struct Whys {
    /// Of the virtual host.
    pub all: Option<String>,
    /// Of each rule, by its number.
    pub rules: [Option<String>; RULES],
}

/// Who is believed about a server's name: the bits of a compiled policy.
pub const BELIEVED: [(&str, u32); 4] = [("module", 0b0010), ("nginx", 0b0100), ("apache", 0b1000), ("any", 0b1111)];

/// What a request must be; a key that is empty is not asked for.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// Names and patterns, in lower case.
    pub server_name: Vec<String>,
    /// Bits of [`BELIEVED`].
    pub believed: u32,
    /// Absolute paths.
    pub document_root: Vec<String>,
    /// Absolute paths.
    pub script: Vec<String>,
    /// Pools of PHP-FPM.
    pub pool: Vec<String>,
    /// Profiles.
    pub profile: Vec<String>,
}

impl Match {
    /// Whether no key is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.server_name, &self.document_root, &self.script, &self.pool, &self.profile]
            .iter()
            .all(|key| key.is_empty())
    }
}

/// A virtual host.
#[derive(Clone, Debug)]
pub struct Vhost {
    /// Its name.
    pub name: From<String>,
    /// When it is meant.
    pub matches: Match,
    /// What it says.
    pub scope: ScopeConfig,
}

/// A file the configuration was read from.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path.
    pub path: PathBuf,
    /// What tells whether it has changed.
    pub mark: i64,
    /// Bytes.
    pub size: u64,
}

/// A file of the system that is a shell, a multi-call program or a dynamic loader.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// The name under which it lies there.
    pub name: String,
    /// What it is.
    pub kind: portcullis_policy::image::Kind,
    /// Device and inode.
    pub identity: (u64, u64),
    /// Its build-id; may be empty.
    pub build_id: Vec<u8>,
    /// The entry of `shells` that names it, or what it is.
    pub origin: Origin,
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What holds for everything.
    pub global: ScopeConfig,
    /// Virtual hosts, in the order in which they are written.
    pub vhosts: Vec<Vhost>,
    /// Their names.
    pub vhost_names: std::collections::HashSet<String>,
    /// Which of them wins a request.
    pub winners: crate::read::shadow::Winners,
    /// Sinks.
    pub sinks: Vec<Sink>,
    /// Path of the file sink.
    pub log_file: PathBuf,
    /// The group that may append to it, by name or number; empty for none, `None` for the web servers' own.
    pub log_group: Option<String>,
    /// Repeated events are merged.
    pub merge: bool,
    /// Events are sealed.
    pub seal: bool,
    /// The backstop.
    pub backstop: Backstop,
    /// A mode that overrides every other.
    pub force: Option<Mode>,
    /// Name servers.
    pub resolvers: Vec<std::net::IpAddr>,
    /// Files to watch.
    pub sources: Vec<SourceFile>,
    /// Those of them that are in vhosts.d.
    pub vhost_files: Vec<PathBuf>,
    /// Files that are shells, multi-call programs and dynamic loaders.
    pub images: Vec<ImageFile>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            global: ScopeConfig::default(),
            vhosts: Vec::new(),
            vhost_names: std::collections::HashSet::new(),
            winners: crate::read::shadow::Winners::default(),
            sinks: vec![Sink::Journald],
            log_file: PathBuf::from("/var/log/portcullis/events.jsonl"),
            log_group: None,
            merge: true,
            seal: false,
            backstop: Backstop { kind: BackstopKind::Off, no_new_privs: false },
            force: None,
            resolvers: Vec::new(),
            sources: Vec::new(),
            vhost_files: Vec::new(),
            images: Vec::new(),
        }
    }
}
