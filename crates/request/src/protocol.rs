//! The protocols in which a process gets its requests, read as the process reads them: one variant each, and one match for each
//! question about a connection.

use crate::Request;
use crate::fastcgi::{self, Reader};

/// The decoder of one connection.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// FastCGI, as PHP-FPM and other application servers get it.
    FastCgi(fastcgi::Decoder),
}

impl Protocol {
    /// FastCGI at the beginning of a connection that `reader` reads.
    #[must_use]
    pub const fn fastcgi(reader: Reader) -> Protocol {
        Protocol::FastCgi(fastcgi::Decoder::new(reader))
    }

    /// Whether there is nothing more to be had from this connection.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        match self {
            Protocol::FastCgi(decoder) => decoder.is_dead(),
        }
    }

    /// Whether a request of this protocol has begun on it.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        match self {
            Protocol::FastCgi(decoder) => decoder.has_begun(),
        }
    }

    /// Whether all is read that says who is served by the last request that began.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match self {
            Protocol::FastCgi(decoder) => decoder.is_complete(),
        }
    }

    /// Takes the next bytes of the connection, of which the process had asked for `asked`; whether `request` is known by them.
    pub fn feed(&mut self, bytes: &[u8], asked: usize, request: &mut Request) -> bool {
        match self {
            Protocol::FastCgi(decoder) => decoder.feed_read(bytes, asked, request),
        }
    }
}
