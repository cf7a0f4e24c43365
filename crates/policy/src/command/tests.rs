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
fn a_shell_that_becomes_the_command_is_no_token() {
    for text in ["exec a b", " exec\ta  b", "exec 'a' \"b\" 2>&1"] {
        assert_eq!(split(text.as_bytes()).unwrap(), [b"a", b"b"], "{text}");
        assert!(
            Tokens::without_redirections(text.as_bytes()).next(&mut [0; TOKEN_MAX]).is_some_and(|token| token.is_err())
        );
    }
    // Of a program with such a name, or of a word behind it, nothing is left out.
    for (text, first) in
        [("./exec a", "./exec"), ("execa b", "execa"), ("exec '-a' b", "-a"), ("'exec' b", "exec"), ("a exec", "a")]
    {
        assert_eq!(split(text.as_bytes()).unwrap()[0], first.as_bytes(), "{text}");
    }
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
        "exec",
        "exec ",
        "exec -a b c",
        "exec exec a",
        "exec >/dev/null",
        "exec >/dev/null a",
        "exec X=1 a",
        "exec {a} b",
        "exec a; b",
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
