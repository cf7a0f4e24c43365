//! What is read, changed and applied of a configuration.

use crate::log::Selection;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Which configuration.
#[derive(Args)]
pub struct Source {
    /// Main configuration file, or the directory that contains portcullis.toml and vhosts.d/
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    pub source: Source,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Compile {
    #[command(flatten)]
    pub source: Source,
    /// Where to write the compiled policy, `-` for standard output [default: in /run/portcullis]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Use this mode for every rule, overriding the configuration, but not its `override`
    #[arg(long)]
    pub mode: Option<ModeWord>,
}

/// When a configuration is applied at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnlyIf {
    /// No usable policy is applied
    Missing,
    /// No usable policy is applied, or a file has changed since
    Changed,
}

#[derive(Args)]
pub struct Apply {
    /// The main configuration file or its directory; without it, that of every guarded unit
    #[command(flatten)]
    pub source: Source,
    /// Check the configuration and compare it with the applied policy; write and reload nothing
    #[arg(long, visible_alias = "dry-run")]
    pub check: bool,
    /// Write the compiled policy, and reload nothing
    #[arg(long)]
    pub no_reload: bool,
    /// Apply a configuration only under this condition
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "output")]
    pub only_if: Option<OnlyIf>,
    /// Where to write the compiled policy [default: in /run/portcullis]
    #[arg(short, long, value_name = "FILE", requires = "no_reload")]
    pub output: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What is left when nothing is blocked.
#[derive(Clone, Copy, ValueEnum)]
pub enum PanicWord {
    /// Write events, block nothing
    Audit,
    /// Write no events, block nothing
    Off,
}

#[derive(Args)]
pub struct Panic {
    /// The main configuration file; without it, that of every guarded unit
    #[command(flatten)]
    pub source: Source,
    /// Mode of every rule
    #[arg(long, value_enum, default_value_t = PanicWord::Audit, conflicts_with = "undo")]
    pub mode: PanicWord,
    /// Remove `override` and reload
    #[arg(long)]
    pub undo: bool,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("what"))]
pub struct Contain {
    /// The main configuration file; without it, that of every guarded unit
    #[command(flatten)]
    pub source: Source,
    /// Contain the sites of this incident of `portcullis events --incidents`, of the same events
    #[arg(long, value_name = "ID", group = "what", value_parser = super::logs::incident_id)]
    pub incident: Option<String>,
    /// Contain the site with this document root. Without this and --incident: the one virtual host of --vhost
    #[arg(long, value_name = "PATH", group = "what", conflicts_with = "files")]
    pub document_root: Option<String>,
    /// Put the files back as they were before this containment, and apply them
    #[arg(long, value_name = "ID", group = "what", conflicts_with_all = ["files", "closed", "evidence"])]
    pub undo: Option<String>,
    /// List containments that can be undone
    #[arg(long, group = "what", conflicts_with_all = ["files", "closed", "evidence", "yes", "dry_run"])]
    pub list: bool,
    #[command(flatten)]
    pub selection: Selection,
    /// Also empty the site's lists of allowed destinations, common ports and commands
    #[arg(long)]
    pub closed: bool,
    /// Save scripts, processes, events and the journal to this new directory before anything changes
    #[arg(long, value_name = "DIR")]
    pub evidence: Option<PathBuf>,
    /// Change without asking
    #[arg(long)]
    pub yes: bool,
    /// Show everything, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where the files of before are kept, for --undo
    #[arg(long, value_name = "DIR", default_value = "/var/lib/portcullis/contain")]
    pub state: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Explain {
    #[command(flatten)]
    pub source: Source,
    /// Connection to this address and port, IPv6 in brackets; append `/udp` instead of --udp
    #[arg(long, value_name = "HOST:PORT", group = "what")]
    pub connect: Option<String>,
    /// Name that the process resolved to the address
    #[arg(long, value_name = "NAME", requires = "connect")]
    pub domain: Option<String>,
    /// Datagram to the address; a connect of a UDP socket sends none
    #[arg(long, requires = "connect")]
    pub udp: bool,
    /// Shell command, as PHP's system() and popen() run it
    #[arg(long, value_name = "CMD", group = "what")]
    pub exec: Option<String>,
    /// Last event in this file, also compressed, evaluated by the current policy
    #[arg(long, value_name = "FILE", group = "what")]
    pub event: Option<PathBuf>,
    /// Instead of the last event, the one with this `event.id`
    #[arg(long, value_name = "ID", requires = "event")]
    pub id: Option<String>,
    /// Request of this virtual host of the policy
    #[arg(long, value_name = "NAME", conflicts_with_all = ["server_name", "document_root", "script", "pool", "profile", "event"])]
    pub vhost: Option<String>,
    /// Request to this host name
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Source of the host name
    #[arg(long, value_name = "SOURCE", default_value = "nginx", value_parser = ["module", "nginx", "apache", "unknown"])]
    pub server_name_from: String,
    /// Request with this document root
    #[arg(long, value_name = "PATH")]
    pub document_root: Option<String>,
    /// Request for this script
    #[arg(long, value_name = "PATH")]
    pub script: Option<String>,
    /// Request that this PHP-FPM pool handles
    #[arg(long, value_name = "NAME")]
    pub pool: Option<String>,
    /// Request with this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// A mode on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum ModeWord {
    Off,
    Audit,
    Enforce,
}

impl From<ModeWord> for portcullis_policy::Mode {
    fn from(word: ModeWord) -> portcullis_policy::Mode {
        match word {
            ModeWord::Off => portcullis_policy::Mode::Off,
            ModeWord::Audit => portcullis_policy::Mode::Audit,
            ModeWord::Enforce => portcullis_policy::Mode::Enforce,
        }
    }
}
