//! Events out of files: compressed ones, rotated ones, and those that still grow.
//!
//! Whoever may write to the log, or to its folder, may write anything there: each file has a bound in what it expands to, each line
//! in its length, and what is no regular file is not read.

use super::copies::Copies;
use super::decode::{self, Source};
use super::lines::Lines;
use super::{Error, Item, Log, Meter, Wanted, events_of};
use portcullis_config::reading::{self, Links};
use std::fs::File;
use std::io::{BufRead, ErrorKind, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The most entries of a log's folder, and the most files that a log was rotated to.
const ENTRIES_MAX: usize = 100_000;
const ROTATED_MAX: usize = 1000;
/// How much of the log one call of [`read_from`] reads, about: the next one goes on.
const ONCE_MAX: u64 = 512 << 20;

type Each<'e> = &'e mut dyn FnMut(Item<'_>);

/// Reads the files of a log, each after those that it was rotated to where `rotated` says so; with `follow` also what comes.
pub fn read_all(log: &Log<'_>, follow: bool, each: Each<'_>) -> Result<(), Error> {
    let mut open = Vec::new();
    for (part, path) in log.files.iter().enumerate() {
        let older = if log.rotated { rotations(path) } else { Ok(Vec::new()) };
        for older in older.map_err(|error| Error::of(path, error))? {
            // Anybody may have left one there: the others are read all the same.
            let read = Followed::open(&older, &log.meter, None).and_then(|mut followed| {
                followed.wanted = log.wanted;
                let read = followed.read(part, each);
                followed.end(part, each);
                read
            });
            if let Err(error) = read {
                each(Item::Unreadable(Error::of(older, error)));
            }
        }
        let copies = log.copies.filter(|_| !follow).map(|copies| (copies, part));
        let mut followed = match Followed::open(path, &log.meter, copies) {
            Ok(followed) => followed,
            Err(error) if follow || log.files.len() == 1 => return Err(Error::of(path, error)),
            // Whoever spoils one of several files hides none of the others.
            Err(error) => {
                each(Item::Unreadable(Error::of(path, error)));
                continue;
            }
        };
        followed.wanted = log.wanted;
        match followed.read(part, each) {
            Err(error) if follow => return Err(Error::of(path, error)),
            Err(error) => each(Item::Unreadable(Error::of(path, error))),
            Ok(()) => {}
        }
        match follow {
            true => open.push(followed),
            false => followed.end(part, each),
        }
    }
    if !follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(LOOK);
        for (part, followed) in open.iter_mut().enumerate() {
            followed.read(part, each).map_err(|error| Error::of(&followed.path, error))?;
            followed.reopen(part, &log.meter, each);
        }
    }
}

/// Reads what came since `place`, an inode and how much of it was read, and moves it on; lines without an end stay for the next
/// time. Where that file was rotated away, what it and those after it have is read before. A file that cannot be read is passed over,
/// and comes as an [`Item`].
pub fn read_from(path: &Path, place: &mut Option<(u64, u64)>, each: Each<'_>) -> Result<(), Error> {
    let inode = |path: &Path| std::fs::metadata(path).map(|meta| meta.ino()).ok();
    let older = rotations(path).map_err(|error| Error::of(path, error))?;
    let files: Vec<PathBuf> = older.into_iter().chain([path.to_owned()]).collect();
    let first = place.and_then(|(last, _)| files.iter().position(|file| inode(file) == Some(last)));
    // Without an earlier place, all that is there; where the earlier file is gone, what is new for certain.
    let first = first.unwrap_or(if place.is_none() { 0 } else { files.len() - 1 });
    let mut all = 0;
    for file in &files[first..] {
        let mut followed = match Followed::open(file, &Meter::default(), None) {
            Err(error) if error.kind() == ErrorKind::NotFound && file == path => return Ok(()),
            Err(error) => {
                each(Item::Unreadable(Error::of(file, error)));
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
            at = file.seek(std::io::SeekFrom::Start(read)).map_err(|error| Error::of(path, error))?;
        }
        if followed.file.is_some() {
            followed.lines.stop_after(ONCE_MAX);
        }
        let begun = at;
        if let Err(error) = followed.read(0, each) {
            each(Item::Unreadable(Error::of(file, error)));
        }
        at += followed.lines.taken();
        *place = Some((number, at));
        all += at - begun;
        if all >= ONCE_MAX {
            break;
        }
    }
    Ok(())
}

/// The files that `path` was rotated to, the oldest first: `PATH.1`, `PATH.2.gz`, `PATH-20261124.zst` and the like.
pub fn rotations(path: &Path) -> std::io::Result<Vec<PathBuf>> {
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
struct Followed<'w> {
    path: PathBuf,
    inode: u64,
    size: u64,
    lines: Lines<Box<dyn BufRead>>,
    /// The file itself, where it is not compressed.
    file: Option<File>,
    wanted: Option<Wanted<'w>>,
}

impl<'w> Followed<'w> {
    fn open(path: &Path, meter: &Meter, copies: Option<(&Copies, usize)>) -> std::io::Result<Followed<'w>> {
        let file = reading::open(path, Links::Own)?;
        let meta = file.metadata()?;
        let Source { reader, file } = decode::source(file, meter, copies)?;
        let lines = Lines::new(reader).of_file(file.as_ref().map(File::try_clone).transpose()?);
        Ok(Followed { path: path.to_owned(), inode: meta.ino(), size: meta.len(), lines, file, wanted: None })
    }

    /// Reads the whole lines that are there.
    fn read(&mut self, part: usize, each: Each<'_>) -> std::io::Result<()> {
        let (path, number, wanted) = (&self.path, self.lines.number(), self.wanted);
        let read = self.lines.read(&mut |line| {
            if wanted.is_none_or(|is_wanted| is_wanted(line)) {
                events_of(part, path, number.get(), line, each);
            }
        });
        let bytes = self.lines.passed_over();
        if bytes > 0 {
            each(Item::Skipped { path, bytes });
        }
        read
    }

    /// Reads what has no end of a line.
    fn end(&mut self, part: usize, each: Each<'_>) {
        let (path, number, wanted) = (&self.path, self.lines.number(), self.wanted);
        self.lines.end(&mut |line| {
            if wanted.is_none_or(|is_wanted| is_wanted(line)) {
                events_of(part, path, number.get(), line, each);
            }
        });
    }

    /// Goes on with the file that has the path now, where that is another one or was truncated.
    fn reopen(&mut self, part: usize, meter: &Meter, each: Each<'_>) {
        let Some(file) = &mut self.file else { return };
        let (Ok(now), Ok(own)) = (std::fs::metadata(&self.path), file.metadata()) else { return };
        let read = file.stream_position().unwrap_or(0);
        let replaced = (now.dev(), now.ino()) != (own.dev(), own.ino()) || now.len() < read;
        let next = |file| decode::source(file, meter, None);
        if replaced && let Ok(Source { reader, file }) = reading::open(&self.path, Links::Own).and_then(next) {
            // What was written to the old one since is still read.
            if let Err(error) = self.read(part, each) {
                each(Item::Unreadable(Error::of(&self.path, error)));
            }
            self.lines.go_on_with(reader, file.as_ref().and_then(|file| file.try_clone().ok()));
            self.file = file;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::CompressionLevel;
    use std::io::Write;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// The messages of the events.
    fn read(files: &[PathBuf], rotated: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let log = Log { rotated, ..Log::of_files(files.to_vec()) };
        log.read(&mut |item| match item {
            Item::Event(event) => lines.push(event.text(portcullis_event::field::MESSAGE).to_owned()),
            Item::Wrong { place, why } => panic!("{place}: {why}"),
            Item::Skipped { path, bytes } => panic!("{}: {bytes}", path.display()),
            Item::Unreadable(error) => panic!("{error}"),
        })
        .unwrap();
        let size: u64 = log.size().unwrap();
        assert_eq!(log.meter.bytes(), size);
        lines
    }

    #[test]
    fn rotated_and_compressed_files_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let line = |number: u32| format!("{{\"rule\":{{\"id\":\"x\"}},\"message\":\"{number}\"}}\n");
        let gzip = |number| gzip(&line(number));
        let zstd = |number| ruzstd::encoding::compress_to_vec(line(number).as_bytes(), CompressionLevel::Fastest);
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        xz.write_all(line(1).as_bytes()).unwrap();
        let xz = xz.finish().unwrap();
        // A frame that is passed over is between two others.
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        let files: [(&str, Vec<u8>); 5] = [
            ("events.jsonl-20261120.xz", xz),
            ("events.jsonl.4.zst", [zstd(2), skipped, zstd(3)].concat()),
            ("events.jsonl.2.gz", [gzip(4), gzip(5)].concat()),
            ("events.jsonl.1", (line(6) + line(7).trim_end()).into_bytes()),
            ("events.jsonl", (line(8) + &line(9)).into_bytes()),
        ];
        for (age, (name, bytes)) in files.iter().enumerate() {
            let mut file = File::create(folder.path().join(name)).unwrap();
            file.write_all(bytes).unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + age as u64);
            file.set_modified(time).unwrap();
        }
        std::fs::write(folder.path().join("events.jsonl.bak"), "no\n").unwrap();
        assert_eq!(read(std::slice::from_ref(&path), true), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert_eq!(read(&[path], false), ["8", "9"]);
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.gz");
        let longest = super::super::lines::LINE_MAX;
        std::fs::write(&path, gzip(&"x".repeat(3 * longest))).unwrap();
        let mut found = Vec::new();
        let log = Log::of_files(vec![path.clone()]);
        log.read(&mut |item| match item {
            Item::Wrong { place, .. } => found.push(place.to_string()),
            Item::Skipped { bytes, .. } => found.push(bytes.to_string()),
            Item::Event(_) | Item::Unreadable(_) => found.push("else".to_owned()),
        })
        .unwrap();
        assert_eq!(found, [(2 * longest).to_string(), format!("{}:1", path.display())]);
    }
}
