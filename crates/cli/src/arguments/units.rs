//! What guards servers, and what of them is looked at.

use super::{ModeWord, Source};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Args)]
pub struct Install {
    /// systemd units, such as apache2, nginx, php-fpm, httpd; without any, those that can be guarded are listed
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    #[command(flatten)]
    pub source: Source,
    /// Set this mode in the main configuration file, for every unit that uses it, not only for UNIT
    #[arg(long, requires = "units")]
    pub mode: Option<ModeWord>,
    /// Set the mode of this virtual host only, in the file that contains it
    #[arg(long, value_name = "NAME", requires = "mode")]
    pub vhost: Option<String>,
    /// Restart running units; if a unit fails to start, remove its drop-in and start it without Portcullis
    #[arg(long, requires = "units")]
    pub now: bool,
    /// Also enable the module for the server (Apache, nginx)
    #[arg(long, requires = "units")]
    pub module: bool,
    /// Copy the library into the root directory (`chroot`) of each PHP-FPM pool
    #[arg(long, requires = "units")]
    pub jails: bool,
    /// Show what would be written, and write nothing
    #[arg(long, requires = "units")]
    pub dry_run: bool,
    /// Root directory of the system to change, for images
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    pub root: PathBuf,
}

#[derive(Args)]
pub struct Uninstall {
    /// systemd units; without any, every guarded one
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// Restart running units
    #[arg(long)]
    pub now: bool,
    /// With the last unit, also remove the configuration and the log
    #[arg(long)]
    pub purge: bool,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Root directory of the system to change, for images
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    pub root: PathBuf,
}

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub source: Source,
    /// Use this mode for every rule, overriding the configuration, but not its `override`
    #[arg(long)]
    pub mode: Option<ModeWord>,
    /// Role of the command
    #[arg(long, value_enum, default_value_t = RoleWord::Auto)]
    pub role: RoleWord,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// A role on the command line.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleWord {
    /// `master` for the program of a web server, `serving` for any other
    Auto,
    /// A server: evaluate what it does after it has accepted a client connection
    Master,
    /// A program that handles a request: evaluate everything that it does
    Serving,
}

#[derive(Args)]
pub struct Doctor {
    /// systemd units; without any, every guarded one
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    pub source: Source,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Write counters for a node exporter's textfile collector; `-` for standard output
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub prometheus: Option<PathBuf>,
    /// Count calls by virtual host and rule in this file of events instead of the policy's sink
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    pub log: Option<PathBuf>,
    /// File with the counts so far, and the position in the log
    #[arg(long, value_name = "FILE", default_value = "/var/lib/portcullis/metrics.json", requires = "prometheus")]
    pub state: PathBuf,
    /// Also count the events of doctor's probes
    #[arg(long, requires = "prometheus")]
    pub probes: bool,
    /// List of the probes that ran, a file of root's
    #[arg(long, value_name = "FILE", default_value = crate::probes::LIST, requires = "prometheus")]
    pub probe_list: PathBuf,
    /// Number of virtual hosts with series of their own; the rest is `_others`
    #[arg(long, value_name = "NUMBER", default_value_t = 100, requires = "prometheus")]
    pub vhosts: usize,
}

#[derive(Args)]
pub struct Ps {
    /// systemd unit [default: every unit, and processes outside of units]
    #[arg(value_name = "UNIT")]
    pub unit: Option<String>,
    /// Only processes of this virtual host
    #[arg(long, value_name = "NAME")]
    pub vhost: Option<String>,
    /// Only processes of this request, by its `http.request.id`
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}
