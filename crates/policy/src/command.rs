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

    /// How much of the text is read; where it is not simple, with the byte that makes it so.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
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
        if self.first && self.redirects {
            self.skip_exec(text)?;
        }
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

    /// Reads the word with which the shell becomes the command behind it, and does nothing else.
    fn skip_exec(&mut self, text: &[u8]) -> Result<(), NotSimple> {
        if let Some([b' ' | b'\t', rest @ ..]) = text.get(self.at..).and_then(|rest| rest.strip_prefix(b"exec")) {
            self.at = text.len().wrapping_sub(rest.len());
            self.skip_blanks(text);
            // Its options are others in each shell; without a command it changes the shell itself.
            if let None | Some(b'-') = text.get(self.at) {
                return Err(NotSimple);
            }
        }
        Ok(())
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
mod tests;
