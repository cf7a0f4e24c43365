//! What reads a file: a decoder, by its first bytes, in a thread of its own, or the file itself.
//!
//! Whoever may write to the log may write anything there: what a file expands to has a bound.

use super::Meter;
use super::copies::Copies;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Error, ErrorKind, Read, Result, Seek};
use std::sync::mpsc::{Receiver, sync_channel};

/// What a compressed file may expand to whatever its own size; beyond that, so many times its size.
const EXPANDED_FREE: u64 = 64 << 20;
const EXPANDED_TIMES: u64 = 200;
/// The memory of the decoder of xz, in KiB: `xz -9` needs 65 MiB. That of zstd has its own bound, 100 MiB.
const XZ_MEMORY: u32 = 96 << 10;
/// How much is read at once, and how many such pieces a decoder is ahead of its reader.
const PIECE: usize = 128 << 10;
const AHEAD: usize = 4;

/// What reads a file, and the file itself, where it is a regular one that is not compressed.
pub struct Source {
    pub reader: Box<dyn BufRead>,
    pub file: Option<File>,
}

/// Reads a file from its beginning. `copies`: where a pipe is kept, and its place there.
pub fn source(mut file: File, meter: &Meter, copies: Option<(&Copies, usize)>) -> Result<Source> {
    let size = file.metadata()?;
    if !size.is_file() {
        let mut pipe = match copies {
            Some((copies, place)) => copies.reader(place, file)?,
            None => Box::new(file),
        };
        // It cannot go back.
        let (head, got) = head(&mut pipe)?;
        let counted = Counted { reader: Cursor::new(head[..got].to_vec()).chain(pipe), meter: meter.clone() };
        return Ok(match decoder(&head[..got], counted, None, meter)? {
            Decoder::Of(reader) => Source { reader, file: None },
            Decoder::None(reader) => Source { reader: Box::new(buffered(reader)), file: None },
        });
    }
    let (head, got) = head(&mut file)?;
    file.rewind()?;
    let counted = Counted { reader: file.try_clone()?, meter: meter.clone() };
    Ok(match decoder(&head[..got], counted, Some(size.len()), meter)? {
        Decoder::Of(reader) => Source { reader, file: None },
        Decoder::None(reader) => Source { reader: Box::new(buffered(reader)), file: Some(file) },
    })
}

fn head(file: &mut impl Read) -> Result<([u8; 6], usize)> {
    let (mut head, mut got) = ([0; 6], 0);
    while got < head.len() {
        match file.read(&mut head[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((head, got))
}

enum Decoder<R> {
    Of(Box<dyn BufRead>),
    /// It is not compressed.
    None(R),
}

/// What decodes a file that begins so.
fn decoder<R: Read + Send + 'static>(head: &[u8], file: R, size: Option<u64>, meter: &Meter) -> Result<Decoder<R>> {
    let invalid = |error: &dyn std::fmt::Display| Error::new(ErrorKind::InvalidData, error.to_string());
    let bound = Bound { size, begun: meter.bytes(), meter: meter.clone() };
    Ok(Decoder::Of(match head {
        [0x1f, 0x8b, ..] => expanded(flate2::bufread::MultiGzDecoder::new(buffered(file)), bound)?,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => expanded(Frames::of(buffered(file)), bound)?,
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            expanded(lzma_rust2::XzReader::new_mem_limit(buffered(file), true, XZ_MEMORY), bound)?
        }
        [b'B', b'Z', b'h', ..] => return Err(invalid(&"it is compressed by bzip2: decompress it first (bunzip2)")),
        _ => return Ok(Decoder::None(file)),
    }))
}

fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(PIECE, reader)
}

/// Counts what is read.
struct Counted<R> {
    reader: R,
    meter: Meter,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let got = self.reader.read(buffer)?;
        self.meter.add(got as u64);
        Ok(got)
    }
}

/// The frames of zstd, one after the other: what is appended to a file has its own.
struct Frames<R> {
    file: R,
    frame: FrameDecoder,
}

impl<R: BufRead> Frames<R> {
    fn of(file: R) -> Frames<R> {
        Frames { file, frame: FrameDecoder::new() }
    }

    /// Begins the next frame; whether there is one.
    fn next(&mut self) -> Result<bool> {
        while !self.file.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.file) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    std::io::copy(&mut (&mut self.file).take(length.into()), &mut std::io::sink())?;
                }
                Err(error) => return Err(Error::new(ErrorKind::InvalidData, error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let missing = buffer.len().saturating_sub(self.frame.can_collect());
            if missing > 0 && !self.frame.is_finished() {
                let wanted = BlockDecodingStrategy::UptoBytes(missing);
                let decoded = self.frame.decode_blocks(&mut self.file, wanted);
                decoded.map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
            }
            let got = self.frame.read(buffer)?;
            if got > 0 || buffer.is_empty() || (self.frame.is_finished() && !self.next()?) {
                return Ok(got);
            }
        }
    }
}

/// How much a decoder may give.
struct Bound {
    /// The size of the file; of a pipe, it is what came so far.
    size: Option<u64>,
    begun: u64,
    meter: Meter,
}

impl Bound {
    fn max(&self) -> u64 {
        let size = self.size.unwrap_or_else(|| self.meter.bytes().saturating_sub(self.begun));
        size.saturating_mul(EXPANDED_TIMES).max(EXPANDED_FREE)
    }
}

/// What a decoder gives, with a bound, and nothing after an error.
struct Expanded<D> {
    decoder: D,
    given: u64,
    bound: Bound,
    has_failed: bool,
}

impl<D: Read> Read for Expanded<D> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.has_failed {
            return Ok(0);
        }
        let read = self.decoder.read(buffer);
        self.given = self.given.saturating_add(read.as_ref().map_or(0, |read| *read as u64));
        let read = match self.given >= self.bound.max() {
            true => Err(Error::new(
                ErrorKind::FileTooLarge,
                format!(
                    "it expands to more than {EXPANDED_TIMES} times its size: look at what it is before you decompress it"
                ),
            )),
            false => read,
        };
        self.has_failed = read.as_ref().is_err_and(|error| error.kind() != ErrorKind::Interrupted);
        read
    }
}

/// What a decoder gives, decoded ahead by another thread.
struct Ahead {
    pieces: Receiver<Result<Vec<u8>>>,
    piece: Cursor<Vec<u8>>,
}

/// Decodes in a thread of its own.
fn expanded<D: Read + Send + 'static>(decoder: D, bound: Bound) -> Result<Box<dyn BufRead>> {
    let mut expanded = Expanded { decoder, given: 0, bound, has_failed: false };
    let (sender, pieces) = sync_channel(AHEAD);
    let decode = move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = (&mut expanded).take(PIECE as u64).read_to_end(&mut piece);
            let is_end = piece.is_empty();
            // What came before an error is there as well.
            if (!is_end && sender.send(Ok(piece)).is_err()) || read.is_ok() && is_end {
                return;
            }
            if let Err(error) = read {
                // The reader may have gone.
                let _ = sender.send(Err(error));
                return;
            }
        }
    };
    std::thread::Builder::new().name("decoder".to_owned()).spawn(decode)?;
    Ok(Box::new(Ahead { pieces, piece: Cursor::default() }))
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let got = self.fill_buf()?.read(buffer)?;
        self.consume(got);
        Ok(got)
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.piece.position() as usize >= self.piece.get_ref().len() {
            match self.pieces.recv() {
                Ok(piece) => self.piece = Cursor::new(piece?),
                // The thread is done.
                Err(_) => return Ok(&[]),
            }
        }
        self.piece.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.piece.consume(bytes);
    }
}
