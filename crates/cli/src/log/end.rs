//! Until when a log was written, by what nobody writes into it.

use super::Selection;
use portcullis_story::{End, Story};
use std::time::SystemTime;

impl Selection {
    /// What takes the events of the log: of files that are read to their ends, none is later than they were written.
    pub fn story(&self) -> Story {
        Story::default().until(self.end())
    }

    /// The same of a log that is followed.
    pub fn live_story() -> Story {
        Story::default().until(End::Now(0))
    }

    fn end(&self) -> End {
        let written = |file: &std::path::PathBuf| {
            let meta = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
            let at = meta.modified().ok()?.min(SystemTime::now()).duration_since(SystemTime::UNIX_EPOCH).ok()?;
            i64::try_from(at.as_nanos()).ok()
        };
        let all: Option<Vec<i64>> = self.files.iter().map(written).collect();
        all.and_then(|all| all.into_iter().max()).map_or(End::Now(0), End::At)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_ends_when_its_files_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ["a", "b"].map(|name| folder.path().join(name));
        let at = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        for (file, seconds) in files.iter().zip([1000, 2000]) {
            std::fs::File::create(file).and_then(|file| file.set_modified(at(seconds))).expect("a file");
        }
        let end = |files: &[std::path::PathBuf]| Selection { files: files.to_vec(), ..Selection::default() }.end();
        assert!(matches!(end(&files), End::At(2_000_000_000_000)));
        assert!(matches!(end(&[files[0].clone(), "/dev/stdin".into()]), End::Now(_)), "a pipe is written now");
        assert!(matches!(end(&[]), End::Now(_)));
    }
}
