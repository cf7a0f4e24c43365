//! The command line.

use crate::log::Selection;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// A guard inside Linux web servers: uncommon egress and shell spawns, logged or refused.
#[derive(Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
}

/// What ends `learn --help`.
const LEARN_HELP: &str = "\
Examples:
  portcullis learn --since 7d --widen              # prints; changes nothing
  portcullis learn --include-rare --vhost shop     # a host with few visitors
  portcullis learn --write portcullis.toml         # asks for each entry, shows a diff, keeps a backup
  portcullis learn --write-all --yes --check       # every file, without a question
  portcullis learn --refused --since 1h            # what enforce denied
  portcullis learn --rotated --json /var/log/portcullis/events.jsonl

Exit status:
  0  done
  1  a line is no event, an error, or with --check: events would remain
  2  usage error";

/// What ends `apply --help`.
const APPLY_HELP: &str = "\
The configuration is read as it is at one moment: if a file changes meanwhile, it is read again. It is
checked as `portcullis check` does, compiled beside the applied policy, and takes its place by a
rename. After an error, nothing has changed.

Examples:
  portcullis apply                          # every configuration of a guarded unit, then their reloads
  portcullis apply --check                  # is it right, and does it differ from the applied policy?
  portcullis apply --config /etc/portcullis # one configuration, by its folder or its main file
  portcullis apply --no-reload              # servers take it with their next start, reload or new worker
  portcullis apply --json                   # for a program: `changed`, `configurations`, `units`

Exit status:
  0  applied, and every process of the units has it in force; with --check: no error
  1  an error: the applied policy stays; or a unit that has it not in force
  2  usage error";

#[derive(Subcommand)]
pub enum Verb {
    /// Check the configuration and show every error with its place
    Check(Check),
    /// Compile the configuration into the policy that the guard reads
    Compile(Compile),
    /// Put the configuration in force: check it, compile it, and reload every guarded unit
    #[command(after_long_help = APPLY_HELP, after_help = APPLY_HELP)]
    Apply(Apply),
    /// Run a command under the guard
    Run(Run),
    /// Show events, from files or from the journal
    Events(Events),
    /// Guard a unit of systemd: show and write a drop-in for it
    Install(Install),
    /// Take the guard out of a unit again
    Uninstall(Uninstall),
    /// Show what is guarded, by which policy, and what is not and should be
    Status(Status),
    /// Propose allowlist entries from events
    #[command(after_long_help = LEARN_HELP, after_help = LEARN_HELP)]
    Learn(Box<Learn>),
    /// Make one HTML page of what happened
    Report(Report),
    /// Show that the guard in a unit sees and logs, by harmless acts; say what is wrong
    Doctor(Doctor),
    /// The harmless acts of `doctor`, in a process of their own
    #[command(hide = true)]
    Probe {
        /// A word that no other run has
        token: String,
        /// The port to connect to
        port: u16,
    },
    /// Write man pages and shell completions, for packages
    #[command(hide = true)]
    Generate {
        /// Where to
        folder: PathBuf,
    },
    /// Renew the copies of the library in the root directories of pools, after an upgrade
    #[command(hide = true)]
    Renew,
    /// What the guard itself starts where the backstop has a supervisor
    #[command(hide = true)]
    Supervise,
    /// Say what the policy decides on a connection or a command, and which clause does
    Explain(Box<Explain>),
    /// Refuse nothing any more: set `override` in the configuration and reload every guarded unit
    Panic(Panic),
}

/// What is left when nothing is refused.
#[derive(Clone, Copy, ValueEnum)]
pub enum PanicWord {
    /// Events are still written
    Audit,
    /// Nothing is written either
    Off,
}

#[derive(Args)]
pub struct Panic {
    /// The main configuration file; without it, that of every guarded unit
    #[command(flatten)]
    pub source: Source,
    /// What every rule does from now on
    #[arg(long, value_enum, default_value_t = PanicWord::Audit, conflicts_with = "undo")]
    pub mode: PanicWord,
    /// Take `override` out again and reload
    #[arg(long)]
    pub undo: bool,
}

/// Which configuration.
#[derive(Args)]
pub struct Source {
    /// The main configuration file, beside its vhosts.d/; or the folder with its portcullis.toml
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
    /// Use this mode for every rule, whatever the configuration says
    #[arg(long)]
    pub mode: Option<ModeWord>,
}

#[derive(Args)]
pub struct Apply {
    /// The main configuration file or its folder; without it, that of every guarded unit
    #[command(flatten)]
    pub source: Source,
    /// Check the configuration and compare it with the applied policy; write and reload nothing
    #[arg(long, visible_alias = "dry-run")]
    pub check: bool,
    /// Write the compiled policy, and reload nothing
    #[arg(long)]
    pub no_reload: bool,
    /// Where to write the compiled policy [default: in /run/portcullis]
    #[arg(short, long, value_name = "FILE", requires = "no_reload")]
    pub output: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub source: Source,
    /// Use this mode for every rule, whatever the configuration says
    #[arg(long)]
    pub mode: Option<ModeWord>,
    /// What the command is: a server that is yet to serve, or a program that serves a request
    #[arg(long, value_enum, default_value_t = RoleWord::Auto)]
    pub role: RoleWord,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

#[derive(Args)]
pub struct Install {
    /// Units of systemd, such as apache2, nginx, php8.2-fpm, httpd
    #[arg(required = true, value_name = "UNIT")]
    pub units: Vec<String>,
    #[command(flatten)]
    pub source: Source,
    /// Set this mode in the main configuration file
    #[arg(long)]
    pub mode: Option<ModeWord>,
    /// Set the mode of this virtual host alone, in the file that has it
    #[arg(long, value_name = "NAME", requires = "mode")]
    pub vhost: Option<String>,
    /// Restart the units that run; one that does not come back gets its drop-in taken away again
    #[arg(long)]
    pub now: bool,
    /// Enable the server's module too (Apache, nginx)
    #[arg(long)]
    pub module: bool,
    /// Place a copy of the library in the root directory (`chroot`) of each pool of PHP-FPM
    #[arg(long)]
    pub jails: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The root of the system that is meant, for images
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    pub root: PathBuf,
}

#[derive(Args)]
pub struct Uninstall {
    /// Units of systemd; without any, every guarded one
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// Restart the units that run
    #[arg(long)]
    pub now: bool,
    /// With the last unit, remove the configuration and the log too
    #[arg(long)]
    pub purge: bool,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The root of the system that is meant, for images
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    pub root: PathBuf,
}

#[derive(Args)]
pub struct Learn {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub selection: Selection,
    /// An entry to propose although it looks like an intrusion or was seen too little. Repeatable
    #[arg(long, value_name = "ENTRY")]
    pub include: Vec<String>,
    /// Propose entries seen only once, only from one client or only within ten minutes, too
    #[arg(long)]
    pub include_rare: bool,
    /// A client that is a proxy and stands for many. Repeatable
    #[arg(long, value_name = "ADDRESS")]
    pub proxy: Vec<String>,
    /// Learn from what was refused, too
    #[arg(long)]
    pub refused: bool,
    /// Replace three or more entries of a kind by a network, a wildcard, a range of ports or a glob
    #[arg(long)]
    pub widen: bool,
    /// Propose nginx's upstreams and resolvers instead, of `nginx -T` or of a file with its output
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-T", conflicts_with_all = ["files", "since", "until", "vhost"])]
    pub nginx: Option<String>,
    /// Put the proposal into this file of the configuration, such as vhosts.d/NAME.toml
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "json"])]
    pub write: Option<PathBuf>,
    /// Put the proposal into every file of the configuration that it concerns
    #[arg(long, conflicts_with_all = ["write", "output", "json"])]
    pub write_all: bool,
    /// Write without asking, also on a terminal
    #[arg(long)]
    pub yes: bool,
    /// Write the proposal to this file instead of standard output
    #[arg(short, value_name = "FILE", conflicts_with = "json")]
    pub output: Option<PathBuf>,
    /// Say what of the log would still be an event under the new policy
    #[arg(long)]
    pub check: bool,
    /// Print the proposal as one JSON list
    #[arg(long, conflicts_with = "check")]
    pub json: bool,
}

#[derive(Args)]
pub struct Report {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub selection: Selection,
    /// Where to write the page [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Args)]
pub struct Doctor {
    /// A unit of systemd
    #[arg(value_name = "UNIT")]
    pub unit: String,
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
    /// Count the calls by virtual host and rule in this file of events, not in the sink of the policy
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    pub log: Option<PathBuf>,
    /// What was counted so far, and up to where
    #[arg(long, value_name = "FILE", default_value = "/var/lib/portcullis/metrics.json", requires = "prometheus")]
    pub state: PathBuf,
    /// How many virtual hosts get series of their own; the rest is `_others`
    #[arg(long, value_name = "NUMBER", default_value_t = 100, requires = "prometheus")]
    pub vhosts: usize,
}

#[derive(Args)]
pub struct Events {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub selection: Selection,
    /// Go on with events as they come
    #[arg(short, long, conflicts_with = "incidents")]
    pub follow: bool,
    /// One line an event
    #[arg(long, conflicts_with = "incidents")]
    pub table: bool,
    /// By incident: one request, and all that descended from it as a tree
    #[arg(long)]
    pub incidents: bool,
    /// Compare the numbers of all events, and say of each stream whether one is missing, or was written twice with
    /// different contents; with --json, one JSON object a stream
    #[arg(long, conflicts_with_all = ["follow", "table", "incidents", "vhost", "rule", "mode", "unknown", "script", "client"])]
    pub verify: bool,
    /// Print the events as they were written, one JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Explain {
    #[command(flatten)]
    pub source: Source,
    /// A connection to this address and port; a v6 address in brackets
    #[arg(long, value_name = "HOST:PORT", group = "what")]
    pub connect: Option<String>,
    /// The name that the process resolved to the address
    #[arg(long, value_name = "NAME", requires = "connect")]
    pub domain: Option<String>,
    /// The connection is of a UDP socket
    #[arg(long, requires = "connect")]
    pub udp: bool,
    /// A command that a shell is given, as PHP's system() and popen() do
    #[arg(long, value_name = "CMD", group = "what")]
    pub exec: Option<String>,
    /// The last event in this file, under the policy as it is now
    #[arg(long, value_name = "FILE", group = "what")]
    pub event: Option<PathBuf>,
    /// As a request of this virtual host of the policy
    #[arg(long, value_name = "NAME", conflicts_with_all = ["server_name", "document_root", "script", "pool", "profile", "event"])]
    pub vhost: Option<String>,
    /// As a request to this host
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Who says so
    #[arg(long, value_name = "SOURCE", default_value = "nginx", value_parser = ["module", "nginx", "apache", "unknown"])]
    pub server_name_from: String,
    /// As a request with this document root
    #[arg(long, value_name = "PATH")]
    pub document_root: Option<String>,
    /// As a request for this script
    #[arg(long, value_name = "PATH")]
    pub script: Option<String>,
    /// As a request that this pool of PHP-FPM serves
    #[arg(long, value_name = "NAME")]
    pub pool: Option<String>,
    /// As a request with this profile
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

/// A role on the command line.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleWord {
    /// master for a web server's program, serving for any other
    Auto,
    /// Only what it does after accepting a client connection counts
    Master,
    /// Everything that it does counts
    Serving,
}
