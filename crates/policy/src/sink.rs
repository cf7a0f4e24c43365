//! The sinks, where events go: one row each. What writes to one is in src/report/sink/.

use core::ffi::CStr;

/// Where the events of a sink can be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// systemd's journal, which also keeps what comes to /dev/log.
    Journal,
    /// The log file.
    File,
    /// Nowhere that is known.
    Nowhere,
}

/// What a sink is.
struct SinkFacts {
    word: &'static str,
    socket: Option<&'static CStr>,
    read_from: ReadFrom,
}

macro_rules! sinks {
    ($($(#[$doc:meta])* $sink:ident = $facts:expr;)*) => {
        /// A sink.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Sink { $($(#[$doc])* $sink),* }

        impl Sink {
            /// Every sink, in the order in which an event is written.
            pub const ALL: [Sink; [$(Sink::$sink),*].len()] = [$(Sink::$sink),*];

            const fn facts(self) -> SinkFacts {
                match self { $(Sink::$sink => $facts),* }
            }
        }
    };
}

sinks! {
    /// systemd's journal, by its native protocol.
    Journald =
        SinkFacts { word: "journald", socket: Some(c"/run/systemd/journal/socket"), read_from: ReadFrom::Journal };
    /// The datagram socket of a syslog server.
    Syslog = SinkFacts { word: "syslog", socket: Some(c"/dev/log"), read_from: ReadFrom::Journal };
    /// A file of lines.
    File = SinkFacts { word: "file", socket: None, read_from: ReadFrom::File };
    /// Standard error, where that is the server's own.
    Stderr = SinkFacts { word: "stderr", socket: None, read_from: ReadFrom::Nowhere };
}

impl Sink {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.facts().word
    }

    /// The sink with this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Sink> {
        Sink::ALL.into_iter().find(|sink| sink.word() == word)
    }

    /// The path of the socket that it is reached by; `None` where it is no socket.
    #[must_use]
    pub const fn socket(self) -> Option<&'static CStr> {
        self.facts().socket
    }

    /// Where its events can be read again.
    #[must_use]
    pub const fn read_from(self) -> ReadFrom {
        self.facts().read_from
    }

    /// Its bit in [`crate::format::Header::sinks`].
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Whether a set of bits has it.
    #[inline]
    #[must_use]
    pub const fn is_in(self, bits: u32) -> bool {
        bits & self.bit() != 0
    }
}

/// The bits above are of settings beside the sinks.
const _: () = assert!(Sink::ALL.len() <= crate::format::EVERY_EVENT.trailing_zeros() as usize);
