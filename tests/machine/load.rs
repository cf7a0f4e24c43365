//! Clients in a machine's own network.

use crate::machine::Machine;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Enters a machine's network, for this thread alone.
fn enter(machine: &Machine) {
    let network = File::open(format!("/proc/{}/ns/net", machine.leader)).expect("a namespace");
    // SAFETY: affects this thread, and what it starts.
    assert_eq!(unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
}

fn get(port: u16, path: &str) -> Result<String, String> {
    let said = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(said)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(said)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: shop.example\r\n\r\n").map_err(said)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(said)?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        _ => Err(text.lines().next().unwrap_or("nothing came").to_owned()),
    }
}

/// The body of a page of the machine's, or why there is none.
pub fn asked(machine: &Machine, port: u16, path: &str) -> Result<String, String> {
    std::thread::scope(|scope| {
        let asks = scope.spawn(|| {
            enter(machine);
            get(port, path)
        });
        asks.join().expect("a client")
    })
}

/// What clients of one server asked for, and how long each answer took; and what was no answer, or another than it should be.
pub struct Load {
    name: &'static str,
    port: u16,
    times: Mutex<Vec<Duration>>,
    lost: Mutex<Vec<String>>,
}

impl Load {
    pub fn new(name: &'static str, port: u16) -> Load {
        Load { name, port, times: Mutex::default(), lost: Mutex::default() }
    }

    /// Asks for pages with these bodies, in turn.
    pub fn run(&self, machine: &Machine, first: usize, pages: &[(&str, &str)], stop: &AtomicBool) {
        enter(machine);
        for (page, wanted) in pages.iter().cycle().skip(first) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let begun = Instant::now();
            let said = get(self.port, page);
            self.times.lock().expect("times").push(begun.elapsed());
            if said.as_deref() != Ok(wanted) {
                self.lost.lock().expect("a list").push(format!("{page} after {:?}: {said:?}", begun.elapsed()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Says how long answers took; what was lost.
    pub fn report(&self) -> Vec<String> {
        let mut times = self.times.lock().expect("times").clone();
        times.sort_unstable();
        let at = |part: usize| times.get((times.len() * part / 100).min(times.len() - 1)).copied().unwrap_or_default();
        println!(
            "{}: {} requests, p50 {:.1?}, p99 {:.1?}, max {:.1?}",
            self.name,
            times.len(),
            at(50),
            at(99),
            at(100)
        );
        self.lost.lock().expect("a list").clone()
    }
}
