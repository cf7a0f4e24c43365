//! The arguments of a program that is about to be started.

use crate::sys::Reader;
use crate::sys::Vector;

/// How many words a command may have that `allow` can name.
const WORDS: usize = 48;
/// The longest word and the longest command text that are compared with `allow`, in bytes.
const WORD_MAX: usize = portcullis_policy::command::TOKEN_MAX + 1;
const COMMAND_MAX: usize = 16 * 1024;

/// The arguments of a program, as far as they are looked at.
pub struct Arguments<'a> {
    words: [&'a [u8]; WORDS],
    /// How many there are, counted up to a bound.
    pub count: usize,
    /// The whole third or fourth word, where a command text stands.
    text: [Option<&'a [u8]>; 2],
}

/// Arguments beyond this number are not counted.
const COUNT_MAX: usize = 100_000;

impl<'a> Arguments<'a> {
    pub fn none() -> Arguments<'a> {
        Arguments { words: [b""; WORDS], count: 0, text: [None; 2] }
    }

    /// These, of a program that has begun.
    pub fn of(words: &[&'a [u8]]) -> Arguments<'a> {
        let mut arguments = Arguments::none();
        arguments.count = words.len();
        arguments.words.iter_mut().zip(words).for_each(|(to, word)| *to = word);
        arguments
    }

    pub fn read(strings: &'a Reader, argv: Vector) -> Option<Arguments<'a>> {
        let mut arguments = Arguments::none();
        if argv.is_null() {
            return Some(arguments);
        }
        let vector = Reader::default();
        while arguments.count < COUNT_MAX {
            let argument = vector.pointer(argv, arguments.count)?;
            if argument.is_null() {
                break;
            }
            if let Some(to) = arguments.words.get_mut(arguments.count) {
                *to = strings.string(argument, WORD_MAX)?;
            }
            if let Some(to) = arguments.count.checked_sub(2).and_then(|at| arguments.text.get_mut(at)) {
                *to = strings.string(argument, COMMAND_MAX).filter(|text| text.len() < COMMAND_MAX);
            }
            arguments.count = arguments.count.wrapping_add(1);
        }
        Some(arguments)
    }

    /// The arguments with another first one, and as if there were one at least.
    pub fn with_first(&self, first: &'a [u8]) -> ([&'a [u8]; WORDS], usize) {
        let mut words = self.words;
        words[0] = first;
        (words, self.count.max(1))
    }

    /// The arguments, at most as many as are kept.
    pub fn words(&self) -> &[&'a [u8]] {
        self.words.get(..self.count).unwrap_or(&self.words)
    }

    fn word(&self, index: usize) -> &'a [u8] {
        self.words.get(index).copied().unwrap_or_default()
    }

    /// The text of `SHELL -c TEXT` or `SHELL -c -- TEXT`, where there is nothing more. Outside: the call is of that
    /// form. Inside: the text, unless it is too long.
    pub fn command(&self) -> Option<Option<&'a [u8]>> {
        match self.count {
            3 if self.word(1) == b"-c" => Some(self.text[0]),
            4 if self.word(1) == b"-c" && self.word(2) == b"--" => Some(self.text[1]),
            _ => None,
        }
    }
}
