//! Events out of files: compressed ones, rotated ones, and those that still grow.
//!
//! Whoever may write to the log, or to its folder, may write anything there: each file has a bound in what it expands to, each line
//! in its length, and what is no regular file is not read.

use super::lines::Lines;
use portcullis_config::reading::{self, Links};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The most entries of a log's folder, and the most files that a log was rotated to.
const ENTRIES_MAX: usize = 100_000;
const ROTATED_MAX: usize = 1000;
/// What a compressed file may expand to whatever its own size; beyond that, so many times its size.
const EXPANDED_FREE: u64 = 64 << 20;
const EXPANDED_TIMES: u64 = 200;
/// The memory of the decoder of xz, in KiB: `xz -9` needs 65 MiB. That of zstd has its own bound, 100 MiB.
const XZ_MEMORY: u32 = 96 << 10;
/// How much of the log one call of [`read_from`] reads, about: the next one goes on.
const ONCE_MAX: u64 = 512 << 20;

type Line<'l> = &'l mut dyn FnMut(&[u8]);
/// A line, with the file that has it and its number in that.
type Placed<'l> = &'l mut dyn FnMut(&Path, u64, &[u8]);

/// Reads the files, each after those that it was rotated to where `rotated` says so. Gives how many of the rotated ones could not be
/// read: anybody may have left one there, and the others are read all the same.
pub fn read_all(files: &[PathBuf], rotated: bool, follow: bool, line: Placed<'_>) -> Result<usize, String> {
    let failed = |path: &Path, error: &std::io::Error| {
        format!("cannot read {}: {error}{}", path.display(), readers(path, error))
    };
    let (mut open, mut unreadable) = (Vec::new(), 0);
    for path in files {
        let older = if rotated { rotations(path).map_err(|error| failed(path, &error))? } else { Vec::new() };
        for older in older {
            let read = Followed::open(&older).and_then(|mut followed| {
                let number = followed.lines.number();
                let line = &mut |text: &[u8]| line(&older, number.get(), text);
                let read = followed.lines.read(line);
                followed.lines.end(line);
                unreadable += followed.say_passed_over();
                read
            });
            if let Err(error) = read {
                unreadable += 1;
                crate::complain(failed(&older, &error));
            }
        }
        let mut followed = Followed::open(path).map_err(|error| failed(path, &error))?;
        let number = followed.lines.number();
        followed.lines.read(&mut |text| line(path, number.get(), text)).map_err(|error| failed(path, &error))?;
        unreadable += followed.say_passed_over();
        open.push(followed);
    }
    if follow {
        loop {
            std::thread::sleep(LOOK);
            for followed in &mut open {
                let (path, number) = (followed.path.clone(), followed.lines.number());
                let line = &mut |text: &[u8]| line(&path, number.get(), text);
                followed.lines.read(line).map_err(|error| failed(&path, &error))?;
                followed.reopen(line);
            }
        }
    }
    for followed in &mut open {
        let (path, number) = (followed.path.clone(), followed.lines.number());
        followed.lines.end(&mut |text| line(&path, number.get(), text));
    }
    Ok(unreadable)
}

/// Reads what came since `place`, an inode and how much of it was read, and moves it on; lines without an end stay for the next
/// time. Where that file was rotated away, what it and those after it have is read before. A rotated file that cannot be read is passed
/// over, and is the error.
pub fn read_from(path: &Path, place: &mut Option<(u64, u64)>, line: Line<'_>) -> Result<(), String> {
    let failed = |file: &Path, error: &std::io::Error| format!("cannot read {}: {error}", file.display());
    let inode = |path: &Path| std::fs::metadata(path).map(|meta| meta.ino()).ok();
    let older = rotations(path).map_err(|error| failed(path, &error))?;
    let files: Vec<PathBuf> = older.into_iter().chain([path.to_owned()]).collect();
    let first = place.and_then(|(last, _)| files.iter().position(|file| inode(file) == Some(last)));
    // Without an earlier place, all that is there; where the earlier file is gone, what is new for certain.
    let first = first.unwrap_or(if place.is_none() { 0 } else { files.len() - 1 });
    let (mut done, mut all) = (Ok(()), 0);
    for file in &files[first..] {
        let mut followed = match Followed::open(file) {
            Err(error) if error.kind() == ErrorKind::NotFound && file == path => return done,
            Err(error) => {
                done = Err(failed(file, &error));
                continue;
            }
            Ok(followed) => followed,
        };
        let (number, size) = (followed.inode, followed.size);
        // A compressed file was read as a whole.
        if followed.file.is_none() && place.is_some_and(|(last, _)| last == number) {
            continue;
        }
        // Of the file that was read last, what was read.
        let read = place.filter(|(last, read)| number == *last && *read <= size).map(|(_, read)| read);
        let mut at = 0;
        if let (Some(read), Some(file)) = (read, &mut followed.file) {
            // The reader has its own handle on the same place.
            at = file.seek(std::io::SeekFrom::Start(read)).map_err(|error| failed(path, &error))?;
        }
        if followed.file.is_some() {
            followed.lines.stop_after(ONCE_MAX);
        }
        let begun = at;
        let read = followed.lines.read(&mut |text| line(text));
        at += followed.lines.taken();
        followed.say_passed_over();
        if let Err(error) = read {
            done = Err(failed(file, &error));
        }
        *place = Some((number, at));
        all += at - begun;
        if all >= ONCE_MAX {
            break;
        }
    }
    done
}

/// Who may read a file that this user may not, as far as its permissions say.
fn readers(path: &Path, error: &std::io::Error) -> String {
    // A single word is rather the name of a unit or of a virtual host.
    if error.kind() == ErrorKind::NotFound && path.components().count() == 1 && path.extension().is_none() {
        return "; help: name a file of events, or none for the journal; --vhost NAME chooses a virtual host"
            .to_owned();
    }
    let meta = std::fs::metadata(path).ok().filter(|_| error.kind() == ErrorKind::PermissionDenied);
    match meta {
        None => String::new(),
        Some(meta) if meta.mode() & 0o040 != 0 => {
            format!(" (only its owner, user {}, and its group, {}, may read it)", meta.uid(), meta.gid())
        }
        Some(meta) => format!(" (only its owner, user {}, may read it)", meta.uid()),
    }
}

/// The files that `path` was rotated to, the oldest first: `PATH.1`, `PATH.2.gz`, `PATH-20261124.zst` and the like.
fn rotations(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_rotation = |other: &str| {
        let Some(rest) = other.strip_prefix(&name) else { return false };
        let rest = [".gz", ".xz", ".zst"].iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
        let number = rest.strip_prefix(['.', '-']).unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    let entries = match reading::entries(folder, ENTRIES_MAX) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    let mut found: Vec<(std::time::SystemTime, PathBuf)> = entries
        .into_iter()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_rotation))
        // No rotation leaves a link, a FIFO or a folder.
        .filter_map(|entry| {
            Some((entry.metadata().ok().filter(std::fs::Metadata::is_file)?.modified().ok()?, entry.path()))
        })
        .collect();
    if found.len() > ROTATED_MAX {
        return Err(std::io::Error::other(format!("it was rotated to more than {ROTATED_MAX} files")));
    }
    // Of two of one moment, the higher number is the older.
    found.sort_by(|(one, first), (other, second)| one.cmp(other).then_with(|| second.cmp(first)));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// A file that may grow, and may be rotated.
struct Followed {
    path: PathBuf,
    inode: u64,
    size: u64,
    lines: Lines<Box<dyn BufRead>>,
    /// The file itself, where it is not compressed.
    file: Option<File>,
}

impl Followed {
    fn open(path: &Path) -> std::io::Result<Followed> {
        let file = reading::open(path, Links::Own)?;
        let meta = file.metadata()?;
        let (reader, file) = reader(file)?;
        let lines = Lines::new(reader).of_file(file.as_ref().map(File::try_clone).transpose()?);
        Ok(Followed { path: path.to_owned(), inode: meta.ino(), size: meta.len(), lines, file })
    }

    /// Says how much was no line of an event; gives 1 where that was something.
    fn say_passed_over(&mut self) -> usize {
        let bytes = self.lines.passed_over();
        if bytes > 0 {
            crate::complain(format_args!("{}: {bytes} bytes are not lines of events; skipped", self.path.display()));
        }
        usize::from(bytes > 0)
    }

    /// Goes on with the file that has the path now, where that is another one or was truncated.
    fn reopen(&mut self, line: Line<'_>) {
        let Some(file) = &mut self.file else { return };
        let (Ok(now), Ok(own)) = (std::fs::metadata(&self.path), file.metadata()) else { return };
        let read = file.stream_position().unwrap_or(0);
        let replaced = (now.dev(), now.ino()) != (own.dev(), own.ino()) || now.len() < read;
        if replaced && let Ok((next, file)) = reading::open(&self.path, Links::Own).and_then(reader) {
            // What was written to the old one since is still read.
            let _ = self.lines.read(line);
            self.lines.go_on_with(next, file.as_ref().and_then(|file| file.try_clone().ok()));
            self.file = file;
        }
    }
}

/// What reads a file, by its first bytes.
fn reader(mut file: File) -> std::io::Result<(Box<dyn BufRead>, Option<File>)> {
    let mut head = [0; 6];
    let mut got = 0;
    while got < head.len() {
        match file.read(&mut head[got..])? {
            0 => break,
            more => got += more,
        }
    }
    let invalid = |error: &dyn std::fmt::Display| std::io::Error::new(ErrorKind::InvalidData, error.to_string());
    let max = file.metadata()?.len().saturating_mul(EXPANDED_TIMES).max(EXPANDED_FREE);
    let head = &head[..got];
    if !file.metadata()?.is_file() {
        // A pipe of the caller's own cannot go back.
        return Ok((Box::new(std::io::Cursor::new(head.to_vec()).chain(BufReader::new(file))), None));
    }
    file.rewind()?;
    Ok(match head {
        [0x1f, 0x8b, ..] => (Expanded::of(flate2::read::MultiGzDecoder::new(file), max), None),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(BufReader::new(file));
            (Expanded::of(decoder.map_err(|error| invalid(&error))?, max), None)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            (Expanded::of(lzma_rust2::XzReader::new_mem_limit(BufReader::new(file), true, XZ_MEMORY), max), None)
        }
        [b'B', b'Z', b'h', ..] => return Err(invalid(&"it is compressed by bzip2: decompress it first (bunzip2)")),
        _ => (Box::new(BufReader::new(file.try_clone()?)), Some(file)),
    })
}

/// What a decoder gives, with a bound, and nothing after an error.
struct Expanded<D> {
    decoder: D,
    left: u64,
    has_failed: bool,
}

impl<D: Read + 'static> Expanded<D> {
    fn of(decoder: D, max: u64) -> Box<dyn BufRead> {
        Box::new(BufReader::new(Expanded { decoder, left: max, has_failed: false }))
    }
}

impl<D: Read> Read for Expanded<D> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.has_failed {
            return Ok(0);
        }
        let read = self.decoder.read(buffer);
        self.left = self.left.saturating_sub(read.as_ref().map_or(0, |read| *read as u64));
        let read = match self.left {
            0 => Err(std::io::Error::new(
                ErrorKind::FileTooLarge,
                format!(
                    "it expands to more than {EXPANDED_TIMES} times its size: look at what it is before you decompress it"
                ),
            )),
            _ => read,
        };
        self.has_failed = read.as_ref().is_err_and(|error| error.kind() != ErrorKind::Interrupted);
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(files: &[PathBuf], rotated: bool) -> Vec<String> {
        let mut lines = Vec::new();
        read_all(files, rotated, false, &mut |_, _, line| {
            if !line.is_empty() {
                lines.push(String::from_utf8_lossy(line).trim_end().to_owned());
            }
        })
        .unwrap();
        lines
    }

    #[test]
    fn rotated_and_compressed_files_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        xz.write_all(b"1\n").unwrap();
        let xz = xz.finish().unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(&b"2\n"[..], ruzstd::encoding::CompressionLevel::Fastest);
        let files: [(&str, Vec<u8>); 5] = [
            ("events.jsonl-20261120.xz", xz),
            ("events.jsonl.3.zst", zstd),
            ("events.jsonl.2.gz", [gzip("3\n"), gzip("4\n")].concat()),
            ("events.jsonl.1", b"5\n6".to_vec()),
            ("events.jsonl", b"7\n8\n".to_vec()),
        ];
        for (age, (name, bytes)) in files.iter().enumerate() {
            let mut file = File::create(folder.path().join(name)).unwrap();
            file.write_all(bytes).unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + age as u64);
            file.set_modified(time).unwrap();
        }
        std::fs::write(folder.path().join("events.jsonl.bak"), "no\n").unwrap();
        assert_eq!(read(std::slice::from_ref(&path), true), ["1", "2", "3", "4", "5", "6", "7", "8"]);
        assert_eq!(read(&[path], false), ["7", "8"]);
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.gz");
        let longest = crate::log::lines::LINE_MAX;
        std::fs::write(&path, gzip(&"x".repeat(3 * longest))).unwrap();
        assert_eq!(read(&[path], false)[0].len(), longest);
    }
}
