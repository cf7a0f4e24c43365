//! A simple command, token by token: what a shell would make of it where nothing in it needs a shell.

/// The longest token that is matched, in bytes; a longer one is not simple.
pub const TOKEN_MAX: usize = 1024;

/// A command that is not simple: it has a metacharacter, a substitution, an assignment, a list, or a redirection that is none of
/// `REDIRECTIONS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSimple;

/// Words that begin a compound command or make a shell run text as code, so that a command beginning with one is not
/// simple.
const RESERVED: [&[u8]; 30] = [
    b"!",
    b"{",
    b"}",
    b"if",
    b"then",
    b"else",
    b"elif",
    b"fi",
    b"case",
    b"esac",
    b"for",
    b"while",
    b"until",
    b"do",
    b"done",
    b"in",
    b"function",
    b"select",
    b"time",
    b"coproc",
    b"eval",
    b"exec",
    b".",
    b"source",
    b"command",
    b"builtin",
    b"trap",
    b"alias",
    b"set",
    b"export",
];

/// The redirections that are part of a simple command: they begin before a blank and end before one, or with the text. Nothing is read
/// by them, and nothing written.
const REDIRECTIONS: [&[u8]; 5] = [b"2>&1", b">", b"1>", b"2>", b"<"];
/// Where the others of them lead; blanks may stand before it.
const NULL: &[u8] = b"/dev/null";

/// The tokens of a command text, or of an argument vector.
#[derive(Clone, Copy)]
pub struct Tokens<'a> {
    input: Input<'a>,
    at: usize,
    first: bool,
    /// Redirections are none of its tokens; otherwise it is not simple with one.
    redirects: bool,
}

#[derive(Clone, Copy)]
enum Input<'a> {
    Text(&'a [u8]),
    Words(&'a [&'a [u8]]),
}

impl<'a> Tokens<'a> {
    /// The tokens of a command text, as `sh -c` would split it.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Tokens<'a> {
        Tokens { input: Input::Text(text), at: 0, first: true, redirects: true }
    }

    /// The same for a shell that may take redirections for something else: to csh, `2>&1` is a word and a file of the name 1.
    #[must_use]
    pub fn without_redirections(text: &'a [u8]) -> Tokens<'a> {
        Tokens { redirects: false, ..Tokens::new(text) }
    }

    /// Words that are tokens already.
    #[must_use]
    pub fn words(words: &'a [&'a [u8]]) -> Tokens<'a> {
        Tokens { input: Input::Words(words), at: 0, first: true, redirects: false }
    }

    /// The next token, with its quotes removed, in `buffer`; `None` at the end.
    pub fn next<'b>(&mut self, buffer: &'b mut [u8; TOKEN_MAX]) -> Option<Result<&'b [u8], NotSimple>> {
        let mut sink = Sink { buffer, len: 0 };
        match self.input {
            Input::Words(words) => {
                let word = words.get(self.at)?;
                self.at = self.at.wrapping_add(1);
                for &byte in *word {
                    if sink.push(byte).is_err() {
                        return Some(Err(NotSimple));
                    }
                }
            }
            Input::Text(text) => match self.scan(text, &mut sink) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(NotSimple) => return Some(Err(NotSimple)),
            },
        }
        Some(sink.buffer.get(..sink.len).ok_or(NotSimple))
    }

    /// Reads one token of `text` into `sink`; false at the end.
    fn scan(&mut self, text: &[u8], sink: &mut Sink<'_>) -> Result<bool, NotSimple> {
        self.skip_blanks(text);
        while self.redirects && !self.first && self.skip_redirection(text) {
            self.skip_blanks(text);
        }
        let start = self.at;
        let mut quoted = false;
        while let Some(&byte) = text.get(self.at) {
            self.at = self.at.wrapping_add(1);
            match byte {
                b' ' | b'\t' => {
                    self.at = self.at.wrapping_sub(1);
                    break;
                }
                b'\'' => {
                    quoted = true;
                    self.quoted(text, b'\'', sink)?;
                }
                b'"' => {
                    quoted = true;
                    self.quoted(text, b'"', sink)?;
                }
                // In GBK, Big5 or Shift JIS it may be the second byte of a character, and quotes nothing then.
                b'\\' if self.at >= 2 && text.get(self.at.wrapping_sub(2)).is_some_and(|before| *before >= 0x80) => {
                    return Err(NotSimple);
                }
                b'\\' => {
                    quoted = true;
                    match text.get(self.at) {
                        Some(&next) if next != b'\n' && next != 0 => sink.push(next)?,
                        _ => return Err(NotSimple),
                    }
                    self.at = self.at.wrapping_add(1);
                }
                b'=' if self.first => return Err(NotSimple),
                b'#' | b'~' if self.at.wrapping_sub(1) == start => return Err(NotSimple),
                // bash expands it behind these, too, as in an assignment.
                b'~' if matches!(text.get(self.at.wrapping_sub(2)), Some(b'=' | b':')) => return Err(NotSimple),
                b'|' | b'&' | b';' | b'<' | b'>' | b'(' | b')' | b'$' | b'`' | b'*' | b'?' | b'[' | b'{' | b'}'
                | b'!' | b'^' | b'%' => return Err(NotSimple),
                0..=31 | 127 => return Err(NotSimple),
                _ => sink.push(byte)?,
            }
        }
        if self.at == start {
            return Ok(false);
        }
        if self.first {
            let word = sink.buffer.get(..sink.len).unwrap_or_default();
            if word.is_empty() || (!quoted && RESERVED.contains(&word)) {
                return Err(NotSimple);
            }
            self.first = false;
        }
        Ok(true)
    }

    fn skip_blanks(&mut self, text: &[u8]) {
        while let Some(b' ' | b'\t') = text.get(self.at) {
            self.at = self.at.wrapping_add(1);
        }
    }

    /// Reads a redirection, where a whole one is next; false where none is.
    fn skip_redirection(&mut self, text: &[u8]) -> bool {
        let rest = text.get(self.at..).unwrap_or_default();
        let Some((operator, mut rest)) = REDIRECTIONS.iter().find_map(|one| Some((*one, rest.strip_prefix(*one)?)))
        else {
            return false;
        };
        if operator.last() != Some(&b'1') {
            while let [b' ' | b'\t', behind @ ..] = rest {
                rest = behind;
            }
            let Some(behind) = rest.strip_prefix(NULL) else { return false };
            rest = behind;
        }
        let is_whole = matches!(rest, [] | [b' ' | b'\t', ..]);
        if is_whole {
            self.at = text.len().wrapping_sub(rest.len());
        }
        is_whole
    }

    fn quoted(&mut self, text: &[u8], quote: u8, sink: &mut Sink<'_>) -> Result<(), NotSimple> {
        loop {
            let byte = *text.get(self.at).ok_or(NotSimple)?;
            self.at = self.at.wrapping_add(1);
            match byte {
                _ if byte == quote => return Ok(()),
                b'$' | b'`' | b'\\' | b'!' if quote == b'"' => return Err(NotSimple),
                0 | b'\n' => return Err(NotSimple),
                _ => sink.push(byte)?,
            }
        }
    }
}

struct Sink<'b> {
    buffer: &'b mut [u8; TOKEN_MAX],
    len: usize,
}

impl Sink<'_> {
    fn push(&mut self, byte: u8) -> Result<(), NotSimple> {
        *self.buffer.get_mut(self.len).ok_or(NotSimple)? = byte;
        self.len = self.len.wrapping_add(1);
        Ok(())
    }
}

/// Whether `token` matches `pattern`, in which `*` stands for any bytes and `?` for one.
///
/// In the program's own token neither stands for a `/`, so that no folder can be left; and an argument that begins
/// with `-` is matched only by a pattern that begins with `-`, since options are how an allowed program is abused.
#[must_use]
pub fn glob(pattern: &[u8], token: &[u8], program: bool) -> bool {
    if token.first() == Some(&b'-') && pattern.first() != Some(&b'-') {
        return false;
    }
    let (mut p, mut t) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), token.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((p, t));
                p = p.wrapping_add(1);
                continue;
            }
            (Some(&want), Some(&have)) if want == have || (want == b'?' && !(program && have == b'/')) => {
                p = p.wrapping_add(1);
                t = t.wrapping_add(1);
                continue;
            }
            _ => {}
        }
        match star {
            Some((at, from)) if token.get(from).is_some_and(|&byte| !(program && byte == b'/')) => {
                star = Some((at, from.wrapping_add(1)));
                p = at.wrapping_add(1);
                t = from.wrapping_add(1);
            }
            _ => return false,
        }
    }
}

/// The hash under which a first token without a glob is found; never 0.
#[must_use]
pub fn token_hash(token: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for &byte in token {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash | 1
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn split(text: &[u8]) -> Result<Vec<Vec<u8>>, NotSimple> {
        let mut tokens = Tokens::new(text);
        let mut buffer = [0; TOKEN_MAX];
        let mut out = Vec::new();
        while let Some(token) = tokens.next(&mut buffer) {
            out.push(token?.to_vec());
        }
        Ok(out)
    }

    #[test]
    fn splits_what_is_simple() {
        assert_eq!(split(b"/usr/sbin/sendmail -t -i").unwrap().len(), 3);
        assert_eq!(split(b" a  'b c' \"d\"e f\\ g ").unwrap(), [&b"a"[..], b"b c", b"de", b"f g"]);
        assert_eq!(split(b"a ''").unwrap(), [&b"a"[..], b""]);
    }

    #[test]
    fn a_redirection_that_reads_and_writes_nothing_is_no_token() {
        for text in [
            "a b 2>&1",
            "a b >/dev/null",
            "a b 1>/dev/null",
            "a b 2>/dev/null",
            "a b </dev/null",
            "a b > /dev/null 2>&1",
            "a >/dev/null 2>&1 b",
            "a 2>&1 b",
            "a b \t2> \t/dev/null ",
            "a b </dev/null >/dev/null 2>&1",
        ] {
            assert_eq!(split(text.as_bytes()).unwrap(), [b"a", b"b"], "{text}");
            let mut tokens = Tokens::without_redirections(text.as_bytes());
            let mut buffer = [0; TOKEN_MAX];
            let tokens: Vec<bool> =
                core::iter::from_fn(|| tokens.next(&mut buffer).map(|token| token.is_err())).take(9).collect();
            assert!(tokens.contains(&true), "{text}");
        }
        assert_eq!(split(b"a 2 '2>&1' \\>/dev/null").unwrap(), [&b"a"[..], b"2", b"2>&1", b">/dev/null"]);
        let words: [&[u8]; 2] = [b"a", b"2>&1"];
        let (mut words, mut buffer) = (Tokens::words(&words), [0; TOKEN_MAX]);
        assert_eq!(words.next(&mut buffer), Some(Ok(&b"a"[..])));
        assert_eq!(words.next(&mut buffer), Some(Ok(&b"2>&1"[..])));
    }

    #[test]
    fn refuses_what_a_shell_would_do_more_with() {
        for text in [
            "a;b",
            "a|b",
            "a >b",
            "a 2>&1b",
            "a 2>&1;b",
            "a >/dev/null/../b",
            "a >/dev/null;b",
            "a >/dev/null&",
            "a >/dev/nullb",
            "a '>'/dev/null>b",
            "a >'/dev/null'",
            "a >>/dev/null",
            "a >&2",
            "a >& /dev/null",
            "a >|/dev/null",
            "a <>/dev/null",
            "a <</dev/null",
            "a <&0",
            "a 3>/dev/null",
            "a 12>/dev/null",
            "a 2 >&1",
            "a 2> &1",
            "a 2>& 1",
            "a 2>&-",
            "a b2>&1",
            "a\\ >/dev/null>b",
            "a &>/dev/null",
            "a &>/dev/null b",
            "a &>/dev/null 2>&1 b",
            "a & >/dev/null",
            "&>/dev/null a",
            ">/dev/null a",
            "2>&1 a",
            ">/dev/null",
            "a &>>/dev/null",
            "a &>&1",
            "a 2>/dev/null\\",
            "a 2>/dev/null$b",
            "a >/dev/null\nb",
            "a >\n/dev/null",
            "a >\u{b}/dev/null",
            "a&b",
            "a>b",
            "a<b",
            "a $b",
            "a `b`",
            "a $(b)",
            "a\nb",
            "X=1 a",
            "a *",
            "~/a",
            "a b=~",
            "a b=~root/c",
            "a b=c:~/d",
            "a #b",
            "eval a",
            "exec a",
            "! a",
            "{ a; }",
            "a \"$b\"",
            "a 'b",
            "a \\",
            "if a",
            "a \0",
        ] {
            assert_eq!(split(text.as_bytes()), Err(NotSimple), "{text}");
        }
    }

    /// `0x81 0x5c` is one character of GBK, so that a shell in such a locale runs what is behind the semicolon.
    #[test]
    fn a_backslash_that_may_be_half_a_character_quotes_nothing() {
        assert_eq!(split(b"a \x81\\;b"), Err(NotSimple));
        assert_eq!(split(b"a \x81'\\'b"), Ok(std::vec![b"a".to_vec(), b"\x81\\b".to_vec()]));
        assert_eq!(split("a '\u{e9}'\\''b'".as_bytes()), Ok(std::vec![b"a".to_vec(), "\u{e9}'b".as_bytes().to_vec()]));
    }

    #[test]
    fn globs() {
        assert!(glob(b"/usr/bin/*", b"/usr/bin/convert", true));
        assert!(!glob(b"/usr/bin/*", b"/usr/bin/../../tmp/x", true));
        assert!(glob(b"*", b"/tmp/a.jpg", false));
        assert!(!glob(b"*", b"-write", false));
        assert!(glob(b"-*", b"-write", false));
        assert!(glob(b"a*c*e", b"abcde", false));
        assert!(!glob(b"a?c", b"ac", false));
    }

    fn slow_glob(pattern: &[u8], token: &[u8]) -> bool {
        match (pattern.split_first(), token.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => slow_glob(rest, token) || (!token.is_empty() && slow_glob(pattern, &token[1..])),
            (Some((&want, rest)), Some((&have, tail))) if want == b'?' || want == have => slow_glob(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn glob_agrees_with_the_obvious_one(pattern in "[ab*?]{0,8}", token in "[ab]{0,10}") {
            prop_assert_eq!(glob(pattern.as_bytes(), token.as_bytes(), false), slow_glob(pattern.as_bytes(), token.as_bytes()));
        }

        #[test]
        fn any_bytes_end(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split(&text);
        }

        #[test]
        fn quoting_as_php_does_gives_the_argument_back(argument in "[ -~&&[^']]{0,40}") {
            let text = std::format!("prog '{argument}'");
            let tokens = split(text.as_bytes()).unwrap();
            prop_assert_eq!(&tokens[1], argument.as_bytes());
        }
    }
}
