//! What a command may not have that is allowed, for the fuzz target `argv` and for the test that replays its corpus.

/// Whether a shell acts on a byte outside quotes that is no part of a redirection from or to /dev/null, or of `2>&1`.
pub fn needs_a_shell(text: &[u8]) -> bool {
    let bare = without_quoted(text);
    let words: Vec<&[u8]> = bare.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty()).collect();
    let mut rest = words.as_slice();
    while let [word, behind @ ..] = rest {
        rest = behind;
        let operator = word.strip_suffix(b"/dev/null").unwrap_or(word);
        let redirects = match operator {
            b">" | b"1>" | b"2>" | b"<" if operator.len() == word.len() => {
                rest = behind.get(1..).unwrap_or_default();
                behind.first() == Some(&&b"/dev/null"[..])
            }
            b">" | b"1>" | b"2>" | b"<" | b"2>&1" => true,
            _ => false,
        };
        if !redirects && word.iter().any(|byte| b";&|<>`$(){}\n".contains(byte)) {
            return true;
        }
    }
    false
}

/// The text with a letter for each byte that is quoted.
fn without_quoted(text: &[u8]) -> Vec<u8> {
    let mut bare = Vec::new();
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\'' | b'"' => bare.extend(bytes.by_ref().take_while(|next| *next != byte).map(|_| b'q').chain([b'q'])),
            b'\\' => bare.extend(bytes.next().map(|_| b'q')),
            _ => bare.push(byte),
        }
    }
    bare
}
