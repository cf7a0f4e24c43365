//! Events out of files: compressed ones, rotated ones, and those that still grow.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The longest line, in bytes; what is longer is no event, and is cut.
const LINE_MAX: usize = 1 << 20;

type Line<'l> = &'l mut dyn FnMut(&[u8]);

/// Reads the files, each after those that it was rotated to where `rotated` says so.
pub fn read_all(files: &[PathBuf], rotated: bool, follow: bool, line: Line<'_>) -> Result<(), String> {
    let failed = |path: &Path, error: &std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut open = Vec::new();
    for path in files {
        if rotated {
            for older in rotations(path) {
                let mut followed = Followed::open(&older).map_err(|error| failed(&older, &error))?;
                followed.lines(line).map_err(|error| failed(&older, &error))?;
                line(&followed.partial);
            }
        }
        let mut followed = Followed::open(path).map_err(|error| failed(path, &error))?;
        followed.lines(line).map_err(|error| failed(path, &error))?;
        open.push(followed);
    }
    if follow {
        loop {
            std::thread::sleep(LOOK);
            for followed in &mut open {
                followed.lines(line).map_err(|error| failed(&followed.path, &error))?;
                followed.reopen();
            }
        }
    }
    for followed in &open {
        line(&followed.partial);
    }
    Ok(())
}

/// Reads what came since `place`, an inode and how much of it was read, and moves it on; lines without an end stay for the next
/// time. Where that file was rotated away, what it and those after it have is read before.
pub fn read_from(path: &Path, place: &mut Option<(u64, u64)>, line: Line<'_>) -> Result<(), String> {
    let inode = |path: &Path| std::fs::metadata(path).map(|meta| meta.ino()).ok();
    let files: Vec<PathBuf> = rotations(path).into_iter().chain([path.to_owned()]).collect();
    let first = place.and_then(|(last, _)| files.iter().position(|file| inode(file) == Some(last)));
    // Without an earlier place, all that is there; where the earlier file is gone, what is new for certain.
    let first = first.unwrap_or(if place.is_none() { 0 } else { files.len() - 1 });
    for file in &files[first..] {
        let failed = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
        let mut followed = match Followed::open(file) {
            Err(error) if error.kind() == ErrorKind::NotFound && file == path => return Ok(()),
            opened => opened.map_err(failed)?,
        };
        let (number, size) = (inode(file), std::fs::metadata(file).map_or(0, |meta| meta.len()));
        // Of the file that was read last, what was read; a compressed one is read from its start.
        let read = place.filter(|(last, read)| number == Some(*last) && *read <= size).map(|(_, read)| read);
        let mut at = 0;
        if let (Some(read), Some(file)) = (read, &mut followed.file) {
            // The reader has its own handle on the same place.
            at = file.seek(std::io::SeekFrom::Start(read)).map_err(failed)?;
        }
        followed
            .lines(&mut |text| {
                at += text.len() as u64;
                line(text);
            })
            .map_err(failed)?;
        *place = number.map(|number| (number, at));
    }
    Ok(())
}

/// The files that `path` was rotated to, the oldest first: `PATH.1`, `PATH.2.gz`, `PATH-20261124.zst` and the like.
fn rotations(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_rotation = |other: &str| {
        let Some(rest) = other.strip_prefix(&name) else { return false };
        let rest = [".gz", ".xz", ".zst"].iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
        let number = rest.strip_prefix(['.', '-']).unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    let mut found: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_rotation))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    // Of two of one moment, the higher number is the older.
    found.sort_by(|(one, first), (other, second)| one.cmp(other).then_with(|| second.cmp(first)));
    found.into_iter().map(|(_, path)| path).collect()
}

/// A file that may grow, and may be rotated.
struct Followed {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    /// The file itself, where it is not compressed.
    file: Option<File>,
    /// A line whose end is not written yet.
    partial: Vec<u8>,
}

impl Followed {
    fn open(path: &Path) -> std::io::Result<Followed> {
        let (reader, file) = reader(File::open(path)?)?;
        Ok(Followed { path: path.to_owned(), reader, file, partial: Vec::new() })
    }

    fn lines(&mut self, line: Line<'_>) -> std::io::Result<()> {
        loop {
            let got = match self.reader.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = got.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(got.len(), |end| end + 1);
            let room = LINE_MAX.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&got[..taken.min(room)]);
            self.reader.consume(taken);
            if end.is_some() {
                line(&std::mem::take(&mut self.partial));
            }
        }
    }

    /// Goes on with the file that has the path now, where that is another one or was truncated.
    fn reopen(&mut self) {
        let Some(file) = &mut self.file else { return };
        let (Ok(now), Ok(own)) = (std::fs::metadata(&self.path), file.metadata()) else { return };
        let read = file.stream_position().unwrap_or(0);
        let replaced = (now.dev(), now.ino()) != (own.dev(), own.ino()) || now.len() < read;
        if replaced && let Ok(next) = File::open(&self.path).and_then(reader) {
            // What was written to the old one since is still read.
            let mut rest = Vec::new();
            let _ = self.reader.read_to_end(&mut rest);
            self.partial.extend(rest);
            (self.reader, self.file) = next;
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
    file.rewind()?;
    let invalid = |error: &dyn std::fmt::Display| std::io::Error::new(ErrorKind::InvalidData, error.to_string());
    Ok(match &head[..got] {
        [0x1f, 0x8b, ..] => (Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file))), None),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(BufReader::new(file));
            (Box::new(BufReader::new(decoder.map_err(|error| invalid(&error))?)), None)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let mut out = Vec::new();
            lzma_rs::xz_decompress(&mut BufReader::new(file), &mut out)
                .map_err(|error| invalid(&format!("{error:?}")))?;
            (Box::new(std::io::Cursor::new(out)), None)
        }
        [b'B', b'Z', b'h', ..] => return Err(invalid(&"it is compressed by bzip2: decompress it first (bunzip2)")),
        _ => (Box::new(BufReader::new(file.try_clone()?)), Some(file)),
    })
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
        read_all(files, rotated, false, &mut |line| {
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
        let mut xz = Vec::new();
        lzma_rs::xz_compress(&mut &b"1\n"[..], &mut xz).unwrap();
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
        std::fs::write(&path, gzip(&"x".repeat(3 * LINE_MAX))).unwrap();
        assert_eq!(read(&[path], false)[0].len(), LINE_MAX);
    }
}
