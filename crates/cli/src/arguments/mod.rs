//! The command line.

mod configuration;
mod logs;
mod units;

pub use configuration::{Apply, Check, Compile, Contain, Explain, ModeWord, OnlyIf, Panic, PanicWord, Source};
pub use logs::{Events, Learn, Report, Top};
pub use units::{Doctor, Install, Ps, RoleWord, Run, Status, Uninstall};

use crate::help;
use crate::log::Selection;
use clap::{Parser, Subcommand};
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

impl Verb {
    /// Which events it reads, where it reads any.
    pub fn selection(&self) -> Option<&Selection> {
        match self {
            Verb::Events(arguments) => Some(&arguments.selection),
            Verb::Top(arguments) => Some(&arguments.selection),
            Verb::Learn(arguments) => Some(&arguments.selection),
            Verb::Report(arguments) => Some(&arguments.selection),
            Verb::Contain(arguments) => Some(&arguments.selection),
            _ => None,
        }
    }
}
