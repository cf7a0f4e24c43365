//! `portcullis top`: rates and incidents on the whole terminal, as they come.

mod rates;
mod screen;
mod sight;
mod view;

use crate::arguments::Top;
use crate::events::live::{Beat, Live};
use crate::{FINE, complain, log, out, text};
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use screen::Screen;
use sight::{Seen, Sight};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::ffi::OsString;
use std::io::BufRead;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often keys and signals are looked for, and how long events are taken in between.
const BEAT: Duration = Duration::from_millis(100);
/// How often the picture is made again without a reason: its clock goes on.
const CLOCK: Duration = Duration::from_secs(1);
/// How far back the journal is read where nobody says.
const JOURNAL: &str = "1d";

pub fn run(mut arguments: Top) -> u8 {
    if !out::is_terminal(false) {
        return complain(
            "`portcullis top` needs a terminal; help: `portcullis events --incidents --follow` prints lines instead",
        );
    }
    arguments.selection.is_for_program = true;
    log::locate(&arguments.source, &mut arguments.selection);
    if arguments.selection.files.is_empty() && arguments.selection.since.is_none() {
        arguments.selection.since = log::moment(JOURNAL).ok();
    }
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGTERM, SIGHUP, SIGINT] {
        if let Err(error) = signal_hook::flag::register_usize(number, Arc::clone(&signal), number as usize) {
            return complain(format_args!("cannot await signals: {error}"));
        }
    }
    let mut screen = match Screen::take() {
        Ok(screen) => screen,
        Err(message) => return complain(message),
    };
    let done = watch(&arguments, &mut screen, &signal);
    screen.end();
    match done {
        // As a shell has it of a program that a signal ends.
        Ok(()) => u8::try_from(signal.load(Ordering::Relaxed))
            .map_or(FINE, |signal| if signal > 0 { 128 + signal } else { FINE }),
        Err(message) => complain(message),
    }
}

/// Shows what comes, until a key or a signal ends it.
fn watch(arguments: &Top, screen: &mut Screen, signal: &AtomicUsize) -> Result<(), String> {
    let live = Live::begin(arguments.selection.clone());
    let mut sight = Sight::of(&arguments.selection);
    let mut drawn = None::<Instant>;
    let mut note = None;
    loop {
        let began = Instant::now();
        let (mut is_changed, mut is_drained) = (false, sight.has_ended());
        while began.elapsed() < BEAT && !sight.has_ended() {
            match live.within(Duration::ZERO) {
                Beat::Event(event, is_chosen) => is_changed |= sight.take(&event, is_chosen),
                Beat::Quiet => {
                    is_changed |= !std::mem::replace(&mut sight.is_read, true);
                    is_drained = true;
                    break;
                }
                Beat::End(done) => {
                    done?;
                    (is_changed, sight.is_read) = (true, true);
                    sight.end();
                }
            }
        }
        is_changed |= sight.look();
        let last = screen.note();
        is_changed |= last != note;
        note = last;
        if is_changed || drawn.is_none_or(|drawn| drawn.elapsed() >= CLOCK) {
            draw(screen, &mut sight, note.as_deref())?;
            drawn = Some(Instant::now());
        }
        if signal.load(Ordering::Relaxed) > 0 {
            return Ok(());
        }
        let wait = if is_drained { BEAT } else { Duration::ZERO };
        match input(wait)? {
            None => {}
            Some(Input::Key(key)) if key.kind == KeyEventKind::Press => {
                match pressed(key, &mut sight) {
                    Next::Quit => return Ok(()),
                    Next::Contain(id) => {
                        contain(arguments, screen, &mut sight, &id)?;
                        // An interrupt from the keyboard was for that program.
                        let _ = signal.compare_exchange(SIGINT as usize, 0, Ordering::Relaxed, Ordering::Relaxed);
                    }
                    Next::Go => {}
                }
                draw(screen, &mut sight, note.as_deref())?;
            }
            // Another size, for example.
            Some(_) => draw(screen, &mut sight, note.as_deref())?,
        }
    }
}

/// What a key or the terminal says within a time. A signal ends the wait.
fn input(wait: Duration) -> Result<Option<Input>, String> {
    let failed = |error: std::io::Error| format!("cannot read from the terminal: {error}");
    match event::poll(wait) {
        Ok(true) => event::read().map(Some).map_err(failed),
        Ok(false) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn draw(screen: &mut Screen, sight: &mut Sight, note: Option<&str>) -> Result<(), String> {
    screen
        .terminal
        .draw(|frame| view::draw(frame, sight, note))
        .map(drop)
        .map_err(|error| format!("cannot write to the terminal: {error}"))
}

/// What a key leads to.
enum Next {
    Go,
    Quit,
    /// The incident with this ID is to be contained; the question was answered.
    Contain(String),
}

fn pressed(key: KeyEvent, sight: &mut Sight) -> Next {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    if is_control && key.code == KeyCode::Char('c') {
        return Next::Quit;
    }
    sight.said = None;
    if let Seen::Question(id) = &sight.seen {
        let id = id.clone();
        sight.seen = Seen::Incident(id.clone());
        return if key.code == KeyCode::Char('y') && !is_control { Next::Contain(id) } else { Next::Go };
    }
    match key.code {
        KeyCode::Char('q') => return Next::Quit,
        KeyCode::Esc | KeyCode::Left | KeyCode::Backspace | KeyCode::Char('h') => sight.close(),
        KeyCode::Enter | KeyCode::Right | KeyCode::Char('l') => sight.open(),
        KeyCode::Up | KeyCode::Char('k') => sight.move_by(-1),
        KeyCode::Down | KeyCode::Char('j') => sight.move_by(1),
        KeyCode::PageUp => sight.move_by(-10),
        KeyCode::PageDown | KeyCode::Char(' ') => sight.move_by(10),
        KeyCode::Home | KeyCode::Char('g') => sight.move_by(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => sight.move_by(isize::MAX),
        KeyCode::Char('s') => sight.turn(),
        KeyCode::Char('c') => sight.ask(),
        _ => {}
    }
    Next::Go
}

/// What contains an incident, in words of a command line: with the choice by which it was found.
fn arguments_of(arguments: &Top, id: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["contain", "--incident", id].map(OsString::from).to_vec();
    if let Some(config) = &arguments.source.config {
        words.extend(["--config".into(), config.clone().into_os_string()]);
    }
    words.extend(arguments.selection.words());
    words
}

/// Runs `portcullis contain` on the terminal, which asks for what it needs itself; then goes on.
fn contain(arguments: &Top, screen: &mut Screen, sight: &mut Sight, id: &str) -> Result<(), String> {
    screen.give_back();
    let words = arguments_of(arguments, id);
    let shown: Vec<String> = words.iter().map(|word| text::quoted(&word.to_string_lossy())).collect();
    println!("+ portcullis {}", shown.join(" "));
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"));
    let done = program.and_then(|program| {
        Command::new(program).args(&words).status().map_err(|error| format!("cannot run portcullis contain: {error}"))
    });
    sight.said = Some(match done {
        Ok(status) if status.success() => format!("contained: {id}"),
        Ok(status) => format!("portcullis contain --incident {id}: {status}"),
        Err(message) => message,
    });
    println!("\n{}: Enter continues", sight.said.as_deref().unwrap_or_default());
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    screen.resume().map_err(|error| format!("cannot use the terminal: {error}"))
}
