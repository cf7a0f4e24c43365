//! The command line.

use crate::help;
use crate::log::Selection;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Logs or blocks what a web shell does, from inside Linux web servers.
#[derive(Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Validate the configuration
    #[command(after_help = help::CHECK)]
    Check(Check),
    /// Compile the configuration into the policy that servers load
    #[command(after_help = help::COMPILE)]
    Compile(Compile),
    /// Activate the configuration: check, compile, reload guarded units
    ///
    /// All files are read as they are at one moment: if one changes meanwhile, all are read again. They are checked as by
    /// `portcullis check`, compiled into a new file, and this file replaces the applied policy by a rename. After an error,
    /// nothing has changed.
    #[command(after_help = help::APPLY)]
    Apply(Apply),
    /// Run a command with Portcullis loaded
    #[command(after_help = help::RUN)]
    Run(Run),
    /// Show events from files or the journal
    #[command(after_help = help::EVENTS)]
    Events(Box<Events>),
    /// Show live rates and incidents on the whole terminal
    ///
    /// Reads the journal of the last day, or files in full, and continues with new events. Enter opens an incident and shows
    /// its steps, c contains it after a question, q quits.
    #[command(after_help = help::TOP)]
    Top(Box<Top>),
    /// Guard systemd units: show and write a drop-in for each
    #[command(after_help = help::INSTALL)]
    Install(Install),
    /// Remove Portcullis from systemd units
    #[command(after_help = help::UNINSTALL)]
    Uninstall(Uninstall),
    /// Show guarded and unguarded processes and their policies
    #[command(after_help = help::STATUS)]
    Status(Status),
    /// List running processes that a request started
    ///
    /// The request comes from the environment of the process, which the process can change. `confirmed` in the JSON output is
    /// true if its parents or its control group lead to a guarded worker.
    #[command(after_help = help::PS)]
    Ps(Ps),
    /// Propose allowlist entries from events
    #[command(after_help = help::LEARN)]
    Learn(Box<Learn>),
    /// Write an HTML report of the events
    #[command(after_help = help::REPORT)]
    Report(Box<Report>),
    /// Test a guarded unit with harmless probes
    #[command(after_help = help::DOCTOR)]
    Doctor(Doctor),
    /// Run the probes of `doctor` in a separate process
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
        /// Directory to write to
        folder: PathBuf,
    },
    /// Renew the copies of the library in the root directories of pools, after an upgrade
    #[command(hide = true)]
    Renew,
    /// Run the supervisor of the backstop; the library starts it
    #[command(hide = true)]
    Supervise,
    /// Show the verdict on a connection or a command
    #[command(after_help = help::EXPLAIN)]
    Explain(Box<Explain>),
    /// Enforce every rule for one site, and show what of it still runs
    ///
    /// The site's virtual host gets `mode = "enforce"` for every rule, in the file that has it or in a new one of vhosts.d/. The change is
    /// shown and checked against the calls of the incident before anything is written; then it is applied, and every guarded unit
    /// is reloaded. Where it cannot be applied, the files are put back.
    #[command(after_help = help::CONTAIN)]
    Contain(Box<Contain>),
    /// Block nothing: set `override` and reload every guarded unit
    #[command(after_help = help::PANIC)]
    Panic(Panic),
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
    #[arg(long, value_name = "ID", group = "what")]
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

#[derive(Args)]
pub struct Install {
    /// systemd units, such as apache2, nginx, php8.2-fpm, httpd; without any, those that can be guarded are listed
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
pub struct Learn {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub selection: Selection,
    /// Also propose this entry, although it is suspicious or rare. Repeatable
    #[arg(long, value_name = "ENTRY")]
    pub include: Vec<String>,
    /// Also propose entries seen only once, only from one client or only within ten minutes
    #[arg(long)]
    pub include_rare: bool,
    /// Address of a proxy, which counts as no client. Repeatable
    #[arg(long, value_name = "ADDRESS")]
    pub proxy: Vec<String>,
    /// Also learn from blocked actions
    #[arg(long, alias = "refused")]
    pub blocked: bool,
    /// Replace three or more entries of a kind by a network, a wildcard, a range of ports or a glob
    #[arg(long)]
    pub widen: bool,
    /// Propose nginx's upstreams and resolvers instead, from `nginx -T` or a file with its output
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-T", conflicts_with_all = ["files", "since", "until", "vhost"])]
    pub nginx: Option<String>,
    /// Add the proposal to this configuration file, relative to the current or the configuration directory: vhosts.d/NAME.toml
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "json"])]
    pub write: Option<PathBuf>,
    /// Add the proposal to every configuration file that it concerns
    #[arg(long, conflicts_with_all = ["write", "output", "json"])]
    pub write_all: bool,
    /// Write without asking, also on a terminal
    #[arg(long)]
    pub yes: bool,
    /// Write the proposal to this file instead of standard output
    #[arg(short, value_name = "FILE", conflicts_with = "json")]
    pub output: Option<PathBuf>,
    /// List logged actions that would still be events under the new policy
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
    /// Where to write the page; incidents behind the first 500 go to a second file next to it [default: standard output, and no second
    /// file]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Earlier report to compare with: what it did not have is marked as new [default: the page at -o, if there is one]
    #[arg(long, value_name = "FILE")]
    pub since_report: Option<PathBuf>,
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

#[derive(Args)]
pub struct Events {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub selection: Selection,
    /// Continue with new events; with --incidents, print an incident when it is new, and when it has become graver
    #[arg(short, long, conflicts_with = "incident")]
    pub follow: bool,
    /// Print one line per event
    #[arg(long, conflicts_with_all = ["incidents", "incident"])]
    pub table: bool,
    /// Print these fields, a line per event, with tabs between them; docs/fields.csv has their names
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',', value_parser = crate::events::fields::column, conflicts_with_all = ["table", "incidents", "incident", "json"])]
    pub fields: Vec<crate::events::fields::Column>,
    /// List incidents, the gravest first: events joined by request, descendants, script, client and time
    #[arg(long)]
    pub incidents: bool,
    /// Show one incident in full: its steps, and its events by request
    #[arg(long, value_name = "ID", conflicts_with = "incidents", value_parser = incident_id)]
    pub incident: Option<String>,
    /// Only the last events, so many, or with --incidents the gravest ones [default: all; 40 incidents]; 0 for all
    #[arg(short = 'n', long, value_name = "NUMBER", conflicts_with = "incident")]
    pub lines: Option<usize>,
    /// Verify the seals (`[log] seal`, with seal.key in the configuration directory) and the numbers of events: list missing and
    /// changed events of each chain and stream; with --json, one JSON object each
    #[arg(long, conflicts_with_all = ["follow", "table", "fields", "incidents", "incident", "lines", "exit_code", "vhost", "rule", "mode", "unknown", "severity", "host", "site", "script", "client", "request", "id"])]
    pub verify: bool,
    /// Print the events as they were written, one JSON object per line; with --incidents, one per incident
    #[arg(long)]
    pub json: bool,
    /// Print the events in the JSON of another schema, one object per line
    #[arg(long, value_enum, value_name = "SCHEMA", conflicts_with_all = ["table", "fields", "incidents", "incident", "verify", "json"])]
    pub format: Option<crate::format::Format>,
    /// Use colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colors::Auto)]
    pub color: Colors,
    /// Exit with 3 if nothing matched
    #[arg(long, conflicts_with = "follow")]
    pub exit_code: bool,
}

/// When colours are used.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colors {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also in files and pipes
    Always,
    /// Nowhere
    Never,
}

impl Colors {
    /// Makes them so.
    pub fn apply(self) {
        match self {
            Colors::Auto => anstream::ColorChoice::Auto,
            Colors::Always => anstream::ColorChoice::AlwaysAnsi,
            Colors::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Reads the ID of an incident, or its beginning.
pub fn incident_id(text: &str) -> Result<String, String> {
    match (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("an incident has eight digits from 0 to f; `portcullis events --incidents` lists them".to_owned()),
    }
}

#[derive(Args)]
pub struct Top {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub selection: Selection,
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
