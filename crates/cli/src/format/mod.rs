//! `events --format`: an event as other schemas have it. [`table`] says where each field goes; nothing of an event is left out.

mod checks;
mod ocsf;
mod otel;
mod place;
mod table;

use crate::log::Event;
use clap::ValueEnum;

/// A schema of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As written, with field names of the Elastic Common Schema
    Ecs,
    /// A Detection Finding of OCSF 1.8.0
    Ocsf,
    /// A log record of OpenTelemetry, in OTLP's JSON
    Otel,
}

/// An event in JSON of one line.
pub fn line(event: &Event, format: Format) -> String {
    match format {
        Format::Ecs => written(event),
        Format::Ocsf => crate::out::json(&ocsf::finding(event), false),
        Format::Otel => crate::out::json(&otel::record(event), false),
    }
}

/// An event as it was written, in JSON of one line; put together again where a reader has found something out about it.
pub fn written(event: &Event) -> String {
    match event.is_as_written() && !event.line().chars().any(|one| one.is_ascii_control()) {
        true => crate::out::ascii(event.line()),
        false => crate::out::json(&event.value(), false),
    }
}

#[cfg(test)]
mod collector;
#[cfg(test)]
mod tests;
