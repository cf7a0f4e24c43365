//! The FastCGI records of one connection, decoded as they pass: in whatever pieces they are read, without another read.
//! Source: FastCGI Specification 1.0, sections 3 and 5; for PHP-FPM its own reading of them, main/fastcgi.c.
//!
//! PHP-FPM takes any version from 1 on, looks at no request id, ends the parameters at any record that is not a non-empty
//! PARAMS, and takes the content and the padding of that record for the next record. What it accepts is read as it reads
//! it. What another server gets that is not as the specification has it may be read in more than one way: it is unknown.

use crate::pairs::whole_pair;
use crate::param::Param;
use crate::{Field, Request, Source, State, unproxied};

const BEGIN_REQUEST: u8 = 1;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const GET_VALUES: u8 = 9;
/// The size of a record's header.
const HEADER_LEN: usize = 8;
/// The longest content with its padding that PHP-FPM takes.
const RECORD_MAX: u32 = 0xffff;
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

/// What of a connection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Before a request, or behind one.
    Between,
    /// A request's parameters.
    Params,
    /// What follows them.
    Body,
}

/// Who reads the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// PHP-FPM.
    PhpFpm,
    /// Another server, or none of FastCGI.
    Other,
}

/// The decoder of one connection.
#[derive(Clone, Debug)]
pub struct Decoder {
    reader: Reader,
    phase: Phase,
    part: Part,
    begun: bool,
    header: [u8; HEADER_LEN],
    filled: usize,
    kind: u8,
    content: u16,
    padding: u8,
    id: u16,
    /// The role of a BEGIN_REQUEST, as far as it was read.
    role: [u8; 2],
    role_read: u8,
    /// What the request's CONTENT_LENGTH leaves of its body; PHP-FPM reads no more.
    body_left: u64,
    /// How much of what the server asked for it has not got yet.
    pending: usize,
    pair: Pair,
    /// The bytes of a length that were read, and how many it has.
    length: u32,
    length_read: u8,
    name_left: u32,
    value_left: u32,
    name: Field<NAME_MAX>,
    param: Param,
    software: Field<8>,
    content_length: Field<24>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new(Reader::Other)
    }
}

impl Decoder {
    /// At the beginning of a connection.
    #[must_use]
    pub const fn new(reader: Reader) -> Decoder {
        Decoder {
            reader,
            phase: Phase::Header,
            part: Part::Between,
            begun: false,
            header: [0; HEADER_LEN],
            filled: 0,
            kind: 0,
            content: 0,
            padding: 0,
            id: 0,
            role: [0; 2],
            role_read: 0,
            body_left: 0,
            pending: 0,
            pair: Pair::NameLength,
            length: 0,
            length_read: 0,
            name_left: 0,
            value_left: 0,
            name: Field::new(),
            param: Param::Other,
            software: Field::new(),
            content_length: Field::new(),
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
        self.begun
    }

    /// Whether the parameters of the last request that began are complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.begun && self.part != Part::Params
    }

    /// Takes the next bytes of the connection, of which the server had asked for `asked`. PHP-FPM reads a header by itself,
    /// so that a read of eight bytes within a body that it has not read to its end shows that it left the rest of it and
    /// goes on to the next request.
    pub fn feed_read(&mut self, bytes: &[u8], asked: usize, request: &mut Request) -> bool {
        let goes_on = self.pending == asked;
        self.pending = asked.saturating_sub(bytes.len());
        if self.reader == Reader::PhpFpm
            && !goes_on
            && asked == HEADER_LEN
            && self.part == Part::Body
            && matches!(self.phase, Phase::Content | Phase::Padding)
            && usize::from(self.content) != HEADER_LEN
            && usize::from(self.padding) != HEADER_LEN
            && self.body_left != HEADER_LEN as u64
        {
            self.part = Part::Between;
            self.phase = Phase::Header;
            self.filled = 0;
        }
        self.feed(bytes, request)
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
        let is_read = match self.reader {
            Reader::PhpFpm => self.as_php(version, id, request, ready),
            Reader::Other => self.as_specified(version, id, request, ready),
        };
        if !is_read {
            self.die(request);
            return &[];
        }
        self.phase = if self.content > 0 { Phase::Content } else { self.after_content() };
        rest
    }

    /// A record begins, as the specification has it; false where it is not so.
    fn as_specified(&mut self, version: u8, id: u16, request: &mut Request, ready: &mut bool) -> bool {
        let begins = self.kind == BEGIN_REQUEST && self.content == BEGIN_LEN;
        self.begun |= begins && version > 0;
        if version != 1 {
            return false;
        }
        match self.kind {
            BEGIN_REQUEST if begins && id != 0 => self.start(id, request),
            BEGIN_REQUEST => return false,
            PARAMS if self.part != Part::Params || id != self.id => return false,
            PARAMS if self.content == 0 => return self.end_of_params(request, ready),
            _ => {}
        }
        true
    }

    /// A record begins, as PHP-FPM reads it; false where it closes the connection.
    fn as_php(&mut self, version: u8, id: u16, request: &mut Request, ready: &mut bool) -> bool {
        if version == 0 {
            return false;
        }
        let is_too_long = u32::from(self.content).wrapping_add(u32::from(self.padding)) > RECORD_MAX;
        match (self.part, self.kind) {
            (Part::Params, PARAMS) if self.content > 0 => !is_too_long,
            (Part::Params, _) => {
                // What this record has is read as the next one.
                self.content = 0;
                self.padding = 0;
                self.end_of_params(request, ready)
            }
            (_, STDIN) if self.content == 0 => {
                self.padding = 0;
                true
            }
            (Part::Body, STDIN) => true,
            // Within a body that is its end, and the connection's with this request; behind one, the next request.
            (_, BEGIN_REQUEST) if self.content == BEGIN_LEN && !is_too_long => {
                self.start(id, request);
                true
            }
            (Part::Between, GET_VALUES) => !is_too_long,
            _ => false,
        }
    }

    fn start(&mut self, id: u16, request: &mut Request) {
        request.reset(State::Unknown);
        self.begun = true;
        self.part = Part::Params;
        self.id = id;
        self.role_read = 0;
        self.body_left = 0;
        self.pair = Pair::NameLength;
        self.length = 0;
        self.length_read = 0;
        self.software.clear();
        self.content_length.clear();
    }

    /// The parameters end; false where that is within one.
    fn end_of_params(&mut self, request: &mut Request, ready: &mut bool) -> bool {
        self.part = Part::Body;
        let is_whole = !self.is_within_pair();
        if is_whole {
            self.finish(request);
            *ready = true;
        }
        is_whole
    }

    fn is_within_pair(&self) -> bool {
        self.pair != Pair::NameLength || self.length_read != 0
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
        let is_php = self.reader == Reader::PhpFpm;
        match (self.kind, self.part) {
            (PARAMS, Part::Params) => {
                self.params(content, request);
                // PHP-FPM takes no pair that goes on in the next record.
                if is_php && self.content == 0 && self.is_within_pair() {
                    self.die(request);
                }
            }
            (BEGIN_REQUEST, Part::Params) if is_php => self.begin_content(content, request),
            (STDIN, Part::Body) if is_php => match self.body_left.checked_sub(take as u64) {
                Some(left) => self.body_left = left,
                // It has asked for no such bytes as a body: what they are to it cannot be told.
                None => self.die(request),
            },
            _ => {}
        }
        if self.phase != Phase::Dead && self.content == 0 {
            self.phase = self.after_content();
        }
        rest
    }

    /// The role stands first; PHP-FPM takes three.
    fn begin_content(&mut self, content: &[u8], request: &mut Request) {
        for &byte in content {
            if let Some(to) = self.role.get_mut(usize::from(self.role_read)) {
                *to = byte;
                self.role_read = self.role_read.wrapping_add(1);
            }
        }
        if self.content == 0 && !(1..=3).contains(&u16::from_be_bytes(self.role)) {
            self.die(request);
        }
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
            Param::ContentLength => self.content_length.clear(),
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
            Param::ContentLength => self.content_length.add(part),
            Param::Settings => request.settings.add(part),
            Param::Other => {}
        }
    }

    fn finish(&mut self, request: &mut Request) {
        request.source = Source::of_software(self.software.bytes());
        request.end_at_nul();
        request.script.narrow(unproxied);
        // As atol reads it.
        let digits = self.content_length.bytes().trim_ascii_start();
        let digits = digits.strip_prefix(b"+").unwrap_or(digits);
        self.body_left = digits
            .iter()
            .map_while(|&byte| (byte as char).to_digit(10))
            .fold(0, |sum: u64, digit| sum.saturating_mul(10).saturating_add(u64::from(digit)));
        request.state = State::Known;
    }
}
