//! How far the reading of a log is, on a terminal: a line on standard error that is gone at the end.
//!
//! It is there for readings of more than a second, and only where a person looks: standard error is a terminal, and standard output
//! does not go to another program, which may have the terminal.

use crate::out;
use portcullis_story::log::{Log, Meter};
use std::time::{Duration, Instant};

/// How long a reading takes before it is shown, and how often the line changes.
const PATIENCE: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(200);

/// The progress of one reading.
pub struct Progress {
    /// `None` where nobody looks.
    shown: Option<Shown>,
    events: u64,
}

struct Shown {
    meter: Meter,
    size: Option<u64>,
    next: Instant,
}

impl Progress {
    /// Of a log that is to be read.
    pub fn of(log: &Log<'_>) -> Progress {
        let shown = out::is_watched().then(|| Shown {
            meter: log.meter.clone(),
            size: log.size(),
            next: Instant::now() + PATIENCE,
        });
        Progress { shown, events: 0 }
    }

    /// Takes note of an event.
    pub fn event(&mut self) {
        self.events += 1;
        let Some(shown) = &mut self.shown else { return };
        let now = Instant::now();
        if now >= shown.next {
            shown.next = now + AGAIN;
            out::progress(Some(&text(shown.meter.bytes(), shown.size, self.events)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        out::progress(None);
    }
}

/// As it is shown. A file that grows has more than it had.
fn text(bytes: u64, size: Option<u64>, events: u64) -> String {
    let size = size.filter(|size| *size > 0).map(|size| size.max(bytes));
    let read = match size {
        Some(size) => format!("{} of {} MB ({} %)", bytes / 1_000_000, size / 1_000_000, bytes * 100 / size),
        None => format!("{} MB", bytes / 1_000_000),
    };
    match bytes {
        // The journal has no size.
        0 => format!("portcullis: read {events} events"),
        _ => format!("portcullis: read {read}, {events} events"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_how_much_of_how_much() {
        let mega = 1_000_000;
        assert_eq!(text(30 * mega, Some(120 * mega), 7), "portcullis: read 30 of 120 MB (25 %), 7 events");
        assert_eq!(text(150 * mega, Some(120 * mega), 7), "portcullis: read 150 of 150 MB (100 %), 7 events");
        assert_eq!(text(30 * mega, None, 7), "portcullis: read 30 MB, 7 events");
        assert_eq!(text(0, None, 7), "portcullis: read 7 events");
    }
}
