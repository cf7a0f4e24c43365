//! `portcullis top`: rates and incidents on the whole terminal, as they come.

mod rates;
mod screen;
mod sight;
mod signals;
mod view;

use crate::arguments::Top;
use crate::events::live::{Beat, Live};
use crate::{FINE, complain, log, out, text};
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use screen::Screen;
use sight::{Seen, Sight};
use signals::Signals;
use std::ffi::OsString;
use std::process::Command;
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
    let failed = |error: std::io::Error| complain(format_args!("cannot await signals: {error}"));
    let signals = match Signals::awaited() {
        Ok(signals) => signals,
        Err(error) => return failed(error),
    };
    let mut screen = match Screen::take() {
        Ok(screen) => screen,
        Err(message) => return complain(message),
    };
    if let Err(error) = signals.enforce(screen.giving_back()) {
        screen.end();
        return failed(error);
    }
    let done = watch(&arguments, &mut screen, &signals);
    screen.end();
    match (done, signals.status()) {
        // Where the terminal is gone, it was the signal that said so.
        (_, Some(status)) => status,
        (Ok(()), None) => FINE,
        (Err(message), None) => complain(message),
    }
}

/// Shows what comes, until a key or a signal ends it.
fn watch(arguments: &Top, screen: &mut Screen, signals: &Signals) -> Result<(), String> {
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
        if signals.status().is_some() {
            return Ok(());
        }
        if signals.look(screen).map_err(|error| lost(&error))? {
            draw(screen, &mut sight, note.as_deref())?;
        }
        let wait = if is_drained { BEAT } else { Duration::ZERO };
        match input(wait)? {
            None => {}
            Some(Input::Key(key)) if key.kind == KeyEventKind::Press => {
                match pressed(key, &mut sight) {
                    Next::Quit => return Ok(()),
                    Next::Contain(id) => {
                        contain(arguments, screen, &mut sight, signals, &id)?;
                    }
                    Next::Stop => signals.stop(screen).map_err(|error| lost(&error))?,
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
    Stop,
    /// The incident with this ID is to be contained; the question was answered.
    Contain(String),
}

fn pressed(key: KeyEvent, sight: &mut Sight) -> Next {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    if is_control && key.code == KeyCode::Char('c') {
        return Next::Quit;
    }
    if is_control && key.code == KeyCode::Char('z') {
        return Next::Stop;
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
fn contain(arguments: &Top, screen: &mut Screen, sight: &mut Sight, signals: &Signals, id: &str) -> Result<(), String> {
    signals.lend(true);
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
    signals.await_line();
    signals.lend(false);
    screen.resume().map_err(|error| lost(&error))
}

/// What is said where the terminal cannot be taken over again.
fn lost(error: &std::io::Error) -> String {
    format!("cannot use the terminal: {error}")
}

/// Takes the terminal, draws, and panics.
pub fn panic_on_the_screen() -> ! {
    let mut screen = Screen::take().unwrap_or_else(|message| panic!("{message}"));
    let drawn = screen.terminal.draw(|frame| frame.render_widget("a picture", frame.area())).map(drop);
    panic!("a defect, with the terminal taken: {drawn:?}")
}
