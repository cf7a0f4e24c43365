//! Events as they come, with the moments at which none does.

use crate::log::{Event, Selection};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// So long nothing comes before that is worth a word.
const QUIET: Duration = Duration::from_millis(300);
/// So many events wait at most; whoever reads them reads on.
const WAITING: usize = 4096;

/// What comes.
pub enum Beat {
    /// An event, and whether it is among those that are chosen.
    Event(Box<Event>, bool),
    /// No event for a while: all that there was has been read.
    Quiet,
    /// Nothing more: how many lines were no events, or why the reading has ended.
    End(Result<usize, String>),
}

/// A log that is followed by a thread of its own, until the program ends.
pub struct Live {
    receiver: Receiver<Beat>,
    /// Why there is no thread.
    failed: Option<String>,
}

impl Live {
    /// Begins to read.
    pub fn begin(selection: Selection) -> Live {
        let (sender, receiver) = sync_channel(WAITING);
        let read = move || {
            // Where nobody receives any more, the program is about to end.
            let done = selection.read_every(true, &mut |event, is_chosen| {
                let _ = sender.send(Beat::Event(Box::new(event), is_chosen));
            });
            let _ = sender.send(Beat::End(done));
        };
        let started = std::thread::Builder::new().spawn(read);
        Live {
            receiver,
            failed: started.err().map(|error| format!("cannot start a thread that reads the log: {error}")),
        }
    }

    /// Waits for what comes.
    pub fn next(&self) -> Beat {
        self.within(QUIET)
    }

    /// Waits so long at most.
    pub fn within(&self, time: Duration) -> Beat {
        match self.receiver.recv_timeout(time) {
            Ok(beat) => beat,
            Err(RecvTimeoutError::Timeout) => Beat::Quiet,
            Err(RecvTimeoutError::Disconnected) => {
                let why = self.failed.clone();
                Beat::End(Err(why.unwrap_or_else(|| "the reading of the log has ended".to_owned())))
            }
        }
    }
}
