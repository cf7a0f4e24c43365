//! A connection whose answers are bounded, all together, in bytes and in time: anybody may have taken the server's place.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a request and its answer may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How many bytes an answer may have; the probe says a line.
pub const ANSWER_MAX: usize = 1 << 20;

/// A socket, whichever it is.
pub trait Stream: Read + Write + AsFd {}

impl Stream for TcpStream {}
impl Stream for UnixStream {}

/// The connection.
pub struct Bounded<S> {
    stream: S,
    until: Instant,
    left: usize,
}

impl<S: Stream> Bounded<S> {
    /// Its time begins now.
    pub fn new(stream: S) -> Bounded<S> {
        Bounded { stream, until: Instant::now() + PATIENCE, left: ANSWER_MAX }
    }

    /// Has the next call on the socket end with the time that is left.
    fn wait(&self, which: rustix::net::sockopt::Timeout) -> Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(ErrorKind::TimedOut, format!("it took more than {} seconds", PATIENCE.as_secs())));
        }
        // 0 would mean without an end.
        let left = left.max(Duration::from_millis(1));
        Ok(rustix::net::sockopt::set_socket_timeout(&self.stream, which, Some(left))?)
    }
}

impl<S: Stream> Read for Bounded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.left == 0 {
            return Err(Error::new(ErrorKind::FileTooLarge, format!("its answer has more than {ANSWER_MAX} bytes")));
        }
        self.wait(rustix::net::sockopt::Timeout::Recv)?;
        let room = buffer.len().min(self.left);
        let got = self.stream.read(&mut buffer[..room])?;
        self.left -= got;
        Ok(got)
    }
}

impl<S: Stream> Write for Bounded<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.wait(rustix::net::sockopt::Timeout::Send)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_an_end_ends() {
        let (own, mut other) = UnixStream::pair().unwrap();
        let writer = std::thread::spawn(move || while other.write_all(&[b'A'; 65536]).is_ok() {});
        let mut answer = Vec::new();
        let mut bounded = Bounded::new(own);
        assert_eq!(bounded.read_to_end(&mut answer).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(answer.len(), ANSWER_MAX);
        drop(bounded);
        writer.join().unwrap();
    }

    #[test]
    fn a_byte_now_and_then_does_not_make_more_time() {
        let (own, mut other) = UnixStream::pair().unwrap();
        let pause = Duration::from_millis(20);
        let writer = std::thread::spawn(move || {
            while other.write_all(b"A").is_ok() {
                std::thread::sleep(pause);
            }
        });
        let mut bounded = Bounded { stream: own, until: Instant::now() + pause * 10, left: ANSWER_MAX };
        let error = bounded.read_to_end(&mut Vec::new()).unwrap_err();
        assert!([ErrorKind::TimedOut, ErrorKind::WouldBlock].contains(&error.kind()), "{error}");
        drop(bounded);
        writer.join().unwrap();
    }
}
