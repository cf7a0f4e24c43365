//! `portcullis events`: what the guard saw, readable; from files, or from the journal.

use crate::arguments::Events;
use crate::{FINE, WRONG, complain, journal, show};
use anstream::println;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What becomes of each line.
pub struct Printer {
    json: bool,
    unreadable: usize,
}

impl Printer {
    /// Prints one line of events.
    pub fn line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        match serde_json::from_slice(line) {
            Ok(event) if self.json => println!("{event}"),
            Ok(event) => println!("{}", show::event(&event)),
            Err(error) => {
                self.unreadable += 1;
                complain(format_args!("a line is not an event: {error}"));
            }
        }
    }
}

pub fn run(arguments: &Events) -> u8 {
    let mut printer = Printer { json: arguments.json, unreadable: 0 };
    let done = match arguments.files.as_slice() {
        [] => journal::read(arguments.follow, &mut printer),
        files => read_all(files, arguments.follow, &mut printer),
    };
    match done {
        Ok(()) if printer.unreadable == 0 => FINE,
        Ok(()) => WRONG,
        Err(message) => complain(message),
    }
}

fn read_all(files: &[PathBuf], follow: bool, printer: &mut Printer) -> Result<(), String> {
    let mut open = Vec::new();
    for path in files {
        let mut followed = Followed::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        followed.lines(printer).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        open.push(followed);
    }
    if follow {
        loop {
            std::thread::sleep(LOOK);
            for followed in &mut open {
                followed.lines(printer).map_err(|error| format!("cannot read {}: {error}", followed.path.display()))?;
                followed.reopen();
            }
        }
    }
    for followed in &mut open {
        printer.line(&std::mem::take(&mut followed.partial));
    }
    Ok(())
}

/// A file that grows, and may be rotated.
struct Followed {
    path: PathBuf,
    reader: BufReader<File>,
    /// A line whose end is not written yet.
    partial: Vec<u8>,
}

impl Followed {
    fn open(path: &Path) -> std::io::Result<Followed> {
        Ok(Followed { path: path.to_owned(), reader: BufReader::new(File::open(path)?), partial: Vec::new() })
    }

    fn lines(&mut self, printer: &mut Printer) -> std::io::Result<()> {
        loop {
            match self.reader.read_until(b'\n', &mut self.partial) {
                Ok(0) => return Ok(()),
                Ok(_) if self.partial.ends_with(b"\n") => printer.line(&std::mem::take(&mut self.partial)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes on with the file that has the path now, where that is another one or was truncated.
    fn reopen(&mut self) {
        let Ok(now) = std::fs::metadata(&self.path) else { return };
        let Ok(own) = self.reader.get_ref().metadata() else { return };
        let read = self.reader.stream_position().unwrap_or(0);
        let replaced = (now.dev(), now.ino()) != (own.dev(), own.ino()) || now.len() < read;
        if replaced && let Ok(file) = File::open(&self.path) {
            // What was written to the old one since is still read.
            let mut rest = Vec::new();
            let _ = self.reader.read_to_end(&mut rest);
            self.partial.extend(rest);
            self.reader = BufReader::new(file);
        }
    }
}
