//! Says where the configuration sends events, where a reader looks elsewhere: nothing there, or old events only, would look as if
//! nothing had happened.

use super::Selection;
use crate::arguments::Source;
use crate::check;
use portcullis_config::Config;
use portcullis_config::model::Sink;
use std::path::Path;

/// Notes on standard error that the configured sinks are not what is read.
pub fn locate(source: &Source, selection: &mut Selection) {
    let path = check::path_of(source);
    let loaded = match path.exists() {
        true => portcullis_config::load(&path),
        false => return,
    };
    if !loaded.usable() {
        return;
    }
    if selection.files.is_empty()
        && let Some(log) = only_file(&loaded.config)
    {
        eprintln!("portcullis: note: events go to the file {}, which is read ({})", log.display(), path.display());
        selection.files.push(log.to_owned());
    } else if let Some(note) = elsewhere(&loaded.config, &selection.files) {
        eprintln!("portcullis: note: {note} ({})", path.display());
    }
}

/// The log, where events go to no other place that can be read.
fn only_file(config: &Config) -> Option<&Path> {
    let has = |sink| config.sinks.contains(&sink);
    // journald keeps what comes to /dev/log, too.
    (has(Sink::File) && !has(Sink::Journald) && !has(Sink::Syslog)).then_some(&config.log_file)
}

/// Where events go, and what to do, where that is not where they are read from.
fn elsewhere(config: &Config, files: &[impl AsRef<Path>]) -> Option<String> {
    let has = |sink| config.sinks.contains(&sink);
    // journald keeps what comes to /dev/log, too.
    let (journal, file) = (has(Sink::Journald) || has(Sink::Syslog), has(Sink::File));
    let log = config.log_file.display();
    let is_log =
        |read: &Path| read == config.log_file || std::fs::canonicalize(read).is_ok_and(|read| read == config.log_file);
    if files.is_empty() {
        return (!journal && !file).then(|| {
            "events go to standard error only, not to the journal, which is read here; help: add \"journald\" to \
             `[log] sink`, or name a file that standard error goes to"
                .to_owned()
        });
    }
    // Any other file may be a copy, or another host's.
    if file || !files.iter().any(|read| is_log(read.as_ref())) {
        return None;
    }
    Some(match journal {
        true => format!("events go to the journal, not to {log}; help: portcullis events, without a file"),
        false => format!("events go to standard error only, not to {log}; help: add \"file\" to `[log] sink`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_told_where_events_go() {
        let config = |sinks: &[Sink]| Config { sinks: sinks.to_vec(), ..Config::default() };
        let log = "/var/log/portcullis/events.jsonl";
        let said = |sinks: &[Sink], files: &[&str]| elsewhere(&config(sinks), files).unwrap_or_default();
        assert_eq!(only_file(&config(&[Sink::File, Sink::Stderr])), Some(Path::new(log)));
        for sinks in
            [&[Sink::Journald, Sink::File][..], &[Sink::Syslog, Sink::File], &[Sink::Stderr], &[Sink::Journald]]
        {
            assert_eq!(only_file(&config(sinks)), None, "{sinks:?}");
        }
        assert!(said(&[Sink::Stderr], &[]).contains("standard error"));
        assert!(said(&[Sink::Journald], &[log]).contains("help: portcullis events, without a file"));
        assert!(said(&[Sink::Stderr], &[log]).contains("add \"file\""));
        for (sinks, files) in [
            (&[Sink::Journald][..], &[][..]),
            (&[Sink::Syslog], &[]),
            (&[Sink::File, Sink::Journald], &[]),
            (&[Sink::File, Sink::Journald], &[log]),
            (&[Sink::Journald], &["/root/fleet.jsonl"]),
        ] {
            assert_eq!(said(sinks, files), "", "{sinks:?} {files:?}");
        }
    }
}
