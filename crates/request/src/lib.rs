//! The request that a process serves, in fixed buffers. No allocation, no I/O, no panic.
#![no_std]
#![forbid(unsafe_code)]

pub mod context;
pub mod environment;
pub mod fastcgi;
mod field;
mod pairs;
mod param;
mod path;
mod protocol;
pub mod wire;

pub use field::Field;
use param::Param;
pub use path::{normalise, unproxied};
pub use protocol::Protocol;

/// Who said what the request is, and so whose `server_name` it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// Nobody known.
    Unknown = 0,
    /// A module inside the server, from the server's own configuration.
    Module = 1,
    /// nginx, by FastCGI: SERVER_NAME is `server_name` of its configuration.
    Nginx = 2,
    /// Apache, by FastCGI or CGI: SERVER_NAME is the client's Host header unless UseCanonicalName is On.
    Apache = 3,
}

impl Source {
    /// The source for its stored byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> Source {
        match byte {
            1 => Source::Module,
            2 => Source::Nginx,
            3 => Source::Apache,
            _ => Source::Unknown,
        }
    }

    /// The source that a SERVER_SOFTWARE names.
    #[must_use]
    pub fn of_software(software: &[u8]) -> Source {
        match software {
            _ if software.starts_with(b"nginx/") => Source::Nginx,
            _ if software.starts_with(b"Apache") => Source::Apache,
            _ => Source::Unknown,
        }
    }

    /// The word for it in configuration and events.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Source::Unknown => "unknown",
            Source::Module => "module",
            Source::Nginx => "nginx",
            Source::Apache => "apache",
        }
    }
}

/// What is known of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// No request is served.
    None = 0,
    /// One is, and this is it.
    Known = 1,
    /// One is, and what it is could not be read.
    Unknown = 2,
    /// What a descendant inherited is gone: somebody took it away.
    Lost = 3,
}

impl State {
    /// The state for its stored byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> State {
        match byte {
            0 => State::None,
            1 => State::Known,
            3 => State::Lost,
            _ => State::Unknown,
        }
    }

    /// The word for it in events.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::None => "none",
            State::Known => "known",
            State::Unknown => "unknown",
            State::Lost => "lost",
        }
    }
}

/// Who is being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whether the rest means anything.
    pub state: State,
    /// Who said so.
    pub source: Source,
    /// Tells it from every other request; 0 where it has no number yet.
    pub id: u64,
    /// The virtual host's name, without a port.
    pub server_name: Field<256>,
    /// Absolute path.
    pub document_root: Field<512>,
    /// Absolute path of the file that is run.
    pub script: Field<512>,
    /// GET, POST, ...
    pub method: Field<16>,
    /// As the client sent it, the query included.
    pub uri: Field<1024>,
    /// The client's address.
    pub client: Field<64>,
    /// PHP-FPM's pool.
    pub pool: Field<64>,
    /// The profile that the server's configuration names.
    pub profile: Field<64>,
    /// Lines of PHP_VALUE and PHP_ADMIN_VALUE that a FastCGI request brings; not handed down to descendants.
    pub settings: Field<512>,
}

impl Request {
    /// No request.
    #[must_use]
    pub const fn none() -> Request {
        Request {
            state: State::None,
            source: Source::Unknown,
            id: 0,
            server_name: Field::new(),
            document_root: Field::new(),
            script: Field::new(),
            method: Field::new(),
            uri: Field::new(),
            client: Field::new(),
            pool: Field::new(),
            profile: Field::new(),
            settings: Field::new(),
        }
    }

    /// Forgets everything, and says that it is in this state.
    pub fn reset(&mut self, state: State) {
        self.state = state;
        self.source = Source::Unknown;
        self.id = 0;
        self.server_name.clear();
        self.document_root.clear();
        self.script.clear();
        self.method.clear();
        self.uri.clear();
        self.client.clear();
        self.pool.clear();
        self.profile.clear();
        self.settings.clear();
    }

    /// Takes the value of a CGI variable, where it is one of those that matter.
    pub fn take(&mut self, name: &[u8], value: &[u8]) {
        match Param::of(name) {
            Param::ServerName => self.server_name.set(value),
            Param::DocumentRoot => self.document_root.set(value),
            Param::Script => self.script.set(value),
            Param::Method => self.method.set(value),
            Param::Uri => self.uri.set(value),
            Param::Client => self.client.set(value),
            Param::Software => self.source = Source::of_software(value),
            Param::ContentLength | Param::Settings | Param::Other => {}
        }
    }

    /// Ends each value at its first NUL, as a server does that takes them for C strings.
    pub(crate) fn end_at_nul(&mut self) {
        self.server_name.narrow(before_nul);
        self.document_root.narrow(before_nul);
        self.script.narrow(before_nul);
        self.method.narrow(before_nul);
        self.uri.narrow(before_nul);
        self.client.narrow(before_nul);
    }

    /// Whether something of it was read: an unknown request may have nothing but its state.
    #[must_use]
    pub fn has_fields(&self) -> bool {
        !(self.script.is_empty() && self.uri.is_empty() && self.server_name.is_empty() && self.client.is_empty())
    }
}

fn before_nul(value: &[u8]) -> &[u8] {
    value.split(|&byte| byte == 0).next().unwrap_or_default()
}
