//! Takes from the configuration what a reader needs: the names of its virtual hosts, and where events go. A reader that looks elsewhere
//! finds nothing, or old events only, as if nothing had happened.

use super::Selection;
use crate::arguments::Source;
use crate::check;
use portcullis_config::Config;
use portcullis_policy::ReadFrom;
use std::path::Path;

/// Notes on standard error that the configured sinks are not what is read.
pub fn locate(source: &Source, selection: &mut Selection) {
    let path = check::path_of(source);
    selection.configured = crate::status::vhosts_of(&path);
    let loaded = match path.exists() {
        true => portcullis_config::load(&path),
        false => return,
    };
    selection.configured.extend(loaded.config.vhosts.iter().map(|vhost| vhost.name.value.clone()));
    if !loaded.usable() {
        return;
    }
    if selection.files.is_empty()
        && let Some(log) = only_file(&loaded.config, selection.rotated)
    {
        eprintln!("portcullis: note: events go to the file {}, which is read ({})", log.display(), path.display());
        selection.files.push(log.to_owned());
    } else if let Some(note) = elsewhere(&loaded.config, &selection.files) {
        eprintln!("portcullis: note: {note} ({})", path.display());
    }
}

/// Whether events can be read there again.
fn reads(config: &Config, place: ReadFrom) -> bool {
    config.sinks.iter().any(|sink| sink.read_from() == place)
}

/// The log, where events go to no other place that can be read, or where its rotated files are asked for, which the journal has none of.
fn only_file(config: &Config, is_rotated: bool) -> Option<&Path> {
    let is_read = is_rotated || !reads(config, ReadFrom::Journal);
    (reads(config, ReadFrom::File) && is_read).then_some(&config.log_file)
}

/// Where events go, and what to do, where that is not where they are read from.
fn elsewhere(config: &Config, files: &[impl AsRef<Path>]) -> Option<String> {
    let (journal, file) = (reads(config, ReadFrom::Journal), reads(config, ReadFrom::File));
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
    use portcullis_policy::Sink;

    #[test]
    fn a_reader_is_told_where_events_go() {
        let config = |sinks: &[Sink]| Config { sinks: sinks.to_vec(), ..Config::default() };
        let log = "/var/log/portcullis/events.jsonl";
        let said = |sinks: &[Sink], files: &[&str]| elsewhere(&config(sinks), files).unwrap_or_default();
        assert_eq!(only_file(&config(&[Sink::File, Sink::Stderr]), false), Some(Path::new(log)));
        for sinks in
            [&[Sink::Journald, Sink::File][..], &[Sink::Syslog, Sink::File], &[Sink::Stderr], &[Sink::Journald]]
        {
            assert_eq!(only_file(&config(sinks), false), None, "{sinks:?}");
            assert_eq!(only_file(&config(sinks), true).is_some(), sinks.contains(&Sink::File), "{sinks:?}");
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
