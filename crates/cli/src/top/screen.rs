//! The terminal: taken over, and given back whatever happens.
//!
//! **Invariants**: whoever writes to standard error meanwhile, this program or one that it starts, writes into a pipe, and not over the
//! picture; the last lines are shown on it, and printed afterwards. On a panic the terminal is given back before the message is printed.
//!
//! **Why it writes to the terminal itself**: `out` lets no sequence pass that moves the cursor. The texts of the picture are printable before
//! they come here.
#![allow(clippy::disallowed_methods)]

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{Command, execute};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Stdout, stdout};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// So many lines of standard error are kept.
const NOTES_MAX: usize = 20;
/// How long one is at most, in bytes.
const LINE_MAX: u64 = 4096;

pub type Notes = Arc<Mutex<VecDeque<String>>>;

/// The terminal, while it is this program's.
pub struct Screen {
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
    stderr: Arc<OwnedFd>,
    notes: Notes,
    /// Where standard error goes meanwhile.
    pipe: OwnedFd,
}

impl Screen {
    /// Takes it over.
    pub fn take() -> Result<Screen, String> {
        let failed = |error: std::io::Error| format!("cannot use the terminal: {error}");
        let stderr =
            Arc::new(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 3).map_err(|error| failed(error.into()))?);
        let (reader, pipe) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let notes = Notes::default();
        let kept = Arc::clone(&notes);
        std::thread::Builder::new().spawn(move || keep(reader, &kept)).map_err(failed)?;
        let before = std::panic::take_hook();
        let saved = Arc::clone(&stderr);
        std::panic::set_hook(Box::new(move |panic| {
            give_back(&saved);
            before(panic);
        }));
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).map_err(failed)?;
        let mut screen = Screen { terminal, stderr, notes, pipe };
        screen.resume().map_err(failed)?;
        Ok(screen)
    }

    /// Takes it over again; on an error it is given back.
    pub fn resume(&mut self) -> std::io::Result<()> {
        self.try_resume().inspect_err(|_| self.give_back())
    }

    fn try_resume(&mut self) -> std::io::Result<()> {
        enable_raw_mode()?;
        rustix::stdio::dup2_stderr(&self.pipe)?;
        execute!(stdout(), EnterAlternateScreen, Hide, Clear(ClearType::All))?;
        // One that knows of an empty screen: to clear it, the present one would ask for the place of the cursor, and not every terminal
        // answers.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }

    /// Gives it back, for a program that is run meanwhile.
    pub fn give_back(&self) {
        give_back(&self.stderr);
    }

    /// What gives it back without this.
    pub fn giving_back(&self) -> impl Fn() + Send + 'static {
        let stderr = Arc::clone(&self.stderr);
        move || give_back(&stderr)
    }

    /// The last line of standard error.
    pub fn note(&self) -> Option<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).back().cloned()
    }

    /// Gives it back, and prints what was written to standard error meanwhile.
    pub fn end(self) {
        self.give_back();
        for note in self.notes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            eprintln!("{note}");
        }
    }
}

/// A terminal that is gone cannot be given back: no error is left to say. Whoever panics may have standard output in hand, so this does
/// not ask for it.
fn give_back(stderr: &OwnedFd) {
    let mut text = String::new();
    if LeaveAlternateScreen.write_ansi(&mut text).and_then(|()| Show.write_ansi(&mut text)).is_ok() {
        let _ = rustix::io::write(rustix::stdio::stdout(), text.as_bytes());
    }
    let _ = disable_raw_mode();
    let _ = rustix::stdio::dup2_stderr(stderr);
}

/// Keeps the last lines of standard error.
fn keep(reader: OwnedFd, notes: &Notes) {
    let mut reader = BufReader::new(File::from(reader));
    let mut line = Vec::new();
    // Nobody ends what writes here: this thread ends with the program.
    while matches!(reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(line.trim_ascii()).into_owned();
        line.clear();
        if text.is_empty() {
            continue;
        }
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() == NOTES_MAX {
            notes.pop_front();
        }
        notes.push_back(text);
    }
}
