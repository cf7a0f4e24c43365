//! What is read of logs.

use super::Source;
use crate::log::Selection;
use clap::{Args, ValueEnum};
use portcullis_story::{DIGITS, DIGITS_MIN};
use std::path::PathBuf;

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
    #[arg(short = 'n', long, value_name = "NUMBER", conflicts_with = "incident", value_parser = number)]
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

/// Reads how many.
fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write how many, such as 20; 0 is for all".to_owned())
}

/// Reads the ID of an incident, or its beginning.
pub fn incident_id(text: &str) -> Result<String, String> {
    match (DIGITS_MIN..=DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!(
            "an incident has {DIGITS} digits from 0 to f, of which the first {DIGITS_MIN} or more are enough; \
             `portcullis events --incidents` lists them"
        )),
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
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-T", conflicts_with_all = ["files", "since", "until", "vhost", "include"])]
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
    /// Write into the page what `learn` would propose, too; it takes as long as `learn` does
    #[arg(long)]
    pub proposal: bool,
}
