//! The event that `--event FILE` is about: the last one of a log, or the one that `--id` names.

use crate::log::{Event, Item};
use crate::out::printable;
use portcullis_config::reading::{self, Links};
use portcullis_event::field;
use portcullis_story::log::Log;
use std::path::Path;

/// The largest file that may be one event over several lines, in bytes.
const ONE_MAX: u64 = 4 << 20;

/// Reads the event.
pub fn event(file: &Path, id: Option<&str>) -> Result<Event, String> {
    if let Some(event) = readable(file).filter(|event| id.is_none_or(|id| event.text(field::EVENT_ID) == id)) {
        return Ok(event);
    }
    let (mut last, mut found) = (None, None);
    let log = Log::of_files(vec![file.to_owned()]);
    let read = log.read(&mut |item| match item {
        Item::Event(event) => {
            if id.is_some_and(|id| event.text(field::EVENT_ID) == id) {
                found = Some(event);
            } else {
                last = Some(Ok(event));
            }
        }
        Item::Wrong { place, why } => last = Some(Err(format!("{place} is not an event: {why}"))),
        Item::Skipped { path, bytes } => {
            last = Some(Err(format!("{}: {bytes} bytes are not lines of events", path.display())));
        }
        Item::Unreadable(error) => last = Some(Err(error.to_string())),
    });
    read.map_err(|error| error.to_string())?;
    match (id, found) {
        (Some(_), Some(event)) => Ok(event),
        (Some(id), None) => Err(format!("{} has no event with the ID {}", file.display(), printable(id))),
        (None, _) => last.unwrap_or_else(|| Err(format!("{} has no event", file.display()))),
    }
}

/// One event over several lines, as somebody made it readable; `None` where the file has anything else.
fn readable(file: &Path) -> Option<Event> {
    // A pipe is read once.
    let size = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?.len();
    let bytes = (size <= ONE_MAX).then(|| reading::bytes(file, Links::Follow, ONE_MAX).ok())??;
    Event::parse(&bytes)?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_or_the_one_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| {
            let path = folder.path().join("log");
            std::fs::write(&path, text).unwrap();
            path
        };
        let line = |id: &str| format!("{{\"event\":{{\"id\":\"{id}\",\"action\":\"exec\"}}}}\n");
        let log = write(&(line("a") + &line("b") + "\n"));
        let id = |file: &Path, id: Option<&str>| event(file, id).map(|event| event.text(field::EVENT_ID).to_owned());
        assert_eq!(id(&log, None), Ok("b".into()));
        assert_eq!(id(&log, Some("a")), Ok("a".into()));
        assert!(id(&log, Some("c")).unwrap_err().contains("no event with the ID c"));
        let log = write("{\n \"event\": {\n  \"id\": \"one\"\n }\n}\n");
        assert_eq!(id(&log, None), Ok("one".into()));
        for (text, why) in [("", "has no event"), ("{}\nx\n", "log:2 is not an event")] {
            assert!(id(&write(text), None).unwrap_err().contains(why), "{text}");
        }
    }
}
