//! A record of each event, in a file beyond a bound.

use portcullis_story::Spill;

/// How many bytes a record has.
const SIZE: usize = 41;

/// What is kept of an event: numbers of what many have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its request, or its tree of programs.
    pub group: u64,
    /// Seconds since 1970; the lowest where it is not known.
    pub when: i64,
    /// What it is about.
    pub what: u32,
    /// Its virtual host, script and document root.
    pub place: u32,
    /// Its client; 0 for none.
    pub client: u32,
    /// The programs that led to it.
    pub chain: u32,
    /// The reason why no application causes it; 0 where one may.
    pub grave: u32,
    /// How many calls it stands for.
    pub calls: u32,
    /// It is to be learnt from.
    pub is_chosen: bool,
    /// It is no event, but calls that were merged into one.
    pub is_merged: bool,
}

impl Record {
    /// A record of an event with nothing known.
    pub fn at(when: Option<i64>) -> Record {
        Record {
            group: 0,
            when: when.unwrap_or(i64::MIN),
            what: 0,
            place: 0,
            client: 0,
            chain: 0,
            grave: 0,
            calls: 0,
            is_chosen: false,
            is_merged: false,
        }
    }

    /// Seconds since 1970.
    pub fn when(&self) -> Option<i64> {
        (self.when != i64::MIN).then_some(self.when)
    }

    fn bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&self.group.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.when.to_le_bytes());
        let numbers = [self.what, self.place, self.client, self.chain, self.grave, self.calls];
        for (to, number) in bytes[16..40].as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
            *to = number.to_le_bytes();
        }
        bytes[40] = u8::from(self.is_chosen) | u8::from(self.is_merged) << 1;
        bytes
    }

    fn of(bytes: &[u8; SIZE]) -> Record {
        let long = |at: usize| std::array::from_fn(|byte| bytes[at + byte]);
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[16 + at * 4 + byte]));
        Record {
            group: u64::from_le_bytes(long(0)),
            when: i64::from_le_bytes(long(8)),
            what: number(0),
            place: number(1),
            client: number(2),
            chain: number(3),
            grave: number(4),
            calls: number(5),
            is_chosen: bytes[40] & 1 != 0,
            is_merged: bytes[40] & 2 != 0,
        }
    }
}

/// All of them, in order.
#[derive(Default)]
pub struct Records {
    all: Spill<SIZE>,
    /// Why not all could be kept.
    failed: Option<String>,
}

impl Records {
    /// Adds one.
    pub fn push(&mut self, record: &Record) {
        if self.failed.is_none()
            && let Err(error) = self.all.push(&record.bytes())
        {
            self.failed = Some(why(&error));
        }
    }

    /// Calls `each` with all of them.
    pub fn each(&mut self, each: &mut dyn FnMut(&Record)) -> Result<(), String> {
        match &self.failed {
            Some(why) => Err(why.clone()),
            None => self.all.each(&mut |bytes| each(&Record::of(bytes))).map_err(|error| why(&error)),
        }
    }
}

fn why(error: &std::io::Error) -> String {
    format!(
        "cannot keep the records of events in {}: {error}; help: TMPDIR names another directory",
        portcullis_story::spill_folder().display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for (when, flag) in [(None, false), (Some(-7), true), (Some(i64::MAX), false)] {
            let record = Record {
                group: u64::MAX - 1,
                what: 1,
                place: u32::MAX,
                client: 3,
                chain: 4,
                grave: 5,
                calls: 6 << 20,
                is_chosen: flag,
                is_merged: !flag,
                ..Record::at(when)
            };
            assert_eq!(Record::of(&record.bytes()), record);
            assert_eq!(Record::of(&record.bytes()).when(), when);
        }
    }
}
