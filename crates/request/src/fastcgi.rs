//! The FastCGI records of one connection, decoded as they pass: in whatever pieces they are read, without another read.
//! Source: FastCGI Specification 1.0, sections 3 and 5.

use crate::pairs::whole_pair;
use crate::param::Param;
use crate::{Field, Request, Source, State, unproxied};

const BEGIN_REQUEST: u8 = 1;
const PARAMS: u8 = 4;
/// The body of BEGIN_REQUEST.
const BEGIN_LEN: u16 = 8;
/// Names longer than this are of no interest.
const NAME_MAX: usize = 24;

/// Where in a record the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Header,
    Content,
    Padding,
    /// It is not FastCGI, or not as it should be: nothing more is read.
    Dead,
}

/// Where in a name-value pair the parameters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pair {
    NameLength,
    ValueLength,
    Name,
    Value,
}

/// The decoder of one connection.
#[derive(Clone, Debug)]
pub struct Decoder {
    phase: Phase,
    header: [u8; 8],
    filled: usize,
    kind: u8,
    content: u16,
    padding: u8,
    /// The id of the request, 0 where none has begun.
    id: u16,
    reading_params: bool,
    pair: Pair,
    /// The bytes of a length that were read, and how many it has.
    length: u32,
    length_read: u8,
    name_left: u32,
    value_left: u32,
    name: Field<NAME_MAX>,
    param: Param,
    software: Field<8>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    /// At the beginning of a connection.
    #[must_use]
    pub const fn new() -> Decoder {
        Decoder {
            phase: Phase::Header,
            header: [0; 8],
            filled: 0,
            kind: 0,
            content: 0,
            padding: 0,
            id: 0,
            reading_params: false,
            pair: Pair::NameLength,
            length: 0,
            length_read: 0,
            name_left: 0,
            value_left: 0,
            name: Field::new(),
            param: Param::Other,
            software: Field::new(),
        }
    }

    /// Whether there is nothing more to be had from this connection.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.phase == Phase::Dead
    }

    /// Whether a request has begun on it.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.id != 0
    }

    /// Takes the next bytes of the connection. `request` becomes unknown where one begins, known where its parameters
    /// are complete, and unknown for good where the stream is not as it should be. True where it has become known.
    pub fn feed(&mut self, mut bytes: &[u8], request: &mut Request) -> bool {
        let mut ready = false;
        while !bytes.is_empty() && self.phase != Phase::Dead {
            bytes = match self.phase {
                Phase::Header => self.header(bytes, request, &mut ready),
                Phase::Content => self.content(bytes, request),
                Phase::Padding => self.padding(bytes),
                Phase::Dead => &[],
            };
        }
        ready && request.state == State::Known
    }

    fn die(&mut self, request: &mut Request) {
        self.phase = Phase::Dead;
        request.reset(State::Unknown);
    }

    fn header<'b>(&mut self, bytes: &'b [u8], request: &mut Request, ready: &mut bool) -> &'b [u8] {
        let take = bytes.len().min(self.header.len().saturating_sub(self.filled));
        let (part, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
        if let Some(to) = self.header.get_mut(self.filled..).and_then(|rest| rest.get_mut(..part.len())) {
            to.copy_from_slice(part);
        }
        self.filled = self.filled.wrapping_add(take);
        if self.filled < self.header.len() {
            return rest;
        }
        self.filled = 0;
        let [version, kind, id1, id0, content1, content0, padding, _] = self.header;
        let id = u16::from_be_bytes([id1, id0]);
        self.kind = kind;
        self.content = u16::from_be_bytes([content1, content0]);
        self.padding = padding;
        if version != 1 {
            self.die(request);
            return &[];
        }
        match kind {
            BEGIN_REQUEST if self.content == BEGIN_LEN => {
                request.reset(State::Unknown);
                self.id = id;
                self.reading_params = true;
                self.pair = Pair::NameLength;
                self.length = 0;
                self.length_read = 0;
                self.software.clear();
            }
            BEGIN_REQUEST => {
                self.die(request);
                return &[];
            }
            PARAMS if !self.reading_params || id != self.id || self.id == 0 => {
                self.die(request);
                return &[];
            }
            PARAMS if self.content == 0 => {
                self.reading_params = false;
                if self.pair == Pair::NameLength && self.length_read == 0 {
                    self.finish(request);
                    *ready = true;
                } else {
                    self.die(request);
                    return &[];
                }
            }
            _ => {}
        }
        self.phase = if self.content > 0 { Phase::Content } else { self.after_content() };
        rest
    }

    fn after_content(&self) -> Phase {
        if self.padding > 0 { Phase::Padding } else { Phase::Header }
    }

    fn padding<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let take = bytes.len().min(usize::from(self.padding));
        self.padding = self.padding.wrapping_sub(take as u8);
        if self.padding == 0 {
            self.phase = Phase::Header;
        }
        bytes.get(take..).unwrap_or_default()
    }

    fn content<'b>(&mut self, bytes: &'b [u8], request: &mut Request) -> &'b [u8] {
        let take = bytes.len().min(usize::from(self.content));
        let (content, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
        self.content = self.content.wrapping_sub(take as u16);
        if self.kind == PARAMS {
            self.params(content, request);
        }
        if self.phase != Phase::Dead && self.content == 0 {
            self.phase = self.after_content();
        }
        rest
    }

    fn params(&mut self, mut bytes: &[u8], request: &mut Request) {
        while !bytes.is_empty() {
            // Nearly all pairs come whole.
            if self.pair == Pair::NameLength
                && self.length_read == 0
                && let Some((name, value, rest)) = whole_pair(bytes)
            {
                let param = Param::of(name);
                self.begin(param, request);
                self.value(param, value, request);
                bytes = rest;
            } else {
                bytes = self.piece(bytes, request);
            }
        }
    }

    /// Takes what there is of the next part of a pair; gives the rest.
    #[inline(never)]
    fn piece<'b>(&mut self, bytes: &'b [u8], request: &mut Request) -> &'b [u8] {
        let Some((&byte, rest)) = bytes.split_first() else { return &[] };
        match self.pair {
            Pair::NameLength | Pair::ValueLength => {
                if let Some(length) = self.length_byte(byte) {
                    if self.pair == Pair::NameLength {
                        self.name_left = length;
                        self.name.clear();
                        self.pair = Pair::ValueLength;
                    } else {
                        self.value_left = length;
                        self.pair = Pair::Name;
                        self.skip_empty(request);
                    }
                }
                rest
            }
            Pair::Name => {
                let take = bytes.len().min(self.name_left as usize);
                let (part, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
                self.name.add(part);
                self.name_left = self.name_left.wrapping_sub(take as u32);
                self.skip_empty(request);
                rest
            }
            Pair::Value => {
                let take = bytes.len().min(self.value_left as usize);
                let (part, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
                self.value(self.param, part, request);
                self.value_left = self.value_left.wrapping_sub(take as u32);
                if self.value_left == 0 {
                    self.pair = Pair::NameLength;
                }
                rest
            }
        }
    }

    /// Goes on from a name or a value that has no bytes left.
    fn skip_empty(&mut self, request: &mut Request) {
        if self.pair == Pair::Name && self.name_left == 0 {
            self.pair = Pair::Value;
            self.param = Param::of(self.name.whole());
            self.begin(self.param, request);
        }
        if self.pair == Pair::Value && self.value_left == 0 {
            self.pair = Pair::NameLength;
        }
    }

    /// This parameter begins. One that comes again replaces the value, as PHP has it.
    #[inline(always)]
    fn begin(&mut self, param: Param, request: &mut Request) {
        match param {
            Param::ServerName => request.server_name.clear(),
            Param::DocumentRoot => request.document_root.clear(),
            Param::Script => request.script.clear(),
            Param::Method => request.method.clear(),
            Param::Uri => request.uri.clear(),
            Param::Client => request.client.clear(),
            Param::Software => self.software.clear(),
            // Both take effect, and so does each that comes again.
            Param::Settings => request.settings.add(b"\n"),
            Param::Other => {}
        }
    }

    /// Takes a byte of a length, which has one byte below 128 and else four; gives it when it is complete.
    fn length_byte(&mut self, byte: u8) -> Option<u32> {
        if self.length_read == 0 {
            if byte < 0x80 {
                return Some(u32::from(byte));
            }
            self.length = u32::from(byte & 0x7f);
            self.length_read = 1;
            return None;
        }
        self.length = (self.length << 8) | u32::from(byte);
        self.length_read = self.length_read.wrapping_add(1);
        if self.length_read < 4 {
            return None;
        }
        self.length_read = 0;
        Some(self.length)
    }

    /// Takes a part of this parameter's value.
    #[inline(always)]
    fn value(&mut self, param: Param, part: &[u8], request: &mut Request) {
        match param {
            Param::ServerName => request.server_name.add(part),
            Param::DocumentRoot => request.document_root.add(part),
            Param::Script => request.script.add(part),
            Param::Method => request.method.add(part),
            Param::Uri => request.uri.add(part),
            Param::Client => request.client.add(part),
            Param::Software => self.software.add(part),
            Param::Settings => request.settings.add(part),
            Param::Other => {}
        }
    }

    fn finish(&mut self, request: &mut Request) {
        request.source = Source::of_software(self.software.bytes());
        if request.script.bytes().starts_with(b"proxy:") {
            let mut path = Field::new();
            path.set(unproxied(request.script.whole()));
            request.script = path;
        }
        request.state = State::Known;
    }
}
