//! A JSON writer that keeps a fixed buffer valid: strings are cut to a bound, any bytes come out as UTF-8.

use crate::digits::{decimal, hex_digit, hexadecimal};
use crate::format_characters::is_format;
use crate::{EVENT_MAX, address};
use arrayvec::ArrayVec;

/// Where a string was cut.
const ELLIPSIS: &[u8] = "\u{2026}".as_bytes();

/// Room for an encoded event, which is not cleared beforehand: that would cost as much as the encoding.
pub type Line = ArrayVec<u8, EVENT_MAX>;

/// The writer. What does not fit is left out; the caller bounds its strings so that nothing is.
pub struct Json<'b> {
    buffer: &'b mut Line,
    comma: bool,
}

/// A member's name with its punctuation, as [`name!`](crate::name) makes it: `,"NAME":`.
#[derive(Clone, Copy)]
pub struct MemberName(#[doc(hidden)] pub &'static str);

/// A member's name for [`Json::key`].
#[macro_export]
macro_rules! name {
    ($name:literal) => {
        $crate::MemberName(concat!(",\"", $name, "\":"))
    };
}

impl<'b> Json<'b> {
    /// Writes into `buffer`.
    pub fn new(buffer: &'b mut Line) -> Json<'b> {
        Json { buffer, comma: false }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        self.buffer
    }

    /// Bytes that are JSON already.
    #[inline(never)]
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.buffer.try_extend_from_slice(bytes);
    }

    /// One byte that is JSON already.
    pub(crate) fn byte(&mut self, byte: u8) {
        let _ = self.buffer.try_push(byte);
    }

    pub(crate) fn separate(&mut self) {
        if self.comma {
            self.byte(b',');
        }
        self.comma = true;
    }

    /// Opens an object, an array or a string: `{`, `[` or `"`.
    #[inline(never)]
    pub fn open(&mut self, bracket: u8) {
        self.separate();
        self.byte(bracket);
        self.comma = false;
    }

    /// Closes it.
    #[inline(never)]
    pub fn close(&mut self, bracket: u8) {
        self.byte(bracket);
        self.comma = true;
    }

    /// A member's name.
    #[inline(never)]
    pub fn key(&mut self, name: MemberName) {
        self.constant(name.0);
        self.comma = false;
    }

    /// Members or values that are always the same, with a comma before the first, which stays out where nothing is before it.
    #[inline(never)]
    pub fn constant(&mut self, members: &'static str) {
        let members = members.as_bytes();
        self.raw(if self.comma { members } else { members.get(1..).unwrap_or_default() });
        self.comma = true;
    }

    /// A number.
    #[inline(never)]
    pub fn number(&mut self, number: u64) {
        self.separate();
        self.digits(number, 1);
    }

    /// A truth value.
    pub fn boolean(&mut self, value: bool) {
        self.separate();
        self.raw(if value { b"true" } else { b"false" });
    }

    /// At least `width` decimal digits.
    pub(crate) fn digits(&mut self, number: u64, width: usize) {
        decimal(number, width, |digits| self.raw(digits));
    }

    /// A number in 16 hexadecimal digits, as a part of a string.
    pub fn hex(&mut self, number: u64) {
        hexadecimal(number, |digits| self.raw(digits));
    }

    /// A string of at most `max` bytes as encoded, cut at a character with an ellipsis.
    #[inline(never)]
    pub fn string(&mut self, bytes: &[u8], max: usize) {
        self.separate();
        self.byte(b'"');
        self.text(bytes, max);
        self.byte(b'"');
    }

    /// A word of this program's own, in which nothing is escaped.
    #[inline(never)]
    pub fn word(&mut self, word: &'static str) {
        debug_assert!(is_plain(word.as_bytes()));
        self.separate();
        self.byte(b'"');
        self.raw(word.as_bytes());
        self.byte(b'"');
    }

    /// The inside of a string: at most `max` bytes as encoded; what is not UTF-8 as U+FFFD. Gives what is left of `max`.
    #[inline(never)]
    pub fn text(&mut self, bytes: &[u8], max: usize) -> usize {
        // Most text is plain and goes over as a whole. One that fills its bound may have been cut before.
        if bytes.len() <= max.saturating_sub(ELLIPSIS.len()) && is_plain(bytes) {
            self.raw(bytes);
            return max.wrapping_sub(bytes.len());
        }
        let mut left = max;
        for chunk in bytes.utf8_chunks() {
            let mut rest = chunk.valid();
            loop {
                let plain = rest
                    .bytes()
                    .take_while(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
                    .count();
                if plain > 0 && plain <= left.saturating_sub(ELLIPSIS.len()) {
                    self.raw(rest.as_bytes().get(..plain).unwrap_or_default());
                    left = left.wrapping_sub(plain);
                    rest = rest.get(plain..).unwrap_or_default();
                }
                let mut characters = rest.chars();
                let Some(character) = characters.next() else { break };
                if !self.character(character, &mut left) {
                    return 0;
                }
                rest = characters.as_str();
            }
            if !chunk.invalid().is_empty() && !self.bounded("\u{fffd}".as_bytes(), &mut left) {
                return 0;
            }
        }
        left
    }

    /// One character, escaped where JSON or a terminal needs that; false where it did not fit.
    fn character(&mut self, character: char, left: &mut usize) -> bool {
        let mut utf8 = [0; 4];
        let mut escapes = [[0; 6]; 2];
        let encoded: &[u8] = match character {
            '"' => b"\\\"",
            '\\' => b"\\\\",
            '\n' => b"\\n",
            '\r' => b"\\r",
            '\t' => b"\\t",
            _ if character.is_control() || is_format(character) => {
                let mut units = [0; 2];
                let units = character.encode_utf16(&mut units);
                for (escape, unit) in escapes.iter_mut().zip(&*units) {
                    let [high, low] = unit.to_be_bytes();
                    let digit = hex_digit;
                    *escape = [b'\\', b'u', digit(high >> 4), digit(high & 15), digit(low >> 4), digit(low & 15)];
                }
                escapes.as_flattened().get(..units.len().wrapping_mul(6)).unwrap_or_default()
            }
            _ => character.encode_utf8(&mut utf8).as_bytes(),
        };
        self.bounded(encoded, left)
    }

    fn bounded(&mut self, encoded: &[u8], left: &mut usize) -> bool {
        if left.wrapping_sub(ELLIPSIS.len()) < encoded.len() || *left < ELLIPSIS.len() {
            self.raw(ELLIPSIS);
            return false;
        }
        self.raw(encoded);
        *left = left.wrapping_sub(encoded.len());
        true
    }

    /// An address as a string.
    pub fn ip(&mut self, ip: core::net::IpAddr) {
        self.separate();
        self.byte(b'"');
        self.ip_text(ip);
        self.byte(b'"');
    }

    /// An address as a part of a string.
    #[inline(never)]
    pub fn ip_text(&mut self, ip: core::net::IpAddr) {
        let mut buffer = [0; address::TEXT_MAX];
        self.raw(address::text(ip, &mut buffer));
    }

    /// A number as a part of a string.
    #[inline(never)]
    pub fn digits_text(&mut self, number: u64) {
        self.digits(number, 1);
    }
}

/// Whether text is printable ASCII in which nothing is escaped. Eight bytes at a time, the last eight perhaps twice: a byte
/// of `x - 1` borrows into its highest bit where it was 0, or 128 and more.
fn is_plain(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const fn each(byte: u8) -> u64 {
        ONES.wrapping_mul(byte as u64)
    }
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let odd = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        let below = word.wrapping_sub(each(b' ')) & !word;
        word | below | has_zero(word ^ each(b'"')) | has_zero(word ^ each(b'\\')) | has_zero(word ^ each(0x7f))
    };
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
    };
    let (words, _) = bytes.as_chunks();
    words.iter().fold(odd(last), |all, word| all | odd(word)) & HIGH == 0
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::string::String;

    fn written(write: impl FnOnce(&mut Json<'_>)) -> String {
        let mut buffer = Line::new();
        let mut json = Json::new(&mut buffer);
        write(&mut json);
        String::from_utf8(json.finish().to_vec()).unwrap()
    }

    #[test]
    fn each_byte_that_is_not_plain_is_found_at_each_place() {
        for byte in 0..=255_u8 {
            let plain = matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
            for at in 0..19 {
                for around in [b' ', b'a', b'~'] {
                    let mut text = [around; 19];
                    text[at] = byte;
                    assert_eq!(is_plain(&text), plain, "{byte} at {at}");
                }
            }
        }
    }

    #[test]
    fn a_text_that_fills_its_bound_is_cut_and_says_so() {
        assert_eq!(written(|json| json.string(b"abcdefgh", 8)), "\"abcde\u{2026}\"");
        assert_eq!(written(|json| json.string(b"abcde", 8)), "\"abcde\"");
    }

    #[test]
    fn what_changes_how_a_line_is_shown_is_escaped() {
        let text = "a\u{9b}\u{202e}\u{2028}\u{e0041}\u{e9}";
        let shown = "\"a\\u009b\\u202e\\u2028\\udb40\\udc41\u{e9}\"";
        assert_eq!(written(|json| json.string(text.as_bytes(), 100)), shown);
        assert_eq!(serde_json::from_str::<String>(shown).unwrap(), text);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_valid_string_within_its_bound(bytes in proptest::collection::vec(any::<u8>(), 0..300), max in 3_usize..200) {
            let text = written(|json| json.string(&bytes, max));
            prop_assert!(text.len() <= max + 2);
            prop_assert!(serde_json::from_str::<String>(&text).is_ok());
        }

        #[test]
        fn a_string_that_fits_comes_back(text in "\\PC{0,40}") {
            prop_assert_eq!(serde_json::from_str::<String>(&written(|json| json.string(text.as_bytes(), 2000))).unwrap(), text);
        }
    }
}
