//! The signals that end `portcullis top`, stop it, and let it go on. Each leaves the terminal as it was.
//!
//! **Why a thread**: crossterm reads from a terminal that is gone, or that has sent a part of a key, without an end
//! (crossterm-rs/crossterm#793), and its caller is then held in it. A shell that ignores SIGHUP passes none on, so the thread also looks at
//! the terminal itself.

use super::screen::Screen;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use std::io::BufRead;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How often signals are looked for while a line is awaited.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Those that end it.
const ENDING: [i32; 4] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT];
/// How long it takes at most to end in order.
const GRACE: Duration = Duration::from_secs(1);

/// What came.
#[derive(Clone, Default)]
pub struct Signals {
    /// The one that ends it; 0 for none.
    end: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    go_on: Arc<AtomicBool>,
    /// Another program has the terminal.
    is_lent: Arc<AtomicBool>,
}

impl Signals {
    /// Awaits them from now on.
    pub fn awaited() -> std::io::Result<Signals> {
        let signals = Signals::default();
        for number in ENDING {
            signal_hook::flag::register_usize(number, Arc::clone(&signals.end), number as usize)?;
        }
        for (number, flag) in [(SIGTSTP, &signals.stop), (SIGCONT, &signals.go_on)] {
            signal_hook::flag::register(number, Arc::clone(flag))?;
        }
        Ok(signals)
    }

    /// Sees to it that they end this. `give_back`: what makes the terminal as it was, where this does not end in order.
    pub fn enforce(&self, give_back: impl Fn() + Send + 'static) -> std::io::Result<()> {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        for number in ENDING {
            // After the flag: whoever reads from the pipe knows which one it was.
            signal_hook::low_level::pipe::register(number, writer.try_clone()?)?;
        }
        let terminal = match rustix::termios::isatty(rustix::stdio::stdin()) {
            true => rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?,
            false => rustix::fs::open("/dev/tty", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?,
        };
        let own = self.clone();
        let watch = move || own.watch(&terminal, &reader, &give_back);
        std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map(drop)
    }

    /// Waits for the end, and ends the program where that does not end itself.
    fn watch(&self, terminal: &OwnedFd, signals: &OwnedFd, give_back: &dyn Fn()) {
        loop {
            let mut both = [PollFd::new(terminal, PollFlags::empty()), PollFd::new(signals, PollFlags::IN)];
            match poll(&mut both, None) {
                Err(rustix::io::Errno::INTR) => continue,
                // Without a poll there is no thread, and the flags are there still.
                Err(_) => return,
                Ok(_) => {}
            }
            if both[1].revents().is_empty() {
                self.end.store(SIGHUP as usize, Ordering::Relaxed);
            } else {
                let _ = rustix::io::read(signals, &mut [0; 64]);
            }
            std::thread::sleep(GRACE);
            // An interrupt was for the program that has the terminal.
            while self.is_lent.load(Ordering::Relaxed) {
                std::thread::sleep(GRACE);
            }
            if let Some(status) = self.status() {
                give_back();
                std::process::exit(i32::from(status));
            }
        }
    }

    /// Another program has the terminal, which an interrupt is for, until this is called with `false`.
    pub fn lend(&self, is_lent: bool) {
        if !is_lent {
            let _ = self.end.compare_exchange(SIGINT as usize, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.is_lent.store(is_lent, Ordering::Relaxed);
    }

    /// The exit status where one ends it: as a shell has it of a program that a signal ends.
    pub fn status(&self) -> Option<u8> {
        u8::try_from(self.end.load(Ordering::Relaxed)).ok().filter(|number| *number > 0).map(|number| 128 + number)
    }

    /// Stops where that was asked for, and takes the terminal over again when this goes on; whether the picture is to be drawn.
    pub fn look(&self, screen: &mut Screen) -> std::io::Result<bool> {
        if self.stop.swap(false, Ordering::Relaxed) {
            self.stop(screen)?;
            return Ok(true);
        }
        // Whoever had the terminal meanwhile may have left it otherwise.
        let goes_on = self.go_on.swap(false, Ordering::Relaxed);
        if goes_on {
            screen.give_back();
            screen.resume()?;
        }
        Ok(goes_on)
    }

    /// Stops, as the shell that started this expects it of all programs of the command.
    pub fn stop(&self, screen: &mut Screen) -> std::io::Result<()> {
        // Without a shell nobody would let it go on.
        if getsid(None).is_ok_and(|session| session == getpgrp()) {
            return Ok(());
        }
        screen.give_back();
        kill_current_process_group(Signal::STOP)?;
        self.go_on.store(false, Ordering::Relaxed);
        screen.resume()
    }

    /// Waits for a line from the terminal, or for a signal that ends it.
    pub fn await_line(&self) {
        let stdin = std::io::stdin();
        while self.status().is_none() {
            match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                // A terminal that is gone has no line.
                Ok(_) | Err(_) => return drop(stdin.lock().read_line(&mut String::new())),
            }
        }
    }
}
