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

#[derive(Subcommand)]
pub enum Verb {
    /// Check the configuration and show every error with its place
    Check(Check),
    /// Compile the configuration into the policy that the guard reads
    Compile(Compile),
    /// Run a command under the guard
    Run(Run),
    /// Show events, from files or from the journal
    Events(Events),
    /// What the guard itself starts where the backstop has a supervisor
    #[command(hide = true)]
    Supervise,
    /// Say what the policy decides on a connection or a command, and which clause does
    Explain(Box<Explain>),
}

/// Which configuration.
#[derive(Args)]
pub struct Source {
    /// The main configuration file; its vhosts.d/ stands beside it
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
    /// Where to write the compiled policy [default: in /run/portcullis]
    #[arg(short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Use this mode for every rule, whatever the configuration says
    #[arg(long)]
    pub mode: Option<ModeWord>,
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
pub struct Events {
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
