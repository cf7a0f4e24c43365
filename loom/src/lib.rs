//! Models of the guard's lock-free parts.
#![cfg(loom)]

#[path = "../../src/memory/seqlock.rs"]
pub mod seqlock;
#[path = "../../src/report/merge/table.rs"]
pub mod table;

#[cfg(test)]
mod merging;

#[cfg(test)]
mod tests {
    use super::seqlock::Words;
    use loom::sync::Arc;
    use loom::sync::atomic::Ordering;
    use loom::thread;

    /// What a reader finds: what was there at first, or what one writer wrote; never a part of each.
    fn read(words: &Words<2>) -> Option<[u64; 2]> {
        words.read(|words| [words[0].load(Ordering::Relaxed), words[1].load(Ordering::Relaxed)])
    }

    #[test]
    fn a_reader_never_finds_a_part_of_what_was_written() {
        loom::model(|| {
            let words = Arc::new(Words::<2>::new());
            let writer = {
                let words = Arc::clone(&words);
                thread::spawn(move || {
                    words.write([1, 1]);
                    words.write([2, 2]);
                })
            };
            if let Some(found) = read(&words) {
                assert!([[0, 0], [1, 1], [2, 2]].contains(&found), "{found:?}");
            }
            writer.join().unwrap();
            assert_eq!(read(&words), Some([2, 2]));
        });
    }

    #[test]
    fn of_two_writers_one_goes_without_and_neither_mixes() {
        loom::model(|| {
            let words = Arc::new(Words::<2>::new());
            let writers = [1, 2].map(|number| {
                let words = Arc::clone(&words);
                thread::spawn(move || words.write([number, number]))
            });
            if let Some(found) = read(&words) {
                assert!([[0, 0], [1, 1], [2, 2]].contains(&found), "{found:?}");
            }
            let wrote = writers.map(|writer| writer.join().unwrap());
            assert!(wrote.contains(&true));
            let last = read(&words);
            assert!([Some([1, 1]), Some([2, 2])].contains(&last), "{last:?}");
        });
    }
}
